// A disk against closed forms: what a model of time promises can be computed by hand.
import { asPfn } from '#base';
import { Bio, BioOp } from '#kernel/block/bio.ts';
import { BlockDevice } from '#kernel/block/device.ts';
import { FaultyImage, MemoryImage, type DiskImage } from '#kernel/block/image.ts';
import { diskPresets, parseLatency, seekNs, type DiskLatency } from '#kernel/block/latency.ts';
import { blockBioBackmerge, blockRqIssue, rwbs } from '#kernel/block/trace.ts';
import { MemdescType } from '#kernel/mm/folio.ts';
import { Gfp } from '#kernel/mm/gfp.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { describe, expect, test } from 'vitest';
import type { FakeMachine } from '../../support/fake-machine.ts';
import { bootSystem } from '../../support/mm-fixture.ts';

const MIB = 1 << 20;
/** 1000 ns an access, 1 byte a nanosecond, no cost of the CPU: easy to add up. */
const plain: DiskLatency = {
  name: 'plain', readNs: 1000, writeNs: 500, flushNs: 7000, discardNs: 100, readBytesPerSecond: 1e9, writeBytesPerSecond: 1e9,
  channels: 1, queueDepth: 32, trackSeekNs: 0, fullSeekNs: 0, halfTurnNs: 0, synchronous: 0, source: 'made up',
};

interface Rig {
  machine: FakeMachine;
  system: MmSystem;
  disk: BlockDevice;
  /** Bios in the order in which they ended, with the cycle. */
  ended: { sector: number; at: number; error: number }[];
  read(sector: number, lenBytes: number, at?: number): Bio;
  write(sector: number, lenBytes: number, at?: number): Bio;
  flush(): Bio;
  drain(): number;
}
function rig(latency: DiskLatency, image: DiskImage = new MemoryImage(new Uint8Array(64 * MIB))): Rig {
  const { machine, system } = bootSystem({ params: (params) => { params.cost.bio = 0; params.cost.page_alloc = 0; } });
  const disk = new BlockDevice(system, image, latency);
  system.addDisk(disk);
  // 2 MiB of frames that follow each other, which all requests use.
  const folio = system.allocFolio(9, MemdescType.FileFolio, Gfp.Kernel);
  const ended: Rig['ended'] = [];
  const end = { endBio(bio: Bio): void { ended.push({ sector: bio.sector, at: machine.clockCycles, error: bio.error }); } };
  const start = machine.clockCycles;
  machine.clockCycles = 0;
  expect(start).toBe(0);
  const submit = (op: BioOp, sector: number, lenBytes: number, at: number): Bio => {
    const bio = new Bio(op, sector, lenBytes === 0 ? [] : [{ pfn: asPfn(folio + Math.floor(at / 4096)), offset: at % 4096, lenBytes }], end);
    disk.submit(bio);
    return bio;
  };
  return {
    machine, system, disk, ended,
    read: (sector, lenBytes, at = 0) => submit(BioOp.Read, sector, lenBytes, at),
    write: (sector, lenBytes, at = 0) => submit(BioOp.Write, sector, lenBytes, at),
    flush: () => submit(BioOp.Flush, 0, 0, 0),
    drain() {
      while (system.waits.passTime());
      return machine.clockCycles;
    },
  };
}

describe('time', () => {
  test('n reads one after the other take n times access and transfer', () => {
    const { machine, disk, read } = rig(plain);
    for (let i = 0; i < 10; i++) expect(disk.wait(read(i * 1000, 4096))).toBe(0);
    expect(machine.clockCycles).toBe(10 * (1000 + 4096));
  });

  test('n neighbours under one plug are one request: one access, all the bytes', () => {
    const { disk, read, drain, ended } = rig(plain);
    disk.plug();
    for (let i = 0; i < 16; i++) read(i * 8, 4096, i * 4096);
    expect(ended).toEqual([]);
    disk.unplug();
    expect(drain()).toBe(1000 + 16 * 4096);
    expect(disk.stats[BioOp.Read]).toMatchObject({ ios: 1, merges: 15, sectors: 128 });
    expect(ended.map(({ sector }) => sector)).toEqual(Array.from({ length: 16 }, (_, i) => i * 8));
  });

  test('requests merge backwards and forwards, and never beyond max_sectors_kb', () => {
    const { disk, read, drain } = rig(plain);
    disk.limits.maxSectorsKb = 16;
    disk.plug();
    for (const sector of [8, 16, 0, 24, 32]) read(sector, 4096, sector * 512);
    disk.unplug();
    drain();
    // 8-23 and the front 0-7 and the back 24-31 make 16 kB; 32 is the next request.
    expect(disk.stats[BioOp.Read]).toMatchObject({ ios: 2, merges: 3 });
  });

  test('a bio that is longer than a request is cut, and ends once, after its last piece', () => {
    const { disk, read, ended } = rig(plain);
    const bio = read(0, 2 * MIB);
    expect(disk.wait(bio)).toBe(0);
    expect(disk.stats[BioOp.Read]!.ios).toBe(2); // 1280 + 768 kB
    expect(ended).toEqual([{ sector: 0, at: 2000 + 2 * MIB, error: 0 }]);
  });

  test('channels work at once, their transfers share the link', () => {
    const { disk, read, drain } = rig({ ...plain, channels: 4 });
    for (let i = 0; i < 8; i++) read(i * 1000, 512);
    // Four accesses end at 1000, their transfers follow each other: 1512, 2024, 2536, 3048. A channel that is free begins its second access then.
    expect(drain()).toBe(Math.max(1512 + 1000, 3048) + 512 + 512 * 3);
    expect(disk.stats[BioOp.Read]!.ios).toBe(8);
  });

  test('the device goes on while the kernel looks away', () => {
    const { machine, disk, read } = rig(plain);
    read(0, 512);
    read(1000, 512);
    machine.clockCycles = 1_000_000;
    disk.complete();
    expect(disk.deadline).toBe(Infinity);
    expect(disk.busyNs).toBe(2 * 1512);
    expect(disk.stats[BioOp.Read]!.ns).toBe(1512 + 2 * 1512);
  });

  test('a flush comes after all before it and before all behind it', () => {
    const { ended, write, read, flush, drain } = rig({ ...plain, channels: 4 });
    write(0, 512);
    flush();
    read(5000, 512);
    expect(drain()).toBe(500 + 512 + 7000 + 1512);
    expect(ended.map(({ at }) => at)).toEqual([1012, 8012, 9524]);
  });
});

