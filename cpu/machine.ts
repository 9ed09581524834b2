// Arena, RAM, MMU and hart put together: what the kernel calls hardware (kernel/machine.ts, fitted by shape). Here: construction, frames,
// registers, address spaces, the clock, the state hash. Not here: how instructions run (reference/loop.ts), what an access counts (#mmu).
import { PAGE_SIZE, UserError, highHalf, lowHalf, showSize, toNumber } from '#base';
import type { Asid, Pfn, StateHash, Vpn } from '#base';
import { Arena, Mmu, Privilege, Ram, SatpMode, Watch, mmuBytes } from '#mmu';
import type { TlbDescription, WatchedRange } from '#mmu';
import type { Clocks } from './csr.ts';
import { Hart } from './hart.ts';
import { ReferenceEngine } from './reference/loop.ts';
import { BLOCK_BYTES } from './reference/block.ts';
import type { ExitCounts, Regions, TranslationCounts } from './jit/cache.ts';
import type { WatchedRegion } from './jit/dump.ts';
import { DEFAULT_HOTNESS } from './jit/hotness.ts';
import type { Hotness } from './jit/hotness.ts';
import { EmittedEngine } from './engine.ts';
import { layoutBytes } from './emit/layout.ts';
import { Imaging } from './image.ts';
import type { MachineImage } from './image.ts';
import type { Exit } from './trap.ts';
import { hostFuses } from './wasm-host.ts';

export const ENGINES = ['jit', 'interp', 'reference'] as const;
/** jit: hot regions translated, the rest in the interpreter; interp: the interpreter alone, emitted as the regions are; reference: the readable engine. */
export type EngineName = (typeof ENGINES)[number];

export interface MachineOptions {
  /** Guest RAM, a multiple of 4096 bytes. */
  readonly ramBytes: number;
  readonly tlb: TlbDescription;
  /** Widest address space; the one that setAddressSpace selects. Default 39. */
  readonly sv?: 39 | 48 | 57;
  /** True (default): hardware sets A and D. False: software must (Svade). */
  readonly svadu?: boolean;
  /** For random TLB replacement. Default 1. */
  readonly seed?: number;
  /** How instructions are executed; results and counts are the same. Default: jit. */
  readonly engine?: EngineName;
  /** When the jit engine translates, and what else is emitted only when it pays. */
  readonly hotness?: Hotness;
  /** Whether emitted code uses the host's fused multiply-add. Default: where there is one (hostFuses); results are the same without. */
  readonly fuses?: boolean;
  /** Milliseconds of the host, for the translator's account of its own time; nothing else sees it. Absent: that account stays empty. */
  readonly hostMs?: () => number;
  /** Ticks of the `time` CSR a second of modelled time. Default 10 MHz, as QEMU's virt board has. */
  readonly timebaseHz?: number;
}

export const MIN_RAM_BYTES = 16 * 1024 ** 2;
/** 3.5 GiB: with the columns beside it RAM must fit one WebAssembly memory. */
export const MAX_RAM_BYTES = 3584 * 1024 ** 2;
/** Modelled cycles a second. */
export const CLOCK_HZ = 1_000_000_000;
/** Frames zeroed in one go from which on it pays to find out whether the engine may write to them without asking the MMU. */
const TRACKED_FRAMES = 16;
/** Columns of the hart, and rounding of each region to its alignment. */
const HART_BYTES = 4096;
const ALIGNMENT_BYTES = 2 * 65536;

// The words of a user context (kernel/machine.ts, CONTEXT_WORDS): pc, x1..x31, f0..f31, fcsr.
const CONTEXT_F0 = 32;
const CONTEXT_FCSR = 64;

const modeOf = { 39: SatpMode.Sv39, 48: SatpMode.Sv48, 57: SatpMode.Sv57 } as const;

