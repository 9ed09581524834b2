// Commands that look at the kernel: page tables, TLBs, mappings, folios, lists, free memory, swap, the page cache.
import { hex, UserError } from '#base';
import { didYouMean } from '../../suggest.ts';
import type { Debugger } from '../debugger.ts';
import { writersOf } from '../history.ts';
import { cacheFileText, cacheFileView, cacheView, cacheViewText } from '../views/cache.ts';
import { folioText, folioView } from '../views/folio.ts';
import { buddyText, buddyView, lruTextOf, lruView, swapText, swapView } from '../views/lists.ts';
import { ptText, ptView } from '../views/page-table.ts';
import type { PtView } from '../views/page-table.ts';
import { tlbText, tlbView } from '../views/tlb.ts';
import { vmasText, vmasView } from '../views/vmas.ts';
import { answer } from './command.ts';
import type { DebugCommand } from './command.ts';

const nothingAfter = (name: string, rest: string): void => {
  if (rest !== '') throw new UserError(`${name} ${rest}: ${name} takes nothing after it.`);
};
const cachePaths = (d: Debugger): string[] => cacheView(d.session).files.map(({ path }) => path);

export const kernelCommands: readonly DebugCommand[] = [
  {
    name: 'pt', usage: 'ADDRESS [nowriters]', group: 'kernel', summary: 'the walk to an address: entries, bits, who wrote them last',
    details: ['Looking for writers goes back in time; nowriters leaves it out.'], complete: (d) => [...d.code.names, 'nowriters'],
    run(d, rest) {
      const [word = '', option, ...more] = rest.split(/\s+/);
      if (more.length > 0 || (option !== undefined && option !== 'nowriters')) throw new UserError(`pt ${rest}: too many words. Write pt ADDRESS, or pt ADDRESS nowriters.`);
      const bare = ptView(d.words.mm('pt'), d.words.address(word, 'pt'));
      const view: PtView = option === undefined ? { ...bare, levels: writersOf(d, bare.levels) } : bare;
      return answer('pt', { ...view }, (ink) => ptText(view, ink));
    },
  },
  {
    name: 'tlb', usage: '[ADDRESS|all]', group: 'kernel', summary: 'TLB entries: of the program, for an address, or all', complete: () => ['all'],
    run(d, rest) {
      const view = tlbView(d.session, rest === 'all' ? null : d.words.mm('tlb').asid, rest === '' || rest === 'all' ? null : d.words.address(rest, 'tlb'));
      return answer('tlb', { ...view }, (ink) => tlbText(view, ink));
    },
  },
  {
    name: 'vmas', usage: '', group: 'kernel', summary: 'the program\'s mappings, with what is in memory of each',
    run(d, rest) {
      nothingAfter('vmas', rest);
      const view = vmasView(d.words.mm('vmas'));
      return answer('vmas', { ...view }, (ink) => vmasText(view, ink));
    },
  },
  {
    name: 'folio', usage: 'FRAME', group: 'kernel', summary: 'what is known of a frame and its folio',
    run(d, rest) {
      const view = folioView(d.session, d.words.frame(rest, 'folio'))!;
      return answer('folio', { ...view }, (ink) => folioText(view, ink));
    },
  },
  {
    name: 'lru', usage: '', group: 'kernel', summary: 'the lists, or generations, that reclaim works on',
    run(d, rest) {
      nothingAfter('lru', rest);
      const view = lruView(d.session);
      return answer('lru', { ...view }, (ink) => lruTextOf(view, ink));
    },
  },
  {
    name: 'buddy', usage: '', group: 'kernel', summary: 'free blocks by order and type, watermarks, fragmentation',
    run(d, rest) {
      nothingAfter('buddy', rest);
      const view = buddyView(d.session);
      return answer('buddy', { ...view }, (ink) => buddyText(view, ink));
    },
  },
  {
    name: 'swap', usage: '', group: 'kernel', summary: 'swap devices, the swap cache, what has been moved',
    run(d, rest) {
      nothingAfter('swap', rest);
      const view = swapView(d.session);
      return answer('swap', { ...view }, (ink) => swapText(view, ink));
    },
  },
  {
    name: 'cache', usage: '[FILE]', group: 'kernel', summary: 'files in the page cache, or the folios of one', complete: cachePaths,
    run(d, rest) {
      if (rest === '') {
        const view = cacheView(d.session);
        return answer('cache', { ...view }, (ink) => cacheViewText(view, ink));
      }
      const view = cacheFileView(d.session, rest);
      if (view === null) throw new UserError(`cache ${rest}: no page of such a file is in memory.${didYouMean(rest, cachePaths(d))} cache alone lists the files.`);
      return answer('cache-file', { ...view }, (ink) => cacheFileText(view, ink));
    },
  },
  {
    name: 'info mm', usage: '', group: 'kernel', summary: 'the address space: its root, ASID, resident pages',
    run(d, rest) {
      nothingAfter('info mm', rest);
      const mm = d.words.mm('info mm');
      const data = { id: mm.id, root: mm.root, asid: mm.asid, exe: mm.exePath, rssPages: { ...mm.rss }, tableBytes: mm.pgtablesBytes, brk: mm.brkEnd };
      return answer('mm', data, () => [`Address space ${mm.id} of ${mm.exePath}: root ${hex(mm.root)}, ASID ${mm.asid}, break ${hex(mm.brkEnd)}`,
        `resident pages: ${mm.rss.anonPages} anonymous, ${mm.rss.filePages} of files, ${mm.rss.shmemPages} of shared memory; ${mm.rss.swapEntries} in swap; ${mm.pgtablesBytes / 1024} kB of page tables`]);
    },
  },
];
