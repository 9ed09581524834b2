// MGLRU: generations, sweeps, tiers and their feedback, its files. Figures of real Linux are held elsewhere; here are the rules.
import { describe, expect, test } from 'vitest';
import type { Folio } from '#base';
import { IoBuffer } from '#kernel/fs/io-buffer.ts';
import { filemapRead } from '#kernel/mm/filemap-read.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { newRa } from '#kernel/mm/readahead.ts';
import { LruGen, mglru } from '#kernel/mm/reclaim/lru-gen.ts';
import { lruGenCommands, lruGenEnabled, lruGenText, setLruGenEnabled, setMinTtl } from '#kernel/mm/reclaim/lru-gen-files.ts';
import { MAX_NR_GENS, isSaturated, refsOf, tierOf, withRefsField } from '#kernel/mm/reclaim/lru-gen-folio.ts';
import { LruGenCounters, positiveCtrlErr } from '#kernel/mm/reclaim/lru-gen-pid.ts';
import { MmStat, hashItem } from '#kernel/mm/reclaim/lru-gen-walk.ts';
import { LruType } from '#kernel/mm/reclaim/lruvec.ts';
import { newScanControl } from '#kernel/mm/reclaim/scan.ts';
import { twoList } from '#kernel/mm/reclaim/two-list.ts';
import { Errno } from '#kernel/syscall/errno.ts';
import { Program, bootSystem } from '../../support/mm-fixture.ts';
import type { Options } from '../../support/mm-fixture.ts';
import { SlowDisk } from '../../support/slow-disk.ts';
import { addSwap } from '../../support/swap-fixture.ts';

const MIB = 1 << 20;
const PAGE = 4096;

function boot(options: Options & { release?: 612 | 618; swapPages?: number; fileMib?: number; svade?: boolean } = {}) {
  const { release = 618, swapPages = 4096, fileMib = 16, svade = false } = options;
  const { system } = bootSystem({ ramBytes: 32 * MIB, ...options });
  if (swapPages > 0) addSwap(system, swapPages);
  const program = Program.on(system);
  const { machine } = system;
  system.params.vm.lru_gen_release = release;
  if (svade) Object.assign(machine, { svadu: false });
  system.lru.setKind(mglru);
  const lruvec = system.memcg.root.lruvec as LruGen;
  const disk = new SlowDisk(system, fileMib * MIB, { maxOrder: 0 });
  const ra = newRa(0, 1024);
  const read = (pos: number, len = 8): void => {
    const io = IoBuffer.of(new Uint8Array(len));
    for (let moved = 0; ; ) {
      const { moved: n, error, wait } = filemapRead(disk.space, ra, pos + moved, io);
      moved += n;
      expect(error).toBe(0);
      if (wait === 0) return;
      system.waits.waitNow(wait as Folio, FolioFlag.Locked);
    }
  };
  const file: FileMapping = { space: disk.space, path: '/file', ino: 1, devMajor: 0, devMinor: 1, mayWrite: true, ra };
  /** A sweep of everybody who ran, and a new generation. */
  const age = (swappiness = 60, force = 0): number => {
    program.mm.activate();
    return lruGenCommands(system, `+ 1 0 ${lruvec.maxSeq} ${swappiness} ${force}`);
  };
  const folioAt = (va: number): Folio => system.folios.folioOf(program.frame(va) as never);
  const seqAt = (va: number): number => lruvec.seqOf(folioAt(va));
  return { system, machine, program, lruvec, disk, read, file, age, folioAt, seqAt };
}

