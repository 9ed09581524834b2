// --sanitize: what must hold is checked while the program runs, and what does not ends the run with a report and exit status 123. Here: which checks there
// are, running them, the finding. Host-free. Not here: the checks themselves (#mmu: stale.ts, #kernel: check.ts, check-cow.ts), finding the moment to the
// instruction and naming the command that leads there (sanitize-place.ts).
import { Bug, hex, toNumber, UserError } from '#base';
import { checkCow, checkFolioState, schedProcessFork } from '#kernel';
import { Pte, PteHigh, showPte } from '#mmu';
import type { StaleUse } from '#mmu';
import type { Session } from './boot.ts';
import { currentTask } from './trace/sink.ts';
import { kernelFrames } from './source-frames.ts';

export const sanitizers = {
  tlb: 'every access that is served by a translation which memory no longer holds (a fence is missing), and Svnapot entries that disagree',
  folio: 'references, mappings and lists of every folio against what is found, again and again',
  cow: 'pages that one may write and others have, too, again and again',
  mm: 'all of the kernel\'s invariants, again and again: those of folio, and of free memory, address spaces, swap, every count',
} as const;
export type SanitizerName = keyof typeof sanitizers;
export const sanitizerNames = Object.keys(sanitizers) as readonly SanitizerName[];
/** What --sanitize means alone. */
export const DEFAULT_SANITIZERS: readonly SanitizerName[] = ['mm'];
export const SANITIZER_STATUS = 123;

/** Between two looks of those that go through everything; they look after every fork, too, before the two can go apart. */
const LOOK_EVERY_INSTRS = 100_000;
const PIECE_INSTRS = 1000;

export interface Finding {
  readonly sanitizer: SanitizerName;
  /** A sentence, and what is known besides, line by line. */
  readonly lines: readonly string[];
  /** Where in Quire's own sources it was brought about; null: not known. */
  readonly origin: Error | null;
  /** Instructions retired before the one that was caught, or when it was found. */
  readonly instret: number;
  /** It is that instruction; else it happened after `lastGood`, when all was well. */
  readonly isExact: boolean;
  readonly lastGood: number;
  /** Of the instruction that was caught, if it was the first that the hart ran since it came from the kernel; null: of no use. */
  readonly pc: number | null;
}
/** Ends the run. */
export class SanitizerStop extends UserError {
  readonly finding: Finding;
  constructor(finding: Finding) {
    super(`sanitize ${finding.sanitizer}: ${[...finding.lines, ...originLines(finding.origin?.stack)].join('\n  ')}`, SANITIZER_STATUS);
    this.name = 'SanitizerStop';
    this.finding = finding;
  }
}

export class Sanitizers {
  readonly everyInstrs = PIECE_INSTRS;
  private readonly session: Session;
  private readonly names: readonly SanitizerName[];
  /** Found where nobody can be told at once: while an instruction runs, in the middle of a call. */
  private readonly found: Finding[] = [];
  private isStepping = false;
  private lastGood: number;
  /** The number of the youngest address space at the last look: a fork makes one. */
  private newestMm: number;

