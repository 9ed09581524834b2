// Demand paging as text books have it: so many frames, one page at a time comes in when it is missing, and a policy names who goes. No kernel, no
// batches, no read-ahead: what theorems about policies hold for.
import type { Folio, PolicyServices, RecordedTimes, ReclaimPolicy, ReclaimPolicyMaker } from '#kernel/mm/reclaim/policy.ts';

export interface PagingRun {
  readonly misses: number;
  /** What was in memory after each reference. */
  readonly contents: readonly ReadonlySet<number>[];
}

/** @param references pages, in the order of their use; pages are their own folios */
export function page(make: ReclaimPolicyMaker, references: readonly number[], frames: number): PagingRun {
  const young = new Set<number>();
  const memory = new Set<number>();
  const contents: Set<number>[] = [];
  let now = 0;
  let seed = 12345;
  const recorded: RecordedTimes = {
    nextUse(folio) {
      for (let at = now; at < references.length; at++) if (references[at] === folio) return at;
      return Infinity;
    },
    lastUse(folio) {
      for (let at = now; at >= 0; at--) if (references[at] === folio) return at;
      return -1;
    },
  };
  const services: PolicyServices = {
    nrPages: () => 1, needsSwap: () => false, testAndClearYoung: (folio) => young.delete(folio), now: () => now, pageId: (folio) => folio, recorded,
    random(below) {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return seed % below;
    },
  };
  const policy: ReclaimPolicy = make(services);
  const evicted = new Set<number>();
  let misses = 0;
  for (; now < references.length; now++) {
    const wanted = references[now]!;
    if (!memory.has(wanted)) {
      misses++;
      if (memory.size === frames) {
        const out: Folio[] = [];
        policy.victims({ pages: 1, maySwap: false, mayDropFiles: true }, out);
        const victim = out[0];
        if (out.length !== 1 || victim === undefined || !memory.delete(victim)) throw new Error(`named ${out.join(', ')} for one of ${[...memory].join(', ')}`);
        policy.onRemove(victim);
        young.delete(victim);
        evicted.add(victim);
      }
      memory.add(wanted);
      policy.onAdd(wanted as Folio, evicted.has(wanted) ? 'refault' : 'new');
    }
    young.add(wanted);
    contents.push(new Set(memory));
  }
  return { misses, contents };
}

/** The fewest misses that any choice of victims could lead to, found by trying them all. For a few pages only. */
export function fewestMisses(references: readonly number[], frames: number): number {
  const known = new Map<string, number>();
  const from = (at: number, memory: readonly number[]): number => {
    let next = at;
    while (next < references.length && memory.includes(references[next]!)) next++;
    if (next === references.length) return 0;
    const key = `${next} ${memory.join()}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const wanted = references[next]!;
    const with_ = (others: readonly number[]): number => 1 + from(next + 1, [...others, wanted].sort((a, b) => a - b));
    const best = memory.length < frames ? with_(memory) : Math.min(...memory.map((victim) => with_(memory.filter((page) => page !== victim))));
    known.set(key, best);
    return best;
  };
  return from(0, []);
}
