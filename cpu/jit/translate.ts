// A region as one WebAssembly function: structured control, registers in locals, every access probed inline, counts exact at every way out. Here: the
// walk over the dominator tree ("Beyond Relooper", Ramsey 2022), operands, ways out. Not here: the region's shape (region.ts), what instructions
// compute (../emit/).
//
// Any access that the filter does not answer leaves the region, and the interpreter does that instruction whole: so no entry goes while the
// region runs, precise faults need nothing more, and the page that is fetched from stays in the fetch filter.
//
// Counting. A local has the time, as the bits of a stamp (stampAt): they count like an integer. What a straight path has retired since it was last
// brought up to date is known when emitting (`pending`) and is added where paths meet, at loops and at ways out. Loads and stores are counted likewise,
// packed into one local; AMOs, which few regions have, in another. The fetched page's entry is stamped when control leaves the page or the region, if
// something was fetched there since it came.
import { PAGE_SIZE } from '#base';
import { Access as MmuAccess } from '#mmu';
import { atomics } from '../emit/atomic.ts';
import type { Atomic } from '../emit/atomic.ts';
import type { Layout } from '../emit/layout.ts';
import { accesses, emitMissTest, emitRefillCall, emitStampAndHost, SLOT_MASK, SLOT_SHIFT, Slot, Value } from '../emit/memory.ts';
import type { Access } from '../emit/memory.ts';
import { floatLowerings } from '../emit/float.ts';
import type { FloatOperands } from '../emit/float.ts';
import { conditions, lowerings } from '../emit/lower.ts';
import { Code, Mem, Op, Type } from '../emit/wasm.ts';
import type { Label } from '../emit/wasm.ts';
import { RegionExit, SIGNATURES } from '../interp.ts';
import { fName, xName } from '../isa/disasm.ts';
import { INSTRUCTIONS, Kind, opOf } from '../isa/table.ts';
import { findGroups } from './groups.ts';
import type { Group, Member } from './groups.ts';
import type { Region, RegionNode, Row, Target } from './region.ts';
import { Sites } from './sites.ts';
import type { Site } from './sites.ts';

const JAL = opOf('jal'), JALR = opOf('jalr'), FENCE = opOf('fence');

/** As REFILL has it (../emit/refill.ts). */
const kindOf = ({ isStore }: Access): number => (isStore ? 1 : 0);

/** What has been retired and not yet been added to the locals. */
interface Pending { instrs: number; loads: number; stores: number; amos: number }
/** By Access (#mmu): where its look-ups are counted. A fetch is an instruction. */
const COUNTED = ['instrs', 'loads', 'stores', 'amos'] as const;

/** Where the region's pages lie: an offset's page address, and the filter's delta for it. */
export interface PagePlaces { pageVa(page: number): bigint; delta(page: number): number }

/** From a byte of the body on, up to the next mark: a guest instruction, or what else the code is for. */
export interface Mark { readonly at: number; readonly of: Row | 'entry' | 'loop' | 'exit' }
/** A region as code, with what a reader wants to know of it (dump.ts). */
export interface Translated { readonly code: Code; readonly marks: readonly Mark[]; localNames(): Map<number, string> }

/** For the form that calls: the number of the function for common misses in the region's module; accesses in a row that an entry of L1 D is sure to outlive. */
export interface Refill { readonly number: number; readonly lasts: number }

/** @param refill null: the form that stops */
export const translate = (region: Region, headPc: bigint, layout: Layout, places: PagePlaces, refill: Refill | null): Translated =>
  new Translation(region, headPc, layout, places, refill);

class Translation implements Translated {
  readonly code = new Code(SIGNATURES.region);
  readonly marks: Mark[] = [];
  private readonly region: Region;
  private readonly headPc: bigint;
  private readonly layout: Layout;
  private readonly places: PagePlaces;
  private readonly refill: Refill | null;

