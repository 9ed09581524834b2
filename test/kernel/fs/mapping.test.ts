// Both mapping back ends over the simplest format, beside an array of bytes: whatever is written, cut, punched, mapped, written back, dropped and
// moved, the file reads as the array, and after a sync the disk alone has it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Prng, asFolio, asPfn } from '#base';
import { FaultyImage, MemoryImage } from '#kernel/block/image.ts';
import { FaultResult } from '#kernel/mm/fault.ts';
import { FolioFlag, MemdescType } from '#kernel/mm/folio.ts';
import { Gfp } from '#kernel/mm/gfp.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { invalidateMapping } from '#kernel/mm/truncate.ts';
import { Program } from '../../support/mm-fixture.ts';
import { type BackEnd, SimpleFile } from '../../support/simple-file.ts';

const MAX = 160 << 10;
const MAPPED = 0x10_0000_0000;
const backEnds: readonly BackEnd[] = ['buffer_head', 'iomap'];
const blockSizes = [1024, 2048, 4096] as const;

const at = fc.nat(MAX - 1);
const len = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 40 << 10 }), fc.constantFrom(1024, 4096, 16384, 65536));
/** Many bugs live at pages and blocks. */
const place = fc.oneof(at, at.map((n) => n - (n % 4096)), at.map((n) => n - (n % 1024)));
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), at: place, len }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), at: place, len }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('store' as const), at: place, len: fc.integer({ min: 1, max: 5000 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('truncate' as const), at: place, len: fc.constant(0) }) },
  // Around the end of the file, wherever that is.
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('append' as const, 'grow' as const, 'tail' as const), at: fc.integer({ min: 1, max: 6000 }), len: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('punch' as const), at: place, len }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('sync' as const, 'drop' as const, 'flush' as const, 'compact' as const), at: fc.nat(40), len: fc.constant(0) }) },
);

interface Operation { kind: string; at: number; len: number }
/** What is asked for around the end of the file, in terms of the others. */
function atEnd(asked: Operation, size: number): Operation {
  switch (asked.kind) {
    case 'append': return { kind: 'write', at: Math.min(size, MAX - 1), len: asked.at };
    case 'grow': return { kind: 'truncate', at: Math.min(MAX, size + asked.at), len: 0 };
    case 'tail': return { kind: 'store', at: Math.min(MAX - 1, Math.max(0, size - (asked.at % 700))), len: asked.at };
    default: return asked;
  }
}

/** vitest compares arrays element by element, which is slow. */
function expectBytes(found: Uint8Array | number, expected: Uint8Array): void {
  if (typeof found === 'number') throw new Error(`errno ${-found} instead of ${expected.length} bytes`);
  if (Buffer.compare(found, expected) === 0) return;
  expect(found.length).toBe(expected.length);
  const first = found.findIndex((byte, i) => byte !== expected[i]);
  throw new Error(`byte ${first} of ${found.length} is ${found[first]}, not ${expected[first]}`);
}