describe('uses and tiers', () => {
  const { Referenced, Workingset } = FolioFlag;
  const tiers = (isOld: boolean): number[][] => [0, Referenced, Referenced | Workingset].map((flags) => [0, 1, 2, 3].map((field) => tierOf(flags, refsOf(flags, withRefsField(0, field), isOld), isOld)));
  test('are told from the flags and the field of two bits', () => {
    //                       field 0..3:   not referenced    referenced     and of the working set
    expect(tiers(false)).toEqual([[0, 0, 0, 0], [0, 1, 2, 2], [3, 3, 3, 3]]);
    expect(tiers(true)).toEqual([[0, 1, 2, 2], [0, 1, 2, 2], [1, 2, 2, 3]]);
  });
  test('end at four uses and the working set', () => {
    const full = (flags: number, field: number, isOld: boolean): boolean => isSaturated(flags, refsOf(flags, withRefsField(0, field), isOld), isOld);
    expect([full(Referenced | Workingset, 3, false), full(Referenced, 3, false), full(Workingset, 3, false), full(Referenced | Workingset, 2, false)]).toEqual([true, false, false, false]);
    expect([full(Workingset, 3, true), full(Referenced, 3, true)]).toEqual([true, false]);
  });
  test.each([[618, 'R R1 R2 R3 RW3 RW3'], [612, 'R RW0 RW1 RW2 RW3 RW3']] as const)('of reads are counted as release %i does: %s', (release, wanted) => {
    const { system, disk, read } = boot({ release });
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) {
      read(0);
      read(PAGE); // a read that goes on in the same page is none of its own
      const folio = disk.space.folioAt(0) as Folio;
      const flags = system.folios.flags(folio);
      const field = (system.folios.lruWord(folio) >> 3) & 3;
      seen.push(`${(flags & Referenced) !== 0 ? 'R' : ''}${(flags & Workingset) !== 0 ? 'W' : ''}${field > 0 || (flags & Workingset) !== 0 ? field : ''}`);
    }
    expect(seen.join(' ')).toBe(wanted);
  });
});

describe('the feedback', () => {
  test('calls fewer than 64 refaults no evidence, and compares shares beyond', () => {
    expect(positiveCtrlErr({ refaulted: 0, total: 0, gain: 2 }, { refaulted: 63, total: 63, gain: 3 })).toBe(true);
    expect(positiveCtrlErr({ refaulted: 0, total: 1000, gain: 2 }, { refaulted: 64, total: 64, gain: 3 })).toBe(false);
    // 100 of 1000 against 150 of 1000: 150 * 1064 * 2 <= 101 * 1000 * 3 does not hold, 140 does.
    expect(positiveCtrlErr({ refaulted: 100, total: 1000, gain: 2 }, { refaulted: 150, total: 1000, gain: 3 })).toBe(false);
    expect(positiveCtrlErr({ refaulted: 100, total: 1000, gain: 2 }, { refaulted: 140, total: 1000, gain: 3 })).toBe(true);
  });
  test('favours what was used more than once: by 2 to 3, and by 1 to 2 up to 6.13', () => {
    const verdict = (refaulted: number, isOld: boolean): number => {
      const counters = new LruGenCounters();
      counters.evicted.set([1000, 1000], LruType.File * 4);
      counters.refaulted.set([100, refaulted], LruType.File * 4);
      return counters.tierIdx(LruType.File, isOld);
    };
    expect([142, 143].map((n) => verdict(n, false))).toEqual([3, 0]);
    expect([189, 190].map((n) => verdict(n, true))).toEqual([3, 0]);
  });
  test('protects a tier whose pages come back, and lets go when the average has forgotten', () => {
    const counters = new LruGenCounters();
    const at = LruType.File * 4;
    counters.evicted[at] = 1000;
    counters.evicted[at + 1] = 200;
    expect(counters.tierIdx(LruType.File, false)).toBe(3);
    counters.refaulted[at + 1] = 100;
    expect(counters.tierIdx(LruType.File, false)).toBe(0);
    counters.carryOver(LruType.File);
    expect([counters.avgRefaulted[at + 1], counters.avgTotal[at], counters.refaulted[at + 1]]).toEqual([50, 500, 0]);
    expect(counters.tierIdx(LruType.File, false)).toBe(3); // 50 are no evidence
  });
  test('takes the kind that is worth less at the given swappiness, and one alone at its ends', () => {
    const counters = new LruGenCounters();
    counters.evicted.fill(1000);
    counters.refaulted[LruType.Anon * 4] = 100;
    counters.refaulted[LruType.File * 4 + 2] = 100;
    expect([0, 1, 50, 150, 199, 200, 201].map((swappiness) => counters.typeToScan(swappiness))).toEqual([1, 1, 1, 0, 0, 0, 0]);
  });
  test('hashes an entry as hash_ptr() does', () => {
    const reference = (item: number): number => Number(((BigInt(item) * 0x61c8864680b583ebn) & 0xffff_ffff_ffff_ffffn) >> 34n);
    for (const item of [0, 8, 0x8000_0ff8, 0x1_2345_6788, 0x3_ffff_fff8, 0xffff_ffff]) expect(hashItem(item)).toBe(reference(item));
  });
});

