// Stepping by lines of the program's source, and out of functions. Not here: lines themselves (guest-code.ts).
//
// A line is come to at its first instruction, or by coming back into it. Going over calls: where the next instruction stands in a call, the run goes on
// (or back) to its end at once, so that a call of a billion instructions costs no question for each.
import { UserError } from '#base';
import type { Debugger, Direction } from '../debugger.ts';
import type { GuestFrame } from '../guest-code.ts';
import { registersOf } from '../programs.ts';

/** Where a step began. */
interface Start { readonly tid: number; readonly pc: number; readonly sp: number; /** Its caller's sp, which stays the same as it makes its frame. */ readonly callerSp: number; readonly insn: number; readonly file: string | null; readonly line: number | null; readonly function: number | null; readonly inlines: number }
/** A loop of calls that never comes to another line ends here. */
const MAX_CALLS = 100_000;

const spOf = (d: Debugger): number => Number(BigInt.asUintN(64, registersOf(d.session, d.words.task('step'))[2]!));
/** Is the thread on the hart in a call that the line makes? Before a call has made its own frame its caller is looked up. */
function isDeeper(d: Debugger, start: Start, pc: number): boolean {
  const sp = spOf(d);
  if (sp > start.sp) return false;
  const own = d.code.functionAt(pc);
  if (own === start.function) return sp < start.sp && (callerOf(d)?.sp ?? start.callerSp) < start.callerSp;
  if (sp < start.sp) return true;
  const caller = callerOf(d);
  return caller !== null && d.code.functionAt(caller.pc - 1) === start.function;
}
const callerOf = (d: Debugger): GuestFrame | null => d.code.frames(2).filter(({ isInlined }) => !isInlined)[1] ?? null;
/** A jal or jalr may be of two bytes. */
const callsBefore = (returnTo: number): ReadonlySet<number> => new Set([returnTo - 4, returnTo - 2]);

/** To the beginning of another line, of the same thread. @param over calls are gone over @throws UserError */
export function stepLine(d: Debugger, direction: Direction, over: boolean): void {
  d.words.mm('step');
  const { tid } = d.words.task('step');
  if (!d.code.hasLines) throw new UserError('step: the program has no line table. Write stepi to go by instructions, or compile the program with -g.');
  const frame = d.code.frames(1)[0]!;
  const start: Start = { tid, pc: frame.pc, sp: spOf(d), callerSp: callerOf(d)?.sp ?? Infinity, insn: d.session.instructions, file: frame.file, line: frame.line, function: d.code.functionAt(frame.pc), inlines: d.code.inlinesAt(frame.pc) };
  const isMine = (): boolean => d.session.kernel.current?.tid === tid;
  for (let calls = 0; calls < MAX_CALLS; calls++) {
    d.move(direction, { instructions: (pc) => isMine() && ((over && isDeeper(d, start, pc)) || isNewLine(d, start, pc, direction, over)) });
    if (!over || !isAtInstruction(d) || !isDeeper(d, start, d.code.frames(1)[0]!.pc)) return;
    const caller = callerOf(d);
    if (caller === null) return;
    const addresses = direction === 'forward' ? new Set([caller.pc]) : callsBefore(caller.pc);
    d.move(direction, { pcs: { addresses, at: () => isMine() && spOf(d) >= start.sp } });
    if (d.last.points.length > 0 || d.last.stop.kind !== 'pc' || isNewLine(d, start, d.last.stop.pc, direction, over)) return;
  }
}
const isAtInstruction = ({ last }: Debugger): boolean => last.points.length === 0 && last.stop.kind === 'instruction';
function isNewLine(d: Debugger, start: Start, pc: number, direction: Direction, over: boolean): boolean {
  if (d.session.instructions === start.insn) return false; // the same instruction again, after a fault
  const line = d.code.lineAt(pc);
  if (line === null) return false;
  if (over && d.code.functionAt(pc) === start.function && d.code.inlinesAt(pc) > start.inlines) return false; // an inlined call is one, too
  const isSame = line.line === start.line && line.file === start.file;
  if (direction === 'backward') return d.code.isLineStart(pc) && !(isSame && pc === start.pc);
  // A loop comes to its line again; a return comes back into the middle of one.
  return isSame ? d.code.isLineStart(pc) && pc <= start.pc : d.code.isLineStart(pc) || d.code.functionAt(pc) !== start.function;
}

/** Forward: until the function has returned. Backward: to the instruction that called it. @throws UserError where no caller can be told */
export function finish(d: Debugger, direction: Direction): void {
  d.words.mm('finish');
  const { tid } = d.words.task('finish');
  const caller = callerOf(d);
  if (caller === null) throw new UserError('finish: no caller can be told from here. Write break *ADDRESS for where it returns to, and continue.');
  const isThere = (): boolean => d.session.kernel.current?.tid === tid && spOf(d) >= caller.sp;
  d.move(direction, { pcs: { addresses: direction === 'forward' ? new Set([caller.pc]) : callsBefore(caller.pc), at: isThere } });
}
