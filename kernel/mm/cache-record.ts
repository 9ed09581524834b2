// What is said of the page cache to those who ask why: how each folio of a file came to its order, what read-ahead decided and why, and which of
// the pages that it brought were used. Recorded only while somebody asks; otherwise it costs one test where a folio comes, goes or is used.
import type { Folio } from '#base';
import type { AddressSpace, FileRa } from './filemap.ts';
import type { ReasonCode } from './reasons.ts';

/** sync: a read found its page missing. async: a mark was reached, so the next window begins. fault: a mapping missed. forced: a program asked. */
export type ReadaheadKind = 'sync' | 'async' | 'fault' | 'forced';

/** One decision of read-ahead. Pages. */
export interface ReadaheadDecision {
  /** 0, 1, 2 ... since recording began. */
  readonly number: number;
  readonly cycle: number;
  readonly space: AddressSpace;
  readonly kind: ReadaheadKind;
  readonly reason: ReasonCode;
  /** Where it was asked, how much was wanted from there on, and how much of that by the program itself: a fault wants one page. */
  readonly index: number;
  readonly request: number;
  readonly needed: number;
  /** The window that was read, with the part of it that is ahead; size 0: nothing was. */
  start: number;
  size: number;
  asyncSize: number;
  /** Of its folios, as far as alignment and the end of the file allow. */
  order: number;
  /** Pages that were not in memory, and came. */
  pages: number;
}

/** How a folio came into the page cache. */
export interface FolioBirth {
  readonly cycle: number;
  /** The order that was looked for, before anything stood in its way. */
  readonly wantedOrder: number;
  /** Why it has the order it has; a later split adds to it. */
  readonly reasons: readonly ReasonCode[];
  /** The decision that brought it; null: a write or a fault made it. */
  readonly decision: ReadaheadDecision | null;
  /** By page of the folio: 1 while it was read ahead of need and nobody has used it. */
  readonly ahead: Uint8Array;
}

/** Pages that read-ahead brought. Used: read by a call, or mapped by a fault, that around it included. */
export interface ReadaheadPages { needed: number; ahead: number; aheadUsed: number }

export class CacheLog {
  isOn = false;
  readonly readahead: ReadaheadPages = { needed: 0, ahead: 0, aheadUsed: 0 };
  private readonly clock: { readonly clockCycles: number };
  private readonly births = new Map<Folio, FolioBirth>();
  private decisions: ReadaheadDecision[] = [];
  private current: ReadaheadDecision | null = null;
  private next = 0;

  constructor(clock: { readonly clockCycles: number }) {
    this.clock = clock;
  }
  start(): void {
    this.isOn = true;
  }
  stop(): void {
    this.isOn = false;
    this.births.clear();
  }
  /** The decisions since the last call, oldest first. */
  take(): ReadaheadDecision[] {
    return this.decisions.splice(0);
  }
  /** null: the folio came before recording began, or is no file's. */
  birthOf(folio: Folio): FolioBirth | null {
    return this.births.get(folio) ?? null;
  }
  reasonOf(folio: Folio | 0): ReasonCode | null {
    return folio === 0 ? null : (this.births.get(folio)?.reasons[0] ?? null);
  }

  // Read-ahead. What comes after a decision, until the next one, is its doing.

  decided(space: AddressSpace, kind: ReadaheadKind, reason: ReasonCode, index: number, request: number, needed = request): void {
    this.current = { number: this.next++, cycle: this.clock.clockCycles, space, kind, reason, index, request, needed, start: index, size: 0, asyncSize: 0, order: 0, pages: 0 };
    this.decisions.push(this.current);
  }
  window(start: number, { size, asyncSize, order }: Pick<FileRa, 'size' | 'asyncSize' | 'order'>): void {
    if (this.current !== null) Object.assign(this.current, { start, size, asyncSize, order });
  }
  broughtAhead(folio: Folio, index: number, order: number, wantedOrder: number, reason: ReasonCode): void {
    const decision = this.current;
    const ahead = new Uint8Array(2 ** order);
    if (decision !== null) {
      decision.pages += ahead.length;
      for (let i = 0; i < ahead.length; i++) {
        const isNeeded = index + i >= decision.index && index + i < decision.index + decision.needed;
        if (isNeeded) this.readahead.needed++;
        else {
          this.readahead.ahead++;
          ahead[i] = 1;
        }
      }
    }
    this.births.set(folio, { cycle: this.clock.clockCycles, wantedOrder, reasons: [reason], decision, ahead });
  }

  // Folios.

  made(folio: Folio, order: number, wantedOrder: number, reason: ReasonCode): void {
    this.births.set(folio, { cycle: this.clock.clockCycles, wantedOrder, reasons: [reason], decision: null, ahead: new Uint8Array(2 ** order) });
  }
  /** Pages [from, from + nr) of a folio were read by a call or mapped. */
  used(folio: Folio, from: number, nr: number): void {
    const ahead = this.births.get(folio)?.ahead;
    if (ahead === undefined) return;
    for (let i = from; i < from + nr; i++) {
      this.readahead.aheadUsed += ahead[i]!;
      ahead[i] = 0;
    }
  }
  gone(folio: Folio): void {
    this.births.delete(folio);
  }
  moved(from: Folio, to: Folio): void {
    const birth = this.births.get(from);
    if (birth === undefined) return;
    this.births.delete(from);
    this.births.set(to, birth);
  }
  /** A folio has become several, which follow each other. */
  split(folio: Folio, orders: readonly number[]): void {
    const birth = this.births.get(folio);
    if (birth === undefined) return;
    let at = 0;
    for (const order of orders) {
      const reasons: readonly ReasonCode[] = birth.reasons.includes('split-file') ? birth.reasons : ['split-file', ...birth.reasons];
      this.births.set((folio + at) as Folio, { ...birth, reasons, ahead: birth.ahead.slice(at, at + 2 ** order) });
      at += 2 ** order;
    }
  }
}
