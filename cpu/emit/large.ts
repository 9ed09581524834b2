// An L1 miss that L2 serves with an entry of a Svnapot region or a superpage, emitted. Not here: who asks (refill.ts), groups of unmarked pages (joined.ts), walks
// to large pages, which walker.ts makes.
import { NAPOT_ORDER } from '#mmu';
import type { LevelPlan, MissPlan, Ram } from '#mmu';
import { takeFrameOf } from './behind.ts';
import type { Demand, MissCode } from './behind.ts';
import {
  add, addDoubles, addWord, and, apply, block, call, count, doubleAt, eq, less, local, mul, ne, seldom, set, setDouble, setWord, shl, sub, when, word, wordAt, xor,
} from './expr.ts';
import type { Expr } from './expr.ts';
import { FREE, basePages, bucketOf, link } from './level.ts';
import type { EmittedLevel } from './level.ts';
import { Op, Type } from './wasm.ts';

const W = Type.I32;

/** A miss that an entry of L2 serves which is no base page's: L1 gets one of the same order, where its array of base pages takes that. */
export class LargeHits {
  /** A local: the order of L2's entry, 0 if none has been found. */
  readonly order: number;
  private readonly plan: MissPlan;
  private readonly ram: Ram;
  private readonly miss: MissCode;
  private readonly l1: EmittedLevel;
  private readonly entry: number;
  private readonly drop: number;
  private readonly orders: LevelPlan['probes'];

  /** @param entry a local that gets L1's. @param drop of L1 */
  constructor(plan: MissPlan, ram: Ram, miss: MissCode, l1: EmittedLevel, entry: number, drop: number) {
    this.plan = plan;
    this.ram = ram;
    this.miss = miss;
    this.l1 = l1;
    this.entry = entry;
    this.drop = drop;
    this.order = miss.code.local(W);
    const { first } = basePages(plan.l1);
    this.orders = plan.l1.probes.filter((p) => p.order >= NAPOT_ORDER && p.order < 32 && p.first === first);
  }

  /** What L2's search does about an entry of an order. */
  found(order: number, giveUp: Expr): Expr {
    return this.orders.some((p) => p.order === order) ? set(this.order, word(order)) : giveUp;
  }

  /** Counts the hit, touches L2's entry, a local, and fills L1; or `giveUp` has left before anything was. */
  take(e2: number, demand: Demand, giveUp: Expr): Expr {
    const { plan: { l1, l2, unsettled }, ram, miss: { code, page: { vpnLo, vpnHi }, found: { flags, bits, owner, frame }, kind }, entry: e1, order, orders, drop } = this;
    if (orders.length === 0) return giveUp;
    const probe = code.local(W), tag = code.local(W), hits = code.local(W), at = code.local(W), wide = code.local(Type.I64);
    const within = sub(shl(word(1), local(order)), word(1));
    const { first, ways, setMask, heads } = orders[0]!;
    const start = setMask === 0 ? word(first) : add(word(first), mul(and(this.setIndex(), word(setMask)), word(ways)));
    return block(
      // A piece of a larger page is counted otherwise. No larger entry of L1 stands behind the new one (tlb.ts: hideUnder): it would have served the page.
      seldom(ne(wordAt(l2.leaf, local(e2)), local(order)), giveUp),
      set(tag, and(local(vpnLo), within)),
      set(flags, wordAt(l2.flags, local(e2))), set(bits, and(wordAt(l2.pages, local(e2)), word(0x10101))), demand.rights,
      takeFrameOf(ram, wide, frame, addDoubles(doubleAt(l2.ppn, local(e2)), apply(Op.f64_convert_i32_s)(local(tag))), giveUp), demand.frame, set(owner, wordAt(l2.asid, local(e2))),

      ...orders.map((p) => when(eq(local(order), word(p.order)), block(set(probe, word(p.probe)), set(hits, word(unsettled.largeHits.find((h) => h.order === p.order)!.at >> 2))))),
      addWord(0, add(local(hits), local(kind))), addWord(unsettled.allLargeHits, word(0)), count(l2.clock + 8), setDouble(l2.stamp, local(e2), doubleAt(l2.clock, word(1))),

      this.l1.victim(e1, start), this.l1.touch(e1), when(ne(wordAt(l1.probe, local(e1)), word(FREE)), call(drop, local(e1))),
      set(tag, sub(local(vpnLo), local(tag))),
      setWord(l1.tagLo, local(e1), local(tag)), setWord(l1.tagHi, local(e1), local(vpnHi)), setWord(l1.probe, local(e1), local(probe)),
      setWord(l1.asid, local(e1), local(owner)), setWord(l1.flags, local(e1), local(flags)), setWord(l1.pages, local(e1), local(bits)),
      setDouble(l1.ppn, local(e1), doubleAt(l2.ppn, local(e2))), setWord(l1.sub, local(e1), word(0)), setWord(l1.leaf, local(e1), local(order)),
      ...(l1.filled === null ? [] : [count(l1.clock), setDouble(l1.filled, local(e1), doubleAt(l1.clock, word(0)))]),
      setWord(l1.shownIn, local(e1), word(0)), when(less(word(NAPOT_ORDER), local(order)), this.l1.noteShown(e1)),
      addWord(l1.live, local(probe)), addWord(l1.nrValid, word(0)), addWord(l1.nrLarge, word(0)),
      ...(heads === null ? [] : [set(at, bucketOf(heads, xor(xor(local(tag), local(vpnHi)), shl(local(probe), word(4))))), link(code, l1, heads, at, e1)]),
    );
  }
  /** A page number without the pages of an entry, low half: orders are below 32. */
  private setIndex(): Expr {
    const { order, miss: { page: { vpnLo, vpnHi } } } = this;
    return (c) => {
      c.get(vpnHi).op(Op.i64_extend_i32_u).i64(32).op(Op.i64_shl).get(vpnLo).op(Op.i64_extend_i32_u, Op.i64_or).get(order).op(Op.i64_extend_i32_u, Op.i64_shr_u, Op.i32_wrap_i64);
    };
  }
}
