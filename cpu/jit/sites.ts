// What accesses in loops remember of the page they last touched, in locals: tag, delta and place of the stamp, as a slot of the filter has them. Here: which
// accesses do, and share with which. Not here: the code (translate.ts).
//
// It takes the loads from the filter out of the way between an address and its bytes. Sound because no entry goes while control stays in a region that
// leaves at every miss: what was in the filter once is there still. Nothing is remembered from one entry of the region to the next.
import { Type } from '../emit/wasm.ts';
import type { Code } from '../emit/wasm.ts';
import type { Region, RegionNode, Row } from './region.ts';

/** Locals of one memory: the page's address (-1: none), and the two others. */
export interface Site { readonly tag: number; readonly delta: number; readonly stampAt: number }

/** More would only be kept on the host's stack. */
const MAX_SITES = 16;
/** sp, gp, tp, s0: they point to the same place for long, so that all accesses through one of them share. */
const isSteady = (register: number): boolean => register >= 2 && register <= 4 || register === 8;

export class Sites {
  private readonly pool: readonly Site[];
  private readonly given = new Map<string, Site>();
  private readonly inLoop = new Set<RegionNode>();

  constructor(code: Code, { nodes }: Region) {
    for (const { order, targets } of nodes) {
      for (const { node: to } of targets) {
        // In reverse post-order a loop's nodes stand between its head and what jumps back, with few others.
        if (to !== null && to.order <= order) for (let i = to.order; i <= order; i++) this.inLoop.add(nodes[i]!);
      }
    }
    const wanted = this.inLoop.size === 0 ? 0 : MAX_SITES;
    this.pool = Array.from({ length: wanted }, () => ({ tag: code.local(Type.I64), delta: code.local(Type.I32), stampAt: code.local(Type.I32) }));
  }

  /** At the region's entry: nothing is known. */
  emitForget(code: Code): void {
    for (const { tag } of this.pool) code.i64(-1).set(tag);
  }
  /** The memory for an access (of a group, its first), or null. @param asksWrite the write filter is asked */
  of(node: RegionNode, { offset, d }: Row, asksWrite: boolean): Site | null {
    if (!this.inLoop.has(node)) return null;
    const key = `${asksWrite ? 'w' : 'r'} ${isSteady(d.rs1) ? `x${d.rs1}` : `${node.order}:${offset}`}`;
    const site = this.given.get(key) ?? this.pool[this.given.size] ?? null;
    if (site !== null) this.given.set(key, site);
    return site;
  }
}
