// Who runs and when: exact slices, time that passes while all sleep, what run() answers, and that nothing depends on the caller's budget.
import { StateHash } from '#base';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { call, DATA, go, label, li, type Line, reg } from '../../support/guests.ts';
import { emit, emitWord, exit, fork, handle, put, type Rig, runLines, startGuest, Sys } from '../../support/kernel-rig.ts';

const { a0, s0, s1, t0, ra } = reg;
const ret: Line = ['jalr', { rd: 0, rs1: ra, imm: 0 }];
const sleep = (seconds: number, ns: number): Line[] => [...put(0, seconds), ...put(8, ns), ...call(Sys.nanosleep, DATA, 0)];
const hashOf = ({ kernel, machine }: Rig): string => {
  const hash = new StateHash();
  kernel.hash(hash);
  machine.hash(hash);
  return hash.digest();
};

describe('slices', () => {
  const spin = (register: number): Line[] => [label(`spin${register}`), ['addi', { rd: register, rs1: register, imm: 1 }], go('jal', `spin${register}`, { rd: 0 })];
  test('two spinning tasks take turns of exactly the slice', () => {
    const rig = startGuest([...fork('c', spin(s0)), ...spin(s1)], { params: (params) => { params.vm.slice_instructions = 1000; } });
    const turns: string[] = [];
    let last = 0;
    let since = 0;
    for (let i = 0; i < 6000; i++) {
      rig.run(1);
      const now = rig.kernel.current!.tid;
      if (now !== last && last !== 0) {
        turns.push(`${last}:${rig.machine.instret - 1 - since}`);
        since = rig.machine.instret - 1;
      }
      last = now;
    }
    expect(turns.slice(1)).toEqual(['3:1000', '2:1000', '3:1000', '2:1000']);
  });
  test('a task that is alone keeps the hart', () => {
    const rig = startGuest(spin(s0), { params: (params) => { params.vm.slice_instructions = 100; } });
    rig.run(10_000);
    const task = rig.kernel.current!;
    expect([task.involuntarySwitches, task.voluntarySwitches]).toEqual([0, 0]);
  });
  test('sched_yield lets the other one run at once', () => {
    const rig = runLines([
      ...fork('c', [...emit(s0), ...call(Sys.schedYield), ...li(s0, 2), ...emit(s0), ...exit(0)]), ...li(s1, 11), ...emit(s1), ...call(Sys.schedYield), ...li(s1, 12), ...emit(s1),
      ...call(Sys.wait4, -1, 0, 0, 0), ...exit(0),
    ]);
    expect(rig.words()).toEqual([11n, 0n, 12n, 2n]);
  });
});

describe('time', () => {
  test('a sleep of a day costs a day of the modelled clock and no instructions', () => {
    const rig = runLines([...sleep(86_400, 0), ...exit(0)]);
    expect(rig.kernel.uptimeNs()).toBeGreaterThanOrEqual(86_400e9);
    expect(rig.kernel.uptimeNs()).toBeLessThan(86_400e9 + 1e6);
    expect(rig.kernel.idleCycles).toBeGreaterThan(86_399e9);
    expect(rig.machine.instret).toBeLessThan(40);
  });
  test('sleepers wake in the order of their deadlines, not of their birth', () => {
    const sleeper = (name: string, ms: number): Line[] => fork(name, [...sleep(0, ms * 1_000_000), ...li(s0, ms), ...emit(s0), ...exit(0)]);
    const rig = runLines([...sleeper('a', 30), ...sleeper('b', 10), ...sleeper('c', 20), ...Array.from({ length: 3 }, () => call(Sys.wait4, -1, 0, 0, 0)).flat(), ...exit(0)]);
    expect(rig.words()).toEqual([10n, 20n, 30n]);
  });
  test('a timer cuts a running program short, near its time', () => {
    const rig = runLines([
      ...handle(14, 'handler'), ...put(0x80, 0), ...put(0x88, 0), ...put(0x90, 0), ...put(0x98, 500), ...call(Sys.setitimer, 0, DATA + 0x80, 0),
      label('spin'), go('jal', 'spin', { rd: 0 }), label('handler'), ...call(Sys.clockGettime, 1, DATA), ...emitWord(8), ...exit(0),
    ]);
    const at = Number(rig.words()[0]);
    expect(at).toBeGreaterThan(500_000);
    expect(at).toBeLessThan(530_000); // starting the program took some time too
  });
  test('real time begins where the host says and goes with the modelled clock', () => {
    const rig = runLines([...sleep(3, 0), ...call(Sys.clockGettime, 0, DATA), ...emitWord(0), ...exit(0)], { host: { epochSeconds: 1000 } });
    expect(rig.words()).toEqual([1003n]);
  });
  test('an ignored periodic timer over sleeping tasks gives the hart back to the host', () => {
    const ignore: Line[] = [...put(0xf00, 1), ...put(0xf08, 0), ...put(0xf10, 0), ...call(Sys.sigaction, 14, DATA + 0xf00, 0, 8)];
    const rig = startGuest([...ignore, ...put(0x80, 0), ...put(0x88, 10), ...put(0x90, 0), ...put(0x98, 10), ...call(Sys.setitimer, 0, DATA + 0x80, 0), ...call(Sys.ppoll, 0, 0, 0, 0, 8), ...exit(0)]);
    expect(rig.run()).toBe('budget');
  });
});

