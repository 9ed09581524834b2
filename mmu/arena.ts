// One WebAssembly.Memory holds registers, TLB columns, counters and guest RAM, so that TypeScript and emitted WebAssembly share every
// byte. Columns are handed out once, in order, at construction; nothing is ever freed or grown (growing would detach every view).
import { bug } from '#base';

/** What the rooms need of the WebAssembly JavaScript API; neither ES library nor Node's types are there. */
interface WasmMemory { readonly buffer: ArrayBuffer }
declare const WebAssembly: { Memory: new (d: { initial: number; maximum: number }) => WasmMemory };

const WASM_PAGE = 65536;

export class Arena {
  readonly memory: WasmMemory;
  readonly buffer: ArrayBuffer;
  /** The whole arena, for accesses at a host offset. Little-endian hosts only: every JavaScript engine that matters is. */
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly view: DataView;
  private nextByte = 64; // offset 0 stays unused, so that 0 is never a column

  /** @param lenBytes room for all columns and RAM; at most 4 GiB. */
  constructor(lenBytes: number) {
    const pages = Math.ceil(lenBytes / WASM_PAGE);
    if (pages > 65536) bug(`arena of ${lenBytes} bytes`);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.buffer = this.memory.buffer;
    this.u8 = new Uint8Array(this.buffer);
    this.i32 = new Int32Array(this.buffer);
    this.f64 = new Float64Array(this.buffer);
    this.view = new DataView(this.buffer);
  }

  /** Byte offset of a fresh zeroed region. @param align a power of two. */
  reserve(lenBytes: number, align = 64): number {
    const at = Math.ceil(this.nextByte / align) * align;
    if (at + lenBytes > this.buffer.byteLength) bug(`arena full: ${lenBytes} bytes at ${at} of ${this.buffer.byteLength}`);
    this.nextByte = at + lenBytes;
    return at;
  }
  int32(length: number): Int32Array {
    return new Int32Array(this.buffer, this.reserve(length * 4), length);
  }
  uint16(length: number): Uint16Array {
    return new Uint16Array(this.buffer, this.reserve(length * 2), length);
  }
  uint8(length: number): Uint8Array {
    return new Uint8Array(this.buffer, this.reserve(length), length);
  }
  float64(length: number): Float64Array {
    return new Float64Array(this.buffer, this.reserve(length * 8), length);
  }
  bigInt64(length: number): BigInt64Array {
    return new BigInt64Array(this.buffer, this.reserve(length * 8), length);
  }
  get usedBytes(): number {
    return this.nextByte;
  }
}
