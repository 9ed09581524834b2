// The common miss, emitted: brings one page into the data filter, with everything that mmu.lookup() would do and count, but for the look-up itself, which
// the access then makes as a hit. Here: an L1 hit that the filter had lost, an L1 miss that hits L2, an L2 miss whose walk finds its tables in
// the page-walk caches; base pages that need no update of A or D. Everything else is answered 0 with nothing changed, and mmu.lookup() is asked.
//
// The readable definition is mmu.ts, tlb.ts, walker.ts and pwc.ts; function for function this follows them, and test/cpu/lockstep.test.ts
// compares all counters, entries and stamps of the two.
import { Pte, RAM_FIRST_PFN, WRITTEN } from '#mmu';
import type { LevelPlan, MissPlan, PointerPlan, ProbePlan, Ram } from '#mmu';
import {
  add, addDoubles, addWord, all, and, answer, apply, atLeast, below, block, byteAt, call, count, double, doubleAt, either, eq, equalDoubles, less, lessDoubles, atLeastDoubles, local, loopWhile,
  mul, ne, not, or, set, setByte, setDouble, setWord, shl, shr, sub, when, word, wordAt, xor,
} from './expr.ts';
import type { Expr } from './expr.ts';
import type { Layout } from './layout.ts';
import { SLOT_MASK, SLOT_SHIFT, Slot } from './memory.ts';
import { Code, Mem, ModuleWriter, Op, Type } from './wasm.ts';

/** An address, whether it is a store's, twice the tick. @returns 1: the filter has the page now; 0: nothing has happened */
export const REFILL = { params: [Type.I64, Type.I32, Type.F64], results: [Type.I32] } as const;

/** No way, no entry. */
const NO_WAY = -1;
const FREE = -1;
const GLOBAL = -1;
const FREE_POINTER = -2;
const [W, D] = [Type.I32, Type.F64];
const isZero = not;

