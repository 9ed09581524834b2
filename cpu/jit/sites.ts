// What accesses in loops remember of the page they last touched: tag, delta and place of the stamp, as a slot of the filter has them. Here: which
// accesses do, and share with which. Not here: the code (translate.ts).
//
// A slot's place must be made of the address first, and its delta be waited for; what is remembered has a place of its own. In memory, not in locals: a
// host has registers for one or two of them, and what it keeps on its stack it copies wherever paths meet.
// Sound because no entry goes while control stays in a region that leaves at every miss: what was in the filter once is there still. Nothing is
// remembered from one entry of the region to the next, so that all regions use the same places.
import { MAX_SITES } from '../emit/layout.ts';
import { SLOT_BYTES, Slot } from '../emit/memory.ts';
import { Mem } from '../emit/wasm.ts';
import type { Code } from '../emit/wasm.ts';
import type { Region, RegionNode, Row } from './region.ts';

/** Places of one memory: the page's address (-1: none), and the two others. */
export interface Site { readonly tag: number; readonly delta: number; readonly stampAt: number }

/** sp, gp, tp, s0: they point to the same place for long, so that all accesses through one of them share. */
const isSteady = (register: number): boolean => register >= 2 && register <= 4 || register === 8;
const keyOf = (node: RegionNode, { offset, d }: Row, asksWrite: boolean): string => `${asksWrite ? 'w' : 'r'} ${isSteady(d.rs1) ? `x${d.rs1}` : `${node.order}:${offset}`}`;

export class Sites {
  private readonly given = new Map<string, Site>();
  private readonly inLoop = new Set<RegionNode>();

  /** @param places where MAX_SITES slots are. @param asksWrite whether the row at an index of a node asks the write filter (true), the read filter, or (null) none */
  constructor(places: number, { nodes }: Region, asksWrite: (node: RegionNode, index: number) => boolean | null) {
    for (const { order, targets } of nodes) {
      for (const { node: to } of targets) {
        // In reverse post-order a loop's nodes stand between its head and what jumps back, with few others.
        if (to !== null && to.order <= order) for (let i = to.order; i <= order; i++) this.inLoop.add(nodes[i]!);
      }
    }
    for (const node of this.inLoop) {
      node.rows.forEach((row, index) => {
        const asks = asksWrite(node, index);
        if (asks === null || this.given.size === MAX_SITES) return;
        const key = keyOf(node, row, asks);
        const at = places + SLOT_BYTES * this.given.size;
        if (!this.given.has(key)) this.given.set(key, { tag: at + Slot.Tag, delta: at + Slot.Delta, stampAt: at + Slot.Stamp });
      });
    }
  }

  /** At the region's entry: nothing is known. */
  emitForget(code: Code): void {
    for (const { tag } of this.given.values()) code.i32(0).i64(-1).mem(Mem.i64_store, tag);
  }
  /** The memory for an access (of a group, its first), or null. @param asksWrite the write filter is asked */
  of(node: RegionNode, row: Row, asksWrite: boolean): Site | null {
    return this.inLoop.has(node) ? this.given.get(keyOf(node, row, asksWrite)) ?? null : null;
  }
}
