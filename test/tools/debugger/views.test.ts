// What the debugger shows of a machine, against the machine itself; and that every text fits a terminal of 80 columns.
import { beforeAll, describe, expect, test } from 'vitest';
import { asPfn, PAGE_SIZE } from '#base';
import { backingOf } from '#kernel';
import type { Mm } from '#kernel';
import { boot } from '#tools/boot.ts';
import type { Session } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { colourInk, inkFor, plainInk } from '#tools/debugger/ink.ts';
import { cacheFileText, cacheFileView, cacheView, cacheViewText } from '#tools/debugger/views/cache.ts';
import { diffText, diffView, snapshotOf } from '#tools/debugger/views/diff.ts';
import { folioField, folioText, folioView } from '#tools/debugger/views/folio.ts';
import { buddyText, buddyView, lruTextOf, lruView, swapText, swapView } from '#tools/debugger/views/lists.ts';
import { ptText, ptView } from '#tools/debugger/views/page-table.ts';
import { runs } from '#tools/debugger/views/text.ts';
import { tlbText, tlbView } from '#tools/debugger/views/tlb.ts';
import { vmasText, vmasView } from '#tools/debugger/views/vmas.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';

const START = { instret: 0, event: 0, phase: -1 };
let session: Session;
let mm: Mm;
beforeAll(() => {
  const { values, rest } = parseCommandLine('stat', ['machine', 'kernel', 'inputs'], ['--mem', '64M', '--preset', 'zen4', '--mthp', '16k=always,64k=always', '--swap', '16M', '--', 'gups', '--words', '1048576', '--updates', '4000000']);
  session = boot(prepare(values, rest, NO_TERMINAL));
  session.step(9_000_000);
  mm = session.kernel.first!.leader.mm;
});
const mapped = (): number[] => mm.vmas.flatMap((vma) => Array.from({ length: (vma.end - vma.start) / PAGE_SIZE }, (_, i) => vma.start + i * PAGE_SIZE)).filter((va) => backingOf(mm, va / PAGE_SIZE).folio !== 0);