  // Parameters and locals.
  private readonly tick = 0;
  private readonly budgetEnd = 1;
  private readonly tickBefore: number;
  private readonly lastStart: number;
  /** Loads in the low 32 bits, stores above. */
  private readonly counts: number;
  private readonly amos: number;
  private readonly pcOut: number;
  private readonly status: number;
  private readonly address: number;
  private readonly slot: number;
  /** Of the access: what a site knows of its page. */
  private readonly delta: number;
  private readonly dataStampAt: number;
  /** Place of the stamp of the page that is fetched from; the time when control came to it. */
  private readonly stampAt: number;
  private readonly pageTick: number;
  private readonly fcsr: number;
  private readonly integers = new Map<number, number>();
  private readonly floats = new Map<number, number>();
  private usesFcsr = false;
  private hasAmo = false;
  private readonly written = { integers: new Set<number>(), floats: new Set<number>() };
  private readonly temporaries = new Map<string, number>();

  /** By node, accesses that share questions, by index of the row. */
  private readonly members: ReadonlyMap<RegionNode, ReadonlyMap<number, Member>>;
  private readonly sites: Sites | null;
  private node!: RegionNode;
  private readonly groupLocals = new Map<Group, { readonly host: number; readonly stampAt: number }>();
  private exit!: Label;
  private readonly labels = new Map<RegionNode, Label>();
  private pending: Pending = { instrs: 0, loads: 0, stores: 0, amos: 0 };

  constructor(region: Region, headPc: bigint, layout: Layout, places: PagePlaces, refill: Refill | null) {
    this.refill = refill;
    this.region = region;
    this.headPc = headPc;
    this.layout = layout;
    this.places = places;
    const c = this.code;
    this.tickBefore = c.local(Type.I64);
    this.lastStart = c.local(Type.I64);
    this.pageTick = c.local(Type.I64);
    this.counts = c.local(Type.I64);
    this.amos = c.local(Type.I32);
    this.pcOut = c.local(Type.I64);
    this.address = c.local(Type.I64);
    this.status = c.local(Type.I32);
    this.slot = c.local(Type.I32);
    this.delta = c.local(Type.I32);
    this.dataStampAt = c.local(Type.I32);
    this.stampAt = c.local(Type.I32);
    this.fcsr = c.local(Type.I32);
    this.members = new Map(region.nodes.map((node) => [node, findGroups(node.rows, refill?.lasts ?? Infinity)]));
    this.sites = refill === null ? new Sites(layout.sites.byteOffset, region, (node, index) => this.asksWrite(node, index)) : null;
    this.findRegisters();
    this.emit();
  }

  localNames(): Map<number, string> {
    const { tick, budgetEnd, tickBefore, lastStart, counts, amos, pcOut, status, address, slot, delta, dataStampAt, stampAt, pageTick, fcsr } = this;
    return new Map<number, string>([
      ...Object.entries({ tick, budgetEnd, tickBefore, lastStart, counts, amos, pcOut, status, address, slot, delta, dataStampAt, stampAt, pageTick, fcsr }).map(([name, local]) => [local, name] as const),
      ...[...this.integers].map(([x, local]) => [local, xName(x)] as const),
      ...[...this.floats].map(([f, local]) => [local, fName(f)] as const),
    ]);
  }
  private mark(of: Mark['of']): void {
    this.marks.push({ at: this.code.lenBytes, of });
  }

