// The page-table walk of Sv39, Sv48 and Sv57 in the privileged spec's numbered steps ("Virtual Address Translation Process"), every fault
// condition, hardware update of A and D. Here: reading PTEs from RAM and judging them. Not here: caching what was found (tlb.ts).
//
// An answer is a status; what was found stays in the walker's fields until the next walk, because a returned object would cost more than
// the walk. PTE reads are counted in `reads`, by level in `readsByLevel`.
import { asPfn } from '#base';
import type { StateHash } from '#base';
import type { Arena } from './arena.ts';
import { GLOBAL, PointerCache } from './pwc.ts';
import { NAPOT_ORDER, Pte, PteHigh, ptePpn } from './pte.ts';
import { MAX_SCAN } from './plan.ts';
import type { PointerPlan } from './plan.ts';
import type { Ram } from './ram.ts';

/** A page fault and an access fault become causes 12, 13, 15 and 1, 5, 7 by the kind of access. */
export const WalkStatus = { Found: 0, PageFault: 1, AccessFault: 2 } as const;
export type WalkStatus = (typeof WalkStatus)[keyof typeof WalkStatus];

/** N, PBMT, reserved bits: none may be set in a pointer, none but N in a leaf (Svpbmt is not implemented). */
const HIGH_NOT_PPN = ~PteHigh.Ppn;
const POINTER_MUST_BE_ZERO = Pte.D | Pte.A | Pte.U;

/** Whether an address is sign-extended from the mode's top bit. @param signShift 25, 16, 7 for Sv39, Sv48, Sv57 */
export const isCanonical = (vaHi: number, signShift: number): boolean => (vaHi << signShift) >> signShift === vaHi;
export const signShiftOf = (levels: number): number => 52 - 9 * levels;

export class Walker {
  private readonly ram: Ram;
  private readonly words: Int32Array;
  /** By level of the pointer read, 1 to 4; null where there is none. */
  private readonly pwc: readonly (PointerCache | null)[];
  /** Hardware sets A and D (Svadu). */
  svadu: boolean;
  /** For who only looks: A and D are neither asked for nor set. */
  observes = false;

  // What the last walk found.
  pteLow = 0;
  pteHigh = 0;
  /** log2 of the pages the leaf maps: 0, 9, 18, 27, 36, or 4 for a Svnapot region. */
  order = 0;
  /** First frame of what the leaf maps; up to 44 bits. */
  ppn = 0;
  /** Index of the leaf's low word in the arena's words. */
  pteWord = 0;
  /** G stood on the leaf or on a pointer above it. */
  global = false;
  reads = 0;
  /** Whether a page-walk cache let the walk start below the root. */
  startedBelow = false;
  /** Whether the walk wrote A, or D, to memory. */
  setA = false;
  setD = false;
  /** A walk has read a table that none had read before: see Ram.guardTable. Who looks resets it. */
  guarded = false;
  /** PTE reads of all walks so far but updates of A and D, by level (0: leaves of 4 KiB pages). A column that the counters share. */
  readonly readsByLevel: Float64Array;

  constructor(arena: Arena, ram: Ram, pwcEntries: Readonly<Partial<Record<1 | 2 | 3 | 4, number>>>, svadu: boolean) {
    this.ram = ram;
    this.words = arena.i32;
    this.readsByLevel = arena.float64(5);
    this.pwc = ([0, 1, 2, 3, 4] as const).map((level) => {
      const entries = level === 0 ? 0 : (pwcEntries[level] ?? 0);
      return entries > 0 ? new PointerCache(arena, level, entries) : null;
    });
    this.svadu = svadu;
  }

  /** The pointer cache of a level, for an engine that walks: see plan.ts. null: there is none, or none that it could search. */
  pointers(level: 1 | 2): PointerPlan | null {
    const plan = this.pwc[level]?.plan ?? null;
    return plan === null || plan.entries > MAX_SCAN ? null : plan;
  }

