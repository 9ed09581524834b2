// The walk against vectors that were also run bare-metal on another RISC-V implementation, and every fault condition of the spec's steps.
import { describe, expect, test } from 'vitest';
import { asPfn, highHalf, lowHalf } from '#base';
import { Arena, Pte, Ram } from '#mmu';
import { WalkStatus, Walker, rightsFor, vpnIndex } from '#mmu/walker.ts';

interface Rights { user?: boolean; sum?: boolean; mxr?: boolean }

/** A walker over 8 MiB of RAM with nothing in it. */
function bareWalker(svadu = true, pwc = {}) {
  const arena = new Arena(8 * 1024 * 1024 + 256 * 1024);
  const ram = new Ram(arena, 2048);
  const walker = new Walker(arena, ram, pwc, svadu);
  const host = (pa: number): number => ram.hostOf(asPfn(Math.floor(pa / 4096))) + (pa % 4096);
  return {
    walker,
    set: (pa: number, value: bigint) => arena.view.setBigUint64(host(pa), value, true),
    get: (pa: number) => arena.view.getBigUint64(host(pa), true),
    /** 'PA 80403abc, 3 reads', 'page fault, 2 reads', 'access fault, 1 reads'. */
    go(va: bigint, right: 'load' | 'store' | 'fetch', rights: Rights = {}, levels = 3): string {
      const va64 = BigInt.asIntN(64, va);
      const hi = Number(va64 >> 32n);
      const lo = Number(BigInt.asIntN(32, va64));
      const bit = right === 'load' ? Pte.R : right === 'store' ? Pte.W : Pte.X;
      const allowed = rightsFor(bit, rights.user ?? true, rights.sum ?? false, rights.mxr ?? false);
      const status = walker.walk(hi, lo, levels, 0x80000, 0, allowed, right === 'store', true);
      const reads = `${walker.reads} reads`;
      if (status === WalkStatus.PageFault) return `page fault, ${reads}`;
      if (status === WalkStatus.AccessFault) return `access fault, ${reads}`;
      const offset = BigInt.asUintN(64, va) & ((1n << BigInt(12 + walker.order)) - 1n);
      return `PA ${(BigInt(walker.ppn) * 4096n + offset).toString(16)}, ${reads}`;
    },
  };
}

/** The tables of the vectors. */
function vectors(svadu = true) {
  const w = bareWalker(svadu);
  const words: [number, bigint][] = [
    [0x80000000, 0x20000401n], [0x80001008, 0x20000801n], [0x80002018, 0x20100cdfn], [0x80002020, 0x20101013n],
    [0x80001010, 0x201800d7n], [0x80001028, 0x201804d7n], [0x80000ff8, 0x100000efn],
  ];
  for (let i = 0; i < 16; i++) words.push([0x80002080 + 8 * i, 0x8000000020142057n]);
  for (const [at, value] of words) w.set(at, value);
  return w;
}

