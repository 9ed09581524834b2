// A guest's executable as a debugger sees it: sections, symbols, which symbol an address belongs to. Here: headers and tables, judged so that a
// damaged file costs what is damaged and nothing else. Not here: loading (kernel/proc/elf.ts), lines and functions (dwarf/). ELF-64 object file format.
import { Budget, ByteReader, Damaged, lastAtOrBefore } from './dwarf/reader.ts';

const HEADER_BYTES = 64;
const SHDR_BYTES = 64;
const PHDR_BYTES = 56;
const SYM_BYTES = 24;
const Sht = { SymTab: 2, NoBits: 8, DynSym: 11 } as const;
const Shf = { Alloc: 2, ExecInstr: 4, Compressed: 0x800 } as const;
const Shn = { Undef: 0, LoReserve: 0xff00, XIndex: 0xffff } as const;
const Pt = { Load: 1 } as const;
const ELFCOMPRESS_ZLIB = 1;
/** Sections that one file may have, and bytes that one of them may unfold to: far beyond what linkers write. */
const MAX_SECTIONS = 1 << 20;
const MAX_INFLATED_BYTES = 1 << 30;

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  readonly sizeBytes: number;
  /** Index of another section: of a symbol table its strings. */
  readonly link: number;
}
export interface ElfSegment { readonly address: number; readonly offset: number; readonly fileBytes: number; readonly memBytes: number; readonly isExecutable: boolean }
export type SymbolKind = 'function' | 'object' | 'label';
export interface ElfSymbol {
  readonly name: string;
  /** As linked: the bias of a position-independent program comes on top. */
  readonly address: number;
  /** 0: not said (assembly). */
  readonly sizeBytes: number;
  readonly kind: SymbolKind;
  readonly isGlobal: boolean;
}
export interface SymbolPlace { readonly symbol: ElfSymbol; readonly offset: number }

/** Unfolds zlib data of known length; throws what it likes. Handed in, because the host has it. */
export type Inflate = (bytes: Uint8Array, lenBytes: number) => Uint8Array;

export class ElfFile {
  readonly bytes: Uint8Array;
  /** ET_DYN: it may have been put elsewhere. */
  readonly isPie: boolean;
  readonly entry: number;
  readonly sections: readonly ElfSection[];
  readonly segments: readonly ElfSegment[];
  /** By address, the one that names an address best last. */
  readonly symbols: readonly ElfSymbol[];
  /** What of the file could not be read, a sentence each. */
  readonly problems: string[];
  private readonly inflate: Inflate | null;
  private readonly unfolded = new Map<string, Uint8Array | null>();

