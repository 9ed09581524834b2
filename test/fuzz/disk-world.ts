// Files on a mounted disk beside arrays of bytes: one program makes system calls, and writes to its memory where it maps them. Here: the world, its
// operations, the comparison. Not here: how many sequences are run, and on which disks (disk-files.test.ts).
//
// Beside what each byte is, the model keeps what was promised: bytes, sizes and names that some sync had answered for and that nothing touched since.
import { Prng } from '#base';
import { MemoryImage, type DiskImage } from '#kernel/block/image.ts';
import { diskPresets } from '#kernel/block/latency.ts';
import { mkfs, mkfsDefaults } from '#kernel/fs/ext/mkfs.ts';
import { expire, nextWork } from '#kernel/proc/expiry.ts';
import { type Argument, bootGuest, type GuestTask, type Outcome } from '../support/fs-fixture.ts';

export const O = { RDONLY: 0, WRONLY: 1, RDWR: 2, CREAT: 0o100, TRUNC: 0o1000, APPEND: 0o2000, DSYNC: 0o10000, DIRECT: 0o40000, DIRECTORY: 0o200000, SYNC: 0o4010000 } as const;
export const kinds = [
  'create', 'create', 'write', 'write', 'write', 'write', 'writev', 'append', 'sync-write', 'direct-write', 'read', 'read', 'readv', 'direct-read', 'send', 'copy',
  'map', 'map', 'map-write', 'map-write', 'map-write', 'map-read', 'map-read', 'unmap', 'msync', 'write-from-map', 'read-into-map',
  'truncate', 'truncate', 'allocate', 'allocate', 'punch', 'punch', 'zero', 'rename', 'rename', 'link', 'symlink', 'unlink', 'close', 'seek',
  'fsync', 'fsync', 'fdatasync', 'sync', 'sync-range', 'sync-names', 'advise', 'advise', 'readahead', 'drop', 'time', 'time', 'pressure', 'check',
] as const;
/** One operation: what its numbers mean hangs on its kind. They are cut to what there is. */
export interface Step { readonly kind: (typeof kinds)[number]; readonly file: number; readonly other: number; readonly at: number; readonly len: number; readonly choice: number }
export interface Format { readonly type: 'ext2' | 'ext4'; readonly blockSize: number }
/** 'exact': everything must be as the model says. 'crash': until the power fails. 'bad': the disk has bad places, so that anything may fail. */
export type Mode = 'exact' | 'crash' | 'bad';
export interface Options { readonly mode: Mode; readonly ramBytes: number; readonly maxOrder: number; readonly maxBytes: number; readonly seed: number; readonly latency: string }

const MAX_FILES = 6;
const names = ['/mnt/a', '/mnt/b', '/mnt/a-name-that-is-somewhat-longer', '/mnt/d/a', '/mnt/d/b', '/mnt/d/c'] as const;
const PAGE = 4096;
const UNKNOWN = -1;
/** What a disk with bad places may answer besides. */
const failures = new Set(['EIO', 'EUCLEAN', 'EROFS', 'ENOSPC', 'EFAULT', 'ENOENT', 'EEXIST', 'ENXIO', 'EBADF', 'EINVAL', 'EOPNOTSUPP', 'ENOTDIR']);

/** What needs no descriptor. */
const onMappings = new Set<string>(['map-write', 'map-read', 'msync', 'unmap', 'write-from-map', 'read-into-map']);

interface Mapped { readonly addr: number; readonly start: number; readonly len: number; readonly isShared: boolean; readonly own: Map<number, Int16Array> }
class FileModel {
  readonly bytes: Uint8Array;
  readonly names = new Set<string>();
  readonly maps: Mapped[] = [];
  size = 0;
  /** Open for reading and writing; -1: closed. */
  fd = -1;
  promised: Int16Array | null = null;
  /** Nothing changed the size since. */
  isSizePromised = false;
  readonly promisedNames = new Set<string>();
  /** The name that it got last, by which a sync of the file promises that it can be found (d_find_any_alias() in ext4_sync_parent()); '' once that
   *  has moved. */
  lastName = '';

