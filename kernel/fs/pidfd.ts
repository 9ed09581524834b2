// pidfd: a descriptor that stands for a process, and can be polled for its end. Mirrors fs/pidfs.c as far as poll, fdinfo and waitid go.
import type { StateHash } from '#base';
import type { Process } from '../proc/process.ts';
import type { WaitQueue } from '../proc/wait.ts';
import { type FileOps, type OpenFile, Poll } from './file.ts';

export class PidFd implements FileOps {
  readonly seekable = false;
  readonly process: Process;

  constructor(process: Process) {
    this.process = process;
  }
  /** Readable once the last thread is gone; hung up once somebody has waited for it. */
  poll(): number {
    if (this.process.isReaped) return Poll.IN | Poll.HUP;
    return this.process.isZombie ? Poll.IN : 0;
  }
  queues(): readonly WaitQueue[] {
    return [this.process.exitQueue];
  }
  info(): string {
    const pid = this.process.isReaped ? -1 : this.process.tgid;
    return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
  }
  hash(into: StateHash): void {
    into.number(this.process.tgid);
  }
}
/** The process that an open file stands for; null: it is no pidfd. */
export const pidfdProcess = (file: OpenFile | null): Process | null => (file !== null && file.ops instanceof PidFd ? file.ops.process : null);
