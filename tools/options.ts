// The options of every command, declared once: parser, help, `explain` and error sentences are read off the table below.
// Here: kinds of values, the table, strict parsing. Not here: what the values mean together (config.ts).
import { parseSize, UserError } from '#base';
import { ENGINES } from '#cpu';
import { plantNames } from '#kernel';
import { DEFAULT_PRESET } from '#mmu';
import { DEFAULT_SANITIZERS, sanitizerNames } from './sanitize.ts';
import type { SanitizerName } from './sanitize.ts';
import { didYouMean } from './suggest.ts';
import { formatNames } from './trace/formats.ts';
import { DEFAULT_EVERY_INSTRS } from './trace/samples.ts';

/** How one kind of value reads its text. `read` answers the value, or null: "--mem 12Q: " + problem + ". " + instead. */
export interface Kind<T> {
  readonly form: string;
  readonly problem: string;
  readonly instead: string;
  /** What the option means without a value; absent: it needs one. A value then follows behind '='. */
  readonly bare?: T;
  read(text: string): T | null;
}

const flag: Kind<true> = { form: '', problem: '', instead: '', read: () => true };
const text = (form: string, example: string): Kind<string> => ({
  form, problem: 'empty', instead: `Write a ${form.toLowerCase()}, as in ${example}`, read: (t) => (t === '' ? null : t),
});
const size: Kind<number> = {
  form: 'SIZE', problem: 'not a size', instead: 'Write a whole number with K, M or G, as in 512M', read: (t) => parseSize(t),
};
/** 32M,48M,64M. */
const sizes: Kind<number[]> = {
  form: 'SIZE,...', problem: 'not a list of sizes', instead: 'Write sizes with commas between, as in 32M,48M,64M',
  read(t) {
    const list = t.split(',').map((part) => parseSize(part));
    return list.includes(null) ? null : (list as number[]);
  },
};
const countUnits: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };
/** Whole numbers from 0 to 2^53 - 1, with k, M, G for thousands, millions, billions. */
const count: Kind<number> = {
  form: 'N', problem: 'not a count', instead: 'Write a whole number, as in 250000 or 250k (k, M, G: thousand, million, billion)',
  read(t) {
    const match = /^([0-9]+)([kKmMgG]?)$/.exec(t);
    const n = match === null ? NaN : Number(match[1]) * countUnits[match[2]!.toLowerCase()]!;
    return Number.isSafeInteger(n) ? n : null;
  },
};
/** 0x10234, or 66100: below 2^53. */
const address: Kind<bigint> = {
  form: 'PC', problem: 'not an address', instead: 'Write an address, as in 0x10234',
  read: (t) => (/^(0x[0-9a-f]+|[0-9]+)$/i.test(t) && BigInt(t) < 2n ** 53n ? BigInt(t) : null),
};
const choice = <const C extends readonly string[]>(...words: C): Kind<C[number]> => ({
  form: words.join('|'), problem: 'not one of the choices', instead: `Write ${words.slice(0, -1).join(', ')} or ${words.at(-1)!}`,
  read: (t) => (words.includes(t) ? t : null),
});
export interface Pair { readonly name: string; readonly value: string }
const pair = (form: string, separator: string, example: string): Kind<Pair> => ({
  form, problem: `no '${separator}' with something before it`, instead: `Write ${form}, as in ${example}`,
  read(t) {
    const at = t.indexOf(separator);
    return at <= 0 ? null : { name: t.slice(0, at), value: t.slice(at + separator.length) };
  },
});
export interface DiskWords { readonly image: string; readonly isWritable: boolean; readonly path: string }
/** disk.img, disk.img:rw, disk.img@/data, disk.img:rw@/data. A guest path stands behind the last @/. */
const disk: Kind<DiskWords> = {
  form: 'IMAGE[:rw][@/path]', problem: 'no image', instead: 'Write a file, as in disk.img, disk.img:rw or disk.img:rw@/data',
  read(t) {
    const at = t.lastIndexOf('@/');
    const path = at < 0 ? '/mnt' : t.slice(at + 1);
    const before = at < 0 ? t : t.slice(0, at);
    const isWritable = before.endsWith(':rw');
    const image = isWritable ? before.slice(0, -':rw'.length) : before;
    return image === '' ? null : { image, isWritable, path };
  },
};
const mthpModes = ['always', 'inherit', 'madvise', 'never'];
export interface FolioSizeMode { readonly kb: number; readonly mode: string }
/** 64k=always,16k=madvise: sizes that Linux has a directory for, 16 kB to 2 MB. */
const folioSizes: Kind<FolioSizeMode[]> = {
  form: 'SIZE=MODE,...', problem: 'not a list of folio sizes',
  instead: `Write sizes 16k, 32k ... 1M, 2M, each with ${mthpModes.join(', ')}, as in 64k=always,16k=madvise`,
  read(t) {
    const list: FolioSizeMode[] = [];
    for (const part of t.split(',')) {
      const [sizeText = '', mode = '', more] = part.split('=');
      const kb = (parseSize(sizeText) ?? 0) / 1024;
      if (more !== undefined || !mthpModes.includes(mode) || kb < 16 || kb > 2048 || !Number.isInteger(Math.log2(kb))) return null;
      list.push({ kb, mode });
    }
    return list;
  },
};
const words: Kind<string[]> = {
  form: 'EVENT,...', problem: 'not a list of events', instead: 'Write event names with commas between, as in kmem:mm_page_alloc or all',
  read: (t) => (t.split(',').includes('') ? null : t.split(',')),
};

