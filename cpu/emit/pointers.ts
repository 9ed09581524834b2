// A page-walk cache, emitted: find, use and insert as pwc.ts has them, for emit/refill.ts. Levels 1 and 2: tags are low halves without 9 or 18 bits.
import type { PointerPlan } from '#mmu';
import { addWord, and, block, count, doubleAt, either, eq, lessDoubles, local, loopWhile, set, setDouble, setWord, sub, trailingZeros, when, word, wordAt } from './expr.ts';
import type { Expr } from './expr.ts';
import { GLOBAL } from './level.ts';
import type { PageLocals } from './level.ts';
import { EmittedOldest } from './oldest.ts';
import { leastOf, matches } from './scan.ts';
import { Type } from './wasm.ts';
import type { Code, ModuleWriter } from './wasm.ts';

const NONE = -1;
const FREE = -2;

export class EmittedPointers {
  private readonly code: Code;
  private readonly plan: PointerPlan;
  private readonly page: PageLocals;
  private readonly oldest: EmittedOldest | null;

  constructor(module: ModuleWriter, code: Code, plan: PointerPlan, page: PageLocals) {
    this.oldest = plan.oldest === null ? null : new EmittedOldest(module, plan.oldest, plan.used);
    this.code = code;
    this.plan = plan;
    this.page = page;
  }

  /** The entry for the page, or NONE, into a local. It is not used yet: the walk may still be left to others. */
  find(into: number): Expr {
    const { code, plan: p, page: { vpnLo, vpnHi, asid } } = this;
    const i = code.local(Type.I32), candidates = code.local(Type.I32), tag = code.local(Type.I32);
    const matchesAll = either(eq(wordAt(p.tagLo, local(i)), local(tag)), either(eq(wordAt(p.tagHi, local(i)), local(vpnHi)),
      either(eq(wordAt(p.asid, local(i)), local(asid)), word(1), eq(wordAt(p.asid, local(i)), word(GLOBAL))), word(0)), word(0));
    const isLaterUsed = either(eq(local(into), word(NONE)), word(1), lessDoubles(doubleAt(p.used, local(into)), doubleAt(p.used, local(i))));
    return block(
      set(tag, and(local(vpnLo), word(-1 << p.shift))),
      set(i, wordAt(p.last, word(0))),
      when(matchesAll, set(into, local(i)), block(
        set(into, word(NONE)), set(candidates, matches(p.tagLo, word(0), p.entries, local(tag))),
        loopWhile(local(candidates), block(
          set(i, trailingZeros(local(candidates))), set(candidates, and(local(candidates), sub(local(candidates), word(1)))),
          when(matchesAll, when(isLaterUsed, set(into, local(i)))),
        )),
      )),
    );
  }
  use(entry: Expr): Expr {
    const { plan: p } = this;
    return block(setWord(p.last, word(0), entry), count(p.clock), setDouble(p.used, entry, doubleAt(p.clock, word(0))));
  }
  /** @param owner an address space, or GLOBAL. @param table a frame */
  insert(owner: Expr, table: Expr): Expr {
    const { code, plan: p, page: { vpnLo, vpnHi } } = this;
    const victim = code.local(Type.I32);
    return block(
      when(eq(wordAt(p.nrValid, word(0)), word(p.entries)), this.oldest === null ? set(victim, leastOf(p.used, word(0), p.entries)) : this.oldest.find(victim), block(
        set(victim, trailingZeros(matches(p.asid, word(0), p.entries, word(FREE)))), addWord(p.nrValid, word(0)),
      )),
      setWord(p.tagLo, local(victim), and(local(vpnLo), word(-1 << p.shift))), setWord(p.tagHi, local(victim), local(vpnHi)),
      setWord(p.asid, local(victim), owner), setDouble(p.table, local(victim), table), this.use(local(victim)),
      ...(this.oldest === null ? [] : [this.oldest.take(victim)]),
    );
  }
  ownerOf(entry: Expr): Expr {
    return wordAt(this.plan.asid, entry);
  }
  tableOf(entry: Expr): Expr {
    return doubleAt(this.plan.table, entry);
  }
}
