// ELF files of riscv64: what a loader must know of one, checked so that a hostile file can at most be refused. Here: reading and judging the
// headers. Not here: mapping (exec.ts). ELF-64 object file format; e_flags and machine from the RISC-V psABI.
import { hex } from '#base';
import { Errno } from '../syscall/errno.ts';

const HEADER_BYTES = 64;
const PHDR_BYTES = 56;
const EM_RISCV = 243;
const Type = { Rel: 1, Exec: 2, Dyn: 3, Core: 4 } as const;
const Pt = { Load: 1, Dynamic: 2, Interp: 3 } as const;
export const SegmentRight = { X: 1, W: 2, R: 4 } as const;
/** Headers may take 64 KiB (ELF_MIN_ALIGN and fs/binfmt_elf.c: load_elf_phdrs). */
const MAX_PHDR_BYTES = 65536;

export interface Segment {
  readonly vaddr: number;
  readonly offset: number;
  readonly fileBytes: number;
  readonly memBytes: number;
  /** SegmentRight bits. */
  readonly rights: number;
  readonly align: number;
}
export interface ElfImage {
  /** ET_DYN: may be put anywhere (static-PIE). */
  readonly isPie: boolean;
  readonly entry: number;
  readonly segments: readonly Segment[];
  /** Address of the program headers in the image, for AT_PHDR; 0: no segment holds them. */
  readonly phdrAddr: number;
  readonly phnum: number;
}
/** Why a file cannot be run: what the guest gets, and what the user is told after the file's name. */
export interface ExecError { readonly errno: number; readonly sentence: string }

/** A file as the loader sees it: short reads at its end. */
export interface ByteSource {
  readonly sizeBytes: number;
  read(pos: number, into: Uint8Array): number;
}

const machines: Readonly<Record<number, string>> = {
  2: 'SPARC', 3: 'x86 (32 bits)', 8: 'MIPS', 20: 'PowerPC', 21: 'ppc64', 22: 's390x', 40: 'ARM (32 bits)', 43: 'sparc64', 62: 'x86-64', 183: 'aarch64', 247: 'BPF', 258: 'LoongArch',
};
const HOW = 'Compile it for riscv64: quire cc, riscv64-linux-gnu-gcc -static, or zig cc -target riscv64-linux-musl.';

const refuse = (sentence: string, errno: number = Errno.ENOEXEC): ExecError => ({ errno, sentence });
export const isExecError = (x: ElfImage | ExecError): x is ExecError => 'errno' in x;
export const hasElfMagic = (head: Uint8Array): boolean => head.length >= 4 && head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;

/** Reads and checks the headers. @param taskSize one past the highest user address */
export function parseElf(file: ByteSource, taskSize: number): ElfImage | ExecError {
  const header = new Uint8Array(HEADER_BYTES);
  const got = file.read(0, header);
  if (!hasElfMagic(header.subarray(0, got))) return refuse('not a program: it begins neither with an ELF header nor with #!.');
  const wrongKind = judgeHeader(header, got);
  if (wrongKind !== null) return wrongKind;
  const view = new DataView(header.buffer);
  const phoff = u64(view, 32);
  const phnum = view.getUint16(56, true);
  if (view.getUint16(54, true) !== PHDR_BYTES) return refuse(`a damaged ELF file: its program headers claim ${view.getUint16(54, true)} bytes each, and must have ${PHDR_BYTES}.`);
  if (phnum === 0) return refuse('an ELF file without program headers: nothing of it can be loaded.');
  if (phnum * PHDR_BYTES > MAX_PHDR_BYTES) return refuse(`a damaged ELF file: ${phnum} program headers.`);
  const table = new Uint8Array(phnum * PHDR_BYTES);
  if (!(phoff + table.length <= file.sizeBytes) || file.read(phoff, table) !== table.length) {
    return refuse(`cut short: its program headers lie beyond the end of the file (${file.sizeBytes} bytes).`);
  }
  const phdrs = Array.from({ length: phnum }, (_, i) => readPhdr(new DataView(table.buffer, i * PHDR_BYTES, PHDR_BYTES)));
  const interp = phdrs.find((p) => p.type === Pt.Interp);
  if (interp !== undefined) {
    return refuse(`dynamically linked (it asks for ${interpreterName(file, interp)}), and only static programs run here. Link it with -static.`, Errno.ENOENT);
  }
  const segments = phdrs.filter((p) => p.type === Pt.Load);
  const isPie = view.getUint16(16, true) === Type.Dyn;
  const entry = u64(view, 24);
  const wrongSegments = judgeSegments(segments, file.sizeBytes, taskSize) ?? judgeEntry(segments, entry);
  if (wrongSegments !== null) return wrongSegments;
  const holder = segments.find((s) => phoff >= s.offset && phoff + table.length <= s.offset + s.fileBytes);
  return { isPie, entry, segments, phdrAddr: holder === undefined ? 0 : phoff - holder.offset + holder.vaddr, phnum };
}

