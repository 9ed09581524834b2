// Lists of free frames, threaded through two columns: a frame is in at most one list. Here: linking and unlinking. Not here: what a list
// means (buddy.ts: an order and a migrate type; pcp.ts: one processor's stock). Mirrors page->buddy_list and pcp_list, which share the slot.
const NONE = -1;

export class FrameLists {
  private readonly heads: Int32Array;
  private readonly tails: Int32Array;
  private readonly lengths: Int32Array;
  private readonly next: Int32Array;
  private readonly prev: Int32Array;

  /** @param nrFrames rows that may be listed */
  constructor(nrLists: number, nrFrames: number) {
    this.heads = new Int32Array(nrLists).fill(NONE);
    this.tails = new Int32Array(nrLists).fill(NONE);
    this.lengths = new Int32Array(nrLists);
    this.next = new Int32Array(nrFrames);
    this.prev = new Int32Array(nrFrames);
  }
  length(list: number): number {
    return this.lengths[list]!;
  }
  /** -1: the list is empty. */
  first(list: number): number {
    return this.heads[list]!;
  }
  last(list: number): number {
    return this.tails[list]!;
  }
  /** The row after another in its list; -1: that was the last. */
  after(row: number): number {
    return this.next[row]!;
  }
  addFirst(list: number, row: number): void {
    const head = this.heads[list]!;
    this.next[row] = head;
    this.prev[row] = NONE;
    if (head === NONE) this.tails[list] = row;
    else this.prev[head] = row;
    this.heads[list] = row;
    this.lengths[list]!++;
  }
  addLast(list: number, row: number): void {
    const tail = this.tails[list]!;
    this.next[row] = NONE;
    this.prev[row] = tail;
    if (tail === NONE) this.heads[list] = row;
    else this.next[tail] = row;
    this.tails[list] = row;
    this.lengths[list]!++;
  }
  remove(list: number, row: number): void {
    const next = this.next[row]!;
    const prev = this.prev[row]!;
    if (prev === NONE) this.heads[list] = next;
    else this.next[prev] = next;
    if (next === NONE) this.tails[list] = prev;
    else this.prev[next] = prev;
    this.lengths[list]!--;
  }
}
