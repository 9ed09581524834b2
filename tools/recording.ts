// A run recorded for the next one: the policies lru and opt know it. Here: seeing every use of a page (the hart's through the MMU, the kernel's
// through its copies), and telling whether a later run was the same. Host-free. Not here: what is kept (#kernel, uses.ts).
//
// The clock that both runs share is user instructions retired. It is the same in both as long as the program does the same, and as long as, where
// several tasks run, they take turns at the same instructions. A program that looks at the modelled time, or tasks that wait for a disk
// while others run, can break that; then what was recorded is another run's future, and mismatch() says so.
import { StateHash, UserError } from '#base';
import { schedSwitch, USE_WINDOW, UseRecorder } from '#kernel';
import type { RecordedUses, RunResult } from '#kernel';
import type { Session } from './boot.ts';

export interface Recording {
  readonly uses: RecordedUses;
  readonly instructions: number;
  /** Hash of who took the hart when. */
  readonly turns: string;
}

/** Uses that are kept, at eight bytes each. */
const MAX_USES = 2 ** 27;

/** Who takes the hart, and after how many instructions. */
export class TurnLog {
  private readonly hash = new StateHash();
  private readonly stop: () => void;
  private last = -1;
  constructor(session: Session) {
    this.stop = schedSwitch.listen((_, [, , next = 0]) => {
      if (next === 0 || next === this.last) return; // how long nobody runs depends on the disks
      this.last = next;
      this.hash.numbers([session.instructions, next]);
    });
  }
  end(): string {
    this.stop();
    return this.hash.digest();
  }
}

/** Records a session from before its program's start. Changes nothing of it. */
export class Recorder {
  private readonly session: Session;
  private readonly policy: string;
  private readonly uses: UseRecorder;
  private readonly turns: TurnLog;

  /** @param policy for which it is done */
  constructor(session: Session, policy: string) {
    this.session = session;
    this.policy = policy;
    this.uses = new UseRecorder(session.kernel.system);
    this.turns = new TurnLog(session);
    session.machine.mmu.observer = this.uses;
    session.kernel.system.uses = this.uses;
    session.recorder = this;
  }
  /** kernel.run() in windows: at the beginning of each the engine has to ask for every page anew. */
  run(budgetInstrs: number): RunResult {
    const { session } = this;
    for (let left = budgetInstrs; ; ) {
      const begun = session.instructions;
      session.machine.mmu.filter.clear();
      const result = session.kernel.run(Math.min(left, USE_WINDOW - (begun % USE_WINDOW)));
      left -= session.instructions - begun;
      if (this.uses.length > MAX_USES) throw new UserError(`--lru ${this.policy}: the program runs too long to be recorded: ${session.instructions} instructions so far. Write an earlier end, as in --max-insn ${Math.floor(session.instructions / 2e6)}M.`);
      if (result !== 'budget' || left <= 0 || session.instructions === begun) return result;
    }
  }
  end(): Recording {
    const { session } = this;
    session.machine.mmu.observer = session.kernel.system.uses = session.recorder = null;
    return { uses: this.uses.finish(), instructions: session.instructions, turns: this.turns.end() };
  }
}

/** Why a recording does not fit the run that followed it; null: it does. Of a program that was killed for want of memory nothing can be said. */
export function mismatch(session: Session, recording: Recording, turns: string): string | null {
  if (session.kernel.system.vmstat.get('oom_kill') > 0) return null;
  if (session.instructions !== recording.instructions) return `it took ${recording.instructions} instructions when it was recorded, and ${session.instructions} now`;
  return turns === recording.turns ? null : 'its tasks took turns at other instructions than when it was recorded';
}