  constructor(maxBytes: number) {
    this.bytes = new Uint8Array(maxBytes);
  }
  /** [start, end) may be old or new from now on. */
  touch(start: number, end: number): void {
    this.promised?.fill(UNKNOWN, start, end);
    if (end > this.size) this.isSizePromised = false;
  }
  promise(): void {
    this.promised = Int16Array.from(this.bytes.subarray(0, this.size));
    this.isSizePromised = true;
  }
  promiseRange(start: number, end: number): void {
    const { promised } = this;
    if (promised === null) return;
    for (let i = start; i < Math.min(end, promised.length); i++) promised[i] = this.bytes[i]!;
  }
}

export function freshImage({ type, blockSize }: Format, bytes: number): MemoryImage {
  const image = new MemoryImage(new Uint8Array(bytes));
  const error = mkfs(image, { ...mkfsDefaults, type, blockSize });
  if (error !== null) throw new Error(String(error));
  return image;
}
/** The mount was refused. */
export class RefusedDisk extends Error {}
export function mountedGuest(image: DiskImage, options: { ramBytes?: number; isReadOnly?: boolean; latency?: string; maxOrder?: number } = {}): GuestTask {
  const latency = diskPresets.find(({ name }) => name === (options.latency ?? 'nvme'))!;
  const guest = bootGuest({ ramBytes: options.ramBytes ?? 32 << 20, disks: [{ image, latency }] });
  const { kernel } = guest;
  kernel.vfs.writeWhole('/sys/kernel/mm/quire/file_folio_order', new TextEncoder().encode(String(options.maxOrder ?? 9)));
  const refused = kernel.vfs.mountDisk(kernel.system.disks[0]!, '/mnt', { isReadOnly: options.isReadOnly ?? false });
  if (refused !== null) throw new RefusedDisk(refused.sentence);
  return guest;
}
export function sameBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(found, expected) === 0) return;
  const first = found.findIndex((byte, i) => byte !== expected[i]);
  if (first < 0 || first >= expected.length) throw new Error(`${what}: ${found.length} bytes, not ${expected.length}`);
  let end = first;
  while (end < found.length && found[end] !== expected[end]) end++;
  throw new Error(`${what}: bytes ${first} to ${end} of ${found.length}: ${found[first]}, not ${expected[first]}`);
}

export class DiskWorld {
  readonly guest: GuestTask;
  readonly files: FileModel[] = [];
  private readonly links = new Map<string, string>();
  private readonly options: Options;
  private readonly random: Prng;
  /** What calls came to that should have come to something else. */
  readonly refusals = new Set<Outcome>();
  private readonly hasExtents: boolean;

  /** @param image holds a sound file system. Throws what the mount answers. */
  constructor(image: DiskImage, { type }: Format, options: Options) {
    this.options = options;
    this.hasExtents = type === 'ext4';
    this.random = new Prng(options.seed, 'bytes');
    this.guest = mountedGuest(image, options);
    this.want(this.guest.call('mkdirat', -100, '/mnt/d', 0o755), 0, 'mkdir');
    this.want(this.guest.patiently('sync'), 0, 'sync');
  }
  get isExact(): boolean {
    return this.options.mode === 'exact';
  }
  /** @returns whether the call came to what it should */
  private want(found: Outcome, expected: Outcome, what: string): boolean {
    if (found === expected) return true;
    if (this.isExact) throw new Error(`${what}: ${found}, not ${expected}`);
    this.refusals.add(found);
    if (typeof found === 'string' && !failures.has(found)) throw new Error(`${what}: ${found}`);
    return false;
  }
  private sure(isTrue: boolean, what: string): void {
    if (!isTrue && this.isExact) throw new Error(what);
  }
  private same(found: Uint8Array, expected: Uint8Array, what: string): void {
    if (this.isExact) sameBytes(found, expected, what);
  }
  private call(name: string, ...args: readonly Argument[]): Outcome {
    return this.guest.patiently(name, ...args);
  }
  private noise(len: number): Uint8Array {
    const salt = this.random.below(1 << 20);
    const bytes = new Uint8Array(len);
    for (let i = 0; i < len; i++) bytes[i] = 1 + (((i + salt) * 31 + (i >> 8) * 17 + (salt >> 5)) % 255);
    return bytes;
  }
  private fileOf(n: number): FileModel | null {
    return this.files.length === 0 ? null : this.files[n % this.files.length]!;
  }
  private named(name: string): FileModel | null {
    return this.files.find((file) => file.names.has(name)) ?? null;
  }
  private open(name: string, flags: number): number {
    const fd = this.guest.patiently('openat', -100, name, flags, 0o644);
    if (typeof fd === 'number') return fd;
    this.want(fd, 'a descriptor', `open ${name}`);
    return -1;
  }
  /** -1: only mappings know it any more, or it cannot be opened. */
  private fdOf(file: FileModel): number {
    const [name] = file.names;
    if (file.fd < 0 && name !== undefined) file.fd = this.open(name, O.RDWR);
    return file.fd;
  }
  /** Another descriptor of the same file, as other flags need it; where it has no name any more, its own. */
  private withFlags(file: FileModel, flags: number, action: (fd: number) => void): void {
    const [name] = file.names;
    if (name === undefined) return;
    const fd = this.open(name, flags);
    if (fd < 0) return;
    action(fd);
    this.guest.call('close', fd);
  }
  private forgetIfGone(file: FileModel): void {
    if (file.names.size === 0 && file.fd < 0 && file.maps.length === 0) this.files.splice(this.files.indexOf(file), 1);
  }
  private loseName(file: FileModel, name: string): void {
    file.names.delete(name);
    this.forgetPromise(file, name);
    this.forgetIfGone(file);
  }
  private forgetPromise(file: FileModel, name: string): void {
    file.promisedNames.delete(name);
    if (file.lastName === name) file.lastName = '';
  }

