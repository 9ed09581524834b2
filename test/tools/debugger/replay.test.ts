// Going through a run both ways: wherever one comes from, a place is the same place, and it is the one that a plain run passes.
// QUIRE_LONG=1: more random moves. QUIRE_SEED=n: the moves of one failure again.
import { afterAll, describe, expect, test, vi } from 'vitest';
import { Prng, tracepoints } from '#base';
import { ENGINES } from '#cpu';
import { comparePlaces, type Place, type Stop, type Timeline, type Until } from '#tools/debugger/index.ts';
import { quire, scratch } from '../../support/cli.ts';
import { at, END, openGuest, plainHashes, seeds, START } from './fixture.ts';

const point = (name: string) => tracepoints().get(name)!;
const all = (names: readonly string[]) => ({ points: new Set(names.map(point)), at: () => true });

const folder = scratch();
afterAll(() => folder.remove());
const image = folder.path('disk.img');
quire(['mkfs', image, '--size', '4M']);

/** Threads, fork, signals; swap under a limit, with processes that are killed; folios of many sizes, khugepaged among them; a shell that runs programs. */
const guests = {
  hello: '--mem 64M -- hello',
  swapcheck: '--mem 48M --swap 32M --memory-max 3M -- swapcheck --size 3M --shared 512K --steps 200 --forks 2',
  khugepaged: '--mem 64M --thp always --set /sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs=1 -- sparse --bytes 16M --gap 16K --rounds 60',
  build: '--mem 64M -- build --units 2 --lines 20',
  mglru: '--mem 48M --swap 32M --memory-max 3M --lru mglru -- reclaim --size 4M --touches 1500 --verify 1',
  clock: '--mem 48M --swap 32M --memory-max 3M --lru clock --seed 5 -- reclaim --size 4M --touches 1500',
  // Waits for its disk, whose image stays as it is.
  disk: `--mem 48M --disk ${image}:rw -- sh -c cp\u00a0/bin/hello\u00a0/mnt/a;cat\u00a0/mnt/a\u00a0/mnt/a>/mnt/b;rm\u00a0/mnt/a;wc\u00a0/mnt/b`,
};

describe('a place is the same state as in a plain run', () => {
  for (const engine of ENGINES) {
    for (const [name, words] of Object.entries(guests)) {
      if (engine !== 'jit' && name !== 'hello') continue;
      test(`${name}, ${engine}`, () => {
        const whole = plainHashes(`--engine ${engine} ${words}`, []);
        const instrets = [0.1, 0.35, 0.77, 0.999].map((share) => Math.floor(whole.instructions * share));
        const plain = plainHashes(`--engine ${engine} ${words}`, instrets);
        const timeline = openGuest(`--engine ${engine} ${words}`);
        expect(timeline.forward({})).toEqual({ kind: 'exited' });
        expect(timeline.session.stateHash()).toBe(plain.end);
        for (const i of [3, 0, 2, 1, 1, 0]) {
          timeline.seek(at(instrets[i]!));
          expect([timeline.place.instret, timeline.session.stateHash()]).toEqual([instrets[i], plain.hashes[i]]);
        }
        timeline.seek(END);
        expect(timeline.stop).toEqual({ kind: 'exited' });
        expect(timeline.session.stateHash()).toBe(plain.end);
        timeline.close();
      });
    }
  }
});

