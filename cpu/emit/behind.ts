// What stands behind L1, emitted: an L2 hit, or an L2 miss whose walk finds its tables in the page-walk caches; base pages that need no update of A or D.
// Here: what mmu.lookup() does and counts there. Not here: L1 and the filter (refill.ts), and everything else, for which `giveUp` is done with nothing changed.
//
// The readable definition is mmu.ts, tlb.ts, walker.ts and pwc.ts; function for function this, level.ts and pointers.ts follow them, and
// test/cpu/lockstep.test.ts compares all counters, entries and stamps of the two.
import { Guard, Pte, RAM_FIRST_PFN } from '#mmu';
import type { MissPlan, Ram } from '#mmu';
import { add, addWord, and, apply, atLeast, block, byteAt, call, count, doubleAt, either, eq, less, local, ne, not, or, seldom, set, setDouble, shl, shr, sub, when, wideOf, word, wordAt } from './expr.ts';
import type { Expr } from './expr.ts';
import { KnownWord } from './known.ts';
import type { LargeHits } from './large.ts';
import { EmittedLevel, GLOBAL, emitDrop } from './level.ts';
import type { EntryLocals, PageLocals } from './level.ts';
import { EmittedPointers } from './pointers.ts';
import { Mem, Op, Type } from './wasm.ts';
import type { Code, ModuleWriter } from './wasm.ts';

const W = Type.I32;

/** What is known of a page's translation: locals with rights, valid, A and D bits as entries have them, address space or GLOBAL, frame's index. */
export interface FoundLocals { readonly flags: number; readonly bits: number; readonly owner: number; readonly frame: number }

export const foundLocals = (c: Code): FoundLocals => ({ flags: c.local(W), bits: c.local(W), owner: c.local(W), frame: c.local(W) });
/** As an entry is filled with it. */
export const entryOf = ({ flags, bits, owner, frame }: FoundLocals): EntryLocals =>
  ({ owner, flags, pages: bits, ppn: apply(Op.f64_convert_i32_s)(add(local(frame), word(RAM_FIRST_PFN))) });
/** From a word of known.ts, in a local. */
export const takeWord = ({ flags, bits, frame }: FoundLocals, known: number): Expr => block(
  set(frame, shr(local(known), word(12))), set(flags, or(word(Pte.V), and(local(known), word(KnownWord.Rights)))),
  set(bits, or(word(0x101), shl(and(local(known), word(KnownWord.D)), word(16)))),
);
/** The word that says it. @param way in its set of L1 */
export const wordOfFound = ({ flags, bits, frame }: FoundLocals, way: Expr): Expr => or(
  or(shl(local(frame), word(12)), and(local(flags), word(KnownWord.Rights))), or(and(shr(local(bits), word(16)), word(KnownWord.D)), shl(way, word(KnownWord.WayShift))),
);

/** The miss that code is emitted for: where it is appended, and what is in locals of it. */
export interface MissCode {
  readonly code: Code;
  readonly page: PageLocals;
  readonly found: FoundLocals;
  /** Access less Access.Load: not 0 of what stores. */
  readonly kind: number;
}
export interface Behind {
  /** Into the found locals; `giveUp` leaves. Then something has been counted, touched and filled. */
  readonly find: Expr;
  /** Pushes whether a walk found it. */
  readonly walked: Expr;
}

/** @param demand gives up unless what was found will do; null: the found locals hold what will be found, and it will. @param large fills L1, too, where L2 has
 *  such an entry; null: then it gives up */
