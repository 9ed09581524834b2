// Resource limits: what setrlimit(2) knows, with Linux's defaults (include/asm-generic/resource.h). Those of memory are copied into
// Mm.limits, where mm enforces them. RLIM_INFINITY is Infinity here.

import { isPrivileged, mayLockAll } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import type { Mm } from '../mm/mm.ts';

export const Rlimit = {
  Cpu: 0, Fsize: 1, Data: 2, Stack: 3, Core: 4, Rss: 5, Nproc: 6, Nofile: 7, Memlock: 8, As: 9, Locks: 10, Sigpending: 11, Msgqueue: 12,
  Nice: 13, Rtprio: 14, Rttime: 15,
} as const;
export const NR_RLIMITS = 16;

export interface Limit { cur: number; max: number }

const none = Number.POSITIVE_INFINITY;

/** The limits of the first program. @param maxTasks what the machine allows at all; half of it is Linux's RLIMIT_NPROC */
export function defaultLimits(maxTasks: number): Limit[] {
  const limits: Limit[] = Array.from({ length: NR_RLIMITS }, () => ({ cur: none, max: none }));
  const set = (which: number, cur: number, max: number): void => {
    limits[which] = { cur, max };
  };
  set(Rlimit.Stack, 8 << 20, none);
  set(Rlimit.Core, 0, none);
  set(Rlimit.Nproc, Math.floor(maxTasks / 2), Math.floor(maxTasks / 2));
  set(Rlimit.Nofile, 1024, 4096);
  set(Rlimit.Memlock, 8 << 20, 8 << 20);
  set(Rlimit.Sigpending, Math.floor(maxTasks / 2), Math.floor(maxTasks / 2));
  set(Rlimit.Msgqueue, 819200, 819200);
  set(Rlimit.Nice, 0, 0);
  set(Rlimit.Rtprio, 0, 0);
  return limits;
}

export const copyLimits = (limits: readonly Limit[]): Limit[] => limits.map((l) => ({ ...l }));

/** Tells an address space the limits that mm enforces on who has these credentials. */
export function applyLimits(mm: Mm, limits: readonly Limit[], credentials: Credentials): void {
  mm.limits = { as: limits[Rlimit.As]!.cur, data: limits[Rlimit.Data]!.cur, stack: limits[Rlimit.Stack]!.cur, memlock: mayLockAll(credentials) ? Infinity : limits[Rlimit.Memlock]!.cur, mapsLow: isPrivileged(credentials) };
}