/** A module that exports `refill`. */
export function emitRefill(plan: MissPlan, layout: Layout, ram: Ram, pages: number): Uint8Array {
  const module = new ModuleWriter();
  const l1 = emitLevel(module, plan.l1);
  const l2 = emitLevel(module, plan.l2);
  const pointers = plan.pointers === null ? null : emitPointers(module, plan.pointers);
  const upper = plan.upperPointers === null || pointers === null ? null : emitPointers(module, plan.upperPointers);

  const c = new Code(REFILL);
  const [address, isStore, stamp] = [0, 1, 2];
  const vpnLo = c.local(W), vpnHi = c.local(W), asid = c.local(W), e = c.local(W), e2 = c.local(W), frame = c.local(W), bits = c.local(W), victim = c.local(W), victim2 = c.local(W);
  const flags = c.local(W), owner = c.local(W), pointer = c.local(W), at = c.local(W), low = c.local(W), access = c.local(W), table = c.local(W), upperAt = c.local(W), pageBits = c.local(W), pointerOwner = c.local(W);
  const state = (place: number): Expr => wordAt(place, word(0));
  const giveUp = answer(word(0));
  const mayUse = (of: number): Expr => and(shr(either(local(isStore), state(plan.state.mayStore), state(plan.state.mayLoad)), and(shr(local(of), word(1)), word(15))), word(1));
  /** A (and D for a store) are there already. */
  const isUpToDate = (of: number): Expr => and(ne(and(local(of), word(0x100)), word(0)), or(isZero(local(isStore)), ne(and(local(of), word(0x10000)), word(0))));
  const frameIndex = sub(local(frame), word(RAM_FIRST_PFN));
  /** Gives up unless the frame is RAM that may be shown. */
  const demandShowable = block(
    when(atLeast(frameIndex, word(ram.nrFrames)), giveUp),
    when(less(frameIndex, word(0)), giveUp),
    when(and(local(isStore), byteAt(ram.codeFrames.byteOffset, frameIndex)), giveUp),
    // The bytes will be wanted: the host's memory may as well begin to bring them while the TLBs are seen to.
    add(add(word(ram.hostBase | 0), shl(frameIndex, word(12))), and(apply(Op.i32_wrap_i64)(local(address)), word(4095))),
    (code) => { code.mem(Mem.i32_load8_u).op(Op.drop); },
  );
  const ppnOf = (level: LevelPlan, of: number): Expr => apply(Op.i32_trunc_f64_s)(doubleAt(level.ppn, local(of)));
  /** A frame number beyond 31 bits is no RAM. */
  const demandSmallPpn = (level: LevelPlan, of: number): Expr => when(atLeastDoubles(doubleAt(level.ppn, local(of)), double(2 ** 31)), giveUp);
  const ofAccess = (column: number): Expr => setDouble(column, local(access), addDoubles(doubleAt(column, local(access)), double(1)));
  /** The way for the page in L1, or gives up where a larger entry would have to go. */
  const chooseVictims = (second: boolean): Expr => block(
    set(victim, call(l1.victim, local(vpnLo))),
    when(isLarge(plan.l1, victim), giveUp),
    ...(second ? [set(victim2, call(l2.victim, local(vpnLo))), when(isLarge(plan.l2, victim2), giveUp)] : []),
  );
  const fill = (level: { fill: number }, way: number, stampOf: Expr): Expr =>
    call(level.fill, local(way), local(vpnLo), local(vpnHi), local(owner), local(flags), local(pageBits), apply(Op.f64_convert_i32_s)(local(frame)), stampOf);
  const touch = (level: LevelPlan): Expr => count(level.clock + 8);

  const fromL2 = block(
    when(or(isZero(mayUse(flags)), isZero(isUpToDate(bits))), giveUp),
    when(ne(wordAt(plan.l2.leaf, local(e2)), word(0)), giveUp),
    demandSmallPpn(plan.l2, e2), set(frame, ppnOf(plan.l2, e2)), demandShowable, chooseVictims(false),
    ofAccess(plan.l1Misses), ofAccess(plan.l2Lookups), count(plan.l1MissesBySize), count(plan.l2HitsBySize),
    touch(plan.l2), setDouble(plan.l2.stamp, local(e2), doubleAt(plan.l2.clock, word(1))),
    set(owner, wordAt(plan.l2.asid, local(e2))), set(pageBits, and(local(bits), word(0x10101))),
    fill(l1, victim, local(stamp)), set(e, local(victim)),
  );

  /** Host offset of the PTE at an index of the table; its frame is RAM. */
  const pteAt = (index: Expr): Expr => add(add(word(ram.hostBase | 0), shl(sub(local(table), word(RAM_FIRST_PFN)), word(12))), shl(index, word(3)));
  const isRam = (of: number): Expr => below(sub(local(of), word(RAM_FIRST_PFN)), word(ram.nrFrames));
  const load = (place: Expr, offset: number): Expr => (code) => {
    place(code);
    code.mem(Mem.i32_load, offset);
  };
  const walked = pointers === null || plan.pointers === null ? giveUp : block(
    set(pointer, call(pointers.find, local(vpnLo), local(vpnHi), local(asid))),
    set(upperAt, word(0)),
    when(less(local(pointer), word(0)), upper === null || plan.upperPointers === null ? giveUp : block(
      set(upperAt, call(upper.find, local(vpnLo), local(vpnHi), local(asid))),
      when(less(local(upperAt), word(0)), giveUp),
      set(owner, wordAt(plan.upperPointers.asid, local(upperAt))),
      when(atLeastDoubles(doubleAt(plan.upperPointers.table, local(upperAt)), double(2 ** 31)), giveUp),
      set(table, apply(Op.i32_trunc_f64_s)(doubleAt(plan.upperPointers.table, local(upperAt)))),
      when(isZero(isRam(table)), giveUp),
      set(at, pteAt(and(shr(local(vpnLo), word(9)), word(511)))),
      set(low, load(local(at), 0)),
      // A plain pointer: valid, nothing else but G and the OS's bits, PPN below 2^22.
      when(or(ne(and(local(low), word(Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.A | Pte.D)), word(Pte.V)), load(local(at), 4)), giveUp),
      when(and(local(low), word(Pte.G)), set(owner, word(GLOBAL))),
      set(pointerOwner, local(owner)),
      set(table, shr(local(low), word(10))),
      set(upperAt, add(local(upperAt), word(1))),
    ), block(
      set(owner, wordAt(plan.pointers.asid, local(pointer))),
      when(atLeastDoubles(doubleAt(plan.pointers.table, local(pointer)), double(2 ** 31)), giveUp),
      set(table, apply(Op.i32_trunc_f64_s)(doubleAt(plan.pointers.table, local(pointer)))),
    )),
    when(isZero(isRam(table)), giveUp),
    set(at, pteAt(and(local(vpnLo), word(511)))),
    set(low, load(local(at), 0)),
    // A leaf without N and reserved bits, with the rights and the A and D that the access wants, PPN below 2^22.
    when(or(isZero(and(local(low), word(Pte.V))), load(local(at), 4)), giveUp),
    when(eq(and(local(low), word(Pte.R | Pte.W)), word(Pte.W)), giveUp),
    when(isZero(and(local(low), word(Pte.R | Pte.X))), giveUp),
    set(flags, and(local(low), word(Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.G))),
    set(pageBits, or(word(1), or(shl(and(local(low), word(Pte.A)), word(8 - Math.log2(Pte.A))), shl(and(local(low), word(Pte.D)), word(16 - Math.log2(Pte.D)))))),
    when(or(isZero(mayUse(flags)), isZero(isUpToDate(pageBits))), giveUp),
    set(frame, shr(local(low), word(10))), demandShowable, chooseVictims(true),
    // From here on it is done.
    when(and(local(low), word(Pte.G)), set(owner, word(GLOBAL))),
    ofAccess(plan.l1Misses), ofAccess(plan.l2Lookups), ofAccess(plan.l2Misses),
    count(plan.walks), count(plan.pwcHits),
    when(local(upperAt), block(
      ...(upper === null ? [] : [call(upper.use, sub(local(upperAt), word(1)))]),
      count(plan.readsByLevel + 8), count(plan.pteReads),
      // What the pointer is inserted as: global if G stood on it or above.
      call(pointers.insert, local(vpnLo), local(vpnHi), either(eq(local(pointerOwner), word(GLOBAL)), word(GLOBAL), local(asid)), apply(Op.f64_convert_i32_s)(local(table))),
    ), call(pointers.use, local(pointer))),
    count(plan.readsByLevel), count(plan.pteReads),
    when(ne(local(owner), word(GLOBAL)), set(owner, local(asid))),
    count(plan.l1MissesBySize), count(plan.walksBySize), count(plan.l2MissesBySize),
    touch(plan.l2), fill(l2, victim2, doubleAt(plan.l2.clock, word(1))),
    fill(l1, victim, local(stamp)), set(e, local(victim)),
    count(plan.onePageEntries),
  );

  const slot = c.local(W);
  const show = (filter: number): Expr => (code) => {
    code.get(slot).get(address).i64(-4096).op(Op.i64_and).mem(Mem.i64_store, filter + Slot.Tag);
    code.get(slot);
    sub(add(word(ram.hostBase | 0), shl(frameIndex, word(12))), pageLo)(code);
    code.mem(Mem.i32_store, filter + Slot.Delta);
    code.get(slot);
    add(word(plan.l1.stamp | 0), shl(local(e), word(3)))(code);
    code.mem(Mem.i32_store, filter + Slot.Stamp);
  };
  const pageLo = and(apply(Op.i32_wrap_i64)(local(address)), word(~4095));
  block(
    when(isZero(state(plan.state.isOn)), giveUp),
    set(vpnLo, (code) => { code.get(address).i64(12).op(Op.i64_shr_s, Op.i32_wrap_i64); }),
    set(vpnHi, (code) => { code.get(address).i64(44).op(Op.i64_shr_s, Op.i32_wrap_i64); }),
    // Canonical: the high half repeats its sign bit.
    (code) => {
      code.get(address).i64(32).op(Op.i64_shr_s, Op.i32_wrap_i64).tee(slot);
      state(plan.state.signShift)(code);
      code.op(Op.i32_shl);
      state(plan.state.signShift)(code);
      code.op(Op.i32_shr_s).get(slot).op(Op.i32_ne);
      code.if();
      giveUp(code);
      code.end();
    },
    set(asid, state(plan.state.asid)),
    set(access, add(word(1), local(isStore))),
    set(e, findAll(plan.l1, l1.finds, vpnLo, vpnHi, asid, giveUp, e)),
    when(atLeast(local(e), word(0)), block(
      set(flags, wordAt(plan.l1.flags, local(e))), set(bits, wordAt(plan.l1.pages, local(e))),
      when(or(isZero(mayUse(flags)), isZero(isUpToDate(bits))), giveUp),
      demandSmallPpn(plan.l1, e), set(frame, ppnOf(plan.l1, e)), demandShowable,
    ), block(
      set(e2, findAll(plan.l2, l2.finds, vpnLo, vpnHi, asid, giveUp, e2)),
      when(atLeast(local(e2), word(0)), block(
        set(flags, wordAt(plan.l2.flags, local(e2))), set(bits, wordAt(plan.l2.pages, local(e2))), fromL2,
      ), walked),
    )),
    // lookup()'s end: the stamp, and the page is shown.
    setDouble(plan.l1.stamp, local(e), local(stamp)),
    // Shown for both kinds of access, where rights, D and code allow it: what is loaded from is often stored to next.
    set(slot, and(shr(apply(Op.i32_wrap_i64)(local(address)), word(SLOT_SHIFT)), word(SLOT_MASK))),
    set(flags, wordAt(plan.l1.flags, local(e))),
    when(and(shr(state(plan.state.mayLoad), and(shr(local(flags), word(1)), word(15))), word(1)), show(layout.read)),
    when(all(
      and(shr(state(plan.state.mayStore), and(shr(local(flags), word(1)), word(15))), word(1)), ne(and(wordAt(plan.l1.pages, local(e)), word(0x10000)), word(0)), isZero(byteAt(ram.codeFrames.byteOffset, frameIndex)),
    ), block(setByte(ram.writtenAt, frameIndex, word(WRITTEN)), show(layout.write))),
    word(1),
  )(c);
  module.add(c, 'refill');
  return module.finish(pages);
}