export class Machine implements Clocks {
  readonly arena: Arena;
  readonly ram: Ram;
  readonly mmu: Mmu;
  /** One today; the first is the one that runs. */
  readonly harts: readonly Hart[];
  readonly hart: Hart;
  readonly sv: 39 | 48 | 57;
  readonly maxAsid = 0xffff;
  readonly svadu: boolean;
  /** The hart's registers, live. */
  readonly x: BigInt64Array;
  readonly xHalves: Int32Array;
  /** Asked whenever the hart is about to run in a program: true stops it before the first instruction. Changes nothing. */
  onEnter: (() => boolean) | null = null;
  /** Told of everything that the kernel does to bytes of RAM, but for its reads of page tables: after a write, before a read. null: nobody asks. */
  onTouch: ((pa: number, lenBytes: number, isWrite: boolean) => void) | null = null;
  /** While somebody is asked: where the hart stood when the last run() came back, of a trap the instruction that trapped. */
  lastPc = 0;
  private readonly engine: ReferenceEngine | EmittedEngine;
  /** The engine, and what knows images: caches, for whoever copies the objects of the machine. */
  get caches(): readonly object[] { return [this.arena, this.arena.buffer, this.engine, this.imaging, this.ram.dirtyCode, ...(this.mmu.deferred === null ? [] : [this.mmu.deferred])]; }
  private readonly imaging: Imaging;
  readonly timebaseHz: number;
  private readonly cyclesPerTick: number;

  constructor(options: MachineOptions) {
    const { ramBytes, tlb } = options;
    if (!Number.isInteger(ramBytes / PAGE_SIZE) || ramBytes < MIN_RAM_BYTES || ramBytes > MAX_RAM_BYTES) {
      throw new UserError(`RAM of ${showSize(ramBytes)}: it must be whole pages, from ${showSize(MIN_RAM_BYTES)} to ${showSize(MAX_RAM_BYTES)}.`);
    }
    const nrFrames = ramBytes / PAGE_SIZE;
    this.arena = new Arena(ramBytes + 2 * nrFrames + mmuBytes(tlb) + BLOCK_BYTES + layoutBytes(nrFrames) + HART_BYTES + ALIGNMENT_BYTES);
    const hartStart = this.arena.usedBytes;
    this.hart = new Hart(this.arena);
    const hartEnd = this.arena.usedBytes;
    this.harts = [this.hart];
    this.ram = new Ram(this.arena, nrFrames);
    this.sv = options.sv ?? 39;
    this.svadu = options.svadu ?? true;
    const mmuStart = this.arena.usedBytes;
    this.mmu = new Mmu(this.arena, this.ram, { tlb, sv: this.sv, svadu: this.svadu, seed: options.seed ?? 1 });
    this.imaging = new Imaging(this.arena, this.ram, [[hartStart, hartEnd], [mmuStart, this.arena.usedBytes]]);
    this.mmu.setPrivilege(Privilege.User, false, false);
    this.x = this.hart.x;
    this.xHalves = this.hart.xHalves;
    this.timebaseHz = options.timebaseHz ?? 10_000_000;
    this.cyclesPerTick = CLOCK_HZ / this.timebaseHz;
    const engine = options.engine ?? 'jit';
    this.engine = engine === 'reference' ? new ReferenceEngine(this.hart, this.mmu, this.ram, this)
      : new EmittedEngine(this.hart, this.mmu, this.ram, this, options.hotness ?? DEFAULT_HOTNESS, engine === 'jit', options.fuses ?? hostFuses(), options.hostMs ?? (() => 0));
  }

  /** What the translator has done so far, and how often control left what it made; null: this machine has none. Nothing of it is part of the state. */
  get translation(): TranslationCounts & { readonly exits: ExitCounts } | null {
    const { regions } = this;
    return regions === null ? null : { ...regions.counts, exits: regions.exits() };
  }
  private get regions(): Regions | null {
    return this.engine instanceof EmittedEngine ? this.engine.regions : null;
  }

  /** Of the translated regions that hold an address, text is kept from now on. False: this machine translates nothing. */
  watchTranslation(pc: bigint): boolean {
    this.regions?.watch(pc);
    return this.regions !== null;
  }
  /** Those that stand; if none does, the last one that was dropped. */
  watchedTranslations(): WatchedRegion[] {
    return this.regions?.watcher?.regions() ?? [];
  }
  /** The translated regions that are entered most, at most `nr`. */
  busiestTranslations(nr: number): { readonly pc: bigint; readonly entries: number }[] {
    return this.regions?.busiest(nr) ?? [];
  }

