// Shadows: what is remembered of evicted pages, what follows from it when they come back, and how the memory of it is bounded.
import { describe, expect, test } from 'vitest';
import { asFolio } from '#base';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import type { KernelParams } from '#kernel/params.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { TwoListLruvec } from '#kernel/mm/reclaim/two-list.ts';
import { XArray, isShadowValue, shadowValue } from '#kernel/mm/xarray.ts';
import { MemdescType } from '#kernel/mm/folio.ts';
import { Gfp } from '#kernel/mm/gfp.ts';
import { bootSystem } from '../../support/mm-fixture.ts';
import { SlowDisk } from '../../support/slow-disk.ts';

/** Reclaim sees what there is, and not what there was two seconds ago. */
const exactSums = (params: KernelParams): void => { params.vm.memcg_flush_interval = 0; };
function cacheOf(system: MmSystem) {
  const { space } = new SlowDisk(system, 64 << 20);
  const add = (index: number) => {
    const folio = system.allocFolio(0, MemdescType.FileFolio, Gfp.User);
    if (folio === 0) throw new Error('no memory');
    space.addFolio(folio, index);
    return folio;
  };
  const evict = (index: number): void => {
    const folio = space.folioAt(index);
    if (folio === 0) throw new Error(`page ${index} is not there`);
    system.lru.isolate(folio);
    space.evictFolio(folio, system.lru.evicted(folio, null));
    system.putFolio(folio);
  };
  return { space, add, evict };
}

describe('refault distance', () => {
  test('what comes back within as many evictions as there are active pages becomes active, and what comes later does not', () => {
    const { system } = bootSystem({ params: exactSums });
    const { space, add, evict } = cacheOf(system);
    const lruvec = system.memcg.root.lruvec as TwoListLruvec;
    // Ten active pages: the distance that counts as near.
    for (let i = 0; i < 10; i++) {
      add(1000 + i);
      for (const _ of [0, 1]) system.lru.markAccessed(asFolio(space.folioAt(1000 + i)));
    }
    for (let i = 0; i < 40; i++) add(i);
    const ages = lruvec.nonresidentAge;
    evict(0);
    for (let i = 1; i <= 9; i++) evict(i);
    expect(lruvec.nonresidentAge).toBe(ages + 10);
    // Distance 10: still near.
    expect(system.folios.test(add(0), FolioFlag.Active)).toBe(true);
    // Its own activation counts as well: for page 1 that makes nine evictions since its own, and one.
    for (let i = 10; i < 12; i++) evict(i);
    expect(system.folios.test(add(1), FolioFlag.Active)).toBe(false);
    expect(system.vmstat.get('workingset_refault_file')).toBe(2);
    expect(system.vmstat.get('workingset_activate_file')).toBe(1);
    expect(system.vmstat.get('workingset_restore_file')).toBe(0);
  });
  test('what was active before it was evicted is restored, and its refault is a cost', () => {
    const { system } = bootSystem({ params: exactSums });
    const { space, add, evict } = cacheOf(system);
    for (let i = 0; i < 200; i++) add(i);
    for (let i = 100; i < 200; i++) for (const _ of [0, 1]) system.lru.markAccessed(asFolio(space.folioAt(i)));
    system.folios.set(asFolio(space.folioAt(3)), FolioFlag.Workingset);
    const lruvec = system.memcg.root.lruvec as TwoListLruvec;
    evict(3);
    const before = lruvec.cost[1];
    const back = add(3);
    expect(system.folios.test(back, FolioFlag.Active | FolioFlag.Workingset)).toBe(true);
    expect(system.vmstat.get('workingset_restore_file')).toBe(1);
    expect(lruvec.cost[1]).toBe(before + 32);
  });
  test('a page that is about to be overwritten is not missed', () => {
    const { system } = bootSystem({ params: exactSums });
    const { space, add, evict } = cacheOf(system);
    add(5);
    evict(5);
    const folio = system.allocFolio(0, MemdescType.FileFolio, Gfp.User);
    if (folio === 0) throw new Error('no memory');
    space.addFolio(folio, 5, true);
    expect(system.vmstat.get('workingset_refault_file')).toBe(0);
  });
  test('cutting a file forgets what was remembered of it', () => {
    const { system } = bootSystem({ params: exactSums });
    const { space, add, evict } = cacheOf(system);
    for (const index of [3, 70, 200]) {
      add(index);
      evict(index);
    }
    expect(isShadowValue(space.pages.load(70))).toBe(true);
    space.truncate(70 * 4096);
    expect([3, 70, 200].map((index) => isShadowValue(space.pages.load(index)))).toEqual([true, false, false]);
  });
});

test('how near is near is judged by sums that are two seconds old', () => {
  const { system } = bootSystem();
  const { space, add, evict } = cacheOf(system);
  for (let i = 0; i < 20; i++) {
    add(1000 + i);
    for (const _ of [0, 1]) system.lru.markAccessed(asFolio(space.folioAt(1000 + i)));
  }
  add(0);
  evict(0);
  // Nothing has been summed up yet: no active page is known of.
  expect(system.folios.test(add(0), FolioFlag.Active)).toBe(false);
  evict(0);
  system.machine.charge(2.1e9);
  expect(system.folios.test(add(0), FolioFlag.Active)).toBe(true);
});

describe('nodes of shadows', () => {
  test('are counted while they hold nothing else', () => {
    const { system } = bootSystem({ params: exactSums });
    const { add, evict } = cacheOf(system);
    add(0);
    add(1);
    evict(0);
    expect(system.vmstat.get('workingset_nodes')).toBe(0);
    evict(1);
    expect(system.vmstat.get('workingset_nodes')).toBe(1);
    add(1);
    expect(system.vmstat.get('workingset_nodes')).toBe(0);
  });
  test('beyond an eighth of the machine\'s pages the oldest are given up', () => {
    const { system } = bootSystem({ ramBytes: 16 << 20, params: exactSums });
    const tree = new XArray();
    system.shadowNodes.watch(tree);
    const most = system.managedPages >>> 3;
    for (let i = 0; i < most + 40; i++) tree.store(i * 64, 0, shadowValue(i));
    expect(system.shadowNodes.freeable).toBe(40);
    expect(system.shadowNodes.shrink(1000)).toBe(40);
    expect([0, 39, 40].map((i) => tree.load(i * 64) !== 0)).toEqual([false, false, true]);
    expect(system.vmstat.get('workingset_nodereclaim')).toBe(40);
  });
});

test('a shadow of a large folio serves every page of its place, and a smaller folio there leaves the rest', () => {
  const { system } = bootSystem({ params: exactSums });
  const space = new AddressSpace(system, 'file', null, null);
  space.pages.store(16, 4, shadowValue(77));
  expect(space.folioAt(20)).toBe(0);
  expect(space.nextFolio(0, 64)).toBe(0);
  expect(space.pages.clearValues(20, 0)).toBe(shadowValue(77));
  expect([16, 19, 20, 21, 31].map((index) => isShadowValue(space.pages.load(index)))).toEqual([true, true, false, true, true]);
  expect(space.pages.nextMiss(0, 100)).toBe(0);
});
