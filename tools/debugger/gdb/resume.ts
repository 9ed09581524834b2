// Letting the program run, and why it stopped. Here: what vCont, bs and bc ask for, who may run meanwhile, from stops of the timeline to stop replies.
// Not here: packets (stub.ts), where breakpoints are (points.ts).
//
// gdb wants to stand where nothing is half done. What happens inside the kernel (a fork, an execve, an end) is therefore noted there and reported from
// the next instruction of whoever runs; a signal from the instruction that it came at, before the kernel has begun with it, so that registers
// can be changed and the signal kept away. A watchpoint is reported before the access, in whichever direction the run goes: gdb steps over it itself.
import { bug, utf8Encode } from '#base';
import type { Tracepoint } from '#base';
import { kernelInfo, schedProcessExec, schedProcessExit, schedProcessFork, schedSwitch, sendToTask, sigBit, signalDeliver } from '#kernel';
import type { Process, Task } from '#kernel';
import { comparePlaces } from '../timeline.ts';
import type { Place, Stop, Timeline, Until } from '../timeline.ts';
import { toHex, wordHex } from './packets.ts';
import { type GdbPoints, PointType } from './points.ts';
import { GdbSignal, gdbSignal, linuxSignal } from './signals.ts';
import { FP_NUMBER, PC_NUMBER, registerOf, SP_NUMBER } from './target.ts';
import { covers } from './threads.ts';
import type { Inferiors, ThreadId } from './threads.ts';

export interface Action { readonly how: 'continue' | 'step'; /** gdb's number; 0: none. */ readonly signal: number; readonly thread: ThreadId }
export interface Plan { readonly direction: 'forward' | 'backward'; readonly actions: readonly Action[] }
/** Which events gdb wants to hear of. */
export interface Wanted { fork: boolean; vfork: boolean; exec: boolean; swbreak: boolean; hwbreak: boolean }

/** Milliseconds between looks at the socket. */
const PATIENCE_MS = 30;
const eventPoints: readonly Tracepoint[] = [schedProcessFork, schedProcessExec, schedProcessExit, signalDeliver];
const anywhere = (): boolean => true;

/** A signal that gdb was told of and has not answered: the thread that would take it next. */
interface Announced { readonly tid: number; readonly signo: number }

export class Resumption {
  readonly wanted: Wanted = { fork: false, vfork: false, exec: false, swbreak: false, hwbreak: false };
  /** Linux's numbers of signals that the program gets without gdb's being asked. */
  passed: ReadonlySet<number> = new Set();
  /** siginfo_t of the signal that it stands at; null: at none. */
  siginfo: Uint8Array | null = null;
  /** What ? answers. */
  last: string;
  /** Somebody pressed Ctrl-C, or closed the connection. */
  isInterrupted = false;
  /** Stop replies that are still to be given. */
  private readonly waiting: string[] = [];
  private plan: Plan | null = null;
  /** Where it went on the last time. */
  private from: Place | null = null;
  private announced: Announced | null = null;
  /** The program gets these on its way, in this order, without gdb's being asked: it was. */
  private delivering: Announced[] = [];
  /** Those that it got between the place that it stands at and the signal that gdb was told of: going on from here it gets them again. */
  private delivered: Announced[] = [];
  /** The thread that gdb thinks of as stopped. */
  private eventTid = 0;
  /** Parents that sleep until their child has another program, by the child's process. */
  private readonly vforks = new Map<number, number>();

  private readonly timeline: Timeline;
  private readonly inferiors: Inferiors;
  private readonly points: GdbPoints;

  constructor(timeline: Timeline, inferiors: Inferiors, points: GdbPoints) {
    this.timeline = timeline;
    this.inferiors = inferiors;
    this.points = points;
    this.last = '';
    this.last = this.stopped(GdbSignal.Trap, '');
  }
  get isRunning(): boolean {
    return this.plan !== null;
  }
  /** gdb has said how it names threads. */
  nameAnew(): void {
    this.last = this.stopped(GdbSignal.Trap, '');
  }

  /** The thread that the last stop was about; null: it is gone. */
  get eventTask(): Task | null {
    const task = this.taskOf(this.eventTid);
    return task !== null && this.inferiors.has(task.process) && task.process.threads.includes(task) ? task : this.inferiors.running;
  }

