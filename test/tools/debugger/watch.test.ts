// Watched memory: every access is found where it happens, in every engine, by programs, by walks and by the kernel, and watching changes nothing.
import { describe, expect, test } from 'vitest';
import { vpnOfVa, type Vpn } from '#base';
import { ENGINES } from '#cpu';
import type { MemoryWatch, Place, Stop, Timeline, Until } from '#tools/debugger/index.ts';
import { memoryAt } from '#tools/debugger/memory.ts';
import { at, END, openGuest, plainHashes } from './fixture.ts';

const words = '--mem 64M -- hello';
const FROM = 40_000;
const TO = 43_000;

const mmId = (timeline: Timeline): number => timeline.session.kernel.current!.mm.id;
const wordAt = (timeline: Timeline, va: number): string => memoryAt(timeline.session.kernel.current!.mm, va, 8).toString();
const stackTop = (timeline: Timeline): number => Number(timeline.session.machine.x[2]);

/** All stops of a stretch, forwards; and that they are the same backwards. */
function stopsOf(timeline: Timeline, until: Until, from: Place, to: Place): { place: Place; stop: Stop; hash: string }[] {
  const stops = [];
  timeline.seek(from);
  for (;;) {
    const stop = timeline.forward({ ...until, place: to });
    if (stop.kind !== 'memory') break;
    stops.push({ place: timeline.place, stop, hash: timeline.session.stateHash() });
  }
  const back = [];
  for (;;) {
    const stop = timeline.backward({ ...until, place: from });
    if (stop.kind !== 'memory') break;
    back.unshift({ place: timeline.place, stop, hash: timeline.session.stateHash() });
  }
  expect(back).toEqual(stops);
  return stops;
}

/** The place on the stack that the stretch writes to most often. */
function busyWord(): number {
  const timeline = openGuest(words);
  timeline.seek(at(FROM));
  const base = stackTop(timeline) - (stackTop(timeline) % 8);
  const candidates = Array.from({ length: 64 }, (_, i) => base - 256 + 8 * i);
  const last = new Map(candidates.map((va) => [va, wordAt(timeline, va)]));
  const changes = new Map<number, number>();
  timeline.forward({ place: at(FROM + 1500), instructions: () => {
    for (const va of candidates) {
      const now = wordAt(timeline, va);
      if (now !== last.get(va)) changes.set(va, (changes.get(va) ?? 0) + 1);
      last.set(va, now);
    }
    return false;
  } });
  timeline.close();
  return [...changes].sort((a, b) => b[1] - a[1])[0]![0];
}

describe('a program\'s own accesses', () => {
  const va = busyWord();
  const watchOf = (timeline: Timeline, on: MemoryWatch['on']): Until => ({ memory: [{ id: 1, space: { mmId: mmId(timeline) }, start: va, lenBytes: 8, on }] });

  test('every change is found behind the instruction that made it', () => {
    const timeline = openGuest(words);
    timeline.seek(at(FROM));
    const start = timeline.place;
    // By looking after every instruction.
    const changes: Place[] = [];
    let last = wordAt(timeline, va);
    timeline.forward({ place: at(FROM + 1500), instructions: () => {
      const now = wordAt(timeline, va);
      if (now !== last) changes.push({ instret: timeline.session.machine.instret, event: 0, phase: -1 });
      last = now;
      return false;
    } });
    const stops = stopsOf(timeline, watchOf(timeline, 'change'), start, at(FROM + 1500));
    expect(changes.length).toBeGreaterThan(3);
    expect(stops.map(({ place }) => place.instret)).toEqual(changes.map(({ instret }) => instret));
    timeline.close();
  });
  test.each(['read', 'write', 'access'] as const)('%s: all engines stop at the same places, and nothing else is different', (on) => {
    const all = ENGINES.map((engine) => {
      const timeline = openGuest(`--engine ${engine} ${words}`);
      timeline.seek(at(FROM));
      const stops = stopsOf(timeline, watchOf(timeline, on), timeline.place, at(TO));
      timeline.close();
      return stops;
    });
    expect(all[0]!.length).toBeGreaterThan(3);
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
    const hashes = plainHashes(words, all[0]!.slice(0, 5).map(({ place }) => place.instret)).hashes;
    expect(all[0]!.slice(0, 5).map(({ hash }) => hash)).toEqual(hashes);
  });
  test('a run that is watched to its end ends as any other', () => {
    const timeline = openGuest(words);
    timeline.seek(at(FROM));
    const until = watchOf(timeline, 'access');
    let hits = 0;
    for (; hits < 5000 && timeline.forward(until).kind === 'memory'; hits++);
    expect(hits).toBeGreaterThan(10);
    timeline.seek(END);
    expect(timeline.session.stateHash()).toBe(plainHashes(words, []).end);
    timeline.close();
  });
});

