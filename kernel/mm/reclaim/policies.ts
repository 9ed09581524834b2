// The small policies: who goes first by order of arrival, by a second chance, or by lot; and the two that nobody can have, by the last use and by
// the next one, since these know a recording of the run. Each is what a text book says, on folios instead of pages. They are examples for
// one's own (`--lru ./mine.ts`) as well.
import type { Folio } from '#base';
import type { Arrival, PolicyServices, RecordedTimes, ReclaimPolicy, ReclaimPolicyMaker, Wanted } from './policy.ts';

/** May the folio go, as things stand? */
const mayGo = (services: PolicyServices, folio: Folio, wanted: Wanted): boolean => (services.needsSwap(folio) ? wanted.maySwap : wanted.mayDropFiles);

/** First in, first out. What could not go queues up again; what has been written since is first. */
class Fifo implements ReclaimPolicy {
  private readonly services: PolicyServices;
  /** Sets keep the order of their making. */
  private readonly ready = new Set<Folio>();
  private readonly queue = new Set<Folio>();

  constructor(services: PolicyServices) {
    this.services = services;
  }
  onAdd(folio: Folio, arrival: Arrival): void {
    (arrival === 'written' ? this.ready : this.queue).add(folio);
  }
  onRemove(folio: Folio): void {
    this.ready.delete(folio);
    this.queue.delete(folio);
  }
  onCold(folio: Folio): void {
    if (this.queue.delete(folio)) this.ready.add(folio);
  }
  victims(wanted: Wanted, out: Folio[]): void {
    let left = wanted.pages;
    for (const line of [this.ready, this.queue]) {
      for (const folio of line) {
        if (left <= 0) return;
        if (!mayGo(this.services, folio, wanted)) continue;
        out.push(folio);
        left -= this.services.nrPages(folio);
      }
    }
  }
}

/** Second chance: folios stand in a ring, and a hand goes round. What was used since the hand last came by is passed over once. */
class Clock implements ReclaimPolicy {
  private readonly services: PolicyServices;
  /** From where the hand is, on. */
  private readonly ring = new Set<Folio>();
  private readonly ready = new Set<Folio>();

  constructor(services: PolicyServices) {
    this.services = services;
  }
  onAdd(folio: Folio, arrival: Arrival): void {
    (arrival === 'written' ? this.ready : this.ring).add(folio);
  }
  onRemove(folio: Folio): void {
    this.ready.delete(folio);
    this.ring.delete(folio);
  }
  onCold(folio: Folio): void {
    if (this.ring.delete(folio)) this.ready.add(folio);
  }
  victims(wanted: Wanted, out: Folio[]): void {
    const { services, ring } = this;
    let left = wanted.pages;
    const name = (folio: Folio): void => {
      out.push(folio);
      left -= services.nrPages(folio);
    };
    for (const folio of this.ready) {
      if (left <= 0) return;
      if (mayGo(services, folio, wanted)) name(folio);
    }
    // A first lap clears what it passes over, so that a second one finds enough; what is named meanwhile is not met again.
    const named = new Set<Folio>();
    const laps = 2 * ring.size;
    let at = 0;
    for (const folio of ring) {
      if (left <= 0 || at++ >= laps) break;
      if (named.has(folio)) continue;
      ring.delete(folio);
      ring.add(folio);
      if (!mayGo(services, folio, wanted) || services.testAndClearYoung(folio)) continue;
      named.add(folio);
      name(folio);
    }
  }
}

/** By lot. */
class Lottery implements ReclaimPolicy {
  private readonly services: PolicyServices;
  private readonly tickets: Folio[] = [];
  private readonly places = new Map<Folio, number>();

  constructor(services: PolicyServices) {
    this.services = services;
  }
  onAdd(folio: Folio): void {
    this.places.set(folio, this.tickets.length);
    this.tickets.push(folio);
  }
  onRemove(folio: Folio): void {
    const at = this.places.get(folio)!;
    this.swap(at, this.tickets.length - 1);
    this.tickets.pop();
    this.places.delete(folio);
  }
  private swap(i: number, j: number): void {
    const { tickets, places } = this;
    [tickets[i], tickets[j]] = [tickets[j]!, tickets[i]!];
    places.set(tickets[i]!, i);
    places.set(tickets[j]!, j);
  }
  victims(wanted: Wanted, out: Folio[]): void {
    const { services, tickets } = this;
    let left = wanted.pages;
    for (let drawn = 0; drawn < tickets.length && left > 0; drawn++) {
      this.swap(drawn, drawn + services.random(tickets.length - drawn));
      const folio = tickets[drawn]!;
      if (!mayGo(services, folio, wanted)) continue;
      out.push(folio);
      left -= services.nrPages(folio);
    }
  }
}

/** The highest rank goes first; among equals, who came first. */
class Ranked implements ReclaimPolicy {
  private readonly services: PolicyServices;
  private readonly rankOf: (folio: Folio, arrived: number, recorded: RecordedTimes) => number;
  /** With the time of arrival. */
  private readonly held = new Map<Folio, number>();

  constructor(services: PolicyServices, rankOf: Ranked['rankOf']) {
    this.services = services;
    this.rankOf = rankOf;
  }
  onAdd(folio: Folio): void {
    this.held.set(folio, this.services.now());
  }
  onRemove(folio: Folio): void {
    this.held.delete(folio);
  }
  /** Goes through all, with the best so far in a short list, best first. */
  victims(wanted: Wanted, out: Folio[]): void {
    const { services } = this;
    const { recorded } = services;
    if (recorded === null) throw new Error('there is no recording of the run');
    const best: { folio: Folio; rank: number; nr: number }[] = [];
    let pages = 0;
    for (const [folio, arrived] of this.held) {
      if (!mayGo(services, folio, wanted)) continue;
      const rank = this.rankOf(folio, arrived, recorded);
      if (pages >= wanted.pages && rank <= best.at(-1)!.rank) continue;
      const nr = services.nrPages(folio);
      let at = best.length;
      while (at > 0 && best[at - 1]!.rank < rank) at--;
      best.splice(at, 0, { folio, rank, nr });
      pages += nr;
      while (pages - best.at(-1)!.nr >= wanted.pages) pages -= best.pop()!.nr;
    }
    for (const { folio } of best) out.push(folio);
  }
}
export const fifo: ReclaimPolicyMaker = (services) => new Fifo(services);
export const clock: ReclaimPolicyMaker = (services) => new Clock(services);
export const random: ReclaimPolicyMaker = (services) => new Lottery(services);
/** Those that need nothing but the kernel, by the name that --lru has for them. */
export const smallPolicies: Readonly<Record<'fifo' | 'clock' | 'random', ReclaimPolicyMaker>> = { fifo, clock, random };
/** Least recently used, exactly: the last use of any of its pages is longest ago. Coming in is a use. */
export const lru: ReclaimPolicyMaker = (services) => new Ranked(services, (folio, arrived, recorded) => -Math.max(arrived, recorded.lastUse(folio)));
/** Belady's: the next use of any of its pages lies farthest ahead. No policy brings pages in less often, where they come one at a time. */
export const opt: ReclaimPolicyMaker = (services) => new Ranked(services, (folio, _arrived, recorded) => recorded.nextUse(folio));
/** Those that need a recording. */
export const recordedPolicies: Readonly<Record<'lru' | 'opt', ReclaimPolicyMaker>> = { lru, opt };
