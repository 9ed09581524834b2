// A reclaim policy of your own:   quire stat --lru ./mine.ts --memory-max 8M -- PROG
// Memory is short: which folios go first? (A folio is one or more pages, a number.) This one is CLOCK: it asks the oldest whether it was used
// since it was last asked, gives it a second chance if so, and names it if not. The types say all that can be known and asked.
import type { Folio, PolicyServices, ReclaimPolicy } from '#kernel';

export default function makePolicy(services: PolicyServices): ReclaimPolicy {
  const ring = new Set<Folio>(); // in order of arrival: sets keep it

  return {
    // A folio may be evicted from now on. arrival: 'new', 'refault' (it was evicted, and is back), 'kept' (you named it, and it could not go:
    // dirty, or held), 'written' (and now it can), 'moved'. services.pageId(folio) is the same number when a page comes back.
    onAdd(folio, _arrival) {
      ring.add(folio);
    },
    // It is gone, locked in memory, or about to go since you named it.
    onRemove(folio) {
      ring.delete(folio);
    },
    // Name folios that you hold, the best first, each once: of wanted.pages pages at least, if there are so many that may go.
    victims(wanted, out) {
      let pages = 0;
      let chances = ring.size;
      for (const folio of ring) {
        if (pages >= wanted.pages) return;
        if (services.needsSwap(folio) ? !wanted.maySwap : !wanted.mayDropFiles) continue;
        if (chances-- > 0 && services.testAndClearYoung(folio)) {
          ring.delete(folio); // to the end of the line; this loop will come to it once more
          ring.add(folio);
          continue;
        }
        out.push(folio);
        pages += services.nrPages(folio);
      }
    },
    // Optional: onAccess(folio) when read(2) or write(2) uses it, onCold(folio) after MADV_COLD, standing(folio) for quire why.
    standing: () => 'somewhere in the ring',
  };
}
