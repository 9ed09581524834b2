// quire trace -F: page faults in the lines of `perf trace -F`: time, task, minfault or majfault, [where from] => where to (kind).
// Mirrors trace__pgfault() and print_location() (tools/perf/builtin-trace.c): files print as path@offset, anonymous memory as //anon@address.
// Programs carry no symbols here, so places in code print as addresses. Faults that end in a signal are no minor or major faults, as in perf.
import { hex, PAGE_SIZE, tracepoints } from '#base';
import type { Session } from '../boot.ts';
import { currentTask, type Trace } from './sink.ts';

/** One line. @param startNs of the modelled clock, since the trace began  @param durationNs what the kernel spent on it */
export function perfFaultLine(f: { ns: number; comm: string; tid: number; major: boolean; ip: number; place: string; fromKernel: boolean }): string {
  const milliseconds = (f.ns / 1e6).toFixed(3).padStart(10);
  const from = f.fromKernel ? 'kernel' : hex(f.ip);
  return `${milliseconds} ( 0.000 ms): ${f.comm}/${f.tid} ${f.major ? 'maj' : 'min'}fault [${from}] => ${f.place} (${f.fromKernel ? '?k' : 'd.'})`;
}

/** How perf names an address: by the VMA that holds it. */
export function placeOf(session: Session, va: number): string {
  const mm = session.kernel.current?.mm;
  const vma = mm?.findVma(va) ?? null;
  if (mm === undefined || vma === null) return hex(va);
  if (vma.file !== null) return `${vma.file.path}@${hex(va - vma.start + vma.pgoff * PAGE_SIZE)}`;
  if (vma.start < mm.brkEnd && vma.end > mm.startBrk) return `[heap]@${hex(va)}`;
  if (vma.start <= mm.startStack && mm.startStack < vma.end) return `[stack]@${hex(va)}`;
  return `//anon@${hex(va)}`;
}

/** A fault is named when it begins and known to be minor or major when it ends. @param which 'all', 'min' or 'maj' */
export function traceFaults(session: Session, which: 'all' | 'min' | 'maj'): Trace {
  const { faults } = session.kernel.system;
  interface Begun { comm: string; tid: number; place: string }
  let begun: Begun[] = [];
  const points = [...tracepoints().values()].filter((p) => p.name === 'page_fault_user' || p.name === 'page_fault_kernel');
  const stops = points.map((point) => point.listen((_, [address = 0]) => { begun.push({ ...currentTask(session), place: placeOf(session, address) }); }));
  faults.take();
  faults.start();
  const take = (): string[] => {
    const lines: string[] = [];
    for (const [i, record] of faults.take().entries()) {
      const { comm, tid, place } = begun[i] ?? { ...currentTask(session), place: hex(record.va) };
      const major = false; // nothing waits for I/O: there is no disk
      const counts = record.result === 0 && (which === 'all' || (which === 'maj') === major);
      if (counts) lines.push(perfFaultLine({ ns: record.cycle, comm, tid, major, ip: record.ip, place, fromKernel: record.from === 'kernel' }));
    }
    begun = [];
    return lines;
  };
  return {
    take,
    end() {
      const last = take();
      faults.stop();
      for (const stop of stops) stop();
      return last;
    },
  };
}
