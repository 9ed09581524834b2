// System calls of System V shared memory. Here: arguments, structures, where a segment is mapped. Not here: what a segment is (ipc/shm.ts).
// Mirrors ipc/shm.c: do_shmat(), ksys_shmdt(), ksys_shmctl().
import { PAGE_SIZE } from '#base';
import { type ShmSegment, ShmMode } from '../ipc/shm.ts';
import type { Kernel } from '../kernel.ts';
import { MapFlag, Prot } from '../mm/mman.ts';
import { mayLockAll } from '../proc/credentials.ts';
import { Rlimit } from '../proc/rlimit.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import type { SyscallRow } from './row.ts';

function shmget(k: Kernel, t: Task, [key, size, flags]: readonly number[]): number {
  // A size from 2^63 up comes as a negative number: more than any segment has.
  return k.shm.find(t.mm, t.credentials, key! | 0, size! < 0 ? Number.MAX_SAFE_INTEGER : size!, flags! | 0);
}

const At = { ReadOnly: 0o10000, Round: 0o20000, Remap: 0o40000, Exec: 0o100000 } as const;
function shmat(k: Kernel, t: Task, [id, addrArg, flagsArg]: readonly number[]): number {
  const flags = flagsArg! | 0;
  const replaces = (flags & At.Remap) !== 0;
  if (id! < 0) return -Errno.EINVAL;
  let addr = addrArg!;
  if (addr === 0 && replaces) return -Errno.EINVAL;
  if (addr % PAGE_SIZE !== 0) {
    if ((flags & At.Round) === 0) return -Errno.EINVAL;
    addr -= addr % PAGE_SIZE;
    if (addr === 0 && replaces) return -Errno.EINVAL;
  }
  const isFixed = addrArg !== 0;
  const writes = (flags & At.ReadOnly) === 0;
  const executes = (flags & At.Exec) !== 0;
  const segment = k.shm.get(id! | 0);
  if (segment === null) return -Errno.EINVAL;
  if (!segment.allows(t.credentials, (writes ? 0o666 : 0o444) | (executes ? 0o111 : 0))) return -Errno.EACCES;
  const len = segment.pages * PAGE_SIZE;
  if (isFixed && !replaces && (addr < 0 || addr + segment.sizeBytes > t.mm.taskSize || t.mm.vmaList.overlapping(addr, addr + len).length > 0)) return -Errno.EINVAL;
  // Each attachment is an open file of its own: neighbours do not merge.
  const file = { space: segment.space, path: `/SYSV${(segment.key >>> 0).toString(16).padStart(8, '0')} (deleted)`, ino: segment.id, devMajor: 0, devMinor: 1, mayWrite: writes };
  const prot = Prot.Read | (writes ? Prot.Write : 0) | (executes ? Prot.Exec : 0);
  return t.mm.mmap({ addr, len, prot, flags: MapFlag.Shared | (isFixed ? MapFlag.Fixed : 0), file, pgoff: 0 });
}

/** Unmaps what is left of the attachment that began at `addr`, and nothing else in between. */
function shmdt(k: Kernel, t: Task, [addr]: readonly number[]): number {
  if (addr! % PAGE_SIZE !== 0) return -Errno.EINVAL;
  let found: ShmSegment | null = null;
  for (const vma of t.mm.vmaList.overlapping(addr!, t.mm.taskSize)) {
    if (found !== null && vma.end - addr! > found.pages * PAGE_SIZE) break;
    const segment = k.shm.segments.find(({ space }) => space === vma.file?.space) ?? null;
    if (segment === null || (found !== null && segment !== found) || vma.start - addr! !== vma.pgoff * PAGE_SIZE) continue;
    found = segment;
    t.mm.munmap(vma.start, vma.end - vma.start);
  }
  return found === null ? -Errno.EINVAL : 0;
}

