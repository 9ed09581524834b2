// An address space on the fake machine, and the ways a test touches it.
import { PAGE_SIZE } from '#base';
import type { Folio } from '#base';
import { FaultAccess, FaultResult, handlePageFault } from '#kernel/mm/fault.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { Mm } from '#kernel/mm/mm.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { ptePresent } from '#kernel/mm/pagetable.ts';
import { MmSystem } from '#kernel/mm/system.ts';
import { UserMemory } from '#kernel/mm/uaccess.ts';
import { defaultParams } from '#kernel/params.ts';
import type { KernelParams } from '#kernel/params.ts';
import { Pte, ptePfn } from '#mmu';
import { FakeMachine } from './fake-machine.ts';

export interface Options {
  ramBytes?: number;
  sv?: 39 | 48 | 57;
  maxAsid?: number;
  soiled?: boolean;
  /** Orders that are always used for anonymous memory: [4] for 64 kB, [2, 4, 9]. */
  orders?: readonly number[];
  params?: (params: KernelParams) => void;
  memmapBytesPerFrame?: number;
}

export function bootSystem(options: Options = {}): { machine: FakeMachine; system: MmSystem } {
  const machine = new FakeMachine(options);
  const params = defaultParams();
  options.params?.(params);
  const system = new MmSystem(machine, params, options.memmapBytesPerFrame);
  for (const order of options.orders ?? []) system.thp.setMode(order, 'always');
  return { machine, system };
}

/** A program's view: an address space with its own fault counts, accessed as a hart with Svadu would. */
export class Program {
  readonly mm: Mm;
  readonly counts = { minFlt: 0, majFlt: 0 };
  readonly user: UserMemory;

  constructor(mm: Mm) {
    this.mm = mm;
    this.mm.counts = this.counts;
    this.user = new UserMemory(mm, this.counts);
  }
  static on(system: MmSystem): Program {
    const mm = Mm.create(system);
    if (mm === null) throw new Error('no memory for an address space');
    mm.activate();
    return new Program(mm);
  }
  /** Anonymous private memory; at a fixed address if one is given. Throws on errors: a test's set-up. */
  map(len: number, at = 0, prot: number = Prot.Read | Prot.Write, flags = 0): number {
    const addr = this.mm.mmap({ addr: at, len, prot, flags: MapFlag.Private | MapFlag.Anonymous | (at > 0 ? MapFlag.Fixed : 0) | flags, file: null, pgoff: 0 });
    if (addr < 0) throw new Error(`mmap: errno ${-addr}`);
    return addr;
  }
  /** One access of the program; faults until it succeeds. */
  access(va: number, access: FaultAccess): FaultResult {
    for (let tries = 0; tries < 4; tries++) {
      if (this.hartAllows(va, access)) return FaultResult.Done;
      let result = handlePageFault(this.mm, this.counts, va, access, 'user', 0);
      const { system } = this.mm;
      while (result === FaultResult.Retry) {
        system.waits.waitNow(system.faultWait as Folio, FolioFlag.Locked);
        result = handlePageFault(this.mm, this.counts, va, access, 'user', 0, true);
      }
      if (result !== FaultResult.Done) return result;
    }
    throw new Error(`access at 0x${va.toString(16)} never succeeds`);
  }
  read(va: number): FaultResult {
    return this.access(va, FaultAccess.Read);
  }
  write(va: number): FaultResult {
    return this.access(va, FaultAccess.Write);
  }
  private hartAllows(va: number, access: FaultAccess): boolean {
    const vpn = Math.floor(va / PAGE_SIZE);
    const leaf = this.mm.tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : this.mm.tables.get(vpn);
    const needed = Pte.V | Pte.U | (access === FaultAccess.Write ? Pte.W : access === FaultAccess.Exec ? Pte.X : Pte.R);
    if ((low & needed) !== needed) return false;
    const marks = Pte.A | (access === FaultAccess.Write ? Pte.D : 0);
    if (leaf !== 0) this.mm.tables.setPmdLeaf(vpn, low | marks);
    else this.mm.tables.orRaw(vpn, marks);
    return true;
  }
  /** Writes to every page of a range (or every stride-th), upwards; answers how many faults that took. */
  touch(start: number, len: number, options: { write?: boolean; stride?: number; backwards?: boolean } = {}): number {
    const { write = true, stride = PAGE_SIZE, backwards = false } = options;
    const before = this.counts.minFlt;
    const steps = Math.ceil(len / stride);
    for (let i = 0; i < steps; i++) {
      const va = start + (backwards ? steps - 1 - i : i) * stride;
      const result = write ? this.write(va) : this.read(va);
      if (result !== FaultResult.Done) throw new Error(`touch of 0x${va.toString(16)}: result ${result}`);
    }
    return this.counts.minFlt - before;
  }
  /** The frame behind an address; 0: none. */
  frame(va: number): number {
    const vpn = Math.floor(va / PAGE_SIZE);
    const leaf = this.mm.tables.pmdLeaf(vpn);
    if (leaf !== 0) return ptePfn(leaf) + (vpn & 511);
    const low = this.mm.tables.get(vpn);
    return ptePresent(low) ? ptePfn(low) : 0;
  }
}

export function boot(options: Options = {}): { machine: FakeMachine; system: MmSystem; program: Program } {
  const { machine, system } = bootSystem(options);
  return { machine, system, program: Program.on(system) };
}
