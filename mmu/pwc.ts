// Page-walk caches: pointer entries already read, one small cache per level, so that a walk starts lower. Here: find, insert, drop.
// Not here: who reads the pointers (walker.ts). Tagged by the bits of the page number above the level, by ASID, or global when a G bit
// stood on the path. Fully associative, exact LRU.
import type { StateHash } from '#base';
import type { Arena } from './arena.ts';
import type { PointerPlan } from './plan.ts';
import { Oldest } from './replacement.ts';

export const GLOBAL = -1;
const FREE = -2;
/** More entries than these are not gone through for each victim. */
const FEW_ENTRIES = 8;

export class PointerCache {
  readonly level: number;
  private readonly shift: number;
  private readonly tagLo: Int32Array;
  private readonly tagHi: Int32Array;
  /** GLOBAL for a pointer under a G bit; FREE. */
  private readonly asid: Int32Array;
  /** Frame of the next table. */
  private readonly table: Float64Array;
  private readonly used: Float64Array;
  /** Uses so far; the entry used last. */
  private readonly clock: Float64Array;
  private readonly last: Int32Array;
  private readonly nrValid: Int32Array;
  /** The next victims, where there are many entries. */
  private readonly oldest: Oldest | null;

  /** @param level of the pointer read: 1 points to the leaves' tables. */
  constructor(arena: Arena, level: number, entries: number) {
    this.level = level;
    this.shift = 9 * level;
    this.tagLo = arena.int32(entries);
    this.tagHi = arena.int32(entries);
    this.asid = arena.int32(entries).fill(FREE);
    this.table = arena.float64(entries);
    this.used = arena.float64(entries);
    this.clock = arena.float64(1);
    this.last = arena.int32(1);
    this.nrValid = arena.int32(1);
    this.oldest = entries > FEW_ENTRIES ? new Oldest(arena, 0, entries) : null;
  }

  get plan(): PointerPlan {
    const { shift, nrValid, oldest, tagLo, tagHi, asid, table, used, clock, last } = this;
    return {
      shift, entries: table.length, nrValid: nrValid.byteOffset, oldest: oldest?.plan ?? null, tagLo: tagLo.byteOffset, tagHi: tagHi.byteOffset, asid: asid.byteOffset, table: table.byteOffset, used: used.byteOffset, clock: clock.byteOffset, last: last.byteOffset,
    };
  }

  /** The page number without the bits below this level, low half. Level 4 keeps none of the low half. */
  private lowTag(vpnLo: number): number {
    return this.shift < 32 ? vpnLo & (-1 << this.shift) : 0;
  }
  private highTag(vpnHi: number): number {
    return this.shift < 32 ? vpnHi : vpnHi & (-1 << (this.shift - 32));
  }

  /** The entry for an address, or -1; of two that match (a space's own and a global one) the one used last. A hit is the most recent use. */
  find(vpnLo: number, vpnHi: number, asid: number): number {
    const lo = this.lowTag(vpnLo);
    const hi = this.highTag(vpnHi);
    let found = this.last[0]!;
    if (!this.matches(found, lo, hi, asid)) {
      found = -1;
      for (let i = 0; i < this.table.length; i++) {
        if (this.matches(i, lo, hi, asid) && (found < 0 || this.used[i]! > this.used[found]!)) found = i;
      }
      if (found < 0) return -1;
      this.last[0] = found;
    }
    this.used[found] = ++this.clock[0]!;
    return found;
  }
  private matches(i: number, lo: number, hi: number, asid: number): boolean {
    return this.tagLo[i] === lo && this.tagHi[i] === hi && (this.asid[i] === asid || this.asid[i] === GLOBAL);
  }
  tableOf(i: number): number {
    return this.table[i]!;
  }
  isGlobal(i: number): boolean {
    return this.asid[i] === GLOBAL;
  }
  /** Does every pointer that an address space could use say what `tableAt` does? @param tableAt the table under a page's pointer of this level, as memory
   *  has it now; below zero: none, or one under a G bit */
  holds(asid: number, tableAt: (vpnLo: number, vpnHi: number, level: number) => number): boolean {
    for (let i = 0; i < this.table.length; i++) {
      const owner = this.asid[i]!;
      if (owner === GLOBAL) return false;
      if (owner === asid && tableAt(this.tagLo[i]!, this.tagHi[i]!, this.level) !== this.table[i]) return false;
    }
    return true;
  }

  /** Adds a pointer that find() did not have; the least recently used entry goes, a free one first. */
  insert(vpnLo: number, vpnHi: number, asid: number, table: number): void {
    const isFull = this.nrValid[0] === this.table.length;
    const victim = !isFull ? this.asid.indexOf(FREE) : this.oldest === null ? leastUsed(this.used) : this.oldest.take(this.used);
    if (!isFull) this.nrValid[0]!++;
    this.tagLo[victim] = this.lowTag(vpnLo);
    this.tagHi[victim] = this.highTag(vpnHi);
    this.asid[victim] = asid;
    this.table[victim] = table;
    this.used[victim] = ++this.clock[0]!;
    this.last[0] = victim;
  }

  dropAll(): void {
    this.asid.fill(FREE);
    this.nrValid[0] = 0;
  }
  /** sfence.vma x0, rs2: global pointers stay. */
  dropAsid(asid: number): void {
    for (let i = 0; i < this.table.length; i++) if (this.asid[i] === asid) this.drop(i);
  }
  /** The pointers on one address's path. @param asid null: every space's and global ones */
  dropPath(vpnLo: number, vpnHi: number, asid: number | null): void {
    const lo = this.lowTag(vpnLo);
    const hi = this.highTag(vpnHi);
    for (let i = 0; i < this.table.length; i++) {
      if (this.tagLo[i] === lo && this.tagHi[i] === hi && (asid === null || this.asid[i] === asid)) this.drop(i);
    }
  }
  private drop(i: number): void {
    if (this.asid[i] !== FREE) this.nrValid[0]!--;
    this.asid[i] = FREE;
  }

  hash(into: StateHash): void {
    into.int32s(this.tagLo);
    into.int32s(this.tagHi);
    into.int32s(this.asid);
    into.numbers(this.table);
    into.numbers(this.used);
  }
}

function leastUsed(used: Float64Array): number {
  let at = 0;
  for (let i = 1; i < used.length; i++) if (used[i]! < used[at]!) at = i;
  return at;
}
