// MGLRU of the whole machine: which group reclaim takes from next, what is switched on, the protection of what was used in the last so many milliseconds.
// Here: what all groups share, struct pglist_data's part. Not here: one group's generations (lru-gen.ts), when to reclaim (vmscan.ts).
// Mirrors struct lru_gen_memcg, lru_gen_rotate_memcg(), shrink_one(), shrink_many(), lru_gen_shrink_node() and lru_gen_age_node() (mm/vmscan.c), 6.18.
//
// The groups' own LRU: two generations of groups, old and young, each of 8 bins, a list a bin. Reclaim takes groups of the old generation, beginning with a random
// bin, until enough is free: so several reclaimers do not queue for the same group, and none is passed over for long. What moves a group:
//   to the tail, once    it is below memory.low, or gone, or too small to be worth a pass
//   to the young         the same for the second time; below memory.min; or aging had to be done, so that it has nothing cold now
//   to the old's head    its cgroup was removed
// With nobody left in the old generation the young becomes the old.
import { Prng, bug } from '#base';
import type { StateHash } from '#base';
import type { MemCgroup } from '../memcg.ts';
import type { MmSystem } from '../system.ts';
import type { LruGen } from './lru-gen.ts';
import { isSizable, shouldAbortScan, swappinessOf, tryToShrinkLruvec } from './lru-gen-evict.ts';
import { MAX_NR_GENS } from './lru-gen-folio.ts';
import { MIN_LRU_BATCH } from './lru-gen-pid.ts';
import { MmWalk } from './lru-gen-walk.ts';
import { LruType } from './lruvec.ts';
import { DEF_PRIORITY } from './scan.ts';
import type { ScanControl } from './scan.ts';

const MEMCG_NR_GENS = 3;
const MEMCG_NR_BINS = 8;
/** Where in its bin a group stands. */
const Segment = { Default: 0, Tail: 2 } as const;
type Op = 'none' | 'tail' | 'old' | 'young';

export class LruGenNode {
  /** Bits 1 and 2 of lru_gen/enabled, as they were asked for. */
  mayWalk = true;
  mayUseNonleaf = true;
  /** Kill rather than evict what was used within so many milliseconds; 0: never. */
  minTtlMs = 0;
  /** What sweeps and look-arounds of the reclaim under way count; null: nothing is gathered. current->reclaim_state->mm_walk */
  walk: MmWalk | null = null;
  private readonly theWalk = new MmWalk();
  private readonly system: MmSystem;
  private random = new Prng(1, 'lru_gen');
  private epoch = 0;
  /** The old generation's number. */
  private seq = 0;
  private readonly fifo: LruGen[][][] = Array.from({ length: MEMCG_NR_GENS }, () => Array.from({ length: MEMCG_NR_BINS }, () => []));
  private readonly nrMemcgs = [0, 0, 0];

  constructor(system: MmSystem) {
    this.system = system;
  }
  /** From now on bins are drawn from this seed. */
  setSeed(seed: number): void {
    this.random = new Prng(seed, 'lru_gen');
  }
  /** Sweeps of page tables make sense: the hart sets A bits itself, and nobody has forbidden them. should_walk_mmu() */
  get walksMmu(): boolean {
    return this.mayWalk && this.system.machine.svadu !== false;
  }
  /** What marks address spaces that one round of sweeps has met. */
  newEpoch(): number {
    return ++this.epoch;
  }
  /** From now on until clearWalk() promotions are gathered. set_mm_walk() */
  setWalk(): MmWalk {
    this.walk = this.theWalk;
    return this.theWalk;
  }
  clearWalk(): void {
    this.walk = null;
  }

  // The groups' LRU.

  /** lru_gen_online_memcg(). */
  online(lruvec: LruGen): void {
    lruvec.memcgGen = this.seq % MEMCG_NR_GENS;
    lruvec.memcgSeg = Segment.Default;
    lruvec.memcgBin = this.random.below(MEMCG_NR_BINS);
    this.fifo[lruvec.memcgGen]![lruvec.memcgBin]!.push(lruvec);
    this.nrMemcgs[lruvec.memcgGen]!++;
  }
  offline(lruvec: LruGen): void {
    if (lruvec.memcgGen >= 0) this.rotate(lruvec, 'old');
  }
  /** The group is gone, or has another policy. */
  release(lruvec: LruGen): void {
    if (lruvec.memcgGen < 0) return;
    const gen = lruvec.memcgGen;
    this.unlink(lruvec);
    lruvec.memcgGen = -1;
    this.considerNextGeneration(gen);
  }
  private unlink(lruvec: LruGen): void {
    const bin = this.fifo[lruvec.memcgGen]![lruvec.memcgBin]!;
    bin.splice(bin.indexOf(lruvec), 1);
    this.nrMemcgs[lruvec.memcgGen]!--;
  }
  private considerNextGeneration(gen: number): void {
    if (this.nrMemcgs[gen] === 0 && gen === this.seq % MEMCG_NR_GENS) this.seq++;
  }
  /** lru_gen_rotate_memcg(). */
  rotate(lruvec: LruGen, op: Op): void {
    if (op === 'none' || lruvec.memcgGen < 0) return;
    const bin = this.random.below(MEMCG_NR_BINS);
    const old = lruvec.memcgGen;
    this.unlink(lruvec);
    lruvec.memcgSeg = op === 'tail' ? Segment.Tail : Segment.Default;
    if (op === 'old') lruvec.memcgGen = this.seq % MEMCG_NR_GENS;
    if (op === 'young') lruvec.memcgGen = (this.seq + 1) % MEMCG_NR_GENS;
    lruvec.memcgBin = bin;
    const into = this.fifo[lruvec.memcgGen]![bin]!;
    if (op === 'old') into.unshift(lruvec);
    else into.push(lruvec);
    this.nrMemcgs[lruvec.memcgGen]!++;
    this.considerNextGeneration(old);
  }

