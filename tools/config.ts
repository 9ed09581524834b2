// A run as data: everything that decides it, resolved, checked and readable without a host. boot.ts makes a machine of it, the report
// shows it. Here: the shape, and making it from options. Not here: reading host files (host.ts), since the browser page has none.
import { showSize, UserError } from '#base';
import type { EngineName } from '#cpu';
import { costs as costTable, MAX_SWAPFILES, parseLatency } from '#kernel';
import type { DiskImage, DiskLatency, PlantName, ReclaimPolicyMaker } from '#kernel';
import { DEFAULT_PRESET, presetNamed } from '#mmu';
import type { TlbDescription } from '#mmu';
import type { Values } from './options.ts';
import type { Recording } from './recording.ts';
import type { SanitizerName } from './sanitize.ts';
import { didYouMean } from './suggest.ts';

/** One file of the guest, as bytes. */
export interface GuestFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly sha256: string;
}
/** A disk of the machine, and where it is mounted. */
export interface GuestDisk {
  /** The host's name of the image, as the user wrote it. */
  readonly name: string;
  readonly path: string;
  readonly isWritable: boolean;
  readonly image: DiskImage;
}
export interface GuestLink { readonly path: string; readonly target: string }

/** The machine's and the kernel's part of a run. */
export interface MachineConfig {
  readonly preset: string | null;
  readonly tlb: TlbDescription;
  readonly memBytes: number;
  readonly sv: 39 | 48 | 57;
  readonly svadu: boolean;
  readonly engine: EngineName;
  readonly seed: number;
  readonly maxInsn: number | null;
  readonly thp: 'always' | 'madvise' | 'never' | null;
  readonly mthp: readonly { readonly kb: number; readonly mode: string }[];
  readonly set: readonly { readonly path: string; readonly value: string }[];
  readonly costs: Readonly<Record<string, number>>;
  /** Bytes of the memory map for each frame. */
  readonly memmap: 64 | 32 | 16 | 8;
  readonly allocStrategy: 'loop' | 'sizes' | 'largest';
  readonly lru: PolicyConfig;
  /** Of the program's group, in bytes; null: none. */
  readonly memoryMax: number | null;
  /** How long disks take. */
  readonly diskLatency: DiskLatency;
  /** Swap devices, each so large. */
  readonly swapBytes: readonly number[];
  readonly swapLatency: DiskLatency;
  /** What is checked during the run. Changes nothing that is counted. */
  readonly sanitize: readonly SanitizerName[];
  /** A bug on purpose; null: none. */
  readonly plant: PlantName | null;
}

/** Which folios go when memory is short. */
export interface PolicyConfig {
  readonly name: string;
  /** The user's own file. */
  readonly file: { readonly path: string; readonly sha256: string } | null;
  /** Of a file, and of the small policies; null: the kernel's own. */
  readonly make: ReclaimPolicyMaker | null;
  /** It knows the run's future and past: the program is run once before, and recorded. */
  readonly needsRecording: boolean;
  readonly recording: Recording | null;
}

/** What the run reads of the world outside. */
export interface InputConfig {
  /** As the program sees them. */
  readonly argv: readonly string[];
  /** Guest path of the program. */
  readonly path: string;
  readonly programSha256: string;
  readonly env: readonly string[];
  readonly files: readonly GuestFile[];
  readonly folders: readonly string[];
  readonly links: readonly GuestLink[];
  readonly disks: readonly GuestDisk[];
  /** Bytes of standard input; null: the host feeds it while the program runs. */
  readonly stdin: GuestStdin | null;
  readonly terminal: TerminalConfig;
}
/** What isatty() says of the three streams, and the terminal's size. */
export interface TerminalConfig { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean; readonly rows: number; readonly columns: number }
/** Runs whose numbers are reported see no terminal, wherever they are started. */
export const NO_TERMINAL: TerminalConfig = { stdin: false, stdout: false, stderr: false, rows: 24, columns: 80 };
export interface GuestStdin { readonly bytes: Uint8Array; readonly sha256: string }

export interface RunConfig { readonly machine: MachineConfig; readonly inputs: InputConfig }

export const MIN_MEM = 16 * 1024 ** 2;
export const MAX_MEM = 3584 * 1024 ** 2;
/** A header and ten pages, as mkswap asks; 2^20 slots. */
const MIN_SWAP = 11 * 4096;
const MAX_SWAP = 4 * 1024 ** 3;

