// The shape of a region: which instructions are translated together, and how control goes among them. Here: following direct jumps from a hot head,
// small callees inlined, the graph made reducible, dominators, loops. Not here: what is emitted for it (translate.ts), when (cache.ts).
//
// Places are byte offsets from the head's pc. A node is a straight run in one page. A callee that is inlined gets nodes of its own for each place it is
// called from (its *context*: where it returns to), so that its return is a jump within the region if x1 holds what the call left there.
// Indirect calls and jumps are compared with where they have gone before, in turn; that is followed like a direct one.
// What is not followed leaves the region: indirect jumps to elsewhere, pages that the fetch filter does not show, instructions without a lowering, whatever
// is beyond the limits, and retreating edges that are no loops (they would make the graph irreducible; their target becomes a head of its own when it is hot).
import type { Decoded } from '../isa/decode.ts';
import { opOf } from '../isa/table.ts';
import { isTranslated } from './translated.ts';

/** Instructions in a region, a callee's body inlined again counted again. TurboFan's time grows faster than a function does. */
export const MAX_REGION_INSTRS = 300;
const MAX_DEPTH = 2;
/** Instructions of a callee that is inlined. Two ways out and in again cost what some tens of them do, and each place that calls it has it compiled again. */
const MAX_INLINED_INSTRS = 64;

/** What a region is made from: the instruction at an offset from the head; null where the region must end before it. */
export interface CodeSource {
  instruction(offset: number): Decoded | null;
  /** Number of the page (of any numbering) that an offset lies in. */
  page(offset: number): number;
  /** Has control ever come to this offset by a jump? What has not is left out. */
  isKnown(offset: number): boolean;
  /** Where the indirect jump at an offset has gone, as far as somebody has noted it: offsets that are known. */
  targets(offset: number): readonly number[];
}

export interface Context { readonly id: number; readonly returnsTo: number; readonly parent: Context | null }
/** An edge: to a node, or (null) out of the region with pc at the offset. */
export interface Target { readonly offset: number; node: RegionNode | null }

export type Ending =
  /** What comes next, or where a jal goes. */
  | { readonly kind: 'goto'; readonly to: Target }
  /** The last row is the branch. */
  | { readonly kind: 'branch'; readonly taken: Target; readonly next: Target }
  /** The last row is the jalr: an inlined callee's return, to what the call left in x1, or a jump whose targets have been seen. It may go elsewhere. */
  | { readonly kind: 'expected'; readonly to: readonly Target[] }
  /** The last row is the jalr. */
  | { readonly kind: 'indirect' }
  /** The interpreter goes on behind the last row. */
  | { readonly kind: 'stop' };

export interface Row { readonly offset: number; readonly d: Decoded }

export class RegionNode {
  readonly offset: number;
  readonly context: Context | null;
  readonly page: number;
  readonly rows: Row[] = [];
  ending: Ending = { kind: 'stop' };
  /** Place in reverse post-order; -1: not reached. */
  order = -1;
  /** Immediate dominator; the head's is itself. */
  dominator: RegionNode = this;
  readonly children: RegionNode[] = [];
  /** Edges that come from nodes before it; and whether one comes from behind. */
  forwardEdges = 0;
  isLoop = false;

  constructor(offset: number, context: Context | null, page: number) {
    this.offset = offset;
    this.context = context;
    this.page = page;
  }
  /** Behind the last row. */
  get end(): number {
    const last = this.rows[this.rows.length - 1];
    return last === undefined ? this.offset : last.offset + last.d.length;
  }
  get targets(): readonly Target[] {
    const e = this.ending;
    return e.kind === 'branch' ? [e.taken, e.next] : e.kind === 'goto' ? [e.to] : e.kind === 'expected' ? e.to : [];
  }
}

export interface Region {
  readonly head: RegionNode;
  /** In reverse post-order. */
  readonly nodes: readonly RegionNode[];
  readonly nrInstrs: number;
}

/** How an instruction ends a run. */
const flows = new Map<number, 'branch' | 'jump' | 'indirect'>([
  ...['beq', 'bne', 'blt', 'bge', 'bltu', 'bgeu'].map((name) => [opOf(name), 'branch'] as const), [opOf('jal'), 'jump'], [opOf('jalr'), 'indirect'],
]);

/** The links that calls leave and returns take. */
const isLink = (register: number): boolean => register === 1 || register === 5;

