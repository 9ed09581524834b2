// PROCMAP_QUERY: asking /proc/PID/maps for one VMA without reading text (6.11). Here: the ioctl and its struct. Mirrors do_procmap_query()
// (fs/proc/task_mmu.c). Left out: build ids, of which no file here has one.
import { utf8Encode } from '#base';
import { VmFlag, type VmaView } from '../../mm/vma.ts';
import type { Task } from '../../proc/task.ts';
import { Errno } from '../../syscall/errno.ts';
import type { TaskSubject } from './task-dir.ts';

/** _IOWR(0x66, 17, struct procmap_query) */
export const PROCMAP_QUERY = 0xc068_6611;
/** Byte offsets in struct procmap_query: 64-bit words up to the inode, 32-bit ones up to the addresses. */
const At = {
  size: 0, queryFlags: 8, queryAddr: 16, vmaStart: 24, vmaEnd: 32, vmaFlags: 40, pageSize: 48, offset: 56, inode: 64, devMajor: 72, devMinor: 76,
  nameSize: 80, buildIdSize: 84, nameAddr: 88, buildIdAddr: 96, end: 104,
} as const;
const Query = { Readable: 1, Writable: 2, Executable: 4, Shared: 8, CoveringOrNext: 0x10, FileBacked: 0x20 } as const;
const ALL_FLAGS = 0x3f;

/** The vDSO is no file, though its frames are held like one. */
const hasFile = ({ file }: VmaView): boolean => file !== null && !file.path.startsWith('[');

/** The first VMA at or above an address that is as the flags ask; only the one that holds the address if they do not say CoveringOrNext. */
function findVma(vmas: readonly VmaView[], addr: number, flags: number): VmaView | null {
  const needed = ((flags & Query.Readable) !== 0 ? VmFlag.Read : 0) | ((flags & Query.Writable) !== 0 ? VmFlag.Write : 0)
    | ((flags & Query.Executable) !== 0 ? VmFlag.Exec : 0) | ((flags & Query.Shared) !== 0 ? VmFlag.MayShare : 0);
  const goesOn = (flags & Query.CoveringOrNext) !== 0;
  for (const vma of vmas) {
    if (vma.end <= addr) continue;
    if (!goesOn && vma.start > addr) return null;
    if ((vma.flags & needed) === needed && ((flags & Query.FileBacked) === 0 || hasFile(vma))) return vma;
    if (!goesOn) return null;
  }
  return null;
}

/** @param name of a VMA as maps shows it; '': none */
export function procmapQuery({ task }: TaskSubject, t: Task, arg: number, name: (vma: VmaView) => string): number {
  const size = t.user.u64(arg);
  if (size === null) return -Errno.EFAULT;
  if (size > 4096n) return -Errno.E2BIG;
  if (size < BigInt(At.vmaStart)) return -Errno.EINVAL;
  const lenBytes = Number(size);
  const given = new Uint8Array(Math.max(lenBytes, At.end));
  if (!t.user.read(arg, given.subarray(0, lenBytes))) return -Errno.EFAULT;
  if (given.subarray(At.end).some((byte) => byte !== 0)) return -Errno.E2BIG; // asks for what is not known
  const view = new DataView(given.buffer);
  const flags = view.getBigUint64(At.queryFlags, true);
  const [nameSize, nameAddr] = [view.getUint32(At.nameSize, true), view.getBigUint64(At.nameAddr, true)];
  const [buildIdSize, buildIdAddr] = [view.getUint32(At.buildIdSize, true), view.getBigUint64(At.buildIdAddr, true)];
  if (flags > BigInt(ALL_FLAGS) || (nameSize !== 0) !== (nameAddr !== 0n) || (buildIdSize !== 0) !== (buildIdAddr !== 0n)) return -Errno.EINVAL;
  if (!task.hasMm) return -Errno.ESRCH;
  const vma = findVma(task.mm.vmas, Number(view.getBigUint64(At.queryAddr, true)), Number(flags));
  if (vma === null) return -Errno.ENOENT;

  const has = (vmFlag: number, bit: number): bigint => ((vma.flags & vmFlag) !== 0 ? BigInt(bit) : 0n);
  view.setBigUint64(At.vmaStart, BigInt(vma.start), true);
  view.setBigUint64(At.vmaEnd, BigInt(vma.end), true);
  view.setBigUint64(At.vmaFlags, has(VmFlag.Read, Query.Readable) | has(VmFlag.Write, Query.Writable) | has(VmFlag.Exec, Query.Executable) | has(VmFlag.MayShare, Query.Shared), true);
  view.setBigUint64(At.pageSize, 4096n, true);
  view.setBigUint64(At.offset, vma.file === null ? 0n : BigInt(vma.pgoff) * 4096n, true);
  view.setBigUint64(At.inode, BigInt(vma.file?.ino ?? 0), true);
  view.setUint32(At.devMajor, vma.file?.devMajor ?? 0, true);
  view.setUint32(At.devMinor, vma.file?.devMinor ?? 0, true);
  if (buildIdSize !== 0) view.setUint32(At.buildIdSize, 0, true);
  if (nameSize !== 0) {
    const text = name(vma);
    const bytes = text === '' ? new Uint8Array(0) : utf8Encode(`${text}\0`);
    if (bytes.length > nameSize) return -Errno.ENAMETOOLONG;
    view.setUint32(At.nameSize, bytes.length, true);
    if (!t.user.write(Number(nameAddr), bytes)) return -Errno.EFAULT;
  }
  return t.user.write(arg, given.subarray(0, Math.min(lenBytes, At.end))) ? 0 : -Errno.EFAULT;
}
