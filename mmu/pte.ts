// The page-table entry and satp, declared once; walker, kernel, debugger and tests read them off here.
// Privileged spec, "Sv39 page-table entry"; Svnapot; Svpbmt. An entry is two 32-bit words, low and high.
import { asPfn, flagPrinter } from '#base';
import type { Pfn } from '#base';

/** Bits of the low word. */
export const Pte = { V: 1 << 0, R: 1 << 1, W: 1 << 2, X: 1 << 3, U: 1 << 4, G: 1 << 5, A: 1 << 6, D: 1 << 7 } as const;
/** RSW bits 9:8 of the low word, for the OS. Linux on riscv: 8 marks a special page (the zero page), 9 soft-dirty where configured. */
export const PteSoft = { Special: 1 << 8, SoftDirty: 1 << 9 } as const;
/** Bits of the high word: N (Svnapot) is bit 63, PBMT 62:61, reserved 60:54, PPN continues in 53:32. */
export const PteHigh = { N: 1 << 31, Pbmt: 3 << 29, Reserved: 0x7f << 22, Ppn: 0x003fffff } as const;

/** The frame of an entry. RAM ends below 16 GiB, so for an entry the kernel made the low word has it all; NAPOT: see napotPfn. */
export const ptePfn = (low: number): Pfn => (low >>> 10) as Pfn;
/** PPN 43:0 in full, for entries that anyone may have written (page tables are guest RAM). */
export const ptePpn = (low: number, high: number): number => (high & PteHigh.Ppn) * 0x40_0000 + (low >>> 10);
export const pteIsLeaf = (low: number): boolean => (low & (Pte.R | Pte.X)) !== 0;
export const makePte = (pfn: Pfn, flags: number): number => (pfn << 10) | flags;
/** Svnapot, the one valid encoding: PPN[3:0] = 1000b stands for a naturally aligned 64 KiB region. */
export const NAPOT_ORDER = 4;
export const napotLow = (firstPfn: Pfn, flags: number): number => ((firstPfn | 8) << 10) | flags;
/** The frame that a valid NAPOT entry gives for a page of its region. */
export const napotPfn = (low: number, vpnLow: number): Pfn => asPfn(((low >>> 10) & ~15) | (vpnLow & 15));
/** 'vrw-u-ad' in traces, debugger and test failures. */
export const showPte = flagPrinter(Pte);

export const SatpMode = { Bare: 0, Sv39: 8, Sv48: 9, Sv57: 10 } as const;
export type SatpMode = (typeof SatpMode)[keyof typeof SatpMode];
/** Levels of page tables under a mode; 0 for Bare. */
export const levelsOf = (mode: SatpMode): number => (mode === SatpMode.Bare ? 0 : mode - 5);
export const ENTRIES_PER_TABLE = 512;
