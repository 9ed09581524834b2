// What file systems need to know of the kernel around them: Kernel fits it by shape, and so does a test's fake.
import type { Prng } from '#base';
import type { LoadAverage } from '../proc/loadavg.ts';
import type { Process } from '../proc/process.ts';
import type { Task } from '../proc/task.ts';
import type { ShmTable } from '../ipc/shm.ts';
import type { MmSystem } from '../mm/system.ts';
import type { KernelParams } from '../params.ts';
import type { Console } from './console.ts';
import type { Timespec } from './inode.ts';

export interface KernelView {
  readonly system: MmSystem;
  readonly params: KernelParams;
  readonly tasks: ReadonlyMap<number, Task>;
  readonly processes: ReadonlyMap<number, Process>;
  readonly current: Task | null;
  readonly random: Prng;
  readonly host: { readonly console: Console; readonly epochSeconds: number };
  readonly hostname: string;
  readonly domainname: string;
  /** Cycles (nanoseconds) in which every task slept. */
  readonly idleCycles: number;
  readonly load: LoadAverage;
  readonly shm: ShmTable;
  /** How many tasks there may be (kernel.threads-max). */
  readonly maxTasks: number;
  /** SIGKILL, at once. */
  killProcess(p: Process): void;
  /** Nanoseconds since boot. */
  uptimeNs(): number;
  realtime(): { seconds: number; nanoseconds: number };
}

/** Now, as files are stamped. */
export function stamp(view: Pick<KernelView, 'realtime'>): Timespec {
  const { seconds, nanoseconds } = view.realtime();
  return { sec: seconds, nsec: nanoseconds };
}
