// A file on a disk that is no disk: its bytes are a function of their place, its reads take a fixed time on the modelled clock. For tests of the
// page cache without a block layer or a format.
import type { Folio, StateHash } from '#base';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import type { AddressSpaceOps, IoProgress } from '#kernel/mm/filemap.ts';
import type { IoClock } from '#kernel/mm/folio-wait.ts';
import type { MmSystem } from '#kernel/mm/system.ts';

/** The byte of the file at an offset. */
export const slowByte = (offset: number): number => (offset * 31 + Math.floor(offset / 4096) * 7) & 0xff;

export class SlowDisk implements AddressSpaceOps, IoClock {
  readonly name = 'iomap';
  readonly maxOrder: number;
  readonly space: AddressSpace;
  /** Pages of the file whose reads fail. */
  readonly bad = new Set<number>();
  private readonly system: MmSystem;
  private readonly latency: number;
  private readonly inFlight: { readonly folio: Folio; readonly at: number }[] = [];

  constructor(system: MmSystem, sizeBytes: number, options: { maxOrder?: number; latency?: number } = {}) {
    this.system = system;
    this.maxOrder = options.maxOrder ?? 9;
    this.latency = options.latency ?? 100_000;
    this.space = new AddressSpace(system, 'file', null, this);
    this.space.sizeBytes = sizeBytes;
    system.waits.clocks.push(this);
  }
  readFolios(folios: readonly Folio[]): void {
    for (const folio of folios) this.inFlight.push({ folio, at: this.system.machine.clockCycles + this.latency });
  }
  get deadline(): number {
    return this.inFlight[0]?.at ?? Infinity;
  }
  complete(): void {
    while (this.deadline <= this.system.machine.clockCycles) {
      const { folio } = this.inFlight.shift()!;
      const { folios, machine, waits } = this.system;
      const first = folios.index(folio);
      const nr = folios.nrPages(folio);
      const bytes = new Uint8Array(nr * 4096);
      for (let i = 0; i < bytes.length; i++) bytes[i] = first * 4096 + i < this.space.sizeBytes ? slowByte(first * 4096 + i) : 0;
      machine.writeFrame(folio, 0, bytes);
      let isGood = true;
      for (let i = 0; i < nr; i++) if (this.bad.has(first + i)) isGood = false;
      waits.endRead(folio, isGood);
    }
  }
  kick(): void {}
  write(): IoProgress {
    throw new Error('not asked for');
  }
  pageMkwrite(): number {
    return 0;
  }
  writepages(): number {
    return 0;
  }
  invalidateFolio(): void {}
  releaseFolio(): boolean {
    return true;
  }
  folioWritten(): void {}
  zeroRange(): number {
    return 0;
  }
  extending(): void {}
  folioMoved(): void {}
  hash(into: StateHash): void {
    into.number(this.inFlight.length);
  }
}
