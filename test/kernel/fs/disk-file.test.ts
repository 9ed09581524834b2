// Files on disks, by system calls: what sleeps, what is promised, what the tools of e2fsprogs find afterwards.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Prng } from '#base';
import { FaultyImage, MemoryImage, type DiskImage } from '#kernel/block/image.ts';
import { diskPresets } from '#kernel/block/latency.ts';
import { mkfs, mkfsDefaults } from '#kernel/fs/ext/mkfs.ts';
import { bootGuest, type GuestTask } from '../../support/fs-fixture.ts';
import { e2fsck, e2fsprogsNote, hasE2fsprogs, repair } from '../../support/e2fsprogs.ts';
import { checkExt } from '../../support/ext-check.ts';

const O = { RDONLY: 0, WRONLY: 1, RDWR: 2, CREAT: 0o100, TRUNC: 0o1000, APPEND: 0o2000, DSYNC: 0o10000, DIRECT: 0o40000, SYNC: 0o4010000 };
type Format = readonly ['ext2' | 'ext4', number];
const formats: readonly Format[] = [['ext2', 1024], ['ext2', 2048], ['ext2', 4096], ['ext4', 1024], ['ext4', 4096]];

function freshImage([type, blockSize]: Format, bytes = 8 << 20): MemoryImage {
  const image = new MemoryImage(new Uint8Array(bytes));
  expect(mkfs(image, { ...mkfsDefaults, type, blockSize })).toBe(null);
  return image;
}
function mounted(image: DiskImage, options: { ramBytes?: number; isReadOnly?: boolean; latency?: string; maxOrder?: number } = {}): GuestTask {
  const latency = diskPresets.find(({ name }) => name === (options.latency ?? 'nvme'))!;
  const guest = bootGuest({ ramBytes: options.ramBytes ?? 16 << 20, disks: [{ image, latency }] });
  const { kernel } = guest;
  const refused = kernel.vfs.mountDisk(kernel.system.disks[0]!, '/mnt', { isReadOnly: options.isReadOnly ?? false, maxOrder: options.maxOrder ?? 9 });
  if (refused !== null) throw new Error(refused.sentence);
  return guest;
}
function put(guest: GuestTask, fd: number, bytes: Uint8Array, pos: number): unknown {
  if (!guest.task.user.write(guest.buffer, bytes)) throw new Error('no room');
  return guest.patiently('pwrite64', fd, guest.buffer, bytes.length, pos);
}
function take(guest: GuestTask, fd: number, len: number, pos: number): Uint8Array {
  const n = guest.patiently('pread64', fd, guest.buffer, len, pos);
  if (typeof n === 'string') throw new Error(n);
  return guest.bytes(n);
}
function expectBytes(found: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(found, expected) === 0) return;
  expect(found.length).toBe(expected.length);
  const first = found.findIndex((byte, i) => byte !== expected[i]);
  throw new Error(`byte ${first} of ${found.length} is ${found[first]}, not ${expected[first]}`);
}

