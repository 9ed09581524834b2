// Random sequences of system calls on files of a mounted disk, beside a model (disk-world.ts): both mapping back ends, all sizes of blocks, folios of any
// order, little memory, time that passes. Then the same where the power fails, and where the disk has bad places. The default is a slice; all of it:
//   QUIRE_DISK_RUNS=2000 QUIRE_DISK_CRASHES=500 QUIRE_DISK_BAD=500 npx vitest run test/fuzz/disk-files.test.ts
// QUIRE_SEED=n is another run; a failure prints its seed and path, and QUIRE_SEED=n QUIRE_FUZZ_PATH=path replays it alone (-t chooses the test).
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FaultyImage, MemoryImage } from '#kernel/block/image.ts';
import { debugfsCat, e2fsck, e2fsprogsNote, hasE2fsprogs, repair } from '../support/e2fsprogs.ts';
import { checkExt } from '../support/ext-check.ts';
import { DiskWorld, type Format, freshImage, kinds, mountedGuest, type Mode, O, RefusedDisk, sameBytes, type Step } from './disk-world.ts';

const runs = Number(process.env['QUIRE_DISK_RUNS'] ?? 40);
const crashRuns = Number(process.env['QUIRE_DISK_CRASHES'] ?? 12);
const badRuns = Number(process.env['QUIRE_DISK_BAD'] ?? 12);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
const path = process.env['QUIRE_FUZZ_PATH'];
/** e2fsck and debugfs are asked about one image in so many of a slice, and about each of a long run. */
const EVERY = process.env['QUIRE_DISK_RUNS'] === undefined && path === undefined ? 4 : 1;

