// The xarray: entries by index, in a tree of nodes with 64 slots. Here: load, store, erase, marks, splitting, walks. Not here: what entries are
// (filemap.ts: folios, and what is left of folios that went). Mirrors lib/xarray.c with multi-index entries.
//
// An entry of order o serves the 2^o indices of its aligned range. In a node whose slots cover 2^shift indices each it fills
// 2^(o - shift) slots: the first holds it, the others are siblings that lead to the first.
//
//   shift 6   [ . . N . E s s s . . . ]     N: a node below; E: an entry of order 8 (4 slots of 64), s: its siblings
//   shift 0         [ e . e e . . ]         e: entries of order 0 (or of 1 to 5, with siblings)
import { bug, hex } from '#base';

const CHUNK_SHIFT = 6;
const SLOTS = 1 << CHUNK_SHIFT;
/** Indices stay below 2^40, so that arithmetic on them is exact and a tree has few levels. */
const MAX_SHIFT = 36;

/** Marks (tags) that entries carry, and that walks may ask for. */
export const Mark = { Dirty: 0, Writeback: 1, ToWrite: 2 } as const;
export type Mark = (typeof Mark)[keyof typeof Mark];
const NR_MARKS = 3;

/** Values are entries that are no folio: what is left of one that was evicted (workingset.ts), or where in swap a page of shared memory is.
 *  xa_mk_value() */
const VALUE_BASE = 2 ** 41;
const SWAP_BASE = 2 ** 40;
export const shadowValue = (shadow: number): number => VALUE_BASE + shadow;
export const shadowOfValue = (value: number): number => value - VALUE_BASE;
export const swapValue = (entry: number): number => SWAP_BASE + entry;
export const entryOfSwapValue = (value: number): number => value - SWAP_BASE;
export const isXaValue = (entry: number): boolean => entry >= SWAP_BASE;
export const isSwapValue = (entry: number): boolean => entry >= SWAP_BASE && entry < VALUE_BASE;
export const isShadowValue = (entry: number): boolean => entry >= VALUE_BASE;

/** An entry is a number above 0. Folios are frame numbers, values lie above all of those. 0: nothing. */
type Slot = XNode | number;
/** Slots hold -1 - s for a sibling of slot s. */
const siblingOf = (slot: number): number => -1 - slot;

export class XNode {
  readonly shift: number;
  parent: XNode | null;
  readonly place: number;
  readonly slots: Slot[] = new Array<Slot>(SLOTS).fill(0);
  /** Slots that are not empty, siblings included; of these, slots with values. */
  count = 0;
  nrValues = 0;
  /** Two words a mark. */
  readonly marks = new Uint32Array(2 * NR_MARKS);
  constructor(shift: number, parent: XNode | null, place: number) {
    this.shift = shift;
    this.parent = parent;
    this.place = place;
  }
  isMarked(slot: number, mark: Mark): boolean {
    return ((this.marks[2 * mark + (slot >>> 5)]! >>> (slot & 31)) & 1) !== 0;
  }
  setMark(slot: number, mark: Mark): void {
    this.marks[2 * mark + (slot >>> 5)]! |= 1 << (slot & 31);
  }
  clearMark(slot: number, mark: Mark): void {
    this.marks[2 * mark + (slot >>> 5)]! &= ~(1 << (slot & 31));
  }
  hasMark(mark: Mark): boolean {
    return (this.marks[2 * mark]! | this.marks[2 * mark + 1]!) !== 0;
  }
}

/** A slot and the range it serves. */
export interface XEntry { readonly entry: number; readonly index: number; readonly order: number }

export class XArray {
  private root: XNode | null = null;
  /** Nodes there are: what the tree costs (576 bytes each on Linux). */
  nrNodes = 0;
  /** Told of every node whose values have come or gone, or which has gone itself (count 0): xa_update_node_t. */
  onNode: ((node: XNode) => void) | null = null;

  /** The entry that serves an index; 0: none. */
  load(index: number): number {
    if (this.root === null || index >= 2 ** (this.root.shift + CHUNK_SHIFT)) return 0;
    for (let node: XNode = this.root; ; ) {
      const found: Slot = node.slots[slotIn(node, index)]!;
      if (typeof found !== 'number') {
        node = found;
        continue;
      }
      return found >= 0 ? found : (node.slots[-1 - found] as number);
    }
  }
  /** The same, with the range that the entry serves; null: none. */
  find(index: number): XEntry | null {
    const at = this.locate(index);
    return at === null ? null : entryAt(at.node, at.slot, index);
  }

