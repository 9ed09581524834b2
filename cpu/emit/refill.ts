// The common miss, emitted: brings one page into the data filter, with everything that mmu.lookup() would do and count, but for the look-up itself, which
// the access then makes as a hit. Here: an L1 hit that the filter had lost, an L1 miss. Not here: what stands behind L1 (behind.ts; large.ts where L2 has
// more than a base page; neighbours.ts where base pages may share an entry). What none of them has a line for is answered 0 with nothing changed, and mmu.lookup() is asked.
//
// What a miss costs is the host's cache misses, above all the guest's bytes themselves. The host reads on behind one for some hundreds of instructions,
// and that is how many misses it can wait for at a time. So where it is known what stands behind L1 (known.ts), L1 is filled and the access goes on at
// once; L2 and the page-walk caches hear of the misses later, in their order, many together (settle). And misses at equal distances are seen coming (lookAhead).
import { NAPOT_ORDER, WRITTEN } from '#mmu';
import type { MissPlan, Ram } from '#mmu';
import { emitBehind, entryOf, foundLocals, takeFrameOf, takeWord, wordOfFound } from './behind.ts';
import type { Demand, MissCode } from './behind.ts';
import {
  add, addDoubles, and, answer, answerOf, apply, atLeast, below, block, byteAt, call, either, eq, local, loopWhile, ne, not, or, seldom, set, setByte, setWord, shl, shr,
  shrSigned, sub, when, word, wordAt,
} from './expr.ts';
import type { Expr } from './expr.ts';
import { EmittedKnown, KnownWord, MAX_WAYS, MissNote } from './known.ts';
import { JoinedLevel } from './joined.ts';
import { LargeHits } from './large.ts';
import type { Layout } from './layout.ts';
import { EmittedLevel, GLOBAL, basePages, emitDrop } from './level.ts';
import { SLOT_MASK, SLOT_SHIFT, Slot } from './memory.ts';
import { emitJoinedMiss } from './neighbours.ts';
import { Code, Mem, ModuleWriter, Op, Type } from './wasm.ts';

/** An address, and what touches it: an Access, less Access.Load. @returns 1: the filter has the page now, and the caller stamps its entry; 0: nothing has happened */
export const REFILL = { params: [Type.I64, Type.I32], results: [Type.I32] } as const;
/** @returns 1, as a miss does that it ends */
const SETTLE = { params: [], results: [Type.I32] } as const;
/** A miss that is beyond what is emitted: page number in halves, Access less Access.Load. */
const MISS_LATER = { params: [Type.I32, Type.I32, Type.I32], results: [] } as const;

/** Misses at equal distances look so many ahead at once. Their bytes come from the host's memory side by side then, not one after the other. */
const MISSES_AHEAD = 32;
/** After so many misses at one distance, so that what goes on for a few only costs little. */
const MISSES_IN_A_ROW = 8;
const W = Type.I32;

/** Whether a page may be known that L2 has served: page number in halves (Mmu.walkWouldFind). */
const WALK_WOULD_FIND = { params: [Type.I32, Type.I32], results: [Type.I32] } as const;

/** A module that imports `missLater` and `walkWouldFind`, and exports `refill` and `settle`. */
export function emitRefill(plan: MissPlan, layout: Layout, ram: Ram, pages: number): Uint8Array {
  const module = new ModuleWriter();
  const missLater = module.importFunction('missLater', MISS_LATER), walkWouldFind = module.importFunction('walkWouldFind', WALK_WOULD_FIND);
  if (isShortPlan(plan)) {
    const settle = emitSettle(module, plan, layout, ram, missLater);
    emitShort(module, plan, layout, ram, settle, emitWhole(module, plan, layout, ram, { settle, walkWouldFind }));
  } else {
    module.add(new Code(SETTLE).i32(1), 'settle'); // nothing is left to do, ever
    emitWhole(module, plan, layout, ram, null);
  }
  return module.finish(pages);
}

