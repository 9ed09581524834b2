// The one place where machine, kernel and programs meet. boot() makes a session of a RunConfig; the session runs in steps, takes and gives
// bytes, and reports. It knows no host: Node's side is drive.ts and host.ts, and the browser page drives the same session.
import { asPfn, bug, PAGE_SIZE, StateHash, UserError, utf8Encode } from '#base';
import type { Pfn } from '#base';
import { Machine } from '#cpu';
import { chosen, Console, defaultParams, errnoName, Kernel, mglru, Plant, setCost, Signal, SparseImage, swapHeader, swapOn, wholeDisk } from '#kernel';
import type { BlockDevice, MemCgroup, OutputChunk, RunResult } from '#kernel';
import { nowMs } from './clock.ts';
import type { RunConfig } from './config.ts';
import type { Recorder } from './recording.ts';
import { mismatch, TurnLog } from './recording.ts';
import { Sanitizers } from './sanitize.ts';
import type { Trace } from './trace/sink.ts';
import type { YoungSampling } from './young.ts';

/** Modelled time at boot, seconds since 1970: 2026-01-01. A constant, so that every run sees the same dates. */
export const EPOCH_SECONDS = 1_767_225_600;

export type StepResult = 'running' | 'exited' | 'input' | 'budget' | 'deadlock';

export class Session {
  readonly config: RunConfig;
  readonly machine: Machine;
  readonly kernel: Kernel;
  /** What listens to the run; null: nothing. */
  trace: Trace | null = null;
  /** Which pages are used is recorded for a later run; null: it is not. */
  recorder: Recorder | null = null;
  /** Whether reclaim sees use as it is is counted; null: nobody does. */
  young: YoungSampling | null = null;
  /** Told of what comes from outside, before it has any effect: bytes of standard input, none at its end; null: Ctrl-C. null: nobody asks. */
  onInput: ((bytes: Uint8Array | null) => void) | null = null;
  private readonly console: Console;
  /** The clock when all files were in place and the program not yet begun. */
  private readonly bootCycles: number;
  private inputEnded = false;
  /** Of a run whose policy knows a recording. */
  private readonly turns: TurnLog | null;
  private readonly sanitizers: Sanitizers | null;

  constructor(config: RunConfig, machine: Machine, kernel: Kernel, console: Console) {
    this.config = config;
    this.machine = machine;
    this.kernel = kernel;
    this.console = console;
    this.bootCycles = machine.clockCycles;
    this.turns = config.machine.lru.recording === null ? null : new TurnLog(this);
    this.sanitizers = config.machine.sanitize.length === 0 ? null : new Sanitizers(this, config.machine.sanitize);
  }

  /** Modelled cycles since the program was started: what the kernel did to fill the file system is not the program's. */
  get cycles(): number {
    return this.machine.clockCycles - this.bootCycles;
  }
  get instructions(): number {
    return this.machine.instret;
  }

  /** Runs up to `instrs` instructions. 'input': every task sleeps and standard input could wake one: feed(). */
  step(instrs: number): StepResult {
    const { maxInsn } = this.config.machine;
    const left = maxInsn === null ? Infinity : maxInsn - this.instructions;
    if (left <= 0) return 'budget';
    const budget = Math.min(instrs, left, this.sanitizers?.everyInstrs ?? Infinity);
    const run = (): RunResult => this.recorder?.run(budget) ?? this.kernel.run(budget);
    const result = this.sanitizers === null ? run() : this.sanitizers.watch(run);
    this.checkPolicy();
    if (result === 'budget') return maxInsn !== null && this.instructions >= maxInsn ? 'budget' : 'running';
    if (result === 'input' && this.inputEnded) return 'deadlock';
    return result === 'breakpoint' ? 'running' : result;
  }

  /** A policy of the user's that gave a wrong answer ends the run, now that the kernel has come to rest. @throws UserError */
  checkPolicy(): void {
    const { policyFailure } = this.kernel.system.lru;
    if (policyFailure !== null) throw new UserError(`--lru ${this.config.machine.lru.file?.path ?? this.config.machine.lru.name}: ${policyFailure}. quire presets lru-starter prints a policy to compare with.`);
  }

