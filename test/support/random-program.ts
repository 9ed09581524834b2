// Random programs over all that a hart can be given: every line of the instruction table, 16-bit forms, counted loops, calls and returns, LR/SC loops, code
// that is copied over code. Made for comparing engines, so they are shaped such that loops turn and calls return, rather than trap at once.
import { Prng } from '#base';
import { INSTRUCTIONS, Kind, decode, encode, opOf } from '#cpu';
import type { Instruction } from '#cpu';
import { Format } from '#cpu/isa/formats.ts';

/** Registers by use. What is computed goes to `free`; the others keep what the world put there, so that addresses stay good. */
export const Use = {
  free: [0, 6, 7, 10, 11, 12, 13, 14, 15],
  links: [1, 5],
  /** Into the data pages: sp, s0 to s7, moved a little now and then. */
  data: [2, 8, 9, 18, 19, 20, 21, 22, 23],
  /** To places in the code; s11: the second, writable view of it. */
  code: [24, 25, 26],
  view: 27,
  counters: [28, 29, 30, 31],
} as const;

const kept = new Set<number>([...Use.links, ...Use.data, ...Use.code, Use.view, ...Use.counters]);
const named = (...names: string[]): readonly number[] => names.map(opOf);
const flow = Kind.Branch | Kind.Jump | Kind.EndsBlock;
const memory = Kind.Load | Kind.Store | Kind.Amo;
const rowsWhere = (holds: (row: Instruction) => boolean): readonly number[] => INSTRUCTIONS.map((_, op) => op).filter((op) => holds(INSTRUCTIONS[op]!));
const computing = rowsWhere(({ kind, extension }) => (kind & (flow | memory | Kind.System | Kind.Float)) === 0 && extension !== 'Zifencei');
const floating = rowsWhere(({ kind }) => (kind & Kind.Float) !== 0 && (kind & (memory | Kind.System)) === 0);
const plainLoads = rowsWhere(({ kind, extension }) => (kind & Kind.Load) !== 0 && extension !== 'A');
const plainStores = rowsWhere(({ kind, extension }) => (kind & Kind.Store) !== 0 && extension !== 'A');
const atomic = rowsWhere(({ extension }) => extension === 'A');
const branches = rowsWhere(({ kind }) => (kind & Kind.Branch) !== 0);
const csrs = named('csrrw', 'csrrs', 'csrrc', 'csrrwi', 'csrrsi', 'csrrci');
const rare = [...named('fence', 'fence.i', 'ecall', 'ebreak', 'wfi', 'sfence.vma', 'mret'), -1];

/** Two or four bytes. */
type Piece = { readonly bits: number; readonly length: 2 | 4 };

/** Code, and the offsets at which functions begin. */
export interface Program { readonly bytes: Uint8Array; readonly entries: readonly number[] }

export class ProgramMaker {
  private readonly random: Prng;
  private readonly out: Piece[] = [];
  private lenBytes = 0;
  private readonly leaves: number[] = [];

  constructor(random: Prng) {
    this.random = random;
  }