describe('sleeping', () => {
  test('a read of what is not in memory sleeps until the disk has it, and reads on where it was', () => {
    const guest = mounted(freshImage(['ext4', 4096]), { latency: 'hdd' });
    const fd = guest.fd('/mnt/a', O.RDWR | O.CREAT);
    const bytes = new Uint8Array(300_000).map((_, i) => i * 7);
    expect(put(guest, fd, bytes, 0)).toBe(300_000);
    expect(guest.patiently('fsync', fd)).toBe(0);
    guest.kernel.vfs.writeWhole('/proc/sys/vm/drop_caches', new TextEncoder().encode('1'));
    guest.kernel.vfs.writeWhole('/sys/block/vda/queue/max_sectors_kb', new TextEncoder().encode('64'));
    expect(guest.call('lseek', fd, 0, 0)).toBe(0);
    let sleeps = 0;
    let n = guest.call('read', fd, guest.buffer, 300_000);
    while (n === 'asleep') {
      sleeps++;
      expect(guest.kernel.system.waits.passTime()).toBe(true);
      n = guest.isAsleep ? 'asleep' : guest.again();
    }
    expect(n).toBe(300_000);
    expect(sleeps).toBeGreaterThan(1);
    expectBytes(guest.bytes(300_000), bytes);
    expect(guest.call('lseek', fd, 0, 1)).toBe(300_000);
    expect(guest.call('read', fd, guest.buffer, 10)).toBe(0);
  });
  test('who writes more than may be dirty pauses, and no byte is written twice', () => {
    const guest = mounted(freshImage(['ext4', 4096], 32 << 20), { ramBytes: 64 << 20, latency: 'sata-ssd' });
    const { kernel } = guest;
    const fd = guest.fd('/mnt/a', O.RDWR | O.CREAT | O.APPEND);
    const before = kernel.machine.clockCycles;
    kernel.vfs.writeWhole('/proc/sys/vm/dirty_bytes', new TextEncoder().encode('4194304'));
    for (let i = 0; i < 16; i++) {
      guest.task.user.write(guest.buffer, new Uint8Array(1 << 20).fill(i + 1));
      expect(guest.patiently('write', fd, guest.buffer, 1 << 20)).toBe(1 << 20);
      const { dirty } = kernel.system.writeback.limits();
      expect(kernel.system.vmstat.get('nr_dirty') + kernel.system.vmstat.get('nr_writeback')).toBeLessThan(dirty + 300);
    }
    const seconds = (kernel.machine.clockCycles - before) / 1e9;
    // About as fast as the disk: 16 MiB at 530 MB/s take 0.03 s, of which a part is still dirty.
    expect(seconds).toBeGreaterThan(0.01);
    expect(seconds).toBeLessThan(3);
    for (let i = 0; i < 16; i++) expect(take(guest, fd, 4096, (i << 20) + 5000).every((byte) => byte === i + 1)).toBe(true);
    expect(guest.call('lseek', fd, 0, 2)).toBe(16 << 20);
    kernel.system.check();
  });
  test('fsync sleeps until all is written and the disk has flushed; what failed is told once', () => {
    const image = new FaultyImage(freshImage(['ext4', 4096]), {});
    const guest = mounted(image);
    const fd = guest.fd('/mnt/a', O.RDWR | O.CREAT);
    put(guest, fd, new Uint8Array(50_000).fill(1), 0);
    const flushes = image.nrFlushes;
    expect(guest.call('fsync', fd)).toBe('asleep');
    expect(guest.patiently('fsync', fd)).toBe(0);
    expect(image.nrFlushes).toBeGreaterThan(flushes);
    expect(guest.kernel.system.vmstat.get('nr_writeback')).toBe(0);
    expect(guest.call('fsync', guest.fd('/mnt', 0o200000))).toBe('asleep');
  });
});

test('sendfile to a disk that is full tells what it took, and then why it takes no more', () => {
  const guest = mounted(freshImage(['ext4', 4096], 1 << 20));
  const from = guest.fd('/big', O.RDWR | O.CREAT);
  expect(put(guest, from, new Uint8Array(1 << 20).fill(3), 0)).toBe(1 << 20);
  const to = guest.fd('/mnt/a', O.RDWR | O.CREAT);
  const took = guest.patiently('sendfile', to, from, 0, 1 << 20) as number;
  expect(took).toBeGreaterThan(1 << 18);
  expect(took).toBeLessThan(1 << 20);
  expect(guest.patiently('sendfile', to, from, 0, 1 << 20)).toBe('ENOSPC');
  expect([guest.call('lseek', to, 0, 1), guest.call('lseek', from, 0, 1), guest.call('lseek', to, 0, 2)]).toEqual([took, took, took]);
});

