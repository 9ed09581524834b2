// khugepaged: a kernel thread that looks through address spaces for 2 MiB of single pages worth making one folio; and MADV_COLLAPSE, by
// which a program asks for the same at once. Here: who is scanned, when, how far. Not here: one window (collapse.ts), the settings
// (khugepaged-controls.ts). Mirrors mm/khugepaged.c, 6.18.
//
// The thread is plain data: where it stands, and the cycle at which it looks up again. The kernel's loop calls run() when that has come. An
// address space enters at its first 2 MiB fault, by MADV_HUGEPAGE, or when a mapping grows; the first to enter waits one sleep, as it would
// behind the others that a machine in use always has. One round looks at pages_to_scan entries, then sleeps; a collapse that finds no memory
// sleeps longer, once a round. What it costs is charged to the clock, and to no program.
import type { StateHash } from '#base';
import { Errno } from '../syscall/errno.ts';
import { ScanResult, collapseScanPmd, collapseSmaller, khugepagedGfp } from './collapse.ts';
import type { CollapseRules } from './collapse.ts';
import { enabledOrders } from './folio-order.ts';
import type { Mm } from './mm.ts';
import { Gfp } from './system.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER, hasOrder } from './thp.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

const PMD_PAGES = 1 << PMD_ORDER;
const PMD_SIZE = 4096 << PMD_ORDER;
/** The modelled clock: a cycle a nanosecond. */
const CYCLES_PER_MS = 1_000_000;
const roundUp = (va: number): number => Math.ceil(va / PMD_SIZE) * PMD_SIZE;
const roundDown = (va: number): number => Math.floor(va / PMD_SIZE) * PMD_SIZE;

/** Has the range an aligned 2 MiB of its own, and anonymous pages to collapse? */
const hasHugeWindow = (vma: Vma): boolean => vma.isAnonymous && vma.anonVma !== null && roundDown(vma.end) - roundUp(vma.start) >= PMD_SIZE;
/** May khugepaged collapse here? thp_vma_allowable_order(TVA_KHUGEPAGED). */
function isScannable(mm: Mm, vma: Vma): boolean {
  if (!hasHugeWindow(vma)) return false;
  const orders = enabledOrders(mm, vma);
  return hasOrder(orders, PMD_ORDER) || (mm.system.thp.khugepaged.values.any_order !== 0 && orders !== 0);
}

export class Khugepaged {
  private readonly system: MmSystem;
  /** The address spaces to go through, in order of entering. */
  private readonly slots: Mm[] = [];
  // The cursor: whose turn it is (null: a new pass begins with the first), and the address reached there.
  private current: Mm | null = null;
  private address = 0;
  /** The clock cycle of the next round; Infinity: nobody to scan. */
  private wakeAt = Infinity;
  // A round that sleeps for memory goes on where it stopped.
  private progress = 0;
  private passes = 0;
  private hasWaited = false;
  /** Collapses to sizes below 2 MiB: khugepaged/any_order. */
  smallerCollapsed = 0;
  /** What all rounds have cost. */
  cycles = 0;

  constructor(system: MmSystem) {
    this.system = system;
  }

  /** The clock cycle at which run() is due; Infinity: never as things stand. */
  get deadline(): number {
    if (this.slots.length === 0) return Infinity;
    return this.system.thp.khugepaged.wantsWake ? 0 : this.wakeAt;
  }
  has(mm: Mm): boolean {
    return this.slots.includes(mm);
  }
  /** khugepaged_enter_vma(): from now on the address space is looked through, if this mapping could ever be collapsed. */
  enterVma(mm: Mm, vma: Vma): void {
    if (!this.slots.includes(mm) && isScannable(mm, vma)) this.enter(mm);
  }
  private enter(mm: Mm): void {
    if (this.slots.push(mm) === 1) this.wakeAt = this.sleepUntil(this.system.thp.khugepaged.values.scan_sleep_millisecs);
  }
  /** khugepaged_fork(): a child is looked through when its parent is. */
  fork(parent: Mm, child: Mm): void {
    if (this.slots.includes(parent)) this.enter(child);
  }
  /** khugepaged_exit(): the address space is about to go. */
  exit(mm: Mm): void {
    const at = this.slots.indexOf(mm);
    if (at < 0) return;
    if (this.current === mm) this.nextMm();
    this.slots.splice(at, 1);
    if (this.slots.length === 0) this.wakeAt = Infinity;
  }
  private sleepUntil(milliseconds: number): number {
    return this.system.machine.clockCycles + milliseconds * CYCLES_PER_MS;
  }

  /** One round, or the rest of one that slept for memory. Mirrors khugepaged_do_scan(). */
  run(): void {
    const { thp: { khugepaged: controls }, machine } = this.system;
    const began = machine.clockCycles;
    controls.wantsWake = false;
    const { pages_to_scan: pages, scan_sleep_millisecs: scanSleep, alloc_sleep_millisecs: allocSleep } = controls.values;
    while (this.progress < pages) {
      if (this.current === null) this.passes++;
      if (this.slots.length === 0 || this.passes >= 2) break;
      if (this.scanMm(pages - this.progress) !== ScanResult.AllocHugePageFail) continue;
      if (this.hasWaited) break;
      this.hasWaited = true;
      this.wakeAt = this.sleepUntil(allocSleep);
      this.cycles += machine.clockCycles - began;
      return;
    }
    this.progress = 0;
    this.passes = 0;
    this.hasWaited = false;
    this.wakeAt = this.sleepUntil(scanSleep);
    this.cycles += machine.clockCycles - began;
  }

