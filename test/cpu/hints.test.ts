// Hints of which branches are seldom taken (the custom section metadata.code.branch_hint): read back from a module's bytes by a reader of its own.
import { expect, test } from 'vitest';
import { Code, ModuleWriter, Op, Type } from '#cpu/emit/wasm.ts';
import { compile } from '#cpu/wasm-host.ts';

const IF = 0x04, BR_IF = 0x0d;

/** Bytes from a place on. */
class Reader {
  private readonly bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  byte(): number { return this.bytes[this.at++]!; }
  unsigned(): number {
    for (let n = 0, shift = 0; ; shift += 7) {
      const b = this.byte();
      n += (b & 0x7f) * 2 ** shift;
      if (b < 0x80) return n;
    }
  }
  name(): string { return new TextDecoder().decode(Uint8Array.from({ length: this.unsigned() }, () => this.byte())); }
}

/** Opcodes that hints stand at, by function; the function bodies' places are the code section's. */
function hintedOpcodes(module: Uint8Array, nrImports: number): number[][] {
  const r = new Reader(module, 8);
  const hints = new Map<number, number[]>();
  const bodies: number[] = [];
  while (r.at < module.length) {
    const id = r.byte();
    const end = r.unsigned() + r.at;
    if (id === 0 && r.name() === 'metadata.code.branch_hint') {
      expect(bodies, 'hints come before the code').toEqual([]);
      for (let left = r.unsigned(); left > 0; left--) {
        const index = r.unsigned();
        const places: number[] = [];
        for (let n = r.unsigned(); n > 0; n--) {
          places.push(r.unsigned());
          expect([r.unsigned(), r.byte()]).toEqual([1, 0]);
        }
        expect(places).toEqual([...places].sort((a, b) => a - b));
        hints.set(index, places);
      }
    }
    if (id === 10) {
      for (let left = r.unsigned(); left > 0; left--) {
        const bodyEnd = r.unsigned() + r.at;
        bodies.push(r.at);
        r.at = bodyEnd;
      }
    }
    r.at = end;
  }
  return bodies.map((body, i) => (hints.get(nrImports + i) ?? []).map((place) => module[body + place]!));
}

test('stand at the conditions that were marked, whatever locals come before', () => {
  const module = new ModuleWriter();
  module.importFunction('other', { params: [], results: [] });
  const plain = new Code({ params: [Type.I32], results: [] });
  plain.get(0);
  plain.if();
  plain.end();
  module.add(plain, 'plain');
  const marked = new Code({ params: [Type.I32], results: [Type.I32] });
  for (const type of [Type.I64, Type.I32, Type.I64, Type.F64]) marked.local(type);
  for (let i = 0; i < 40; i++) marked.i64(-1).op(Op.drop);
  const out = marked.block();
  marked.get(0).brIfSeldom(out);
  marked.end();
  marked.get(0);
  marked.if();
  marked.end();
  marked.get(0);
  marked.ifSeldom();
  marked.end();
  marked.i32(7);
  module.add(marked, 'marked');
  const bytes = module.finish(1);
  expect(hintedOpcodes(bytes, 1)).toEqual([[], [BR_IF, IF]]);
  expect(() => compile(bytes)).not.toThrow();
});

test('a module without them has no such section', () => {
  const module = new ModuleWriter();
  const c = new Code({ params: [], results: [] });
  module.add(c, 'nothing');
  expect(new TextDecoder('latin1').decode(module.finish(1))).not.toContain('branch_hint');
});
