// The MMU of one hart: a counted look-up of one virtual address, fences, satp. Here: probing the TLB levels in order, filling them, faults.
// Not here: how a level stores entries (tlb.ts), the walk (walker.ts), the engine's fast path (filter.ts).
import { bug } from '#base';
import type { Asid, StateHash } from '#base';
import type { Arena } from './arena.ts';
import type { TlbCounters } from './counters.ts';
import type { TlbDescription } from './description.ts';
import { Filter } from './filter.ts';
import type { Ram } from './ram.ts';

/** What an access is, as the counters tell them apart. LR is a Load, SC a Store. */
export const Access = { Fetch: 0, Load: 1, Store: 2, Amo: 3 } as const;
export type Access = (typeof Access)[keyof typeof Access];

export const Privilege = { User: 0, Supervisor: 1, Machine: 3 } as const;
export type Privilege = (typeof Privilege)[keyof typeof Privilege];

export interface MmuOptions {
  readonly tlb: TlbDescription;
  /** Widest mode that satp accepts; narrower ones come with it. */
  readonly sv: 39 | 48 | 57;
  /** True: hardware sets A and D (Svadu, menvcfg.ADUE=1). False: a page fault asks software to (Svade). */
  readonly svadu: boolean;
  /** For random replacement. */
  readonly seed: number;
}

/** The last fault, as trap registers want it. `cause` is an exception code (12, 13, 15 page faults; 1, 5, 7 access faults). */
export interface MmuFault { cause: number; vaHi: number; vaLo: number }

export class Mmu {
  readonly ram: Ram;
  readonly filter: Filter;
  readonly fault: MmuFault = { cause: 0, vaHi: 0, vaLo: 0 };
  declare readonly counters: TlbCounters;
  /** The engine's clock for recency stamps: it sets this before it calls lookup(), to instructions retired plus traps taken. An L1 entry
   *  touched by the access is stamped 2 * tick; the second page of a split access 2 * tick + 1 (lookup's `second`). */
  tick = 0;

  constructor(arena: Arena, ram: Ram, _options: MmuOptions) {
    this.ram = ram;
    this.filter = new Filter(arena);
  }

  /** One counted look-up for bytes that lie in one page: adds to counters.lookups[access], then hit or miss, walk, fill, A and D.
   *  @param second the access is the second half of one that straddles two pages
   *  @returns host offset of the byte, signed 32 bits; or NO_HOST with `fault` set. */
  lookup(_vaHi: number, _vaLo: number, _access: Access, _second = false): number {
    return bug('unwritten');
  }
  /** satp as the CSR: an unsupported MODE changes nothing at all. Drops the filter; neither flushes nor orders anything. */
  writeSatp(_hi: number, _lo: number): void { bug('unwritten'); }
  readonly satpHi: number = 0;
  readonly satpLo: number = 0;
  /** Privilege and sstatus.SUM/MXR for the accesses that follow; they act at once, so a TLB holds raw permission bits. */
  setPrivilege(_privilege: Privilege, _sum: boolean, _mxr: boolean): void { bug('unwritten'); }
  /** sfence.vma. `va` null: rs1 = x0. `asid` null: rs2 = x0 (spec table: riscv privileged, supervisor memory-management fence). */
  fence(_va: { readonly hi: number; readonly lo: number } | null, _asid: Asid | null): void { bug('unwritten'); }
  /** Cycles that look-ups have cost so far beyond an L1 hit: L2 hits, walks, PTE reads, each at the description's latencies. */
  get cycles(): number { return bug('unwritten'); }
  /** Everything that decides future behaviour: entries, stamps, page-walk caches, replacement state, counters, satp. */
  hash(_into: StateHash): void { bug('unwritten'); }
}
