// The system call table of riscv64: number, name, argument kinds, handler. Dispatcher, strace and the support page read it.
// Not here: the handlers, which stand in a file a subject.
import { bug } from '#base';
import { fileSyscalls } from './files.ts';
import { futexSyscalls } from './futex.ts';
import { memorySyscalls } from './memory.ts';
import { miscSyscalls } from './misc.ts';
import { pidfdSyscalls } from './pidfd.ts';
import { pollSyscalls } from './poll.ts';
import { prctlSyscalls } from './prctl.ts';
import { processMemorySyscalls } from './process-memory.ts';
import { processSyscalls } from './process.ts';
import { resourceSyscalls } from './resource.ts';
import type { SyscallRow } from './row.ts';
import { shmSyscalls } from './shm.ts';
import { signalSyscalls } from './signal.ts';
import { spliceSyscalls } from './splice.ts';
import { swapSyscalls } from './swap.ts';
import { timeSyscalls } from './time.ts';
export { Interrupted, NO_RESULT } from './row.ts';
export type { SyscallHandler, SyscallRow } from './row.ts';
export { syscallName, syscallNames } from './names.ts';

/** By number; a hole is a call that answers ENOSYS. */
export const syscallTable: readonly (SyscallRow | undefined)[] = join([
  memorySyscalls, shmSyscalls, processSyscalls, resourceSyscalls, prctlSyscalls, signalSyscalls, timeSyscalls, futexSyscalls, miscSyscalls,
  fileSyscalls, pollSyscalls, pidfdSyscalls, processMemorySyscalls, spliceSyscalls, swapSyscalls,
]);

function join(parts: readonly (readonly SyscallRow[])[]): (SyscallRow | undefined)[] {
  const table: (SyscallRow | undefined)[] = [];
  for (const row of parts.flat()) {
    if (table[row.nr] !== undefined) bug(`system call ${row.nr} is both ${table[row.nr]!.name} and ${row.name}`);
    table[row.nr] = row;
  }
  return table;
}