  make(lenBytes: number): Program {
    const { random } = this;
    const entries: number[] = [];
    const wanted = lenBytes - 512;
    while (this.lenBytes < wanted) {
      if (random.below(6) === 0) entries.push(this.lenBytes);
      switch (random.below(12)) {
        case 0: case 1: this.countedLoop(0); break;
        case 2: this.lrScLoop(); break;
        case 3: this.leaf(); break;
        case 6: this.call(entries); break;
        case 4: this.put('jalr', { rd: 0, rs1: this.pick(Use.links) }); break;
        case 5: this.copyCode(lenBytes); break;
        default: this.straight(1 + random.below(12));
      }
    }
    const bytes = new Uint8Array(lenBytes);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const { bits, length } of this.out) {
      if (length === 2) view.setUint16(at, bits, true);
      else view.setInt32(at, bits, true);
      at += length;
    }
    return { bytes, entries: entries.length === 0 ? [0] : entries };
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]!;
  }
  private word(bits: number): void {
    this.out.push({ bits, length: 4 });
    this.lenBytes += 4;
  }
  private put(name: string, operands: Parameters<typeof encode>[1]): void {
    this.word(encode(name, operands));
  }
  /** A number that means something to memory: mostly aligned, sometimes not. */
  private displacement(lenBytes: number): number {
    const n = this.random.below(4096) - 2048;
    return this.random.below(5) === 0 ? n : n - (((n % lenBytes) + lenBytes) % lenBytes);
  }

  private straight(n: number): void {
    for (let i = 0; i < n; i++) this.one();
  }
  private one(): void {
    const { random } = this;
    const r = random.below(100);
    const free = (): number => this.pick(Use.free);
    const f = (): number => random.below(32);
    if (r < 28) this.row(this.pick(computing));
    else if (r < 40) this.short();
    else if (r < 54) this.access(this.pick(plainLoads));
    else if (r < 66) this.access(this.pick(plainStores));
    else if (r < 78) this.row(this.pick(floating));
    else if (r < 82) this.word(encode(INSTRUCTIONS[this.pick(atomic)]!.name, { rd: free(), rs1: this.pick([...Use.data, ...Use.data, Use.view]), rs2: free(), imm: random.below(4) }));
    else if (r < 90) this.word(encode(INSTRUCTIONS[this.pick(branches)]!.name, { rs1: free(), rs2: free(), imm: 2 * (random.below(60) - 16) }));
    else if (r < 92) this.put('addi', { ...this.twice(this.pick(Use.data)), imm: 8 * (random.below(9) - 4) });
    else if (r < 94) this.word(encode(INSTRUCTIONS[this.pick(csrs)]!.name, { rd: free(), rs1: free(), imm: this.pick([1, 2, 3, 0xc00, 0xc01, 0xc02]) }));
    else if (r < 96) this.put('csrrwi', { rd: free(), rs1: f(), imm: this.pick([1, 2]) });
    else if (r < 97) this.put('jalr', { rd: this.pick([0, ...Use.links]), rs1: this.pick(Use.code), imm: 2 * (random.below(40) - 20) });
    else if (r < 99) this.put('jal', { rd: this.pick([0, ...Use.links]), imm: 2 * (random.below(200) - 60) });
    else {
      const op = this.pick(rare);
      this.word(op < 0 ? 0 : encode(INSTRUCTIONS[op]!.name, { imm: 0xff }));
    }
  }
  private twice(register: number): { rd: number; rs1: number } {
    return { rd: register, rs1: register };
  }
  /** An instruction of the table that touches no memory, on registers that may be changed. */
  private row(op: number): void {
    const { random } = this;
    const { name, format, writesFrd, readsFrs1, readsFrs2 } = INSTRUCTIONS[op]!;
    const any = (isFloat: boolean): number => (isFloat || random.below(4) === 0 ? random.below(32) : this.pick(Use.free));
    const imm = format === Format.U ? random.below(2 ** 20) << 12 : random.below(4096) - 2048;
    this.word(encode(name, { rd: writesFrd ? random.below(32) : this.pick(Use.free), rs1: any(readsFrs1), rs2: any(readsFrs2), rs3: random.below(32), rm: random.below(3) === 0 ? random.below(8) : 7, imm }));
  }
  private access(op: number): void {
    const { random } = this;
    const { name, accessBytes, writesFrd, readsFrs2 } = INSTRUCTIONS[op]!;
    const value = writesFrd || readsFrs2 ? random.below(32) : this.pick(Use.free);
    this.word(encode(name, { rd: value, rs2: value, rs1: this.pick(random.below(40) === 0 ? [...Use.code, Use.view] : Use.data), imm: this.displacement(accessBytes) }));
  }
  /** 16 bits that are an instruction and leave alone what is to be kept. */
  private short(): void {
    for (;;) {
      const bits = this.random.below(65536);
      if ((bits & 3) === 3) continue;
      const d = decode(bits);
      const row = INSTRUCTIONS[d.op];
      if (row === undefined || (row.writesRd && kept.has(d.rd)) || (row.kind & Kind.EndsBlock) !== 0) continue;
      if ((row.kind & Kind.Branch) !== 0 && (d.imm < -40 || d.imm > 80)) continue;
      if ((row.kind & (Kind.Load | Kind.Store)) !== 0 && !(Use.data as readonly number[]).includes(d.rs1)) continue;
      this.out.push({ bits, length: 2 });
      this.lenBytes += 2;
      return;
    }
  }

  private countedLoop(depth: number): void {
    const { random } = this;
    const counter = Use.counters[depth]!;
    this.put('addi', { rd: counter, rs1: 0, imm: 1 + random.below(depth === 0 ? 40 : 6) });
    const start = this.lenBytes;
    this.straight(1 + random.below(8));
    if (random.below(3) === 0) this.call(this.leaves);
    if (depth < 2 && random.below(4) === 0) this.countedLoop(depth + 1);
    if (random.below(3) === 0) this.straight(random.below(6));
    this.put('addi', { rd: counter, rs1: counter, imm: -1 });
    this.put('bne', { rs1: counter, rs2: 0, imm: start - this.lenBytes });
  }
  private lrScLoop(): void {
    const width = this.pick(['w', 'd']);
    const address = this.pick(Use.data);
    const start = this.lenBytes;
    this.put(`lr.${width}`, { rd: 6, rs1: address });
    this.put('addi', { rd: 6, rs1: 6, imm: 1 });
    if (this.random.below(3) === 0) this.one();
    this.put(`sc.${width}`, { rd: 7, rs1: address, rs2: 6 });
    this.put('bne', { rs1: 7, rs2: 0, imm: start - this.lenBytes });
  }
  /** A function that returns, with a way around it. */
  private leaf(): void {
    const { random } = this;
    const around = this.out.length;
    this.word(0);
    const start = this.lenBytes;
    this.straight(1 + random.below(6));
    this.put('jalr', { rd: 0, rs1: this.pick(Use.links) });
    this.leaves.push(start);
    this.out[around] = { bits: encode('jal', { rd: 0, imm: this.lenBytes - start + 4 }), length: 4 };
  }
  private call(entries: readonly number[]): void {
    if (entries.length === 0) return;
    const to = this.pick(entries) - this.lenBytes, or = this.pick(entries) - this.lenBytes;
    const link = this.pick(Use.links);
    switch (this.random.below(5)) {
      case 0: this.farJump(link, link, to); return;
      case 1: this.farJump(this.pick([0, 0, link]), 6, to); return;
      case 2: case 3: if (Math.abs(to) < 2048 && Math.abs(or - to) < 2048) { this.eitherCall(link, to, or); return; }
    }
    this.put('jal', { rd: link, imm: to });
  }
  private farJump(rd: number, base: number, to: number): void {
    const high = (to + 2048) & -4096;
    this.put('auipc', { rd: base, imm: high });
    this.put('jalr', { rd, rs1: base, imm: to - high });
  }
  /** Through a register, to one of two places. */
  private eitherCall(link: number, to: number, or: number): void {
    this.put('auipc', { rd: 6, imm: 0 });
    this.put('slli', { rd: 7, rs1: this.pick([...Use.free, ...Use.counters]), imm: 63 });
    this.put('srai', { ...this.twice(7), imm: 63 });
    this.put('andi', { ...this.twice(7), imm: or - to });
    this.put('add', { rd: 6, rs1: 6, rs2: 7 });
    this.put('jalr', { rd: link, rs1: 6, imm: to });
  }
  /** Copies a word of the code over another, through the writable view; not always with a fence, which this hart does not need. */
  private copyCode(lenBytes: number): void {
    const { random } = this;
    const near = (): number => 2 * random.below(Math.min(lenBytes, 4000) / 2) - 2000;
    this.put(this.pick(['lw', 'ld', 'lhu']), { rd: 6, rs1: Use.view, imm: near() });
    this.put(this.pick(['sw', 'sw', 'sh', 'sd', 'sb']), { rs1: Use.view, rs2: 6, imm: near() });
    if (random.below(2) === 0) this.put('fence.i', {});
  }
}