function play(backEnd: BackEnd, blockSize: number, maxOrder: number, seed: number, operations: readonly Operation[]): void {
  const image = new MemoryImage(new Uint8Array(1 << 20).fill(0xee));
  const file = new SimpleFile({ backEnd, blockSize, maxOrder, seed, image, ramBytes: 8 << 20, soiled: true });
  const { system, space } = file;
  const program = Program.on(system);
  const mapped = program.mm.mmap({ addr: MAPPED, len: MAX, prot: Prot.Read | Prot.Write, flags: MapFlag.Shared | MapFlag.Fixed, pgoff: 0,
    file: { space, path: '/f', ino: 12, devMajor: 254, devMinor: 0, mayWrite: true, ra: file.ra } });
  expect(mapped).toBe(MAPPED);
  const random = new Prng(seed, 'bytes');
  const model = new Uint8Array(MAX);
  let size = 0;
  const bytesOf = (n: number): Uint8Array => new Uint8Array(n).map(() => 1 + random.below(255));
  for (const asked of operations) {
    const { kind, at, len } = atEnd(asked, size);
    switch (kind) {
      case 'write': {
        const bytes = bytesOf(Math.min(len, MAX - at));
        expect(file.write(at, bytes)).toBe(bytes.length);
        model.set(bytes, at);
        size = Math.max(size, at + bytes.length);
        break;
      }
      case 'store': {
        const bytes = bytesOf(Math.min(len, MAX - at));
        // A mapping reaches to the end of the last page; what is written there is not the file's.
        const there = Math.max(0, Math.min(bytes.length, Math.ceil(size / 4096) * 4096 - at));
        if (there === 0) {
          expect(program.write(MAPPED + at)).toBe(FaultResult.BusError);
          break;
        }
        expect(program.user.write(MAPPED + at, bytes.subarray(0, there))).toBe(true);
        const inFile = Math.min(there, size - at);
        if (inFile > 0) model.set(bytes.subarray(0, inFile), at);
        break;
      }
      case 'read': {
        const found = file.read(at, Math.min(len, MAX - at));
        expectBytes(found, model.subarray(at, Math.max(at, Math.min(at + len, size))));
        break;
      }
      case 'truncate':
        file.truncate(at);
        if (at < size) model.fill(0, at, size);
        size = at;
        break;
      case 'punch':
        file.punch(at, Math.min(MAX, at + len));
        model.fill(0, at, Math.min(MAX, at + len));
        break;
      case 'sync':
        expect(file.sync()).toBe(0);
        expectBytes(file.onDisk(image.bytes), model.subarray(0, size));
        break;
      case 'flush':
        file.flush(at + 1);
        break;
      case 'drop':
        file.drain();
        invalidateMapping(space, 0, Infinity);
        break;
      case 'compact':
        system.compaction.everything();
        break;
    }
    system.check();
  }
  expect(space.sizeBytes).toBe(size);
  expectBytes(file.read(0, MAX), model.subarray(0, size));
  file.sync();
  program.mm.munmap(MAPPED, MAX);
  invalidateMapping(space, 0, Infinity);
  expect(space.nrPages).toBe(0);
  expectBytes(file.read(0, MAX), model.subarray(0, size));
  space.release();
  file.map.free(0, Infinity);
  expect(file.volume.nrFree).toBe((1 << 20) / blockSize - 1);
  expect(system.mapping.stateBytes).toBe(0);
  program.mm.dispose();
  system.check();
}

describe.each(backEnds)('%s', (backEnd) => {
  test.each(blockSizes)('random work equals an array of bytes, blocks of %i', (blockSize) => {
    fc.assert(fc.property(fc.array(operation, { minLength: 1, maxLength: 30 }), fc.nat(backEnd === 'iomap' ? 9 : 0), fc.nat(1000), (operations, maxOrder, seed) => {
      play(backEnd, blockSize, maxOrder, seed, operations);
    }), { numRuns: Number(process.env.QUIRE_FUZZ_RUNS ?? 60) });
  });
});

test.each(backEnds)('%s: what is stored through a mapping where half a page has lost its block is not lost', (backEnd) => {
  const hole = { kind: 'punch', at: 0, len: 2048 };
  play(backEnd, 2048, 0, 0, [{ kind: 'write', at: 0, len: 1 }, { kind: 'store', at: 0, len: 1 }, hole, { kind: 'store', at: 0, len: 1 }, { kind: 'punch', at: 1, len: 1 }]);
  play(backEnd, 2048, 0, 0, [{ kind: 'write', at: 0, len: 4096 }, { kind: 'sync', at: 0, len: 0 }, { kind: 'store', at: 3000, len: 9 }, hole, { kind: 'store', at: 5, len: 9 }]);
});

