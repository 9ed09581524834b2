// A disk: the queue before it, what it is working on, and when that ends. Here: plugging, merging, which request is next, completion in order
// of time, what /proc/diskstats counts. Not here: how long anything takes (latency.ts), where the bytes are (image.ts).
// Mirrors block/blk-core.c, blk-merge.c, blk-mq.c; the choice of the next request is that of `none` (first come) where nothing moves, and
// where an arm does it goes upwards from where it stands, as mq-deadline does, with its expiry times.
//
// The device's time is its own: what ends at cycle 1000 makes room for the next request at 1000, even if the kernel looks only at 5000.
import { bug } from '#base';
import type { StateHash } from '#base';
import type { IoClock } from '../mm/folio-wait.ts';
import { VmItem } from '../mm/events.ts';
import type { AddressSpace } from '../mm/filemap.ts';
import type { MmSystem } from '../mm/system.ts';
import { Errno } from '../syscall/errno.ts';
import { type Bio, BioOp, type PhysRange, SECTOR_BYTES } from './bio.ts';
import type { DiskImage } from './image.ts';
import { type DiskLatency, seekNs } from './latency.ts';
import { blockBioBackmerge, blockBioFrontmerge, blockBioQueue, blockPlug, blockRqComplete, blockRqIssue, blockSplit, blockUnplug, rwbsOf } from './trace.ts';

/** What the queue allows; /sys/block/vda/queue. */
export interface QueueLimits {
  /** Most a request moves. Linux's default cap (BLK_DEF_MAX_SECTORS: 1280 kB). */
  maxSectorsKb: number;
  readonly maxHwSectorsKb: number;
  /** Most pieces of RAM of a request: virtio_blk's 254. */
  readonly maxSegments: number;
  /** Pages that are read ahead at most, in kB (VM_READAHEAD_PAGES). */
  readAheadKb: number;
}

/** How long a request waits at most before it goes first, on a disk with an arm (read_expire, write_expire of mq-deadline). */
const READ_EXPIRE_NS = 500e6;
const WRITE_EXPIRE_NS = 5e9;

/** Part of a bio that one request serves: [offset, offset + lenBytes) of its bytes. */
interface Piece { readonly bio: Bio; readonly offset: number; readonly lenBytes: number }

interface Request {
  readonly op: BioOp;
  sector: number;
  lenBytes: number;
  nrSegments: number;
  readonly pieces: Piece[];
  readonly queuedAt: number;
  issuedAt: number;
  endsAt: number;
}

/** Columns of /proc/diskstats for one kind of request. Times are sums over requests, from queue to end. */
export interface OpStats { ios: number; merges: number; sectors: number; ns: number }

export class BlockDevice implements IoClock {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  readonly image: DiskImage;
  readonly latency: DiskLatency;
  readonly limits: QueueLimits = { maxSectorsKb: 1280, maxHwSectorsKb: 2 ** 21, maxSegments: 254, readAheadKb: 128 };
  /** By BioOp. */
  readonly stats: readonly OpStats[] = [0, 1, 2, 3].map(() => ({ ios: 0, merges: 0, sectors: 0, ns: 0 }));
  /** Nanoseconds in which some request was under way. */
  busyNs = 0;
  /** Bios submitted, and pieces of RAM that they named: the articles' claim about ranges is bios and segments per byte. */
  bios = 0;
  segments = 0;
  /** The page cache of the device itself, in which a mounted file system keeps its metadata. */
  cache: AddressSpace | null = null;
  private readonly system: MmSystem;
  private plugDepth = 0;
  private readonly plugged: Request[] = [];
  private readonly queue: Request[] = [];
  private readonly inFlight: Request[] = [];
  /** Pieces that are still to end, by bio, where a bio was cut in more than one. */
  private readonly cut = new Map<Bio, number>();
  /** The cycle at which the link is free. */
  private linkFreeAt = 0;
  /** The sector after the last one moved: where the arm stands. */
  private headSector = 0;
  private busySince = 0;
  /** Bytes on their way between image and RAM; images keep none of what they are given. */
  private bounce = new Uint8Array(4096);

