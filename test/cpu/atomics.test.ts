// LR, SC and AMO in the three engines. Here: random loops of them, hot enough to be translated, over pages that are shown, miss, fault, or hold the loop itself;
// that regions hold each of them. Not here: what they compute (execute.test.ts). QUIRE_ATOMICS_PROGRAMS=2000 runs so many, QUIRE_ATOMICS_SEED=n begins with
// that one.
import { describe, expect, test } from 'vitest';
import { Prng, StateHash, asPfn, asVpn } from '#base';
import { EAGER, ENGINES, INSTRUCTIONS } from '#cpu';
import type { EngineName, Hotness, Machine } from '#cpu';
import { Access, presets } from '#mmu';
import type { TlbDescription } from '#mmu';
import { hartRig, tinyInclusive } from '../support/hart-rig.ts';
import { randomHotness } from '../support/lockstep-world.ts';

const PROGRAMS = Number(process.env['QUIRE_ATOMICS_PROGRAMS'] ?? 12);
const FIRST = Number(process.env['QUIRE_ATOMICS_SEED'] ?? 1);
const CODE = 0x10000, DATA = 0x40000, DATA_PAGES = 10, VIEW = 0x60000;
const NR_FRAMES = 64;
const TURNS = 70;
/** Regions that stop once are made anew, with misses as calls. */
const RESTLESS: Hotness = { ...EAGER, stopsAsked: 1, calmInstrs: 1e9 };

const names = INSTRUCTIONS.filter(({ extension }) => extension === 'A').map(({ name }) => name);
const isLr = (name: string): boolean => name.startsWith('lr.');

/** A hierarchy without and with common misses done in emitted code (mmu/plan.ts), and one that holds all. */
const hierarchies: Readonly<Record<string, TlbDescription>> = {
  'tiny, inclusive': tinyInclusive,
  'tiny, plain': { ...tinyInclusive, name: 'tiny-plain', inclusion: 'neither', pwc: { 1: 2, 2: 2 } },
  [presets()[0]!.name]: presets()[0]!,
};

/** A loop of `t6` turns in which every instruction of A stands at least once. a1 is an address whenever it is used; t4 = 2^20 changes an addi's immediate. */
function randomLoop(random: Prng): { readonly lines: string[]; readonly changed: number } {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const free = ['t0', 't1', 't2', 'a0', 'zero'], pointers = ['s0', 's1', 's2', 's3', 's4', 's5'];
  const lines: string[] = [];
  const put = (name: string, rd: string, rs1 = 'a1'): void => {
    const ordered = `${name}${pick(['', '', '.aq', '.rl', '.aqrl'])}`;
    lines.push(isLr(name) ? `${ordered} ${rd},(${rs1})` : `${ordered} ${rd},${pick([...free, ...free, rs1])},(${rs1})`);
  };
  const address = (): void => {
    lines.push(`andi a1,t6,${pick([0, 0, 3, 31, 255])}`, `slli a1,a1,${pick([3, 3, 4])}`, `add a1,a1,${pick(pointers)}`);
    // In some turns it is another word, or misaligned.
    if (random.below(5) === 0) lines.push(`andi a2,t6,${pick([1, 7, 31])}`, 'sltiu a2,a2,1', `slli a2,a2,${pick([0, 1, 2, 2])}`, 'add a1,a1,a2');
  };
  const plain = (): string => pick([
    'sd T,0(a1)', 'sw T,4(a1)', 'ld T,0(a1)', 'lw T,4(a1)', 'ld T,0(s0)', 'sd T,8(s0)', 'ld T,16(s0)', 'add T,T,T', 'slli T,T,31', 'srai T,T,9', 'bne T,zero,8', 'bgeu T,T,12', 'bne T,T,20',
  ]).replace(/T/g, () => pick(free));
  const shuffled = names.map((name) => ({ name, key: random.below(1e9) })).sort((a, b) => a.key - b.key).map(({ name }) => name);
  for (const name of [...shuffled, ...Array.from({ length: 4 }, () => pick(names))]) {
    if (random.below(3) !== 0) address();
    if (random.below(4) === 0) {
      // What SC waits for: a reservation of this place or of another one, as wide or not, with something between.
      put(pick(['lr.w', 'lr.d', 'lr.d']), pick(free));
      for (let n = random.below(3); n > 0; n--) lines.push(plain());
      if (random.below(4) === 0) address();
      put(pick(['sc.w', 'sc.d']), pick(free));
    }
    put(name, pick(free));
    while (random.below(3) === 0) lines.push(plain());
    // Two that share a probe, with others between that may bring pages in and push theirs out.
    if (random.below(4) === 0) {
      const base = pick(pointers);
      lines.push(`${pick(['ld', 'ld', 'sd'])} ${pick(free)},0(${base})`);
      for (let n = 1 + random.below(8); n > 0; n--) put(pick([name, 'lr.w', 'lr.d', 'sc.w', 'sc.d']), pick(free), pick(pointers));
      lines.push(`${pick(['ld', 'ld', 'sd'])} ${pick(free)},8(${base})`);
    }
    // The address itself is what goes.
    if (random.below(4) === 0) {
      lines.push('addi a3,a1,0');
      put(name, 'a3', 'a3');
    }
  }
  const changed = lines.length;
  lines.push('addi a0,a0,1');
  if (random.below(3) === 0) lines.push(pick(['amoxor.w zero,t4,(s7)', 'lr.w t3,(s7)']));
  if (random.below(6) === 0) lines.push('lr.w t3,(s7)', 'xor t3,t3,t4', 'sc.w t0,t3,(s7)');
  lines.push('addi t6,t6,-1', 'beq t6,zero,8', `jal zero,${-4 * (lines.length + 2)}`, 'ecall');
  return { lines, changed: CODE + 4 * changed };
}

