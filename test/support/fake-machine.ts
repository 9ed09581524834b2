// The kernel's machine without a hart: frames, page-table stores, fences, a clock. Memory management is tested on it without running an
// instruction. What a hart would do with a translation is left to userAccess(): a bare walk, A and D set as Svadu says.
import { asAsid, asPfn } from '#base';
import type { Asid, Pfn, Vpn } from '#base';
import type { Exit, Machine } from '#kernel/machine.ts';

/** A fence as the kernel asked for it. asid null: all; vpn null: the whole space. */
export interface FenceRecord { readonly asid: Asid | null; readonly vpn: Vpn | null }

export class FakeMachine implements Machine {
  readonly ram: { readonly firstPfn: Pfn; readonly nrFrames: number };
  readonly x = new BigInt64Array(32);
  readonly xHalves = new Int32Array(this.x.buffer);
  pc = 0n;
  readonly sv: 39 | 48 | 57;
  readonly maxAsid: number;
  readonly instret = 0;
  clockCycles = 0;
  /** Every fence since the last clear(), in order. */
  readonly fences: FenceRecord[] = [];
  root = asPfn(0);
  asid = asAsid(0);
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;

  /** @param options soiled: RAM starts out as garbage, so that a frame which should be zeroed and is not shows. */
  constructor(options: { ramBytes?: number; sv?: 39 | 48 | 57; maxAsid?: number; soiled?: boolean } = {}) {
    const ramBytes = options.ramBytes ?? 64 << 20;
    this.ram = { firstPfn: asPfn(0x80000), nrFrames: ramBytes / 4096 };
    this.bytes = new Uint8Array(ramBytes);
    this.words = new Int32Array(this.bytes.buffer);
    if (options.soiled === true) this.bytes.fill(0xa5);
    this.sv = options.sv ?? 39;
    this.maxAsid = options.maxAsid ?? 0xffff;
  }

  run(): Exit {
    throw new Error('the fake machine has no hart');
  }
  saveContext(): void {}
  loadContext(): void {}
  clearReservation(): void {}

  setAddressSpace(root: Pfn, asid: Asid): void {
    this.root = root;
    this.asid = asid;
  }
  fence(asid: Asid | null, vpn: Vpn | null): void {
    this.fences.push({ asid, vpn });
  }

  /** Byte offset of a frame; frames outside RAM are the kernel's mistake. */
  private offset(pfn: number, nr = 1): number {
    const { firstPfn, nrFrames } = this.ram;
    if (!(pfn >= firstPfn && pfn + nr <= firstPfn + nrFrames)) throw new Error(`frames 0x${pfn.toString(16)}+${nr} are not RAM`);
    return (pfn - firstPfn) * 4096;
  }
  pteLow(table: Pfn, index: number): number {
    return this.words[this.offset(table) / 4 + index * 2]!;
  }
  pteHigh(table: Pfn, index: number): number {
    return this.words[this.offset(table) / 4 + index * 2 + 1]!;
  }
  storePte(table: Pfn, index: number, low: number, high: number): void {
    const at = this.offset(table) / 4 + index * 2;
    this.words[at] = low;
    this.words[at + 1] = high;
  }
  storePtes(table: Pfn, index: number, nr: number, low: number, high: number, step: number): void {
    for (let i = 0; i < nr; i++) this.storePte(table, index + i, low + i * step, high);
  }
  zeroFrames(first: Pfn, nr: number): void {
    const at = this.offset(first, nr);
    this.bytes.fill(0, at, at + nr * 4096);
  }
  holdsZeros(pfn: Pfn): boolean {
    const at = this.offset(pfn) / 4;
    return this.words.subarray(at, at + 1024).every((word) => word === 0);
  }
  copyFrame(to: Pfn, from: Pfn): void {
    const at = this.offset(from);
    this.bytes.copyWithin(this.offset(to), at, at + 4096);
  }
  readFrame(pfn: Pfn, offset: number, into: Uint8Array): void {
    const at = this.offset(pfn, Math.ceil((offset + into.length) / 4096) || 1) + offset;
    into.set(this.bytes.subarray(at, at + into.length));
  }
  writeFrame(pfn: Pfn, offset: number, from: Uint8Array): void {
    this.bytes.set(from, this.offset(pfn, Math.ceil((offset + from.length) / 4096) || 1) + offset);
  }
  charge(cycles: number): void {
    this.clockCycles += cycles;
  }
}
