// A run as tracks: processes and their threads, threads of the kernel, the hart, disks. Here: which tracepoints become slices and which instants, and on
// whose track. Not here: what a track is (tracks.ts), faults and their phases (fault-slices.ts), counters (run-counters.ts), formats.
import { tracepoints } from '#base';
import type { Tracepoint } from '#base';
import { errnoName, faultKinds, FaultResult, kernelThreads, rwbs, syscallName, syscallTable } from '#kernel';
import type { Task } from '#kernel';
import type { Session } from '../boot.ts';
import { RunCounters } from './run-counters.ts';
import { FaultSlices } from './fault-slices.ts';
import { Tracks } from './tracks.ts';
import type { Arg, Track, TrackWriter } from './tracks.ts';
import { placeOf } from './perf.ts';

/** Events that begin and end a slice of whoever works then. */
const pairs = [
  ['mm_vmscan_direct_reclaim_begin', 'mm_vmscan_direct_reclaim_end', 'direct reclaim'],
  ['mm_vmscan_memcg_reclaim_begin', 'mm_vmscan_memcg_reclaim_end', 'memcg reclaim'],
  ['mm_compaction_begin', 'mm_compaction_end', 'compaction'],
  ['mm_migrate_pages_start', 'mm_migrate_pages', 'migrate pages'],
  ['writeback_start', 'writeback_written', 'writeback'],
] as const;
/** What is left out unless it is asked for: events that come for every page, and what slices tell already. */
const perPage = new Set(['mm_vmscan_write_folio', 'writeback_dirty_folio', 'block_bio_queue', 'block_bio_backmerge', 'block_bio_frontmerge', 'block_plug', 'block_unplug', 'set_migration_pte', 'remove_migration_pte']);
const usualSystems = new Set(['sched', 'raw_syscalls', 'exceptions', 'quire', 'vmscan', 'compaction', 'huge_memory', 'migrate', 'thp', 'oom', 'signal', 'writeback', 'block', 'readahead']);
/** Events of a trace for which none were named. */
export const usualEvents = (): Tracepoint[] => [...tracepoints().values()].filter((p) => usualSystems.has(p.system) && !perPage.has(p.name));

const COUNT_EVERY_INSTRS = 1_000_000;
const accesses = ['read', 'write', 'execute'];

export class RunTracks {
  /** The run is to be stopped at multiples of so many instructions, and looked at. */
  readonly everyInstrs = COUNT_EVERY_INSTRS;
  private readonly session: Session;
  private readonly writer: FaultSlices;
  private readonly target: TrackWriter;
  private readonly tracks: Tracks;
  private readonly counters: RunCounters;
  private readonly stops: (() => void)[];
  private readonly hart: Track;
  private readonly kernel: Track;
  private readonly kthreads = new Map<number, Track>();
  private readonly processes = new Map<Task['process'], Track>();
  private readonly threads = new Map<Task, Track>();
  private init: Track | null = null;
  /** The thread of the kernel that has the hart; null: none has. */
  private kthread: Track | null = null;
  /** Whose slice stands on the hart's track; null: nobody's. */
  private running: Track | null = null;
  private faultBegan = { ns: 0, args: [] as Arg[] };
  /** Slots of each disk's queue: the request that is in it, or ''. */
  private readonly slots = new Map<number, { key: string; track: Track }[]>();
  private readonly wants: ReadonlySet<string>;

  /** @param points the events to be told of */
  constructor(session: Session, target: TrackWriter, points: readonly Tracepoint[]) {
    this.session = session;
    this.target = target;
    this.writer = new FaultSlices(target);
    this.tracks = new Tracks(this.writer);
    this.wants = new Set(points.map(({ name }) => name));
    this.kernel = this.tracks.add({ kind: 'row', name: 'kernel' });
    this.hart = this.tracks.add({ kind: 'row', name: 'hart 0', parent: this.kernel });
    this.counters = new RunCounters(session, this.tracks, (track, ns, value) => { this.writer.counter(track, ns, value); });
    this.stops = this.listen();
    session.kernel.system.faults.start();
    this.count(true);
  }

  /** What was written since the last call. To be called after every step. */
  take(): Uint8Array | string {
    this.session.kernel.system.faults.take();
    if (this.session.instructions % COUNT_EVERY_INSTRS === 0) this.count(true);
    return this.target.take();
  }
  finish(): Uint8Array | string {
    for (const stop of this.stops) stop();
    this.session.kernel.system.faults.stop();
    this.count(true);
    this.tracks.close(this.now);
    this.target.onHart?.(null, this.now);
    return this.target.finish?.() ?? this.target.take();
  }
  private get now(): number {
    return this.session.kernel.uptimeNs();
  }

