// The transparent_hugepage tree: which sizes anonymous memory may use, and what became of the attempts. Here: the settings, the per-size
// counters, both as the files that Linux shows. Not here: the choice of an order for one fault (folio-order.ts).
// Mirrors mm/huge_memory.c, 6.18. Swap has no such counts yet, and shared memory is base pages:
// their files read 0 and `never`, and refuse any word that would promise more.
import { bug } from '#base';
import type { StateHash } from '#base';
import { Errno } from '../syscall/errno.ts';
import { KhugepagedControls } from './khugepaged-controls.ts';

export const PMD_ORDER = 9;
/** Sizes that anonymous memory can have, as a set of orders: 16 kB to 2 MiB. Order 1 cannot be. */
export const ANON_ORDERS = 0b11_1111_1100;

/** A set of orders: bit n is order n. */
export type OrderSet = number;
export const hasOrder = (orders: OrderSet, order: number): boolean => (orders & (1 << order)) !== 0;
/** -1: the set is empty. */
export const highestOrder = (orders: OrderSet): number => 31 - Math.clz32(orders);

const sizeWords = ['always', 'inherit', 'madvise', 'never'] as const;
const globalWords = ['always', 'madvise', 'never'] as const;
const defragWords = ['always', 'defer', 'defer+madvise', 'madvise', 'never'] as const;
export type ThpSizeMode = (typeof sizeWords)[number];
export type ThpGlobalMode = (typeof globalWords)[number];
export type ThpDefrag = (typeof defragWords)[number];

const statNames = ['anon_fault_alloc', 'anon_fault_fallback', 'anon_fault_fallback_charge', 'split', 'split_failed', 'split_deferred', 'nr_anon', 'nr_anon_partially_mapped'] as const;
export type ThpStatName = (typeof statNames)[number];
export const ThpStat = Object.fromEntries(statNames.map((name, i) => [name, i])) as { readonly [N in ThpStatName]: number };

/** Counts of what cannot happen yet: swapping, and large folios of shared memory. */
const stillNames = ['shmem_alloc', 'shmem_fallback', 'shmem_fallback_charge', 'swpin', 'swpin_fallback', 'swpin_fallback_charge', 'swpout', 'swpout_fallback', 'zswpout'];
/** 8 kB exists for shared memory alone. */
const SHMEM_FOLDER = 'hugepages-8kB';
const shmemFolderStats = [...stillNames, 'split', 'split_failed'];
const shmemWords = ['always', 'within_size', 'advise', 'never', 'deny', 'force'] as const;
const shmemSizeWords = ['always', 'inherit', 'within_size', 'advise', 'never'] as const;
/** Words that leave shared memory at base pages, as it always is here; with 'advise' a program's advice is heard, and nothing large is ever free for it. */
const shmemPlain: readonly string[] = ['never', 'deny', 'inherit', 'advise'];

const orders = [2, 3, 4, 5, 6, 7, 8, 9] as const;
const folderOf = (order: number): string => `hugepages-${4 << order}kB`;
const orderOfFolder = new Map<string, number>(orders.map((order) => [folderOf(order), order]));
const showWords = (words: readonly string[], now: string): string => `${words.map((word) => (word === now ? `[${word}]` : word)).join(' ')}\n`;
/** sysfs_streq(): equal but for one newline at the end. */
const strip = (text: string): string => (text.endsWith('\n') ? text.slice(0, -1) : text);
const pick = <Word extends string>(words: readonly Word[], text: string): Word | null => words.find((word) => word === strip(text)) ?? null;

export class ThpControls {
  /** Linux's defaults without boot options: the top-level switch at madvise, 2 MiB inherits it, every other size is off. */
  enabled: ThpGlobalMode = 'madvise';
  defrag: ThpDefrag = 'madvise';
  useZeroPage = true;
  /** Are folios of 2 MiB queued from the start, to be split when they turn out to hold mostly zeros? */
  shrinkUnderused = true;
  private readonly shmem = new Map<string, string>(['', SHMEM_FOLDER, ...orders.map(folderOf)].map((folder) => [folder, folder === folderOf(PMD_ORDER) ? 'inherit' : 'never']));
  readonly khugepaged = new KhugepagedControls();
  private readonly modes: ThpSizeMode[] = orders.map((order) => (order === PMD_ORDER ? 'inherit' : 'never'));
  private readonly counts = new Float64Array(orders.length * statNames.length);
  // The modes once more, as sets: every first touch asks.
  private always: OrderSet = 0;
  private madvised: OrderSet = 0;
  private inherits: OrderSet = 1 << PMD_ORDER;

  modeOf(order: number): ThpSizeMode {
    return this.modes[order - 2]!;
  }
  setMode(order: number, mode: ThpSizeMode): void {
    if (order < 2 || order > PMD_ORDER) bug(`no folio size of order ${order}`);
    this.modes[order - 2] = mode;
    const setOf = (wanted: ThpSizeMode): OrderSet => orders.reduce((set, o) => (this.modes[o - 2] === wanted ? set | (1 << o) : set), 0);
    this.always = setOf('always');
    this.madvised = setOf('madvise');
    this.inherits = setOf('inherit');
  }
  /** The orders that the controls allow a VMA. Mirrors the anonymous part of thp_vma_allowable_orders(). @param advised MADV_HUGEPAGE */
  ordersFor(advised: boolean): OrderSet {
    const inherits = this.enabled === 'always' || (this.enabled === 'madvise' && advised);
    return this.always | (advised ? this.madvised : 0) | (inherits ? this.inherits : 0);
  }