function judgeHeader(header: Uint8Array, got: number): ExecError | null {
  if (got < HEADER_BYTES) return refuse(`cut short: ${got} bytes are not even an ELF header.`);
  const view = new DataView(header.buffer);
  const machine = view.getUint16(18, header[5] !== 2);
  if (machine !== EM_RISCV) return refuse(`a program for ${machines[machine] ?? `machine ${machine}`}, not for riscv64. ${HOW}`);
  if (header[4] !== 2) return refuse(`a program for 32-bit RISC-V, not for riscv64. ${HOW}`);
  if (header[5] !== 1) return refuse(`a big-endian program. ${HOW}`);
  const type = view.getUint16(16, true);
  if (type === Type.Rel) return refuse('an object file: link it first.');
  if (type === Type.Core) return refuse('a core dump, not a program.');
  if (type !== Type.Exec && type !== Type.Dyn) return refuse(`an ELF file of type ${type}, not a program.`);
  if ((view.getUint32(48, true) & 8) !== 0) return refuse(`a program for RV64E, which has half of the registers. ${HOW}`);
  return null;
}

interface Phdr extends Segment { readonly type: number }
function readPhdr(view: DataView): Phdr {
  return {
    type: view.getUint32(0, true), rights: view.getUint32(4, true) & 7, offset: u64(view, 8), vaddr: u64(view, 16),
    fileBytes: u64(view, 32), memBytes: u64(view, 40), align: u64(view, 48),
  };
}
/** Numbers from 2^53 on lose bits, and stay far above every limit they are compared with. */
const u64 = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

function interpreterName(file: ByteSource, p: Segment): string {
  const bytes = new Uint8Array(Math.min(p.fileBytes, 256));
  const n = file.read(p.offset, bytes);
  let name = '';
  for (let i = 0; i < n && bytes[i]! > 0x20 && bytes[i]! < 0x7f; i++) name += String.fromCharCode(bytes[i]!);
  return name === '' ? 'an interpreter' : name;
}

function judgeSegments(segments: readonly Segment[], fileBytes: number, taskSize: number): ExecError | null {
  if (segments.length === 0) return refuse('an ELF file without loadable segments.');
  for (const [i, s] of segments.entries()) {
    const range = `segment ${i} (${hex(s.vaddr)}, ${hex(s.memBytes)} bytes)`;
    if (s.memBytes < s.fileBytes) return refuse(`a damaged ELF file: ${range} takes more bytes from the file than it has in memory.`, Errno.EINVAL);
    if (!(s.vaddr + s.memBytes <= taskSize)) return refuse(`a damaged ELF file: ${range} does not fit below the end of user memory, ${hex(taskSize)}.`, Errno.ENOMEM);
    if (!(s.offset + s.fileBytes <= fileBytes)) {
      return refuse(`cut short: ${range} ends at byte ${s.offset + s.fileBytes} of the file, which has ${fileBytes}.`);
    }
    if (s.fileBytes > 0 && (s.vaddr - s.offset) % 4096 !== 0) return refuse(`a damaged ELF file: address and file offset of ${range} differ within the page.`, Errno.EINVAL);
  }
  const byAddress = [...segments].filter((s) => s.memBytes > 0).sort((a, b) => a.vaddr - b.vaddr);
  for (let i = 1; i < byAddress.length; i++) {
    const before = byAddress[i - 1]!;
    if (before.vaddr + before.memBytes > byAddress[i]!.vaddr) {
      return refuse(`a damaged ELF file: its segments at ${hex(before.vaddr)} and ${hex(byAddress[i]!.vaddr)} overlap.`, Errno.EINVAL);
    }
  }
  return null;
}
function judgeEntry(segments: readonly Segment[], entry: number): ExecError | null {
  const home = segments.find((s) => entry >= s.vaddr && entry < s.vaddr + s.memBytes);
  if (home === undefined) return refuse(`a damaged ELF file: its entry point ${hex(entry)} lies in no segment.`);
  if ((home.rights & SegmentRight.X) === 0) return refuse(`a damaged ELF file: its entry point ${hex(entry)} lies in a segment that is not executable.`);
  return null;
}
