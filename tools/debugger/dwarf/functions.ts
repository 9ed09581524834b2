// Functions of a unit, and the calls that were inlined into them. Here: a walk over all entries of the unit, names through abstract origins.
// Not here: which one an address belongs to (source.ts). DWARF 2 to 5, section 3.3.
import { At, Tag } from './constants.ts';
import type { CodeRange } from './ranges.ts';
import { ByteReader, Damaged } from './reader.ts';
import type { Budget } from './reader.ts';
import { entryBudget, numberOf, rangesOf, readEntry, textOf } from './units.ts';
import type { Entry, Unit } from './units.ts';

export interface InlinedCall {
  readonly name: string;
  readonly ranges: readonly CodeRange[];
  /** Where the call stands, in the function around it; file as the unit's line table counts them; 0: not said. */
  readonly callFile: number;
  readonly callLine: number;
  readonly callColumn: number;
  readonly inlined: readonly InlinedCall[];
}
export interface DebugFunction {
  readonly name: string;
  /** As the linker knows it, if that is something else (C++, Rust). */
  readonly linkageName: string;
  readonly declFile: number;
  readonly declLine: number;
  /** The piece that begins with its entry first. */
  readonly ranges: readonly CodeRange[];
  readonly entry: number;
  readonly inlined: readonly InlinedCall[];
}

interface Node { ranges: readonly CodeRange[]; inlined: InlinedCall[] }
/** An entry whose origin's origin ... is followed no further than this. */
const MAX_ORIGINS = 8;
/** Entries may lie in each other this deep: deeper than any compiler nests. */
const MAX_DEPTH = 1000;

const isWanted = (tag: number): boolean => tag === Tag.Subprogram || tag === Tag.InlinedSubroutine || tag === Tag.EntryPoint;

/** The functions of a unit that have code. @param unitAt the unit that holds an offset of .debug_info, for names that stand in another @throws Damaged */
export function readFunctions(unit: Unit, unitAt: (offset: number) => Unit | null): DebugFunction[] {
  const budget = entryBudget(unit);
  const r = new ByteReader(unit.sections.info, '.debug_info', unit.firstEntry, unit.end);
  const functions: DebugFunction[] = [];
  /** For every level above the next entry: what an inlined call there is part of. */
  const parents: (Node | null)[] = [];
  const names = new NameFinder(unitAt, budget);
  while (!r.isAtEnd) {
    const entry = readEntry(r, unit, unit.abbreviations, budget, isWanted);
    if (entry === null) {
      parents.pop();
      if (parents.length === 0) break;
      continue;
    }
    let parent = parents.at(-1) ?? null;
    if (entry.tag === Tag.Subprogram) parent = addFunction(unit, entry, names, functions);
    else if (entry.tag === Tag.InlinedSubroutine && parent !== null) parent = addInlined(unit, entry, names, parent);
    if (entry.hasChildren) parents.push(parent);
    else if (parents.length === 0) break; // a unit that is one entry
    if (parents.length > MAX_DEPTH) throw new Damaged(`entries of .debug_info lie in each other more than ${MAX_DEPTH} deep`);
  }
  return functions;
}

function addFunction(unit: Unit, entry: Entry, names: NameFinder, into: DebugFunction[]): Node | null {
  const ranges = rangesOf(unit, entry.attributes);
  if (ranges.length === 0) return null;
  const entryPc = numberOf(entry.attributes, At.EntryPc) ?? numberOf(entry.attributes, At.LowPc);
  // DW_AT_entry_pc of GCC is an address in some versions and a distance in others: only what falls into the function is believed.
  const entryAt = ranges.find((r) => r.start === entryPc)?.start ?? ranges[0]!.start;
  const node = { ranges, inlined: [] };
  into.push({ ...names.of(unit, entry), ranges: ranges.toSorted((a, b) => Number(b.start === entryAt) - Number(a.start === entryAt)), entry: entryAt, inlined: node.inlined });
  return node;
}
function addInlined(unit: Unit, entry: Entry, names: NameFinder, parent: Node): Node {
  const { attributes } = entry;
  const call = {
    name: names.of(unit, entry).name, ranges: rangesOf(unit, attributes), inlined: [],
    callFile: numberOf(attributes, At.CallFile) ?? 0, callLine: numberOf(attributes, At.CallLine) ?? 0, callColumn: numberOf(attributes, At.CallColumn) ?? 0,
  };
  // One without code of its own says nothing of addresses, but its children may.
  if (call.ranges.length === 0) return parent;
  parent.inlined.push(call);
  return call;
}

type Names = Pick<DebugFunction, 'name' | 'linkageName' | 'declFile' | 'declLine'>;
/** What an entry is called: it may say so itself, or point to its declaration, or that to another's. */
class NameFinder {
  private readonly unitAt: (offset: number) => Unit | null;
  private readonly budget: Budget;
  private readonly known = new Map<number, Names>();

  constructor(unitAt: (offset: number) => Unit | null, budget: Budget) {
    this.unitAt = unitAt;
    this.budget = budget;
  }
  of(unit: Unit, entry: Entry, hops = 0): Names {
    const own = namesIn(entry);
    const origin = numberOf(entry.attributes, At.AbstractOrigin) ?? numberOf(entry.attributes, At.Specification);
    return origin === null || origin < 0 || hops === MAX_ORIGINS ? own : merge(own, this.at(origin, unit, hops + 1));
  }
  private at(offset: number, near: Unit, hops: number): Names {
    let names = this.known.get(offset);
    if (names === undefined) {
      const found = this.entryAt(offset, near);
      names = found === null ? noNames : this.of(found.unit, found.entry, hops);
      this.known.set(offset, names);
    }
    return names;
  }
  private entryAt(offset: number, near: Unit): { unit: Unit; entry: Entry } | null {
    const unit = offset >= near.firstEntry && offset < near.end ? near : this.unitAt(offset);
    if (unit === null || offset < unit.firstEntry || offset >= unit.end) return null;
    const entry = readEntry(new ByteReader(unit.sections.info, '.debug_info', offset, unit.end), unit, unit.abbreviations, this.budget, () => true);
    return entry === null ? null : { unit, entry };
  }
}
const noNames: Names = { name: '', linkageName: '', declFile: 0, declLine: 0 };
function namesIn({ attributes }: Entry): Names {
  return {
    name: textOf(attributes, At.Name), linkageName: textOf(attributes, At.LinkageName) || textOf(attributes, At.MipsLinkageName),
    declFile: numberOf(attributes, At.DeclFile) ?? 0, declLine: numberOf(attributes, At.DeclLine) ?? 0,
  };
}
const merge = (near: Names, far: Names): Names => ({
  name: near.name || far.name, linkageName: near.linkageName || far.linkageName,
  declFile: near.declFile || far.declFile, declLine: near.declLine || far.declLine,
});
