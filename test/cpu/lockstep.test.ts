// Blocks against single steps. The engine counts a block's fetches in bulk, stamps entries late and trusts the filter; none of that may show.
// A random program runs three times: in blocks with random budgets, one instruction a run(), and one instruction a run() with the filter
// emptied before each, so that every fetch and access is a look-up of its own. Counters, TLB contents, clocks, registers, memory: one hash.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Prng, StateHash, asAsid, asPfn, asVpn } from '#base';
import { ENGINES } from '#cpu';
import type { EngineName, Machine } from '#cpu';
import { Access, Pte, presets } from '#mmu';
import type { AdRule, CoalescingName, PageSizeName, TlbArrayDescription, TlbDescription } from '#mmu';
import { hartRig, tinyInclusive } from '../support/hart-rig.ts';
import type { HartRig } from '../support/hart-rig.ts';

const CODE = 0x10000;
const CODE_PAGES = 5;
const DATA = 0x40000;
const DATA_PAGES = 12;
const NR_FRAMES = 64;

const tiny = (change: Partial<TlbDescription>): TlbDescription => ({ ...tinyInclusive, ...change });
const hierarchies: Readonly<Record<string, TlbDescription>> = {
  'tiny, inclusive': tinyInclusive,
  'tiny, exclusive': tiny({ name: 'tiny-exclusive', inclusion: 'exclusive' }),
  'tiny, no L2': tiny({ name: 'tiny-l1', l2: null, inclusion: 'neither' }),
  'tiny, neither': tiny({ name: 'tiny-neither', inclusion: 'neither', pwc: { 1: 2, 2: 2 } }),
  'tiny, neither, fully associative': tiny({
    name: 'tiny-fully', inclusion: 'neither', pwc: { 1: 1, 2: 1 },
    l1d: { arrays: [{ entries: 20, ways: 20, pageSizes: ['4K'], replacement: 'lru' }], hitCycles: 0 },
    l2: { arrays: [{ entries: 24, ways: 24, pageSizes: ['4K', '2M'], replacement: 'lru' }], hitCycles: 7 },
  }),
  'one entry a side, inclusive': tiny({
    name: 'single',
    l1i: { arrays: [{ entries: 1, ways: 1, pageSizes: ['4K'], replacement: 'fifo' }], hitCycles: 0 },
    l1d: { arrays: [{ entries: 1, ways: 1, pageSizes: ['4K'], replacement: 'fifo' }], hitCycles: 0 },
    l2: { arrays: [{ entries: 2, ways: 2, pageSizes: ['4K'], replacement: 'random' }], hitCycles: 7 },
  }),
  'tree-PLRU, random L2, inclusive': tiny({
    name: 'plru',
    l1i: { arrays: [{ entries: 4, ways: 4, pageSizes: ['4K'], replacement: 'plru' }], hitCycles: 0 },
    l1d: { arrays: [{ entries: 8, ways: 4, pageSizes: ['4K'], replacement: 'plru' }], hitCycles: 0 },
    l2: { arrays: [{ entries: 8, ways: 4, pageSizes: ['4K'], replacement: 'random' }], hitCycles: 7 },
  }),
  [presets()[0]!.name]: presets()[0]!,
};

