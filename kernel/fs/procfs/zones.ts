// Files about free memory: buddyinfo, pagetypeinfo, zoneinfo, and the fragmentation measures of debugfs. Linux's formats for one zone. Here: the
// text. Not here: the numbers (mm/page-alloc.ts, mm/buddy.ts). Mirrors mm/vmstat.c.
import { MAX_PAGE_ORDER, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, migrateTypeNames } from '../../mm/buddy.ts';
import type { MmSystem } from '../../mm/system.ts';

const ZONE = `zone ${'Normal'.padStart(8)}`;
const orders = Array.from({ length: MAX_PAGE_ORDER + 1 }, (_, order) => order);
const columns = (numbers: readonly number[], width: number): string => numbers.map((n) => `${String(n).padStart(width)} `).join('');

export function buddyinfo(system: MmSystem): string {
  return `Node 0, ${ZONE} ${columns(system.freeBlocks(), 6)}\n`;
}

export function pagetypeinfo({ buddy }: MmSystem): string {
  const free = migrateTypeNames.map((name, type) =>
    `Node ${'0'.padStart(4)}, ${ZONE}, type ${name.padStart(12)} ${columns(orders.map((order) => buddy.countOfType(order, type)), 6)}\n`).join('');
  return `Page block order: ${PAGEBLOCK_ORDER}\nPages per block:  ${PAGEBLOCK_PAGES}\n\n` +
    `${'Free pages count per migrate type at order'.padEnd(43)} ${columns(orders, 6)}\n${free}\n` +
    `${'Number of blocks type '.padEnd(23)}${migrateTypeNames.map((name) => `${name.padStart(12)} `).join('')}\n` +
    `Node 0, ${ZONE} ${columns(buddy.blockTypeCounts(), 12)}\n`;
}

/** The modelled statistics that Linux counts by node, and those that it counts by zone. */
const nodeStats = ['nr_slab_unreclaimable', 'nr_anon_pages', 'nr_mapped', 'nr_file_pages', 'nr_dirty', 'nr_writeback', 'nr_shmem', 'nr_anon_transparent_hugepages', 'nr_dirtied', 'nr_written', 'nr_page_table_pages'] as const;
const zoneStats = ['nr_free_pages', 'nr_zone_write_pending', 'nr_mlock'] as const;

export function zoneinfo({ pages, folios, vmstat, managedPages }: MmSystem): string {
  const { watermarks: marks, boost, pcp, buddy } = pages;
  const stat = (name: (typeof nodeStats)[number] | (typeof zoneStats)[number]): string => `      ${name.padEnd(12)} ${vmstat.get(name)}\n`;
  const page = (label: string, n: number): string => `        ${label.padEnd(8)} ${n}\n`;
  const set = (label: string, n: number): string => `              ${`${label}:`.padEnd(9)} ${n}\n`;
  return `Node 0, ${ZONE}\n  per-node stats\n${nodeStats.map(stat).join('')}  pages free     ${buddy.freePages}\n` +
    page('boost', boost) + page('min', marks.min + boost) + page('low', marks.low + boost) + page('high', marks.high + boost) + page('promo', marks.promo + boost) +
    page('spanned', folios.nrFrames) + page('present', folios.nrFrames) + page('managed', managedPages) + page('cma', 0) +
    `        protection: (0)\n${zoneStats.map(stat).join('')}  pagesets\n    cpu: 0\n` +
    set('count', pcp.count) + set('high', pcp.high) + set('batch', pcp.batch) + set('high_min', pcp.highMin) + set('high_max', pcp.highMax) +
    `  vm stats threshold: 4\n  node_unreclaimable:  0\n  start_pfn:           ${folios.firstPfn}\n`;
}

const thousandths = (n: number): string => `${n < 0 ? '-' : ''}${Math.floor(Math.abs(n) / 1000)}.${String(Math.abs(n) % 1000).padStart(3, '0')}`;

/** debugfs extfrag/extfrag_index: why each order cannot be had, -1.000 when it can. */
export function extfragIndex({ buddy }: MmSystem): string {
  return `Node 0, ${ZONE} ${orders.map((order) => `${thousandths(buddy.fragmentationIndex(order)).padStart(6)} `).join('')}\n`;
}
/** debugfs extfrag/unusable_index: the share of free memory that is of no use to each order. */
export function unusableIndex({ buddy }: MmSystem): string {
  return `Node 0, ${ZONE} ${orders.map((order) => `${thousandths(buddy.unusableIndex(order))} `).join('')}\n`;
}
