// The named TLB hierarchies: a generic one and its coalescing variants, three for teaching, and real cores with what is published of them
// (riscv-mmu facts, section 13). Each says in `source` which figures are published, and by whom; what is not named there is assumed:
// replacement, page-walk caches, walk costs, and how large pages are kept, are published for almost no core.
import { UserError } from '#base';
import { withCoalescing } from './description.ts';
import type { PageSizeName, TlbArrayDescription, TlbDescription, TlbLevelDescription } from './description.ts';

type More = Partial<TlbArrayDescription>;
/** A set-associative array; `fully` has one set. */
const array = (entries: number, ways: number, pageSizes: readonly PageSizeName[], more: More = {}): TlbArrayDescription =>
  ({ entries, ways, pageSizes, replacement: 'lru', ...more });
const fully = (entries: number, pageSizes: readonly PageSizeName[], more: More = {}): TlbArrayDescription => array(entries, entries, pageSizes, more);
const level = (...arrays: TlbArrayDescription[]): TlbLevelDescription => ({ arrays, hitCycles: 0 });
const second = (hitCycles: number, ...arrays: TlbArrayDescription[]): TlbLevelDescription => ({ arrays, hitCycles });

const ALL: readonly PageSizeName[] = ['4K', '2M', '1G', '512G', '256T'];
const ALL_AND_16K: readonly PageSizeName[] = ['4K', '16K', '2M', '1G', '512G', '256T'];
const PLRU: More = { replacement: 'plru' };
/** AMD's transparent groups of four. */
const ZEN: More = { coalescing: 'zen' };
/** Arm's, beside the OS-marked regions, which Svnapot corresponds to. */
const ARM: More = { coalescing: 'zen', svnapot: true };

/** What is assumed where nothing is published: pointer caches of ChampSim's defaults, a walk of 5 cycles and 12 for each PTE read (an L2 data-cache hit). */
const ASSUMED = { inclusion: 'neither', pwc: { 1: 32, 2: 8, 3: 4, 4: 2 }, walkCycles: 5, pteReadCycles: 12 } as const;

const generic: TlbDescription = {
  name: 'generic', ...ASSUMED,
  source: 'No core: sizes in the middle of what RISC-V and Arm application cores have. Honours Svnapot. Everything assumed.',
  l1i: level(fully(32, ALL, { svnapot: true })), l1d: level(fully(64, ALL, { svnapot: true })),
  l2: second(8, array(1024, 8, ['4K', '2M'], { svnapot: true })),
};
const variant = (coalescing: 'zen' | 'colt-sa' | 'colt-fa' | 'clustered', what: string): TlbDescription => ({
  ...withCoalescing(generic, coalescing, 'strict', true), name: `generic-${coalescing}`,
  source: `The generic hierarchy with ${what}, strict A and D. Everything assumed.`,
});

/** Teaching. */
const teaching: readonly TlbDescription[] = [
  {
    name: '4k-only', ...ASSUMED,
    source: 'No core: every entry maps one 4K page, so that larger pages gain nothing but shorter walks.',
    l1i: level(fully(32, ['4K'])), l1d: level(fully(64, ['4K'])), l2: second(8, array(1024, 8, ['4K'])),
  },
  {
    name: 'ideal', ...ASSUMED,
    source: 'No core: so many entries of every size that only first touches and fences miss.',
    l1i: level(fully(4096, ALL, { svnapot: true })), l1d: level(fully(65536, ALL, { svnapot: true })), l2: null,
  },
  {
    name: 'tiny', source: 'No core: small enough to follow by hand. No page-walk cache, so that every walk reads every level.',
    l1i: level(fully(4, ALL, { svnapot: true })), l1d: level(fully(4, ALL, { svnapot: true })), l2: second(5, array(16, 4, ['4K', '2M'], { svnapot: true })),
    inclusion: 'neither', pwc: {}, walkCycles: 5, pteReadCycles: 10,
  },
];

const intel: readonly TlbDescription[] = [
  {
    name: 'skylake', ...ASSUMED,
    source: 'Intel Skylake. Published (several guides; DynamoRIO issue 6232 for L2): L1 D 64 4-way 4K, 32 4-way 2M, 4 of 1G; L2 1536 12-way, 4K and 2M. From one secondary source: L1 I 128 8-way, L2 hit 7 to 9 cycles. Assumed: 8 entries for 2M in L1 I, replacement, page-walk caches, walk costs.',
    l1i: level(array(128, 8, ['4K'], PLRU), fully(8, ['2M'], PLRU)),
    l1d: level(array(64, 4, ['4K'], PLRU), array(32, 4, ['2M'], PLRU), fully(4, ['1G'], PLRU)),
    l2: second(8, array(1536, 12, ['4K', '2M'])),
  },
  {
    name: 'golden-cove', ...ASSUMED,
    source: 'Intel Golden Cove. Published (Chips and Cheese): L2 2048. From one secondary source: L1 I 256 8-way, L1 D 96 for loads, L2 16-way. Assumed: stores share the 96, 6-way; 2M and 1G arrays as in Skylake; L2 hit 8 cycles, replacement, page-walk caches, walk costs.',
    l1i: level(array(256, 8, ['4K'], PLRU), array(32, 8, ['2M'], PLRU)),
    l1d: level(array(96, 6, ['4K']), array(32, 4, ['2M'], PLRU), array(16, 4, ['1G'], PLRU)),
    l2: second(8, array(2048, 16, ['4K', '2M'], PLRU)),
  },
];

