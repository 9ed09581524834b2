// What programs have used: struct rusage, 144 bytes (riscv-mmu.md section 10).
import type { Process } from './process.ts';
import type { Task } from './task.ts';

export interface Usage {
  userCycles: number;
  systemCycles: number;
  maxRssPages: number;
  minFlt: number;
  majFlt: number;
  switches: [number, number];
}
export const RUSAGE_BYTES = 144;

export function taskUsage(t: Task): Usage {
  return {
    userCycles: t.userCycles, systemCycles: t.systemCycles, maxRssPages: maxRss(t.process), minFlt: t.minFlt, majFlt: t.majFlt,
    switches: [t.voluntarySwitches, t.involuntarySwitches],
  };
}
/** All threads, those that are gone included. */
export function processUsage(p: Process): Usage {
  const sum: Usage = { ...p.deadUsage, switches: [...p.deadUsage.switches], maxRssPages: maxRss(p) };
  for (const t of p.threads) {
    sum.userCycles += t.userCycles;
    sum.systemCycles += t.systemCycles;
    sum.minFlt += t.minFlt;
    sum.majFlt += t.majFlt;
    sum.switches[0] += t.voluntarySwitches;
    sum.switches[1] += t.involuntarySwitches;
  }
  return sum;
}
function maxRss(p: Process): number {
  return p.threads.reduce((most, t) => (t.hasMm ? Math.max(most, t.mm.hiwaterRss, rssPages(t)) : most), p.maxRssPages);
}
const rssPages = ({ mm: { rss } }: Task): number => rss.anonPages + rss.filePages + rss.shmemPages;

/** A program and the descendants it has waited for. */
export function totalUsage(p: Process): Usage {
  const own = processUsage(p);
  const { childUsage: c } = p;
  return {
    userCycles: own.userCycles + c.userCycles, systemCycles: own.systemCycles + c.systemCycles, maxRssPages: Math.max(own.maxRssPages, c.maxRssPages),
    minFlt: own.minFlt + c.minFlt, majFlt: own.majFlt + c.majFlt, switches: [own.switches[0] + c.switches[0], own.switches[1] + c.switches[1]],
  };
}

export function usageBytes(u: Usage): Uint8Array {
  const bytes = new Uint8Array(RUSAGE_BYTES);
  const view = new DataView(bytes.buffer);
  const time = (at: number, cycles: number): void => {
    view.setBigInt64(at, BigInt(Math.floor(cycles / 1e9)), true);
    view.setBigInt64(at + 8, BigInt(Math.floor((cycles % 1e9) / 1000)), true);
  };
  time(0, u.userCycles);
  time(16, u.systemCycles);
  const words: [number, number][] = [[32, u.maxRssPages * 4], [64, u.minFlt], [72, u.majFlt], [128, u.switches[0]], [136, u.switches[1]]];
  for (const [at, n] of words) view.setBigInt64(at, BigInt(n), true);
  return bytes;
}
/** wait4's and waitid's rusage of a child: its own and its waited-for descendants'. */
export const writeUsage = (t: Task, va: number, child: Process): boolean => t.user.write(va, usageBytes(totalUsage(child)));
