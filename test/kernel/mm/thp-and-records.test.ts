// The transparent_hugepage files, per-size counters, fault records and events.
import { describe, expect, test } from 'vitest';
import { mmPageAlloc, pageFaultUser } from '#kernel/mm/events.ts';
import { reasons } from '#kernel/mm/reasons.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { Prot } from '#kernel/mm/mman.ts';
import { smapsOf } from '#kernel/mm/inspect.ts';
import { boot, bootSystem } from '../../support/mm-fixture.ts';
import { picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;

describe('transparent_hugepage', () => {
  test('files read as Linux prints them', () => {
    const { thp } = bootSystem().system;
    expect(thp.get('enabled')).toBe('always [madvise] never\n');
    expect(thp.get('defrag')).toBe('always defer defer+madvise [madvise] never\n');
    expect(thp.get('hugepages-64kB/enabled')).toBe('always inherit madvise [never]\n');
    expect(thp.get('hugepages-2048kB/enabled')).toBe('always [inherit] madvise never\n');
    expect(thp.get('hpage_pmd_size')).toBe('2097152\n');
    expect(thp.get('hugepages-8kB/enabled')).toBe(null);
    expect(thp.get('shmem_enabled')).toBe('always within_size advise [never] deny force\n');
    expect(thp.get('hugepages-64kB/shmem_enabled')).toBe('always inherit within_size advise [never]\n');
    expect(thp.get('hugepages-8kB/stats/split')).toBe('0\n');
    expect(thp.paths().every((path) => thp.get(path) !== null)).toBe(true);
  });
  test('words are taken with or without a newline, others refused', () => {
    const { thp } = bootSystem().system;
    expect([thp.set('hugepages-64kB/enabled', 'always\n'), thp.set('enabled', 'never'), thp.set('enabled', 'inherit'), thp.set('hugepages-64kB/enabled', 'alway'),
      thp.set('hpage_pmd_size', '1'), thp.set('use_zero_page', '0\n'), thp.set('use_zero_page', '2'), thp.set('nothing', '1')]).toEqual([0, 0, -22, -22, -13, 0, -22, -2]);
    expect([thp.modeOf(4), thp.enabled, thp.useZeroPage]).toEqual(['always', 'never', false]);
    // Shared memory is base pages: a word that promises more is refused.
    expect([thp.set('shmem_enabled', 'advise'), thp.get('shmem_enabled')]).toEqual([0, 'always within_size [advise] never deny force\n']);
    expect([thp.set('shmem_enabled', 'deny'), thp.set('shmem_enabled', 'always'), thp.set('hugepages-64kB/shmem_enabled', 'inherit\n'), thp.set('hugepages-64kB/shmem_enabled', 'deny')]).toEqual([0, 0, 0, -22]);
    // force means 2 MiB, and no size that follows it.
    expect([thp.set('shmem_enabled', 'force'), thp.set('hugepages-64kB/shmem_enabled', 'never'), thp.set('shmem_enabled', 'force'), thp.set('hugepages-64kB/shmem_enabled', 'inherit')]).toEqual([-22, 0, 0, -22]);
  });
  test('madvise and inherit follow the advice and the top-level word', () => {
    const { program, system: { thp } } = boot();
    thp.set('hugepages-16kB/enabled', 'madvise');
    thp.set('hugepages-64kB/enabled', 'inherit');
    thp.set('enabled', 'madvise');
    program.map(0x30000, BASE);
    program.mm.madvise(BASE + 0x10000, 0x10000, Madvise.HugePage);
    program.write(BASE);
    program.write(BASE + 0x10000);
    thp.set('enabled', 'never');
    program.mm.madvise(BASE + 0x20000, 0x10000, Madvise.HugePage);
    program.write(BASE + 0x20000);
    expect(picture(program.mm)).toBe('0x1000000000 0............... | 0x1000010000 4444444444444444 2222............');
  });
  test('switched off by prctl: everywhere, or except where a program asks (6.18)', () => {
    const { program } = boot({ orders: [4] });
    program.map(0x30000, BASE);
    program.mm.thpDisabled = true;
    program.write(BASE);
    [program.mm.thpDisabled, program.mm.thpExceptAdvised] = [false, true];
    program.write(BASE + 0x10000);
    program.mm.madvise(BASE + 0x20000, 0x10000, Madvise.HugePage);
    program.write(BASE + 0x20000);
    expect(picture(program.mm)).toBe('0x1000000000 0............... 0............... | 0x1000020000 4444444444444444');
  });
  test('without the huge zero folio a read of 2 MiB maps a folio of its own', () => {
    const { program, system } = boot({ orders: [9] });
    system.thp.set('use_zero_page', '0');
    program.map(4 << 20, BASE);
    program.read(BASE);
    system.thp.set('use_zero_page', '1');
    program.read(BASE + (2 << 20));
    expect([picture(program.mm, BASE, BASE + 4096), picture(program.mm, BASE + (2 << 20), BASE + (2 << 20) + 4096)]).toEqual(['0x1000000000 9', '0x1000200000 Z']);
    expect([system.vmstat.get('thp_fault_alloc'), system.vmstat.get('thp_zero_page_alloc')]).toEqual([1, 1]);
    system.check();
  });
  test('a size that cannot be had falls back to the next, counted', () => {
    const { program, system } = boot({ orders: [2, 4, 9], ramBytes: 16 << 20 });
    // Hold all but a few small blocks.
    while (system.allocFolio(9, 1, 0) !== 0);
    while (system.allocFolio(4, 1, 0) !== 0);
    system.params.vm.min_free_kbytes = 0;
    system.setupWatermarks();
    while (system.allocFolio(4, 1, 0) !== 0);
    program.map(4 << 20, BASE);
    program.write(BASE);
    expect([system.thp.stat(9, 'anon_fault_fallback'), system.thp.stat(4, 'anon_fault_fallback'), system.vmstat.get('thp_fault_fallback')]).toEqual([1, 1, 1]);
    expect(picture(program.mm, BASE, BASE + 0x4000)).toMatch(/0x1000000000 (2222|0\.\.\.)/);
  });
});

describe('fault records', () => {
  test('tell the phases of a first touch, with the reason for the order and the words that changed', () => {
    const { program, system } = boot({ orders: [2, 4] });
    program.map(0x10000, BASE + 0xc000);
    system.faults.start();
    program.write(BASE + 0xd123);
    const [record] = system.faults.take();
    expect(record!.phases.map((p) => p.name)).toEqual(['trap', 'vma lookup', 'order choice', 'allocate', 'zero', 'rmap+lru', 'map', 'return']);
    expect([record!.kind, record!.result, record!.va, record!.access]).toEqual(['anon', 0, BASE + 0xd123, 1]);
    const order = record!.phases[2]!;
    expect([order.facts['wanted'], order.facts['chosen'], order.reason]).toEqual([4, 2, 'vma-too-small']);
    expect(reasons[order.reason!].hint).toContain('larger');
    const written = record!.phases.find((p) => p.name === 'map')!.ptes;
    expect(written.map((w) => [w.index, w.oldLow, w.newLow >>> 10])).toEqual([12, 13, 14, 15].map((i) => [i, 0, program.frame(BASE + i * 4096)]));
    expect(record!.endCycle - record!.cycle).toBe(system.params.cost.fault + system.params.cost.vma_lookup + 3 * system.params.cost.page_alloc
      + 2 * system.params.cost.page_zero + system.params.cost.page_zero * 4 + 6 * system.params.cost.pte_set + 4 * system.params.cost.rmap);
    system.faults.stop();
    program.write(BASE + 0x10000);
    expect(system.faults.take()).toEqual([]);
  });
  test('name what went wrong', () => {
    const { program, system } = boot();
    program.map(0x1000, BASE, Prot.Read);
    system.faults.start();
    program.write(BASE);
    program.read(BASE + 0x5000);
    expect(system.faults.take().map((r) => [r.kind, r.phases[1]!.reason])).toEqual([['failed', 'no-right'], ['failed', 'no-vma']]);
  });
  test('every kind of fault is counted once', () => {
    const { program, system } = boot();
    program.map(0x4000, BASE);
    program.read(BASE);
    program.write(BASE);
    program.write(BASE + 0x1000);
    program.read(BASE + 0x9000);
    expect(Object.fromEntries(Object.entries(system.faultsByKind()).filter(([, n]) => n > 0))).toEqual({ anon: 1, 'anon-zero-page': 1, 'cow-copy': 1 });
    expect(system.vmstat.get('pgfault')).toBe(3);
  });
  test('tracepoints carry Linux\'s names and fields', () => {
    const { program } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    const seen: string[] = [];
    const stops = [mmPageAlloc, pageFaultUser].map((point) => point.listen((p, values) => seen.push(`${p.system}:${p.name}: ${p.format(values)}`)));
    program.write(BASE + 8);
    for (const stop of stops) stop();
    expect(seen[0]).toBe('exceptions:page_fault_user: address=0x1000000008 ip=0x0 error_code=0xf');
    expect(seen[seen.length - 1]).toMatch(/^kmem:mm_page_alloc: pfn=0x8\w+ order=4 migratetype=1 gfp_flags=0x1c20ca$/);
  });
});

test('smaps adds up: private, shared, zero pages not at all', () => {
  const { program, system } = boot({ orders: [2] });
  program.map(0x10000, BASE);
  program.touch(BASE, 0x8000);
  program.read(BASE + 0x9000);
  const vma = program.mm.findVma(BASE)!;
  expect(smapsOf(program.mm, vma)).toMatchObject({ size: 0x10000, rss: 0x8000, pss: 0x8000, privateDirty: 0x8000, anonymous: 0x8000, referenced: 0x8000, anonHugePages: 0, thpEligible: true });
  system.check();
});
