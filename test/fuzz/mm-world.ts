import { parseLatency } from '#kernel/block/latency.ts';
// A seeded storm of memory operations on several address spaces, beside a naive model of what programs can see: which pages there are, with which
// rights, holding which byte. Here: the world, its operations, the comparison. Not here: how many are run and with what seed (mm-storm.test.ts).
//
// Everything is drawn from one generator, so that (seed, setting) names a run. Allocations fail on purpose: in a third of the operations the n-th
// one does, once or from then on. After every operation the kernel's own invariants are checked, and at the end every frame must be free again.
import { Prng, asPfn } from '#base';
import type { Pfn } from '#base';
import { FaultResult } from '#kernel/mm/fault.ts';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { MapFlag, MremapFlag, Prot } from '#kernel/mm/mman.ts';
import { chosen } from '#kernel/mm/reclaim/chosen.ts';
import { mglru } from '#kernel/mm/reclaim/lru-gen.ts';
import { smallPolicies } from '#kernel/mm/reclaim/policies.ts';
import { isGuardMarker } from '#kernel/mm/pte-marker.ts';
import { accessRemoteVm } from '#kernel/mm/remote.ts';
import { isSwapPte } from '#kernel/mm/swap/entry.ts';
import { shmemEntry } from '#kernel/mm/swap/shmem-swap.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { VmFlag, canMerge } from '#kernel/mm/vma.ts';
import { Program, bootSystem } from '../support/mm-fixture.ts';
import { addSwap, reclaimCached, settle, slotByte, swappedByte } from '../support/swap-fixture.ts';
import { sitesOf } from './alloc-sites.ts';
import { Background } from './mm-background.ts';

/** Pages that the operations fight over: 4.5 MiB around 2 MiB boundaries; after them those of the heap, and of a stack. */
const ARENA = 1152;
const HEAP = 48;
const STACK = 48;
const PAGES = ARENA + HEAP + STACK;
const ARENA_VPN = 0x100_0000 - 64;
const HEAP_VPN = 0x80_0000;
const STACK_VPN = 0x300_0000;
const FILE_PAGES = 96;
const MEMFD_PAGES = 40;
const MAX_PROCESSES = 4;
const vpnOf = (page: number): number => page < ARENA ? ARENA_VPN + page : page < ARENA + HEAP ? HEAP_VPN + page - ARENA : STACK_VPN + page - ARENA - HEAP;
const vaOf = (page: number): number => vpnOf(page) * 4096;

const Kind = { None: 0, Anon: 1, SharedFile: 2, PrivateFile: 3 } as const;
const NO_COPY = -1;

/** What one program should see: a row a page. */
class Model {
  readonly kind = new Uint8Array(PAGES);
  readonly prot = new Uint8Array(PAGES);
  /** Which file, and which page of it. */
  readonly file = new Int32Array(PAGES);
  readonly index = new Int32Array(PAGES);
  /** The byte of the program's own page; NO_COPY: the file's is seen. */
  readonly own = new Int16Array(PAGES);
  /** 1: MADV_FREE was said, so the page may read as zeros until it is written. */
  readonly lazy = new Uint8Array(PAGES);
  /** 1: MADV_GUARD_INSTALL was said. */
  readonly guarded = new Uint8Array(PAGES);

  copyRow(from: Model, page: number, to: number): void {
    for (const column of ['kind', 'prot', 'file', 'index', 'own', 'lazy', 'guarded'] as const) this[column][to] = from[column][page]!;
  }
  set(page: number, kind: number, prot: number, index = 0, file = 0): void {
    this.kind[page] = kind;
    this.prot[page] = prot;
    this.file[page] = file;
    this.index[page] = index;
    this.own[page] = kind === Kind.Anon ? 0 : NO_COPY;
    this.lazy[page] = 0;
    this.guarded[page] = 0;
  }
  /** As if never touched; guards stay. */
  empty(page: number): void {
    this.own[page] = this.kind[page] === Kind.Anon ? 0 : NO_COPY;
    this.lazy[page] = 0;
  }
}
/** A file as programs see it: a byte a page. Of shared anonymous memory nothing but `bytes` is needed. */
interface FileModel {
  readonly mapping: FileMapping | null;
  readonly bytes: Uint8Array;
  pages: number;
  /** A file in memory, of which a large folio may be mapped beyond the end. */
  readonly isShmem: boolean;
  /** Pages that were written there: when the file grows they show that, or zeros if their folio went meanwhile. */
  readonly loose: Set<number>;
}
/** What a storm runs on. */
export interface Setting {
  readonly orders: readonly number[];
  readonly memmap: 64 | 32 | 16 | 8;
  /** Pages of a swap device; absent: there is none. */
  readonly swap?: number;
  /** What it is; absent: the first preset. */
  readonly disk?: string;
  /** Reclaim policy; absent: the two lists. */
  readonly lru?: keyof typeof smallPolicies | 'mglru';
  /** Percent of RAM that compressed pages may take before it; absent: none. */
  readonly zswap?: number;
}
interface Process { readonly program: Program; readonly model: Model }
interface Range { readonly page: number; readonly len: number }

