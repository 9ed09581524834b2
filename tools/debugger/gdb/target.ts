// What the target is, as gdb is told: registers with gdb's own numbers, and where each stands. Here: the description (target.xml and its parts), reading
// and writing registers of a task. Numbers: riscv-mmu.md section 11; gdb's riscv-tdep.h has them as constants.
import { fName, xName } from '#cpu';
import type { Task } from '#kernel';
import type { Session } from '../../boot.ts';
import { registersOf } from '../programs.ts';

/** gdb numbers CSR n as this plus n. */
const FIRST_CSR = 65;
const [PC, F0, FFLAGS, FRM, FCSR] = [32, 33, FIRST_CSR + 1, FIRST_CSR + 2, FIRST_CSR + 3] as const;
const PRIV = FIRST_CSR + 4096;
/** Places in a task's context: pc, x1..x31, f0..f31, fcsr. */
const [CONTEXT_F0, CONTEXT_FCSR] = [32, 64] as const;

export interface Register {
  /** gdb's. */
  readonly number: number;
  readonly name: string;
  readonly bytes: 4 | 8;
  readonly type: string;
  readonly read: (session: Session, task: Task) => bigint;
  /** Absent: read-only. */
  readonly write?: (context: BigInt64Array, word: bigint) => void;
}

const atPlace = (place: number): Pick<Register, 'read' | 'write'> => ({
  read: (session, task) => registersOf(session, task)[place]!,
  write: (context, word) => { context[place] = word; },
});
const xTypes: Readonly<Record<number, string>> = { 1: 'code_ptr', 2: 'data_ptr', 3: 'data_ptr', 4: 'data_ptr', 8: 'data_ptr' };
const integers: readonly Register[] = [
  { number: 0, name: 'zero', bytes: 8, type: 'int', read: () => 0n, write: () => undefined },
  ...Array.from({ length: 31 }, (_, i): Register => ({ number: i + 1, name: i + 1 === 8 ? 'fp' : xName(i + 1), bytes: 8, type: xTypes[i + 1] ?? 'int', ...atPlace(i + 1) })),
  { number: PC, name: 'pc', bytes: 8, type: 'code_ptr', ...atPlace(0) },
];
const fcsr = (session: Session, task: Task): bigint => registersOf(session, task)[CONTEXT_FCSR]!;
const floats: readonly Register[] = [
  ...Array.from({ length: 32 }, (_, i): Register => ({ number: F0 + i, name: fName(i), bytes: 8, type: 'riscv_double', ...atPlace(CONTEXT_F0 + i) })),
  { number: FFLAGS, name: 'fflags', bytes: 4, type: 'int', read: (s, t) => fcsr(s, t) & 31n, write: (c, w) => { c[CONTEXT_FCSR] = (c[CONTEXT_FCSR]! & ~31n) | (w & 31n); } },
  { number: FRM, name: 'frm', bytes: 4, type: 'int', read: (s, t) => (fcsr(s, t) >> 5n) & 7n, write: (c, w) => { c[CONTEXT_FCSR] = (c[CONTEXT_FCSR]! & 31n) | ((w & 7n) << 5n); } },
  { number: FCSR, name: 'fcsr', bytes: 4, type: 'int', read: fcsr, write: (c, w) => { c[CONTEXT_FCSR] = w & 255n; } },
];
const SATP_MODES = { 39: 8n, 48: 9n, 57: 10n } as const;
/** Counters of the hart; and satp, which is the task's own whoever is on the hart. */
const csrs: readonly Register[] = [
  csr(0x180, 'satp', ({ machine }, { mm }) => (SATP_MODES[machine.sv] << 60n) | (BigInt(mm.asid) << 44n) | BigInt(mm.root)),
  csr(0xc00, 'cycle', ({ machine }) => BigInt(Math.floor(machine.clockCycles))),
  csr(0xc01, 'time', ({ machine }) => BigInt(Math.floor(machine.time))),
  csr(0xc02, 'instret', ({ machine }) => BigInt(machine.instret)),
];
function csr(number: number, name: string, read: (session: Session, task: Task) => bigint): Register {
  return { number: FIRST_CSR + number, name, bytes: 8, type: 'int', read };
}
const virtual: readonly Register[] = [{ number: PRIV, name: 'priv', bytes: 8, type: 'int', read: () => 0n }];

/** What the g packet holds, in its order. */
export const generalRegisters: readonly Register[] = [...integers, ...floats];
const byNumber = new Map([...generalRegisters, ...csrs, ...virtual].map((register) => [register.number, register]));
export const registerOf = (number: number): Register | undefined => byNumber.get(number);
export const [SP_NUMBER, FP_NUMBER, PC_NUMBER] = [2, 8, PC] as const;

/** Changes registers of a task. On the hart or not, they are its own from then on; a system call that it sleeps in is given up if it is to go on
 *  elsewhere. */
export function changeRegisters({ kernel, machine }: Session, task: Task, change: (context: BigInt64Array) => void): void {
  const isLoaded = kernel.loadedTask === task;
  if (isLoaded) machine.saveContext(task.context);
  const pc = task.context[0];
  change(task.context);
  if (task.context[0] !== pc && task.pendingCall !== null) {
    task.pendingCall = null;
    task.restart = null;
    task.cancelSleep();
  }
  if (isLoaded) machine.loadContext(task.context);
}

// --- target.xml ---

const HEAD = '<?xml version="1.0"?>\n<!DOCTYPE';
function feature(name: string, registers: readonly Register[], types = ''): string {
  const rows = registers.map((r) => `  <reg name="${r.name}" bitsize="${8 * r.bytes}" type="${r.type}" regnum="${r.number}"/>\n`).join('');
  return `${HEAD} feature SYSTEM "gdb-target.dtd">\n<feature name="org.gnu.gdb.riscv.${name}">\n${types}${rows}</feature>\n`;
}
const union = '  <union id="riscv_double">\n    <field name="float" type="ieee_single"/>\n    <field name="double" type="ieee_double"/>\n  </union>\n';
/** The documents that qXfer:features:read gives. */
export const descriptions: ReadonlyMap<string, string> = new Map([
  ['target.xml', `${HEAD} target SYSTEM "gdb-target.dtd">\n<target>\n  <architecture>riscv:rv64</architecture>\n  <osabi>GNU/Linux</osabi>\n${
    ['cpu', 'fpu', 'csr', 'virtual'].map((name) => `  <xi:include href="riscv-64bit-${name}.xml"/>\n`).join('')}</target>\n`.replace('<target>', '<target xmlns:xi="http://www.w3.org/2001/XInclude">')],
  ['riscv-64bit-cpu.xml', feature('cpu', integers)],
  ['riscv-64bit-fpu.xml', feature('fpu', floats, union)],
  ['riscv-64bit-csr.xml', feature('csr', csrs)],
  ['riscv-64bit-virtual.xml', feature('virtual', virtual)],
]);