/** What the functions below have in common: an access's address, and what is to be said of its page. */
class Access implements MissCode {
  readonly code = new Code(REFILL);
  readonly page = { vpnLo: this.code.local(W), vpnHi: this.code.local(W), asid: this.code.local(W) };
  readonly found = foundLocals(this.code);
  readonly l1: EmittedLevel;
  readonly known: EmittedKnown;
  /** The entry in L1, a local; and the word of known.ts. */
  readonly entry = this.code.local(W);
  readonly value = this.code.local(W);
  /** The page's address. */
  readonly pageTag = this.code.local(Type.I64);
  private readonly slot = this.code.local(W);
  private readonly deltaAndStamp = this.code.local(Type.I64);
  private readonly plan: MissPlan;
  private readonly layout: Layout;
  private readonly ram: Ram;

  constructor(module: ModuleWriter, plan: MissPlan, layout: Layout, ram: Ram) {
    this.plan = plan;
    this.layout = layout;
    this.ram = ram;
    this.l1 = new EmittedLevel(module, this.code, plan.l1, this.page);
    this.known = new EmittedKnown(this.code, layout.known, this.page);
  }

  readonly kind = 1;
  readonly addressLo = apply(Op.i32_wrap_i64)(local(0));
  readonly takePage: Expr = block(
    set(this.pageTag, (code) => { code.get(0).i64(-4096).op(Op.i64_and); }),
    set(this.page.vpnLo, (code) => { code.get(0).i64(12).op(Op.i64_shr_s, Op.i32_wrap_i64); }), set(this.page.vpnHi, (code) => { code.get(0).i64(44).op(Op.i64_shr_s, Op.i32_wrap_i64); }),
  );

  private allows(rights: Expr): Expr {
    return and(shr(rights, and(shr(local(this.found.flags), word(1)), word(15))), word(1));
  }
  /** `giveUp` unless the access has the right, and A (and D for a store) are there already. */
  demandRights(giveUp: Expr): Expr {
    const { plan: { state }, found: { bits }, kind } = this;
    return block(
      seldom(not(this.allows(either(local(kind), stateWord(state.mayStore), stateWord(state.mayLoad)))), giveUp),
      seldom(not(and(local(bits), word(0x100))), giveUp), when(local(kind), seldom(not(and(local(bits), word(0x10000))), giveUp)),
    );
  }
  /** `giveUp` unless the frame, which is RAM, may be shown. */
  demandFrame(giveUp: Expr): Expr {
    const { found: { frame }, ram } = this;
    return when(local(this.kind), seldom(byteAt(ram.guards.byteOffset, local(frame)), giveUp));
  }
  /** The bytes will be wanted: the host's memory may as well begin to bring them while the TLBs are seen to. @param host of the page's first byte, less RAM's */
  touch(host: Expr): Expr {
    return touchByte(this.ram, host, this.addressLo);
  }
  /** The same, but of a frame that nobody has written to: the host has no memory for it yet, and to read it first and then to write would be two of its page faults. */
  touchWritten(host: Expr): Expr {
    return when(eq(byteAt(this.ram.writtenAt, local(this.found.frame)), word(WRITTEN)), this.touch(host));
  }
  /** lookup()'s end: the page is shown: for both kinds of access, as far as they may be, for what is loaded from is often stored to next. */
  show(host: Expr, whereLoads: (then: Expr) => Expr, whereStores: (then: Expr) => Expr): Expr {
    const { plan, layout, ram, slot, pageTag, deltaAndStamp, entry } = this;
    const into = (filter: number): Expr => (code) => {
      code.get(slot).get(pageTag).mem(Mem.i64_store, filter + Slot.Tag);
      code.get(slot).get(deltaAndStamp).mem(Mem.i64_store, filter + Slot.Delta);
    };
    return block(
      set(slot, and(shr(this.addressLo, word(SLOT_SHIFT)), word(SLOT_MASK))),
      set(deltaAndStamp, (code) => {
        add(word(plan.l1.stamp | 0), shl(local(entry), word(3)))(code);
        code.op(Op.i64_extend_i32_u).i64(32).op(Op.i64_shl);
        sub(add(word(ram.hostBase | 0), host), apply(Op.i32_wrap_i64)(local(pageTag)))(code);
        code.op(Op.i64_extend_i32_u, Op.i64_or);
      }),
      whereLoads(into(layout.read)), whereStores(into(layout.write)),
    );
  }
  readonly whereLoads = (then: Expr): Expr => when(this.allows(stateWord(this.plan.state.mayLoad)), then);
  /** Where D, rights and guards let the page be stored to. */
  readonly whereStores = (then: Expr): Expr => when(and(local(this.found.bits), word(0x10000)), when(this.allows(stateWord(this.plan.state.mayStore)),
    when(not(byteAt(this.ram.guards.byteOffset, local(this.found.frame))), then)));
}
const stateWord = (place: number): Expr => wordAt(place, word(0));
const touchByte = (ram: Ram, host: Expr, offset: Expr): Expr => (code) => {
  add(host, and(offset, word(4095)))(code);
  code.mem(Mem.i32_load8_u, ram.hostBase).op(Op.drop);
};

