// The emitted interpreter: one WebAssembly loop over decoded records, the same steps as reference/loop.ts takes, with registers in the arena. Here:
// fetch through the filter, dispatch, loads, stores and atomics that the filter answers, jumps, budget and counts; the call into translated regions.
// Not here: what instructions compute (emit/lower.ts, emit/float.ts, emit/atomic.ts), the probe (emit/memory.ts), and everything rare, which is asked of the
// TypeScript side (engine.ts): a fetch that the filter does not answer, an instruction without a line below or whose line gave up.
//
// A row is its place in the column of rows, in bytes; behind a block's last one stands BLOCK_END. Times are stamps (stampAt of a tick), which count as
// integers as they do as doubles: the bits are the same. Counts are kept in locals, as times and as sums over whole blocks, and settled when somebody may look.
import { PAGE_SIZE } from '#base';
import { Access } from '#mmu';
import { atomics } from './emit/atomic.ts';
import { emitMissTest, emitStampAndHost, SLOT_MASK, SLOT_SHIFT, Slot, Value, accesses } from './emit/memory.ts';
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
import { INSTRUCTIONS, opOf } from './isa/table.ts';
import type { Hotness } from './jit/hotness.ts';
import { BLOCK_END, ROW_BYTES, Row, TABLE_SLOTS } from './reference/block.ts';
import { Outcome } from './reference/core.ts';

const word1 = numberOf(1);
const ROW_SHIFT = Math.log2(ROW_BYTES);
const DATA_ACCESSES: readonly Access[] = [Access.Amo, Access.Load, Access.Store];
/** Frequent handlers stand here several times, one chain of them behind the other. Each dispatches itself, to the nearest of each op that stands behind it, so
 *  that the host sees many indirect jumps, each with few targets, and predicts them: what an interpreter costs is above all what is not predicted. WebAssembly
 *  goes back by loops alone: where nothing stands behind, the dispatch at the loop's head is next. */
const CHAINS = 3;
/** In the order in which ops often follow one another: the longer a chain is followed, the better. */
const CHAIN = [
  'lui', 'auipc', 'ld', 'lw', 'lbu', 'lhu', 'slli', 'slliw', 'srli', 'srliw', 'srai', 'add', 'addw', 'sub', 'xor', 'or', 'and', 'andi', 'addi', 'addiw', 'sb', 'sh', 'sw', 'sd',
  'beq', 'bne', 'blt', 'bge', 'bltu', 'bgeu', 'jal', 'jalr',
].map(opOf);
/** The chains' dispatches know ops below this. */
const CHAIN_OPS = Math.max(...CHAIN) + 1;

const RARE_EXTENSIONS: ReadonlySet<string> = new Set(['F', 'D', 'A', 'Zicsr']);
/** What the interpreter is made of. */
export interface Form {
  /** With chains (CHAINS): faster, but there is twice as much to compile. */
  readonly isChained: boolean;
  /** With handlers for rare instructions (rareOps): more than twice as much. */
  readonly isWhole: boolean;
}
/** Computing in floating point, CSRs, atomics that are no lock's: a program that runs for a moment may do without handlers for them (there are meanings of
 *  them to ask for, reference/loop.ts). By op; 1: it is one. */
