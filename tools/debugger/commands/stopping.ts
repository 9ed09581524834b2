// Commands about points: break, watch, delete, info breakpoints.
import { tracepoints, UserError } from '#base';
import { faultPhases, syscallNames } from '#kernel';
import { didYouMean } from '../../suggest.ts';
import type { Debugger } from '../debugger.ts';
import { counterNames } from '../fields.ts';
import type { Point } from '../points.ts';
import { faultWords, readBreak, readWatch } from '../points.ts';
import { folioFields } from '../views/folio.ts';
import { plural } from '../views/text.ts';
import { answer, said } from './command.ts';
import type { Answer, DebugCommand } from './command.ts';

const pointData = ({ id, text, target, condition, hits }: Point): Record<string, unknown> => ({ id, what: text, kind: target.kind, condition: condition?.text ?? null, hits });
const pointText = ({ id, text, condition }: Point): string => `Point ${id}: ${text}${condition === null ? '' : ` if ${condition.text}`}`;
const added = (point: Point): Answer => said('point', pointData(point), pointText(point));

export const stoppingCommands: readonly DebugCommand[] = [
  {
    name: 'break', aliases: ['b'], usage: 'WHAT [if CONDITION]', group: 'stopping', summary: 'stop at code, faults, phases, system calls, tracepoints',
    details: [
      'WHAT:', '  *0x10400, main, main+8, file.c:12   before the instruction', '  fault [KIND]      anon, file, cow, swap ...: all is known (its last phase); without KIND and CONDITION: its first phase',
      '  phase [NAME]      each end of that phase of a fault', '  syscall [NAME]    as it is entered', '  mm_page_alloc     a tracepoint (quire explain events)',
      'CONDITION: over registers, fields of the fault, call or event, and memory (u32(sp)):',
      '  break fault anon if order < 4 && vma.name == "heap"', '  break syscall mmap if len > 1M', '  break mm_page_alloc if order >= 4', 'info fields lists what can be named.',
    ],
    complete: (d, before) => {
      if (before[0] === 'fault') return before.length === 1 ? faultWords : ['if'];
      if (before[0] === 'phase') return before.length === 1 ? faultPhases : ['if'];
      if (before[0] === 'syscall') return before.length === 1 ? [...syscallNames.values()] : ['if'];
      return before.length === 0 ? ['fault', 'phase', 'syscall', ...tracepoints().keys(), ...d.code.names] : ['if'];
    },
    run: (d, rest) => added(readBreak(d.points, rest, d.words)),
  },
  {
    name: 'watch', usage: 'WHAT [if CONDITION]', group: 'stopping', summary: 'stop when memory, a PTE, a folio or a counter is changed',
    details: [
      'WHAT:', '  ADDRESS [LENGTH] [r|w|rw|change]   memory of the program, 8 bytes, written; change: only if the bytes differ', '  pte ADDRESS                        the entry that maps it, whoever writes it: kernel or walker',
      `  folio FRAME.FIELD                  ${folioFields.slice(0, 6).join(', ')} ...`, '  counter NAME                       a line of /proc/vmstat', 'CONDITION: before and after of numbers, address of memory: watch counter pgfault if after % 100 == 0',
    ],
    complete: (_, before) => (before[0] === 'counter' ? counterNames : before.length === 0 ? ['pte', 'folio', 'counter'] : ['if']),
    run: (d, rest) => added(readWatch(d.points, rest, d.words)),
  },
  {
    name: 'delete', aliases: ['d'], usage: '[NUMBER ...]', group: 'stopping', summary: 'forget points; without a number all of them',
    complete: (d) => d.points.all.map(({ id }) => `${id}`),
    run(d, rest) {
      const ids = rest === '' ? d.points.all.map(({ id }) => id) : rest.split(/\s+/).map((word) => numberOf(d, word));
      for (const id of ids) d.points.delete(id);
      return said('delete', { deleted: ids }, `${plural(ids.length, 'point')} deleted.`);
    },
  },
  {
    name: 'info breakpoints', aliases: ['info points', 'info b', 'info watchpoints'], usage: '', group: 'stopping', summary: 'all points, and how often each has stopped the run',
    run(d) {
      const { all } = d.points;
      return answer('points', { points: all.map(pointData) }, () => (all.length === 0 ? ['No points.'] : all.map((point) => `${pointText(point)}; ${plural(point.hits, 'stop')}`)));
    },
  },
];
function numberOf(d: Debugger, word: string): number {
  const id = Number(word);
  if (d.points.all.some((point) => point.id === id)) return id;
  const there = d.points.all.map((point) => `${point.id}`);
  throw new UserError(`delete ${word}: no such point.${didYouMean(word, there)} ${there.length === 0 ? 'There are none.' : `Write one of ${there.join(', ')}, or nothing for all.`}`);
}