  /** Translates one address.
   *  @param levels 3, 4, 5; @param rootPpn satp.PPN; @param asid satp.ASID, tags what the page-walk caches learn
   *  @param allowed the rights test for this access as 16 bits, indexed by the PTE's U X W R (see rightsFor)
   *  @param store the access writes, so D must be set
   *  @param usePwc false: start at the root, learn and count nothing (an A or D update always works on memory) */
  walk(vaHi: number, vaLo: number, levels: number, rootPpn: number, asid: number, allowed: number, store: boolean, usePwc: boolean): WalkStatus {
    this.reads = 0;
    this.startedBelow = false;
    this.setA = false;
    this.setD = false;
    // 0. Sign extension.
    if (!isCanonical(vaHi, signShiftOf(levels))) return WalkStatus.PageFault;
    const vpnLo = (vaHi << 20) | (vaLo >>> 12);
    const vpnHi = vaHi >> 12;
    // 1. Start at the root, or below it where pointers are known.
    let table = rootPpn;
    let level = levels - 1;
    let global = false;
    if (usePwc) {
      for (let l = 1; l < levels; l++) {
        const cache = this.pwc[l]!;
        if (cache === null) continue;
        const hit = cache.find(vpnLo, vpnHi, asid);
        if (hit < 0) continue;
        table = cache.tableOf(hit);
        global = cache.isGlobal(hit);
        level = l - 1;
        this.startedBelow = true;
        break;
      }
    }
    for (;;) {
      // 2. One read of eight bytes; a table outside RAM is an access fault.
      if (!this.ram.has(table)) return WalkStatus.AccessFault;
      if (usePwc && this.ram.guardTable(asPfn(table))) this.guarded = true;
      const at = (this.ram.hostOf(asPfn(table)) >>> 2) + vpnIndex(vpnLo, vpnHi, level) * 2;
      const low = this.words[at]!;
      const high = this.words[at + 1]!;
      this.reads++;
      if (usePwc) this.readsByLevel[level]!++;
      // 3. Not valid, W without R, reserved bits.
      if ((low & Pte.V) === 0 || (low & (Pte.R | Pte.W)) === Pte.W) return WalkStatus.PageFault;
      if ((high & (PteHigh.Reserved | PteHigh.Pbmt)) !== 0) return WalkStatus.PageFault;
      if ((low & Pte.G) !== 0) global = true;
      // 4. A pointer.
      if ((low & (Pte.R | Pte.X)) === 0) {
        if ((low & POINTER_MUST_BE_ZERO) !== 0 || (high & HIGH_NOT_PPN) !== 0 || level === 0) return WalkStatus.PageFault;
        table = ptePpn(low, high);
        if (usePwc) this.pwc[level]?.insert(vpnLo, vpnHi, global ? GLOBAL : asid, table);
        level--;
        continue;
      }
      // 5. A leaf: alignment of superpages, the one valid Svnapot encoding.
      let ppn = ptePpn(low, high);
      let order = 9 * level;
      if (level > 0 && !isAligned(low, high, order)) return WalkStatus.PageFault;
      if ((high & PteHigh.N) !== 0) {
        if (level > 0 || ((low >>> 10) & 15) !== 8) return WalkStatus.PageFault;
        ppn -= 8;
        order = NAPOT_ORDER;
      }
      // 6, 7. U, SUM, MXR and rights, as one table.
      if (((allowed >>> ((low >>> 1) & 15)) & 1) === 0) return WalkStatus.PageFault;
      // 8. A and D. The re-read that the spec asks for cannot differ here: nothing else runs between the read above and this store.
      const wanted = store ? Pte.A | Pte.D : Pte.A;
      let updated = low;
      if ((low & wanted) !== wanted && !this.observes) {
        if (!this.svadu) return WalkStatus.PageFault;
        this.setA = (low & Pte.A) === 0;
        this.setD = store && (low & Pte.D) === 0;
        updated = low | wanted;
        this.ram.willStorePte(asPfn(table), low);
        this.words[at] = updated;
      }
      // 9. The caller forms the address; 10 (is it RAM?) is asked for each 4 KiB page, for a superpage may be RAM in part.
      this.pteLow = updated;
      this.pteHigh = high;
      this.order = order;
      this.ppn = ppn;
      this.pteWord = at;
      this.global = global;
      return WalkStatus.Found;
    }
  }

