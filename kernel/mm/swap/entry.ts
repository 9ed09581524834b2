// Swap entries: where a page went, as page tables and the trees of shared memory name it. Here: one entry as a number, and as the low word
// of a PTE. Not here: what stands at that place (swap-info.ts). Mirrors swp_entry_t and arch/riscv/include/asm/pgtable.h, 6.18.
//
// A PTE that is not valid and not empty is a swap entry (or a marker, whose type no device has: pte-marker.ts). riscv's layout:
//   bits 12..31 offset (20 bits here: 4 GiB a device) | bit 7..11 type | bit 6 exclusive | bit 5 PROT_NONE, 0 | bits 1..4 0 | bit 0 V, 0
import { Pte } from '#mmu';

/** (type, offset) in one number, type * 2^20 + offset: the pages of a run follow each other. 0 is no entry, for slot 0 of a device is its header's. */
export type SwapEntry = number;
/** Types that devices may have; the last one is the markers'. */
export const MAX_SWAPFILES = 24;
/** Slots of a device that an entry can name. */
export const MAX_SWAP_SLOTS = 1 << 20;
const MARKER_TYPE = 31;
/** _PAGE_SWP_EXCLUSIVE: the page was AnonExclusive when it went out. */
const SWP_EXCLUSIVE = Pte.A;

export const swapEntry = (type: number, offset: number): SwapEntry => type * MAX_SWAP_SLOTS + offset;
export const swapType = (entry: SwapEntry): number => Math.floor(entry / MAX_SWAP_SLOTS);
export const swapOffset = (entry: SwapEntry): number => entry % MAX_SWAP_SLOTS;

export const swapPte = (entry: SwapEntry, isExclusive: boolean): number => (swapOffset(entry) << 12) | (swapType(entry) << 7) | (isExclusive ? SWP_EXCLUSIVE : 0);
/** Is the low word of an entry that is neither empty nor present a place in swap? Ask ptePresent() first. */
export const isSwapPte = (low: number): boolean => low !== 0 && (low & (Pte.V | Pte.G)) === 0 && ((low >>> 7) & 31) !== MARKER_TYPE;
export const entryOfPte = (low: number): SwapEntry => swapEntry((low >>> 7) & 31, low >>> 12);
export const isExclusiveSwapPte = (low: number): boolean => (low & SWP_EXCLUSIVE) !== 0;
export const withoutSwapExclusive = (low: number): number => low & ~SWP_EXCLUSIVE;
