// #base: what stands under every room. It lives in mmu/ only because the top-level folders are fixed.
//
// Reading order: units.ts (numbers with units), bits.ts (flags, halves of 64-bit words), assert.ts (who is to blame),
// prng.ts (the only randomness), hash.ts (the state hash), utf8.ts (text and bytes), trace.ts (tracepoints).
export * from './units.ts';
export * from './bits.ts';
export * from './assert.ts';
export * from './prng.ts';
export * from './hash.ts';
export * from './utf8.ts';
export * from './trace.ts';
