// Commands that ask how things came to be: last-write, why, diff.
import { hex, PAGE_SIZE, UserError } from '#base';
import { backingOf, mappersOf, reasons } from '#kernel';
import type { Mm, ReasonCode } from '#kernel';
import { evictionAt } from '../../evictions.ts';
import { cacheStoryOf, emptyText, NO_FAULT, pieceText, storyOf, vmaViewOf } from '../../why.ts';
import type { Piece } from '../../why.ts';
import type { Debugger } from '../debugger.ts';
import { counterNames, resultName } from '../fields.ts';
import { lastWrite, lastWriteText, originOf } from '../history.ts';
import type { WriteTarget } from '../history.ts';
import { readPlace } from '../places.ts';
import { counterWatch, folioWatch, readFolioField } from '../points.ts';
import { diffText, diffView, snapshotOf } from '../views/diff.ts';
import type { Snapshot } from '../views/diff.ts';
import { pidsOf } from '../views/folio.ts';
import { ptView } from '../views/page-table.ts';
import { faultHead } from '../views/stop.ts';
import { answer } from './command.ts';
import type { Answer, DebugCommand } from './command.ts';

const ID = -1;
/** What `last-write` was asked for. */
function readTarget(d: Debugger, rest: string): { readonly what: string; readonly target: WriteTarget } {
  const [first = '', second = '', third, ...more] = rest.split(/\s+/);
  if (more.length > 0 || (third !== undefined && ['pte', 'folio', 'counter'].includes(first))) throw new UserError(`last-write ${rest}: too many words. Write last-write pte ADDRESS, folio FRAME.FIELD, counter NAME, or ADDRESS [LENGTH].`);
  switch (first) {
    case '': throw new UserError('last-write: a target is missing. Write last-write pte ADDRESS, folio FRAME.FIELD, counter NAME, or ADDRESS [LENGTH].');
    case 'pte': {
      const va = d.words.address(second, 'last-write pte');
      const entry = ptView(d.words.mm('last-write pte'), va).levels.at(-1)!;
      return { what: `entry of ${hex(va)} (${hex(entry.table)}[${entry.index}])`, target: { memory: { id: ID, space: 'physical', start: entry.address, lenBytes: 8, on: 'change' } } };
    }
    case 'folio': {
      const { pfn, field } = readFolioField(second, d.words);
      return { what: `${field} of folio ${hex(pfn)}`, target: { value: folioWatch(ID, pfn, field) } };
    }
    case 'counter': {
      const name = counterNames.find((counter) => counter === second);
      if (name === undefined) throw new UserError(`last-write counter ${second}: no such counter. quire explain vmstat lists them.`);
      return { what: name, target: { value: counterWatch(ID, name) } };
    }
  }
  const va = d.words.address(first, 'last-write');
  const mm = d.words.mm('last-write');
  const lenBytes = second === '' ? 8 : d.words.number(second, 'last-write: length');
  if (lenBytes < 1 || lenBytes > PAGE_SIZE - (va % PAGE_SIZE)) throw new UserError(`last-write ${hex(va)} ${lenBytes}: not within one page. Write a length of 1 to ${PAGE_SIZE - (va % PAGE_SIZE)}.`);
  const { pfn, what } = backingOf(mm, Math.floor(va / PAGE_SIZE));
  if (pfn === 0) throw new UserError(`last-write ${hex(va)}: ${what === 'in swap' ? 'the page is in swap' : 'nothing is mapped there'}. last-write pte ${hex(va)} tells who made it so.`);
  // The frame, not the address: so that writes by the kernel and through other mappings count, and the zeroing before the first of all.
  return { what: `${hex(va)} (frame ${hex(pfn)})`, target: { memory: { id: ID, space: 'physical', start: pfn * PAGE_SIZE + (va % PAGE_SIZE), lenBytes, on: 'write' } } };
}

