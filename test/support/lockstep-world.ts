// A machine, page tables written by hand, a random program and whatever a kernel might do between two of its instructions: the same from the same seed, with
// any engine, however the run is cut into pieces. Two runs that end in different states show a mistake in an engine.
import { Prng, StateHash, UserError, asAsid, asPfn, asVpn } from '#base';
import type { Pfn } from '#base';
import { DEFAULT_HOTNESS, EAGER, Machine } from '#cpu';
import type { EngineName, Hotness, MachineImage } from '#cpu';
import { Pte, PteHigh, makePte, napotLow, parseTlbDescription } from '#mmu';
import type { TlbDescription } from '#mmu';
import { assemble } from './assemble.ts';
import { ProgramMaker, Use } from './random-program.ts';
import type { Program } from './random-program.ts';

const RAM_BYTES = 16 * 2 ** 20;
const CODE = 0x1_0000;
const CODE_PAGES = 6;
/** Half of it under one table of leaves, half under another, so that page-walk caches have to choose. */
const DATA = 0x1f_0000;
const DATA_PAGES = 32;
/** One page of 2 MiB, in two of whose frames the tables' own 2 MiB lie not. */
const LARGE = 0x40_0000;
/** Frames, counted from the first: tables, code, other code, data, and the large page's. */
const At = { tables: 0, code: 64, otherCode: 80, data: 128, large: 512 } as const;

/** In an entry's high word, a bit that must be zero. */
const RESERVED = 1 << 22;
const COALESCING = ['none', 'svnapot', 'zen', 'colt-sa', 'colt-fa', 'clustered'];

/** Hierarchies of 1 to 4 entries a side: every replacement, every coalescing model and its A/D rules, every inclusion. A third of them are such that
 *  emitted code does the most common misses itself (mmu/plan.ts): every replacement but random, one coalescing model or none; and may be larger. */
