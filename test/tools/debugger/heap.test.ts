// Images of the kernel's objects: every kind of thing that state is made of comes back, in place; and what is left out is missed.
import { describe, expect, test } from 'vitest';
import { boot, type Session } from '#tools/boot.ts';
import { putHeapBack, takeHeap } from '#tools/debugger/heap.ts';
import { configOf } from './fixture.ts';

describe('what was changed after an image is as it was', () => {
  class Point {
    x = 1;
    y: number | undefined = 2;
    readonly tags: string[] = ['a', 'b'];
    move(): void { this.x += 10; }
  }
  const nothing = new Set<object>();
  const roundTrip = <T extends object>(value: T, change: (value: T) => void): T => {
    const root = { value };
    const image = takeHeap([root], nothing, null);
    change(value);
    putHeapBack(image);
    expect(root.value).toBe(value);
    return value;
  };
  test('fields of instances, which keep their class', () => {
    const point = roundTrip(new Point(), (p) => { p.move(); p.y = undefined; p.tags.push('c'); p.tags[0] = 'z'; });
    expect(point).toEqual(new Point());
    expect(point).toBeInstanceOf(Point);
  });
  test('properties that came and went, and their order', () => {
    const record: Record<string, number> = { b: 1, a: 2 };
    roundTrip(record, (r) => { delete r['b']; r['c'] = 3; });
    expect(Object.entries(record)).toEqual([['b', 1], ['a', 2]]);
    roundTrip(record, (r) => { delete r['b']; r['b'] = 9; });
    expect(Object.entries(record)).toEqual([['b', 1], ['a', 2]]);
  });
  test('maps and sets, in their order, with objects as keys', () => {
    const [p, q] = [new Point(), new Point()];
    const map = roundTrip(new Map<object, object>([[p, q], [q, p]]), (m) => { m.delete(p); m.set(p, p); q.move(); });
    expect([...map]).toEqual([[p, q], [q, p]]);
    expect(q.x).toBe(1);
    const set = roundTrip(new Set([3, 1, 2]), (s) => { s.delete(3); s.add(3); s.add(4); });
    expect([...set]).toEqual([3, 1, 2]);
  });
  test('columns, through every view of them', () => {
    const buffer = new ArrayBuffer(100_000);
    const views = { words: new Int32Array(buffer, 0, 1000), doubles: new Float64Array(buffer, 8000, 100), all: new Uint8Array(buffer), own: Int32Array.of(1, 2, 3) };
    views.doubles[3] = NaN;
    roundTrip(views, (v) => { v.words[999] = 5; v.doubles[3] = 1; v.all[99_999] = 7; v.all[50_001] = 1; v.own[1] = 9; });
    expect([views.words[999], views.doubles[3], views.all[99_999], views.all[50_001], [...views.own]]).toEqual([0, NaN, 0, 0, [1, 2, 3]]);
  });
  test('big integers, nothing, and zeros with a sign', () => {
    const values = roundTrip<{ n: bigint; none: null | number; zero: number; not: number; list: (number | undefined)[] }>(
      { n: 5n ** 40n, none: null, zero: -0, not: NaN, list: [undefined, -0] }, (v) => { v.n = 0n; v.none = 4; v.zero = 0; v.not = 1; v.list = [] as never; });
    expect(Object.is(values.zero, -0)).toBe(true);
    expect(values).toEqual({ n: 5n ** 40n, none: null, zero: -0, not: NaN, list: [undefined, -0] });
  });
  test('what can no longer be reached is forgotten, and what was reached through it is back', () => {
    const inner = new Point();
    const outer: { inner: Point | null } = { inner };
    roundTrip(outer, (o) => { o.inner!.move(); o.inner = new Point(); });
    expect([outer.inner, inner.x]).toEqual([inner, 1]);
  });
  test('frozen objects and functions are let be', () => {
    const fixed = Object.freeze({ a: 1, f: () => 2 });
    expect(() => roundTrip({ fixed }, () => {})).not.toThrow();
  });
  test('columns that did not change are shared with the image before', () => {
    const root = { columns: new Int32Array(100_000), small: 1 };
    const first = takeHeap([root], nothing, null);
    root.columns[50_000] = 1;
    const second = takeHeap([root], nothing, first);
    const [a, b] = [first, second].map(({ buffers }) => buffers.get(root.columns.buffer)!.pieces);
    expect(a!.filter((piece, i) => piece !== b![i]).length).toBe(1);
    expect(second.ownBytes).toBeLessThan(20_000);
  });
});

describe('no kind of state is missed', () => {
  const words = '--mem 48M --swap 16M --memory-max 2M -- swapcheck --size 2M --shared 512K --steps 100 --forks 2';
  const [HERE, THERE] = [4_300_000, 5_200_000]; // a fork lies between, and pages go out and come in
  const runTo = (session: Session, instret: number): void => {
    while (session.instructions < instret && session.step(instret - session.instructions) === 'running') session.takeOutput();
  };
  const outsideOf = (session: Session): object[] => [session.config, ...session.machine.caches];

  /** Goes from HERE to THERE, back, and to THERE again, where instances of a class were left out of the image. @returns what went wrong, null: nothing */
  function leavingOut(session: Session, className: string | null): string | null {
    const whole = takeHeap([session], new Set(outsideOf(session)), null);
    // esbuild puts a line before names of classes that name themselves.
    const left = className === null ? [] : whole.objects.filter((object) => object.constructor?.name.replace(/^_/, '') === className);
    if (className !== null) expect([className, left.length]).not.toEqual([className, 0]);
    // Their columns, too, where nobody else reaches them.
    const outside = new Set([...outsideOf(session), ...left]);
    const heap = takeHeap([session], outside, null);
    const machine = session.machine.takeImage();
    const before = session.stateHash();
    const result = ((): string | null => {
      try {
        runTo(session, THERE);
        const there = session.stateHash();
        putHeapBack(heap);
        session.machine.putBack(machine);
        if (session.stateHash() !== before) return 'another state';
        runTo(session, THERE);
        return session.stateHash() === there ? null : 'another run';
      } catch (error) {
        return (error as Error).message;
      }
    })();
    putHeapBack(whole);
    session.machine.putBack(machine);
    return result;
  }

  test('and leaving one out is noticed', () => {
    const session = boot(configOf(words));
    runTo(session, HERE);
    expect(leavingOut(session, null)).toBeNull();
    // Those that this stretch of the run changes.
    const decisive = ['Kernel', 'Task', 'Mm', 'FolioTable', 'Buddy', 'FrameLists', 'PerCpuPages', 'Swap', 'FolioList', 'FolioLinks', 'MemCgroup', 'VmStat', 'RunQueue', 'Mmu', 'BlockDevice', 'Map', 'Array', 'Object'];
    const names = new Map(decisive.map((name) => [name, leavingOut(session, name)]));
    expect([...names].filter(([, wrong]) => wrong === null).map(([name]) => name)).toEqual([]);
    // And after all that the whole image still leads to the same state.
    expect(leavingOut(session, null)).toBeNull();
  });
});
