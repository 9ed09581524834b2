// WebAssembly as text: the bytes that Code has gathered, read back. Here: the instructions that wasm.ts knows, one a line, in the text format's names.
// Not here: modules; what a line is for (../jit/dump.ts).
import { bug } from '#base';
import { Mem, Op, Simd, Type } from './wasm.ts';

export interface TextLine {
  /** Byte offset in the function's body. */
  readonly at: number;
  /** How many blocks are open around it. */
  readonly depth: number;
  readonly text: string;
  /** Of a load or store: the byte offset added to the address. */
  readonly offset: number | null;
}

/** i32_add is i32.add, f64x2_splat f64x2.splat; return has no dot. */
const dotted = (name: string): string => (/^[ifv]\d/.test(name) ? name.replace('_', '.') : name);
const opNames = new Map<number, string>(Object.entries(Op).map(([name, opcode]) => [opcode, dotted(name)]));
const memNames = new Map<number, string>(Object.entries(Mem).map(([name, [opcode]]) => [opcode, dotted(name)]));
const simdNames = new Map<number, string>(Object.entries(Simd).map(([name, opcode]) => [opcode, dotted(name)]));
const typeNames = new Map<number, string>([[Type.I32, 'i32'], [Type.I64, 'i64'], [Type.F32, 'f32'], [Type.F64, 'f64']]);

class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  get isAtEnd(): boolean { return this.at >= this.bytes.length; }
  byte(): number { return this.bytes[this.at++]!; }
  unsigned(): number {
    return Number(BigInt.asUintN(32, this.leb().value));
  }
  signed(): bigint {
    const { value, bits } = this.leb();
    return BigInt.asIntN(bits, value);
  }
  private leb(): { value: bigint; bits: number } {
    let value = 0n;
    for (let bits = 0; ;) {
      const b = this.byte();
      value |= BigInt(b & 0x7f) << BigInt(bits);
      bits += 7;
      if (b < 0x80) return { value, bits };
    }
  }
  double(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8, true);
  }
}

/** @param nameOf a local's or a function's name @throws Bug for bytes that wasm.ts does not write */
export function wasmText(body: Uint8Array, nameOf: (kind: 'local' | 'function', index: number) => string): TextLine[] {
  const r = new Reader(body);
  const lines: TextLine[] = [];
  let depth = 0;
  while (!r.isAtEnd) {
    const at = r.at;
    const opcode = r.byte();
    let offset: number | null = null;
    let text: string;
    let before = depth;
    switch (opcode) {
      case 0x02: case 0x03: case 0x04: {
        const result = typeNames.get(r.byte());
        text = `${{ 2: 'block', 3: 'loop', 4: 'if' }[opcode]}${result === undefined ? '' : ` (result ${result})`}`;
        depth++;
        break;
      }
      case 0x05: text = 'else'; before--; break;
      case 0x0b: text = 'end'; before = --depth; break;
      case 0x0c: text = `br ${r.unsigned()}`; break;
      case 0x0d: text = `br_if ${r.unsigned()}`; break;
      case 0x0e: text = `br_table ${Array.from({ length: r.unsigned() + 1 }, () => r.unsigned()).join(' ')}`; break;
      case 0x10: text = `call ${nameOf('function', r.unsigned())}`; break;
      case 0x12: text = `return_call ${nameOf('function', r.unsigned())}`; break;
      case 0x11: text = `call_indirect (type ${r.unsigned()})`; r.unsigned(); break;
      case 0x20: text = `local.get ${nameOf('local', r.unsigned())}`; break;
      case 0x21: text = `local.set ${nameOf('local', r.unsigned())}`; break;
      case 0x22: text = `local.tee ${nameOf('local', r.unsigned())}`; break;
      case 0x41: text = `i32.const ${r.signed()}`; break;
      case 0x42: text = `i64.const ${r.signed()}`; break;
      case 0x44: {
        const value = r.double();
        text = `f64.const ${Object.is(value, -0) ? '-0' : Number.isNaN(value) ? 'nan' : `${value}`.replace('Infinity', 'inf')}`;
        break;
      }
      case 0xfd: {
        const simd = r.unsigned();
        if (simd === 0) {
          r.unsigned(); // the alignment
          offset = r.unsigned();
          text = `v128.load${offset === 0 ? '' : ` offset=${offset}`}`;
          break;
        }
        text = simdNames.get(simd) ?? bug(`WebAssembly: no name for 0xfd ${simd}`);
        if (simd === Simd.f64x2_extract_lane) text += ` ${r.byte()}`;
        break;
      }
      default: {
        const memory = memNames.get(opcode);
        if (memory !== undefined) {
          r.unsigned(); // the alignment, always the natural one
          offset = r.unsigned();
          text = `${memory}${offset === 0 ? '' : ` offset=${offset}`}`;
        } else {
          text = opNames.get(opcode) ?? bug(`WebAssembly: no name for 0x${opcode.toString(16)}`);
        }
      }
    }
    lines.push({ at, depth: before, text, offset });
  }
  return lines;
}
