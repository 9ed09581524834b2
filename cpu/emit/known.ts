// Pages of which it is known what stands behind L1: a table of words by page number, and the misses of such pages that the TLBs have not heard of yet. Here:
// its columns, looking a page up, learning one, noting a miss. Not here: who may learn and what that promises (DeferredMisses in mmu/plan.ts), L2 (behind.ts).
//
// A word says all of a base page that the mode may load from, that has A and is not global. It has no tag: words of 64 pages in a row share one, so that a
// host's cache holds many. 0: not known.
import type { Arena } from '#mmu';
import { add, addWord, and, apply, atLeast, below, block, eq, local, loopWhile, or, set, setWord, shl, shr, sub, when, word, wordAt } from './expr.ts';
import type { Expr } from './expr.ts';
import type { PageLocals } from './level.ts';
import { Mem, Op, Type } from './wasm.ts';
import type { Code } from './wasm.ts';

export const KnownWord = {
  D: 1 << 0,
  /** R, W, X and U, as in a PTE. */
  Rights: 0x1e,
  /** The mode may store to it, D is set, the frame is not guarded, and Ram knows that it is written to. */
  MayStore: 1 << 5,
  /** The way, in its set, that holds the page if L1 has it at all. */
  WayShift: 6, Ways: 63 << 6,
  /** The frame's index, as bytes into RAM. */
  Frame: ~4095,
} as const;
export const MAX_WAYS = 64;
/** What is noted of a miss, beside the page's address: */
export const MissNote = { Kind: 3, WayShift: 2, WayMask: MAX_WAYS - 1 } as const;

const GROUP_SHIFT = 6;
/** High half of a tag that no group of pages has: more than an address's bits. */
const NO_GROUP_HIGH = 1 << 30;
/** Misses that are noted before they must be seen to. */
const MAX_PENDING = 512;
/** So many times longer than for the first question is waited after an answer of no. */
const AFTER_NO = 1024;
const nrPagesFor = (nrFrames: number): number => 1 << Math.ceil(Math.log2(Math.max(nrFrames, 4096)));
/** Bytes of arena, an upper bound. */
export const knownBytes = (nrFrames: number): number => nrPagesFor(nrFrames) * 5 + 8 * MAX_PENDING + 512;

/** The columns: a word for each page number modulo a power of two that is not below RAM's frames, a tag for each 64 of them. */
export class KnownPages {
  private readonly words: Int32Array;
  private readonly tags: BigInt64Array;
  private readonly tagHalves: Int32Array;
  /** Groups that were begun since the table was emptied, as many as there is room for. */
  private readonly begun: Int32Array;
  /** [0] how often one was; [1] misses noted; [2] L2's hits since then, of pages that are not known. */
  private readonly counts: Int32Array;
  private readonly noted: BigInt64Array;

  /** So many of these until it is asked whether such a page may be known (Hotness.hits). */
  readonly hitsUntilAsked: number;

  constructor(arena: Arena, nrFrames: number, hitsUntilAsked: number) {
    this.hitsUntilAsked = hitsUntilAsked;
    this.words = arena.int32(nrPagesFor(nrFrames));
    this.tags = arena.bigInt64(this.words.length >> GROUP_SHIFT).fill(BigInt(NO_GROUP_HIGH) << 32n);
    this.tagHalves = new Int32Array(this.tags.buffer, this.tags.byteOffset, 2 * this.tags.length);
    this.begun = arena.int32(this.tags.length);
    this.counts = arena.int32(3);
    this.noted = arena.bigInt64(MAX_PENDING);
  }

  get columns(): KnownColumns {
    const { words, tags, begun, counts, noted } = this;
    return { words: words.byteOffset, tags: tags.byteOffset, nrPages: words.length, begun: begun.byteOffset, nrBegun: counts.byteOffset, nrNoted: counts.byteOffset + 4, nrHits: counts.byteOffset + 8, noted: noted.byteOffset };
  }
  /** Misses that the TLBs have not heard of. */
  get nrNoted(): number {
    return this.counts[1]!;
  }
  /** Nothing is known any more. */
  forget(): void {
    const { begun, counts, tagHalves } = this;
    const n = counts[0]!;
    if (n <= begun.length) for (let i = 0; i < n; i++) tagHalves[2 * begun[i]! + 1] = NO_GROUP_HIGH;
    else for (let i = 1; i < tagHalves.length; i += 2) tagHalves[i] = NO_GROUP_HIGH;
    counts[0] = 0;
    counts[2] = 0;
  }
  /** A page may not be known that L2 has served: others will not be asked about for a while. */
  rest(): void {
    this.counts[2] = -AFTER_NO * this.hitsUntilAsked;
  }
  /** L1 has got a page, in a way of its set. */
  noteWay(vpnLo: number, vpnHi: number, way: number): void {
    if (this.counts[0] === 0) return;
    const { words, tagHalves } = this;
    const at = vpnLo & (words.length - 1);
    const group = 2 * (at >>> GROUP_SHIFT);
    if (tagHalves[group] !== ((vpnLo >>> GROUP_SHIFT) | (vpnHi << (32 - GROUP_SHIFT))) || tagHalves[group + 1] !== vpnHi >> GROUP_SHIFT || words[at] === 0) return;
    words[at] = (words[at]! & ~KnownWord.Ways) | (way << KnownWord.WayShift);
  }
}
/** Their places. */
interface KnownColumns {
  readonly words: number;
  readonly tags: number;
  readonly nrPages: number;
  readonly begun: number;
  readonly nrBegun: number;
  readonly nrNoted: number;
  readonly nrHits: number;
  readonly noted: number;
}

