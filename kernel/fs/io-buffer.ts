// The other side of a read or a write: bytes of the host, or pieces of a program's memory. Here: moving bytes and knowing how far one got.
// A read that meets a bad address after some bytes is short, not failed, and takes no more from the file than it could deliver; that is why
// files hand bytes to a buffer instead of filling an array. Mirrors struct iov_iter (lib/iov_iter.c).
import type { PhysRange } from '../block/bio.ts';
import type { UserMemory } from '../mm/uaccess.ts';

const PAGE_BYTES = 4096;

/** A piece of user memory, as readv and writev name them. */
export interface IoVec { readonly base: number; readonly len: number }

export class IoBuffer {
  private readonly user: UserMemory | null;
  private readonly host: Uint8Array;
  private readonly pieces: readonly IoVec[];
  private piece = 0;
  private offset = 0;
  /** Bytes not moved yet. */
  left: number;
  /** A bad address stopped it. */
  faulted = false;
  /** Nobody is left to read what is written: SIGPIPE is due. */
  brokenPipe = false;

  private constructor(user: UserMemory | null, host: Uint8Array, pieces: readonly IoVec[], left: number) {
    this.user = user;
    this.host = host;
    this.pieces = pieces;
    this.left = left;
  }

  static of(bytes: Uint8Array): IoBuffer {
    return new IoBuffer(null, bytes, [{ base: 0, len: bytes.length }], bytes.length);
  }
  static user(memory: UserMemory, pieces: readonly IoVec[]): IoBuffer {
    let left = 0;
    for (const piece of pieces) left += piece.len;
    return new IoBuffer(memory, noBytes, pieces, left);
  }

  /** Passes over bytes that an earlier run of the same call has moved already. */
  skip(nrBytes: number): void {
    let n = Math.min(nrBytes, this.left);
    while (n > 0) n -= this.advance(Math.min(n, this.here()));
  }

  /** Memory of a program, not bytes of the host. */
  get isUser(): boolean {
    return this.user !== null;
  }
  /** Do all pieces begin and end at multiples of `nrBytes`? */
  isAligned(nrBytes: number): boolean {
    return this.pieces.every(({ base, len }) => base % nrBytes === 0 && len % nrBytes === 0);
  }
  /** Passes over up to `nrBytes`, and answers the frames behind them, made present (and writable): fewer at a bad address. Whoever uses them
   *  holds them (MmSystem.holdPage). */
  pin(nrBytes: number, forWrite: boolean): PhysRange[] {
    const ranges: PhysRange[] = [];
    for (let left = Math.min(nrBytes, this.left); left > 0 && !this.faulted; ) {
      const here = Math.min(this.here(), left);
      const va = this.pieces[this.piece]!.base + this.offset;
      const length = Math.min(here, PAGE_BYTES - (va % PAGE_BYTES));
      const pfn = this.user?.frameAt(va, forWrite) ?? 0;
      if (pfn === 0) {
        this.faulted = true;
        break;
      }
      ranges.push({ pfn, offset: va % PAGE_BYTES, lenBytes: length });
      this.advance(length);
      left -= length;
    }
    return ranges;
  }

  /** Takes back the last `nrBytes` that were moved: they will be moved again, and an address that was bad then is asked again. */
  back(nrBytes: number): void {
    this.faulted = false;
    this.left += nrBytes;
    for (let n = nrBytes; n > 0; ) {
      const step = Math.min(n, this.offset);
      this.offset -= step;
      n -= step;
      if (n > 0) this.offset = this.pieces[--this.piece]!.len;
    }
  }

  /** Gives up what lies beyond `nrBytes` from here. */
  shorten(nrBytes: number): void {
    this.left = Math.min(this.left, Math.max(0, nrBytes));
  }

  /** Delivers bytes to the buffer. @returns how many arrived: fewer when it is full or an address is bad */
  put(bytes: Uint8Array): number {
    let done = 0;
    while (done < bytes.length && this.left > 0 && !this.faulted) {
      const length = Math.min(bytes.length - done, this.here(), this.left);
      const moved = this.copyOut(bytes.subarray(done, done + length));
      this.advance(moved);
      done += moved;
      if (moved < length) this.faulted = true;
    }
    return done;
  }

  /** Takes up to `max` bytes out of the buffer; fewer at its end or at a bad address. The array is the caller's. */
  take(max: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(max, this.left));
    const done = this.takeInto(bytes);
    return done === bytes.length ? bytes : bytes.subarray(0, done);
  }

  /** The same into an array. @returns how many bytes it got */
  takeInto(bytes: Uint8Array): number {
    let done = 0;
    while (done < bytes.length && this.left > 0 && !this.faulted) {
      const length = Math.min(bytes.length - done, this.here(), this.left);
      const moved = this.copyIn(bytes.subarray(done, done + length));
      this.advance(moved);
      done += moved;
      if (moved < length) this.faulted = true;
    }
    return done;
  }

  /** Zeros instead of bytes: for holes, without making them. */
  putZeros(nrBytes: number): number {
    let done = 0;
    while (done < nrBytes && this.left > 0 && !this.faulted) done += this.put(zeros.subarray(0, Math.min(zeros.length, nrBytes - done)));
    return done;
  }

  /** Bytes left in the current piece; steps over empty ones. Only while `left` is above 0. */
  private here(): number {
    while (this.offset === this.pieces[this.piece]!.len) {
      this.piece++;
      this.offset = 0;
    }
    return this.pieces[this.piece]!.len - this.offset;
  }
  private advance(nrBytes: number): number {
    this.offset += nrBytes;
    this.left -= nrBytes;
    return nrBytes;
  }

  private copyOut(bytes: Uint8Array): number {
    const base = this.pieces[this.piece]!.base + this.offset;
    if (this.user === null) {
      this.host.set(bytes, base);
      return bytes.length;
    }
    if (this.user.write(base, bytes)) return bytes.length;
    // Some address in it is bad: page by page, as far as it goes.
    let done = 0;
    while (done < bytes.length) {
      const length = Math.min(bytes.length - done, 4096 - ((base + done) % 4096));
      if (!this.user.write(base + done, bytes.subarray(done, done + length))) break;
      done += length;
    }
    return done;
  }
  private copyIn(into: Uint8Array): number {
    const base = this.pieces[this.piece]!.base + this.offset;
    if (this.user === null) {
      into.set(this.host.subarray(base, base + into.length));
      return into.length;
    }
    return this.user.read(base, into) ? into.length : this.user.readPrefix(base, into);
  }
}

const noBytes = new Uint8Array(0);
const zeros = new Uint8Array(65536);
