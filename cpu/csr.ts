// Control and status registers, one line a register. Here: number, name, lowest privilege, and how each is read and written. Not here: the
// instructions (reference/system.ts). A register without a line does not exist: touching it is an illegal instruction.
// Today the user level's; supervisor and machine level will be further lines.
import { highHalf, lowHalf } from '#base';
import { FCSR_MASK, FFLAGS_MASK, FRM_SHIFT } from './hart.ts';
import type { Hart } from './hart.ts';

/** The clocks that CSRs show, as the machine keeps them: exact whole numbers. */
export interface Clocks {
  /** Modelled cycles since the start. */
  readonly cycles: number;
  /** Ticks of the time base. */
  readonly time: number;
}

export interface Csr {
  readonly number: number;
  readonly name: string;
  /** The value as signed halves: [low, high] of the answer go to `into[0]` and `into[1]`. */
  readonly read: (hart: Hart, clocks: Clocks, into: Int32Array) => void;
  /** Absent: read-only. Of the value only what the register has room for is kept. */
  readonly write?: (hart: Hart, low: number) => void;
}

function answer(into: Int32Array, value: number): void {
  into[0] = lowHalf(value);
  into[1] = highHalf(value);
}

const FRM_BITS = 7;
const CSRS: readonly Csr[] = [
  { number: 0x001, name: 'fflags', read: (h, _c, into) => answer(into, h.fflags), write: (h, low) => { h.fcsr = (h.fcsr & ~FFLAGS_MASK) | (low & FFLAGS_MASK); } },
  { number: 0x002, name: 'frm', read: (h, _c, into) => answer(into, h.frm), write: (h, low) => { h.fcsr = h.fflags | ((low & FRM_BITS) << FRM_SHIFT); } },
  { number: 0x003, name: 'fcsr', read: (h, _c, into) => answer(into, h.fcsr), write: (h, low) => { h.fcsr = low & FCSR_MASK; } },
  { number: 0xc00, name: 'cycle', read: (_h, c, into) => answer(into, c.cycles) },
  { number: 0xc01, name: 'time', read: (_h, c, into) => answer(into, c.time) },
  { number: 0xc02, name: 'instret', read: (h, _c, into) => answer(into, h.instret) },
];
const byNumber = new Map(CSRS.map((csr) => [csr.number, csr]));

/** The register of a number, or undefined. */
export const csrOf = (number: number): Csr | undefined => byNumber.get(number);
/** Lowest privilege that may touch a register: bits 9:8 of its number. */
export const csrPrivilege = (number: number): number => (number >>> 8) & 3;
/** Bits 11:10 both set: a write is illegal. */
export const csrIsReadOnly = (number: number): boolean => (number >>> 10) === 3;

/** Names for the disassembler: those above and the privileged ones of the spec (registers that this hart has not yet). */
const otherNames: Readonly<Record<number, string>> = {
  0x100: 'sstatus', 0x104: 'sie', 0x105: 'stvec', 0x106: 'scounteren', 0x10a: 'senvcfg', 0x140: 'sscratch', 0x141: 'sepc', 0x142: 'scause',
  0x143: 'stval', 0x144: 'sip', 0x14d: 'stimecmp', 0x180: 'satp', 0x300: 'mstatus', 0x301: 'misa', 0x302: 'medeleg', 0x303: 'mideleg',
  0x304: 'mie', 0x305: 'mtvec', 0x306: 'mcounteren', 0x30a: 'menvcfg', 0x320: 'mcountinhibit', 0x340: 'mscratch', 0x341: 'mepc',
  0x342: 'mcause', 0x343: 'mtval', 0x344: 'mip', 0x3a0: 'pmpcfg0', 0x3b0: 'pmpaddr0', 0xb00: 'mcycle', 0xb02: 'minstret',
  0xf11: 'mvendorid', 0xf12: 'marchid', 0xf13: 'mimpid', 0xf14: 'mhartid',
};
/** 'fcsr', 'satp', or '0x7c0' where there is no name. */
export const csrName = (number: number): string => csrOf(number)?.name ?? otherNames[number]
  ?? (number > 0xc02 && number < 0xc20 ? `hpmcounter${number - 0xc00}` : `0x${number.toString(16)}`);
