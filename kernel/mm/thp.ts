// The transparent_hugepage tree: which sizes anonymous and shared memory may use, and what became of the attempts. Here: the settings, the per-size
// counters, both as the files that Linux shows. Not here: the choice of an order for one fault (folio-order.ts).
// Mirrors mm/huge_memory.c, 6.18. Swap has no such counts yet: its files read 0.
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

const statNames = ['anon_fault_alloc', 'anon_fault_fallback', 'anon_fault_fallback_charge', 'split', 'split_failed', 'split_deferred', 'nr_anon', 'nr_anon_partially_mapped',
  'shmem_alloc', 'shmem_fallback', 'shmem_fallback_charge', 'swpin', 'swpin_fallback', 'swpin_fallback_charge', 'swpout', 'swpout_fallback', 'zswpout'] as const;
export type ThpStatName = (typeof statNames)[number];
export const ThpStat = Object.fromEntries(statNames.map((name, i) => [name, i])) as { readonly [N in ThpStatName]: number };

/** 8 kB exists for shared memory alone. */
const SHMEM_FOLDER = 'hugepages-8kB';
const shmemFolderStats = ['shmem_alloc', 'shmem_fallback', 'shmem_fallback_charge', 'swpin', 'swpin_fallback', 'swpin_fallback_charge', 'swpout', 'swpout_fallback', 'zswpout', 'split', 'split_failed'];
const shmemWords = ['always', 'within_size', 'advise', 'never', 'deny', 'force'] as const;
const shmemSizeWords = ['always', 'inherit', 'within_size', 'advise', 'never'] as const;
/** Every order that a folio of a file can have, but single pages. */
const FILE_ORDERS = 0b11_1111_1110;

const orders = [2, 3, 4, 5, 6, 7, 8, 9] as const;
const folderOf = (order: number): string => `hugepages-${4 << order}kB`;
const orderOfFolder = new Map<string, number>(orders.map((order) => [folderOf(order), order]));
const showWords = (words: readonly string[], now: string): string => `${words.map((word) => (word === now ? `[${word}]` : word)).join(' ')}\n`;
/** sysfs_streq(): equal but for one newline at the end. */
const strip = (text: string): string => (text.endsWith('\n') ? text.slice(0, -1) : text);
const pick = <Word extends string>(words: readonly Word[], text: string): Word | null => words.find((word) => word === strip(text)) ?? null;

/** Who asks for a page of a file in memory. */
export interface ShmemRequest {
  /** Shared anonymous memory, or a file without a name: the sizes' own words govern its mappings. */
  readonly isAnonymous: boolean;
  /** On the kernel's own mount (memfd, shared anonymous memory), which the top-level word governs; other mounts have huge=never. */
  readonly onKernelMount: boolean;
  /** A fault through a mapping; false: a write. */
  readonly isFault: boolean;
  /** MADV_HUGEPAGE. */
  readonly advised: boolean;
}

export class ThpControls {
  /** Linux's defaults without boot options: the top-level switch at madvise, 2 MiB inherits it, every other size is off. */
  enabled: ThpGlobalMode = 'madvise';
  defrag: ThpDefrag = 'madvise';
  useZeroPage = true;
  /** Are folios of 2 MiB queued from the start, to be split when they turn out to hold mostly zeros? */
  shrinkUnderused = true;
  /** shmem_enabled: the top-level word under order 0, and one for each order. */
  private readonly shmem: string[] = Array.from({ length: PMD_ORDER + 1 }, (_, order) => (order === PMD_ORDER ? 'inherit' : 'never'));
  readonly khugepaged = new KhugepagedControls();
  private readonly modes: ThpSizeMode[] = orders.map((order) => (order === PMD_ORDER ? 'inherit' : 'never'));
  private readonly counts = new Float64Array(PMD_ORDER * statNames.length);
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

