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
  test('an address in the middle of a folio is told of the whole piece, from the first page on', () => {
    const all = why(null, ...gups);
    const large = all.find((piece) => piece.backing.entry === 'folded')!;
    expect(why(large.start + 7 * 4096, ...gups)).toEqual([large]);
    expect(pieceText(large)[1]).toMatch(/^ {2}anonymous folio of 64K \(order 4\), frame 0x[\da-f]+; folded by Svnapot, sixteen pages an entry; exclusive$/);
  });
  test('a page of the file that is mapped twice is mapped twice, at neighbouring addresses or not', () => {
    const page = why(null, ...gups).find((piece) => piece.vma.rights === 'r-xp' && piece.mappedBy.length === 2)!;
    expect([page.filePage, page.mappedBy.map(({ address, pages }) => [address - page.start, pages])]).toEqual([1, [[-4096, 1], [0, 1]]]);
    expect(pieceText(page)[1]).toMatch(/page 1 of the file; an entry of its own$/);
  });
  test('at an address outside every mapping the neighbours are named', () => {
    const around = (where: number): unknown => {
      const { values, rest } = parseCommandLine('why', ['machine', 'kernel', 'inputs'], ['--mem', '64M', ...gups]);
      const session = boot(prepare(values, rest, NO_TERMINAL));
      const log = new WhyLog(session, where);
      while (session.step(200_000) === 'running') log.gather();
      expect(log.look(where)).toEqual([]);
      log.end();
      const { below = null, above = null, addressSpaceEnd } = log.neighbours!;
      return [below?.name, above?.name, addressSpaceEnd];
    };
    expect(around(0x5000)).toEqual([undefined, '/bin/gups', 2 ** 38]);
    expect(around(0x20_0000_0000)).toEqual(['/bin/gups', '[anon]', 2 ** 38]);
    expect(around(0xffffffc000000000)).toEqual(['[stack]', undefined, 2 ** 38]);
  });
  test('lines that come again and again are shown once', () => {
    const lines = piecesText(why(null, '--mthp', '64k=always', '--', 'fragment'));
    expect(lines.findIndex((line) => line.startsWith('   ... 383 times more like the last 2 lines, up to 0x'))).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(40);
  });
  test('a collapse and a split by accessed bits take the place of the fault in what is told', () => {
    const { values, rest } = parseCommandLine('why', ['machine', 'kernel', 'inputs'], ['--mem', '64M', '--thp', 'never', '--', 'gups', '--words', '1048576']);
    const session = boot(prepare(values, rest, NO_TERMINAL));
    const log = new WhyLog(session, null);
    const mm = (): NonNullable<typeof session.kernel.first>['leader']['mm'] => session.kernel.first!.leader.mm;
    const table = (): Piece[] => log.look(null)!.filter((piece) => piece.vma.name === '[anon]' && piece.vma.end - piece.vma.start >= 8 << 20);
    for (let i = 0; i < 60 && session.step(200_000) === 'running'; i++) log.gather();
    const { start, pages } = { start: Math.ceil(table()[0]!.vma.start / (2 << 20)) * (2 << 20), pages: 512 };
    expect(mm().madvise(start, pages * 4096, 25)).toBe(0);
    const at = (): Piece[] => table().filter((piece) => piece.start >= start && piece.start < start + pages * 4096);
    expect(at().map((piece) => [piece.pages, piece.backing.entry, piece.fault, piece.changes.map(({ reason }) => reason)])).toEqual([[512, 'pmd', null, ['collapse-asked']]]);
    expect(pieceText(at()[0]!).join('\n')).not.toContain('No fault');
    session.kernel.system.accessSplit.watch();
    session.kernel.system.accessSplit.judge();
    expect(at().length).toBe(512);
    expect(new Set(at().flatMap((piece) => piece.changes.map(({ reason }) => reason)))).toEqual(new Set(['collapse-asked', 'split-unused']));
    log.end();
  });
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