/** Zen keeps L1 fully associative for all sizes, splits L2, and breaks 1G pages in L2. */
const zen = (name: string, source: string, l1d: number, l2: TlbArrayDescription, l2i: TlbArrayDescription, hitCycles: number): TlbDescription => ({
  name, source, ...ASSUMED, l1i: level(fully(64, ALL_AND_16K, ZEN)), l1d: level(fully(l1d, ALL_AND_16K, ZEN)), l2: second(hitCycles, l2), l2i: second(hitCycles, l2i),
});
const ZEN_L2: readonly PageSizeName[] = ['4K', '16K', '2M'];
const amd: readonly TlbDescription[] = [
  zen('zen2', 'AMD Zen 2. Published (WikiChip): L1 D 64 fully associative for all sizes, L2 D 2048, 1G pages broken in L2. WikiChip says 12 ways, which does not divide 2048: 16 assumed. From one secondary source: L1 I 64, L2 I 512. Assumed: groups of four 4K pages join under strict A and D, L2 hit 7 cycles, replacement, page-walk caches (the core keeps PDEs in L2), walk costs.',
    64, array(2048, 16, ZEN_L2, ZEN), array(512, 8, ZEN_L2, ZEN), 7),
  zen('zen3', 'AMD Zen 3. From secondary sources: L1 I 64, L1 D 64 fully associative, L2 D 2048, L2 I 512, L2 hit 7 cycles. Assumed: 16 and 8 ways in L2, coalescing as in Zen 2, replacement, page-walk caches, walk costs.',
    64, array(2048, 16, ZEN_L2, ZEN), array(512, 8, ZEN_L2, ZEN), 7),
  zen('zen4', 'AMD Zen 4. Published (Chips and Cheese): L1 D 72, L2 D 3072, L2 I 512. From one secondary source: L1 I 64. Assumed: 12 and 8 ways in L2, L2 hit 7 cycles, coalescing as in Zen 2, replacement, page-walk caches, walk costs.',
    72, array(3072, 12, ZEN_L2, ZEN), array(512, 8, ZEN_L2, ZEN), 7),
  zen('zen5', 'AMD Zen 5. Published (Chips and Cheese): L1 D 96 fully associative, L2 D 4096, a separate L2 I, L2 hit 7 cycles. Assumed: L1 I 64, L2 I 2048, 16 and 8 ways, coalescing as in Zen 2, replacement, page-walk caches, walk costs.',
    96, array(4096, 16, ZEN_L2, ZEN), array(2048, 8, ZEN_L2, ZEN), 7),
];

const ARM_L2: readonly PageSizeName[] = ['4K', '16K', '2M', '1G'];
const arm = (name: string, source: string, l1i: number, l1d: number, l2: readonly [number, number], hitCycles: number): TlbDescription => ({
  name, source: `${source} Assumed for all Arm cores here: transparent groups of four (16K), OS-marked 64K regions (Svnapot), replacement, page-walk caches, walk costs.`,
  ...ASSUMED, l1i: level(fully(l1i, ALL_AND_16K, ARM)), l1d: level(fully(l1d, ALL_AND_16K, ARM)), l2: second(hitCycles, array(l2[0], l2[1], ARM_L2, ARM)),
});
const arms: readonly TlbDescription[] = [
  arm('cortex-a76', 'Arm Cortex-A76. Published (Arm TRM): L1 I and L1 D 48 fully associative, L2 1280 5-way. Assumed: L2 hit 5 cycles.', 48, 48, [1280, 5], 5),
  arm('neoverse-n1', 'Arm Neoverse N1. Published (Chips and Cheese): L1 I and L1 D 48 fully associative, L2 1280 5-way. Assumed: L2 hit 5 cycles.', 48, 48, [1280, 5], 5),
  arm('neoverse-n2', 'Arm Neoverse N2. Published (Chips and Cheese): L1 D 44, L2 1280 5-way. Assumed: L1 I 48, L2 hit 5 cycles.', 48, 44, [1280, 5], 5),
  arm('cortex-a710', 'Arm Cortex-A710. Published (Chips and Cheese): L1 D 32 fully associative, L2 1024 4-way. Assumed: L1 I 32, L2 hit 5 cycles.', 32, 32, [1024, 4], 5),
  arm('cortex-x925', 'Arm Cortex-X925. Published (Chips and Cheese): L1 D 96 fully associative, L2 2048 8-way, 6 cycles. Assumed: L1 I 96.', 96, 96, [2048, 8], 6),
];

