// Translated regions: asked for, made in batches, dropped with the bytes they were made from. Here: the queue, pages and bytes of a region, the table of
// functions. Not here: a region's shape (region.ts) and code (translate.ts).
//
// Nothing a guest can see depends on when a region becomes ready, or on whether it does: the same instructions go through the interpreter.
// The host keeps a module's memory until its last region is gone, so that memory is counted, and given back, by modules.
import { PAGE_SIZE } from '#base';
import { slotOf } from '#mmu';
import type { JumpTargets } from '../emit/jumps.ts';
import type { Layout } from '../emit/layout.ts';
import { MAX_REGIONS } from '../emit/layout.ts';
import { RegionExit } from '../interp.ts';
import { REFILL } from '../emit/refill.ts';
import { ModuleWriter } from '../emit/wasm.ts';
import { decode, isCompressed } from '../isa/decode.ts';
import type { Decoded } from '../isa/decode.ts';
import type { Core } from '../reference/core.ts';
import { compile, instantiate } from '../wasm-host.ts';
import type { WasmTable } from '../wasm-host.ts';
import { translationWork } from './hotness.ts';
import type { Hotness } from './hotness.ts';
import { buildRegion } from './region.ts';
import type { CodeSource, Region } from './region.ts';
import { translate } from './translate.ts';
import type { Translated } from './translate.ts';
import { Watcher } from './dump.ts';

interface Standing { readonly number: number; readonly row: number; readonly pc: bigint; readonly frames: readonly number[]; readonly form: Form; readonly module: Module; stoppedAt: number; isAskedAnew: boolean }
/** With the numbers of its regions that stand. */
interface Module { readonly lenBytes: number; readonly numbers: Set<number> }
/** How a region takes an access that the filter does not answer: it stops, and accesses share questions (groups.ts); or it calls (../emit/refill.ts). */
export type Form = 'stops' | 'calls';
interface Wish { readonly row: number; readonly pcHi: number; readonly pcLo: number; readonly form: Form; readonly instead: Standing | null }

export interface TranslationCounts {
  regions: number;
  /** Of them, made anew with misses as calls. */
  remade: number;
  dropped: number;
  /** Wishes that were not fulfilled: the work that may be spent was spent, or the page is written to too often. */
  refused: number;
  modules: number;
  /** Guest instructions, inlined ones counted again. */
  instrs: number;
  /** Of WebAssembly: all that was made, what stands, the most that has stood. */
  bytes: number;
  standingBytes: number;
  peakBytes: number;
  /** Host time spent on translating, if somebody has given a clock (MachineOptions.hostMs). */
  milliseconds: number;
}
/** By cause (RegionExit), how often translated regions were left. */
export type ExitCounts = Readonly<Record<keyof typeof RegionExit, number>>;

/** Losses of a page's regions that count: code that has begun 2^12 times as often as is hot is worth a translation even if it is written again. */
const MAX_REWRITES = 12;
const NO_NUMBERS: ReadonlySet<number> = new Set();

export class Regions {
  private readonly core: Core;
  private readonly layout: Layout;
  private readonly table: WasmTable;
  private readonly pages: number;
  private readonly hotness: Hotness;
  /** The function for common misses, and what translate.ts's Refill says of it; or null. */
  refill: { readonly take: () => unknown; readonly lasts: number } | null = null;
  private wishes: Wish[] = [];
  private firstWish = 0;
  /** By number. */
  private readonly standing = new Map<number, Standing>();
  private readonly byFrame = new Map<number, Set<number>>();
  private readonly free: number[] = [];
  private nextNumber = 0;
  /** In the order in which they were made. */
  private readonly modules = new Set<Module>();
  /** By frame: how often its regions were lost to stores, and how often a block of it has become hot since the last store. Each loss doubles what the next takes. */
  private readonly rewritten = new Map<number, { times: number; asked: number }>();
  private work = 0;
  private lastTick = 0;
  private ranBefore = 0;
  watcher: Watcher | null = null;
  private readonly hostMs: () => number;
  readonly counts: TranslationCounts = { regions: 0, remade: 0, dropped: 0, refused: 0, modules: 0, instrs: 0, bytes: 0, standingBytes: 0, peakBytes: 0, milliseconds: 0 };