  /** At the end of a run whose policy knew a recording: was it the same run? @throws UserError if not, for what was measured means nothing */
  checkRecording(): void {
    const { name, recording } = this.config.machine.lru;
    if (recording === null || this.turns === null) return;
    const why = mismatch(this, recording, this.turns.end());
    if (why !== null) {
      throw new UserError(`--lru ${name}: the program did not do the same twice: ${why}. It looks at the clock, or its tasks run side by side; ${name} would know another run's future. The other policies can be used.`);
    }
  }

  /** Bytes for standard input; none: its end. */
  feed(bytes: Uint8Array): void {
    this.onInput?.(bytes);
    if (bytes.length === 0) {
      this.inputEnded = true;
      this.console.close();
    } else {
      this.console.feed(bytes);
    }
    this.kernel.interruptHart();
  }

  /** Ctrl-C: SIGINT to the program and what it started. */
  interrupt(): void {
    this.onInput?.(null);
    const first = this.kernel.first;
    if (first !== null) this.kernel.signalGroup(first.pgid, Signal.INT);
  }

  /** The end: disks are written and left in order. @returns 0 or -errno */
  shutdown(): number {
    return this.kernel.vfs.unmountDisks();
  }

  takeOutput(): OutputChunk[] {
    return this.console.takeOutput();
  }
  /** What the kernel has to say to the user since the last call. */
  takeLog(): string[] {
    return this.kernel.log.splice(0);
  }

  /** Sixteen hex digits over everything that decides what happens next, and the counters. */
  stateHash(): string {
    const into = new StateHash();
    this.machine.hash(into);
    this.kernel.hash(into);
    this.machine.hashFrames(into, this.framesInUse());
    return into.digest();
  }

  /** Frames that hold something: neither free nor the memory map's own. */
  private* framesInUse(): Generator<Pfn> {
    const { buddy, folios, memmapPfn } = this.kernel.system;
    const free: (readonly [start: number, end: number])[] = [];
    buddy.counts().forEach((_, order) => { for (const block of buddy.blocksOf(order)) free.push([block, block + (1 << order)]); });
    free.sort(([a], [b]) => a - b);
    let pfn: number = folios.firstPfn;
    for (const [start, end] of [...free, [memmapPfn, memmapPfn] as const]) {
      for (; pfn < start; pfn++) yield asPfn(pfn);
      pfn = Math.max(pfn, end);
    }
  }
}

/** Builds the machine, boots the kernel, fills the file system and starts the program.
 *  @param attach called before the program starts, to watch it from there on; what it answers is the session's trace
 *  @param watchCache why folios of files have their orders is recorded, of the files that are put in place before the start, too
 *  @throws UserError for what cannot be started (126, 127) or written (--set) */
export function boot(config: RunConfig, attach?: (session: Session) => Trace | null, watchCache = false): Session {
  const { machine: m, inputs } = config;
  const machine = new Machine({ ramBytes: m.memBytes, tlb: m.tlb, sv: m.sv, svadu: m.svadu, seed: m.seed, engine: m.engine, hostMs: nowMs });
  const params = defaultParams();
  params.memmap = m.memmap;
  params.allocStrategy = m.allocStrategy;
  for (const [name, cycles] of Object.entries(m.costs)) setCost(params, name, cycles);
  const { stdin, stdout, stderr, rows, columns } = inputs.terminal;
  const console = new Console({ inputTty: stdin, outputTty: stdout, errorTty: stderr, rows, columns });
  const kernel = new Kernel(machine, params, { console, seed: m.seed, epochSeconds: EPOCH_SECONDS, hostname: 'quire', disks: [...inputs.disks.map(({ image }) => ({ image, latency: m.diskLatency })), ...m.swapBytes.map((bytes) => ({ image: new SparseImage(bytes), latency: m.swapLatency }))] });

  const { system } = kernel;
  system.lruGen.setSeed(m.seed);
  if (m.lru.make === null && m.lru.name === mglru.name) system.lru.setKind(mglru);
  if (m.lru.make !== null) system.lru.setKind(chosen(m.lru.name, m.lru.make, m.seed, m.lru.recording?.uses ?? null));
  if (watchCache) system.cacheLog.start();
  const { vfs } = kernel;
  for (const folder of inputs.folders) checkFile(folder, vfs.mkdirs(folder));
  // Links come first: a file below a linked folder (/bin -> usr/bin) belongs where the link leads.
  for (const { path, target } of inputs.links) checkFile(path, vfs.symlink(target, path));
  for (const file of inputs.files) checkFile(file.path, vfs.addFile(file.path, file.bytes, file.mode));
  const group = m.memoryMax === null ? null : limitedGroup(kernel, m.memoryMax);
  for (const { path, value } of settings(config)) {
    const answer = vfs.writeWhole(path, utf8Encode(`${value}\n`));
    if (answer < 0) throw new UserError(`--set ${path}=${value}: ${settingError(-answer)}.`);
  }
  mountDisks(kernel, inputs.disks);
  for (const device of kernel.system.disks.slice(inputs.disks.length)) swapOnAtBoot(kernel, device);
  const session = new Session(config, machine, kernel, console);
  if (inputs.stdin !== null) {
    if (inputs.stdin.bytes.length > 0) session.feed(inputs.stdin.bytes);
    session.feed(new Uint8Array(0));
  }
  // What the program allocates from here on is charged to it.
  if (group !== null) system.memcg.active = group;
  session.checkPolicy();
  session.trace = attach?.(session) ?? null;
  params.plant = m.plant === null ? null : new Plant(m.plant);
  try {
    kernel.start([...inputs.argv], [...inputs.env], inputs.path);
  } catch (error) {
    session.shutdown();
    throw error;
  }
  return session;
}

