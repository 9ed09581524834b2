// A copy of the kernel's objects, put back in place. Kernel state is plain data (#kernel, index.ts): objects, arrays, maps, sets, typed arrays; no closure
// holds any of it. So it can be copied by looking: from the roots to everything that can be reached. Here: taking such an image, and putting it back.
// Not here: RAM and the hart (cpu/image.ts).
//
// Putting back writes into the objects that are there, so that every reference to one stays good: views of it, listeners, tables of the debugger.
// Who freezes an object says that nothing below it changes: it is not gone into. Functions are left as they are: what a module or a closure remembers in variables of its own is not seen. What must not be copied is named by the
// caller: what belongs to the host, and what is a cache.
//
// Columns (typed arrays) are most of it and change little: they are compared with the image before, in pieces, and pieces that are the same are shared.
import { ImageChunk } from '#kernel';

const PIECE_BYTES = 16384;

/** Own properties in order, of one object or many. */
type Shape = readonly string[];

interface BufferImage { readonly buffer: ArrayBufferLike; readonly pieces: readonly Int8Array[] }

export interface HeapImage {
  readonly objects: readonly object[];
  /** Of each: its properties; null of arrays, maps and sets. */
  readonly shapes: readonly (Shape | null)[];
  /** Values of all, one after another; where each object's begin. Maps: keys and values in turn. */
  readonly values: readonly unknown[];
  readonly starts: readonly number[];
  readonly buffers: ReadonlyMap<ArrayBufferLike, BufferImage>;
  /** Bytes that the image before does not have, about. */
  readonly ownBytes: number;
}

/** @param roots where to begin @param outside objects that are not gone into, and buffers that are not copied
 *  @param before the image taken or put back last, with which columns are shared */
export function takeHeap(roots: readonly object[], outside: ReadonlySet<object>, before: HeapImage | null): HeapImage {
  const objects: object[] = [];
  const shapes: (Shape | null)[] = [];
  const values: unknown[] = [];
  const starts: number[] = [];
  const buffers = new Map<ArrayBufferLike, BufferImage>();
  const seen = new Set<object>(outside);
  const known = new Map<unknown, Shape>();
  let ownBytes = 0;

  const meet = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (Object.isFrozen(value)) return;
    if (ArrayBuffer.isView(value)) {
      const { buffer } = value;
      if (seen.has(buffer)) return;
      seen.add(buffer);
      const image = takeBuffer(buffer, before?.buffers.get(buffer) ?? null);
      buffers.set(buffer, image.image);
      ownBytes += image.ownBytes;
    } else if (value instanceof ImageChunk) {
      value.isKept = true;
    } else {
      objects.push(value);
    }
  };
  roots.forEach(meet);
  for (let i = 0; i < objects.length; i++) {
    const object = objects[i]!;
    const start = values.length;
    starts.push(start);
    if (Array.isArray(object)) {
      for (let k = 0; k < object.length; k++) values.push(object[k]);
      shapes.push(null);
    } else if (object instanceof Map) {
      for (const [key, value] of object as Map<unknown, unknown>) values.push(key, value);
      shapes.push(null);
    } else if (object instanceof Set) {
      for (const value of object as Set<unknown>) values.push(value);
      shapes.push(null);
    } else {
      let shape = known.get(object.constructor);
      let at = 0;
      let isSame = shape !== undefined;
      for (const key in object) {
        if (isSame && shape![at] !== key) isSame = false;
        values.push((object as Record<string, unknown>)[key]);
        at++;
      }
      if (!isSame || at !== shape!.length) {
        shape = Object.keys(object);
        if (shape.length !== at) throw new TypeError(`${object.constructor?.name}: properties that are not its own`);
        known.set(object.constructor, shape);
      }
      shapes.push(shape!);
    }
    for (let k = start; k < values.length; k++) meet(values[k]);
  }
  starts.push(values.length);
  return { objects, shapes, values, starts, buffers, ownBytes: ownBytes + objectBytes({ objects, values }) };
}
/** Bytes that an image takes for other things than columns, about. */
export const objectBytes = ({ objects, values }: Pick<HeapImage, 'objects' | 'values'>): number => 24 * objects.length + 16 * values.length;