  start(plan: Plan): void {
    this.plan = plan;
    this.from = this.timeline.place;
    this.isInterrupted = false;
    const { announced } = this;
    this.announced = null;
    this.delivering = plan.direction === 'forward' ? this.delivered : [];
    this.delivered = [];
    this.siginfo = null;
    if (plan.direction === 'backward' || this.waiting.length > 0) return;
    this.settleSignals(plan, announced);
    this.hold();
  }
  /** gdb's answer to the signal it was told of, and signals of its own. */
  private settleSignals({ actions }: Plan, announced: Announced | null): void {
    for (const task of this.inferiors.tasks) {
      const signo = linuxSignal(actionFor(actions, task)?.signal ?? 0);
      const { tid } = task;
      if (announced?.tid === tid && announced.signo !== signo) this.edit((t) => { t.keptSignals |= sigBit(announced.signo); }, tid);
      if (signo === 0) continue;
      if (announced?.tid !== tid || announced.signo !== signo) this.edit((t, kernel) => { sendToTask(kernel, t, kernelInfo(signo)); }, tid);
      this.delivering.push({ tid, signo });
    }
  }
  private edit(change: (task: Task, kernel: Timeline['session']['kernel']) => void, tid: number): void {
    this.timeline.edit(({ kernel }) => {
      const task = kernel.tasks.get(tid);
      if (task !== undefined) change(task, kernel);
      if (task === kernel.current) kernel.interruptHart();
    });
  }

  // --- Who may run ---

  private mayRun(task: Task): boolean {
    return !this.inferiors.has(task.process) || this.plan === null || actionFor(this.plan.actions, task) !== null;
  }
  /** Lets those go that may run again. Who may not is held when it gets its turn, so that what needs no change stays the same run. */
  private hold(): void {
    const released = this.inferiors.tasks.filter((task) => task.isHeld && this.mayRun(task)).map(({ tid }) => tid);
    if (released.length > 0) this.setHeld(released, false);
    const { current } = this.timeline.session.kernel;
    if (current !== null && !this.mayRun(current)) this.holdOthers();
  }
  private holdOthers(): void {
    this.setHeld(this.inferiors.tasks.filter((task) => !this.mayRun(task)).map(({ tid }) => tid), true);
  }
  private setHeld(tids: readonly number[], isHeld: boolean): void {
    this.timeline.edit(({ kernel }) => {
      for (const tid of tids) {
        const task = kernel.tasks.get(tid);
        if (task !== undefined) task.isHeld = isHeld;
      }
      if (kernel.current?.isHeld === true) kernel.interruptHart();
    });
  }

  // --- Running ---

  /** Goes on for a while. @returns the stop reply; null: it still runs; 'input': it waits for standard input */
  run(): string | null | 'input' {
    const { plan } = this;
    if (plan === null) return bug('run() of a program that stands');
    const waiting = this.waiting.shift();
    if (waiting !== undefined) return this.report(waiting);
    if (this.timeline.stop.kind === 'exited') return this.report(this.endOfNext());
    if (plan.direction === 'backward') return this.report(this.goBack(plan));
    const stepping = this.inferiors.tasks.find((task) => actionFor(plan.actions, task)?.how === 'step');
    if (stepping !== undefined) return this.step(stepping.tid);
    const missed = this.missedBreakpoint();
    if (missed !== null) return this.report(missed);
    return this.isInterrupted ? this.report(this.stopped(GdbSignal.Int, '')) : this.arrive(this.timeline.forward({ ...this.question(), patienceMs: PATIENCE_MS }));
  }
  private report(reply: string): string {
    this.plan = null;
    if (this.announced === null) this.delivered = [];
    this.last = reply;
    return reply;
  }
  /** gdb steps over the breakpoint of the thread that it knows to stand at one. Another one may be about to run at one, too. */
  private missedBreakpoint(): string | null {
    const { current } = this.timeline.session.kernel;
    if (current === null || current.tid === this.eventTid || !this.inferiors.has(current.process)) return null;
    return this.atBreakpoint(current, this.pcOf(current));
  }
  private arrive(stop: Stop): string | null | 'input' {
    switch (stop.kind) {
      case 'interrupted': return null;
      case 'input': return this.isInterrupted ? null : 'input';
      case 'event': {
        if (stop.point !== schedSwitch) return this.report(this.atEvent(stop));
        this.timeline.stepInstructions(-1);
        this.holdOthers();
        return null;
      }
      default: return this.report(this.atPlace(stop));
    }
  }
  private question(): Until {
    const { session } = this.timeline;
    const points = new Set(eventPoints);
    const canHold = this.inferiors.tasks.some((task) => !this.mayRun(task) && !task.isHeld);
    if (canHold) points.add(schedSwitch);
    return { ...this.points.until(session), events: { points, at: (point, values) => this.wantsEvent(point, values) } };
  }
  private step(tid: number): string | null | 'input' {
    const { session } = this.timeline;
    const question = this.question();
    if (session.kernel.current?.tid !== tid) {
      const stop = this.timeline.forward({ ...question, instructions: () => session.kernel.current?.tid === tid, patienceMs: PATIENCE_MS });
      if (stop.kind !== 'instruction') return this.arrive(stop);
    }
    const stop = this.timeline.forward({ instructions: anywhere, ...(question.memory === undefined ? {} : { memory: question.memory }), events: question.events! });
    return stop.kind === 'instruction' ? this.report(this.stopped(GdbSignal.Trap, '', this.taskOf(tid))) : this.arrive(stop);
  }
  private goBack({ actions }: Plan): string {
    const isStep = actions.some(({ how }) => how === 'step');
    const stop = isStep ? this.timeline.stepInstructions(-1) : this.timeline.backward(this.points.until(this.timeline.session));
    if (stop.kind === 'start') return this.stopped(GdbSignal.Trap, 'replaylog:begin;');
    // The kernel's own access: to where the program goes on after it.
    if (this.timeline.place.phase >= 0) this.timeline.forward({ instructions: anywhere });
    return stop.kind === 'memory' ? this.stopped(GdbSignal.Trap, this.points.watchText(stop)) : this.atPlace(stop);
  }