export function emitBehind(module: ModuleWriter, plan: MissPlan, ram: Ram, miss: MissCode, demand: Demand | null, large: LargeHits | null, giveUp: Expr): Behind {
  const { code: c, page, page: { asid }, found, found: { flags, bits, owner, frame }, kind } = miss;
  const e = c.local(W), wide = c.local(Type.I64), walkedAt = c.local(W);
  const l2 = new EmittedLevel(module, c, plan.l2, page), drop = emitDrop(module, plan.l2);
  const countUnsettled = (place: number): Expr => addWord(place, local(kind));

  const takeEntry = demand === null ? block() : block(
    set(flags, wordAt(plan.l2.flags, local(e))), set(bits, and(wordAt(plan.l2.pages, local(e)), word(0x10101))), demand.rights,
    takeFrameOf(ram, wide, frame, doubleAt(plan.l2.ppn, local(e)), giveUp), demand.frame, set(owner, wordAt(plan.l2.asid, local(e))),
  );
  const hit = block(
    seldom(wordAt(plan.l2.leaf, local(e)), giveUp), // a piece of a larger page: counted otherwise
    takeEntry,
    countUnsettled(plan.unsettled.hits), count(plan.l2.clock + 8), setDouble(plan.l2.stamp, local(e), doubleAt(plan.l2.clock, word(1))), set(walkedAt, word(0)),
  );
  const walk = emitWalk(module, plan, ram, miss, demand, giveUp);
  const walked = walk === null ? giveUp : block(
    l2.victim(e), walk.find, seldom(l2.holdsLarge(e), call(drop, local(e))),
    countUnsettled(plan.unsettled.walks), walk.learn,
    demand === null ? set(owner, local(asid)) : when(ne(local(owner), word(GLOBAL)), set(owner, local(asid))),
    count(plan.l2.clock + 8), l2.fill(e, entryOf(found), doubleAt(plan.l2.clock, word(1))), set(walkedAt, word(1)),
  );
  const small = when(atLeast(local(e), word(0)), hit, walked);
  if (large === null || demand === null) return { find: block(l2.find(e, 0, () => giveUp), small), walked: local(walkedAt) };
  return { find: block(set(large.order, word(0)), l2.find(e, 0, (order) => large.found(order, giveUp)), when(local(large.order), large.take(e, demand, giveUp), small)), walked: local(walkedAt) };
}

