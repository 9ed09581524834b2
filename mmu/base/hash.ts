// The state hash: 64 bits, from two independent multiply-and-rotate lanes over 32-bit words. Not cryptographic: it tells two runs apart.

export class StateHash {
  private a = 0x9747b28c | 0;
  private b = 0x3c6ef372 | 0;
  private words = 0;

  word(w: number): void {
    let k = Math.imul(w, 0xcc9e2d51 | 0);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    this.a ^= k;
    this.a = (Math.imul((this.a << 13) | (this.a >>> 19), 5) + 0xe6546b64) | 0;
    let j = Math.imul(w, 0x239b961b);
    j = Math.imul((j << 16) | (j >>> 16), 0xab0e9789 | 0);
    this.b ^= j;
    this.b = (Math.imul((this.b << 17) | (this.b >>> 15), 5) + 0x561ccd1b) | 0;
    this.words++;
  }

  /** A number with a fraction or above 32 bits: its eight bytes. */
  number(n: number): void {
    scratch[0] = n;
    this.word(halves[0]!);
    this.word(halves[1]!);
  }

  int32s(words: Int32Array | Uint32Array, start = 0, end: number = words.length): void {
    for (let i = start; i < end; i++) this.word(words[i]!);
  }

  numbers(values: Iterable<number>): void {
    for (const n of values) this.number(n);
  }

  text(s: string): void {
    this.word(s.length);
    for (let i = 0; i < s.length; i++) this.word(s.charCodeAt(i));
  }

  /** Sixteen hex digits. */
  digest(): string {
    const mix = (h: number): number => {
      let x = h ^ this.words;
      x = Math.imul(x ^ (x >>> 16), 0x85ebca6b | 0);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35 | 0);
      return (x ^ (x >>> 16)) >>> 0;
    };
    const a = mix((this.a + this.b) | 0);
    const b = mix((this.b + Math.imul(a, 3)) | 0);
    return a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0');
  }
}

const scratch = new Float64Array(1);
const halves = new Int32Array(scratch.buffer);