  // --- From a stop to a reply ---

  private atPlace(stop: Stop): string {
    switch (stop.kind) {
      case 'pc': return this.atBreakpoint(this.timeline.session.kernel.current, stop.pc) ?? this.stopped(GdbSignal.Trap, '');
      case 'memory': {
        const text = this.points.watchText(stop);
        this.timeline.stepInstructions(-1);
        return this.stopped(GdbSignal.Trap, text);
      }
      case 'exited': return this.endOfNext();
      case 'deadlock': case 'input': return this.stopped(GdbSignal.Int, '');
      default: return this.stopped(GdbSignal.Trap, '');
    }
  }
  private atBreakpoint(task: Task | null, pc: number): string | null {
    const type = task === null ? null : this.points.breakAt(task.tgid, pc);
    if (type === null) return null;
    const isHardware = type === PointType.Hardware;
    const why = isHardware ? (this.wanted.hwbreak ? 'hwbreak:;' : '') : this.wanted.swbreak ? 'swbreak:;' : '';
    return this.stopped(GdbSignal.Trap, why, task);
  }
  private pcOf(task: Task): number {
    return Number(registerOf(PC_NUMBER)!.read(this.timeline.session, task));
  }
  /** T05swbreak:;thread:p2.2;02:...; @param task whose stop it is; null: whoever runs */
  private stopped(signal: number, why: string, task: Task | null = null): string {
    const thread = task ?? this.inferiors.running;
    if (thread === null) return `S${hex2(signal)}`;
    this.eventTid = thread.tid;
    const registers = !thread.hasMm ? '' : [SP_NUMBER, FP_NUMBER, PC_NUMBER]
      .map((number) => `${hex2(number)}:${wordHex(registerOf(number)!.read(this.timeline.session, thread), 8)};`).join('');
    return `T${hex2(signal)}${why}thread:${this.inferiors.name(thread)};${registers}`;
  }
  /** How the processes that gdb knows ended: the machine stops with the first one, and with it all of them. */
  private endOfNext(): string {
    const { kernel } = this.timeline.session;
    const [tgid] = this.inferiors.tgids;
    if (tgid === undefined) return 'W00';
    this.inferiors.remove(tgid);
    this.points.forget(tgid);
    const { status, signal } = kernel.exitStatus ?? { status: 0, signal: 0 };
    return tgid === kernel.first?.tgid ? this.ended(tgid, status, signal) : this.ended(tgid, 0, GdbSignal.Kill);
  }
  private ended(tgid: number, status: number, signal: number): string {
    const process = this.inferiors.isMultiprocess ? `;process:${tgid.toString(16)}` : '';
    return signal === 0 ? `W${hex2(status & 255)}${process}` : `X${hex2(gdbSignal(signal))}${process}`;
  }

  // --- Events of the kernel ---