  /** Do the page-walk caches hold nothing for an address space but what memory says? Then the tables on their paths are guarded (Ram.guardTable). Global
   *  pointers count as something else, for they are not worth the trouble: no program's pages stand under one. */
  pointersHold(levels: number, rootPpn: number, asid: number): boolean {
    const tableAt = (vpnLo: number, vpnHi: number, level: number): number => this.tableAt(levels, rootPpn, vpnLo, vpnHi, level);
    return this.pwc.every((cache) => cache === null || cache.holds(asid, tableAt));
  }
  /** The low word of a base page's PTE, if its high word is 0 and no G stands above it; else 0. The tables on the way are guarded then. */
  plainLeaf(levels: number, rootPpn: number, vpnLo: number, vpnHi: number): number {
    const table = this.tableAt(levels, rootPpn, vpnLo, vpnHi, 1);
    if (!this.ram.has(table)) return 0;
    if (this.ram.guardTable(asPfn(table))) this.guarded = true;
    const at = (this.ram.hostOf(asPfn(table)) >>> 2) + vpnIndex(vpnLo, vpnHi, 0) * 2;
    return this.words[at + 1] === 0 ? this.words[at]! : 0;
  }
  /** The table under a page's pointer of a level, as memory has it; below zero: none, or one under a G bit. Guards the tables it reads. */
  private tableAt(levels: number, rootPpn: number, vpnLo: number, vpnHi: number, level: number): number {
    let table = rootPpn;
    for (let l = levels - 1; l >= level; l--) {
      if (!this.ram.has(table)) return -1;
      if (this.ram.guardTable(asPfn(table))) this.guarded = true;
      const at = (this.ram.hostOf(asPfn(table)) >>> 2) + vpnIndex(vpnLo, vpnHi, l) * 2;
      const low = this.words[at]!;
      if ((low & (Pte.V | Pte.R | Pte.W | Pte.X | Pte.G)) !== Pte.V) return -1;
      table = ptePpn(low, this.words[at + 1]!);
    }
    return table;
  }

  dropPointers(): void {
    for (const cache of this.pwc) cache?.dropAll();
  }
  dropPointersOf(asid: number): void {
    for (const cache of this.pwc) cache?.dropAsid(asid);
  }
  dropPointersOnPath(vpnLo: number, vpnHi: number, asid: number | null): void {
    for (const cache of this.pwc) cache?.dropPath(vpnLo, vpnHi, asid);
  }
  hash(into: StateHash): void {
    into.numbers(this.readsByLevel);
    for (const cache of this.pwc) cache?.hash(into);
  }
}

/** VPN[level] of a page number in halves. */
export function vpnIndex(vpnLo: number, vpnHi: number, level: number): number {
  if (level < 3) return (vpnLo >>> (9 * level)) & 511;
  return level === 3 ? ((vpnLo >>> 27) | (vpnHi << 5)) & 511 : (vpnHi >> 4) & 511;
}

/** Whether the frame in a leaf is a multiple of its size. Order 36 reaches past the low word's 22 bits of PPN, as does 27. */
function isAligned(low: number, high: number, order: number): boolean {
  if (order <= 18) return ((low >>> 10) & ((1 << order) - 1)) === 0;
  return (low >>> 10) === 0 && (high & ((1 << (order - 22)) - 1)) === 0;
}

/** Which leaves an access may use, as 16 bits indexed by (U X W R): bit i of the answer speaks for a leaf whose bits 4:1 are i.
 *  Steps 6 and 7: user pages for user accesses, or for supervisor data under SUM; R (or X under MXR) to load, W to store, X to fetch.
 *  @param right Pte.R, Pte.W or Pte.X */
export function rightsFor(right: number, user: boolean, sum: boolean, mxr: boolean): number {
  let allowed = 0;
  for (let i = 0; i < 16; i++) {
    const flags = i << 1;
    const isUser = (flags & Pte.U) !== 0;
    const byMode = user ? isUser : !isUser || (sum && right !== Pte.X);
    const byRight = (flags & right) !== 0 || (right === Pte.R && mxr && (flags & Pte.X) !== 0);
    if (byMode && byRight) allowed |= 1 << i;
  }
  return allowed;
}