  /** Puts an entry of an order at an aligned index where nothing is. */
  store(index: number, order: number, entry: number): void {
    if (index % 2 ** order !== 0) bug(`xarray entry of order ${order} at index ${index}`);
    const { node, slot, nr } = this.makePlace(index, order);
    for (let i = 0; i < nr; i++) if (node.slots[slot + i] !== 0) bug(`xarray slot of index ${hex(index)} is taken`);
    node.slots[slot] = entry;
    for (let i = 1; i < nr; i++) node.slots[slot + i] = siblingOf(slot);
    node.count += nr;
    this.countValues(node, isXaValue(entry) ? nr : 0);
  }
  /** @param change slots with values more (or less) */
  private countValues(node: XNode, change: number): void {
    const had = node.nrValues;
    node.nrValues += change;
    if (this.onNode !== null && (had > 0 || change > 0)) this.onNode(node);
  }
  /** Frees a node that holds nothing but values; they are forgotten. */
  dropNode(node: XNode): void {
    if (node.count !== node.nrValues) bug('a node with more than values in it is dropped');
    node.slots.fill(0);
    node.count = 0;
    node.nrValues = 0;
    this.onNode?.(node);
    this.prune(node);
  }
  /** Makes room for an entry of an order: values there go, of which larger ones are cut and those that lie outside stay.
   *  @returns the last value that was there; 0: none. The caller knows that there is no folio. */
  clearValues(index: number, order: number): number {
    if (order === 0 && this.load(index) === 0) return 0;
    const end = index + 2 ** order;
    let value = 0;
    for (let at = this.next(index, end); at !== null; at = this.next(index, end)) {
      if (!isXaValue(at.entry)) bug(`xarray slot of index ${hex(at.index)} is taken`);
      value = at.entry;
      if (at.order <= order) this.erase(at.index);
      else {
        const base = at.entry;
        const first = at.index;
        const isSwap = isSwapValue(base);
        this.split(first, Array.from({ length: 2 ** (at.order - order) }, (_, i) => ({ entry: isSwap ? base + i * 2 ** order : base, order })));
        value = this.load(index);
        this.erase(index);
      }
    }
    return value;
  }
  /** Gives the entry at an index another value; order and marks stay. */
  replace(index: number, entry: number): void {
    const at = this.locate(index) ?? bug(`no xarray entry at ${index}`);
    const wasValue = isXaValue(at.node.slots[at.slot] as number);
    at.node.slots[at.slot] = entry;
    if (wasValue !== isXaValue(entry)) this.countValues(at.node, (wasValue ? -1 : 1) * slotsOf(at.node, at.slot));
  }
  /** Removes the entry that serves an index, with its marks. @returns it; 0: there was none */
  erase(index: number): number {
    const at = this.locate(index);
    if (at === null) return 0;
    const { node, slot } = at;
    const entry = node.slots[slot] as number;
    for (const mark of [Mark.Dirty, Mark.Writeback, Mark.ToWrite]) this.clearAt(node, slot, mark);
    const nr = slotsOf(node, slot);
    for (let i = 0; i < nr; i++) node.slots[slot + i] = 0;
    node.count -= nr;
    this.countValues(node, isXaValue(entry) ? -nr : 0);
    this.prune(node);
    return entry;
  }
  /** Makes of one entry several that fill its range in order, each with the old one's marks. Orders are none above the old. */
  split(index: number, pieces: readonly { readonly entry: number; readonly order: number }[]): void {
    const old = this.find(index) ?? bug(`no xarray entry at ${index}`);
    const marks = [Mark.Dirty, Mark.Writeback, Mark.ToWrite].filter((mark) => this.isMarked(index, mark));
    this.erase(index);
    let at = old.index;
    for (const { entry, order } of pieces) {
      this.store(at, order, entry);
      for (const mark of marks) this.setMark(at, mark);
      at += 2 ** order;
    }
    if (at !== old.index + 2 ** old.order) bug('pieces do not fill the split xarray entry');
  }