test('of flushes that fail at the same time each is told to whoever waits for it', () => {
  class Unflushable extends MemoryImage {
    isBroken = false;
    override flush(): boolean { return !this.isBroken; }
  }
  const image = new Unflushable(freshImage(['ext4', 4096]).bytes);
  const guest = mounted(image);
  const tasks = [guest, guest.child()] as const;
  const fds = tasks.map((task, i) => task.fd(`/mnt/f${i}`, O.RDWR | O.CREAT));
  expect(guest.patiently('sync')).toBe(0);
  image.isBroken = true;
  expect(tasks.map((task, i) => task.call('fsync', fds[i]!))).toEqual(['asleep', 'asleep']);
  while (guest.kernel.system.waits.passTime());
  expect(tasks.map((task) => task.again())).toEqual(['EIO', 'EIO']);
  image.isBroken = false;
  expect(tasks.map((task, i) => task.patiently('fsync', fds[i]!))).toEqual([0, 0]);
});

describe.each(formats)('%s, blocks of %i', (...format) => {
  const MAX = 200 << 10;
  const at = fc.oneof(fc.nat(MAX - 1), fc.nat(MAX - 1).map((n) => n - (n % 4096)), fc.nat(MAX - 1).map((n) => n - (n % 1024)));
  const len = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 60_000 }));
  const step = fc.record({
    kind: fc.constantFrom('write', 'write', 'write', 'append', 'read', 'truncate', 'punch', 'zero', 'allocate', 'fsync', 'fdatasync', 'sync', 'drop', 'direct', 'osync', 'seek'), at, len, file: fc.nat(1),
  });
  test('random calls on two files equal two arrays of bytes, and e2fsck finds nothing', () => {
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), fc.nat(9), fc.nat(1000), (steps, maxOrder, seed) => {
      const image = freshImage(format);
      const guest = mounted(image, { maxOrder });
      const random = new Prng(seed, 'bytes');
      const models = [0, 1].map((i) => ({ bytes: new Uint8Array(MAX), size: 0, fd: guest.fd(`/mnt/f${i}`, O.RDWR | O.CREAT) }));
      for (const { kind, at, len, file } of steps) {
        const model = models[file]!;
        const { fd } = model;
        const end = Math.min(MAX, at + len);
        switch (kind) {
          case 'write': case 'append': case 'osync': {
            const from = kind === 'append' ? model.size : at;
            const bytes = new Uint8Array(Math.min(len, MAX - from)).map(() => 1 + random.below(255));
            if (bytes.length === 0) break;
            if (kind === 'append') {
              const appender = guest.fd(`/mnt/f${file}`, O.WRONLY | O.APPEND);
              guest.task.user.write(guest.buffer, bytes);
              expect(guest.patiently('write', appender, guest.buffer, bytes.length)).toBe(bytes.length);
              guest.call('close', appender);
            } else if (kind === 'osync') {
              const other = guest.fd(`/mnt/f${file}`, O.WRONLY | O.DSYNC);
              expect(put(guest, other, bytes, from)).toBe(bytes.length);
              guest.call('close', other);
            } else expect(put(guest, fd, bytes, from)).toBe(bytes.length);
            model.bytes.set(bytes, from);
            model.size = Math.max(model.size, from + bytes.length);
            break;
          }
          case 'read':
            expectBytes(take(guest, fd, len, at), model.bytes.subarray(at, Math.max(at, Math.min(at + len, model.size))));
            break;
          case 'truncate':
            expect(guest.call('ftruncate', fd, at)).toBe(0);
            if (at < model.size) model.bytes.fill(0, at, model.size);
            model.size = at;
            break;
          case 'punch':
            expect(guest.call('fallocate', fd, 3, at, end - at)).toBe(0);
            model.bytes.fill(0, at, end);
            break;
          case 'zero': case 'allocate': {
            const answer = guest.call('fallocate', fd, kind === 'zero' ? 0x10 : 0, at, end - at);
            expect(answer).toBe(format[0] === 'ext4' ? 0 : 'EOPNOTSUPP');
            if (answer !== 0) break;
            if (kind === 'zero') model.bytes.fill(0, at, end);
            model.size = Math.max(model.size, end);
            break;
          }
          case 'fsync': case 'fdatasync':
            expect(guest.patiently(kind, fd)).toBe(0);
            break;
          case 'sync':
            expect(guest.patiently('sync')).toBe(0);
            expect(guest.kernel.system.vmstat.get('nr_dirty')).toBe(0);
            break;
          case 'drop':
            guest.kernel.vfs.writeWhole('/proc/sys/vm/drop_caches', new TextEncoder().encode('3'));
            break;
          case 'direct': {
            const from = at - (at % 512);
            const nr = Math.max(512, Math.min(MAX - from, len - (len % 512)));
            const other = guest.fd(`/mnt/f${file}`, O.RDWR | O.DIRECT);
            if (seed % 2 === 0) {
              const bytes = new Uint8Array(nr).map(() => 1 + random.below(255));
              expect(put(guest, other, bytes, from)).toBe(nr);
              model.bytes.set(bytes, from);
              model.size = Math.max(model.size, from + nr);
            } else expectBytes(take(guest, other, nr, from), model.bytes.subarray(from, Math.max(from, Math.min(from + nr, model.size))));
            expect(guest.call('pread64', other, guest.buffer + 1, 512, 0)).toBe('EINVAL');
            expect(guest.call('pread64', other, guest.buffer, 512, 7)).toBe('EINVAL');
            guest.call('close', other);
            break;
          }
          case 'seek': {
            // What is no zero is no hole.
            const data = guest.call('lseek', fd, at, 3);
            const first = model.bytes.subarray(0, model.size).findIndex((byte, i) => i >= at && byte !== 0);
            if (first >= 0) expect(typeof data === 'number' && data <= first).toBe(true);
            const hole = guest.call('lseek', fd, at, 4);
            if (at < model.size) expect(typeof hole === 'number' && hole >= at && hole <= model.size).toBe(true);
            break;
          }
        }
        expect(guest.call('lseek', fd, 0, 2)).toBe(model.size);
      }
      guest.kernel.system.check();
      for (const { fd, size, bytes } of models) expectBytes(take(guest, fd, MAX, 0), bytes.subarray(0, size));
      expect(guest.kernel.vfs.unmountDisks()).toBe(0);
      expect(checkExt(image.bytes).problems).toEqual([]);
      if (hasE2fsprogs && seed % 8 === 0) expect(e2fsck(image.bytes)).toBe('clean');
      const again = mounted(new MemoryImage(image.bytes, true), { isReadOnly: true });
      for (const [i, { size, bytes }] of models.entries()) expectBytes(take(again, again.fd(`/mnt/f${i}`), MAX, 0), bytes.subarray(0, size));
    }), { numRuns: Number(process.env.QUIRE_FUZZ_RUNS ?? 15) });
  });
});

