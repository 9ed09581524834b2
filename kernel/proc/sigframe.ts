// The signal frame: what a handler finds on its stack, and what rt_sigreturn(2) reads back. 1088 bytes at a 16-aligned sp: siginfo 0, ucontext
// 128 (flags 0, link 8, stack 16, sigmask 40, mcontext 176: pc, x1..x31, f0..f31, fcsr, extensions). Layout: riscv-mmu.md section 10.
// Mirrors arch/riscv/kernel/signal.c: setup_rt_frame(), restore_sigcontext().
import { CONTEXT_F0, CONTEXT_FCSR } from '../machine.ts';
import { setBlocked } from './signal.ts';
import { SaFlag, sigBit } from './sigset.ts';
import type { SigInfo, SignalAction } from './sigset.ts';
import type { AltStack, Task } from './task.ts';
import { VDSO_SIGRETURN } from './vdso.ts';

export const FRAME_BYTES = 1088;
const UCONTEXT = 128;
const UC_STACK = UCONTEXT + 16;
const UC_SIGMASK = UCONTEXT + 40;
const GREGS = UCONTEXT + 176;
const FPREGS = GREGS + 256;
const FCSR = FPREGS + 256;
/** A word that must be zero, then the header of the extension records: 0, 0 ends them. */
const RESERVED = FPREGS + 516;
const END_HEADER = FPREGS + 520;

export const SsFlag = { OnStack: 1, Disable: 2, AutoDisarm: 0x8000_0000 } as const;
const SP = 2;

export const isOnAltStack = (alt: AltStack, sp: number): boolean =>
  (alt.flags & SsFlag.AutoDisarm) === 0 && alt.size !== 0 && sp > alt.sp && sp - alt.sp <= alt.size;

/** Makes the task run a handler: writes the frame and points the context at the handler. The context is t.context, not the hart.
 *  @param mask what the handler's end restores @returns false when the stack cannot take the frame (then nothing has changed) */
export function pushSignalFrame(t: Task, info: SigInfo, action: SignalAction, mask: bigint): boolean {
  const c = t.context;
  const sp = framePointer(t, Number(c[SP]!), action);
  if (sp === null) return false;
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(info.bytes);
  view.setBigUint64(UC_STACK, BigInt(t.altStack.sp), true);
  view.setInt32(UC_STACK + 8, t.altStack.flags | 0, true);
  view.setBigUint64(UC_STACK + 16, BigInt(t.altStack.size), true);
  view.setBigUint64(UC_SIGMASK, mask, true);
  for (let i = 0; i < 32; i++) view.setBigInt64(GREGS + 8 * i, c[i]!, true);
  for (let i = 0; i < 32; i++) view.setBigInt64(FPREGS + 8 * i, c[CONTEXT_F0 + i]!, true);
  view.setUint32(FCSR, Number(c[CONTEXT_FCSR]! & 0xffn), true);
  if (!t.user.write(sp, bytes)) return false;

  c[0] = BigInt.asIntN(64, BigInt(action.handler));
  c[1] = BigInt(t.process.vdso + VDSO_SIGRETURN);
  c[SP] = BigInt(sp);
  c[10] = BigInt(info.signo);
  c[11] = BigInt(sp);
  c[12] = BigInt(sp + UCONTEXT);
  if ((t.altStack.flags & SsFlag.AutoDisarm) !== 0) t.altStack = { sp: 0, size: 0, flags: SsFlag.Disable };
  const own = (action.flags & SaFlag.NoDefer) === 0 ? sigBit(info.signo) : 0n;
  setBlocked(t, t.blocked | action.mask | own);
  return true;
}

/** Where the frame goes: below sp, or at the top of the alternate stack; null when it would leave the alternate stack. */
function framePointer(t: Task, sp: number, action: SignalAction): number | null {
  const alt = t.altStack;
  if (isOnAltStack(alt, sp) && !isOnAltStack(alt, sp - FRAME_BYTES)) return null; // overflow: better a SIGSEGV than corruption
  const wantsAlt = (action.flags & SaFlag.OnStack) !== 0 && alt.size !== 0 && !isOnAltStack(alt, sp);
  const top = wantsAlt ? alt.sp + alt.size : sp;
  const at = Math.floor((top - FRAME_BYTES) / 16) * 16;
  return at >= 0 && Number.isSafeInteger(at) ? at : null;
}

/** rt_sigreturn: context, mask and alternate stack as the frame at sp says. @returns false for a frame that cannot be one (SIGSEGV) */
export function popSignalFrame(t: Task): boolean {
  const bytes = new Uint8Array(FRAME_BYTES);
  const sp = Number(t.context[SP]!);
  if (sp < 0 || !t.user.read(sp, bytes)) return false;
  const view = new DataView(bytes.buffer);
  if (view.getUint32(RESERVED, true) !== 0 || view.getUint32(END_HEADER, true) !== 0 || view.getUint32(END_HEADER + 4, true) !== 0) return false;
  setBlocked(t, view.getBigUint64(UC_SIGMASK, true));
  for (let i = 0; i < 32; i++) t.context[i] = view.getBigInt64(GREGS + 8 * i, true);
  t.context[0]! &= ~1n; // sepc has no bit 0
  for (let i = 0; i < 32; i++) t.context[CONTEXT_F0 + i] = view.getBigInt64(FPREGS + 8 * i, true);
  t.context[CONTEXT_FCSR] = BigInt(view.getUint32(FCSR, true) & 0xff);
  const restored = { sp: word(view, UC_STACK), flags: view.getInt32(UC_STACK + 8, true), size: word(view, UC_STACK + 16) };
  setAltStack(t, restored, Number(t.context[SP]!)); // as Linux does, without minding an error
  return true;
}
const word = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

export const MINSIGSTKSZ = 2048;
export type AltStackError = 'ok' | 'on-stack' | 'bad-flags' | 'too-small';
/** Sets the alternate stack, as sigaltstack(2) does for a program whose stack pointer is `sp`. */
export function setAltStack(t: Task, to: AltStack, sp: number): AltStackError {
  if (isOnAltStack(t.altStack, sp)) return 'on-stack';
  const mode = to.flags & ~SsFlag.AutoDisarm;
  if (mode !== 0 && mode !== SsFlag.OnStack && mode !== SsFlag.Disable) return 'bad-flags';
  if (mode === SsFlag.Disable) t.altStack = { sp: 0, size: 0, flags: to.flags };
  else if (to.size < MINSIGSTKSZ) return 'too-small';
  else t.altStack = { sp: to.sp, size: to.size, flags: to.flags };
  return 'ok';
}