/** The entry that serves the page: base pages first, as tlb.ts's probes go. A larger entry gives up. */
function findAll(level: LevelPlan, finds: readonly number[], vpnLo: number, vpnHi: number, asid: number, giveUp: Expr, result: number): Expr {
  return (c) => {
    set(result, word(NO_WAY))(c);
    level.probes.forEach(({ probe, order }, i) => {
      when(all(less(local(result), word(0)), ne(wordAt(level.live, word(probe)), word(0))), block(
        set(result, call(finds[i]!, local(vpnLo), local(vpnHi), local(asid))),
        ...(order === 0 ? [] : [when(atLeast(local(result), word(0)), giveUp)]),
      ))(c);
    });
    c.get(result);
  };
}
/** Does a way hold an entry that is not a base page's? */
const isLarge = (level: LevelPlan, way: number): Expr =>
  and(ne(wordAt(level.probe, local(way)), word(FREE)), ne(wordAt(level.probe, local(way)), word(baseProbe(level).probe)));
const baseProbe = (level: LevelPlan): ProbePlan => level.probes.find(({ order }) => order === 0)!;

/** Low half of a page number's high bits are words: its tag at an order. */
const tagLo = (order: number, vpn: number): Expr => (order === 0 ? local(vpn) : order < 32 ? and(local(vpn), word(-1 << order)) : word(0));
const tagHi = (order: number, vpn: number): Expr => (order < 32 ? local(vpn) : and(local(vpn), word(-1 << (order - 32))));
const bucket = ({ probe, heads }: ProbePlan, lo: Expr, hi: Expr): Expr =>
  and(shr(mul(xor(xor(lo, mul(hi, word(0x2c1b3c6d))), word(probe << 27)), word(0x9e3779b1 | 0)), word(15)), word(heads!.mask));
