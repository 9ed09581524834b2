// What no fence costs: a hot set that fits into the TLB looks idle to reclaim, one that is far larger than it looks hot; and the report tells them apart.
import { describe, expect, test } from 'vitest';
import type { Folio } from '#base';
import { folioReferenced } from '#kernel/mm/reclaim/referenced.ts';
import { LruType } from '#kernel/mm/reclaim/lruvec.ts';
import { boot } from '#tools/boot.ts';
import type { Session } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { type OptionGroup, parseCommandLine } from '#tools/options.ts';
import { YoungSampling } from '#tools/young.ts';
import type { YoungReport } from '#tools/young.ts';

const groups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs', 'trace'];
function start(...words: string[]): Session {
  const { values, rest } = parseCommandLine('stat', groups, words);
  return boot(prepare(values, rest, NO_TERMINAL), (session) => {
    new YoungSampling(session);
    return null;
  });
}
/** Looks at every anonymous folio of an order, as aging does, without evicting anything: so that nothing is fenced. */
function sample({ kernel: { system } }: Session, order = 0): void {
  const folios: Folio[] = [...system.memcg].flatMap(({ lruvec }) => [...lruvec.all(LruType.Anon)]);
  for (const folio of folios) if (system.folios.order(folio) === order) folioReferenced(system, folio, null, null);
}
/** What the second of two looks sees, some updates after the first one. The table has been made after 60 million instructions. */
function secondLook(session: Session, order: number): YoungReport {
  const difference = (a: YoungReport, b: YoungReport): YoungReport => ({
    ...b, samples: b.samples - a.samples, young: b.young - a.young, old: b.old - a.old, blind: b.blind - a.blind, cached: b.cached - a.cached, blindShare: (b.blind - a.blind) / (b.old - a.old),
  });
  session.step(60_000_000);
  sample(session, order);
  session.step(4_000_000);
  const before = session.young!.report();
  sample(session, order);
  return difference(before, session.young!.report());
}

describe('random updates of a table, looked at twice', () => {
  test('16 MiB in 2M pages fit into the TLB: all of them look idle, and every such look is blind', () => {
    const look = secondLook(start('--preset', 'skylake', '--thp', 'always', '--mem', '128M', '--', 'gups', '--words', '2M', '--updates', '20M'), 9);
    expect(look).toMatchObject({ samples: 8, young: 0, old: 8, blind: 8, blindShare: 1, blindByPageSize: { '2M': 8 } });
  });
  test('32 MiB in 4K pages are far more than it holds: they look as hot as they are', () => {
    const look = secondLook(start('--preset', 'skylake', '--mem', '128M', '--', 'gups', '--words', '4M', '--updates', '20M'), 0);
    expect(look.samples).toBeGreaterThan(8_000);
    expect(look.young / look.samples).toBeGreaterThan(0.95);
    // What looks idle is either idle, or among the fifteen hundred pages that L2 holds.
    expect(look.blind).toBeLessThan(1600);
  });
  test('a fence before each look would cost the blindness', () => {
    const session = start('--preset', 'skylake', '--thp', 'always', '--mem', '128M', '--', 'gups', '--words', '2M', '--updates', '10M');
    session.step(60_000_000);
    sample(session, 9);
    session.machine.fence(null, null);
    session.step(4_000_000);
    const before = session.young!.report();
    sample(session, 9);
    const after = session.young!.report();
    expect([after.young - before.young, after.old - before.old]).toEqual([8, 0]);
  });
});

test('an idle page that a TLB still holds is not called blind; one that was used is, by the level that served it', () => {
  const session = start('--preset', 'tiny', '--mem', '32M', '--', 'chase', '--nodes', '64', '--steps', '2M');
  session.step(200_000);
  sample(session);
  const first = session.young!.report();
  sample(session);
  const second = session.young!.report();
  // Nothing ran in between: everything is old, nothing is blind.
  expect([second.young - first.young, second.blind - first.blind]).toEqual([0, 0]);
  expect(second.old).toBeGreaterThan(first.old);
  expect(second.cached).toBeGreaterThan(first.cached);
  session.step(100_000);
  sample(session);
  const third = session.young!.report();
  expect(third.blind).toBeGreaterThan(second.blind);
  expect(Object.keys(third.blindByLevel).every((level) => ['l1d', 'l1i', 'l2'].includes(level))).toBe(true);
  expect(Object.values(third.blindByLevel).reduce((a, b) => a + b, 0)).toBe(third.blind);
});

test('watching changes nothing of the run', () => {
  const hashes = [true, false].map((isWatched) => {
    const session = start('--mem', '32M', '--memory-max', '1M', '--swap', '16M', '--', 'gups', '--words', '128K', '--updates', '20000');
    if (!isWatched) session.kernel.system.sampling = null;
    while (session.step(5_000_000) === 'running');
    return session.stateHash();
  });
  expect(hashes[0]).toBe(hashes[1]);
});
