// #tools: what a person runs. Imports every face; nothing imports it but tests.
//
// Reading order, which is that of `quire stat -- gups`:
//   cli.ts        finds the command, its help; how everything ends: exit statuses, error sentences
//   options.ts    every option, declared once; strict parsing (suggest.ts: near misses; help-text.ts: help from the tables)
//   guest.ts      from words to a run: host.ts reads the files, config.ts checks what options mean together
//                 policy-file.ts the policy of --lru, perhaps the user's own (lru-starter.ts is where that begins)
//   boot.ts       the one place where machine, kernel, policies and programs meet: Session.step(), feed(), takeOutput()
//   drive.ts      the loop around a session: output, input, Ctrl-C, the progress line (clock.ts: the host's time)
//   report.ts     quire.stat/1 from counters and tables; schema.ts declares and checks its shape
//   text.ts       reports and comparisons as text, from the JSON alone; lru-compare.ts policies side by side, curves.ts their curves as SVG
//   memmap.ts, cache.ts, lru.ts, why.ts, evictions.ts  the reports of quire mm and quire why, each with its text
//   recording.ts  a run recorded for policies that know the future; young.ts what accessed bits miss
//   sanitize.ts   --sanitize: checks while a program runs; sanitize-place.ts the moment of a finding, sanitize-report.ts what a person is told of it
//                 (source-frames.ts, source-map.ts: lines of Quire's own sources)
//   glossary.ts   every name with its meaning, for `quire explain`; advice.ts counters in Linux and what to try; event-meanings.ts
//   commands/     one file a command; index.ts has them all
//   trace/        formats.ts has the list: lines of perf.ts (faults), ftrace.ts (tracepoints), strace.ts (system calls; flags.ts, errno-text.ts, peek.ts);
//                 run-tracks.ts a run as rows of slices (tracks.ts, fault-slices.ts, run-counters.ts), for perfetto.ts (protobuf.ts), chrome.ts and
//                 kernel-stacks.ts; csv.ts; samples.ts where a program is (symbols.ts)
//   debugger/     quire debug and quire record: a run gone through both ways (its own index.ts has the order)
//   build.mjs     makes dist/quire.cjs, from start.cjs, and the pieces that it loads: a run has no need of the other commands
//
// boot.ts, clock.ts, config.ts, options.ts, report.ts, schema.ts, text.ts, glossary.ts and trace/ know no host: the browser page can use them as they
// are. host.ts and drive.ts are Node's.
export { boot, Session } from './boot.ts';
export type { RunConfig } from './config.ts';
export { statReport } from './report.ts';
export { checkStat, STAT_SCHEMA } from './schema.ts';
export type { StatReport } from './schema.ts';
export { compareText, statText } from './text.ts';
