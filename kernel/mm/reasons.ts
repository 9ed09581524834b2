// Why something fell back, split, was refused or went one way rather than another: each reason once, with a code, a sentence, and what to
// try. Whoever decides names the code; traces, `quire why` and reports print the sentence.

/** One reason. `hint` is empty where nothing need be done. */
export interface Reason { readonly sentence: string; readonly hint: string }

export const reasons = {
  // Which VMA, and may it?
  'no-vma': { sentence: 'No mapping covers the address.', hint: 'Look at the pointer: /proc/self/maps shows what is mapped.' },
  'stack-limit': { sentence: 'The stack may not grow to the address: RLIMIT_STACK, RLIMIT_AS or the guard gap stands in the way.', hint: 'Raise the stack limit, or use less stack.' },
  'no-right': { sentence: 'The mapping does not allow this kind of access.', hint: 'mprotect() the range, or mmap() it with that right.' },
  'guard': { sentence: 'The page is a guard: MADV_GUARD_INSTALL was said of it.', hint: 'MADV_GUARD_REMOVE the page if it should hold something.' },
  'beyond-eof': { sentence: 'The page lies beyond the end of the file.', hint: 'ftruncate() the file before touching the mapping.' },
  'out-of-memory': { sentence: 'No frame is free above the minimum watermark.', hint: 'Give the machine more memory with --mem.' },
  // Which order?
  'order-wanted': { sentence: 'The largest enabled size fits and was free.', hint: '' },
  'thp-off': { sentence: 'No size above 4 kB is enabled for this mapping.', hint: 'Enable one: hugepages-64kB/enabled = always, or --mthp 64k=always.' },
  'thp-no-vma': { sentence: 'The mapping is marked MADV_NOHUGEPAGE, or the process switched large folios off by prctl.', hint: 'Remove the advice or the prctl.' },
  'vma-too-small': { sentence: 'The aligned window of the larger size does not fit inside the mapping.', hint: 'Map a larger, aligned range.' },
  'ptes-not-none': { sentence: 'Some page of the larger aligned window is mapped already.', hint: 'First touches in between, or a partial MADV_DONTNEED, leave only smaller windows.' },
  'fragmented': { sentence: 'No free block of the larger order: memory is fragmented or short.', hint: 'buddyinfo shows what is free; give the machine more memory.' },
  'order-cow': { sentence: 'A copy on write takes one page, whatever the order of the folio it copies from.', hint: '' },
  // Which order of a file's folio? It is chosen when the folio comes into memory.
  'ra-order': { sentence: 'The order of the read-ahead window: two more with every mark that is reached, from single pages on.', hint: 'Longer sequential reads give larger folios.' },
  'ra-first-order': { sentence: 'A window that begins a run is read into single pages.', hint: 'The windows after it, if the run goes on, have folios of 4 pages, then 16 and so on.' },
  'ra-window-size': { sentence: 'The window is smaller than a folio of the order that the run had come to.', hint: 'A larger read_ahead_kb, or POSIX_FADV_SEQUENTIAL, gives larger windows.' },
  'ra-window-end': { sentence: 'A larger folio would reach beyond the end of the window.', hint: '' },
  'ra-exact': { sentence: 'Read without a window, exactly as far as was asked: in single pages.', hint: 'Sequential reads are read ahead, into larger folios.' },
  'ra-around-cached': { sentence: 'Some of the window was in memory already, so the rest was read page by page around it.', hint: '' },
  'index-alignment': { sentence: 'A folio lies at a multiple of its size in the file, and the page stands between those.', hint: 'Begin reads and writes at multiples of the folio size.' },
  'end-of-file': { sentence: 'A larger folio would reach beyond the end of the file.', hint: '' },
  'order-largest': { sentence: 'The largest order that this file system allows.', hint: '' },
  'no-large-folios': { sentence: 'The file system maps the file by buffer heads, which know single pages only.', hint: 'ext4 with extents takes folios of every size: quire mkfs --type ext4.' },
  'read-alone': { sentence: 'Read-ahead was off or did not bring the page, so it was read by itself.', hint: 'POSIX_FADV_NORMAL, or no MADV_RANDOM, lets the kernel read ahead.' },
  'write-length': { sentence: 'As large as the write is long, rounded down, as far as it goes into one extent.', hint: 'One longer write() makes larger folios than many short ones.' },
  'neighbour-cached': { sentence: 'Some page of the larger aligned window is in the cache already.', hint: '' },
  'shmem-off': { sentence: 'shmem_enabled allows no large folio here.', hint: 'hugepages-64kB/shmem_enabled = always is for shared anonymous memory, shmem_enabled = always for memfds; a mounted tmpfs has large folios with shmem_enabled = force alone.' },
  'shmem-size': { sentence: 'within_size: a larger folio would reach beyond the end of the file.', hint: 'ftruncate() the file to its size first, or write always.' },
  'shmem-set-aside': { sentence: 'fallocate() sets aside single pages.', hint: 'Write the file instead.' },
  'shmem-quota': { sentence: 'A larger folio would exceed the size of the mount.', hint: '' },
  'split-file': { sentence: 'The folio was larger, and was split: the file was cut inside it, or its frames were wanted back.', hint: '' },
  // What to read ahead?
  'ra-first': { sentence: 'A read of the beginning of the file begins a window.', hint: '' },
  'ra-sequential': { sentence: 'The read goes on where the last one of this open file ended.', hint: '' },
  'ra-oversized': { sentence: 'More is asked for than the largest window holds.', hint: '' },
  'ra-interleaved': { sentence: 'The pages before it are in memory, as another sequential reader leaves them: a window goes on from there.', hint: '' },
  'ra-random': { sentence: 'Nothing before it was read: it looks like a random read, and only what is asked for is read.', hint: '' },
  'ra-random-advice': { sentence: 'POSIX_FADV_RANDOM was said: only what is asked for is read.', hint: '' },
  'ra-off': { sentence: 'Read-ahead is off: read_ahead_kb is 0.', hint: 'Write a size to /sys/block/vda/queue/read_ahead_kb.' },
  'ra-mark': { sentence: 'The reader has come to the part that was read ahead: the next window follows, larger, of larger folios.', hint: '' },
  'ra-mark-other': { sentence: 'The mark of another reader was met: the window goes on where the cache ends.', hint: '' },
  'ra-mark-far': { sentence: 'The mark of another reader was met, and all of a window behind it is in memory: nothing is read.', hint: '' },
  'ra-forced': { sentence: 'readahead() or POSIX_FADV_WILLNEED asked for these pages.', hint: '' },
  'ra-fault-around': { sentence: 'A fault on a mapping: a window is read around the page.', hint: 'MADV_SEQUENTIAL reads ahead instead, MADV_RANDOM does not read around.' },
  'ra-fault-sequential': { sentence: 'A fault on a mapping for which MADV_SEQUENTIAL was said: a window is read from the page on.', hint: '' },
  'ra-fault-huge': { sentence: 'A fault on a mapping for which MADV_HUGEPAGE was said: 2 MiB are read, and the next 2 MiB ahead.', hint: '' },
  'ra-fault-random': { sentence: 'A fault on a mapping for which MADV_RANDOM was said: the page alone is read.', hint: '' },
  'ra-fault-misses': { sentence: 'Faults on the mapping have missed a hundred times more often than they hit: the page alone is read.', hint: '' },
  'file-io': { sentence: 'The page was not in memory: it is being read from the disk.', hint: '' },
  // What was done?
  'zero-page': { sentence: 'A read of untouched anonymous memory maps the shared zero page.', hint: 'The first write will fault again; write first to save a fault.' },
  'huge-zero': { sentence: 'A read of untouched anonymous memory maps the shared huge zero folio.', hint: 'transparent_hugepage/use_zero_page = 0 maps a folio of its own.' },
  'reuse-exclusive': { sentence: 'The page belongs to this address space alone, so it is made writable in place.', hint: '' },
  'reuse-last': { sentence: 'All other users have gone, so the page is made writable in place.', hint: '' },
  'copy-shared': { sentence: 'Another address space may map the page, so it is copied.', hint: '' },
  'copy-one-left': { sentence: 'Only one page of the large folio is still mapped, so it is copied and the folio let go.', hint: '' },
  'copy-file': { sentence: 'A private mapping is written: the page of the file is copied.', hint: '' },
  'copy-zero': { sentence: 'The zero page is written: a page of its own takes its place.', hint: '' },
  'young': { sentence: 'The entry lacked its accessed or dirty bit (the hart leaves them to software).', hint: '--svadu lets the hart set them.' },
  'spurious': { sentence: 'The entry already allows the access; a stale translation was in the way.', hint: '' },
  'map-around': { sentence: 'Pages of the file that are in memory are mapped around the address.', hint: 'fault_around_bytes sets the window.' },
  'file-page': { sentence: 'One page of the file is mapped.', hint: '' },
  // Splits.
  'split-partial-zap': { sentence: 'Part of a 2 MiB mapping was unmapped.', hint: 'Unmap whole aligned 2 MiB ranges.' },
  'split-partial-protect': { sentence: 'The rights of a part of a 2 MiB mapping changed.', hint: 'mprotect() whole aligned 2 MiB ranges.' },
  'split-cow': { sentence: 'A shared 2 MiB mapping was written: it is split, and one page copied.', hint: '' },
  'split-move': { sentence: 'A 2 MiB mapping was moved by mremap() to an address that is not aligned alike.', hint: 'mremap() to an address with the same offset in 2 MiB.' },
  'split-vma': { sentence: 'The mapping was cut inside a 2 MiB folio.', hint: '' },
  'split-partial': { sentence: 'Memory was short, and the folio had pages that nobody mapped any more: it was split to free them.', hint: '' },
  'split-zeros': { sentence: 'Memory was short, and most pages of the 2 MiB folio held zeros: it was split, and they became the zero page.', hint: 'khugepaged/max_ptes_none = 511 (the default) or shrink_underused = 0 leaves such folios whole.' },
  'split-unused': { sentence: 'Few pages of the folio had been used, by their accessed bits: it was split, and pages of zeros became the zero page.', hint: '/sys/kernel/mm/quire/access_split says when this is done.' },
  'split-watch': { sentence: 'A 2 MiB mapping was written as single entries, to see by their accessed bits which pages are used.', hint: 'access_split/unmerge = 0 leaves such mappings whole.' },
  'split-advice': { sentence: 'madvise() meant a part of the folio: it was split.', hint: 'Give advice to whole folios.' },
  'split-to-move': { sentence: 'The folio was to move and could not move whole: it had lost pages, or there was no room of its size.', hint: '' },
  'split-asked': { sentence: 'The folio was split by hand: split_huge_pages was written.', hint: '' },
  'collapse-asked': { sentence: 'MADV_COLLAPSE made one folio of the pages that were there.', hint: '' },
  'collapse-khugepaged': { sentence: 'khugepaged made one folio of the pages that were there.', hint: 'khugepaged/max_ptes_none says how many of them may have been missing.' },
  'collapse-guarded': { sentence: 'khugepaged left the range alone, because a folio there was split not long ago for want of memory.', hint: '/sys/kernel/mm/quire/collapse/guard_millisecs says for how long.' },
  'unfold-part': { sentence: 'A part of a Svnapot run of 16 pages changed, so the run is written as single entries.', hint: '' },
} as const satisfies Record<string, Reason>;
export type ReasonCode = keyof typeof reasons;
/** Reasons as events carry them: by their place. */
export const reasonCodes = Object.keys(reasons) as readonly ReasonCode[];
export const reasonIndex = (code: ReasonCode): number => reasonCodes.indexOf(code);