  // What comes to a file, in the model.

  private wrote(file: FileModel, bytes: Uint8Array, at: number): void {
    file.bytes.set(bytes, at);
    file.size = Math.max(file.size, at + bytes.length);
  }
  private zeroed(file: FileModel, start: number, end: number): void {
    file.bytes.fill(0, start, Math.min(end, file.size));
  }
  private sized(file: FileModel, size: number): void {
    if (size < file.size) {
      file.bytes.fill(0, size, file.size);
      // Private copies of what is gone go, too; the rest of the last page is not told.
      for (const { start, own } of file.maps) for (const [page, copy] of own) {
        const from = start + page * PAGE;
        if (from >= size) own.delete(page);
        else if (from + PAGE > size) copy.fill(UNKNOWN, size - from);
      }
    }
    file.size = size;
  }
  private synced(file: FileModel): void {
    file.promise();
    if (file.lastName !== '') file.promisedNames.add(file.lastName);
  }

  /** Makes one step. Throws where the guest saw something else than the model. */
  step({ kind, file: n, other: m, at: place, len: length, choice }: Step): void {
    const { guest, options: { maxBytes } } = this;
    const at = place % maxBytes;
    if (kind === 'create' || this.files.length === 0) {
      this.create(names[m % names.length]!, choice);
      return;
    }
    const file = this.fileOf(n)!;
    const other = this.fileOf(m)!;
    const end = Math.min(maxBytes, at + length);
    const len = end - at;
    const fd = this.fdOf(file);
    if (fd < 0 && !onMappings.has(kind)) return;
    const shown = `${kind} of ${[...file.names][0] ?? 'a file without a name'} (size ${file.size}) at ${at}, ${len} bytes`;
    switch (kind) {
      case 'write': case 'writev': case 'sync-write': case 'append': {
        const from = kind === 'append' ? file.size : at;
        const bytes = this.noise(Math.min(len, maxBytes - from));
        if (bytes.length === 0) break;
        file.touch(from, from + bytes.length);
        let wrote: Outcome = 0;
        if (!guest.task.user.write(guest.buffer, bytes)) throw new Error('no memory of its own');
        if (kind === 'write') wrote = this.call('pwrite64', fd, guest.buffer, bytes.length, from);
        else if (kind === 'writev') wrote = this.call('pwritev', fd, pieces(guest.buffer, bytes.length, choice), 3, from);
        else if (file.names.size === 0) break;
        else if (kind === 'append') this.withFlags(file, O.WRONLY | O.APPEND, (appender) => { wrote = this.call('write', appender, guest.buffer, bytes.length); });
        else this.withFlags(file, O.WRONLY | (choice % 2 === 0 ? O.SYNC : O.DSYNC), (safe) => { wrote = this.call('pwrite64', safe, guest.buffer, bytes.length, from); });
        this.want(wrote, bytes.length, shown);
        if (typeof wrote !== 'number') break;
        this.wrote(file, bytes.subarray(0, wrote), from);
        if (kind === 'sync-write') file.promiseRange(from, from + wrote);
        break;
      }
      case 'direct-write': case 'direct-read': {
        const unit = choice % 3 === 0 ? 512 : PAGE;
        const from = at - (at % unit);
        const nr = Math.max(unit, Math.min(maxBytes - from, length - (length % unit)));
        if (from + nr > maxBytes) break;
        this.withFlags(file, O.RDWR | O.DIRECT, (direct) => {
          if (kind === 'direct-read') {
            this.read(file, from, nr, shown, () => this.call('pread64', direct, guest.buffer, nr, from));
            return;
          }
          const bytes = this.noise(nr);
          file.touch(from, from + nr);
          guest.task.user.write(guest.buffer, bytes);
          const wrote = this.call('pwrite64', direct, guest.buffer, nr, from);
          this.want(wrote, nr, shown);
          if (typeof wrote === 'number') this.wrote(file, bytes.subarray(0, wrote), from);
        });
        break;
      }
      case 'read': this.read(file, at, len, shown, () => this.call('pread64', fd, guest.buffer, len, at)); break;
      case 'readv': this.read(file, at, len, shown, () => this.call('preadv', fd, pieces(guest.buffer, len, choice), 3, at)); break;
      case 'send': case 'copy': this.copy(kind, file, other, at, len, choice, shown); break;
      case 'map': {
        if (file.maps.length >= 3) break;
        const start = at - (at % PAGE);
        const isShared = choice % 3 !== 0;
        const nr = Math.max(PAGE, Math.ceil(len / PAGE) * PAGE);
        const addr = guest.call('mmap', 0, nr, 3, isShared ? 1 : 2, fd, start);
        if (typeof addr === 'number') file.maps.push({ addr, start, len: nr, isShared, own: new Map() });
        else this.want(addr, 'an address', shown);
        break;
      }
      case 'map-write': case 'map-read': case 'msync': case 'unmap': case 'write-from-map': case 'read-into-map': {
        const map = file.maps[choice % Math.max(1, file.maps.length)];
        if (map !== undefined) this.mapping(kind, file, map, other, place, length, choice, `${shown}, ${map.isShared ? 'shared' : 'private'} from ${map.start} on, ${map.len} bytes`);
        break;
      }
      case 'truncate': {
        const size = choice % 4 === 0 ? Math.max(0, file.size - (length % 5000)) : at;
        const [name] = file.names;
        if (file.promised !== null) file.promised = file.promised.slice(0, size);
        if (size !== file.size) file.isSizePromised = false;
        if (this.want(name !== undefined && choice % 2 === 0 ? this.call('truncate', name, size) : this.call('ftruncate', fd, size), 0, `${shown} to ${size}`) || !this.isExact) this.sized(file, size);
        break;
      }
      case 'allocate': case 'punch': case 'zero': {
        const mode = kind === 'punch' ? 3 : (kind === 'zero' ? 0x10 : 0) | (choice & 1);
        if (len === 0) break;
        const isKnown = kind === 'punch' || this.hasExtents;
        if (isKnown && kind !== 'allocate') file.touch(at, Math.min(end, file.size));
        if (isKnown && (mode & 1) === 0 && end > file.size) file.isSizePromised = false;
        if (!this.want(this.call('fallocate', fd, mode, at, len), isKnown ? 0 : 'EOPNOTSUPP', `${shown}, mode ${mode}`) || !isKnown) break;
        if (kind !== 'allocate') this.zeroed(file, at, end);
        if ((mode & 1) === 0) file.size = Math.max(file.size, end);
        break;
      }
      case 'rename': this.rename(file, names[m % names.length]!, choice); break;
      case 'link': {
        const [from] = file.names;
        const to = names[m % names.length]!;
        if (from === undefined) break;
        const isFree = this.named(to) === null && !this.links.has(to);
        if (this.want(this.call('linkat', -100, from, -100, to, 0), isFree ? 0 : 'EEXIST', `link ${from} to ${to}`) && isFree) {
          file.names.add(to);
          file.lastName = to;
        }
        break;
      }
      case 'symlink': {
        const to = `/mnt/link${m % 3}`;
        const target = names[n % names.length]!;
        if (this.links.has(to)) {
          const found = this.named(this.links.get(to)!);
          const opened = this.guest.patiently('openat', -100, to, O.RDONLY, 0);
          if (found === null) this.want(opened, 'ENOENT', `open ${to}`);
          else if (typeof opened === 'number') {
            this.read(found, at, len, `${shown} through ${to}`, () => this.call('pread64', opened, guest.buffer, len, at));
            this.guest.call('close', opened);
          } else this.want(opened, 'a descriptor', `open ${to}`);
          if (this.want(this.call('unlinkat', -100, to, 0), 0, `unlink ${to}`)) this.links.delete(to);
        } else if (this.want(this.call('symlinkat', target, -100, to), 0, `symlink ${to}`)) this.links.set(to, target);
        break;
      }
      case 'unlink': {
        const [name] = file.names;
        if (name === undefined) break;
        this.forgetPromise(file, name);
        if (this.want(this.call('unlinkat', -100, name, 0), 0, `unlink ${name}`)) this.loseName(file, name);
        break;
      }
      case 'close':
        guest.call('close', fd);
        file.fd = -1;
        this.forgetIfGone(file);
        break;
      case 'seek': this.seek(file, fd, at, shown); break;
      case 'fsync': case 'fdatasync':
        if (this.want(this.call(kind, fd), 0, shown)) this.synced(file);
        break;
      case 'sync': case 'sync-names': this.syncAll(kind, fd, choice, shown); break;
      case 'sync-range': this.want(this.call('sync_file_range', fd, at, len, choice % 8), 0, shown); break;
      case 'advise': this.want(this.call('fadvise64', fd, at, len, choice % 6), 0, shown); break;
      case 'readahead': this.want(this.call('readahead', fd, at, len), 0, shown); break;
      case 'drop': guest.kernel.vfs.writeWhole('/proc/sys/vm/drop_caches', new TextEncoder().encode(String(1 + (choice % 3)))); break;
      case 'time': this.passTime((1 + (length % 40_000)) * 1e6); break;
      case 'pressure': this.press(choice); break;
      case 'check': guest.kernel.system.check(); break;
    }
    // A file that no descriptor, name or mapping holds was let go, and its size cannot be asked.
    if (file.fd >= 0) this.want(guest.call('lseek', file.fd, 0, 2), file.size, `the size after ${shown}`);
  }

