// From a sanitizer's finding to its moment. Here: the run again, up to the last look at which all was well, and from there instruction by instruction, with
// a look after everything that the kernel did. Host-free.
import { hex } from '#base';
import { disassemble, isCompressed } from '#cpu';
import { boot } from './boot.ts';
import type { Session } from './boot.ts';
import type { RunConfig } from './config.ts';
import { Sanitizers, SanitizerStop } from './sanitize.ts';
import type { Finding } from './sanitize.ts';
import { peek } from './trace/peek.ts';
import { currentTask } from './trace/sink.ts';

export interface FoundPlace {
  readonly instret: number;
  /** Of whom, where, doing what. */
  readonly at: string;
  /** What was found there: earlier than the finding itself it may be another trace of the same. */
  readonly lines: readonly string[];
}

/** @param config of the run, with all of its inputs @returns null: it does not come out a second time */
export function placeOfFinding(config: RunConfig, finding: Finding): FoundPlace | null {
  const session = boot({ ...config, machine: { ...config.machine, sanitize: [], maxInsn: null } });
  runTo(session, finding.isExact ? finding.instret : finding.lastGood);
  if (session.instructions > finding.instret) return null;
  const sanitizers = new Sanitizers(session, [finding.sanitizer]);
  for (;;) {
    const before = { at: whereNow(session), instret: session.instructions, work: session.machine.hart.chargedCycles };
    try {
      // Calls and faults retire nothing: one step may be all of a system call and the instruction behind it.
      const result = sanitizers.watch(() => session.step(1));
      session.takeOutput();
      if (session.machine.hart.chargedCycles !== before.work) sanitizers.look();
      if (result !== 'running' || session.instructions > finding.instret) return null;
    } catch (error) {
      if (!(error instanceof SanitizerStop)) throw error;
      const { pc } = error.finding;
      return { instret: before.instret, at: pc === null ? before.at : whereNow(session, pc), lines: finding.isExact ? finding.lines : error.finding.lines };
    }
  }
}

function runTo(session: Session, instret: number): void {
  while (session.instructions < instret) {
    const result = session.step(Math.min(1_000_000, instret - session.instructions));
    session.takeOutput();
    if (result !== 'running') return;
  }
}
/** @param pc of the instruction; absent: where the hart stands */
function whereNow(session: Session, pc = Number(session.machine.pc)): string {
  const { comm, tid } = currentTask(session);
  const bytes = peek(session, pc, 4);
  if (bytes.length < 2) return `${comm}[${tid}], pc ${hex(pc)}`;
  const low = bytes[0]! | (bytes[1]! << 8);
  const word = isCompressed(low) || bytes.length < 4 ? low : low | (bytes[2]! << 16) | (bytes[3]! << 24);
  return `${comm}[${tid}], pc ${hex(pc)}: ${disassemble(word, BigInt(pc)).replace(/\s+/g, ' ')}`;
}
