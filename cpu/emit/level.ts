// One TLB level, emitted: find, victim, drop, and fill for base pages, for emit/refill.ts. Here: what tlb.ts does, on the columns that its plan names.
// Not here: in which order levels are asked, what is counted.
import { FILTER_SLOTS, NAPOT_ORDER, SHOWN_BLOCK } from '#mmu';
import type { LevelPlan, ProbePlan } from '#mmu';
import {
  add, addDoubles, addWord, and, apply, atLeast, block, count, doubleAt, either, eq, less, local, loopWhile, mul, ne, not, or, seldom, set, setDouble, setWord, shl, shr, sub, trailingZeros, when, word, wordAt, xor,
} from './expr.ts';
import type { Expr } from './expr.ts';
import { SLOT_MASK, SLOT_SHIFT, Slot } from './memory.ts';
import { EmittedOldest } from './oldest.ts';
import { anyLess, leastByHalves, leastOf, matches } from './scan.ts';
import { Code, Mem, Op, Type } from './wasm.ts';
import type { ModuleWriter } from './wasm.ts';

export const NO_WAY = -1;
export const FREE = -1;
export const GLOBAL = -1;

/** Locals that hold a page number's halves, and the address space. */
export interface PageLocals { readonly vpnLo: number; readonly vpnHi: number; readonly asid: number }
/** What an entry is written with: locals of words, and the frame. */
export interface EntryLocals { readonly owner: number; readonly flags: number; readonly pages: number; readonly ppn: Expr }

type Heads = NonNullable<ProbePlan['heads']>;

/** Low half of a page number's high bits are words: its tag at an order. */
const tagLo = (order: number, vpn: number): Expr => (order === 0 ? local(vpn) : order < 32 ? and(local(vpn), word(-1 << order)) : word(0));
const tagHi = (order: number, vpn: number): Expr => (order < 32 ? local(vpn) : and(local(vpn), word(-1 << (order - 32))));
const bucket = ({ probe, heads }: ProbePlan, lo: Expr, hi: Expr): Expr => bucketOf(heads!, probe === 0 ? xor(lo, hi) : xor(xor(lo, hi), word(probe << 4)));
/** @param mixed an entry's tag's halves and its probe, shifted left by 4, all exclusively or-ed */
export const bucketOf = ({ mask }: Heads, mixed: Expr): Expr => and(xor(mixed, shr(mixed, word(9))), word(mask));
const setNumber = ({ order, setMask }: ProbePlan, vpnLo: number, vpnHi: Expr): Expr => {
  const index = order === 0 ? local(vpnLo) : order < 32 ? or(shr(local(vpnLo), word(order)), shl(vpnHi, word(32 - order))) : shr(vpnHi, word(order - 32));
  return and(index, word(setMask));
};
const setStart = (p: ProbePlan, vpnLo: number, vpnHi: Expr): Expr => add(word(p.first), mul(setNumber(p, vpnLo, vpnHi), word(p.ways)));

/** Where a level keeps base pages: the least order. */
export const basePages = ({ probes }: LevelPlan): ProbePlan => probes[0]!;

export class EmittedLevel {
  private readonly code: Code;
  private readonly level: LevelPlan;
  private readonly page: PageLocals;
  private readonly base: ProbePlan;
  /** Local with the page's hash, where base pages are hashed. */
  private readonly hash: number;
  private readonly oldest: EmittedOldest | null;

  constructor(module: ModuleWriter, code: Code, level: LevelPlan, page: PageLocals) {
    this.oldest = level.oldest === null ? null : new EmittedOldest(module, level.oldest, level.age);
    this.code = code;
    this.level = level;
    this.page = page;
    this.base = basePages(level);
    this.hash = code.local(Type.I32);
  }