  /** @param hostMs for counts.milliseconds alone */
  constructor(core: Core, layout: Layout, table: WasmTable, pages: number, hotness: Hotness, hostMs: () => number) {
    this.hotness = hotness;
    this.hostMs = hostMs;
    this.core = core;
    this.layout = layout;
    this.table = table;
    this.pages = pages;
    core.blocks.onDrop = (frame, isChanged) => this.dropFrame(frame, isChanged);
  }

  exits(): ExitCounts {
    const { exits } = this.layout;
    return Object.fromEntries(Object.entries(RegionExit).map(([cause, index]) => [cause, exits[index]!])) as unknown as ExitCounts;
  }

  /** Regions that hold an address are recorded from now on. */
  watch(pc: bigint): void {
    this.watcher = new Watcher(pc, this.layout);
  }
  /** The regions that are entered most of those that stand: heads, and how often. */
  busiest(nr: number): { readonly pc: bigint; readonly entries: number }[] {
    return [...this.standing.values()].map(({ pc, number }) => ({ pc, entries: this.layout.entries[number]! })).sort((a, b) => b.entries - a.entries).slice(0, nr);
  }

  /** The block at hart.pc has become hot. */
  ask(row: number, tick: number): void {
    if (this.isRestlessPage() || !this.hasWorkLeft(tick)) {
      this.counts.refused++;
      this.core.blocks.heat[row] = 0;
      return;
    }
    if (this.wishes.length === 0) this.firstWish = tick;
    this.wishes.push({ row, pcHi: this.core.hart.pcHi, pcLo: this.core.hart.pcLo, form: 'stops', instead: null });
  }
  /** A region has stopped another hotness.stopsAsked times. */
  restless(number: number, tick: number): void {
    const region = this.standing.get(number)!;
    const { stopsAsked, calmInstrs } = this.hotness;
    const instrs = tick - region.stoppedAt;
    region.stoppedAt = tick;
    if (this.refill === null || region.form === 'calls' || region.isAskedAnew || instrs > stopsAsked * calmInstrs || !this.hasWorkLeft(tick)) return;
    region.isAskedAnew = true;
    if (this.wishes.length === 0) this.firstWish = tick;
    this.wishes.push({ row: region.row, pcHi: Number(region.pc >> 32n), pcLo: Number(BigInt.asIntN(32, region.pc)), form: 'calls', instead: region });
  }
  private hasWorkLeft(tick: number): boolean {
    const { workShare, workInAdvance } = this.hotness;
    return this.work <= workInAdvance + workShare * (this.ranBefore + tick);
  }
  /** A block at hart.pc is hot. Has its page been written to so often that its code should run longer first? */
  private isRestlessPage(): boolean {
    const { hart, mmu } = this.core;
    const delta = mmu.filter.exec[slotOf(hart.pcLo) + 2]!; // it has just been fetched from
    const frame = this.frameOf((hart.pcLo + delta) | 0);
    const page = this.rewritten.get(frame);
    if (page !== undefined) page.asked++;
    return this.isRestless(frame);
  }
  private isRestless(frame: number): boolean {
    const page = this.rewritten.get(frame);
    return page !== undefined && page.asked < 2 ** Math.min(page.times, MAX_REWRITES);
  }
  private frameOf(host: number): number {
    const { ram } = this.core;
    return ram.pfnOfHost(host) - ram.firstPfn;
  }
  /** Translates what was asked for, if that is enough or has waited. To be called between runs of emitted code. */
  makeReady(tick: number): void {
    const { startInstrs, batch: full, patienceInstrs } = this.hotness;
    if (tick < this.lastTick) {
      // The machine was put back to an earlier time: what has been run has been run.
      this.ranBefore += this.lastTick - tick;
      this.firstWish = Math.min(this.firstWish, tick);
    }
    this.lastTick = tick;
    if (this.ranBefore + tick < startInstrs) return;
    if (this.wishes.length < full && (this.wishes.length === 0 || tick - this.firstWish < patienceInstrs)) return;
    const started = this.hostMs();
    this.translateWishes(tick);
    this.keepWithinLimit();
    this.counts.milliseconds += this.hostMs() - started;
  }
  private translateWishes(tick: number): void {
    const { blocks } = this.core;
    const module = new ModuleWriter();
    const refill = this.refill === null ? null : { number: module.importFunction('refill', REFILL), lasts: this.refill.lasts };
    const batch: { wish: Wish; row: number; pc: bigint; region: Region; translated: Translated; frames: number[] }[] = [];
    for (const wish of this.wishes) {
      const { row, pcHi, pcLo, form, instead } = wish;
      if (instead !== null && !this.stands(instead)) continue;
      const source = new PageSource(this.core, this.layout.jumps, pcHi, pcLo, (host) => this.isRestless(this.frameOf(host)));
      const pc = (BigInt(pcHi) << 32n) | BigInt(pcLo >>> 0);
      const host = source.instruction(0) === null ? null : source.hostAt(0);
      // It may have been dropped, or be part of what has been made meanwhile: then it counts anew, and asks again if it is still entered.
      if (host !== null && (blocks.known(host) !== row || (instead === null && blocks.heat[row]! < this.hotness.blockStarts))) continue;
      if (host === null) {
        // Not shown at the moment, or somebody wants the hart to stop there.
        if (instead !== null) instead.isAskedAnew = false;
        else if (blocks.heat[row]! > 0) blocks.heat[row] = 0;
        continue;
      }
      const region = buildRegion(source);
      if (region.head.rows.length === 0) continue;
      const frames = this.hold(region, source);
      if (instead === null) this.coolDown(region, source);
      this.work += translationWork(region.nrInstrs);
      batch.push({ wish, row, pc, region, translated: translate(region, pc, this.layout, source, form === 'calls' ? refill : null), frames });
    }
    this.wishes = [];
    if (batch.length === 0) return;
    if (this.standing.size + batch.length > MAX_REGIONS) this.dropAll();

    batch.forEach(({ translated }, i) => module.add(translated.code, `r${i}`));
    const bytes = module.finish(this.pages);
    const made = instantiate(compile(bytes), { memory: this.core.ram.arena.memory, ...(this.refill === null ? {} : { refill: this.refill.take() }) });
    const inModule: Module = { lenBytes: bytes.length, numbers: new Set() };
    this.modules.add(inModule);
    const { counts } = this;
    counts.modules++;
    counts.bytes += bytes.length;
    counts.standingBytes += bytes.length;
    counts.peakBytes = Math.max(counts.peakBytes, counts.standingBytes);
    batch.forEach(({ wish: { form, instead }, row, pc, region, translated, frames }, i) => {
      if (instead !== null) {
        if (this.stands(instead)) this.drop(instead.number);
        counts.remade++;
      }
      const number = this.free.pop() ?? this.nextNumber++;
      this.table.set(number, made[`r${i}`]);
      this.layout.regionPcs[number] = pc;
      this.layout.stops[number] = 0;
      this.layout.entries[number] = 0;
      this.standing.set(number, { number, row, pc, frames, form, module: inModule, stoppedAt: tick, isAskedAnew: false });
      inModule.numbers.add(number);
      for (const frame of frames) {
        const there = this.byFrame.get(frame) ?? new Set<number>();
        there.add(number);
        this.byFrame.set(frame, there);
      }
      blocks.heat[row] = ~number;
      counts.regions++;
      counts.instrs += region.nrInstrs;
      this.watcher?.made({ number, pc, form, region, translated });
    });
  }
  /** Blocks within a new region count anew: they have become hot with its head, and are entered by themselves no longer. */
  private coolDown(region: Region, source: PageSource): void {
    const { blocks } = this.core;
    for (const { rows } of region.nodes) {
      for (const { offset } of rows) {
        const row = blocks.known(source.hostAt(offset)!);
        if (row >= 0 && blocks.heat[row]! > 0) blocks.heat[row] = 0;
      }
    }
  }
  private keepWithinLimit(): void {
    if (this.counts.standingBytes <= this.hotness.maxBytes) return;
    for (const { numbers } of this.modules) {
      if (this.counts.standingBytes <= this.hotness.maxBytes / 2) return;
      for (const number of numbers) this.drop(number);
    }
  }