  // Reclaim of the machine.

  /** One pass over the groups of the old generation. lru_gen_shrink_node() */
  shrink(sc: ScanControl): void {
    if (!sc.mayUnmap) return;
    const before = sc.nrReclaimed;
    // kswapd always gathers; who reclaims for himself does from his first sweep on.
    if (sc.by === 'kswapd' || sc.by === 'proactive') this.setWalk();
    this.setInitialPriority(sc);
    if (sc.by === 'kswapd') sc.nrReclaimed = 0;
    this.shrinkMany(sc);
    if (sc.by === 'kswapd') sc.nrReclaimed += before;
    this.clearWalk();
  }
  private shrinkMany(sc: ScanControl): void {
    const gen = this.seq % MEMCG_NR_GENS;
    const first = this.random.below(MEMCG_NR_BINS);
    for (let i = 0; i < MEMCG_NR_BINS; i++) if (!this.shrinkBin(this.fifo[gen]![(first + i) % MEMCG_NR_BINS]!, sc)) return;
  }
  /** @returns false: enough is free */
  private shrinkBin(bin: LruGen[], sc: ScanControl): boolean {
    for (let i = 0; i < bin.length; ) {
      const lruvec = bin[i]!;
      const op = this.shrinkOne(lruvec, sc);
      const isEnough = shouldAbortScan(lruvec, sc);
      const isLast = i === bin.length - 1;
      this.rotate(lruvec, op);
      if (isEnough) return false;
      if (isLast) return true;
      if (bin[i] === lruvec) i++;
    }
    return true;
  }
  /** shrink_one(). @returns where it goes */
  private shrinkOne(lruvec: LruGen, sc: ScanControl): Op {
    const { group } = lruvec;
    if (!group.isRoot && group.usage <= group.min) return 'young';
    if (!group.isRoot && group.usage <= group.low) {
      if (lruvec.memcgSeg !== Segment.Tail) return 'tail';
      group.events.low++;
    }
    const isAged = tryToShrinkLruvec(lruvec, sc);
    this.system.vmscan.shrinkZswap(group, sc);
    if (isAged && group.isOnline) return 'young';
    if (!isAged && isSizable(lruvec, sc)) return 'none';
    return lruvec.memcgSeg === Segment.Tail ? 'young' : 'tail';
  }
  /** So that one pass finds what is wanted, if as much of what it looks at goes as is inactive of all. set_initial_priority() */
  private setInitialPriority(sc: ScanControl): void {
    if (sc.priority !== DEF_PRIORITY || sc.nrToReclaim < MIN_LRU_BATCH) return;
    const { lru, swap } = this.system;
    let reclaimable = lru.pages(LruType.File) - lru.activePages(LruType.File);
    if (sc.maySwap && swap.freePages > 0) reclaimable += lru.pages(LruType.Anon) - lru.activePages(LruType.Anon);
    const priority = 31 - Math.clz32(reclaimable) - (32 - Math.clz32(sc.nrToReclaim - 1));
    sc.priority = Math.min(Math.max(priority, DEF_PRIORITY / 2), DEF_PRIORITY);
  }
  /** kswapd, before a pass. With a minimum of time for a working set: if no group has a generation that is older and worth a pass, somebody must die.
   *  lru_gen_age_node() */
  age(sc: ScanControl): void {
    this.setInitialPriority(sc);
    if (this.minTtlMs === 0) return;
    for (const group of this.system.memcg) if (this.isReclaimable(group, sc)) return;
    this.system.oomRequested = true;
  }
  /** lruvec_is_reclaimable(). */
  private isReclaimable(group: MemCgroup, sc: ScanControl): boolean {
    const lruvec = group.lruvec as LruGen;
    if ((!group.isRoot && group.usage <= group.min) || !isSizable(lruvec, sc)) return false;
    const seq = lruvec.evictableMinSeq(swappinessOf(lruvec, sc));
    return lruvec.timestamps[seq % MAX_NR_GENS]! + this.minTtlMs * 1e6 < this.system.machine.clockCycles;
  }

  /** Throws Bug unless the lruvec stands in the one bin that it names, and each generation has as many groups as are counted. */
  checkListed(lruvec: LruGen): void {
    for (const [gen, bins] of this.fifo.entries()) {
      let nr = 0;
      for (const [bin, lruvecs] of bins.entries()) {
        nr += lruvecs.length;
        const isHere = lruvecs.filter((one) => one === lruvec).length;
        if (isHere !== (gen === lruvec.memcgGen && bin === lruvec.memcgBin ? 1 : 0)) bug(`group ${lruvec.group.path} stands ${isHere} times in bin ${bin} of generation ${gen}`);
      }
      if (nr !== this.nrMemcgs[gen]) bug(`${nr} groups are of generation ${gen}, ${this.nrMemcgs[gen]} are counted`);
    }
  }
  hash(into: StateHash): void {
    into.numbers([this.mayWalk ? 1 : 0, this.mayUseNonleaf ? 1 : 0, this.minTtlMs, this.epoch, this.seq, ...this.nrMemcgs]);
    into.int32s(this.random.state);
  }
}