  /** @throws Damaged if it is no ELF-64 file of little-endian RISC-V at all */
  constructor(bytes: Uint8Array, inflate: Inflate | null = null) {
    this.bytes = bytes;
    this.inflate = inflate;
    this.problems = [];
    const r = new ByteReader(bytes, 'the ELF header', 0, Math.min(HEADER_BYTES, bytes.length));
    if (r.u32() !== 0x464c_457f) throw new Damaged('no ELF file');
    if (r.u8() !== 2 || r.u8() !== 1) throw new Damaged('no little-endian ELF file of 64 bits');
    const header = readHeader(r);
    if (header.machine !== 243) throw new Damaged(`an ELF file for machine ${header.machine}, not for RISC-V`);
    this.isPie = header.type === 3;
    this.entry = header.entry;
    this.segments = this.attempt([], () => readSegments(bytes, header));
    this.sections = this.attempt([], () => readSections(bytes, header));
    this.symbols = this.attempt([], () => this.readSymbols());
  }
  private attempt<T>(instead: T, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      this.problems.push(error.message);
      return instead;
    }
  }

  /** The bytes of a section, unfolded if they are compressed; null: there is none, or it cannot be read. */
  section(name: string): Uint8Array | null {
    let found = this.unfolded.get(name);
    if (found === undefined) {
      const section = this.sections.find((s) => s.name === name);
      found = section === undefined ? null : this.attempt(null, () => this.contents(section));
      this.unfolded.set(name, found);
    }
    return found;
  }
  /** The section of this name; null: none. */
  sectionHeader(name: string): ElfSection | null {
    return this.sections.find((s) => s.name === name) ?? null;
  }
  private contents(section: ElfSection): Uint8Array | null {
    if (section.type === Sht.NoBits) return null;
    const raw = new ByteReader(this.bytes, section.name, section.offset).slice(section.sizeBytes);
    if ((section.flags & Shf.Compressed) === 0) return raw;
    const r = new ByteReader(raw, section.name);
    const type = r.u32();
    r.skip(4);
    const sizeBytes = r.u64();
    r.skip(8);
    if (type !== ELFCOMPRESS_ZLIB || this.inflate === null || sizeBytes > MAX_INFLATED_BYTES) throw new Damaged(`${section.name} is compressed in a way that cannot be read`);
    try {
      return this.inflate(raw.subarray(r.at), sizeBytes);
    } catch {
      throw new Damaged(`${section.name} is compressed, and its data is damaged`);
    }
  }

  /** .symtab, else .dynsym: of functions, data and labels those that have a name and lie in a section. */
  private readSymbols(): ElfSymbol[] {
    const table = this.sections.find((s) => s.type === Sht.SymTab) ?? this.sections.find((s) => s.type === Sht.DynSym);
    if (table === undefined) return [];
    const strings = this.sections[table.link];
    const names = strings === undefined ? null : this.contents(strings);
    if (names === null) throw new Damaged(`${table.name} has no strings`);
    const r = new ByteReader(this.bytes, table.name, table.offset, Math.min(this.bytes.length, table.offset + table.sizeBytes));
    const budget = new Budget(64 * this.bytes.length + 100_000, table.name);
    const symbols: ElfSymbol[] = [];
    while (r.end - r.at >= SYM_BYTES) {
      const nameAt = r.u32();
      const info = r.u8();
      r.skip(1);
      const section = r.u16();
      const address = r.u64();
      const sizeBytes = r.u64();
      const kind = kinds[info & 15];
      if (kind === undefined || section === Shn.Undef || (section >= Shn.LoReserve && section !== Shn.XIndex) || nameAt === 0 || !Number.isSafeInteger(address)) continue;
      const name = nameIn(names, nameAt, strings!.name);
      budget.spend(name.length);
      // Mapping symbols ($x, $d) tell assemblers code from data, and local labels of the compiler are nobody's names.
      if (name === '' || name.startsWith('$') || name.startsWith('.L')) continue;
      symbols.push({ name, address, sizeBytes, kind, isGlobal: info >> 4 !== 0 });
    }
    return symbols.sort((a, b) => a.address - b.address || rank(a) - rank(b) || (a.name < b.name ? 1 : -1));
  }

  /** The symbol that an address belongs to: the one that covers it, or, where sizes are not known, the last one before it. Null: before all of them,
   *  or behind the end of one that says where it ends. */
  symbolAt(address: number): SymbolPlace | null {
    const before = lastAtOrBefore(this.symbols, address, (symbol) => symbol.address);
    // A label inside a function does not end it: look a little further back for who covers the address.
    for (let i = before; i >= Math.max(0, before - 16); i--) {
      const symbol = this.symbols[i]!;
      if (address < symbol.address + symbol.sizeBytes) return { symbol, offset: address - symbol.address };
    }
    const last = this.symbols[before];
    return last === undefined || last.sizeBytes !== 0 || !this.isLoaded(address) ? null : { symbol: last, offset: address - last.address };
  }
  symbolNamed(name: string): ElfSymbol | null {
    let found: ElfSymbol | null = null;
    for (const symbol of this.symbols) if (symbol.name === name && (found === null || (symbol.isGlobal && !found.isGlobal))) found = symbol;
    return found;
  }
  private isLoaded(address: number): boolean {
    return this.segments.some((s) => address >= s.address && address < s.address + s.memBytes);
  }
  /** Does code lie at this address? */
  isCode(address: number): boolean {
    return this.segments.some((s) => s.isExecutable && address >= s.address && address < s.address + s.fileBytes);
  }
  /** Bytes as they are loaded, before anybody writes to them; null: the file does not have all of them. */
  loadedBytes(address: number, lenBytes: number): Uint8Array | null {
    const home = this.segments.find((s) => address >= s.address && address + lenBytes <= s.address + s.fileBytes);
    if (home === undefined || home.offset + home.fileBytes > this.bytes.length) return null;
    const start = home.offset + address - home.address;
    return this.bytes.subarray(start, start + lenBytes);
  }
}