describe('page tables', () => {
  /** A page that is touched first after FROM: the word of its entry, and the watch on it. */
  function entryOf(timeline: Timeline): { vpn: Vpn; watch: MemoryWatch; fault: Place } {
    timeline.seek(at(FROM));
    timeline.forward({ phases: (fault, phase) => phase.name === 'map' && fault.kind !== 'file-around' && phase.ptes.length === 1 });
    const { ptes } = (timeline.stop as Extract<Stop, { kind: 'phase' }>).phase;
    const { table, index } = ptes[0]!;
    return { vpn: vpnOfVa(timeline.fault!.va), watch: { id: 1, space: 'physical', start: table * 4096 + index * 8, lenBytes: 8, on: 'write' }, fault: timeline.place };
  }
  test('the kernel\'s store is found in the middle of its work, with the line that did it', () => {
    const timeline = openGuest(words);
    const { watch, fault } = entryOf(timeline);
    timeline.backward({ memory: [watch] });
    expect(timeline.stop.kind).toBe('memory');
    const { line, isWrite } = timeline.stop as Extract<Stop, { kind: 'memory' }>;
    expect(isWrite).toBe(true);
    expect(line).toMatch(/^kernel\/mm\/pagetable\.ts:\d+ \w+, from kernel\/mm\/\w+\.ts:\d+ \w+/);
    expect([timeline.place.instret, timeline.place.phase]).toEqual([fault.instret, fault.phase - 1]);
    expect(timeline.session.machine.pteLow(Math.floor(watch.start / 4096) as never, (watch.start % 4096) / 8)).not.toBe(0);
    timeline.close();
  });
  test('a watch that asks for the next store finds it, forwards as backwards, in every engine', () => {
    const all = ENGINES.map((engine) => {
      const timeline = openGuest(`--engine ${engine} ${words}`);
      const { watch } = entryOf(timeline);
      const stops = stopsOf(timeline, { memory: [watch] }, at(0), END);
      timeline.close();
      return stops.map(({ place, hash }) => [place, hash]);
    });
    expect(all[0]!.length).toBeGreaterThan(1);
    expect(all[1]!.map(([place]) => place)).toEqual(all[0]!.map(([place]) => place));
    expect(all[2]!.map(([place]) => place)).toEqual(all[0]!.map(([place]) => place));
  });
});

test('a value is looked at after every event, and found where it moved', () => {
  const timeline = openGuest(words);
  timeline.seek(at(FROM));
  const read = (session: Timeline['session']): number => session.kernel.system.vmstat.get('pgfault');
  const before = read(timeline.session);
  const until: Until = { values: [{ id: 7, read }] };
  const there: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    const stop = timeline.forward(until) as Extract<Stop, { kind: 'value' }>;
    expect([stop.kind, stop.before, stop.after]).toEqual(['value', before + i, before + i + 1]);
    there.push(timeline.place);
  }
  timeline.forward(until);
  const back: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    timeline.backward(until);
    back.unshift(timeline.place);
  }
  expect(back).toEqual(there);
  timeline.close();
});
test('a value whose table is known is told with the line that stored it; the places are the same, and the table has its own methods afterwards', () => {
  const timeline = openGuest(words);
  timeline.seek(at(FROM));
  const tableOf = ({ kernel }: Timeline['session']): object => kernel.system.vmstat;
  const prototype = Object.getPrototypeOf(tableOf(timeline.session)) as object;
  const own = Object.getOwnPropertyDescriptors(prototype);
  const read = (session: Timeline['session']): number => session.kernel.system.vmstat.get('pgfault');
  const stopWith = (more: { heldBy?: typeof tableOf }): [Place, Extract<Stop, { kind: 'value' }>] => {
    timeline.seek(at(FROM));
    const stop = timeline.forward({ values: [{ id: 7, read, ...more }] });
    return [timeline.place, stop as Extract<Stop, { kind: 'value' }>];
  };
  const [place, seen] = stopWith({});
  const [samePlace, stored] = stopWith({ heldBy: tableOf });
  expect(samePlace).toEqual(place);
  expect([seen.isStore, stored.isStore]).toEqual([false, true]);
  expect(stored.line).toMatch(/^kernel\/mm\/memcg\.ts:\d+ countActive, from kernel\/mm\/fault\.ts:\d+ handleMmFault/);
  expect(Object.getOwnPropertyDescriptors(prototype)).toEqual(own);
  timeline.close();
});
