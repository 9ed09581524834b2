// Pages by a number that outlives their folios: what a policy's ghost lists, and recordings of use, know a page by. Here: (mapping, index) to
// number and back. A mapping is what FolioTable has: a file's id, or minus an anon_vma's; both are handed out in the order in which a
// program makes them, so that the same program has the same pages in every run.
import type { StateHash } from '#base';

export class PageNumbers {
  private readonly byMapping = new Map<number, Map<number, number>>();
  private readonly mappings: number[] = [0];
  private readonly indices: number[] = [0];

  /** 1, 2, 3 ... in the order of asking. */
  of(mapping: number, index: number): number {
    let pages = this.byMapping.get(mapping);
    if (pages === undefined) this.byMapping.set(mapping, (pages = new Map()));
    let number = pages.get(index);
    if (number !== undefined) return number;
    number = this.mappings.length;
    pages.set(index, number);
    this.mappings.push(mapping);
    this.indices.push(index);
    return number;
  }
  /** 0: nobody has asked for it. */
  find(mapping: number, index: number): number {
    return this.byMapping.get(mapping)?.get(index) ?? 0;
  }
  mappingOf(number: number): number {
    return this.mappings[number] ?? 0;
  }
  indexOf(number: number): number {
    return this.indices[number] ?? 0;
  }
  get count(): number {
    return this.mappings.length - 1;
  }
  hash(into: StateHash): void {
    into.number(this.mappings.length);
  }
}
