// Loading: an ELF file's segments become mappings of its page cache, and the first stack gets arguments, environment and auxiliary vector.
// Text and data are private file mappings, so that touching them is a file fault; bss, heap and stack are anonymous. Mirrors load_elf_binary(),
// create_elf_tables() (fs/binfmt_elf.c) and setup_arg_pages() (fs/exec.c). Addresses are not randomised: a run can be repeated.
import { alignDown, alignUp, PAGE_SIZE, utf8Encode } from '#base';
import type { Kernel } from '../kernel.ts';
import type { FileMapping } from '../mm/filemap.ts';
import { MapFlag, Prot } from '../mm/mman.ts';
import type { Mm } from '../mm/mm.ts';
import type { UserMemory } from '../mm/uaccess.ts';
import { Errno } from '../syscall/errno.ts';
import type { Credentials } from './credentials.ts';
import { type ElfImage, type ExecError, type Segment, SegmentRight } from './elf.ts';
import { FRAME_BYTES } from './sigframe.ts';
import { VDSO_BYTES } from './vdso.ts';

export interface ImageRequest {
  mapping: FileMapping;
  image: ElfImage;
  argv: readonly string[];
  env: readonly string[];
  path: string;
  credentials: Credentials;
}
export interface BuiltImage { readonly entry: number; readonly sp: number; readonly vdso: number }

/** RV64IMAFDC as AT_HWCAP names it: bit letter - 'A'. */
export const HWCAP = 0x112d;
const Auxv = {
  Null: 0, Phdr: 3, Phent: 4, Phnum: 5, Pagesz: 6, Base: 7, Flags: 8, Entry: 9, Uid: 11, Euid: 12, Gid: 13, Egid: 14, Hwcap: 16, Clktck: 17,
  Secure: 23, Random: 25, Execfn: 31, Minsigstksz: 51,
} as const;
/** The stack's first mapping reaches this far below the arguments (setup_arg_pages: stack_expand). */
const STACK_ROOM = 128 << 10;
/** Arguments and environment may take this much, whatever RLIMIT_STACK says (_STK_LIM / 4 * 3), and a quarter of the limit. */
const MAX_ARG_BYTES = 6 << 20;
const MIN_ARG_BYTES = 128 << 10;

const noRoom = (what: string): ExecError => ({ errno: Errno.ENOMEM, sentence: `${what} does not fit into memory.` });

/** Fills an empty address space. On failure the caller disposes of it. */
export function buildImage(k: Kernel, mm: Mm, user: UserMemory, request: ImageRequest): BuiltImage | ExecError {
  const { image, mapping } = request;
  const bias = image.isPie ? chooseBias(mm, image) : 0;
  if (bias < 0) return noRoom('the program');
  for (const segment of image.segments) {
    const error = mapSegment(mm, user, mapping, segment, bias);
    if (error !== null) return error;
  }
  noteLayout(mm, image, bias);
  const vdso = mm.mmap({ addr: 0, len: VDSO_BYTES, prot: Prot.Read | Prot.Exec, flags: MapFlag.Private, file: k.vdso, pgoff: 0 });
  if (vdso < 0) return noRoom('the vDSO');
  const sp = buildStack(k, mm, user, request, bias);
  return typeof sp === 'number' ? { entry: image.entry + bias, sp, vdso } : sp;
}

/** Where a position-independent program goes: a hole for all of it in the mmap area, as Linux does for one without interpreter. */
function chooseBias(mm: Mm, image: ElfImage): number {
  const low = Math.min(...image.segments.map((s) => alignDown(s.vaddr, PAGE_SIZE)));
  const high = Math.max(...image.segments.map((s) => alignUp(s.vaddr + s.memBytes, PAGE_SIZE)));
  const align = Math.max(PAGE_SIZE, ...image.segments.map((s) => (Number.isInteger(Math.log2(s.align)) && s.align <= 1 << 30 ? s.align : 0)));
  const len = high - low + (align - PAGE_SIZE);
  const hole = mm.mmap({ addr: 0, len, prot: Prot.None, flags: MapFlag.Private | MapFlag.Anonymous | MapFlag.NoReserve, file: null, pgoff: 0 });
  if (hole < 0) return -1;
  mm.munmap(hole, len);
  return alignUp(hole, align) - alignDown(low, align);
}

