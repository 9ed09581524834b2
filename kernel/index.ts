// #kernel: Linux's memory management, and enough of the rest of Linux to run ordinary static programs over it. Imports #base and the layouts of #mmu.
//
// Reading order, which is the order of one page fault and then of one system call:
//   machine.ts          the hardware, as an interface
//   params.ts           every tunable and every cost, with Linux's name, default and source
//   kernel.ts           what a running kernel consists of; boot, the state hash
//   entry.ts            the loop: pick a task, run, take the Exit, then fault, system call, signal or schedule
//   mm/fault.ts         handlePageFault, handleMmFault: the decision; mm/index.ts has the rest of mm's order
//   proc/task.ts        a task; sched.ts who runs; fork.ts, exec.ts (elf.ts), exit.ts, signal.ts, futex.ts, wait.ts
//   syscall/table.ts    number, name, argument kinds, handler: dispatcher, strace and the support page read it
//   syscall/*.ts        the handlers: memory, process, signal, time (proc's side); files, poll (fs's side)
//   fs/vfs.ts           paths, inodes, mounts; tmpfs.ts, pipe.ts, dev.ts, procfs/, sysfs.ts
//
// One store to untouched anonymous memory on paper. machine.run() returns Trap, cause 15, tval. entry.ts asks handlePageFault(task, va, Write,
// user): mm.findVma(va); rights; handleMmFault; the PTE is none and the VMA anonymous -> doAnonymousPage: order from the per-size controls,
// folio from the buddy, zeroed, counted, PTEs stored through machine.storePte, fence; Done. entry.ts returns to user mode, machine.run()
// executes the same store again and walks to the new PTE. The fault record holds every phase with its reason.
//
// Kernel state is plain data (typed columns, objects, arrays; no closures, promises or generators), so that it can be hashed and one day
// copied: a blocking system call is not a suspended function. Its handler returns BLOCK (proc/wait.ts) and runs again, from its arguments, when woken.
export {};
