// Memory is out: one program is killed so that the others can go on. Here: who, and what is said about it. Not here: that it is out (page-alloc.ts,
// memcg.ts). Mirrors mm/oom_kill.c and mem_cgroup_out_of_memory(): oom_badness(), select_bad_process(), dump_header(), oom_kill_process(), 6.18.
// Who is killed is gone at once, with its memory: there is no reaper to wait for.
import { PAGE_SIZE } from '#base';
import type { Kernel } from '../kernel.ts';
import { VmItem, markVictim } from '../mm/events.ts';
import type { MemCgroup } from '../mm/memcg.ts';
import { memcgStat } from '../mm/memcg-stat.ts';
import { LruType } from '../mm/reclaim/lruvec.ts';
import { SWAP_CLUSTER_MAX } from '../mm/reclaim/scan.ts';
import { exitGroup } from './exit.ts';
import type { Process } from './process.ts';
import type { Task } from './task.ts';
import { Signal } from './sigset.ts';

/** Programs with this oom_score_adj are never chosen. */
const NEVER = -1000;

/** Pages that oom_score_adj is a share of: RAM and swap, or what a group may have of both. */
export function oomTotalPages({ system }: Pick<Kernel, 'system'>, group: MemCgroup | null): number {
  if (group === null) return Math.floor(system.memTotalBytes / PAGE_SIZE) + system.swap.totalPages;
  return group.max + Math.min(group.swapMax, system.swap.totalPages);
}
/** What a program's death would free, in pages, weighted by its oom_score_adj; null: not to be killed. */
export function oomPoints(k: Pick<Kernel, 'system'>, p: Process, totalPages = oomTotalPages(k, null)): number | null {
  const user = p.threads.find((t) => t.hasMm);
  if (user === undefined || p.oomScoreAdj === NEVER) return null;
  const { rss, pgtablesBytes } = user.mm;
  const points = rss.anonPages + rss.filePages + rss.shmemPages + rss.swapEntries + Math.floor(pgtablesBytes / PAGE_SIZE);
  return points + Math.trunc((p.oomScoreAdj * totalPages) / 1000);
}

/** Kills the program with the most points, and with it all that share its memory: of the group whose limit is in the way, if it is that; with
 *  memory.oom.group the whole group. The asker itself dies when nobody else can. */
export function killForMemory(k: Kernel, asker: Task): void {
  const { memcg, vmstat } = k.system;
  const group = memcg.overLimit;
  memcg.overLimit = null;
  const total = oomTotalPages(k, group);
  let victim = asker.process;
  let most = Number.NEGATIVE_INFINITY;
  for (const p of k.processes.values()) {
    if (group !== null && p.group !== group) continue;
    const points = p.isZombie ? null : oomPoints(k, p, total);
    if (points !== null && points > most) {
      most = points;
      victim = p;
    }
  }
  if (group !== null) group.events.oom++;
  report(k, asker, victim, group);
  const user = victim.threads.find((t) => t.hasMm);
  const dying = [...k.processes.values()].filter((p) => !p.isZombie && (p === victim || (user !== undefined && p.threads.some((t) => t.hasMm && t.mm === user.mm))));
  if (victim.group.oomGroup && !victim.group.isRoot) {
    victim.group.events.oom_group_kill++;
    for (const p of k.processes.values()) if (p.group === victim.group && !p.isZombie && !dying.includes(p) && p.oomScoreAdj !== NEVER) dying.push(p);
  }
  vmstat.add(VmItem.oom_kill, 1);
  victim.group.events.oom_kill++;
  for (const p of dying) exitGroup(k, p, Signal.KILL);
}

const kb = (pages: number): string => `${pages * 4}kB`;
const limitKb = (pages: number): string => (pages === Infinity ? '9007199254740988kB' : kb(pages));