const setStart = ({ order, first, ways, setMask }: ProbePlan, vpnLo: number, vpnHi: Expr): Expr => {
  const index = order === 0 ? local(vpnLo) : order < 32 ? or(shr(local(vpnLo), word(order)), shl(vpnHi, word(32 - order))) : shr(vpnHi, word(order - 32));
  return add(word(first), mul(and(index, word(setMask)), word(ways)));
};

interface LevelFunctions { readonly finds: readonly number[]; readonly victim: number; readonly fill: number }

function emitLevel(module: ModuleWriter, level: LevelPlan): LevelFunctions {
  const finds = level.probes.map((p) => emitFind(module, level, p));
  return { finds, victim: emitVictim(module, level), fill: emitFill(module, level) };
}

/** findIn(): (vpnLo, vpnHi, asid) -> entry or -1. */
function emitFind(module: ModuleWriter, level: LevelPlan, p: ProbePlan): number {
  const c = new Code({ params: [W, W, W], results: [W] });
  const [vpnLo, vpnHi, asid] = [0, 1, 2];
  const e = c.local(W), end = c.local(W), lo = c.local(W), hi = c.local(W);
  const serves = all(
    eq(wordAt(level.tagLo, local(e)), local(lo)), eq(wordAt(level.probe, local(e)), word(p.probe)), eq(wordAt(level.tagHi, local(e)), local(hi)),
    and(wordAt(level.pages, local(e)), word(1)), or(eq(wordAt(level.asid, local(e)), local(asid)), eq(wordAt(level.asid, local(e)), word(GLOBAL))),
  );
  const test = when(eq(wordAt(level.tagLo, local(e)), local(lo)), when(serves, answer(local(e))));
  block(
    set(lo, tagLo(p.order, vpnLo)), set(hi, tagHi(p.order, vpnHi)),
    ...(p.heads === null ? [
      set(e, setStart(p, vpnLo, local(vpnHi))), set(end, add(local(e), word(p.ways))),
      loopWhile(less(local(e), local(end)), block(test, set(e, add(local(e), word(1))))),
    ] : [
      set(e, wordAt(p.heads.at, bucket(p, local(lo), local(hi)))),
      loopWhile(atLeast(local(e), word(0)), block(test, set(e, wordAt(level.next, local(e))))),
    ]),
    word(NO_WAY),
  )(c);
  return module.add(c, null);
}