export class EmittedKnown {
  private readonly columns: KnownColumns;
  private readonly hitsUntilAsked: number;
  private readonly code: Code;
  private readonly page: PageLocals;

  constructor(code: Code, { columns, hitsUntilAsked }: KnownPages, page: PageLocals) {
    this.code = code;
    this.columns = columns;
    this.hitsUntilAsked = hitsUntilAsked;
    this.page = page;
  }

  private group(vpn: Expr): Expr {
    return (c) => {
      vpn(c);
      c.i32(GROUP_SHIFT).op(Op.i32_shr_u).i32((this.columns.nrPages >> GROUP_SHIFT) - 1).op(Op.i32_and).i32(3).op(Op.i32_shl);
    };
  }
  private place(vpn: Expr): Expr {
    return and(vpn, word(this.columns.nrPages - 1));
  }
  wordAt(vpn: Expr): Expr {
    return wordAt(this.columns.words, this.place(vpn));
  }
  /** The word for an address, a local of 64 bits, into another; 0: not known. @param vpn its page number's low half */
  find(into: number, address: number, vpn: Expr): Expr {
    return (c) => {
      c.i32(0).set(into);
      this.group(vpn)(c);
      c.mem(Mem.i64_load, this.columns.tags).get(address).i64(12 + GROUP_SHIFT).op(Op.i64_shr_s, Op.i64_eq);
      c.if();
      set(into, this.wordAt(vpn))(c);
      c.end();
    };
  }
  /** Writes the word of the page, whatever its group has been. @param value a local */
  learn(value: number, address: number): Expr {
    const { code, columns: { tags, words, nrPages, begun, nrBegun }, page: { vpnLo } } = this;
    const left = code.local(Type.I32), first = code.local(Type.I32), n = code.local(Type.I32);
    const tag: Expr = (c) => { c.get(address).i64(12 + GROUP_SHIFT).op(Op.i64_shr_s); };
    const isOther: Expr = (c) => {
      this.group(local(vpnLo))(c);
      c.mem(Mem.i64_load, tags);
      tag(c);
      c.op(Op.i64_ne);
    };
    const begin: Expr = block(
      set(first, and(this.place(local(vpnLo)), word(-1 << GROUP_SHIFT))), set(left, word(1 << GROUP_SHIFT)),
      loopWhile(local(left), block(set(left, sub(local(left), word(1))), setWord(words, add(local(first), local(left)), word(0)))),
      (c) => {
        this.group(local(vpnLo))(c);
        tag(c);
        c.mem(Mem.i64_store, tags);
      },
      set(n, wordAt(nrBegun, word(0))), when(below(local(n), word(nrPages >> GROUP_SHIFT)), setWord(begun, local(n), shr(local(first), word(GROUP_SHIFT)))),
      when(atLeast(word(nrPages >> GROUP_SHIFT), local(n)), setWord(nrBegun, word(0), add(local(n), word(1)))),
    );
    return block(when(isOther, begin), this.update(local(value)));
  }
  /** The same, where find() has found one. */
  update(value: Expr): Expr {
    return setWord(this.columns.words, this.place(local(this.page.vpnLo)), value);
  }
  /** Counts a hit in L2 of a page that is not known. @returns pushes whether it may be asked about */
  get asksAfterHit(): Expr {
    const { nrHits } = this.columns;
    return block(addWord(nrHits, word(0)), atLeast(wordAt(nrHits, word(0)), word(this.hitsUntilAsked)));
  }
  /** Whether as many misses are noted as can be. */
  get isFull(): Expr {
    return eq(wordAt(this.columns.nrNoted, word(0)), word(MAX_PENDING));
  }
  /** Notes a miss. @param pageAddress a local of 64 bits. @returns pushes whether the list is full now */
  note(pageAddress: number, kind: number, way: Expr): Expr {
    const { nrNoted, noted } = this.columns;
    const n = this.code.local(Type.I32);
    return block(
      set(n, wordAt(nrNoted, word(0))),
      (c) => {
        c.get(n).i32(3).op(Op.i32_shl).get(pageAddress);
        apply(Op.i64_extend_i32_u)(or(local(kind), shl(way, word(MissNote.WayShift))))(c);
        c.op(Op.i64_or).mem(Mem.i64_store, noted);
      },
      set(n, add(local(n), word(1))), setWord(nrNoted, word(0), local(n)), eq(local(n), word(MAX_PENDING)),
    );
  }
}