describe('generations', () => {
  test.each([618, 612] as const)('take in what comes as release %i says', (release) => {
    const { system, program, lruvec, disk, read, file, seqAt } = boot({ release });
    const anon = program.map(2 * PAGE);
    program.write(anon);
    read(0);
    const mapped = program.mm.mmap({ addr: 0, len: PAGE, prot: Prot.Read, flags: MapFlag.Shared, file, pgoff: 5 });
    program.read(mapped);
    const fileSeq = lruvec.seqOf(disk.space.folioAt(0) as Folio);
    expect(lruvec.maxSeq).toBe(3);
    if (release === 618) expect([seqAt(anon), seqAt(mapped), fileSeq]).toEqual([2, 2, 0]);
    else expect([seqAt(anon), seqAt(mapped), fileSeq]).toEqual([3, 3, 1]);
    system.check();
  });
  test('hold what they say: a page touched in every period stays in the two youngest, one that is not becomes the oldest', () => {
    const { system, program, lruvec, age, seqAt } = boot();
    const at = program.map(64 * PAGE);
    program.touch(at, 64 * PAGE);
    for (let round = 0; round < 6; round++) {
      program.touch(at, 8 * PAGE); // dense enough for the filter
      expect(age()).toBe(0);
      system.check();
      if (round > 1) expect(lruvec.maxSeq - seqAt(at)).toBeLessThanOrEqual(1);
    }
    expect(seqAt(at + 9 * PAGE)).toBe(lruvec.minSeq[LruType.Anon]);
    expect(lruvec.pages(LruType.Anon)).toBe(64);
  });
  test.each([618, 612] as const)('of release %i: a sweep promotes at the right sighting', (release) => {
    const { system, program, lruvec, age, seqAt, folioAt } = boot({ release });
    const at = program.map(80 * PAGE); // 6.12 does not sweep a program of fewer than 64 pages
    program.touch(at, 80 * PAGE);
    system.folios.clear(folioAt(at), FolioFlag.Referenced | FolioFlag.Workingset);
    age(60, 1);
    const first = lruvec.maxSeq;
    // One sighting marks (6.14), or promotes to the generation that was the youngest then.
    expect(seqAt(at)).toBe(release === 618 ? 2 : first - 1);
    expect(system.folios.test(folioAt(at), FolioFlag.Referenced)).toBe(release === 618);
    program.read(at);
    age(60, 1);
    expect(seqAt(at)).toBe(lruvec.maxSeq - 1);
  });
  test('add up to what is on lists, whatever the order of folios, and when switched off and on again', () => {
    const { system, program, age } = boot({ orders: [2, 4, 9] });
    const at = program.map(6 * MIB, 0x4000_0000);
    program.touch(at, 3 * MIB + 17 * PAGE);
    const before = system.lru.pages(LruType.Anon);
    for (const kind of [twoList, mglru, twoList, mglru]) {
      system.lru.setKind(kind);
      system.check();
      expect(system.lru.pages(LruType.Anon)).toBe(before);
    }
    program.read(at);
    age();
    const lruvec = system.memcg.root.lruvec as LruGen;
    const sum = lruvec.describe().reduce((pages, { anonPages }) => pages + anonPages, 0);
    expect(sum).toBe(before);
    system.check();
  });
  test('are two to four, and the oldest joins the next when a fifth would begin', () => {
    const { system, program, lruvec, age } = boot();
    const at = program.map(8 * PAGE);
    program.touch(at, 8 * PAGE);
    for (let i = 0; i < 9; i++) {
      age();
      for (const type of [LruType.Anon, LruType.File] as const) {
        expect(lruvec.maxSeq - lruvec.minSeq[type] + 1).toBeGreaterThanOrEqual(2);
        expect(lruvec.maxSeq - lruvec.minSeq[type] + 1).toBeLessThanOrEqual(MAX_NR_GENS);
      }
      system.check();
    }
  });
});