/** Checks what options mean together. @param tlb what --tlb's file describes, null without one @param lru what --lru names @throws UserError */
export function machineConfig(values: Values, tlb: TlbDescription | null, lru: PolicyConfig): MachineConfig {
  if (values.preset !== undefined && tlb !== null) throw new UserError('--preset and --tlb: both name the TLBs. Write one of them.');
  if (values.svade && values.svadu) throw new UserError('--svade and --svadu: they exclude each other. Write one of them.');
  const memBytes = Math.floor(values.mem / 4096) * 4096;
  if (memBytes < MIN_MEM || memBytes > MAX_MEM) {
    throw new UserError(`--mem ${showSize(values.mem)}: out of range. Write a size from ${showSize(MIN_MEM)} to ${showSize(MAX_MEM)}, as in --mem 512M.`);
  }
  const preset = tlb === null ? (values.preset ?? DEFAULT_PRESET) : null;
  return {
    preset,
    tlb: tlb ?? presetNamed(preset!),
    memBytes,
    sv: Number(values.sv) as 39 | 48 | 57,
    svadu: !values.svade,
    engine: values.engine as EngineName,
    seed: values.seed,
    maxInsn: values['max-insn'] ?? null,
    thp: values.thp ?? null,
    mthp: values.mthp.flat(),
    set: values.set.map(({ name, value }) => ({ path: name, value })),
    costs: costs(values.cost),
    memmap: Number(values.memmap) as 64 | 32 | 16 | 8,
    allocStrategy: values['alloc-strategy'],
    lru,
    memoryMax: values['memory-max'] === undefined ? null : memoryLimit(values['memory-max'], memBytes, '--memory-max'),
    diskLatency: parseLatency(values['disk-latency']),
    swapBytes: swapSizes(values.swap),
    swapLatency: values['swap-latency'] === undefined ? parseLatency(values['disk-latency']) : parseLatency(values['swap-latency'], '--swap-latency'),
    sanitize: values.sanitize ?? [],
    plant: values.plant ?? null,
  };
}

/** The kernel needs some pages of the group at once to run a program at all: below that nothing would start. */
const MIN_MEMORY_MAX = 256 * 1024;
/** A limit in whole pages. @param option that it was written for */
export function memoryLimit(bytes: number, memBytes: number, option: string): number {
  const pages = Math.floor(bytes / 4096) * 4096;
  if (pages >= MIN_MEMORY_MAX) return pages;
  throw new UserError(`${option} ${showSize(bytes)}: no program starts in so little. Write sizes from ${showSize(MIN_MEMORY_MAX)} on; RAM (--mem) is ${showSize(memBytes)}.`);
}

/** 0 is none. */
function swapSizes(sizes: readonly number[]): number[] {
  for (const bytes of sizes) {
    if (bytes !== 0 && (bytes < MIN_SWAP || bytes > MAX_SWAP)) throw new UserError(`--swap ${showSize(bytes)}: out of range. Write a size from ${showSize(MIN_SWAP)} to ${showSize(MAX_SWAP)}, as in --swap 128M; for more, write --swap again.`);
  }
  const wanted = sizes.filter((bytes) => bytes !== 0).map((bytes) => Math.floor(bytes / 4096) * 4096);
  if (wanted.length > MAX_SWAPFILES) throw new UserError(`--swap: ${wanted.length} devices are too many. Linux knows ${MAX_SWAPFILES}.`);
  return wanted;
}

/** Every cost of the cycle model, the changed ones changed. */
function costs(changes: Values['cost']): Record<string, number> {
  const all: Record<string, number> = Object.fromEntries(costTable.map(({ name, cycles }) => [name, cycles]));
  for (const { name, value } of changes) {
    if (!(name in all)) throw new UserError(`--cost ${name}=${value}: no such cost.${didYouMean(name, Object.keys(all))} quire explain costs lists them.`);
    if (!/^[0-9]+(\.[0-9]+)?$/.test(value) || Number(value) > 1e12) {
      throw new UserError(`--cost ${name}=${value}: not a number of cycles. Write a number, as in --cost ${name}=${all[name]}.`);
    }
    all[name] = Number(value);
  }
  return all;
}
