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
