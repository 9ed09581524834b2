// Walking up a stack: from one function's registers to its caller's, and so on. Here: four ways to do a step, the surest first: call frames of the
// file, the code between a function's beginning and where it stands, the chain of frame pointers, and, for files that say nothing, whatever on the
// stack looks like a return address. Not here: what call frames say (dwarf/frame.ts), names and lines (source.ts).
import { PAGE_SIZE } from '#base';
import { callBefore, findPrologue, readCode, walkCode } from './code-frame.ts';
import type { CodeFrameState, ReadMemory } from './code-frame.ts';
import type { ProgramSource } from './source.ts';

/** pc at [0], x1 to x31 at their numbers: the order in which the kernel keeps a task's registers. */
export type Registers = readonly bigint[];
const [RA, SP, FP] = [1, 2, 8] as const;

export interface StackFrame {
  readonly pc: number;
  /** An instruction of the call: of a caller the one before pc, for pc may already be another line's. */
  readonly lookup: number;
  /** What is known of its registers; those that its callees may have changed are as they left them. */
  readonly registers: Registers;
  /** How one came here from the frame below. 'guess': a word of the stack that looks like a return address. */
  readonly found: 'start' | 'signal' | 'call frames' | 'code' | 'frame pointer' | 'guess';
}
/** What is known of the code at an address: its executable, and what is to be added to the addresses in that. */
export interface CodeHome { readonly source: ProgramSource; readonly bias: number }
export interface UnwindInputs {
  readonly read: ReadMemory;
  /** Null: not in any file that is known. */
  readonly homeOf: (address: number) => CodeHome | null;
  readonly isCode: (address: number) => boolean;
}

/** How much of the stack is searched for what looks like a return address. */
const GUESS_BYTES = 4096;
/** A function that stands further than this behind the target of the call that came to it is another one. */
const MAX_FUNCTION_BYTES = 1 << 20;
/** li a7, 139; ecall: where a signal handler returns to. */
const SIGRETURN = [0x08b0_0893, 0x0000_0073] as const;
/** struct rt_sigframe: siginfo, ucontext up to its registers (128 + 176). */
const SIGFRAME_REGISTERS = 304;

