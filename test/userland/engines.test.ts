// The three engines run whole programs, with a kernel: in pieces of any length they end in the same state, every counter in it, and have printed the same. In the
// default run each bundled workload is small, and runs on one machine by lot, translated in one of three ways; QUIRE_ENGINES_LONG=1 takes all of test/golden/workloads-qemu.json, and
// QUIRE_ENGINES_SEED=n another lot.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Prng, StateHash, asPfn, utf8Encode } from '#base';
import { DEFAULT_HOTNESS, EAGER } from '#cpu';
import type { EngineName, Hotness } from '#cpu';
import { presets } from '#mmu';
import { call, DATA, go, guest, label, li, reg } from '../support/guests.ts';
import type { Line } from '../support/guests.ts';
import { bootKernel, emitWord, exit, fork, handle, put, Sys } from '../support/kernel-rig.ts';
import type { RigOptions } from '../support/kernel-rig.ts';
import { randomTlb } from '../support/lockstep-world.ts';

const isLong = process.env['QUIRE_ENGINES_LONG'] !== undefined;
const SEED = Number(process.env['QUIRE_ENGINES_SEED'] ?? 1);
const bin = join(import.meta.dirname, '../../userland/bin');
const programs = Object.fromEntries(readdirSync(bin).filter((name) => !name.includes('.')).map((name) => [`/bin/${name}`, new Uint8Array(readFileSync(join(bin, name)))]));

const runs: readonly (readonly [name: string, engine: EngineName, hotness: Hotness, cuts: boolean])[] = [
  ['reference', 'reference', EAGER, false],
  ['interp', 'interp', EAGER, true],
  ['jit', 'jit', DEFAULT_HOTNESS, true],
  ['jit, eager', 'jit', { ...EAGER, batch: 4, blockStarts: 3, patienceInstrs: 5000 }, true],
  ['jit, short of memory', 'jit', { ...EAGER, batch: 3, blockStarts: 20, patienceInstrs: 20_000, stopsAsked: 2, calmInstrs: 1e9, maxBytes: 20_000 }, true],
];

/** Runs to the end. @returns status, output, and the hash of everything */
function runTo(path: string, argv: readonly string[], seed: number, options: RigOptions, [, engine, hotness, cuts]: (typeof runs)[number], settings: Readonly<Record<string, string>>): string {
  const rig = bootKernel({ ...options, engine, hotness });
  const { kernel, machine } = rig;
  for (const [file, value] of Object.entries(settings)) expect(kernel.vfs.writeWhole(file, utf8Encode(`${value}\n`)), file).toBe(0);
  kernel.start([...argv], ['PATH=/bin', 'HOME=/'], path);
  const chunks = new Prng(seed, `chunks ${engine}`);
  const budget = (): number => (cuts ? 1 + chunks.below([20, 3000, 100_000, 1_000_000][chunks.below(4)]!) : 50_000_000);
  for (;;) {
    const result = kernel.run(budget());
    if (result === 'exited') break;
    if (result !== 'budget') throw new Error(`${argv.join(' ')}: ended by ${result}`);
  }
  const hash = new StateHash();
  machine.hash(hash);
  kernel.hash(hash);
  machine.hashFrames(hash, Array.from({ length: machine.ram.nrFrames }, (_, i) => asPfn(machine.ram.firstPfn + i)));
  const { lookups, l1Misses } = machine.mmu.counters;
  const { status, signal } = kernel.exitStatus!;
  return `status ${status}, ${signal}; instructions ${machine.instret}, cycles ${machine.clockCycles}, lookups ${[...lookups]}, misses ${[...l1Misses]}, state ${hash.digest()}\n${Buffer.from(rig.output()).toString('latin1')}`;
}
function compare(path: string, argv: readonly string[], seed: number, options: RigOptions, settings: Readonly<Record<string, string>> = {}): string {
  const [first, interp, ...jits] = runs;
  const chosen = isLong ? [interp!, ...jits] : [interp!, jits[seed % jits.length]!];
  const expected = runTo(path, argv, seed, options, first!, settings);
  for (const run of chosen) expect(runTo(path, argv, seed, options, run, settings), `${run[0]}, QUIRE_ENGINES_SEED=${SEED}`).toBe(expected);
  return expected;
}