  private emit(): void {
    const { code: c, layout, region } = this;
    this.mark('entry');
    // The longest way to the next loop's head or out passes every instruction once.
    c.get(this.budgetEnd).i64(2 * region.nrInstrs).op(Op.i64_sub).tee(this.lastStart).get(this.tick).op(Op.i64_lt_s);
    c.ifSeldom();
    c.i32(RegionExit.NoFuel).op(Op.return);
    c.end();
    c.get(this.tick).tee(this.tickBefore).set(this.pageTick);
    for (const [x, local] of this.integers) c.i32(0).mem(Mem.i64_load, layout.registers + 8 * x).set(local);
    for (const [f, local] of this.floats) c.i32(0).mem(Mem.f64_load, layout.registers + 8 * (f + 33)).set(local);
    if (this.usesFcsr) c.i32(0).mem(Mem.i32_load, layout.fcsr).set(this.fcsr);
    c.i32(this.slotOf(region.head.page)).mem(Mem.i32_load, layout.exec + Slot.Stamp).set(this.stampAt);
    this.sites?.emitForget(c);

    this.exit = c.block();
    this.emitNode(region.head);
    this.mark('exit');
    c.end();

    for (const x of this.written.integers) c.i32(0).get(this.integers.get(x)!).mem(Mem.i64_store, layout.registers + 8 * x);
    for (const f of this.written.floats) c.i32(0).get(this.floats.get(f)!).mem(Mem.f64_store, layout.registers + 8 * (f + 33));
    if (this.usesFcsr) c.i32(0).get(this.fcsr).mem(Mem.i32_store, layout.fcsr);
    c.i32(0).get(this.pcOut).mem(Mem.i64_store, layout.pc);
    c.i32(0).get(this.tick).mem(Mem.i64_store, layout.tick);
    const add = (what: number, push: () => void): void => {
      c.i32(0).i32(0).mem(Mem.f64_load, layout.lookups + 8 * what);
      push();
      c.op(Op.f64_add).mem(Mem.f64_store, layout.lookups + 8 * what);
    };
    add(0, () => c.get(this.tick).get(this.tickBefore).op(Op.i64_sub, Op.i32_wrap_i64).i32(1).op(Op.i32_shr_u, Op.f64_convert_i32_u));
    add(1, () => c.get(this.counts).op(Op.i32_wrap_i64, Op.f64_convert_i32_u));
    add(2, () => c.get(this.counts).i64(32).op(Op.i64_shr_u, Op.f64_convert_i64_u));
    if (this.hasAmo) add(3, () => c.get(this.amos).op(Op.f64_convert_i32_u));
    c.get(this.tick).get(this.pageTick).op(Op.i64_gt_s);
    c.ifSeldom();
    this.stampPage();
    c.end();
    c.get(this.status);
  }

  private findRegisters(): void {
    for (const node of this.region.nodes) {
      for (const { d } of node.rows) {
        const row = INSTRUCTIONS[d.op]!;
        if (row.readsRs1 && d.rs1 !== 0) this.integers.set(d.rs1, 0);
        if (row.readsRs2 && d.rs2 !== 0) this.integers.set(d.rs2, 0);
        if (row.writesRd && d.rd !== 0) {
          this.integers.set(d.rd, 0);
          this.written.integers.add(d.rd);
        }
        if (row.readsFrs1) this.floats.set(d.rs1, 0);
        if (row.readsFrs2) this.floats.set(d.rs2, 0);
        if (row.readsFrs3) this.floats.set(d.rs3, 0);
        if (floatLowerings.has(d.op)) this.usesFcsr = true;
        if ((row.kind & Kind.Amo) !== 0) this.hasAmo = true;
        if (row.writesFrd) {
          this.floats.set(d.rd, 0);
          this.written.floats.add(d.rd);
        }
      }
    }
    for (const x of this.integers.keys()) this.integers.set(x, this.code.local(Type.I64));
    for (const f of this.floats.keys()) this.floats.set(f, this.code.local(Type.F64));
  }

  /** Whether a row asks the write filter, or the read filter; null: none of them. */
  private asksWrite(node: RegionNode, index: number): boolean | null {
    const { op } = node.rows[index]!.d;
    const access = accesses.get(op) ?? atomics.get(op);
    const member = this.members.get(node)!.get(index);
    if (access === undefined || member?.isFirst === false) return null;
    return member?.group.hasStore ?? access.isStore;
  }
  private pcAt(offset: number): bigint {
    return BigInt.asIntN(64, this.headPc + BigInt(offset));
  }
  private slotOf(page: number): number {
    return (Number(BigInt.asIntN(32, this.places.pageVa(page))) >>> SLOT_SHIFT) & SLOT_MASK;
  }
  /** The last fetch was the one before `tick`. */
  private stampPage(): void {
    this.code.get(this.stampAt).get(this.tick).i64(2).op(Op.i64_sub).mem(Mem.i64_store);
  }