  /** The entry that serves the page, or NO_WAY, into a local: base pages first, then groups of them, as tlb.ts's probes go. @param pageIn a local that gets the
   *  page's index in the entry; 0: the level has no groups. @param foundLarge what is done about one of a higher order */
  find(into: number, pageIn: number, foundLarge: (order: number) => Expr): Expr {
    const { level, base, page: { vpnLo } } = this;
    const isMissing = less(local(into), word(0));
    const isFound = atLeast(local(into), word(0));
    const groups = level.probes.filter((p) => p !== base && p.order < NAPOT_ORDER);
    const takePage = ({ order }: ProbePlan): Expr => set(pageIn, and(local(vpnLo), word((1 << order) - 1)));
    return block(
      set(into, word(NO_WAY)), this.findIn(base, into), ...(level.joins === null ? [] : [takePage(base)]),
      ...groups.map((p) => when(isMissing, when(wordAt(level.live, word(p.probe)), block(this.findIn(p, into), when(isFound, takePage(p)))))),
      when(wordAt(level.nrLarge, word(0)), block(
        ...level.probes.filter(({ order }) => order >= NAPOT_ORDER).map((p) => when(isMissing, block(this.findIn(p, into), when(isFound, block(
          ...(level.joins === null ? [] : [set(pageIn, word(0))]), foundLarge(p.order),
        ))))),
      )),
    );
  }
  /** An entry of one order that serves a page, if there is one: else `into` stays as it is. @param wanted bits of the pages of the entry of which one must be valid */
  findIn(p: ProbePlan, into: number, { vpnLo, vpnHi, asid } = this.page, wanted = this.bitIn(p, vpnLo)): Expr {
    const { code, level, base } = this;
    const lo = tagLo(p.order, vpnLo), hi = tagHi(p.order, vpnHi), e = code.local(Type.I32), candidates = code.local(Type.I32);
    const found = block(set(into, local(e)), set(candidates, word(0)));
    // One branch each: they are all but always the same.
    const test = when(eq(wordAt(level.probe, local(e)), word(p.probe)), when(eq(wordAt(level.tagHi, local(e)), hi), when(and(wordAt(level.pages, local(e)), wanted),
      when(eq(wordAt(level.asid, local(e)), local(asid)), found, when(eq(wordAt(level.asid, local(e)), word(GLOBAL)), found)))));
    if (p.heads !== null) {
      const head = code.local(Type.I32);
      return block(
        set(head, bucket(p, lo, hi)), ...(p === base ? [set(this.hash, local(head))] : []),
        set(candidates, word(1)), set(e, wordAt(p.heads.at, local(head))),
        loopWhile(either(local(candidates), atLeast(local(e), word(0)), word(0)), block(
          when(eq(wordAt(level.tagLo, local(e)), lo), test), set(e, wordAt(level.next, local(e))),
        )),
      );
    }
    const start = setStart(p, vpnLo, local(vpnHi));
    return block(set(candidates, matches(level.tagLo, start, p.ways, lo)), when(local(candidates), loopWhile(local(candidates), block(
      set(e, add(start, trailingZeros(local(candidates)))), set(candidates, and(local(candidates), sub(local(candidates), word(1)))), test,
    ))));
  }

  /** A page's bit among those of an entry. Of a whole group, and of larger pages, the first bit stands for all. */
  private bitIn({ order }: ProbePlan, vpnLo: number): Expr {
    const { joins } = this.level;
    return joins === null || joins.model === 'zen' || order >= NAPOT_ORDER ? word(1) : shl(word(1), and(local(vpnLo), word((1 << order) - 1)));
  }
  /** The frame that an entry gives for a page. @param way, pageIn locals; pageIn is looked at where pages are joined alone */
  frameOf(way: number, pageIn: number): Expr {
    const { joins, ppn, sub: subs } = this.level;
    const first = doubleAt(ppn, local(way));
    if (joins === null) return first;
    const page = joins.model === 'clustered' ? and(shr(wordAt(subs, local(way)), mul(local(pageIn), word(3))), word(7)) : local(pageIn);
    return addDoubles(first, apply(Op.f64_convert_i32_s)(page));
  }

