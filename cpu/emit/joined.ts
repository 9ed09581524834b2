// One TLB level whose base pages may share entries (mmu/coalesce.ts), emitted, for emit/neighbours.ts. Here: which pages an entry gets, whom they are taken
// from, writing it. Not here: what is known of the neighbours (neighbours.ts), search and replacement, dropping entries (level.ts).
import { NAPOT_ORDER, RAM_FIRST_PFN } from '#mmu';
import type { LevelPlan } from '#mmu';
import type { FoundLocals } from './behind.ts';
import {
  add, addWord, and, apply, atLeast, block, call, count, doubleAt, either, eq, leadingZeros, local, loopWhile, mul, ne, not, or, set, setDouble, setWord, shl, shr, sub, trailingZeros,
  when, word, wordAt, xor,
} from './expr.ts';
import type { Expr } from './expr.ts';
import { EmittedLevel, FREE, GLOBAL, NO_WAY, basePages, bucketOf, emitDrop, forgetPage, hidePage, link } from './level.ts';
import type { PageLocals } from './level.ts';
import { Code, Op, Type } from './wasm.ts';
import type { ModuleWriter } from './wasm.ts';

/** Locals with a bit for each page of the line of eight that the page is in: what may join it as far as memory or another entry says, the page itself among
 *  them; A and D of these. Their frames follow one another; or ('clustered') they lie in the same eight frames, and `sub` has three bits for each, its place there. */
export interface LineLocals { readonly known: number; readonly accessed: number; readonly dirty: number; readonly sub: number }

const W = Type.I32;
export const positionOf = (vpn: number): Expr => and(local(vpn), word(7));
/** The bits below one. */
const bitsBelow = (bit: Expr): Expr => sub(shl(word(1), bit), word(1));

export class JoinedLevel {
  /** Of the entry that choose() has decided for, locals: its order, and its pages as the line has them. */
  private readonly order: number;
  readonly chosen: number;
  private readonly code: Code;
  private readonly plan: LevelPlan;
  private readonly level: EmittedLevel;
  private readonly page: PageLocals;
  /** Those of base pages and what they are joined to: what takeOver() looks for. */
  private readonly small: LevelPlan['probes'];
  private readonly drop: number;

  constructor(module: ModuleWriter, code: Code, plan: LevelPlan, level: EmittedLevel, page: PageLocals) {
    this.code = code;
    this.plan = plan;
    this.level = level;
    this.page = page;
    this.order = code.local(W);
    this.chosen = code.local(W);
    this.small = plan.probes.filter(({ order }) => order < NAPOT_ORDER);
    this.drop = emitDrop(module, plan);
  }

  /** capture(): of the pages that the A/D rule lets join those that the model does. The page has A. @param frame a local with its frame's index */
  choose({ known, accessed, dirty }: LineLocals, frame: number): Expr {
    const { code, plan: { joins }, order, chosen, page: { vpnLo } } = this;
    const own = positionOf(vpnLo);
    if (joins === null) return set(chosen, shl(word(1), own));
    const eligible = code.local(W);
    const withSameD = xor(local(dirty), sub(and(shr(local(dirty), own), word(1)), word(1)));
    return block(
      set(eligible, local(known)),
      ...(joins.rule === 'loose-a' ? [] : [set(eligible, and(local(eligible), local(accessed)))]),
      ...(joins.rule === 'd-split' ? [] : [set(eligible, and(local(eligible), withSameD))]),
      joins.model === 'zen' ? this.chooseGroup(eligible, frame) : joins.model === 'clustered' ? block(set(order, word(3)), set(chosen, local(eligible))) : this.chooseRun(eligible),
    );
  }
  /** zenGroup(): the largest group of which all pages are eligible. */
  private chooseGroup(eligible: number, frame: number): Expr {
    const { order, chosen, small, page: { vpnLo } } = this;
    const narrow = set(order, shl(eq(and(shr(local(eligible), and(local(vpnLo), word(4))), word(15)), word(15)), word(1)));
    // Frames are counted from one that is a multiple of eight.
    const isAligned = not(and(xor(local(frame), local(vpnLo)), word(7)));
    return block(
      small.some((p) => p.order === 3) ? when(and(eq(local(eligible), word(0xff)), isAligned), set(order, word(3)), narrow) : narrow,
      set(chosen, shl(bitsBelow(shl(word(1), local(order))), and(positionOf(vpnLo), sub(word(0), shl(word(1), local(order)))))),
    );
  }
  /** run(): the eligible pages around the page without a gap. They are of its aligned group: nobody knows of others. */
  private chooseRun(eligible: number): Expr {
    const { code, plan, order, chosen, page: { vpnLo } } = this;
    const own = positionOf(vpnLo);
    const gaps = code.local(W);
    return block(
      set(order, word(basePages(plan).order)),
      set(gaps, xor(local(eligible), word(-1))),
      // From behind the last gap before the page up to the first one behind it.
      set(chosen, sub(
        shl(word(1), add(own, trailingZeros(shr(local(gaps), own)))),
        shl(word(1), sub(word(32), leadingZeros(and(local(gaps), bitsBelow(own))))),
      )),
    );
  }

