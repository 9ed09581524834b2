// One way of evicting, timed: fills memory, then has all of it reclaimed. Prints JSON. For evict.mjs. Arguments: policy, what, order.
// The machine is the real one, frames and page tables in its arena; no instruction runs, so that nothing but reclaim is timed. The disk behind the file
// and the swap device move real bytes, at no cost of their own but the copy.
import { asVpn } from '#base';
import { Machine } from '#cpu';
import { MemoryImage, defaultParams, swapHeader, swapOn, wholeDisk } from '#kernel';
import { BlockDevice } from '#kernel/block/device.ts';
import { parseLatency } from '#kernel/block/latency.ts';
import { FaultAccess, handlePageFault } from '#kernel/mm/fault.ts';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import type { AddressSpaceOps } from '#kernel/mm/filemap.ts';
import { FolioFlag, MemdescType } from '#kernel/mm/folio.ts';
import { Gfp } from '#kernel/mm/gfp.ts';
import { Mm } from '#kernel/mm/mm.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { LruType } from '#kernel/mm/reclaim/lruvec.ts';
import { MmSystem } from '#kernel/mm/system.ts';
import { newRa } from '#kernel/mm/readahead.ts';
import { mglru } from '#kernel/mm/reclaim/lru-gen.ts';
import { twoList } from '#kernel/mm/reclaim/two-list.ts';
import { DEFAULT_PRESET, Pte, presetNamed } from '#mmu';

const MIB = 1 << 20;
const [policy = 'two-list', what = 'file', orderText = '0', mibText = '384'] = process.argv.slice(2);
const order = Number(orderText);
const mib = Number(mibText);
const machine = new Machine({ ramBytes: (mib + 128) * MIB, tlb: presetNamed(DEFAULT_PRESET), sv: 39, svadu: true, seed: 1 });
const system = new MmSystem(machine, defaultParams());
const policies = { 'two-list': twoList, mglru };
if (!(policy in policies)) throw new Error(`${policy}: no such policy`);
system.lru.setKind(policies[policy as keyof typeof policies]);
const group = system.memcg.create('bench')!;
system.memcg.active = group;
const mm = Mm.create(system)!;
mm.activate();
const pages = mib * 256;
if (what === 'swap') {
  // Memory that this host has given out already, for what the first use of that costs is not reclaim's.
  const bytes = (mib + 64) * MIB;
  const disk = new BlockDevice(system, new MemoryImage(new Uint8Array(bytes).fill(1)), parseLatency('nvme'), 'vda', 254, 0);
  system.addDisk(disk);
  disk.image.write(0, swapHeader(bytes / 4096));
  if (swapOn(system, wholeDisk(disk), null) < 0) throw new Error('no swap');
}

const counts = { minFlt: 0, majFlt: 0 };
const ops: AddressSpaceOps = {
  name: 'iomap', maxOrder: 9, readFolios: () => {}, write: () => ({ moved: 0, error: -5, wait: 0 }), pageMkwrite: () => 0, writepages: () => 0, invalidateFolio: () => {},
  releaseFolio: () => true, folioWritten: () => {}, zeroRange: () => 0, extending: () => {}, folioMoved: () => {}, hash: () => {},
};
const space = new AddressSpace(system, 'file', null, ops);
if (what === 'swap') {
  const at = mm.mmap({ addr: 0, len: pages * 4096, prot: Prot.Read | Prot.Write, flags: MapFlag.Private | MapFlag.Anonymous, file: null, pgoff: 0 });
  if (order > 0) system.thp.setMode(order, 'always');
  const contents = new Uint8Array(4096).map((_, i) => i % 251 + 1);
  for (let i = 0; i < pages; i++) {
    const va = at + i * 4096;
    if (mm.tables.rawLow(asVpn(va / 4096)) === 0) handlePageFault(mm, counts, va, FaultAccess.Write, 'user', 0);
    const pfn = mm.tables.get(va / 4096) >>> 10;
    machine.writeFrame(pfn as never, 0, contents);
  }
  // Not used since: the pages are old, and go at the first look.
  for (let vpn = at / 4096; vpn < at / 4096 + pages; vpn++) {
    const nr = mm.tables.unitAt(vpn, at / 4096 + pages);
    mm.tables.setUnit(vpn, mm.tables.get(vpn) & ~Pte.A, nr);
    vpn += nr - 1;
  }
} else {
  space.sizeBytes = pages * 4096;
  for (let i = 0; i < pages; i += 1 << order) {
    const folio = system.allocFolio(order, MemdescType.FileFolio, Gfp.User);
    if (folio === 0) throw new Error('no memory for the file');
    system.folios.set(folio, FolioFlag.Uptodate);
    space.addFolio(folio, i);
  }
  if (what === 'mapped') {
    const at = mm.mmap({ addr: 0, len: pages * 4096, prot: Prot.Read, flags: MapFlag.Shared, file: { space, path: '/f', ino: 1, devMajor: 0, devMinor: 1, mayWrite: true, ra: newRa(32, 1024) }, pgoff: 0 });
    for (let i = 0; i < pages; i += 16) handlePageFault(mm, counts, at + i * 4096, FaultAccess.Read, 'user', 0);
  }
}
const resident = (): number => group.lruvec.pages(LruType.Anon) + group.lruvec.pages(LruType.File);
const begun = resident();
const cpu = process.cpuUsage();
let idle = 0;
// The first pass over what was mapped a moment ago finds it young: it is counted, too.
while (resident() > begun / 20 && idle < 200) {
  const freed = system.vmscan.reclaimGroup(group, 32, true);
  idle = freed > 0 ? 0 : idle + 1;
  // Everything is on its way to the disk.
  if (freed === 0) system.waits.passTime();
  // Whoever wanted the pages fills them, a microsecond each: the disk works on.
  machine.charge(32_000);
}
const used = process.cpuUsage(cpu);
if (process.env['QUIRE_PROFILE'] !== undefined) console.error(JSON.stringify(system.vmstat.entries().filter(([, n]) => n > 0)));
const evicted = begun - resident();
console.log(JSON.stringify({ pages: evicted, folios: evicted / 2 ** order, cpuSeconds: (used.user + used.system) / 1e6, scanned: group.stat.get('pgscan_direct') }));
