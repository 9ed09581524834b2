// The emitted interpreter: one WebAssembly loop over decoded records, the same steps as reference/loop.ts takes, with registers in the arena. Here:
// fetch through the filter, dispatch, loads, stores and atomics that the filter answers, jumps, budget and counts; the call into translated regions.
// Not here: what instructions compute (emit/lower.ts, emit/float.ts, emit/atomic.ts), the probe (emit/memory.ts), and everything rare, which is asked of the
// TypeScript side (engine.ts): a fetch that the filter does not answer, an instruction without a line below or whose line gave up.
//
// Rows are addressed by bytes: a row's number times four is its place in the columns of words. Times are stamps (stampAt of a tick), which count as integers
// as they do as doubles: the bits are the same.
import { PAGE_SIZE } from '#base';
import { Access } from '#mmu';
import { atomics } from './emit/atomic.ts';
import { emitMissTest, emitRefillCall, emitStampAndHost, SLOT_MASK, SLOT_SHIFT, Slot, Value, accesses } from './emit/memory.ts';
import { floatLowerings } from './emit/float.ts';
import type { FloatOperands } from './emit/float.ts';
import { add, addDoubles, and, apply, double, doubleAt, local, setDouble, setWord, word as numberOf, wordAt } from './emit/expr.ts';
import { emitNoteJump } from './emit/jumps.ts';
import type { Expr } from './emit/expr.ts';
import type { Layout } from './emit/layout.ts';
import { conditions, lowerings } from './emit/lower.ts';
import { REFILL } from './emit/refill.ts';
import { Code, Mem, ModuleWriter, Op, Type } from './emit/wasm.ts';
import type { Label } from './emit/wasm.ts';
import { opOf } from './isa/table.ts';
import type { Hotness } from './jit/hotness.ts';
import { Place, TABLE_SLOTS } from './reference/block.ts';
import { Outcome } from './reference/core.ts';

const word1 = numberOf(1);

/** What a region answers: why control left it, at the pc that it wrote. Odd ones: the instruction there needs the interpreter. */
export const RegionExit = {
  /** The way goes on outside: an indirect jump, or what the region does not hold. */
  Jumped: 0,
  /** The filter does not answer an access: it misses, is misaligned, or stores to a page of code. */
  Missed: 1,
  /** The next page is no longer where it was when this was translated, or not in the filter. */
  MovedPage: 2,
  /** Regions do not hold this instruction: a system call, a CSR. */
  Instruction: 3,
  /** The budget may end before the next loop's head. */
  Budget: 4,
  /** Floating point with operands that are seldom met. */
  RareFloat: 5,
  /** It did not begin: the budget may end within it. */
  NoFuel: 6,
} as const;
export type RegionExit = (typeof RegionExit)[keyof typeof RegionExit];

export const SIGNATURES = {
  /** A region: the time, and when the budget ends. @returns RegionExit */
  region: { params: [Type.I64, Type.I64], results: [Type.I32] },
  /** A fetch. @returns the block's row, or below zero: trapped */
  fetch: { params: [Type.F64], results: [Type.I32] },
  /** Decoding: host offset, time. @returns row, or below zero: the run stops before it */
  find: { params: [Type.I32, Type.F64], results: [Type.I32] },
  /** One instruction: row, its time. @returns Outcome */
  slow: { params: [Type.I32, Type.F64], results: [Type.I32] },
  /** A region that has stopped another hotness.stopsAsked times: its number, time. */
  restless: { params: [Type.I32, Type.F64], results: [] },
  /** A block that has become hot: row. */
  hot: { params: [Type.I32], results: [] },
  run: { params: [], results: [] },
} as const;

/** @param pages of the arena's memory. @param hotness when regions are asked for; null: there are none.
 *  @param refills whether there is a function for common misses (emit/refill.ts). @returns the module's bytes: it exports `run` */