  /** The way for an entry, into a local: a free one, else what replacement says. @param start the first way that it may have */
  victim(into: number, start = this.start()): Expr {
    const { code, level, base } = this;
    const { hasFree } = this;
    if (level.isTree) {
      const wanted = code.local(Type.I32);
      return block(
        set(wanted, word(0)), when(hasFree, set(wanted, matches(level.probe, start, base.ways, word(FREE)))),
        when(not(local(wanted)), set(wanted, word(2 ** base.ways - 1 | 0))), leastByHalves(into, level.age, start, base.ways, wanted),
      );
    }
    const end = code.local(Type.I32);
    /** The lowest free way, or NO_WAY. */
    const findFree = block(
      set(into, start), set(end, add(start, word(base.ways))),
      loopWhile(either(less(local(into), local(end)), ne(wordAt(level.probe, local(into)), word(FREE)), word(0)), set(into, add(local(into), word(1)))),
      when(eq(local(into), local(end)), set(into, word(NO_WAY))),
    );
    const findOldest = this.oldest !== null ? this.oldest.find(into) : level.shown.length === 0 && base.ways > 1 ? this.guessOldest(into, start) : set(into, leastOf(level.age, start, base.ways));
    return block(set(into, word(NO_WAY)), when(hasFree, findFree), when(less(local(into), word(0)), findOldest));
  }
  /** The oldest way of a set. Where pages hit less often than they miss, ways go in turn: a guess that a branch goes by costs less than a search whose answer
   *  all else waits for. */
  private guessOldest(into: number, start: Expr): Expr {
    const { code, level: { age, turns }, base, base: { ways }, page: { vpnLo } } = this;
    const next = code.local(Type.I32), setNr = setNumber(base, vpnLo, word(0));
    return block(
      set(into, add(start, wordAt(turns, setNr))), seldom(anyLess(age, start, ways, local(into)), set(into, leastOf(age, start, ways))),
      set(next, add(sub(local(into), start), word(1))), setWord(turns, setNr, and(local(next), sub(eq(local(next), word(ways)), word(1)))),
    );
  }
  private get hasFree(): Expr {
    return ne(wordAt(this.level.nrValid, word(0)), word(this.level.entries));
  }
  /** Does a way hold an entry that is not a base page's? */
  holdsLarge(way: number): Expr {
    const { level, base } = this;
    return either(wordAt(level.nrLarge, word(0)), and(ne(wordAt(level.probe, local(way)), word(base.probe)), ne(wordAt(level.probe, local(way)), word(FREE))), word(0));
  }

  /** `otherwise` unless no way is free, and none holds anything but a base page. */
  demandPlain(otherwise: Expr): Expr {
    const { level } = this;
    return block(seldom(wordAt(level.nrLarge, word(0)), otherwise), seldom(this.hasFree, otherwise));
  }
  /** The way that goes for the page, into a local, of a plain level, and touch(). @param again what is done where that takes a search: first lookAgain, then all
   *  once more */
  takeVictim(into: number, again: Expr): Expr {
    const { level: { age, isTree }, base: { ways }, oldest } = this;
    if (isTree) return leastByHalves(into, age, this.start(), ways, null);
    return oldest === null ? set(into, leastOf(age, this.start(), ways)) : oldest.pop(into, again);
  }
  get lookAgain(): Expr {
    return this.oldest === null ? block() : this.oldest.lookAgain;
  }
  /** What a superpage's entry, a local, remembers of the page that will be shown (tlb.ts: noteShown). */
  noteShown(way: number): Expr {
    const { level, page: { vpnLo } } = this;
    return setWord(level.shownIn, local(way), or(wordAt(level.shownIn, local(way)), shl(word(1), shr(and(local(vpnLo), word(FILTER_SLOTS - 1)), word(Math.log2(SHOWN_BLOCK))))));
  }
  /** The first way that a page may have. */
  start(): Expr {
    return setStart(this.base, this.page.vpnLo, word(0));
  }
  /** The page number, low half, that a way of a base page holds. */
  heldBy(way: Expr): Expr {
    return wordAt(this.level.held, way);
  }