describe('a disk whose bytes the processor moves itself', () => {
  const pmem = diskPresets.find(({ name }) => name === 'pmem')!;
  test('has done what it is given when submit() returns, plugged or not, in the processor\'s time', () => {
    const { disk, system, ended, read, write, flush, machine } = rig(pmem);
    const [load, store] = [305 + Math.ceil(4096 / 6.6), 90 + Math.ceil(4096 / 2.3)];
    system.machine.writeFrame(asPfn(read(0, 4096).ranges[0]!.pfn), 0, new Uint8Array(4096).fill(9));
    disk.plug();
    write(8, 4096);
    write(16, 4096);
    disk.unplug();
    flush();
    expect(ended.map(({ at }) => at)).toEqual([load, load + store, load + 2 * store, load + 2 * store + 90]);
    expect([disk.nrPending, disk.deadline, disk.busyNs, machine.clockCycles]).toEqual([0, Infinity, load + 2 * store + 90, load + 2 * store + 90]);
    expect(disk.stats.map(({ ios, merges, sectors }) => [ios, merges, sectors])).toEqual([[1, 0, 8], [2, 0, 16], [1, 0, 0], [0, 0, 0]]);
    const bytes = new Uint8Array(8192);
    disk.image.read(8 * 512, bytes);
    expect(new Set(bytes)).toEqual(new Set([9]));
  });
  test('tells of what it cannot do', () => {
    const { ended, read } = rig(pmem, new FaultyImage(new MemoryImage(new Uint8Array(MIB)), { badSectors: [9], isVolatile: false }));
    read(8, 4096);
    read(16, 4096);
    expect(ended.map(({ error }) => error)).toEqual([-5, 0]);
  });
});

describe('a disk with an arm', () => {
  const hdd = diskPresets.find(({ name }) => name === 'hdd')!;
  test('what goes on where the last request ended moves no arm', () => {
    const { disk, read, machine } = rig(hdd);
    for (let i = 0; i < 4; i++) disk.wait(read(i * 8, 4096));
    expect(machine.clockCycles).toBe(4 * (100_000 + Math.ceil((4096 * 1e9) / 1.75e8)));
  });
  test('a way over the whole disk takes the full seek and half a turn', () => {
    const { disk, read, machine } = rig(hdd);
    const last = disk.nrSectors - 8;
    disk.wait(read(last, 4096));
    expect(machine.clockCycles).toBe(100_000 + seekNs(hdd, 0, last, disk.nrSectors) + Math.ceil((4096 * 1e9) / 1.75e8));
    expect(seekNs(hdd, 0, disk.nrSectors, disk.nrSectors)).toBe(15_000_000 + 4_160_000);
  });
  test('a random way takes the average seek of the data sheet', () => {
    let sum = 0;
    const n = 200;
    for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) if (a !== b) sum += seekNs(hdd, a, b, n) - hdd.halfTurnNs;
    expect(Math.abs(sum / (n * n) / 8.5e6 - 1)).toBeLessThan(0.01);
  });
  test('waiting requests are served upwards from where the arm stands', () => {
    const { ended, read, drain } = rig(hdd);
    for (const sector of [50_000, 90_000, 10_000, 60_000]) read(sector, 4096);
    drain();
    expect(ended.map(({ sector }) => sector)).toEqual([50_000, 60_000, 90_000, 10_000]);
  });
});

