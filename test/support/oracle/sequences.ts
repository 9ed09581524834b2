// Random instruction sequences, drawn from the instruction table. A sequence ("chunk") is some twenty instructions that start from a known
// state, touch a window of scratch memory around one base register, and run to their end: branches and jumps go forwards, or backwards within
// a detour of fixed shape. Here: drawing. Not here: the program around it (blocks.ts).
import { Format, ILLEGAL, INSTRUCTIONS, Kind, decode, encode } from '#cpu';
import type { Decoded, Instruction, Operands } from '#cpu';
import { Prng } from '#base';
import { pick } from './values.ts';

export interface Chunk {
  /** The x register that holds the middle of the window throughout; no instruction writes it. */
  readonly base: number;
  readonly code: Uint8Array;
}

/** Scratch memory that a chunk may touch, around its base register. */
export const WINDOW_BYTES = 1024;
const HALF = WINDOW_BYTES / 2;
const WANTED_INSTRUCTIONS = 21;

/** One instruction; `place` gives its bits once the distance to the target is known. */
interface Item {
  readonly bits: number;
  readonly length: 2 | 4;
  readonly place?: (distance: number) => number;
}
/** Instructions that belong together: nothing jumps into the middle. `skip`: how many groups its jump, if it has one, leaves out. */
interface Group {
  readonly items: readonly Item[];
  readonly skip: number;
}

/** Why the table's instruction is in no sequence, or null: it is. */
export function reasonNotDrawn(row: Instruction): string | null {
  if (row.extension === 'Zicond') return 'qemu 7.2 does not know Zicond';
  if (row.extension === 'S' || row.extension === 'Svinval') return 'illegal in U mode';
  if (row.name === 'ecall') return 'leaves the program';
  if (row.name === 'ebreak') return 'traps';
  return null;
}
const drawn = INSTRUCTIONS.filter((row) => reasonNotDrawn(row) === null);
/** Neither memory nor control nor CSRs: what may stand anywhere. */
const isPlain = (row: Instruction): boolean =>
  (row.kind & ~(Kind.Float | Kind.Rm)) === 0 && row.format !== Format.Fence && row.name !== 'ctzw';
const plain = drawn.filter(isPlain);

/** Legal 16-bit forms that no jump is, and jumps by what they expand to: 'jal 0 12' -> the forms with that operand. */
const shortForms: number[] = [];
const shortJumps = new Map<string, number[]>();
const jumpKey = (name: string, register: number, distance: number): string => `${name} ${register} ${distance}`;
for (let form = 0; form < 0x10000; form++) {
  if ((form & 3) === 3) continue;
  const d = decode(form);
  if (d.op === ILLEGAL) continue;
  const row = INSTRUCTIONS[d.op]!;
  if ((row.kind & Kind.System) !== 0) continue;
  if ((row.kind & (Kind.Branch | Kind.Jump)) === 0) shortForms.push(form);
  else {
    const key = row.name === 'jalr' ? jumpKey(d.rd === 0 ? 'c.jr' : 'c.jalr', d.rs1, 0) : jumpKey(row.name, row.name === 'jal' ? 0 : d.rs1, d.imm);
    shortJumps.set(key, [...(shortJumps.get(key) ?? []), form]);
  }
}

/** Which of the 16-bit forms: quadrant, funct3 and what it stands for. What the coverage is counted in. */
export const shortClass = (form: number, d: Decoded): string => `c ${form & 3}.${form >>> 13} ${INSTRUCTIONS[d.op]!.name}`;

/** All of them, for the coverage. c.ebreak is left out. */
export const shortClasses: readonly string[] = [...new Set(shortForms.map((form) => shortClass(form, decode(form))))];
export const jumpClasses: readonly string[] = [...new Set([...shortJumps.values()].flat().map((form) => shortClass(form, decode(form))))];

export class SequenceGenerator {
  private readonly random: Prng;
  private base = 1;
  /** True: instructions may say DYN, so frm must stay a legal mode. */
  private dynamic = false;

  constructor(seed: number) {
    this.random = new Prng(seed, 'instruction sequences');
  }

  chunk(index: number): Chunk {
    this.base = 1 + (index % 31);
    this.dynamic = this.random.below(2) === 0;
    const groups: Group[] = [];
    for (let n = 0; n < WANTED_INSTRUCTIONS;) {
      const group = this.group();
      groups.push(group);
      n += group.items.length;
    }
    return { base: this.base, code: layOut(groups) };
  }

  private group(): Group {
    switch (this.random.below(40)) {
      case 0: return this.detour();
      case 1: case 2: return this.shortJump();
      default:
    }
    if (this.random.below(8) === 0) return this.shortForm();
    const row = pick(this.random, drawn);
    if ((row.kind & Kind.Branch) !== 0) return this.branch(row);
    if (row.name === 'jal') return this.jump(row);
    if (row.name === 'jalr') return this.indirectJump();
    // An LR alone would leave a reservation whose fate, after stores of its own hart, the spec leaves open.
    if (row.name.startsWith('lr.')) return this.reservedPair(row.accessBytes);
    if (row.extension === 'A') return this.atomic(row);
    if (row.accessBytes !== 0) return this.access(row);
    if (row.name === 'ctzw') return this.countTrailing(row);
    return straight(this.single(row));
  }

