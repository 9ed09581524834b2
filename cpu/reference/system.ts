// Instructions that talk to the system: ecall and ebreak, CSRs, and those of the privileged architecture. Here: what they do in U mode, the one
// privilege this hart runs in; supervisor instructions are decoded and illegal. Not here: the registers themselves (csr.ts).
import { X_SINK } from '../hart.ts';
import { csrIsReadOnly, csrOf, csrPrivilege } from '../csr.ts';
import { INSTRUCTIONS } from '../isa/table.ts';
import { Cause } from '../trap.ts';
import { Outcome } from './core.ts';
import type { Meaning } from './core.ts';

const ecall: Meaning = (core) => {
  core.exit.trap(Cause.EcallFromU, 0, 0);
  return Outcome.Trap;
};
/** stval is the address of the ebreak itself. */
const ebreak: Meaning = (core) => {
  core.exit.trap(Cause.Breakpoint, core.hart.pcHi, core.hart.pcLo);
  return Outcome.Trap;
};
export const illegal: Meaning = (core, d) => {
  core.exit.illegal(d.bits);
  return Outcome.Trap;
};
/** fence, fence.i: one hart, memory in order, and stores are visible to fetch at once. */
const nothing: Meaning = () => Outcome.Next;

const old = new Int32Array(2);
type Combine = (old: number, source: number) => number;

/** @param combine the new value; csrrw and csrrwi (`always`) write even from x0 or 0, the others then only read */
const csrAccess = (combine: Combine, always: boolean, immediate: boolean): Meaning => (core, d) => {
  const { hart } = core;
  const csr = csrOf(d.imm);
  const writes = always || d.rs1 !== 0;
  if (csr === undefined || csrPrivilege(d.imm) > hart.privilege) return illegal(core, d);
  if (writes && (csrIsReadOnly(d.imm) || csr.write === undefined)) return illegal(core, d);
  csr.read(hart, core.clocks, old);
  const low = old[0]!;
  const high = old[1]!;
  if (writes) csr.write!(hart, combine(low, immediate ? d.rs1 : hart.xHalves[2 * d.rs1]!));
  const to = 2 * (d.rd === 0 ? X_SINK : d.rd);
  hart.xAndSink[to] = low;
  hart.xAndSink[to + 1] = high;
  return Outcome.Next;
};

const swap: Combine = (_old, source) => source;
const set: Combine = (was, source) => was | source;
const clear: Combine = (was, source) => was & ~source;

const meanings: Readonly<Record<string, Meaning>> = {
  ecall, ebreak, fence: nothing, 'fence.i': nothing,
  csrrw: csrAccess(swap, true, false), csrrs: csrAccess(set, false, false), csrrc: csrAccess(clear, false, false),
  csrrwi: csrAccess(swap, true, true), csrrsi: csrAccess(set, false, true), csrrci: csrAccess(clear, false, true),
  sret: illegal, mret: illegal, wfi: illegal, 'sfence.vma': illegal, 'sinval.vma': illegal, 'sfence.w.inval': illegal, 'sfence.inval.ir': illegal,
};
/** The meaning of a system instruction, or null. */
export const systemMeaning = (op: number): Meaning | null => meanings[INSTRUCTIONS[op]!.name] ?? null;
