// System calls about memory: brk, mmap and their kin. Here: arguments as programs pass them, files behind descriptors. What they do is mm's.
import { PAGE_SIZE } from '#base';
import { regularOf } from '../fs/regular.ts';
import type { Kernel } from '../kernel.ts';
import { MapFlag, Prot } from '../mm/mman.ts';
import type { Mm } from '../mm/mm.ts';
import { VmFlag } from '../mm/vma.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import type { SyscallRow } from './row.ts';

const isAligned = (n: number): boolean => n % PAGE_SIZE === 0;
/** Addresses and lengths from 2^63 up come as negative numbers: never memory of a program. */
const inUser = (t: Task, addr: number, len: number): boolean => addr >= 0 && len >= 0 && addr + len <= t.mm.taskSize;

/** LEGACY_MAP_MASK: what MAP_SHARED_VALIDATE accepts of a file that adds nothing of its own. */
const KNOWN_FLAGS = 0x7c07_f933;

function mmap(_k: Kernel, t: Task, a: readonly number[]): number {
  const [addr, len, prot, flags, fd, offset] = a as [number, number, number, number, number, number];
  if (!isAligned(offset)) return -Errno.EINVAL;
  const file = (flags & MapFlag.Anonymous) !== 0 ? null : t.files.get(fd | 0);
  if (file === null && (flags & MapFlag.Anonymous) === 0) return -Errno.EBADF;
  if (len === 0) return -Errno.EINVAL;
  if (len < 0 || len > t.mm.taskSize) return -Errno.ENOMEM;
  const isFixed = (flags & (MapFlag.Fixed | MapFlag.FixedNoReplace)) !== 0;
  if (isFixed && !isAligned(addr)) return -Errno.EINVAL;
  if (isFixed && !inUser(t, addr, len)) return -Errno.ENOMEM;
  const request = { addr: inUser(t, addr, len) ? addr : 0, len, prot: prot | 0, flags: flags | 0 };
  if (file === null) return t.mm.mmap({ ...request, file: null, pgoff: 0 });
  if (offset < 0 || offset + len > 2 ** 52) return -Errno.EOVERFLOW;
  const type = flags & MapFlag.Type;
  if (type === MapFlag.SharedValidate && (flags & ~KNOWN_FLAGS) !== 0) return -Errno.ENOTSUP;
  if (type !== MapFlag.Shared && type !== MapFlag.Private && type !== MapFlag.SharedValidate) return -Errno.EINVAL;
  const mapping = file.mapping();
  if (typeof mapping === 'number') return mapping;
  // A sealed memfd says EPERM where a file that was opened read-only says EACCES (shmem_mmap).
  const isSharedWrite = (flags & MapFlag.Type) !== MapFlag.Private && (prot & Prot.Write) !== 0;
  if (isSharedWrite && file.canWrite && regularOf(file.inode)?.isWriteSealed === true) return -Errno.EPERM;
  return t.mm.mmap({ ...request, file: mapping, pgoff: offset / PAGE_SIZE, readOnly: !file.canWrite });
}

function munmap(_k: Kernel, t: Task, [addr, len]: readonly number[]): number {
  if (!isAligned(addr!) || len === 0 || !inUser(t, addr!, len!)) return -Errno.EINVAL;
  return t.mm.munmap(addr!, len!);
}

function mprotect(_k: Kernel, t: Task, [addr, len, prot]: readonly number[]): number {
  if (!isAligned(addr!)) return -Errno.EINVAL;
  if (len === 0) return 0;
  if (!inUser(t, addr!, len!)) return -Errno.ENOMEM;
  return t.mm.mprotect(addr!, len!, prot! | 0);
}

function mremap(_k: Kernel, t: Task, [old, oldLen, newLen, flags, newAddr]: readonly number[]): number {
  if (!isAligned(old!)) return -Errno.EINVAL;
  if (newLen === 0 || newLen! < 0) return -Errno.EINVAL;
  if (newLen! > t.mm.taskSize) return -Errno.ENOMEM;
  if (!inUser(t, old!, oldLen!)) return -Errno.EFAULT;
  return t.mm.mremap(old!, oldLen!, newLen!, flags! | 0, newAddr!);
}

/** madvise(2) on any address space. */
export function adviseMm(mm: Mm, addr: number, len: number, advice: number): number {
  if (!isAligned(addr)) return -Errno.EINVAL;
  if (len < 0 || (addr >= 0 && addr + len >= 2 ** 63)) return -Errno.EINVAL;
  if (len === 0) return mm.madvise(0, 0, advice | 0);
  if (addr < 0 || addr + len > mm.taskSize) return -Errno.ENOMEM;
  return mm.madvise(addr, len, advice | 0);
}

/** Lengths from 2^63 up come as negative numbers: those that wrap around with the address are no range, others reach beyond all memory. */
function mseal(_k: Kernel, t: Task, [addr, len, flags]: readonly number[]): number {
  if (flags !== 0 || !isAligned(addr!)) return -Errno.EINVAL;
  if (len! < 0) return len! > -PAGE_SIZE || addr! < 0 || addr! >= -len! ? -Errno.EINVAL : -Errno.ENOMEM;
  return addr! < 0 && len !== 0 ? -Errno.ENOMEM : t.mm.mseal(addr!, len!, 0);
}

