// #kernel: Linux's memory management, and enough of the rest of Linux to run ordinary static programs over it. Imports #base and the layouts of #mmu.
//
// Reading order, which is the order of one page fault and then of one system call:
//   machine.ts          the hardware, as an interface
//   params.ts           every tunable and every cost, with Linux's name, default and source; plant.ts bugs on purpose, for tests
//   kernel.ts           what a running kernel consists of; boot, the state hash
//   entry.ts            the loop: pick a task, run, take the Exit, then fault, system call, signal or schedule
//   mm/fault.ts         handlePageFault, handleMmFault: the decision; mm/index.ts has the rest of mm's order
//   block/index.ts      disks: from a request to its end on the modelled clock
//   proc/task.ts        a task, process.ts what the threads of a program share; sched.ts who runs; wait.ts sleeping
//   proc/fork.ts        new tasks; exec.ts new programs (elf.ts judges the file, load.ts maps it, vdso.ts); exit.ts, waitpid.ts, oom.ts the end
//   proc/signal.ts      sending and taking signals (sigset.ts, siginfo.ts the data; sigframe.ts what handlers see); timers.ts, expiry.ts; futex.ts
//   syscall/table.ts    number, name, argument kinds, handler: dispatcher, strace and the support page read it
//   syscall/dispatch.ts from an ecall to its answer: sleeping calls, and what signals do to them
//   syscall/*.ts        the handlers, a file a subject
//   ipc/shm.ts          System V shared memory: segments by key and number
//   fs/vfs.ts           paths, inodes, mounts; tmpfs.ts, pipe.ts, dev.ts, procfs/, sysfs.ts
//
// One store to untouched anonymous memory on paper. machine.run() returns Trap, cause 15, tval. entry.ts asks handlePageFault(task, va, Write,
// user): mm.findVma(va); rights; handleMmFault; the PTE is none and the VMA anonymous -> doAnonymousPage: order from the per-size controls,
// folio from the buddy, zeroed, counted, PTEs stored through machine.storePte, fence; Done. entry.ts returns to user mode, machine.run()
// executes the same store again and walks to the new PTE. The fault record holds every phase with its reason.
//
// Kernel state is plain data (typed columns, objects, arrays; no closures, promises or generators), so that it can be hashed and one day
// copied: a blocking system call is not a suspended function. Its handler returns BLOCK (proc/wait.ts) and runs again, from its arguments, when woken.
export * from './machine.ts';
export * from './params.ts';
export * from './plant.ts';
export * from './kernel.ts';
export { Cause, schedSwitch } from './entry.ts';
export * from './block/index.ts';
export * from './mm/index.ts';
export type { GroupFile } from './fs/cgroupfs.ts';
export { pathOf } from './fs/dentry.ts';
export { Console } from './fs/console.ts';
export type { ConsoleOptions, OutputChunk } from './fs/console.ts';
export { schedProcessExec } from './proc/exec.ts';
export { schedProcessExit } from './proc/exit.ts';
export { schedProcessFork } from './proc/fork.ts';
export { Process } from './proc/process.ts';
export { Task, TaskState } from './proc/task.ts';
export type { AltStack, FaultCounts, PendingCall } from './proc/task.ts';
export { signalDeliver, signalGenerate } from './proc/signal.ts';
export { sigBit, Signal, signalName } from './proc/sigset.ts';
export { sendToTask } from './proc/signal.ts';
export { kernelInfo } from './proc/siginfo.ts';
export { processUsage, taskUsage, totalUsage } from './proc/usage.ts';
export type { Usage } from './proc/usage.ts';
export { BLOCK, WaitQueue } from './proc/wait.ts';
export { sysEnter, sysExit } from './syscall/dispatch.ts';
export { Errno, errnoName } from './syscall/errno.ts';
export { syscallName, syscallNames, syscallTable } from './syscall/table.ts';
export type { SyscallHandler, SyscallRow } from './syscall/table.ts';