/** A machine and a kernel by lot. */
function lot(random: Prng): { machine: RigOptions['machine'] & object; settings: Record<string, string> } {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const thp = '/sys/kernel/mm/transparent_hugepage';
  return {
    machine: { tlb: random.below(2) === 0 ? randomTlb(random) : pick(presets()), sv: pick([39, 48, 57]), svadu: random.below(3) !== 0, seed: random.below(100) },
    settings: { [`${thp}/hugepages-64kB/enabled`]: pick(['always', 'never']), [`${thp}/hugepages-16kB/enabled`]: pick(['always', 'never', 'never']), [`${thp}/enabled`]: pick(['always', 'never']) },
  };
}

const small = ['hello', 'chase --nodes 2K --steps 9K', 'stride --bytes 1M --passes 30', 'gups --words 32K --updates 20K', 'stream --elements 2K', 'hashjoin --inner 2K --outer 4K',
  'btree --keys 1K --lookups 1K', 'bfs --nodes 2K', 'spmv --size 2K --per-row 4', 'mergesort --count 3K', 'kv --keys 100 --operations 1K', 'filescan --bytes 30K', 'filemap --bytes 256K --accesses 5K',
  'build --units 2 --lines 9', 'fragment --bytes 2M --then 1M --passes 9', 'sparse --bytes 32M --rounds 9', 'hotscan --cold 1M --uses 9', 'phases --window 256K --accesses 5K',
  'reclaim --size 1M --hot 256K --window 256K --touches 2K --verify 1', 'compute sha256 1', 'compute mixed 1'].map((words) => words.split(' '));
const golden = (JSON.parse(readFileSync(join(import.meta.dirname, '../golden/workloads-qemu.json'), 'utf8')) as { rows: { argv: string[] }[] }).rows.map(({ argv }) => argv);

describe('workloads', () => {
  test.each((isLong ? [...small, ...golden] : small).map((argv, i) => [argv.join(' '), argv, i] as const))('%s', (_, argv, i) => {
    const seed = SEED * 1000 + i;
    const { machine, settings } = lot(new Prng(seed, 'lot'));
    compare(`/bin/${argv[0]!}`, argv, seed, { ramBytes: isLong ? 256 << 20 : 32 << 20, files: programs, machine }, settings);
  }, 3600_000);
});