describe('what cannot be done', () => {
  test('sectors beyond the end, and writes to a disk that is read-only, end at once with EIO', () => {
    const bytes = new Uint8Array(MIB);
    const { disk, read, write, ended } = rig(plain, new MemoryImage(bytes, true));
    expect(read(2048, 512).error).toBe(-5);
    expect(read(2047, 1024).error).toBe(-5);
    expect(write(0, 512).error).toBe(-5);
    expect(ended.length).toBe(3);
    expect(disk.wait(read(2047, 512))).toBe(0);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
  test('a bad sector fails the bio that names it, and not those which were merged with it', () => {
    const { disk, read, drain, ended } = rig(plain, new FaultyImage(new MemoryImage(new Uint8Array(MIB)), { badSectors: [9] }));
    disk.plug();
    for (let i = 0; i < 3; i++) read(i * 8, 4096, i * 4096);
    disk.unplug();
    drain();
    expect(disk.stats[BioOp.Read]!.ios).toBe(1);
    expect(ended.map(({ error }) => error)).toEqual([0, -5, 0]);
  });
});

describe('data', () => {
  test('bytes come and go through any cut and merge', () => {
    const image = new MemoryImage(new Uint8Array(4 * MIB).map((_, i) => (i * 7 + (i >> 9)) & 255));
    const { machine, disk, system, read, write } = rig(plain, image);
    disk.limits.maxSectorsKb = 64;
    expect(disk.wait(read(16, 200 * 1024, 512))).toBe(0);
    const folio = system.folios.firstPfn;
    expect(folio).toBeGreaterThan(0);
    expect(disk.wait(write(4096, 200 * 1024, 512))).toBe(0);
    expect(image.bytes.slice(4096 * 512, 4096 * 512 + 200 * 1024)).toEqual(image.bytes.slice(16 * 512, 16 * 512 + 200 * 1024));
    expect(machine.clockCycles).toBeGreaterThan(400 * 1024);
  });

  test('a crash keeps what was flushed, and of the rest what chance leaves', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const image = new FaultyImage(new MemoryImage(new Uint8Array(64 * 512)), { seed, crashAtWrite: 5 });
      const sector = (fill: number): Uint8Array => new Uint8Array(1024).fill(fill);
      expect([1, 2].map((n) => image.write(n * 1024, sector(n)))).toEqual([true, true]);
      expect(image.flush()).toBe(true);
      expect([3, 4, 5].map((n) => image.write(n * 1024, sector(n)))).toEqual([true, true, false]);
      expect(image.read(0, new Uint8Array(512))).toBe(false);
      const left = image.afterCrash();
      const words = Array.from({ length: 12 }, (_, i) => left[i * 512]!);
      expect(words.slice(0, 6)).toEqual([0, 0, 1, 1, 2, 2]);
      for (const n of [3, 4, 5]) for (const half of [0, 1]) expect([0, n]).toContain(words[2 * n + half]);
      seen.add(words.slice(6).join(''));
    }
    // Whole, torn and lost, for each of the three.
    expect(seen.size).toBeGreaterThan(12);
  });
});

describe('what is told', () => {
  test('/proc/diskstats has Linux\'s twenty columns', () => {
    const { disk, read, write, drain } = rig({ ...plain, readNs: 3e6 });
    read(0, 4096);
    write(800, 8192);
    drain();
    const columns = disk.diskstatsLine().trim().split(/ +/);
    expect(columns).toEqual(['254', '0', 'vda', '1', '0', '8', '3', '1', '0', '16', '3', '0', '3', '6', '0', '0', '0', '0', '0', '0']);
  });
  test('kB are counted as pgpgin and pgpgout, requests are traced', () => {
    const { system, disk, read, write, drain } = rig(plain);
    const issued: (readonly number[])[] = [];
    const merged: (readonly number[])[] = [];
    const stops = [blockRqIssue.listen((_p, v) => issued.push(v)), blockBioBackmerge.listen((_p, v) => merged.push(v))];
    disk.plug();
    read(0, 4096);
    read(8, 4096, 4096);
    write(100, 1024);
    disk.unplug();
    drain();
    for (const stop of stops) stop();
    expect([system.vmstat.get('pgpgin'), system.vmstat.get('pgpgout')]).toEqual([8, 1]);
    expect(issued.map(([major, minor, sector, nr, code, bytes]) => `${major},${minor} ${rwbs(code!)} ${bytes} ${sector} + ${nr}`)).toEqual(['254,0 R 8192 0 + 16', '254,0 W 1024 100 + 2']);
    expect(merged.map(([, , sector, nr]) => [sector, nr])).toEqual([[8, 8]]);
  });
  test('presets are taken with single figures changed, and refused in a sentence', () => {
    expect(parseLatency('nvme').readNs).toBe(51_461);
    expect(parseLatency('hdd,fullSeekNs=0,channels=2')).toMatchObject({ fullSeekNs: 0, channels: 2, halfTurnNs: 4_160_000 });
    expect(parseLatency('nvme,synchronous=1').synchronous).toBe(1);
    expect(() => parseLatency('floppy')).toThrow('--disk-latency floppy: no such preset. There are: nvme, sata-ssd, hdd, pmem.');
    expect(() => parseLatency('nvme,speed=1')).toThrow('speed is none of a disk');
    expect(() => parseLatency('nvme,channels=0')).toThrow('channels is a number from 1 up');
    expect(() => parseLatency('nvme,readNs=')).toThrow('readNs is a number from 0 up');
  });
});