const Command = { Remove: 0, Set: 1, Stat: 2, IpcInfo: 3, Lock: 11, Unlock: 12, StatAt: 13, Info: 14, StatAny: 15 } as const;
function shmctl(k: Kernel, t: Task, [idArg, command, at]: readonly number[]): number {
  const id = idArg! | 0;
  if (id < 0) return -Errno.EINVAL;
  switch (command! & ~0x100) { // IPC_64, which riscv64 always means
    case Command.IpcInfo: return writeLimits(k, t, at!);
    case Command.Info: return writeUse(k, t, at!);
    case Command.Stat:
    case Command.StatAt:
    case Command.StatAny: {
      const segment = command === Command.Stat ? k.shm.get(id) : k.shm.at(id);
      if (segment === null) return -Errno.EINVAL;
      if (command !== Command.StatAny && !segment.allows(t.credentials, 0o444)) return -Errno.EACCES;
      if (!t.user.write(at!, shmidDs(segment))) return -Errno.EFAULT;
      return command === Command.Stat ? 0 : segment.id;
    }
    case Command.Set:
    case Command.Remove: {
      const change = new Uint8Array(24);
      if (command === Command.Set && !t.user.read(at!, change)) return -Errno.EFAULT;
      const segment = k.shm.get(id);
      if (segment === null) return -Errno.EINVAL;
      if (!segment.isOwnedBy(t.credentials)) return -Errno.EPERM;
      if (command === Command.Remove) k.shm.remove(segment);
      else setOwner(k, segment, new DataView(change.buffer));
      return 0;
    }
    case Command.Lock:
    case Command.Unlock: {
      const segment = k.shm.get(id);
      if (segment === null) return -Errno.EINVAL;
      if (!mayLockAll(t.credentials)) {
        if (t.credentials.euid !== segment.uid && t.credentials.euid !== segment.cuid) return -Errno.EPERM;
        if (command === Command.Lock && t.process.limits[Rlimit.Memlock]!.cur === 0) return -Errno.EPERM;
      }
      if (command === Command.Lock) segment.mode |= ShmMode.Locked;
      else segment.mode &= ~ShmMode.Locked;
      return 0;
    }
    default: return -Errno.EINVAL;
  }
}
function setOwner(k: Kernel, segment: ShmSegment, change: DataView): void {
  segment.uid = change.getUint32(4, true);
  segment.gid = change.getUint32(8, true);
  segment.mode = (segment.mode & ~0o777) | (change.getUint32(20, true) & 0o777);
  segment.ctime = k.shm.now;
}

const SHMID_DS_BYTES = 112;
/** struct shmid64_ds: struct ipc64_perm, then size, times, who, how many. */
function shmidDs(s: ShmSegment): Uint8Array {
  const view = new DataView(new ArrayBuffer(SHMID_DS_BYTES));
  for (const [i, word] of [s.key, s.uid, s.gid, s.cuid, s.cgid, s.mode].entries()) view.setUint32(4 * i, word >>> 0, true);
  view.setUint16(24, Math.floor(s.id / 32768), true);
  for (const [i, word] of [s.sizeBytes, s.atime, s.dtime, s.ctime].entries()) view.setBigUint64(48 + 8 * i, BigInt(word), true);
  view.setUint32(80, s.cpid, true);
  view.setUint32(84, s.lpid, true);
  view.setBigUint64(88, BigInt(s.attached), true);
  return new Uint8Array(view.buffer);
}
/** IPC_INFO, struct shminfo64: shmmax, shmmin, shmmni, shmseg, shmall. */
function writeLimits(k: Kernel, t: Task, at: number): number {
  const mni = BigInt(k.params.vm.shmmni);
  const words = new BigUint64Array([k.shm.maxBytes, 1n, mni, mni, k.shm.maxPages, 0n, 0n, 0n, 0n]);
  return t.user.write(at, new Uint8Array(words.buffer)) ? k.shm.highestPlace : -Errno.EFAULT;
}
/** SHM_INFO, struct shm_info: segments, their pages, those in memory, those in swap. */
function writeUse(k: Kernel, t: Task, at: number): number {
  const { segments } = k.shm;
  const words = new BigUint64Array([segments.length, k.shm.totalPages, segments.reduce((sum, { space }) => sum + space.nrPages, 0), segments.reduce((sum, { space }) => sum + space.nrSwapped, 0), 0, 0].map(BigInt));
  return t.user.write(at, new Uint8Array(words.buffer)) ? k.shm.highestPlace : -Errno.EFAULT;
}

export const shmSyscalls: readonly SyscallRow[] = [
  { nr: 194, name: 'shmget', args: 'hex size oct', run: shmget },
  { nr: 195, name: 'shmctl', args: 'int int ptr', run: shmctl },
  { nr: 196, name: 'shmat', args: 'int ptr oct', run: shmat },
  { nr: 197, name: 'shmdt', args: 'ptr', run: shmdt },
];
