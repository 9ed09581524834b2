// How MGLRU finds out what was used: by sweeping page tables. Here: which address spaces, tables and entries a sweep looks at, the Bloom filters that save it
// from tables in which nothing happens, and the look around an entry that the reverse map found young. Not here: what a generation is
// (lru-gen.ts), when to sweep (lru-gen-evict.ts). Mirrors try_to_inc_max_seq(), iterate_mm_list(), walk_mm(), walk_pte_range() and
// lru_gen_look_around() (mm/vmscan.c), 6.18.
//
// Why a sweep is cheaper than the reverse map: it reads a table of 512 neighbouring entries in a row and needs no look-up but the folio's; the reverse map pays two
// or three tree walks for each entry. But it pays for entries that nobody uses, too. Hence the filter: a table is swept if the last sweep, or eviction's
// look-around since, found at least one young entry in eight of it. A table that turns hot later is missed by the sweeps, until eviction meets
// one of its pages, looks around, and tells the filter.
//
// Whether a page was used is asked of the A bit. A hart without hardware A and D (Svade) takes a fault for each bit that is cleared; there are no sweeps then,
// only look-arounds. Entries that point to tables have no A bit on riscv; Linux's third capability, which uses those of x86, reads 0 here.
//
// A Svnapot run of sixteen has one A bit, the OR of sixteen; it is read and cleared as one, and counts as *one* young entry among sixteen, as arm64's contpte
// does in 6.18 (batching of this count came in 7.0). So a table of runs in full use has 32 young entries of 512, is no denser than one in sixteen, and falls out of
// the filter: such memory is kept by look-arounds alone. A 2 MiB entry needs no filter: it is looked at in every sweep.
//
// No fence: see referenced.ts. What a TLB still holds is used without leaving a mark.
import type { Folio, Pfn, StateHash } from '#base';
import { Pte, PteHigh, ptePfn } from '#mmu';
import { FolioFlag } from '../folio.ts';
import type { Mm } from '../mm.ts';
import { ptePresent } from '../pagetable.ts';
import type { Mapping } from '../rmap-walk.ts';
import { VM_ACCESS, VmFlag } from '../vma.ts';
import type { Vma } from '../vma.ts';
import type { LruGen } from './lru-gen.ts';
import { MAX_NR_GENS, genOf } from './lru-gen-folio.ts';
import { MIN_LRU_BATCH } from './lru-gen-pid.ts';
import { LruType } from './lruvec.ts';
import { vmaHasRecency } from './referenced.ts';
import { MAX_SWAPPINESS } from './scan.ts';

/** Promotions that a sweep counts before it tells the lruvec. */
export const MAX_LRU_BATCH = 4096;
/** Entries that share a cache line: a table with one young entry in so many is worth the next sweep. */
const PTES_PER_LINE = 8;
const BLOOM_FILTER_BITS = 15;
const PTRS_PER_TABLE = 512;
/** How long the hart can be thought to stay with a task that reclaims, in cycles of a nanosecond: as long as it takes to look at a thousand folios or two.
 *  With it sweeps come when they do on Debian's 6.12; with 0, sweeps in vain come between them. */
const TURN = 0.25e6;
/** Below so many resident pages 6.12 does not sweep an address space. */
const WORTHWHILE_PAGES = MIN_LRU_BATCH;

/** What sweeps have seen: entries and 2 MiB entries, young ones; tables that were swept, those of them worth the next sweep. */
export const MmStat = { LeafTotal: 0, LeafYoung: 1, NonleafFound: 2, NonleafAdded: 3 } as const;
const NR_MM_STATS = 4;

/** Of one lruvec: struct lru_gen_mm_state. */
export class MmState {
  /** Sweeps of the list of address spaces so far: one behind max_seq when a sweep is due. */
  seq: number;
  readonly stats = new Float64Array(NR_MM_STATS);
  /** Two, by sequence number modulo two: the one that this sweep asks, and the one that it fills for the next. Absent before the first: every table is swept. */
  readonly filters: (Int32Array | null)[] = [null, null];
  /** Marks the address spaces that a sweep of this lruvec has met; another one after a generation without a sweep. */
  epoch = 0;

