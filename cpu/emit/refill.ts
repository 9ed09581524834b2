// The common miss, emitted: brings one page into the data filter, with everything that mmu.lookup() would do and count, but for the look-up itself, which
// the access then makes as a hit. Here: an L1 hit that the filter had lost, an L1 miss that hits L2, an L2 miss whose walk finds its tables in
// the page-walk caches; base pages that need no update of A or D. Everything else is answered 0 with nothing changed, and mmu.lookup() is asked.
//
// The readable definition is mmu.ts, tlb.ts, walker.ts and pwc.ts; function for function this, level.ts and pointers.ts follow them, and
// test/cpu/lockstep.test.ts compares all counters, entries and stamps of the two.
//
// What it costs is the host's cache misses, above all the guest's bytes themselves. The host reads on behind a miss for some hundreds of instructions,
// so fewer instructions here mean that the next miss is under way before this one is over; and walks in a row are seen coming (lookAhead).
import { Pte, RAM_FIRST_PFN, WRITTEN } from '#mmu';
import type { MissPlan, Ram } from '#mmu';
import {
  add, addWord, and, answer, apply, atLeast, below, block, byteAt, count, doubleAt, either, eq, less, local, loopWhile, ne, not, or, set, setByte, setDouble, setWord, shl, shr,
  shrSigned, sub, when, wideOf, word, wordAt, xor,
} from './expr.ts';
import type { Expr } from './expr.ts';
import type { Layout } from './layout.ts';
import { EmittedLevel, GLOBAL } from './level.ts';
import type { EntryLocals } from './level.ts';
import { SLOT_MASK, SLOT_SHIFT, Slot } from './memory.ts';
import { EmittedPointers } from './pointers.ts';
import { Code, Mem, ModuleWriter, Op, Type } from './wasm.ts';

/** An address, whether it is a store's, twice the tick. @returns 1: the filter has the page now; 0: nothing has happened */
export const REFILL = { params: [Type.I64, Type.I32, Type.F64], results: [Type.I32] } as const;

/** Walks at equal distances look so many ahead at once. Their bytes come from the host's memory side by side then, not one after the other. */
const WALKS_AHEAD = 32;
const W = Type.I32;
const isZero = not;

