// An L1 miss where neighbours may join the page, emitted: what behind.ts does, for levels where base pages may share entries (joined.ts), and the fill of L1
// along with it. Here: what the line of eight PTEs, or an entry of L2, says of a page's neighbours; what is counted. Not here: which of them join (joined.ts).
import { Pte, RAM_FIRST_PFN } from '#mmu';
import type { MissPlan, Ram } from '#mmu';
import { emitWalk, hostOf, takeFrameOf } from './behind.ts';
import type { Demand, MissCode } from './behind.ts';
import { add, addWord, and, apply, atLeast, bitsSet, block, count, doubleAt, either, less, local, mul, ne, or, seldom, set, setDouble, shl, shr, sub, when, word, wordAt, xor } from './expr.ts';
import type { Expr } from './expr.ts';
import { JoinedLevel, positionOf } from './joined.ts';
import type { LineLocals } from './joined.ts';
import { EmittedLevel, GLOBAL } from './level.ts';
import { Mem, Op, Type } from './wasm.ts';
import type { ModuleWriter } from './wasm.ts';

const W = Type.I32;
/** What neighbours may have otherwise than the page: A, D, the OS's bits. */
const MAY_DIFFER = Pte.A | Pte.D | 0x300;
/** And of its frame, where pages of the same eight frames join. */
const LOW_FRAME = 7 << 10;

/** Afterwards L1 has the page, in way `e1`, and all is counted; or `giveUp` has left before anything was. @param e1 a local */
export function emitJoinedMiss(module: ModuleWriter, plan: MissPlan, ram: Ram, miss: MissCode, l1: JoinedLevel, e1: number, demand: Demand, giveUp: Expr): Expr {
  const { code: c, page, page: { vpnLo, asid }, found, found: { flags, bits, owner, frame }, kind } = miss;
  const e = c.local(W), pageIn = c.local(W), from = c.local(W), hasWalked = c.local(W), wide = c.local(Type.I64);
  const line: LineLocals = { known: c.local(W), accessed: c.local(W), dirty: c.local(W), sub: c.local(W) };
  const level = new EmittedLevel(module, c, plan.l2, page);
  const l2 = new JoinedLevel(module, c, plan.l2, level, page);
  const model = (plan.l1.joins ?? plan.l2.joins)!.model;
  const isClustered = model === 'clustered';
  const touch = count(plan.l2.clock + 8);
  const lastTouch = doubleAt(plan.l2.clock, word(1));

  /** give(): what an entry holds of the line. */
  const give = (into: number, at: number): Expr => set(into, shl(and(shr(wordAt(plan.l2.pages, local(e)), word(at)), word(0xff)), local(from)));
  const hit = block(
    seldom(wordAt(plan.l2.leaf, local(e)), giveUp), // a piece of a larger page: counted otherwise
    set(flags, wordAt(plan.l2.flags, local(e))), set(bits, and(shr(wordAt(plan.l2.pages, local(e)), local(pageIn)), word(0x10101))), demand.rights,
    takeFrameOf(ram, wide, frame, level.frameOf(e, pageIn), giveUp), demand.frame, set(owner, wordAt(plan.l2.asid, local(e))),
    set(from, and(sub(local(vpnLo), local(pageIn)), word(7))), give(line.known, 0), give(line.accessed, 8), give(line.dirty, 16),
    ...(isClustered ? [set(line.sub, plan.l2.joins === null ? shl(and(local(frame), word(7)), mul(positionOf(vpnLo), word(3))) : wordAt(plan.l2.sub, local(e)))] : []),
    addWord(plan.unsettled.hits, local(kind)), touch, setDouble(plan.l2.stamp, local(e), lastTouch),
  );
  const walk = emitWalk(module, plan, ram, miss, demand, giveUp);
  const walked = walk === null ? giveUp : block(
    walk.find, readLine(walk.table),
    addWord(plan.unsettled.walks, local(kind)), walk.learn, when(ne(local(owner), word(GLOBAL)), set(owner, local(asid))),
    l2.choose(line, frame), touch, l2.fill(e, line, found, lastTouch), set(hasWalked, word(1)),
  );
  const [pages1, pages2] = [bitsSet(local(l1.chosen)), bitsSet(local(l2.chosen))];
  const most = either(less(pages1, pages2), pages2, pages1);
  return block(
    level.find(e, pageIn, () => giveUp), when(atLeast(local(e), word(0)), hit, walked),
    l1.choose(line, frame), l1.fill(e1, line, found, null),
    when(local(hasWalked), when(less(word(1), most), addWord(plan.unsettled.joined, sub(most, word(2))))),
  );

  /** Translation.read(), of neighbours whose frames follow one another, or lie in the same eight: no others join. */
  function readLine(table: number): Expr {
    const { known, accessed, dirty, sub: subs } = line;
    const nr = [plan.l1, plan.l2].some(({ probes }) => probes.some(({ order }) => order === 3)) ? 8 : 4;
    const at = c.local(W), first = c.local(W), pte = c.local(Type.I64);
    const bitOf = (bit: number): Expr => and(shr(apply(Op.i32_wrap_i64)(local(pte)), word(Math.log2(bit))), word(1));
    const readPte = (i: number): Expr => block(
      (code) => { code.get(at).mem(Mem.i64_load, 8 * i).set(pte); },
      set(known, or(local(known), shl((code) => {
        code.get(pte).i64(~(isClustered ? MAY_DIFFER | LOW_FRAME : MAY_DIFFER)).op(Op.i64_and).get(first);
        if (!isClustered) code.i32(i << 10).op(Op.i32_add);
        code.op(Op.i64_extend_i32_u, Op.i64_eq);
      }, word(i)))),
      ...(isClustered ? [set(subs, or(local(subs), shl(and(shr(apply(Op.i32_wrap_i64)(local(pte)), word(10)), word(7)), word(3 * i))))] : []),
      set(accessed, or(local(accessed), shl(bitOf(Pte.A), word(i)))), set(dirty, or(local(dirty), shl(bitOf(Pte.D), word(i)))),
    );
    const all = block(
      set(at, add(hostOf(ram, local(table)), shl(and(local(vpnLo), word(512 - nr)), word(3)))),
      set(first, or(local(flags), shl(add(word(RAM_FIRST_PFN), isClustered ? and(local(frame), word(-8)) : sub(local(frame), and(local(vpnLo), word(nr - 1)))), word(10)))),
      ...[known, accessed, dirty, subs].map((bitsOf) => set(bitsOf, word(0))), ...Array.from({ length: nr }, (_, i) => readPte(i)),
      ...(nr === 8 ? [] : [known, accessed, dirty].map((bitsOf) => set(bitsOf, shl(local(bitsOf), and(local(vpnLo), word(4)))))),
    );
    const alone = (into: number, bit: number): Expr => set(into, shl(and(shr(local(bits), word(bit)), word(1)), positionOf(vpnLo)));
    if (model !== 'zen') return all;
    // No group, where the frame stands otherwise among four than the page does.
    return when(and(xor(local(frame), local(vpnLo)), word(3)), block(alone(known, 0), alone(accessed, 8), alone(dirty, 16)), all);
  }
}
