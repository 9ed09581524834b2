// What the kernel does to memory of its own accord, drawn at random: khugepaged, compaction, migration, splitting, shrinking, changed settings.
// Programs see none of it. Here: the operations. Not here: programs (mm-world.ts), what must hold afterwards.
import { Prng, asPfn } from '#base';
import type { Folio } from '#base';
import { IoBuffer } from '#kernel/fs/io-buffer.ts';
import { PipePages } from '#kernel/fs/pipe.ts';
import { CompactPriority } from '#kernel/mm/compaction.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { MigrateMode, migratePages } from '#kernel/mm/migrate.ts';
import { splitHugePages } from '#kernel/mm/split-huge-pages.ts';
import { splitFolio } from '#kernel/mm/split.ts';
import { Gfp } from '#kernel/mm/system.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { allocStrategies } from '#kernel/params.ts';

const defrags = ['always', 'defer', 'defer+madvise', 'madvise', 'never'] as const;
const shmemWords = ['always', 'within_size', 'advise', 'never', 'never'] as const;
/** Settings that decide how memory is used and nothing else, with values worth having. */
const tunables = { defrag_mode: [0, 0, 1], compact_large_folios: [0, 1, 1], compaction_proactiveness: [0, 20, 100], access_split: [0, 1], access_split_interval: [0, 1], access_split_min_used: [0, 25, 100], access_split_unmerge: [0, 1], compact_unevictable_allowed: [0, 1], extfrag_threshold: [0, 500], svnapot_fold: [0, 1, 1, 1], fault_around_bytes: [4096, 65536] } as const;
const khugepaged = { max_ptes_none: [0, 1, 64, 255, 511, 511], max_ptes_shared: [0, 256, 511], any_order: [0, 1, 1], defrag: [0, 1], pages_to_scan: [1, 512, 4096], alloc_sleep_millisecs: [0, 60000] } as const;

export class Background {
  private readonly system: MmSystem;
  private readonly random: Prng;
  private readonly pipe: PipePages;
  private nrGroups = 0;