  // ---- Control

  /** Emits a node and all that it dominates. */
  private emitNode(node: RegionNode): void {
    const { code: c } = this;
    const merges = node.children.filter((child) => child.forwardEdges > 1).sort((a, b) => b.order - a.order);
    if (node.isLoop) {
      this.mark('loop');
      this.labels.set(node, c.loop());
      c.get(this.tick).get(this.lastStart).op(Op.i64_gt_s);
      c.ifSeldom();
      this.leave(node.offset, RegionExit.Budget);
      c.end();
    }
    this.emitWithin(node, merges, 0);
    if (node.isLoop) c.end();
  }
  private emitWithin(node: RegionNode, merges: readonly RegionNode[], at: number): void {
    const merge = merges[at];
    if (merge === undefined) {
      this.emitBody(node);
      return;
    }
    this.labels.set(merge, this.code.block());
    this.emitWithin(node, merges, at + 1);
    this.code.end();
    this.pending = { instrs: 0, loads: 0, stores: 0, amos: 0 };
    this.emitNode(merge);
  }

  private emitBody(node: RegionNode): void {
    const { code: c } = this;
    const { rows, ending } = node;
    this.node = node;
    const members = this.members.get(node)!;
    rows.forEach((row, i) => {
      if (i < rows.length - 1 || ending.kind === 'goto' || ending.kind === 'stop') this.emitRow(row, members.get(i));
    });
    const last = rows[rows.length - 1];
    if (ending.kind !== 'goto' && ending.kind !== 'stop') this.mark(last!);
    switch (ending.kind) {
      case 'goto':
        this.go(node, ending.to);
        return;
      case 'branch': {
        conditions.get(last!.d.op)!(this.operands(last!));
        this.pending.instrs++;
        const before = { ...this.pending };
        c.if();
        this.go(node, ending.taken);
        c.else();
        this.pending = before;
        this.go(node, ending.next);
        c.end();
        return;
      }
      case 'expected':
      case 'indirect': {
        const operands = this.operands(last!);
        operands.x1();
        if (last!.d.imm !== 0) c.i64(last!.d.imm).op(Op.i64_add);
        c.i64(-2).op(Op.i64_and).set(this.address);
        this.link(last!);
        this.pending.instrs++;
        const expected = node.targets.filter(({ node: to }) => to !== null);
        if (expected.length > 1) this.bringUpToDate();
        for (const to of expected) {
          const before = { ...this.pending };
          c.get(this.address).i64(this.pcAt(to.offset)).op(Op.i64_eq);
          c.if();
          this.go(node, to);
          c.end();
          this.pending = before;
        }
        this.bringUpToDate();
        c.get(this.address).set(this.pcOut).i32(RegionExit.Jumped).set(this.status).br(this.exit);
        return;
      }
      case 'stop':
        this.leave(node.end, RegionExit.Instruction);
        return;
    }
  }

  /** Control goes from a node along an edge. */
  private go(node: RegionNode, { offset, node: to }: Target): void {
    const { code: c } = this;
    if (to === null) {
      this.leave(offset, RegionExit.Jumped);
      return;
    }
    const isFar = to.order <= node.order || to.forwardEdges > 1;
    if (isFar || to.isLoop || to.page !== node.page) this.bringUpToDate();
    if (to.page !== node.page) this.changePage(to);
    if (isFar) c.br(this.labels.get(to)!);
    else this.emitNode(to);
  }
  /** The next fetch is from another page: it must be where it was when this was translated, and in the filter. */
  private changePage(to: RegionNode): void {
    const { code: c, layout, places } = this;
    const slot = this.slotOf(to.page);
    c.i32(slot).mem(Mem.i64_load, layout.exec + Slot.Tag).i64(places.pageVa(to.page)).op(Op.i64_ne);
    c.i32(slot).mem(Mem.i32_load, layout.exec + Slot.Delta).i32(places.delta(to.page)).op(Op.i32_ne, Op.i32_or);
    c.ifSeldom();
    this.leave(to.offset, RegionExit.MovedPage);
    c.end();
    this.stampPage();
    c.i32(slot).mem(Mem.i32_load, layout.exec + Slot.Stamp).set(this.stampAt);
    c.get(this.tick).set(this.pageTick);
  }