function mapSegment(mm: Mm, user: UserMemory, file: FileMapping, s: Segment, bias: number): ExecError | null {
  if (s.memBytes === 0) return null;
  const start = s.vaddr + bias;
  const fileEnd = start + s.fileBytes;
  const prot = ((s.rights & SegmentRight.R) !== 0 ? Prot.Read : 0) | ((s.rights & SegmentRight.W) !== 0 ? Prot.Write : 0) |
    ((s.rights & SegmentRight.X) !== 0 ? Prot.Exec : 0);
  const first = alignDown(start, PAGE_SIZE);
  let mappedTo = first;
  if (s.fileBytes > 0) {
    mappedTo = alignUp(fileEnd, PAGE_SIZE);
    const at = mm.mmap({ addr: first, len: mappedTo - first, prot, flags: MapFlag.Private | MapFlag.Fixed, file, pgoff: alignDown(s.offset, PAGE_SIZE) / PAGE_SIZE });
    if (at < 0) return refused(first, at);
  }
  const end = alignUp(start + s.memBytes, PAGE_SIZE);
  if (end > mappedTo) {
    const at = mm.mmap({ addr: mappedTo, len: end - mappedTo, prot, flags: MapFlag.Private | MapFlag.Fixed | MapFlag.Anonymous, file: null, pgoff: 0 });
    if (at < 0) return refused(mappedTo, at);
  }
  // What the file has after the segment in its last page is not the program's: bss begins with zeros. A read-only segment keeps it, as on Linux.
  const hasTail = s.fileBytes > 0 && s.memBytes > s.fileBytes && (s.rights & SegmentRight.W) !== 0;
  if (hasTail && !user.zero(fileEnd, Math.min(mappedTo, start + s.memBytes) - fileEnd)) return noRoom('its data');
  return null;
}
function refused(at: number, error: number): ExecError {
  if (error === -Errno.ENOMEM) return noRoom(`the segment at 0x${at.toString(16)}`);
  return { errno: -error, sentence: `its segment at 0x${at.toString(16)} cannot be mapped there (${error === -Errno.EPERM ? 'below vm.mmap_min_addr' : `errno ${-error}`}).` };
}

/** mm's notes of where things are, for /proc/PID/stat and brk. */
function noteLayout(mm: Mm, image: ElfImage, bias: number): void {
  const loads = image.segments;
  const isCode = (s: Segment): boolean => (s.rights & SegmentRight.X) !== 0;
  mm.startCode = Math.min(...loads.map((s) => s.vaddr)) + bias;
  mm.endCode = Math.max(0, ...loads.filter(isCode).map((s) => s.vaddr + s.fileBytes)) + bias;
  mm.startData = Math.max(...loads.map((s) => s.vaddr)) + bias;
  mm.endData = Math.max(...loads.map((s) => s.vaddr + s.fileBytes)) + bias;
  const bssEnd = alignUp(Math.max(...loads.map((s) => s.vaddr + s.memBytes)) + bias, PAGE_SIZE);
  // A static-PIE lies in the mmap area, where a heap could not grow: it gets the place of ELF_ET_DYN_BASE instead.
  mm.startBrk = image.isPie ? alignDown((mm.stackTop / 3) * 2, PAGE_SIZE) : bssEnd;
  mm.brkEnd = mm.startBrk;
}