/** Lines that leave the data pointers (s0 to s7) alone. */
const templates = [
  'addi T,T,IMM', 'add T,T,T', 'sub T,T,T', 'xor T,T,T', 'slli T,T,7', 'mul T,T,T', 'divu T,T,T', 'auipc T,1', 'lui T,-3', 'rev8 T,T',
  'ld T,IMM(P)', 'ld T,IMM(P)', 'lw T,IMM(P)', 'lbu T,IMM(P)', 'lh T,IMM(P)', 'fld ft0,IMM(P)', 'flw ft1,IMM(P)', 'fadd.d ft2,ft0,ft1',
  'ld T,ALIGNED(P)', 'ld T,ALIGNED(P)', 'lw T,ALIGNED(P)', 'sd T,ALIGNED(P)', 'sw T,ALIGNED(P)', 'fsd ft2,ALIGNED(P)',
  'sd T,IMM(P)', 'sd T,IMM(P)', 'sw T,IMM(P)', 'sb T,IMM(P)', 'sh T,IMM(P)', 'amoadd.d T,T,(P)', 'amomaxu.w T,T,(P)', 'lr.d T,(P)', 'sc.d T,T,(P)',
  'beq T,T,BRANCH', 'bne T,T,BRANCH', 'blt T,T,BRANCH', 'bgeu T,T,BRANCH', 'jal T,BRANCH', 'jal zero,JUMP', 'bne T,zero,JUMP', 'jalr T,0(C)', 'jalr zero,64(C)',
  'csrrs T,cycle,zero', 'csrrs T,instret,zero', 'csrrs T,time,zero', 'csrrw T,fcsr,T', 'fence.i', 'fence', 'ecall',
];
const C_NOP = 0x0001;
const C_ADDI = 0x0285; // c.addi t0,1
const C_LD = 0x6000;   // c.ld s0',0(s0'): a pointer would be lost, so it loads a0 (below)

function randomProgram(random: Prng): (string | number)[] {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const lines: (string | number)[] = [];
  for (let bytes = 0; bytes < CODE_PAGES * 4096 - 8;) {
    if (random.below(3) === 0) {
      lines.push(pick([C_NOP, C_ADDI, C_LD | (2 << 2) | (random.below(2) << 7)]));
      bytes += 2;
      continue;
    }
    const line = pick(templates)
      .replace(/T/g, () => pick(['t0', 't1', 't2', 'a0', 'a1', 'zero']))
      .replace(/P\)/, () => `${pick(['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'])})`)
      .replace(/C\)/, () => `${pick(['s8', 's9', 's10'])})`)
      .replace('IMM', () => `${random.below(4096) - 2048}`)
      .replace('ALIGNED', () => `${8 * random.below(64)}`)
      .replace('BRANCH', () => `${2 * (random.below(40) - 12)}`)
      .replace('JUMP', () => `${2 * (random.below(3000) - 1500)}`);
    lines.push(line);
    bytes += 4;
  }
  return lines;
}

/** What a kernel would do, in little: maps what is missing and tries again, steps over what is illegal. */
function afterTrap(rig: ReturnType<typeof hartRig>, cause: number, tval: number, random: Prng): void {
  const { machine } = rig;
  machine.charge(100);
  machine.clearReservation();
  if (cause >= 12) {
    const page = tval & ~4095;
    const isCode = page >= CODE && page < CODE + CODE_PAGES * 4096;
    const isData = page >= DATA && page < DATA + DATA_PAGES * 4096;
    if (isData || isCode) {
      rig.map(page, 'rwx', asPfn(machine.ram.firstPfn + (isCode ? 16 + (page - CODE) / 4096 : 32 + (page - DATA) / 4096)));
      return;
    }
  }
  machine.pc = cause === 8 ? machine.pc + 4n : BigInt(CODE + 2 * random.below(CODE_PAGES * 1024));
}

