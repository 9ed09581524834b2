// Translated regions to be read: the guest's instructions, each with the WebAssembly that stands for it. Here: keeping the regions that hold one address,
// and their text. Not here: what is printed around it (tools/dump-region.ts).
import { MAX_SITES } from '../emit/layout.ts';
import type { Layout } from '../emit/layout.ts';
import { SLOT_BYTES, Slot } from '../emit/memory.ts';
import { wasmText } from '../emit/text.ts';
import { fName, show, xName } from '../isa/disasm.ts';
import type { Form } from './cache.ts';
import type { Region } from './region.ts';
import type { Translated } from './translate.ts';

interface Made { readonly number: number; readonly pc: bigint; readonly form: Form; readonly region: Region; readonly translated: Translated }

export interface WatchedRegion {
  /** Where it is entered. */
  readonly pc: bigint;
  /** 'stops': an access that misses leaves it; 'calls': it calls for the common misses. */
  readonly form: Form;
  /** Guest instructions, inlined callees counted again; and bytes of the function's body. */
  readonly nrInstrs: number;
  readonly lenBytes: number;
  /** What it covers: from, to (without), in order. */
  readonly ranges: readonly (readonly [start: bigint, end: bigint])[];
  readonly entries: number;
  /** False: it has been dropped. */
  readonly stands: boolean;
  /** Guest instructions and WebAssembly, a line each. */
  readonly lines: readonly string[];
}

export class Watcher {
  private readonly pc: bigint;
  private readonly layout: Layout;
  private readonly standing = new Map<number, Made>();
  private lastDropped: WatchedRegion | null = null;

  constructor(pc: bigint, layout: Layout) {
    this.pc = pc;
    this.layout = layout;
  }
  made(made: Made): void {
    const offset = Number(this.pc - made.pc);
    if (made.region.nodes.some(({ rows }) => rows.some((row) => row.offset === offset))) this.standing.set(made.number, made);
  }
  dropped(number: number): void {
    const made = this.standing.get(number);
    if (made === undefined) return;
    this.standing.delete(number);
    this.lastDropped = this.describe(made, false);
  }
  regions(): WatchedRegion[] {
    if (this.standing.size === 0) return this.lastDropped === null ? [] : [this.lastDropped];
    return [...this.standing.values()].map((made) => this.describe(made, true));
  }

  private describe({ number, pc, form, region, translated }: Made, stands: boolean): WatchedRegion {
    return {
      pc, form, nrInstrs: region.nrInstrs, lenBytes: translated.code.lenBytes, ranges: rangesOf(region, pc), entries: this.layout.entries[number]!, stands,
      lines: textOf(translated, pc, this.layout),
    };
  }
}

function rangesOf(region: Region, pc: bigint): (readonly [bigint, bigint])[] {
  const ranges: [number, number][] = [];
  for (const { offset, end } of [...region.nodes].sort((a, b) => a.offset - b.offset)) {
    const last = ranges[ranges.length - 1];
    if (last !== undefined && offset <= last[1]) last[1] = Math.max(last[1], end);
    else ranges.push([offset, end]);
  }
  return ranges.map(([start, end]) => [pc + BigInt(start), pc + BigInt(end)]);
}

const sections = { entry: 'on entry', loop: 'head of a loop', exit: 'on the way out' } as const;

function textOf(translated: Translated, pc: bigint, layout: Layout): string[] {
  const { code, marks } = translated;
  const names = translated.localNames();
  const wasm = wasmText(code.bytes, (kind, index) => `$${kind === 'function' ? 'refill' : names.get(index) ?? index}`);
  const places = placesIn(layout);
  const lines: string[] = [];
  let next = 0;
  for (const { at, depth, text, offset } of wasm) {
    for (; next < marks.length && marks[next]!.at <= at; next++) {
      const { of } = marks[next]!;
      if (typeof of === 'string') lines.push(`${' '.repeat(12)}; ${sections[of]}`);
      else lines.push(`${(pc + BigInt(of.offset)).toString(16).padStart(10)}: ${show(of.d, pc + BigInt(of.offset)).replace('\t', ' ')}`);
    }
    const place = offset === null ? undefined : places.get(offset);
    lines.push(`${' '.repeat(16 + 2 * depth)}${text}${place === undefined ? '' : `  ;; ${place}`}`);
  }
  return lines;
}

/** What stands at the byte offsets that loads and stores add to their address. */
function placesIn(layout: Layout): Map<number, string> {
  const places = new Map<number, string>([[layout.pc, 'pc'], [layout.fcsr, 'fcsr'], [layout.reservation, 'reservation'], [layout.reservationBytes, 'bytes reserved'], [layout.tick, 'time']]);
  for (let i = 0; i < 32; i++) {
    places.set(layout.registers + 8 * i, xName(i));
    places.set(layout.registers + 8 * (33 + i), fName(i));
  }
  ['fetches', 'loads', 'stores', 'AMOs'].forEach((what, i) => places.set(layout.lookups + 8 * i, `count of ${what}`));
  for (let i = 0; i < MAX_SITES; i++) for (const [field, at] of Object.entries(Slot)) places.set(layout.sites.byteOffset + SLOT_BYTES * i + at, `remembered page ${i}, ${field.toLowerCase()}`);
  for (const [name, table] of [['read', layout.read], ['write', layout.write], ['exec', layout.exec]] as const) {
    for (const [field, at] of Object.entries(Slot)) places.set(table + at, `${name} filter, ${field.toLowerCase()}`);
  }
  return places;
}
