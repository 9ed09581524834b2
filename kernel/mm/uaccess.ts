// UserMemory: the kernel's own reads and writes of a program's memory. Each page is looked up in the program's page table; what is missing
// or not writable faults in exactly as the program's own access would, and is counted to the task. Mirrors copy_from_user() and its sisters.
// Such accesses go to frames directly: they are no look-ups of the modelled TLB.
import { PAGE_SIZE, asPfn, utf8Decode } from '#base';
import type { Pfn } from '#base';
import { Pte, ptePfn } from '#mmu';
import type { FaultCounts } from '../proc/task.ts';
import { FaultAccess, FaultResult, handlePageFault } from './fault.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';

/** Every method faults pages in as the program's own access would, and answers false or null where that fails (EFAULT). Never throws. */
export class UserMemory {
  readonly mm: Mm;
  private readonly counts: FaultCounts;
  private readonly word8 = new Uint8Array(8);
  private readonly view = new DataView(this.word8.buffer);

  /** @param counts the task whose accesses these are */
  constructor(mm: Mm, counts: FaultCounts) {
    this.mm = mm;
    this.counts = counts;
  }

  /** The frame behind an address, made present (and writable); 0: EFAULT. Sets A, and D for a write, as the hart would. */
  private frameFor(va: number, write: boolean): Pfn | 0 {
    const { mm } = this;
    // A fault may have to be taken twice: a 2 MiB mapping splits first.
    for (let tries = 0; tries < 4; tries++) {
      if (!(va >= 0) || va >= mm.taskSize) return 0;
      const vpn = Math.floor(va / PAGE_SIZE);
      const leaf = mm.tables.pmdLeaf(vpn);
      const low = leaf !== 0 ? leaf : mm.tables.get(vpn);
      const needed = Pte.V | Pte.U | Pte.R | (write ? Pte.W : 0);
      if (ptePresent(low) && (low & needed) === needed) {
        const marks = Pte.A | (write ? Pte.D : 0);
        if ((low & marks) !== marks) this.mark(vpn, leaf !== 0, low | marks);
        return leaf !== 0 ? asPfn(ptePfn(leaf) + (vpn & 511)) : ptePfn(low);
      }
      const access = write ? FaultAccess.Write : FaultAccess.Read;
      const result = handlePageFault(mm, this.counts, va, access, 'kernel', 0);
      if (result === FaultResult.OutOfMemory) mm.system.wantsOomKill = true;
      if (result !== FaultResult.Done) return 0;
    }
    return 0;
  }
  /** The same for who reads or writes the frame by itself, as a disk does; he holds it meanwhile. */
  frameAt(va: number, write: boolean): Pfn | 0 {
    return this.frameFor(va, write);
  }
  /** Of a folded run any one entry may carry the bits; the one touched does. */
  private mark(vpn: number, isLeaf: boolean, low: number): void {
    if (isLeaf) this.mm.tables.setPmdLeaf(vpn, low);
    else this.mm.tables.orRaw(vpn, low & (Pte.A | Pte.D));
  }

