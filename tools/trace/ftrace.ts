// quire trace -e: tracepoints in the lines of ftrace's trace file: `comm-pid [cpu] flags secs.usecs: event: fields`.
// Mirrors print_trace_line() and trace_print_context() (kernel/trace/trace_output.c). The flags are dots: interrupts are not modelled.
import { tracepoints, UserError } from '#base';
import type { Tracepoint } from '#base';
import type { Session } from '../boot.ts';
import { didYouMean } from '../suggest.ts';
import { currentTask, type Trace } from './sink.ts';

export const FTRACE_HEADER: readonly string[] = [
  '# tracer: nop',
  '#',
  '#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION',
  '#              | |         |   |||||     |         |',
];

/** The events that some words name: 'all', a system ('kmem', 'kmem:*'), 'kmem:mm_page_alloc' or 'mm_page_alloc'. @throws UserError */
export function eventsNamed(words: readonly string[]): Tracepoint[] {
  const all = [...tracepoints().values()];
  for (const word of words) {
    if (all.some((p) => names(word, p))) continue;
    throw new UserError(`-e ${word}: no such event.${didYouMean(word, all.flatMap((p) => [p.name, `${p.system}:${p.name}`, p.system]))} quire explain events lists them.`);
  }
  return all.filter((p) => words.some((word) => names(word, p)));
}
const names = (word: string, p: Tracepoint): boolean =>
  word === 'all' || word === p.name || word === p.system || word === `${p.system}:*` || word === `${p.system}:${p.name}`;

const unsigned = (n: number): string => BigInt.asUintN(64, BigInt(n)).toString(16);
const members = ['MM_FILEPAGES', 'MM_ANONPAGES', 'MM_SWAPENTS', 'MM_SHMEMPAGES'];
/** enum scan_result by number. */
const scanResults = ['failed', 'succeeded', 'pmd_null', 'pmd_none', 'page_pmd_mapped', 'exceed_none_pte', 'exceed_swap_pte', 'exceed_shared_pte', 'pte_non_present', 'pte_uffd_wp',
  'pte_mapped_hugepage', 'lack_referenced_page', 'page_null', 'scan_aborted', 'not_suitable_page_count', 'page_not_in_lru', 'page_locked', 'page_not_anon', 'page_compound',
  'no_process_for_page', 'vma_null', 'vma_check_failed', 'not_suitable_address_range', 'could_not_delete_page_from_lru', 'alloc_huge_page_failed'];
const scanResult = (status: number | undefined): string => scanResults[status ?? 0] ?? `${status}`;
/** Events that Linux prints in another way than name=value. */
const special: Readonly<Record<string, (values: readonly number[]) => string>> = {
  sys_enter: ([, nr, ...args]) => `NR ${nr} (${args.map(unsigned).join(', ')})`,
  sys_exit: ([, nr, ret]) => `NR ${nr} = ${ret}`,
  mm_khugepaged_scan_pmd: ([mm, pfn, referenced, none, status, unmapped]) =>
    `mm=${mm}, scan_pfn=0x${unsigned(pfn ?? 0)}, referenced=${referenced}, none_or_zero=${none}, status=${scanResult(status)}, unmapped=${unmapped}`,
  mm_collapse_huge_page: ([mm, isolated, status]) => `mm=${mm}, isolated=${isolated}, status=${scanResult(status)}`,
  mm_collapse_huge_page_isolate: ([pfn, none, referenced, status]) => `scan_pfn=0x${unsigned(pfn ?? 0)}, none_or_zero=${none}, referenced=${referenced}, status=${scanResult(status)}`,
  rss_stat: ([mmId, curr, member, size]) => `mm_id=${mmId} curr=${curr} type=${members[member ?? 0]} size=${size}B`,
};
/** The fields of an event, as the trace file shows them. */
export const eventFields = (p: Tracepoint, values: readonly number[]): string => special[p.name]?.(values) ?? p.format(values);

/** One line of the trace file. @param ns nanoseconds of the modelled clock */
export function ftraceLine(comm: string, tid: number, ns: number, event: string, fields: string): string {
  const micros = Math.floor(ns / 1000);
  const seconds = `${Math.floor(micros / 1e6)}`.padStart(5);
  return `${comm.padStart(16)}-${`${tid}`.padEnd(7)} [000] ..... ${seconds}.${`${micros % 1e6}`.padStart(6, '0')}: ${event}: ${fields}`.trimEnd();
}

export function traceEvents(session: Session, words: readonly string[]): Trace {
  const lines: string[] = [];
  const stops = eventsNamed(words).map((point) => point.listen((p, values) => {
    const { comm, tid } = currentTask(session);
    lines.push(ftraceLine(comm, tid, session.kernel.uptimeNs(), p.name, eventFields(p, values)));
  }));
  const take = (): string[] => lines.splice(0);
  return {
    take,
    end() {
      for (const stop of stops) stop();
      return take();
    },
  };
}