describe.each(formats)(`a crash of %s, blocks of %i${e2fsprogsNote}`, (...format) => {
  const MAX = 100 << 10;
  const step = fc.record({
    kind: fc.constantFrom('write', 'write', 'write', 'truncate', 'punch', 'fsync', 'fsync', 'fdatasync', 'sync', 'rename', 'osync'),
    at: fc.nat(MAX - 1), len: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 60_000 })), file: fc.nat(2),
  });
  // A superblock is two sectors of 512 bytes, and with a checksum it cannot be half written: where there is one, sectors have 4096.
  test.skipIf(!hasE2fsprogs)('what fsync promised is there, whatever the power took, and e2fsck repairs the rest', () => {
    let crashes = 0;
    fc.assert(fc.property(fc.array(step, { minLength: 4, maxLength: 30 }), fc.integer({ min: 1, max: 120 }), fc.nat(1000), (steps, crashAtWrite, seed) => {
      const image = new FaultyImage(freshImage(format, 4 << 20), { crashAtWrite, seed, tearBytes: format[0] === 'ext4' ? 4096 : 512 });
      let guest: GuestTask;
      try {
        guest = mounted(image);
      } catch {
        return; // the power failed while it was mounted
      }
      const random = new Prng(seed, 'bytes');
      /** What was promised, where nothing was done to it since; -1: anything. */
      const models = [0, 1, 2].map((i) => ({ now: new Uint8Array(MAX), size: 0, fd: guest.open(`/mnt/f${i}`, O.RDWR | O.CREAT), promised: null as Int16Array | null, name: `/mnt/f${i}` }));
      for (const { kind, at, len, file } of steps) {
        const model = models[file]!;
        if (image.isCrashed || typeof model.fd === 'string') break;
        const end = Math.min(MAX, at + len);
        const promise = (m: typeof model): void => { m.promised = Int16Array.from(m.now.subarray(0, m.size)); };
        switch (kind) {
          case 'write': case 'osync': {
            const bytes = new Uint8Array(end - at).map(() => 1 + random.below(255));
            model.promised?.fill(-1, at, end);
            let fd: number | string = model.fd;
            if (kind === 'osync') fd = guest.open(model.name, O.WRONLY | O.SYNC);
            if (typeof fd === 'string') break;
            const n = put(guest, fd, bytes, at);
            if (kind === 'osync') guest.call('close', fd);
            if (typeof n !== 'number') break;
            model.now.set(bytes.subarray(0, n), at);
            model.size = Math.max(model.size, at + n);
            // O_SYNC promises its own bytes, and the size that leads to them.
            if (kind === 'osync' && model.promised !== null && model.promised.length >= at + n) model.promised.set(bytes.subarray(0, n), at);
            break;
          }
          case 'truncate':
            if (model.promised !== null) model.promised = model.promised.slice(0, at);
            guest.call('ftruncate', model.fd, at);
            if (at < model.size) model.now.fill(0, at, model.size);
            model.size = at;
            break;
          case 'punch':
            model.promised?.fill(-1, at, end);
            guest.call('fallocate', model.fd, 3, at, end - at);
            model.now.fill(0, at, end);
            break;
          case 'fsync': case 'fdatasync':
            if (guest.patiently(kind, model.fd) === 0) promise(model);
            break;
          case 'sync':
            guest.patiently('sync');
            if (!image.isCrashed) for (const m of models) promise(m);
            break;
          case 'rename': {
            // Names are promised by a sync of the directory; here, only that nothing breaks. Files are found by what they were called when it was.
            const to = `${model.name}x`;
            if (guest.call('renameat2', -100, model.name, -100, to, 0) === 0 && guest.patiently('sync') === 0 && !image.isCrashed) {
              model.name = to;
              for (const m of models) promise(m);
            } else model.promised = null;
            break;
          }
        }
        // A file whose size shrank and grew again since the promise may have either.
        if (model.promised !== null && model.promised.length > model.size) model.promised = model.promised.slice(0, model.size);
      }
      if (image.isCrashed) crashes++;
      const { bytes, isRepaired, log } = repair(image.afterCrash());
      if (!isRepaired) throw new Error(log);
      expect(e2fsck(bytes)).toBe('clean');
      const again = mounted(new MemoryImage(bytes, true), { isReadOnly: true });
      for (const { promised, name } of models) {
        if (promised === null) continue;
        const found = take(again, again.fd(name), MAX, 0);
        for (let i = 0; i < promised.length; i++) if (promised[i] !== -1 && promised[i] !== found[i]) throw new Error(`byte ${i} of ${name} is ${found[i]} of ${found.length}, ${promised[i]} was promised`);
      }
    }), { numRuns: Number(process.env.QUIRE_FUZZ_RUNS ?? 15) });
    expect(crashes).toBeGreaterThan(0);
  });
});
