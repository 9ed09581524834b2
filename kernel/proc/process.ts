// A process: what the threads of one program share (Linux's signal_struct with the thread group). Here: the family tree, groups and sessions,
// limits, what is pending for the program as a whole. Not here: address space, files and signal actions, which tasks may share differently.
import type { MemCgroup } from '../mm/memcg.ts';
import type { Limit } from './rlimit.ts';
import { PendingSignals } from './sigset.ts';
import type { Task } from './task.ts';
import type { KernelTimer } from './timers.ts';
import { WaitQueue } from './wait.ts';

/** Times and counts of children that were waited for, as getrusage(RUSAGE_CHILDREN) gives them. */
export interface ChildUsage { userCycles: number; systemCycles: number; minFlt: number; majFlt: number; maxRssPages: number; switches: [number, number] }

export class Process {
  /** Thread-group id: what programs call the process id. */
  readonly tgid: number;
  /** Live threads in order of creation. */
  readonly threads: Task[] = [];
  /** The thread whose tid is the tgid; as a zombie it stands for the program until that is waited for. */
  declare leader: Task;
  /** Null: the machine's own init, which waits for everybody. */
  parent: Process | null = null;
  readonly children: Process[] = [];
  /** Woken when a child ends, stops or continues. */
  readonly childQueue = new WaitQueue();
  /** Woken when this program itself ends, and when it is reaped: for pidfds. */
  readonly exitQueue = new WaitQueue();
  pgid: number;
  sid: number;
  /** Signal sent to the parent at the end; 0: none (CLONE without a signal). */
  exitSignal = 0;
  /** Orphans below it come to it instead of init (PR_SET_CHILD_SUBREAPER). */
  isSubreaper = false;
  /** PR_SET_PDEATHSIG. */
  parentDeathSignal = 0;
  declare limits: Limit[];
  /** The memory control group that pays for what it allocates. */
  declare group: MemCgroup;
  /** Signals sent to the program as a whole. */
  readonly pending = new PendingSignals();
  /** Not null: the program is ending with this wait status; every thread exits when it next comes by. */
  groupExit: number | null = null;
  /** Signal that is stopping (or has stopped) the program; 0: it runs. */
  stopSignal = 0;
  /** Parts of the state that wait() has not reported yet. */
  unreported: 'stopped' | 'continued' | null = null;
  reportedSignal = 0;
  /** Last thread gone: the wait status is final. */
  isZombie = false;
  /** Somebody has waited for it: only pidfds still know it. */
  isReaped = false;
  /** wait status word. */
  exitStatus = 0;
  /** Did an execve() happen since the fork? setpgid() by the parent is refused after it. */
  hasExeced = false;
  /** setitimer's three and timer_create's. */
  readonly timers: KernelTimer[] = [];
  nextTimerId = 0;
  /** Second of CPU time at which the next SIGXCPU is due. */
  nextCpuWarning = 0;
  readonly childUsage: ChildUsage = { userCycles: 0, systemCycles: 0, minFlt: 0, majFlt: 0, maxRssPages: 0, switches: [0, 0] };
  /** What threads that are gone have used. */
  readonly deadUsage = { userCycles: 0, systemCycles: 0, minFlt: 0, majFlt: 0, switches: [0, 0] as [number, number] };
  /** Highest resident set of an address space this program has left (exec, exit), pages. */
  maxRssPages = 0;
  /** Where the vDSO is mapped: by the last execve, inherited by fork. */
  vdso = 0;
  oomScoreAdj = 0;
  dumpable = 1;
  noNewPrivs = false;
  thpDisable = false;
  personality = 0;

  constructor(tgid: number, parent: Process | null) {
    this.tgid = tgid;
    this.parent = parent;
    this.pgid = tgid;
    this.sid = tgid;
  }

  /** 1, the machine's own init, for the first program and for orphans. */
  get parentPid(): number {
    return this.parent?.tgid ?? 1;
  }
}
