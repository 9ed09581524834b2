// struct timespec and timeval in user memory: two 64-bit words.
import { NS_PER_SECOND } from '../proc/clock.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';

/** A duration or a moment: as parts, and as nanoseconds (inexact above 2^53). */
export interface Span { readonly seconds: number; readonly nanoseconds: number; readonly ns: number }

/** @returns -EFAULT, or -EINVAL for a negative or unnormalised time */
export function readTimespec(t: Task, va: number): Span | number {
  const seconds = t.user.word(va);
  const nanoseconds = t.user.word(va + 8);
  if (seconds === null || nanoseconds === null) return -Errno.EFAULT;
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= NS_PER_SECOND) return -Errno.EINVAL;
  return { seconds, nanoseconds, ns: seconds * NS_PER_SECOND + nanoseconds };
}
export function readTimeval(t: Task, va: number): Span | number {
  const seconds = t.user.word(va);
  const micros = t.user.word(va + 8);
  if (seconds === null || micros === null) return -Errno.EFAULT;
  if (seconds < 0 || micros < 0 || micros >= 1_000_000) return -Errno.EINVAL;
  return { seconds, nanoseconds: micros * 1000, ns: seconds * NS_PER_SECOND + micros * 1000 };
}

export const writeTimespec = (t: Task, va: number, ns: number): boolean =>
  t.user.setU64(va, Math.floor(ns / NS_PER_SECOND)) && t.user.setU64(va + 8, Math.floor(ns % NS_PER_SECOND));
export const writeTimeval = (t: Task, va: number, ns: number): boolean =>
  t.user.setU64(va, Math.floor(ns / NS_PER_SECOND)) && t.user.setU64(va + 8, Math.floor((ns % NS_PER_SECOND) / 1000));