export function emitInterpreter(layout: Layout, pages: number, hotness: Hotness | null, refills: boolean): Uint8Array {
  const module = new ModuleWriter();
  const fetch = module.importFunction('fetch', SIGNATURES.fetch);
  const find = module.importFunction('find', SIGNATURES.find);
  const slow = module.importFunction('slow', SIGNATURES.slow);
  const hot = module.importFunction('hot', SIGNATURES.hot);
  const restless = module.importFunction('restless', SIGNATURES.restless);
  const refill = refills ? module.importFunction('refill', REFILL) : null;
  if (hotness !== null) module.importTable();
  const region = module.type(SIGNATURES.region);

  const c = new Code(SIGNATURES.run);
  const [tick, end, stampBase] = [c.local(Type.I64), c.local(Type.I64), c.local(Type.I64)];
  const [pc, page, address] = [c.local(Type.I64), c.local(Type.I64), c.local(Type.I64)];
  const pcLo = c.local(Type.I32), slot = c.local(Type.I32), stampAt = c.local(Type.I32), host = c.local(Type.I32);
  const start = c.local(Type.I32), count = c.local(Type.I32), counted = c.local(Type.I32), stop = c.local(Type.I32), k = c.local(Type.I32);
  const delta = c.local(Type.I32), before = c.local(Type.I32), dataSlot = c.local(Type.I32), isCold = c.local(Type.I32), outcome = c.local(Type.I32);
  const temporaries = new Map<string, number>();
  const temporary = (type: Type, n: number): number => {
    const key = `${type}/${n}`;
    const known = temporaries.get(key) ?? c.local(type);
    temporaries.set(key, known);
    return known;
  };

  // ---- Operands from the record at k.
  /** The byte offset of an operand's register. */
  const place = (of: number): Code => c.get(k).i32(1).op(Op.i32_shl).mem(Mem.i32_load16_u, layout.places + 2 * of);
  const operands: FloatOperands = {
    code: c, temporary,
    x1: () => { place(Place.A).mem(Mem.i64_load, layout.registers); },
    x2: () => { place(Place.B).mem(Mem.i64_load, layout.registers); },
    imm: () => { c.get(k).mem(Mem.i64_load32_s, layout.immediates); },
    imm32: () => { c.get(k).mem(Mem.i32_load, layout.immediates); },
    pcPlusImm: () => { c.get(pc).get(k).mem(Mem.i64_load32_s, layout.immediates).op(Op.i64_add); },
    f1: () => { place(Place.A).mem(Mem.f64_load, layout.registers); },
    f2: () => { place(Place.B).mem(Mem.f64_load, layout.registers); },
    f3: () => { c.get(k).mem(Mem.i32_load, layout.extras).i32(2).op(Op.i32_shl).mem(Mem.f64_load, layout.registers); },
    fcsr: () => { c.i32(0).mem(Mem.i32_load, layout.fcsr); },
    setFcsr: (push) => {
      c.i32(0);
      push();
      c.mem(Mem.i32_store, layout.fcsr);
    },
    zimm: () => { place(Place.A).i32(3).op(Op.i32_shr_u); },
    rm: null, csr: null, sameSources: false, fuses: layout.fuses,
  };
  const addTo = (what: Access, push: () => void): void => {
    c.i32(0).i32(0).mem(Mem.f64_load, layout.lookups + 8 * what);
    push();
    c.op(Op.f64_add).mem(Mem.f64_store, layout.lookups + 8 * what);
  };
  const next = (label: Label): void => { c.br(label); };
  /** Pushes the time of the instruction at k. */
  const stamp = (): void => { c.get(stampBase).get(k).i32(1).op(Op.i32_shr_u, Op.i64_extend_i32_u, Op.i64_add); };
  const storePc = (): void => { c.i32(0).get(pc).mem(Mem.i64_store, layout.pc); };
  const slotOfPc = (table: number, mem: Mem): void => { c.get(slot).mem(mem, table); };

  c.i32(0).mem(Mem.i64_load, layout.tick).set(tick);
  c.i32(0).mem(Mem.i64_load, layout.end).set(end);
  c.i32(0).mem(Mem.i64_load, layout.pc).set(pc);
  const leave = c.block();
  const nextBlock = c.loop();
  c.get(tick).get(end).op(Op.i64_ge_s).brIfSeldom(leave);

  // ---- Fetch.
  c.get(pc).op(Op.i32_wrap_i64).tee(pcLo).i32(SLOT_SHIFT).op(Op.i32_shr_u).i32(SLOT_MASK).op(Op.i32_and).set(slot);
  c.get(pc).i64(-PAGE_SIZE).op(Op.i64_and).set(page);
  const fetched = c.block();
  const ask = c.block();
  slotOfPc(layout.exec + Slot.Tag, Mem.i64_load);
  c.get(page).op(Op.i64_ne).brIfSeldom(ask);
  c.get(pcLo).i32(PAGE_SIZE - 1).op(Op.i32_and).i32(PAGE_SIZE - 2).op(Op.i32_eq).brIfSeldom(ask); // it may straddle
  c.get(pcLo);
  slotOfPc(layout.exec + Slot.Delta, Mem.i32_load);
  c.op(Op.i32_add).set(host);
  slotOfPc(layout.exec + Slot.Stamp, Mem.i32_load);
  c.set(stampAt).i32(0).set(counted);
  c.get(host).i32(1).op(Op.i32_shl).i32((TABLE_SLOTS - 1) << 2).op(Op.i32_and).tee(start).mem(Mem.i32_load, layout.tableKeys).get(host).op(Op.i32_eq);
  c.if(Type.I32);
  c.get(start).mem(Mem.i32_load, layout.tableRows);
  c.else();
  storePc();
  c.get(host).get(tick).op(Op.f64_reinterpret_i64).call(find).tee(start).i32(0).op(Op.i32_lt_s).brIfSeldom(leave);
  c.get(start);
  c.end();
  c.i32(2).op(Op.i32_shl).tee(start).mem(Mem.i32_load, layout.operations - 4).set(count);
  if (hotness !== null) {
    // ---- A region begins here? Not where one has just given up.
    c.get(isCold).op(Op.i32_eqz);
    c.if();
    c.get(start).mem(Mem.i32_load, layout.heat).tee(outcome).i32(0).op(Op.i32_lt_s);
    c.if();
    c.get(outcome).i32(-1).op(Op.i32_xor).tee(outcome).i32(3).op(Op.i32_shl).mem(Mem.i64_load, layout.regionPcs.byteOffset).get(pc).op(Op.i64_eq);
    c.if();
    c.get(outcome).set(before);
    c.get(tick).get(end).get(outcome).callIndirect(region).set(outcome);
    setDouble(layout.exits.byteOffset, local(outcome), addDoubles(doubleAt(layout.exits.byteOffset, local(outcome)), double(1)))(c);
    c.get(outcome).i32(RegionExit.NoFuel).op(Op.i32_ne);
    c.if();
    setDouble(layout.entries.byteOffset, local(before), addDoubles(doubleAt(layout.entries.byteOffset, local(before)), double(1)))(c);
    c.i32(0).mem(Mem.i64_load, layout.tick).set(tick);
    c.i32(0).mem(Mem.i64_load, layout.pc).set(pc);
    c.get(outcome).i32(1).op(Op.i32_and).tee(isCold);
    c.if();
    setWord(layout.stops.byteOffset, local(before), add(wordAt(layout.stops.byteOffset, local(before)), word1))(c);
    and(wordAt(layout.stops.byteOffset, local(before)), numberOf(hotness.stopsAsked - 1))(c);
    c.op(Op.i32_eqz);
    c.if();
    c.get(before).get(tick).op(Op.f64_reinterpret_i64).call(restless);
    c.end();
    c.end();
    c.br(nextBlock);
    c.end();
    c.end();
    c.else();
    c.get(start).get(outcome).i32(1).op(Op.i32_add).tee(outcome).mem(Mem.i32_store, layout.heat);
    c.get(outcome).i32(hotness.blockStarts).op(Op.i32_eq);
    c.if();
    storePc();
    c.get(start).i32(2).op(Op.i32_shr_u).call(hot);
    c.end();
    c.end();
    c.end();
    c.i32(0).set(isCold);
  }
  c.br(fetched);
  c.end();
  storePc();
  c.get(tick).op(Op.f64_reinterpret_i64).call(fetch).tee(start).i32(0).op(Op.i32_lt_s);
  c.brIfSeldom(leave);
  c.get(start).i32(2).op(Op.i32_shl).set(start);
  c.i32(0).mem(Mem.i32_load, layout.fetched.byteOffset).set(count);
  c.i32(0).mem(Mem.i32_load, layout.fetched.byteOffset + 4).set(counted);
  slotOfPc(layout.exec + Slot.Stamp, Mem.i32_load);
  c.set(stampAt);
  if (hotness !== null) c.i32(0).set(isCold);
  c.end();

  // ---- Go through the block.
  c.get(tick).get(count).i32(1).op(Op.i32_shl, Op.i64_extend_i32_u, Op.i64_add).get(end).op(Op.i64_gt_s);
  c.if();
  c.get(end).get(tick).op(Op.i64_sub, Op.i32_wrap_i64).i32(1).op(Op.i32_shr_u).set(count);
  c.end();
  c.get(start).tee(k).get(count).i32(2).op(Op.i32_shl, Op.i32_add).set(stop);
  c.get(tick).get(start).i32(1).op(Op.i32_shr_u, Op.i64_extend_i32_u, Op.i64_sub).set(stampBase);
  const jump = c.block();
  const blockEnd = c.block();
  const nextRow = c.loop();
  const advance = c.block();
  const giveUp = c.block();

  const handlers = new Map<number, () => void>();
  /** Ends a handler that jumps. */
  const taken = (): void => {
    c.get(k).i32(4).op(Op.i32_add).set(k);
    c.br(jump);
  };
  for (const [op, lowering] of lowerings) {
    handlers.set(op, () => {
      place(Place.D);
      lowering(operands);
      c.mem(Mem.i64_store, layout.registers);
      next(advance);
    });
  }
  for (const [op, { lowering, result }] of floatLowerings) {
    handlers.set(op, () => {
      lowering(operands, giveUp);
      const value = temporary(result, 9);
      c.set(value);
      place(Place.D).get(value).mem(result === Type.F64 ? Mem.f64_store : Mem.i64_store, layout.registers);
      next(advance);
    });
  }
  for (const [op, condition] of conditions) {
    handlers.set(op, () => {
      condition(operands);
      c.op(Op.i32_eqz).brIf(advance);
      operands.imm32();
      c.set(delta);
      taken();
    });
  }
  /** Finds the bytes at `address` by the filter, and stamps their page. @returns a local with their host offset */
  const findBytes = (lenBytes: number, isStore: boolean, refills: boolean): number => {
    const probe = { table: isStore ? layout.write : layout.read, address, slot: dataSlot };
    emitMissTest(c, probe, lenBytes);
    if (refill === null || !refills) {
      c.brIfSeldom(giveUp);
    } else {
      c.ifSeldom();
      emitRefillCall(c, refill, address, lenBytes, isStore);
      c.brIf(nextRow); // the same again
      c.br(giveUp);
      c.end();
    }
    emitStampAndHost(c, probe, stamp);
    const at = temporary(Type.I32, 0);
    c.set(at);
    return at;
  };
  for (const [op, { isStore, lenBytes, value, mem }] of accesses) {
    handlers.set(op, () => {
      operands.x1();
      operands.imm();
      c.op(Op.i64_add).set(address);
      const at = findBytes(lenBytes, isStore, true);
      if (isStore) {
        c.get(at);
        if (value === Value.Double) operands.f2();
        else operands.x2(); // a single's low half is where an x register's is
        c.mem(mem);
      } else {
        place(Place.D).get(at).mem(mem);
        if (value === Value.Single) c.i64(-(2n ** 32n)).op(Op.i64_or);
        c.mem(value === Value.Double ? Mem.f64_store : Mem.i64_store, layout.registers);
      }
      addTo(isStore ? Access.Store : Access.Load, () => c.f64(1));
      next(advance);
    });
  }
  for (const [op, { access, isStore, refills, lenBytes, emit }] of atomics) {
    handlers.set(op, () => {
      operands.x1();
      c.set(address);
      const at = findBytes(lenBytes, isStore, refills);
      const value = temporary(Type.I64, 9);
      emit(operands, layout, at);
      c.set(value);
      place(Place.D).get(value).mem(Mem.i64_store, layout.registers);
      addTo(access, () => c.f64(1));
      next(advance);
    });
  }
  /** x[rd] = address behind the instruction. */
  const link = (): void => {
    place(Place.D).get(pc).get(k).i32(1).op(Op.i32_shr_u).mem(Mem.i32_load16_u, layout.ends).op(Op.i64_extend_i32_u, Op.i64_add).mem(Mem.i64_store, layout.registers);
  };
  handlers.set(opOf('jal'), () => {
    link();
    operands.imm32();
    c.set(delta);
    taken();
  });
  handlers.set(opOf('jalr'), () => {
    operands.x1();
    operands.imm();
    c.op(Op.i64_add).i64(-2).op(Op.i64_and).set(address);
    link();
    if (hotness !== null) {
      const ownPc: Expr = (code) => { code.get(pcLo).get(k).i32(1).op(Op.i32_shr_u).mem(Mem.i32_load16_u, layout.starts).op(Op.i32_add); };
      emitNoteJump(c, layout.jumps, ownPc, apply(Op.i32_wrap_i64)(local(address)));
    }
    c.get(address).set(pc).i32(0).set(delta);
    taken();
  });
  handlers.set(opOf('fence'), () => next(advance)); // one hart, memory in order

  const ops = [...handlers.keys()].sort((a, b) => a - b);
  const labels = new Map<number, Label>();
  for (const op of [...ops].reverse()) labels.set(op, c.block());
  c.get(k).mem(Mem.i32_load8_u, layout.operations);
  c.brTable(Array.from({ length: ops[ops.length - 1]! + 1 }, (_, op) => labels.get(op) ?? giveUp), giveUp);
  for (const op of ops) {
    c.end();
    handlers.get(op)!();
  }

  // ---- What is rare. All counts are brought up to date first.
  c.end();
  c.get(k).get(start).op(Op.i32_sub).i32(2).op(Op.i32_shr_u).tee(before).get(counted).op(Op.i32_ge_s);
  c.if();
  addTo(Access.Fetch, () => c.get(before).i32(1).op(Op.i32_add).get(counted).op(Op.i32_sub, Op.f64_convert_i32_s));
  c.get(stampAt);
  stamp();
  c.mem(Mem.i64_store);
  c.get(before).i32(1).op(Op.i32_add).set(counted);
  c.end();
  storePc();
  c.get(k).i32(2).op(Op.i32_shr_u);
  stamp();
  c.op(Op.f64_reinterpret_i64).call(slow).tee(outcome).i32(Outcome.Trap).op(Op.i32_eq);
  c.if();
  stamp();
  c.set(tick);
  c.i32(0).mem(Mem.i64_load, layout.pc).set(pc);
  c.br(leave);
  c.end();
  c.get(k).i32(4).op(Op.i32_add).set(k);
  c.get(outcome).brIfSeldom(blockEnd);
  slotOfPc(layout.exec + Slot.Tag, Mem.i64_load);
  c.get(page).op(Op.i64_ne).brIf(blockEnd);
  slotOfPc(layout.exec + Slot.Stamp, Mem.i32_load);
  c.get(stampAt).op(Op.i32_ne).brIf(blockEnd);
  c.get(k).get(stop).op(Op.i32_ne).brIf(nextRow);
  c.br(blockEnd);

  c.end();
  c.get(k).i32(4).op(Op.i32_add).tee(k).get(stop).op(Op.i32_ne).brIf(nextRow);
  c.end();

  // ---- The block is done, to its end or to a jump.
  c.end();
  c.get(k).i32(1).op(Op.i32_shr_u).mem(Mem.i32_load16_u, layout.ends - 2).set(delta);
  c.end();
  c.get(k).get(start).op(Op.i32_sub).i32(2).op(Op.i32_shr_u).tee(count).get(counted).op(Op.i32_gt_s);
  c.if();
  addTo(Access.Fetch, () => c.get(count).get(counted).op(Op.i32_sub, Op.f64_convert_i32_s));
  c.get(stampAt).get(tick).get(count).i32(1).op(Op.i32_sub).i32(1).op(Op.i32_shl, Op.i64_extend_i32_s, Op.i64_add).mem(Mem.i64_store);
  c.end();
  c.get(tick).get(count).i32(1).op(Op.i32_shl, Op.i64_extend_i32_u, Op.i64_add).set(tick);
  c.get(pc).get(delta).op(Op.i64_extend_i32_s, Op.i64_add).set(pc);
  c.br(nextBlock);
  c.end();
  c.end();
  c.i32(0).get(tick).mem(Mem.i64_store, layout.tick);
  storePc();
  module.add(c, 'run');
  return module.finish(pages);
}