  private create(name: string, choice: number): void {
    const there = this.named(name);
    if (there === null && (this.files.length >= MAX_FILES || this.links.has(name))) return;
    if (there !== null && choice % 2 === 0) {
      there.promised = null;
      there.isSizePromised = false;
    }
    const fd = this.open(name, O.RDWR | O.CREAT | (choice % 2 === 0 ? O.TRUNC : 0));
    if (fd < 0) return;
    if (there === null) {
      const file = new FileModel(this.options.maxBytes);
      file.fd = fd;
      file.lastName = name;
      file.names.add(name);
      this.files.push(file);
      return;
    }
    this.guest.call('close', fd);
    if (choice % 2 === 0) this.sized(there, 0);
  }
  private read(file: FileModel, at: number, len: number, shown: string, call: () => Outcome): void {
    const found = call();
    const expected = file.bytes.subarray(at, Math.max(at, Math.min(at + len, file.size)));
    if (this.want(found, expected.length, shown)) this.same(this.guest.bytes(expected.length), expected, shown);
  }
  private copy(kind: 'send' | 'copy', from: FileModel, to: FileModel, at: number, len: number, choice: number, shown: string): void {
    const { guest } = this;
    const target = (choice * 1009) % this.options.maxBytes;
    const nr = Math.min(len, Math.max(0, from.size - at), this.options.maxBytes - target);
    const [source, sink] = [this.fdOf(from), this.fdOf(to)];
    if (source < 0 || sink < 0 || nr === 0) return;
    if (from === to && target < at + nr && at < target + nr) return;
    const bytes = from.bytes.slice(at, at + nr);
    to.touch(target, target + nr);
    const offsets = new Uint8Array(new BigInt64Array([BigInt(at), BigInt(target)]).buffer);
    guest.task.user.write(guest.buffer, offsets);
    let done = 0;
    if (kind === 'send') this.want(guest.call('lseek', sink, target, 0), target, 'lseek');
    while (done < nr) {
      const moved = kind === 'send' ? this.call('sendfile', sink, source, guest.buffer, nr - done) : this.call('copy_file_range', source, guest.buffer, sink, guest.buffer + 8, nr - done, 0);
      if (typeof moved === 'string' || moved === 0) {
        this.want(moved, nr - done, `${shown}, ${kind} to ${target} with ${done} done`);
        break;
      }
      done += moved;
    }
    if (done > 0) this.wrote(to, bytes.subarray(0, done), target);
  }

