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
  /** Frames touched so far; the rest reads as zeros, so that a test pays for what it uses. */
  private readonly frames = new Map<number, Uint8Array>();

  constructor(options: { ramBytes?: number; sv?: 39 | 48 | 57; maxAsid?: number } = {}) {
    this.ram = { firstPfn: asPfn(0x80000), nrFrames: (options.ramBytes ?? 64 << 20) / 4096 };
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

  private bytes(pfn: number): Uint8Array {
    const { firstPfn, nrFrames } = this.ram;
    if (!(pfn >= firstPfn && pfn < firstPfn + nrFrames)) throw new Error(`frame 0x${pfn.toString(16)} is not RAM`);
    let frame = this.frames.get(pfn);
    if (frame === undefined) this.frames.set(pfn, (frame = new Uint8Array(4096)));
    return frame;
  }
  private words(pfn: number): Int32Array {
    return new Int32Array(this.bytes(pfn).buffer);
  }
  pteLow(table: Pfn, index: number): number {
    return this.words(table)[index * 2]!;
  }
  pteHigh(table: Pfn, index: number): number {
    return this.words(table)[index * 2 + 1]!;
  }
  storePte(table: Pfn, index: number, low: number, high: number): void {
    const words = this.words(table);
    words[index * 2] = low;
    words[index * 2 + 1] = high;
  }
  zeroFrames(first: Pfn, nr: number): void {
    for (let i = 0; i < nr; i++) this.bytes(first + i).fill(0);
  }
  copyFrame(to: Pfn, from: Pfn): void {
    this.bytes(to).set(this.bytes(from));
  }
  readFrame(pfn: Pfn, offset: number, into: Uint8Array): void {
    this.each(pfn, offset, into.length, (frame, at, done, len) => into.set(frame.subarray(at, at + len), done));
  }
  writeFrame(pfn: Pfn, offset: number, from: Uint8Array): void {
    this.each(pfn, offset, from.length, (frame, at, done, len) => frame.set(from.subarray(done, done + len), at));
  }
  private each(pfn: Pfn, offset: number, length: number, visit: (frame: Uint8Array, at: number, done: number, len: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = (offset + done) % 4096;
      const len = Math.min(4096 - at, length - done);
      visit(this.bytes(pfn + Math.floor((offset + done) / 4096)), at, done, len);
      done += len;
    }
  }
  charge(cycles: number): void {
    this.clockCycles += cycles;
  }
  /** Fills never-used frames with garbage, so that a frame which should be zeroed and is not shows. */
  soil(): void {
    for (let pfn: number = this.ram.firstPfn; pfn < this.ram.firstPfn + this.ram.nrFrames; pfn++) if (!this.frames.has(pfn)) this.bytes(pfn).fill(0xa5);
  }
}