describe('the vectors of section 15', () => {
  const asUser = { user: true };
  const asKernel = { user: false };
  test.each([
    ['a 4K page, as user', 0x203abcn, 'load', asUser, 'PA 80403abc, 3 reads'],
    ['a user page, as kernel without SUM', 0x203abcn, 'load', asKernel, 'page fault, 3 reads'],
    ['a user page, as kernel with SUM', 0x203abcn, 'load', { user: false, sum: true }, 'PA 80403abc, 3 reads'],
    ['a fetch from a user page, even with SUM', 0x203abcn, 'fetch', { user: false, sum: true }, 'page fault, 3 reads'],
    ['a store to a 2M page', 0x512345n, 'store', asUser, 'PA 80712345, 2 reads'],
    ['a misaligned 2M page', 0xa00000n, 'load', asUser, 'page fault, 2 reads'],
    ['a 1G global page', 0xffffffffdeadbee8n, 'load', asKernel, 'PA 5eadbee8, 1 reads'],
    ['a Svnapot region', 0x217008n, 'load', asUser, 'PA 80507008, 3 reads'],
    ['an invalid entry', 0x205000n, 'load', asUser, 'page fault, 3 reads'],
    ['an address that is not canonical', 0x4000000000n, 'load', asUser, 'page fault, 0 reads'],
  ] as const)('%s', (_, va, right, rights, expected) => {
    expect(vectors().go(va, right, rights)).toBe(expected);
  });

  test('a store to a clean Svnapot page faults under Svade and sets D in its own entry alone under Svadu', () => {
    expect(vectors(false).go(0x217008n, 'store')).toBe('page fault, 3 reads');
    const w = vectors();
    expect(w.go(0x217008n, 'store')).toBe('PA 80507008, 3 reads');
    for (let i = 0; i < 16; i++) expect(w.get(0x80002080 + 8 * i)).toBe(i === 7 ? 0x80000000201420d7n : 0x8000000020142057n);
  });

  test('a load from a page never accessed faults under Svade and sets A under Svadu', () => {
    expect(vectors(false).go(0x204000n, 'load')).toBe('page fault, 3 reads');
    const w = vectors();
    expect(w.go(0x204000n, 'load')).toBe('PA 80404000, 3 reads');
    expect(w.get(0x80002020)).toBe(0x20101053n);
  });

  test('page numbers split into table indices', () => {
    const split = (va: number, levels: number) => {
      const hi = highHalf(va), lo = lowHalf(va);
      return Array.from({ length: levels }, (_, level) => vpnIndex((hi << 20) | (lo >>> 12), hi >> 12, level));
    };
    expect(split(0x3fdeadb000, 3)).toEqual([219, 245, 255]);
    expect(split(0x7fffdeadb000, 4)).toEqual([219, 245, 511, 255]);
    expect(split(0x00ffabcdef123000, 5)).toEqual([291, 376, 311, 343, 255]);
  });
});