  constructor(seq: number) {
    this.seq = seq;
  }
  hash(into: StateHash): void {
    into.numbers([this.seq, this.epoch, ...this.stats]);
    for (const filter of this.filters) if (filter !== null) into.int32s(filter);
  }
}

// Bloom filters: 2^15 bits, two keys, from the address of the entry that points to the table.

/** hash_ptr(item, 30): the upper bits of the product with 2^64 over the golden ratio. @param item a byte address */
export function hashItem(item: number): number {
  const low = item >>> 0;
  const high = Math.floor(item / 2 ** 32);
  const [a, b] = [low & 0xffff, low >>> 16];
  const [c, d] = [0x80b583eb & 0xffff, 0x80b583eb >>> 16];
  const middle = a * d + Math.floor((a * c) / 0x1_0000);
  const cross = b * c + (middle % 0x1_0000);
  const carry = b * d + Math.floor(middle / 0x1_0000) + Math.floor(cross / 0x1_0000);
  return ((carry + Math.imul(low, 0x61c88646) + Math.imul(high, 0x80b583eb | 0)) >>> 0) >>> 2;
}
const KEY_MASK = (1 << BLOOM_FILTER_BITS) - 1;
function testBloomFilter(state: MmState, seq: number, item: number): boolean {
  const filter = state.filters[seq % 2]!;
  if (filter === null) return true;
  const hash = hashItem(item);
  const other = hash >>> BLOOM_FILTER_BITS;
  const key = hash & KEY_MASK;
  return ((filter[key >> 5]! >> (key & 31)) & 1) === 1 && ((filter[other >> 5]! >> (other & 31)) & 1) === 1;
}
function updateBloomFilter(state: MmState, seq: number, item: number): void {
  const filter = state.filters[seq % 2]!;
  if (filter === null) return;
  const hash = hashItem(item);
  const other = hash >>> BLOOM_FILTER_BITS;
  const key = hash & KEY_MASK;
  filter[key >> 5]! |= 1 << (key & 31);
  filter[other >> 5]! |= 1 << (other & 31);
}
function resetBloomFilter(state: MmState, seq: number): void {
  const filter = state.filters[seq % 2]!;
  if (filter === null) state.filters[seq % 2] = new Int32Array(1 << (BLOOM_FILTER_BITS - 5));
  else filter.fill(0);
}
/** The address of the PMD entry above a page: what filters know a table by. */
function pmdItem({ tables }: Mm, vpn: number): number {
  return tables.tableAt(vpn, 1) * 4096 + (Math.floor(vpn / PTRS_PER_TABLE) % PTRS_PER_TABLE) * 8;
}
/** At least one young entry a cache line on average? suitable_to_scan() */
const isDense = (total: number, young: number): boolean => young * PTES_PER_LINE >= total;

/** One sweep, or what eviction's look-arounds gather meanwhile: struct lru_gen_mm_walk. */
export class MmWalk {
  seq = 0;
  swappiness = 0;
  /** Every table, whatever the filter says. */
  forceScan = false;
  batched = 0;
  /** Changes of lruvec.nrPages, not told yet. */
  readonly nrPages = new Int32Array(MAX_NR_GENS * 2);
  readonly stats = new Float64Array(NR_MM_STATS);

  count(type: LruType, from: number, to: number, pages: number): void {
    this.batched++;
    this.nrPages[from * 2 + type]! -= pages;
    this.nrPages[to * 2 + type]! += pages;
  }
  /** reset_batch_size(). */
  flush(lruvec: LruGen): void {
    if (this.batched === 0) return;
    this.batched = 0;
    for (let at = 0; at < this.nrPages.length; at++) {
      lruvec.nrPages[at]! += this.nrPages[at]!;
      this.nrPages[at] = 0;
    }
  }
}

// Aging.

/** Begins a new generation, after a sweep if sweeps make sense. @param seq the youngest as the asker knows it  @returns false: it is no more, somebody was
 *  faster. try_to_inc_max_seq() */