const prots = [0, Prot.Read, Prot.Read | Prot.Write, Prot.Read | Prot.Write, Prot.Read | Prot.Write, Prot.Write, Prot.Read | Prot.Exec] as const;
/** madvise values that must not change what is read, or do so in a way that the model knows. */
const Advice = { DontNeed: 4, Free: 8, Remove: 9, DontFork: 10, DoFork: 11, HugePage: 14, NoHugePage: 15, Collapse: 25, WipeOnFork: 18, KeepOnFork: 19, DontNeedLocked: 24, GuardInstall: 102, GuardRemove: 103 } as const;
/** Frames held at a time, as pipes hold them. */
const MAX_HELD = 12;
const harmless = [0, 1, 2, 3, 14, 14, 15, 16, 17, 20, 21, 22, 23, 25] as const;

export class World {
  readonly system: MmSystem;
  readonly processes: Process[] = [];
  /** Where allocations were made to fail: the functions that asked, innermost first. */
  readonly failedSites = new Map<string, number>();
  /** The last operation, for whoever reports a failure. */
  last = '';
  private readonly random: Prng;
  /** One of each kind that anybody may map at any time; then those that shared anonymous mappings have made. */
  private readonly files: FileModel[];
  private readonly background: Background;
  /** Limits and promises are tight: refusals for want of them are right. */
  private strained = false;
  private readonly held: Pfn[] = [];
  private readonly freeAtBoot: number;
  private untilFailure = Infinity;
  private failures = 0;

  constructor(seed: number, { orders, memmap, swap, disk, zswap, lru }: Setting) {
    this.random = new Prng(seed, 'storm');
    this.system = bootSystem({ orders, memmapBytesPerFrame: memmap, ramBytes: 24 << 20, soiled: true }).system;
    if (lru !== undefined) this.system.lru.setKind(lru === 'mglru' ? mglru : chosen(lru, smallPolicies[lru], seed));
    if (swap !== undefined) addSwap(this.system, swap, disk === undefined ? {} : { latency: parseLatency(disk) });
    if (zswap !== undefined) Object.assign(this.system.swap.zswap.params, { enabled: true, max_pool_percent: zswap, shrinker_enabled: true });
    this.freeAtBoot = this.system.freeBytes / 4096;
    this.injectFailures();
    this.background = new Background(this.system, this.random);
    this.files = ([['file', FILE_PAGES], ['shmem', MEMFD_PAGES]] as const).map(([kind, pages], i) => {
      const space = new AddressSpace(this.system, kind);
      space.truncate(pages * 4096);
      const mapping = { space, path: `/tmp/${kind}`, ino: 2 + i, devMajor: 0, devMinor: 1, mayWrite: true };
      return { mapping, bytes: new Uint8Array(FILE_PAGES), pages, isShmem: kind === 'shmem', loose: new Set<number>() };
    });
    this.startProcess();
  }
  /** All allocations of mm go through these three. */
  private injectFailures(): void {
    const { system } = this;
    const allocate = system.allocFolio.bind(system);
    const allocateUpTo = system.allocFolioUpTo.bind(system);
    const adopt = system.adoptFrames.bind(system);
    system.allocFolio = (...facts) => (this.fails() ? 0 : allocate(...facts));
    system.allocFolioUpTo = (...facts) => (this.fails() ? null : allocateUpTo(...facts));
    system.adoptFrames = (...facts) => (this.fails() ? 0 : adopt(...facts));
  }
  private fails(): boolean {
    if (this.untilFailure-- > 0 || this.failures === 0) return false;
    this.failures--;
    for (const site of sitesOf(new Error().stack ?? '')) this.failedSites.set(site, (this.failedSites.get(site) ?? 0) + 1);
    return true;
  }
  private startProcess(): void {
    const program = Program.on(this.system);
    const { mm } = program;
    mm.startBrk = mm.brkEnd = HEAP_VPN * 4096;
    const process = { program, model: new Model() };
    this.processes.push(process);
    program.map(4096, vaOf(PAGES - 1), Prot.Read | Prot.Write, MapFlag.GrowsDown);
    process.model.set(PAGES - 1, Kind.Anon, Prot.Read | Prot.Write);
    program.map((ARENA / 4) * 3 * 4096, vaOf(0));
    for (let page = 0; page < (ARENA / 4) * 3; page++) process.model.set(page, Kind.Anon, Prot.Read | Prot.Write);
  }

