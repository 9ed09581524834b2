// Process groups and sessions, as far as shells need them: who is in a group, and which groups nobody could continue. POSIX 3.264.
import type { Kernel } from '../kernel.ts';
import type { Process } from './process.ts';

export function processesInGroup(k: Kernel, pgid: number): Process[] {
  return [...k.processes.values()].filter((p) => p.pgid === pgid && !p.isZombie);
}

/** A group is orphaned when no member has a parent in the same session but another group. Mirrors will_become_orphaned_pgrp().
 *  @param leaving does not count: it is about to end */
export function isOrphanedGroup(k: Kernel, pgid: number, leaving: Process | null = null): boolean {
  return !processesInGroup(k, pgid).some((p) => p !== leaving && p.parent !== null && p.parent.pgid !== pgid && p.parent.sid === p.sid);
}

/** The session of a group, or null when the group is empty. */
export function sessionOfGroup(k: Kernel, pgid: number): number | null {
  return processesInGroup(k, pgid)[0]?.sid ?? null;
}