  constructor(system: MmSystem, image: DiskImage, latency: DiskLatency, name = 'vda', major = 254, minor = 0) {
    this.system = system;
    this.image = image;
    this.latency = latency;
    this.name = name;
    this.major = major;
    this.minor = minor;
  }
  get nrSectors(): number {
    return Math.floor(this.image.sizeBytes / SECTOR_BYTES);
  }
  get isReadOnly(): boolean {
    return this.image.isReadOnly;
  }
  /** Requests that have not ended: queued and under way. */
  get nrPending(): number {
    return this.plugged.length + this.queue.length + this.inFlight.length;
  }

  // Into the queue.

  /** Takes a bio. It ends later, as the clock goes on; at once, with -EIO, where it cannot be done at all. Mirrors submit_bio(). */
  submit(bio: Bio): void {
    const { machine, params, vmstat } = this.system;
    machine.charge(params.cost.bio);
    this.bios++;
    this.segments += bio.ranges.length;
    const last = bio.sector + bio.nrSectors;
    const isRefused = this.isReadOnly && bio.op !== BioOp.Read && bio.op !== BioOp.Flush;
    if (isRefused || bio.lenBytes % SECTOR_BYTES !== 0 || bio.sector < 0 || last > this.nrSectors) {
      this.endBio(bio, -Errno.EIO);
      return;
    }
    if (blockBioQueue.enabled) blockBioQueue.emit(this.major, this.minor, bio.sector, bio.nrSectors, rwbsOf(bio));
    if (bio.op === BioOp.Read) vmstat.add(VmItem.pgpgin, bio.lenBytes / 1024);
    if (bio.op === BioOp.Write) vmstat.add(VmItem.pgpgout, bio.lenBytes / 1024);
    if (this.latency.synchronous !== 0) {
      this.moveNow(bio);
      return;
    }
    const pieces = this.cutBio(bio);
    if (pieces.length > 1) this.cut.set(bio, pieces.length);
    for (const piece of pieces) this.enqueue(piece);
    if (this.plugDepth === 0) this.dispatch(machine.clockCycles);
  }
  /** No queue, no requests: the processor copies, for as long as that takes. Mirrors pmem_submit_bio(). */
  private moveNow(bio: Bio): void {
    const { machine } = this.system;
    const { op, lenBytes } = bio;
    const ns = this.accessNs(op, bio.sector) + this.transferNs(op, lenBytes);
    machine.charge(ns);
    this.headSector = bio.sector + bio.nrSectors;
    const stats = this.stats[op]!;
    stats.ios++;
    stats.sectors += bio.nrSectors;
    stats.ns += ns;
    this.busyNs += ns;
    this.endBio(bio, this.move({ bio, offset: 0, lenBytes }) ? 0 : -Errno.EIO);
  }
  /** From the start of a request to its first byte; all of it for one without bytes. */
  private accessNs(op: BioOp, sector: number): number {
    const { latency } = this;
    if (op === BioOp.Flush) return latency.flushNs;
    if (op === BioOp.Discard) return latency.discardNs;
    return (op === BioOp.Read ? latency.readNs : latency.writeNs) + seekNs(latency, this.headSector, sector, this.nrSectors);
  }
  private transferNs(op: BioOp, lenBytes: number): number {
    if (op === BioOp.Flush || op === BioOp.Discard) return 0;
    return Math.ceil((lenBytes * 1e9) / (op === BioOp.Read ? this.latency.readBytesPerSecond : this.latency.writeBytesPerSecond));
  }
  /** Holds requests back, so that neighbours find each other. Nests. Mirrors blk_start_plug(). */
  plug(): void {
    if (this.plugDepth++ === 0 && blockPlug.enabled) blockPlug.emit();
  }
  unplug(): void {
    if (this.plugDepth === 0) bug('unplug of a disk that is not plugged');
    if (--this.plugDepth > 0) return;
    this.flushPlug();
  }
  kick(): void {
    if (this.plugged.length > 0) this.flushPlug();
  }
  private flushPlug(): void {
    if (this.plugged.length > 0 && blockUnplug.enabled) blockUnplug.emit(this.plugged.length);
    this.queue.push(...this.plugged.splice(0));
    this.dispatch(this.system.machine.clockCycles);
  }
  /** Goes forward in time until the bio has ended, with nothing else running. @returns its error */
  wait(bio: Bio): number {
    while (!bio.isDone) if (!this.system.waits.passTime()) bug('a bio is waited for that no disk works on');
    return bio.error;
  }