  private bringUpToDate(): void {
    const { code: c, pending } = this;
    if (pending.instrs !== 0) c.get(this.tick).i64(2 * pending.instrs).op(Op.i64_add).set(this.tick);
    const both = BigInt(pending.loads) + (BigInt(pending.stores) << 32n);
    if (both !== 0n) c.get(this.counts).i64(both).op(Op.i64_add).set(this.counts);
    if (pending.amos !== 0) c.get(this.amos).i32(pending.amos).op(Op.i32_add).set(this.amos);
    this.pending = { instrs: 0, loads: 0, stores: 0, amos: 0 };
  }
  /** Leaves the region with pc at an offset. What is pending stays so, for the code behind. */
  private leave(offset: number, status: RegionExit): void {
    const before = { ...this.pending };
    this.bringUpToDate();
    this.code.i64(this.pcAt(offset)).set(this.pcOut).i32(status).set(this.status).br(this.exit);
    this.pending = before;
  }

  // ---- Instructions

  private operands({ offset, d }: Row): FloatOperands {
    const c = this.code;
    const x = (register: number): void => {
      if (register === 0) c.i64(0);
      else c.get(this.integers.get(register)!);
    };
    return {
      code: c,
      temporary: (type, n) => {
        const key = `${type}/${n}`;
        const known = this.temporaries.get(key) ?? c.local(type);
        this.temporaries.set(key, known);
        return known;
      },
      x1: () => x(d.rs1), x2: () => x(d.rs2),
      imm: () => { c.i64(d.imm); },
      imm32: () => { c.i32(d.imm); },
      pcPlusImm: () => { c.i64(this.pcAt(offset + d.imm)); },
      f1: () => { c.get(this.floats.get(d.rs1)!); },
      f2: () => { c.get(this.floats.get(d.rs2)!); },
      f3: () => { c.get(this.floats.get(d.rs3)!); },
      fcsr: () => { c.get(this.fcsr); },
      setFcsr: (push) => {
        push();
        c.set(this.fcsr);
      },
      zimm: () => { c.i32(d.rs1); },
      rm: d.rm, csr: d.imm, sameSources: d.rs1 === d.rs2, fuses: this.layout.fuses,
    };
  }
  private link({ offset, d }: Row): void {
    if (d.rd !== 0) this.code.i64(this.pcAt(offset + d.length)).set(this.integers.get(d.rd)!);
  }

  private emitRow(row: Row, member: Member | undefined): void {
    const { code: c } = this;
    const { offset, d } = row;
    const access = accesses.get(d.op);
    const atomic = atomics.get(d.op);
    const lowering = lowerings.get(d.op);
    const float = floatLowerings.get(d.op);
    this.mark(row);
    if (access !== undefined) {
      if (member === undefined) this.emitAccess(row, access);
      else this.emitMember(row, access, member);
    } else if (atomic !== undefined) {
      this.emitAtomic(row, atomic);
    } else if (lowering !== undefined) {
      if (d.rd !== 0) {
        lowering(this.operands(row));
        c.set(this.integers.get(d.rd)!);
      }
    } else if (float !== undefined) {
      const isDone = c.block();
      const giveUp = c.block();
      float.lowering(this.operands(row), giveUp);
      if (float.result === Type.F64) c.set(this.floats.get(d.rd)!);
      else if (d.rd !== 0) c.set(this.integers.get(d.rd)!);
      else c.op(Op.drop);
      c.br(isDone);
      c.end();
      this.leave(offset, RegionExit.RareFloat);
      c.end();
    } else if (d.op === JAL || d.op === JALR) {
      this.link(row);
    } else if (d.op !== FENCE) {
      throw new Error(`nothing is emitted for ${INSTRUCTIONS[d.op]!.name}`);
    }
    this.pending.instrs++;
  }

