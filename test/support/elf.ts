// A static ELF64 for riscv64 from bytes that the test made: a header, program headers, segments. Enough for a loader; no sections, no symbols.

export interface Segment {
  /** Virtual address, a multiple of 4096. */
  readonly address: number;
  readonly bytes: Uint8Array;
  /** PF_R 4, PF_W 2, PF_X 1. */
  readonly flags: number;
}

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

export function staticElf(entry: number, segments: readonly Segment[]): Uint8Array {
  const offsets: number[] = [];
  let end = 4096; // headers in the first page; offsets congruent to addresses modulo the page size
  for (const { bytes } of segments) {
    offsets.push(end);
    end += Math.ceil(bytes.length / 4096) * 4096;
  }
  const file = new Uint8Array(end);
  const view = new DataView(file.buffer);
  const u16 = (at: number, n: number): void => view.setUint16(at, n, true);
  const u32 = (at: number, n: number): void => view.setUint32(at, n, true);
  const u64 = (at: number, n: number): void => view.setBigUint64(at, BigInt(n), true);

  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64-bit, little-endian, version 1
  u16(16, 2); // ET_EXEC
  u16(18, 243); // EM_RISCV
  u32(20, 1);
  u64(24, entry);
  u64(32, HEADER_BYTES);
  u32(48, 5); // EF_RISCV_RVC, double-float ABI
  u16(52, HEADER_BYTES);
  u16(54, PROGRAM_HEADER_BYTES);
  u16(56, segments.length);
  u16(58, 64);
  segments.forEach(({ address, bytes, flags }, i) => {
    const at = HEADER_BYTES + i * PROGRAM_HEADER_BYTES;
    u32(at, 1); // PT_LOAD
    u32(at + 4, flags);
    u64(at + 8, offsets[i]!);
    u64(at + 16, address);
    u64(at + 24, address);
    u64(at + 32, bytes.length);
    u64(at + 40, bytes.length);
    u64(at + 48, 4096);
    file.set(bytes, offsets[i]!);
  });
  return file;
}