/** victim() for a base page under LRU: (vpnLo) -> way. What it remembers of the oldest ways is a cache, so looking ahead changes nothing. */
function emitVictim(module: ModuleWriter, level: LevelPlan): number {
  const p = baseProbe(level);
  const c = new Code({ params: [W], results: [W] });
  const vpnLo = 0;
  const e = c.local(W), end = c.local(W), best = c.local(W), least = c.local(D), i = c.local(W), j = c.local(W);
  const start = setStart(p, vpnLo, word(0));
  const eachWay = (body: Expr): Expr => block(set(e, start), set(end, add(local(e), word(p.ways))), loopWhile(less(local(e), local(end)), block(body, set(e, add(local(e), word(1))))));
  const { oldest } = level;
  const stampOf = (way: Expr): Expr => doubleAt(level.stamp, way);
  const leastOfSet = block(set(least, double(Infinity)), eachWay(when(lessDoubles(stampOf(local(e)), local(least)), block(set(least, stampOf(local(e))), set(best, local(e))))), local(best));
  block(
    when(ne(wordAt(level.nrValid, word(0)), word(level.entries)), eachWay(when(eq(wordAt(level.probe, local(e)), word(FREE)), answer(local(e))))),
    oldest === null ? leastOfSet : (code) => {
      const { queue, stamps, kept } = oldest;
      const again = code.loop();
      block(
        set(i, wordAt(queue, word(0))),
        loopWhile(less(local(i), word(kept)), block(
          set(best, wordAt(queue + 4, local(i))),
          when(equalDoubles(stampOf(local(best)), doubleAt(stamps, local(i))), answer(local(best))),
          set(i, add(local(i), word(1))),
        )),
        // Oldest.scan()
        set(i, word(0)),
        loopWhile(less(local(i), word(kept)), block(setDouble(stamps, local(i), double(Infinity)), set(i, add(local(i), word(1))))),
        eachWay(block(
          set(least, stampOf(local(e))),
          when(lessDoubles(local(least), doubleAt(stamps, word(kept - 1))), block(
            set(j, word(kept - 1)),
            loopWhile(either(less(word(0), local(j)), lessDoubles(local(least), doubleAt(stamps, sub(local(j), word(1)))), word(0)), block(
              setDouble(stamps, local(j), doubleAt(stamps, sub(local(j), word(1)))),
              setWord(queue + 4, local(j), wordAt(queue + 4, sub(local(j), word(1)))),
              set(j, sub(local(j), word(1))),
            )),
            setDouble(stamps, local(j), local(least)),
            setWord(queue + 4, local(j), local(e)),
          )),
        )),
        setWord(queue, word(0), word(0)),
      )(code);
      code.br(again).end().op(Op.unreachable);
    },
  )(c);
  return module.add(c, null);
}

