// Lists of folios, threaded through two columns by frame: a folio is on at most one list. Here: linking and unlinking, counting. Not here: what a
// list means (two-list.ts, lru-gen.ts). Mirrors struct list_head of folio->lru.
import type { Folio, Pfn } from '#base';

/** The columns, shared by all lists of a machine. */
export class FolioLinks {
  readonly first: Pfn;
  /** By frame of the head: the neighbours, as frame numbers; 0: none. */
  readonly towardsHead: Int32Array;
  readonly towardsTail: Int32Array;
  constructor(firstPfn: Pfn, nrFrames: number) {
    this.first = firstPfn;
    this.towardsHead = new Int32Array(nrFrames);
    this.towardsTail = new Int32Array(nrFrames);
  }
}
export class FolioList {
  private readonly links: FolioLinks;
  private headPfn = 0;
  private tailPfn = 0;
  /** Base pages, and folios, on the list: kept by whoever adds and removes. */
  nrPages = 0;
  nrFolios = 0;

  constructor(links: FolioLinks) {
    this.links = links;
  }
  /** 0: the list is empty. */
  get head(): Folio | 0 {
    return this.headPfn as Folio | 0;
  }
  get tail(): Folio | 0 {
    return this.tailPfn as Folio | 0;
  }
  /** The neighbour that has been here for a shorter time; 0: it is the head. */
  younger(folio: Folio): Folio | 0 {
    return this.links.towardsHead[folio - this.links.first]! as Folio | 0;
  }
  addHead(folio: Folio, nrPages: number): void {
    const { towardsHead, towardsTail, first } = this.links;
    const old = this.headPfn;
    towardsHead[folio - first] = 0;
    towardsTail[folio - first] = old;
    if (old === 0) this.tailPfn = folio;
    else towardsHead[old - first] = folio;
    this.headPfn = folio;
    this.nrPages += nrPages;
    this.nrFolios++;
  }
  addTail(folio: Folio, nrPages: number): void {
    const { towardsHead, towardsTail, first } = this.links;
    const old = this.tailPfn;
    towardsTail[folio - first] = 0;
    towardsHead[folio - first] = old;
    if (old === 0) this.headPfn = folio;
    else towardsTail[old - first] = folio;
    this.tailPfn = folio;
    this.nrPages += nrPages;
    this.nrFolios++;
  }
  /** Puts it right behind another one, on its side of the tail. */
  addBehind(folio: Folio, other: Folio, nrPages: number): void {
    const { towardsHead, towardsTail, first } = this.links;
    const after = towardsTail[other - first]!;
    if (after === 0) {
      this.addTail(folio, nrPages);
      return;
    }
    towardsTail[other - first] = folio;
    towardsHead[folio - first] = other;
    towardsTail[folio - first] = after;
    towardsHead[after - first] = folio;
    this.nrPages += nrPages;
    this.nrFolios++;
  }
  remove(folio: Folio, nrPages: number): void {
    const { towardsHead, towardsTail, first } = this.links;
    const before = towardsHead[folio - first]!;
    const after = towardsTail[folio - first]!;
    if (before === 0) this.headPfn = after;
    else towardsTail[before - first] = after;
    if (after === 0) this.tailPfn = before;
    else towardsHead[after - first] = before;
    this.nrPages -= nrPages;
    this.nrFolios--;
  }
  /** From the tail, the oldest, to the head. */
  * [Symbol.iterator](): Generator<Folio> {
    for (let at = this.tailPfn; at !== 0; at = this.links.towardsHead[at - this.links.first]!) yield at as Folio;
  }
}