/** A miss of a known page that L1 has not, where L1 is full and of base pages: in as few steps as can be. Nothing is called but in the end, so nothing has to be
 *  kept anywhere: how many misses of its memory the host can wait for at a time is how many fit into its window of instructions. */
function emitShort(module: ModuleWriter, plan: MissPlan, layout: Layout, ram: Ram, settle: number, whole: number): void {
  const access = new Access(module, plan, layout, ram);
  const { code: c, l1, known, page: { vpnLo }, entry, value, kind, pageTag } = access;
  const way = c.local(W), isFull = c.local(W);
  const refill = module.declare(REFILL);
  const ask = answerOf(whole, local(0), local(kind));
  const again = answerOf(emitAgain(module, l1, refill), local(0), local(kind));
  const host = and(local(value), word(KnownWord.Frame));
  const mayStore = and(local(value), word(KnownWord.MayStore));
  const wayOf = and(shr(local(value), word(KnownWord.WayShift)), word(MAX_WAYS - 1));
  block(
    access.takePage, known.find(value, 0, local(vpnLo)), seldom(not(local(value)), ask), when(local(kind), seldom(not(mayStore), ask)),
    access.touch(host),
    l1.demandPlain(ask), seldom(eq(l1.heldBy(add(l1.start(), wayOf)), local(vpnLo)), ask), l1.takeVictim(entry, again),
    l1.hold(entry), set(way, sub(local(entry), l1.start())), known.update(or(and(local(value), word(~KnownWord.Ways)), shl(local(way), word(KnownWord.WayShift)))),
    access.show(host, (then) => then, (then) => when(mayStore, then)),
    set(isFull, known.note(pageTag, kind, local(way))), lookAhead(access, layout, emitLookAhead(module, layout, ram, settle)), seldom(local(isFull), answerOf(settle)), word(1),
  )(c);
  module.define(refill, c, 'refill');
}
/** What emitShort() does again, after a search for the oldest way. */
function emitAgain(module: ModuleWriter, l1: EmittedLevel, refill: number): number {
  const c = new Code(REFILL);
  block(l1.lookAgain, answerOf(refill, local(0), local(1)))(c);
  return module.add(c, null);
}
const joins = ({ l1, l2 }: MissPlan): boolean => l1.joins !== null || l2.joins !== null;
/** May L1 be filled before all else? Its order of fills is only known when all is settled, and which pages an entry gets when the walk is done. */
const isShortPlan = (plan: MissPlan): boolean => !joins(plan) && plan.l1.age === plan.l1.stamp && basePages(plan.l1).ways <= MAX_WAYS;

/** The frame of a page of a larger one. @param pageIn a local with its index there */
const ppnOf = (ppn: Expr, pageIn: number): Expr => addDoubles(ppn, apply(Op.f64_convert_i32_s)(local(pageIn)));

