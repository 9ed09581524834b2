// UserMemory: the kernel's own reads and writes of user memory.
import { bug } from '#base';
import type { FaultCounts } from '../proc/task.ts';
import type { Mm } from './mm.ts';

/** Every method faults pages in as the program's own access would, and answers false or null where that fails (EFAULT). Never throws. */
export class UserMemory {
  readonly mm: Mm;
  constructor(mm: Mm, _counts: FaultCounts) { this.mm = mm; }
  read(_va: number, _into: Uint8Array): boolean { return bug('unwritten'); }
  write(_va: number, _from: Uint8Array): boolean { return bug('unwritten'); }
  zero(_va: number, _lenBytes: number): boolean { return bug('unwritten'); }
  /** Bytes that could be read before the first bad page. */
  readPrefix(_va: number, _into: Uint8Array): number { return bug('unwritten'); }
  /** Bytes that could be written before the first bad page. */
  writePrefix(_va: number, _from: Uint8Array): number { return bug('unwritten'); }
  u8(_va: number): number | null { return bug('unwritten'); }
  u16(_va: number): number | null { return bug('unwritten'); }
  u32(_va: number): number | null { return bug('unwritten'); }
  i32(_va: number): number | null { return bug('unwritten'); }
  u64(_va: number): bigint | null { return bug('unwritten'); }
  i64(_va: number): bigint | null { return bug('unwritten'); }
  /** A 64-bit word as a number: for pointers and sizes; signed, so -1 reads as -1; inexact from 2^53 on. */
  word(_va: number): number | null { return bug('unwritten'); }
  setU8(_va: number, _n: number): boolean { return bug('unwritten'); }
  setU16(_va: number, _n: number): boolean { return bug('unwritten'); }
  setU32(_va: number, _n: number): boolean { return bug('unwritten'); }
  setU64(_va: number, _n: bigint | number): boolean { return bug('unwritten'); }
  /** Compare and exchange of an aligned 32-bit word (futex); null: EFAULT, else the old value. */
  cmpxchgU32(_va: number, _expected: number, _value: number): number | null { return bug('unwritten'); }
  /** A NUL-terminated string, UTF-8; null: EFAULT or no NUL within `maxBytes`. */
  cstring(_va: number, _maxBytes: number): string | null { return bug('unwritten'); }
}
