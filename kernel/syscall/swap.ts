// swapon and swapoff. Here: arguments, and which device they mean. Not here: what is done then (mm/swap/). Mirrors mm/swapfile.c, 6.18. Nothing is
// discarded, whatever the flags say: the devices that are modelled gain nothing by it.
import { swapTargetOf } from '../fs/swap-file.ts';
import { attributesChanged, deviceMajor, deviceMinor, dropInode, FileType, Inode } from '../fs/inode.ts';
import { Access, mayAccess } from '../fs/walk.ts';
import type { Kernel } from '../kernel.ts';
import { swapOff } from '../mm/swap/swapoff.ts';
import { swapOn } from '../mm/swap/swapon.ts';
import { isPrivileged } from '../proc/credentials.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { At, placeAt } from './paths.ts';
import type { SyscallRow } from './row.ts';

const Flag = { PriorityMask: 0x7fff, Prefer: 0x8000, Discard: 0x1_0000, DiscardOnce: 0x2_0000, DiscardPages: 0x4_0000 } as const;
const VALID = Object.values(Flag).reduce((all, bit) => all | bit, 0);

function swapon(k: Kernel, t: Task, [path, flags]: readonly number[]): number {
  if ((flags! & ~VALID) !== 0) return -Errno.EINVAL;
  if (!isPrivileged(t.credentials)) return -Errno.EPERM;
  const place = openable(k, t, path!);
  if (typeof place === 'number') return place;
  const target = swapTargetOf(k, k.vfs, place);
  if (typeof target === 'number') return target;
  if (target.kind === 'partition' && k.system.swap.devices.some((info) => info.isDevice && info.target.device === target.device)) return -Errno.EBUSY;
  const answer = swapOn(k.system, target, (flags! & Flag.Prefer) !== 0 ? flags! & Flag.PriorityMask : null);
  if (answer !== 0 || target.kind !== 'file') return answer;
  place.inode.isSwapFile = true;
  place.inode.users++;
  return 0;
}

function swapoff(k: Kernel, t: Task, [path]: readonly number[]): number {
  if (!isPrivileged(t.credentials)) return -Errno.EPERM;
  const place = openable(k, t, path!);
  if (typeof place === 'number') return place;
  const { inode } = place;
  const { swap } = k.system;
  const isIt = ({ target: { device, file } }: (typeof swap.devices)[number]): boolean =>
    inode.type === FileType.Block ? file === null && device.major === deviceMajor(inode.rdev) && device.minor === deviceMinor(inode.rdev) : file === inode;
  const info = swap.devices.find((each) => each.isWritable && isIt(each));
  if (info === undefined) return -Errno.EINVAL;
  const answer = swapOff(k.system, info, t.mm);
  if (answer === 0 && info.target.file instanceof Inode) {
    inode.isSwapFile = false;
    attributesChanged(inode);
    dropInode(inode);
  }
  return answer;
}

/** Both open the file for reading and writing, to find it. */
function openable(k: Kernel, t: Task, path: number): Exclude<ReturnType<typeof placeAt>, number> | number {
  const place = placeAt(k, t, At.FdCwd, path, 0);
  if (typeof place === 'number') return place;
  if (place.inode.isDirectory) return -Errno.EISDIR;
  if (place.inode.fs.isReadOnly === true) return -Errno.EROFS;
  return mayAccess(place.inode, t.credentials, Access.Read | Access.Write) ? place : -Errno.EACCES;
}

export const swapSyscalls: readonly SyscallRow[] = [
  { nr: 224, name: 'swapon', args: 'path hex', run: swapon },
  { nr: 225, name: 'swapoff', args: 'path', run: swapoff },
];