/** Why a page is as it is: the folio behind it, the fault or whatever else wrote its entry, and what was decided there. */
function whyAddress(d: Debugger, word: string): Answer {
  const mm = d.words.mm('why');
  const va = d.words.address(word, 'why');
  const vma = mm.findVma(va);
  if (vma === null) throw new UserError(`why ${word}: ${emptyText(va, neighboursOf(mm, va))} vmas lists what is there.`);
  const vpn = Math.floor(va / PAGE_SIZE);
  const backing = backingOf(mm, vpn);
  const view = ptView(mm, va);
  const { fault, change, write } = originOf(d, view.levels.at(-1)!, mm.id, va);
  const pages = backing.folio === 0 ? 1 : 2 ** backing.order;
  const piece: Piece = {
    start: vpn * PAGE_SIZE, pages: 1, vma: vmaViewOf(mm, vma), filePage: vma.file === null ? null : vma.pgoff + vpn - vma.start / PAGE_SIZE, backing,
    mappedBy: backing.folio === 0 ? [] : mappersOf(mm, backing.folio).map((m) => ({ pids: pidsOf(d.session, m.mmId), address: m.address, pages: m.pages })),
    fault: fault === null || fault.result !== 0 ? null : storyOf(fault, fault.kind.startsWith('file') ? 1 : pages, vpn), cache: cacheStoryOf(d.session, backing), changes: change === null ? [] : [change], eviction: evictionAt(d.session, mm, vpn),
  };
  const text = pieceText(piece).filter((line) => write === null || !line.includes(NO_FAULT));
  return answer('why', { address: va, piece, write, fault: fault === null ? null : { number: fault.number, kind: fault.kind, result: resultName(fault.result) } }, (ink) => [
    ink.head(text[0]!), ...text.slice(1), ...(write === null ? ['  its entry has not been written since the run began'] : [`  its entry was written at #${write.event}, insn ${write.insn}, by ${write.by}`]),
  ]);
}
function neighboursOf(mm: Mm, va: number): { below: Piece['vma'] | null; above: Piece['vma'] | null; addressSpaceEnd: number } {
  const below = mm.vmas.findLast(({ end }) => end <= va);
  const above = mm.vmas.find(({ start }) => start > va);
  return { below: below === undefined ? null : vmaViewOf(mm, below), above: above === undefined ? null : vmaViewOf(mm, above), addressSpaceEnd: mm.taskSize };
}
/** Every reason that a fault gave, with what to try. */
function whyFault(d: Debugger): Answer {
  const fault = d.recentFault();
  if (fault === null) throw new UserError('why: no fault so far. Write why ADDRESS, or go on to one with into.');
  const given = fault.phases.flatMap(({ name, reason }) => (reason === null ? [] : [{ phase: name, reason, ...reasons[reason] as { sentence: string; hint: string } }]));
  return answer('why-fault', { fault: fault.number, kind: fault.kind, reasons: given }, (ink) => [
    ink.head(faultHead(fault)), ...(given.length === 0 ? ['  No phase gave a reason: nothing fell back, and nothing was refused.'] : given.flatMap(({ phase, reason, sentence, hint }) => [`  ${phase}: ${ink.mark(reason as ReasonCode)}: ${sentence}`, ...(hint === '' ? [] : [`    ${hint}`])])),
  ]);
}

export const askingCommands: readonly DebugCommand[] = [
  {
    name: 'last-write', aliases: ['lw'], usage: 'TARGET', group: 'asking', summary: 'who changed a PTE, folio field, counter or memory last',
    details: ['TARGET: pte ADDRESS, folio FRAME.FIELD, counter NAME, or ADDRESS [LENGTH]. The answer has the event and the line: of the kernel\'s TypeScript, or of the program\'s source.'],
    complete: (_, before) => (before.length === 0 ? ['pte', 'folio', 'counter'] : before[0] === 'counter' ? counterNames : []),
    run(d, rest) {
      const { what, target } = readTarget(d, rest);
      const write = lastWrite(d, target);
      return answer('last-write', { what, write }, () => lastWriteText(what, write));
    },
  },
  {
    name: 'why', usage: '[ADDRESS|folio FRAME]', group: 'asking', summary: 'why a page has its folio; alone: why the last fault did',
    run(d, rest) {
      if (rest === '' || rest === 'fault') return whyFault(d);
      const [first = '', second = '', ...more] = rest.split(/\s+/);
      if (more.length > 0 || (first !== 'folio' && second !== '')) throw new UserError(`why ${rest}: too many words. Write why ADDRESS, why folio FRAME, or why alone.`);
      if (first !== 'folio') return whyAddress(d, first);
      const pfn = d.words.frame(second, 'why folio');
      const mm = d.words.mm('why folio');
      const mapper = mappersOf(mm, d.session.kernel.system.folios.folioOf(pfn as never)).find(({ mmId }) => mmId === mm.id);
      if (mapper === undefined) throw new UserError(`why folio ${second}: the program does not map it. folio ${second} tells who does, or what it is.`);
      return whyAddress(d, hex(mapper.address));
    },
  },
  {
    name: 'diff', usage: 'A [B]', group: 'asking', summary: 'what changed between two places, from PTEs to counters',
    details: ['Mappings, page-table entries, folios, lists of reclaim, TLB entries, counters.', 'Places as for seek: diff #120 #140, diff 1M 2M, diff - (where the last move began, and here).'],
    run(d, rest) {
      const [a = '', b, ...more] = rest.split(/\s+/);
      if (more.length > 0) throw new UserError(`diff ${rest}: too many places. Write diff A B, or diff A for A and here.`);
      const { last, previous } = d;
      const readers = [readPlace(d, a, 'diff'), b === undefined ? null : readPlace(d, b, 'diff')];
      const shots: Snapshot[] = [];
      const here = b === undefined ? snapshotOf(d.session, d.timeline.place) : null;
      d.excursion(() => {
        for (const go of readers) {
          if (go === null) continue;
          go();
          shots.push(snapshotOf(d.session, d.timeline.place));
        }
      });
      d.last = last;
      d.previous = previous;
      const view = diffView(shots[0]!, here ?? shots[1]!);
      return answer('diff', { ...view }, (ink) => diffText(view, ink));
    },
  },
];