  /** Runs in U mode until a trap, or until exactly `budgetInstrs` have retired; run(1) is one step. The answer is one record, reused. */
  run(budgetInstrs: number): Exit {
    const { engine } = this;
    if (this.onEnter !== null && this.onEnter()) {
      engine.exit.breakpoint();
      return engine.exit;
    }
    if (this.mmu.watch !== null) this.mmu.watch.hits = [];
    if (this.onEnter === null) return engine.run(budgetInstrs);
    const exit = engine.run(budgetInstrs);
    this.lastPc = toNumber(this.hart.pcHi, this.hart.pcLo);
    return exit;
  }

  // ---- Stopping and going back

  /** Stops before the instructions at these addresses, whoever runs there: run() answers Breakpoint, and nothing has been counted for them. The
   *  instruction that a run() begins at is not asked about: going on steps over it. */
  setBreakpoints(pcs: ReadonlySet<number>): void {
    this.engine.blocks.setStops(pcs);
  }
  /** Watches memory, or none: run() answers Breakpoint behind each instruction that touches it, and mmu.watch.hits says how. What was found must be
   *  taken before the next run(); after a trap there may be something, too, for walks write page tables. */
  setWatch(ranges: readonly WatchedRange[]): void {
    this.mmu.setWatch(ranges.length === 0 ? null : new Watch(ranges));
  }
  /** What is needed to come back to this moment, but for the objects beside the arena. To be called between two runs. */
  takeImage(): MachineImage {
    this.mmu.askBeforeStores();
    return this.imaging.take();
  }
  /** Back to an image of this machine. */
  putBack(image: MachineImage): void {
    this.imaging.putBack(image);
    this.mmu.filter.clear();
    this.mmu.forgetKnown();
  }

  // ---- The hart

  get pc(): bigint { return this.hart.pc; }
  set pc(address: bigint) { this.hart.pc = address; }
  clearReservation(): void { this.hart.clearReservation(); }

  saveContext(into: BigInt64Array): void {
    const { hart } = this;
    into.set(hart.x);
    into[0] = BigInt.asIntN(64, hart.pc);
    into.set(hart.f, CONTEXT_F0);
    into[CONTEXT_FCSR] = BigInt(hart.fcsr);
  }
  loadContext(from: BigInt64Array): void {
    const { hart } = this;
    hart.x.set(from.subarray(0, CONTEXT_F0));
    hart.x[0] = 0n;
    hart.pc = from[0]!;
    hart.f.set(from.subarray(CONTEXT_F0, CONTEXT_FCSR));
    hart.fcsr = Number(BigInt.asUintN(32, from[CONTEXT_FCSR]!));
  }

  // ---- Address spaces

  /** satp := (the machine's mode, asid, root). No fence is implied. */
  setAddressSpace(root: Pfn, asid: Asid): void {
    this.mmu.writeSatp((modeOf[this.sv] << 28) | (asid << 12), root);
  }
  /** sfence.vma. vpn null: the whole address space; asid null: every address space and global entries. */
  fence(asid: Asid | null, vpn: Vpn | null): void {
    this.mmu.fence(vpn === null ? null : { hi: highHalf(vpn * PAGE_SIZE), lo: lowHalf(vpn * PAGE_SIZE) }, asid);
  }

  // ---- Frames. Whoever writes announces it, for decoded instructions may lie there.

