// Loads and stores in full: every width, misaligned, across pages, faulting. The loop does the common case itself (aligned, the page in the
// filter); what it cannot answer comes here. Here: addresses, the MMU's look-ups, the bytes. Not here: LR, SC and AMO (atomic.ts).
// Linux programs expect misaligned scalar accesses to work; one that crosses a page translates both halves before a byte is written.
import { PAGE_SIZE } from '#base';
import { Access, NO_HOST } from '#mmu';
import { X_SINK } from '../hart.ts';
import type { Hart } from '../hart.ts';
import { INSTRUCTIONS, Kind } from '../isa/table.ts';
import { Outcome } from './core.ts';
import type { Core, Meaning } from './core.ts';

/** An address as signed halves, and where its bytes were found: `host` of the first page, `second` of the next one if the access crosses. */
const place = { hi: 0, lo: 0, host: 0, second: 0, firstBytes: 0 };
/** One value on its way, as halves and as bytes (the arena's byte order is the host's). */
const halves = new Int32Array(2);
const bytes = new Uint8Array(halves.buffer);

/** Sets place to x[register] + imm. */
function address(hart: Hart, register: number, imm: number): void {
  const low = hart.xHalves[2 * register]!;
  place.lo = (low + imm) | 0;
  place.hi = (hart.xHalves[2 * register + 1]! + (imm >> 31) + ((place.lo >>> 0) < (low >>> 0) ? 1 : 0)) | 0;
}

/** Finds the bytes of an access at `place`: one look-up, or two when it crosses a page. @returns false: core.exit holds the fault. */
function translate(core: Core, access: Access, lenBytes: number): boolean {
  const room = PAGE_SIZE - (place.lo & (PAGE_SIZE - 1));
  place.firstBytes = Math.min(room, lenBytes);
  place.host = core.mmu.lookup(place.hi, place.lo, access);
  if (place.host !== NO_HOST && room < lenBytes) {
    const nextLo = (place.lo + room) | 0;
    place.second = core.mmu.lookup((place.hi + (nextLo === 0 ? 1 : 0)) | 0, nextLo, access, true);
    if (place.second === NO_HOST) place.host = NO_HOST;
  }
  if (place.host !== NO_HOST) return true;
  core.exit.fault(core.mmu.fault);
  return false;
}

/** Host offset of byte i of the access at `place`. */
const byteAt = (i: number): number => (i < place.firstBytes ? place.host + i : place.second + i - place.firstBytes) >>> 0;

/** Does the access at `place` lie in one aligned unit of its own size? Then it is a word or part of one. */
const isAligned = (lenBytes: number): boolean => (place.lo & (lenBytes - 1)) === 0;

/** Brings the bytes at `place` into `halves`; what stands above `lenBytes` is undefined. */
function take(core: Core, lenBytes: number): void {
  const { i32, u8 } = core.ram.arena;
  if (isAligned(lenBytes)) {
    const at = place.host >>> 2;
    halves[0] = i32[at]! >>> (8 * (place.host & 3));
    if (lenBytes === 8) halves[1] = i32[at + 1]!;
  } else {
    for (let i = 0; i < lenBytes; i++) bytes[i] = u8[byteAt(i)]!;
  }
}
/** Writes `halves` to the bytes at `place`. */
function put(core: Core, lenBytes: number): void {
  const { i32, u8 } = core.ram.arena;
  if (lenBytes >= 4 && isAligned(lenBytes)) {
    const at = place.host >>> 2;
    i32[at] = halves[0]!;
    if (lenBytes === 8) i32[at + 1] = halves[1]!;
  } else {
    for (let i = 0; i < lenBytes; i++) u8[byteAt(i)] = bytes[i]!;
  }
}

/** A load of so many bytes into an x register. */
const load = (lenBytes: number, signExtends: boolean): Meaning => (core, d) => {
  address(core.hart, d.rs1, d.imm);
  if (!translate(core, Access.Load, lenBytes)) return Outcome.Trap;
  take(core, lenBytes);
  const unused = lenBytes < 4 ? 32 - 8 * lenBytes : 0;
  const low = signExtends ? (halves[0]! << unused) >> unused : (halves[0]! << unused) >>> unused;
  const to = 2 * (d.rd === 0 ? X_SINK : d.rd);
  core.hart.xAndSink[to] = low;
  core.hart.xAndSink[to + 1] = lenBytes === 8 ? halves[1]! : signExtends ? low >> 31 : 0;
  return Outcome.Next;
};
/** A load of so many bytes into an f register; a single is boxed. */
const loadFloat = (lenBytes: number): Meaning => (core, d) => {
  address(core.hart, d.rs1, d.imm);
  if (!translate(core, Access.Load, lenBytes)) return Outcome.Trap;
  take(core, lenBytes);
  core.hart.fHalves[2 * d.rd] = halves[0]!;
  core.hart.fHalves[2 * d.rd + 1] = lenBytes === 8 ? halves[1]! : -1;
  return Outcome.Next;
};
/** A store of so many bytes of an x or f register. */
const store = (lenBytes: number, ofFloat: boolean): Meaning => (core, d) => {
  address(core.hart, d.rs1, d.imm);
  if (!translate(core, Access.Store, lenBytes)) return Outcome.Trap;
  const from = ofFloat ? core.hart.fHalves : core.hart.xHalves;
  halves[0] = from[2 * d.rs2]!;
  halves[1] = from[2 * d.rs2 + 1]!;
  put(core, lenBytes);
  let codeChanged = core.blocks.stored(place.host, place.firstBytes);
  if (place.firstBytes < lenBytes && core.blocks.stored(place.second, lenBytes - place.firstBytes)) codeChanged = true;
  return codeChanged ? Outcome.Leave : Outcome.Next;
};

/** The meaning of a load or store, or null. */
export function memoryMeaning(op: number): Meaning | null {
  const { name, extension, kind, accessBytes, writesFrd, readsFrs2 } = INSTRUCTIONS[op]!;
  if (extension === 'A' || accessBytes === 0) return null;
  if ((kind & Kind.Store) !== 0) return store(accessBytes, readsFrs2);
  return writesFrd ? loadFloat(accessBytes) : load(accessBytes, !name.endsWith('u'));
}
