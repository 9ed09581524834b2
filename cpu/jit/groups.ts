// Loads and stores of a straight run that share one question to the filter: same base register, unchanged or moved on by addi, addresses that lie close. Here: who
// belongs together, and which of them must write the stamp. Not here: the code (translate.ts).
//
// Sound because nothing of the group can leave the TLB while control stays in the run: if the first access's page is in the filter and all of the group lies
// in that page, the others are hits, too. A region that leaves at every miss evicts nothing; where misses are called for, a run of no more accesses than an
// entry of L1 is sure to outlive cannot evict what its first one touched. Only the last stamp before somebody could look matters: before a row that may leave
// or call.
import { atomics } from '../emit/atomic.ts';
import { accesses } from '../emit/memory.ts';
import { floatLowerings } from '../emit/float.ts';
import { INSTRUCTIONS, opOf } from '../isa/table.ts';
import type { Row } from './region.ts';

export interface Group {
  /** Bytes from the base of the first member (as it is there) to the start of the span; a multiple of `alignment`. */
  readonly start: number;
  readonly lenBytes: number;
  /** The widest member's size: the base is tested for it. */
  readonly alignment: number;
  /** Some member is a store: the write filter is asked, whose pages may be read, too. */
  readonly hasStore: boolean;
}
export interface Member {
  readonly group: Group;
  readonly isFirst: boolean;
  /** Bytes from the group's start. */
  readonly offset: number;
  readonly stamps: boolean;
}

const ADDI = opOf('addi');
/** Members further apart than this are asked for separately: the more a group spans, the oftener it crosses a page. */
const MAX_SPAN = 256;

interface Open { readonly rows: { at: number; offset: number; lenBytes: number; isStore: boolean }[]; low: number; high: number; alignment: number }

/** By index of the row; what stands alone has no entry. @param mostAccesses in runs of more there are no groups */
export function findGroups(rows: readonly Row[], mostAccesses: number): ReadonlyMap<number, Member> {
  if (rows.filter(({ d }) => accesses.has(d.op) || atomics.has(d.op)).length > mostAccesses) return new Map();
  /** What a register holds: a value (numbered) plus a constant. */
  const values = new Map<number, { value: number; plus: number }>();
  let nextValue = 0;
  const valueOf = (register: number): { value: number; plus: number } => {
    const known = values.get(register) ?? { value: nextValue++, plus: 0 };
    values.set(register, known);
    return known;
  };
  const open = new Map<number, Open>();
  const groups: Open[] = [];
  rows.forEach(({ d }, at) => {
    const access = accesses.get(d.op);
    if (access !== undefined && d.rs1 !== 0) {
      const { value, plus } = valueOf(d.rs1);
      const offset = plus + d.imm;
      const { lenBytes, isStore } = access;
      if (offset % lenBytes === 0) {
        const group = open.get(value);
        const low = Math.min(offset, group?.low ?? offset), high = Math.max(offset + lenBytes, group?.high ?? 0);
        const member = { at, offset, lenBytes, isStore };
        if (group !== undefined && high - low <= MAX_SPAN) {
          group.rows.push(member);
          group.low = low;
          group.high = high;
          group.alignment = Math.max(group.alignment, lenBytes);
        } else {
          const fresh = { rows: [member], low: offset, high: offset + lenBytes, alignment: lenBytes };
          open.set(value, fresh);
          groups.push(fresh);
        }
      }
    }
    const { writesRd } = INSTRUCTIONS[d.op]!;
    if (!writesRd || d.rd === 0) return;
    if (d.op === ADDI && d.rs1 !== 0) {
      const { value, plus } = valueOf(d.rs1);
      values.set(d.rd, { value, plus: plus + d.imm });
    } else {
      values.delete(d.rd);
    }
  });

  const members = new Map<number, Omit<Member, 'stamps'>>();
  for (const { rows: inGroup, low, high, alignment } of groups) {
    if (inGroup.length < 2) continue;
    // The first member's own base may have moved on from the value: the distance is what counts.
    const start = Math.floor(low / alignment) * alignment;
    const group: Group = { start: start - inGroup[0]!.offset, lenBytes: high - start, alignment, hasStore: inGroup.some(({ isStore }) => isStore) };
    inGroup.forEach(({ at, offset }, i) => members.set(at, { group, isFirst: i === 0, offset: offset - start }));
  }

  const result = new Map<number, Member>();
  /** Groups that are stamped again before anything may leave, seen from behind. */
  let stampedLater = new Set<Group>();
  for (let at = rows.length - 1; at >= 0; at--) {
    const member = members.get(at);
    if (member !== undefined) {
      result.set(at, { ...member, stamps: !stampedLater.has(member.group) });
      stampedLater.add(member.group);
    }
    const { op } = rows[at]!.d;
    if ((accesses.has(op) && (member === undefined || member.isFirst)) || atomics.has(op) || floatLowerings.has(op)) stampedLater = new Set();
  }
  return result;
}