export function tryToIncMaxSeq(lruvec: LruGen, seq: number, swappiness: number, forceScan: boolean): boolean {
  const { mmState, system } = lruvec;
  if (seq <= mmState.seq) return false;
  if (system.lruGen.walksMmu) sweep(lruvec, seq, swappiness, forceScan);
  // Whoever is met by the next sweep counts as new.
  else mmState.epoch = system.lruGen.newEpoch();
  mmState.seq++;
  lruvec.incMaxSeq(swappiness);
  return true;
}
/** All address spaces of the group, once. iterate_mm_list() */
function sweep(lruvec: LruGen, seq: number, swappiness: number, forceScan: boolean): void {
  const { mmState, system, isOld } = lruvec;
  const walk = system.lruGen.setWalk();
  walk.seq = seq;
  walk.swappiness = swappiness;
  walk.forceScan = forceScan;
  if (mmState.epoch === 0) mmState.epoch = system.lruGen.newEpoch();
  let isFirst = true;
  // Those that the last sweep met come first, then those that are new since. All tables of a new one are looked at, whatever the filter says.
  for (const isNew of [false, true]) {
    for (const mm of system.mms) {
      if (mm.group !== lruvec.group || (mm.sweptIn !== mmState.epoch) !== isNew) continue;
      if (isNew) walk.forceScan = true;
      if (!walk.forceScan && !hasRun(mm)) continue;
      mm.ranSinceWalk = false;
      mm.sweptAt = system.machine.clockCycles;
      if (isOld && residentPages(mm, swappiness) < WORTHWHILE_PAGES) continue;
      if (isFirst) resetBloomFilter(mmState, seq + 1);
      isFirst = false;
      walkMm(lruvec, mm, walk);
      walk.flush(lruvec);
    }
    if (isNew) for (const mm of system.mms) if (mm.group === lruvec.group) mm.sweptIn = mmState.epoch;
  }
  for (let i = 0; i < NR_MM_STATS; i++) mmState.stats[i]! += walk.stats[i]!;
  walk.stats.fill(0);
}
/** Who runs now is in use: on Linux a tick or a kernel's thread comes between two sweeps, and its return marks the address space anew. But two sweeps with
 *  nothing between them are one. */
function hasRun(mm: Mm): boolean {
  const { runningMm, machine } = mm.system;
  return mm.ranSinceWalk || (mm === runningMm && machine.clockCycles - mm.sweptAt >= TURN);
}
const residentPages = ({ rss }: Mm, swappiness: number): number => rss.filePages + (swappiness > 0 ? rss.anonPages + rss.shmemPages : 0);