  /** One operation, then the invariants. */
  step(): void {
    let process = this.processes[this.random.below(this.processes.length)]!;
    this.untilFailure = this.random.below(3) === 0 ? this.random.below(10) : Infinity;
    this.failures = this.random.below(2) === 0 ? 1 : Infinity;
    if (this.random.below(8) === 0) {
      // Few allocations each, of which the first are the ones that matter.
      this.untilFailure = this.random.below(3) === 0 ? this.random.below(3) : Infinity;
      this.last = this.background.operate();
    } else if (this.random.below(12) === 0) this.strain(process);
    else if (this.random.below(16) === 0) this.huge(process);
    else this.operate(process);
    if (!this.processes.includes(process)) process = this.processes[0]!;
    this.untilFailure = Infinity;
    this.system.check();
    if (!this.last.startsWith('write') && !this.last.startsWith('read')) this.settle(process);
  }
  /** Locking and populating write to private pages on the program's behalf, which copies them: what they hold from now on is their own. */
  private settle({ program, model }: Process): void {
    const { folios } = this.system;
    for (let page = 0; page < ARENA; page++) {
      if (model.kind[page] !== Kind.PrivateFile || model.own[page] !== NO_COPY || this.isBeyond(model, page)) continue;
      const frame = program.frame(vaOf(page));
      if (frame !== 0 && folios.isAnon(folios.folioOf(asPfn(frame)))) model.own[page] = this.fileOf(model, page).loose.has(model.index[page]!) ? this.byteAt(frame) : this.fileByte(model, page);
    }
  }
  private fileOf({ file }: Model, page: number): FileModel {
    return this.files[file[page]!]!;
  }
  private byteAt(frame: number): number {
    this.system.machine.readFrame(asPfn(frame), 5, this.byte);
    return this.byte[0]!;
  }
  /** A page of a file is written, within it or, where a large folio of memory reaches, beyond its end. */
  private writeFile(model: Model, page: number, value: number): void {
    const file = this.fileOf(model, page);
    const index = model.index[page]!;
    if (index < file.bytes.length) file.bytes[index] = value;
    if (this.isBeyond(model, page)) file.loose.add(index);
    else file.loose.delete(index);
  }
  private mayReachBeyond(model: Model, page: number): boolean {
    return model.kind[page]! >= Kind.SharedFile && this.fileOf(model, page).isShmem && this.isBeyond(model, page);
  }
  private isBeyond({ file, index }: Model, page: number): boolean {
    return index[page]! >= this.files[file[page]!]!.pages;
  }
  private fileByte({ file, index }: Model, page: number): number {
    return this.files[file[page]!]!.bytes[index[page]!]!;
  }
  private operate(process: Process): void {
    const dice = this.random.below(100);
    if (dice < 30) return this.touch(process);
    if (dice < 36) return this.read(process);
    if (dice < 44) return this.mapAnon(process);
    if (dice < 47) return this.mapFile(process);
    if (dice < 49) return this.mapShared(process);
    if (dice < 54) return this.unmap(process);
    if (dice < 62) return this.protect(process);
    if (dice < 69) return this.discard(process);
    if (dice < 75) return this.advise(process);
    if (dice < 78) return this.guard(process);
    if (dice < 81) return this.lock(process);
    if (dice < 82) return this.punch(process);
    if (dice < 89) return this.remap(process);
    if (dice < 91) return this.resize(process);
    if (dice < 92) return this.random.below(2) === 0 ? this.hold(process) : this.writeRemotely(process);
    if (dice < 94) return this.moveBreak(process);
    if (dice < 95) return this.growStack(process);
    if (dice < 96) return this.truncate();
    if (dice < 98) return this.fork(process);
    return this.exit();
  }
  private note(name: string, process: Process | null, range: Range | null, ...rest: readonly number[]): void {
    this.last = `${name}${process === null ? '' : ` in mm ${process.program.mm.id}`}${range === null ? '' : ` pages ${range.page}+${range.len}`} ${rest.join(' ')}`;
  }
  /** Somewhere in the arena, or in a mapping that is there: all of it, a part, or the part between boundaries of 64 kB or 2 MiB. */
  private range({ program }: Process): Range {
    const { random } = this;
    const lens = [1, 1, 2, 3, 4, 16, 17, 32, 64, 512, 600];
    const len = random.below(3) === 0 ? 1 + random.below(40) : lens[random.below(lens.length)]!;
    const vmas = program.mm.vmas.filter((vma) => vma.start >= vaOf(0) && vma.end <= vaOf(ARENA - 1) + 4096);
    const anywhere = random.below(ARENA);
    const how = random.below(5);
    if (how === 0 || vmas.length === 0) return { page: anywhere, len: Math.min(len, ARENA - anywhere) };
    const vma = vmas[random.below(vmas.length)]!;
    const first = vma.start / 4096 - ARENA_VPN;
    if (how === 1) return { page: first, len: vma.nrPages };
    const from = first + (anywhere % vma.nrPages);
    const part = { page: from, len: Math.min(len, first + vma.nrPages - from) };
    if (how <= 3) return part;
    const unit = len >= 512 ? 512 : 16;
    const aligned = Math.ceil((ARENA_VPN + first) / unit) * unit - ARENA_VPN;
    return aligned + unit <= first + vma.nrPages ? { page: aligned, len: unit } : part;
  }

  // What a program does to its pages.

