// System V shared memory: segments by key and number. Here: making and finding them, who may, what attaching and detaching notes, when they go.
// Not here: the system calls (syscall/shm.ts); the pages, which are a file of memory like any other (mm/filemap.ts). Mirrors ipc/shm.c, ipc/util.c.
// Left out: SHM_HUGETLB, namespaces, the pages of a locked segment, which nothing would take anyway.
import { PAGE_SIZE, type StateHash } from '#base';
import { stamp, type KernelView } from '../fs/view.ts';
import { AddressSpace, type Attachments } from '../mm/filemap.ts';
import type { Mm } from '../mm/mm.ts';
import { type Credentials, isPrivileged } from '../proc/credentials.ts';
import { Errno } from '../syscall/errno.ts';

export const IPC_PRIVATE = 0;
export const ShmFlag = { Create: 0o1000, Exclusive: 0o2000, HugeTlb: 0o4000, NoReserve: 0o10000 } as const;
/** Bits of a segment's mode beyond its rights. */
export const ShmMode = { Dest: 0o1000, Locked: 0o2000 } as const;
/** A number is a place in the table and how often places were used again: seq * IDS + place. */
const IDS = 32768;
const RIGHTS = 0o777;

export class ShmSegment implements Attachments {
  readonly id: number;
  key: number;
  mode: number;
  uid: number;
  gid: number;
  readonly cuid: number;
  readonly cgid: number;
  readonly sizeBytes: number;
  readonly space: AddressSpace;
  /** When it was attached last, detached last, made or changed: seconds, 0 for never. By whom: thread groups. */
  atime = 0;
  dtime = 0;
  ctime: number;
  readonly cpid: number;
  lpid = 0;
  private readonly table: ShmTable;

  constructor(table: ShmTable, id: number, key: number, mode: number, { euid, egid }: Credentials, sizeBytes: number, space: AddressSpace) {
    this.table = table;
    this.id = id;
    this.key = key;
    this.mode = mode;
    this.uid = this.cuid = euid;
    this.gid = this.cgid = egid;
    this.sizeBytes = sizeBytes;
    this.space = space;
    this.ctime = table.now;
    this.cpid = table.currentPid;
  }
  get pages(): number {
    return Math.ceil(this.sizeBytes / PAGE_SIZE);
  }
  /** VMAs that map it: shm_nattch, which a fork and a cut count up as well as shmat. */
  get attached(): number {
    return this.space.nrVmas;
  }
  vmaAdded(): void {
    this.atime = this.table.now;
    this.lpid = this.table.currentPid;
  }
  vmaRemoved(): void {
    this.dtime = this.table.now;
    this.lpid = this.table.currentPid;
    if (this.attached === 0 && (this.mode & ShmMode.Dest) !== 0) this.table.destroy(this);
  }
  /** @param wanted rights as in a mode, in any of its three places. Mirrors ipcperms(). */
  allows(who: Credentials, wanted: number): boolean {
    const isOwner = who.euid === this.uid || who.euid === this.cuid;
    const isGroup = [this.gid, this.cgid].some((gid) => gid === who.egid || who.groups.includes(gid));
    const granted = isOwner ? this.mode >> 6 : isGroup ? this.mode >> 3 : this.mode;
    return ((wanted | (wanted >> 3) | (wanted >> 6)) & 7 & ~granted) === 0 || isPrivileged(who);
  }
  /** May it be changed or removed? Mirrors ipcctl_obtain_check(). */
  isOwnedBy(who: Credentials): boolean {
    return who.euid === this.uid || who.euid === this.cuid || isPrivileged(who);
  }
}

export class ShmTable {
  /** kernel.shmmax in bytes and kernel.shmall in pages: ULONG_MAX - 2^24 from the start, more than a number holds exactly. */
  maxBytes = 2n ** 64n - 1n - 2n ** 24n;
  maxPages = 2n ** 64n - 1n - 2n ** 24n;
  totalPages = 0;
  private readonly view: KernelView;
  /** By place; ascending, as Linux finds them. */
  private readonly places: (ShmSegment | null)[] = [];
  private lastPlace = -1;
  private sequence = 0;