const sanitizerList: Kind<readonly SanitizerName[]> = {
  form: '[=LIST]', problem: 'not a list of sanitizers', instead: `Write some of ${sanitizerNames.join(', ')} with commas between, as in --sanitize=tlb,cow`, bare: DEFAULT_SANITIZERS,
  read(t) {
    const names = t.split(',');
    return names.every((name) => (sanitizerNames as readonly string[]).includes(name)) ? (names as SanitizerName[]) : null;
  },
};

/** Commands that run a guest share the machine's options. */
export type OptionGroup = 'machine' | 'kernel' | 'inputs' | 'result' | 'trace' | 'cache' | 'lists' | 'sweep' | 'image' | 'debug' | 'translator' | 'general';
export interface OptionRow<T = unknown> {
  readonly kind: Kind<T>;
  readonly help: string;
  readonly group: OptionGroup;
  readonly short?: string;
  /** May be given more than once; the values are a list. */
  readonly repeat?: true;
  /** As typed; shown in help and used when the option is absent. */
  readonly byDefault?: string;
  /** For tests: no help and no suggestion mentions it. */
  readonly isHidden?: true;
}

export const options = {
  preset: { kind: text('NAME', 'skylake'), group: 'machine', help: `the TLBs of a core, by name (quire presets lists them; default ${DEFAULT_PRESET})` },
  tlb: { kind: text('FILE', 'my-tlb.json'), group: 'machine', help: 'TLB hierarchy as JSON (quire presets NAME prints one to start from)' },
  mem: { kind: size, group: 'machine', byDefault: '512M', help: 'guest RAM, 16M to 3584M' },
  sv: { kind: choice('39', '48', '57'), group: 'machine', byDefault: '39', help: 'virtual address width: 3, 4 or 5 levels of page tables' },
  engine: { kind: choice(...ENGINES), group: 'machine', byDefault: 'jit', help: 'how instructions are executed; counts never depend on it' },
  svade: { kind: flag, group: 'machine', help: 'A and D bits are set by the kernel in page faults (Svade)' },
  svadu: { kind: flag, group: 'machine', help: 'A and D bits are set by the page walker (Svadu; the default)' },
  seed: { kind: count, group: 'machine', byDefault: '1', help: 'seed of everything random: TLB replacement, getrandom' },
  'max-insn': { kind: count, group: 'machine', help: 'stop after N instructions, with exit status 124' },
  cost: { kind: pair('NAME=CYCLES', '=', 'fault=900'), group: 'machine', repeat: true, help: 'change one cost of the cycle model (quire explain costs)' },

  thp: { kind: choice('always', 'madvise', 'never'), group: 'kernel', help: 'transparent_hugepage/enabled' },
  mthp: { kind: folioSizes, group: 'kernel', repeat: true, help: 'hugepages-<size>kB/enabled by folio size, as 64k=always,16k=madvise' },
  set: { kind: pair('PATH=VALUE', '=', '/proc/sys/vm/overcommit_memory=1'), group: 'kernel', repeat: true, help: 'write VALUE to a /proc or /sys file before the program starts' },
  memmap: { kind: choice('64', '32', '16', '8'), group: 'kernel', byDefault: '64', help: 'bytes of the memory map for each frame; 64 is Linux today' },
  'alloc-strategy': { kind: choice('loop', 'sizes', 'largest'), group: 'kernel', byDefault: 'loop', help: 'how large folios are asked for: all orders, 2M and 64K only, one call' },
  sanitize: { kind: sanitizerList, group: 'kernel', help: `check ${sanitizerNames.join(', ')} while the program runs; alone: ${DEFAULT_SANITIZERS.join(',')} (quire explain sanitizers)` },
  plant: { kind: choice(...plantNames), group: 'kernel', help: 'a bug on purpose, for tests of the sanitizers', isHidden: true },
  swap: { kind: size, group: 'machine', repeat: true, help: 'a swap device (vdX) of that size, 44K to 4G; several: the first has the highest priority' },
  'swap-latency': { kind: text('PRESET', 'hdd'), group: 'machine', help: 'how long swap takes; as --disk-latency, the default; pmem is read at once' },
  lru: { kind: text('POLICY|FILE', 'clock'), group: 'kernel', byDefault: 'two-list', help: 'who goes: two-list, mglru, fifo, clock, random, lru, opt, a .ts file' },
  'memory-max': { kind: size, group: 'kernel', help: 'memory.max of the control group of the program and what it starts: /sys/fs/cgroup/quire' },

  root: { kind: text('DIR', './rootfs'), group: 'inputs', help: 'host folder, copied into the root of the guest\'s file system' },
  share: { kind: pair('HOST:GUEST', ':', './data:/data'), group: 'inputs', repeat: true, help: 'host folder, copied to a path of the guest; nothing is written back' },
  file: { kind: pair('HOST:GUEST', ':', 'data.csv:/tmp/data.csv'), group: 'inputs', repeat: true, help: 'host file, copied to a path of the guest' },
  disk: { kind: disk, group: 'inputs', repeat: true, help: 'disk image, mounted at /mnt or at /path; only :rw changes it' },
  'disk-latency': { kind: text('PRESET', 'hdd'), group: 'machine', byDefault: 'nvme', help: 'how long disks take: nvme, sata-ssd, hdd, pmem; or hdd,channels=2' },
  env: { kind: pair('NAME=VALUE', '=', 'LANG=C'), group: 'inputs', repeat: true, help: 'environment variable of the program' },
  stdin: { kind: text('FILE', 'input.txt'), group: 'inputs', help: 'standard input of the program; default: what quire is given' },

  json: { kind: flag, group: 'result', help: 'the result as JSON' },
  output: { kind: text('FILE', 'result.json'), short: 'o', group: 'result', help: 'write the result to FILE instead of standard output' },
  'no-progress': { kind: flag, group: 'result', help: 'no progress line, even on a terminal' },

  faults: { kind: choice('all', 'min', 'maj'), short: 'F', group: 'trace', help: 'page faults, in the lines of perf trace -F' },
  events: { kind: words, short: 'e', group: 'trace', help: 'tracepoints, in the lines of ftrace; all, a system (kmem) or names' },
  format: { kind: choice(...formatNames), group: 'trace', help: 'how events are written: quire explain formats' },
  every: { kind: count, group: 'trace', help: `with --format folded: look where the program is every N instructions (default ${DEFAULT_EVERY_INSTRS})` },
  stacks: { kind: choice('guest', 'kernel'), group: 'trace', help: 'with --format folded: whose stacks (default guest)' },
  strace: { kind: flag, group: 'trace', help: 'system calls, in the manner of strace' },

  path: { kind: text('PATH', '/mnt/data'), group: 'cache', help: 'guest path of one file whose folios are listed, too' },

  'mem-sweep': { kind: sizes, group: 'sweep', help: 'with --lru A,B: a run for each policy under each of these limits' },
  svg: { kind: text('FILE', 'curves.svg'), group: 'sweep', help: 'with --mem-sweep: the curves of misses over memory, as a picture' },

  gdb: { kind: text('PORT|unix:PATH', '1234'), group: 'debug', help: 'be a target for gdb-multiarch, at a port of this machine or at a socket' },
  script: { kind: text('FILE', 'steps.txt'), short: 'x', group: 'debug', help: 'commands from FILE, one a line, instead of the prompt' },
  inspect: { kind: text('WHAT', '"fault anon"'), group: 'debug', help: 'stand still in Node\'s inspector: at #EVENT, or as after break' },
  'inspect-port': { kind: count, group: 'debug', byDefault: '9229', help: 'where the inspector is to attach, on 127.0.0.1; 0: any' },

  at: { kind: count, group: 'lists', help: 'look after N instructions, and end the run there; default: as the program ends' },

  from: { kind: text('DIR', './files'), group: 'image', help: 'host folder whose contents the file system begins with; without it, it is empty' },
  type: { kind: choice('ext2', 'ext4'), group: 'image', byDefault: 'ext4', help: 'ext2: block maps, buffer heads; ext4: extents, iomap, no journal' },
  size: { kind: size, group: 'image', help: 'size of the image; default: that of an image that is there, else what the files need and some room' },
  'block-size': { kind: choice('1024', '2048', '4096'), group: 'image', byDefault: '4096', help: 'bytes of a block' },
  'inode-size': { kind: choice('128', '256'), group: 'image', byDefault: '256', help: 'bytes of an inode; 128 has no nanoseconds and ends in 2038' },
  inodes: { kind: count, group: 'image', help: 'how many files there can be, at least; default: one for each 16K, or 4K with small blocks' },
  label: { kind: text('NAME', 'data'), group: 'image', help: 'name of the file system, up to 16 bytes' },
  'no-checksums': { kind: flag, group: 'image', help: 'ext4 without metadata_csum' },
  '64bit': { kind: flag, group: 'image', help: 'ext4 with 64-bit block numbers' },
  'uuid-seed': { kind: count, group: 'image', byDefault: '1', help: 'seed of the UUID; the same input gives the same image' },
  time: { kind: count, group: 'image', byDefault: '0', help: 'every time stamp, in seconds since 1970' },
  force: { kind: flag, group: 'image', help: 'write over a file that is there' },

  'dump-region': { kind: address, group: 'translator', help: 'at the end, the translated region that holds PC: guest code and WebAssembly' },

  help: { kind: flag, short: 'h', group: 'general', help: 'this text' },
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof options;
type ValueOf<Row> = Row extends { readonly kind: Kind<infer T> }
  ? Row extends { readonly repeat: true } ? T[] : Row extends { readonly byDefault: string } ? T : T | undefined
  : never;
/** Every option's value: a list where it repeats, undefined where it is absent and has no default. */
export type Values = { readonly [Name in OptionName]: ValueOf<(typeof options)[Name]> };

export interface CommandLine {
  readonly values: Values;
  /** Options that were typed, not defaulted. */
  readonly given: ReadonlySet<OptionName>;
  /** These, word by word as they were typed. */
  readonly spelled: readonly { readonly name: OptionName; readonly words: readonly string[] }[];
  /** What follows the options: PROG [ARGS], or the command's own operands. */
  readonly rest: readonly string[];
}

export const optionRows = (): [OptionName, OptionRow][] => Object.entries(options) as unknown as [OptionName, OptionRow][];

/** Reads options up to `--` or the first word that is not one; what follows belongs to the program.
 *  @param groups what this command knows  @throws UserError a sentence that says what to write instead */
export function parseCommandLine(command: string, groups: readonly OptionGroup[], words: readonly string[]): CommandLine {
  const known = optionRows().filter(([, row]) => groups.includes(row.group) || row.group === 'general');
  const found: Record<string, unknown> = {};
  const given = new Set<OptionName>();
  const spelledWords: { name: OptionName; words: readonly string[] }[] = [];
  for (const [name, row] of optionRows()) {
    if (row.repeat) found[name] = [];
    else if (row.byDefault !== undefined) found[name] = row.kind.read(row.byDefault);
  }

  let at = 0;
  while (at < words.length) {
    const word = words[at]!;
    if (word === '--') { at++; break; }
    if (!word.startsWith('-') || word === '-') break;
    const begin = at++;
    const { name, row, spelled, inline } = findOption(command, known, word);
    let value = inline;
    if (row.kind === flag) {
      if (inline !== null) throw new UserError(`${spelled}=${inline}: ${spelled} takes no value. Write ${spelled} alone.`);
      value = '';
    } else if (value === null && row.kind.bare !== undefined) {
      if (given.has(name)) throw new UserError(`${spelled}: given twice. Write it once.`);
      found[name] = row.kind.bare;
      given.add(name);
      spelledWords.push({ name, words: [spelled] });
      continue;
    } else if (value === null) {
      if (at >= words.length || words[at] === '--') throw new UserError(`${spelled}: its value is missing. Write ${spelled} ${row.kind.form}.`);
      value = words[at++]!;
    }
    const read = row.kind.read(value ?? '');
    if (read === null) throw new UserError(`${spelled} ${quoted(value!)}: ${row.kind.problem}. ${row.kind.instead}.`);
    if (row.repeat) (found[name] as unknown[]).push(read);
    else if (given.has(name) && row.kind !== flag) throw new UserError(`${spelled}: given twice. Write it once.`);
    else found[name] = read;
    given.add(name);
    spelledWords.push({ name, words: words.slice(begin, at) });
  }
  return { values: found as unknown as Values, given, spelled: spelledWords, rest: words.slice(at) };
}

interface Found { name: OptionName; row: OptionRow; spelled: string; inline: string | null }

function findOption(command: string, known: readonly [OptionName, OptionRow][], word: string): Found {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=');
    const typed = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const inline = equals < 0 ? null : word.slice(equals + 1);
    const entry = known.find(([name]) => name === typed);
    if (entry !== undefined) return { name: entry[0], row: entry[1], spelled: `--${typed}`, inline };
    const elsewhere = optionRows().some(([name]) => name === typed) ? ` of quire ${command}` : '';
    throw new UserError(`--${typed}: not an option${elsewhere}.${didYouMean(typed, known.filter(([, row]) => row.isHidden !== true).map(([name]) => name), '--')} See quire ${command} --help.`);
  }
  const letter = word[1]!;
  const entry = known.find(([, row]) => row.short === letter);
  if (entry === undefined) throw new UserError(`-${letter}: not an option. See quire ${command} --help; what follows -- belongs to the program.`);
  const inline = word.length > 2 ? word.slice(2) : null;
  return { name: entry[0], row: entry[1], spelled: `-${letter}`, inline };
}

const quoted = (t: string): string => (t === '' ? "''" : t);

/** The help lines of some groups, two columns. */
export function optionHelp(groups: readonly OptionGroup[]): string {
  const lines: string[] = [];
  for (const [name, row] of optionRows()) {
    if (!groups.includes(row.group) || row.isHidden === true) continue;
    const left = `${row.short === undefined ? '    ' : `-${row.short}, `}--${name}${row.kind.bare === undefined ? ' ' : ''}${row.kind.form}`.trimEnd();
    const tail = row.byDefault === undefined ? '' : ` (default ${row.byDefault})`;
    lines.push(left.length <= 30 ? `  ${left.padEnd(32)}${row.help}${tail}` : `  ${left}\n${' '.repeat(34)}${row.help}${tail}`);
  }
  return lines.join('\n');
}
