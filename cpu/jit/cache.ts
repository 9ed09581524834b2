// Translated regions: asked for, made in batches, dropped with the bytes they were made from. Here: the queue, pages and bytes of a region, the table of
// functions. Not here: a region's shape (region.ts) and code (translate.ts).
//
// Nothing a guest can see depends on when a region becomes ready, or on whether it does: the same instructions go through the interpreter.
import { PAGE_SIZE } from '#base';
import type { Layout } from '../emit/layout.ts';
import { MAX_REGIONS } from '../emit/layout.ts';
import { STOPS_ASKED } from '../interp.ts';
import { REFILL } from '../emit/refill.ts';
import { ModuleWriter } from '../emit/wasm.ts';
import type { Code } from '../emit/wasm.ts';
import { decode, isCompressed } from '../isa/decode.ts';
import type { Decoded } from '../isa/decode.ts';
import type { Core } from '../reference/core.ts';
import { compile, instantiate } from '../wasm-host.ts';
import type { WasmTable } from '../wasm-host.ts';
import type { Hotness } from './hotness.ts';
import { buildRegion } from './region.ts';
import type { CodeSource, Region } from './region.ts';
import { translate } from './translate.ts';

interface Standing { readonly row: number; readonly pc: bigint; readonly frames: readonly number[]; readonly form: Form; stoppedAt: number }
/** How a region takes an access that the filter does not answer: it stops, and accesses share questions (groups.ts); or it calls (../emit/refill.ts). */
type Form = 'stops' | 'calls';
interface Wish { readonly row: number; readonly pcHi: number; readonly pcLo: number; readonly form: Form; readonly instead: number | null }

/** What was translated: regions (of them made anew, with misses as calls), those dropped again, modules, guest instructions, bytes of WebAssembly. */
export interface TranslationCounts { regions: number; remade: number; dropped: number; modules: number; instrs: number; bytes: number }

export class Regions {
  private readonly core: Core;
  private readonly layout: Layout;
  private readonly table: WasmTable;
  private readonly pages: number;
  private readonly hotness: Hotness;
  /** The function for common misses, or null. */
  refill: unknown = null;
  private wishes: Wish[] = [];
  private firstWish = 0;
  /** By number. */
  private readonly standing = new Map<number, Standing>();
  private readonly byFrame = new Map<number, Set<number>>();
  private readonly free: number[] = [];
  private nextNumber = 0;
  readonly counts: TranslationCounts = { regions: 0, remade: 0, dropped: 0, modules: 0, instrs: 0, bytes: 0 };

  constructor(core: Core, layout: Layout, table: WasmTable, pages: number, hotness: Hotness) {
    this.hotness = hotness;
    this.core = core;
    this.layout = layout;
    this.table = table;
    this.pages = pages;
    core.blocks.onDrop = (frame) => this.dropFrame(frame);
  }