  /** takeOver(), victim() and write() of the chosen entry. @param way a local that gets its way. @param stamp null: the caller stamps it before anybody looks */
  fill(way: number, { accessed, dirty, sub: subs }: LineLocals, { flags, owner, frame }: FoundLocals, stamp: Expr | null): Expr {
    const { code, plan, plan: { joins }, level, order, chosen, small, page: { vpnLo, vpnHi } } = this;
    const base = basePages(plan);
    const start = code.local(W), probe = code.local(W), tag = code.local(W), from = code.local(W);
    const isClustered = joins?.model === 'clustered';
    const bitsOf = (line: Expr, at: number): Expr => shl(shr(and(line, local(chosen)), local(from)), word(at));
    const ppn = isClustered ? and(local(frame), word(-8)) : sub(local(frame), sub(local(vpnLo), local(tag)));
    return block(
      set(probe, small.reduce((others, p) => (p === base ? others : either(eq(local(order), word(p.order)), word(p.probe), others)), word(base.probe))),
      set(tag, and(local(vpnLo), sub(word(0), shl(word(1), local(order))))), set(from, and(local(tag), word(7))),
      set(start, base.setMask === 0 ? word(base.first) : add(word(base.first), mul(and(shr(local(vpnLo), local(order)), word(base.setMask)), word(base.ways)))),
      ...(joins === null ? [] : [
        joins.model === 'zen' ? when(local(order), this.takeGroup(way, owner)) : this.takePages(way, owner, tag, from),
        ...(plan.shown.length === 0 ? [] : [when(eq(local(owner), word(GLOBAL)), this.hideLine(tag, from))]),
      ]),
      level.victim(way, local(start)), level.touch(way), when(ne(wordAt(plan.probe, local(way)), word(FREE)), call(this.drop, local(way))),
      setWord(plan.tagLo, local(way), local(tag)), setWord(plan.held, local(way), local(tag)), setWord(plan.tagHi, local(way), local(vpnHi)),
      setWord(plan.probe, local(way), local(probe)), setWord(plan.asid, local(way), local(owner)), setWord(plan.flags, local(way), local(flags)),
      setWord(plan.pages, local(way), or(bitsOf(word(-1), 0), or(bitsOf(local(accessed), 8), bitsOf(local(dirty), 16)))),
      setDouble(plan.ppn, local(way), apply(Op.f64_convert_i32_s)(add(word(RAM_FIRST_PFN), ppn))),
      setWord(plan.sub, local(way), isClustered ? and(local(subs), this.threeBitsEach(chosen)) : word(0)), setWord(plan.leaf, local(way), word(0)),
      ...(stamp === null ? [] : [setDouble(plan.stamp, local(way), stamp)]), ...(plan.filled === null ? [] : [count(plan.clock), setDouble(plan.filled, local(way), doubleAt(plan.clock, word(0)))]),
      setWord(plan.shownIn, local(way), word(0)),
      addWord(plan.live, local(probe)), addWord(plan.nrValid, word(0)),
      ...(base.heads === null ? [] : [
        set(start, bucketOf(base.heads, xor(xor(local(tag), local(vpnHi)), shl(local(probe), word(4))))), link(code, plan, base.heads, start, way),
      ]),
    );
  }
  /** hideLine(), with the page itself, which the filter does not show. */
  private hideLine(tag: number, from: number): Expr {
    const { code, plan, chosen } = this;
    const left = code.local(W);
    return block(set(left, shr(local(chosen), local(from))), loopWhile(local(left), block(
      forgetPage(code, plan, add(local(tag), trailingZeros(local(left)))), set(left, and(local(left), sub(local(left), word(1)))),
    )));
  }
  /** Eight bits, a local, each of them three times. */
  private threeBitsEach(bits: number): Expr {
    const x = this.code.local(W);
    const spread = (by: number, mask: number): Expr => set(x, and(or(local(x), shl(local(x), word(by))), word(mask)));
    return (c) => {
      block(set(x, local(bits)), spread(8, 0xf00f), spread(4, 0xc30c3), spread(2, 0x249249))(c);
      mul(local(x), word(7))(c);
    };
  }