  /** What one request can take of a bio. Mirrors bio_split_rw(): a piece ends at a sector. */
  private cutBio(bio: Bio): Piece[] {
    const most = this.limits.maxSectorsKb * 1024;
    const isWhole = bio.lenBytes <= most && bio.ranges.length <= this.limits.maxSegments;
    if (isWhole || bio.op === BioOp.Flush || bio.op === BioOp.Discard) return [{ bio, offset: 0, lenBytes: bio.lenBytes }];
    const pieces: Piece[] = [];
    for (let at = 0; at < bio.lenBytes; ) {
      let lenBytes = Math.min(most, bio.lenBytes - at);
      while (segmentsOf(bio.ranges, at, lenBytes) > this.limits.maxSegments) lenBytes = Math.max(SECTOR_BYTES, Math.floor(lenBytes / 2 / SECTOR_BYTES) * SECTOR_BYTES);
      pieces.push({ bio, offset: at, lenBytes });
      at += lenBytes;
      if (at < bio.lenBytes && blockSplit.enabled) blockSplit.emit(this.major, this.minor, bio.sector, bio.sector + at / SECTOR_BYTES, rwbsOf(bio));
    }
    return pieces;
  }
  /** Joins a request that ends where the piece begins, or begins where it ends; else makes one. */
  private enqueue(piece: Piece): void {
    const { bio, offset, lenBytes } = piece;
    const sector = bio.sector + offset / SECTOR_BYTES;
    const nrSegments = segmentsOf(bio.ranges, offset, lenBytes);
    const list = this.plugDepth > 0 ? this.plugged : this.queue;
    if (bio.op === BioOp.Read || bio.op === BioOp.Write) {
      for (let i = list.length - 1; i >= 0; i--) {
        const request = list[i]!;
        // Nothing passes a flush.
        if (request.op === BioOp.Flush) break;
        if (request.op !== bio.op || request.lenBytes + lenBytes > this.limits.maxSectorsKb * 1024) continue;
        const isBack = request.sector + request.lenBytes / SECTOR_BYTES === sector;
        const isFront = sector + lenBytes / SECTOR_BYTES === request.sector;
        if (!isBack && !isFront) continue;
        const first = isBack ? lastRange(request.pieces.at(-1)!) : lastRange(piece);
        const second = isBack ? firstRange(piece) : firstRange(request.pieces[0]!);
        const joined = request.nrSegments + nrSegments - (touches(first, second) ? 1 : 0);
        if (joined > this.limits.maxSegments) continue;
        request.nrSegments = joined;
        request.lenBytes += lenBytes;
        if (isBack) request.pieces.push(piece);
        else {
          request.pieces.unshift(piece);
          request.sector = sector;
        }
        this.stats[bio.op]!.merges++;
        const point = isBack ? blockBioBackmerge : blockBioFrontmerge;
        if (point.enabled) point.emit(this.major, this.minor, sector, lenBytes / SECTOR_BYTES, rwbsOf(bio));
        return;
      }
    }
    list.push({ op: bio.op, sector, lenBytes, nrSegments, pieces: [piece], queuedAt: this.system.machine.clockCycles, issuedAt: 0, endsAt: 0 });
  }

  // To the device.

