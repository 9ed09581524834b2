// The system call table of riscv64: number, name, argument kinds, handler. Dispatcher, strace and the support page read it.
import type { SyscallRow } from './row.ts';
export type { SyscallHandler, SyscallRow } from './row.ts';
export { Interrupted } from './row.ts';

/** By number; a hole is a call that answers ENOSYS. */
export const syscallTable: (SyscallRow | undefined)[] = [];
