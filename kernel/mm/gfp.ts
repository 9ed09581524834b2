// GFP flags: how an allocation may be served. Here: Linux's bits (6.12 to 6.18), the masks that mm uses, what they mean for the allocator.
// Not here: which mask a large folio gets at a fault (folio-order.ts: vma_thp_gfp_mask). Mirrors include/linux/gfp_types.h.
import { MigrateType } from './buddy.ts';

export const GfpFlag = {
  Highmem: 0x2, Movable: 0x8, Reclaimable: 0x10, High: 0x20, Io: 0x40, Fs: 0x80, Zero: 0x100, DirectReclaim: 0x400, KswapdReclaim: 0x800,
  Nowarn: 0x2000, RetryMayfail: 0x4000, Nofail: 0x8000, Noretry: 0x1_0000, Memalloc: 0x2_0000, Comp: 0x4_0000, Nomemalloc: 0x8_0000,
  Hardwall: 0x10_0000, Account: 0x40_0000,
} as const;

/** How an allocation may be served, with Linux's bits; the ones that mm uses. */
export const Gfp = {
  /** Page tables: GFP_PGTABLE_USER. */
  PageTable: 0x40_0dc0,
  /** What the kernel keeps for itself and cannot move: GFP_KERNEL. */
  Kernel: 0xcc0,
  /** GFP_KERNEL from a context that may not sleep, with access to half of the reserve: GFP_ATOMIC. */
  Atomic: 0x820,
  /** One page of anonymous memory or of a file: GFP_HIGHUSER_MOVABLE. */
  User: 0x10_0cca,
  /** The same, zeroed. */
  UserZero: 0x10_0dca,
  /** A large folio at a fault without MADV_HUGEPAGE: GFP_TRANSHUGE_LIGHT, no reclaim of any kind. */
  ThpLight: 0x1c_20ca,
  /** With MADV_HUGEPAGE: direct reclaim too. GFP_TRANSHUGE. */
  Thp: 0x1c_24ca,
} as const;

/** gfp_migratetype(). */
export function migrateTypeOf(gfp: number): MigrateType {
  return (gfp & GfpFlag.Movable) !== 0 ? MigrateType.Movable : (gfp & GfpFlag.Reclaimable) !== 0 ? MigrateType.Reclaimable : MigrateType.Unmovable;
}
