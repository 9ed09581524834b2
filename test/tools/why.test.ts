// quire why: what it says of a run, as data and as text.
import { describe, expect, test } from 'vitest';
import { boot } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';
import { type Piece, WhyLog, pieceText, piecesText } from '#tools/why.ts';

/** Runs a program to its end, or to --max-insn. */
function why(where: number | null, ...words: string[]): Piece[] {
  const { values, rest } = parseCommandLine('why', ['machine', 'kernel', 'inputs'], words.includes('--mem') ? words : ['--mem', '64M', ...words]);
  const session = boot(prepare(values, rest, NO_TERMINAL));
  const log = new WhyLog(session, where);
  while (session.step(200_000) === 'running') log.gather();
  const pieces = log.look(where) ?? [];
  log.end();
  return pieces;
}
const gups = ['--mthp', '16k=always,64k=always', '--', 'gups', '--words', '16384', '--updates', '2000'];
const said = (piece: Piece): unknown[] => [piece.pages, piece.backing.order, piece.backing.entry, piece.fault?.wantedOrder, piece.fault?.reasons];

describe('why', () => {
  test('every page of a mapping is in one piece, in order, and the edges say why they are smaller', () => {
    const all = why(null, ...gups);
    for (const [i, piece] of all.entries()) {
      const before = all[i - 1];
      if (before !== undefined && before.vma.start === piece.vma.start) expect(before.start + before.pages * 4096).toBe(piece.start);
      else expect(piece.start).toBe(piece.vma.start);
    }
    const table = all.filter((piece) => piece.vma.name === '[anon]' && piece.backing.what === 'anonymous folio');
    expect(table.filter((piece) => piece.backing.order === 4).map(said)).toContainEqual([16, 4, 'folded', 4, ['order-wanted']]);
    expect(table.filter((piece) => piece.backing.order < 4).map(said)).toEqual(expect.arrayContaining([[4, 2, 'pte', 4, ['vma-too-small']], [1, 0, 'pte', 4, ['vma-too-small']]]));
    expect(piecesText(all).find((line) => line.includes('folded'))).toMatch(/^ {3}0x[\da-f]+-0x[\da-f]+ +1 +16 {2}anonymous folio {6}4 {7}4 {2}folded {2}order-wanted$/);
  });
  test('one address: its folio, its mapping, its fault', () => {
    const large = why(null, ...gups).find((piece) => piece.backing.entry === 'folded')!;
    const [piece, ...more] = why(large.start + 5 * 4096 + 123, ...gups);
    expect(more).toEqual([]);
    expect([piece!.start, piece!.pages, piece!.mappedBy.map(({ pids, pages }) => [pids, pages])]).toEqual([large.start, 16, [[[2], 16]]]);
    const text = pieceText(piece!).join('\n');
    expect(text).toContain('anonymous folio of 64K (order 4)');
    expect(text).toContain('wanted 64K (order 4), got 64K (order 4)');
    expect(text).toContain('folded by Svnapot');
  });
  test('a 2 MiB mapping that a copy on write has split says so', () => {
    const split = why(null, '--mem', '128M', '--mthp', '2m=always', '--', 'kv').filter((piece) => piece.backing.order === 9 && piece.backing.entry !== 'pmd');
    expect(split.length).toBeGreaterThan(0);
    for (const piece of split) expect([piece.fault?.reasons, piece.changes.map((c) => c.reason)]).toEqual([['order-wanted'], expect.arrayContaining(['split-cow'])]);
  });
  test('nothing at an address outside every mapping', () => { expect(why(0x5000, ...gups)).toEqual([]); });
  test('the answer of a moment: with a budget, the program as it stands then', () => {
    const early = why(null, '--max-insn', '3000', ...gups);
    const late = why(null, ...gups);
    const mapped = (pieces: readonly Piece[]): number => pieces.reduce((sum, piece) => sum + (piece.backing.what === 'nothing' ? 0 : piece.pages), 0);
    expect(mapped(early)).toBeGreaterThan(0);
    expect(mapped(early)).toBeLessThan(mapped(late));
  });
  test('a run that is watched is the run that is not', () => {
    const hash = (watched: boolean): string => {
      const { values, rest } = parseCommandLine('why', ['machine', 'kernel', 'inputs'], ['--mem', '64M', ...gups]);
      const session = boot(prepare(values, rest, NO_TERMINAL));
      const log = watched ? new WhyLog(session, null) : null;
      while (session.step(200_000) === 'running') log?.gather();
      log?.end();
      return session.stateHash();
    };
    expect(hash(true)).toBe(hash(false));
  });
});