function simulate(engine: EngineName, seed: number, tlb: TlbDescription, budgets: (r: Prng) => number, beforeRun: (m: Machine) => void): string {
  const rig = hartRig({ tlb, engine });
  const { machine } = rig;
  const random = new Prng(seed, 'program');
  for (let page = 0; page < CODE_PAGES; page++) rig.map(CODE + 4096 * page, 'rwx', asPfn(machine.ram.firstPfn + 16 + page));
  rig.code(CODE, randomProgram(random));
  // Some of it is not there at first; one data page is a second view of code, so that some stores change the program.
  for (let page = 0; page < CODE_PAGES; page++) if (random.below(2) === 0) rig.unmap(CODE + 4096 * page);
  rig.map(DATA, 'rw', asPfn(machine.ram.firstPfn + 17));
  for (let i = 0; i < 8; i++) rig.set({ [`s${i}`]: i === 0 ? DATA + 2048 : DATA + 4096 * (1 + random.below(DATA_PAGES - 2)) + 8 * random.below(512) });
  rig.set({ s8: CODE + 2 * random.below(6000), s9: CODE + 4096 - 2, s10: CODE + 8192 - 66, t0: 1, t1: -2, a0: 77 });
  const chunks = new Prng(seed, 'chunks');
  let left = 1500;
  while (left > 0) {
    const before = machine.instret;
    beforeRun(machine);
    const exit = machine.run(Math.min(left, budgets(chunks)));
    left -= machine.instret - before;
    if (exit.kind === 0) {
      left--;
      afterTrap(rig, exit.cause, exit.tvalHi * 2 ** 32 + (exit.tvalLo >>> 0), random);
    } else if (machine.instret === before) throw new Error('nothing happened');
  }
  const hash = new StateHash();
  machine.hash(hash);
  machine.hashFrames(hash, Array.from({ length: NR_FRAMES }, (_, i) => asPfn(machine.ram.firstPfn + i)));
  const { lookups, l1Misses } = machine.mmu.counters;
  return `instret ${machine.instret} traps ${machine.hart.traps} cycles ${machine.clockCycles} lookups ${[...lookups]} misses ${[...l1Misses]} pc ${machine.pc} state ${hash.digest()}`;
}

describe.each(Object.entries(hierarchies))('with %s', (_name, tlb) => {
  test('blocks, steps, and steps that ask the MMU every time end in the same state', () => {
    fc.assert(fc.property(fc.integer(), (seed) => {
      const everyTime = simulate('reference', seed, tlb, () => 1, (m) => m.mmu.filter.clear());
      for (const engine of ENGINES) {
        expect(simulate(engine, seed, tlb, () => 1, () => {}), engine).toBe(everyTime);
        expect(simulate(engine, seed, tlb, (r) => 1 + r.below(200), () => {}), engine).toBe(everyTime);
        expect(simulate(engine, seed, tlb, () => 1e6, () => {}), engine).toBe(everyTime);
      }
    }), { numRuns: Number(process.env['QUIRE_LOCKSTEP_RUNS'] ?? 3) });
  });
});

test('every fetch and access is counted: a straight run of n instructions is n look-ups, loads and stores one each', () => {
  const rig = hartRig();
  rig.map(0x5000);
  rig.code(0x1000, [...Array.from({ length: 100 }, () => 'ld a0,0(s0)'), ...Array.from({ length: 50 }, () => 'sd a0,8(s0)')]);
  rig.set({ s0: 0x5000 });
  expect(rig.run(150)).toBe('budget');
  const { lookups, l1Misses } = rig.machine.mmu.counters;
  expect([...lookups]).toEqual([150, 100, 50, 0]);
  expect([...l1Misses]).toEqual([1, 1, 0, 0]);
});