  /** The time of the instruction that comes. */
  private pushStamp(): void {
    this.code.get(this.tick);
    if (this.pending.instrs !== 0) this.code.i64(2 * this.pending.instrs).op(Op.i64_add);
  }
  private emitAccess(row: Row, access: Access): void {
    this.emitFind(row, row.d.imm, access, kindOf(access));
    this.emitTransfer(row, access);
  }
  private emitAtomic(row: Row, atomic: Atomic): void {
    const { code: c } = this;
    const { rd } = row.d;
    const o = this.operands(row);
    this.emitFind(row, 0, atomic, atomic.access - MmuAccess.Load);
    const host = o.temporary(Type.I32, 0);
    c.set(host);
    atomic.emit(o, this.layout, host);
    if (rd !== 0) c.set(this.integers.get(rd)!);
    else c.op(Op.drop);
    this.pending[COUNTED[atomic.access]]++;
  }
  /** Stamps the page of the bytes at x[rs1] + displacement, and leaves their host offset on the stack; or the region is left. */
  private emitFind(row: Row, displacement: number, { isStore, lenBytes }: Pick<Access, 'isStore' | 'lenBytes'>, kind: number): void {
    const { code: c } = this;
    this.operands(row).x1();
    if (displacement !== 0) c.i64(displacement).op(Op.i64_add);
    c.set(this.address);
    const probe = { table: isStore ? this.layout.write : this.layout.read, address: this.address, slot: this.slot };
    const stamp = (): void => this.pushStamp();
    const site = this.sites?.of(this.node, row, isStore) ?? null;
    if (site !== null) {
      this.emitRecall(row, site, probe.table, lenBytes, () => {});
      c.get(this.dataStampAt);
      stamp();
      c.mem(Mem.i64_store);
      c.get(this.address).op(Op.i32_wrap_i64).get(this.delta).op(Op.i32_add);
      return;
    }
    emitMissTest(c, probe, lenBytes);
    this.emitMiss(row, lenBytes, kind, () => { c.i32(0); });
    emitStampAndHost(c, probe, stamp);
  }
  /** Whether the filter has no answer is on the stack. The page is brought there, or the region left. @param orStill pushes whether it has none even then */
  private emitMiss(row: Row, lenBytes: number, kind: number, orStill: () => void): void {
    const { code: c, refill } = this;
    c.ifSeldom();
    if (refill !== null) {
      emitRefillCall(c, refill.number, this.address, lenBytes, kind);
      c.op(Op.i32_eqz);
      orStill();
      c.op(Op.i32_or).ifSeldom();
    }
    this.leave(row.offset, RegionExit.Missed);
    if (refill !== null) c.end();
    c.end();
  }
  /** Sees to it that a site remembers the page of the address, of which delta and dataStampAt are set; leaves if the filter has it not.
   *  @param orToo pushes a further reason to ask the filter, or-ed */
  private emitRecall(row: Row, site: Site, table: number, lenBytes: number, orToo: () => void): void {
    const { code: c, address, slot } = this;
    const pushTag = (): void => { c.get(address).i64(~4095 | (lenBytes - 1)).op(Op.i64_and); };
    pushTag();
    c.i32(0).mem(Mem.i64_load, site.tag).op(Op.i64_ne);
    orToo();
    c.ifSeldom();
    emitMissTest(c, { table, address, slot }, lenBytes);
    orToo();
    c.ifSeldom();
    this.leave(row.offset, RegionExit.Missed);
    c.end();
    c.i32(0);
    pushTag();
    c.mem(Mem.i64_store, site.tag);
    c.i32(0).get(slot).mem(Mem.i32_load, table + Slot.Delta).tee(this.delta).mem(Mem.i32_store, site.delta);
    c.i32(0).get(slot).mem(Mem.i32_load, table + Slot.Stamp).tee(this.dataStampAt).mem(Mem.i32_store, site.stampAt);
    c.else();
    c.i32(0).mem(Mem.i32_load, site.delta).set(this.delta);
    c.i32(0).mem(Mem.i32_load, site.stampAt).set(this.dataStampAt);
    c.end();
  }