describe('pt', () => {
  test('the last level leads to the frame that the kernel says is behind the address', () => {
    const kinds = new Set<string>();
    for (const va of mapped()) {
      const { levels, backing } = ptView(mm, va + 123);
      const last = levels.at(-1)!;
      kinds.add(last.kind);
      expect(last.to).toContain(`frame 0x${backing!.pfn.toString(16)}`);
      expect(levels.map(({ level }) => level)).toEqual([2, 1, 0]);
    }
    expect([...kinds].sort()).toEqual(['folded', 'leaf']);
  });
  test('the entry\'s address is where its word stands in RAM', () => {
    const last = ptView(mm, mapped()[0]!).levels.at(-1)!;
    const word = new Uint8Array(8);
    session.machine.readFrame(asPfn(Math.floor(last.address / PAGE_SIZE)), last.address % PAGE_SIZE, word);
    expect(BigInt(last.word)).toBe(new DataView(word.buffer).getBigUint64(0, true));
  });
  test('where nothing is mapped the walk ends with nothing', () => {
    expect(ptView(mm, 0x1000).levels.at(-1)).toMatchObject({ kind: 'none', to: 'nothing' });
    expect(ptText(ptView(mm, 0x1000), plainInk)[0]).toBe(`0x1000 of address space ${mm.id}, in no mapping`);
  });
  test('writers stand below their levels', () => {
    const view = ptView(mm, mapped()[0]!);
    const text = ptText({ ...view, levels: view.levels.map((level, i) => ({ ...level, writer: i === 0 ? null : { event: 7, insn: 100, by: 'kernel/mm/pagetable.ts:367' } })) }, plainInk);
    expect(text[3]!.trim()).toBe('not written since the start');
    expect(text[5]!.trim()).toBe('written at #7, insn 100: kernel/mm/pagetable.ts:367');
  });
});
describe('tlb', () => {
  test('every entry gives the frame that the page table gives', () => {
    const { entries } = tlbView(session, mm.asid, null);
    expect(entries.length).toBeGreaterThan(50);
    for (const { vpn, order, pages, frame } of entries) {
      const first = order >= 4 ? vpn : vpn + Math.log2(pages & -pages);
      expect(backingOf(mm, first).pfn).toBe(frame);
    }
  });
  test('an address is served by the entries that the MMU finds for it', () => {
    const va = tlbView(session, mm.asid, null).entries.find(({ level }) => level === 'l2')!.address;
    const found = tlbView(session, mm.asid, va).entries.map(({ level, order }) => [level, order]);
    expect(found).toEqual(expect.arrayContaining(session.machine.mmu.cachedEntries(va / PAGE_SIZE, mm.asid).map(({ level, order }) => [level, order])));
    expect(found.length).toBeGreaterThan(0);
    for (const { address, order } of tlbView(session, mm.asid, null).entries) {
      const end = address + 2 ** order * PAGE_SIZE;
      expect(tlbView(session, mm.asid, end).entries.every((e) => e.address <= end && end < e.address + 2 ** e.order * PAGE_SIZE)).toBe(true);
    }
  });
  test('another address space has no entry', () => expect(tlbText(tlbView(session, 999, null), plainInk)).toEqual(['No entry: nothing has been looked up since the last fence, or the address is in none.']));
});
test('the mappings\' resident bytes are the address space\'s resident pages', () => {
  const { vmas } = vmasView(mm);
  expect(vmas.reduce((n, { rssBytes }) => n + rssBytes, 0)).toBe(mm.rssPages * PAGE_SIZE);
  expect(vmas.map(({ name }) => name)).toEqual(expect.arrayContaining(['[stack]', '[anon]']));
});
test('a folio\'s view and its fields say the same', () => {
  const { folio, pfn } = backingOf(mm, mapped().find((va) => backingOf(mm, va / PAGE_SIZE).order === 4)! / PAGE_SIZE + 3);
  const view = folioView(session, pfn)!;
  expect([view.folio, view.order, view.refcount, view.mapcount]).toEqual([folio, folioField(session, pfn, 'order'), folioField(session, pfn, 'refcount'), folioField(session, pfn, 'mapcount')]);
  expect(view.mappers).toMatchObject([{ mmId: mm.id, pids: [2], pages: 16 }]);
  expect(folioView(session, 1)).toBeNull();
});
test('free blocks by type and order are the free pages', () => {
  const view = buddyView(session);
  expect(view.types.reduce((n, { blocks }) => n + blocks.reduce((sum, blocksOfOrder, order) => sum + blocksOfOrder * 2 ** order, 0), 0)).toBe(view.freePages);
});
test('a file\'s folios are listed by the name that the list of files has', () => {
  const file = cacheView(session).files.find(({ path }) => path.endsWith('/gups'))!;
  expect(cacheFileView(session, file.path)!.folios.length).toBe(file.folios.reduce((a, b) => a + b, 0));
  expect(cacheFileView(session, '/nothing')).toBeNull();
});
test('a diff has what came, what went and what changed, and nothing of a machine that stood still', () => {
  const before = snapshotOf(session, START);
  expect(diffText(diffView(before, snapshotOf(session, START)), plainInk)).toEqual(['From #0 (insn 0) to #0 (insn 0)', 'Nothing has changed.']);
  session.step(200_000);
  const { changes } = diffView(before, snapshotOf(session, START));
  expect(changes.counters.length + changes.tlb.length).toBeGreaterThan(0);
  expect(changes.mappings).toEqual([]);
  for (const { before: was, after: is } of Object.values(changes).flat()) expect(was).not.toBe(is);
});
test('every text fits 80 columns, with colours or without, and every view is JSON', () => {
  const one = mapped()[20]!;
  const before = snapshotOf(session, START);
  session.step(100_000);
  const diff = diffView(before, snapshotOf(session, START));
  const views = {
    pt: [ptView(mm, one), ptText(ptView(mm, one), plainInk)], tlb: [tlbView(session, null, null), tlbText(tlbView(session, null, null), plainInk)], vmas: [vmasView(mm), vmasText(vmasView(mm), plainInk)],
    folio: [folioView(session, backingOf(mm, one / PAGE_SIZE).pfn), folioText(folioView(session, backingOf(mm, one / PAGE_SIZE).pfn)!, plainInk)], lru: [lruView(session), lruTextOf(lruView(session), plainInk)],
    buddy: [buddyView(session), buddyText(buddyView(session), plainInk)], swap: [swapView(session), swapText(swapView(session), plainInk)], cache: [cacheView(session), cacheViewText(cacheView(session), plainInk)],
    file: [cacheFileView(session, cacheView(session).files[0]!.path), cacheFileText(cacheFileView(session, cacheView(session).files[0]!.path)!, plainInk)], diff: [diff, diffText(diff, plainInk)],
  } as const;
  for (const [name, [data, text]] of Object.entries(views)) {
    expect(JSON.parse(JSON.stringify(data)), name).toEqual(data);
    expect(text.length, name).toBeGreaterThan(0);
    for (const line of text) expect(line.length, `${name}: ${line}`).toBeLessThanOrEqual(80);
  }
  expect(swapText(swapView(session), plainInk)[0]).toMatch(/^0 of 4,095 pages of swap in use/);
});
test('colours are for terminals that have them', () => {
  expect(inkFor(true, {})).toBe(colourInk);
  for (const [isTerminal, env] of [[false, {}], [true, { NO_COLOR: '1' }], [true, { TERM: 'dumb' }]] as const) expect(inkFor(isTerminal, env)).toBe(plainInk);
  expect(colourInk.head('x')).toBe('\x1b[1mx\x1b[22m');
});
test('neighbours alike are one run', () => expect(runs([1, 2, 3, 7, 8], (a, b) => b === a + 1)).toEqual([{ first: 1, last: 3, times: 3 }, { first: 7, last: 8, times: 2 }]));