  constructor(session: Session, names: readonly SanitizerName[]) {
    this.session = session;
    this.names = names;
    this.lastGood = session.instructions;
    this.newestMm = this.newestMmNow;
    if (names.includes('tlb')) session.machine.mmu.watchStale<Error>({ used: (use) => { this.found.push(this.staleFinding(use)); }, where: () => new Error() });
    // What fork() leaves behind is soon copied: it is looked at there and then.
    if (names.includes('cow')) schedProcessFork.listen(() => { if (this.isStepping) this.lookAtFork(); });
  }
  /** Runs a step of the session, and looks afterwards. @throws SanitizerStop */
  watch<Result>(step: () => Result): Result {
    let result: Result;
    try {
      this.isStepping = true;
      result = step();
    } catch (error) {
      if (!(error instanceof Bug)) throw error;
      this.tellFound(); // what came of it is no news then
      throw new SanitizerStop(this.finding(this.names[0]!, `the kernel stopped: ${textOf(error)}`));
    } finally {
      this.isStepping = false;
    }
    const { instructions, kernel } = this.session;
    this.tellFound();
    if (this.newestMmNow !== this.newestMm || instructions - this.lastGood >= LOOK_EVERY_INSTRS || kernel.exitStatus !== null) this.look();
    return result;
  }
  /** @throws SanitizerStop */
  look(): void {
    this.tellFound();
    const { system } = this.session.kernel;
    const checks: Partial<Record<SanitizerName, () => void>> = { folio: () => { checkFolioState(system); }, cow: () => { checkCow(system); }, mm: () => { system.check(); } };
    for (const name of this.names) {
      try {
        checks[name]?.();
      } catch (error) {
        throw error instanceof Bug ? new SanitizerStop(this.finding(name, textOf(error))) : error;
      }
    }
    this.lastGood = this.session.instructions;
    this.newestMm = this.newestMmNow;
  }
  private get newestMmNow(): number {
    let newest = 0;
    for (const { id } of this.session.kernel.system.mms) newest = Math.max(newest, id);
    return newest;
  }
  private lookAtFork(): void {
    try {
      checkCow(this.session.kernel.system);
    } catch (error) {
      if (!(error instanceof Bug)) throw error;
      this.found.push({ ...this.finding('cow', textOf(error)), isExact: true });
    }
  }
  private tellFound(): void {
    const first = this.found[0];
    if (first !== undefined) throw new SanitizerStop(first);
  }
  private finding(sanitizer: SanitizerName, text: string): Finding {
    const { instructions } = this.session;
    return { sanitizer, lines: [`${text.charAt(0).toUpperCase()}${text.slice(1)}.`], origin: null, pc: null, instret: instructions, isExact: false, lastGood: this.lastGood };
  }

  private staleFinding(use: StaleUse<Error>): Finding {
    const { machine: { hart } } = this.session;
    const { comm, tid } = currentTask(this.session);
    const va = hex(toNumber(use.vaHi, use.vaLo));
    const instret = use.tick - hart.traps;
    const what = use.kind === 'napot' ? 'was translated by one of sixteen Svnapot entries that disagree' : 'was served by a translation that memory no longer holds';
    const { change } = use;
    const lines = [
      `A ${accesses[use.access]} of ${comm}[${tid}] at ${va} ${what}.`,
      `served: frame ${hex(use.servedFrame)}, ${showPte(use.servedFlags)}; address space (ASID) ${use.asid}`,
      `memory: ${entryText(use.low, use.high)} at level ${use.level}`,
      ...(change === null ? ['Who changed the entry was not seen: it was changed before the run began, or never was what the hart has.'] : [
        `changed from ${entryText(change.oldLow, change.oldHigh)} to ${entryText(change.newLow, change.newHigh)}`,
        `and no fence of ${va} (sfence.vma) came after that`,
      ]),
    ];
    return { sanitizer: 'tlb', lines, origin: change?.where ?? null, pc: Number(this.session.machine.pc), instret, isExact: true, lastGood: this.lastGood };
  }
}
/** @param stack of an Error; of a bundle, mapped back to the sources */
export const originLines = (stack: string | undefined): string[] => (stack === undefined ? [] : kernelFrames(stack).map((frame, i) => `${i === 0 ? 'changed by ' : 'called from '}${frame}`));

const textOf = (error: Bug): string => error.message.replace(/^bug in Quire: /, '');

const accesses = ['fetch', 'load', 'store', 'atomic access'] as const;

function entryText(low: number, high: number): string {
  if (low === 0 && high === 0) return 'no entry';
  const napot = (high & PteHigh.N) !== 0 ? ', one of a Svnapot region' : '';
  return (low & Pte.V) === 0 ? `an entry that is not valid (${hex(low >>> 0)})` : `frame ${hex(low >>> 10)}, ${showPte(low & 0xff)}${napot}`;
}