/** The calls that led to where `registers` stand, the innermost first, as far as they can be told. */
export function unwind(registers: Registers, given: UnwindInputs, maxFrames = 64): StackFrame[] {
  const inputs = { ...given, read: byPages(given.read) };
  const pc = addressOf(registers[0]!);
  const frames: StackFrame[] = [{ pc, lookup: pc, registers, found: 'start' }];
  while (frames.length < maxFrames) {
    const frame = frames.at(-1)!;
    const caller = stepUp(frame, inputs, frames.length === 1 || frame.found === 'signal');
    // A stack that does not grow shorter is no stack; a leaf's caller has the same one.
    if (caller === null || caller.pc === 0) break;
    const [below, above] = [addressOf(frame.registers[SP]!), addressOf(caller.registers[SP]!)];
    if (caller.found !== 'signal' && (above < below || (above === below && frames.length > 1 && frame.found !== 'signal'))) break;
    frames.push(caller);
  }
  return frames;
}
/** Walks through code take two bytes at a time: a page is asked for once. */
function byPages(read: ReadMemory): ReadMemory {
  const pages = new Map<number, Uint8Array | null>();
  return (address, lenBytes) => {
    const offset = ((address % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE;
    if (offset + lenBytes > PAGE_SIZE) return read(address, lenBytes);
    let page = pages.get(address - offset);
    if (page === undefined) {
      page = read(address - offset, PAGE_SIZE);
      pages.set(address - offset, page);
    }
    return page === null ? null : page.subarray(offset, offset + lenBytes);
  };
}
const addressOf = (word: bigint): number => Number(BigInt.asUintN(64, word));

/** @param isInterrupted it stands between two instructions anywhere, not behind a call: ra may still hold its caller */
function stepUp(frame: StackFrame, inputs: UnwindInputs, isInterrupted: boolean): StackFrame | null {
  return bySignalFrame(frame, inputs) ?? byCallFrames(frame, inputs) ?? byKnownCode(frame, inputs, isInterrupted) ??
    byUnknownCode(frame, inputs, isInterrupted) ?? byFramePointer(frame, inputs) ?? byGuess(frame, inputs);
}
/** @param at where the return address was found; a caller stands behind a call of its own */
function caller(registers: bigint[], found: StackFrame['found'], { isCode }: UnwindInputs): StackFrame | null {
  const pc = addressOf(registers[0]!);
  if (!isCode(pc)) return null;
  return { pc, lookup: found === 'signal' ? pc : pc - 1, registers, found };
}
function wordAt(read: ReadMemory, address: number): bigint | null {
  const bytes = read(address, 8);
  return bytes === null ? null : new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true);
}

function bySignalFrame(frame: StackFrame, inputs: UnwindInputs): StackFrame | null {
  const code = inputs.read(frame.pc, 8);
  if (code === null) return null;
  const view = new DataView(code.buffer, code.byteOffset, 8);
  if (view.getUint32(0, true) !== SIGRETURN[0] || view.getUint32(4, true) !== SIGRETURN[1]) return null;
  const registers: bigint[] = [];
  const at = addressOf(frame.registers[SP]!) + SIGFRAME_REGISTERS;
  for (let i = 0; i < 32; i++) {
    const word = wordAt(inputs.read, at + 8 * i);
    if (word === null) return null;
    registers.push(word);
  }
  return caller(registers, 'signal', inputs);
}

function byCallFrames(frame: StackFrame, inputs: UnwindInputs): StackFrame | null {
  const home = inputs.homeOf(frame.lookup);
  const rules = home?.source.frameRulesAt(frame.lookup - home.bias) ?? null;
  const base = rules === null ? undefined : frame.registers[rules.cfaRegister];
  if (rules === null || rules.cfaRegister === 0 || base === undefined) return null;
  const cfa = addressOf(base + BigInt(rules.cfaOffset));
  const registers = [...frame.registers];
  for (const [register, rule] of rules.rules) {
    if (register === 0 || register > 31) continue;
    switch (rule.kind) {
      case 'offset': {
        const word = wordAt(inputs.read, cfa + rule.offset);
        if (word === null) return null;
        registers[register] = word;
        break;
      }
      case 'valueOffset': registers[register] = BigInt(cfa + rule.offset); break;
      case 'register': registers[register] = frame.registers[rule.register] ?? 0n; break;
      // Start-up code says so of ra: nobody called it.
      case 'undefined': registers[register] = 0n; break;
      default: break;
    }
  }
  registers[0] = registers[rules.returnRegister] ?? 0n;
  registers[SP] = BigInt(cfa);
  return caller(registers, 'call frames', inputs);
}

/** The code from the function's beginning to where it stands tells where ra went. */
function byKnownCode(frame: StackFrame, inputs: UnwindInputs, isInterrupted: boolean): StackFrame | null {
  const home = inputs.homeOf(frame.lookup);
  const known = home?.source.functionAt(frame.lookup - home.bias) ?? null;
  if (home === null || known === null) return null;
  const state = walkCode(inputs.read, known.start + home.bias, frame.pc);
  return state === null ? null : leave(frame, state, inputs, isInterrupted);
}
/** Registers of the caller, by what the code has done so far. */
function leave(frame: StackFrame, state: CodeFrameState, inputs: UnwindInputs, isInterrupted: boolean): StackFrame | null {
  const { read } = inputs;
  const [sp, fp] = [addressOf(frame.registers[SP]!), addressOf(frame.registers[FP]!)];
  const cfa = state.framePointer !== null ? fp + state.framePointer : state.depth === null ? null : sp + state.depth;
  // Behind a call ra is no longer the function's own return address: without a copy in memory there is none.
  if (cfa === null || (!state.saved.has(RA) && !isInterrupted)) return null;
  const registers = [...frame.registers];
  for (const [register, offset] of state.saved) {
    const word = wordAt(read, cfa + offset);
    if (word === null) return null;
    registers[register] = word;
  }
  registers[0] = registers[RA]!;
  registers[SP] = BigInt(cfa);
  return caller(registers, 'code', inputs);
}

/** Where no symbol says where the function begins, the call that came to it may, and a prologue before where it stands. What comes out must fit:
 *  the return address lies behind a call, and a call to a fixed place goes to this function. */
function byUnknownCode(frame: StackFrame, inputs: UnwindInputs, isInterrupted: boolean): StackFrame | null {
  const { read } = inputs;
  if (isInterrupted) {
    const call = callBefore(read, addressOf(frame.registers[RA]!));
    const state = call?.target === undefined || call.target === null || !isNear(call.target, frame.pc) ? null : walkCode(read, call.target, frame.pc);
    if (state !== null && !state.saved.has(RA)) return leave(frame, state, inputs, true);
  }
  for (let prologue = findPrologue(read, frame.pc); prologue !== null; prologue = findPrologue(read, prologue)) {
    const state = walkCode(read, prologue, frame.pc);
    const found = state === null || !state.saved.has(RA) ? null : leave(frame, state, inputs, isInterrupted);
    if (found === null) continue;
    const call = callBefore(read, found.pc);
    if (call !== null && (call.target === null || (isNear(call.target, frame.pc) && Math.abs(call.target - prologue) <= 64))) return found;
  }
  return null;
}
const isNear = (entry: number, pc: number): boolean => entry <= pc && pc - entry < MAX_FUNCTION_BYTES;

/** GCC and clang with -fno-omit-frame-pointer: s0 is the CFA, below it lie ra and the caller's s0. */
function byFramePointer(frame: StackFrame, inputs: UnwindInputs): StackFrame | null {
  const cfa = addressOf(frame.registers[FP]!);
  if (cfa <= addressOf(frame.registers[SP]!) || cfa % 16 !== 0) return null;
  const ra = wordAt(inputs.read, cfa - 8);
  const fp = wordAt(inputs.read, cfa - 16);
  if (ra === null || fp === null || callBefore(inputs.read, addressOf(ra)) === null) return null;
  const registers = [...frame.registers];
  [registers[0], registers[RA], registers[SP], registers[FP]] = [ra, ra, BigInt(cfa), fp];
  return caller(registers, 'frame pointer', inputs);
}

function byGuess(frame: StackFrame, inputs: UnwindInputs): StackFrame | null {
  const sp = addressOf(frame.registers[SP]!);
  for (let at = sp; at < sp + GUESS_BYTES; at += 8) {
    const word = wordAt(inputs.read, at);
    if (word === null) return null;
    const pc = addressOf(word);
    if (pc % 2 !== 0 || !inputs.isCode(pc) || readCode(inputs.read, pc) === null) continue;
    const call = callBefore(inputs.read, pc);
    if (call === null || (call.target !== null && !isNear(call.target, frame.pc))) continue;
    const registers = [...frame.registers];
    [registers[0], registers[RA], registers[SP]] = [word, word, BigInt(at + 8)];
    return caller(registers, 'guess', inputs);
  }
  return null;
}