/** What gives up unless a translation will do, once its rights, valid, A and D bits are known, and once its frame is. */
export interface Demand { readonly rights: Expr; readonly frame: Expr }
export interface Walk {
  /** Changes nothing. Into the found locals; the owner is the pointers' (GLOBAL or the address space). But where they had it all: what the page-walk caches learn. */
  readonly find: Expr;
  /** What these learn. The owner is the leaf's then. */
  readonly learn: Expr;
  /** The leaf's table, a local. */
  readonly table: number;
}
/** A walk from a pointer to the leaves' table or to the table above; null: there are no page-walk caches to begin at. @param demand null as for emitBehind() */
export function emitWalk(module: ModuleWriter, plan: MissPlan, ram: Ram, miss: MissCode, demand: Demand | null, giveUp: Expr): Walk | null {
  if (plan.pointers === null) return null;
  const { code: c, page, page: { vpnLo, asid }, found: { flags, bits, owner, frame } } = miss;
  const pointers = new EmittedPointers(module, c, plan.pointers, page);
  const upper = plan.upperPointers === null ? null : new EmittedPointers(module, c, plan.upperPointers, page);
  const pointer = c.local(W), upperPointer = c.local(W), pointerOwner = c.local(W), table = c.local(W), low = c.local(W), wide = c.local(Type.I64);
  /** From a column, or gives up: it is no RAM. */
  const takeTable = (from: Expr): Expr => takeFrameOf(ram, wide, table, from, giveUp);
  /** A word of the PTE at an index of the table, whose frame is RAM. */
  const pteWord = (index: Expr, half: 0 | 1): Expr => (code) => {
    add(hostOf(ram, local(table)), shl(and(index, word(511)), word(3)))(code);
    code.mem(Mem.i32_load, 4 * half);
  };
  const takeFrameOfPte = (into: number): Expr => block(set(into, sub(shr(local(low), word(10)), word(RAM_FIRST_PFN))), seldom(not(isRam(ram, into)), giveUp));
  /** A table that no walk has read before is left to walker.ts, which sees to it that it is guarded. */
  const demandGuard = seldom(not(and(byteAt(ram.guards.byteOffset, local(table)), word(Guard.Table))), giveUp);
  const fromUpper = upper === null ? giveUp : block(
    upper.find(upperPointer), seldom(less(local(upperPointer), word(0)), giveUp),
    set(owner, upper.ownerOf(local(upperPointer))), takeTable(upper.tableOf(local(upperPointer))), demandGuard,
    set(low, pteWord(shr(local(vpnLo), word(9)), 0)),
    // A plain pointer: valid, nothing else but G and the OS's bits, PPN below 2^22.
    seldom(or(ne(and(local(low), word(Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.A | Pte.D)), word(Pte.V)), pteWord(shr(local(vpnLo), word(9)), 1)), giveUp),
    when(and(local(low), word(Pte.G)), set(owner, word(GLOBAL))),
    set(pointerOwner, local(owner)), takeFrameOfPte(table),
  );
  const learnUpper = block(
    ...(upper === null ? [] : [upper.use(local(upperPointer))]),
    addWord(plan.unsettled.pointerReads, word(0)),
    // What the pointer is inserted as: global if G stood on it or above.
    pointers.insert(either(eq(local(pointerOwner), word(GLOBAL)), word(GLOBAL), local(asid)), apply(Op.f64_convert_i32_s)(add(local(table), word(RAM_FIRST_PFN)))),
  );
  const isPointerMissing = less(local(pointer), word(0));
  if (demand === null) return { find: block(pointers.find(pointer), when(isPointerMissing, block(fromUpper, learnUpper), pointers.use(local(pointer)))), learn: block(), table };
  const leaf = block(
    demandGuard, set(low, pteWord(local(vpnLo), 0)),
    // A leaf without N and reserved bits, with the rights and the A and D that the access wants, PPN below 2^22.
    seldom(or(not(and(local(low), word(Pte.V))), pteWord(local(vpnLo), 1)), giveUp),
    seldom(eq(and(local(low), word(Pte.R | Pte.W)), word(Pte.W)), giveUp),
    seldom(not(and(local(low), word(Pte.R | Pte.X))), giveUp),
    set(flags, and(local(low), word(Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.G))),
    set(bits, or(word(1), or(shl(and(local(low), word(Pte.A)), word(8 - Math.log2(Pte.A))), shl(and(local(low), word(Pte.D)), word(16 - Math.log2(Pte.D)))))),
    demand.rights, takeFrameOfPte(frame), demand.frame,
  );
  return {
    find: block(
      pointers.find(pointer),
      when(isPointerMissing, fromUpper, block(set(owner, pointers.ownerOf(local(pointer))), takeTable(pointers.tableOf(local(pointer))))),
      leaf,
    ),
    learn: block(when(isPointerMissing, learnUpper, pointers.use(local(pointer))), when(and(local(flags), word(Pte.G)), set(owner, word(GLOBAL)))),
    table,
  };
}

/** A frame is a local with its place in RAM, from 0 on. */
export const hostOf = (ram: Ram, index: Expr): Expr => add(word(ram.hostBase | 0), shl(index, word(12)));
const isRam = (ram: Ram, index: number): Expr => (c) => { c.get(index).i32(ram.nrFrames).op(Op.i32_lt_u); };
/** @param wide a local of 64 bits to use */
export const takeFrameOf = (ram: Ram, wide: number, into: number, from: Expr, giveUp: Expr): Expr => (c) => {
  wideOf(from)(c);
  c.i64(RAM_FIRST_PFN).op(Op.i64_sub).tee(wide).i64(ram.nrFrames).op(Op.i64_ge_u);
  c.if();
  giveUp(c);
  c.end();
  c.get(wide).op(Op.i32_wrap_i64).set(into);
};
