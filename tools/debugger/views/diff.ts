// What changed between two places of a run. Here: a snapshot of what can be compared, the comparison, its text. Each kind of thing is a table from a name
// to a sentence; what differs is what came, went, or has another sentence.
import { asPfn, hex, PAGE_SIZE } from '#base';
import { ptePfn } from '#mmu';
import { pteKindOf, walkTables } from '#kernel';
import type { Mm } from '#kernel';
import type { Session } from '../../boot.ts';
import { nameOf } from '../../evictions.ts';
import { lruListing } from '../../lru.ts';
import { rightsOf } from '../../why.ts';
import type { Ink } from '../ink.ts';
import type { Place } from '../timeline.ts';
import { folioFlagNames } from './folio.ts';
import { entryFlags } from './page-table.ts';
import { plural, runs, sizeOfOrder } from './text.ts';
import { tlbFlags, tlbView } from './tlb.ts';

const diffKinds = ['mappings', 'entries', 'folios', 'lists', 'tlb', 'counters'] as const;
export type DiffKind = (typeof diffKinds)[number];
/** `order` sorts and joins neighbours; `text` is what is compared. */
interface Item { readonly name: string; readonly text: string; readonly group: string; readonly at: number }
export interface Snapshot { readonly place: Place; readonly tables: Readonly<Record<DiffKind, ReadonlyMap<string, Item>>> }

export function snapshotOf(session: Session, place: Place): Snapshot {
  const { system } = session.kernel;
  return { place, tables: { mappings: mappings(system.mms), entries: entries(session), folios: folios(session), lists: lists(session), tlb: tlb(session), counters: counters(session) } };
}
const table = (items: Iterable<Item>): Map<string, Item> => new Map(Array.from(items, (item) => [`${item.group} ${item.name}`, item]));

const mappings = (mms: readonly Mm[]): Map<string, Item> => table(mms.flatMap((mm) => mm.vmas.map((vma) => ({
  name: hex(vma.start), group: `mm ${mm.id}`, at: vma.start, text: `-${hex(vma.end)} ${rightsOf(vma)} ${nameOf(mm, vma)}`,
}))));
function entries({ kernel: { system } }: Session): Map<string, Item> {
  const found: Item[] = [];
  for (const mm of system.mms) {
    for (const vma of mm.vmas) {
      const end = vma.end / PAGE_SIZE;
      for (let vpn = mm.tables.skipAbsent(vma.start / PAGE_SIZE, end); vpn < end;) {
        const { low, high, kind, vpn: first, pages, level } = walkTables(mm, vpn).at(-1)!;
        const next = first + pages;
        const frame = kind === 'folded' ? (ptePfn(low) & ~15) + (vpn % 16) : ptePfn(low);
        if (kind !== 'none') found.push({ name: hex(first * PAGE_SIZE), group: `mm ${mm.id}`, at: first, text: ['leaf', 'folded', 'prot none'].includes(kind) ? `${entryFlags(low, high)} frame ${hex(frame)}${level > 0 ? ' (2M)' : ''}` : `${pteKindOf(low, high)} ${hex(low >>> 0)}` });
        vpn = mm.tables.skipAbsent(Math.max(next, vpn + 1), end);
      }
    }
  }
  return table(found);
}
function folios({ kernel: { system } }: Session): Map<string, Item> {
  const { folios: all } = system;
  const found: Item[] = [];
  for (let pfn: number = all.firstPfn; pfn < all.firstPfn + all.nrFrames; pfn++) {
    const frame = asPfn(pfn);
    if (all.isTail(frame) || !all.isMovable(frame)) continue;
    const folio = all.folioOf(frame);
    const order = all.order(folio);
    found.push({ name: hex(pfn), group: 'frame', at: pfn, text: `${all.isAnon(folio) ? 'anon' : 'file'} ${sizeOfOrder(order)}, ${all.refCount(folio)} refs, mapped ${all.folioMapcount(folio)}, ${folioFlagNames(all.flags(folio)).join(' ')}` });
    pfn += 2 ** order - 1;
  }
  return table(found);
}
const lists = (session: Session): Map<string, Item> => table(lruListing(session).groups.flatMap(({ path, lists: all }) => all.map(({ name, anonPages, filePages }, i) => ({
  name, group: path, at: 1000 * i, text: `${anonPages} anon pages, ${filePages} file pages`,
}))));
const tlb = (session: Session): Map<string, Item> => table(tlbView(session, null, null).entries.map((e) => ({
  name: `${hex(e.address)} ${sizeOfOrder(e.order)}`, group: `${e.level} asid ${e.asid ?? 'global'}`, at: e.vpn, text: `${tlbFlags(e)} frame ${hex(e.frame)}`,
})));
const counters = ({ kernel: { system } }: Session): Map<string, Item> => table([
  ...system.vmstat.entries().map(([name, n], i) => ({ name, group: '', at: 1000 * i, text: `${n}` })),
  ...Object.entries(system.faultsByKind()).map(([kind, n], i) => ({ name: `faults ${kind}`, group: '', at: 1_000_000 + 1000 * i, text: `${n}` })),
]);