  private touch(process: Process): void {
    const range = this.random.below(8) === 0 ? { page: ARENA, len: HEAP + STACK } : this.range(process);
    const value = 1 + this.random.below(255);
    const stride = 1 + this.random.below(6);
    const nr = this.random.below(3) === 0 ? range.len : Math.min(range.len, 1 + this.random.below(6));
    this.note('write', process, range, value, stride, nr);
    for (let i = 0; i < nr; i += stride) this.write(process, range.page + i, value);
  }
  private write({ program, model }: Process, page: number, value: number): void {
    if (page >= ARENA + HEAP && model.kind[page] === Kind.None) return; // growStack()'s
    const result = program.write(vaOf(page) + 5);
    if (result === FaultResult.OutOfMemory) return this.mayLackMemory();
    const kind = model.kind[page]!;
    const beyond = kind >= Kind.SharedFile && model.own[page] === NO_COPY && this.isBeyond(model, page);
    const wanted = kind === Kind.None ? FaultResult.MapErr : (model.prot[page]! & Prot.Write) === 0 ? FaultResult.AccErr : model.guarded[page] === 1 ? FaultResult.MapErr : beyond ? FaultResult.BusError : FaultResult.Done;
    const reaches = wanted === FaultResult.BusError && result === FaultResult.Done && this.mayReachBeyond(model, page);
    if (result !== wanted && !reaches) throw new Error(`a write to page ${page} gives ${result}, should give ${wanted}`);
    if (result !== FaultResult.Done) return;
    if (!program.user.write(vaOf(page) + 5, Uint8Array.of(value))) throw new Error(`page ${page} cannot be written after a write`);
    if (kind === Kind.SharedFile) this.writeFile(model, page, value);
    else {
      model.own[page] = value;
      model.lazy[page] = 0;
    }
  }
  private read(process: Process): void {
    const range = this.range(process);
    this.note('read', process, range);
    for (let i = 0; i < Math.min(range.len, 24); i++) this.readFrom(process, range.page + i);
    this.compare(process, range);
  }
  private readFrom({ program, model }: Process, page: number): void {
    const result = program.read(vaOf(page) + 5);
    if (result === FaultResult.OutOfMemory) return this.mayLackMemory();
    const wanted = this.expected(model, page);
    if (result === FaultResult.Done && wanted === null && this.mayReachBeyond(model, page) && model.guarded[page] === 0) return;
    if ((result === FaultResult.Done) !== (wanted !== null)) throw new Error(`a read of page ${page} gives ${result}, the model says ${wanted}`);
  }
  /** Running out is allowed when it was asked for, or when it is true. */
  private mayLackMemory(): void {
    if (!this.strained && this.untilFailure > 0 && this.system.freeBytes / 4096 > this.system.watermarks.min + 64) throw new Error('no memory, with memory to spare');
  }
  /** What the program reads there; null: a signal. */
  private expected(model: Model, page: number): number | null {
    const kind = model.kind[page]!;
    if (kind === Kind.None || (model.prot[page]! & (Prot.Read | Prot.Write)) === 0 || model.guarded[page] === 1) return null;
    if (model.own[page] !== NO_COPY) return model.own[page]!;
    return this.isBeyond(model, page) ? null : this.fileByte(model, page);
  }

  // mmap and its sisters.

