// What is told of evictions to those who ask: which page, from where, last seen when, and how long it stayed away.
import { describe, expect, test } from 'vitest';
import type { Folio } from '#base';
import { chosen } from '#kernel/mm/reclaim/chosen.ts';
import type { Eviction } from '#kernel/mm/reclaim/eviction-record.ts';
import { folioReferenced } from '#kernel/mm/reclaim/referenced.ts';
import { mglru } from '#kernel/mm/reclaim/lru-gen.ts';
import { smallPolicies } from '#kernel/mm/reclaim/policies.ts';
import { twoList } from '#kernel/mm/reclaim/two-list.ts';
import type { LruvecKind } from '#kernel/mm/reclaim/lruvec.ts';
import { bootSystem, Program } from '../../../support/mm-fixture.ts';
import { addSwap } from '../../../support/swap-fixture.ts';

const kinds: readonly LruvecKind[] = [chosen('fifo', smallPolicies.fifo, 1), twoList, mglru];
/** A program whose group may have 200 pages, and swap. */
function boot(kind: LruvecKind) {
  const { system } = bootSystem({ ramBytes: 32 << 20 });
  system.lru.setKind(kind);
  addSwap(system, 4096);
  const group = system.memcg.create('g')!;
  group.max = 200;
  system.memcg.active = group;
  const program = Program.on(system);
  const at = program.map(600 * 4096);
  system.lru.evictions.start();
  const told: Eviction[] = [];
  system.lru.evictions.listener = (eviction) => { told.push(eviction); };
  const write = (page: number): void => { expect(program.user.setU32(at + page * 4096, page + 1)).toBe(true); };
  const storyOf = (page: number) => {
    const vma = program.mm.findVma(at)!;
    return system.lru.evictions.storyOf(-vma.anonVma!.id, vma.pgoff + page);
  };
  return { system, program, group, at, told, write, storyOf };
}

describe.each(kinds.map((kind) => [kind.name, kind] as const))('%s', (name, kind) => {
  test('every eviction is told of once, with its page, its policy and whose limit was in the way', () => {
    const { system, told, write, group } = boot(kind);
    for (let page = 0; page < 600; page++) write(page);
    expect(told.length).toBeGreaterThan(350);
    expect(told.reduce((sum, { pages }) => sum + pages, 0)).toBe(group.stat.get('pgsteal_direct'));
    expect(told.map(({ number }) => number)).toEqual(told.map((_, i) => i));
    for (const eviction of told) {
      expect(eviction).toMatchObject({ pages: 1, group: '/g', limitOf: '/g', policy: name });
      expect(eviction.standing).toMatch(/inactive_anon|generation \d+ of|held by fifo/);
    }
    for (const [i, { pagesBefore }] of told.entries()) expect(pagesBefore).toBe(i);
    system.check();
  });
  test('a page that comes back has a distance: the pages that went in between', () => {
    const { told, write, storyOf } = boot(kind);
    for (let page = 0; page < 600; page++) write(page);
    const gone = Array.from({ length: 600 }, (_, page) => page).find((page) => storyOf(page) !== null && storyOf(page)!.back === null)!;
    const { number } = storyOf(gone)!.last;
    const between = told.length - number;
    write(gone);
    expect(storyOf(gone)).toMatchObject({ times: 1, back: { distance: between }, returns: 1, distances: between });
    for (let page = 0; page < 600; page++) if (page !== gone) write(page);
    expect(storyOf(gone)!.times).toBeGreaterThanOrEqual(1);
  });
  test('nothing is noted while nobody asks, and the state is the same in both cases', () => {
    const run = (isAsked: boolean): unknown[] => {
      const { system, write, told, group } = boot(kind);
      if (!isAsked) system.lru.evictions.stop();
      for (let page = 0; page < 900; page++) write((page * 7) % 600);
      return [told.length > 0, system.vmstat.lines(), system.machine.clockCycles, [...group.lruvec.all(0)]];
    };
    const [asked, unasked] = [run(true), run(false)];
    expect([asked[0], unasked[0]]).toEqual([true, false]);
    expect(asked.slice(1)).toEqual(unasked.slice(1));
  });
});

test('when a page was last seen in use is what an accessed bit said, or a system call did', () => {
  const { system, program, at, write, storyOf } = boot(kinds[0]!);
  for (let page = 0; page < 10; page++) write(page);
  const folio = (page: number): Folio => system.folios.folioOf(program.frame(at + page * 4096) as Folio);
  system.machine.charge(1000);
  const seenAt = system.machine.clockCycles;
  folioReferenced(system, folio(3), null, null);
  system.lru.markAccessed(folio(4));
  for (let page = 10; page < 600; page++) write(page);
  expect(storyOf(2)!.last.lastSeen).toBeNull(); // fifo asks nobody
  expect(storyOf(3)!.last.lastSeen).toMatchObject({ by: 'accessed bit' });
  expect(storyOf(3)!.last.lastSeen!.cycle).toBeGreaterThanOrEqual(seenAt);
  expect(storyOf(4)!.last.lastSeen).toMatchObject({ by: 'system call' });
});