describe('instruction by instruction', () => {
  test('n steps forward and n back give the same state, over traps, too', () => {
    const timeline = openGuest(guests.hello);
    timeline.forward({ events: all(['sys_enter']) });
    timeline.seek(at(timeline.place.instret - 3));
    const states: [Place, string][] = [];
    for (let i = 0; i < 40; i++) {
      states.push([timeline.place, timeline.session.stateHash()]);
      timeline.stepInstructions(1);
    }
    // Some of the steps are system calls, which do not retire.
    expect(timeline.place.instret).toBeLessThan(states[0]![0].instret + 40);
    for (const [place, hash] of [...states].reverse()) {
      timeline.stepInstructions(-1);
      expect([timeline.place, timeline.session.stateHash()]).toEqual([place, hash]);
    }
    for (const n of [3, 17, 39]) {
      timeline.stepInstructions(n);
      expect([timeline.place, timeline.session.stateHash()]).toEqual(states[n]);
      timeline.stepInstructions(-n);
      expect([timeline.place, timeline.session.stateHash()]).toEqual(states[0]);
    }
    timeline.close();
  });
  test('going back beyond the start ends at the start', () => {
    const timeline = openGuest(guests.hello);
    timeline.seek(at(1000));
    expect(timeline.stepInstructions(-5000)).toEqual({ kind: 'start' });
    expect(timeline.place).toEqual(START);
    timeline.close();
  });
  test('a breakpoint is found backwards also where a checkpoint was made at it', () => {
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 1000));
    const timeline = openGuest(guests.hello);
    timeline.seek(at(20_000));
    const pcs = { addresses: new Set([Number(timeline.session.machine.pc)]), at: () => true };
    timeline.seek(START);
    const places: Place[] = [];
    // Who asks for events and is far from a checkpoint makes one first.
    while (places.length < 30 && timeline.forward({ pcs, events: { points: new Set([point('sys_enter')]), at: () => false } }).kind === 'pc') places.push(timeline.place);
    clock.mockRestore();
    expect(places.length).toBeGreaterThan(3);
    timeline.stepInstructions(1);
    const back: Place[] = [];
    while (timeline.backward({ pcs }).kind === 'pc') back.unshift(timeline.place);
    expect(back).toEqual(places);
    timeline.close();
  });
  test('asking at every instruction finds the same instructions backwards', () => {
    const timeline = openGuest(guests.hello);
    timeline.seek(at(20_000));
    const floor = timeline.place;
    const seen: number[] = [];
    timeline.forward({ instructions: (pc) => { seen.push(pc); return false; }, place: at(21_000) });
    const wanted = seen[300]!;
    const places: Place[] = [];
    timeline.seek(floor);
    while (timeline.forward({ instructions: (pc) => pc === wanted, place: at(21_000) }).kind === 'instruction') places.push(timeline.place);
    expect(places.length).toBeGreaterThan(0);
    const back: Place[] = [];
    while (timeline.backward({ instructions: (pc) => pc === wanted, place: floor }).kind === 'instruction') back.unshift(timeline.place);
    expect(back).toEqual(places);
    timeline.close();
  });
});

describe('inside the kernel', () => {
  test('events and phases come in one order, forwards and backwards, and the state in the middle is the same', () => {
    const timeline = openGuest(guests.hello);
    timeline.seek(at(12_000));
    const floor = timeline.place;
    const until = { events: all(['page_fault_user', 'mm_page_alloc', 'sys_enter', 'sys_exit']), phases: () => true };
    const describeStop = (stop: Stop): string => (stop.kind === 'event' ? stop.point.name : stop.kind === 'phase' ? `${stop.fault.number}:${stop.phase.name}` : stop.kind);
    const there: unknown[] = [];
    for (let i = 0; i < 40; i++) there.push([describeStop(timeline.forward(until)), timeline.place, timeline.fault?.phases.length ?? 0, timeline.session.stateHash()]);
    expect(there.map((row) => (row as string[])[0]!.replace(/^\d+:/, ''))).toContain('rmap+lru');
    timeline.forward(until);
    const back: unknown[] = [];
    for (let i = 0; i < 40; i++) back.unshift([describeStop(timeline.backward(until)), timeline.place, timeline.fault?.phases.length ?? 0, timeline.session.stateHash()]);
    expect(back).toEqual(there);
    timeline.backward({ ...until, place: floor });
    expect(timeline.place).toEqual(floor);
    timeline.close();
  });
  test('out of the kernel forwards is the instruction tried again, backwards the one that trapped', () => {
    const timeline = openGuest(guests.hello);
    timeline.seek(at(12_000));
    timeline.forward({ phases: (_, phase) => phase.name === 'map' });
    const { instret } = timeline.place;
    const pc = timeline.session.machine.pc;
    expect(timeline.fault?.phases.at(-1)?.name).toBe('map');
    timeline.stepInstructions(0);
    expect([timeline.place.instret, timeline.place.phase, timeline.session.machine.pc, timeline.fault]).toEqual([instret, -1, pc, null]);
    timeline.stepInstructions(1);
    expect(timeline.place.instret).toBe(instret + 1);
    timeline.backward({ phases: (_, phase) => phase.name === 'map' });
    timeline.stepInstructions(-1);
    expect([timeline.place.instret, timeline.session.machine.pc]).toEqual([instret, pc]);
    timeline.close();
  });
  test('the n-th event can be gone to', () => {
    const timeline = openGuest(guests.hello);
    const names: string[] = [];
    for (let i = 1; i <= 12; i++) {
      timeline.seekEvent(i);
      names.push(`${timeline.place.event}`);
    }
    expect(names).toEqual(Array.from({ length: 12 }, (_, i) => `${i + 1}`));
    timeline.seekEvent(5);
    expect(timeline.place.event).toBe(5);
    timeline.close();
  });
});