  isMarked(index: number, mark: Mark): boolean {
    const at = this.locate(index);
    return at !== null && at.node.isMarked(at.slot, mark);
  }
  setMark(index: number, mark: Mark): void {
    const at = this.locate(index);
    if (at === null) return;
    let { slot } = at;
    for (let node: XNode | null = at.node; node !== null && !node.isMarked(slot, mark); node = node.parent) {
      node.setMark(slot, mark);
      slot = node.place;
    }
  }
  clearMark(index: number, mark: Mark): void {
    const at = this.locate(index);
    if (at !== null) this.clearAt(at.node, at.slot, mark);
  }
  private clearAt(from: XNode, fromSlot: number, mark: Mark): void {
    let slot = fromSlot;
    for (let node: XNode | null = from; node !== null && node.isMarked(slot, mark); node = node.parent) {
      node.clearMark(slot, mark);
      if (node.hasMark(mark)) return;
      slot = node.place;
    }
  }
  /** Does any entry carry the mark? */
  hasMark(mark: Mark): boolean {
    return this.root !== null && this.root.hasMark(mark);
  }

  /** The first entry that serves an index in [index, end), with a mark if one is asked for; null: none. */
  next(index: number, end = Infinity, mark: Mark | null = null): XEntry | null {
    let at = index;
    restart: while (at < end) {
      if (this.root === null || at >= 2 ** (this.root.shift + CHUNK_SHIFT)) return null;
      for (let node: XNode = this.root; ; ) {
        let slot = slotIn(node, at);
        const first = node.slots[slot]!;
        if (typeof first === 'number' && first < 0) slot = -1 - first;
        const slotEnd = node.parent === null ? Infinity : this.endOf(node);
        for (; slot < SLOTS; slot++) {
          const found: Slot = node.slots[slot]!;
          if (found === 0 || (typeof found === 'number' && found < 0)) continue;
          if (mark === null || node.isMarked(slot, mark)) break;
        }
        if (slot === SLOTS) {
          if (slotEnd === Infinity) return null;
          at = slotEnd;
          continue restart;
        }
        const found: Slot = node.slots[slot]!;
        const start = this.startOf(node, slot);
        if (start >= end) return null;
        at = Math.max(at, start);
        if (typeof found === 'number') return entryAt(node, slot, start);
        node = found;
      }
    }
    return null;
  }
  /** All entries, in order. */
  * [Symbol.iterator](): Generator<XEntry> {
    for (let at = this.next(0); at !== null; at = this.next(at.index + 2 ** at.order)) yield at;
  }

  /** The nearest index at or above `index` with nothing, as page_cache_next_miss() finds it in at most `max` steps; index + max: none. A step
   *  goes on by one index and by one slot. Inside an entry of several slots it begins at the first of them, so that what is found lies
   *  beyond the true gap by as much as `index` lay inside the entry: read-ahead windows show that. */
  nextMiss(index: number, max: number): number {
    const at = this.cursor(index);
    for (let step = 0; step < max; step++) {
      if (at.node === null || isMiss(at.node, at.slot)) return at.index;
      at.index++;
      if (at.node.shift === 0 || at.slot !== slotIn(at.node, at.index)) at.slot++;
      while (at.node !== null && at.slot === SLOTS) {
        at.slot = at.node.place + 1;
        at.node = at.node.parent;
      }
      this.descend(at);
    }
    return index + max;
  }
  /** The nearest index at or below `index` with nothing, in the same steps: page_cache_prev_miss(). -1: all down to the beginning is there. */
  prevMiss(index: number, max: number): number {
    const at = this.cursor(index);
    for (let step = 1; at.node !== null && !isMiss(at.node, at.slot) && at.index >= 0 && step < max; step++) {
      at.index--;
      if (at.node.shift === 0 || at.index < 0 || at.slot !== slotIn(at.node, at.index)) at.slot--;
      while (at.node !== null && at.slot < 0) {
        at.slot = at.node.place - 1;
        at.node = at.node.parent;
      }
      this.descend(at);
    }
    return at.index;
  }
  /** The slot that serves an index, of an entry of several the first; no node: beyond the tree. */
  private cursor(index: number): { node: XNode | null; slot: number; index: number } {
    const root = this.root !== null && index < 2 ** (this.root.shift + CHUNK_SHIFT) ? this.root : null;
    const at = { node: root, slot: root === null ? 0 : slotIn(root, index), index };
    this.descend(at);
    const held = at.node?.slots[at.slot];
    if (typeof held === 'number' && held < 0) at.slot = -1 - held;
    return at;
  }
  private descend(at: { node: XNode | null; slot: number; readonly index: number }): void {
    for (let below = at.node?.slots[at.slot]; below !== undefined && typeof below !== 'number'; below = below.slots[at.slot]) {
      at.node = below;
      at.slot = slotIn(below, at.index);
    }
  }