  pteLow(table: Pfn, index: number): number {
    return this.ram.word(table, 2 * index);
  }
  pteHigh(table: Pfn, index: number): number {
    return this.ram.word(table, 2 * index + 1);
  }
  /** One aligned 8-byte store into a page table. */
  storePte(table: Pfn, index: number, low: number, high: number): void {
    this.mmu.stale?.willStore(table, index, 1, low, high, 0);
    this.ram.willStorePte(table, this.ram.word(table, 2 * index));
    const at = (this.ram.hostOf(table) >>> 2) + 2 * index;
    this.arena.i32[at] = low;
    this.arena.i32[at + 1] = high;
    if (this.onTouch !== null) this.onTouch(table * PAGE_SIZE + 8 * index, 8, true);
  }
  /** `nr` of them in a row, each low word `step` above the one before. */
  storePtes(table: Pfn, index: number, nr: number, low: number, high: number, step: number): void {
    this.mmu.stale?.willStore(table, index, nr, low, high, step);
    const words = this.arena.i32;
    const from = (this.ram.hostOf(table) >>> 2) + 2 * index;
    for (let at = from, word = low; at < from + 2 * nr; at += 2, word += step) {
      this.ram.willStorePte(table, words[at]!);
      words[at] = word;
      words[at + 1] = high;
    }
    if (this.onTouch !== null) this.onTouch(table * PAGE_SIZE + 8 * index, 8 * nr, true);
  }
  zeroFrames(first: Pfn, nr: number): void {
    this.mmu.stale?.willWrite(first, 0, nr * PAGE_SIZE, () => 0);
    if (!this.ram.isKnownZero(first, nr)) this.ram.zero(first, nr, nr >= TRACKED_FRAMES && !this.mmu.mayStoreUnasked(first, nr));
    if (this.onTouch !== null) this.onTouch(first * PAGE_SIZE, nr * PAGE_SIZE, true);
  }
  holdsZeros(pfn: Pfn): boolean {
    return this.ram.isZero(pfn);
  }
  copyFrame(to: Pfn, from: Pfn): void {
    if (this.onTouch !== null) this.onTouch(from * PAGE_SIZE, PAGE_SIZE, false);
    this.mmu.stale?.willWrite(to, 0, PAGE_SIZE, (at) => this.ram.word(from, at >> 2));
    this.ram.copy(to, from);
    if (this.onTouch !== null) this.onTouch(to * PAGE_SIZE, PAGE_SIZE, true);
  }
  /** Copies bytes out of a frame or a contiguous run; offset in bytes from the first frame's start. */
  readFrame(pfn: Pfn, offset: number, into: Uint8Array): void {
    const nr = framesOf(offset, into.length);
    if (this.onTouch !== null) this.onTouch(pfn * PAGE_SIZE + offset, into.length, false);
    into.set(this.ram.bytes(pfn, nr).subarray(offset, offset + into.length));
  }
  writeFrame(pfn: Pfn, offset: number, from: Uint8Array): void {
    const nr = framesOf(offset, from.length);
    const to = this.ram.bytes(pfn, nr);
    this.mmu.stale?.willWrite(pfn, offset, from.length, (at) => wordOf(from, at));
    for (let i = 0; i < nr; i++) this.ram.willWrite((pfn + i) as Pfn);
    to.set(from, offset);
    if (this.onTouch !== null) this.onTouch(pfn * PAGE_SIZE + offset, from.length, true);
  }

  // ---- Time: instructions, what look-ups cost, what the kernel charged. Exact whole numbers.

  get instret(): number { return this.hart.instret; }
  get clockCycles(): number { return this.hart.instret + this.mmu.cycles + this.hart.chargedCycles; }
  /** Adds the modelled cost of work that the kernel did. */
  charge(cycles: number): void { this.hart.chargedCycles += cycles; }
  /** The same clock as CSRs show it. */
  get cycles(): number { return this.clockCycles; }
  get time(): number { return Math.floor(this.clockCycles / this.cyclesPerTick); }

  // ---- The state hash

  /** Registers, counts, TLBs, page-walk caches, counters: all that decides what the machine does next, but for RAM. */
  hash(into: StateHash): void {
    this.hart.hash(into);
    this.mmu.hash(into);
  }
  /** The numbers and contents of some frames, in the order given. */
  hashFrames(into: StateHash, pfns: Iterable<Pfn>): void {
    const words = this.arena.i32;
    for (const pfn of pfns) {
      const at = this.ram.hostOf(pfn) >>> 2;
      into.number(pfn);
      into.int32s(words, at, at + PAGE_SIZE / 4);
    }
  }
}

/** Four bytes as a word, little-endian; what lies outside is 0. */
const wordOf = (bytes: Uint8Array, at: number): number => [0, 1, 2, 3].reduce((word, i) => word | ((bytes[at + i] ?? 0) << (8 * i)), 0);
const framesOf = (offset: number, lenBytes: number): number => Math.max(1, Math.ceil((offset + lenBytes) / PAGE_SIZE));