  /** Goes on in the current address space until it ends, `pages` entries have been looked at, or a collapse was tried.
   *  Mirrors khugepaged_scan_mm_slot(). @returns what came of the last window */
  private scanMm(pages: number): ScanResult {
    const { thp: { khugepaged: controls } } = this.system;
    if (this.current === null) {
      this.current = this.slots[0]!;
      this.address = 0;
    }
    const mm = this.current;
    let [seen, result]: [number, ScanResult] = [1, ScanResult.Fail];
    for (const vma of mm.thpDisabled ? [] : mm.vmaList.overlapping(this.address, Infinity)) {
      if (!isScannable(mm, vma) || this.address > roundDown(vma.end)) {
        seen++;
        continue;
      }
      this.address = Math.max(this.address, roundUp(vma.start));
      while (this.address < roundDown(vma.end)) {
        result = this.scanWindow(mm, vma);
        if (result === ScanResult.Succeed) controls.pagesCollapsed++;
        this.address += PMD_SIZE;
        seen += PMD_PAGES;
        // A collapse has let go of the address space, so that it begins with a fresh look.
        const letGo = result === ScanResult.Succeed || result === ScanResult.AllocHugePageFail;
        if (seen >= pages || letGo) {
          this.progress += seen;
          return result;
        }
      }
    }
    this.progress += seen;
    this.nextMm();
    return result;
  }
  private scanWindow(mm: Mm, vma: Vma): ScanResult {
    const { thp: { khugepaged: { values } } } = this.system;
    const vpn = this.address / 4096;
    const rules: CollapseRules = { maxPtesNone: values.max_ptes_none, maxPtesShared: values.max_ptes_shared, maxPtesSwap: values.max_ptes_swap, needsReferenced: this.system.params.vm.collapse_needs_referenced !== 0, gfp: khugepagedGfp(values.defrag !== 0), reason: 'collapse-khugepaged' };
    const orders = enabledOrders(mm, vma);
    const result = hasOrder(orders, PMD_ORDER) ? collapseScanPmd(mm, vma, vpn, rules) : ScanResult.Fail;
    const mayTrySmaller = values.any_order !== 0 && result !== ScanResult.Succeed && result !== ScanResult.PmdMapped;
    if (!mayTrySmaller) return result;
    const smaller = [8, 7, 6, 5, 4, 3, 2].filter((order) => hasOrder(orders, order));
    const tried = collapseSmaller(mm, vma, vpn, smaller, rules);
    this.smallerCollapsed += tried.collapsed;
    return tried.result === ScanResult.AllocHugePageFail ? tried.result : result;
  }
  private nextMm(): void {
    const next = this.slots[this.slots.indexOf(this.current!) + 1];
    if (next === undefined) this.system.thp.khugepaged.fullScans++;
    this.current = next ?? null;
    this.address = 0;
  }

  hash(into: StateHash): void {
    into.numbers([...this.slots.map((mm) => mm.id), this.current?.id ?? 0, this.address, this.wakeAt, this.progress, this.passes, this.hasWaited ? 1 : 0, this.smallerCollapsed]);
  }
}

/** A program that asks has no limits to keep, and its pages need not have been used. */
const forcedRules = (): CollapseRules => ({ maxPtesNone: PMD_PAGES, maxPtesShared: PMD_PAGES, maxPtesSwap: PMD_PAGES, needsReferenced: false, gfp: Gfp.Thp, reason: 'collapse-asked' });
/** What ends a MADV_COLLAPSE at once; anything else spoils one window only. */
const passing = (): readonly ScanResult[] => [ScanResult.PmdNull, ScanResult.PteNonPresent, ScanResult.LackReferencedPage, ScanResult.PageNull, ScanResult.PageCount, ScanResult.PageLock];

/** MADV_COLLAPSE on a part of one VMA, whatever the settings say. Windows that reach beyond [start, end) are left alone.
 *  @returns 0 when every whole window is now one folio, else -errno for what stood in the way. Mirrors madvise_collapse(). */
export function madviseCollapse(mm: Mm, vma: Vma, start: number, end: number): number {
  if (!hasHugeWindow(vma) || vma.has(VmFlag.NoHugePage) || mm.thpDisabled) return -Errno.EINVAL;
  const first = roundUp(start);
  const last = roundDown(end);
  let done = 0;
  let failure: ScanResult = ScanResult.Fail;
  for (let at = first; at < last; at += PMD_SIZE) {
    const result = collapseScanPmd(mm, vma, at / 4096, forcedRules());
    if (result === ScanResult.Succeed || result === ScanResult.PmdMapped) done++;
    else {
      failure = result;
      if (!passing().includes(result)) break;
    }
  }
  // A range inside one window has less than no whole one: Linux calls that a failure.
  return done === (last - first) / PMD_SIZE ? 0 : collapseErrno(failure);
}
/** madvise_collapse_errno(): can trying again help, and when? */
function collapseErrno(result: ScanResult): number {
  switch (result) {
    case ScanResult.AllocHugePageFail: return -Errno.ENOMEM;
    case ScanResult.ExceedNonePte: return -Errno.EBUSY;
    case ScanResult.PageCount:
    case ScanResult.PageLock: return -Errno.EAGAIN;
    default: return -Errno.EINVAL;
  }
}