const formats: readonly Format[] = [
  { type: 'ext2', blockSize: 1024 }, { type: 'ext2', blockSize: 2048 }, { type: 'ext2', blockSize: 4096 },
  { type: 'ext4', blockSize: 1024 }, { type: 'ext4', blockSize: 2048 }, { type: 'ext4', blockSize: 4096 },
];
const LARGE = 5 << 19;
const place = fc.oneof(fc.nat(LARGE), fc.nat(200_000), fc.nat(LARGE).map((n) => n - (n % 4096)), fc.nat(300).map((n) => n * 1024));
const length = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 70_000 }), fc.integer({ min: 1, max: 1 << 20 }));
const step: fc.Arbitrary<Step> = fc.record({ kind: fc.constantFrom(...kinds), file: fc.nat(5), other: fc.nat(5), at: place, len: length, choice: fc.nat(999) });
const scenario = fc.record({
  format: fc.constantFrom(...formats), maxOrder: fc.nat(9), ramMib: fc.constantFrom(8, 12, 32), maxBytes: fc.constantFrom(40_960, 249_856, LARGE), seed: fc.nat(1_000_000),
  latency: fc.constantFrom('nvme', 'nvme', 'hdd', 'pmem'), steps: fc.array(step, { minLength: 5, maxLength: 60 }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;
const optionsOf = ({ ramMib, maxOrder, maxBytes, seed, latency }: Scenario, mode: Mode): ConstructorParameters<typeof DiskWorld>[2] => ({ mode, ramBytes: ramMib << 20, maxOrder, maxBytes, seed, latency });
const settings = (numRuns: number): fc.Parameters<unknown> => ({ numRuns, seed, ...(path === undefined ? {} : { path }), ...(process.env['QUIRE_FUZZ_NO_SHRINK'] === undefined ? {} : { endOnFailure: true }) });
const IMAGE_BYTES = 24 << 20;

test(`${runs} random sequences of calls leave the bytes that a model has (QUIRE_SEED=${seed})${e2fsprogsNote}`, () => {
  let nr = 0;
  fc.assert(fc.property(scenario, (all) => {
    nr++;
    const image = freshImage(all.format, IMAGE_BYTES);
    const world = new DiskWorld(image, all.format, optionsOf(all, 'exact'));
    for (const [i, step] of all.steps.entries()) {
      world.step(step);
      if (i % 16 === 15) world.compare();
    }
    world.guest.kernel.system.check();
    world.compare();
    // What is still open and has no name is deleted with the rest.
    if (all.seed % 2 === 0) world.letGo();
    expect(world.guest.kernel.vfs.unmountDisks()).toBe(0);
    world.guest.kernel.system.check();
    const expected = world.contents();
    const checked = checkExt(image.bytes, { contents: true });
    expect(checked.problems).toEqual([]);
    for (const { names, bytes } of expected) {
      // The checker reads a file by the first of its names.
      const found = names.map((name) => checked.bytes.get(name)).find((bytes) => bytes !== undefined);
      sameBytes(found ?? new Uint8Array(), bytes, `${names[0]} on the disk`);
    }
    if (!hasE2fsprogs || nr % EVERY !== 0) return;
    expect(e2fsck(image.bytes)).toBe('clean');
    const dumped = debugfsCat(image.bytes, expected.flatMap(({ names }) => names));
    for (const { names, bytes } of expected) for (const name of names) sameBytes(dumped.get(name)!, bytes, `${name} as debugfs dumps it`);
  }), settings(runs));
}, 4 * 3600_000);

test.skipIf(!hasE2fsprogs)(`${crashRuns} failures of the power take nothing that was promised (QUIRE_SEED=${seed})${e2fsprogsNote}`, () => {
  let crashes = 0;
  let compared = 0;
  fc.assert(fc.property(scenario, fc.array(step, { minLength: 20, maxLength: 60 }), fc.oneof({ weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }) }, { weight: 8, arbitrary: fc.integer({ min: 12, max: 60 }) }), (all, more, crashAtWrite) => {
    // A superblock with a checksum cannot be half written: where there is one, sectors have 4096 bytes.
    const image = new FaultyImage(freshImage(all.format, IMAGE_BYTES), { crashAtWrite, seed: all.seed, tearBytes: all.format.type === 'ext4' ? 4096 : 512 });
    let world: DiskWorld;
    try {
      world = new DiskWorld(image, all.format, optionsOf(all, 'crash'));
    } catch (error) {
      if (image.isCrashed) return; // while it was mounted
      throw error;
    }
    world.hasFailed = () => image.isCrashed;
    for (const step of [...all.steps, ...more]) {
      if (image.isCrashed) break;
      world.step(step);
    }
    if (image.isCrashed) crashes++;
    const { bytes, isRepaired, log } = repair(image.afterCrash());
    if (!isRepaired) throw new Error(log);
    expect(e2fsck(bytes)).toBe('clean');
    compared += world.checkPromises(mountedGuest(new MemoryImage(bytes, true), { isReadOnly: true }));
  }), settings(crashRuns));
  if (path === undefined) expect(compared).toBeGreaterThan(0);
  if (process.env['QUIRE_DISK_CRASHES'] !== undefined) console.log(`${crashes} crashes in the middle of a write, all others at the end of the calls; ${compared} bytes that were promised`);
}, 4 * 3600_000);

test(`${badRuns} disks that are soon full stay in order, and keep what was seen last (QUIRE_SEED=${seed})`, () => {
  let full = 0;
  fc.assert(fc.property(scenario, fc.integer({ min: 600, max: 2500 }), (all, kib) => {
    const image = freshImage(all.format, kib << 10);
    const world = new DiskWorld(image, all.format, optionsOf(all, 'bad'));
    for (const step of all.steps) world.step(step);
    if (world.refusals.has('ENOSPC')) full++;
    for (const refusal of ['EIO', 'EUCLEAN', 'EROFS']) expect(world.refusals.has(refusal), refusal).toBe(false);
    const { kernel } = world.guest;
    kernel.system.check();
    const seen = world.contents().map(({ names }) => ({ names, bytes: kernel.vfs.readWhole(`/mnt${names[0]}`) as Uint8Array }));
    expect(kernel.vfs.unmountDisks()).toBe(0);
    kernel.system.check();
    const checked = checkExt(image.bytes, { contents: true });
    expect(checked.problems).toEqual([]);
    for (const { names, bytes } of seen) sameBytes(names.map((name) => checked.bytes.get(name)).find((found) => found !== undefined) ?? new Uint8Array(), bytes, `${names[0]} on the disk`);
  }), settings(badRuns));
  if (path === undefined) expect(full).toBeGreaterThan(0);
}, 4 * 3600_000);

test(`${badRuns} disks with bad places end in errors, and nothing else (QUIRE_SEED=${seed})`, () => {
  let failed = 0;
  fc.assert(fc.property(scenario, fc.array(fc.oneof(fc.nat(3000), fc.nat(IMAGE_BYTES / 512 - 1)), { minLength: 1, maxLength: 60 }), (all, places) => {
    const image = new Wearing(freshImage(all.format, IMAGE_BYTES).bytes);
    const wear = (): void => places.forEach((sector) => { for (let i = 0; i <= sector % 7; i++) image.bad.add(sector + i); });
    if (all.seed % 4 === 0) wear(); // before it is mounted, which may be refused
    let world: DiskWorld;
    try {
      world = new DiskWorld(image, all.format, optionsOf(all, 'bad'));
    } catch (error) {
      if (error instanceof RefusedDisk) return;
      throw error;
    }
    wear();
    for (const step of all.steps) world.step(step);
    const { kernel } = world.guest;
    kernel.system.check();
    world.passTime(100e9); // what cannot be written is tried, and given up
    world.letGo();
    kernel.system.check();
    if (kernel.vfs.unmountDisks() !== 0 || world.refusals.size > 0) failed++;
    kernel.system.check();
  }), settings(badRuns));
  if (path === undefined) expect(failed).toBeGreaterThan(0);
}, 4 * 3600_000);

describe.each(formats)('a bad place under a file ($type, blocks of $blockSize)', (format) => {
  /** A file of 32 KiB, on a disk that goes bad under its middle. */
  const spoiled = () => {
    const image = new GoingBad(freshImage(format, 8 << 20).bytes);
    const guest = mountedGuest(image);
    const fd = guest.fd('/mnt/a', O.RDWR | O.CREAT);
    guest.task.user.write(guest.buffer, new Uint8Array(32768).fill(5));
    expect(guest.patiently('pwrite64', fd, guest.buffer, 32768, 0)).toBe(32768);
    expect(guest.patiently('sync')).toBe(0);
    image.bad = new Uint8Array(512).fill(5);
    return { image, guest, fd };
  };
  test('who writes there is told once by each descriptor, who writes elsewhere not at all', () => {
    const { guest, fd, image } = spoiled();
    const [before, other] = [guest.fd('/mnt/a', O.RDWR), guest.fd('/mnt/b', O.RDWR | O.CREAT)];
    image.refusesWrites = true;
    guest.task.user.write(guest.buffer, new Uint8Array(4096).fill(5));
    expect(guest.patiently('pwrite64', fd, guest.buffer, 4096, 8192)).toBe(4096);
    expect(guest.patiently('fsync', fd)).toBe('EIO');
    image.refusesWrites = false;
    expect(guest.patiently('fsync', fd)).toBe(0);
    expect(guest.patiently('fsync', before)).toBe('EIO');
    expect(guest.patiently('fdatasync', before)).toBe(0);
    expect(guest.patiently('fsync', other)).toBe(0);
    // It was told to those who asked: a descriptor of later knows nothing of it.
    expect(guest.patiently('fsync', guest.fd('/mnt/a', O.RDWR))).toBe(0);
    guest.kernel.system.check();
  });
  test('who reads there is told, by calls and by signals; once it is well again, all is there', () => {
    const { guest, fd, image } = spoiled();
    guest.kernel.vfs.writeWhole('/proc/sys/vm/drop_caches', new TextEncoder().encode('3'));
    image.refusesReads = true;
    expect(guest.patiently('pread64', fd, guest.buffer, 32768, 0)).toBe('EIO');
    const addr = guest.call('mmap', 0, 32768, 3, 1, fd, 0) as number;
    expect(guest.task.user.read(addr, new Uint8Array(1))).toBe(false);
    const direct = guest.fd('/mnt/a', O.RDWR | O.DIRECT);
    expect(guest.patiently('pread64', direct, guest.buffer, 4096, 0)).toBe('EIO');
    const copy = guest.fd('/copy', O.RDWR | O.CREAT);
    expect(guest.patiently('copy_file_range', fd, 0, copy, 0, 4096, 0)).toBe('EIO');
    expect(guest.patiently('sendfile', copy, fd, 0, 4096)).toBe('EIO');
    image.refusesReads = false;
    expect(guest.patiently('pread64', fd, guest.buffer, 32768, 0)).toBe(32768);
    expect(guest.bytes(32768).every((byte) => byte === 5)).toBe(true);
    expect(guest.task.user.read(addr, new Uint8Array(1))).toBe(true);
    guest.kernel.system.check();
    expect(guest.kernel.vfs.unmountDisks()).toBe(0);
  });
});

/** A disk of which sectors go bad while it is used. */
class Wearing extends MemoryImage {
  readonly bad = new Set<number>();
  private isBad(offset: number, len: number): boolean {
    for (let at = offset; at < offset + len; at += 512) if (this.bad.has(at / 512)) return true;
    return false;
  }
  override read(offset: number, into: Uint8Array): boolean {
    return !this.isBad(offset, into.length) && super.read(offset, into);
  }
  override write(offset: number, from: Uint8Array): boolean {
    return !this.isBad(offset, from.length) && super.write(offset, from);
  }
}
/** A disk that cannot read, or not write, sectors with certain bytes: those of one file, wherever they are. */
class GoingBad extends MemoryImage {
  bad: Uint8Array | null = null;
  refusesReads = false;
  refusesWrites = false;
  private isBad(bytes: Uint8Array): boolean {
    if (this.bad === null) return false;
    for (let at = 0; at < bytes.length; at += 512) if (Buffer.compare(bytes.subarray(at, at + 512), this.bad) === 0) return true;
    return false;
  }
  override read(offset: number, into: Uint8Array): boolean {
    return !(this.refusesReads && this.isBad(this.bytes.subarray(offset, offset + into.length))) && super.read(offset, into);
  }
  override write(offset: number, from: Uint8Array): boolean {
    return !(this.refusesWrites && this.isBad(from)) && super.write(offset, from);
  }
}