  /** The block at hart.pc has become hot. */
  ask(row: number, tick: number): void {
    if (this.wishes.length === 0) this.firstWish = tick;
    this.wishes.push({ row, pcHi: this.core.hart.pcHi, pcLo: this.core.hart.pcLo, form: 'stops', instead: null });
  }
  /** A region has stopped another STOPS_ASKED times. */
  restless(number: number, tick: number): void {
    const region = this.standing.get(number)!;
    const instrs = tick - region.stoppedAt;
    region.stoppedAt = tick;
    if (this.refill === null || region.form === 'calls' || instrs > STOPS_ASKED * this.hotness.calmInstrs) return;
    if (this.wishes.length === 0) this.firstWish = tick;
    this.wishes.push({ row: region.row, pcHi: Number(region.pc >> 32n), pcLo: Number(BigInt.asIntN(32, region.pc)), form: 'calls', instead: number });
  }
  /** Translates what was asked for, if that is enough or has waited. To be called between runs of emitted code. */
  makeReady(tick: number): void {
    const { batch: full, patienceInstrs } = this.hotness;
    if (this.wishes.length < full && (this.wishes.length === 0 || tick - this.firstWish < patienceInstrs)) return;
    const { blocks } = this.core;
    const module = new ModuleWriter();
    const refill = this.refill === null ? null : module.importFunction('refill', REFILL);
    const batch: { wish: Wish; row: number; pc: bigint; code: Code; frames: number[]; nrInstrs: number }[] = [];
    const inside = new Set<string>();
    for (const wish of this.wishes) {
      const { row, pcHi, pcLo, form, instead } = wish;
      if (instead !== null && blocks.heat[row] !== ~instead) continue; // it has been dropped meanwhile
      const source = new PageSource(this.core, pcHi, pcLo);
      const pc = (BigInt(pcHi) << 32n) | BigInt(pcLo >>> 0);
      const host = source.hostAt(0);
      // Moved, dropped, or part of what this batch has already: it asks again if it is still entered.
      if (host === null || blocks.known(host) !== row || (instead === null && inside.has(`${pc}`))) {
        if (instead === null) blocks.heat[row] = 0;
        continue;
      }
      const region = buildRegion(source);
      if (region.head.rows.length === 0) continue;
      const frames = this.hold(region, source);
      if (instead === null) for (const node of region.nodes) inside.add(`${pc + BigInt(node.offset)}`);
      batch.push({ wish, row, pc, code: translate(region, pc, this.layout, source, form === 'calls' ? refill : null), frames, nrInstrs: region.nrInstrs });
    }
    this.wishes = [];
    if (batch.length === 0) return;

    batch.forEach(({ code }, i) => module.add(code, `r${i}`));
    const bytes = module.finish(this.pages);
    const made = instantiate(compile(bytes), { memory: this.core.ram.arena.memory, ...(refill === null ? {} : { refill: this.refill }) });
    this.counts.modules++;
    this.counts.bytes += bytes.length;
    batch.forEach(({ wish: { form, instead }, row, pc, frames, nrInstrs }, i) => {
      if (instead !== null) {
        this.drop(instead);
        this.counts.remade++;
      }
      if (this.free.length === 0 && this.nextNumber === MAX_REGIONS) this.dropAll();
      const number = this.free.pop() ?? this.nextNumber++;
      this.table.set(number, made[`r${i}`]);
      this.layout.regionPcs[number] = pc;
      this.layout.stops[number] = 0;
      this.standing.set(number, { row, pc, frames, form, stoppedAt: tick });
      for (const frame of frames) {
        const there = this.byFrame.get(frame) ?? new Set<number>();
        there.add(number);
        this.byFrame.set(frame, there);
      }
      blocks.heat[row] = ~number;
      this.counts.regions++;
      this.counts.instrs += nrInstrs;
    });
  }

  /** Stores to the region's bytes must be noticed from now on. @returns the frames that it lies in */
  private hold(region: Region, source: PageSource): number[] {
    const { blocks, ram } = this.core;
    const frames = new Set<number>();
    for (const node of region.nodes) {
      if (node.rows.length === 0) continue;
      const host = source.hostAt(node.offset)!;
      blocks.hold(host, node.end - node.offset);
      frames.add(ram.pfnOfHost(host) - ram.firstPfn);
    }
    return [...frames];
  }
  private dropFrame(frame: number): void {
    for (const number of this.byFrame.get(frame) ?? []) this.drop(number);
  }
  private dropAll(): void {
    for (const number of [...this.standing.keys()]) this.drop(number);
  }
  private drop(number: number): void {
    const { row, frames } = this.standing.get(number)!;
    this.standing.delete(number);
    for (const frame of frames) this.byFrame.get(frame)!.delete(number);
    if (this.core.blocks.heat[row] === ~number) this.core.blocks.heat[row] = 0;
    this.table.set(number, null);
    this.layout.regionPcs[number] = 1n; // no pc is odd
    this.free.push(number);
    this.counts.dropped++;
  }
}

/** Code as the fetch filter shows it now: what is not in it is not followed, so nothing is looked up and nothing counted. */
class PageSource implements CodeSource {
  private readonly core: Core;
  private readonly pcHi: number;
  private readonly pcLo: number;
  private readonly decoded = new Map<number, Decoded | null>();

  constructor(core: Core, pcHi: number, pcLo: number) {
    this.core = core;
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
  isKnown(offset: number): boolean {
    const host = this.hostAt(offset);
    return host !== null && this.core.blocks.known(host) >= 0;
  }
  instruction(offset: number): Decoded | null {
    const known = this.decoded.get(offset);
    if (known !== undefined) return known;
    const host = this.hostAt(offset);
    let d: Decoded | null = null;
    if (host !== null) {
      const { view } = this.core.ram.arena;
      const low = view.getUint16(host >>> 0, true);
      if (isCompressed(low)) d = decode(low);
      else if ((host & (PAGE_SIZE - 1)) !== PAGE_SIZE - 2) d = decode(view.getInt32(host >>> 0, true));
    }
    this.decoded.set(offset, d);
    return d;
  }
}