  private startOf(node: XNode, slot: number): number {
    let start = slot * 2 ** node.shift;
    for (let at = node; at.parent !== null; at = at.parent) start += at.place * 2 ** at.parent.shift;
    return start;
  }
  private endOf(node: XNode): number {
    return this.startOf(node, 0) + 2 ** (node.shift + CHUNK_SHIFT);
  }
  /** The node and first slot of the entry that serves an index. */
  private locate(index: number): { node: XNode; slot: number } | null {
    if (this.root === null || index >= 2 ** (this.root.shift + CHUNK_SHIFT)) return null;
    for (let node: XNode = this.root; ; ) {
      const slot = slotIn(node, index);
      const found: Slot = node.slots[slot]!;
      if (typeof found !== 'number') {
        node = found;
        continue;
      }
      if (found === 0) return null;
      return { node, slot: found > 0 ? slot : -1 - found };
    }
  }
  /** Where an entry of an order goes; makes the nodes above it. */
  private makePlace(index: number, order: number): { node: XNode; slot: number; nr: number } {
    const shift = order - (order % CHUNK_SHIFT);
    if (shift > MAX_SHIFT || index >= 2 ** (MAX_SHIFT + CHUNK_SHIFT)) bug(`xarray index ${index}`);
    this.root ??= this.newNode(shift, null, 0);
    while (this.root.shift < shift || index >= 2 ** (this.root.shift + CHUNK_SHIFT)) this.grow();
    let node: XNode = this.root;
    while (node.shift > shift) {
      const slot = slotIn(node, index);
      const found: Slot = node.slots[slot]!;
      if (typeof found !== 'number') {
        node = found;
        continue;
      }
      if (found !== 0) bug(`xarray slot of index ${hex(index)} is taken`);
      const below = this.newNode(node.shift - CHUNK_SHIFT, node, slot);
      node.slots[slot] = below;
      node.count++;
      node = below;
    }
    return { node, slot: slotIn(node, index), nr: 1 << (order - shift) };
  }
  /** One level more on top: the old root becomes its first slot. */
  private grow(): void {
    const old = this.root ?? bug('an empty xarray grows');
    const root = this.newNode(old.shift + CHUNK_SHIFT, null, 0);
    this.root = root;
    if (old.count === 0) {
      this.nrNodes--;
      return;
    }
    old.parent = root;
    root.slots[0] = old;
    root.count = 1;
    for (const mark of [Mark.Dirty, Mark.Writeback, Mark.ToWrite]) if (old.hasMark(mark)) root.setMark(0, mark);
  }
  private newNode(shift: number, parent: XNode | null, place: number): XNode {
    this.nrNodes++;
    return new XNode(shift, parent, place);
  }
  /** Empty nodes go, upwards. */
  private prune(from: XNode): void {
    for (let node: XNode = from; node.count === 0; ) {
      this.nrNodes--;
      if (node.parent === null) {
        this.root = null;
        return;
      }
      node.parent.slots[node.place] = 0;
      node.parent.count--;
      node = node.parent;
    }
  }
}

/** Nothing there, or no page: a value. */
function isMiss(node: XNode, slot: number): boolean {
  let found = node.slots[slot]!;
  if (typeof found === 'number' && found < 0) found = node.slots[-1 - found]!;
  return found === 0 || (typeof found === 'number' && isXaValue(found));
}
/** Shifts where the index fits into them: division costs several times as much. */
const slotIn = ({ shift }: XNode, index: number): number => (index < 2 ** 31 ? (shift > 30 ? 0 : (index >>> shift) & (SLOTS - 1)) : Math.floor(index / 2 ** shift) % SLOTS);
function slotsOf(node: XNode, slot: number): number {
  let nr = 1;
  while (slot + nr < SLOTS && node.slots[slot + nr] === siblingOf(slot)) nr++;
  return nr;
}
function entryAt(node: XNode, slot: number, index: number): XEntry {
  const order = node.shift + Math.log2(slotsOf(node, slot));
  return { entry: node.slots[slot] as number, index: index - (index % 2 ** order), order };
}