  private mapAnon(process: Process): void {
    const range = this.range(process);
    const prot = prots[this.random.below(prots.length)]!;
    const flags = (this.random.below(4) === 0 ? MapFlag.Populate : 0) | (this.random.below(8) === 0 ? MapFlag.Locked : 0) | (this.random.below(4) === 0 ? MapFlag.NoReserve : 0);
    this.note('mmap', process, range, prot, flags);
    this.map(process, range, prot, MapFlag.Private | MapFlag.Anonymous | flags);
  }
  private mapFile(process: Process): void {
    const range = this.range(process);
    const prot = prots[this.random.below(prots.length)]!;
    const flags = (this.random.below(2) === 0 ? MapFlag.Shared : MapFlag.Private) | (this.random.below(4) === 0 ? MapFlag.Populate : 0);
    const pgoff = this.random.below(FILE_PAGES);
    const file = this.random.below(2);
    this.note('mmap file', process, range, prot, flags, pgoff, file);
    this.map(process, range, prot, flags, pgoff, file);
  }
  private mapShared(process: Process): void {
    const range = this.range(process);
    const prot = prots[this.random.below(prots.length)]!;
    const flags = this.random.below(3) === 0 ? MapFlag.Populate : 0;
    this.note('mmap shared', process, range, prot, flags);
    this.map(process, range, prot, MapFlag.Shared | MapFlag.Anonymous | flags, 0, this.files.length);
  }
  private map(process: Process, range: Range, prot: number, flags: number, pgoff = 0, file = 0): void {
    const { program: { mm }, model } = process;
    const isAnon = (flags & MapFlag.Anonymous) !== 0;
    const isShared = (flags & MapFlag.Shared) !== 0;
    const result = mm.mmap({ addr: vaOf(range.page), len: range.len * 4096, prot, flags: flags | MapFlag.Fixed, file: isAnon ? null : this.files[file]!.mapping, pgoff });
    if (result !== vaOf(range.page)) {
      const locks = (flags & MapFlag.Locked) !== 0 || (mm.defFlags & VmFlag.Locked) !== 0;
      if (!(result === -11 && locks) && !(this.strained && (result === -12 || (result === -1 && locks)))) throw new Error(`mmap gives ${result}`);
      // What was there stays; but a file of shared memory is made when that is gone already.
      if (isAnon && isShared && result === -12 && mm.vmaList.overlapping(vaOf(range.page), vaOf(range.page) + range.len * 4096).length === 0) this.forget(model, range);
      return;
    }
    if (isAnon && isShared) this.files.push({ mapping: null, bytes: new Uint8Array(range.len), pages: range.len, isShmem: true, loose: new Set() });
    const kind = !isShared ? (isAnon ? Kind.Anon : Kind.PrivateFile) : Kind.SharedFile;
    for (let i = 0; i < range.len; i++) model.set(range.page + i, kind, prot, pgoff + (kind === Kind.Anon ? 0 : i), file);
    this.checkMerged(process, range);
  }
  /** Everything that leads to 2 MiB folios in one place: a whole window, read (the huge zero folio) or written here and there, then collapsed
   *  at the program's word or by khugepaged. */
  private huge(process: Process): void {
    const { random } = this;
    const { mm } = process.program;
    const range = { page: 64 + 512 * random.below(2), len: 512 };
    const how = random.below(4);
    const untilFailure = random.below(2) === 0 ? random.below(3) : Infinity;
    this.untilFailure = Infinity;
    if (random.below(2) === 0) {
      this.map(process, range, Prot.Read | Prot.Write, MapFlag.Private | MapFlag.Anonymous);
      if (how > 0) mm.madvise(vaOf(range.page), 512 * 4096, how === 1 ? Advice.NoHugePage : Advice.HugePage);
    }
    if (how === 3) this.untilFailure = untilFailure;
    if (random.below(4) === 0) this.readFrom(process, range.page + random.below(512));
    else for (let i = random.below(8); i < 512; i += 1 + random.below(60)) if (process.model.kind[range.page + i] === Kind.Anon) this.write(process, range.page + i, 1 + random.below(255));
    this.untilFailure = untilFailure;
    if (how === 1) mm.madvise(vaOf(range.page), 512 * 4096, Advice.HugePage);
    if (random.below(2) === 0) mm.madvise(vaOf(range.page), 512 * 4096, Advice.Collapse);
    else for (let i = 0; i < 4; i++) this.system.khugepaged.run();
    this.note('huge', process, range, how, untilFailure);
  }
  private forget(model: Model, { page, len }: Range): void {
    for (let i = 0; i < len; i++) model.set(page + i, Kind.None, 0);
  }
  private unmap(process: Process): void {
    const range = this.range(process);
    this.note('munmap', process, range);
    const result = process.program.mm.munmap(vaOf(range.page), range.len * 4096);
    if (result !== 0) throw new Error(`munmap gives ${result}`);
    for (let i = 0; i < range.len; i++) process.model.set(range.page + i, Kind.None, 0);
  }
  private protect(process: Process): void {
    const range = this.range(process);
    const prot = prots[this.random.below(prots.length)]!;
    this.note('mprotect', process, range, prot);
    const changes = [range.page, range.page + range.len - 1].every((page) => process.model.prot[page] !== prot);
    const result = process.program.mm.mprotect(vaOf(range.page), range.len * 4096, prot);
    // What lies before the first hole has changed.
    let wanted = 0;
    for (let i = 0; i < range.len && wanted === 0; i++) {
      if (process.model.kind[range.page + i] === Kind.None) wanted = -12;
      else if (result === -12 && this.strained && (process.program.mm.findVma(vaOf(range.page + i))!.flags & 7) !== prot) wanted = -12;
      else process.model.prot[range.page + i] = prot;
    }
    if (result !== wanted) throw new Error(`mprotect gives ${result}, should give ${wanted}`);
    if (result === 0 && changes) this.checkMerged(process, range);
  }
  private discard(process: Process): void {
    const range = this.range(process);
    const locked = this.random.below(4) === 0;
    this.note('MADV_DONTNEED', process, range, Number(locked));
    const { program: { mm }, model } = process;
    let stop = range.len;
    for (let i = range.len - 1; i >= 0; i--) if (!locked && mm.findVma(vaOf(range.page + i))?.has(VmFlag.Locked) === true) stop = i;
    mm.madvise(vaOf(range.page), range.len * 4096, locked ? Advice.DontNeedLocked : Advice.DontNeed);
    for (let i = 0; i < stop; i++) model.empty(range.page + i);
  }
  private advise(process: Process): void {
    const range = this.range(process);
    const special = [Advice.Free, Advice.Free, Advice.DontFork, Advice.DoFork, Advice.WipeOnFork, Advice.KeepOnFork];
    const advice = this.random.below(2) === 0 ? harmless[this.random.below(harmless.length)]! : special[this.random.below(special.length)]!;
    this.note('madvise', process, range, advice);
    process.program.mm.madvise(vaOf(range.page), range.len * 4096, advice);
    if (advice === Advice.Free) for (let i = 0; i < range.len; i++) if (process.model.kind[range.page + i] === Kind.Anon) process.model.lazy[range.page + i] = 1;
  }
  /** Installs guards, or removes them. A locked mapping ends installing; what had no memory for a table may have been emptied only. */
  private guard(process: Process): void {
    const range = this.range(process);
    const install = this.random.below(3) > 0;
    this.note('guard', process, range, Number(install));
    const { program, model } = process;
    let stop = range.len;
    if (install) for (let i = range.len - 1; i >= 0; i--) if (program.mm.findVma(vaOf(range.page + i))?.has(VmFlag.Locked) === true) stop = i;
    const hasHole = Array.from({ length: range.len }, (_, i) => model.kind[range.page + i]).includes(Kind.None);
    const result = program.mm.madvise(vaOf(range.page), range.len * 4096, install ? Advice.GuardInstall : Advice.GuardRemove);
    const wanted = stop < range.len ? -22 : hasHole ? -12 : 0;
    if (result === -12 && wanted !== -12) this.mayLackMemory();
    else if (result !== wanted) throw new Error(`guarding gives ${result}, should give ${wanted}`);
    for (let page = range.page; page < range.page + stop; page++) {
      if (model.kind[page] === Kind.None) continue;
      const failed = result === -12 && install && !isGuardMarker(program.mm.tables.rawLow(vpnOf(page)));
      if (failed && program.frame(vaOf(page)) !== 0) continue;
      if (install) model.empty(page);
      model.guarded[page] = install && !failed ? 1 : 0;
    }
  }
  /** Takes a reference to a page that is there, or gives one back. */
  private hold(process: Process): void {
    const { page, len } = this.range(process);
    this.note('hold', process, { page, len }, this.held.length);
    if (this.held.length === MAX_HELD || (this.held.length > 0 && this.random.below(3) === 0)) {
      const [pfn] = this.held.splice(this.random.below(this.held.length), 1);
      this.system.releasePage(pfn!);
      return;
    }
    const frame = process.program.frame(vaOf(page + this.random.below(len)));
    if (frame === 0) return;
    this.system.holdPage(asPfn(frame));
    this.held.push(asPfn(frame));
  }
  /** As a debugger writes: rights do not bind private memory. */
  private writeRemotely({ program, model }: Process): void {
    const page = this.random.below(ARENA);
    const value = 1 + this.random.below(255);
    this.note('remote write', null, null, program.mm.id, page, value);
    const moved = accessRemoteVm(program.mm, program.counts, vaOf(page) + 5, Uint8Array.of(value), true, true);
    const kind = model.kind[page]!;
    const isThere = model.own[page] !== NO_COPY || !this.isBeyond(model, page);
    const may = kind !== Kind.None && model.guarded[page] === 0 && isThere && (kind !== Kind.SharedFile || (model.prot[page]! & Prot.Write) !== 0);
    if (moved === 0 && may && this.system.wantsOomKill) this.mayLackMemory();
    else if (moved !== Number(may) && !(moved === 1 && !isThere && this.mayReachBeyond(model, page))) throw new Error(`a remote write to page ${page} moves ${moved}`);
    this.system.wantsOomKill = false;
    if (moved === 0) return;
    if (kind === Kind.SharedFile) this.writeFile(model, page, value);
    else {
      model.own[page] = value;
      model.lazy[page] = 0;
    }
  }
  private lock(process: Process): void {
    const range = this.range(process);
    const how = this.random.below(4);
    this.note('mlock', process, range, how);
    const { mm } = process.program;
    if (this.random.below(6) === 0) mm.mlockAll(1 + this.random.below(7));
    else if (how < 2) mm.mlock(vaOf(range.page), range.len * 4096, how === 1);
    else if (how === 2) mm.munlock(vaOf(range.page), range.len * 4096);
    else mm.munlockAll();
  }
  /** MADV_REMOVE: a hole in the file. Who has copies of its pages keeps them. */
  private punch(process: Process): void {
    const { program: { mm }, model } = process;
    const range = this.range(process);
    this.note('MADV_REMOVE', process, range);
    const vma = mm.findVma(vaOf(range.page));
    const end = Math.min(range.page + range.len, vma === null ? 0 : vma.end / 4096 - ARENA_VPN);
    if (vma === null || model.kind[range.page] !== Kind.SharedFile || vma.has(VmFlag.Locked)) return;
    const result = mm.madvise(vaOf(range.page), (end - range.page) * 4096, Advice.Remove);
    if (result !== 0) throw new Error(`MADV_REMOVE gives ${result}`); // the file may be written, whatever the mapping's rights
    const { bytes } = this.files[model.file[range.page]!]!;
    bytes.fill(0, model.index[range.page]!, model.index[range.page]! + end - range.page);
  }