/** Where --memory-max is in force. */
export const PROGRAM_GROUP = '/quire';
/** The program's group, a directory like any other, so that --set reaches its files. */
function limitedGroup({ vfs, system: { memcg } }: Kernel, maxBytes: number): MemCgroup {
  vfs.mkdirs(`/sys/fs/cgroup${PROGRAM_GROUP}`);
  const group = [...memcg].find(({ path }) => path === PROGRAM_GROUP) ?? bug('mkdir below /sys/fs/cgroup makes no group');
  group.max = maxBytes / PAGE_SIZE;
  return group;
}

function mountDisks({ vfs, system }: Kernel, disks: RunConfig['inputs']['disks']): void {
  for (const [i, { name, path, isWritable }] of disks.entries()) {
    const refused = vfs.mountDisk(system.disks[i]!, path, { isReadOnly: !isWritable });
    if (refused === null) continue;
    vfs.unmountDisks();
    throw new UserError(`--disk ${name}: cannot be mounted at ${path}: ${refused.sentence}`);
  }
}

/** What mkswap and swapon do. */
function swapOnAtBoot({ system }: Kernel, device: BlockDevice): void {
  device.image.write(0, swapHeader(Math.floor(device.image.sizeBytes / 4096)));
  const answer = swapOn(system, wholeDisk(device), null);
  if (answer < 0) bug(`${device.name} cannot be swapped on: ${errnoName(-answer)}`);
}

/** A file that the guest cannot take is the user's to know. */
function checkFile(path: string, answer: number): void {
  if (answer >= 0 || errnoName(-answer) === 'EEXIST') return;
  if (errnoName(-answer) === 'ENOSPC' || errnoName(-answer) === 'ENOMEM') throw new UserError(`${path}: the guest's files do not fit into its RAM. Write a larger --mem.`);
  throw new UserError(`${path}: the guest cannot take this file (${errnoName(-answer)}). Write another guest path.`);
}
/** What the write of a setting came to, in words. */
function settingError(errno: number): string {
  switch (errnoName(errno)) {
    case 'ENOENT': return 'the guest has no such file. Look with quire run -- ls, or quire explain tunables';
    case 'EACCES': case 'EPERM': return 'this file may not be written';
    case 'EINVAL': return 'the kernel does not take this value. quire run -- cat PATH shows what it looks like';
    case 'EISDIR': return 'this is a directory. Write the path of a file in it';
    default: return `the write failed with ${errnoName(errno)}`;
  }
}

const THP = '/sys/kernel/mm/transparent_hugepage';
/** Files written before the start: --thp and --mthp are names for such writes. */
function settings({ machine }: RunConfig): { path: string; value: string }[] {
  return [
    ...(machine.thp === null ? [] : [{ path: `${THP}/enabled`, value: machine.thp }]),
    ...machine.mthp.map(({ kb, mode }) => ({ path: `${THP}/hugepages-${kb}kB/enabled`, value: mode })),
    ...machine.set,
  ];
}
