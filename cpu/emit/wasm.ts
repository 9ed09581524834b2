// WebAssembly as bytes: what the engines are emitted with. Here: numbers in LEB128, instructions by name, structured control with labels that know
// their depth, functions, a module's sections. Not here: what is emitted (lower.ts, memory.ts, ../interp.ts, ../jit/).
// WebAssembly core specification 2.0, "Binary format"; its names for instructions, with the dots made underscores.
import { bug } from '#base';

export const Type = { I32: 0x7f, I64: 0x7e, F32: 0x7d, F64: 0x7c, V128: 0x7b, Empty: 0x40 } as const;
export type Type = (typeof Type)[keyof typeof Type];

/** Instructions without an immediate. */
export const Op = {
  unreachable: 0x00, return: 0x0f, drop: 0x1a, select: 0x1b,
  i32_eqz: 0x45, i32_eq: 0x46, i32_ne: 0x47, i32_lt_s: 0x48, i32_lt_u: 0x49, i32_gt_s: 0x4a, i32_gt_u: 0x4b, i32_le_s: 0x4c, i32_le_u: 0x4d, i32_ge_s: 0x4e, i32_ge_u: 0x4f,
  i64_eqz: 0x50, i64_eq: 0x51, i64_ne: 0x52, i64_lt_s: 0x53, i64_lt_u: 0x54, i64_gt_s: 0x55, i64_gt_u: 0x56, i64_le_s: 0x57, i64_le_u: 0x58, i64_ge_s: 0x59, i64_ge_u: 0x5a,
  f32_eq: 0x5b, f32_ne: 0x5c, f32_lt: 0x5d, f32_gt: 0x5e, f32_le: 0x5f, f32_ge: 0x60,
  f64_eq: 0x61, f64_ne: 0x62, f64_lt: 0x63, f64_gt: 0x64, f64_le: 0x65, f64_ge: 0x66,
  i32_clz: 0x67, i32_ctz: 0x68, i32_popcnt: 0x69, i32_add: 0x6a, i32_sub: 0x6b, i32_mul: 0x6c, i32_div_s: 0x6d, i32_div_u: 0x6e, i32_rem_s: 0x6f, i32_rem_u: 0x70,
  i32_and: 0x71, i32_or: 0x72, i32_xor: 0x73, i32_shl: 0x74, i32_shr_s: 0x75, i32_shr_u: 0x76, i32_rotl: 0x77, i32_rotr: 0x78,
  i64_clz: 0x79, i64_ctz: 0x7a, i64_popcnt: 0x7b, i64_add: 0x7c, i64_sub: 0x7d, i64_mul: 0x7e, i64_div_s: 0x7f, i64_div_u: 0x80, i64_rem_s: 0x81, i64_rem_u: 0x82,
  i64_and: 0x83, i64_or: 0x84, i64_xor: 0x85, i64_shl: 0x86, i64_shr_s: 0x87, i64_shr_u: 0x88, i64_rotl: 0x89, i64_rotr: 0x8a,
  f32_abs: 0x8b, f32_neg: 0x8c, f32_sqrt: 0x91, f32_add: 0x92, f32_sub: 0x93, f32_mul: 0x94, f32_div: 0x95, f32_min: 0x96, f32_max: 0x97,
  f64_abs: 0x99, f64_neg: 0x9a, f64_ceil: 0x9b, f64_floor: 0x9c, f64_trunc: 0x9d, f64_nearest: 0x9e, f64_sqrt: 0x9f,
  f64_add: 0xa0, f64_sub: 0xa1, f64_mul: 0xa2, f64_div: 0xa3, f64_min: 0xa4, f64_max: 0xa5, f64_copysign: 0xa6,
  i32_wrap_i64: 0xa7, i32_trunc_f64_s: 0xaa, i32_trunc_f64_u: 0xab, i64_extend_i32_s: 0xac, i64_extend_i32_u: 0xad, i64_trunc_f64_s: 0xb0, i64_trunc_f64_u: 0xb1,
  f32_convert_i32_s: 0xb2, f32_convert_i32_u: 0xb3, f32_convert_i64_s: 0xb4, f32_convert_i64_u: 0xb5,
  f32_demote_f64: 0xb6, f64_convert_i32_s: 0xb7, f64_convert_i32_u: 0xb8, f64_convert_i64_s: 0xb9, f64_convert_i64_u: 0xba, f64_promote_f32: 0xbb,
  i32_reinterpret_f32: 0xbc, i64_reinterpret_f64: 0xbd, f32_reinterpret_i32: 0xbe, f64_reinterpret_i64: 0xbf,
  i32_extend8_s: 0xc0, i32_extend16_s: 0xc1, i64_extend8_s: 0xc2, i64_extend16_s: 0xc3, i64_extend32_s: 0xc4,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

/** Instructions on 128 bits, those that are used here. relaxed_madd is of a later proposal (relaxed SIMD): a module with it may be refused. */
export const Simd = {
  i32x4_splat: 0x11, i32x4_eq: 0x37, i32x4_bitmask: 0xa4, f64x2_splat: 0x14, f64x2_extract_lane: 0x21, f64x2_eq: 0x47, f64x2_lt: 0x49, f64x2_pmin: 0xf6, f64x2_pmax: 0xf7, i64x2_bitmask: 0xc4, v128_or: 0x50, v128_any_true: 0x53,
  f64x2_relaxed_madd: 0x107,
} as const;
export type Simd = (typeof Simd)[keyof typeof Simd];

/** Loads and stores: opcode, and log2 of the bytes, which is the alignment that is promised. */
export const Mem = {
  i32_load: [0x28, 2], i64_load: [0x29, 3], f32_load: [0x2a, 2], f64_load: [0x2b, 3],
  i32_load8_s: [0x2c, 0], i32_load8_u: [0x2d, 0], i32_load16_s: [0x2e, 1], i32_load16_u: [0x2f, 1],
  i64_load8_s: [0x30, 0], i64_load8_u: [0x31, 0], i64_load16_s: [0x32, 1], i64_load16_u: [0x33, 1], i64_load32_s: [0x34, 2], i64_load32_u: [0x35, 2],
  i32_store: [0x36, 2], i64_store: [0x37, 3], f32_store: [0x38, 2], f64_store: [0x39, 3],
  i32_store8: [0x3a, 0], i32_store16: [0x3b, 1], i64_store8: [0x3c, 0], i64_store16: [0x3d, 1], i64_store32: [0x3e, 2],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;
export type Mem = (typeof Mem)[keyof typeof Mem];

/** Growing bytes, with the two LEB128 codings. */
export class Bytes {
  private data = new Uint8Array(1024);
  length = 0;

  byte(b: number): void {
    if (this.length === this.data.length) this.grow(1);
    this.data[this.length++] = b;
  }
  bytes(more: Uint8Array): void {
    this.grow(more.length);
    this.data.set(more, this.length);
    this.length += more.length;
  }
  unsigned(n: number): void {
    let rest = n >>> 0;
    for (; rest >= 0x80; rest >>>= 7) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest);
  }
  /** A signed number of at most 32 bits. */
  signed(n: number): void {
    let rest = n | 0;
    for (; rest < -64 || rest > 63; rest >>= 7) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest & 0x7f);
  }
  signed64(n: bigint): void {
    let rest = BigInt.asIntN(64, n);
    for (; rest < -64n || rest > 63n; rest >>= 7n) this.byte(Number(rest & 0x7fn) | 0x80);
    this.byte(Number(rest & 0x7fn));
  }
  double(x: number): void {
    this.bytes(new Uint8Array(new Float64Array([x]).buffer));
  }
  name(text: string): void {
    this.unsigned(text.length);
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
  }
  /** What `fill` writes, with its length before it. */
  sized(fill: (inner: Bytes) => void): void {
    const inner = new Bytes();
    fill(inner);
    this.unsigned(inner.length);
    this.bytes(inner.take());
  }
  /** The bytes so far, live. */
  take(): Uint8Array {
    return this.data.subarray(0, this.length);
  }
  private grow(more: number): void {
    if (this.length + more <= this.data.length) return;
    const larger = new Uint8Array(Math.max(2 * this.data.length, this.length + more));
    larger.set(this.data.subarray(0, this.length));
    this.data = larger;
  }
}

