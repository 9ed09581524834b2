// MmSystem: what all address spaces share.
import { bug } from '#base';
import type { Pfn, StateHash } from '#base';
import type { Machine } from '../machine.ts';
import type { KernelParams } from '../params.ts';
import { VmStat } from './events.ts';

export class MmSystem {
  readonly machine: Machine;
  readonly params: KernelParams;
  readonly vmstat = new VmStat();
  readonly thp: ThpControls = bug('unwritten');
  readonly zeroPage: Pfn = bug('unwritten');
  constructor(machine: Machine, params: KernelParams, _memmapBytesPerFrame = 64) {
    this.machine = machine;
    this.params = params;
  }
  /** MemTotal: RAM less the memory map. */
  get memTotalBytes(): number { return bug('unwritten'); }
  get freeBytes(): number { return bug('unwritten'); }
  /** Bytes of RAM that the memory map takes. */
  get memmapBytes(): number { return bug('unwritten'); }
  /** Free blocks by order, 0 to 10: /proc/buddyinfo. */
  freeBlocks(): readonly number[] { return bug('unwritten'); }
  /** Committed_AS in pages. */
  committedPages = 0;
  /** Throws Bug when an invariant fails. Slow: tests, fuzzers, --sanitize. */
  check(): void { bug('unwritten'); }
  hash(_into: StateHash): void { bug('unwritten'); }
}

/** The transparent_hugepage tree. Files are named by their path below /sys/kernel/mm/transparent_hugepage. */
export interface ThpControls {
  /** Every file below transparent_hugepage/, in order: 'enabled', 'hugepages-64kB/enabled', 'hugepages-64kB/stats/anon_fault_alloc', ... */
  paths(): readonly string[];
  /** Contents with the newline; null: no such file. */
  get(path: string): string | null;
  /** What write(2) of `text` answers: 0, or -EINVAL for a bad word, -EACCES for a read-only file, -ENOENT. */
  set(path: string, text: string): number;
}
