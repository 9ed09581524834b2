// The oldest of many ways, emitted: the order that Oldest of mmu/replacement.ts remembers is looked at in line, and made anew by a function. It is a
// cache of what a search would say, so looking ahead changes nothing.
import type { OldestPlan } from '#mmu';
import { add, addWord, answer, atLeast, block, doubleAt, either, eq, equalDoubles, less, lessDoubles, local, loopWhile, seldom, set, setDouble, setWord, sub, when, word, wordAt } from './expr.ts';
import type { Expr } from './expr.ts';
import { Code, Op, Type } from './wasm.ts';
import type { ModuleWriter } from './wasm.ts';

export class EmittedOldest {
  private readonly plan: OldestPlan;
  private readonly column: number;
  private readonly search: number;

  /** @param column of stamps, or of the order of fills; no two of those of the ways are equal, and they only grow */
  constructor(module: ModuleWriter, plan: OldestPlan, column: number) {
    this.plan = plan;
    this.column = column;
    this.search = this.emitSearch(module);
  }

  /** The oldest way, into a local. It is not taken yet. */
  find(into: number): Expr {
    return this.findOr(into, (c) => { c.call(this.search).set(into); });
  }
  /** The same, but what is done where the order says nothing. */
  private findOr(into: number, search: Expr): Expr {
    const { column, plan: { ways, queue, stamps } } = this;
    const next = wordAt(queue, word(0));
    // Behind the queue's end other words stand; that no harm comes of reading them, the first test sees to.
    const isTouched: Expr = (c) => {
      doubleAt(column, local(into))(c);
      doubleAt(stamps, next)(c);
      c.op(Op.f64_ne);
    };
    return block(set(into, wordAt(queue + 4, next)), when(atLeast(next, word(ways)), search, seldom(isTouched, search)));
  }
  /** The oldest way, which will be touched. @param again what is done, instead, where the order says nothing: after lookAgain() it would */
  pop(into: number, again: Expr): Expr {
    return block(this.findOr(into, again), addWord(this.plan.queue, word(0)));
  }
  get lookAgain(): Expr {
    return (c) => { c.call(this.search).op(Op.drop); };
  }
  /** The way will be touched: if it was the next, another is. */
  take(way: number): Expr {
    const { queue } = this.plan;
    return addWord(queue, word(0), eq(wordAt(queue + 4, wordAt(queue, word(0))), local(way)));
  }

  /** Oldest.take() without the taking: () -> way. */
  private emitSearch(module: ModuleWriter): number {
    const { column, plan: { ways, queue, stamps } } = this;
    const c = new Code({ params: [], results: [Type.I32] });
    const e = c.local(Type.I32), i = c.local(Type.I32), at = c.local(Type.I32), stamp = c.local(Type.F64);
    const before = sub(local(at), word(1));
    const again = c.loop();
    block(
      set(i, wordAt(queue, word(0))),
      loopWhile(less(local(i), word(ways)), block(
        set(e, wordAt(queue + 4, local(i))),
        when(equalDoubles(doubleAt(column, local(e)), doubleAt(stamps, local(i))), block(setWord(queue, word(0), local(i)), answer(local(e)))),
        set(i, add(local(i), word(1))),
      )),
      // putInOrder()
      set(i, word(0)),
      loopWhile(less(local(i), word(ways)), block(
        set(e, wordAt(queue + 4, local(i))), set(stamp, doubleAt(column, local(e))), set(at, local(i)),
        loopWhile(either(local(at), lessDoubles(local(stamp), doubleAt(stamps, before)), word(0)), block(
          setDouble(stamps, local(at), doubleAt(stamps, before)), setWord(queue + 4, local(at), wordAt(queue + 4, before)), set(at, before),
        )),
        setDouble(stamps, local(at), local(stamp)), setWord(queue + 4, local(at), local(e)),
        set(i, add(local(i), word(1))),
      )),
      setWord(queue, word(0), word(0)),
    )(c);
    c.br(again).end().op(Op.unreachable);
    return module.add(c, null);
  }
}