/** A place to branch to: the end of a block, the head of a loop. Good from its opening until its end. */
export interface Label { readonly depth: number }

export interface Signature { readonly params: readonly Type[]; readonly results: readonly Type[] }

/** The body of one function. Methods append instructions. */
export class Code {
  readonly signature: Signature;
  private readonly body = new Bytes();
  private readonly locals: Type[] = [];
  /** Where conditions stand that are seldom true: offsets into the body. */
  private readonly seldom: number[] = [];
  private depth = 0;

  constructor(signature: Signature) {
    this.signature = signature;
  }

  /** A fresh local, zero at the function's start. @returns its index; parameters have the first ones */
  local(type: Type): number {
    this.locals.push(type);
    return this.signature.params.length + this.locals.length - 1;
  }

  op(...ops: readonly Op[]): this {
    for (const o of ops) this.body.byte(o);
    return this;
  }
  get(local: number): this {
    this.body.byte(0x20);
    this.body.unsigned(local);
    return this;
  }
  set(local: number): this {
    this.body.byte(0x21);
    this.body.unsigned(local);
    return this;
  }
  tee(local: number): this {
    this.body.byte(0x22);
    this.body.unsigned(local);
    return this;
  }
  i32(n: number): this {
    this.body.byte(0x41);
    this.body.signed(n);
    return this;
  }
  i64(n: bigint | number): this {
    this.body.byte(0x42);
    if (typeof n === 'bigint') this.body.signed64(n);
    else this.body.signed(n);
    return this;
  }
  f64(x: number): this {
    this.body.byte(0x44);
    this.body.double(x);
    return this;
  }
  /** @param lane of those that have one */
  simd(op: Simd, lane?: number): this {
    this.body.byte(0xfd);
    this.body.unsigned(op);
    if (lane !== undefined) this.body.byte(lane);
    return this;
  }
  /** A load of 128 bits at the address on the stack plus `offset`, on any boundary. */
  loadVector(offset: number): this {
    this.body.bytes(Uint8Array.of(0xfd, 0, 0));
    this.body.unsigned(offset);
    return this;
  }
  /** A load or store at the address on the stack plus `offset` bytes (below 4 GiB). */
  mem([opcode, align]: Mem, offset = 0): this {
    this.body.byte(opcode);
    this.body.unsigned(align);
    this.body.unsigned(offset);
    return this;
  }
  call(index: number): this {
    this.body.byte(0x10);
    this.body.unsigned(index);
    return this;
  }
  /** Instead of a return: the function's answer is the caller's, and nothing of this one is kept meanwhile. */
  tailCall(index: number): this {
    this.body.byte(0x12);
    this.body.unsigned(index);
    return this;
  }
  /** Calls the function of table 0 whose number is on the stack. */
  callIndirect(type: number): this {
    this.body.byte(0x11);
    this.body.unsigned(type);
    this.body.unsigned(0);
    return this;
  }