/** A module that exports `refill`. */
export function emitRefill(plan: MissPlan, layout: Layout, ram: Ram, pages: number): Uint8Array {
  const module = new ModuleWriter();
  const c = new Code(REFILL);
  const [address, isStore, stamp] = [0, 1, 2];
  const page = { vpnLo: c.local(W), vpnHi: c.local(W), asid: c.local(W) };
  const { vpnLo, vpnHi, asid } = page;
  const e = c.local(W), e2 = c.local(W), slot = c.local(W), signShift = c.local(W), wide = c.local(Type.I64);
  /** What was found: rights, valid, A and D bits as entries have them, address space or GLOBAL, frame. */
  const flags = c.local(W), bits = c.local(W), owner = c.local(W), frame = c.local(W);
  const l1 = new EmittedLevel(module, c, plan.l1, page);
  const l2 = new EmittedLevel(module, c, plan.l2, page);
  const state = (place: number): Expr => wordAt(place, word(0));
  const giveUp = answer(word(0));
  const addressLo = apply(Op.i32_wrap_i64)(local(address));

  const allows = (rights: Expr): Expr => and(shr(rights, and(shr(local(flags), word(1)), word(15))), word(1));
  /** Gives up unless the access has the right, and A (and D for a store) are there already. */
  const demandUse = block(
    when(isZero(allows(either(local(isStore), state(plan.state.mayStore), state(plan.state.mayLoad)))), giveUp),
    when(isZero(and(local(bits), word(0x100))), giveUp), when(local(isStore), when(isZero(and(local(bits), word(0x10000))), giveUp)),
  );
  /** A frame is a local with its place in RAM, from 0 on. */
  const hostOf = (index: Expr): Expr => add(word(ram.hostBase | 0), shl(index, word(12)));
  const isRam = (index: number): Expr => below(local(index), word(ram.nrFrames));
  const touchByte = (index: Expr, offset: Expr): Expr => (code) => {
    add(hostOf(index), and(offset, word(4095)))(code);
    code.mem(Mem.i32_load8_u).op(Op.drop);
  };
  /** Gives up unless the frame, which is RAM, may be shown. */
  const demandShowable = block(
    when(local(isStore), when(byteAt(ram.codeFrames.byteOffset, local(frame)), giveUp)),
    // The bytes will be wanted: the host's memory may as well begin to bring them while the TLBs are seen to.
    touchByte(local(frame), addressLo),
  );
  /** Takes a frame's number from a column, or gives up: it is no RAM. */
  const takeFrame = (into: number, from: Expr): Expr => (code) => {
    wideOf(from)(code);
    code.i64(RAM_FIRST_PFN).op(Op.i64_sub).tee(wide).i64(ram.nrFrames).op(Op.i64_ge_u);
    code.if();
    giveUp(code);
    code.end();
    code.get(wide).op(Op.i32_wrap_i64).set(into);
  };
  const takeEntry = (level: { flags: number; pages: number; ppn: number }, of: number): Expr => block(
    set(flags, wordAt(level.flags, local(of))), set(bits, wordAt(level.pages, local(of))), demandUse, takeFrame(frame, doubleAt(level.ppn, local(of))), demandShowable,
  );
  const countUnsettled = (place: number): Expr => addWord(place, local(isStore));
  const entry: EntryLocals = { owner, flags, pages: bits, ppn: apply(Op.f64_convert_i32_s)(add(local(frame), word(RAM_FIRST_PFN))) };

  const foundInL2 = block(
    takeEntry(plan.l2, e2),
    when(wordAt(plan.l2.leaf, local(e2)), giveUp), // a piece of a larger page: counted otherwise
    l1.victim(e), when(l1.holdsLarge(e), giveUp),
    // From here on it is done.
    set(owner, wordAt(plan.l2.asid, local(e2))), set(bits, and(local(bits), word(0x10101))),
    countUnsettled(plan.unsettled.hits), count(plan.l2.clock + 8), setDouble(plan.l2.stamp, local(e2), doubleAt(plan.l2.clock, word(1))),
    l1.fill(e, entry, local(stamp)),
  );
  const walk = emitWalk();
  const walked = block(
    walk.find,
    l1.victim(e), when(l1.holdsLarge(e), giveUp), l2.victim(e2), when(l2.holdsLarge(e2), giveUp),
    countUnsettled(plan.unsettled.walks), walk.learn,
    when(ne(local(owner), word(GLOBAL)), set(owner, local(asid))),
    count(plan.l2.clock + 8), l2.fill(e2, entry, doubleAt(plan.l2.clock, word(1))),
    l1.fill(e, entry, local(stamp)),
  );

  const pageTag = c.local(Type.I64), delta = c.local(W), stampPlace = c.local(W);
  const show = (filter: number): Expr => (code) => {
    code.get(slot).get(pageTag).mem(Mem.i64_store, filter + Slot.Tag);
    code.get(slot).get(delta).mem(Mem.i32_store, filter + Slot.Delta);
    code.get(slot).get(stampPlace).mem(Mem.i32_store, filter + Slot.Stamp);
  };
  block(
    when(isZero(state(plan.state.isOn)), giveUp),
    set(vpnLo, (code) => { code.get(address).i64(12).op(Op.i64_shr_s, Op.i32_wrap_i64); }),
    set(vpnHi, (code) => { code.get(address).i64(44).op(Op.i64_shr_s, Op.i32_wrap_i64); }),
    // Canonical: the high half repeats its sign bit.
    set(slot, (code) => { code.get(address).i64(32).op(Op.i64_shr_s, Op.i32_wrap_i64); }),
    set(signShift, state(plan.state.signShift)),
    when(ne(shrSigned(shl(local(slot), local(signShift)), local(signShift)), local(slot)), giveUp),
    set(asid, state(plan.state.asid)),
    l1.find(e, giveUp),
    when(atLeast(local(e), word(0)), takeEntry(plan.l1, e), block(l2.find(e2, giveUp), when(atLeast(local(e2), word(0)), foundInL2, walked))),
    // lookup()'s end: the stamp, and the page is shown: for both kinds of access, where rights, D and code allow it, for what is loaded from is often
    // stored to next.
    setDouble(plan.l1.stamp, local(e), local(stamp)),
    set(slot, and(shr(addressLo, word(SLOT_SHIFT)), word(SLOT_MASK))),
    set(pageTag, (code) => { code.get(address).i64(-4096).op(Op.i64_and); }),
    set(delta, sub(hostOf(local(frame)), apply(Op.i32_wrap_i64)(local(pageTag)))), set(stampPlace, add(word(plan.l1.stamp | 0), shl(local(e), word(3)))),
    when(allows(state(plan.state.mayLoad)), show(layout.read)),
    when(and(local(bits), word(0x10000)), when(allows(state(plan.state.mayStore)), when(isZero(byteAt(ram.codeFrames.byteOffset, local(frame))),
      block(setByte(ram.writtenAt, local(frame), word(WRITTEN)), show(layout.write))))),
    word(1),
  )(c);
  module.add(c, 'refill');
  return module.finish(pages);

  /** The walk, from a pointer to the leaves' table or to the table above. `find` changes nothing; `learn` is what the page-walk caches learn. */
  function emitWalk(): { find: Expr; learn: Expr } {
    if (plan.pointers === null) return { find: giveUp, learn: block() };
    const pointers = new EmittedPointers(module, c, plan.pointers, page);
    const upper = plan.upperPointers === null ? null : new EmittedPointers(module, c, plan.upperPointers, page);
    const pointer = c.local(W), upperPointer = c.local(W), pointerOwner = c.local(W), table = c.local(W), low = c.local(W);
    /** A word of the PTE at an index of the table, whose frame is RAM. */
    const pteWord = (index: Expr, half: 0 | 1): Expr => (code) => {
      add(hostOf(local(table)), shl(and(index, word(511)), word(3)))(code);
      code.mem(Mem.i32_load, 4 * half);
    };
    const takeFrameOfPte = (into: number): Expr => block(set(into, sub(shr(local(low), word(10)), word(RAM_FIRST_PFN))), when(isZero(isRam(into)), giveUp));
    const fromUpper = upper === null ? giveUp : block(
      upper.find(upperPointer), when(less(local(upperPointer), word(0)), giveUp),
      set(owner, upper.ownerOf(local(upperPointer))), takeFrame(table, upper.tableOf(local(upperPointer))),
      set(low, pteWord(shr(local(vpnLo), word(9)), 0)),
      // A plain pointer: valid, nothing else but G and the OS's bits, PPN below 2^22.
      when(or(ne(and(local(low), word(Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.A | Pte.D)), word(Pte.V)), pteWord(shr(local(vpnLo), word(9)), 1)), giveUp),
      when(and(local(low), word(Pte.G)), set(owner, word(GLOBAL))),
      set(pointerOwner, local(owner)), takeFrameOfPte(table),
    );
    const find = block(
      pointers.find(pointer),
      when(less(local(pointer), word(0)), fromUpper, block(
        set(owner, pointers.ownerOf(local(pointer))), takeFrame(table, pointers.tableOf(local(pointer))),
      )),
      set(low, pteWord(local(vpnLo), 0)),
      // A leaf without N and reserved bits, with the rights and the A and D that the access wants, PPN below 2^22.
      when(or(isZero(and(local(low), word(Pte.V))), pteWord(local(vpnLo), 1)), giveUp),
      when(eq(and(local(low), word(Pte.R | Pte.W)), word(Pte.W)), giveUp),
      when(isZero(and(local(low), word(Pte.R | Pte.X))), giveUp),
      set(flags, and(local(low), word(Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.G))),
      set(bits, or(word(1), or(shl(and(local(low), word(Pte.A)), word(8 - Math.log2(Pte.A))), shl(and(local(low), word(Pte.D)), word(16 - Math.log2(Pte.D)))))),
      demandUse,
      lookAhead(pteWord),
      takeFrameOfPte(frame), demandShowable,
    );
    const learn = block(
      when(less(local(pointer), word(0)), block(
        ...(upper === null ? [] : [upper.use(local(upperPointer))]),
        addWord(plan.unsettled.pointerReads, word(0)),
        // What the pointer is inserted as: global if G stood on it or above.
        pointers.insert(either(eq(local(pointerOwner), word(GLOBAL)), word(GLOBAL), local(asid)), apply(Op.f64_convert_i32_s)(add(local(table), word(RAM_FIRST_PFN)))),
      ), pointers.use(local(pointer))),
      when(and(local(low), word(Pte.G)), set(owner, word(GLOBAL))),
    );
    return { find, learn };
  }

  /** Touches the bytes that the next walks will be for, if they go on at the same distance within the same table. Reading RAM changes nothing. */
  function lookAhead(pteWord: (index: Expr, half: 0) => Expr): Expr {
    const distance = c.local(W), next = c.local(W), left = c.local(W), index = c.local(W);
    const [lastAddress, lastDistance, walksLeft] = [0, 4, 8].map((offset) => layout.ahead.byteOffset + offset) as [number, number, number];
    const touchNext = block(
      setWord(walksLeft, word(0), word(WALKS_AHEAD)), set(next, addressLo), set(left, word(WALKS_AHEAD)),
      loopWhile(local(left), block(
        set(next, add(local(next), local(distance))), set(left, sub(local(left), word(1))),
        when(shr(xor(local(next), addressLo), word(21)), set(left, word(0)), block(
          set(index, sub(shr(pteWord(shr(local(next), word(12)), 0), word(10)), word(RAM_FIRST_PFN))),
          when(below(local(index), word(ram.nrFrames)), touchByte(local(index), local(next))),
        )),
      )),
    );
    return block(
      set(distance, sub(addressLo, state(lastAddress))), setWord(lastAddress, word(0), addressLo),
      when(ne(local(distance), state(lastDistance)), block(setWord(lastDistance, word(0), local(distance)), setWord(walksLeft, word(0), word(1))), block(
        addWord(walksLeft, word(0), word(-1)), when(isZero(state(walksLeft)), touchNext),
      )),
    );
  }
}
