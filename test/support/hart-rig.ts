// A whole machine without a kernel: pages mapped by hand, a program put into them. What the tests of the cpu room stand on.
import { asAsid, asPfn } from '#base';
import type { Pfn } from '#base';
import { EAGER, Machine, xName } from '#cpu';
import type { EngineName, Exit, Hotness } from '#cpu';
import { Pte, PteHigh, makePte } from '#mmu';
import type { TlbDescription } from '#mmu';
import { assembleAll } from './assemble.ts';

/** Four entries a side and an L2 that takes its victims' L1 copies with it: whatever a look-up can disturb, this disturbs. */
export const tinyInclusive: TlbDescription = {
  name: 'tiny-inclusive', source: 'made up for tests',
  l1i: { arrays: [{ entries: 2, ways: 2, pageSizes: ['4K'], replacement: 'lru' }], hitCycles: 0 },
  l1d: { arrays: [{ entries: 4, ways: 4, pageSizes: ['4K'], replacement: 'lru' }], hitCycles: 0 },
  l2: { arrays: [{ entries: 4, ways: 2, pageSizes: ['4K'], replacement: 'lru' }], hitCycles: 7 },
  inclusion: 'inclusive', pwc: { 1: 2 }, walkCycles: 3, pteReadCycles: 11,
};

const CAUSES = ['fetch misaligned', 'fetch access', 'illegal', 'breakpoint', 'load misaligned', 'load access', 'store misaligned', 'store access',
  'ecall', '', '', '', 'fetch page fault', 'load page fault', '', 'store page fault'];

export interface HartRig {
  readonly machine: Machine;
  readonly root: Pfn;
  /** Maps a page to a fresh frame, or to `pfn`. @param rights of r, w, x; 'd', 'a' and 'g' set those bits in advance */
  map(va: number, rights?: string, pfn?: Pfn): Pfn;
  /** Maps 2 MiB, or 1 GiB (level 2). */
  mapLarge(va: number, first: Pfn, rights: string, level?: 1 | 2): void;
  /** Maps a Svnapot region of 16 pages. */
  mapRegion(va: number, first: Pfn, rights: string): void;
  unmap(va: number): void;
  /** Writes bytes at a mapped address, as a kernel would. */
  write(va: number, bytes: Uint8Array): void;
  read(va: number, lenBytes: number): Uint8Array;
  /** Puts a program at an address (mapping its pages where they are not) and pc on it. */
  code(va: number, lines: readonly (string | number)[]): void;
  /** Sets registers by name. */
  set(registers: Readonly<Record<string, number | bigint>>): void;
  x(name: string): bigint;
  /** Runs and says how it ended: 'budget', or 'load page fault at 0x5000, pc 0x10004'. */
  run(budgetInstrs?: number): string;
}

export const showExit = (exit: Exit, machine: Machine): string => {
  if (exit.kind !== 0) return 'budget';
  const tval = (BigInt(exit.tvalHi >>> 0) << 32n) | BigInt(exit.tvalLo >>> 0);
  return `${CAUSES[exit.cause]} ${exit.cause === 2 ? 'bits' : 'at'} 0x${tval.toString(16)}, pc 0x${machine.pc.toString(16)}`;
};

const BITS = { r: Pte.R, w: Pte.W, x: Pte.X, a: Pte.A, d: Pte.D, g: Pte.G } as const;
const flagsOf = (rights: string): number => [...rights].reduce((n, c) => n | BITS[c as keyof typeof BITS], Pte.V | Pte.U);

export function hartRig(options: { tlb?: TlbDescription; svadu?: boolean; ramBytes?: number; engine?: EngineName; hotness?: Hotness; fuses?: boolean } = {}): HartRig {
  const machine = new Machine({ ramBytes: options.ramBytes ?? 16 * 2 ** 20, tlb: options.tlb ?? tinyInclusive, svadu: options.svadu ?? true, seed: 7, engine: options.engine ?? 'jit', hotness: options.hotness ?? EAGER, ...(options.fuses === undefined ? {} : { fuses: options.fuses }) });
  const root = machine.ram.firstPfn;
  let next: number = root + 1;
  const fresh = (): Pfn => asPfn(next++);
  const tableFor = (va: number, leafLevel: 0 | 1 | 2): Pfn => {
    let table = root;
    for (let level = 2; level > leafLevel; level--) {
      const index = Math.floor(va / 2 ** (12 + 9 * level)) % 512;
      if (machine.pteLow(table, index) === 0) machine.storePte(table, index, makePte(fresh(), Pte.V), 0);
      table = asPfn(machine.pteLow(table, index) >>> 10);
    }
    return table;
  };
  const leafTable = (va: number): Pfn => tableFor(va, 0);
  const indexOf = (va: number): number => Math.floor(va / 4096) % 512;
  const frameOf = (va: number): Pfn => asPfn(machine.pteLow(leafTable(va), indexOf(va)) >>> 10);
  machine.setAddressSpace(root, asAsid(1));
  const registers = new Map(Array.from({ length: 32 }, (_, n) => [xName(n), n]));

  const rig: HartRig = {
    machine, root,
    map(va, rights = 'rwx', pfn = fresh()) {
      machine.storePte(leafTable(va), indexOf(va), makePte(pfn, flagsOf(rights)), 0);
      return pfn;
    },
    mapLarge(va, first, rights, level = 1) { machine.storePte(tableFor(va, level), Math.floor(va / 2 ** (12 + 9 * level)) % 512, makePte(first, flagsOf(rights)), 0); },
    mapRegion(va, first, rights) {
      for (let i = 0; i < 16; i++) machine.storePte(leafTable(va), indexOf(va) + i, makePte(asPfn(first + 8), flagsOf(rights)), PteHigh.N);
    },
    unmap(va) { machine.storePte(leafTable(va), indexOf(va), 0, 0); },
    write(va, bytes) {
      for (let i = 0; i < bytes.length; i++) machine.writeFrame(frameOf(va + i), (va + i) % 4096, bytes.subarray(i, i + 1));
    },
    read(va, lenBytes) {
      const bytes = new Uint8Array(lenBytes);
      for (let i = 0; i < lenBytes; i++) machine.readFrame(frameOf(va + i), (va + i) % 4096, bytes.subarray(i, i + 1));
      return bytes;
    },
    code(va, lines) {
      const bytes = assembleAll(lines);
      for (let page = Math.floor(va / 4096); page <= Math.floor((va + bytes.length - 1) / 4096); page++) {
        if (machine.pteLow(leafTable(page * 4096), indexOf(page * 4096)) === 0) rig.map(page * 4096, 'rx');
      }
      rig.write(va, bytes);
      machine.pc = BigInt(va);
    },
    set(values) {
      for (const [name, value] of Object.entries(values)) machine.x[registers.get(name)!] = BigInt.asIntN(64, BigInt(value));
    },
    x: (name) => machine.x[registers.get(name)!]!,
    run: (budgetInstrs = 1000) => showExit(machine.run(budgetInstrs), machine),
  };
  return rig;
}