  private taskOf(tid: number): Task | null {
    return this.timeline.session.kernel.tasks.get(tid) ?? null;
  }
  /** The child's process, if the event is the birth of one that gdb wants to hear of. */
  private bornOf([parentTid, childTid]: readonly number[]): Process | null {
    const [parent, child] = [this.taskOf(parentTid!), this.taskOf(childTid!)];
    if (parent === null || child === null || child.process === parent.process || !this.inferiors.has(parent.process)) return null;
    return (child.vforkQueue === null ? this.wanted.fork : this.wanted.vfork) ? child.process : null;
  }
  private wantsEvent(point: Tracepoint, values: readonly number[]): boolean {
    const { kernel } = this.timeline.session;
    switch (point) {
      case schedProcessFork: return this.bornOf(values) !== null;
      case schedProcessExec: {
        const task = this.taskOf(values[0]!);
        return task !== null && ((this.wanted.exec && this.inferiors.has(task.process)) || this.vforks.has(task.tgid));
      }
      case schedProcessExit: {
        const process = this.taskOf(values[0]!)?.process;
        if (process === undefined || process.threads.length > 1 || process === kernel.first) return false;
        return this.inferiors.has(process) || this.vforks.has(process.tgid);
      }
      case schedSwitch: {
        const next = this.taskOf(values[2]!);
        return next !== null && !this.mayRun(next);
      }
      case signalDeliver: {
        const task = kernel.current;
        const [signo] = values;
        if (task === null || signo === undefined || !this.inferiors.has(task.process) || this.passed.has(signo)) return false;
        const [next] = this.delivering;
        if (next?.tid !== task.tid || next.signo !== signo) return true;
        this.delivered.push(this.delivering.shift()!);
        return false;
      }
      default: return false;
    }
  }
  private atEvent({ point, values }: Extract<Stop, { kind: 'event' }>): string {
    if (point === signalDeliver) return this.atSignal(values[0]!);
    this.note(point, values);
    // On to where the program goes on; more may happen before that.
    for (;;) {
      const stop = this.timeline.forward({ instructions: anywhere, events: { points: new Set(eventPoints), at: (p, v) => p !== signalDeliver && this.wantsEvent(p, v) } });
      if (stop.kind === 'event') this.note(stop.point, stop.values);
      else break;
    }
    const [first, ...more] = this.noted.splice(0).map((make) => make());
    this.waiting.push(...more);
    return first ?? this.stopped(GdbSignal.Trap, '');
  }
  /** What is to be said of events, made when it is known where the program goes on. */
  private readonly noted: (() => string)[] = [];
  private note(point: Tracepoint, values: readonly number[]): void {
    const [tid] = values;
    const task = this.taskOf(tid!);
    if (task === null) return;
    const { tgid } = task;
    switch (point) {
      case schedProcessFork: {
        const child = this.bornOf(values)!;
        const isVfork = child.leader.vforkQueue !== null;
        if (isVfork) this.vforks.set(child.tgid, tid!);
        this.inferiors.add(child.tgid);
        this.points.copy(tgid, child.tgid);
        this.noted.push(() => this.stopped(GdbSignal.Trap, `${isVfork ? 'vfork' : 'fork'}:${this.inferiors.nameOf(child.tgid, child.leader.tid)};`, this.taskOf(tid!)));
        return;
      }
      case schedProcessExec: {
        this.vforkDone(tgid);
        if (!this.wanted.exec || !this.inferiors.has(task.process)) return;
        this.points.forget(tgid);
        this.noted.push(() => this.stopped(GdbSignal.Trap, `exec:${toHex(utf8Encode(task.mm.exePath))};`, this.taskOf(tid!)));
        return;
      }
      default: {
        this.vforkDone(tgid);
        if (!this.inferiors.has(task.process)) return;
        const status = task.process.groupExit ?? values[1]!;
        this.noted.push(() => {
          this.inferiors.remove(tgid);
          this.points.forget(tgid);
          return this.ended(tgid, status >> 8, status & 127);
        });
      }
    }
  }
  private vforkDone(tgid: number): void {
    const parent = this.vforks.get(tgid);
    if (parent === undefined) return;
    this.vforks.delete(tgid);
    this.noted.push(() => this.stopped(GdbSignal.Trap, 'vforkdone:;', this.taskOf(parent)));
  }
  /** Inside the kernel, which has just taken a signal for the task whose turn it is. */
  private atSignal(signo: number): string {
    const { tid, lastSiginfo } = this.timeline.session.kernel.current ?? bug('a signal for nobody');
    this.siginfo = lastSiginfo?.bytes.slice() ?? null;
    this.announced = { tid, signo };
    const { from } = this;
    this.timeline.stepInstructions(-1);
    if (from === null || comparePlaces(this.timeline.place, from) !== 0) this.delivered = [];
    return this.stopped(gdbSignal(signo), '', this.taskOf(tid));
  }
}

const hex2 = (n: number): string => n.toString(16).padStart(2, '0');
/** The first action that covers a thread; null: it is to stand still. */
const actionFor = (actions: readonly Action[], task: Task): Action | null => actions.find(({ thread }) => covers(thread, task)) ?? null;