  /** To a fixed place, with or without a new size, with or without leaving the old mapping. */
  private remap(process: Process): void {
    const { program: { mm }, model } = process;
    const { page, len } = this.range(process);
    const to = this.random.below(4) === 0 ? page ^ 512 : this.random.below(ARENA);
    const resizes = this.random.below(3) === 0;
    const keep = !resizes && this.random.below(3) === 0;
    const newLen = resizes ? 1 + this.random.below(600) : len;
    if (to + newLen > ARENA) return;
    this.note('mremap', process, { page, len }, to, newLen, Number(keep));
    const parts = mm.vmaList.overlapping(vaOf(page), vaOf(page) + len * 4096).map((vma) => ({ from: Math.max(0, vma.start / 4096 - vpnOf(page)), end: Math.min(len, vma.end / 4096 - vpnOf(page)) }));
    const flags = MremapFlag.MayMove | MremapFlag.Fixed | (keep ? MremapFlag.DontUnmap : 0);
    const result = mm.mremap(vaOf(page), len * 4096, newLen * 4096, flags, vaOf(to));
    let moved = parts.length;
    if (result < 0) {
      // Refused: nothing has changed, but for the end cut off a mapping that was to shrink. No memory for a table: the parts before have
      // moved, and the place meant for the one that could not is empty.
      moved = 0;
      if (result === -12 && newLen === len) while (moved < parts.length && mm.findVma(vaOf(to + parts[moved]!.from)) !== null) moved++;
      if (result === -12 && moved === parts.length) throw new Error('mremap of everything gives ENOMEM');
    } else if (result !== vaOf(to)) throw new Error(`mremap gives ${result}`);
    const before = new Model();
    for (let i = 0; i < len; i++) before.copyRow(model, page + i, page + i);
    for (const { from, end } of parts.slice(0, moved)) {
      for (let i = from; i < end; i++) {
        if (keep) {
          model.empty(page + i);
          model.guarded[page + i] = 0;
        } else model.set(page + i, Kind.None, 0);
        if (i < newLen) model.copyRow(before, page + i, to + i);
      }
    }
    if (result < 0) {
      for (let i = 0; i < PAGES; i++) if (model.kind[i] !== Kind.None && mm.findVma(vaOf(i)) === null && ((i >= to && i < to + newLen) || (i >= page + newLen && i < page + len))) model.set(i, Kind.None, 0);
      return;
    }
    for (let i = len; i < newLen; i++) model.set(to + i, before.kind[page]!, before.prot[page]!, before.index[page]! + i, before.file[page]!);
  }
  /** In place. */
  private resize(process: Process): void {
    const { program: { mm }, model } = process;
    const { page, len } = this.range(process);
    const newLen = Math.max(1, len + this.random.below(40) - 20);
    if (page + newLen > ARENA) return;
    this.note('mremap in place', process, { page, len }, newLen);
    const result = mm.mremap(vaOf(page), len * 4096, newLen * 4096, 0, 0);
    if (result < 0) return;
    for (let i = newLen; i < len; i++) model.set(page + i, Kind.None, 0);
    for (let i = len; i < newLen; i++) model.set(page + i, model.kind[page]!, model.prot[page]!, model.index[page]! + i, model.file[page]!);
  }
  private moveBreak({ program: { mm }, model }: Process): void {
    const pages = this.random.below(HEAP);
    this.note('brk', null, null, mm.id, pages);
    const old = (mm.brkEnd - HEAP_VPN * 4096) / 4096;
    const result = mm.brk((HEAP_VPN + pages) * 4096);
    if (result !== (HEAP_VPN + pages) * 4096) {
      if (this.strained && result === (HEAP_VPN + old) * 4096) return;
      throw new Error(`brk gives ${result}`);
    }
    for (let i = pages; i < old; i++) model.set(ARENA + i, Kind.None, 0);
    for (let i = old; i < pages; i++) model.set(ARENA + i, Kind.Anon, Prot.Read | Prot.Write);
  }
  private growStack({ program, model }: Process): void {
    const page = ARENA + HEAP + this.random.below(STACK);
    this.note('stack', null, null, program.mm.id, page);
    const result = program.read(vaOf(page));
    if (result !== FaultResult.Done) this.mayLackMemory();
    for (let i = page; i < PAGES; i++) if (model.kind[i] === Kind.None && program.mm.findVma(vaOf(i)) !== null) model.set(i, Kind.Anon, Prot.Read | Prot.Write);
  }
  private truncate(): void {
    const pages = this.random.below(FILE_PAGES + 1);
    const which = this.random.below(2);
    this.note('truncate', null, null, pages, which);
    const file = this.files[which]!;
    file.mapping!.space.truncate(pages * 4096);
    file.pages = pages;
    file.bytes.fill(0, pages);
    for (const { model } of this.processes) for (let page = 0; page < PAGES; page++) if (model.kind[page]! >= Kind.SharedFile && model.file[page] === which && model.index[page]! >= pages) model.own[page] = NO_COPY;
  }
  /** Something under tight limits, or where little may be promised. */
  private strain(process: Process): void {
    const { system: { params: { vm }, memTotalBytes } } = this;
    const { mm } = process.program;
    const { limits } = mm;
    const usual = { ...limits };
    const [modes, ratio] = [vm.overcommit_memory, vm.overcommit_ratio];
    this.strained = true;
    switch (this.random.below(6)) {
      case 0: limits.as = (mm.totalVm + this.random.below(200) - 50) * 4096; break;
      case 1: limits.data = (mm.dataVm + this.random.below(100) - 20) * 4096; break;
      case 2: limits.memlock = this.random.below(3) * this.random.below(300) * 4096; break;
      case 3: limits.stack = this.random.below(STACK) * 4096; break;
      case 4: vm.overcommit_memory = 1; break;
      default:
        vm.overcommit_memory = 2;
        vm.overcommit_ratio = Math.floor(Math.max(0, ((this.system.committedPages + this.random.below(300) - 50) * 4096 * 100) / memTotalBytes));
    }
    const operations = [this.mapAnon, this.mapAnon, this.mapFile, this.mapShared, this.protect, this.protect, this.lock, this.resize, this.moveBreak, this.growStack, this.fork] as const;
    operations[this.random.below(operations.length)]!.call(this, process);
    this.last += ` with ${JSON.stringify(limits)}, overcommit ${vm.overcommit_memory} ${vm.overcommit_ratio}`;
    for (const { program } of this.processes) Object.assign(program.mm.limits, usual); // a child has inherited them
    [vm.overcommit_memory, vm.overcommit_ratio] = [modes, ratio];
    this.strained = false;
  }
  private fork(parent: Process): void {
    this.note('fork', parent, null);
    if (this.processes.length >= MAX_PROCESSES) return;
    const mm = dupMm(parent.program.mm);
    if (mm === null) return this.mayLackMemory();
    mm.activate();
    const model = new Model();
    for (let page = 0; page < PAGES; page++) {
      const flags = parent.program.mm.findVma(vaOf(page))?.flags ?? 0;
      if ((flags & VmFlag.DontCopy) !== 0) continue;
      model.copyRow(parent.model, page, page);
      if ((flags & VmFlag.WipeOnFork) === 0) continue;
      model.empty(page);
      model.guarded[page] = 0;
    }
    this.processes.push({ program: new Program(mm), model });
  }
  private exit(): void {
    this.note('exit', null, null);
    const [gone] = this.processes.splice(this.random.below(this.processes.length), 1);
    gone!.program.mm.dispose();
    this.untilFailure = Infinity;
    if (this.processes.length === 0) this.startProcess();
  }

