// One TLB level whose base pages may share entries in aligned groups ('zen' of mmu/coalesce.ts), emitted, for emit/neighbours.ts. Here: which pages an entry
// gets, whom they are taken from, writing it and dropping others, of whatever order. Not here: what is known of the neighbours (neighbours.ts), search and
// replacement (level.ts).
import { NAPOT_ORDER, RAM_FIRST_PFN } from '#mmu';
import type { LevelPlan } from '#mmu';
import type { FoundLocals } from './behind.ts';
import {
  add, addWord, and, apply, atLeast, block, call, count, doubleAt, either, eq, local, loopWhile, mul, ne, not, or, set, setDouble, setWord, shl, shr, sub, when, word, wordAt, xor,
} from './expr.ts';
import type { Expr } from './expr.ts';
import { EmittedLevel, FREE, NO_WAY, bucketOf, emitDrop, link } from './level.ts';
import type { PageLocals } from './level.ts';
import { Code, Op, Type } from './wasm.ts';
import type { ModuleWriter } from './wasm.ts';

/** Locals with a bit for each page of the line of eight that the page is in: what may join it as far as memory or another entry says, the page itself among
 *  them; A and D of these. Their frames follow one another. */
export interface LineLocals { readonly known: number; readonly accessed: number; readonly dirty: number }

const W = Type.I32;
export const positionOf = (vpn: number): Expr => and(local(vpn), word(7));

export class JoinedLevel {
  /** Of the entry that choose() has decided for, a local: 0, 2 or 3. */
  readonly order: number;
  private readonly code: Code;
  private readonly plan: LevelPlan;
  private readonly level: EmittedLevel;
  private readonly page: PageLocals;
  /** Those of base pages and groups: what takeOver() looks for. */
  private readonly small: LevelPlan['probes'];
  private readonly drop: number;

  constructor(module: ModuleWriter, code: Code, plan: LevelPlan, level: EmittedLevel, page: PageLocals) {
    this.code = code;
    this.plan = plan;
    this.level = level;
    this.page = page;
    this.order = code.local(W);
    this.small = plan.probes.filter(({ order }) => order < NAPOT_ORDER);
    this.drop = emitDrop(module, plan);
  }

  /** capture(): the largest group of which the A/D rule lets all pages join. The page has A. @param frame a local with its frame's index */
  choose({ known, accessed, dirty }: LineLocals, frame: number): Expr {
    const { code, plan: { joins }, order, small, page: { vpnLo } } = this;
    if (joins === null) return block();
    const eligible = code.local(W);
    const own = positionOf(vpnLo);
    const withSameD = xor(local(dirty), sub(and(shr(local(dirty), own), word(1)), word(1)));
    const narrow = set(order, shl(eq(and(shr(local(eligible), and(local(vpnLo), word(4))), word(15)), word(15)), word(1)));
    // Frames are counted from one that is a multiple of eight.
    const isAligned = not(and(xor(local(frame), local(vpnLo)), word(7)));
    return block(
      set(eligible, local(known)),
      ...(joins === 'loose-a' ? [] : [set(eligible, and(local(eligible), local(accessed)))]),
      ...(joins === 'd-split' ? [] : [set(eligible, and(local(eligible), withSameD))]),
      small.some((p) => p.order === 3) ? when(and(eq(local(eligible), word(0xff)), isAligned), set(order, word(3)), narrow) : narrow,
    );
  }

  /** takeOver(), victim() and write() of the chosen entry. @param way a local that gets its way. @param stamp null: the caller stamps it before anybody looks */
  fill(way: number, { accessed, dirty }: LineLocals, { flags, owner, frame }: FoundLocals, stamp: Expr | null): Expr {
    const { code, plan, level, order, small, page: { vpnLo, vpnHi } } = this;
    const base = small.find((p) => p.order === 0)!;
    const start = code.local(W), probe = code.local(W), tag = code.local(W), ones = code.local(W), from = code.local(W);
    const size = shl(word(1), local(order));
    const bitsOf = (line: number, at: number): Expr => shl(and(shr(local(line), local(from)), local(ones)), word(at));
    return block(
      set(probe, small.reduce((others, p) => (p === base ? others : either(eq(local(order), word(p.order)), word(p.probe), others)), word(base.probe))),
      set(tag, and(local(vpnLo), sub(word(0), size))),
      set(start, base.setMask === 0 ? word(base.first) : add(word(base.first), mul(and(shr(local(vpnLo), local(order)), word(base.setMask)), word(base.ways)))),
      when(local(order), this.takeOver(way, owner)),
      level.victim(way, local(start)), level.touch(way), when(ne(wordAt(plan.probe, local(way)), word(FREE)), call(this.drop, local(way))),
      // Bits of as many pages as it has, and where in the line its first one stands.
      set(ones, sub(shl(word(1), size), word(1))), set(from, and(local(tag), word(7))),
      setWord(plan.tagLo, local(way), local(tag)), setWord(plan.held, local(way), local(tag)), setWord(plan.tagHi, local(way), local(vpnHi)),
      setWord(plan.probe, local(way), local(probe)), setWord(plan.asid, local(way), local(owner)), setWord(plan.flags, local(way), local(flags)),
      setWord(plan.pages, local(way), or(local(ones), or(bitsOf(accessed, 8), bitsOf(dirty, 16)))),
      setDouble(plan.ppn, local(way), apply(Op.f64_convert_i32_s)(add(word(RAM_FIRST_PFN), sub(local(frame), sub(local(vpnLo), local(tag)))))),
      setWord(plan.sub, local(way), word(0)), setWord(plan.leaf, local(way), word(0)),
      ...(stamp === null ? [] : [setDouble(plan.stamp, local(way), stamp)]), ...(plan.filled === null ? [] : [count(plan.clock), setDouble(plan.filled, local(way), doubleAt(plan.clock, word(0)))]),
      setWord(plan.shownIn, local(way), word(0)),
      addWord(plan.live, local(probe)), addWord(plan.nrValid, word(0)),
      ...(base.heads === null ? [] : [
        set(start, bucketOf(base.heads, xor(xor(local(tag), local(vpnHi)), shl(local(probe), word(4))))), link(code, plan, base.heads, start, way),
      ]),
    );
  }
  /** Drops whatever has another page of the chosen group, which is no single page's. @param e a local to use */
  private takeOver(e: number, owner: number): Expr {
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
}
