// Why pages went: the evictions of a run, for quire why. Here: from an address to the story of its page, all evictions by whose pages they were, and both
// as text. Host-free. Not here: what is recorded (#kernel, eviction-record.ts), the command (commands/why.ts).
import { hex, PAGE_SIZE } from '#base';
import { pathOf } from '#kernel';
import type { Eviction, EvictionStory, Mm, VmaView } from '#kernel';
import type { Session } from './boot.ts';
import { percent, thousands } from './text.ts';

export const EVICTIONS_SCHEMA = 'quire.evictions/1';

/** What became of one page. */
export interface EvictionView {
  readonly times: number;
  /** The last one. */
  readonly cycle: number;
  readonly instructions: number;
  readonly pages: number;
  readonly policy: string;
  readonly group: string;
  readonly limitOf: string | null;
  readonly standing: string;
  readonly lastSeen: Eviction['lastSeen'];
  readonly back: EvictionStory['back'];
}
const viewOf = ({ times, last, back }: EvictionStory): EvictionView => ({
  times, cycle: last.cycle, instructions: last.instructions, pages: last.pages, policy: last.policy, group: last.group, limitOf: last.limitOf, standing: last.standing, lastSeen: last.lastSeen, back,
});

/** The story of the page that an address has, or had; null: it was never evicted. */
export function evictionAt({ kernel: { system } }: Session, mm: Mm, vpn: number): EvictionView | null {
  const vma = mm.findVma(vpn * PAGE_SIZE);
  if (vma === null) return null;
  const { evictions } = system.lru;
  const index = vma.pgoff + vpn - vma.start / PAGE_SIZE;
  const found = [...vma.anonVmaChain.map(({ id }) => -id), ...(vma.file === null ? [] : [vma.file.space.id])].map((mapping) => evictions.storyOf(mapping, index)).filter((story) => story !== null);
  // A page that was copied on write has two; the later one is the one that is missed.
  const latest = found.sort((a, b) => b.last.number - a.last.number)[0];
  return latest === undefined ? null : viewOf(latest);
}

export function evictionText({ times, cycle, instructions, pages, policy, limitOf, standing, lastSeen, back }: EvictionView): string[] {
  const often = times === 1 ? 'evicted once,' : `evicted ${thousands(times)} times, last`;
  const why = limitOf === null ? 'since memory was short' : `for the limit of ${limitOf}`;
  return [
    `  ${often} at cycle ${cycle} (instruction ${instructions}), ${why}, by ${policy}${pages === 1 ? '' : `, with the ${pages} pages of its folio`}`,
    `    it stood: ${standing}`,
    lastSeen === null ? '    not seen in use since it came' : `    last seen in use at cycle ${lastSeen.cycle}, by ${lastSeen.by === 'accessed bit' ? 'its accessed bit' : 'a system call'}`,
    back === null ? '    it has not come back' : `    back at cycle ${back.cycle} (instruction ${back.instructions}): refault distance ${thousands(back.distance)}, pages evicted in between`,
  ];
}

/** The evictions of the pages that belong together. */
export interface OwnerRow {
  readonly owner: string;
  /** Pages that were evicted at least once; evictions; returns, and the mean of the pages evicted in between; evictions of pages that had not been seen in use. */
  readonly pages: number;
  readonly evictions: number;
  readonly returns: number;
  readonly meanDistance: number;
}
export interface EvictionsReport { readonly owners: readonly OwnerRow[]; readonly standings: Readonly<Record<string, number>>; readonly unseen: number }

/** Listens to evictions, and tells whose pages went, as the program's memory is about to go. */
export class EvictionWatch {
  private readonly session: Session;
  /** Names of files whose pages went; these may have left memory altogether. */
  private readonly files = new Map<number, string>();
  private readonly standings = new Map<string, number>();
  private unseen = 0;

