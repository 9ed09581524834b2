// The readable engine: fetch a block, go through its instructions, fetch the next. Here: dispatch, the common case of loads and stores, jumps,
// what is counted for fetches, the exact budget. Not here: what computing instructions mean (integer.ts, float.ts), accesses that the filter
// cannot answer (memory.ts, atomic.ts), decoding (block.ts).
//
// This is the definition that other engines are compared with: a look-up for each instruction fetched and each access made, every L1 entry
// stamped with the tick of its last use. Two things are done in bulk because nobody can see the difference. Fetches of a block lie in one
// page, so once the first has hit, the rest hit too as long as the L1 entry stays; they are added, and the entry stamped with the last one's
// tick, before anything that could look: a look-up, a trap, a CSR, the end of the block. A look-up may push the entry out (inclusive
// levels share fates), so after each one the fetch filter is asked again, and the block is left if the page is gone from it.
//
// Numbers in run() are literals because V8 makes a jump table of nothing else, and folds nothing else into code that it compiles while the loop is
// running. Cases are the ops of isa/table.ts: test/cpu/table.test.ts holds the names behind them against it. An operation is unpacked as
// block.ts's Packed says; (address >>> 10) & 0xffc is filter.ts's slotOf.
import { Access, NO_HOST, stampAt } from '#mmu';
import type { Mmu, Ram } from '#mmu';
import type { Clocks } from '../csr.ts';
import type { Hart } from '../hart.ts';
import { isCompressed } from '../isa/decode.ts';
import { ILLEGAL, INSTRUCTIONS } from '../isa/table.ts';
import { Exit, ExitKind } from '../trap.ts';
import { atomicMeaning } from './atomic.ts';
import { BlockCache, tableSlot } from './block.ts';
import { Outcome } from './core.ts';
import type { Core, Meaning } from './core.ts';
import { addDoubles, areNumbers, divDoubles, fuseDoubles, mulDoubles, roundsToNearest, subDoubles } from './doubles.ts';
import { executeFloat, isFloatOp } from './float.ts';
import * as integer from './integer.ts';
import { memoryMeaning } from './memory.ts';
import { settleWatch, stopsBefore } from './stops.ts';
import { illegal, systemMeaning } from './system.ts';


const float: Meaning = (core, d) => (executeFloat(core.hart, d) ? Outcome.Next : illegal(core, d));
/** By op: what the loop does not do itself. Computing instructions have none. */
export const meanings: readonly Meaning[] = Array.from({ length: ILLEGAL + 1 }, (_, op) => {
  if (op === ILLEGAL) return illegal;
  return memoryMeaning(op) ?? atomicMeaning(op) ?? systemMeaning(op) ?? (isFloatOp(op) ? float : illegal);
});
const isFloat = Uint8Array.from({ length: ILLEGAL + 1 }, (_, op) => (isFloatOp(op) ? 1 : 0));
/** True for ops that only the table above gives a meaning to. For the test that nothing is left without one. */
export const hasMeaning = (op: number): boolean => meanings[op] !== illegal || INSTRUCTIONS[op]?.extension.startsWith('S') === true;

export class ReferenceEngine implements Core {
  readonly hart: Hart;
  readonly mmu: Mmu;
  readonly ram: Ram;
  readonly clocks: Clocks;
  readonly blocks: BlockCache;
  readonly exit = new Exit();
  private readonly i8: Int8Array;
  private readonly i16: Int16Array;
  private readonly u16: Uint16Array;

  constructor(hart: Hart, mmu: Mmu, ram: Ram, clocks: Clocks) {
    this.hart = hart;
    this.mmu = mmu;
    this.ram = ram;
    this.clocks = clocks;
    this.blocks = new BlockCache(ram.arena, ram, mmu, false);
    const { buffer } = ram.arena;
    this.i8 = new Int8Array(buffer);
    this.i16 = new Int16Array(buffer);
    this.u16 = new Uint16Array(buffer);
  }

