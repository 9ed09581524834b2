// Memory is out: one program is killed so that the others can go on. Mirrors mm/oom_kill.c: oom_badness(), oom_kill_process().
import { PAGE_SIZE } from '#base';
import type { Kernel } from '../kernel.ts';
import { VmItem } from '../mm/events.ts';
import { exitGroup } from './exit.ts';
import type { Process } from './process.ts';
import { Signal } from './sigset.ts';
import type { Task } from './task.ts';

/** Programs with this oom_score_adj are never chosen. */
const NEVER = -1000;

/** What a program's death would free, in pages, weighted by its oom_score_adj; null: not to be killed. */
export function oomPoints(k: Pick<Kernel, 'system'>, p: Process): number | null {
  const user = p.threads.find((t) => t.hasMm);
  if (user === undefined || p.oomScoreAdj === NEVER) return null;
  const { rss, pgtablesBytes } = user.mm;
  const points = rss.anonPages + rss.filePages + rss.shmemPages + rss.swapEntries + Math.floor(pgtablesBytes / PAGE_SIZE);
  return points + Math.trunc((p.oomScoreAdj * Math.floor(k.system.memTotalBytes / PAGE_SIZE)) / 1000);
}

/** Kills the program with the most points, and with it all that share its memory. The asker itself dies when nobody else can. */
export function killForMemory(k: Kernel, asker: Task): void {
  let victim = asker.process;
  let most = Number.NEGATIVE_INFINITY;
  for (const p of k.processes.values()) {
    const points = p.isZombie ? null : oomPoints(k, p);
    if (points !== null && points > most) {
      most = points;
      victim = p;
    }
  }
  report(k, asker, victim);
  k.system.vmstat.add(VmItem.oom_kill, 1);
  const user = victim.threads.find((t) => t.hasMm);
  for (const p of [...k.processes.values()]) {
    const sharesMemory = p === victim || (user !== undefined && p.threads.some((t) => t.hasMm && t.mm === user.mm));
    if (sharesMemory && !p.isZombie) exitGroup(k, p, Signal.KILL);
  }
}

function report(k: Kernel, asker: Task, victim: Process): void {
  k.say(`${asker.comm} invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=${asker.process.oomScoreAdj}`);
  const user = victim.threads.find((t) => t.hasMm);
  if (user === undefined) return;
  const { mm } = user;
  const kb = (pages: number): string => `${pages * 4}kB`;
  k.say(`Out of memory: Killed process ${victim.tgid} (${user.comm}) total-vm:${kb(mm.totalVm)}, anon-rss:${kb(mm.rss.anonPages)}, ` +
    `file-rss:${kb(mm.rss.filePages)}, shmem-rss:${kb(mm.rss.shmemPages)}, UID:${user.credentials.uid} pgtables:${mm.pgtablesBytes / 1024}kB ` +
    `oom_score_adj:${victim.oomScoreAdj}`);
}
