// Stepping by lines of the program's source, and out of functions. Not here: lines themselves (guest-code.ts).
import { UserError } from '#base';
import type { Debugger, Direction } from '../debugger.ts';
import type { GuestFrame } from '../guest-code.ts';

/** The call that the task stands in. @throws UserError without a task */
function here(d: Debugger): GuestFrame {
  d.words.task('step');
  return d.code.frames(1)[0]!;
}
const isSame = (a: GuestFrame, b: { readonly file: string; readonly line: number } | null): boolean => b !== null && a.line === b.line && a.file === b.file;

/** To the beginning of another line, of the same thread. @param over calls are gone over */
export function stepLine(d: Debugger, direction: Direction, over: boolean): void {
  if (!d.code.hasLines) throw new UserError('step: the program has no line table. Write stepi to go by instructions, or compile the program with -g.');
  const { tid } = d.words.task('step');
  const from = here(d);
  const deep = (): boolean => over && d.task?.tid === tid && here(d).sp < from.sp;
  const isNewLine = (pc: number): boolean => {
    if (d.session.kernel.current?.tid !== tid) return false;
    const line = d.code.lineAt(pc);
    if (line === null || deep()) return false;
    // Going forward a line is come to where it begins, or by coming back into the middle of the caller's.
    return direction === 'forward' ? !isSame(from, line) || d.code.isLineStart(pc) && pc <= from.pc : d.code.isLineStart(pc) && pc !== from.pc;
  };
  d.move(direction, { instructions: isNewLine });
}

/** Forward: until the function has returned. Backward: to the instruction that called it. @throws UserError where no caller can be told */
export function finish(d: Debugger, direction: Direction): void {
  const task = d.words.task('finish');
  const [inner, caller] = d.code.frames(2).filter(({ isInlined }) => !isInlined);
  if (caller === undefined) throw new UserError('finish: no caller can be told from here. Write break *ADDRESS for where it returns to, and continue.');
  const { tid } = task;
  const { sp } = inner!;
  if (direction === 'forward') {
    d.move('forward', { pcs: { addresses: new Set([caller.pc]), at: () => d.session.kernel.current?.tid === tid && here(d).sp > sp } });
    return;
  }
  const calls = new Set([caller.pc - 4, caller.pc - 2]);
  d.move('backward', { pcs: { addresses: calls, at: () => d.session.kernel.current?.tid === tid && here(d).sp >= sp } });
}