  private mapping(kind: Step['kind'], file: FileModel, map: Mapped, other: FileModel, place: number, length: number, choice: number, shown: string): void {
    const { guest } = this;
    const { addr, start, isShared } = map;
    const at = place % map.len;
    const len = Math.min(length, map.len - at);
    switch (kind) {
      case 'unmap':
        this.want(guest.call('munmap', addr, map.len), 0, shown);
        file.maps.splice(file.maps.indexOf(map), 1);
        this.forgetIfGone(file);
        break;
      case 'msync': {
        const from = at - (at % PAGE);
        const flags = choice % 3 === 0 ? 1 : 4;
        if (this.want(this.call('msync', addr + from, len, flags), 0, shown) && flags === 4 && isShared) file.promiseRange(start + from, start + Math.ceil((from + len) / PAGE) * PAGE);
        break;
      }
      case 'map-read': {
        const seen = this.seen(file, map, at, len);
        const bytes = new Uint8Array(seen.length);
        if (seen.length > 0 && !guest.task.user.read(addr + at, bytes)) this.sure(false, `${shown}: bus error`);
        else this.sameWhereKnown(bytes, seen, shown);
        // Beyond the page of the end there is nothing.
        const beyond = Math.ceil(file.size / PAGE) * PAGE - start;
        if (beyond >= 0 && beyond < map.len) this.sure(!guest.task.user.read(addr + beyond, new Uint8Array(1)), `${shown}: memory beyond the end`);
        break;
      }
      case 'map-write':
        for (let done = 0; done < len; ) {
          const page = Math.floor((at + done) / PAGE);
          const nr = Math.min(len - done, (page + 1) * PAGE - at - done);
          if (start + page * PAGE >= file.size) {
            this.sure(!guest.task.user.write(addr + at + done, new Uint8Array(1)), `${shown}: memory beyond the end`);
            break;
          }
          const bytes = this.noise(nr);
          const from = start + at + done;
          if (isShared) file.touch(from, Math.min(from + nr, file.size));
          else if (!map.own.has(page)) map.own.set(page, this.seen(file, map, page * PAGE, PAGE, true));
          if (!guest.task.user.write(addr + at + done, bytes)) {
            this.sure(false, `${shown}: bus error at ${from}`);
            break;
          }
          if (isShared) file.bytes.set(bytes.subarray(0, Math.max(0, Math.min(nr, file.size - from))), from);
          else map.own.get(page)!.set(bytes, (at + done) % PAGE);
          done += nr;
        }
        break;
      case 'write-from-map': {
        const seen = this.seen(file, map, at, len);
        const target = (choice * 4099) % this.options.maxBytes;
        const nr = Math.min(seen.length, this.options.maxBytes - target);
        const fd = this.fdOf(other);
        if (nr === 0 || fd < 0 || seen.includes(UNKNOWN)) break;
        if (file === other && target < start + at + nr && start + at < target + nr) break;
        other.touch(target, target + nr);
        const wrote = this.call('pwrite64', fd, addr + at, nr, target);
        this.want(wrote, nr, shown);
        if (typeof wrote === 'number') this.wrote(other, Uint8Array.from(seen.subarray(0, wrote)), target);
        break;
      }
      case 'read-into-map': {
        const from = (choice * 4099) % this.options.maxBytes;
        const nr = Math.min(len, Math.max(0, file.size - start - at), Math.max(0, other.size - from));
        const fd = this.fdOf(other);
        if (nr === 0 || fd < 0 || !isShared) break;
        if (file === other && from < start + at + nr && start + at < from + nr) break;
        file.touch(start + at, start + at + nr);
        const bytes = other.bytes.slice(from, from + nr);
        const got = this.call('pread64', fd, addr + at, nr, from);
        this.want(got, nr, shown);
        if (typeof got === 'number') file.bytes.set(bytes.subarray(0, got), start + at);
        break;
      }
    }
  }
  /** What a mapping shows of [at, at + len), up to the end of the file. @param padded with what is not told beyond it */
  private seen(file: FileModel, map: Mapped, at: number, len: number, padded = false): Int16Array {
    const nr = Math.max(0, Math.min(len, file.size - map.start - at));
    const bytes = new Int16Array(padded ? len : nr).fill(UNKNOWN);
    for (let i = 0; i < nr; i++) {
      const page = Math.floor((at + i) / PAGE);
      bytes[i] = map.own.get(page)?.[(at + i) % PAGE] ?? file.bytes[map.start + at + i]!;
    }
    return bytes;
  }
  private sameWhereKnown(found: Uint8Array, expected: Int16Array, what: string): void {
    this.same(found, Uint8Array.from(expected, (byte, i) => (byte === UNKNOWN ? found[i]! : byte)), what);
  }