/** drop() of what a way holds, a base page, and write() of another: (way, vpnLo, vpnHi, owner, flags, pages, ppn, stamp). */
function emitFill(module: ModuleWriter, level: LevelPlan): number {
  const p = baseProbe(level);
  const c = new Code({ params: [W, W, W, W, W, W, D, D], results: [] });
  const [e, vpnLo, vpnHi, owner, flags, pages, ppn, stamp] = [0, 1, 2, 3, 4, 5, 6, 7];
  const at = c.local(W), before = c.local(W), head = c.local(W);
  const { heads } = p;
  const stampByte = add(word(level.stamp | 0), shl(local(e), word(3)));
  const hide = (table: number): Expr => (code) => {
    set(at, and(shl(wordAt(level.tagLo, local(e)), word(12 - SLOT_SHIFT)), word(SLOT_MASK)))(code);
    code.get(at).mem(Mem.i32_load, table + Slot.Stamp);
    stampByte(code);
    code.op(Op.i32_eq);
    code.if();
    code.get(at).i32(-1).mem(Mem.i32_store, table + Slot.Tag);
    code.end();
  };
  const unlink = heads === null ? block() : block(
    set(head, bucket(p, wordAt(level.tagLo, local(e)), wordAt(level.tagHi, local(e)))),
    set(before, wordAt(heads.at, local(head))),
    when(eq(local(before), local(e)), setWord(heads.at, local(head), wordAt(level.next, local(e))), block(
      loopWhile(ne(wordAt(level.next, local(before)), local(e)), set(before, wordAt(level.next, local(before)))),
      setWord(level.next, local(before), wordAt(level.next, local(e))),
    )),
  );
  const link = heads === null ? block() : block(
    set(head, bucket(p, local(vpnLo), local(vpnHi))),
    set(before, word(FREE)), set(at, wordAt(heads.at, local(head))),
    loopWhile(either(ne(local(at), word(FREE)), less(local(at), local(e)), word(0)), block(set(before, local(at)), set(at, wordAt(level.next, local(at))))),
    setWord(level.next, local(e), local(at)),
    when(eq(local(before), word(FREE)), setWord(heads.at, local(head), local(e)), setWord(level.next, local(before), local(e))),
  );
  block(
    when(ne(wordAt(level.probe, local(e)), word(FREE)), block(...level.shown.map(hide), unlink), block(addWord(level.nrValid, word(0), 1), addWord(level.live, word(p.probe), 1))),
    setWord(level.tagLo, local(e), local(vpnLo)), setWord(level.tagHi, local(e), local(vpnHi)), setWord(level.probe, local(e), word(p.probe)),
    setWord(level.asid, local(e), local(owner)), setWord(level.flags, local(e), local(flags)), setWord(level.pages, local(e), local(pages)),
    setDouble(level.ppn, local(e), local(ppn)), setWord(level.sub, local(e), word(0)), setWord(level.leaf, local(e), word(0)),
    setDouble(level.stamp, local(e), local(stamp)), count(level.clock), setDouble(level.filled, local(e), doubleAt(level.clock, word(0))),
    setWord(level.touchedFirst, local(e), word(0x7fffffff)), setWord(level.touchedLast, local(e), word(-1)),
    link,
  )(c);
  return module.add(c, null);
}

