// The debugger's `vmas`: the mappings of an address space, with what is in memory of each.
import { hex, PAGE_SIZE } from '#base';
import { smapsOf, vmFlagsText } from '#kernel';
import type { Mm } from '#kernel';
import { nameOf } from '../../evictions.ts';
import { rightsOf } from '../../why.ts';
import type { Ink } from '../ink.ts';
import { columns, count } from './text.ts';

export interface VmaRow {
  readonly start: number;
  readonly end: number;
  readonly rights: string;
  readonly name: string;
  /** Page offset in the file; of anonymous memory the number of the first page when it was mapped. */
  readonly pgoff: number;
  /** VmFlags as smaps writes them. */
  readonly flags: string;
  readonly rssBytes: number;
  readonly anonBytes: number;
  readonly hugeBytes: number;
  readonly swapBytes: number;
}
export interface VmasView { readonly mmId: number; readonly vmas: readonly VmaRow[] }

export function vmasView(mm: Mm): VmasView {
  return {
    mmId: mm.id, vmas: mm.vmas.map((vma) => {
      const { rss, anonymous, anonHugePages, swap } = smapsOf(mm, vma);
      return { start: vma.start, end: vma.end, rights: rightsOf(vma), name: nameOf(mm, vma), pgoff: vma.pgoff, flags: vmFlagsText(vma.flags), rssBytes: rss, anonBytes: anonymous, hugeBytes: anonHugePages, swapBytes: swap };
    }),
  };
}
export function vmasText({ mmId, vmas }: VmasView, ink: Ink): string[] {
  const kb = (bytes: number): string => count(bytes / 1024);
  const rows = vmas.map((v) => [`${hex(v.start)}-${hex(v.end)}`, v.rights, kb(v.end - v.start), kb(v.rssBytes), kb(v.anonBytes), kb(v.swapBytes), v.name]);
  const [head = '', ...body] = columns([['address', '', 'kB', 'rss', 'anon', 'swap', 'name'], ...rows], new Set([0, 1, 6]));
  return [ink.head(`Address space ${mmId}: ${vmas.length} mappings, ${count(vmas.reduce((n, v) => n + (v.end - v.start) / PAGE_SIZE, 0))} pages`), ink.faint(head), ...body];
}