describe('what is asked of format and disk', () => {
  const MIB = 1 << 20;
  const sequential = (backEnd: BackEnd, maxOrder: number): SimpleFile => {
    const file = new SimpleFile({ backEnd, blockSize: 4096, maxOrder, diskBytes: 4 * MIB, ramBytes: 32 << 20, seed: null });
    for (let i = 0; i < MIB / 4096; i++) file.map.blocks.set(i, { block: 100 + i, isUnwritten: false });
    return file;
  };
  test.each([['buffer_head', 0, 256, 0], ['iomap', 0, 0, 1], ['iomap', 4, 0, 1], ['iomap', 9, 0, 1]] as const)('writing 1 MiB through %s, order %i: %i get_block, %i begin', (backEnd, order, getBlock, begin) => {
    const file = sequential(backEnd, order);
    const { mapping, waits } = file.system;
    file.write(0, new Uint8Array(MIB).fill(7));
    expect([mapping.getBlock, mapping.iomapBegin]).toEqual([getBlock, begin]);
    expect(file.orders()).toBe(Array.from({ length: MIB / 4096 / 2 ** Math.min(order, 8) }, () => Math.min(order, 8)).join(' '));
    // One more begin for writing back; heads know where they are.
    file.sync();
    expect([mapping.getBlock, mapping.iomapBegin]).toEqual([getBlock, backEnd === 'iomap' ? 2 : 0]);
    expect(mapping.writtenBytes).toBe(MIB);
    // A bio has 256 ranges at most, and a range is a folio of any order: 1 MiB is one bio in any case.
    expect(mapping.writeBios).toBe(1);
    // Lock and unlock for the write and for writing back, writeback on and off: six for each folio.
    expect(waits.atomics.lock + waits.atomics.unlock + waits.atomics.writeback).toBe(6 * (MIB / 4096 / 2 ** Math.min(order, 8)));
  });
  test.each(['buffer_head', 'iomap'] as const)('reading through %s: one bio over many folios, one atomic operation at the end of each', (backEnd) => {
    const file = sequential(backEnd, 9);
    const { mapping, waits } = file.system;
    file.space.sizeBytes = MIB;
    file.ra.raPages = 256;
    file.read(0, MIB);
    const nrFolios = [...file.space.pages].length;
    expect(mapping.readBytes).toBe(MIB);
    expect(waits.atomics).toMatchObject({ endRead: nrFolios, endReadSaved: 2 * nrFolios, unlock: 0 });
    expect(mapping.readBios).toBeLessThanOrEqual(4);
    expect([mapping.getBlock, mapping.iomapBegin <= 4]).toEqual(backEnd === 'iomap' ? [0, true] : [256, true]);
  });
  test.each(blockSizes)('holes are zeros without any I/O, blocks of %i', (blockSize) => {
    for (const backEnd of backEnds) {
      const file = new SimpleFile({ backEnd, blockSize, soiled: true });
      file.space.sizeBytes = 100_000;
      expectBytes(file.read(0, 100_000), new Uint8Array(100_000));
      expect(file.disk.bios).toBe(0);
    }
  });
  test('a write into the middle of a folio that is not in memory reads the blocks at its edges, and no more', () => {
    const file = new SimpleFile({ backEnd: 'iomap', blockSize: 1024, maxOrder: 2 });
    file.write(0, new Uint8Array(16384).fill(1));
    file.sync();
    invalidateMapping(file.space, 0, Infinity);
    const before = file.system.mapping.readBytes;
    file.write(1500, new Uint8Array(13_000).fill(2)); // blocks 1 to 14, of which 1 and 14 in part
    expect(file.system.mapping.readBytes - before).toBe(2048);
    const expected = new Uint8Array(16384).fill(1).fill(2, 1500, 14_500);
    expectBytes(file.read(0, 16384), expected);
  });
  test('a few bytes in a large folio dirty a block, and a block is written', () => {
    const file = sequential('iomap', 9);
    file.write(0, new Uint8Array(MIB).fill(1));
    file.sync();
    expect(file.orders()).toBe('8');
    const before = file.system.mapping.writtenBytes;
    file.write(500_000, new Uint8Array(10).fill(2));
    file.write(900_000, new Uint8Array(10).fill(2));
    expect(file.system.vmstat.get('nr_dirty')).toBe(256);
    file.sync();
    expect(file.system.mapping.writtenBytes - before).toBe(2 * 4096);
    // A lock, two counters and two bits for each of 256 blocks.
    expect(file.system.mapping.stateBytes).toBe(16 + 64);
  });
  test('the order of a folio follows the length of the write, its place, and memory', () => {
    const file = new SimpleFile({ backEnd: 'iomap', blockSize: 4096, ramBytes: 32 << 20, seed: null });
    file.write(0, new Uint8Array(100_000)); // 24 pages, from 0: 16, then 8 of what is left, then a rest of 1696 bytes
    expect(file.orders()).toBe('4 3 0');
    file.write(7 << 20, new Uint8Array(5 * 4096)); // 1792 pages on: aligned to 256, but only five pages long
    expect(file.orders()).toBe('4 3 0 2 0');
    file.write((8 << 20) + 4096, new Uint8Array(64 << 10)); // one page after an aligned place
    expect(file.orders()).toBe('4 3 0 2 0 0 1 2 3 0');
  });
  test('heads sit on folios: one that is made for a large folio is our own mistake', () => {
    const file = new SimpleFile({ backEnd: 'buffer_head', blockSize: 4096 });
    const { space, system } = file;
    const folio = system.allocFolio(2, MemdescType.FileFolio, Gfp.User);
    system.folios.set(asPfn(folio), FolioFlag.Uptodate);
    space.addFolio(asFolio(folio), 0);
    space.sizeBytes = 16384;
    expect(() => space.ops!.pageMkwrite(asFolio(folio))).toThrow('no page of a file');
  });
  test('blocks are unwritten until their data is on the disk', () => {
    const file = new SimpleFile({ backEnd: 'iomap', blockSize: 4096 });
    file.write(0, new Uint8Array(20_000).fill(3));
    expect([...file.map.blocks.values()].every(({ isUnwritten }) => isUnwritten)).toBe(true);
    file.flush();
    expect([...file.map.blocks.values()].every(({ isUnwritten }) => isUnwritten)).toBe(true);
    file.drain();
    expect([...file.map.blocks.values()].some(({ isUnwritten }) => isUnwritten)).toBe(false);
  });
  test.each(backEnds)('%s: an error of writing back is told once to each who asks, of reading at every read', (backEnd) => {
    const image = new FaultyImage(new MemoryImage(new Uint8Array(1 << 20)), { badSectors: [8 * 5 + 1] });
    const file = new SimpleFile({ backEnd, blockSize: 4096, image });
    file.map.blocks.set(0, { block: 2, isUnwritten: false }).set(1, { block: 5, isUnwritten: false });
    file.write(0, new Uint8Array(8192).fill(1));
    const { writebackErrors } = file.space;
    const since = writebackErrors.sample();
    expect(file.sync(since)).toBe(-5);
    expect(writebackErrors.check(writebackErrors.seq)).toBe(0);
    expect(writebackErrors.sample()).toBe(writebackErrors.seq);
    invalidateMapping(file.space, 0, Infinity);
    expect(file.read(4096, 10)).toBe(-5);
    expect(file.read(4096, 10)).toBe(-5);
    expectBytes(file.read(0, 4096), new Uint8Array(4096).fill(1));
    expect(file.write(4100, new Uint8Array(10))).toBe(-5);
    expect(file.write(4096, new Uint8Array(4096))).toBe(4096); // needs nothing of what is there
  });
  test('a mapping asks again for the blocks of its page that came to the file since', () => {
    for (const backEnd of backEnds) {
      const image = new MemoryImage(new Uint8Array(1 << 20).fill(0xee));
      const file = new SimpleFile({ backEnd, blockSize: 1024, image });
      const program = Program.on(file.system);
      program.mm.mmap({ addr: MAPPED, len: 4096, prot: Prot.Read | Prot.Write, flags: MapFlag.Shared | MapFlag.Fixed, pgoff: 0,
        file: { space: file.space, path: '/f', ino: 12, devMajor: 254, devMinor: 0, mayWrite: true } });
      file.write(0, new Uint8Array(700).fill(1));
      program.user.write(MAPPED, new Uint8Array(700).fill(2));
      file.truncate(4096);
      program.user.write(MAPPED + 3000, new Uint8Array(10).fill(3));
      file.sync();
      expectBytes(file.onDisk(image.bytes), new Uint8Array(4096).fill(2, 0, 700).fill(3, 3000, 3010));
    }
  });
  test('what is written back is write-protected, so that the next write is known of', () => {
    const file = new SimpleFile({ backEnd: 'iomap', blockSize: 4096, seed: null });
    const program = Program.on(file.system);
    file.write(0, new Uint8Array(65536).fill(1));
    program.mm.mmap({ addr: MAPPED, len: 65536, prot: Prot.Read | Prot.Write, flags: MapFlag.Shared | MapFlag.Fixed, pgoff: 0,
      file: { space: file.space, path: '/f', ino: 12, devMajor: 254, devMinor: 0, mayWrite: true } });
    file.sync();
    const faults = (): number => program.touch(MAPPED, 65536);
    expect(faults()).toBe(1); // one folio of 16 pages, mapped and dirty whole
    expect(faults()).toBe(0);
    expect(file.system.vmstat.get('nr_dirty')).toBe(16);
    file.sync();
    expect(faults()).toBe(16); // entry by entry: do_wp_page() knows one
    file.system.check();
  });
});