describe('sweeps', () => {
  test('look at all tables of a program that no sweep has met yet', () => {
    const { system, program, lruvec, age } = boot();
    program.touch(program.map(512 * PAGE, 0x4000_0000), 512 * PAGE);
    age();
    const [, , found] = lruvec.mmState.stats;
    const second = Program.on(system);
    second.touch(second.map(512 * PAGE, 0x4000_0000), 512 * PAGE);
    age(); // the filter has only the first one's table
    expect(lruvec.mmState.stats[MmStat.NonleafFound]).toBe(found! + 2);
  });
  test('skip a program that did not run, and tables in which little happens', () => {
    const { program, lruvec, age } = boot();
    const at = program.map(4 * MIB, 0x4000_0000);
    program.touch(at, 4 * MIB);
    age(); // new: all of it is looked at
    const [total, young] = [lruvec.mmState.stats[MmStat.LeafTotal]!, lruvec.mmState.stats[MmStat.LeafYoung]!];
    expect([total, young]).toEqual([1024, 1024]);
    program.touch(at, 2 * MIB);
    program.read(at + 3 * MIB);
    age();
    // Both tables were dense in the first sweep.
    expect([lruvec.mmState.stats[MmStat.LeafTotal]! - total, lruvec.mmState.stats[MmStat.NonleafFound], lruvec.mmState.stats[MmStat.NonleafAdded]]).toEqual([1024, 4, 3]);
    program.touch(at, 4 * MIB);
    age();
    // The second one has fallen out of the filter.
    expect(lruvec.mmState.stats[MmStat.NonleafFound]).toBe(5);
    program.mm.ranSinceWalk = false;
    lruGenCommands(program.mm.system, `+ 1 0 ${lruvec.maxSeq} 60 0`);
    expect(lruvec.mmState.stats[MmStat.NonleafFound]).toBe(5);
    lruGenCommands(program.mm.system, `+ 1 0 ${lruvec.maxSeq} 60 1`);
    expect(lruvec.mmState.stats[MmStat.NonleafFound]).toBe(7);
  });
  test('are none at all on a hart that leaves A bits to software, or when bit 1 of enabled is off', () => {
    for (const options of [{ svade: true }, {}]) {
      const { system, program, lruvec, age } = boot(options);
      if (options.svade !== true) setLruGenEnabled(system, '0x5');
      const at = program.map(2 * MIB);
      program.touch(at, 2 * MIB);
      for (let i = 0; i < 3; i++) age();
      expect([...lruvec.mmState.stats]).toEqual([0, 0, 0, 0]);
      expect(lruvec.maxSeq).toBe(6);
      expect(lruGenEnabled(system)).toBe('0x0001\n');
    }
  });
  test('see a folded run as one young entry of sixteen, and a 2 MiB entry as one', () => {
    const { program, lruvec, age } = boot({ orders: [4] });
    const at = program.map(2 * MIB, 0x4000_0000);
    program.touch(at, 2 * MIB);
    age();
    expect([...lruvec.mmState.stats]).toEqual([512, 32, 1, 0]);
    const huge = boot({ orders: [9] });
    huge.program.write(huge.program.map(2 * MIB, 0x4000_0000));
    huge.age();
    expect([...huge.lruvec.mmState.stats]).toEqual([1, 1, 0, 0]);
  });
});