const AUIPC = opOf('auipc'), JALR = opOf('jalr');
/** Where a jalr goes whose base the auipc before it has just set: a call or a jump that may be too far for jal, as linkers leave it. @returns null: none of these */
function farTarget(rows: readonly Row[]): number | null {
  const jump = rows[rows.length - 1]!, base = rows[rows.length - 2];
  if (jump.d.op !== JALR || base?.d.op !== AUIPC || base.d.rd !== jump.d.rs1 || base.d.rd === 0) return null;
  const to = base.offset + base.d.imm + jump.d.imm;
  return Math.abs(to) < 2 ** 31 ? to & ~1 : null; // further than offsets reach
}

class Builder {
  private readonly source: CodeSource;
  private readonly nodes = new Map<string, RegionNode>();
  private readonly contexts = new Map<string, Context>();
  private readonly queue: RegionNode[] = [];
  private readonly smallCallees = new Map<number, boolean>();
  private nrInstrs = 0;

  constructor(source: CodeSource) {
    this.source = source;
  }

  build(): Region {
    const head = this.node(0, null)!;
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) this.fill(next);
    this.splitRuns();
    const nodes = makeReducible(head);
    return { head, nodes, nrInstrs: nodes.reduce((n, node) => n + node.rows.length, 0) };
  }

  private key(offset: number, context: Context | null): string {
    return `${context === null ? '' : context.id}:${offset}`;
  }
  private node(offset: number, context: Context | null): RegionNode | null {
    const key = this.key(offset, context);
    const known = this.nodes.get(key);
    if (known !== undefined) return known;
    if (this.nrInstrs >= MAX_REGION_INSTRS || this.source.instruction(offset) === null) return null;
    const node = new RegionNode(offset, context, this.source.page(offset));
    this.nodes.set(key, node);
    this.queue.push(node);
    return node;
  }
  /** Of a jump, or of a call, which is followed if it can be inlined. */
  private jumpTarget({ rd }: Decoded, to: number, after: number, context: Context | null): Target {
    if (!isLink(rd)) return this.target(to, context, true);
    const inner = this.enter(to, after, context);
    return inner === null ? { offset: to, node: null } : this.target(to, inner, true);
  }
  private target(offset: number, context: Context | null, isJump: boolean): Target {
    return { offset, node: isJump && !this.source.isKnown(offset) ? null : this.node(offset, context) };
  }
  /** The context of a call; null: it is not inlined. */
  private enter(to: number, returnsTo: number, parent: Context | null): Context | null {
    if (!this.isSmall(to)) return null;
    let depth = 1;
    for (let c = parent; c !== null; c = c.parent) depth++;
    if (depth > MAX_DEPTH) return null;
    const key = this.key(returnsTo, parent);
    const known = this.contexts.get(key) ?? { id: this.contexts.size, returnsTo, parent };
    this.contexts.set(key, known);
    return known;
  }

  /** Whether the callee at an offset has few enough instructions, those that it calls not counted. */
  private isSmall(entry: number): boolean {
    const known = this.smallCallees.get(entry);
    if (known !== undefined) return known;
    const seen = new Set<number>();
    const heads = [entry];
    for (let offset = heads.pop(); offset !== undefined && seen.size <= MAX_INLINED_INSTRS; offset = heads.pop()) {
      while (!seen.has(offset) && seen.size <= MAX_INLINED_INSTRS) {
        const d = this.source.instruction(offset);
        if (d === null || !isTranslated(d)) break;
        seen.add(offset);
        const kind = flows.get(d.op);
        if (kind === 'branch' && this.source.isKnown(offset + d.imm)) heads.push(offset + d.imm);
        if (kind === 'indirect' && d.rd === 0) break;
        offset += kind === 'jump' && d.rd === 0 ? d.imm : d.length;
      }
    }
    const isSmall = seen.size <= MAX_INLINED_INSTRS;
    this.smallCallees.set(entry, isSmall);
    return isSmall;
  }

  /** Goes from a node's offset until something ends the run. */
  private fill(node: RegionNode): void {
    const { context, rows } = node;
    for (let offset = node.offset; ;) {
      const d = this.source.instruction(offset);
      if (d === null || !isTranslated(d)) {
        node.ending = { kind: 'stop' };
        return;
      }
      if (offset !== node.offset && (this.nodes.has(this.key(offset, context)) || this.source.page(offset) !== node.page)) {
        node.ending = { kind: 'goto', to: this.target(offset, context, false) };
        return;
      }
      rows.push({ offset, d });
      this.nrInstrs++;
      const after = offset + d.length;
      const far = farTarget(rows);
      const kind = far === null ? flows.get(d.op) ?? 'next' : 'jump';
      if (kind === 'branch') {
        // What falls through is taken up first: it lies nearest.
        const next = this.target(after, context, false);
        node.ending = { kind, taken: this.target(offset + d.imm, context, true), next };
        return;
      }
      if (kind === 'jump') {
        node.ending = { kind: 'goto', to: this.jumpTarget(d, far ?? offset + d.imm, after, context) };
        return;
      }
      if (kind === 'indirect') {
        const to = d.rd === 0 && isLink(d.rs1) && d.imm === 0 ? (context === null ? [] : [this.target(context.returnsTo, context.parent, false)])
          : this.source.targets(offset).map((seen) => this.jumpTarget(d, seen, after, context));
        node.ending = to.length === 0 ? { kind: 'indirect' } : { kind: 'expected', to };
        return;
      }
      offset = after;
      if (this.nrInstrs >= MAX_REGION_INSTRS) {
        node.ending = { kind: 'goto', to: { offset, node: null } };
        return;
      }
    }
  }

  /** A node that was found later may begin within the run of an earlier one: that is cut there. */
  private splitRuns(): void {
    for (const node of this.nodes.values()) {
      const at = node.rows.findIndex(({ offset }, i) => i > 0 && this.nodes.has(this.key(offset, node.context)));
      if (at < 0) continue;
      const { offset } = node.rows[at]!;
      node.rows.length = at;
      node.ending = { kind: 'goto', to: { offset, node: this.nodes.get(this.key(offset, node.context))! } };
    }
  }
}