  private listen(): (() => void)[] {
    const special = new Map<string, (values: readonly number[]) => void>([
      ['sched_switch', (values) => { this.switched(values); }],
      ['sched_process_fork', (values) => { this.forked(values); }],
      ['sched_process_exec', (values) => { this.execed(values); }],
      ['sched_process_exit', (values) => { this.exited(values); }],
      ['sys_enter', (values) => { this.syscall(values); }],
      ['sys_exit', (values) => { this.syscallDone(values); }],
      ['fault_enter', (values) => { this.fault(values); }],
      ['fault_return', (values) => { this.faultDone(values); }],
      ['kthread_begin', ([thread = 0]) => { this.kthreadRuns(thread); }],
      ['kthread_end', () => { this.kthreadDone(); }],
      ['block_rq_issue', (values) => { this.issued(values); }],
      ['block_rq_complete', (values) => { this.completed(values); }],
    ]);
    for (const [begin, end, name] of pairs) {
      special.set(begin, (values) => { this.tracks.begin(this.here, this.now, systemOf(begin), name, argsOf(begin, values)); });
      special.set(end, (values) => { this.tracks.end(this.here, this.now, name, argsOf(end, values)); });
    }
    // Faults are asked for by Linux's names for their beginning.
    const wantsFaults = ['page_fault_user', 'page_fault_kernel', 'fault_enter', 'fault_return'].some((name) => this.wants.has(name));
    const isFault = ({ name }: Tracepoint): boolean => name === 'fault_enter' || name === 'fault_return';
    // Who is on the hart, and which thread is whose, must be known whatever was asked for.
    const always = new Set(['sched_switch', 'sched_process_fork', 'sched_process_exec', 'sched_process_exit', 'kthread_begin', 'kthread_end', ...pairs.flatMap(([begin, end]) => (this.wants.has(begin) || this.wants.has(end) ? [begin, end] : []))]);
    return [...tracepoints().values()].filter((p) => (isFault(p) ? wantsFaults : this.wants.has(p.name) || always.has(p.name))).map((p) => p.listen((point, values) => {
      if (point.system === 'exceptions') return; // fault_enter follows, which tells more
      const heard = special.get(point.name);
      if (heard !== undefined) heard(values);
      else this.writer.instant(this.here, this.now, point.system, point.name, argsOf(point.name, values));
      this.count();
    }));
  }
  private count(isForced = false): void {
    const live = [...this.processes].filter(([owner]) => owner.leader.hasMm).map(([owner, track]) => [track, owner.leader.mm.rssPages] as const);
    this.counters.look(this.now, live, isForced);
  }

  // Whose track?

  /** Of whoever works now. */
  private get here(): Track {
    if (this.kthread !== null) return this.kthread;
    const { current, first } = this.session.kernel;
    if (current !== null) return this.threadOf(current);
    return first === null ? this.initTrack : this.hart;
  }
  /** Before there is a program, init gets it ready. */
  private get initTrack(): Track {
    this.init ??= this.tracks.add({ kind: 'thread', name: 'init', pid: 1, tid: 1, parent: this.tracks.add({ kind: 'process', name: 'init', pid: 1, tid: 1 }) });
    return this.init;
  }
  private threadOf(t: Task): Track {
    const known = this.threads.get(t);
    if (known !== undefined) {
      this.tracks.rename(known, t.comm); // prctl(PR_SET_NAME)
      return known;
    }
    const { tgid } = t;
    const process = this.processes.get(t.process) ?? this.tracks.add({ kind: 'process', name: t.comm, pid: tgid, tid: tgid });
    this.processes.set(t.process, process);
    const track = this.tracks.add({ kind: 'thread', name: t.comm, pid: tgid, tid: t.tid, parent: process });
    this.threads.set(t, track);
    return track;
  }
  private trackOfTid(tid: number): Track | null {
    const t = this.session.kernel.tasks.get(tid);
    return t === undefined ? null : this.threadOf(t);
  }

  // Who has the hart.

  private onHart(track: Track | null): void {
    const { now } = this;
    this.tracks.endAll(this.hart, now);
    if (track !== null) this.tracks.begin(this.hart, now, 'sched', track.name, [{ name: 'tid', value: track.tid }]);
    this.writer.onHart(track, now);
  }
  private switched([, , next = 0]: readonly number[]): void {
    this.running = next === 0 ? null : this.trackOfTid(next);
    this.onHart(this.running);
  }
  private kthreadRuns(thread: number): void {
    const track = this.kthreads.get(thread) ?? this.tracks.add({ kind: 'row', name: kernelThreads[thread] ?? `kthread ${thread}`, parent: this.kernel });
    this.kthreads.set(thread, track);
    this.kthread = track;
    this.onHart(track);
    this.tracks.begin(track, this.now, 'kthread', track.name);
  }
  private kthreadDone(): void {
    if (this.kthread === null) return;
    this.tracks.endAll(this.kthread, this.now);
    this.kthread = null;
    this.onHart(this.running);
  }
  private forked([, child = 0]: readonly number[]): void {
    this.trackOfTid(child);
  }
  private execed([tid = 0]: readonly number[]): void {
    const t = this.session.kernel.tasks.get(tid) ?? this.session.kernel.current;
    if (t === null) return;
    this.threadOf(t);
    this.tracks.rename(this.processes.get(t.process)!, t.comm);
  }
  private exited([tid = 0]: readonly number[]): void {
    const t = this.session.kernel.tasks.get(tid);
    if (t === undefined) return;
    this.tracks.endAll(this.threadOf(t), this.now);
    this.threads.delete(t);
    if (t.isLeader) this.processes.delete(t.process);
  }

