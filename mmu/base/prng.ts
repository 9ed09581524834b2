// The only randomness: one seeded generator per purpose (TLB replacement, getrandom, ...), so that every run can be repeated.
// xoshiro128** by Blackman and Vigna (2018), public domain: 128 bits of state, seeded through splitmix32.

export class Prng {
  private readonly s = new Int32Array(4);

  /** @param seed any number; @param purpose keeps the streams of one seed apart. */
  constructor(seed: number, purpose: string) {
    let x = (seed | 0) ^ Math.imul(Math.floor(seed / 0x1_0000_0000) | 0, 0x9e3779b1);
    for (let i = 0; i < purpose.length; i++) x = Math.imul(x ^ purpose.charCodeAt(i), 0x01000193);
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) | 0;
      let z = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      this.s[i] = z ^ (z >>> 15);
    }
  }

  /** The next unsigned 32-bit number. */
  next32(): number {
    const s = this.s;
    const a = Math.imul(s[1]!, 5);
    const result = Math.imul((a << 7) | (a >>> 25), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** A whole number in [0, bound); bound at most 2^32. Rejection keeps it even. */
  below(bound: number): number {
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % bound);
    for (;;) {
      const n = this.next32();
      if (n < limit) return n % bound;
    }
  }

  /** The state, four words: part of the state hash and of snapshots. */
  get state(): Int32Array {
    return this.s;
  }
}