interface Way { readonly engine: EngineName; readonly hotness?: Hotness; readonly budget: () => number; readonly beforeRun?: (machine: Machine) => void }

function simulate(seed: number, tlb: TlbDescription, { engine, hotness, budget, beforeRun = () => {} }: Way): string {
  const random = new Prng(seed, 'atomics');
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const rig = hartRig({ tlb, engine, ...(hotness === undefined ? {} : { hotness }) });
  const { machine } = rig;
  const frame = (n: number) => asPfn(machine.ram.firstPfn + n);
  const { lines, changed } = randomLoop(random);
  for (let page = 0; page < 2; page++) {
    rig.map(CODE + 4096 * page, 'rx', frame(16 + page));
    rig.map(VIEW + 4096 * page, 'rw', frame(16 + page));
  }
  rig.code(CODE, lines);
  const dataFrame = (page: number) => frame(24 + page);
  for (let page = 0; page < DATA_PAGES; page++) {
    const rights = pick(['rw', 'rwad', 'rwad', 'ra', '']);
    if (rights !== '') rig.map(DATA + 4096 * page, rights, dataFrame(page));
  }
  /** A page comes, goes, or is protected, while the loop is hot. */
  const event = (): void => {
    const page = random.below(DATA_PAGES);
    const rights = pick(['rwad', 'rwa', 'ra', 'r', '']);
    if (rights === '') rig.unmap(DATA + 4096 * page);
    else rig.map(DATA + 4096 * page, rights, dataFrame(page));
    machine.fence(null, asVpn(DATA / 4096 + page));
  };
  const values = [0n, 1n, -1n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, -0x8000_0000n, 0x7fff_ffff_ffff_ffffn, -0x8000_0000_0000_0000n, 0x1_0000_0001n];
  for (let page = 0; page < DATA_PAGES; page++) {
    machine.writeFrame(dataFrame(page), 0, new Uint8Array(BigInt64Array.from({ length: 512 }, () => pick(values)).buffer));
  }
  // The last bytes of a page are reached from some of these, and the next page.
  for (let i = 0; i < 6; i++) rig.set({ [`s${i}`]: DATA + 4096 * random.below(DATA_PAGES - 1) + 8 * pick([0, 1, 100, 511, random.below(512)]) });
  for (const register of ['t0', 't1', 't2', 'a0']) rig.set({ [register]: pick(values) });
  rig.set({ t4: 1 << 20, t6: TURNS, s7: VIEW + (changed - CODE), a1: DATA });

  const ticks = (): number => machine.instret + machine.hart.traps;
  let history = 0;
  for (let nextEvent = 300; ;) {
    if (ticks() >= nextEvent) {
      event();
      nextEvent += 100 + random.below(3000);
    }
    beforeRun(machine);
    const end = Math.min(ticks() + budget(), nextEvent);
    const exit = machine.run(end - ticks());
    if (exit.kind !== 0) {
      if (ticks() !== end) throw new Error(`seed ${seed}: a run ended ${ticks() - end} instructions after its budget`);
      continue;
    }
    history = (Math.imul(history, 31) + exit.cause * 7 + exit.tvalLo + machine.instret) | 0;
    if (exit.cause === 8) break;
    // A kernel may keep the reservation or not; engines do as they are told.
    if (random.below(3) === 0) machine.clearReservation();
    const page = ((exit.tvalLo & ~4095) - DATA) / 4096;
    if ((exit.cause === 13 || exit.cause === 15) && exit.tvalHi === 0 && page >= 0 && page < DATA_PAGES) {
      rig.map(DATA + 4096 * page, exit.cause === 15 ? 'rw' : 'r', dataFrame(page));
      machine.fence(null, null);
    } else if (exit.cause === 2) throw new Error(`seed ${seed}: illegal instruction at 0x${machine.pc.toString(16)}`);
    else machine.pc += 4n; // misaligned; or a3, where a branch went past what sets it
  }
  const hash = new StateHash();
  machine.hash(hash);
  machine.hashFrames(hash, Array.from({ length: NR_FRAMES }, (_, i) => frame(i)));
  const { lookups, l1Misses } = machine.mmu.counters;
  return `instret ${machine.instret} traps ${machine.hart.traps} lookups ${[...lookups]} misses ${[...l1Misses]} reservation ${machine.hart.reservation} history ${history} state ${hash.digest()}`;
}