export const rareOps = Uint8Array.from(INSTRUCTIONS, ({ extension, name }, op) => Number(RARE_EXTENSIONS.has(extension) && !accesses.has(op) && !/^(lr|sc|amoswap|amoadd)\./.test(name)));

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
export function emitInterpreter(layout: Layout, pages: number, hotness: Hotness | null, refills: boolean, { isChained, isWhole }: Form): Uint8Array {
  const module = new ModuleWriter();
  const fetch = module.importFunction('fetch', SIGNATURES.fetch);
  const find = module.importFunction('find', SIGNATURES.find);
  const slow = module.importFunction('slow', SIGNATURES.slow);
  const hot = module.importFunction('hot', SIGNATURES.hot);
  const restless = module.importFunction('restless', SIGNATURES.restless);
  const refill = refills ? module.importFunction('refill', REFILL) : null;
  if (hotness !== null) module.importTable();
  const region = module.type(SIGNATURES.region);
  const nrChains = isChained ? CHAINS : 0;

  const c = new Code(SIGNATURES.run);
  const [tick, end, stampBase] = [c.local(Type.I64), c.local(Type.I64), c.local(Type.I64)];
  const [pc, address] = [c.local(Type.I64), c.local(Type.I64)];
  const pcLo = c.local(Type.I32), slot = c.local(Type.I32), stampAt = c.local(Type.I32), host = c.local(Type.I32);
  const start = c.local(Type.I32), count = c.local(Type.I32), k = c.local(Type.I32);
  const before = c.local(Type.I32), dataSlot = c.local(Type.I32), isCold = c.local(Type.I32), outcome = c.local(Type.I32);
  /** The time up to which fetches are counted in memory; loads and, in the high half, stores that are not, less those of the block before the row at k. */
  const [counted, accessed] = [c.local(Type.I64), c.local(Type.I64)];
  /** Where a block has been made to end before its end, a row, and the op that stood there; or 0. It is mended before anything is decoded. */
  const cutAt = c.local(Type.I32), cutOp = c.local(Type.I32);
  const temporaries = new Map<string, number>();
  const temporary = (type: Type, n: number): number => {
    const key = `${type}/${n}`;
    const known = temporaries.get(key) ?? c.local(type);
    temporaries.set(key, known);
    return known;
  };

  // ---- Operands from the record at k.
  /** The byte offset of an operand's register. */
  const place = (of: number): Code => c.get(k).mem(Mem.i32_load16_u, layout.rows + of);
  const operands: FloatOperands = {
    code: c, temporary,
    x1: () => { place(Row.A).mem(Mem.i64_load, layout.registers); },
    x2: () => { place(Row.B).mem(Mem.i64_load, layout.registers); },
    imm: () => { c.get(k).mem(Mem.i64_load, layout.rows + Row.Imm); },
    imm32: () => { c.get(k).mem(Mem.i32_load, layout.rows + Row.Imm); },
    pcPlusImm: () => { c.get(pc).get(k).mem(Mem.i64_load, layout.rows + Row.Imm).op(Op.i64_add); },
    f1: () => { place(Row.A).mem(Mem.f64_load, layout.registers); },
    f2: () => { place(Row.B).mem(Mem.f64_load, layout.registers); },
    f3: () => { place(Row.C).mem(Mem.f64_load, layout.registers); },
    fcsr: () => { c.i32(0).mem(Mem.i32_load, layout.fcsr); },
    setFcsr: (push) => {
      c.i32(0);
      push();
      c.mem(Mem.i32_store, layout.fcsr);
    },
    zimm: () => { place(Row.A).i32(3).op(Op.i32_shr_u); },
    rm: null, csr: null, sameSources: false, fuses: layout.fuses,
  };
  const addTo = (what: Access, push: () => void): void => {
    c.i32(0).i32(0).mem(Mem.f64_load, layout.lookups + 8 * what);
    push();
    c.op(Op.f64_add).mem(Mem.f64_store, layout.lookups + 8 * what);
  };
  /** Pushes the time of the instruction at k. */
  const stamp = (): void => { c.get(stampBase).get(k).i32(ROW_SHIFT - 1).op(Op.i32_shr_u, Op.i64_extend_i32_u, Op.i64_add); };
  const storePc = (): void => { c.i32(0).get(pc).mem(Mem.i64_store, layout.pc); };
  const slotOfPc = (): void => { c.get(pcLo).i32(SLOT_SHIFT).op(Op.i32_shr_u).i32(SLOT_MASK).op(Op.i32_and); };
  const pageOfPc = (): void => { c.get(pc).i64(-PAGE_SIZE).op(Op.i64_and); };
  const accessesAtK = (): void => { c.get(k).mem(Mem.i64_load, layout.rows + Row.Loads); };
  /** Brings all counts in memory up to date. @param now pushes the time up to which fetches are to count */
  const settleCounts = (now: () => void): void => {
    addTo(Access.Fetch, () => {
      now();
      c.get(counted).op(Op.i64_sub).i64(1).op(Op.i64_shr_s, Op.f64_convert_i64_s);
    });
    now();
    c.set(counted);
    addTo(Access.Load, () => c.get(accessed).op(Op.i32_wrap_i64, Op.f64_convert_i32_u));
    addTo(Access.Store, () => c.get(accessed).i64(32).op(Op.i64_shr_s, Op.f64_convert_i64_s));
    c.i64(0).set(accessed);
  };
  /** The block at `start` ends after so many rows, until it is mended. */
  const cut = (): void => {
    c.get(start).get(count).i32(ROW_SHIFT).op(Op.i32_shl, Op.i32_add).tee(cutAt).mem(Mem.i32_load8_u, layout.rows + Row.Op).set(cutOp);
    c.get(cutAt).i32(BLOCK_END).mem(Mem.i32_store8, layout.rows + Row.Op);
  };
  const mend = (): void => {
    c.get(cutAt).ifSeldom();
    c.get(cutAt).get(cutOp).mem(Mem.i32_store8, layout.rows + Row.Op).i32(0).set(cutAt);
    c.end();
  };

  c.i32(0).mem(Mem.i64_load, layout.tick).tee(tick).set(counted);
  c.i32(0).mem(Mem.i64_load, layout.end).set(end);
  c.i32(0).mem(Mem.i64_load, layout.pc).set(pc);
  const leave = c.block();
  const nextBlock = c.loop();

  // ---- Fetch.
  c.get(pc).op(Op.i32_wrap_i64).set(pcLo);
  slotOfPc();
  c.set(slot);
  const fetched = c.block();
  const ask = c.block();
  c.get(slot).mem(Mem.i64_load, layout.exec + Slot.Tag);
  pageOfPc();
  c.op(Op.i64_ne).brIfSeldom(ask);
  c.get(pcLo).get(slot).mem(Mem.i32_load, layout.exec + Slot.Delta).op(Op.i32_add).set(host);
  c.get(slot).mem(Mem.i32_load, layout.exec + Slot.Stamp).set(stampAt);
  c.get(host).i32(1).op(Op.i32_shl).i32((TABLE_SLOTS - 1) << 2).op(Op.i32_and).tee(start).mem(Mem.i32_load, layout.tableKeys).get(host).op(Op.i32_ne);
  c.ifSeldom(Type.I32);
  c.get(tick).get(end).op(Op.i64_ge_s).brIfSeldom(leave);
  c.get(pcLo).i32(PAGE_SIZE - 1).op(Op.i32_and).i32(PAGE_SIZE - 2).op(Op.i32_eq).brIfSeldom(ask); // it may straddle
  mend();
  storePc();
  c.get(host).get(tick).op(Op.f64_reinterpret_i64).call(find).tee(start).i32(0).op(Op.i32_lt_s).brIfSeldom(leave);
  c.get(start);
  c.else();
  c.get(start).mem(Mem.i32_load, layout.tableRows);
  c.end();
  c.i32(ROW_SHIFT).op(Op.i32_shl).set(start);
  if (hotness !== null) {
    // ---- A region begins here? Not where one has just given up.
    c.get(isCold).op(Op.i32_eqz);
    c.if();
    c.get(start).i32(ROW_SHIFT - 2).op(Op.i32_shr_u).mem(Mem.i32_load, layout.heat).tee(outcome).i32(0).op(Op.i32_lt_s);
    c.if();
    c.get(outcome).i32(-1).op(Op.i32_xor).tee(outcome).i32(3).op(Op.i32_shl).mem(Mem.i64_load, layout.regionPcs.byteOffset).get(pc).op(Op.i64_eq);
    c.if();
    c.get(outcome).set(before);
    c.get(tick).get(end).get(outcome).callIndirect(region).set(outcome);
    setDouble(layout.exits.byteOffset, local(outcome), addDoubles(doubleAt(layout.exits.byteOffset, local(outcome)), double(1)))(c);
    c.get(outcome).i32(RegionExit.NoFuel).op(Op.i32_ne);
    c.if();
    setDouble(layout.entries.byteOffset, local(before), addDoubles(doubleAt(layout.entries.byteOffset, local(before)), double(1)))(c);
    c.get(counted).get(tick).op(Op.i64_sub).i32(0).mem(Mem.i64_load, layout.tick).tee(tick).op(Op.i64_add).set(counted); // it has counted itself
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
    c.get(start).i32(ROW_SHIFT - 2).op(Op.i32_shr_u).get(outcome).i32(1).op(Op.i32_add).tee(outcome).mem(Mem.i32_store, layout.heat);
    c.get(outcome).i32(hotness.blockStarts).op(Op.i32_eq);
    c.if();
    storePc();
    c.get(start).i32(ROW_SHIFT).op(Op.i32_shr_u).call(hot);
    c.end();
    c.end();
    c.end();
    c.i32(0).set(isCold);
  }
  c.get(tick).get(start).mem(Mem.i32_load, layout.rows - ROW_BYTES + Row.Imm).i32(1).op(Op.i32_shl, Op.i64_extend_i32_u, Op.i64_add).get(end).op(Op.i64_le_s).brIf(fetched);
  // The budget ends in it, or has done so.
  c.get(tick).get(end).op(Op.i64_ge_s).brIfSeldom(leave);
  mend();
  c.get(end).get(tick).op(Op.i64_sub, Op.i32_wrap_i64).i32(1).op(Op.i32_shr_u).set(count);
  cut();
  c.br(fetched);
  c.end();
  c.get(tick).get(end).op(Op.i64_ge_s).brIfSeldom(leave);
  mend();
  settleCounts(() => c.get(tick));
  storePc();
  c.get(tick).op(Op.f64_reinterpret_i64).call(fetch).tee(start).i32(0).op(Op.i32_lt_s);
  c.brIfSeldom(leave);
  c.get(start).i32(ROW_SHIFT).op(Op.i32_shl).set(start);
  c.i32(0).mem(Mem.i64_load32_u, layout.fetched.byteOffset + 4).i64(1).op(Op.i64_shl).get(tick).op(Op.i64_add).set(counted);
  c.i32(0).mem(Mem.i32_load, layout.fetched.byteOffset + 8).set(stampAt);
  c.get(end).get(tick).op(Op.i64_sub).i64(1).op(Op.i64_shr_u, Op.i32_wrap_i64).tee(count);
  c.i32(0).mem(Mem.i32_load, layout.fetched.byteOffset).tee(before);
  c.get(count).get(before).op(Op.i32_lt_s, Op.select).tee(count);
  c.get(start).mem(Mem.i32_load, layout.rows - ROW_BYTES + Row.Imm).op(Op.i32_lt_s);
  c.if();
  cut();
  c.end();
  if (hotness !== null) c.i32(0).set(isCold);
  c.end();

  // ---- Go through the block.
  c.get(tick).get(start).tee(k).i32(ROW_SHIFT - 1).op(Op.i32_shr_u, Op.i64_extend_i32_u, Op.i64_sub).set(stampBase);
  const landed = c.block();
  const blockEnd = c.block();
  const jump = c.block();
  const nextRow = c.loop();
  const giveUp = c.block();
  const missed = new Map(DATA_ACCESSES.map((access) => [access, c.block()]));
  let next: () => void;

  const handlers = new Map<number, () => void>();
  for (const [op, lowering] of lowerings) {
    handlers.set(op, () => {
      place(Row.D);
      lowering(operands);
      c.mem(Mem.i64_store, layout.registers);
      next();
    });
  }
  for (const [op, { lowering, result }] of floatLowerings) {
    handlers.set(op, () => {
      lowering(operands, giveUp);
      const value = temporary(result, 9);
      c.set(value);
      place(Row.D).get(value).mem(result === Type.F64 ? Mem.f64_store : Mem.i64_store, layout.registers);
      next();
    });
  }
  for (const [op, condition] of conditions) {
    handlers.set(op, () => {
      condition(operands);
      c.brIf(jump);
      next();
    });
  }
  /** Finds the bytes at `address` by the filter, and stamps their page. @returns a local with their host offset */
  const findBytes = (lenBytes: number, access: Access): number => {
    const probe = { table: access === Access.Load ? layout.read : layout.write, address, slot: dataSlot };
    emitMissTest(c, probe, lenBytes);
    c.brIfSeldom(missed.get(access)!);
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
      const at = findBytes(lenBytes, isStore ? Access.Store : Access.Load);
      if (isStore) {
        c.get(at);
        if (value === Value.Double) operands.f2();
        else operands.x2(); // a single's low half is where an x register's is
        c.mem(mem);
      } else {
        place(Row.D).get(at).mem(mem);
        if (value === Value.Single) c.i64(-(2n ** 32n)).op(Op.i64_or);
        c.mem(value === Value.Double ? Mem.f64_store : Mem.i64_store, layout.registers);
      }
      next();
    });
  }
  for (const [op, { access, lenBytes, emit }] of atomics) {
    handlers.set(op, () => {
      operands.x1();
      c.set(address);
      const at = findBytes(lenBytes, access);
      const value = temporary(Type.I64, 9);
      emit(operands, layout, at);
      c.set(value);
      place(Row.D).get(value).mem(Mem.i64_store, layout.registers);
      addTo(access, () => c.f64(1));
      next();
    });
  }
  /** x[rd] = address behind the instruction. */
  const link = (): void => {
    place(Row.D).get(pc).get(k).mem(Mem.i64_load16_u, layout.rows + Row.End).op(Op.i64_add).mem(Mem.i64_store, layout.registers);
  };
  handlers.set(opOf('jal'), () => {
    link();
    c.br(jump);
  });
  handlers.set(opOf('jalr'), () => {
    operands.x1();
    operands.imm();
    c.op(Op.i64_add).i64(-2).op(Op.i64_and).set(address);
    link();
    if (hotness !== null) {
      const ownPc: Expr = (code) => { code.get(pcLo).get(k).mem(Mem.i32_load16_u, layout.rows + Row.Start).op(Op.i32_add); };
      emitNoteJump(c, layout.jumps, ownPc, apply(Op.i32_wrap_i64)(local(address)));
    }
    c.get(address).set(pc).get(k).i32(ROW_BYTES).op(Op.i32_add).set(k);
    c.br(landed);
  });
  handlers.set(opOf('fence'), () => next()); // one hart, memory in order

  if (!isWhole) for (const op of handlers.keys()) if (rareOps[op] === 1) handlers.delete(op);
  handlers.set(BLOCK_END, () => c.br(blockEnd));

  // The blocks of all handlers are opened here: the last one's is the outermost.
  const places = [...Array.from({ length: nrChains }, () => CHAIN).flat(), ...[...handlers.keys()].filter((op) => nrChains === 0 || !CHAIN.includes(op))];
  const advance = c.block();
  /** By op, the nearest handler behind the place that is being written. */
  const nearest = new Map<number, Label>();
  const labels: Label[] = [];
  for (let place = places.length - 1; place >= 0; place--) {
    labels[place] = c.block();
    nearest.set(places[place]!, labels[place]!);
  }
  const dispatch = (nrOps: number, otherwise: Label): void => {
    c.mem(Mem.i32_load8_u, layout.rows + Row.Op);
    c.brTable(Array.from({ length: nrOps }, (_, op) => nearest.get(op) ?? otherwise), otherwise);
  };
  c.get(k);
  dispatch(BLOCK_END + 1, giveUp);
  places.forEach((op, place) => {
    c.end();
    const after = places.indexOf(op, place + 1);
    if (after < 0) nearest.delete(op);
    else nearest.set(op, labels[after]!);
    next = () => {
      if (place >= nrChains * CHAIN.length) {
        c.br(advance);
      } else {
        c.get(k).i32(ROW_BYTES).op(Op.i32_add).tee(k);
        dispatch(CHAIN_OPS, nextRow);
      }
    };
    handlers.get(op)!();
  });
  c.end();
  c.get(k).i32(ROW_BYTES).op(Op.i32_add).set(k);
  c.br(nextRow);

  // ---- The filter does not answer an access to `address`.
  for (const access of [...DATA_ACCESSES].reverse()) {
    c.end();
    if (refill !== null) {
      c.get(k).mem(Mem.i64_load8_u, layout.rows + Row.Align).get(address).op(Op.i64_and, Op.i64_eqz);
      c.if();
      c.get(address).i32(access - Access.Load).call(refill).brIf(nextRow); // the same again
      c.end();
    }
    c.br(giveUp);
  }

  // ---- What is rare. All counts are brought up to date first.
  c.end();
  accessesAtK();
  c.get(accessed).op(Op.i64_add).set(accessed);
  c.get(stampAt);
  stamp();
  c.mem(Mem.i64_store);
  settleCounts(() => {
    stamp();
    c.i64(2).op(Op.i64_add);
  });
  storePc();
  c.get(k).i32(ROW_SHIFT).op(Op.i32_shr_u);
  stamp();
  c.op(Op.f64_reinterpret_i64).call(slow).tee(outcome).i32(Outcome.Trap).op(Op.i32_eq);
  c.if();
  stamp();
  c.tee(tick).set(counted);
  c.i32(0).mem(Mem.i64_load, layout.pc).set(pc);
  c.br(leave);
  c.end();
  c.get(k).i32(ROW_BYTES).op(Op.i32_add).set(k);
  const left = c.block();
  c.get(outcome).brIfSeldom(left);
  slotOfPc();
  c.tee(slot).mem(Mem.i64_load, layout.exec + Slot.Tag);
  pageOfPc();
  c.op(Op.i64_ne).brIf(left);
  c.get(slot).mem(Mem.i32_load, layout.exec + Slot.Stamp).get(stampAt).op(Op.i32_ne).brIf(left);
  c.i64(0);
  accessesAtK();
  c.op(Op.i64_sub).set(accessed);
  c.br(nextRow);
  c.end();
  // The page's entry may be gone, and has its stamp; and the run may be to end sooner than it was.
  c.i32(0).mem(Mem.i64_load, layout.end).set(end);
  c.get(pc).get(k).mem(Mem.i64_load16_u, layout.rows - ROW_BYTES + Row.End).op(Op.i64_add).set(pc);
  stamp();
  c.set(tick);
  c.br(nextBlock);
  c.end();

  // ---- The block is done, to its end or to a jump.
  c.end();
  c.get(pc);
  operands.imm();
  c.op(Op.i64_add).set(pc);
  c.get(k).i32(ROW_BYTES).op(Op.i32_add).set(k);
  c.br(landed);
  c.end();
  c.get(pc).get(k).mem(Mem.i64_load16_u, layout.rows - ROW_BYTES + Row.End).op(Op.i64_add).set(pc);
  c.end();
  stamp();
  c.set(tick);
  c.get(stampAt).get(tick).i64(2).op(Op.i64_sub).mem(Mem.i64_store);
  accessesAtK();
  c.get(accessed).op(Op.i64_add).set(accessed);
  c.br(nextBlock);
  c.end();
  c.end();
  settleCounts(() => c.get(tick));
  mend();
  c.i32(0).get(tick).mem(Mem.i64_store, layout.tick);
  storePc();
  module.add(c, 'run');
  return module.finish(pages);
}