describe('eviction', () => {
  test('takes a file that is read once, not what programs use meanwhile', () => {
    const { system, program, disk, read, file } = boot({ fileMib: 48 });
    const hot = program.mm.mmap({ addr: 0, len: MIB, prot: Prot.Read, flags: MapFlag.Shared, file, pgoff: 0 });
    program.touch(hot, MIB, { write: false });
    const before = program.counts.majFlt;
    for (let pos = 2 * MIB; pos < 48 * MIB; pos += PAGE) {
      read(pos);
      if (pos % (MIB / 4) === 0) {
        program.mm.activate();
        program.touch(hot, MIB, { write: false });
        system.runDaemons();
      }
    }
    expect(system.vmstat.get('pgsteal_file')).toBeGreaterThan(4000);
    expect(program.counts.majFlt - before).toBeLessThan(26);
    expect(disk.space.folioAt(0)).not.toBe(0);
    system.check();
  });
  test('under a loop larger than memory keeps every page once, and misses every time, as Debian\'s 6.12 does', () => {
    const { system } = boot({ release: 612, swapPages: 8192 });
    const group = system.memcg.create('w')!;
    group.max = 2048;
    system.params.vm.page_cluster = 0;
    system.memcg.active = group;
    const program = Program.on(system);
    const at = program.map(2304 * PAGE);
    for (let lap = 0; lap < 4; lap++) {
      for (let page = 0; page < 2304; page++) {
        program.mm.activate();
        if (lap === 0) program.user.setU32(at + page * PAGE, page + 1);
        else expect(program.user.u32(at + page * PAGE)).toBe(page + 1);
      }
    }
    expect(group.stat.get('pgmajfault')).toBe(3 * 2304);
    // Looked at twice: once to be kept or written, once to go.
    expect(group.stat.get('pgscan_direct') / group.stat.get('pgsteal_direct')).toBeGreaterThan(1.5);
  });
  test('counts as protected what joins the next generation, but not what a sweep or reads promote anyway', () => {
    const { lruvec, read, age } = boot({ swapPages: 0 });
    for (let i = 0; i < 7; i++) for (let page = 0; page < 4; page++) read(page * PAGE);
    for (let i = 0; i < 2; i++) for (let page = 8; page < 12; page++) read(page * PAGE);
    age(0);
    expect([...lruvec.counters.avgTotal.subarray(LruType.File * 4)]).toEqual([0, 2, 0, 0]);
  });
  test('protects tier 1 of files once its pages have come back', () => {
    const { system, read, lruvec } = boot({ fileMib: 16, swapPages: 0 });
    const group = system.memcg.root;
    // Read twice: tier 1. All go, and come back: that is 256 refaults of tier 1. (Aging first would make one tier of all, as the oldest generation joins the next.)
    for (const pages of [256, 512]) for (let page = 0; page < pages; page++) read(page * PAGE);
    expect(lruvec.counters.tierIdx(LruType.File, false)).toBe(3);
    lruGenCommands(system, `- ${group.id} 0 ${lruvec.maxSeq - 2} 0 100000`);
    expect(lruvec.pages(LruType.File)).toBe(0);
    for (let page = 0; page < 256; page++) read(page * PAGE);
    expect(system.vmstat.get('workingset_refault_file')).toBe(256);
    expect(lruvec.counters.tierIdx(LruType.File, false)).toBe(0);
  });
});

describe('looking around', () => {
  test('an entry that eviction finds young reads and clears those of its neighbours, 64 at most, and brings the table into the next sweep', () => {
    const { system, program, lruvec, age, folioAt, seqAt } = boot();
    const at = program.map(512 * PAGE, 0x4000_0000);
    program.touch(at, 512 * PAGE);
    for (let i = 0; i < 4; i++) age(60, 1);
    // The whole table is old, and has fallen out of the filter. Now what stands at the tail has been used, and so have pages around it.
    expect(lruvec.all(LruType.Anon)[Symbol.iterator]().next().value).toBe(folioAt(at));
    for (let i = 40; i < 112; i++) {
      if (i > 40 && i < 64) continue;
      program.read(at + i * PAGE);
      system.folios.set(folioAt(at + i * PAGE), FolioFlag.Referenced); // seen once before
    }
    const found = lruvec.mmState.stats[MmStat.NonleafFound]!;
    lruGenCommands(system, `- 1 0 ${lruvec.maxSeq - 2} 200 63`);
    // 63 pages are freed: 0 to 63 but page 40. The window around page 40 ends with page 71: those are promoted where they stand.
    expect([40, 64, 71, 72, 111].map((i) => lruvec.maxSeq - seqAt(at + i * PAGE))).toEqual([0, 0, 0, 3, 3]);
    expect(program.frame(at + 41 * PAGE)).toBe(0);
    age(60, 0);
    expect(lruvec.mmState.stats[MmStat.NonleafFound]).toBe(found + 1);
    system.check();
  });
});

