// Watched memory on both sides: what a program does to it comes from the hart, what the kernel does from its calls to the machine. Here: which watch an
// access belongs to, and whether it counts: that of a process's addresses is found through the page table it has at that moment; 'change' compares
// the bytes. Not here: stopping (runner.ts), how the hart knows (#mmu, watch.ts).
import { PAGE_SIZE, asPfn } from '#base';
import type { WatchedAccess, WatchedRange } from '#mmu';
import type { Mm } from '#kernel';
import type { Session } from '../boot.ts';
import { frameOf } from '../trace/peek.ts';
import { memoryAt } from './memory.ts';
import type { MemoryWatch } from './timeline.ts';

export interface MemoryHit { readonly watch: MemoryWatch; readonly isWrite: boolean; readonly address: number }

export class MemoryWatcher {
  private readonly session: Session;
  private readonly watches: readonly MemoryWatch[];
  /** Of those that wait for a change: the bytes, null where they could not be read. */
  private readonly before = new Map<MemoryWatch, Uint8Array | null>();

  constructor(session: Session, watches: readonly MemoryWatch[]) {
    this.session = session;
    this.watches = watches;
    for (const watch of watches) if (watch.on === 'change') this.before.set(watch, this.bytesOf(watch));
  }
  /** For the hart. */
  get ranges(): WatchedRange[] {
    return this.watches.map(({ space, start, lenBytes, on }) => ({
      space: space === 'physical' ? 'physical' : 'virtual', start, lenBytes, reads: on === 'read' || on === 'access', writes: on !== 'read',
    }));
  }

  /** What the hart did in the task that runs. */
  byProgram(accesses: readonly WatchedAccess[]): MemoryHit | null {
    const { current } = this.session.kernel;
    for (const { va, pa, lenBytes, isRead, isWrite } of accesses) {
      for (const watch of this.watches) {
        const at = watch.space === 'physical' ? pa : va !== null && current?.hasMm === true && current.mm.id === watch.space.mmId ? va : null;
        if (at === null || !overlaps(watch, at, lenBytes)) continue;
        const hit = this.judge(watch, isRead, isWrite, Math.max(at, watch.start));
        if (hit !== null) return hit;
      }
    }
    return null;
  }
  /** What the kernel did to bytes of RAM. */
  byKernel(pa: number, lenBytes: number, isWrite: boolean): MemoryHit | null {
    for (const watch of this.watches) {
      const address = watch.space === 'physical' ? (overlaps(watch, pa, lenBytes) ? Math.max(pa, watch.start) : null) : this.virtualOf(watch, watch.space.mmId, pa, lenBytes);
      const hit = address === null ? null : this.judge(watch, !isWrite, isWrite, address);
      if (hit !== null) return hit;
    }
    return null;
  }

  private judge(watch: MemoryWatch, isRead: boolean, isWrite: boolean, address: number): MemoryHit | null {
    const { on } = watch;
    const counts = on === 'change' ? isWrite && this.hasChanged(watch) : (isRead && on !== 'write') || (isWrite && on !== 'read');
    const wrote = isWrite && on !== 'read';
    return counts && watch.accepts?.(address, wrote) !== false ? { watch, isWrite: wrote, address } : null;
  }
  private hasChanged(watch: MemoryWatch): boolean {
    const now = this.bytesOf(watch);
    const before = this.before.get(watch) ?? null;
    if (now === null) return false;
    this.before.set(watch, now);
    return before !== null && now.some((byte, i) => byte !== before[i]);
  }

  /** The first watched address of a process that lies in some bytes of RAM, as its page table stands; null: none does. */
  private virtualOf(watch: MemoryWatch, mmId: number, pa: number, lenBytes: number): number | null {
    const mm = this.mm(mmId);
    if (mm === null) return null;
    for (const { va, pa: at, nr } of this.pieces(watch, mm)) if (at !== null && at < pa + lenBytes && at + nr > pa) return va + Math.max(0, pa - at);
    return null;
  }
  private bytesOf(watch: MemoryWatch): Uint8Array | null {
    const { start, lenBytes, space } = watch;
    if (space !== 'physical') {
      const mm = this.mm(space.mmId);
      const bytes = mm === null ? null : memoryAt(mm, start, lenBytes);
      return bytes?.length === lenBytes ? bytes : null;
    }
    const { machine } = this.session;
    const first = Math.floor(start / PAGE_SIZE);
    if (!machine.ram.has(first) || !machine.ram.has(Math.floor((start + lenBytes - 1) / PAGE_SIZE))) return null;
    const bytes = new Uint8Array(lenBytes);
    machine.readFrame(asPfn(first), start % PAGE_SIZE, bytes);
    return bytes;
  }
  /** Watched bytes of a process page by page, with where they are in RAM. */
  private* pieces({ start, lenBytes }: MemoryWatch, mm: Mm): Generator<{ va: number; pa: number | null; nr: number }> {
    for (let va = start; va < start + lenBytes;) {
      const nr = Math.min(PAGE_SIZE - (va % PAGE_SIZE), start + lenBytes - va);
      const frame = frameOf(this.session.machine, mm.root, Math.floor(va / PAGE_SIZE));
      yield { va, pa: frame === null ? null : frame * PAGE_SIZE + (va % PAGE_SIZE), nr };
      va += nr;
    }
  }
  private mm(id: number): Mm | null {
    for (const task of this.session.kernel.tasks.values()) if (task.hasMm && task.mm.id === id) return task.mm;
    return null;
  }
}

const overlaps = ({ start, lenBytes }: MemoryWatch, at: number, length: number): boolean => at < start + lenBytes && at + length > start;