  /** Gives the device what it can work on from `now` on. */
  private dispatch(now: number): void {
    while (this.queue.length > 0 && this.inFlight.length < this.latency.channels) {
      const at = this.nextInQueue(now);
      if (at < 0) return;
      const request = this.queue[at]!;
      this.queue.splice(at, 1);
      this.issue(request, now);
    }
  }
  /** The place of the next request; -1: a flush waits for what is under way. */
  private nextInQueue(now: number): number {
    // A flush comes after everything before it and before everything behind it.
    if (this.inFlight.some((request) => request.op === BioOp.Flush)) return -1;
    const barrier = this.queue.findIndex((request) => request.op === BioOp.Flush);
    if (barrier === 0) return this.inFlight.length === 0 ? 0 : -1;
    const candidates = barrier < 0 ? this.queue : this.queue.slice(0, barrier);
    if (this.latency.fullSeekNs === 0) return 0;
    const expired = candidates.findIndex((request) => now - request.queuedAt > (request.op === BioOp.Read ? READ_EXPIRE_NS : WRITE_EXPIRE_NS));
    if (expired >= 0) return expired;
    // Upwards from where the arm stands, then again from the lowest.
    let best = -1;
    for (const [i, { sector }] of candidates.entries()) {
      const ahead = sector >= this.headSector;
      const bestAhead = best >= 0 && candidates[best]!.sector >= this.headSector;
      if (best < 0 || (ahead && !bestAhead) || (ahead === bestAhead && sector < candidates[best]!.sector)) best = i;
    }
    return best;
  }
  private issue(request: Request, now: number): void {
    const { op, sector, lenBytes } = request;
    if (this.inFlight.length === 0) this.busySince = now;
    request.issuedAt = now;
    const access = this.accessNs(op, sector);
    if (op === BioOp.Flush || op === BioOp.Discard) request.endsAt = now + access;
    else {
      this.linkFreeAt = Math.max(now + access, this.linkFreeAt) + this.transferNs(op, lenBytes);
      request.endsAt = this.linkFreeAt;
      this.headSector = sector + lenBytes / SECTOR_BYTES;
    }
    // In order of end, then of issue.
    let at = this.inFlight.length;
    while (at > 0 && this.inFlight[at - 1]!.endsAt > request.endsAt) at--;
    this.inFlight.splice(at, 0, request);
    if (blockRqIssue.enabled) blockRqIssue.emit(this.major, this.minor, sector, lenBytes / SECTOR_BYTES, rwbsOf(request.pieces[0]!.bio), lenBytes);
  }

  // The end.

  get deadline(): number {
    return this.inFlight[0]?.endsAt ?? Infinity;
  }
  complete(): void {
    const { machine } = this.system;
    for (let request = this.inFlight[0]; request !== undefined && request.endsAt <= machine.clockCycles; request = this.inFlight[0]) {
      this.inFlight.shift();
      const stats = this.stats[request.op]!;
      stats.ios++;
      stats.sectors += request.lenBytes / SECTOR_BYTES;
      stats.ns += request.endsAt - request.queuedAt;
      if (this.inFlight.length === 0) this.busyNs += request.endsAt - this.busySince;
      const errors = request.pieces.map((piece) => (this.move(piece) ? 0 : -Errno.EIO));
      // The device goes on by itself before anybody hears of the end.
      this.dispatch(request.endsAt);
      if (blockRqComplete.enabled) {
        const error = errors.find((e) => e !== 0) ?? 0;
        blockRqComplete.emit(this.major, this.minor, request.sector, request.lenBytes / SECTOR_BYTES, rwbsOf(request.pieces[0]!.bio), error);
      }
      for (const [i, { bio }] of request.pieces.entries()) this.endPiece(bio, errors[i]!);
    }
  }
  /** The bytes of a piece go between image and RAM. @returns false: the medium failed */
  private move({ bio, offset, lenBytes }: Piece): boolean {
    const { image, system: { machine } } = this;
    if (bio.op === BioOp.Flush) return image.flush();
    const start = bio.sector * SECTOR_BYTES + offset;
    if (bio.op === BioOp.Discard) return image.write(start, new Uint8Array(lenBytes));
    if (this.bounce.length < lenBytes) this.bounce = new Uint8Array(lenBytes);
    const bytes = this.bounce.subarray(0, lenBytes);
    if (bio.op === BioOp.Read && !image.read(start, bytes)) return false;
    let at = 0;
    for (const { pfn, offset: inFrame, lenBytes: nr } of rangesOf(bio.ranges, offset, lenBytes)) {
      const part = bytes.subarray(at, at + nr);
      if (bio.op === BioOp.Read) machine.writeFrame(pfn, inFrame, part);
      else machine.readFrame(pfn, inFrame, part);
      at += nr;
    }
    return bio.op === BioOp.Read || image.write(start, bytes);
  }
  private endPiece(bio: Bio, error: number): void {
    if (error !== 0) bio.error = error;
    const left = this.cut.get(bio);
    if (left !== undefined && left > 1) {
      this.cut.set(bio, left - 1);
      return;
    }
    this.cut.delete(bio);
    this.endBio(bio, bio.error);
  }
  private endBio(bio: Bio, error: number): void {
    bio.error = error;
    bio.isDone = true;
    bio.end?.endBio(bio);
  }