  constructor(session: Session) {
    this.session = session;
    const { addressSpaces, lru } = session.kernel.system;
    lru.evictions.start();
    lru.evictions.listener = ({ mapping, standing, lastSeen, pages }) => {
      const space = addressSpaces.get(mapping);
      if (space !== undefined && !this.files.has(mapping)) this.files.set(mapping, space.openedAs === null ? `[inode ${space.host.ino}]` : pathOf(space.openedAs));
      const kind = kindOf(standing);
      this.standings.set(kind, (this.standings.get(kind) ?? 0) + pages);
      if (lastSeen === null) this.unseen += pages;
    };
  }
  /** @param mm the first program's address space; null: it is gone */
  report(mm: Mm | null): EvictionsReport {
    const rows = new Map<string, { pages: number; evictions: number; returns: number; distances: number }>();
    for (const { mapping, index, story } of this.session.kernel.system.lru.evictions.all()) {
      const owner = this.ownerOf(mm, mapping, index);
      const row = rows.get(owner) ?? { pages: 0, evictions: 0, returns: 0, distances: 0 };
      row.pages++;
      row.evictions += story.times;
      row.returns += story.returns;
      row.distances += story.distances;
      rows.set(owner, row);
    }
    const owners = [...rows].map(([owner, { pages, evictions, returns, distances }]): OwnerRow => ({ owner, pages, evictions, returns, meanDistance: returns === 0 ? 0 : Math.round(distances / returns) }));
    return { owners: owners.sort((a, b) => b.evictions - a.evictions), standings: Object.fromEntries([...this.standings].sort(([, a], [, b]) => b - a)), unseen: this.unseen };
  }
  private ownerOf(mm: Mm | null, mapping: number, index: number): string {
    if (mapping > 0) return this.files.get(mapping) ?? `[file ${mapping}]`;
    const vma = mm?.vmas.find((each) => each.anonVmaChain.some(({ id }) => id === -mapping) && index >= each.pgoff && index < each.pgoff + each.nrPages);
    return vma === undefined ? 'memory that was given back, or other programs\'' : `${nameOf(mm!, vma)} ${hex(vma.start)}-${hex(vma.end)}`;
  }
  end(): void {
    const { evictions } = this.session.kernel.system.lru;
    evictions.listener = null;
    evictions.stop();
  }
}
/** A standing without what differs from folio to folio. */
const kindOf = (standing: string): string =>
  standing.replace(/^generation (\d+) of (\d+) to \d+, begun \d+ ms ago/, (_, seq, oldest) => (seq === oldest ? 'the oldest generation' : 'a younger generation')).replace(/\d{3,}/g, '...');

/** '[heap]', '[stack]', the path of a file, or '[anon]': what a VMA is called. */
export function nameOf(mm: Mm, vma: VmaView): string {
  if (vma.file !== null) return vma.file.path;
  if (vma.start < mm.brkEnd && vma.end > mm.startBrk) return '[heap]';
  if (vma.start <= mm.startStack && mm.startStack < vma.end) return '[stack]';
  return vma.anonName === null ? '[anon]' : `[anon:${vma.anonName}]`;
}

export function evictionsText({ owners, standings, unseen }: EvictionsReport): string[] {
  if (owners.length === 0) return ['Nothing was evicted: memory was never short. --memory-max sets a limit, --mem a smaller RAM.'];
  const total = Object.values(standings).reduce((a, b) => a + b, 0);
  return [
    '     pages   evicted  came back  mean distance  whose', ...owners.map(({ owner, pages, evictions, returns, meanDistance }) =>
      `${thousands(pages).padStart(10)}${thousands(evictions).padStart(10)}${thousands(returns).padStart(11)}${(returns === 0 ? '-' : thousands(meanDistance)).padStart(15)}  ${owner}`),
    '', ' Where they stood when they were chosen:', ...Object.entries(standings).map(([standing, pages]) => `${thousands(pages).padStart(10)}  ${standing}`),
    '', `${thousands(unseen).padStart(10)}  had not been seen in use since they came (${percent(unseen, total)})`,
    '', 'distance: pages that were evicted between the eviction of a page and its return.',
  ];
}