test.each(Object.entries(hierarchies))(`with %s ${PROGRAMS} random loops end in the same state with every engine`, (_name, tlb) => {
  for (let seed = FIRST; seed < FIRST + PROGRAMS; seed++) {
    const everyTime = simulate(seed, tlb, { engine: 'reference', budget: () => 1, beforeRun: ({ mmu }) => { mmu.filter.clear(); } });
    const lots = new Prng(seed, 'budgets');
    const check = (what: string, way: Way): void => expect(simulate(seed, tlb, way), `${what}; QUIRE_ATOMICS_SEED=${seed} QUIRE_ATOMICS_PROGRAMS=1`).toBe(everyTime);
    for (const engine of ENGINES) check(engine, { engine, budget: () => 1 + lots.below(600) });
    check('jit, misses as calls', { engine: 'jit', hotness: RESTLESS, budget: () => 500 + lots.below(3000) });
    check('jit, another hotness', { engine: 'jit', hotness: randomHotness(lots), budget: () => 1 + lots.below(3000) });
  }
}, 24 * 3600 * 1000);

describe('a loop with one of them is a region', () => {
  const turns = 2000;
  test.each(names)('%s', (name) => {
    const rig = hartRig();
    const { machine } = rig;
    rig.map(0x5000);
    rig.code(0x1000, [isLr(name) ? `${name}.aqrl a1,(s0)` : `${name}.aqrl a1,a2,(s0)`, 'add a3,a3,a1', 'addi t0,t0,-1', 'bne t0,zero,-12', 'ecall']);
    rig.set({ s0: 0x5008, a2: 3, t0: turns });
    while (rig.run(400) === 'budget');
    const { Instruction, Missed, Jumped } = machine.translation!.exits;
    expect(Instruction + Missed + Jumped).toBeLessThan(10);
    const access = isLr(name) ? Access.Load : name.startsWith('sc.') ? Access.Store : Access.Amo;
    expect([...machine.mmu.counters.lookups]).toEqual([4 * turns + 1, 0, 0, 0].map((n, i) => (i === access ? turns : n)));
  });
});

describe('five pages where four can be, and two loads that share a probe', () => {
  const turns = 100;
  test.each<[string, string[], string]>([
    ['what LR and SC bring in between pushes out the loads\' page', ['ld a0,0(s0)', 'lr.d a1,(s1)', 'sc.d a1,a0,(s2)', 'lr.d a1,(s3)', 'sc.d a1,a0,(s4)', 'ld a0,8(s0)'], `1,${3 * turns + 1},${2 * turns},0`],
    ['where an AMO between misses, their page is the one that was used last', ['ld a0,0(s0)', 'amoadd.d a1,a0,(s4)', 'ld a0,8(s0)', 'lr.d a1,(s1)', 'lr.d a1,(s2)', 'lr.d a1,(s3)'], `1,${3 * turns + 1},0,${turns}`],
  ])('%s', (_, loop, misses) => {
    const play = (engine: EngineName): string => {
      const rig = hartRig({ engine, hotness: RESTLESS, tlb: hierarchies['tiny, plain']! });
      for (let i = 0; i < 5; i++) {
        rig.map(DATA + 4096 * i, 'rwad');
        rig.set({ [`s${i}`]: DATA + 4096 * i });
      }
      rig.code(CODE, [...loop, 'addi t0,t0,-1', `bne t0,zero,${-4 * (loop.length + 1)}`, 'ecall']);
      rig.set({ t0: turns });
      while (rig.run(200) === 'budget');
      if (engine === 'jit') expect(rig.machine.translation!.remade).toBe(1);
      const hash = new StateHash();
      rig.machine.hash(hash);
      return `misses ${[...rig.machine.mmu.counters.l1Misses]} state ${hash.digest()}`;
    };
    expect(play('reference')).toContain(`misses ${misses} `);
    expect(play('jit')).toBe(play('reference'));
  });
});