describe('signals and threads in the middle of loops', () => {
  const { a0, a1, a7, t0, t1, t2, s0, s1, ra } = reg;
  const s2 = 18, s3 = 19, s4 = 20, s5 = 21;
  const STACKS = 0x3000_0000;
  const [ALRM, USR1, KILL] = [14, 10, 9];
  const [lrScWord, sum, alarms, done, kills] = [0x400, 0x408, 0x410, 0x418, 0x420];
  /** Adds one to a word of the data page, as any number of threads may. */
  const increment = (offset: number, name: string): Line[] => [
    ...li(t0, DATA + offset), label(name), ['lr.d', { rd: t1, rs1: t0 }], ['addi', { rd: t1, rs1: t1, imm: 1 }], ['sc.d', { rd: t2, rs1: t0, rs2: t1 }], go('bne', name, { rs1: t2, rs2: 0 }),
  ];
  /** A loop over the page: loads, stores, floats that round. Its own registers and fcsr must survive whatever comes between. */
  const work = (name: string, counter: number, times: number, pointer: number): Line[] => [
    ...li(counter, times), ...li(pointer, DATA + 0x500), ['addi', { rd: s4, rs1: 0, imm: 3 }], ['fcvt.d.l', { rd: 1, rs1: s4, rm: 7 }],
    label(name), ['ld', { rd: s5, rs1: pointer, imm: 0 }], ['add', { rd: s5, rs1: s5, rs2: counter }], ['xor', { rd: s4, rs1: s4, rs2: s5 }], ['sd', { rs1: pointer, rs2: s5, imm: 0 }],
    ['fcvt.d.l', { rd: 2, rs1: counter, rm: 7 }], ['fdiv.d', { rd: 2, rs1: 2, rs2: 1, rm: 7 }], ['fadd.d', { rd: 3, rs1: 3, rs2: 2, rm: 7 }], ['fsd', { rs1: pointer, rs2: 3, imm: 8 }],
    ['addi', { rd: counter, rs1: counter, imm: -1 }], go('bne', name, { rs1: counter, rs2: 0 }),
    ...li(t0, DATA + sum), ['amoadd.d', { rd: 0, rs1: t0, rs2: s4 }],
  ];
  const timer = (us: number): Line[] => [...put(0x80, 0), ...put(0x88, us), ...put(0x90, 0), ...put(0x98, us), ...call(Sys.setitimer, 0, DATA + 0x80, 0)];
  const handler = (name: string, offset: number): Line[] => [
    label(name), ...li(t0, DATA + offset), ['ld', { rd: t1, rs1: t0, imm: 0 }], ['addi', { rd: t1, rs1: t1, imm: 1 }], ['sd', { rs1: t0, rs2: t1, imm: 0 }],
    ['csrrwi', { rd: 0, rs1: 1, imm: 2 }], ['fcvt.d.l', { rd: 1, rs1: t1, rm: 7 }], ['fdiv.d', { rd: 3, rs1: 1, rs2: 1, rm: 7 }], ['jalr', { rd: 0, rs1: ra, imm: 0 }],
  ];
  const lines: Line[] = [
    ...handle(ALRM, 'on-alarm'), ...handle(USR1, 'on-user'), ...call(Sys.mmap, STACKS, 65536, 3, 0x32, -1, 0), ...timer(31),
    // A thread beside this one, on the same words.
    ...call(Sys.clone, 0x10f00, STACKS + 8192, 0, 0, 0), go('bne', 'first', { rs1: a0, rs2: 0 }),
    ...li(s2, 900), label('thread'), ...increment(lrScWord, 'thread-sc'), ['addi', { rd: s2, rs1: s2, imm: -1 }], go('bne', 'thread', { rs1: s2, rs2: 0 }), ...work('thread-work', s2, 4000, s3),
    ...put(done, 1), ...call(Sys.exit, 0),
    label('first'), ...li(s0, 900), label('main'), ...increment(lrScWord, 'main-sc'), ['addi', { rd: s0, rs1: s0, imm: -1 }], go('bne', 'main', { rs1: s0, rs2: 0 }), ...work('main-work', s0, 4000, s1),
    label('join'), ...call(Sys.schedYield), ...li(t0, DATA + done), ['ld', { rd: t0, rs1: t0, imm: 0 }], go('beq', 'join', { rs1: t0, rs2: 0 }),
    ...timer(0), ...emitWord(lrScWord), ...emitWord(alarms), ...emitWord(sum),
    // A child that works until it is killed, and is sent signals meanwhile.
    ...fork('child', [label('child-again'), ...work('child-work', s0, 500, s1), go('jal', 'child-again', { rd: 0 })]),
    ['addi', { rd: s2, rs1: a0, imm: 0 }], ...li(s3, 40), label('send'), ...work('send-work', s0, 60, s1),
    ['addi', { rd: a0, rs1: s2, imm: 0 }], ...li(a1, USR1), ['addi', { rd: a7, rs1: 0, imm: Sys.kill }], ['ecall'], ['addi', { rd: s3, rs1: s3, imm: -1 }], go('bne', 'send', { rs1: s3, rs2: 0 }),
    ['addi', { rd: a0, rs1: s2, imm: 0 }], ...li(a1, KILL), ['addi', { rd: a7, rs1: 0, imm: Sys.kill }], ['ecall'], ...call(Sys.wait4, -1, DATA + 0x90, 0, 0), ...emitWord(0x90), ...emitWord(kills), ...exit(0),
    ...handler('on-alarm', alarms), ...handler('on-user', kills),
  ];
  const file = guest(lines);

  test.each([997, 100, 33, 7])('slices of %i instructions', (slice) => {
    const seed = SEED * 1000 + slice;
    const { machine } = lot(new Prng(seed, 'lot'));
    const result = compare('/guest', ['guest'], seed, { files: { '/guest': file }, machine, params: (params) => { params.vm.slice_instructions = slice; } });
    expect(result).toMatch(/^status 0, 0;/);
    const printed = Buffer.from(result.slice(result.indexOf('\n') + 1), 'latin1');
    const word = (i: number): number => Number(printed.readBigInt64LE(8 * i));
    // Both threads' increments, alarms on the way, a child that was killed, and the signals that reached it before.
    expect([word(0), word(3)]).toEqual([1800, KILL]);
    expect(word(1)).toBeGreaterThan(2);
    expect(printed.length).toBe(40);
  });
});