  // What must hold.

  /** The ends of a range that mmap or mprotect has just made: whatever may merge there has, as long as no anonymous page was ever in it. */
  private checkMerged({ program: { mm } }: Process, range: Range): void {
    for (const va of [vaOf(range.page), vaOf(range.page + range.len - 1) + 4096]) {
      const left = mm.findVma(va - 4096);
      const right = mm.findVma(va);
      if (left !== null && right !== null && left !== right && left.anonVma === null && right.anonVma === null && canMerge(left, right)) throw new Error(`the VMAs that meet at 0x${va.toString(16)} should be one`);
    }
  }
  /** Every page of every program: there or not, its rights, its byte. Looks at frames, so that looking faults nothing in. */
  compareAll(): void {
    for (const process of this.processes) this.compare(process, { page: 0, len: PAGES });
  }
  private readonly byte = new Uint8Array(1);
  private compare({ program, model }: Process, range: Range): void {
    for (let page = range.page; page < range.page + range.len; page++) {
      const vma = program.mm.findVma(vaOf(page));
      if ((vma === null) !== (model.kind[page] === Kind.None)) throw new Error(`page ${page} ${vma === null ? 'is not mapped' : 'is mapped'}`);
      if (vma === null) continue;
      if ((vma.flags & 7) !== model.prot[page]) throw new Error(`page ${page} has rights ${vma.flags & 7}, should have ${model.prot[page]}`);
      if (isGuardMarker(program.mm.tables.rawLow(vpnOf(page))) !== (model.guarded[page] === 1)) throw new Error(`page ${page} ${model.guarded[page] === 1 ? 'has lost its guard' : 'has a guard'}`);
      const frame = program.frame(vaOf(page));
      const wanted = this.expected(model, page);
      const low = program.mm.tables.pmdLeaf(vpnOf(page)) === 0 ? program.mm.tables.get(vpnOf(page)) : 0;
      if (isSwapPte(low)) this.compareSwapped(model, page, low);
      else if (frame === 0 && model.own[page] === NO_COPY && vma.file?.space.isSwapped(vma.pgoffOf(vaOf(page))) === true) this.compareSwappedFile(model, page, shmemEntry(vma.file.space, vma.pgoffOf(vaOf(page))));
      else if (frame === 0 || wanted === null) {
        if (frame === 0 && wanted !== null && wanted !== 0 && model.own[page] !== NO_COPY && model.lazy[page] === 0) throw new Error(`page ${page} has lost its ${wanted}`);
      }
      if (frame === 0 || wanted === null) continue;
      const byte = this.byteAt(frame);
      const mayBeZero = model.own[page] !== NO_COPY ? model.lazy[page] === 1 : this.fileOf(model, page).loose.has(model.index[page]!);
      if (byte !== wanted && !(mayBeZero && byte === 0)) throw new Error(`page ${page} holds ${byte}, should hold ${wanted}`);
    }
  }
  /** What is in swap is there as it was, whether the program may read it or not. */
  private compareSwapped(model: Model, page: number, low: number): void {
    const byte = swappedByte(this.system, low, 5);
    const own = model.own[page]!;
    if (byte === null) throw new Error(`page ${page} cannot be read from swap`);
    if (own === NO_COPY ? model.kind[page] !== Kind.PrivateFile : byte !== own && !(model.lazy[page] === 1 && byte === 0)) throw new Error(`page ${page} holds ${byte} in swap, should hold ${own}`);
  }
  /** The same of a file in memory, as far as it goes. */
  private compareSwappedFile(model: Model, page: number, entry: number): void {
    const { loose } = this.fileOf(model, page);
    const index = model.index[page]!;
    const byte = slotByte(this.system, entry, 5);
    if (!this.isBeyond(model, page) && byte !== this.fileByte(model, page) && !(loose.has(index) && byte === 0)) throw new Error(`page ${index} of a file holds ${byte} in swap, should hold ${this.fileByte(model, page)}`);
  }
  /** Everybody exits, the file goes: all frames must be back. */
  end(): void {
    this.last = 'the end';
    for (const pfn of this.held) this.system.releasePage(pfn);
    this.held.length = 0;
    for (const { program } of this.processes) program.mm.dispose();
    this.processes.length = 0;
    for (const { mapping } of this.files) mapping?.space.release();
    this.background.end();
    // What was on its way when its owner went is in the swap cache still.
    settle(this.system);
    reclaimCached(this.system);
    this.system.check();
    if (this.system.swap.freePages !== this.system.swap.totalPages) throw new Error(`${this.system.swap.totalPages - this.system.swap.freePages} slots of swap have leaked`);
    const groups = [...this.system.memcg];
    if (groups.length > 1) throw new Error(`groups are charged for what nobody has: ${groups.map(({ path, usage, swapUsage }) => `${path} ${usage} pages ${swapUsage} slots`).join(', ')}`);
    const free = this.system.freeBytes / 4096;
    if (free !== this.freeAtBoot) throw new Error(`${this.freeAtBoot - free} frames have leaked`);
  }
}

/** @throws what went wrong, with the operation and the command that does it again */
export function storm(seed: number, setting: Setting, operations: number): World {
  const world = new World(seed, setting);
  let at = 0;
  try {
    for (; at < operations; at++) {
      world.step();
      if (at % 32 === 0) world.compareAll();
    }
    world.compareAll();
    world.end();
  } catch (error) {
    throw new Error(`operation ${at}, ${world.last}: ${(error as Error).message}\n  again: QUIRE_STORM=${at + 1} QUIRE_SEED=${seed} npx vitest run test/fuzz/mm-storm.test.ts -t '${stormName(setting).replaceAll(/[[\]]/g, '.')}'`, { cause: error });
  }
  return world;
}
export const stormName = ({ orders, memmap, swap, disk, zswap, lru }: Setting): string =>
  `orders [${orders.join(' ')}], ${memmap} bytes a frame${swap === undefined ? '' : `, ${swap} pages of swap${disk === undefined ? '' : ` on ${disk}`}`}${zswap === undefined ? '' : ` behind zswap of ${zswap} %`}${lru === undefined ? '' : `, ${lru}`}`;