  /** Of a fill what the engine must not wait for: the page that the way has held is hidden, and the way is the page's. */
  hold(way: number): Expr {
    const { code, level, page: { vpnLo } } = this;
    return level.shown.length === 0 ? block() : block(hidePage(code, level, this.heldBy(local(way)), way), setWord(level.held, local(way), local(vpnLo)));
  }
  /** The rest: drop() of what the way has held, a base page, and write() of another. @param filled how many fills this is after the last that was counted */
  replace(way: number, entry: EntryLocals, filled: Expr): Expr {
    const { base, page: { vpnLo, vpnHi } } = this;
    return block(base.heads === null ? block() : set(this.hash, bucket(base, local(vpnLo), local(vpnHi))), this.unlink(way), this.write(way, entry, filled));
  }
  /** A way that is filled will be touched. */
  touch(way: number): Expr {
    return this.oldest === null ? block() : this.oldest.take(way);
  }
  countFills(n: Expr): Expr {
    return this.level.filled === null ? block() : count(this.level.clock, apply(Op.f64_convert_i32_s)(n));
  }
  /** Both, whatever the way holds. @param stamp null: the caller stamps the way before anybody looks */
  fill(way: number, entry: EntryLocals, stamp: Expr | null): Expr {
    const { level, base } = this;
    return block(
      when(either(this.hasFree, eq(wordAt(level.probe, local(way)), word(FREE)), word(0)), block(
        addWord(level.nrValid, word(0)), addWord(level.live, word(base.probe)), setWord(level.probe, local(way), word(base.probe)),
        // These an entry of a base page has for good.
        setWord(level.sub, local(way), word(0)), setWord(level.shownIn, local(way), word(0)),
      ), this.unlink(way)),
      this.hold(way), this.touch(way), stamp === null ? block() : setDouble(level.stamp, local(way), stamp), this.write(way, entry, word(1)), this.countFills(word(1)),
    );
  }

  private write(way: number, { owner, flags, pages, ppn }: EntryLocals, filled: Expr): Expr {
    const { level, page: { vpnLo, vpnHi } } = this;
    return block(
      setWord(level.tagLo, local(way), local(vpnLo)), setWord(level.tagHi, local(way), local(vpnHi)), setWord(level.asid, local(way), local(owner)),
      setWord(level.flags, local(way), local(flags)), setWord(level.pages, local(way), local(pages)), setDouble(level.ppn, local(way), ppn), setWord(level.leaf, local(way), word(0)),
      level.filled === null ? block() : setDouble(level.filled, local(way), addDoubles(doubleAt(level.clock, word(0)), apply(Op.f64_convert_i32_s)(filled))), this.link(way),
    );
  }
  private unlink(way: number): Expr {
    const { code, level, base } = this;
    return base.heads === null ? block() : unlink(code, level, base.heads, bucket(base, wordAt(level.tagLo, local(way)), wordAt(level.tagHi, local(way))), way);
  }
  private link(way: number): Expr {
    const { code, level, base: { heads } } = this;
    return heads === null ? block() : link(code, level, heads, this.hash, way);
  }
}

/** Takes a way out of the chain of a bucket. */
export function unlink(code: Code, { next }: LevelPlan, heads: Heads, bucketOfWay: Expr, way: number): Expr {
  const head = code.local(Type.I32), before = code.local(Type.I32);
  return block(
    set(head, bucketOfWay),
    set(before, wordAt(heads.at, local(head))),
    when(eq(local(before), local(way)), setWord(heads.at, local(head), wordAt(next, local(way))), block(
      loopWhile(ne(wordAt(next, local(before)), local(way)), set(before, wordAt(next, local(before)))),
      setWord(next, local(before), wordAt(next, local(way))),
    )),
  );
}
/** Puts a way into its place in the chain of a bucket, a local. */
export function link(code: Code, { next }: LevelPlan, heads: Heads, head: number, way: number): Expr {
  const at = code.local(Type.I32), before = code.local(Type.I32);
  return block(
    set(before, word(FREE)), set(at, wordAt(heads.at, local(head))),
    loopWhile(either(ne(local(at), word(FREE)), less(local(at), local(way)), word(0)), block(set(before, local(at)), set(at, wordAt(next, local(at))))),
    setWord(next, local(way), local(at)),
    when(eq(local(before), word(FREE)), setWord(heads.at, local(head), local(way)), setWord(next, local(before), local(way))),
  );
}

