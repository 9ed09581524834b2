// Small policies under the kernel: who goes, what is counted, and that no answer of a user's policy can hurt the kernel.
import { describe, expect, test } from 'vitest';
import type { Folio } from '#base';
import { IoBuffer } from '#kernel/fs/io-buffer.ts';
import { filemapRead } from '#kernel/mm/filemap-read.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { newRa } from '#kernel/mm/readahead.ts';
import { chosen } from '#kernel/mm/reclaim/chosen.ts';
import { LruType } from '#kernel/mm/reclaim/lruvec.ts';
import { smallPolicies } from '#kernel/mm/reclaim/policies.ts';
import type { Arrival, PolicyServices, ReclaimPolicy, ReclaimPolicyMaker, Wanted } from '#kernel/mm/reclaim/policy.ts';
import { newScanControl } from '#kernel/mm/reclaim/scan.ts';
import { Program, bootSystem } from '../../../support/mm-fixture.ts';
import { SlowDisk, slowByte } from '../../../support/slow-disk.ts';

/** A file of single pages, mapped by a program whose group may have `maxPages`. */
function boot(make: ReclaimPolicyMaker, { maxPages = 200, filePages = 600, name = 'mine' } = {}) {
  const { system, machine } = bootSystem({ ramBytes: 32 << 20 });
  system.lru.setKind(chosen(name, make, 7));
  const group = system.memcg.create('g')!;
  group.max = maxPages;
  system.memcg.active = group;
  const disk = new SlowDisk(system, filePages * 4096, { maxOrder: 0 });
  const ra = newRa(0, 1024);
  const file: FileMapping = { space: disk.space, path: '/file', ino: 1, devMajor: 0, devMinor: 1, mayWrite: true, ra };
  const program = Program.on(system);
  const at = program.mm.mmap({ addr: 0, len: filePages * 4096, prot: Prot.Read | Prot.Write, flags: MapFlag.Shared, file, pgoff: 0 });
  const touch = (page: number): void => { expect(program.user.u8(at + page * 4096)).toBe(slowByte(page * 4096)); };
  const read = (page: number): void => {
    for (let moved = 0; moved < 100; ) {
      const { moved: n, wait } = filemapRead(disk.space, ra, page * 4096 + moved, IoBuffer.of(new Uint8Array(100)));
      moved += n;
      if (wait !== 0) system.waits.waitNow(wait as Folio, FolioFlag.Locked);
    }
  };
  const isIn = (page: number): boolean => disk.space.folioAt(page) !== 0;
  return { system, machine, group, lruvec: () => group.lruvec, program, disk, touch, read, isIn, at };
}
/** A policy made of a first-in-first-out order and what a test wants otherwise. */
const fifoBut = (change: (policy: ReclaimPolicy, services: PolicyServices) => Partial<ReclaimPolicy>): ReclaimPolicyMaker => (services) => {
  const policy = smallPolicies.fifo(services);
  return { onAdd: (f, a) => { policy.onAdd(f, a); }, onRemove: (f) => { policy.onRemove(f); }, victims: (w, out) => { policy.victims(w, out); }, ...change(policy, services) };
};

describe.each(Object.entries(smallPolicies))('%s', (name, make) => {
  test('a file larger than the limit is read through a mapping again and again; every count agrees', () => {
    const { system, group, touch } = boot(make, { name });
    for (let round = 0; round < 3; round++) for (let page = 0; page < 600; page++) touch((page * 7) % 600);
    expect(group.usage).toBeLessThanOrEqual(200);
    system.check();
    expect(system.lru.policyFailure).toBeNull();
    const { stat } = group;
    expect(stat.get('pgsteal_direct')).toBe(system.vmstat.get('pgsteal_file'));
    expect(stat.get('pgscan_direct')).toBeGreaterThanOrEqual(stat.get('pgsteal_direct'));
    // Every page but those still here was evicted as often as it came; all but the first time of each are refaults.
    const came = 600 + system.vmstat.get('workingset_refault_file');
    expect(came - system.vmstat.get('pgsteal_file')).toBe(group.lruvec.pages(LruType.File));
    expect(system.vmstat.get('nr_active_file')).toBe(0);
  });
  test('the same calls give the same state', () => {
    const run = (): number[] => {
      const { group, touch } = boot(make, { name });
      for (let page = 0; page < 900; page++) touch((page * page) % 600);
      return [...group.lruvec.all(LruType.File)];
    };
    expect(run()).toEqual(run());
  });
  test('anonymous folios are left alone where there is no swap', () => {
    const { system, program, group, touch } = boot(make, { name });
    const anon = program.map(100 * 4096);
    program.touch(anon, 100 * 4096);
    for (let page = 0; page < 600; page++) touch(page);
    expect(program.mm.rss.anonPages).toBe(100);
    expect(group.lruvec.pages(LruType.Anon)).toBe(100);
    system.check();
  });
});