describe('more pages than the TLBs and the page-walk cache hold', () => {
  type More = Partial<TlbArrayDescription>;
  const full = (size: number, more: More = {}): TlbDescription['l1d'] =>
    ({ arrays: [{ entries: size, ways: size, pageSizes: ['4K'], replacement: 'lru', ...more }], hitCycles: 0 });
  const crowded: Readonly<Record<string, TlbDescription>> = {
    'many ways, no sets': tiny({ name: 'crowded-fully', inclusion: 'neither', l1d: full(20), l2: full(28), pwc: { 1: 12, 2: 2 } }),
    'trees over many ways, no sets': tiny({ name: 'crowded-trees', inclusion: 'neither', l1d: full(32, { replacement: 'plru' }), l2: full(32, { replacement: 'plru' }), pwc: { 1: 12, 2: 2 } }),
    'trees over four ways and over eight': tiny({
      name: 'crowded-tree-sets', inclusion: 'neither', l1d: full(8, { ways: 4, replacement: 'plru' }), l2: full(32, { ways: 8, replacement: 'plru' }), pwc: { 1: 4, 2: 1 },
    }),
    'queues of many ways, no sets': tiny({ name: 'crowded-queues', inclusion: 'neither', l1d: full(20, { replacement: 'fifo' }), l2: full(28, { replacement: 'fifo' }), pwc: { 1: 12, 2: 2 } }),
    'queues of four ways behind LRU': tiny({ name: 'crowded-queue-sets', inclusion: 'neither', l1d: full(12, { ways: 6 }), l2: full(32, { ways: 4, replacement: 'fifo' }), pwc: { 1: 4, 2: 1 } }),
    'sets of six ways and of eight': tiny({ name: 'crowded-sets', inclusion: 'neither', l1d: full(12, { ways: 6 }), l2: full(32, { ways: 8 }), pwc: { 1: 4, 2: 1 } }),
    [presets()[0]!.name]: presets()[0]!,
  };
  /** Loads and stores all over 64 pages in 16 leaf tables, some of them more often, and a stretch page by page. */
  const program = [
    'mul t0,t0,t1', 'addi t0,t0,1013', 'srli t2,t0,40', 'andi t2,t2,63', 'andi t3,t0,32', 'bne t3,zero,12', 'andi t2,a0,63', 'andi t2,t2,47',
    'andi t3,t2,15', 'slli t3,t3,21', 'srli t4,t2,4', 'slli t4,t4,12', 'add t3,t3,t4', 'add t3,t3,s0', 'ld t5,0(t3)', 'add t6,t6,t5', 'sd t6,8(t3)',
    'addi a0,a0,-1', 'bne a0,zero,-72', 'ecall',
  ];
  test.each(Object.entries(crowded))('with %s the engines end in the same state', (_name, tlb) => { endAlike(tlb, program); });

  /** Twice the same page, by lot, and six others between: what an entry surely outlives is asked of the policy, and the page may be gone when it is wanted again. */
  const around = (nrPages: number, log2Apart: number): readonly string[] => [
    'mul t0,t0,t1', 'addi t0,t0,1013', 'srli a2,t0,56', `andi a2,a2,${nrPages - 1}`, `slli a2,a2,${log2Apart}`, 'add a2,a2,s0', 'ld t5,0(a2)',
    ...[20, 26, 32, 38, 44, 50].flatMap((bits) => [`srli t2,t0,${bits}`, `andi t2,t2,${nrPages - 1}`, `slli t2,t2,${log2Apart}`, 'add t2,t2,s0', 'ld t3,16(t2)', 'add t6,t6,t3']),
    'ld t5,8(a2)', 'addi a0,a0,-1', 'bne a0,zero,-180', 'ecall',
  ];
  const replacements = (['lru', 'plru', 'fifo'] as const).map((replacement) =>
    [replacement, tiny({ name: `around-${replacement}`, inclusion: 'neither', l1d: full(8, { replacement }), l2: full(28), pwc: { 1: 12, 2: 2 } })] as const);
  test.each(replacements)('an access that comes again finds its page in L1 or not as %s has it', (_name, tlb) => { endAlike(tlb, around(16, 21)); });

  const joined = (pageSizes: readonly PageSizeName[], adRule: AdRule, more: More = {}): More => ({ coalescing: 'zen', pageSizes: ['4K', ...pageSizes], adRule, ...more });
  const run = (coalescing: CoalescingName, adRule: AdRule, more: More = {}): More => ({ coalescing, adRule, pageSizes: ['4K', '2M'], ...more });
  const joining: Readonly<Record<string, TlbDescription>> = {
    'groups of four, many ways, no sets': tiny({ name: 'joined-fully', inclusion: 'neither', l1d: full(20, joined(['16K', '2M'], 'strict')), l2: full(28, joined(['16K', '2M'], 'strict')), pwc: { 1: 12, 2: 2 } }),
    'groups of eight, each page with its own D': tiny({
      name: 'joined-wide', inclusion: 'neither', l1d: full(12, joined(['16K', '32K'], 'd-split', { ways: 6 })), l2: full(32, joined(['16K', '32K'], 'd-split', { ways: 8 })), pwc: { 1: 4, 2: 1 },
    }),
    'groups of eight in L2, under trees, and of four in L1': tiny({
      name: 'joined-narrowing', inclusion: 'neither', l1d: full(16, joined(['16K', '2M'], 'strict', { replacement: 'plru' })),
      l2: full(32, joined(['16K', '32K'], 'loose-a', { ways: 4, replacement: 'plru' })), pwc: { 1: 12, 2: 2 },
    }),
    'groups in L1 alone, first in, first out': tiny({ name: 'joined-above', inclusion: 'neither', l1d: full(8, joined(['16K', '2M'], 'd-evict', { replacement: 'fifo' })), l2: full(32, { ways: 4 }), pwc: { 1: 12, 2: 2 } }),
    'groups in an L2 that little leaves': tiny({ name: 'joined-large', inclusion: 'neither', l1d: full(8, joined(['16K'], 'strict')), l2: full(160, joined(['16K', '32K'], 'strict')), pwc: { 1: 12, 2: 2 } }),
    'runs of four': tiny({ name: 'run-fully', inclusion: 'neither', l1d: full(8, run('colt-sa', 'strict')), l2: full(20, run('colt-sa', 'strict')), pwc: { 1: 12, 2: 2 } }),
    'runs of four in sets, under trees and queues': tiny({
      name: 'run-sets', inclusion: 'neither', l1d: full(8, run('colt-sa', 'loose-a', { ways: 4, replacement: 'plru' })), l2: full(16, run('colt-sa', 'd-split', { ways: 4, replacement: 'fifo' })), pwc: { 1: 4, 2: 1 },
    }),
    'runs of eight': tiny({ name: 'run-wide', inclusion: 'neither', l1d: full(4, run('colt-fa', 'd-split')), l2: full(18, run('colt-fa', 'strict')), pwc: { 1: 12, 2: 2 } }),
    'runs of eight, pages by themselves in L1': tiny({ name: 'run-below', inclusion: 'neither', l1d: full(12, { ways: 6 }), l2: full(8, run('colt-fa', 'd-evict', { ways: 4 })), pwc: { 1: 12, 2: 2 } }),
    'clusters': tiny({ name: 'cluster-fully', inclusion: 'neither', l1d: full(4, run('clustered', 'strict')), l2: full(18, run('clustered', 'loose-a')), pwc: { 1: 12, 2: 2 } }),
    'clusters in sets, with D of each page': tiny({ name: 'cluster-sets', inclusion: 'neither', l1d: full(8, run('clustered', 'd-split', { ways: 2, replacement: 'fifo' })), l2: full(8, run('clustered', 'd-split', { ways: 4 })), pwc: { 1: 4, 2: 1 } }),
    'clusters in L1 alone': tiny({ name: 'cluster-above', inclusion: 'neither', l1d: full(6, run('clustered', 'strict', { ways: 2 })), l2: full(32, { ways: 4 }), pwc: { 1: 12, 2: 2 } }),
    'groups in L2 alone': tiny({ name: 'joined-below', inclusion: 'neither', l1d: full(8), l2: full(20, joined(['16K', '2M'], 'strict', { replacement: 'fifo' })), pwc: { 1: 12, 2: 2 } }),
  };
  test.each(Object.entries(joining))('with %s the engines end in the same state', (_name, tlb) => {
    endAlike(tlb, neighbours, mapNeighbours);
    endAlike(tlb, around(64, 12), mapNeighbours);
  });
  test.each(Object.entries(joining))('with %s they do where entries change, and become global and single spaces\' own again, mostly without a fence', (_name, tlb) => {
    const change = (rig: HartRig, random: Prng): void => {
      rig.machine.setAddressSpace(rig.root, asAsid(1 + random.below(2)));
      if (random.below(2) === 0) mapNeighbours(rig, random.below(2) === 0, random.below(8));
      for (let i = 0; i < 4; i++) rig.machine.fence(null, asVpn(DATA / 4096 + random.below(64)));
    };
    endAlike(tlb, neighbours, mapNeighbours, change);
  });

  test.each((['colt-sa', 'colt-fa', 'clustered'] as const).flatMap((model) => ENGINES.map((engine) => [model, engine] as const)))(
    '%s, %s: a global entry that takes a page in stands before the space\'s own one that has it, at once', (model, engine) => {
      const rig = hartRig({ engine, tlb: tiny({ name: 'two', inclusion: 'neither', l1d: full(2, run(model, 'strict')), l2: null }) });
      const { machine } = rig;
      const [other, third] = [DATA + 4096 * 64, DATA + 4096 * 128];
      const frames = machine.ram.firstPfn + 512;
      const mapFour = (rights: string): void => { for (let i = 0; i < 4; i++) rig.map(DATA + 4096 * i, rights, asPfn(frames + i)); };
      const load = (va: number): void => {
        machine.pc = BigInt(CODE);
        rig.set({ a0: va });
        expect(rig.run()).toMatch(/^ecall/);
      };
      rig.code(CODE, ['ld t0,0(a0)', 'ecall']);
      for (const va of [other, third]) rig.map(va, 'rwad');
      rig.map(DATA, 'rwad', asPfn(frames));
      load(other); // the first way
      load(DATA); // the second: this page alone
      mapFour('rwadg'); // and no fence
      machine.fence(null, asVpn(other / 4096));
      load(DATA + 4096); // the first, for all four and all spaces
      load(DATA); // which the first way serves
      load(third); // goes to the way that was touched longer ago
      const misses = machine.mmu.counters.l1Misses[Access.Load];
      load(DATA + 4096);
      expect(machine.mmu.counters.l1Misses[Access.Load]).toBe(misses);
    });

  const plain: Readonly<Record<string, TlbDescription>> = {
    'many ways, no sets': tiny({ name: 'changed-fully', inclusion: 'neither', l1d: full(20), l2: full(40, { pageSizes: ['4K', '2M'] }), pwc: { 1: 2, 2: 2 } }),
    'sets of four ways': tiny({ name: 'changed-sets', inclusion: 'neither', l1d: full(4, { ways: 4 }), l2: full(32, { ways: 4, pageSizes: ['4K', '2M'] }), pwc: { 1: 2, 2: 2 } }),
  };
  test.each(Object.entries(plain))('with %s they do where what L2 holds is no longer what a walk would find', (_name, tlb) => {
    const place = (rig: HartRig, page: number, rights: string, frame = page): void => { rig.map(DATA + 4096 * page, rights, asPfn(rig.machine.ram.firstPfn + 512 + frame)); };
    const map = (rig: HartRig): void => {
      mapNeighbours(rig);
      for (let page = 0; page < 64; page++) place(rig, page, 'rwad');
    };
    /** Some pages differ in one thing from what they were at first, or no longer; or G of a pointer above them all. */
    const change = (rig: HartRig, random: Prng): void => {
      const { machine, root } = rig;
      const what = random.below(70);
      const some = Array.from({ length: 1 + random.below(20) }, () => random.below(64));
      const rights = ['rwad', 'rwa', 'rwd', 'rwxad', 'rwadg', 'rwd'][what];
      if (rights !== undefined) for (const page of some) place(rig, page, rights);
      else if (what === 6) for (const page of some) place(rig, page, 'rwad', random.below(64));
      else if (what < 10) machine.storePte(root, 0, machine.pteLow(root, 0) ^ Pte.G, 0);
    };
    endAlike(tlb, neighbours, map, change, 12);
  });

  const every: More = { pageSizes: ['4K', '2M', '1G'], svnapot: true };
  const sized: Readonly<Record<string, TlbDescription>> = {
    'many ways, no sets': tiny({ name: 'sized-fully', inclusion: 'neither', l1d: full(20, every), l2: full(40, every), pwc: { 1: 4, 2: 2 } }),
    'sets of four ways': tiny({ name: 'sized-sets', inclusion: 'neither', l1d: full(16, { ...every, ways: 4 }), l2: full(64, { ...every, ways: 4 }), pwc: { 1: 4, 2: 2 } }),
    'trees in L1, queues in L2': tiny({ name: 'sized-trees', inclusion: 'neither', l1d: full(16, { ...every, ways: 8, replacement: 'plru' }), l2: full(32, { ...every, ways: 8, replacement: 'fifo' }), pwc: { 1: 4, 2: 2 } }),
    'queues in L1': tiny({ name: 'sized-queues', inclusion: 'neither', l1d: full(20, { ...every, replacement: 'fifo' }), l2: full(64, { ...every, ways: 8 }), pwc: { 1: 4, 2: 2 } }),
    'an L1 without 1G and without regions': tiny({ name: 'sized-less', inclusion: 'neither', l1d: full(16, { pageSizes: ['4K', '2M'] }), l2: full(64, { ...every, ways: 8 }), pwc: { 1: 4, 2: 2 } }),
    [presets()[0]!.name]: presets()[0]!,
  };
  test.each(Object.entries(sized))('with %s they do where pages are of every size', (_name, tlb) => {
    const [REGIONS, LARGE, GIGA] = [2 ** 27, 2 ** 28, 2 ** 31];
    /** Loads, and every eighth time a store instead, all over 64 base pages, 32 regions, 4 pages of 2 MiB and the second half of RAM in one of 1 GiB. */
    const lines = [
      'mul t0,t0,t1', 'addi t0,t0,1013', 'srli t3,t0,36', 'srli t2,t0,20', 'andi t2,t2,3', 'addi a1,s0,0', 'addi a2,s4,0', 'beq t2,zero,40', 'addi a1,s1,0', 'addi a2,s5,0', 'addi t2,t2,-1',
      'beq t2,zero,24', 'addi a1,s2,0', 'addi a2,s6,0', 'addi t2,t2,-1', 'beq t2,zero,8', 'addi a1,s3,0', 'and t3,t3,a2', 'slli t3,t3,12', 'add t3,t3,a1',
      'srli t4,t0,50', 'andi t4,t4,7', 'bne t4,zero,12', 'sd t5,8(t3)', 'jal zero,8', 'ld t5,0(t3)', 'addi a0,a0,-1', 'bne a0,zero,-108', 'ecall',
    ];
    const HALF = 2048;
    const mapOne = ({ machine: { ram }, ...rig }: HartRig, area: number, i: number, rights: string): void => {
      if (area === 0) rig.map(DATA + 4096 * i, rights, asPfn(ram.firstPfn + 512 + i));
      else if (area === 1) rig.mapRegion(REGIONS + 65536 * (i % 32), asPfn(ram.firstPfn + 1024 + 16 * (i % 32)), rights);
      else if (area === 2) rig.mapLarge(LARGE + 2 ** 21 * (i % 4), asPfn(ram.firstPfn + HALF + 512 * (i % 4)), rights);
      else rig.mapLarge(GIGA, ram.firstPfn, rights, 2);
    };
    const map = (rig: HartRig): void => {
      for (let area = 0; area < 4; area++) for (let i = 0; i < 64; i++) mapOne(rig, area, i, i % 3 === 0 ? 'rw' : 'rwad');
      rig.set({ s1: REGIONS, s2: LARGE, s3: GIGA + 4096 * HALF, s4: 63, s5: 511, s6: 2047 });
    };
    const change = (rig: HartRig, random: Prng): void => {
      const rights = ['rwad', 'rwa', 'rw', 'rwxad', 'rwadg'][random.below(60)];
      for (let n = rights === undefined ? 0 : 20; n > 0; n--) mapOne(rig, random.below(4), random.below(64), rights!);
      for (let n = random.below(40) === 0 ? 3 : 0; n > 0; n--) rig.machine.fence(null, asVpn([DATA, REGIONS, LARGE, GIGA][random.below(4)]! / 4096 + random.below(64)));
    };
    endAlike(tlb, lines, map, change, 5);
    // And up to a store that is refused, where L1 or L2 or neither has the page by then.
    const mapSomeToRead = (rig: HartRig): void => {
      map(rig);
      for (let area = 1; area < 3; area++) for (let i = 5; i < 64; i += 8) mapOne(rig, area, area === 1 ? i : 3, 'rad');
    };
    endAlike(tlb, lines, mapSomeToRead, null, 24);
  });

  /** Loads and stores all over eight lines of page-table entries, and loads from a page of 2 MiB, seldom. */
  const neighbours = [
    'mul t0,t0,t1', 'addi t0,t0,1013', 'srli t2,t0,40', 'andi t2,t2,63', 'slli t2,t2,12', 'add t2,t2,s0', 'ld t5,0(t2)', 'srli t3,t0,50', 'andi t3,t3,31', 'bne t3,zero,8', 'sd t5,8(t2)',
    'srli t3,t0,35', 'andi t3,t3,31', 'bne t3,zero,24', 'srli t3,t0,26', 'andi t3,t3,511', 'slli t3,t3,12', 'add t3,t3,s1', 'ld t6,0(t3)', 'addi a0,a0,-1', 'bne a0,zero,-80', 'ecall',
  ];
  const LARGE = 64 * 2 ** 21;
  /** By line: all eight as they may be; one frame apart; halves that change places; frames in a row, but not aligned; rights that differ; a row aligned for four;
   *  twice, some of them not accessed or not dirty yet. */
  function mapNeighbours(rig: HartRig, isGlobal = false, turn = 0): void {
    const frames = rig.machine.ram.firstPfn + 512;
    for (let i = 0; i < 64; i++) {
      const [line, at] = [(Math.floor(i / 8) + turn) % 8, i % 8];
      const frame = line === 1 && at === 2 ? 64 : line === 2 ? i ^ 4 : line === 3 ? i + 1 : line === 5 ? i + 4 : i;
      const rights = line === 4 && at === 5 ? 'rwxad' : line < 6 || at > 4 ? 'rwad' : at % 2 === 0 ? 'rw' : 'rwa';
      rig.map(DATA + 4096 * i, isGlobal ? `${rights}g` : rights, asPfn(frames + frame + 32 * Math.floor(line / 3)));
    }
    rig.mapLarge(LARGE, asPfn(rig.machine.ram.firstPfn + 1024), 'rwad');
    rig.set({ s1: LARGE });
  }

  const numbered = (n: number): Uint8Array => new Uint8Array(Float64Array.of(n).buffer);
  function endAlike(tlb: TlbDescription, lines: readonly string[], map: (rig: HartRig) => void = mapApart, between: ((rig: HartRig, random: Prng) => void) | null = null, nrSeeds = 3): void {
    const run = (engine: EngineName, seed: number): string => {
      const rig = hartRig({ tlb, engine });
      const { machine } = rig;
      // Frames are not alike, or a wrong one would not be seen. Of those of large pages some will do: what was written to is hashed.
      for (let frame = 512; frame < machine.ram.nrFrames; frame += frame < 704 ? 1 : 9) machine.writeFrame(asPfn(machine.ram.firstPfn + frame), 0, numbered(frame));
      map(rig);
      rig.code(CODE, lines);
      rig.set({ s0: DATA, a0: 3000, t0: seed, t1: 6364136223846793005n });
      const budgets = new Prng(seed, 'budgets');
      const hash = new StateHash();
      while (machine.run(1 + budgets.below(between === null ? 5000 : 500)).kind !== 0) {
        machine.hash(hash);
        between?.(rig, budgets);
      }
      machine.hash(hash);
      return `misses ${[...machine.mmu.counters.l1Misses]} state ${hash.digest()}`;
    };
    for (let seed = 1; seed <= nrSeeds; seed++) {
      const expected = run('reference', seed);
      for (const engine of ['jit', 'interp'] as const) expect(run(engine, seed), `${engine}, seed ${seed}`).toBe(expected);
    }
  }
  function mapApart(rig: HartRig): void {
    for (let i = 0; i < 64; i++) {
      const va = DATA + (i % 16) * 2 ** 21 + 4096 * Math.floor(i / 16);
      rig.map(va, 'rwad');
      rig.write(va, numbered(i));
    }
  }
});