  // What a thread does.

  /** The trap and the work of telling calls apart were charged before the event. */
  private syscall([tid = 0, nr = 0, ...values]: readonly number[]): void {
    const { params: { cost } } = this.session.kernel;
    const kinds = syscallTable[nr]?.args.split(' ').filter((kind) => kind !== '') ?? values.map(() => 'hex');
    const args = kinds.map((kind, i): Arg => ({ name: `a${i} (${kind})`, value: values[i] ?? 0, isAddress: !/^(fd|int|pid|off|dirfd|uint|len|size|signo)$/.test(kind) }));
    const track = this.trackOfTid(tid);
    if (track !== null) this.tracks.begin(track, Math.floor(this.session.machine.clockCycles - cost.trap - cost.syscall), 'syscall', syscallName(nr) ?? `syscall_${nr}`, args);
  }
  private syscallDone([tid = 0, nr = 0, ret = 0]: readonly number[]): void {
    const track = this.trackOfTid(tid);
    const error = ret < 0 && ret > -4096 ? [{ name: 'error', value: errnoName(-ret) }] : [];
    if (track !== null) this.tracks.end(track, this.now, syscallName(nr) ?? `syscall_${nr}`, [{ name: 'ret', value: ret }, ...error]);
  }
  private fault([, address = 0, ip = 0, access = 0, from = 0, tried = 0]: readonly number[]): void {
    const { faults, params } = this.session.kernel.system;
    const trap = from === 0 && tried === 0 ? params.cost.trap : 0;
    this.faultBegan = { ns: Math.floor(this.session.machine.clockCycles - trap), args: [
      { name: 'address', value: address, isAddress: true }, { name: 'ip', value: ip, isAddress: true }, { name: 'access', value: accesses[access]! }, { name: 'place', value: placeOf(this.session, address) },
    ] };
    this.writer.hold(this.here, () => faults.current?.phases.length ?? 0);
  }
  private faultDone([, , kind = 0, result = 0, major = 0]: readonly number[]): void {
    const { last } = this.session.kernel.system.faults;
    if (last === null || !this.writer.isHolding) return;
    const what = result === FaultResult.Retry ? 'waits for I/O' : faultKinds[kind]!;
    const args = [...this.faultBegan.args, { name: 'result', value: resultNames[result] ?? `${result}` }, { name: 'major', value: major }];
    this.writer.release(this.faultBegan.ns, `page fault (${what})`, args, last);
  }

  // Disks: a request is a slice on a slot of the disk's queue, for requests overlap.

  private issued([major = 0, minor = 0, sector = 0, nr = 0, code = 0, bytes = 0]: readonly number[]): void {
    const disk = major * 256 + minor;
    const slots = this.slots.get(disk) ?? [];
    this.slots.set(disk, slots);
    let slot = slots.find(({ key }) => key === '');
    if (slot === undefined) {
      const name = this.session.kernel.system.disks.find((each) => each.major === major && each.minor === minor)?.name ?? `disk ${major}:${minor}`;
      slot = { key: '', track: this.tracks.add({ kind: 'row', name: `${name} slot ${slots.length}`, parent: this.kernel }) };
      slots.push(slot);
    }
    slot.key = `${sector} ${nr} ${code}`;
    this.tracks.begin(slot.track, this.now, 'block', `${rwbs(code, true)} ${bytes} bytes`, [{ name: 'sector', value: sector }, { name: 'for', value: this.here.name }]);
  }
  private completed([major = 0, minor = 0, sector = 0, nr = 0, code = 0, error = 0]: readonly number[]): void {
    const slot = this.slots.get(major * 256 + minor)?.find(({ key }) => key === `${sector} ${nr} ${code}`);
    if (slot === undefined) return;
    slot.key = '';
    this.tracks.endAll(slot.track, this.now);
    if (error !== 0) this.writer.instant(slot.track, this.now, 'block', `error ${error}`, []);
  }
}

const resultNames = Object.keys(FaultResult);
const systemOf = (name: string): string => tracepoints().get(name)?.system ?? '';
function argsOf(name: string, values: readonly number[]): Arg[] {
  return (tracepoints().get(name)?.fields ?? []).map((field, i) => ({ name: field.name, value: values[i] ?? 0, isAddress: field.kind !== 'dec' }));
}