describe('groups', () => {
  /** Two groups with a MiB of a file each in memory, the root with nothing. */
  const bootGroups = (low: number, min: number) => {
    const { system, disk } = boot({ fileMib: 4, swapPages: 0 });
    const groups = ['a', 'b'].map((name, i) => {
      const group = system.memcg.create(name)!;
      system.memcg.active = group;
      const ra = newRa(0, 1024);
      for (let pos = i * MIB; pos < (i + 1) * MIB; ) {
        const { moved, wait } = filemapRead(disk.space, ra, pos, IoBuffer.of(new Uint8Array((i + 1) * MIB - pos)));
        if (wait !== 0) system.waits.waitNow(wait as Folio, FolioFlag.Locked);
        pos += moved;
      }
      while (system.waits.passTime());
      return group;
    });
    system.memcg.active = system.memcg.root;
    groups[0]!.low = low;
    groups[0]!.min = min;
    return { system, a: groups[0]!, b: groups[1]! };
  };
  test('below memory.min are left alone, and come to the young of the groups', () => {
    const { system, a, b } = bootGroups(0, 4096);
    for (let i = 0; i < 12; i++) system.vmscan.direct(0, 0);
    expect([a.lruvec.pages(LruType.File) >= 256, b.lruvec.pages(LruType.File) < 200]).toEqual([true, true]);
    system.check();
  });
  test('below memory.low are taken from only when they are met again, and that is an event', () => {
    const { system, a, b } = bootGroups(4096, 0);
    while (b.lruvec.pages(LruType.File) > 64) system.vmscan.direct(0, 0);
    expect(a.lruvec.pages(LruType.File) < 256 ? a.events.low > 0 : true).toBe(true);
    for (let i = 0; i < 12; i++) system.vmscan.direct(0, 0);
    expect(a.events.low).toBeGreaterThan(0);
    system.check();
  });
  test('share the machine\'s reclaim', () => {
    const { system, a, b } = bootGroups(0, 0);
    for (let i = 0; i < 12; i++) system.vmscan.direct(0, 0);
    const [left, right] = [a.lruvec.pages(LruType.File), b.lruvec.pages(LruType.File)];
    expect(Math.max(left, right)).toBeLessThan(256 - 64);
    expect(Math.min(left, right)).toBeGreaterThan(0);
  });
  test('below memory.low are passed over the first time', () => {
    const { system, a } = bootGroups(4096, 0);
    system.lruGen.setSeed(5);
    const lruvec = a.lruvec as LruGen;
    for (let i = 0; i < 4 && lruvec.memcgSeg === 0; i++) system.lruGen.shrink(newScanControl({ nrToReclaim: 1, by: 'direct', priority: 2, swappiness: 0 }));
    expect([lruvec.memcgSeg, lruvec.pages(LruType.File), a.events.low]).toEqual([2, 256, 0]);
    system.check();
  });
  test('that are removed are taken from before others of their bin', () => {
    const { system, disk } = boot({ fileMib: 4, swapPages: 0 });
    const ra = newRa(0, 1024);
    const groups = Array.from({ length: 30 }, (_, i) => {
      const group = system.memcg.create(`g${i}`)!;
      system.memcg.active = group;
      for (let page = 0; page < 32; page++) {
        const io = IoBuffer.of(new Uint8Array(8));
        const { wait } = filemapRead(disk.space, ra, (i * 32 + page) * PAGE, io);
        if (wait !== 0) system.waits.waitNow(wait as Folio, FolioFlag.Locked);
      }
      system.memcg.active = system.memcg.root;
      return group;
    });
    while (system.waits.passTime());
    const removed = groups.at(-1)!.lruvec as LruGen;
    system.lruGen.setSeed(5);
    system.memcg.offline(removed.group);
    const others = groups.slice(0, -1).filter(({ lruvec }) => (lruvec as LruGen).memcgBin === removed.memcgBin);
    expect(others.length).toBeGreaterThan(0);
    const left = (): number[] => others.map(({ lruvec }) => lruvec.pages(LruType.File));
    const before = left();
    while (removed.pages(LruType.File) === 32 && left().join() === before.join()) system.lruGen.shrink(newScanControl({ nrToReclaim: 1, by: 'direct', priority: 1, swappiness: 0 }));
    expect([removed.pages(LruType.File), left().join()]).toEqual([0, before.join()]);
  });
  test('that are removed give all they have, and are gone', () => {
    const { system, a } = bootGroups(0, 0);
    system.memcg.offline(a);
    for (let i = 0; i < 40 && system.memcg.byId(a.id) !== null; i++) system.vmscan.direct(0, 0);
    expect(system.memcg.byId(a.id)).toBeNull();
    system.check();
  });
});

