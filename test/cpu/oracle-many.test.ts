// A hundred thousand random instruction sequences leave the same registers, memory and fcsr as under qemu-riscv64. Here: many, of which only a
// seed and a hash each are kept. Not here: what they cover, and a live comparison (oracle-sequences.test.ts).
import { describe, expect, test } from 'vitest';
import { hashOfBlock, programOf } from '../support/oracle/blocks.ts';
import { generate, listing, runAll } from '../support/oracle/chunks.ts';
import { isRecording, readGolden, writeGolden } from '../support/oracle/golden.ts';
import { runOnQemu } from '../support/oracle/qemu.ts';

const SEQUENCES_EACH = 5000;
const SEEDS = Array.from({ length: 20 }, (_, i) => 1001 + i);

/** By seed: the sequences' hashes, eight hex digits each, one behind the other, as base64. */
interface Golden { readonly sequencesEach: number; readonly hashes: Readonly<Record<string, string>> }

if (isRecording) test('qemu-riscv64 is asked for the states of a hundred thousand random sequences', () => {
  const hashes = Object.fromEntries(SEEDS.map((seed) => {
    const data = runOnQemu(programOf(generate(seed, SEQUENCES_EACH), seed));
    const all = Array.from({ length: SEQUENCES_EACH }, (_, i) => hashOfBlock(data, i)).join('');
    return [seed, Buffer.from(all, 'hex').toString('base64')];
  }));
  writeGolden('many', 'Hashes of the states that random sequences leave; the sequences come from the seeds (test/support/oracle/sequences.ts)', { sequencesEach: SEQUENCES_EACH, hashes });
}, 600_000);

if (!isRecording) describe('golden', () => {
  const golden = readGolden<Golden>('many');

  test('there are at least 100,000 sequences', () => {
    const bytes = Object.values(golden.hashes).reduce((n, text) => n + Buffer.from(text, 'base64').length, 0);
    expect(bytes / 4).toBeGreaterThanOrEqual(100_000);
  });

  test.each(Object.keys(golden.hashes).map(Number))(`the sequences of seed %i leave the states that they left under ${golden.qemu.split(' (')[0]}`, (seed) => {
    const chunks = generate(seed, golden.sequencesEach);
    const ours = runAll(chunks, seed, programOf(chunks, seed));
    const theirs = Buffer.from(golden.hashes[seed]!, 'base64').toString('hex');
    const wrong = chunks.flatMap((_, i) => (hashOfBlock(ours.data, i) === theirs.slice(8 * i, 8 * i + 8) ? [] : [i]));
    const report = wrong.slice(0, 3).flatMap((i) => [`sequence ${i} of seed ${seed}, base x${chunks[i]!.base}`, ...listing(chunks[i]!.code)]);
    expect(wrong.length, report.join('\n')).toBe(0);
  });
});