  /** Stores to the region's bytes must be noticed from now on. @returns the frames that it lies in */
  private hold(region: Region, source: PageSource): number[] {
    const { blocks } = this.core;
    const frames = new Set<number>();
    for (const node of region.nodes) {
      if (node.rows.length === 0) continue;
      const host = source.hostAt(node.offset)!;
      blocks.hold(host, node.end - node.offset);
      frames.add(this.frameOf(host));
    }
    return [...frames];
  }
  private dropFrame(frame: number, isChanged: boolean): void {
    const numbers = this.byFrame.get(frame) ?? NO_NUMBERS;
    if (isChanged) {
      const page = this.rewritten.get(frame) ?? { times: 0, asked: 0 };
      page.asked = 0;
      if (numbers.size !== 0) {
        page.times++;
        this.rewritten.set(frame, page);
      }
    }
    for (const number of numbers) this.drop(number);
  }
  private stands(region: Standing): boolean {
    return this.standing.get(region.number) === region;
  }
  private dropAll(): void {
    for (const number of [...this.standing.keys()]) this.drop(number);
  }
  private drop(number: number): void {
    const { row, frames, module } = this.standing.get(number)!;
    this.standing.delete(number);
    this.watcher?.dropped(number);
    for (const frame of frames) this.byFrame.get(frame)!.delete(number);
    if (this.core.blocks.heat[row] === ~number) this.core.blocks.heat[row] = 0;
    this.table.set(number, null);
    this.layout.regionPcs[number] = 1n; // no pc is odd
    this.free.push(number);
    this.counts.dropped++;
    module.numbers.delete(number);
    if (module.numbers.size !== 0) return;
    this.modules.delete(module);
    this.counts.standingBytes -= module.lenBytes;
  }
}