/** Maps and fills the first stack. @returns sp */
function buildStack(k: Kernel, mm: Mm, user: UserMemory, request: ImageRequest, bias: number): number | ExecError {
  const top = mm.stackTop;
  const path = utf8Encode(request.path);
  const env = request.env.map(utf8Encode);
  const argv = request.argv.map(utf8Encode);
  const stringBytes = [path, ...env, ...argv].reduce((n, s) => n + s.length + 1, 0);
  const pointerBytes = 8 * (env.length + argv.length);
  const limit = Math.max(MIN_ARG_BYTES, Math.min(MAX_ARG_BYTES, Math.floor(mm.limits.stack / 4)));
  if (stringBytes + pointerBytes > limit) return { errno: Errno.E2BIG, sentence: `arguments and environment take ${stringBytes + pointerBytes} bytes; ${limit} are allowed.` };

  // From the top down: eight zero bytes, path, environment, arguments; below them the tables.
  const strings = new Uint8Array(stringBytes);
  const stringsAt = top - 8 - stringBytes;
  let at = 0;
  const place = (s: Uint8Array): number => {
    strings.set(s, at);
    const va = stringsAt + at;
    at += s.length + 1;
    return va;
  };
  const argvAt = argv.map(place);
  const argEnd = stringsAt + at;
  const envAt = env.map(place);
  const envEnd = stringsAt + at;
  const pathAt = place(path);

  const randomAt = alignDown(stringsAt, 16) - 16;
  const auxv = auxiliaryVector(request, bias, pathAt, randomAt);
  const words = [argv.length, ...argvAt, 0, ...envAt, 0, ...auxv];
  const sp = alignDown(randomAt - 8 * words.length, 16);

  const lowest = alignDown(sp, PAGE_SIZE);
  const room = Math.min(STACK_ROOM, Math.max(0, mm.limits.stack - (top - lowest)));
  const start = lowest - alignDown(room, PAGE_SIZE);
  const mapped = mm.mmap({
    addr: start, len: top - start, prot: Prot.Read | Prot.Write,
    flags: MapFlag.Private | MapFlag.Fixed | MapFlag.Anonymous | MapFlag.GrowsDown, file: null, pgoff: 0,
  });
  if (mapped < 0) return noRoom('its stack');
  mm.startStack = sp;
  mm.argStart = stringsAt;
  mm.argEnd = argEnd;
  mm.envStart = argEnd;
  mm.envEnd = envEnd;
  const table = new Uint8Array(8 * words.length);
  const view = new DataView(table.buffer);
  words.forEach((word, i) => view.setBigInt64(8 * i, BigInt(word), true));
  const random = new Uint8Array(16);
  const randomView = new DataView(random.buffer);
  for (let i = 0; i < 4; i++) randomView.setUint32(4 * i, k.random.next32(), true);
  const isWritten = user.write(stringsAt, strings) && user.write(randomAt, random) && user.write(sp, table);
  return isWritten ? sp : noRoom('its stack');
}

function auxiliaryVector(request: ImageRequest, bias: number, pathAt: number, randomAt: number): number[] {
  const { image, credentials: c } = request;
  const isSecure = c.uid !== c.euid || c.gid !== c.egid;
  return [
    [Auxv.Minsigstksz, FRAME_BYTES], [Auxv.Hwcap, HWCAP], [Auxv.Pagesz, PAGE_SIZE], [Auxv.Clktck, 100],
    [Auxv.Phdr, image.phdrAddr === 0 ? 0 : image.phdrAddr + bias], [Auxv.Phent, 56], [Auxv.Phnum, image.phnum], [Auxv.Base, 0], [Auxv.Flags, 0],
    [Auxv.Entry, image.entry + bias], [Auxv.Uid, c.uid], [Auxv.Euid, c.euid], [Auxv.Gid, c.gid], [Auxv.Egid, c.egid], [Auxv.Secure, isSecure ? 1 : 0],
    [Auxv.Random, randomAt], [Auxv.Execfn, pathAt], [Auxv.Null, 0],
  ].flat();
}