describe('who goes', () => {
  test('fifo lets the oldest go, used or not', () => {
    const { touch, isIn } = boot(smallPolicies.fifo);
    for (let page = 0; page < 300; page++) {
      touch(page);
      touch(0);
    }
    // Page 0 has been in and out again, and so is as young as its last coming.
    expect(isIn(299) && isIn(298)).toBe(true);
    expect([1, 2, 3, 50].some(isIn)).toBe(false);
  });
  test('clock passes over what was used since its hand last came by', () => {
    const refaults = (make: ReclaimPolicyMaker): number => {
      const { touch, system } = boot(make);
      for (let page = 60; page < 600; page++) {
        touch(page);
        for (let hot = 0; hot < 60; hot++) touch(hot);
      }
      return system.vmstat.get('workingset_refault_file');
    };
    const [byClock, byFifo] = [refaults(smallPolicies.clock), refaults(smallPolicies.fifo)];
    expect(byFifo).toBeGreaterThan(150);
    expect(byClock).toBeLessThan(byFifo / 2);
  });
  test('clock sees use by read(2), too', () => {
    const { read, isIn, system } = boot(smallPolicies.clock);
    for (let page = 0; page < 600; page++) {
      read(page);
      read(5);
    }
    expect(isIn(5)).toBe(true);
    expect(system.vmstat.get('pgsteal_file')).toBeGreaterThan(300);
  });
  test('random spreads over old and young, and follows the seed', () => {
    const { touch, isIn } = boot(smallPolicies.random);
    for (let page = 0; page < 600; page++) touch(page);
    const [old, young] = [[0, 300], [300, 600]].map(([from = 0, to = 0]) => Array.from({ length: to - from }, (_, i) => from + i).filter(isIn).length);
    expect(old).toBeGreaterThan(5);
    expect(young).toBeGreaterThan(old!);
  });
  test('what is cold goes first, what is used by read(2) is reported', () => {
    const told: string[] = [];
    const { touch, read, program, at, isIn } = boot(fifoBut((policy, services) => ({
      onAccess: (folio) => { told.push(`access ${services.pageId(folio)}`); },
      onCold: (folio) => {
        told.push(`cold ${services.pageId(folio)}`);
        policy.onCold!(folio);
      },
    })));
    for (let page = 0; page < 100; page++) touch(page);
    read(99);
    expect(program.mm.madvise(at + 90 * 4096, 2 * 4096, 20)).toBe(0); // MADV_COLD
    expect(told).toEqual(['access 1', 'cold 2', 'cold 3']);
    for (let page = 100; page < 200; page++) touch(page);
    expect([90, 91, 92].map(isIn)).toEqual([false, false, true]);
  });
});