  /** qemu 7.2 counts on into the upper half when the lower one is zero (the spec: 32; qemu 8 agrees). So the halves are made to agree first. */
  private countTrailing(row: Instruction): Group {
    const rs1 = this.temporary();
    return straight(word(encode('addiw', { rd: rs1, rs1: this.random.below(32) })), word(encode(row.name, { rd: this.destination(), rs1 })));
  }

  /** Any instruction that needs no address and goes nowhere. */
  private single(row: Instruction): Item {
    if (row.format === Format.Csr) return this.csr(row);
    if (row.format === Format.Fence) return word(encode(row.name, { imm: this.random.below(4096), rd: this.random.below(32), rs1: this.random.below(32) }));
    return word(encode(row.name, this.operands(row)));
  }
  private operands(row: Instruction): Operands {
    const random = this.random;
    return {
      rd: row.writesRd ? this.destination() : random.below(32),
      rs1: random.below(32), rs2: random.below(32), rs3: random.below(32),
      imm: row.format === Format.U ? random.next32() & ~0xfff : random.below(3) === 0 ? pick(random, [0, 1, -1, 2047, -2048, 31, 63]) : random.below(4096) - 2048,
      rm: (row.kind & Kind.Rm) !== 0 ? this.roundingMode() : 0,
    };
  }
  private roundingMode(): number {
    const mode = this.random.below(this.dynamic ? 8 : 5);
    return mode < 5 ? mode : 7;
  }
  /** A register that may be written. */
  private destination(): number {
    for (;;) {
      const r = this.random.below(32);
      if (r !== this.base) return r;
    }
  }
  /** The same, but not x0. */
  private temporary(): number {
    for (;;) {
      const r = this.destination();
      if (r !== 0) return r;
    }
  }

  private csr(row: Instruction): Item {
    const random = this.random;
    const rd = this.destination();
    // While DYN is in use only legal modes go to frm: by an immediate.
    const frm = this.dynamic && row.name === 'csrrwi' && random.below(2) === 0;
    const imm = frm ? 2 : this.dynamic ? 1 : 1 + random.below(3);
    return word(encode(row.name, { rd, imm, rs1: frm ? random.below(5) : random.below(32) }));
  }

  /** A load or store in the window at any alignment, from the base or from a register set up for it. */
  private access(row: Instruction): Group {
    const at = this.random.below(WINDOW_BYTES - row.accessBytes + 1) - HALF;
    const operands = { rd: row.writesRd ? this.destination() : this.random.below(32), rs2: this.random.below(32) };
    if (this.random.below(2) === 0) return straight(word(encode(row.name, { ...operands, rs1: this.base, imm: at })));
    const rs1 = this.temporary();
    const imm = this.random.below(4096) - 2048;
    const setUp = clamp(at - imm);
    return straight(word(encode('addi', { rd: rs1, rs1: this.base, imm: setUp })), word(encode(row.name, { ...operands, rs1, imm: at - setUp })));
  }

  private atomic(row: Instruction): Group {
    const [setUp, rs1] = this.aligned(row.accessBytes);
    return straight(setUp, word(encode(row.name, { rd: this.destination(), rs1, rs2: this.random.below(32), imm: this.random.below(4) })));
  }
  /** Points a register at a naturally aligned place of the window. */
  private aligned(bytes: number): readonly [Item, number] {
    const rs1 = this.temporary();
    return [word(encode('addi', { rd: rs1, rs1: this.base, imm: this.random.below(WINDOW_BYTES / bytes) * bytes - HALF })), rs1];
  }
  /** LR, a few instructions, SC to the same place or the next one. */
  private reservedPair(bytes: number): Group {
    const suffix = bytes === 4 ? 'w' : 'd';
    const [setUp, rs1] = this.aligned(bytes);
    const keeps = (row: Instruction): boolean => row.writesRd || row.writesFrd;
    const between = Array.from({ length: this.random.below(4) }, () => {
      for (;;) {
        const row = pick(this.random, plain);
        const item = this.single(row);
        if (keeps(row) && !(row.writesRd && decode(item.bits).rd === rs1)) return item;
      }
    });
    const elsewhere = this.random.below(4) === 0 ? [word(encode('xori', { rd: rs1, rs1, imm: bytes }))] : [];
    let rd = this.destination();
    if (rd === rs1) rd = 0;
    return straight(setUp, word(encode(`lr.${suffix}`, { rd, rs1, imm: this.random.below(4) })), ...between, ...elsewhere,
      word(encode(`sc.${suffix}`, { rd: this.destination(), rs1, rs2: this.random.below(32), imm: this.random.below(4) })));
  }

