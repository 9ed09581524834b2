// Traps: causes, and how one leaves run(). Here: the codes of scause and the record that run() answers with. Our kernel stands outside the
// hart, so a trap ends run() with scause, stval and sepc (hart.pc) as the spec sets them; delivery through stvec and mtvec for bare-metal guests
// belongs here too, once there are those modes. Privileged spec, "Supervisor Cause Register"; riscv-mmu facts, section 6.
import type { MmuFault } from '#mmu';

/** Exception codes. */
export const Cause = {
  FetchMisaligned: 0, FetchAccess: 1, Illegal: 2, Breakpoint: 3, LoadMisaligned: 4, LoadAccess: 5, StoreMisaligned: 6, StoreAccess: 7,
  EcallFromU: 8, EcallFromS: 9, EcallFromM: 11, FetchPageFault: 12, LoadPageFault: 13, StorePageFault: 15,
} as const;
export type Cause = (typeof Cause)[keyof typeof Cause];

/** Why run() came back; the numbers are kernel/machine.ts's. */
export const ExitKind = { Trap: 0, Budget: 1, Breakpoint: 2 } as const;
export type ExitKind = (typeof ExitKind)[keyof typeof ExitKind];

/** What an instruction that traps leaves behind: cause and stval as signed halves. One record, reused. */
export class Exit {
  kind: ExitKind = ExitKind.Budget;
  cause = 0;
  tvalHi = 0;
  tvalLo = 0;

  trap(cause: number, tvalHi: number, tvalLo: number): void {
    this.kind = ExitKind.Trap;
    this.cause = cause;
    this.tvalHi = tvalHi;
    this.tvalLo = tvalLo;
  }
  /** A translation that failed. */
  fault(fault: MmuFault): void {
    this.trap(fault.cause, fault.vaHi, fault.vaLo);
  }
  /** stval of an illegal instruction: its 16 or 32 bits, zero-extended. */
  illegal(bits: number): void {
    this.trap(Cause.Illegal, 0, bits);
  }
  budget(): void {
    this.end(ExitKind.Budget);
  }
  breakpoint(): void {
    this.end(ExitKind.Breakpoint);
  }
  private end(kind: ExitKind): void {
    this.kind = kind;
    this.cause = this.tvalHi = this.tvalLo = 0;
  }
}