describe('what a policy is told', () => {
  test('how folios arrive: new, back after an eviction under the same number, and kept when they could not go', () => {
    const log: [Arrival, number][] = [];
    const { touch, system, disk } = boot(fifoBut((policy, services) => ({
      onAdd(folio, arrival) {
        log.push([arrival, services.pageId(folio)]);
        policy.onAdd(folio, arrival);
      },
    })));
    touch(0);
    expect(log).toEqual([['new', 1]]);
    const held = disk.space.folioAt(0) as Folio;
    system.folios.get(held);
    for (let page = 1; page < 300; page++) touch(page);
    expect(log.filter(([arrival]) => arrival === 'kept').map(([, id]) => id)).toContain(1);
    expect(disk.space.folioAt(0)).toBe(held);
    system.putFolio(held);
    touch(5);
    expect(log.at(-1)).toEqual(['refault', log.findIndex(([, id]) => id === 6) + 1]);
    expect(log.filter(([arrival]) => arrival === 'new').length).toBe(300);
  });
  test('a pass looks at the part of the list that the priority says, 32 pages at least', () => {
    const asked: number[] = [];
    const { touch, system, group } = boot(fifoBut((policy) => ({
      victims(wanted: Wanted, out: Folio[]) {
        asked.push(wanted.pages);
        policy.victims(wanted, out);
      },
    })), { maxPages: 2000 });
    for (let page = 0; page < 600; page++) touch(page);
    const hold = [...group.lruvec.all(LruType.File)];
    for (const folio of hold) system.folios.get(folio); // so that nothing can go
    const scan = (priority: number): number => {
      const sc = newScanControl({ nrToReclaim: 32, by: 'direct', target: group, priority, swappiness: 60 });
      asked.length = 0;
      group.lruvec.shrink(sc);
      return asked.length;
    };
    expect([scan(12), scan(3), scan(2), scan(0)]).toEqual([1, 3, 5, 19]);
    for (const folio of hold) system.putFolio(folio);
    expect(scan(0)).toBe(1);
    system.check();
  });
});

describe('a wrong answer is noted, and reclaim goes on without the policy', () => {
  const wrong: [string, ReclaimPolicyMaker, RegExp][] = [
    ['it throws', fifoBut(() => ({ victims() { throw new TypeError('x is not a function'); } })), /^victims\(\) ended in an error: x is not a function$/],
    ['it throws when a folio comes', fifoBut(() => ({ onAdd() { throw new Error('no'); } })), /^onAdd\(\) ended in an error: no$/],
    ['it names nothing', fifoBut(() => ({ victims() {} })), /^victims\(\) named nothing, although 32 pages were asked for/],
    ['it names a folio twice', fifoBut((policy) => ({ victims(wanted, out) { policy.victims(wanted, out); out.push(out[0]!); } })), /^victims\(\) named folio 0x[0-9a-f]+ twice$/],
    ['it names one that it does not hold', fifoBut(() => ({ victims(_, out) { out.push(0x80000 as Folio); } })), /^victims\(\) named folio 0x80000, which it does not hold$/],
    ['it names what is no frame', fifoBut(() => ({ victims(_, out) { out.push(12 as Folio); } })), /which it does not hold$/],
    ['it names what is no number', fifoBut(() => ({ victims(_, out) { out.push('a' as unknown as Folio, undefined as unknown as Folio); } })), /^victims\(\) named "a", which is no folio$/],
    ['it asks about what it does not hold', fifoBut((_, services) => ({ victims() { services.nrPages(3 as Folio); } })), /^victims\(\) ended in an error: it asks about folio 3, which it does not hold$/],
    ['it wants a number of none', fifoBut((_, services) => ({ victims() { services.random(0); } })), /random\(0\): not a number of choices/],
    ['it is not made at all', () => null as unknown as ReclaimPolicy, /^the policy it makes has no onAdd\(\)$/],
    ['its making throws', () => { throw new Error('not today'); }, /^making the policy ended in an error: not today$/],
    ['it throws no Error', fifoBut(() => ({ victims() { throw 'text'; } })), /ended in an error: text$/],
  ];
  test.each(wrong)('%s', (_, make, sentence) => {
    const { system, group, touch } = boot(make);
    for (let page = 0; page < 600; page++) touch(page);
    expect(system.lru.policyFailure).toMatch(sentence);
    expect(group.usage).toBeLessThanOrEqual(200);
    expect(group.lruvec.pages(LruType.File)).toBeGreaterThan(100);
    system.check();
  });
  test('naming what cannot go is no mistake, and ends', () => {
    const { system, program, touch } = boot((services) => {
      const held = new Set<Folio>();
      return { onAdd: (f) => { held.add(f); }, onRemove: (f) => { held.delete(f); }, victims: (_, out) => { for (const f of held) if (services.needsSwap(f) || out.length < 32) out.push(f); } };
    });
    const anon = program.map(50 * 4096);
    program.touch(anon, 50 * 4096);
    for (let page = 0; page < 400; page++) touch(page);
    expect(system.lru.policyFailure).toBeNull();
    expect(program.mm.rss.anonPages).toBe(50);
    system.check();
  });
});