describe('how reclaim is asked', () => {
  // Without refaults nothing speaks against files, even at 200.
  test.each([[0, 'file'], [1, 'file'], [200, 'file'], [201, 'anon']] as const)('with swappiness %i it takes %s memory first', (swappiness, kind) => {
    const { system, program, read } = boot();
    const group = system.memcg.root;
    program.touch(program.map(512 * PAGE), 512 * PAGE);
    for (let page = 0; page < 512; page++) read(page * PAGE);
    while (system.waits.passTime());
    for (let i = 0; i < 4; i++) {
      system.vmscan.reclaimGroup(group, 64, true, 'proactive', swappiness);
      while (system.waits.passTime());
    }
    const stolen = [system.vmstat.get('pgsteal_anon'), system.vmstat.get('pgsteal_file')];
    expect(kind === 'file' ? stolen[1] : stolen[0]).toBeGreaterThan(100);
    expect(kind === 'file' ? stolen[0] : stolen[1]).toBe(0);
    expect(group.stat.get('pgsteal_proactive')).toBe(stolen[0]! + stolen[1]!);
    system.check();
  });
  test('kswapd evicts until memory is above its mark, and gives its sweeps\' promotions back', () => {
    const { system, program } = boot({ fileMib: 48, swapPages: 8192 });
    const at = program.map(36 * MIB);
    for (let pos = 0; pos < 36 * MIB; pos += PAGE) {
      program.user.setU32(at + pos, pos + 1);
      if (pos % MIB === 0) {
        program.mm.activate();
        system.runDaemons();
        while (system.waits.passTime());
      }
    }
    expect(system.vmstat.get('pgsteal_kswapd')).toBeGreaterThan(300);
    expect(system.vmstat.get('oom_kill')).toBe(0);
    for (let pos = 0; pos < 36 * MIB; pos += 37 * PAGE) expect(program.user.u32(at + pos)).toBe(pos + 1);
    system.check();
  });
  test('with min_ttl_ms it would rather have a program killed than evict what is younger', () => {
    const { system, machine, program } = boot();
    setMinTtl(system, '5000');
    program.touch(program.map(30 * MIB), 30 * MIB);
    system.pressure.wakeKswapd(0, 0);
    system.runDaemons();
    expect(system.oomRequested).toBe(true);
    system.oomRequested = false;
    machine.charge(6e9);
    program.touch(program.map(2 * MIB), 2 * MIB);
    system.pressure.wakeKswapd(0, 0);
    system.runDaemons();
    expect(system.oomRequested).toBe(false);
  });
});