/** `at`: what neighbours are told by. */
export interface Change { readonly group: string; readonly name: string; readonly at: number; readonly before: string | null; readonly after: string | null }
export interface DiffView { readonly from: Place; readonly to: Place; readonly changes: Readonly<Record<DiffKind, readonly Change[]>> }

export function diffView(a: Snapshot, b: Snapshot): DiffView {
  const changes = Object.fromEntries(diffKinds.map((kind) => {
    const [before, after] = [a.tables[kind], b.tables[kind]];
    const keys = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key)?.text !== after.get(key)?.text);
    const items = keys.map((key) => ({ item: (after.get(key) ?? before.get(key))!, before: before.get(key)?.text ?? null, after: after.get(key)?.text ?? null }));
    items.sort((x, y) => (x.item.group < y.item.group ? -1 : x.item.group > y.item.group ? 1 : x.item.at - y.item.at));
    return [kind, items.map(({ item, ...texts }): Change => ({ group: item.group, name: item.name, at: item.at, ...texts }))];
  })) as unknown as Record<DiffKind, Change[]>;
  return { from: a.place, to: b.place, changes };
}

const titles: Readonly<Record<DiffKind, string>> = { mappings: 'Mappings', entries: 'Page-table entries', folios: 'Folios', lists: 'Lists', tlb: 'TLB entries', counters: 'Counters' };
const placeName = ({ event, instret }: Place): string => `#${event} (insn ${instret})`;
/** Lines of one kind that are printed at most; --json has all. */
const MAX_LINES = 24;

export function diffText({ from, to, changes }: DiffView, ink: Ink): string[] {
  const lines = [ink.head(`From ${placeName(from)} to ${placeName(to)}`)];
  for (const kind of diffKinds) {
    const all = changes[kind];
    if (all.length === 0) continue;
    lines.push(ink.head(`${titles[kind]}: ${plural(all.length, 'change')}`));
    let group = '';
    const rows = runs(all, (a, b) => kind === 'entries' && b.at === a.at + 1 && a.group === b.group && likeNeighbours(a.before, b.before) && likeNeighbours(a.after, b.after));
    for (const { first, last, times } of rows.slice(0, MAX_LINES)) {
      if (first.group !== group && kind !== 'folios' && kind !== 'counters') lines.push(` ${first.group}`);
      group = first.group;
      lines.push(...changeText(kind, times === 1 ? first : { ...first, name: `${first.name}-${hex((last.at + 1) * PAGE_SIZE)}` }), ...(times === 1 ? [] : [`    and so on, ${times} pages`]));
    }
    if (rows.length > MAX_LINES) lines.push(`  and ${plural(rows.slice(MAX_LINES).reduce((n, { times }) => n + times, 0), 'change')} more`);
  }
  return lines.length === 1 ? [...lines, 'Nothing has changed.'] : lines;
}
/** The same but for the frame, or slot of swap, that each has. */
const likeNeighbours = (a: string | null, b: string | null): boolean => a?.replace(/0x[\da-f]+/, '') === b?.replace(/0x[\da-f]+/, '');
function changeText(kind: DiffKind, { name, before, after }: Change): string[] {
  const glue = kind === 'mappings' ? '' : ' ';
  if (kind === 'counters') return [`  ${name} ${before ?? 0} -> ${after ?? 0}`];
  if (before === null) return [`  + ${name}${glue}${after}`];
  if (after === null) return [`  - ${name}${glue}${before}`];
  const short = `  ~ ${name}${glue}${before} -> ${after}`;
  return short.length <= 80 ? [short] : [`  ~ ${name}${glue}${before}`, `    -> ${after}`];
}