  // ---- Structure. What is opened must be ended, innermost first.

  block(result: Type = Type.Empty): Label { return this.open(0x02, result); }
  loop(): Label { return this.open(0x03, Type.Empty); }
  /** Takes a condition from the stack. */
  if(result: Type = Type.Empty): Label { return this.open(0x04, result); }
  /** The same, of a condition that is seldom true: the host should keep what follows out of the way of the rest. */
  ifSeldom(result: Type = Type.Empty): Label {
    this.seldom.push(this.body.length);
    return this.if(result);
  }
  else(): this {
    this.body.byte(0x05);
    return this;
  }
  end(): this {
    if (this.depth === 0) bug('WebAssembly: end without a beginning');
    this.depth--;
    this.body.byte(0x0b);
    return this;
  }
  br(to: Label): this {
    this.body.byte(0x0c);
    this.body.unsigned(this.depth - to.depth);
    return this;
  }
  brIf(to: Label): this {
    this.body.byte(0x0d);
    this.body.unsigned(this.depth - to.depth);
    return this;
  }
  /** The same, where it is seldom taken. */
  brIfSeldom(to: Label): this {
    this.seldom.push(this.body.length);
    return this.brIf(to);
  }
  /** Branches to the label whose place is on the stack, beyond the last one to `otherwise`. */
  brTable(labels: readonly Label[], otherwise: Label): this {
    this.body.byte(0x0e);
    this.body.unsigned(labels.length);
    for (const label of labels) this.body.unsigned(this.depth - label.depth);
    this.body.unsigned(this.depth - otherwise.depth);
    return this;
  }
  private open(opcode: number, result: Type): Label {
    this.body.byte(opcode);
    this.body.byte(result);
    this.depth++;
    return { depth: this.depth };
  }

  get lenBytes(): number { return this.body.length; }
  /** The instructions so far, live. */
  get bytes(): Uint8Array { return this.body.take(); }

