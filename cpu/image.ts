// An image of a machine: what it takes to put it back to a moment. Here: the arena's columns as bytes, and RAM as a table of frames, where images that
// follow one another share what did not change between them. Not here: the objects beside the arena (satp, generators: whoever copies the kernel's
// objects reaches them from the Machine), decoded blocks and regions: those are caches, and drop what lies in frames that change.
import { PAGE_SIZE } from '#base';
import type { Arena, Ram } from '#mmu';

/** Frames of a chunk: tables of images differ in few of them. */
const CHUNK_FRAMES = 512;
/** By index in the chunk: the bytes, null for zeros. */
type Chunk = readonly (Uint8Array | null)[];

export interface MachineImage {
  readonly columns: readonly Uint8Array[];
  /** Frames of RAM by index, in chunks. What has never held anything else is zeros. */
  readonly frames: readonly Chunk[];
  /** Bytes that no earlier image has. */
  readonly ownBytes: number;
}

export const columnBytes = ({ columns }: Pick<MachineImage, 'columns'>): number => columns.reduce((n, { length }) => n + length, 0);

/** Takes and puts back images of one machine. It knows which image RAM was last equal to, so that both cost what has changed since. */
export class Imaging {
  private readonly ram: Ram;
  private readonly columns: readonly Uint8Array[];
  private frames: readonly Chunk[];

  /** @param columns places in the arena that are state, [start, end) in bytes */
  constructor(arena: Arena, ram: Ram, columns: readonly (readonly [start: number, end: number])[]) {
    this.ram = ram;
    this.columns = columns.map(([start, end]) => arena.u8.subarray(start, end));
    const zeros: Chunk = new Array<null>(CHUNK_FRAMES).fill(null);
    this.frames = new Array<Chunk>(Math.ceil(ram.nrFrames / CHUNK_FRAMES)).fill(zeros);
  }

  /** The next write to each frame must be announced from here on: the caller empties the write filter. */
  take(): MachineImage {
    const { ram } = this;
    const frames = [...this.frames];
    const fresh = new Set<number>();
    let nrPages = 0;
    for (const index of ram.takeChanged()) {
      const at = Math.floor(index / CHUNK_FRAMES);
      if (!fresh.has(at)) {
        fresh.add(at);
        frames[at] = [...frames[at]!];
      }
      const image = ram.frameImage(index);
      if (image !== null) nrPages++;
      (frames[at] as (Uint8Array | null)[])[index % CHUNK_FRAMES] = image;
    }
    this.frames = frames;
    const columns = this.columns.map((column) => column.slice());
    return { columns, frames, ownBytes: nrPages * PAGE_SIZE + fresh.size * CHUNK_FRAMES * 8 + columnBytes({ columns }) };
  }

  /** The caller empties all filters. */
  putBack(image: MachineImage): void {
    const { ram, frames } = this;
    const set = (index: number): void => ram.setFrame(index, image.frames[Math.floor(index / CHUNK_FRAMES)]![index % CHUNK_FRAMES]!);
    for (const index of ram.takeChanged()) set(index);
    image.frames.forEach((chunk, at) => {
      const now = frames[at]!;
      if (chunk === now) return;
      for (let i = 0; i < CHUNK_FRAMES; i++) if (chunk[i] !== now[i]) set(at * CHUNK_FRAMES + i);
    });
    this.columns.forEach((column, i) => { column.set(image.columns[i]!); });
    this.frames = image.frames;
  }
}