  private skip(): number {
    return 1 + this.random.below(4);
  }
  private branch(row: Instruction): Group {
    const rs1 = this.random.below(32);
    const rs2 = this.random.below(4) === 0 ? rs1 : this.random.below(32);
    return { items: [{ bits: 0, length: 4, place: (imm) => encode(row.name, { rs1, rs2, imm }) }], skip: this.skip() };
  }
  private jump(row: Instruction): Group {
    const rd = this.destination();
    return { items: [{ bits: 0, length: 4, place: (imm) => encode(row.name, { rd, imm }) }], skip: this.skip() };
  }
  /** auipc, jalr. Bit 0 of the sum is dropped, so it may be set. */
  private indirectJump(): Group {
    const rs1 = this.temporary();
    const rd = this.destination();
    const odd = this.random.below(2);
    return {
      items: [word(encode('auipc', { rd: rs1 })), { bits: 0, length: 4, place: (distance) => encode('jalr', { rd, rs1, imm: distance + 4 + odd }) }],
      skip: this.skip(),
    };
  }
  private shortJump(): Group {
    const rs1 = this.temporary();
    const name = pick(this.random, ['jal', 'beq', 'bne', 'c.jr', 'c.jalr']);
    if (name === 'c.jr' || name === 'c.jalr') {
      if (name === 'c.jalr' && this.base === 1) return this.shortForm(); // it writes x1
      const bits = shortJumps.get(jumpKey(name, rs1, 0))![0]!;
      const add: Item = { bits: 0, length: 4, place: (distance) => encode('addi', { rd: rs1, rs1, imm: distance + 4 }) };
      return { items: [word(encode('auipc', { rd: rs1 })), add, { bits, length: 2 }], skip: this.skip() };
    }
    const register = name === 'jal' ? 0 : 8 + this.random.below(8);
    return { items: [{ bits: 0, length: 2, place: (distance) => pick(this.random, shortJumps.get(jumpKey(name, register, distance))!) }], skip: this.skip() };
  }

  /** Forwards over one instruction, back to it, and forwards out: two instructions swapped in time. */
  private detour(): Group {
    const [first, second] = [this.single(pick(this.random, plain)), this.single(pick(this.random, plain))];
    const jal = (imm: number): Item => word(encode('jal', { rd: this.destination(), imm }));
    const back = this.takenBack(-12);
    return straight(jal(12), second, jal(8 + back.length), first, back);
  }
  /** A jump or a branch that is sure to be taken. */
  private takenBack(distance: number): Item {
    const base = this.base;
    const ways: (() => Item)[] = [
      () => word(encode('jal', { rd: this.destination(), imm: distance })),
      () => word(encode('beq', { rs1: 0, rs2: 0, imm: distance })),
      () => word(encode('bge', { rs1: base, rs2: base, imm: distance })),
      () => word(encode('bgeu', { rs1: base, rs2: 0, imm: distance })),
      () => word(encode('bne', { rs1: 0, rs2: base, imm: distance })),
      () => word(encode('blt', { rs1: 0, rs2: base, imm: distance })),
      () => word(encode('bltu', { rs1: 0, rs2: base, imm: distance })),
      () => ({ bits: shortJumps.get(jumpKey('jal', 0, distance))![0]!, length: 2 }),
    ];
    if (base >= 8 && base < 16) ways.push(() => ({ bits: shortJumps.get(jumpKey('bne', base, distance))![0]!, length: 2 }));
    return pick(this.random, ways)();
  }

  /** A 16-bit instruction; a load or store gets its address set up. */
  private shortForm(): Group {
    for (;;) {
      const form = pick(this.random, shortForms);
      const d = decode(form);
      const row = INSTRUCTIONS[d.op]!;
      if (row.writesRd && d.rd === this.base) continue;
      const item: Item = { bits: form, length: 2 };
      if (row.accessBytes === 0) return straight(item);
      const at = this.random.below(WINDOW_BYTES - row.accessBytes + 1) - HALF;
      if (d.rs1 === this.base) {
        if (d.imm + row.accessBytes <= HALF) return straight(item);
        continue;
      }
      return straight(word(encode('addi', { rd: d.rs1, rs1: this.base, imm: at - d.imm })), item);
    }
  }
}

const word = (bits: number): Item => ({ bits, length: 4 });
const straight = (...items: Item[]): Group => ({ items, skip: 0 });
/** The nearest that an addi can add, so that the rest fits the access's own displacement (the window is narrow enough for that). */
const clamp = (n: number): number => Math.max(-2048, Math.min(2047, n));

function layOut(groups: readonly Group[]): Uint8Array {
  const starts: number[] = [];
  let end = 0;
  for (const group of groups) {
    starts.push(end);
    for (const item of group.items) end += item.length;
  }
  const bytes: number[] = [];
  groups.forEach((group, g) => {
    const target = starts[g + 1 + group.skip] ?? end;
    for (const item of group.items) {
      const bits = item.place === undefined ? item.bits : item.place(target - bytes.length);
      for (let i = 0; i < item.length; i++) bytes.push((bits >>> (8 * i)) & 255);
    }
  });
  return Uint8Array.from(bytes);
}
