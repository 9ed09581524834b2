// A run as a line on which one can go both ways. Here: what its users see of it: places, stops, the questions that can be asked of the way.
// Not here: how it is done (checkpoint.ts copies the machine, replay.ts runs it again).
//
// The machine is deterministic: its state at a place is what comes out when the inputs are run again up to there. Going back is therefore going
// forward from the nearest checkpoint before. Nobody who asks can tell the difference between a place that was come to forwards and backwards.
import type { Tracepoint } from '#base';
import type { FaultPhase, FaultRecord } from '#kernel';
import type { Session } from '../boot.ts';

/** A place in a run, in the order of the run. Between two instructions, or, with `inside`, in the kernel at a moment that it announced. */
export interface Place {
  /** Instructions retired since the machine began. */
  readonly instret: number;
  /** Indexed events since the machine began (events.ts lists the tracepoints that count); inside the kernel the last one counted is the one it stands at. */
  readonly event: number;
  /** Inside the kernel only: phases of the present fault that are closed. -1: not inside. */
  readonly phase: number;
  /** Inside, at a store to watched memory: the how manyth it is since the event and phase, of the watches that were set. */
  readonly store?: number;
}
/** In the order of the run: what happens in the kernel at an event comes before the program goes on after it. */
export const comparePlaces = (a: Place, b: Place): number => a.instret - b.instret || a.event - b.event || phaseOrder(a) - phaseOrder(b) || (a.store ?? 0) - (b.store ?? 0);
const phaseOrder = ({ phase }: Place): number => (phase < 0 ? Number.MAX_SAFE_INTEGER : phase);

/** Bytes of memory whose reads or writes are asked for: virtual ones of a process (mmId), or physical ones, which sees page tables and every alias. */
export interface MemoryWatch {
  readonly id: number;
  readonly space: { readonly mmId: number } | 'physical';
  readonly start: number;
  readonly lenBytes: number;
  readonly on: 'read' | 'write' | 'access' | 'change';
  /** Asked at each; false: as if it had not been. Absent: all are wanted. */
  readonly accepts?: (address: number, isWrite: boolean) => boolean;
}
/** A number that is looked at after every event and phase, and every call into the kernel: a field of a folio, a counter. */
export interface ValueWatch {
  readonly id: number;
  readonly read: (session: Session) => number;
  /** The table whose methods change it: with it a stop names the line that did. */
  readonly heldBy?: (session: Session) => object;
  /** Asked at each change; false: as if there had been none. Absent: all are wanted. */
  readonly accepts?: (before: number, after: number) => boolean;
}

/** Where a run shall stop. All that is given is asked at once; the first that holds stops it. */
export interface Until {
  /** Before the instruction at one of these addresses, in the task that `at` accepts. */
  readonly pcs?: { readonly addresses: ReadonlySet<number>; readonly at: (pc: number) => boolean };
  readonly memory?: readonly MemoryWatch[];
  readonly values?: readonly ValueWatch[];
  /** At an emission of a tracepoint, inside the kernel. Only those listed are asked about. */
  readonly events?: { readonly points: ReadonlySet<Tracepoint>; readonly at: (point: Tracepoint, values: readonly number[]) => boolean };
  /** When a phase of a fault is closed, inside the kernel. */
  readonly phases?: (fault: FaultRecord, phase: FaultPhase) => boolean;
  /** Before every instruction of the task that runs, when `at` says so: stepping by source line. Slow: one instruction at a time. */
  readonly instructions?: (pc: number) => boolean;
  /** No further than here. */
  readonly place?: Place;
  /** backward() only: what memory and values say was done on the way to the present place counts, though the place behind it is this one. */
  readonly orHere?: boolean;
  /** forward() only: no longer than so many milliseconds of the host's time; then it stops as 'interrupted', for the caller to look at keys and sockets,
   *  and can be called again. */
  readonly patienceMs?: number;
}

export type Stop =
  | { readonly kind: 'place' | 'start' | 'exited' | 'budget' | 'deadlock' | 'input' | 'interrupted' | 'instruction' }
  | { readonly kind: 'pc'; readonly pc: number }
  /** After the instruction (or in the kernel, after the store) that did it. `line`: where in the kernel's TypeScript, and from where it was called;
   *  null: a program did it. Reads of page tables are not seen. */
  | { readonly kind: 'memory'; readonly watch: MemoryWatch; readonly isWrite: boolean; readonly address: number; readonly line: string | null }
  /** `line`: with `isStore` the one that made the change, else where it was seen; null: it was seen as the program went on. */
  | { readonly kind: 'value'; readonly watch: ValueWatch; readonly before: number; readonly after: number; readonly line: string | null; readonly isStore: boolean }
  | { readonly kind: 'event'; readonly point: Tracepoint; readonly values: readonly number[] }
  | { readonly kind: 'phase'; readonly fault: FaultRecord; readonly phase: FaultPhase };

export interface Timeline {
  /** The machine at the present place, to be looked at; nothing of it may be changed but by edit(). Inside the kernel it is as it was in the middle of
   *  the work. */
  readonly session: Session;
  readonly place: Place;
  /** The fault under way, with the phases closed so far; null: none. */
  readonly fault: FaultRecord | null;
  /** Why the last move ended. */
  readonly stop: Stop;
  /** The last place that was ever reached; the end of the run, when it was. */
  readonly furthest: Place;

  /** On to the first place after this one at which `until` holds. */
  forward(until: Until): Stop;
  /** Back to the last place before this one at which `until` holds; else the start. */
  backward(until: Until): Stop;
  /** To a place of the run; beyond its end: the end. */
  seek(place: Place): Stop;
  /** Into the kernel at the emission of the n-th event of the run. */
  seekEvent(event: number): Stop;
  /** n instructions of whoever runs; negative: back. An instruction that traps is one step, to wherever the program goes on; a page fault belongs to the
   *  instruction that is tried again. Out of the kernel first, if it is inside: forwards to the instruction that is next, backwards, as the first
   *  step, to the one that trapped. */
  stepInstructions(n: number): Stop;
  /** A change from outside (a debugger's write to memory or registers); not inside the kernel. It is done again whenever the run comes by. From here on it is another run: what lay ahead is forgotten, what lies behind stays. */
  edit(change: (session: Session) => void): void;
  /** What the kernel answers when it does some work now, as reading a file is: everything that the work changes is put back. Not inside the kernel. */
  ask<T>(question: (session: Session) => T): T;
  /** Output of the program that was not shown yet; what runs again shows nothing twice. */
  takeOutput(): readonly { readonly fd: 1 | 2; readonly bytes: Uint8Array }[];
  /** What the kernel had to say to the user since the last call, as /dev/kmsg has it; nothing twice. */
  takeMessages(): readonly string[];
  /** Input for a stop of kind 'input'; none: its end. Part of the recording. */
  feed(bytes: Uint8Array): void;
  /** Ctrl-C at the program's terminal. Part of the recording. */
  interruptProgram(): void;
  /** No more of it: listeners go, disks are unmounted. */
  close(): void;
}
