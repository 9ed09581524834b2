// One run of a freestanding guest on a machine without a kernel: pages mapped in advance, write and exit done here. Prints JSON. For reference.mjs.
import { readFileSync } from 'node:fs';
import { asAsid, asPfn } from '#base';
import type { Pfn } from '#base';
import { Cause, Machine } from '#cpu';
import { DEFAULT_PRESET, Pte, makePte, presetNamed } from '#mmu';

const STACK_TOP = 0x80_0000;
const STACK_BYTES = 0x1_0000;
const PT_LOAD = 1;

const machine = new Machine({ ramBytes: 64 * 2 ** 20, tlb: presetNamed(DEFAULT_PRESET) });
const root = machine.ram.firstPfn;
let nextFrame: number = root + 1;

/** The frame of a page, made if it was not there, with its tables. */
function frameOf(va: number): Pfn {
  let table = root;
  for (const level of [2, 1, 0]) {
    const index = Math.floor(va / 2 ** (12 + 9 * level)) % 512;
    if (machine.pteLow(table, index) === 0) {
      machine.storePte(table, index, makePte(asPfn(nextFrame++), level > 0 ? Pte.V : Pte.V | Pte.R | Pte.W | Pte.X | Pte.U), 0);
    }
    table = asPfn(machine.pteLow(table, index) >>> 10);
  }
  return table;
}

const file = readFileSync(process.argv[2]!);
const header = new DataView(file.buffer, file.byteOffset, file.length);
const word = (at: number): number => Number(header.getBigUint64(at, true));
for (let i = 0; i < header.getUint16(56, true); i++) {
  const at = word(32) + 56 * i;
  if (header.getUint32(at, true) !== PT_LOAD) continue;
  const [offset, va, fileBytes, memoryBytes] = [word(at + 8), word(at + 16), word(at + 32), word(at + 40)];
  for (let page = va & ~4095; page < va + memoryBytes; page += 4096) {
    const from = Math.max(page, va);
    const to = Math.min(page + 4096, va + fileBytes);
    const frame = frameOf(page);
    if (to > from) machine.writeFrame(frame, from - page, file.subarray(offset + from - va, offset + to - va));
  }
}
for (let page = STACK_TOP - STACK_BYTES; page < STACK_TOP; page += 4096) frameOf(page);
machine.setAddressSpace(root, asAsid(1));
machine.x[2] = BigInt(STACK_TOP - 64);
machine.pc = header.getBigUint64(24, true);

let output = '';
const started = process.cpuUsage();
for (;;) {
  const exit = machine.run(10_000_000);
  if (exit.kind !== 0) continue;
  if (exit.cause !== Cause.EcallFromU) throw new Error(`trap ${exit.cause} at pc ${machine.pc.toString(16)}`);
  const [a1, a2, a7] = [11, 12, 17].map((r) => Number(machine.x[r]!));
  if (a7 === 93) break;
  const bytes = new Uint8Array(a2!);
  machine.readFrame(frameOf(a1! & ~4095), a1! & 4095, bytes);
  output += new TextDecoder().decode(bytes);
  machine.x[10] = BigInt(a2!);
  machine.pc += 4n;
}
const { user, system } = process.cpuUsage(started);
const { lookups, l1Misses } = machine.mmu.counters;
console.log(JSON.stringify({ output, instructions: machine.instret, cpuSeconds: (user + system) / 1e6, lookups: [...lookups], misses: [...l1Misses] }));