  /** @param stat ThpStat.something */
  count(order: number, stat: number, n = 1): void {
    if (order >= 2 && order <= PMD_ORDER) this.counts[(order - 2) * statNames.length + stat]! += n;
  }
  stat(order: number, name: ThpStatName): number {
    return this.counts[(order - 2) * statNames.length + ThpStat[name]]!;
  }
  /** 'hugepages-64kB' -> {anon_fault_alloc: 3, ...}: for reports. */
  stats(): Record<string, Record<ThpStatName, number>> {
    return Object.fromEntries(orders.map((order) => [folderOf(order), Object.fromEntries(statNames.map((name) => [name, this.stat(order, name)])) as Record<ThpStatName, number>]));
  }

  /** Every file below transparent_hugepage/, in order: 'enabled', ..., 'hugepages-64kB/stats/anon_fault_alloc', ... */
  paths(): readonly string[] {
    return ['defrag', 'enabled', 'hpage_pmd_size', 'shmem_enabled', 'shrink_underused', 'use_zero_page', ...this.khugepaged.paths().map((name) => `khugepaged/${name}`),
      `${SHMEM_FOLDER}/shmem_enabled`, ...shmemFolderStats.map((name) => `${SHMEM_FOLDER}/stats/${name}`),
      ...orders.flatMap((order) => [`${folderOf(order)}/enabled`, `${folderOf(order)}/shmem_enabled`, ...[...statNames, ...stillNames].map((name) => `${folderOf(order)}/stats/${name}`)])];
  }
  /** Contents, newline included; null: no such file. */
  get(path: string): string | null {
    switch (path) {
      case 'enabled': return showWords(globalWords, this.enabled);
      case 'defrag': return showWords(defragWords, this.defrag);
      case 'shrink_underused': return this.shrinkUnderused ? '1\n' : '0\n';
      case 'use_zero_page': return this.useZeroPage ? '1\n' : '0\n';
      case 'shmem_enabled': return showWords(shmemWords, this.shmem.get('')!);
      case 'hpage_pmd_size': return `${4096 << PMD_ORDER}\n`;
    }
    const [folder = '', ...rest] = path.split('/');
    if (folder === 'khugepaged' && rest.length === 1) return this.khugepaged.get(rest[0]!);
    if (rest.length === 1 && rest[0] === 'shmem_enabled' && this.shmem.has(folder)) return showWords(shmemSizeWords, this.shmem.get(folder)!);
    const isStat = rest.length === 2 && rest[0] === 'stats';
    if (folder === SHMEM_FOLDER) return isStat && shmemFolderStats.includes(rest[1]!) ? '0\n' : null;
    const order = orderOfFolder.get(folder);
    if (order === undefined) return null;
    if (rest.length === 1 && rest[0] === 'enabled') return showWords(sizeWords, this.modeOf(order));
    if (isStat && stillNames.includes(rest[1]!)) return '0\n';
    if (isStat && Object.hasOwn(ThpStat, rest[1]!)) return `${this.stat(order, rest[1] as ThpStatName)}\n`;
    return null;
  }
  isWritable(path: string): boolean {
    if (path.startsWith('khugepaged/')) return this.khugepaged.isWritable(path.slice('khugepaged/'.length));
    return this.get(path) !== null && path !== 'hpage_pmd_size' && !path.includes('/stats/');
  }
  /** What write(2) of the whole text answers: 0, -EINVAL for a word that is not there, -EACCES for a read-only file, -ENOENT. */
  set(path: string, text: string): number {
    if (this.get(path) === null) return -Errno.ENOENT;
    if (!this.isWritable(path)) return -Errno.EACCES;
    if (path.startsWith('khugepaged/')) return this.khugepaged.set(path.slice('khugepaged/'.length), text);
    if (path === 'enabled') {
      const word = pick(globalWords, text);
      if (word === null) return -Errno.EINVAL;
      this.enabled = word;
    } else if (path.endsWith('shmem_enabled')) {
      const folder = path.includes('/') ? path.split('/')[0]! : '';
      const word = pick(folder === '' ? shmemWords : shmemSizeWords, text);
      if (word === null || !shmemPlain.includes(word)) return -Errno.EINVAL;
      this.shmem.set(folder, word);
    } else if (path === 'defrag') {
      const word = pick(defragWords, text);
      if (word === null) return -Errno.EINVAL;
      this.defrag = word;
    } else if (path === 'shrink_underused' || path === 'use_zero_page') {
      const digits = strip(text).trim();
      if (!/^[01]$/.test(digits)) return -Errno.EINVAL;
      if (path === 'use_zero_page') this.useZeroPage = digits === '1';
      else this.shrinkUnderused = digits === '1';
    } else {
      const word = pick(sizeWords, text);
      if (word === null) return -Errno.EINVAL;
      this.setMode(orderOfFolder.get(path.split('/')[0]!)!, word);
    }
    return 0;
  }

  hash(into: StateHash): void {
    for (const path of ['enabled', 'defrag', 'shrink_underused', 'use_zero_page']) into.text(this.get(path)!);
    for (const word of this.shmem.values()) into.text(word);
    for (const mode of this.modes) into.text(mode);
    into.numbers(this.counts);
    this.khugepaged.hash(into);
  }
}