/** Is there nothing to be learned from a VMA, or nothing to be done about it? should_skip_vma() */
function shouldSkipVma(vma: Vma, swappiness: number): boolean {
  if (!vma.has(VM_ACCESS) || !vmaHasRecency(vma) || vma.has(VmFlag.Locked | VmFlag.DontExpand)) return true;
  if (vma.file === null) return swappiness === 0;
  const { space } = vma.file;
  if (space.isUnevictable) return true;
  if (space.kind === 'shmem') return swappiness === 0;
  return swappiness > MAX_SWAPPINESS || space.ops === null;
}
/** One address space, table by table. A table that several VMAs share is finished at one go. */
function walkMm(lruvec: LruGen, mm: Mm, walk: MmWalk): void {
  const { all: vmas } = mm.vmaList;
  let at = 0;
  let next = 0;
  for (;;) {
    next = nextVma(vmas, next, at, walk.swappiness);
    if (next === vmas.length) return;
    const vma = vmas[next]!;
    at = Math.max(at, vma.start / 4096);
    const end = (Math.floor(at / PTRS_PER_TABLE) + 1) * PTRS_PER_TABLE;
    walkPmd(lruvec, mm, walk, next, at, end);
    at = end;
    if (walk.batched >= MAX_LRU_BATCH) walk.flush(lruvec);
  }
}
/** The first VMA worth a look, from the one with index `from` on, that reaches beyond a page; vmas.length: none. */
function nextVma(vmas: readonly Vma[], from: number, vpn: number, swappiness: number): number {
  let i = from;
  while (i < vmas.length && (vmas[i]!.end / 4096 <= vpn || shouldSkipVma(vmas[i]!, swappiness))) i++;
  return i;
}
/** One entry of a PMD table. @param first index of the VMA that the page `vpn` is in  @param end of the entry's 512 pages */
function walkPmd(lruvec: LruGen, mm: Mm, walk: MmWalk, first: number, vpn: number, end: number): void {
  const { system, mmState } = lruvec;
  const { stats } = walk;
  const low = mm.tables.pmd(vpn);
  system.machine.charge(system.params.cost.pte_scan);
  if (!ptePresent(low)) {
    stats[MmStat.LeafTotal]!++;
    return;
  }
  if (mm.tables.pmdLeaf(vpn) !== 0) {
    stats[MmStat.LeafTotal]!++;
    if (!system.isZeroFrame(ptePfn(low))) walkLeaf(lruvec, mm, walk, end - PTRS_PER_TABLE, low);
    return;
  }
  const item = pmdItem(mm, vpn);
  if (!walk.forceScan && !testBloomFilter(mmState, walk.seq, item)) return;
  stats[MmStat.NonleafFound]!++;
  if (!walkTable(lruvec, mm, walk, first, vpn, end)) return;
  stats[MmStat.NonleafAdded]!++;
  updateBloomFilter(mmState, walk.seq + 1, item);
}
/** A 2 MiB entry. */
function walkLeaf(lruvec: LruGen, mm: Mm, walk: MmWalk, vpn: number, low: number): void {
  const { sampling } = lruvec.system;
  const isYoung = (low & Pte.A) !== 0;
  const folio = isYoung || sampling !== null ? folioOfGroup(lruvec, ptePfn(low)) : 0;
  if (folio === 0) return;
  if (sampling !== null) sampling.sampled(mm, vpn, PTRS_PER_TABLE, isYoung);
  if (!isYoung) return;
  mm.tables.setPmdLeaf(vpn, low & ~Pte.A);
  walk.stats[MmStat.LeafYoung]!++;
  seenYoung(lruvec, walk, folio, (low & Pte.D) !== 0);
}
/** The entries of one table, of all VMAs worth a look. @returns whether it is dense enough for the next sweep */
function walkTable(lruvec: LruGen, mm: Mm, walk: MmWalk, first: number, from: number, end: number): boolean {
  const { all: vmas } = mm.vmaList;
  let total = 0;
  let young = 0;
  let index = first;
  let vpn = from;
  while (vpn < end && index < vmas.length && vmas[index]!.start / 4096 < end) {
    vpn = Math.max(vpn, vmas[index]!.start / 4096);
    const until = Math.min(end, vmas[index]!.end / 4096);
    total += until - vpn;
    young += scanEntries(lruvec, mm, walk, vpn, until, false);
    vpn = until;
    index = nextVma(vmas, index, vpn, walk.swappiness);
  }
  walk.stats[MmStat.LeafTotal]! += total;
  walk.stats[MmStat.LeafYoung]! += young;
  return isDense(total, young);
}

/** Entries of one table: young ones are cleared, and their folios told. A folio that several of them in a row map is told once. @param filesOnly up to 6.13,
 *  around a file's page: anonymous ones are none of its business  @returns young ones */