  private rename(file: FileModel, to: string, choice: number): void {
    const [from] = file.names;
    if (from === undefined || this.links.has(to)) return;
    const target = this.named(to);
    const exchanges = choice % 3 === 0;
    this.forgetPromise(file, from);
    if (target !== null) this.forgetPromise(target, to);
    const isSame = target === file;
    if (!this.want(this.call('renameat2', -100, from, -100, to, exchanges ? 2 : 0), exchanges && target === null ? 'ENOENT' : 0, `rename ${from} to ${to}`)) return;
    if (isSame || (exchanges && target === null)) return;
    file.names.delete(from);
    file.names.add(to);
    if (target === null) return;
    if (exchanges) {
      target.names.delete(to);
      target.names.add(from);
    } else this.loseName(target, to);
  }
  private seek(file: FileModel, fd: number, at: number, shown: string): void {
    const { guest } = this;
    const data = guest.call('lseek', fd, at, 3);
    const hole = guest.call('lseek', fd, at, 4);
    if (at >= file.size) {
      this.want(data, 'ENXIO', shown);
      this.want(hole, 'ENXIO', shown);
      return;
    }
    // What is no zero is no hole.
    const first = file.bytes.subarray(0, file.size).findIndex((byte, i) => i >= at && byte !== 0);
    if (first >= 0) this.sure(typeof data === 'number' && data >= at && data <= first, `${shown}: data at ${data}, but byte ${first} is one`);
    this.sure(typeof hole === 'number' && hole >= at && hole <= file.size, `${shown}: a hole at ${hole}`);
    if (typeof hole === 'number' && hole < file.size) this.sure(file.bytes[hole] === 0, `${shown}: byte ${hole} is in no hole`);
  }
  private syncAll(kind: 'sync' | 'sync-names', fd: number, choice: number, shown: string): void {
    if (kind === 'sync') {
      // sync(2) tells nobody what failed: whoever runs on a disk that can fail must look at the disk.
      if (!this.want(choice % 2 === 0 ? this.call('sync') : this.call('syncfs', fd), 0, shown) || this.hasFailed()) return;
      for (const file of this.files) {
        file.promise();
        this.promiseNames(file, '/mnt/');
      }
      return;
    }
    const dir = choice % 2 === 0 ? '/mnt' : '/mnt/d';
    const at = this.open(dir, O.DIRECTORY);
    if (at < 0) return;
    if (this.want(this.call('fsync', at), 0, shown)) for (const file of this.files) this.promiseNames(file, `${dir}/`, dir === '/mnt');
    this.guest.call('close', at);
  }
  private promiseNames(file: FileModel, prefix: string, isFlat = false): void {
    for (const name of file.names) if (name.startsWith(prefix) && (!isFlat || !name.startsWith('/mnt/d/'))) file.promisedNames.add(name);
  }
  /** The power is gone. */
  hasFailed: () => boolean = () => false;