describe('files', () => {
  test('enabled is a mask that reads as four hex digits; y and n stand for all and none', () => {
    const { system } = boot();
    const write = (text: string): [number, string] => [setLruGenEnabled(system, text), lruGenEnabled(system)];
    expect(lruGenEnabled(system)).toBe('0x0003\n');
    expect(write('n\n')).toEqual([0, '0x0000\n']);
    expect(system.lru.kind).toBe(twoList);
    expect(write('Y')).toEqual([0, '0x0003\n']); // bit 2 is nothing that riscv has
    expect(write('1\n')).toEqual([0, '0x0001\n']);
    expect(write('0x0006')).toEqual([0, '0x0002\n']);
    expect(write('07\n')).toEqual([0, '0x0003\n']);
    expect(write('zzz')).toEqual([-Errno.EINVAL, '0x0003\n']);
    expect([setMinTtl(system, '-1'), setMinTtl(system, '1000\n'), system.lruGen.minTtlMs]).toEqual([-Errno.EINVAL, 0, 1000]);
  });
  test('lru_gen and lru_gen_full say what debugfs of Debian\'s 6.12 said of the same', () => {
    const { system, machine, program } = boot();
    program.touch(program.map(8 * PAGE), 8 * PAGE);
    machine.charge(2_632_000_000);
    const lines = lruGenText(system, false).split('\n');
    expect(lines.slice(0, 2)).toEqual(['memcg     1 /', ' node     0']);
    expect(lines[2]).toMatch(/^ {10}0 {7}26\d\d {10}0 {11}0 $/);
    expect(lines[4]).toMatch(/^ {10}2 {7}26\d\d {10}8 {11}0 $/);
    const full = lruGenText(system, true).split('\n');
    expect(full[3]).toBe('                     0          0r          0e          0p          0r          0e          0p');
    expect(full[7]).toBe('                                0x          0x          0x          0x');
    expect(full[20 + 1]).toBe('                     0          0R          0T          0x          0R          0T          0x');
    expect(full[25]).toBe('                                0T          0Y          0F          0A');
  });
  test('commands are refused as 6.18 refuses them', () => {
    const { system, lruvec } = boot();
    const { EINVAL } = Errno;
    const run = (text: string): number => lruGenCommands(system, text);
    expect(['', '+ 1 0', '+ 1 0 100', '+ 77 0 3', '+ 1 1 3', 'x 1 0 3', '+ 1 0 3 60 1 junk', '+ 1 0 3 202', '+ 1 0 3 zz', '- 1 0 2'].map(run)).toEqual(Array<number>(10).fill(-EINVAL));
    expect(lruvec.maxSeq).toBe(3);
    expect([run('+ 1 0 3'), run('  + 1 0 4 max;+ 1 0 5 201,\n'), run('- 1 0 3')]).toEqual([0, 0, 0]);
    expect(lruvec.maxSeq).toBe(6);
    expect(run('+ 1 0 0')).toBe(0); // an old number is none to refuse: the youngest generation ages
  });
  test('commands are refused as Debian\'s 6.12 refused them', () => {
    const { system, lruvec } = boot({ release: 612 });
    const { EINVAL, ERANGE } = Errno;
    const run = (text: string): number => lruGenCommands(system, text);
    expect([run('+ 1 0 3'), run('+ 1 0 4 1 1'), run('+ 1 0 5 1 0'), run('+ 1 0 6 1 0'), run('+ 1 0 100'), run('+ 1 0 1')]).toEqual([0, 0, -ERANGE, -EINVAL, -EINVAL, 0]);
    expect(['+ 77 0 1', '+ 1 1 1', 'x 1 0 1', '+ 1 0', '+ 1 0 4 1 1 junk', '+ 1 0 4 max', '+ 1 0 4 201', '- 1 0 100', '- 1 0 4 60 256'].map(run)).toEqual(Array<number>(9).fill(-EINVAL));
    expect(lruvec.maxSeq).toBe(5);
    expect(run('+ 1 0 4; + 1 0 5,+ 1 0 6\n')).toBe(0);
    expect(lruvec.maxSeq).toBe(7);
  });
});