  /** Appends the function as the code section has it. */
  writeTo(out: Bytes): void {
    if (this.depth !== 0) bug(`WebAssembly: ${this.depth} blocks are open`);
    out.sized((inner) => {
      inner.bytes(this.declarations());
      inner.bytes(this.body.take());
      inner.byte(0x0b);
    });
  }
  /** Appends what metadata.code.branch_hint says of it: each place from the function's beginning, one byte, 0 for unlikely. */
  writeHintsTo(out: Bytes): void {
    const start = this.declarations().length;
    out.unsigned(this.seldom.length);
    for (const at of this.seldom) {
      out.unsigned(start + at);
      out.unsigned(1);
      out.unsigned(0);
    }
  }
  get hasHints(): boolean { return this.seldom.length !== 0; }
  private declarations(): Uint8Array {
    const inner = new Bytes();
    const runs: [number, Type][] = [];
    for (const type of this.locals) {
      const last = runs[runs.length - 1];
      if (last !== undefined && last[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    inner.unsigned(runs.length);
    for (const [n, type] of runs) {
      inner.unsigned(n);
      inner.byte(type);
    }
    return inner.take();
  }
}

/** A module over one imported memory, 'env' 'memory'. Import functions first: they have the first numbers. */
export class ModuleWriter {
  private readonly types: Signature[] = [];
  private readonly imports: { name: string; type: number }[] = [];
  private readonly functions: { code: Code | null; type: number; exported: string | null }[] = [];
  private hasTable = false;

  /** The number of a signature, equal ones shared. */
  type(signature: Signature): number {
    const same = (a: readonly Type[], b: readonly Type[]): boolean => a.length === b.length && a.every((t, i) => t === b[i]);
    const known = this.types.findIndex((t) => same(t.params, signature.params) && same(t.results, signature.results));
    return known >= 0 ? known : this.types.push(signature) - 1;
  }
  /** A function of 'env'. @returns its number */
  importFunction(name: string, signature: Signature): number {
    if (this.functions.length !== 0) bug('WebAssembly: imports come before functions');
    return this.imports.push({ name, type: this.type(signature) }) - 1;
  }
  /** 'env' 'table', of functions. */
  importTable(): void {
    this.hasTable = true;
  }
  /** @param exported its name outside, or null. @returns its number */
  add(code: Code, exported: string | null): number {
    const number = this.declare(code.signature);
    this.define(number, code, exported);
    return number;
  }
  /** The number of a function that is to be defined later, for those that call one another. */
  declare(signature: Signature): number {
    return this.imports.length + this.functions.push({ code: null, type: this.type(signature), exported: null }) - 1;
  }
  define(number: number, code: Code, exported: string | null): void {
    Object.assign(this.functions[number - this.imports.length]!, { code, exported });
  }

  /** @param pages size of the memory, which never grows, in 64 KiB */
  finish(pages: number): Uint8Array {
    const out = new Bytes();
    out.bytes(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    const section = (id: number, fill: (inner: Bytes) => void): void => {
      out.byte(id);
      out.sized(fill);
    };
    const types = (inner: Bytes, list: readonly Type[]): void => {
      inner.unsigned(list.length);
      for (const t of list) inner.byte(t);
    };
    section(1, (s) => {
      s.unsigned(this.types.length);
      for (const { params, results } of this.types) {
        s.byte(0x60);
        types(s, params);
        types(s, results);
      }
    });
    section(2, (s) => {
      s.unsigned(this.imports.length + 1 + (this.hasTable ? 1 : 0));
      for (const { name, type } of this.imports) {
        s.name('env');
        s.name(name);
        s.byte(0);
        s.unsigned(type);
      }
      s.name('env');
      s.name('memory');
      s.bytes(Uint8Array.of(2, 1));
      s.unsigned(pages);
      s.unsigned(pages);
      if (this.hasTable) {
        s.name('env');
        s.name('table');
        s.bytes(Uint8Array.of(1, 0x70, 0, 0));
      }
    });
    section(3, (s) => {
      s.unsigned(this.functions.length);
      for (const f of this.functions) s.unsigned(f.type);
    });
    section(7, (s) => {
      const exported = this.functions.map((f, i) => ({ name: f.exported, index: this.imports.length + i })).filter((f) => f.name !== null);
      s.unsigned(exported.length);
      for (const { name, index } of exported) {
        s.name(name!);
        s.byte(0);
        s.unsigned(index);
      }
    });
    // Hosts that do not know it pass over it ("Branch hinting", which Node 20 must be told to know).
    const codes = this.functions.map(({ code }) => code ?? bug('WebAssembly: a function is declared and not defined'));
    const hinted = codes.map((code, i) => ({ code, index: this.imports.length + i })).filter(({ code }) => code.hasHints);
    if (hinted.length !== 0) {
      section(0, (s) => {
        s.name('metadata.code.branch_hint');
        s.unsigned(hinted.length);
        for (const { code, index } of hinted) {
          s.unsigned(index);
          code.writeHintsTo(s);
        }
      });
    }
    section(10, (s) => {
      s.unsigned(codes.length);
      for (const code of codes) code.writeTo(s);
    });
    return out.take();
  }
}