/** Functions' numbers. */
interface Deferring { readonly settle: number; readonly walkWouldFind: number }
/** Any miss: all is settled first. @param deferring null: there is nothing to settle or to be known, and this is what is asked. @returns the function's number */
function emitWhole(module: ModuleWriter, plan: MissPlan, layout: Layout, ram: Ram, deferring: Deferring | null): number {
  const access = new Access(module, plan, layout, ram);
  const { code: c, l1, page, found: { flags, bits, frame }, entry: e } = access;
  const high = c.local(W), signShift = c.local(W), wide = c.local(Type.I64), pageIn = c.local(W), inLarge = c.local(W);
  const giveUp = answer(word(0));
  const host = shl(local(frame), word(12));
  const demand = { rights: access.demandRights(giveUp), frame: block(access.demandFrame(giveUp), access.touchWritten(host)) };
  const pages = wordAt(plan.l1.pages, local(e));
  /** Of an entry of a Svnapot region or a superpage, which page of it is wanted: of one that a word can tell. */
  const takeLarge = (order: number): Expr => (order >= 32 ? giveUp : block(set(inLarge, and(local(page.vpnLo), word(2 ** order - 1))), order > NAPOT_ORDER ? l1.noteShown(e) : block()));
  const takeL1 = block(
    set(flags, wordAt(plan.l1.flags, local(e))), set(bits, plan.l1.joins === null ? pages : and(shr(pages, local(pageIn)), word(0x10101))), demand.rights,
    takeFrameOf(ram, wide, frame, ppnOf(l1.frameOf(e, pageIn), inLarge), giveUp), demand.frame,
  );
  const isCanonical = block(
    // The high half repeats its sign bit.
    set(high, (code) => { code.get(0).i64(32).op(Op.i64_shr_s, Op.i32_wrap_i64); }), set(signShift, stateWord(plan.state.signShift)),
    seldom(ne(shrSigned(shl(local(high), local(signShift)), local(signShift)), local(high)), giveUp),
  );
  const miss = joins(plan) ? emitJoinedMiss(module, plan, ram, access, new JoinedLevel(module, c, plan.l1, l1, page), e, demand, giveUp) : emitMiss(access, module, plan, ram, demand, deferring, giveUp);
  block(
    seldom(not(stateWord(plan.state.isOn)), giveUp),
    ...(deferring === null ? [] : [call(deferring.settle), (code: Code) => { code.op(Op.drop); }]), access.takePage, set(page.asid, stateWord(plan.state.asid)),
    l1.find(e, pageIn, takeLarge), when(atLeast(local(e), word(0)), takeL1, block(isCanonical, miss)),
    access.show(host, access.whereLoads, (then) => access.whereStores(block(setByte(ram.writtenAt, local(frame), word(WRITTEN)), then))), word(1),
  )(c);
  return module.add(c, deferring === null ? 'refill' : null);
}
/** An L1 miss where entries are of one base page each. */
function emitMiss(access: Access, module: ModuleWriter, plan: MissPlan, ram: Ram, demand: Demand, deferring: Deferring | null, giveUp: Expr): Expr {
  const { code: c, l1, known, page: { vpnLo, vpnHi }, found, found: { owner }, entry: e, value } = access;
  const drop = emitDrop(module, plan.l1);
  const large = new LargeHits(plan, ram, access, l1, e, drop);
  const behind = emitBehind(module, plan, ram, access, demand, large, giveUp);
  const isLearnt = c.local(W);
  const learn = block(
    set(value, wordOfFound(found, sub(local(e), l1.start()))), access.whereStores(set(value, or(local(value), word(KnownWord.MayStore)))),
    access.whereLoads(known.learn(value, 0)),
  );
  return block(behind.find, when(not(local(large.order)), block(
    l1.victim(e), seldom(l1.holdsLarge(e), call(drop, local(e))), l1.fill(e, entryOf(found), null),
    ...(deferring === null ? [] : [
      known.find(value, 0, local(vpnLo)), set(isLearnt, local(value)),
      when(behind.walked, when(stateWord(plan.state.mayLearn), when(ne(local(owner), word(GLOBAL)), set(isLearnt, word(1)))),
        when(not(local(value)), seldom(known.asksAfterHit, set(isLearnt, call(deferring.walkWouldFind, local(vpnLo), local(vpnHi)))))),
      when(local(isLearnt), learn),
    ]),
  )));
}

/** Sees whether misses go on at the same distance; then `ahead` of emitLookAhead() answers for the caller, now and then. */
function lookAhead({ code: c }: Access, layout: Layout, ahead: number): Expr {
  const distance = c.local(Type.I64);
  const places = lookAheadPlaces(layout);
  const isNot = (value: number, place: number): Expr => (code) => {
    code.get(value).i32(0).mem(Mem.i64_load, place).op(Op.i64_ne);
  };
  return block(
    (code) => { code.get(0).i32(0).mem(Mem.i64_load, places.lastAddress).op(Op.i64_sub).set(distance); },
    setWide(places.lastAddress, local(0)),
    when(isNot(distance, places.lastDistance), block(setWide(places.lastDistance, local(distance)), setWide(places.nextLook, further(0, distance, MISSES_IN_A_ROW))),
      seldom(not(isNot(0, places.nextLook)), answerOf(ahead, local(0), local(distance)))),
  );
}
/** (address, distance): touches the bytes that the next misses will be for. Reading RAM changes nothing, so that it does not matter whether the words of these
 *  pages are other pages'. Settles, if that is due. @returns the function's number; it answers 1 */
