// The debugger's `lru`, `buddy` and `swap`: what reclaim works on, what is free, where pages went.
import { MAX_PAGE_ORDER, migrateTypeNames } from '#kernel';
import type { Session } from '../../boot.ts';
import { groupText, lruListing } from '../../lru.ts';
import type { LruListing } from '../../lru.ts';
import { percent, thousands } from '../../text.ts';
import type { Ink } from '../ink.ts';
import { columns, count, sizeOfOrder } from './text.ts';

export const lruView = (session: Session): LruListing => lruListing(session);
export const lruTextOf = ({ groups, unevictablePages, scannedPages, reclaimedPages }: LruListing, ink: Ink): string[] => [
  ...groups.flatMap((group) => groupText(group).map((line, i) => (i === 0 ? ink.head(line.trimStart()) : i === 1 ? ink.faint(line) : line))),
  `${thousands(unevictablePages)} pages locked in memory, ${thousands(scannedPages)} scanned so far, ${thousands(reclaimedPages)} reclaimed`,
];

export interface BuddyView {
  readonly freePages: number;
  /** Kept by the processor, in no free list. */
  readonly stockPages: number;
  readonly managedPages: number;
  readonly watermarks: { readonly min: number; readonly low: number; readonly high: number };
  readonly types: readonly { readonly name: string; readonly blocks: readonly number[] }[];
  /** By order: how much of free memory is of no use for it, in percent. */
  readonly unusablePercent: readonly number[];
  readonly pageblocks: Readonly<Record<string, number>>;
}
const orders = Array.from({ length: MAX_PAGE_ORDER + 1 }, (_, order) => order);

export function buddyView({ kernel: { system } }: Session): BuddyView {
  const { buddy, pages } = system;
  const { min, low, high } = system.watermarks;
  return {
    freePages: buddy.freePages, stockPages: pages.pcp.count, managedPages: system.managedPages, watermarks: { min, low, high },
    types: migrateTypeNames.map((name, type) => ({ name, blocks: orders.map((order) => buddy.countOfType(order, type)) })),
    unusablePercent: orders.map((order) => buddy.unusablePercent(order)), pageblocks: Object.fromEntries(buddy.blockTypeCounts().map((n, type) => [migrateTypeNames[type]!, n])),
  };
}
export function buddyText(v: BuddyView, ink: Ink): string[] {
  const rows = [
    ['free blocks', ...orders.map(sizeOfOrder)],
    ...v.types.filter(({ blocks }) => blocks.some((n) => n > 0)).map(({ name, blocks }) => [name, ...blocks.map(count)]),
    ['unusable %', ...v.unusablePercent.map((p) => count(p))],
  ];
  const [head = '', ...body] = columns(rows, new Set([0]), 1);
  const { min, low, high } = v.watermarks;
  return [
    ink.head(`${thousands(v.freePages)} of ${thousands(v.managedPages)} pages free (${percent(v.freePages, v.managedPages)}), ${thousands(v.stockPages)} in the per-cpu stock`),
    `marks: min ${thousands(min)}, low ${thousands(low)}, high ${thousands(high)}`, ink.faint(head), ...body,
    `pageblocks: ${Object.entries(v.pageblocks).filter(([, n]) => n > 0).map(([name, n]) => `${n} ${name}`).join(', ')}`,
  ];
}

export interface SwapView {
  readonly totalPages: number;
  readonly freePages: number;
  readonly cachedPages: number;
  readonly devices: readonly { readonly type: number; readonly path: string; readonly kind: string; readonly pages: number; readonly usedPages: number; readonly cacheOnlyPages: number; readonly priority: number }[];
  readonly zswap: { readonly storedPages: number; readonly poolPages: number };
  readonly counters: Readonly<Record<string, number>>;
}
const swapCounters = ['pswpin', 'pswpout', 'swap_ra', 'swap_ra_hit', 'swpin_zero', 'swpout_zero', 'zswpin', 'zswpout', 'zswpwb'] as const;

export function swapView({ kernel: { system: { swap, vmstat } } }: Session): SwapView {
  return {
    totalPages: swap.totalPages, freePages: swap.freePages, cachedPages: vmstat.get('nr_swapcached'),
    devices: swap.devices.map(({ type, target, nrPages, inUse, cacheOnly, priority }) => ({ type, path: target.path, kind: target.kind, pages: nrPages, usedPages: inUse, cacheOnlyPages: cacheOnly, priority })),
    zswap: { storedPages: swap.zswap.storedPages, poolPages: swap.zswap.poolPages }, counters: Object.fromEntries(swapCounters.map((name) => [name, vmstat.get(name)])),
  };
}
export function swapText(v: SwapView, ink: Ink): string[] {
  if (v.devices.length === 0) return ['No swap: --swap SIZE gives the machine a device.'];
  const rows = v.devices.map((d) => [d.path, d.kind, thousands(d.pages), count(d.usedPages), count(d.cacheOnlyPages), `${d.priority}`]);
  const [head = '', ...body] = columns([['device', 'kind', 'pages', 'used', 'cache only', 'priority'], ...rows], new Set([0, 1]));
  const moved = Object.entries(v.counters).filter(([, n]) => n > 0).map(([name, n]) => `${name} ${thousands(n)}`);
  return [
    ink.head(`${thousands(v.totalPages - v.freePages)} of ${thousands(v.totalPages)} pages of swap in use, ${thousands(v.cachedPages)} in memory too (swap cache)`), ink.faint(head), ...body,
    ...(v.zswap.storedPages === 0 ? [] : [`zswap: ${thousands(v.zswap.storedPages)} pages in ${thousands(v.zswap.poolPages)}`]), ...(moved.length === 0 ? [] : [moved.join(', ')]),
  ];
}
