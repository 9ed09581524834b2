// What /proc shows of an address space page by page: smaps, pagemap, kpageflags. Numbers only; the text is procfs's.
import { bug } from '#base';
import type { Pfn } from '#base';
import type { Mm } from './mm.ts';
import type { MmSystem } from './system.ts';
import type { VmaView } from './vma.ts';

/** /proc/PID/smaps of one VMA, in bytes (pss with its fraction, already divided). Fields as Linux names them. */
export interface Smaps {
  size: number; rss: number; pss: number; pssDirty: number; pssAnon: number; pssFile: number; pssShmem: number;
  sharedClean: number; sharedDirty: number; privateClean: number; privateDirty: number;
  referenced: number; anonymous: number; lazyFree: number; anonHugePages: number; locked: number; thpEligible: boolean;
}
export function smapsOf(_mm: Mm, _vma: VmaView): Smaps { return bug('unwritten'); }
/** VmFlags: of smaps, two letters each: 'rd wr mr mw me ac'. */
export function vmFlagsText(_flags: number): string { return bug('unwritten'); }
/** The u64 of /proc/PID/pagemap for the page at `va`. */
export function pagemapWord(_mm: Mm, _va: number): bigint { return bug('unwritten'); }
export function kpageflagsWord(_system: MmSystem, _pfn: Pfn): bigint { return bug('unwritten'); }
export function kpagecountWord(_system: MmSystem, _pfn: Pfn): bigint { return bug('unwritten'); }