function emitLookAhead(module: ModuleWriter, layout: Layout, ram: Ram, settle: number): number {
  const c = new Code({ params: [Type.I64, Type.I64], results: [W] });
  const [next, distance] = [0, 1] as const;
  const left = c.local(W), vpnLo = c.local(W);
  const known = new EmittedKnown(c, layout.known, { vpnLo, vpnHi: vpnLo, asid: vpnLo });
  block(
    setWide(lookAheadPlaces(layout).nextLook, further(next, distance, MISSES_AHEAD)), set(left, word(MISSES_AHEAD)),
    loopWhile(local(left), block(
      set(next, further(next, distance, 1)), set(left, sub(local(left), word(1))), set(vpnLo, (code) => { code.get(next).i64(12).op(Op.i64_shr_u, Op.i32_wrap_i64); }),
      touchByte(ram, and(known.wordAt(local(vpnLo)), word(KnownWord.Frame)), apply(Op.i32_wrap_i64)(local(next))),
    )),
    seldom(known.isFull, answerOf(settle)), word(1),
  )(c);
  return module.add(c, null);
}
/** 64 bits each: address of the last miss, distance from the one before, address at which to look ahead again. */
const lookAheadPlaces = ({ ahead: { byteOffset } }: Layout): { lastAddress: number; lastDistance: number; nextLook: number } =>
  ({ lastAddress: byteOffset, lastDistance: byteOffset + 8, nextLook: byteOffset + 16 });
const setWide = (place: number, value: Expr): Expr => (code) => {
  code.i32(0);
  value(code);
  code.mem(Mem.i64_store, place);
};
const further = (address: number, distance: number, times: number): Expr => (code) => { code.get(distance).i64(times).op(Op.i64_mul).get(address).op(Op.i64_add); };

/** What L1's entries, L2 and the page-walk caches have not heard of. @returns the function's number */
function emitSettle(module: ModuleWriter, plan: MissPlan, layout: Layout, ram: Ram, missLater: number): number {
  const c = new Code(SETTLE);
  const page = { vpnLo: c.local(W), vpnHi: c.local(W), asid: c.local(W) };
  const { vpnLo, vpnHi, asid } = page;
  const i = c.local(W), n = c.local(W), e = c.local(W), kind = c.local(W), value = c.local(W), miss = c.local(Type.I64);
  const found = foundLocals(c);
  const l1 = new EmittedLevel(module, c, plan.l1, page);
  const known = new EmittedKnown(c, layout.known, page);
  const { nrNoted, noted } = layout.known.columns;
  const part = (from: number): Expr => (code) => { code.get(miss).i64(from).op(Op.i64_shr_s, Op.i32_wrap_i64); };
  /** Of the misses that a way was filled for only the last one is seen in L1. */
  const isLast = eq(l1.heldBy(local(e)), local(vpnLo));
  const one: Expr = (code) => {
    code.get(i).i32(3).op(Op.i32_shl).mem(Mem.i64_load, noted).set(miss);
    block(
      set(kind, and(part(0), word(MissNote.Kind))), set(vpnLo, part(12)), set(vpnHi, part(44)), set(e, add(l1.start(), and(part(MissNote.WayShift), word(MissNote.WayMask)))),
      set(value, known.wordAt(local(vpnLo))), takeWord(found, value), set(found.owner, local(asid)),
      when(isLast, l1.replace(e, entryOf(found), add(local(i), word(1)))),
    )(code);
    const isDone = code.block();
    const isUnusual = code.block();
    emitBehind(module, plan, ram, { code, page, found, kind }, null, null, (inner) => { inner.br(isUnusual); }).find(code);
    code.br(isDone);
    code.end();
    call(missLater, local(vpnLo), local(vpnHi), local(kind))(code);
    code.end();
  };
  block(
    set(n, wordAt(nrNoted, word(0))), set(i, word(0)), set(asid, stateWord(plan.state.asid)),
    loopWhile(below(local(i), local(n)), block(one, set(i, add(local(i), word(1))))),
    l1.countFills(local(n)), setWord(nrNoted, word(0), word(0)), word(1),
  )(c);
  return module.add(c, 'settle');
}