  constructor(system: MmSystem, random: Prng) {
    this.system = system;
    this.random = random;
    this.pipe = new PipePages(system);
  }
  /** @returns what was done, for whoever reports a failure */
  operate(): string {
    const { system, random } = this;
    if (system.swap.totalPages > 0 && random.below(2) === 0) return this.swap();
    switch (random.below(13)) {
      case 0: case 1: return this.khugepaged();
      case 2: return this.compact();
      case 3: return this.migrate();
      case 4: case 5: return this.split();
      case 6:
        splitHugePages(system, '1', () => undefined);
        return 'split_huge_pages';
      case 7: {
        const nr = 1 + random.below(64);
        system.deferredSplit.shrink(nr);
        return `shrink ${nr}`;
      }
      case 8:
        system.pressure.reclaim(0, 0);
        system.runDaemons();
        return 'daemons';
      case 9: return this.fillPipe();
      case 10:
        if (random.below(2) === 0) {
          system.accessSplit.watch();
          return 'watch';
        }
        return `judge: ${system.accessSplit.judge()} frames`;
      default: return this.set();
    }
  }
  /** Pages go to swap, whoever needs them; what is under way ends, or some of it. */
  private swap(): string {
    const { system, random } = this;
    const { folios, lru, vmscan } = system;
    if (system.swap.zswap.params.enabled && random.below(2) === 0) return this.group();
    switch (random.below(8)) {
      case 0: return `direct reclaim: ${vmscan.direct(random.below(4), Gfp.User)} pages`;
      case 1: {
        for (let i = 0; i < 3; i++) vmscan.reclaimGroup(system.memcg.root, 64, true);
        return 'reclaim of the root group';
      }
      case 2: case 3: {
        let ends = 0;
        while (random.below(4) > 0 && system.waits.passTime()) ends++;
        return `${ends} requests end`;
      }
      case 4: {
        system.swap.zswap.params.accept_threshold_percent = this.oneOf([10, 50, 90]);
        system.params.vm.page_cluster = random.below(6);
        system.swap.cache.ra.vmaEnabled = random.below(3) > 0;
        system.params.vm.swappiness = this.oneOf([0, 60, 100, 200]);
        return `page-cluster ${system.params.vm.page_cluster}`;
      }
      default: {
        const list = new Set<Folio>();
        for (let i = random.below(40); i >= 0; i--) {
          const folio = this.someFolio();
          if (folio !== 0 && !folios.test(folio, FolioFlag.Unevictable) && !list.has(folio) && lru.isolate(folio)) list.add(folio);
        }
        return `page out ${list.size} folios: ${vmscan.reclaimPages([...list])} pages`;
      }
    }
  }
  /** Who is charged changes, groups come and go, and what zswap may do for them. Their limits of memory stay open: nothing is refused for them. */
  private group(): string {
    const { random, system: { memcg, mms, swap: { zswap } } } = this;
    const groups = [...memcg].filter(({ isOnline }) => isOnline);
    const group = this.oneOf(groups);
    switch (random.below(10)) {
      case 0: {
        const name = `g${this.nrGroups++}`;
        if (groups.length < 4) memcg.active = memcg.create(name)!;
        return `a group, ${name}`;
      }
      case 1:
        if (group.isRoot || [...mms].some((mm) => mm.group === group)) return 'a group stays';
        if (memcg.active === group) memcg.active = memcg.root;
        memcg.offline(group);
        return `group ${group.path} goes`;
      case 2:
        if (group.isRoot) return 'the root has no limits';
        group.zswapMax = this.oneOf([0, 1, 4, 16, Infinity]);
        group.swapHigh = this.oneOf([0, 20, Infinity]);
        return `memory.zswap.max of ${group.path}: ${group.zswapMax} pages`;
      case 3: return `memory.zswap.writeback of ${group.path}: ${group.zswapWriteback = group.isRoot || random.below(2) === 0}`;
      case 4: return `back to the program: ${memcg.active.overHigh > 0 ? memcg.handleOverHigh(memcg.active) : 0} cycles of sleep`;
      case 5: case 6: case 7: {
        const nr = 1 + random.below(1000);
        zswap.shrink(group, nr);
        return `shrinker of zswap: ${nr} of ${group.path}`;
      }
      case 8:
        memcg.as(memcg.root, () => { zswap.run(); });
        return 'daemon of zswap';
      default:
        memcg.active = group;
        return `group ${group.path} is charged`;
    }
  }
  private oneOf<T>(values: readonly T[]): T {
    return values[this.random.below(values.length)]!;
  }
  private khugepaged(): string {
    const rounds = 1 + this.random.below(4);
    for (let i = 0; i < rounds; i++) this.system.khugepaged.run();
    return `khugepaged ${rounds}`;
  }
  private compact(): string {
    const { compaction, kcompactd } = this.system;
    const order = 1 + this.random.below(10);
    const how = this.random.below(8);
    if (how === 0) compaction.everything();
    else if (how === 1) compaction.forDaemon(order);
    else if (how === 2) compaction.proactively();
    else if (how === 3) kcompactd.wake(order);
    else compaction.direct(order, this.oneOf([Gfp.User, Gfp.Thp, Gfp.Kernel]), this.oneOf([CompactPriority.Async, CompactPriority.SyncLight, CompactPriority.SyncFull]));
    return `compaction ${how} ${order}`;
  }
  /** A folio of user memory somewhere, large ones if it can be; 0: none was met. */
  private someFolio(): Folio | 0 {
    const { folios } = this.system;
    let found: Folio | 0 = 0;
    for (let i = 0; i < 64; i++) {
      const pfn = asPfn(folios.firstPfn + this.random.below(folios.nrFrames));
      if (!folios.isMovable(pfn)) continue;
      found = folios.folioOf(pfn);
      if (folios.isLarge(found)) break;
    }
    return found;
  }
  private migrate(): string {
    const { system } = this;
    const { folios } = system;
    const list = new Set<Folio>();
    for (let i = this.random.below(12); i >= 0; i--) {
      const folio = this.someFolio();
      if (folio !== 0) list.add(folio);
    }
    for (const folio of list) folios.get(folio);
    migratePages(system, [...list], (from) => system.allocFolio(folios.order(from), folios.typeOf(from), Gfp.ThpLight), MigrateMode.Sync, 0);
    return `migrate ${[...list].join(' ')}`;
  }
  private split(): string {
    const { system } = this;
    const { folios } = system;
    const folio = this.someFolio();
    if (folio === 0) return 'split nothing';
    const order = this.random.below(folios.order(folio) + 1);
    const at = this.random.below(2) === 0 ? null : asPfn(folio + this.random.below(folios.nrPages(folio)));
    folios.get(folio);
    const failed = splitFolio(system, folio, order, at) !== 0;
    system.putFolio(failed ? folio : folios.folioOf(at ?? folio));
    return `split ${folio} to ${order} at ${at}`;
  }
  /** Frames that the kernel keeps and cannot move. */
  private fillPipe(): string {
    if (this.random.below(3) === 0) {
      this.pipe.discard(this.random.below(this.pipe.bytes + 1));
      return 'pipe read';
    }
    this.pipe.append(IoBuffer.of(new Uint8Array(1 + this.random.below(20_000))), false);
    return 'pipe write';
  }
  private set(): string {
    const { thp, params } = this.system;
    switch (this.random.below(7)) {
      case 5: {
        const [size, word] = [this.oneOf([16, 64, 128, 2048]), this.oneOf(shmemWords)];
        thp.set(`hugepages-${size}kB/shmem_enabled`, word);
        return `hugepages-${size}kB/shmem_enabled = ${word}`;
      }
      case 0: {
        const name = this.oneOf(Object.keys(tunables) as (keyof typeof tunables)[]);
        return `${name} = ${params.vm[name] = this.oneOf<number>(tunables[name])}`;
      }
      case 1: case 2: {
        const name = this.oneOf(Object.keys(khugepaged) as (keyof typeof khugepaged)[]);
        return `khugepaged/${name} = ${thp.khugepaged.values[name] = this.oneOf<number>(khugepaged[name])}`;
      }
      case 3: return `defrag = ${thp.defrag = this.oneOf(defrags)}`;
      case 4: return `strategy ${params.allocStrategy = this.oneOf(allocStrategies)}`;
      default: return `use_zero_page = ${thp.useZeroPage = !thp.useZeroPage}`;
    }
  }
  /** Gives back what it holds. */
  end(): void {
    const { memcg } = this.system;
    memcg.active = memcg.root;
    for (const group of [...memcg]) if (!group.isRoot && group.isOnline) memcg.offline(group);
    this.pipe.clear();
    this.system.pressure.reclaim(0, 0);
  }
}
