// Is khugepaged working against reclaim? What one splits for want of memory the other may make whole again. Here: the last such event of each range
// of an address space, how often the two followed each other, and, as an option, ranges that khugepaged leaves alone for a while. Not here: splitting
// (split.ts), collapsing (collapse.ts). Ours; Linux has only the rules that keep the two apart: max_ptes_none, and pages used of late.
//
// A range is told apart by its addresses: what is mapped there anew counts as the same.
import type { StateHash } from '#base';
import { reasonIndex } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';
import { collapseRefused } from './events.ts';
import type { Mm } from './mm.ts';
import type { MmSystem } from './system.ts';

const CYCLES_PER_MS = 1_000_000;
/** Splits that were made to free memory. */
const forMemory: readonly ReasonCode[] = ['split-partial', 'split-zeros', 'split-unused'];

interface Event { readonly vpn: number; readonly nr: number; readonly isSplit: boolean; readonly cycle: number }

export class CollapseHistory {
  /** Ranges that khugepaged collapsed and pressure split next, the reverse, and those left alone by the guard. */
  readonly counts = { split_after_collapse: 0, collapse_after_split: 0, guarded: 0 };
  private readonly system: MmSystem;
  /** By address space, then by 2 MiB. */
  private readonly events = new Map<Mm, Map<number, Event[]>>();

  constructor(system: MmSystem) {
    this.system = system;
  }
  noteSplit(mm: Mm, vpn: number, nr: number, reason: ReasonCode): void {
    if (forMemory.includes(reason) && this.note(mm, vpn, nr, true)) this.counts.split_after_collapse++;
  }
  noteCollapse(mm: Mm, vpn: number, nr: number): void {
    if (this.note(mm, vpn, nr, false)) this.counts.collapse_after_split++;
  }
  /** @returns whether the reverse was the last that happened there */
  private note(mm: Mm, vpn: number, nr: number, isSplit: boolean): boolean {
    let windows = this.events.get(mm);
    if (windows === undefined) this.events.set(mm, (windows = new Map()));
    const window = vpn >>> 9;
    const before = windows.get(window) ?? [];
    const touched = before.filter((event) => overlaps(event, vpn, nr));
    windows.set(window, [...before.filter((event) => !touched.includes(event)), { vpn, nr, isSplit, cycle: this.system.machine.clockCycles }]);
    return touched.some((event) => event.isSplit !== isSplit);
  }
  /** Must khugepaged leave the range alone, because pressure has split something there not long ago? Off unless collapse_guard_millisecs is set. */
  isGuarded(mm: Mm, vpn: number, nr: number): boolean {
    const wait = this.system.params.vm.collapse_guard * CYCLES_PER_MS;
    if (wait === 0) return false;
    const now = this.system.machine.clockCycles;
    const guarded = (this.events.get(mm)?.get(vpn >>> 9) ?? []).some((event) => event.isSplit && now - event.cycle < wait && overlaps(event, vpn, nr));
    if (guarded) {
      this.counts.guarded++;
      if (collapseRefused.enabled) collapseRefused.emit(mm.id, vpn * 4096, nr, reasonIndex('collapse-guarded'));
    }
    return guarded;
  }
  /** The address space is about to go. */
  forget(mm: Mm): void {
    this.events.delete(mm);
  }
  hash(into: StateHash): void {
    into.numbers(Object.values(this.counts));
    for (const [mm, windows] of this.events) for (const [window, events] of windows) into.numbers([mm.id, window, ...events.flatMap(({ vpn, nr, isSplit, cycle }) => [vpn, nr, isSplit ? 1 : 0, cycle])]);
  }
}
const overlaps = (event: Event, vpn: number, nr: number): boolean => event.vpn < vpn + nr && vpn < event.vpn + event.nr;
