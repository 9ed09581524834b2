// Futexes: sleeping until another thread says that a word of memory has changed. Here: queues by key, waiting, waking, moving, the robust list.
// Not here: the system call's operations (syscall/futex.ts). Not modelled: priority inheritance. Mirrors kernel/futex/.
import type { Kernel } from '../kernel.ts';
import type { AddressSpace } from '../mm/filemap.ts';
import type { Mm } from '../mm/mm.ts';
import { VmFlag } from '../mm/vma.ts';
import type { Task } from './task.ts';

/** What a futex word is, however many addresses it has: a place in an address space, or in a shared file's pages. */
export interface FutexKey { readonly owner: Mm | AddressSpace; readonly offset: number }
export interface FutexWaiter {
  readonly task: Task;
  key: FutexKey;
  /** Woken only by a wake whose bits meet these. */
  readonly bitset: number;
  isWoken: boolean;
}
export const ANY_BITS = 0xffff_ffff;

/** The key of the word at `va`. @param isPrivate FUTEX_PRIVATE_FLAG: the caller says nobody outside its address space uses it */
export function futexKey(t: Task, va: number, isPrivate: boolean): FutexKey {
  const vma = isPrivate ? null : t.mm.findVma(va);
  if (vma === null || vma.file === null || (vma.flags & VmFlag.Shared) === 0) return { owner: t.mm, offset: va };
  return { owner: vma.file.space, offset: vma.pgoff * 4096 + (va - vma.start) };
}

/** All sleepers, by key, in order of arrival. */
export class FutexTable {
  private readonly byOwner = new Map<object, Map<number, FutexWaiter[]>>();

  private queue(key: FutexKey): FutexWaiter[] {
    return this.byOwner.get(key.owner)?.get(key.offset) ?? [];
  }
  add(w: FutexWaiter): void {
    let words = this.byOwner.get(w.key.owner);
    if (words === undefined) this.byOwner.set(w.key.owner, (words = new Map()));
    const queue = words.get(w.key.offset);
    if (queue === undefined) words.set(w.key.offset, [w]);
    else queue.push(w);
  }
  remove(w: FutexWaiter): void {
    const words = this.byOwner.get(w.key.owner);
    const queue = words?.get(w.key.offset);
    const at = queue?.indexOf(w) ?? -1;
    if (words === undefined || queue === undefined || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) words.delete(w.key.offset);
    if (words.size === 0) this.byOwner.delete(w.key.owner);
  }
  /** Wakes up to `nr` sleepers whose bits meet `bitset`. @returns how many */
  wake(key: FutexKey, nr: number, bitset: number = ANY_BITS): number {
    let woken = 0;
    for (const w of [...this.queue(key)]) {
      if (woken >= nr) break;
      if ((w.bitset & bitset) === 0) continue;
      this.remove(w);
      w.isWoken = true;
      w.task.wake();
      woken++;
    }
    return woken;
  }
  /** Moves up to `nr` sleepers to another word. @returns how many */
  requeue(from: FutexKey, to: FutexKey, nr: number): number {
    let moved = 0;
    for (const w of [...this.queue(from)]) {
      if (moved >= nr) break;
      this.remove(w);
      w.key = to;
      this.add(w);
      moved++;
    }
    return moved;
  }
  get nrWaiting(): number {
    let n = 0;
    for (const words of this.byOwner.values()) for (const queue of words.values()) n += queue.length;
    return n;
  }
}

/** The task stops waiting, woken or not. */
export function leaveFutex(k: Kernel, t: Task): void {
  if (t.futex === null) return;
  k.futexes.remove(t.futex);
  t.futex = null;
}

const FUTEX_WAITERS = 0x8000_0000;
const FUTEX_OWNER_DIED = 0x4000_0000;
const FUTEX_TID_MASK = 0x3fff_ffff;
/** A list may be hostile: it is followed this far (ROBUST_LIST_LIMIT). */
const ROBUST_LIST_LIMIT = 2048;

/** Marks the robust mutexes that a dying task holds, and wakes one waiter each. Mirrors exit_robust_list(). */
export function walkRobustList(k: Kernel, t: Task): void {
  const list = t.robustList;
  t.robustList = null;
  if (list === null) return;
  const head = list.head;
  let entry = t.user.word(head);
  const offset = t.user.word(head + 8);
  const pending = t.user.word(head + 16);
  if (entry === null || offset === null || pending === null) return;
  for (let i = 0; i < ROBUST_LIST_LIMIT && entryAddress(entry) !== head; i++) {
    const next = t.user.word(entryAddress(entry)); // before the entry may be freed by who is woken
    if (entry !== pending && !ownerDied(k, t, entryAddress(entry) + offset, isPi(entry), false)) return;
    if (next === null) return;
    entry = next;
  }
  if (pending !== 0) ownerDied(k, t, entryAddress(pending) + offset, isPi(pending), true);
}
const isPi = (entry: number): boolean => entry % 2 !== 0;
const entryAddress = (entry: number): number => (isPi(entry) ? entry - 1 : entry);

/** handle_futex_death(). @returns false when the word cannot be reached */
function ownerDied(k: Kernel, t: Task, va: number, isPiFutex: boolean, isPending: boolean): boolean {
  if (va % 4 !== 0) return false;
  const value = t.user.u32(va);
  if (value === null) return false;
  const key = futexKey(t, va, false);
  if (isPending && !isPiFutex && value === 0) {
    wakeBoth(k, t, va, key); // it died between unlocking and waking
    return true;
  }
  if ((value & FUTEX_TID_MASK) !== t.tid) return true;
  const dead = ((value & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0;
  if (!t.user.setU32(va, dead)) return false;
  if (!isPiFutex && (value & FUTEX_WAITERS) !== 0) wakeBoth(k, t, va, key);
  return true;
}
/** Wakes one sleeper, whether it named the word as shared or as private. */
function wakeBoth(k: Kernel, t: Task, va: number, key: FutexKey): void {
  if (k.futexes.wake(key, 1) === 0 && key.owner !== t.mm) k.futexes.wake({ owner: t.mm, offset: va }, 1);
}