/** Removes a page from the filter, where it stands on a way's stamp. */
export function hidePage(code: Code, { stamp, shown }: LevelPlan, vpn: Expr, way: number): Expr {
  if (shown.length === 0) return block();
  const at = code.local(Type.I32);
  const hide = (table: number): Expr => when(
    eq(load(table + Slot.Stamp, local(at)), add(word(stamp | 0), shl(local(way), word(3)))), store(table + Slot.Tag, local(at), word(-1)),
  );
  return block(set(at, and(shl(vpn, word(12 - SLOT_SHIFT)), word(SLOT_MASK))), ...shown.map(hide));
}

/** Removes a page from the filter, on whatever way's stamp it stands. */
export const forgetPage = (code: Code, { shown }: LevelPlan, vpn: Expr): Expr => {
  const at = code.local(Type.I32);
  return block(set(at, and(shl(vpn, word(12 - SLOT_SHIFT)), word(SLOT_MASK))), ...shown.map((table) => store(table + Slot.Tag, local(at), word(-1))));
};

/** drop() of an entry of base pages' array, of whatever order: (entry). @returns the function's number */
export function emitDrop(module: ModuleWriter, plan: LevelPlan): number {
  const small = plan.probes.filter(({ order }) => order < NAPOT_ORDER);
  const { first, heads } = small[0]!;
  const c = new Code({ params: [Type.I32], results: [] });
  const e = 0;
  const probe = c.local(Type.I32), page = c.local(Type.I32), left = c.local(Type.I32), blocks = c.local(Type.I32);
  const hideLeft = loopWhile(less(word(0), local(left)), block(set(left, sub(local(left), word(1))), hidePage(c, plan, add(local(page), local(left)), e)));
  /** Of a superpage, what may stand in the filter. */
  const hideBlocks = block(
    set(blocks, wordAt(plan.shownIn, local(e))),
    loopWhile(local(blocks), block(
      set(page, mul(trailingZeros(local(blocks)), word(SHOWN_BLOCK))), set(left, word(SHOWN_BLOCK)), hideLeft, set(blocks, and(local(blocks), sub(local(blocks), word(1)))),
    )),
  );
  const orders = plan.probes.filter((p) => p.first === first);
  const superpages = orders.find(({ order }) => order > NAPOT_ORDER);
  const hidePages = block(
    set(page, wordAt(plan.tagLo, local(e))), set(left, word(1)),
    ...orders.filter(({ order }) => order > 0 && order <= NAPOT_ORDER).map(({ probe: number, order }) => when(eq(local(probe), word(number)), set(left, word(1 << order)))), hideLeft,
  );
  // Probes go by order.
  const hide = plan.shown.length === 0 ? block() : superpages === undefined ? hidePages : when(atLeast(local(probe), word(superpages.probe)), hideBlocks, hidePages);
  block(
    set(probe, wordAt(plan.probe, local(e))), hide,
    when(atLeast(local(probe), word(small.length)), addWord(plan.nrLarge, word(0), word(-1))),
    addWord(plan.nrValid, word(0), word(-1)), addWord(plan.live, local(probe), word(-1)),
    ...(heads === null ? [] : [unlink(c, plan, heads, bucketOf(heads, xor(xor(wordAt(plan.tagLo, local(e)), wordAt(plan.tagHi, local(e))), shl(local(probe), word(4)))), e)]),
    setWord(plan.probe, local(e), word(FREE)),
  )(c);
  return module.add(c, null);
}

/** Words at a place plus an offset of bytes. */
const load = (place: number, offset: Expr): Expr => (c) => {
  offset(c);
  c.mem(Mem.i32_load, place);
};
const store = (place: number, offset: Expr, value: Expr): Expr => (c) => {
  offset(c);
  value(c);
  c.mem(Mem.i32_store, place);
};