const kinds: Readonly<Record<number, SymbolKind>> = { 0: 'label', 1: 'object', 2: 'function', 10: 'function' };
/** Of several at one address functions name it best, global ones before local ones. */
const rank = (s: ElfSymbol): number => (s.kind === 'function' ? 4 : s.kind === 'object' ? 2 : 0) + (s.isGlobal ? 1 : 0);

interface Header {
  readonly type: number; readonly machine: number; readonly entry: number; readonly phoff: number; readonly shoff: number;
  readonly phnum: number; readonly shnum: number; readonly shstrndx: number;
}
function readHeader(r: ByteReader): Header {
  r.at = 16;
  const type = r.u16();
  const machine = r.u16();
  r.skip(4);
  const entry = r.u64();
  const phoff = r.u64();
  const shoff = r.u64();
  r.skip(6); // e_flags, e_ehsize
  r.skip(2);
  const phnum = r.u16();
  r.skip(2);
  return { type, machine, entry, phoff, shoff, phnum, shnum: r.u16(), shstrndx: r.u16() };
}
function readSegments(bytes: Uint8Array, { phoff, phnum }: Header): ElfSegment[] {
  const r = new ByteReader(bytes, 'the table of program headers', phoff);
  const segments: ElfSegment[] = [];
  for (let i = 0; i < phnum; i++) {
    const p = r.from(r.skip(PHDR_BYTES));
    const type = p.u32();
    const flags = p.u32();
    const offset = p.u64();
    const address = p.u64();
    p.skip(8);
    if (type === Pt.Load) segments.push({ address, offset, fileBytes: p.u64(), memBytes: p.u64(), isExecutable: (flags & 1) !== 0 });
  }
  return segments;
}
function readSections(bytes: Uint8Array, { shoff, shnum, shstrndx }: Header): ElfSection[] {
  if (shoff === 0) return [];
  const r = new ByteReader(bytes, 'the table of sections', shoff);
  const first = readShdr(r.from(shoff));
  // Numbers that do not fit into the header stand in section 0.
  const nr = shnum !== 0 ? shnum : first.sizeBytes;
  if (nr > MAX_SECTIONS) throw new Damaged(`${nr} sections`);
  const raw = Array.from({ length: nr }, () => readShdr(r.from(r.skip(SHDR_BYTES))));
  const names = raw[shstrndx === Shn.XIndex ? first.link : shstrndx];
  const strings = names === undefined ? new Uint8Array(0) : new ByteReader(bytes, 'the names of sections', names.offset).slice(names.sizeBytes);
  return raw.map(({ nameAt, ...section }) => ({ ...section, name: nameIn(strings, nameAt, 'the names of sections') }));
}
function readShdr(r: ByteReader): Omit<ElfSection, 'name'> & { nameAt: number } {
  const nameAt = r.u32();
  const type = r.u32();
  const flags = r.u64();
  const address = r.u64();
  const offset = r.u64();
  return { nameAt, type, flags, address, offset, sizeBytes: r.u64(), link: r.u32() };
}
const nameIn = (strings: Uint8Array, at: number, what: string): string => (at >= strings.length ? '' : new ByteReader(strings, what, at).cstring());
