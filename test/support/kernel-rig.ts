// A machine with a kernel and one small guest of a few instructions: for tests of processes, signals, time and system calls. What a guest wants
// to tell, it writes to standard output as 64-bit words.
import { utf8Decode } from '#base';
import { DEFAULT_HOTNESS, Machine } from '#cpu';
import type { EngineName, Hotness, MachineOptions } from '#cpu';
import { Kernel, type HostInputs, type RunResult } from '#kernel/kernel.ts';
import { Console } from '#kernel/fs/console.ts';
import { defaultParams, type KernelParams } from '#kernel/params.ts';
import { presetNamed } from '#mmu';
import { call, DATA, go, guest, label, li, type Line, reg } from './guests.ts';

export interface RigOptions {
  ramBytes?: number;
  /** What the machine is, beside its RAM. */
  machine?: Partial<Omit<MachineOptions, 'ramBytes'>>;
  engine?: EngineName;
  hotness?: Hotness;
  params?: (params: KernelParams) => void;
  argv?: readonly string[];
  env?: readonly string[];
  files?: Readonly<Record<string, Uint8Array>>;
  host?: Partial<HostInputs>;
  /** What stdin holds; null: it stays open and empty. */
  input?: Uint8Array | null;
}
export interface Rig {
  kernel: Kernel;
  machine: Machine;
  console: Console;
  /** All that was written to standard output. */
  output(): Uint8Array;
  text(): string;
  /** The same as signed 64-bit words. */
  words(): bigint[];
  run(budgetInstrs?: number): RunResult;
}

/** Boots a kernel without a program. */
export function bootKernel(options: RigOptions = {}): Rig {
  const { ramBytes = 16 << 20, engine = 'jit', hotness = DEFAULT_HOTNESS } = options;
  const machine = new Machine({ ramBytes, tlb: presetNamed('4k-only'), engine, hotness, ...options.machine });
  const console = new Console({});
  const { input = new Uint8Array(0) } = options;
  if (input !== null) {
    console.feed(input);
    console.close();
  }
  const params = defaultParams();
  options.params?.(params);
  const kernel = new Kernel(machine, params, { console, seed: 1, epochSeconds: 1_700_000_000, hostname: 'quire', ...options.host });
  for (const [path, bytes] of Object.entries(options.files ?? {})) kernel.vfs.addFile(path, bytes);
  const chunks: Uint8Array[] = [];
  const output = (): Uint8Array => {
    for (const { fd, bytes } of console.takeOutput()) if (fd === 1) chunks.push(bytes.slice());
    return Buffer.concat(chunks);
  };
  return {
    kernel, machine, console, output,
    text: () => utf8Decode(output()),
    words() {
      const bytes = output();
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      return Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) => view.getBigInt64(8 * i, true));
    },
    run: (budgetInstrs = 10_000_000) => kernel.run(budgetInstrs),
  };
}

/** Boots and starts a guest made of these lines, as /guest. */
export function startGuest(lines: readonly Line[], options: RigOptions = {}): Rig {
  const rig = bootKernel({ ...options, files: { '/guest': guest(lines), ...options.files } });
  rig.kernel.start(options.argv ?? ['guest'], options.env ?? [], '/guest');
  return rig;
}
/** Runs a guest to its end. */
export function runLines(lines: readonly Line[], options: RigOptions = {}): Rig {
  const rig = startGuest(lines, options);
  const result = rig.run();
  if (result !== 'exited') throw new Error(`the guest did not end: ${result}; ${rig.kernel.log.join('; ')}`);
  return rig;
}

// --- Pieces of guests ---

export const Sys = {
  dup: 23, pipe2: 59, openat: 56, close: 57, read: 63, write: 64, ppoll: 73, exit: 93, exitGroup: 94, waitid: 95, setTidAddress: 96, futex: 98, nanosleep: 101, getitimer: 102,
  setitimer: 103, clockGettime: 113, schedYield: 124, kill: 129, tkill: 130, tgkill: 131, sigaltstack: 132, sigsuspend: 133, sigaction: 134,
  sigprocmask: 135, sigpending: 136, sigtimedwait: 137, sigreturn: 139, setpgid: 154, setsid: 157, prctl: 167, getpid: 172, getppid: 173, gettid: 178, munmap: 215, clone: 220, execve: 221, mmap: 222,
  wait4: 260, prlimit: 261, clone3: 435,
} as const;
export const SIGCHLD = 17;
/** Where emit() keeps its word: the end of the data page is the rig's. */
const SLOT = DATA + 0xff0;

/** Writes a register's value as a word to standard output. Changes a0, a1, a2, a7, t0. */
export const emit = (register: number = reg.a0): Line[] =>
  [...li(reg.t0, SLOT), ['sd', { rs1: reg.t0, rs2: register, imm: 0 }], ...call(Sys.write, 1, SLOT, 8)];
/** Writes the word at an address of the data page. */
export const emitWord = (offset: number): Line[] => call(Sys.write, 1, DATA + offset, 8);
/** Stores a number below 2^31 as a word of the data page. Changes t0, t1. */
export const put = (offset: number, value: number): Line[] =>
  [...li(reg.t0, DATA + offset), ...li(reg.t1, value), ['sd', { rs1: reg.t0, rs2: reg.t1, imm: 0 }]];
export const exit = (code: number): Line[] => call(Sys.exitGroup, code);
export const raiseSelf = (signo: number): Line[] => [['addi', { rd: reg.a7, rs1: 0, imm: Sys.getpid }], ['ecall'], ...li(reg.a1, signo), ['addi', { rd: reg.a7, rs1: 0, imm: Sys.kill }], ['ecall']];
/** fork(); the child runs `child`, which has to end, the parent goes on with the pid in a0. */
export const fork = (name: string, child: readonly Line[]): Line[] => [
  ...call(Sys.clone, SIGCHLD, 0, 0, 0, 0), go('bne', `${name}-parent`, { rs1: reg.a0, rs2: 0 }), ...child, label(`${name}-parent`),
];
/** Address of a label into a register. */
export const la = (rd: number, to: string): Line[] =>
  [['auipc', { rd, imm: 0 }], { to, name: 'addi', operands: { rd, rs1: rd } }, ['addi', { rd, rs1: rd, imm: 4 }]]; // the label is relative to the second
/** rt_sigaction: a handler at a label. Uses the data page from 0xf00. Changes what calls change, t0, t1. */
export const handle = (signo: number, at: string, flags = 4, mask = 0): Line[] => [
  ...la(reg.t1, at), ...li(reg.t0, DATA + 0xf00), ['sd', { rs1: reg.t0, rs2: reg.t1, imm: 0 }],
  ...put(0xf08, flags), ...put(0xf10, mask), ...call(Sys.sigaction, signo, DATA + 0xf00, 0, 8),
];
