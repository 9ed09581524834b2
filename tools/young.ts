// What reclaim sees of use, beside what the hart did. Aging reads A bits and clears them without a fence, as Linux does on riscv and x86: a
// translation that stays in a TLB is used without a walk, so that no A bit is set again. Such a page looks idle while it is hot. Here: counting these
// blind samples; tools may look into a TLB, the kernel may not. Host-free. Changes nothing of the run.
//
// A sample that says old is blind when the page's translation is in a TLB and was used since the sample before. In L1 each use leaves its time. In L2
// only look-ups that missed L1 do: where the L1 entry has gone, uses through it are forgotten, and the sample counts as cached, not as blind.
import type { Mm, SamplingObserver } from '#kernel';
import type { Mmu } from '#mmu';
import type { Session } from './boot.ts';

export interface YoungReport {
  /** Accessed bits that reclaim read, one an entry of a page table, or a run of them that Svnapot folds; those that were set, and those not. */
  readonly samples: number;
  readonly young: number;
  readonly old: number;
  /** Of the old: the page had been used since the sample before, through a TLB. */
  readonly blind: number;
  /** blind / old. */
  readonly blindShare: number;
  /** Of the old: its translation was in a TLB, and whether it was used cannot be told. */
  readonly cached: number;
  readonly blindByLevel: Readonly<Record<string, number>>;
  readonly blindByPageSize: Readonly<Record<string, number>>;
}

/** Pages of an entry, as reports call them. */
const sizeNames: Readonly<Record<number, string>> = { 16: '64K', 512: '2M' };
/** Address spaces are kept apart by more pages than one has. */
const PAGES_PER_SPACE = 2 ** 45;

export class YoungSampling implements SamplingObserver {
  private readonly session: Session;
  /** When an entry was last sampled: its row below, by address space and page. */
  private readonly rows = new Map<number, number>();
  private readonly times: { l1: number; l2: number; l2i: number }[] = [];
  private young = 0;
  private old = 0;
  private blind = 0;
  private cached = 0;
  private readonly byLevel: Record<string, number> = {};
  private readonly bySize: Record<string, number> = {};

  constructor(session: Session) {
    this.session = session;
    session.kernel.system.sampling = this;
    session.young = this;
  }
  sampled(mm: Mm, vpn: number, nr: number, wasYoung: boolean): void {
    const { mmu } = this.session.machine;
    const key = mm.id * PAGES_PER_SPACE + vpn;
    const row = this.rows.get(key);
    const before = row === undefined ? null : this.times[row]!;
    if (wasYoung) this.young++;
    else {
      this.old++;
      const level = this.usedThrough(mmu, mm, vpn, nr, before);
      if (level === 'cached') this.cached++;
      else if (level !== null) {
        this.blind++;
        this.byLevel[level] = (this.byLevel[level] ?? 0) + 1;
        const size = sizeNames[nr] ?? '4K';
        this.bySize[size] = (this.bySize[size] ?? 0) + 1;
      }
    }
    const now = mmu.touchClocks(this.tick);
    if (row !== undefined) this.times[row] = now;
    else {
      this.rows.set(key, this.times.length);
      this.times.push(now);
    }
  }
  /** The level through which a page of the entry was used since; 'cached': it is in one, and that is all that is known; null: it is in none. */
  private usedThrough(mmu: Mmu, mm: Mm, vpn: number, nr: number, since: { l1: number; l2: number; l2i: number } | null): string | null {
    let found: string | null = null;
    for (let page = vpn; page < vpn + nr; ) {
      let pages = 1;
      for (const { level, order, touched } of mmu.cachedEntries(page, mm.asid)) {
        pages = Math.max(pages, 2 ** order - (page % 2 ** order));
        const sampledAt = since === null ? -1 : level === 'l2' ? since.l2 : level === 'l2i' ? since.l2i : since.l1;
        if (touched > sampledAt) return level;
        found = 'cached';
      }
      page += pages;
    }
    return found;
  }
  /** The MMU's clock for the next instruction. */
  private get tick(): number {
    const { hart } = this.session.machine;
    return hart.instret + hart.traps;
  }
  report(): YoungReport {
    const { young, old, blind, cached } = this;
    return { samples: young + old, young, old, blind, blindShare: old === 0 ? 0 : blind / old, cached, blindByLevel: { ...this.byLevel }, blindByPageSize: { ...this.bySize } };
  }
}