  /** The orders that shmem_enabled allows a page of a file in memory, at a fault or a write. Mirrors shmem_allowable_huge_orders() and
   *  shmem_huge_global_enabled(). @param fitsSize of a set of orders, those whose window lies inside the file */
  shmemOrdersFor(asked: ShmemRequest, fitsSize: (orders: OrderSet) => OrderSet): OrderSet {
    const word = this.shmem[0]!;
    if (word === 'deny') return 0;
    const global = this.shmemGlobal(word, asked, fitsSize);
    if (!asked.isAnonymous || !asked.isFault) return global;
    const setOf = (wanted: string): OrderSet => this.shmem.reduce((set, mode, order) => (order > 0 && mode === wanted ? set | (1 << order) : set), 0);
    if (word === 'force') return setOf('inherit');
    return setOf('always') | fitsSize(setOf('within_size')) | (asked.advised ? setOf('advise') : 0) | (global !== 0 ? setOf('inherit') : 0);
  }
  private shmemGlobal(word: string, { isFault, advised, onKernelMount }: ShmemRequest, fitsSize: (orders: OrderSet) => OrderSet): OrderSet {
    if (word === 'force') return 1 << PMD_ORDER;
    if (!onKernelMount) return 0; // mounted without huge=
    if (word === 'always') return FILE_ORDERS;
    const within = word === 'within_size' ? fitsSize(isFault ? 1 << PMD_ORDER : FILE_ORDERS) : 0;
    if (within !== 0) return within;
    return advised && word !== 'never' ? 1 << PMD_ORDER : 0;
  }

  /** @param stat ThpStat.something */
  count(order: number, stat: number, n = 1): void {
    if (order >= 1 && order <= PMD_ORDER) this.counts[(order - 1) * statNames.length + stat]! += n;
  }
  stat(order: number, name: ThpStatName): number {
    return this.counts[(order - 1) * statNames.length + ThpStat[name]]!;
  }
  /** 'hugepages-64kB' -> {anon_fault_alloc: 3, ...}: for reports. */
  stats(): Record<string, Record<ThpStatName, number>> {
    return Object.fromEntries(orders.map((order) => [folderOf(order), Object.fromEntries(statNames.map((name) => [name, this.stat(order, name)])) as Record<ThpStatName, number>]));
  }

  /** Every file below transparent_hugepage/, in order: 'enabled', ..., 'hugepages-64kB/stats/anon_fault_alloc', ... */
  paths(): readonly string[] {
    return ['defrag', 'enabled', 'hpage_pmd_size', 'shmem_enabled', 'shrink_underused', 'use_zero_page', ...this.khugepaged.paths().map((name) => `khugepaged/${name}`),
      `${SHMEM_FOLDER}/shmem_enabled`, ...shmemFolderStats.map((name) => `${SHMEM_FOLDER}/stats/${name}`),
      ...orders.flatMap((order) => [`${folderOf(order)}/enabled`, `${folderOf(order)}/shmem_enabled`, ...statNames.map((name) => `${folderOf(order)}/stats/${name}`)])];
  }
  /** Contents, newline included; null: no such file. */
  get(path: string): string | null {
    switch (path) {
      case 'enabled': return showWords(globalWords, this.enabled);
      case 'defrag': return showWords(defragWords, this.defrag);
      case 'shrink_underused': return this.shrinkUnderused ? '1\n' : '0\n';
      case 'use_zero_page': return this.useZeroPage ? '1\n' : '0\n';
      case 'shmem_enabled': return showWords(shmemWords, this.shmem[0]!);
      case 'hpage_pmd_size': return `${4096 << PMD_ORDER}\n`;
    }
    const [folder = '', ...rest] = path.split('/');
    if (folder === 'khugepaged' && rest.length === 1) return this.khugepaged.get(rest[0]!);
    const isStat = rest.length === 2 && rest[0] === 'stats';
    const order = folder === SHMEM_FOLDER ? 1 : orderOfFolder.get(folder);
    if (rest.length === 1 && rest[0] === 'shmem_enabled' && order !== undefined) return showWords(shmemSizeWords, this.shmem[order]!);
    if (order === 1 && !(isStat && shmemFolderStats.includes(rest[1]!))) return null;
    if (order === undefined) return null;
    if (rest.length === 1 && rest[0] === 'enabled') return showWords(sizeWords, this.modeOf(order));
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
      const order = folder === '' ? 0 : folder === SHMEM_FOLDER ? 1 : orderOfFolder.get(folder)!;
      const word = pick(order === 0 ? shmemWords : shmemSizeWords, text);
      if (word === null) return -Errno.EINVAL;
      // Force is for 2 MiB alone: no other size may follow it, before or after.
      const others = this.shmem.some((mode, at) => at > 0 && at < PMD_ORDER && mode === 'inherit');
      if (order === 0 ? word === 'force' && (others || this.shmem[PMD_ORDER] !== 'inherit') : word === 'inherit' && order !== PMD_ORDER && this.shmem[0] === 'force') return -Errno.EINVAL;
      this.shmem[order] = word;
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
    for (const word of this.shmem) into.text(word);
    for (const mode of this.modes) into.text(mode);
    into.numbers(this.counts);
    this.khugepaged.hash(into);
  }
}
