// The named TLB hierarchies: teaching ones, and real cores with what is published of them (riscv-mmu facts, section 13). Each says in
// `source` which figures are published and which are assumed.
import { UserError } from '#base';
import type { TlbDescription } from './description.ts';

const SV_PWC = { 1: 32, 2: 8, 3: 4, 4: 2 } as const;

const skylake: TlbDescription = {
  name: 'skylake',
  source: 'Intel Skylake. Published: L1 I 128 8-way 4K, L1 D 64 4-way 4K + 32 4-way 2M + 4 1G, L2 1536 12-way. Assumed: tree-PLRU in L1, LRU in L2, 8 cycles for an L2 hit, page-walk caches of 32/8/4/2, walk costs.',
  l1i: { arrays: [
    { entries: 128, ways: 8, pageSizes: ['4K'], replacement: 'plru' },
    { entries: 8, ways: 8, pageSizes: ['2M'], replacement: 'plru' },
  ], hitCycles: 0 },
  l1d: { arrays: [
    { entries: 64, ways: 4, pageSizes: ['4K'], replacement: 'plru' },
    { entries: 32, ways: 4, pageSizes: ['2M'], replacement: 'plru' },
    { entries: 4, ways: 4, pageSizes: ['1G'], replacement: 'plru' },
  ], hitCycles: 0 },
  l2: { arrays: [{ entries: 1536, ways: 12, pageSizes: ['4K', '2M'], replacement: 'lru' }], hitCycles: 8 },
  inclusion: 'neither', pwc: SV_PWC, walkCycles: 5, pteReadCycles: 12,
};

const all: readonly TlbDescription[] = [skylake];

export const DEFAULT_PRESET = 'skylake';
export const presets = (): readonly TlbDescription[] => all;

/** @throws UserError for an unknown name */
export function presetNamed(name: string): TlbDescription {
  const found = all.find((p) => p.name === name);
  if (found === undefined) throw new UserError(`--preset ${name}: no such preset. There are ${all.map((p) => p.name).join(', ')}.`);
  return found;
}
