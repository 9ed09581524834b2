// siginfo_t: 128 bytes that say why a signal came, laid out for riscv64 (riscv-mmu.md section 10): signo 0, errno 4, code 8, then by kind.
import type { SigInfo } from './sigset.ts';
import type { KernelTimer } from './timers.ts';

export const SIGINFO_BYTES = 128;

export const SiCode = { User: 0, Kernel: 0x80, Queue: -1, Timer: -2, MessageQueue: -3, AsyncIo: -4, SigIo: -5, Tkill: -6 } as const;
export const SegvCode = { MapErr: 1, AccErr: 2 } as const;
export const BusCode = { AdrAln: 1, AdrErr: 2 } as const;
export const IllCode = { IllOpc: 1 } as const;
export const TrapCode = { Brkpt: 1, Trace: 2 } as const;
export const ChildCode = { Exited: 1, Killed: 2, Dumped: 3, Trapped: 4, Stopped: 5, Continued: 6 } as const;

function make(signo: number, code: number, fill: (view: DataView) => void): SigInfo {
  const bytes = new Uint8Array(SIGINFO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, signo, true);
  view.setInt32(8, code, true);
  fill(view);
  return { signo, code, bytes };
}

/** A fault's signal; `addr` is what si_addr shows. */
export const faultInfo = (signo: number, code: number, addr: bigint): SigInfo => make(signo, code, (view) => view.setBigInt64(16, addr, true));

/** Sent by a program (kill, tkill) or by the kernel in its name. */
export const senderInfo = (signo: number, code: number, pid: number, uid: number): SigInfo =>
  make(signo, code, (view) => {
    view.setInt32(16, pid, true);
    view.setUint32(20, uid, true);
  });
export const kernelInfo = (signo: number): SigInfo => senderInfo(signo, SiCode.Kernel, 0, 0);

/** SIGCHLD's. @param status exit code, or the signal that killed, stopped or continued the child; times in clock ticks of 10 ms */
export const childInfo = (signo: number, code: number, pid: number, uid: number, status: number, utime: number, stime: number): SigInfo =>
  make(signo, code, (view) => {
    view.setInt32(16, pid, true);
    view.setUint32(20, uid, true);
    view.setInt32(24, status, true);
    view.setBigInt64(32, BigInt(Math.floor(utime)), true);
    view.setBigInt64(40, BigInt(Math.floor(stime)), true);
  });

/** A POSIX timer's; overruns are filled in when it is taken. */
export const timerInfo = (timer: KernelTimer): SigInfo => ({
  ...make(timer.signo, SiCode.Timer, (view) => {
    view.setInt32(16, timer.id, true);
    view.setBigInt64(24, timer.value, true);
  }),
  timer,
});

/** rt_sigqueueinfo(2): the program wrote it itself; signo is forced to what was asked. */
export function givenInfo(signo: number, bytes: Uint8Array): SigInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SIGINFO_BYTES);
  view.setInt32(0, signo, true);
  return { signo, code: view.getInt32(8, true), bytes };
}