  /** Copies page by page. @returns bytes done before the first page that cannot be had */
  private copy(va: number, bytes: Uint8Array, write: boolean): number {
    const { machine, params } = this.mm.system;
    let done = 0;
    while (done < bytes.length) {
      const at = va + done;
      const offset = ((at % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE;
      const chunk = Math.min(PAGE_SIZE - offset, bytes.length - done);
      const pfn = this.frameFor(at, write);
      if (pfn === 0) break;
      this.mm.system.uses?.used(pfn);
      const part = chunk === bytes.length ? bytes : bytes.subarray(done, done + chunk);
      if (write && this.mm === this.mm.system.runningMm && params.plant?.strikes('stray-write') === true) this.strayWrite(at, part);
      else if (write) machine.writeFrame(pfn, offset, part);
      else machine.readFrame(pfn, offset, part);
      done += chunk;
    }
    machine.charge(Math.ceil(params.cost.copy_byte * done)); // whole cycles: programs read the clock
    return done;
  }
  /** A planted bug: the bytes go over the page's own entry. */
  private strayWrite(va: number, bytes: Uint8Array): void {
    const { tables, system: { machine } } = this.mm;
    const vpn = Math.floor(va / PAGE_SIZE);
    const table = tables.tableAt(vpn, 0);
    if (table !== 0) machine.writeFrame(table, (vpn & 511) * 8, bytes.subarray(0, 8));
  }
  read(va: number, into: Uint8Array): boolean {
    return this.copy(va, into, false) === into.length;
  }
  write(va: number, from: Uint8Array): boolean {
    return this.copy(va, from, true) === from.length;
  }
  /** Bytes that could be read before the first bad page. */
  readPrefix(va: number, into: Uint8Array): number {
    return this.copy(va, into, false);
  }
  /** Bytes that could be written before the first bad page. */
  writePrefix(va: number, from: Uint8Array): number {
    return this.copy(va, from, true);
  }
  zero(va: number, lenBytes: number): boolean {
    for (let done = 0; done < lenBytes; ) {
      const chunk = Math.min(PAGE_SIZE - ((va + done) % PAGE_SIZE), lenBytes - done);
      if (!this.write(va + done, zeros.subarray(0, chunk))) return false;
      done += chunk;
    }
    return true;
  }

  private load(va: number, lenBytes: number): boolean {
    return this.read(va, lenBytes === 8 ? this.word8 : this.word8.subarray(0, lenBytes));
  }
  private store(va: number, lenBytes: number): boolean {
    return this.write(va, lenBytes === 8 ? this.word8 : this.word8.subarray(0, lenBytes));
  }
  u8(va: number): number | null {
    return this.load(va, 1) ? this.view.getUint8(0) : null;
  }
  u16(va: number): number | null {
    return this.load(va, 2) ? this.view.getUint16(0, true) : null;
  }
  u32(va: number): number | null {
    return this.load(va, 4) ? this.view.getUint32(0, true) : null;
  }
  i32(va: number): number | null {
    return this.load(va, 4) ? this.view.getInt32(0, true) : null;
  }
  u64(va: number): bigint | null {
    return this.load(va, 8) ? this.view.getBigUint64(0, true) : null;
  }
  i64(va: number): bigint | null {
    return this.load(va, 8) ? this.view.getBigInt64(0, true) : null;
  }
  /** A 64-bit word as a number, for pointers and sizes; signed, so that -1 reads as -1; inexact from 2^53 on. */
  word(va: number): number | null {
    return this.load(va, 8) ? this.view.getInt32(4, true) * 2 ** 32 + this.view.getUint32(0, true) : null;
  }
  setU8(va: number, n: number): boolean {
    this.view.setUint8(0, n);
    return this.store(va, 1);
  }
  setU16(va: number, n: number): boolean {
    this.view.setUint16(0, n, true);
    return this.store(va, 2);
  }
  setU32(va: number, n: number): boolean {
    this.view.setUint32(0, n, true);
    return this.store(va, 4);
  }
  setU64(va: number, n: bigint | number): boolean {
    this.view.setBigUint64(0, BigInt.asUintN(64, typeof n === 'bigint' ? n : BigInt(Math.trunc(n))), true);
    return this.store(va, 8);
  }
  /** Compare and exchange of an aligned 32-bit word (futex). @returns the old value; null: EFAULT. Needs the page writable, as AMOs do. */
  cmpxchgU32(va: number, expected: number, value: number): number | null {
    if (va % 4 !== 0 || this.frameFor(va, true) === 0) return null;
    const old = this.u32(va);
    if (old !== null && old === expected >>> 0) this.setU32(va, value);
    return old;
  }
  /** A NUL-terminated string, UTF-8; null: EFAULT, or no NUL within `maxBytes`. */
  cstring(va: number, maxBytes: number): string | null {
    const bytes: number[] = [];
    const chunk = new Uint8Array(256);
    while (bytes.length < maxBytes) {
      const want = Math.min(256 - ((va + bytes.length) % 256), maxBytes - bytes.length);
      const part = chunk.subarray(0, want);
      if (!this.read(va + bytes.length, part)) return null;
      const nul = part.indexOf(0);
      for (let i = 0; i < (nul < 0 ? want : nul); i++) bytes.push(part[i]!);
      if (nul >= 0) return utf8Decode(Uint8Array.from(bytes));
    }
    return null;
  }
}
const zeros = new Uint8Array(PAGE_SIZE);
