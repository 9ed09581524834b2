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

const load: Meaning = (core, d) => {
  const row = INSTRUCTIONS[d.op]!;
  const lenBytes = row.accessBytes;
  address(core.hart, d.rs1, d.imm);
  if (!translate(core, Access.Load, lenBytes)) return Outcome.Trap;
  const memory = core.ram.arena.u8;
  halves.fill(0);
  for (let i = 0; i < lenBytes; i++) bytes[i] = memory[byteAt(i)]!;
  if (row.writesFrd) setF(core.hart, d.rd, lenBytes);
  else setX(core.hart, d.rd, lenBytes, !unsignedLoads.has(row.name));
  return Outcome.Next;
};
const unsignedLoads: ReadonlySet<string> = new Set(['lbu', 'lhu', 'lwu']);

/** The value loaded into an x register. */
function setX(hart: Hart, rd: number, lenBytes: number, signExtends: boolean): void {
  const to = 2 * (rd === 0 ? X_SINK : rd);
  let low = halves[0]!;
  let high = halves[1]!;
  if (signExtends && lenBytes < 8) {
    const unused = 32 - 8 * lenBytes;
    low = (low << unused) >> unused;
    high = low >> 31;
  }
  hart.xAndSink[to] = low;
  hart.xAndSink[to + 1] = high;
}
/** The value loaded into an f register; a single is boxed. */
function setF(hart: Hart, rd: number, lenBytes: number): void {
  hart.fHalves[2 * rd] = halves[0]!;
  hart.fHalves[2 * rd + 1] = lenBytes === 4 ? -1 : halves[1]!;
}

const store: Meaning = (core, d) => {
  const row = INSTRUCTIONS[d.op]!;
  const lenBytes = row.accessBytes;
  address(core.hart, d.rs1, d.imm);
  if (!translate(core, Access.Store, lenBytes)) return Outcome.Trap;
  const from = row.readsFrs2 ? core.hart.fHalves : core.hart.xHalves;
  halves[0] = from[2 * d.rs2]!;
  halves[1] = from[2 * d.rs2 + 1]!;
  const memory = core.ram.arena.u8;
  for (let i = 0; i < lenBytes; i++) memory[byteAt(i)] = bytes[i]!;
  let codeChanged = core.blocks.stored(place.host, place.firstBytes);
  if (place.firstBytes < lenBytes && core.blocks.stored(place.second, lenBytes - place.firstBytes)) codeChanged = true;
  return codeChanged ? Outcome.Leave : Outcome.Next;
};

/** The meaning of a load or store, or null. */
export function memoryMeaning(op: number): Meaning | null {
  const row = INSTRUCTIONS[op]!;
  if (row.extension === 'A') return null;
  return (row.kind & Kind.Load) !== 0 ? load : (row.kind & Kind.Store) !== 0 ? store : null;
}
