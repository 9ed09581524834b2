// The debugger: a run to be gone through, forwards and backwards, in instructions, in phases of the kernel, in lines of source.
//
// Reading order:
//   timeline.ts     places, stops, what can be asked of the way: what everything below stands on
//   events.ts       the tracepoints that count; the index of a run
//   heap.ts         a copy of the kernel's objects, put back in place; checkpoint.ts: that and the machine's columns and changed frames
//   runner.ts       the run itself, from moment to moment; stopping inside the kernel; watcher.ts what was done to watched memory, store-spy.ts to numbers;
//                   shown-once.ts what it says, when parts of it run again
//   replay.ts       the Timeline: openTimeline(config); a ring of checkpoints, running again
//   recording.ts    a.qrec: the inputs of a run and the index of its events; qrec.ts its bytes; recorded-run.ts opens one
//   elf.ts, dwarf/  symbols, lines, inlined calls, call frames of a guest's executable; source.ts: one address as a person reads it
//   code-frame.ts   what code does to its frame, for files that do not say; unwind.ts: up a stack
//   memory.ts       a program's memory, read without touching it; programs.ts: which executable a process runs
//   expression.ts   conditions over named fields
//   commands/       what can be typed, a file a subject; views/: page tables, VMAs, folios, lists as text and as JSON
//   fields.ts       what can be named; points.ts: breakpoints and watches; words.ts, places.ts: what is typed after a command
//   debugger.ts     a session: moves, points, the task that is looked at; history.ts: who wrote something last; guest-code.ts: its code
//   prompt.ts       the terminal: history, completion; script.ts: -x and --json
//   gdb/            the remote protocol: packets.ts, target.ts (registers), stub.ts, files.ts (vFile, qXfer), monitor.ts
export * from './timeline.ts';
export { openTimeline } from './replay.ts';
export type { TimelineOptions } from './replay.ts';