interface PointerFunctions { readonly find: number; readonly use: number; readonly insert: number }

/** PointerCache: find without the use, which may yet be given up; the use; insert. Level 1 or 2: tags are low halves without 9 or 18 bits. */
function emitPointers(module: ModuleWriter, p: PointerPlan): PointerFunctions {
  const find = new Code({ params: [W, W, W], results: [W] });
  {
    const c = find;
    const [vpnLo, vpnHi, asid] = [0, 1, 2];
    const i = c.local(W), best = c.local(W);
    const matches = (of: number): Expr => all(
      eq(wordAt(p.tagLo, local(of)), and(local(vpnLo), word(-1 << p.shift))), eq(wordAt(p.tagHi, local(of)), local(vpnHi)),
      or(eq(wordAt(p.asid, local(of)), local(asid)), eq(wordAt(p.asid, local(of)), word(GLOBAL))),
    );
    block(
      set(i, apply(Op.i32_trunc_f64_s)(doubleAt(p.clock, word(1)))),
      when(matches(i), answer(local(i))),
      set(i, word(0)), set(best, word(NO_WAY)),
      loopWhile(less(local(i), word(p.entries)), block(
        when(eq(wordAt(p.tagLo, local(i)), and(local(vpnLo), word(-1 << p.shift))), when(matches(i),
          when(either(less(local(best), word(0)), word(1), lessDoubles(doubleAt(p.used, local(best)), doubleAt(p.used, local(i)))), set(best, local(i))))),
        set(i, add(local(i), word(1))),
      )),
      local(best),
    )(c);
  }
  const use = new Code({ params: [W], results: [] });
  block(
    setDouble(p.clock, word(1), apply(Op.f64_convert_i32_s)(local(0))), count(p.clock), setDouble(p.used, local(0), doubleAt(p.clock, word(0))),
  )(use);
  const insert = new Code({ params: [W, W, W, D], results: [] });
  {
    const c = insert;
    const [vpnLo, vpnHi, asid, table] = [0, 1, 2, 3];
    const i = c.local(W), victim = c.local(W), isFound = c.local(W), least = c.local(D);
    block(
      set(i, word(0)), set(victim, word(0)), set(isFound, word(0)), set(least, double(Infinity)),
      loopWhile(either(less(local(i), word(p.entries)), not(local(isFound)), word(0)), block(
        when(eq(wordAt(p.asid, local(i)), word(FREE_POINTER)), block(set(victim, local(i)), set(isFound, word(1))),
          when(lessDoubles(doubleAt(p.used, local(i)), local(least)), block(set(least, doubleAt(p.used, local(i))), set(victim, local(i))))),
        set(i, add(local(i), word(1))),
      )),
      setWord(p.tagLo, local(victim), and(local(vpnLo), word(-1 << p.shift))), setWord(p.tagHi, local(victim), local(vpnHi)),
      setWord(p.asid, local(victim), local(asid)), setDouble(p.table, local(victim), local(table)),
      count(p.clock), setDouble(p.used, local(victim), doubleAt(p.clock, word(0))),
      setDouble(p.clock, word(1), apply(Op.f64_convert_i32_s)(local(victim))),
    )(c);
  }
  return { find: module.add(find, null), use: module.add(use, null), insert: module.add(insert, null) };
}