/** Code as the fetch filter shows it now: what is not in it is not followed, so nothing is looked up and nothing counted. Nor are other pages that are
 *  written again and again: the region would be lost with each store to them. */
class PageSource implements CodeSource {
  private readonly core: Core;
  private readonly jumps: JumpTargets;
  private readonly pcHi: number;
  private readonly pcLo: number;
  private readonly isRestless: (host: number) => boolean;
  private readonly decoded = new Map<number, Decoded | null>();

  constructor(core: Core, jumps: JumpTargets, pcHi: number, pcLo: number, isRestless: (host: number) => boolean) {
    this.core = core;
    this.isRestless = isRestless;
    this.jumps = jumps;
    this.pcHi = pcHi;
    this.pcLo = pcLo;
  }
  /** Pages are numbered from the head's. */
  page(offset: number): number {
    return Math.floor(((this.pcLo & (PAGE_SIZE - 1)) + offset) / PAGE_SIZE);
  }
  pageVa(page: number): bigint {
    return BigInt.asIntN(64, (BigInt(this.pcHi) << 32n) + BigInt((this.pcLo & -PAGE_SIZE) >>> 0) + BigInt(page) * BigInt(PAGE_SIZE));
  }
  /** The filter's delta for a page; NaN: it is not shown. */
  delta(page: number): number {
    const { exec } = this.core.mmu.filter;
    const va = this.pageVa(page);
    const lo = Number(BigInt.asIntN(32, va));
    const slot = (lo >>> 10) & 0xffc;
    return exec[slot] === lo && exec[slot + 1] === Number(va >> 32n) ? exec[slot + 2]! : NaN;
  }
  hostAt(offset: number): number | null {
    const delta = this.delta(this.page(offset));
    return Number.isNaN(delta) ? null : (this.pcLo + offset + delta) | 0;
  }
  private isStop(offset: number): boolean {
    const pc = (BigInt(this.pcHi) << 32n) + BigInt(this.pcLo >>> 0) + BigInt(offset);
    return this.core.blocks.isStop(Number(BigInt.asIntN(32, pc >> 32n)), Number(BigInt.asIntN(32, pc)));
  }
  isKnown(offset: number): boolean {
    const host = this.hostAt(offset);
    return host !== null && this.core.blocks.known(host) >= 0;
  }
  targets(offset: number): readonly number[] {
    return this.jumps.of((this.pcLo + offset) | 0).map((target) => (target - this.pcLo) | 0).filter((target) => (target & 1) === 0 && this.isKnown(target));
  }
  instruction(offset: number): Decoded | null {
    const known = this.decoded.get(offset);
    if (known !== undefined) return known;
    const host = this.isStop(offset) ? null : this.hostAt(offset);
    let d: Decoded | null = null;
    if (host !== null && (this.page(offset) === 0 || !this.isRestless(host))) {
      const { view } = this.core.ram.arena;
      const low = view.getUint16(host >>> 0, true);
      if (isCompressed(low)) d = decode(low);
      else if ((host & (PAGE_SIZE - 1)) !== PAGE_SIZE - 2) d = decode(view.getInt32(host >>> 0, true));
    }
    this.decoded.set(offset, d);
    return d;
  }
}