describe('every fault condition', () => {
  const V = 1n, R = 2n, W = 4n, X = 8n, U = 16n, A = 64n, D = 128n, ALL = V | R | W | X | U | A | D, N = 1n << 63n;
  const root = 0x80000000, middle = 0x80001000, leaves = 0x80002000;
  const pointer = (to: number): bigint => BigInt(to / 4096) << 10n | V;
  const frame = (pa: number): bigint => BigInt(pa / 4096) << 10n;
  /** Three levels for address 0 with one entry changed. @returns what a load, a store and a fetch from address 0 give */
  const with_ = (level: number, entry: bigint): string => {
    const results = (['load', 'store', 'fetch'] as const).map((right) => {
      const w = bareWalker();
      w.set(root, level === 2 ? entry : pointer(middle));
      w.set(middle, level === 1 ? entry : pointer(leaves));
      w.set(leaves, level === 0 ? entry : frame(0x80400000) | ALL);
      return w.go(0n, right);
    });
    return new Set(results).size === 1 ? results[0]! : results.join(' / ');
  };
  const page = frame(0x80400000);
  test.each([
    ['a leaf with all rights', 0, page | ALL, 'PA 80400000, 3 reads'],
    ['RSW set', 0, page | ALL | 3n << 8n, 'PA 80400000, 3 reads'],
    ['V clear, all else set', 0, (1n << 64n) - 2n, 'page fault, 3 reads'],
    ['W without R', 0, page | V | W | U | A | D, 'page fault, 3 reads'],
    ['W and X without R', 0, page | V | W | X | U | A | D, 'page fault, 3 reads'],
    ['execute only', 0, page | V | X | U | A | D, 'page fault, 3 reads / page fault, 3 reads / PA 80400000, 3 reads'],
    ['read only', 0, page | V | R | U | A | D, 'PA 80400000, 3 reads / page fault, 3 reads / page fault, 3 reads'],
    ...[54n, 55n, 56n, 57n, 58n, 59n, 60n].map((bit) => [`reserved bit ${bit}`, 0, page | ALL | 1n << bit, 'page fault, 3 reads'] as const),
    ['PBMT 1', 0, page | ALL | 1n << 61n, 'page fault, 3 reads'],
    ['PBMT 2', 0, page | ALL | 2n << 61n, 'page fault, 3 reads'],
    ['PBMT 3', 0, page | ALL | 3n << 61n, 'page fault, 3 reads'],
    ['a Svnapot region', 0, frame(0x80408000) | ALL | N, 'PA 80400000, 3 reads'],
    ['Svnapot with frame bits 0111', 0, frame(0x80407000) | ALL | N, 'page fault, 3 reads'],
    ['Svnapot with frame bits 0000', 0, page | ALL | N, 'page fault, 3 reads'],
    ['Svnapot with frame bits 1001', 0, frame(0x80409000) | ALL | N, 'page fault, 3 reads'],
    ['Svnapot on a 2M leaf', 1, frame(0x80408000) | ALL | N, 'page fault, 2 reads'],
    ['a pointer at the last level', 0, pointer(0x80400000), 'page fault, 3 reads'],
    ['a pointer with A', 1, pointer(leaves) | A, 'page fault, 2 reads'],
    ['a pointer with D', 1, pointer(leaves) | D, 'page fault, 2 reads'],
    ['a pointer with U', 1, pointer(leaves) | U, 'page fault, 2 reads'],
    ['a pointer with N', 1, pointer(leaves) | N, 'page fault, 2 reads'],
    ['a pointer with PBMT', 1, pointer(leaves) | 1n << 61n, 'page fault, 2 reads'],
    ['a pointer with a reserved bit', 1, pointer(leaves) | 1n << 54n, 'page fault, 2 reads'],
    ['a pointer with RSW and G', 1, pointer(leaves) | 3n << 8n | 32n, 'PA 80400000, 3 reads'],
    ['a table below RAM', 1, pointer(0x7ffff000), 'access fault, 2 reads'],
    ['a table above RAM', 1, pointer(0x80800000), 'access fault, 2 reads'],
    ['a table far above RAM', 1, 0xfffffffffffn << 10n | V, 'access fault, 2 reads'],
    ['a 2M leaf', 1, page | ALL, 'PA 80400000, 2 reads'],
    ['a 2M leaf off by one frame', 1, frame(0x80401000) | ALL, 'page fault, 2 reads'],
    ['a 1G leaf', 2, frame(0x40000000) | ALL, 'PA 40000000, 1 reads'],
    ['a 1G leaf off by 2M', 2, frame(0x40200000) | ALL, 'page fault, 1 reads'],
    ['a leaf outside RAM', 0, 0xfffffffffffn << 10n | ALL, 'PA fffffffffff000, 3 reads'],
  ] as const)('%s', (_, level, entry, expected) => {
    expect(with_(level, entry)).toBe(expected);
  });

  test.each([[4, 3, 27], [5, 4, 36], [5, 3, 27]] as const)('with %i levels, a leaf at level %i must be aligned to its size', (levels, level, order) => {
    const go = (ppn: bigint): string => {
      const w = bareWalker();
      if (level === levels - 1) w.set(root, ppn << 10n | ALL);
      else {
        w.set(root, pointer(middle));
        w.set(middle, ppn << 10n | ALL);
      }
      return w.go(0x123456n, 'load', {}, levels);
    };
    const reads = levels - level;
    expect(go(1n << BigInt(order))).toBe(`PA ${((1n << BigInt(order + 12)) + 0x123456n).toString(16)}, ${reads} reads`);
    for (const bit of [0, 9, 21, 22, order - 1]) expect(go((1n << BigInt(order)) | (1n << BigInt(bit)))).toBe(`page fault, ${reads} reads`);
  });

  test('with more levels an address must be sign-extended from a higher bit', () => {
    for (const [levels, bits] of [[3, 39], [4, 48], [5, 57]] as const) {
      const w = bareWalker();
      w.set(root, frame(0) | ALL);
      w.set(root + 511 * 8, frame(0) | ALL);
      const top = 1n << BigInt(bits - 1);
      expect(w.go(-1n, 'load', {}, levels)).toMatch(/, 1 reads/);
      expect(w.go(-top - 1n, 'load', {}, levels)).toBe('page fault, 0 reads');
      expect(w.go(top, 'load', {}, levels)).toBe('page fault, 0 reads');
    }
  });
});