describe('breakpoints', () => {
  test('every engine stops at the same places, and they are those where the pc is', () => {
    const pcs = new Set<number>();
    const first = openGuest(guests.hello);
    first.seek(at(30_000));
    first.forward({ instructions: (pc) => { pcs.add(pc); return false; }, place: at(30_400) });
    first.close();
    const addresses = new Set([...pcs].filter((_, i) => i % 40 === 4));
    const stops = ENGINES.map((engine) => {
      const timeline = openGuest(`--engine ${engine} ${guests.hello}`);
      timeline.seek(at(29_500));
      const places: string[] = [];
      while (timeline.forward({ pcs: { addresses, at: () => true }, place: at(31_000) }).kind === 'pc') {
        expect(addresses.has(Number(timeline.session.machine.pc))).toBe(true);
        places.push(`${JSON.stringify(timeline.place)} ${timeline.session.stateHash()}`);
      }
      const back: string[] = [];
      while (timeline.backward({ pcs: { addresses, at: () => true }, place: at(29_500) }).kind === 'pc') back.unshift(`${JSON.stringify(timeline.place)} ${timeline.session.stateHash()}`);
      expect(back).toEqual(places);
      timeline.close();
      return places;
    });
    expect(stops[0]!.length).toBeGreaterThan(2);
    expect(stops[1]).toEqual(stops[0]);
    expect(stops[2]).toEqual(stops[0]);
    // The same by looking at every instruction.
    const slow = openGuest(guests.hello);
    slow.seek(at(29_500));
    const places: string[] = [];
    while (slow.forward({ instructions: (pc) => addresses.has(pc), place: at(31_000) }).kind === 'instruction') places.push(`${JSON.stringify(slow.place)} ${slow.session.stateHash()}`);
    expect(places).toEqual(stops[0]);
    slow.close();
  });
});

describe('random moves', () => {
  const worlds = [
    '--mem 48M --swap 16M --memory-max 2M -- swapcheck --size 2M --shared 512K --steps 200 --forks 2',
    '--mem 64M -- hello',
    '--mem 48M --swap 32M --memory-max 3M --lru mglru --thp always -- reclaim --size 4M --touches 1500 --verify 1',
    `--mem 48M --disk ${image}:rw -- sh -c cp\u00a0/bin/hello\u00a0/mnt/a;cat\u00a0/mnt/a\u00a0/mnt/a>/mnt/b;rm\u00a0/mnt/a;wc\u00a0/mnt/b`,
    '--mem 64M --preset tiny --svade --engine interp -- build --units 2 --lines 20',
  ];
  test.each(seeds('timeline moves', 3))('come to the same states (QUIRE_SEED=%i replays it)', (seed) => {
    const random = new Prng(seed, 'moves');
    const timeline = openGuest(worlds[random.below(worlds.length)]!, { ringBytes: (32 + random.below(200)) << 20 });
    const known = new Map<string, string>();
    const look = (): void => {
      const key = JSON.stringify(timeline.place);
      const hash = timeline.session.stateHash();
      expect([key, known.get(key) ?? hash]).toEqual([key, hash]);
      known.set(key, hash);
    };
    timeline.forward({});
    const end = timeline.place;
    const visited: Place[] = [end];
    look();
    for (let i = 0; i < 40; i++) {
      move(timeline, random, end, visited);
      visited.push(timeline.place);
      look();
    }
    timeline.seek(end);
    look();
    timeline.close();
  });
});

