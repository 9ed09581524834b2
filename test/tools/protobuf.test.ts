import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtoWriter } from '#tools/trace/protobuf.ts';
import { fieldsOf } from '../support/perfetto-reader.ts';

const written = (fill: (out: ProtoWriter) => void): Uint8Array => {
  const out = new ProtoWriter();
  fill(out);
  return out.take();
};

test('numbers are written as the format\'s own examples show', () => {
  expect([...written((out) => { out.uint(1, 150); })]).toEqual([0x08, 0x96, 0x01]);
  expect([...written((out) => { out.text(2, 'testing'); })]).toEqual([0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
  expect([...written((out) => { out.message(3, () => { out.uint(1, 150); }); })]).toEqual([0x1a, 0x03, 0x08, 0x96, 0x01]);
  expect([...written((out) => { out.int(1, -2); })]).toEqual([0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  expect([...written((out) => { out.double(1, 1); })]).toEqual([0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
});

test('what is written is read back, whatever it is, messages of every length within messages included', () => {
  type Node = { kind: 'uint' | 'int' | 'double'; value: number } | { kind: 'text'; value: string } | { kind: 'message'; value: Node[] };
  const { tree } = fc.letrec<{ tree: Node[]; node: Node }>((tie) => ({
    tree: fc.array(tie('node'), { maxLength: 6 }),
    node: fc.oneof({ depthSize: 'small' },
      fc.record({ kind: fc.constant('uint' as const), value: fc.maxSafeNat() }),
      fc.record({ kind: fc.constant('int' as const), value: fc.maxSafeInteger() }),
      fc.record({ kind: fc.constant('double' as const), value: fc.double({ noNaN: true }) }),
      fc.record({ kind: fc.constant('text' as const), value: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('x'.repeat(127), 'y'.repeat(128), 'z'.repeat(20_000))) }),
      fc.record({ kind: fc.constant('message' as const), value: tie('tree') })),
  }));
  const write = (out: ProtoWriter, nodes: readonly Node[]): void => {
    nodes.forEach((node, i) => {
      if (node.kind === 'message') out.message(i + 1, () => { write(out, node.value); });
      else if (node.kind === 'text') out.text(i + 1, node.value);
      else out[node.kind](i + 1, node.value);
    });
  };
  const check = (bytes: Uint8Array, nodes: readonly Node[]): void => {
    const fields = fieldsOf(bytes);
    expect(fields.map((f) => f.number)).toEqual(nodes.map((_, i) => i + 1));
    nodes.forEach((node, i) => {
      const field = fields[i]!;
      if (node.kind === 'message') check(field.bytes, node.value);
      else if (node.kind === 'text') expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(field.bytes)).toBe(node.value);
      else if (node.kind === 'double') expect(new DataView(field.bytes.slice().buffer).getFloat64(0, true)).toBe(node.value);
      else expect(Number(node.kind === 'int' ? BigInt.asIntN(64, field.value) : field.value)).toBe(node.value);
    });
  };
  fc.assert(fc.property(tree, (nodes) => { check(written((out) => { write(out, nodes); }), nodes); }), { numRuns: 300 });
});