  /** Runs from hart.pc until a trap, or until exactly `budgetInstrs` instructions have retired. @returns `exit`, valid until the next run */
  run(budgetInstrs: number): Exit {
    const { hart, mmu, blocks, exit, i8, i16, u16 } = this;
    const { i32, u8, f64 } = this.ram.arena;
    const { operations, immediates, starts, ends, extras, decoded, tableKeys, tableRows } = blocks;
    const { registers: m, registerDoubles: doubles } = hart;
    const { read, write, exec } = mmu.filter;
    const { lookups } = mmu.counters;
    blocks.drain();
    hart.x[0] = 0n;
    exit.budget();
    const { traps } = hart;
    const first = hart.instret + traps;
    let left = budgetInstrs;
    let tick = hart.instret + traps;
    let pcLo = hart.pcLo;
    let pcHi = hart.pcHi;

    run: while (left > 0) {
      // ---- Fetch. `counted`: how many of this block's fetches are in the counters by now.
      const page = pcLo & ~4095;
      const slot = (pcLo >>> 10) & 0xffc;
      let counted = 0;
      let host;
      if (exec[slot] === page && exec[slot + 1] === pcHi) {
        host = (pcLo + exec[slot + 2]!) | 0;
      } else {
        if (stopsBefore(this, pcHi, pcLo, tick, first)) break;
        mmu.tick = tick;
        host = mmu.lookup(pcHi, pcLo, Access.Fetch);
        counted = 1;
        if (host === NO_HOST) {
          exit.fault(mmu.fault);
          break;
        }
      }
      const stamp = exec[slot + 3]! >>> 3;
      let start;
      let count = 1;
      if ((pcLo & 4095) === 0xffe && !isCompressed(u16[host >>> 1]!)) {
        if (counted === 0) {
          if (stopsBefore(this, pcHi, pcLo, tick, first)) break;
          lookups[0 /* Access.Fetch */]!++;
          f64[stamp] = stampAt(tick);
          counted = 1;
        }
        start = fetchStraddling(this, host, pcHi, pcLo, tick);
        if (start === NO_HOST) break;
      } else {
        const known = tableSlot(host);
        if (tableKeys[known] === host) {
          start = tableRows[known]!;
        } else {
          if (counted === 0 && stopsBefore(this, pcHi, pcLo, tick, first)) break;
          start = blocks.find(host);
        }
        // Where the MMU does not vouch for the page beyond this fetch, the next instruction asks again.
        if (counted === 0 || (exec[slot] === page && exec[slot + 1] === pcHi)) count = operations[start - 1]!;
        if (count > left) count = left;
      }

      // ---- Go through the block. `k` is the row; `delta` will be the way to the next pc.
      const end = start + count;
      const stampBase = stampAt(tick - start); // the instruction at k has the stamp stampBase + 2 * k
      let k = start;
      let delta;
      walk: {
        for (; k !== end; k++) {
          const operation = operations[k]!;
          const d = (operation >> 8) & 255, a = (operation >> 16) & 255, b = (operation >> 24) & 255, imm = immediates[k]!;
          switch (operation & 255) {
          case 0: m[d] = imm; m[d + 1] = imm >> 31; continue; // lui
          case 1: { // auipc
            const low = (pcLo + imm) | 0;
            m[d] = low;
            m[d + 1] = pcHi + (imm >> 31) + ((low >>> 0) < (pcLo >>> 0) ? 1 : 0);
            continue;
          }
          case 2: integer.addi(m, d, a, imm); continue; // addi
          case 3: integer.slti(m, d, a, imm); continue; // slti
          case 4: integer.sltiu(m, d, a, imm); continue; // sltiu
          case 5: integer.xori(m, d, a, imm); continue; // xori
          case 6: integer.ori(m, d, a, imm); continue; // ori
          case 7: integer.andi(m, d, a, imm); continue; // andi
          case 8: integer.slli(m, d, a, imm); continue; // slli
          case 9: integer.srli(m, d, a, imm); continue; // srli
          case 10: integer.srai(m, d, a, imm); continue; // srai
          case 11: integer.add(m, d, a, b); continue; // add
          case 12: integer.sub(m, d, a, b); continue; // sub
          case 13: integer.sll(m, d, a, b); continue; // sll
          case 14: integer.slt(m, d, a, b); continue; // slt
          case 15: integer.sltu(m, d, a, b); continue; // sltu
          case 16: integer.xor(m, d, a, b); continue; // xor
          case 17: integer.srl(m, d, a, b); continue; // srl
          case 18: integer.sra(m, d, a, b); continue; // sra
          case 19: integer.or(m, d, a, b); continue; // or
          case 20: integer.and(m, d, a, b); continue; // and
          case 21: integer.addiw(m, d, a, imm); continue; // addiw
          case 22: integer.slliw(m, d, a, imm); continue; // slliw
          case 23: integer.srliw(m, d, a, imm); continue; // srliw
          case 24: integer.sraiw(m, d, a, imm); continue; // sraiw
          case 25: integer.addw(m, d, a, b); continue; // addw
          case 26: integer.subw(m, d, a, b); continue; // subw
          case 27: integer.sllw(m, d, a, b); continue; // sllw
          case 28: integer.srlw(m, d, a, b); continue; // srlw
          case 29: integer.sraw(m, d, a, b); continue; // sraw

          case 30: case 31: case 32: case 33: case 34: case 35: case 36: case 129: case 159: { // lb lh lw ld lbu lhu lwu flw fld
            const base = m[a]!, low = (base + imm) | 0;
            const high = (m[a + 1]! + (imm >> 31) + ((low >>> 0) < (base >>> 0) ? 1 : 0)) | 0;
            const entry = (low >>> 10) & 0xffc;
            if (read[entry] !== (low & extras[k]!) || read[entry + 1] !== high) break;
            lookups[1 /* Access.Load */]!++;
            f64[read[entry + 3]! >>> 3] = stampBase + 2 * k;
            const at = (low + read[entry + 2]!) | 0;
            switch (operation & 255) {
              case 33: case 159: m[d] = i32[at >>> 2]!; m[d + 1] = i32[(at >>> 2) + 1]!; continue; // ld fld
              case 32: m[d] = i32[at >>> 2]!; m[d + 1] = m[d]! >> 31; continue; // lw
              case 34: m[d] = u8[at >>> 0]!; m[d + 1] = 0; continue; // lbu
              case 35: m[d] = u16[at >>> 1]!; m[d + 1] = 0; continue; // lhu
              case 36: m[d] = i32[at >>> 2]!; m[d + 1] = 0; continue; // lwu
              case 30: m[d] = i8[at >>> 0]!; m[d + 1] = m[d]! >> 31; continue; // lb
              case 31: m[d] = i16[at >>> 1]!; m[d + 1] = m[d]! >> 31; continue; // lh
              default: m[d] = i32[at >>> 2]!; m[d + 1] = -1; continue; // flw: boxed
            }
          }
          case 37: case 38: case 39: case 40: case 130: case 160: { // sb sh sw sd fsw fsd
            const base = m[a]!, low = (base + imm) | 0;
            const high = (m[a + 1]! + (imm >> 31) + ((low >>> 0) < (base >>> 0) ? 1 : 0)) | 0;
            const entry = (low >>> 10) & 0xffc;
            if (write[entry] !== (low & extras[k]!) || write[entry + 1] !== high) break;
            lookups[2 /* Access.Store */]!++;
            f64[write[entry + 3]! >>> 3] = stampBase + 2 * k;
            const at = (low + write[entry + 2]!) | 0;
            switch (operation & 255) {
              case 40: case 160: i32[at >>> 2] = m[b]!; i32[(at >>> 2) + 1] = m[b + 1]!; continue; // sd fsd
              case 39: case 130: i32[at >>> 2] = m[b]!; continue; // sw fsw
              case 37: u8[at >>> 0] = m[b]!; continue; // sb
              default: u16[at >>> 1] = m[b]!; continue; // sh
            }
          }

          // A branch that is not taken stays in the block.
          case 41: if (m[a] !== m[b] || m[a + 1] !== m[b + 1]) continue; delta = imm; k++; break walk; // beq
          case 42: if (m[a] === m[b] && m[a + 1] === m[b + 1]) continue; delta = imm; k++; break walk; // bne
          case 43: if (!integer.less(m, a, b)) continue; delta = imm; k++; break walk; // blt
          case 44: if (integer.less(m, a, b)) continue; delta = imm; k++; break walk; // bge
          case 45: if (!integer.lessUnsigned(m, a, b)) continue; delta = imm; k++; break walk; // bltu
          case 46: if (integer.lessUnsigned(m, a, b)) continue; delta = imm; k++; break walk; // bgeu
          case 47: { // jal
            const link = (pcLo + ends[k]!) | 0;
            m[d] = link;
            m[d + 1] = pcHi + ((link >>> 0) < (pcLo >>> 0) ? 1 : 0);
            delta = imm;
            k++;
            break walk;
          }
          case 48: { // jalr: the target is made before the link, for rd may be rs1; bit 0 is dropped
            const base = m[a]!, sum = (base + imm) | 0;
            const high = (m[a + 1]! + (imm >> 31) + ((sum >>> 0) < (base >>> 0) ? 1 : 0)) | 0;
            const link = (pcLo + ends[k]!) | 0;
            m[d] = link;
            m[d + 1] = pcHi + ((link >>> 0) < (pcLo >>> 0) ? 1 : 0);
            pcLo = sum & ~1;
            pcHi = high;
            delta = 0;
            k++;
            break walk;
          }
          case 49: continue; // fence: one hart, memory in order
          case 52: integer.mul(m, d, a, b); continue; // mul
          case 53: integer.mulh(m, d, a, b); continue; // mulh
          case 54: integer.mulhsu(m, d, a, b); continue; // mulhsu
          case 55: integer.mulhu(m, d, a, b); continue; // mulhu
          case 56: integer.div(m, d, a, b); continue; // div
          case 57: integer.divu(m, d, a, b); continue; // divu
          case 58: integer.rem(m, d, a, b); continue; // rem
          case 59: integer.remu(m, d, a, b); continue; // remu
          case 60: integer.mulw(m, d, a, b); continue; // mulw
          case 61: integer.divw(m, d, a, b); continue; // divw
          case 62: integer.divuw(m, d, a, b); continue; // divuw
          case 63: integer.remw(m, d, a, b); continue; // remw
          case 64: integer.remuw(m, d, a, b); continue; // remuw
          case 65: integer.sh1add(m, d, a, b); continue; // sh1add
          case 66: integer.sh2add(m, d, a, b); continue; // sh2add
          case 67: integer.sh3add(m, d, a, b); continue; // sh3add
          case 68: integer.addUw(m, d, a, b); continue; // add.uw
          case 69: integer.sh1addUw(m, d, a, b); continue; // sh1add.uw
          case 70: integer.sh2addUw(m, d, a, b); continue; // sh2add.uw
          case 71: integer.sh3addUw(m, d, a, b); continue; // sh3add.uw
          case 72: integer.slliUw(m, d, a, imm); continue; // slli.uw
          case 73: integer.andn(m, d, a, b); continue; // andn
          case 74: integer.orn(m, d, a, b); continue; // orn
          case 75: integer.xnor(m, d, a, b); continue; // xnor
          case 76: integer.clz(m, d, a); continue; // clz
          case 77: integer.ctz(m, d, a); continue; // ctz
          case 78: integer.cpop(m, d, a); continue; // cpop
          case 79: integer.clzw(m, d, a); continue; // clzw
          case 80: integer.ctzw(m, d, a); continue; // ctzw
          case 81: integer.cpopw(m, d, a); continue; // cpopw
          case 82: integer.min(m, d, a, b); continue; // min
          case 83: integer.minu(m, d, a, b); continue; // minu
          case 84: integer.max(m, d, a, b); continue; // max
          case 85: integer.maxu(m, d, a, b); continue; // maxu
          case 86: integer.sextB(m, d, a); continue; // sext.b
          case 87: integer.sextH(m, d, a); continue; // sext.h
          case 88: integer.zextH(m, d, a); continue; // zext.h
          case 89: integer.rol(m, d, a, b); continue; // rol
          case 90: integer.ror(m, d, a, b); continue; // ror
          case 91: integer.rolw(m, d, a, b); continue; // rolw
          case 92: integer.rorw(m, d, a, b); continue; // rorw
          case 93: integer.rori(m, d, a, imm); continue; // rori
          case 94: integer.roriw(m, d, a, imm); continue; // roriw
          case 95: integer.orcB(m, d, a); continue; // orc.b
          case 96: integer.rev8(m, d, a); continue; // rev8
          case 97: integer.bclr(m, d, a, b); continue; // bclr
          case 98: integer.bext(m, d, a, b); continue; // bext
          case 99: integer.binv(m, d, a, b); continue; // binv
          case 100: integer.bset(m, d, a, b); continue; // bset
          case 101: integer.bclri(m, d, a, imm); continue; // bclri
          case 102: integer.bexti(m, d, a, imm); continue; // bexti
          case 103: integer.binvi(m, d, a, imm); continue; // binvi
          case 104: integer.bseti(m, d, a, imm); continue; // bseti
          case 105: integer.czeroEqz(m, d, a, b); continue; // czero.eqz
          case 106: integer.czeroNez(m, d, a, b); continue; // czero.nez

          // Doubles: the places of words, halved, are those of doubles.
          case 161: if (roundsToNearest(hart, imm) && fuseDoubles(hart, doubles, d >> 1, a >> 1, b >> 1, extras[k]! >> 1, 1, 1)) continue; break; // fmadd.d
          case 162: if (roundsToNearest(hart, imm) && fuseDoubles(hart, doubles, d >> 1, a >> 1, b >> 1, extras[k]! >> 1, 1, -1)) continue; break; // fmsub.d
          case 163: if (roundsToNearest(hart, imm) && fuseDoubles(hart, doubles, d >> 1, a >> 1, b >> 1, extras[k]! >> 1, -1, 1)) continue; break; // fnmsub.d
          case 164: if (roundsToNearest(hart, imm) && fuseDoubles(hart, doubles, d >> 1, a >> 1, b >> 1, extras[k]! >> 1, -1, -1)) continue; break; // fnmadd.d
          case 165: if (roundsToNearest(hart, imm) && addDoubles(hart, doubles, d >> 1, a >> 1, b >> 1)) continue; break; // fadd.d
          case 166: if (roundsToNearest(hart, imm) && subDoubles(hart, doubles, d >> 1, a >> 1, b >> 1)) continue; break; // fsub.d
          case 167: if (roundsToNearest(hart, imm) && mulDoubles(hart, doubles, d >> 1, a >> 1, b >> 1)) continue; break; // fmul.d
          case 168: if (roundsToNearest(hart, imm) && divDoubles(hart, doubles, d >> 1, a >> 1, b >> 1)) continue; break; // fdiv.d
          case 170: { // fsgnj.d
            const low = m[a]!;
            m[d + 1] = (m[a + 1]! & 0x7fffffff) | (m[b + 1]! & ~0x7fffffff);
            m[d] = low;
            continue;
          }
          case 175: if (areNumbers(doubles, a >> 1, b >> 1)) { m[d] = doubles[a >> 1] === doubles[b >> 1] ? 1 : 0; m[d + 1] = 0; continue; } break; // feq.d
          case 176: if (areNumbers(doubles, a >> 1, b >> 1)) { m[d] = doubles[a >> 1]! < doubles[b >> 1]! ? 1 : 0; m[d + 1] = 0; continue; } break; // flt.d
          case 177: if (areNumbers(doubles, a >> 1, b >> 1)) { m[d] = doubles[a >> 1]! <= doubles[b >> 1]! ? 1 : 0; m[d + 1] = 0; continue; } break; // fle.d
          default:
          }
          // Other floating point traps only where its rounding mode is reserved, and looks at no counter.
          if (isFloat[operation & 255] === 1 && executeFloat(hart, decoded[k]!)) continue;

          // ---- What is rare, traps, or looks at counters; and accesses that the filter did not answer. All counts are brought up to date first.
          const before = k - start;
          if (before >= counted) {
            lookups[0 /* Access.Fetch */]! += before + 1 - counted;
            f64[stamp] = stampAt(tick + before);
            counted = before + 1;
          }
          mmu.tick = tick + before;
          hart.instret = tick + before - traps;
          hart.pcLo = (pcLo + starts[k]!) | 0;
          hart.pcHi = pcHi;
          const outcome = settleWatch(this, decoded[k]!, meanings[operation & 255]!(this, decoded[k]!));
          if (outcome === Outcome.Trap) {
            tick += before;
            pcLo = hart.pcLo;
            break run;
          }
          if (outcome === Outcome.Leave || exec[slot] !== page || exec[slot + 1] !== pcHi || exec[slot + 3]! >>> 3 !== stamp) {
            k++;
            break;
          }
        }
        delta = ends[k - 1]!;
      }

      // ---- The block is done, to its end or to a jump.
      const done = k - start;
      if (done > counted) {
        lookups[0 /* Access.Fetch */]! += done - counted;
        f64[stamp] = stampAt(tick + done - 1);
      }
      tick += done;
      left -= done;
      const nextLo = (pcLo + delta) | 0;
      pcHi = (pcHi + (delta >> 31) + ((nextLo >>> 0) < (pcLo >>> 0) ? 1 : 0)) | 0;
      pcLo = nextLo;
    }

    hart.pcLo = pcLo;
    hart.pcHi = pcHi;
    hart.instret = tick - traps;
    if (exit.kind === ExitKind.Trap) hart.traps = traps + 1;
    else if (mmu.watch !== null && mmu.watch.hits.length > 0) exit.breakpoint();
    return exit;
  }
}

/** The second half of a 32-bit instruction at the end of a page: a look-up of its own, behind the first. @param host of the first half
 *  @returns place of the one-instruction block; NO_HOST: the second page faulted, core.exit says how (stval is pc + 2) */
export function fetchStraddling(core: Core, host: number, pcHi: number, pcLo: number, tick: number): number {
  const { mmu, blocks, exit, ram } = core;
  const nextLo = (pcLo + 2) | 0;
  const nextHi = (pcHi + (nextLo === 0 ? 1 : 0)) | 0;
  mmu.tick = tick;
  const second = mmu.lookup(nextHi, nextLo, Access.Fetch, true);
  if (second === NO_HOST) {
    exit.fault(mmu.fault);
    return NO_HOST;
  }
  const { view } = ram.arena;
  return blocks.findStraddling(view.getUint16(host >>> 0, true) | (view.getUint16(second >>> 0, true) << 16));
}
