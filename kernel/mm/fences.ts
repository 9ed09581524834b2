// Fences: making sure that the hart forgets what a page table no longer says. Here: address-space identifiers, one address space's fences,
// and the batch that an unmapping gathers. Not here: what a TLB then does. Mirrors arch/riscv/mm/context.c and tlbflush.c, and mmu_gather.
// Assumes Svvptc: a hart does not keep invalid entries, so that a fresh mapping needs no fence.
import { asAsid, asVpn } from '#base';
import type { Asid, Pfn, Vpn } from '#base';
import type { Machine } from '../machine.ts';
import type { KernelParams } from '../params.ts';
import { tlbFlush } from './events.ts';

const SHOOTDOWN = 3; // enum tlb_flush_reason: TLB_LOCAL_MM_SHOOTDOWN

/** Hands out ASIDs; when they run out, everybody needs a new one and the whole TLB is flushed once. ASID 0 is the kernel's own. */
export class AsidAllocator {
  generation = 1;
  /** The next to be handed out. */
  next = 1;
  private readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }
  allocate(): Asid {
    if (this.next > this.machine.maxAsid) {
      this.generation++;
      this.next = Math.min(1, this.machine.maxAsid);
      this.machine.fence(null, null);
    }
    return asAsid(this.next++);
  }
}

/** The fences of one address space. One that has never run on the hart (under its present ASID) has nothing to flush. */
export class Fences {
  asid: Asid = asAsid(0);
  private generation = 0; // of the ASID; 0: never had one
  private readonly machine: Machine;
  private readonly params: KernelParams;
  private readonly asids: AsidAllocator;

  constructor(machine: Machine, params: KernelParams, asids: AsidAllocator) {
    this.machine = machine;
    this.params = params;
    this.asids = asids;
  }
  private get mayBeCached(): boolean {
    return this.generation === this.asids.generation;
  }
  /** satp := this address space. */
  activate(root: Pfn): void {
    if (!this.mayBeCached) {
      this.asid = this.asids.allocate();
      this.generation = this.asids.generation;
    }
    this.machine.setAddressSpace(root, this.asid);
  }
  /** flush_tlb_page(). */
  page(vpn: Vpn): void {
    if (!this.mayBeCached) return;
    this.machine.charge(this.params.cost.fence_page);
    this.machine.fence(this.asid, vpn);
    if (tlbFlush.enabled) tlbFlush.emit(SHOOTDOWN, 1);
  }
  /** flush_tlb_range(): page by page, or everything when that is many. @param stride pages that one fence covers (512 for PMD entries) */
  range(start: number, end: number, stride = 1): void {
    if (!this.mayBeCached || end <= start) return;
    const nr = Math.ceil((end - start) / stride);
    if (nr > this.params.vm.tlb_flush_all_threshold) {
      this.all();
      return;
    }
    this.machine.charge(this.params.cost.fence_page * nr);
    for (let vpn = start; vpn < end; vpn += stride) this.machine.fence(this.asid, asVpn(vpn));
    if (tlbFlush.enabled) tlbFlush.emit(SHOOTDOWN, nr);
  }
  /** flush_tlb_mm(). The only form that covers pointer entries, and so the one for freed tables. */
  all(): void {
    if (!this.mayBeCached) return;
    this.machine.charge(this.params.cost.fence_all);
    this.machine.fence(this.asid, null);
    if (tlbFlush.enabled) tlbFlush.emit(SHOOTDOWN, -1);
  }
}

/** What one operation has unmapped and must fence at its end: struct mmu_gather. */
export class FenceBatch {
  private start = Infinity;
  private end = 0;
  private onlyPmds = true;
  private freedTables = false;
  private readonly fences: Fences;

  constructor(fences: Fences) {
    this.fences = fences;
  }
  /** @param nr pages; 512 with `pmd` for a PMD entry */
  add(vpn: number, nr: number, pmd = false): void {
    if (vpn < this.start) this.start = vpn;
    if (vpn + nr > this.end) this.end = vpn + nr;
    if (!pmd) this.onlyPmds = false;
  }
  tablesFreed(): void {
    this.freedTables = true;
  }
  /** One fence per page of the range touched, or one for everything. May be used again afterwards. */
  flush(): void {
    if (this.freedTables) this.fences.all();
    else if (this.end > 0) this.fences.range(this.start, this.end, this.onlyPmds ? 512 : 1);
    this.start = Infinity;
    this.end = 0;
    this.onlyPmds = true;
    this.freedTables = false;
  }
}
