// memory.stat: what a group's memory is, and what reclaim has done to it. Here: the lines, in Linux's order; gauges are counted from the memory map when
// somebody asks, so that nobody pays for them otherwise. Not here: the group (memcg.ts), the file (kernel/fs/cgroupfs.ts).
// Mirrors memory_stats[] and memcg_vm_event_stat[] (mm/memcontrol.c), 6.18. What is not modelled is absent: kernel_stack, percpu, sock, vmalloc, slab.
import { asFolio } from '#base';
import type { VmName } from './events.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import type { MemCgroup } from './memcg.ts';
import { LruType } from './reclaim/lruvec.ts';

const PAGE_BYTES = 4096;
const events: readonly VmName[] = [
  'workingset_refault_anon', 'workingset_refault_file', 'workingset_activate_anon', 'workingset_activate_file', 'workingset_restore_anon', 'workingset_restore_file', 'workingset_nodereclaim',
];
const SCANS = ['kswapd', 'direct', 'khugepaged', 'proactive'] as const;
const laterEvents: readonly VmName[] = ['pgfault', 'pgmajfault', 'pgrefill', 'pgactivate', 'pgdeactivate', 'pglazyfree', 'pglazyfreed', 'swpin_zero', 'swpout_zero', 'zswpin', 'zswpout', 'zswpwb', 'thp_fault_alloc', 'thp_collapse_alloc', 'thp_swpout', 'thp_swpout_fallback'];

/** Every line of memory.stat: gauges in bytes, then counts. Those of the root are the machine's. */
export function memcgStat(group: MemCgroup): [string, number][] {
  const { system } = group;
  const bytes = { anon: 0, file: 0, pagetables: 0, shmem: 0, zswap: 0, zswapped: 0, file_mapped: 0, file_dirty: 0, file_writeback: 0, swapcached: 0, anon_thp: 0, file_thp: 0, shmem_thp: 0 };
  const { folios } = system;
  let unevictable = 0;
  const end = folios.firstPfn + folios.nrFrames;
  for (let at: number = folios.firstPfn; at < end; ) {
    const folio = asFolio(at);
    const type = folios.typeOf(folio);
    const nr = type === MemdescType.Buddy ? 1 : folios.nrPages(folio);
    at += nr;
    if (type === MemdescType.Buddy || (!group.isRoot && folios.group(folio) !== group.id)) continue;
    const size = nr * PAGE_BYTES;
    if (type === MemdescType.PageTable) bytes.pagetables += size;
    if (type !== MemdescType.AnonFolio && type !== MemdescType.FileFolio) continue;
    if (folios.test(folio, FolioFlag.Unevictable)) unevictable += size;
    if (folios.test(folio, FolioFlag.SwapCache)) bytes.swapcached += size;
    if (folios.isAnon(folio)) {
      let mapped = 0;
      for (let i = 0; i < nr; i++) if (folios.pageMapcount(asFolio(folio + i)) > 0) mapped += PAGE_BYTES;
      bytes.anon += mapped;
      if (folios.entireMapcount(folio) > 0) bytes.anon_thp += size;
      continue;
    }
    bytes.file += size;
    const isShmem = folios.test(folio, FolioFlag.SwapBacked);
    if (isShmem) bytes.shmem += size;
    for (let i = 0; i < nr; i++) if (folios.pageMapcount(asFolio(folio + i)) > 0) bytes.file_mapped += PAGE_BYTES;
    if (nr === 512) bytes[isShmem ? 'shmem_thp' : 'file_thp'] += size;
    if (!isShmem && folios.test(folio, FolioFlag.Dirty)) bytes.file_dirty += size;
    if (!isShmem && folios.test(folio, FolioFlag.Writeback)) bytes.file_writeback += size;
  }
  bytes.zswap = group.zswapBytes;
  bytes.zswapped = group.zswappedPages * PAGE_BYTES;
  const lists: [string, number][] = [];
  const lruvecs = group.isRoot ? [...system.memcg].map(({ lruvec }) => lruvec) : [group.lruvec];
  for (const [type, name] of [[LruType.Anon, 'anon'], [LruType.File, 'file']] as const) {
    const active = lruvecs.reduce((sum, lruvec) => sum + lruvec.activePages(type), 0);
    const all = lruvecs.reduce((sum, lruvec) => sum + lruvec.pages(type), 0);
    lists.push([`inactive_${name}`, (all - active) * PAGE_BYTES], [`active_${name}`, active * PAGE_BYTES]);
  }
  const count = (name: VmName): number => (group.isRoot ? [...system.memcg].reduce((sum, { stat }) => sum + stat.get(name), 0) : group.stat.get(name));
  const { anon, file, ...rest } = bytes;
  return [
    ['anon', anon], ['file', file], ['kernel', rest.pagetables + rest.zswap], ...Object.entries(rest), ...lists, ['unevictable', unevictable],
    ...events.map((name): [string, number] => [name, count(name)]),
    ['pgscan', SCANS.reduce((sum, by) => sum + count(`pgscan_${by}`), 0)], ['pgsteal', SCANS.reduce((sum, by) => sum + count(`pgsteal_${by}`), 0)],
    ...SCANS.map((by): [string, number] => [`pgscan_${by}`, count(`pgscan_${by}`)]), ...SCANS.map((by): [string, number] => [`pgsteal_${by}`, count(`pgsteal_${by}`)]),
    ...laterEvents.map((name): [string, number] => [name, count(name)]),
  ];
}