export function randomTlb(random: Prng, isSurelyPlain = false): TlbDescription {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const isPlain = random.below(3) === 0 || isSurelyPlain;
  const model = pick(['zen', 'zen', 'colt-sa', 'colt-fa', 'clustered']);
  const array = (most: number): object => {
    const entries = 1 + random.below(isPlain && random.below(3) === 0 ? 30 : most);
    if (isPlain) {
      const joins = random.below(2) === 0;
      const shape = {
        pageSizes: ['4K', ...(joins && model === 'zen' ? pick([['16K'], ['16K', '32K']]) : []), ...pick([[], ['2M'], ['2M', '1G']])], ...(random.below(4) === 0 ? { svnapot: true } : {}),
        ...(joins ? { coalescing: model, adRule: pick(['strict', 'loose-a', 'd-split', 'd-evict']) } : {}),
      };
      const treeWays = 1 << random.below(6);
      if (random.below(3) === 0) return { entries: treeWays * pick([1, 1, 2]), ways: treeWays, replacement: 'plru', ...shape };
      return { entries, ways: pick([entries, entries, 1, 2].filter((ways) => entries % ways === 0)), replacement: pick(['lru', 'lru', 'fifo']), ...shape };
    }
    const coalescing = pick(COALESCING);
    return {
      entries, ways: pick([entries, 1, 2].filter((ways) => entries % ways === 0)), replacement: pick(['lru', 'plru', 'fifo', 'random']),
      pageSizes: ['4K', ...(coalescing === 'zen' ? [pick(['16K', '32K'])] : []), ...(random.below(2) === 0 ? ['2M'] : [])],
      coalescing, adRule: pick(['strict', 'loose-a', 'd-split', 'd-evict']), ...(random.below(3) === 0 ? { svnapot: true } : {}),
    };
  };
  const level = (most: number): object => ({ arrays: [array(most)], hitCycles: random.below(9) });
  for (;;) {
    try {
      return parseTlbDescription({
        name: 'random', source: 'made by lot', l1i: level(4), l1d: level(4), l2: !isPlain && random.below(4) === 0 ? null : level(8),
        ...(random.below(5) === 0 ? { l2i: level(8) } : {}),
        inclusion: isPlain ? 'neither' : pick(['inclusive', 'exclusive', 'neither']), pwc: { 1: random.below(3), 2: random.below(3), 3: random.below(2) },
        ...(random.below(3) === 0 ? { pageFenceDropsPwc: true } : {}), walkCycles: 3, pteReadCycles: 11,
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error; // not every lot is a hierarchy
    }
  }
}

export interface LockstepOptions {
  readonly engine: EngineName;
  readonly hotness?: Hotness;
  readonly fuses?: boolean;
  /** Length of the next piece of the run. */
  readonly budget: () => number;
  /** Instructions in all; what was retired beyond traps. */
  readonly instrs: number;
  /** Every fetch and access asks the MMU. */
  readonly asksAlways?: boolean;
}

/** Goes over the data pages by lot, with loads and now and then a store, seldom to the large page, for ever: misses are all that it does. Bits of what it
 *  multiplies say which page, which eight bytes of it, and whether it stores. */
const WANDERER: Program = {
  bytes: new Uint8Array(Int32Array.from([
    'mul a0,a0,a1', 'addi a0,a0,1441', 'srli t1,a0,40', `andi t1,t1,${DATA_PAGES - 1}`, 'slli t1,t1,12', 'add t1,t1,s0', 'srli a2,a0,20', 'andi a2,a2,2040', 'add t1,t1,a2',
    'ld t2,0(t1)', 'srli a2,a0,50', 'andi a2,a2,7', 'bne a2,zero,-48', 'add t2,t2,a0', 'sd t2,2040(t1)', 'ld a3,16(t1)',
    'srli a2,a0,35', 'andi a2,a2,7', 'bne a2,zero,-76', 'srli a2,a0,26', 'andi a2,a2,511', 'slli a2,a2,12', 'add a2,a2,s1', 'ld a3,0(a2)', 'jal zero,-96',
  ], (line) => assemble(line)).buffer),
  entries: [0],
};

/** A world's two programs. Kept for the next run of the same seed: making them takes as long as running them. */
function programsOf(seed: number): readonly [Program, Program] {
  if (known.seed !== seed) {
    const maker = (which: string): Program => new ProgramMaker(new Prng(seed, which)).make(CODE_PAGES * 4096 - 8);
    known = { seed, programs: [maker('code'), maker('other code')] };
  }
  return known.programs!;
}
let known: { seed: number; programs: readonly [Program, Program] | null } = { seed: NaN, programs: null };

/** @returns everything that could differ, as text: counts first, the state's hash last */
export function runWorld(seed: number, { engine, hotness = EAGER, fuses, budget, instrs, asksAlways = false }: LockstepOptions): string {
  const random = new Prng(seed, 'world');
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const sv = pick([39, 39, 48, 57] as const);
  const svadu = random.below(3) !== 0;
  const wanders = random.below(3) === 0;
  const machine = new Machine({ ramBytes: RAM_BYTES, tlb: randomTlb(random, wanders), sv, svadu, seed, engine, hotness, ...(fuses === undefined ? {} : { fuses }) });
  const { firstPfn } = machine.ram;
  const frame = (n: number): Pfn => asPfn(firstPfn + n);

  // ---- Two address spaces. In the second one some code pages are others.
  let nextTable = At.tables;
  const newTable = (): Pfn => frame(nextTable++);
  const roots = [newTable(), newTable()];
  const tableFor = (space: number, va: number, level: number): Pfn => {
    let table = roots[space]!;
    for (let at = (sv - 12) / 9 - 1; at > level; at--) {
      const index = Math.floor(va / 2 ** (12 + 9 * at)) % 512;
      if (machine.pteLow(table, index) === 0) machine.storePte(table, index, makePte(newTable(), Pte.V), 0);
      table = asPfn(machine.pteLow(table, index) >>> 10);
    }
    return table;
  };
  const frames = new Map<string, Pfn>();
  const marked = new Set<number>();
  const seen = Pte.A | Pte.D;
  /** Bits that say nothing to hardware. */
  const ofTheOs = (): number => (random.below(6) === 0 ? 0x100 : 0);
  const write = (space: number, va: number, bits: number): void => {
    const page = Math.floor(va / 4096);
    const pfn = frames.get(`${space} ${page}`)!;
    const isMarked = marked.has(page & ~15);
    const table = tableFor(space, va, 0);
    if (isMarked) machine.storePte(table, page % 512, napotLow(asPfn(pfn & ~15), bits), PteHigh.N);
    else machine.storePte(table, page % 512, makePte(pfn, bits | ofTheOs()), 0);
  };
  const codeRights = Pte.V | Pte.U | Pte.R | Pte.X;
  const rightsAt = (va: number): number => (va >= DATA ? Pte.V | Pte.U | Pte.R | Pte.W : codeRights | (Math.floor(va / 4096) % 2 === 0 ? Pte.W : 0));
  /** In some worlds entries are global by lot. */
  const isGlobal = random.below(8) === 0 ? () => (random.below(3) === 0 ? Pte.G : 0) : () => 0;
  const map = (space: number, va: number): void => write(space, va, rightsAt(va) | isGlobal() | (svadu && random.below(3) !== 0 ? 0 : pick([Pte.A, seen, seen])));
  const unmap = (space: number, va: number): void => {
    if (!marked.has(Math.floor(va / 4096) & ~15)) machine.storePte(tableFor(space, va, 0), Math.floor(va / 4096) % 512, 0, 0);
  };
  const shuffled = random.below(3) === 0;
  for (const space of [0, 1]) {
    for (let i = 0; i < CODE_PAGES; i++) frames.set(`${space} ${CODE / 4096 + i}`, frame((space === 1 && i % 3 === 2 ? At.otherCode : At.code) + i));
    for (let i = 0; i < DATA_PAGES; i++) {
      // The first two are views of code: what is stored there changes the program.
      const view = i < 2 ? At.code + 1 + i : At.data + (shuffled ? (i * 7 + 5 * space) % DATA_PAGES : i);
      frames.set(`${space} ${DATA / 4096 + i}`, frame(view));
    }
  }
  // In some a program can write to its own table, in several places.
  if (random.below(6) === 0) for (let i = DATA_PAGES - 8; i < DATA_PAGES; i++) frames.set(`0 ${DATA / 4096 + i}`, tableFor(0, DATA, 0));
  if (!shuffled && random.below(2) === 0) marked.add(DATA / 4096 + 16);
  const pages = [...Array.from({ length: CODE_PAGES }, (_, i) => CODE + 4096 * i), ...Array.from({ length: DATA_PAGES }, (_, i) => DATA + 4096 * i)];
  for (const space of [0, 1]) {
    for (const va of pages) if (marked.has(Math.floor(va / 4096) & ~15) || random.below(4) !== 0) map(space, va);
    machine.storePte(tableFor(space, LARGE, 1), (LARGE / 2 ** 21) % 512, makePte(frame(At.large), Pte.V | Pte.U | Pte.R | Pte.W | seen), 0);
  }

  // ---- Program and data.
  const [{ bytes, entries }, other] = wanders ? [WANDERER, WANDERER] : programsOf(seed);
  machine.writeFrame(frame(At.code), 0, bytes);
  machine.writeFrame(frame(At.otherCode), 0, other.bytes);
  /** Where control is sent: few enough that the same code runs again. */
  const homes = Array.from({ length: 1 + random.below(8) }, () => CODE + pick(entries));
  const values = [0n, 1n, -1n, 0x7ff0_0000_0000_0000n, 0x7ff8_0000_0000_0000n, 0x7ff0_0000_0000_0001n, -0x8000_0000_0000_0000n, 0x3ff0_0000_0000_0000n, 0x000f_ffff_ffff_ffffn, 0x7fef_ffff_ffff_ffffn,
    0xffff_ffff_3f80_0000n, 0xffff_ffff_7f80_0000n, 0xffff_ffff_7fc0_0000n, 0xffff_ffff_0000_0001n, 0xffff_ffff_ff7f_ffffn, 0x4330_0000_0000_0000n, 0x43e0_0000_0000_0000n, 0x41df_ffff_ffc0_0000n];
  const data = new BigInt64Array(DATA_PAGES * 512);
  for (let i = 0; i < data.length; i += 1 + random.below(6)) data[i] = random.below(2) === 0 ? pick(values) : (BigInt(random.below(2 ** 30)) << 34n) ^ BigInt(random.below(2 ** 30));
  machine.writeFrame(frame(At.data), 0, new Uint8Array(data.buffer));
  for (const register of Use.free) if (register !== 0) machine.x[register] = pick(values);
  for (const register of Use.data) machine.x[register] = BigInt(random.below(9) === 0 ? LARGE + 4096 * random.below(500) + 2048 : DATA + 4096 * (2 + random.below(DATA_PAGES - 3)) + 8 * random.below(512));
  for (const register of Use.code) machine.x[register] = BigInt(pick(homes));
  if (wanders) {
    machine.x[8] = BigInt(DATA);
    machine.x[9] = BigInt(LARGE);
    machine.x[11] = 0x5851_f42d_4c95_7f2dn;
  }
  machine.x[Use.view] = BigInt(DATA + 2048 + 4096 * random.below(2));
  for (let i = 0; i < 32; i++) machine.hart.f[i] = pick(values);
  machine.pc = BigInt(pick(homes));
  let space = 0;
  machine.setAddressSpace(roots[0]!, asAsid(1));

  /** What a kernel would do, in little: maps what is missing and tries again, goes on elsewhere at all else. */
  const afterTrap = (cause: number, tval: number): void => {
    machine.charge(100);
    if (random.below(4) !== 0) machine.clearReservation();
    const va = Math.floor(tval / 4096) * 4096;
    if (cause >= 12 && pages.includes(va)) {
      // With Svade, or against stale entries, the fault is about A and D, or about what stood there before.
      write(space, va, rightsAt(va) | seen);
      machine.fence(asAsid(space + 1), null);
      if (cause !== 15 || va >= DATA || (rightsAt(va) & Pte.W) !== 0) return;
    }
    machine.pc = random.below(3) === 0 && cause !== 12 ? machine.pc + 4n : BigInt(pick(homes));
  };
  let moment: { readonly image: MachineImage; readonly space: number } | null = null;
  /** What comes from outside. */
  const event = (): void => {
    const va = pick(pages);
    switch (random.below(13)) {
      case 0:
        space = 1 - space;
        machine.setAddressSpace(roots[space]!, asAsid(space + 1));
        break;
      case 1: machine.fence(null, null); break;
      case 2: machine.fence(asAsid(space + 1), asVpn(va / 4096)); break;
      case 3: // The entry goes without a fence: what a TLB holds stays good.
        unmap(space, va);
        break;
      case 4:
        map(space, va);
        machine.fence(null, asVpn(va / 4096));
        break;
      case 5: { // Somebody writes code: a word from elsewhere in it.
        const word = new Uint8Array(4);
        machine.readFrame(frame(At.code + random.below(CODE_PAGES)), 4 * random.below(1023), word);
        machine.writeFrame(frame(At.code + random.below(CODE_PAGES)), 2 * random.below(2046), word);
        break;
      }
      case 6: // A signal's way in and out: to a handler, and its registers.
        machine.x[1] = machine.pc;
        machine.pc = BigInt(pick(homes));
        break;
      case 7: { // A page moves.
        const page = Math.floor(va / 4096);
        if (va < DATA && !marked.has(page & ~15)) {
          const key = `${space} ${page}`;
          frames.set(key, frame((frames.get(key)! - firstPfn < At.otherCode ? At.otherCode : At.code) + page - CODE / 4096));
          map(space, va);
          machine.fence(null, asVpn(va / 4096));
        }
        break;
      }
      case 8: { // The leaves' table moves, with or without its entries; what knew the old one finds it as it was.
        if (nextTable >= At.code) break;
        const [above, index, table] = [tableFor(space, va, 1), Math.floor(va / 2 ** 21) % 512, newTable()];
        if (random.below(2) === 0) machine.copyFrame(table, tableFor(space, va, 0));
        machine.storePte(above, index, makePte(table, Pte.V | isGlobal()), 0);
        if (random.below(2) === 0) machine.fence(pick([null, asAsid(space + 1)]), null);
        break;
      }
      case 9: { // Somebody writes entries who does not know what they are: two change places.
        const table = tableFor(space, va, 0);
        const [one, other] = [new Uint8Array(8), new Uint8Array(8)];
        const [here, there] = [8 * (Math.floor(va / 4096) % 512), 8 * (Math.floor(pick(pages) / 4096) % 512)];
        if (marked.size !== 0) break;
        machine.readFrame(table, here, one);
        machine.readFrame(table, there, other);
        machine.writeFrame(table, here, other);
        machine.writeFrame(table, there, one);
        if (random.below(2) === 0) machine.fence(null, null);
        break;
      }
      case 10: // Somebody remembers the moment, or goes back to it.
        if (moment === null) moment = { image: machine.takeImage(), space };
        else if (moment.space === space) {
          machine.putBack(moment.image);
          moment = null;
        }
        break;
      case 11: { // An entry that no walk may use, among others in its line.
        const page = Math.floor(va / 4096);
        if (va >= DATA && !marked.has(page & ~15)) machine.storePte(tableFor(space, va, 0), page % 512, makePte(frames.get(`${space} ${page}`)!, rightsAt(va) | seen), RESERVED);
        break;
      }
      default: machine.hart.fcsr = random.below(256);
    }
  };

  let history = 0;
  const note = (n: number): void => { history = (Math.imul(history, 31) + n) | 0; };
  const ticks = (): number => machine.instret + machine.hart.traps;
  let untilEvent = 100 + random.below(600);
  for (let left = wanders ? 5 * instrs : instrs; left > 0;) {
    const before = ticks();
    if (asksAlways) machine.mmu.filter.clear();
    const exit = machine.run(Math.min(left, untilEvent, asksAlways ? 1 : budget()));
    const ran = ticks() - before;
    if (ran === 0) throw new Error(`seed ${seed}: nothing happened`);
    left -= ran;
    untilEvent -= ran;
    if (exit.kind === 0) {
      const tval = exit.tvalHi * 2 ** 32 + (exit.tvalLo >>> 0);
      note(exit.cause);
      note(exit.tvalLo);
      note(machine.instret);
      afterTrap(exit.cause, tval);
    }
    if (untilEvent <= 0) {
      event();
      untilEvent = 50 + random.below(500);
    }
  }
  const hash = new StateHash();
  machine.hash(hash);
  machine.hashFrames(hash, Array.from({ length: At.data + DATA_PAGES }, (_, i) => frame(i)));
  machine.hashFrames(hash, Array.from({ length: 64 }, (_, i) => frame(At.large + 8 * i)));
  const { lookups, l1Misses } = machine.mmu.counters;
  return `instret ${machine.instret} traps ${machine.hart.traps} cycles ${machine.clockCycles} lookups ${[...lookups]} misses ${[...l1Misses]} pc ${machine.pc} history ${history} state ${hash.digest()}`;
}

/** Hotness by lot: what is translated, when, and what is given up changes nothing. */
export function randomHotness(random: Prng): Hotness {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  return pick([EAGER, EAGER, DEFAULT_HOTNESS, {
    startInstrs: random.below(1000), blockStarts: 1 + random.below(20), batch: 1 + random.below(5), patienceInstrs: random.below(500), stopsAsked: pick([1, 2, 8]), calmInstrs: pick([0, 1000, 1e9]), refusals: random.below(3), rares: random.below(50), misses: 1 + random.below(30), hits: 1 + random.below(10),
    workShare: pick([0, 5, 1000]), workInAdvance: pick([1e5, 1e9]), maxBytes: pick([2000, 20_000, 1e9]),
  }]);
}
