// Locks of folios, and waiting for them: a folio is locked while it is read in, under writeback while it is written out. Here: the two bits,
// who sleeps on them, the atomic operations that they cost. Not here: the I/O (ops of filemap.ts), the disks' time (kernel/block/).
// Mirrors folio_lock(), folio_end_read(), folio_start_writeback(), folio_end_writeback() and the wait table (mm/filemap.c).
//
// Who waits: a task sleeps on queueOf(folio) and tries again from the start when woken. What cannot let go in the middle (a fault of the
// kernel's own, a truncate) calls waitNow(): the clock goes on to the end of the I/O, and nothing else runs meanwhile.
import { bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { WaitQueue } from '../proc/wait.ts';
import { FolioFlag } from './folio.ts';
import type { MmSystem } from './system.ts';

/** Something whose requests end by themselves as the clock goes on: a disk. */
export interface IoClock {
  /** The clock cycle at which the next request ends; Infinity: none is under way. */
  readonly deadline: number;
  /** Ends what is due. */
  complete(): void;
  /** Somebody waits: what was held back to be joined with others goes on its way (io_schedule() flushes the plug). */
  kick(): void;
  hash(into: StateHash): void;
}

/** What the end of a request asks for and cannot be done there, since a file system may be in the middle of something while it waits for
 *  another request: Linux's workqueues. Done between instructions, and by who waits for it. */
export interface DeferredEnd { runDeferred(): void }

/** Atomic operations on folios' flag words, by what they were for. One by folio_end_read() where three were needed (mark uptodate, unlock,
 *  look for waiters behind a barrier) is a claim of "State of the page". */
export interface FolioAtomics { lock: number; unlock: number; endRead: number; endReadSaved: number; writeback: number; buffers: number }

export class FolioWaits {
  readonly atomics: FolioAtomics = { lock: 0, unlock: 0, endRead: 0, endReadSaved: 0, writeback: 0, buffers: 0 };
  /** The disks there are. */
  readonly clocks: IoClock[] = [];
  private readonly system: MmSystem;
  private readonly queues = new Map<Folio, WaitQueue>();
  private readonly deferred: DeferredEnd[] = [];

  constructor(system: MmSystem) {
    this.system = system;
  }

  isLocked(folio: Folio): boolean {
    return this.system.folios.test(folio, FolioFlag.Locked);
  }
  /** folio_trylock(). */
  tryLock(folio: Folio): boolean {
    this.atomics.lock++;
    const { folios } = this.system;
    if (folios.test(folio, FolioFlag.Locked)) return false;
    folios.set(folio, FolioFlag.Locked);
    return true;
  }
  /** folio_lock() for who cannot sleep. */
  lockNow(folio: Folio): void {
    while (!this.tryLock(folio)) this.waitNow(folio, FolioFlag.Locked);
  }
  unlock(folio: Folio): void {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Locked)) bug(`unlock of folio ${hex(folio)}, which is not locked`);
    this.atomics.unlock++;
    folios.clear(folio, FolioFlag.Locked);
    this.wake(folio);
  }
  /** A read has ended: up to date if it succeeded, unlocked in any case, and all of it by one atomic operation. */
  endRead(folio: Folio, success: boolean): void {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Locked)) bug(`end of a read of folio ${hex(folio)}, which is not locked`);
    this.atomics.endRead++;
    this.atomics.endReadSaved += 2;
    if (success) folios.set(folio, FolioFlag.Uptodate);
    folios.clear(folio, success ? FolioFlag.Locked | FolioFlag.ReadAlone : FolioFlag.Locked);
    this.wake(folio);
  }
  startWriteback(folio: Folio): void {
    const { folios } = this.system;
    if (folios.test(folio, FolioFlag.Writeback)) bug(`folio ${hex(folio)} is written back already`);
    this.atomics.writeback++;
    folios.set(folio, FolioFlag.Writeback);
  }
  endWriteback(folio: Folio): void {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Writeback)) bug(`folio ${hex(folio)} is not being written back`);
    this.atomics.writeback++;
    // Reclaim waits for it: the next to go.
    if (folios.test(folio, FolioFlag.Reclaim)) {
      folios.clear(folio, FolioFlag.Reclaim);
      this.system.lru.rotate(folio);
    }
    folios.clear(folio, FolioFlag.Writeback);
    this.wake(folio);
  }

  /** Where tasks sleep until a folio's lock or writeback ends. */
  queueOf(folio: Folio): WaitQueue {
    let queue = this.queues.get(folio);
    if (queue === undefined) this.queues.set(folio, (queue = new WaitQueue()));
    return queue;
  }
  private wake(folio: Folio): void {
    const queue = this.queues.get(folio);
    if (queue === undefined) return;
    queue.wake();
    this.queues.delete(folio);
  }

  /** The next end of a request on any disk. */
  get deadline(): number {
    let next = Infinity;
    for (const clock of this.clocks) next = Math.min(next, clock.deadline);
    return next;
  }
  /** Ends what is due on all disks. Called by the kernel's loop, and while waiting. */
  complete(): void {
    for (const clock of this.clocks) if (clock.deadline <= this.system.machine.clockCycles) clock.complete();
  }
  /** Puts off what the end of a request asks for. */
  defer(work: DeferredEnd): void {
    this.deferred.push(work);
  }
  get hasDeferred(): boolean {
    return this.deferred.length > 0;
  }
  /** Does what was put off, where no file system is in the middle of something. @returns false: there was nothing */
  runDeferred(): boolean {
    const work = this.deferred.splice(0);
    for (const each of work) each.runDeferred();
    return work.length > 0;
  }
  /** Goes forward in time until a folio's bit is clear, with nothing else running. */
  waitNow(folio: Folio, flag: number): void {
    const { folios } = this.system;
    while (folios.test(folio, flag)) if (!this.runDeferred() && !this.passTime()) bug(`folio ${hex(folio)} waits for I/O that is not under way`);
  }
  /** Moves the clock to the next end of a request, and ends it. @returns false: no request is under way */
  passTime(): boolean {
    for (const clock of this.clocks) clock.kick();
    const next = this.deadline;
    if (next === Infinity) return false;
    const { machine } = this.system;
    if (next > machine.clockCycles) machine.charge(next - machine.clockCycles);
    this.complete();
    return true;
  }
  hash(into: StateHash): void {
    for (const clock of this.clocks) clock.hash(into);
  }
}