  passTime(cycles: number): void {
    const { kernel } = this.guest;
    const end = kernel.machine.clockCycles + cycles;
    for (let next = nextWork(kernel); next <= end; next = nextWork(kernel)) {
      kernel.machine.charge(Math.max(0, next - kernel.machine.clockCycles));
      expire(kernel);
    }
    kernel.machine.charge(Math.max(0, end - kernel.machine.clockCycles));
    expire(kernel);
  }
  /** Wants memory for a while: most of what there is. */
  private press(choice: number): void {
    const { guest, options: { ramBytes } } = this;
    const len = Math.floor((ramBytes * (30 + (choice % 30))) / 100 / PAGE) * PAGE;
    const addr = guest.call('mmap', 0, len, 3, 0x22, -1, 0);
    if (typeof addr === 'string') return;
    for (let at = 0; at < len && guest.task.user.write(addr + at, new Uint8Array([1])); at += PAGE);
    guest.call('munmap', addr, len);
  }

  /** Every file by every name, and what mappings show. */
  compare(): void {
    for (const file of this.files) {
      const fd = this.fdOf(file);
      if (fd >= 0) this.readWhole(this.guest, fd, file, `${[...file.names][0] ?? 'a file without a name'} as a whole`);
      for (const map of file.maps) this.mapping('map-read', file, map, file, 0, map.len, 0, `a mapping of ${[...file.names][0]} from ${map.start} on`);
    }
  }
  private readWhole(guest: GuestTask, fd: number, file: FileModel, what: string): void {
    for (let at = 0; at <= file.size; at += 1 << 20) {
      const n = guest.patiently('pread64', fd, guest.buffer, 1 << 20, at);
      const expected = file.bytes.subarray(at, Math.min(file.size, at + (1 << 20)));
      if (this.want(n, expected.length, what)) this.same(guest.bytes(expected.length), expected, what);
    }
  }
  /** What the files hold that have names, as the disk has them. */
  contents(): { names: string[]; bytes: Uint8Array }[] {
    return this.files.filter(({ names }) => names.size > 0).map((file) => ({ names: [...file.names].map((name) => name.slice('/mnt'.length)), bytes: file.bytes.slice(0, file.size) }));
  }
  /** Drops all that is open and mapped, so that files without names are deleted. */
  letGo(): void {
    for (const file of [...this.files]) {
      for (const { addr, len } of file.maps.splice(0)) this.guest.call('munmap', addr, len);
      if (file.fd >= 0) this.guest.call('close', file.fd);
      file.fd = -1;
      this.forgetIfGone(file);
    }
  }

