// A task's memory: maps, smaps, smaps_rollup. Here: Linux's text. Not here: the numbers (mm/inspect.ts). Mirrors fs/proc/task_mmu.c.
import { clearRefs } from '../../mm/clear-refs.ts';
import { type Smaps, smapsOf, vmFlagsText } from '../../mm/inspect.ts';
import type { Mm } from '../../mm/mm.ts';
import { VmFlag, type VmaView } from '../../mm/vma.ts';
import { Errno } from '../../syscall/errno.ts';
import { PART_BYTES, type TextPart, type TextRow } from '../pseudo.ts';
import { PROCMAP_QUERY, procmapQuery } from './procmap-query.ts';
import type { TaskSubject } from './task-dir.ts';

/** Blanks fill a line of maps up to here; one more, and the name follows (seq_setwidth, seq_pad). */
const PAD_COLUMN = 72;

const hex8 = (n: number): string => n.toString(16).padStart(8, '0');
const hex2 = (n: number): string => n.toString(16).padStart(2, '0');

/** One line of maps. Mirrors show_map_vma(). */
export function mapsLine(mm: Mm, vma: VmaView): string {
  const { flags, file } = vma;
  const rights = `${(flags & VmFlag.Read) !== 0 ? 'r' : '-'}${(flags & VmFlag.Write) !== 0 ? 'w' : '-'}${(flags & VmFlag.Exec) !== 0 ? 'x' : '-'}${(flags & VmFlag.MayShare) !== 0 ? 's' : 'p'}`;
  const offset = file === null ? 0 : vma.pgoff * 4096;
  const line = `${hex8(vma.start)}-${hex8(vma.end)} ${rights} ${hex8(offset)} ${hex2(file?.devMajor ?? 0)}:${hex2(file?.devMinor ?? 0)} ${file?.ino ?? 0} `;
  const name = nameOf(mm, vma);
  return name === '' ? `${line}\n` : `${line.padEnd(PAD_COLUMN)} ${name}\n`;
}
function nameOf(mm: Mm, vma: VmaView): string {
  if (vma.file !== null && vma.anonName !== null) return `[anon_shmem:${vma.anonName}]`;
  if (vma.file !== null) return vma.file.path.replace(/\n/g, '\\012');
  if (vma.start < mm.brkEnd && vma.end > mm.startBrk) return '[heap]';
  if (vma.start <= mm.startStack && vma.end >= mm.startStack) return '[stack]';
  return vma.anonName === null ? '' : `[anon:${vma.anonName}]`;
}

const line = (label: string, bytes: number): string => `${`${label}:`.padEnd(16)}${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`;

/** From Rss to Locked, in Linux's order. @param isRollup adds the split of Pss */
function fields(s: Smaps, isRollup: boolean): string {
  return line('Rss', s.rss) + line('Pss', s.pss) + line('Pss_Dirty', s.pssDirty) +
    (isRollup ? line('Pss_Anon', s.pssAnon) + line('Pss_File', s.pssFile) + line('Pss_Shmem', s.pssShmem) : '') +
    line('Shared_Clean', s.sharedClean) + line('Shared_Dirty', s.sharedDirty) + line('Private_Clean', s.privateClean) + line('Private_Dirty', s.privateDirty) +
    line('Referenced', s.referenced) + line('Anonymous', s.anonymous) + line('KSM', 0) + line('LazyFree', s.lazyFree) + line('AnonHugePages', s.anonHugePages) +
    line('ShmemPmdMapped', 0) + line('FilePmdMapped', 0) + line('Shared_Hugetlb', 0) + `${'Private_Hugetlb:'.padEnd(16)} ${'0'.padStart(7)} kB\n` +
    line('Swap', s.swap) + line('SwapPss', s.swapPss) + line('Locked', s.locked);
}

function smapsEntry(mm: Mm, vma: VmaView): string {
  const s = smapsOf(mm, vma);
  return mapsLine(mm, vma) + line('Size', s.size) + line('KernelPageSize', 4096) + line('MMUPageSize', 4096) + fields(s, false) +
    `THPeligible:    ${String(s.thpEligible ? 1 : 0).padStart(8)}\nVmFlags: ${vmFlagsText(vma.flags)} \n`;
}

/** The entries of VMAs from an address on: a reader goes on behind the last one it saw, as Linux's does, whatever was mapped meanwhile. */
function entriesFrom({ task: t }: TaskSubject, from: number, entry: (mm: Mm, vma: VmaView) => string): TextPart {
  let text = '';
  if (!t.hasMm) return { text, next: null };
  for (const vma of t.mm.vmas) {
    if (vma.end <= from) continue;
    if (text.length >= PART_BYTES) return { text, next: vma.start };
    text += entry(t.mm, vma);
  }
  return { text, next: null };
}

function smapsRollup({ task: t }: TaskSubject): string | number {
  if (!t.hasMm) return -Errno.ESRCH;
  const { vmas } = t.mm;
  const sum: Smaps = {
    size: 0, rss: 0, pss: 0, pssDirty: 0, pssAnon: 0, pssFile: 0, pssShmem: 0, sharedClean: 0, sharedDirty: 0, privateClean: 0, privateDirty: 0,
    referenced: 0, anonymous: 0, lazyFree: 0, anonHugePages: 0, swap: 0, swapPss: 0, locked: 0, thpEligible: false,
  };
  for (const vma of vmas) {
    const s = smapsOf(t.mm, vma);
    for (const name of Object.keys(sum) as (keyof Smaps)[]) if (name !== 'thpEligible') sum[name] += s[name];
  }
  const first = vmas[0]?.start ?? 0;
  const last = vmas.at(-1)?.end ?? 0;
  return `${`${hex8(first)}-${hex8(last)} ---p 00000000 00:00 0 `.padEnd(PAD_COLUMN)} [rollup]\n${fields(sum, true)}`;
}

export const mapsRows: Readonly<Record<string, TextRow<TaskSubject>>> = {
  maps: {
    mode: 0o444, showPart: (s, cursor) => entriesFrom(s, cursor, mapsLine),
    ioctl: (s, t, command, arg) => (command === PROCMAP_QUERY ? procmapQuery(s, t, arg, (vma) => nameOf(s.task.mm, vma)) : -Errno.ENOTTY),
  },
  clear_refs: { mode: 0o200, store: ({ task }, text) => (task.hasMm ? clearRefs(task.mm, text) : -Errno.ESRCH) },
  smaps: { mode: 0o444, showPart: (s, cursor) => entriesFrom(s, cursor, smapsEntry) },
  smaps_rollup: { mode: 0o444, show: smapsRollup },
};