  constructor(view: KernelView) {
    this.view = view;
  }
  get segments(): readonly ShmSegment[] {
    return this.places.filter((segment) => segment !== null);
  }
  get now(): number {
    return stamp(this.view).sec;
  }
  get currentPid(): number {
    return this.view.current?.process.tgid ?? 0;
  }
  /** The highest place in use; 0 also when there is none. */
  get highestPlace(): number {
    return Math.max(0, this.places.findLastIndex((segment) => segment !== null));
  }
  at(place: number): ShmSegment | null {
    return this.places[place] ?? null;
  }
  get(id: number): ShmSegment | null {
    const segment = id >= 0 ? this.at(id % IDS) : null;
    return segment?.id === id ? segment : null;
  }

  /** shmget(2): the number of the segment that the key names, or of a new one; -errno. */
  find(mm: Mm, who: Credentials, key: number, sizeBytes: number, flags: number): number {
    const there = key === IPC_PRIVATE ? undefined : this.segments.find((segment) => segment.key === key);
    if (there === undefined) return key === IPC_PRIVATE || (flags & ShmFlag.Create) !== 0 ? this.make(mm, who, key, sizeBytes, flags) : -Errno.ENOENT;
    if ((flags & ShmFlag.Create) !== 0 && (flags & ShmFlag.Exclusive) !== 0) return -Errno.EEXIST;
    if (sizeBytes > there.sizeBytes) return -Errno.EINVAL;
    return there.allows(who, flags & RIGHTS) ? there.id : -Errno.EACCES;
  }
  private make(mm: Mm, who: Credentials, key: number, sizeBytes: number, flags: number): number {
    const { system, params } = this.view;
    if (sizeBytes < 1 || BigInt(sizeBytes) > this.maxBytes) return -Errno.EINVAL;
    const pages = Math.ceil(sizeBytes / PAGE_SIZE);
    if (BigInt(this.totalPages + pages) > this.maxPages) return -Errno.ENOSPC;
    if ((flags & ShmFlag.HugeTlb) !== 0) return -Errno.EINVAL;
    const isPromised = (flags & ShmFlag.NoReserve) === 0 || params.vm.overcommit_memory === 2;
    if (isPromised && !system.commit(pages, mm)) return -Errno.ENOMEM;
    const place = this.freePlace();
    if (this.segments.length >= params.vm.shmmni) {
      if (isPromised) system.uncommit(pages);
      return -Errno.ENOSPC;
    }
    if (place <= this.lastPlace) this.sequence = (this.sequence + 1) % 0x10000;
    this.lastPlace = place;
    const space = new AddressSpace(system, 'shmem');
    space.isAnonymousShmem = space.onKernelMount = true;
    space.truncate(pages * PAGE_SIZE);
    space.promise(isPromised ? pages : 0);
    const segment = new ShmSegment(this, this.sequence * IDS + place, key, flags & RIGHTS, who, sizeBytes, space);
    space.attachments = segment;
    this.places[place] = segment;
    this.totalPages += pages;
    return segment.id;
  }
  private freePlace(): number {
    const free = this.places.indexOf(null);
    return free < 0 ? this.places.length : free;
  }
  /** IPC_RMID: no key leads to it any more, and it goes with its last mapping. */
  remove(segment: ShmSegment): void {
    segment.key = IPC_PRIVATE;
    segment.mode |= ShmMode.Dest;
    if (segment.attached === 0) this.destroy(segment);
  }
  destroy(segment: ShmSegment): void {
    this.places[segment.id % IDS] = null;
    this.totalPages -= segment.pages;
    segment.space.attachments = null;
    segment.space.release();
  }

  hash(into: StateHash): void {
    for (const s of this.segments) into.numbers([s.id, s.key, s.mode, s.uid, s.gid, s.cuid, s.cgid, s.sizeBytes, s.atime, s.dtime, s.ctime, s.cpid, s.lpid]);
    into.numbers([this.lastPlace, this.sequence, Number(this.maxBytes), Number(this.maxPages)]);
  }
}