/** What Linux prints, and why it came to this. dump_header(), mem_cgroup_print_oom_meminfo(), dump_tasks() */
function report(k: Kernel, asker: Task, victim: Process, group: MemCgroup | null): void {
  k.say(`${asker.comm} invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=${asker.process.oomScoreAdj}`);
  k.say(reasonOf(k, group));
  if (group !== null) {
    k.say(`memory: usage ${kb(group.usage)}, limit ${limitKb(group.max)}, failcnt ${group.events.max}`);
    k.say(`swap: usage ${kb(group.swapUsage)}, limit ${limitKb(group.swapMax)}, failcnt ${group.swapEvents.fail}`);
    k.say(`Memory cgroup stats for ${group.path}:`);
    for (const [name, value] of memcgStat(group)) k.say(`${name} ${value}`);
  } else {
    const { system } = k;
    const { lru, vmstat } = system;
    k.say(`active_anon:${lru.activePages(LruType.Anon)} inactive_anon:${lru.pages(LruType.Anon) - lru.activePages(LruType.Anon)} active_file:${lru.activePages(LruType.File)} `
      + `inactive_file:${lru.pages(LruType.File) - lru.activePages(LruType.File)} unevictable:${lru.unevictablePages} dirty:${vmstat.get('nr_dirty')} writeback:${vmstat.get('nr_writeback')} `
      + `pagetables:${vmstat.get('nr_page_table_pages')} free:${system.buddy.freePages}`);
    k.say(`Free swap  = ${kb(system.swap.freePages)}`);
    k.say(`Total swap = ${kb(system.swap.totalPages)}`);
    k.say(`${Math.floor(system.memTotalBytes / PAGE_SIZE)} pages RAM`);
  }
  if (k.params.vm.oom_dump_tasks !== 0) {
    k.say('Tasks state (memory values in pages):');
    k.say('[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name');
    for (const p of k.processes.values()) if (!p.isZombie && (group === null || p.group === group)) sayTask(k, p);
  }
  const user = victim.threads.find((t) => t.hasMm);
  if (user === undefined) return;
  const { mm, credentials: { uid } } = user;
  const constraint = group === null ? 'CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom' : `CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=${group.path}`;
  k.say(`oom-kill:constraint=${constraint},task_memcg=${victim.group.path},task=${user.comm},pid=${victim.tgid},uid=${uid}`);
  k.say(`${group === null ? 'Out of memory' : 'Memory cgroup out of memory'}: Killed process ${victim.tgid} (${user.comm}) total-vm:${kb(mm.totalVm)}, anon-rss:${kb(mm.rss.anonPages)}, `
    + `file-rss:${kb(mm.rss.filePages)}, shmem-rss:${kb(mm.rss.shmemPages)}, UID:${uid} pgtables:${mm.pgtablesBytes / 1024}kB oom_score_adj:${victim.oomScoreAdj}`);
  if (markVictim.enabled) markVictim.emit(victim.tgid, mm.totalVm * 4, mm.rss.anonPages * 4, mm.rss.filePages * 4, mm.rss.shmemPages * 4, uid, mm.pgtablesBytes / 1024, victim.oomScoreAdj);
}
function sayTask(k: Kernel, p: Process): void {
  const user = p.threads.find((t) => t.hasMm);
  if (user === undefined) return;
  const { mm, comm, credentials: { uid } } = user;
  const columns: readonly (readonly [number, number])[] = [[uid, 5], [p.tgid, 5], [mm.totalVm, 8], [mm.rssPages, 8], [mm.rss.anonPages, 8], [mm.rss.filePages, 8], [mm.rss.shmemPages, 9], [mm.pgtablesBytes, 8], [mm.rss.swapEntries, 8], [p.oomScoreAdj, 13]];
  k.say(`[${String(p.tgid).padStart(7)}] ${columns.map(([n, width]) => String(n).padStart(width)).join(' ')} ${comm}`);
}
/** Not in Linux: the reason in a sentence. */
function reasonOf({ system }: Kernel, group: MemCgroup | null): string {
  const { swap, lru } = system;
  const whose = group === null ? `all ${kb(Math.floor(system.memTotalBytes / PAGE_SIZE))} of RAM are in use` : `the group ${group.path} is at its limit of ${limitKb(group.max)}`;
  const lruvecs = group === null ? [...system.memcg].map(({ lruvec }) => lruvec) : [group.lruvec];
  const anon = lruvecs.reduce((sum, lruvec) => sum + lruvec.pages(LruType.Anon), 0);
  const locked = lru.unevictablePages;
  const room = group === null ? swap.freePages : swap.freePagesFor(group);
  const why = swap.totalPages === 0 ? `there is no swap that its ${kb(anon)} of anonymous memory could go to`
    : room < SWAP_CLUSTER_MAX ? `its swap is full: ${kb(group === null ? swap.totalPages : group.swapUsage)} in use`
      : locked > anon ? `${kb(locked)} are locked in memory`
        : 'what could be reclaimed is in use again each time, dirty, or under I/O';
  return `memory ran out: ${whose}, and ${why}`;
}