/** One move; of those that can be undone, the undoing is checked. */
function move(timeline: Timeline, random: Prng, end: Place, visited: readonly Place[]): void {
  const names = [['page_fault_user'], ['sys_enter', 'sys_exit'], ['mm_page_free'], ['sched_switch']][random.below(4)]!;
  const before = timeline.place;
  const instret = random.below(end.instret);
  switch (random.below(10)) {
    case 0: timeline.seek(at(instret)); return;
    case 1: timeline.seek(visited[random.below(visited.length)]!); return;
    case 2: timeline.stepInstructions(random.below(60)); return;
    case 3: timeline.stepInstructions(-random.below(60)); return;
    case 4: timeline.forward({ events: all(names) }); return;
    case 5: timeline.backward({ events: all(names) }); return;
    case 6: {
      const phases = (_: unknown, { name }: { name: string }): boolean => name === 'allocate' || name === 'return';
      if (timeline.forward({ phases }).kind !== 'phase') return;
      expect(comparePlaces(timeline.place, before)).toBeGreaterThan(0);
      const there = timeline.place;
      timeline.forward({ phases });
      if (timeline.stop.kind === 'phase') timeline.backward({ phases });
      expect(timeline.stop.kind === 'phase' ? timeline.place : there).toEqual(there);
      return;
    }
    case 7: timeline.backward({ phases: (_, { name }) => name === 'map' }); return;
    case 8: {
      timeline.seek(at(instret));
      const addresses = new Set([Number(timeline.session.machine.pc)]);
      const until: Until = { pcs: { addresses, at: () => true } };
      const start = timeline.place;
      if (timeline.forward({ ...until, place: at(instret + 200_000) }).kind !== 'pc') return;
      expect(addresses.has(Number(timeline.session.machine.pc))).toBe(true);
      timeline.backward(until);
      expect(comparePlaces(timeline.place, start)).toBeGreaterThanOrEqual(0);
      return;
    }
    default: {
      timeline.seek(at(instret));
      const { current } = timeline.session.kernel;
      if (current === null) return;
      const sp = Number(BigInt.asUintN(38, timeline.session.machine.x[2]!));
      const until: Until = { memory: [{ id: 1, space: { mmId: current.mm.id }, start: sp, lenBytes: 8, on: 'access' }] };
      const start = timeline.place;
      if (timeline.forward({ ...until, place: at(instret + 200_000) }).kind !== 'memory') return;
      const there = timeline.place;
      if (timeline.forward({ ...until, place: at(instret + 400_000) }).kind !== 'memory') return;
      timeline.backward(until);
      expect([comparePlaces(there, start) > 0, timeline.place]).toEqual([true, there]);
    }
  }
}

describe('what comes from outside', () => {
  const text = (chunks: readonly { readonly bytes: Uint8Array }[]): string => chunks.map(({ bytes }) => new TextDecoder().decode(bytes)).join('');
  test('a change of registers or memory is there whenever the run comes by', () => {
    const timeline = openGuest(guests.hello);
    timeline.forward({});
    const plain = timeline.session.stateHash();
    timeline.seek(at(100_000));
    const before = timeline.session.stateHash();
    timeline.edit(({ machine }) => { machine.x[31] = 0x1234n; });
    const changed = timeline.session.stateHash();
    expect(changed).not.toBe(before);
    expect(timeline.furthest).toEqual(timeline.place);
    const here = timeline.place;
    timeline.stepInstructions(50);
    const later = [timeline.place, timeline.session.stateHash()] as const;
    timeline.seek(START);
    timeline.seek(here);
    expect(timeline.session.stateHash()).toBe(changed);
    timeline.stepInstructions(-1);
    timeline.seek(later[0]);
    expect(timeline.session.stateHash()).toBe(later[1]);
    timeline.stepInstructions(-50);
    expect([timeline.place, timeline.session.stateHash()]).toEqual([here, changed]);
    timeline.seek(END);
    expect(timeline.session.stateHash()).not.toBe(plain);
    timeline.close();
  });
  test('input is waited for, and comes again at its place; nothing is shown twice', () => {
    const timeline = openGuest('--mem 48M -- cat');
    expect(timeline.forward({})).toEqual({ kind: 'input' });
    const waiting = timeline.place;
    timeline.feed(new TextEncoder().encode('one\n'));
    expect(timeline.forward({})).toEqual({ kind: 'input' });
    expect(text(timeline.takeOutput())).toBe('one\n');
    timeline.feed(new TextEncoder().encode('two\n'));
    timeline.feed(new Uint8Array(0));
    expect(timeline.forward({})).toEqual({ kind: 'exited' });
    const end = timeline.session.stateHash();
    expect(text(timeline.takeOutput())).toBe('two\n');
    timeline.seek(START);
    timeline.seek(waiting);
    timeline.forward({});
    expect([timeline.session.stateHash(), text(timeline.takeOutput())]).toEqual([end, '']);
    timeline.close();
  });
  test('a run that is looked away from now and then is the same', () => {
    const timeline = openGuest(guests.swapcheck);
    let looks = 0;
    while (timeline.forward({ patienceMs: 5 }).kind === 'interrupted') looks++;
    expect(looks).toBeGreaterThan(0);
    expect(timeline.session.stateHash()).toBe(plainHashes(guests.swapcheck, []).end);
    timeline.close();
  });
});
