// Checkpoints of a run: the machine's image and the kernel's, and how many of them are kept. Here: taking one, putting it back, a list of them in the
// order of the run that stays within a number of bytes. Not here: when they are taken (replay.ts).
//
// Kept are more of them near the present place than far from it: who goes back mostly goes back a little. Which one goes when there is no room is the one
// whose neighbours are nearest to each other in time of the host, measured against how far away they are.
import { columnBytes } from '#cpu';
import type { MachineImage } from '#cpu';
import { objectBytes } from './heap.ts';
import type { HeapImage } from './heap.ts';
import type { Rest } from './runner.ts';
import { comparePlaces } from './timeline.ts';
import type { Place } from './timeline.ts';

export interface Checkpoint {
  readonly place: Place;
  readonly heap: HeapImage;
  readonly machine: MachineImage;
  /** What the runner remembers beside the machine. */
  readonly rest: Rest;
  /** Milliseconds of the host from the start to here, when it was first run. */
  readonly hostMs: number;
}

export const DEFAULT_RING_BYTES = 768 * 2 ** 20;
const MAX_CHECKPOINTS = 400;

export class CheckpointRing {
  private readonly list: Checkpoint[] = [];
  private readonly maxBytes: number;
  private bytes = 0;

  /** @param maxBytes of the images together; the first and the newest stay in any case */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }
  get length(): number {
    return this.list.length;
  }
  get sizeBytes(): number {
    return this.bytes;
  }

  /** The last one at or before a place; the first is the start of the run. */
  before(place: Place): Checkpoint {
    return this.list[this.indexBefore(place)]!;
  }
  /** The last one that is not at the place itself, but before; null: it is the start. */
  strictlyBefore(place: Place): Checkpoint | null {
    let at = this.indexBefore(place);
    if (comparePlaces(this.list[at]!.place, place) === 0) at--;
    return this.list[at] ?? null;
  }
  private indexBefore(place: Place): number {
    let [low, high] = [0, this.list.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (comparePlaces(this.list[middle]!.place, place) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  add(checkpoint: Checkpoint): void {
    const { list } = this;
    const at = list.length === 0 ? 0 : this.indexBefore(checkpoint.place) + 1;
    if (at > 0 && comparePlaces(list[at - 1]!.place, checkpoint.place) === 0) return; // there is one
    list.splice(at, 0, checkpoint);
    this.bytes += checkpoint.machine.ownBytes + checkpoint.heap.ownBytes;
    while (list.length > 2 && (this.bytes > this.maxBytes || list.length > MAX_CHECKPOINTS)) this.dropOne(checkpoint);
  }
  /** Another run from here on. */
  dropAfter(place: Place): void {
    while (comparePlaces(this.list[this.list.length - 1]!.place, place) > 0) this.drop(this.list.length - 1);
  }

  private dropOne(newest: Checkpoint): void {
    const { list } = this;
    let worst = 1;
    let least = Infinity;
    for (let i = 1; i < list.length; i++) {
      if (list[i] === newest) continue;
      const gapMs = (list[i + 1]?.hostMs ?? list[i]!.hostMs + 1000) - list[i - 1]!.hostMs;
      const value = gapMs / (50 + Math.abs(list[i]!.hostMs - newest.hostMs));
      if (value >= least) continue;
      least = value;
      worst = i;
    }
    this.drop(worst);
  }
  private drop(at: number): void {
    const [gone] = this.list.splice(at, 1);
    this.bytes -= releasedBytes(gone!, this.list[at - 1], this.list[at]);
  }
}

/** Bytes that only this one has. What it shared with its neighbours is theirs from now on. */
function releasedBytes(gone: Checkpoint, before: Checkpoint | undefined, after: Checkpoint | undefined): number {
  let bytes = objectBytes(gone.heap) + columnBytes(gone.machine);
  gone.machine.frames.forEach((chunk, at) => {
    const [a, b] = [before?.machine.frames[at], after?.machine.frames[at]];
    if (chunk === a || chunk === b) return;
    bytes += 8 * chunk.length;
    chunk.forEach((page, i) => { if (page !== null && page !== a?.[i] && page !== b?.[i]) bytes += page.length; });
  });
  for (const [buffer, { pieces }] of gone.heap.buffers) {
    const [a, b] = [before?.heap.buffers.get(buffer)?.pieces, after?.heap.buffers.get(buffer)?.pieces];
    pieces.forEach((piece, i) => { if (piece !== a?.[i] && piece !== b?.[i]) bytes += piece.length; });
  }
  return bytes;
}
