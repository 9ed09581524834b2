// The files of transparent_hugepage/khugepaged: how eagerly khugepaged collapses, and what it has done. Here: the settings, their texts and
// limits. Not here: the daemon (khugepaged.ts). Mirrors the attributes at the head of mm/khugepaged.c, 6.18; `any_order` is ours.
import type { StateHash } from '#base';
import { Errno } from '../syscall/errno.ts';

/** Highest value of each setting that may be written; unsigned int where Linux has no other limit. */
const UINT_MAX = 2 ** 32 - 1;
const PMD_PAGES = 512;
interface Setting { readonly least: number; readonly most: number; readonly value: number }
const settings = {
  alloc_sleep_millisecs: { least: 0, most: UINT_MAX, value: 60_000 },
  /** Not in Linux 6.18, where only 2 MiB is collapsed: 1 also collapses to smaller sizes that are enabled, with limits scaled to the size. */
  any_order: { least: 0, most: 1, value: 0 },
  /** May a collapse reclaim and compact for its folio? Neither helps here yet: accepted, and shown again. */
  defrag: { least: 0, most: 1, value: 1 },
  max_ptes_none: { least: 0, most: PMD_PAGES - 1, value: PMD_PAGES - 1 },
  max_ptes_shared: { least: 0, most: PMD_PAGES - 1, value: PMD_PAGES / 2 },
  max_ptes_swap: { least: 0, most: PMD_PAGES - 1, value: PMD_PAGES / 8 },
  pages_to_scan: { least: 1, most: UINT_MAX, value: PMD_PAGES * 8 },
  scan_sleep_millisecs: { least: 0, most: UINT_MAX, value: 10_000 },
} as const satisfies Record<string, Setting>;
type SettingName = keyof typeof settings;
const isSetting = (name: string): name is SettingName => Object.hasOwn(settings, name);

export class KhugepagedControls {
  readonly values = Object.fromEntries(Object.entries(settings).map(([name, row]) => [name, row.value])) as Record<SettingName, number>;
  /** Rounds over all address spaces, and collapses. */
  fullScans = 0;
  pagesCollapsed = 0;
  /** A sleep was changed: the daemon looks up at once. */
  wantsWake = false;

  paths(): readonly string[] {
    return [...Object.keys(settings), 'full_scans', 'pages_collapsed'].sort();
  }
  get(name: string): string | null {
    if (name === 'full_scans') return `${this.fullScans}\n`;
    if (name === 'pages_collapsed') return `${this.pagesCollapsed}\n`;
    return isSetting(name) ? `${this.values[name]}\n` : null;
  }
  isWritable(name: string): boolean {
    return isSetting(name);
  }
  /** @returns 0, or -EINVAL for what is no number of the file's range. The file is one that isWritable() knows. */
  set(name: string, text: string): number {
    if (!isSetting(name)) return -Errno.ENOENT;
    const digits = /^\+?(\d{1,10}|0x[\da-f]{1,8})\n?$/i.exec(text)?.[1];
    const value = Number(digits ?? NaN);
    if (!(value >= settings[name].least && value <= settings[name].most)) return -Errno.EINVAL;
    this.values[name] = value;
    if (name === 'scan_sleep_millisecs' || name === 'alloc_sleep_millisecs') this.wantsWake = true;
    return 0;
  }
  hash(into: StateHash): void {
    into.numbers([...Object.values(this.values), this.fullScans, this.pagesCollapsed, this.wantsWake ? 1 : 0]);
  }
}