describe('when all sleep', () => {
  test('and nothing can wake them, it is a deadlock', () => {
    expect(startGuest([...call(Sys.ppoll, 0, 0, 0, 0, 8), ...exit(0)]).run()).toBe('deadlock');
  });
  test('and one waits for input, the host is asked; with input it goes on', () => {
    const rig = startGuest([...call(Sys.read, 0, DATA, 1), ...emitWord(0), ...exit(0)], { input: null });
    expect(rig.run()).toBe('input');
    expect(rig.run()).toBe('input');
    rig.console.feed(Uint8Array.of(65));
    expect(rig.run()).toBe('exited');
    expect(rig.words()).toEqual([65n]);
  });
  test('a closed input is an end of file, never a wait', () => {
    const rig = runLines([...call(Sys.read, 0, DATA, 1), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([0n]);
  });
});

describe('the budget', () => {
  /** Processes, a pipe, a timer, faults, signals: everything that could notice where a run was cut. */
  const busy: Line[] = [
    ...handle(14, 'handler'), ...put(0x80, 0), ...put(0x88, 50), ...put(0x90, 0), ...put(0x98, 50), ...call(Sys.setitimer, 0, DATA + 0x80, 0),
    ...call(Sys.pipe2, DATA + 0x200, 0),
    ...fork('c', [...li(s0, 300), label('w'), ...li(t0, DATA + 0x204), ['lw', { rd: a0, rs1: t0, imm: 0 }], ...li(reg.a1, DATA), ...li(reg.a2, 8), ['addi', { rd: reg.a7, rs1: 0, imm: Sys.write }], ['ecall'],
      ['addi', { rd: s0, rs1: s0, imm: -1 }], go('bne', 'w', { rs1: s0, rs2: 0 }), ...exit(0)]),
    ...li(s1, 300), label('r'), ...li(t0, DATA + 0x200), ['lw', { rd: a0, rs1: t0, imm: 0 }], ...li(reg.a1, DATA + 0x300), ...li(reg.a2, 8), ['addi', { rd: reg.a7, rs1: 0, imm: Sys.read }], ['ecall'],
    ['addi', { rd: s1, rs1: s1, imm: -1 }], go('bne', 'r', { rs1: s1, rs2: 0 }), ...call(Sys.wait4, -1, 0, 0, 0), ...exit(0), label('handler'), ['addi', { rd: 24, rs1: 24, imm: 1 }], ret,
  ];
  const ended = (cuts: () => number): string => {
    const rig = startGuest(busy, { params: (params) => { params.vm.slice_instructions = 97; } });
    while (rig.run(cuts()) !== 'exited');
    return `${rig.machine.instret} ${rig.machine.clockCycles} ${hashOf(rig)}`;
  };
  test('leaves no trace: however a run is cut, it ends in the same state', () => {
    const whole = ended(() => 1_000_000);
    expect(ended(() => 1)).toBe(whole);
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }), (cuts) => {
      let i = 0;
      expect(ended(() => cuts[i++ % cuts.length]!)).toBe(whole);
    }), { numRuns: 10 });
  });
  test('is exact', () => {
    const rig = startGuest(busy);
    for (const budget of [1, 2, 3, 100]) {
      const before = rig.machine.instret;
      expect(rig.run(budget)).toBe('budget');
      expect(rig.machine.instret - before).toBe(budget);
    }
  });
});