/** Writes an image back into its objects. What was not there when it was taken is out of reach afterwards. */
export function putHeapBack({ objects, shapes, values, starts, buffers }: HeapImage): void {
  for (let i = 0; i < objects.length; i++) {
    const object = objects[i]!;
    const start = starts[i]!;
    const end = starts[i + 1]!;
    if (Array.isArray(object)) {
      if (object.length !== end - start) object.length = end - start;
      for (let k = start; k < end; k++) if (!Object.is(object[k - start], values[k])) object[k - start] = values[k];
    } else if (object instanceof Map) {
      if (isSameMap(object, values, start, end)) continue;
      object.clear();
      for (let k = start; k < end; k += 2) object.set(values[k], values[k + 1]);
    } else if (object instanceof Set) {
      if (isSameSet(object, values, start, end)) continue;
      object.clear();
      for (let k = start; k < end; k++) object.add(values[k]);
    } else {
      putProperties(object as Record<string, unknown>, shapes[i]!, values, start);
    }
  }
  for (const image of buffers.values()) putBufferBack(image);
}

function putProperties(object: Record<string, unknown>, shape: Shape, values: readonly unknown[], start: number): void {
  let at = 0;
  for (const key in object) {
    if (shape[at] !== key) {
      at = -1;
      break;
    }
    at++;
  }
  // Properties have come or gone: the order of what is left would be another, and the next image must find the same one.
  if (at !== shape.length) for (const key of Object.keys(object)) delete object[key];
  for (let k = 0; k < shape.length; k++) {
    const key = shape[k]!;
    const value = values[start + k];
    if (at !== shape.length || !Object.is(object[key], value)) object[key] = value;
  }
}
function isSameMap(map: Map<unknown, unknown>, values: readonly unknown[], start: number, end: number): boolean {
  if (map.size * 2 !== end - start) return false;
  let k = start;
  for (const [key, value] of map) {
    if (!Object.is(key, values[k]) || !Object.is(value, values[k + 1])) return false;
    k += 2;
  }
  return true;
}
function isSameSet(set: Set<unknown>, values: readonly unknown[], start: number, end: number): boolean {
  if (set.size !== end - start) return false;
  let k = start;
  for (const value of set) if (!Object.is(value, values[k++])) return false;
  return true;
}

function takeBuffer(buffer: ArrayBufferLike, before: BufferImage | null): { image: BufferImage; ownBytes: number } {
  const nr = Math.ceil(buffer.byteLength / PIECE_BYTES);
  const pieces: Int8Array[] = [];
  let ownBytes = 0;
  for (let i = 0; i < nr; i++) {
    const lenBytes = Math.min(PIECE_BYTES, buffer.byteLength - i * PIECE_BYTES);
    const old = before?.pieces[i];
    if (old !== undefined && isSame(buffer, i * PIECE_BYTES, old)) {
      pieces.push(old);
      continue;
    }
    pieces.push(new Int8Array(buffer, i * PIECE_BYTES, lenBytes).slice());
    ownBytes += lenBytes;
  }
  return { image: { buffer, pieces }, ownBytes };
}
/** Are the bytes from `start` on those of a piece? */
function isSame(buffer: ArrayBufferLike, start: number, piece: Int8Array): boolean {
  const nrWords = piece.length >>> 2;
  const now = new Int32Array(buffer, start, nrWords);
  const old = new Int32Array(piece.buffer, 0, nrWords);
  for (let i = 0; i < nrWords; i++) if (now[i] !== old[i]) return false;
  if (nrWords * 4 === piece.length) return true;
  const rest = new Int8Array(buffer, start, piece.length);
  for (let i = nrWords * 4; i < piece.length; i++) if (rest[i] !== piece[i]) return false;
  return true;
}
function putBufferBack({ buffer, pieces }: BufferImage): void {
  const bytes = new Int8Array(buffer);
  pieces.forEach((piece, i) => {
    if (!isSame(buffer, i * PIECE_BYTES, piece)) bytes.set(piece, i * PIECE_BYTES);
  });
}
