// Where a program spends its instructions, as folded stacks (flamegraph.pl, speedscope): program;function, a line each with its instructions. The place
// of the program is looked at every so many instructions, which is exact and the same in every run. Here: looking, and names for places. Not here:
// where its time goes (kernel-stacks.ts); who called, which a program without frame pointers does not tell.
import { hex, PAGE_SIZE } from '#base';
import type { Mm } from '#kernel';
import type { Session } from '../boot.ts';

/** Prime, so that it beats with no loop. */
export const DEFAULT_EVERY_INSTRS = 10_007;

/** Names a place of a file: the function at an offset in it. null: the file names nothing there. */
export type NameOffset = (offset: number) => string | null;

export class GuestSamples {
  readonly everyInstrs: number;
  private readonly session: Session;
  private readonly namesOf: (path: string) => NameOffset | null;
  private readonly files = new Map<string, NameOffset | null>();
  private readonly counts = new Map<string, number>();
  private last = 0;

  /** @param everyInstrs the run is to be stopped at multiples of it @param namesOf for a file of the guest; null: it has no names */
  constructor(session: Session, everyInstrs: number, namesOf: (path: string) => NameOffset | null) {
    this.session = session;
    this.everyInstrs = everyInstrs;
    this.namesOf = namesOf;
  }
  take(): string {
    const { session: { instructions, kernel, machine }, everyInstrs } = this;
    if (instructions === this.last || instructions % everyInstrs !== 0 || kernel.current === null) return '';
    this.last = instructions;
    const stack = `${frame(kernel.current.comm)};${this.nameOf(kernel.current.mm, Number(machine.pc))}`;
    this.counts.set(stack, (this.counts.get(stack) ?? 0) + everyInstrs);
    return '';
  }
  /** The lines, sorted. */
  finish(): string {
    return [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([stack, instrs]) => `${stack} ${instrs}\n`).join('');
  }

  private nameOf(mm: Mm, pc: number): string {
    const vma = mm.findVma(pc);
    if (vma === null) return hex(pc);
    if (vma.file === null) return `[anon]+${hex(pc - vma.start)}`;
    const { path } = vma.file;
    const offset = pc - vma.start + vma.pgoff * PAGE_SIZE;
    let names = this.files.get(path);
    if (names === undefined) this.files.set(path, names = this.namesOf(path));
    return frame(names?.(offset) ?? `${path.slice(path.lastIndexOf('/') + 1)}+${hex(offset)}`);
  }
}
const frame = (name: string): string => name.replace(/[;\n]/g, '_');