  /** An access of a group: the first asks for all, the others know where their bytes are. */
  private emitMember(row: Row, access: Access, { group, isFirst, offset, stamps }: Member): void {
    const { code: c } = this;
    const { isStore } = access;
    const known = this.groupLocals.get(group) ?? { host: c.local(Type.I32), stampAt: c.local(Type.I32) };
    this.groupLocals.set(group, known);
    if (isFirst) {
      const o = this.operands(row);
      o.x1();
      const start = row.d.imm + group.start;
      if (start !== 0) c.i64(start).op(Op.i64_add);
      c.set(this.address);
      const probe = { table: group.hasStore ? this.layout.write : this.layout.read, address: this.address, slot: this.slot };
      const orStraddles = (): void => {
        c.get(this.address).op(Op.i32_wrap_i64).i32(PAGE_SIZE - 1).op(Op.i32_and).i32(PAGE_SIZE - group.lenBytes).op(Op.i32_gt_u, Op.i32_or);
      };
      const site = this.sites?.of(this.node, row, group.hasStore) ?? null;
      if (site !== null) {
        this.emitRecall(row, site, probe.table, group.alignment, orStraddles);
        c.get(this.dataStampAt).set(known.stampAt);
        c.get(this.address).op(Op.i32_wrap_i64).get(this.delta).op(Op.i32_add).set(known.host);
      } else {
        if (this.refill === null) {
          emitMissTest(c, probe, group.alignment);
          orStraddles();
          c.ifSeldom();
          this.leave(row.offset, RegionExit.Missed);
          c.end();
        } else {
          c.i32(0);
          orStraddles();
          c.ifSeldom();
          this.leave(row.offset, RegionExit.Missed);
          c.end();
          emitMissTest(c, probe, group.alignment);
          // The miss is the first member's, whatever it is; the page must be one for all of them.
          this.emitMiss(row, group.alignment, kindOf(access), () => { if (isStore || !group.hasStore) c.i32(0); else emitMissTest(c, probe, group.alignment); });
        }
        c.get(this.slot).mem(Mem.i32_load, probe.table + Slot.Stamp).set(known.stampAt);
        c.get(this.address).op(Op.i32_wrap_i64).get(this.slot).mem(Mem.i32_load, probe.table + Slot.Delta).op(Op.i32_add).set(known.host);
      }
    }
    if (stamps) {
      c.get(known.stampAt);
      this.pushStamp();
      c.mem(Mem.i64_store);
    }
    c.get(known.host);
    this.emitTransfer(row, access, offset);
  }

  /** The bytes go; the host offset is on the stack. @param more bytes beyond it */
  private emitTransfer(row: Row, { isStore, value, mem }: Access, more = 0): void {
    const { code: c } = this;
    const { d } = row;
    const o = this.operands(row);
    if (isStore) {
      if (value === Value.Integer) o.x2();
      else {
        o.f2();
        if (value === Value.Single) c.op(Op.i64_reinterpret_f64);
      }
      c.mem(mem, more);
      this.pending.stores++;
      return;
    }
    c.mem(mem, more);
    this.pending.loads++;
    if (value === Value.Single) c.i64(-(2n ** 32n)).op(Op.i64_or, Op.f64_reinterpret_i64);
    if (value !== Value.Integer) c.set(this.floats.get(d.rd)!);
    else if (d.rd !== 0) c.set(this.integers.get(d.rd)!);
    else c.op(Op.drop);
  }
}
