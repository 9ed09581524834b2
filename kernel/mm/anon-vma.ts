// anon_vma: who may map a page of anonymous memory, and so where rmap looks for it. Here: the objects, their family over fork, which VMAs
// hang on each, and the rule by which fork reuses one. Not here: the look into page tables (rmap-walk.ts).
// Mirrors struct anon_vma, anon_vma_clone() and anon_vma_fork() (mm/rmap.c), 6.18. The links that Linux keeps in anon_vma_chain objects are
// Vma.anonVmaChain in one direction and AnonVma.vmas in the other.
//
// A page names the anon_vma of the VMA in which it was first touched. A child's VMA hangs on all of its parent's and on one of its own, so a
// page is looked for in every descendant of the one that touched it, and a child's pages are not looked for in its parent or siblings.
import { bug } from '#base';
import type { StateHash } from '#base';
import type { Mm } from './mm.ts';
import type { Vma } from './vma.ts';

export class AnonVma {
  /** What pages carry, as minus the id, in FolioTable.mapping. */
  readonly id: number;
  /** The first of the family: itself, if no fork made it. Linux takes the family's lock there. */
  readonly root: AnonVma;
  readonly parent: AnonVma;
  /** Children by fork; a root counts itself, so that it is never reused. */
  numChildren = 0;
  /** VMAs whose new pages join this one. */
  numActiveVmas = 0;
  /** Every VMA that may map a page of this one. */
  private readonly vmas = new Map<Vma, Mm>();
  private readonly home: AnonVmas;

  constructor(home: AnonVmas, id: number, parent: AnonVma | null) {
    this.home = home;
    this.id = id;
    this.parent = parent ?? this;
    this.root = parent === null ? this : parent.root;
    this.parent.numChildren++;
  }
  /** The VMAs that cover any of the page offsets [first, end), in the order in which they joined. Linux has an interval tree here; the VMAs
   *  of one anon_vma are forks and pieces of one range, so that most overlap anyway, and a list serves as well. */
  overlapping(first: number, end: number): { mm: Mm; vma: Vma }[] {
    const found: { mm: Mm; vma: Vma }[] = [];
    for (const [vma, mm] of this.vmas) if (vma.pgoff < end && first < vma.pgoff + vma.nrPages) found.push({ mm, vma });
    return found;
  }
  has(vma: Vma): boolean {
    return this.vmas.has(vma);
  }
  get nrVmas(): number {
    return this.vmas.size;
  }
  link(mm: Mm, vma: Vma): void {
    if (this.vmas.has(vma)) bug(`VMA hangs on anon_vma ${this.id} twice`);
    this.vmas.set(vma, mm);
  }
  unlink(vma: Vma): void {
    if (!this.vmas.delete(vma)) bug(`VMA does not hang on anon_vma ${this.id}`);
    if (this.vmas.size > 0) return;
    this.parent.numChildren--;
    this.home.forget(this);
  }
}

/** All of them, by id. One without VMAs is gone: no page that names it is mapped any more. */
export class AnonVmas {
  private readonly byId = new Map<number, AnonVma>();
  private nextId = 1;

  /** @param parent the anon_vma of the VMA that fork copies; null: a family of its own */
  create(parent: AnonVma | null): AnonVma {
    const made = new AnonVma(this, this.nextId++, parent);
    this.byId.set(made.id, made);
    return made;
  }
  /** null: no VMA hangs on it any more. */
  get(id: number): AnonVma | null {
    return this.byId.get(id) ?? null;
  }
  forget(gone: AnonVma): void {
    this.byId.delete(gone.id);
  }
  get all(): Iterable<AnonVma> {
    return this.byId.values();
  }
  hash(into: StateHash): void {
    into.number(this.nextId);
    for (const { id, parent, numChildren, numActiveVmas, nrVmas } of this.byId.values()) into.numbers([id, parent.id, numChildren, numActiveVmas, nrVmas]);
  }
}

/** Hangs a VMA that enters an address space on its chain. */
export function linkAnonVmas(mm: Mm, vma: Vma): void {
  for (const anonVma of vma.anonVmaChain) anonVma.link(mm, vma);
  if (vma.anonVma !== null) vma.anonVma.numActiveVmas++;
}
/** Takes a VMA that leaves its address space, or its chain, off. Mirrors unlink_anon_vmas(). */
export function unlinkAnonVmas(vma: Vma): void {
  if (vma.anonVma !== null) vma.anonVma.numActiveVmas--;
  // A child goes before the parent that counts it.
  for (let i = vma.anonVmaChain.length - 1; i >= 0; i--) vma.anonVmaChain[i]!.unlink(vma);
}
/** Gives a VMA of an address space another chain. */
export function setAnonVmas(mm: Mm, vma: Vma, own: AnonVma | null, chain: readonly AnonVma[]): void {
  unlinkAnonVmas(vma);
  vma.anonVma = own;
  vma.anonVmaChain = chain;
  linkAnonVmas(mm, vma);
}
/** What the copy of a VMA hangs on, which is in no address space yet: all that the parent's does, and one for its own pages: the oldest of
 *  those that nobody uses for that and that has at most one child, so that a long line of forks does not grow a long chain; else a new one.
 *  Mirrors anon_vma_fork(). */
export function forkAnonVma(home: AnonVmas, parent: Vma, copy: Vma): void {
  if (parent.anonVma === null) return;
  const idle = parent.anonVmaChain.find((candidate) => candidate.numActiveVmas === 0 && candidate.numChildren < 2);
  copy.anonVma = idle ?? home.create(parent.anonVma);
  copy.anonVmaChain = idle === undefined ? [...parent.anonVmaChain, copy.anonVma] : parent.anonVmaChain;
}

/** Every VMA hangs on what its chain names and on nothing else, and the counts are what they say. */
export function checkAnonVmas(home: AnonVmas, mms: readonly Mm[]): void {
  const active = new Map<AnonVma, number>();
  const linked = new Map<AnonVma, number>();
  const children = new Map<AnonVma, number>();
  const add = (into: Map<AnonVma, number>, key: AnonVma): unknown => into.set(key, (into.get(key) ?? 0) + 1);
  for (const mm of mms) {
    for (const vma of mm.vmaList.all) {
      if (vma.anonVma !== null) add(active, vma.anonVma);
      if (vma.anonVma !== null && !vma.anonVmaChain.includes(vma.anonVma)) bug(`VMA at ${vma.start} does not hang on its own anon_vma ${vma.anonVma.id}`);
      for (const anonVma of vma.anonVmaChain) {
        add(linked, anonVma);
        if (!anonVma.has(vma)) bug(`anon_vma ${anonVma.id} does not know VMA at ${vma.start}`);
        if (home.get(anonVma.id) !== anonVma) bug(`anon_vma ${anonVma.id} is forgotten and in use`);
      }
    }
  }
  for (const anonVma of home.all) add(children, anonVma.parent);
  for (const anonVma of home.all) {
    if (anonVma.numActiveVmas !== (active.get(anonVma) ?? 0)) bug(`anon_vma ${anonVma.id} has num_active_vmas ${anonVma.numActiveVmas}, not ${active.get(anonVma) ?? 0}`);
    if (anonVma.nrVmas !== (linked.get(anonVma) ?? 0)) bug(`anon_vma ${anonVma.id} has ${anonVma.nrVmas} VMAs, ${linked.get(anonVma) ?? 0} name it`);
    if (anonVma.numChildren !== (children.get(anonVma) ?? 0)) bug(`anon_vma ${anonVma.id} has num_children ${anonVma.numChildren}, not ${children.get(anonVma) ?? 0}`);
  }
}
