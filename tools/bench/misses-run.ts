// What a miss costs on a machine without a kernel, under the default preset: loops over pages mapped in advance that hit L1, that miss it and hit L2, and
// that walk; and faults that are answered here and return. Prints JSON, nanoseconds of CPU time each. For engines.mjs.
import { asAsid, asPfn, asVpn } from '#base';
import type { Pfn } from '#base';
import { Cause, Machine } from '#cpu';
import type { MachineOptions } from '#cpu';
import { DEFAULT_PRESET, Pte, makePte, presetNamed } from '#mmu';

const CODE = 0x10000;
const DATA = 0x4000_0000;
/** Fit the default L1 D (64 entries); its L2 (1024); neither. */
const [L1_PAGES, L2_PAGES, WALK_PAGES] = [32, 512, 4096];
const ACCESSES = 4_000_000;
const FAULTS = 1_000_000;
const ASID = asAsid(1);
const [T0, T1, A0, A1, A2, A3] = [5, 6, 10, 11, 12, 13];

const machine = new Machine({ ramBytes: 64 * 2 ** 20, tlb: presetNamed(DEFAULT_PRESET), engine: process.argv[2] as NonNullable<MachineOptions['engine']> });
const root = machine.ram.firstPfn;
let next: number = root + 1;
const fresh = (): Pfn => asPfn(next++);
function leafTable(va: number): Pfn {
  let table = root;
  for (const level of [2, 1]) {
    const index = Math.floor(va / 2 ** (12 + 9 * level)) % 512;
    if (machine.pteLow(table, index) === 0) machine.storePte(table, index, makePte(fresh(), Pte.V), 0);
    table = asPfn(machine.pteLow(table, index) >>> 10);
  }
  return table;
}
const storeLeaf = (va: number, low: number): void => { machine.storePte(leafTable(va), Math.floor(va / 4096) % 512, low, 0); };
const USABLE = Pte.V | Pte.U | Pte.R | Pte.W | Pte.X | Pte.A | Pte.D;

const addi = (rd: number, rs1: number, imm: number): number => (imm << 20) | (rs1 << 15) | (rd << 7) | 0x13;
const add = (rd: number, rs1: number, rs2: number): number => (rs2 << 20) | (rs1 << 15) | (rd << 7) | 0x33;
const ld = (rd: number, rs1: number): number => (rs1 << 15) | (3 << 12) | (rd << 7) | 0x03;
/** Back by less than 32 bytes. */
const bnez = (rs1: number, offset: number): number => 0xfe000063 | (rs1 << 15) | (1 << 12) | ((offset & 0x1e) << 7) | (1 << 7);
const ECALL = 0x73;
/** do { t0 = a0; t1 = a1; do { load at t0; t0 += a3 } while (--t1) } while (--a2); ecall */
const program = [addi(T0, A0, 0), addi(T1, A1, 0), ld(7, T0), add(T0, T0, A3), addi(T1, T1, -1), bnez(T1, -12), addi(A2, A2, -1), bnez(A2, -28), ECALL];
const code = fresh();
machine.writeFrame(code, 0, new Uint8Array(Int32Array.from(program).buffer));
storeLeaf(CODE, makePte(code, USABLE));
// The bytes of a page lie a line behind those of the page before, so that the host's caches hold them all.
for (let i = 0; i < WALK_PAGES; i++) storeLeaf(DATA + 4096 * i, makePte(fresh(), USABLE));
machine.setAddressSpace(root, ASID);

function begin(pages: number, passes: number): void {
  machine.pc = BigInt(CODE);
  for (const [register, value] of [[A0, DATA], [A1, pages], [A2, passes], [A3, 4096 + 64]] as const) machine.x[register] = BigInt(value);
}
const nanoseconds = (started: NodeJS.CpuUsage, times: number): number => {
  const { user, system } = process.cpuUsage(started);
  return 1000 * (user + system) / times;
};
/** Nanoseconds for each turn of the loop over so many pages, less 64 bytes' worth of them. */
function timeLoop(pages: number): number {
  const run = (passes: number): void => {
    begin(pages, passes);
    for (;;) if (machine.run(1e9).kind === 0) break;
  };
  run(Math.ceil(ACCESSES / 4 / pages));
  const passes = Math.ceil(ACCESSES / pages);
  const started = process.cpuUsage();
  run(passes);
  return nanoseconds(started, passes * pages);
}
/** A fault at each turn: the page is mapped, the one before is taken away. */
function timeFaults(): number {
  const leaf = makePte(fresh(), USABLE);
  const pages = 64;
  for (let i = 0; i < pages; i++) storeLeaf(DATA + 4096 * i, 0);
  machine.fence(ASID, null);
  begin(pages - 1, 1e9);
  const table = leafTable(DATA);
  const dataVpn = DATA / 4096;
  let [before, started] = [0, process.cpuUsage()];
  for (let n = -FAULTS / 4; n < FAULTS; n++) {
    if (n === 0) started = process.cpuUsage();
    const exit = machine.run(1e9);
    if (exit.cause !== Cause.LoadPageFault) throw new Error(`trap ${exit.cause} at pc ${machine.pc.toString(16)}`);
    machine.storePte(table, before, 0, 0);
    machine.fence(ASID, asVpn(dataVpn + before));
    before = (exit.tvalLo - DATA) >> 12;
    machine.storePte(table, before, leaf, 0);
  }
  return nanoseconds(started, FAULTS);
}

const hit = timeLoop(L1_PAGES);
console.log(JSON.stringify({ l2Hit: timeLoop(L2_PAGES) - hit, walk: timeLoop(WALK_PAGES - 64) - hit, fault: timeFaults() }));