function scanEntries(lruvec: LruGen, mm: Mm, walk: MmWalk | null, start: number, end: number, filesOnly: boolean): number {
  const { system } = lruvec;
  const { machine, sampling } = system;
  const { tables } = mm;
  const table = tables.tableAt(start, 0);
  if (table === 0) return 0;
  machine.charge(system.params.cost.pte_scan * (end - start));
  let young = 0;
  let last: Folio | 0 = 0;
  let isDirty = false;
  for (let vpn = start; vpn < end; vpn++) {
    const index = vpn & 511;
    let low = machine.pteLow(table, index);
    if (!ptePresent(low)) continue;
    const isFolded = (machine.pteHigh(table, index) & PteHigh.N) !== 0;
    // Of a run, all of it at its first page here.
    if (isFolded) {
      if (vpn > start && (vpn & 15) !== 0) continue;
      low = tables.get(vpn);
    }
    const isYoung = (low & Pte.A) !== 0;
    if (!isYoung && sampling === null) continue;
    const pfn = ptePfn(low);
    if (system.isZeroFrame(pfn)) continue;
    const folio = folioOfGroup(lruvec, pfn);
    if (folio === 0 || (filesOnly && !system.folios.isFileLru(folio))) continue;
    if (sampling !== null) sampling.sampled(mm, isFolded ? vpn - (vpn & 15) : vpn, isFolded ? 16 : 1, isYoung);
    if (!isYoung) continue;
    if (isFolded) clearRun(mm, vpn);
    else tables.setUnit(vpn, low & ~Pte.A, 1);
    if (folio !== last) {
      if (last !== 0) seenYoung(lruvec, walk, last, isDirty);
      last = folio;
      isDirty = false;
    }
    isDirty ||= (low & Pte.D) !== 0;
    young++;
  }
  if (last !== 0) seenYoung(lruvec, walk, last, isDirty);
  return young;
}
function clearRun({ tables }: Mm, vpn: number): void {
  const start = vpn - (vpn & 15);
  tables.setUnit(start, tables.get(start) & ~Pte.A, 16);
}
/** The folio of a frame if it is the group's, and on one of its lists. Up to 6.13 one that is off them will do. get_pfn_folio() */
function folioOfGroup(lruvec: LruGen, pfn: Pfn): Folio | 0 {
  const { folios, memcg } = lruvec.system;
  if (!folios.has(pfn) || !folios.isMovable(pfn)) return 0;
  const folio = folios.folioOf(pfn);
  if (!lruvec.isOld && genOf(folios.lruWord(folio)) < 0) return 0;
  return memcg.of(folio) === lruvec.group ? folio : 0;
}
/** walk_update_folio(). @param walk null: there is no batch, the folio is moved at once */
function seenYoung(lruvec: LruGen, walk: MmWalk | null, folio: Folio, isDirty: boolean): void {
  const { system } = lruvec;
  const { folios } = system;
  // Of anonymous memory that will be written anyway when it goes, only what is in the swap cache needs to know.
  const flags = folios.flags(folio);
  const isSwapless = folios.isAnon(folio) && (flags & (FolioFlag.SwapBacked | FolioFlag.SwapCache)) === FolioFlag.SwapBacked;
  if (isDirty && (flags & FolioFlag.Dirty) === 0 && !isSwapless) system.dirtyFolio(folio);
  const gen = lruvec.maxSeq % MAX_NR_GENS;
  if (walk !== null) {
    const old = lruvec.updateGen(folio, gen);
    if (old >= 0 && old !== gen) walk.count(lruvec.typeOf(folio), old, gen, folios.nrPages(folio));
    return;
  }
  const old = genOf(folios.lruWord(folio));
  if (!lruvec.setRefs(folio)) return;
  if (old >= 0 && old !== gen) system.lru.activate(folio);
}

// Looking around.

/** Eviction has met a young entry, and cleared it. Its neighbours in the table, 64 at most, are cheap to read now; and the table may be worth the next sweep.
 *  @returns false: there was nothing to look at */
export function lookAround(lruvec: LruGen, { mm, vma, vpn }: Mapping): boolean {
  const { system, mmState, isOld } = lruvec;
  if (vma.has(VmFlag.DontExpand)) return false;
  const base = vpn - (vpn % PTRS_PER_TABLE);
  let start = Math.max(base, vma.start / 4096);
  let end = Math.min(base + PTRS_PER_TABLE, vma.end / 4096);
  if (end - start === 1 && !isOld) return false;
  if (end - start > MIN_LRU_BATCH) {
    if (vpn - start < MIN_LRU_BATCH / 2) end = start + MIN_LRU_BATCH;
    else if (end - vpn < MIN_LRU_BATCH / 2) start = end - MIN_LRU_BATCH;
    else {
      start = vpn - MIN_LRU_BATCH / 2;
      end = vpn + MIN_LRU_BATCH / 2;
    }
  }
  const own = system.folios.folioOf(ptePfn(mm.tables.get(vpn)));
  const young = 1 + scanEntries(lruvec, mm, system.lruGen.walk, start, end, isOld && system.folios.isFileLru(own));
  if (isDense(end - start, young)) updateBloomFilter(mmState, lruvec.maxSeq, pmdItem(mm, vpn));
  return true;
}