const others: readonly TlbDescription[] = [
  {
    name: 'apple-m1', ...ASSUMED,
    source: 'Apple M1, big core. Repeated widely without a vendor source: L1 I 192, L1 D 160, L2 3072. The core has 16K pages; here an entry holds four 4K pages where they are aligned and consecutive. Assumed: 6, 5 and 12 ways, L2 hit 7 cycles, replacement, page-walk caches, walk costs.',
    l1i: level(array(192, 6, ['4K', '16K', '2M'], ZEN)), l1d: level(array(160, 5, ['4K', '16K', '2M'], ZEN)), l2: second(7, array(3072, 12, ['4K', '16K', '2M'], ZEN)),
  },
  {
    name: 'taishan-v110', ...ASSUMED,
    source: 'HiSilicon Taishan V110. Published (a test report on the kernel list): L1 D 48, L2 2048. Assumed: L1 I 48, 8 ways in L2, L2 hit 5 cycles, OS-marked 64K regions, replacement, page-walk caches, walk costs.',
    l1i: level(fully(48, ALL, { svnapot: true })), l1d: level(fully(48, ALL, { svnapot: true })), l2: second(5, array(2048, 8, ['4K', '2M', '1G'], { svnapot: true })),
  },
  {
    name: 'sifive-u74', ...ASSUMED,
    source: 'SiFive U74. Published (Linux device tree of the FU740): L1 I and L1 D 40, one set; Sv39. From one secondary source: L2 512 direct-mapped. Assumed: L2 holds 4K only, L2 hit 7 cycles, replacement, page-walk caches, walk costs.',
    l1i: level(fully(40, ALL)), l1d: level(fully(40, ALL)), l2: second(7, array(512, 1, ['4K'])),
  },
  {
    name: 'sifive-p550', ...ASSUMED,
    source: 'SiFive P550. Published (Chips and Cheese): L1 I and L1 D 32 fully associative, L2 512 shared, 9 cycles. Assumed: 4 ways in L2, replacement, page-walk caches, walk costs.',
    l1i: level(fully(32, ALL, PLRU)), l1d: level(fully(32, ALL, PLRU)), l2: second(9, array(512, 4, ['4K', '2M'])),
  },
  {
    name: 'xuantie-c910', ...ASSUMED,
    source: 'XuanTie C910. Published (Chips and Cheese): L1 D 17 fully associative, L2 1024 4-way shared, 4 cycles, four bits a set that look like FIFO. Assumed: L1 I 17, its replacement, page-walk caches, walk costs.',
    l1i: level(fully(17, ALL)), l1d: level(fully(17, ALL)), l2: second(4, array(1024, 4, ['4K', '2M', '1G'], { replacement: 'fifo' })),
  },
  {
    name: 'kunminghu', ...ASSUMED, pwc: { 1: 128, 2: 16, 3: 16, 4: 4 },
    source: 'XiangShan Kunminghu. Published (its open RTL): PLRU, entries for sectors of eight pages, a NAPOT flag, caches of PTEs by level in L2. Assumed: all sizes (L1 I 32, L1 D 64 fully associative, L2 512 8-way), L2 hit 6 cycles, walk costs.',
    l1i: level(fully(32, ALL, { ...PLRU, coalescing: 'clustered', svnapot: true })), l1d: level(fully(64, ALL, { ...PLRU, coalescing: 'clustered', svnapot: true })),
    l2: second(6, array(512, 8, ['4K', '2M', '1G'], { ...PLRU, coalescing: 'clustered', svnapot: true })),
  },
];

const all: readonly TlbDescription[] = [
  generic,
  variant('zen', 'groups of four aligned and consecutive 4K pages in one entry (Zen)'),
  variant('colt-sa', 'runs of up to four consecutive 4K pages in one entry (CoLT-SA)'),
  variant('colt-fa', 'runs of up to eight consecutive 4K pages in one entry (CoLT-FA)'),
  variant('clustered', 'up to eight 4K pages from one aligned group of eight frames in one entry (clustered)'),
  ...teaching, ...intel, ...amd, ...arms, ...others,
];

export const DEFAULT_PRESET = 'generic';
/** Every preset, in the order to show them. */
export const presets = (): readonly TlbDescription[] => all;

/** @throws UserError for an unknown name, with the names that are near it */
export function presetNamed(name: string): TlbDescription {
  const found = all.find((p) => p.name === name);
  if (found !== undefined) return found;
  const wanted = name.toLowerCase();
  const near = all.map((p) => p.name).filter((known) => known.includes(wanted) || wanted.includes(known) || distance(known, wanted) <= 2);
  throw new UserError(near.length > 0
    ? `--preset ${name}: no such preset. Did you mean ${near.join(' or ')}?`
    : `--preset ${name}: no such preset. There are ${all.map((p) => p.name).join(', ')}.`);
}

/** Insertions, deletions and changes between two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