/** Orders the nodes that are reached, finds dominators (Cooper, Harvey and Kennedy's iteration), and cuts retreating edges whose target does not
 *  dominate their source, until there are none. @returns nodes in reverse post-order */
function makeReducible(head: RegionNode): RegionNode[] {
  for (;;) {
    const nodes = reversePostOrder(head);
    findDominators(nodes);
    let cut = false;
    for (const node of nodes) {
      for (const target of node.targets) {
        if (target.node === null || target.node.order > node.order || dominates(target.node, node)) continue;
        target.node = null;
        cut = true;
      }
    }
    if (cut) continue;
    for (const node of nodes) {
      if (node !== head) node.dominator.children.push(node);
      for (const { node: to } of node.targets) {
        if (to === null) continue;
        if (to.order > node.order) to.forwardEdges++;
        else to.isLoop = true;
      }
    }
    return nodes;
  }
}

function reversePostOrder(head: RegionNode): RegionNode[] {
  const seen = new Set<RegionNode>([head]);
  const nodes: RegionNode[] = [];
  const stack: { node: RegionNode; next: number }[] = [{ node: head, next: 0 }];
  while (stack.length !== 0) {
    const top = stack[stack.length - 1]!;
    const target = top.node.targets[top.next++];
    if (target === undefined) {
      nodes.push(top.node);
      stack.pop();
    } else if (target.node !== null && !seen.has(target.node)) {
      seen.add(target.node);
      stack.push({ node: target.node, next: 0 });
    }
  }
  nodes.reverse();
  nodes.forEach((node, i) => { node.order = i; });
  return nodes;
}

function findDominators(nodes: readonly RegionNode[]): void {
  const before = nodes.map((): RegionNode[] => []);
  for (const node of nodes) for (const { node: to } of node.targets) if (to !== null) before[to.order]!.push(node);
  const known = new Set<RegionNode>([nodes[0]!]);
  nodes[0]!.dominator = nodes[0]!;
  for (let changed = true; changed;) {
    changed = false;
    for (const node of nodes.slice(1)) {
      let dominator: RegionNode | null = null;
      for (const from of before[node.order]!) {
        if (known.has(from)) dominator = dominator === null ? from : common(dominator, from);
      }
      if (known.has(node) && node.dominator === dominator) continue;
      node.dominator = dominator!;
      known.add(node);
      changed = true;
    }
  }
}
function common(a: RegionNode, b: RegionNode): RegionNode {
  let x = a;
  let y = b;
  while (x !== y) {
    if (x.order > y.order) x = x.dominator;
    else y = y.dominator;
  }
  return x;
}
function dominates(a: RegionNode, b: RegionNode): boolean {
  let x = b;
  while (x.order > a.order) x = x.dominator;
  return x === a;
}

/** The region whose head is at offset 0; its node has no rows if nothing can be translated there. */
export const buildRegion = (source: CodeSource): Region => new Builder(source).build();