/** Pages asked of mm at a time, so that a huge length costs no host memory. */
const MINCORE_CHUNK = 4096;
function mincore(_k: Kernel, t: Task, [addr, len, vec]: readonly number[]): number {
  if (!isAligned(addr!)) return -Errno.EINVAL;
  if (!inUser(t, addr!, len!)) return -Errno.ENOMEM;
  const pages = Math.ceil(len! / PAGE_SIZE);
  for (let done = 0; done < pages; done += MINCORE_CHUNK) {
    const into = new Uint8Array(Math.min(MINCORE_CHUNK, pages - done));
    const error = t.mm.mincore(addr! + done * PAGE_SIZE, into.length * PAGE_SIZE, into);
    if (error < 0) return error;
    if (!t.user.write(vec! + done, into)) return -Errno.EFAULT;
  }
  return 0;
}

function mlock(_k: Kernel, t: Task, [addr, len]: readonly number[], onFault = false): number {
  if (len === 0) return 0;
  if (addr! < 0 || len! < 0) return -Errno.EINVAL;
  if (!inUser(t, addr!, len!)) return -Errno.ENOMEM;
  return t.mm.mlock(addr!, len!, onFault);
}
function mlock2(k: Kernel, t: Task, a: readonly number[]): number {
  return (a[2]! & ~1) !== 0 ? -Errno.EINVAL : mlock(k, t, a, (a[2]! & 1) !== 0);
}
function munlock(_k: Kernel, t: Task, [addr, len]: readonly number[]): number {
  if (len === 0) return 0;
  if (addr! < 0 || len! < 0) return -Errno.EINVAL;
  if (!inUser(t, addr!, len!)) return -Errno.ENOMEM;
  return t.mm.munlock(addr!, len!);
}

const MCL_CURRENT = 1;
const MCL_FUTURE = 2;
const MCL_ONFAULT = 4;
function mlockall(_k: Kernel, t: Task, [flags]: readonly number[]): number {
  if (flags === 0 || (flags! & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0 || flags === MCL_ONFAULT) return -Errno.EINVAL;
  return t.mm.mlockAll(flags! | 0);
}

/** Other pages of the file at a place of a shared mapping; since 4.0 by a mapping of its own. Mirrors the emulation in mm/mmap.c. */
function remapFilePages(_k: Kernel, t: Task, [startArg, sizeArg, prot, pgoff, flags]: readonly number[]): number {
  const start = startArg! - (startArg! % PAGE_SIZE);
  const size = sizeArg! - (sizeArg! % PAGE_SIZE);
  if (prot !== 0 || size <= 0 || start < 0 || pgoff! < 0 || pgoff! + size / PAGE_SIZE > 2 ** 52) return -Errno.EINVAL;
  const vma = t.mm.vmaList.at(start);
  if (vma === null || vma.file === null || !vma.has(VmFlag.Shared)) return -Errno.EINVAL;
  // It may span neighbours that earlier calls have made of one mapping.
  let end = vma.end;
  while (end < start + size) {
    const next = t.mm.vmaList.at(end);
    if (next === null || next.file !== vma.file || next.flags !== vma.flags) return -Errno.EINVAL;
    end = next.end;
  }
  const rights = (vma.has(VmFlag.Read) ? Prot.Read : 0) | (vma.has(VmFlag.Write) ? Prot.Write : 0) | (vma.has(VmFlag.Exec) ? Prot.Exec : 0);
  const how = MapFlag.Shared | MapFlag.Fixed | MapFlag.Populate | (flags! & MapFlag.NonBlock) | (vma.has(VmFlag.Locked) ? MapFlag.Locked : 0);
  const at = t.mm.mmap({ addr: start, len: size, prot: rights, flags: how, file: vma.file, pgoff: pgoff! });
  return at < 0 ? at : 0;
}

const MEMBARRIER_ALL = 0b1_1111_1111 & ~0b1_1000_0000; // GLOBAL .. PRIVATE_EXPEDITED_SYNC_CORE registrations, without rseq
/** One hart, and every kernel entry orders memory: each command is fulfilled by having been called. */
function membarrier(_k: Kernel, _t: Task, [command, flags]: readonly number[]): number {
  if (flags !== 0) return -Errno.EINVAL;
  if (command === 0) return MEMBARRIER_ALL;
  const isOne = command! > 0 && (command! & (command! - 1)) === 0;
  return isOne && (command! & MEMBARRIER_ALL) !== 0 ? 0 : -Errno.EINVAL;
}

export const memorySyscalls: readonly SyscallRow[] = [
  { nr: 214, name: 'brk', args: 'ptr', run: (_k, t, [to]) => t.mm.brk(to!) },
  { nr: 215, name: 'munmap', args: 'ptr size', run: munmap },
  { nr: 216, name: 'mremap', args: 'ptr size size mremap-flags ptr', run: mremap },
  { nr: 222, name: 'mmap', args: 'ptr size prot mmap-flags fd off', run: mmap },
  { nr: 226, name: 'mprotect', args: 'ptr size prot', run: mprotect },
  { nr: 228, name: 'mlock', args: 'ptr size', run: (k, t, a) => mlock(k, t, a) },
  { nr: 229, name: 'munlock', args: 'ptr size', run: munlock },
  { nr: 230, name: 'mlockall', args: 'hex', run: mlockall },
  { nr: 231, name: 'munlockall', args: '', run: (_k, t) => t.mm.munlockAll() },
  { nr: 232, name: 'mincore', args: 'ptr size ptr', run: mincore },
  { nr: 233, name: 'madvise', args: 'ptr size madvice', run: (_k, t, [addr, len, advice]) => adviseMm(t.mm, addr!, len!, advice!) },
  { nr: 234, name: 'remap_file_pages', args: 'ptr size prot uint mmap-flags', run: remapFilePages },
  { nr: 283, name: 'membarrier', args: 'int hex int', run: membarrier },
  { nr: 284, name: 'mlock2', args: 'ptr size hex', run: mlock2 },
  { nr: 462, name: 'mseal', args: 'ptr size hex', run: mseal },
];