  /** Of groups: drops whatever has another page of the chosen one, which is no single page's. @param e a local to use */
  private takeGroup(e: number, owner: number): Expr {
    const { code, plan, level, order, small, page: { vpnLo, vpnHi } } = this;
    const other = code.local(W), left = code.local(W);
    const dropAll = (p: LevelPlan['probes'][number]): Expr => (c) => {
      const again = c.loop();
      set(e, word(NO_WAY))(c);
      level.findIn(p, e, { vpnLo: other, vpnHi, asid: owner })(c);
      when(atLeast(local(e), word(0)), block(call(this.drop, local(e)), (inner) => { inner.br(again); }))(c);
      c.end();
    };
    return block(
      set(left, shl(word(1), local(order))),
      loopWhile(sub(local(left), word(1)), block(
        set(left, sub(local(left), word(1))), set(other, xor(local(vpnLo), local(left))),
        ...small.map((p) => when(wordAt(plan.live, word(p.probe)), dropAll(p))),
      )),
    );
  }
  /** Of other models, whose entries all are of one order: the pages but the own one go from entries of the same tag. Those that keep none go, and all under
   *  'colt-fa'. As dropPage() takes pages one by one, what has gone keeps the last. @param e a local to use */
  private takePages(e: number, owner: number, tag: number, from: number): Expr {
    const { code, plan, plan: { joins, pages }, level, chosen, page: { vpnLo, vpnHi } } = this;
    const wanted = code.local(W), gone = code.local(W), left = code.local(W);
    const lastOf = (bits: number): Expr => shl(word(1), sub(word(31), leadingZeros(local(bits))));
    const dropIt = call(this.drop, local(e));
    const hideAll = loopWhile(local(left), block(
      hidePage(code, plan, add(local(tag), trailingZeros(local(left))), e), set(left, and(local(left), sub(local(left), word(1)))),
    ));
    const takeSome = block(
      set(gone, and(wordAt(pages, local(e)), local(wanted))), set(left, and(and(wordAt(pages, local(e)), word(0xff)), xor(local(wanted), word(-1)))),
      when(local(left), block(set(left, local(gone)), hideAll, this.without(e, gone)), block(set(gone, sub(local(gone), lastOf(gone))), this.without(e, gone), dropIt)),
    );
    return block(set(wanted, shr(and(local(chosen), xor(shl(word(1), positionOf(vpnLo)), word(-1))), local(from))), when(local(wanted), (c) => {
      const again = c.loop();
      set(e, word(NO_WAY))(c);
      level.findIn(basePages(plan), e, { vpnLo, vpnHi, asid: owner }, local(wanted))(c);
      when(atLeast(local(e), word(0)), block(joins!.model === 'colt-fa' ? dropIt : takeSome, (inner) => { inner.br(again); }))(c);
      c.end();
    }));
  }
  private without(e: number, bits: number): Expr {
    const { plan: { pages } } = this;
    return setWord(pages, local(e), and(wordAt(pages, local(e)), xor(mul(local(bits), word(0x10101)), word(-1))));
  }
}
