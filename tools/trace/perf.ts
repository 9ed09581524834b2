// quire trace -F: page faults in the lines of `perf trace -F`: time, task, minfault or majfault, [where from] => where to (kind).
// Mirrors trace__pgfault() and print_location() (tools/perf/builtin-trace.c): files print as path@offset, anonymous memory as //anon@address.
// Programs carry no symbols here, so places in code print as addresses. Faults that end in a signal are no minor or major faults, as in perf.
import { hex, PAGE_SIZE } from '#base';
import { faultEnter, FaultResult, faultReturn } from '#kernel';
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

/** A fault is named when it begins and known to be minor or major when it ends; one that waits for I/O is taken up again in between.
 *  @param which 'all', 'min' or 'maj' */
export function traceFaults(session: Session, which: 'all' | 'min' | 'maj'): Trace {
  const lines: string[] = [];
  interface Begun { readonly ns: number; readonly place: string; readonly ip: number; readonly fromKernel: boolean }
  const begun = new Map<number, Begun>();
  const onEnter = ([, address = 0, ip = 0, , from = 0, tried = 0]: readonly number[]): void => {
    const { tid } = currentTask(session);
    if (tried === 0 || !begun.has(tid)) begun.set(tid, { ns: session.kernel.uptimeNs(), place: placeOf(session, address), ip, fromKernel: from === 1 });
  };
  const onReturn = ([, , , result = 0, major = 0]: readonly number[]): void => {
    const { comm, tid } = currentTask(session);
    const fault = begun.get(tid);
    if (fault === undefined || result === FaultResult.Retry) return;
    begun.delete(tid);
    const isMajor = major === 1;
    if (result === FaultResult.Done && (which === 'all' || (which === 'maj') === isMajor)) lines.push(perfFaultLine({ ...fault, comm, tid, major: isMajor }));
  };
  const stops = [faultEnter.listen((_, values) => { onEnter(values); }), faultReturn.listen((_, values) => { onReturn(values); })];
  const take = (): string[] => lines.splice(0);
  return {
    take,
    end() {
      for (const stop of stops) stop();
      return take();
    },
  };
}