  hash(into: StateHash): void {
    into.numbers([this.linkFreeAt, this.headSector, this.busyNs, this.busySince, this.plugDepth, this.bios, this.limits.maxSectorsKb, this.limits.readAheadKb]);
    for (const { ios, merges, sectors, ns } of this.stats) into.numbers([ios, merges, sectors, ns]);
    for (const { op, sector, lenBytes, queuedAt, endsAt } of [...this.plugged, ...this.queue, ...this.inFlight]) into.numbers([op, sector, lenBytes, queuedAt, endsAt]);
  }

  // Files.

  private get statColumns(): number[] {
    const ms = (ns: number): number => Math.floor(ns / 1e6);
    const [read, write, flush, discard] = this.stats as [OpStats, OpStats, OpStats, OpStats];
    const columns = (s: OpStats): number[] => [s.ios, s.merges, s.sectors, ms(s.ns)];
    const now = this.inFlight.length > 0 ? this.system.machine.clockCycles - this.busySince : 0;
    const total = this.stats.reduce((sum, s) => sum + s.ns, 0);
    return [...columns(read), ...columns(write), this.nrPending, ms(this.busyNs + now), ms(total), ...columns(discard), flush.ios, ms(flush.ns)];
  }
  /** The line of /proc/diskstats. */
  diskstatsLine(): string {
    return `${`${this.major}`.padStart(4)} ${`${this.minor}`.padStart(7)} ${this.name} ${this.statColumns.join(' ')}\n`;
  }
  /** The text of /sys/block/vda/stat: the same in columns of eight. */
  statText(): string {
    return `${this.statColumns.map((n) => `${n}`.padStart(8)).join(' ')}\n`;
  }
}

/** The part [offset, offset + lenBytes) of some ranges. */
function* rangesOf(ranges: readonly PhysRange[], offset: number, lenBytes: number): Generator<PhysRange> {
  let start = 0;
  for (const range of ranges) {
    const from = Math.max(offset, start);
    const to = Math.min(offset + lenBytes, start + range.lenBytes);
    if (from < to) yield { pfn: range.pfn, offset: range.offset + from - start, lenBytes: to - from };
    start += range.lenBytes;
  }
}
const PAGE = 4096;
const startOf = ({ pfn, offset }: PhysRange): number => pfn * PAGE + offset;
const touches = (a: PhysRange, b: PhysRange): boolean => startOf(a) + a.lenBytes === startOf(b);
/** Pieces of RAM: ranges that follow each other count once. */
function segmentsOf(ranges: readonly PhysRange[], offset: number, lenBytes: number): number {
  if (ranges.length === 1) return 1;
  let count = 0;
  let before: PhysRange | null = null;
  for (const range of rangesOf(ranges, offset, lenBytes)) {
    if (before === null || !touches(before, range)) count++;
    before = range;
  }
  return count;
}
/** Most pieces are a bio of one range. */
const isOneRange = ({ bio, lenBytes }: Piece): boolean => bio.ranges.length === 1 && lenBytes === bio.lenBytes;
const firstRange = (piece: Piece): PhysRange => (isOneRange(piece) ? piece.bio.ranges[0] : [...rangesOf(piece.bio.ranges, piece.offset, piece.lenBytes)][0]) ?? bug('a piece without bytes');
const lastRange = (piece: Piece): PhysRange => (isOneRange(piece) ? piece.bio.ranges[0] : [...rangesOf(piece.bio.ranges, piece.offset, piece.lenBytes)].at(-1)) ?? bug('a piece without bytes');