  /** What was promised, on a disk as it was left. @returns how many bytes were compared */
  checkPromises(after: GuestTask): number {
    let nr = 0;
    for (const { promised, promisedNames, isSizePromised } of this.files) {
      if (promised === null) continue;
      for (const name of promisedNames) {
        const fd = after.open(name);
        if (typeof fd === 'string') throw new Error(`${name} was promised: ${fd}`);
        const size = after.call('lseek', fd, 0, 2);
        if (typeof size === 'string' || size < promised.length || (isSizePromised && size !== promised.length)) throw new Error(`${name} has ${size} bytes, ${promised.length} were promised`);
        for (let at = 0; at < promised.length; at += 1 << 20) {
          const n = after.patiently('pread64', fd, after.buffer, 1 << 20, at);
          if (typeof n === 'string') throw new Error(`read of ${name}: ${n}`);
          const found = after.bytes(n);
          const part = promised.subarray(at, at + n);
          sameBytes(found.subarray(0, part.length), Uint8Array.from(part, (byte, i) => (byte === UNKNOWN ? found[i]! : byte)), `${name} after the crash, from ${at} on`);
          nr += part.length;
        }
        after.call('close', fd);
      }
    }
    return nr;
  }
}

/** Three struct iovec over `len` bytes. */
function pieces(base: number, len: number, choice: number): Uint8Array {
  const first = Math.min(len, choice % 97);
  const second = Math.floor((len - first) / 2);
  return new Uint8Array(new BigInt64Array([base, first, base + first, second, base + first + second, len - first - second].map(BigInt)).buffer);
}
