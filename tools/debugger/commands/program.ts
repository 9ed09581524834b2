// Commands that look at the program: registers, memory, code, calls, tasks; and those that change it.
import { hex, UserError } from '#base';
import { fName, xName } from '#cpu';
import { accessRemoteVm } from '#kernel/mm/remote.ts';
import { signalName, TaskState } from '#kernel';
import type { Task } from '#kernel';
import { thousands } from '../../text.ts';
import type { Debugger } from '../debugger.ts';
import { expression, memoryReads } from '../expression.ts';
import type { Value } from '../expression.ts';
import { counterNames, factsOf } from '../fields.ts';
import type { GuestFrame } from '../guest-code.ts';
import { registersOf } from '../programs.ts';
import { disassembly, memoryText, memoryView } from '../views/code.ts';
import type { MemoryFormat } from '../views/code.ts';
import { baseName } from '../views/stop.ts';
import { columns } from '../views/text.ts';
import { answer, said } from './command.ts';
import type { DebugCommand } from './command.ts';

const unsigned = (word: bigint): string => `0x${BigInt.asUintN(64, word).toString(16)}`;
const registerNames = ['pc', ...Array.from({ length: 31 }, (_, i) => xName(i + 1))];
const F0 = 32;

const FORMATS: readonly MemoryFormat[] = ['x', 'd', 'u', 'c', 's'];
const sizes: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };
const MAX_ITEMS = 65536;
/** '/8xw' as gdb has it: how many, how, how large. @throws UserError */
function readFormat(text: string): { nr: number; format: MemoryFormat; sizeBytes: number } {
  const match = /^\/(\d{0,5})([a-z]{0,2})$/.exec(text);
  const letters = [...(match?.[2] ?? '')];
  const format = FORMATS.find((each) => letters.includes(each)) ?? 'x';
  const size = letters.find((letter) => sizes[letter] !== undefined);
  const nr = match?.[1] === '' ? 1 : Number(match?.[1]);
  if (match === null || letters.some((letter) => letter !== format && letter !== size) || nr < 1 || nr > MAX_ITEMS) throw new UserError(`x ${text}: not a format. Write x/8xw ADDRESS: how many (to ${MAX_ITEMS}), how (x d u c s), how large (b h w g: 1, 2, 4, 8 bytes).`);
  return { nr, format, sizeBytes: format === 'c' ? 1 : sizes[size ?? 'g']! };
}
/** The value of an expression over everything that can be named here. */
function valueOf(d: Debugger, text: string): Value {
  return expression(text, d.scope).evaluate(factsOf(d.moment({}), ...d.fields));
}
const framesOf = (d: Debugger, max: number): GuestFrame[] => {
  d.words.task('bt');
  return d.code.frames(max);
};
const asJson = (value: Value): string | boolean | number => (typeof value === 'bigint' ? (value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : `${value}`) : value);

const stateNames: Readonly<Record<number, string>> = Object.fromEntries(Object.entries(TaskState).map(([name, state]) => [state, name.toLowerCase()]));
const taskData = (d: Debugger, t: Task): Record<string, string | number | boolean> => ({ tid: t.tid, pid: t.tgid, comm: t.comm, state: stateNames[t.state] ?? '', isRunning: d.session.kernel.current === t, isLookedAt: d.task === t, pc: Number(BigInt.asUintN(64, registersOf(d.session, t)[0]!)), minorFaults: t.minFlt, majorFaults: t.majFlt });

export const programCommands: readonly DebugCommand[] = [
  {
    name: 'bt', aliases: ['backtrace'], usage: '[N]', group: 'program', summary: 'the calls that led here',
    run(d, rest) {
      const frames = framesOf(d, rest === '' ? 32 : Math.min(1000, d.words.number(rest, 'bt')));
      return answer('bt', { frames }, (ink) => frames.map((f, i) => `${i === 0 ? ink.head(`#${i}`) : `#${i}`}  ${hex(f.pc)} ${f.name ?? '??'}${f.line === null ? '' : ink.faint(` at ${baseName(f.file ?? '')}:${f.line}`)}${f.isInlined ? ink.faint(' (inlined)') : ''}`));
    },
  },
  {
    name: 'list', aliases: ['l'], usage: '[FUNCTION|FILE:LINE]', group: 'program', summary: 'lines of the program\'s source, here or around a place', complete: (d) => d.code.names,
    run(d, rest) {
      const pc = rest === '' ? Number(BigInt.asUintN(64, registersOf(d.session, d.words.task('list'))[0]!)) : d.words.codeAddresses(rest)[0]!;
      const at = d.code.lineAt(pc);
      if (at === null) throw new UserError(`list: ${hex(pc)} belongs to no line of a source. ${d.code.hasLines ? 'disas shows the instructions.' : 'The program has no line table: compile it with -g; disas shows the instructions.'}`);
      const text = d.code.text(at.file);
      if (text === null) throw new UserError(`list: ${at.file} cannot be read on this host. The place is line ${at.line} of it.`);
      const first = Math.max(1, at.line - 5);
      const lines = text.slice(first - 1, at.line + 5);
      return answer('list', { file: at.file, line: at.line, first, lines }, (ink) => [ink.head(at.file), ...lines.map((line, i) => (first + i === at.line ? ink.mark(`${`${first + i}`.padStart(5)} > ${line}`) : `${`${first + i}`.padStart(5)}   ${line}`))]);
    },
  },
  {
    name: 'disas', usage: '[ADDRESS|FUNCTION] [N]', group: 'program', summary: 'instructions from here on, or from a place', complete: (d) => d.code.names,
    run(d, rest) {
      const task = d.words.task('disas');
      const [place = '', count, ...more] = rest.split(/\s+/);
      if (more.length > 0) throw new UserError(`disas ${rest}: too many words. Write disas ADDRESS N.`);
      const pc = Number(BigInt.asUintN(64, registersOf(d.session, task)[0]!));
      const from = place === '' ? pc : d.words.codeAddresses(place)[0]!;
      const nr = count === undefined ? 10 : Math.min(1000, d.words.number(count, 'disas'));
      const instructions = disassembly(task, from, nr).map((i) => ({ ...i, symbol: d.code.symbolAt(i.address) }));
      if (instructions.length === 0) throw new UserError(`disas ${hex(from)}: nothing is mapped there, or it is not in memory. vmas lists what is.`);
      return answer('disas', { pc, instructions }, (ink) => instructions.flatMap((i) => [
        ...(i.symbol !== null && i.symbol.offset === 0 ? [ink.head(`${i.symbol.name}:`)] : []), `${i.address === pc ? ink.mark('>') : ' '} ${hex(i.address)}  ${i.word.padStart(8)}  ${i.text}`,
      ]));
    },
  },
  {
    name: 'x', usage: '[/COUNT FORMAT SIZE] ADDRESS', group: 'program', summary: 'memory of the program, as gdb\'s x: x/8xw sp', details: ['Looking faults nothing in; what is in swap or in the page cache is read there.'],
    run(d, rest) {
      const match = /^(\/\S*)\s*(.*)$/.exec(rest);
      const { nr, format, sizeBytes } = match === null ? readFormat('/1xg') : readFormat(match[1]!);
      const address = d.words.address((match === null ? rest : match[2]!).trim(), 'x');
      const view = memoryView(d.words.task('x'), address, nr, sizeBytes, format);
      if (view.values.length === 0) throw new UserError(`x ${hex(address)}: nothing can be read there. pt ${hex(address)} and vmas show why.`);
      return answer('memory', { ...view }, () => [...memoryText(view), ...(view.isWhole ? [] : ['(the next page cannot be read)'])]);
    },
  },
  {
    name: 'print', aliases: ['p'], usage: 'EXPRESSION', group: 'program', summary: 'a value: of registers, fields, counters, memory', details: ['print a0 + 8, print u32(sp), print counter.pgfault, print va (inside a fault). info fields lists the names.'],
    complete: (d) => d.scope.names,
    run(d, rest) {
      const value = valueOf(d, rest);
      return answer('print', { expression: rest, value: asJson(value) }, () => [typeof value === 'bigint' ? `${value}${value > 9n || value < 0n ? `  ${unsigned(value)}` : ''}` : typeof value === 'string' ? JSON.stringify(value) : `${value}`]);
    },
  },
  {
    name: 'set', usage: 'REGISTER|uN(ADDRESS) = EXPRESSION', group: 'program', summary: 'change a register, or memory of the program',
    details: ['From here on it is another run: what lay ahead is forgotten, what lies behind stays. set a0 = 5, set u32(sp + 8) = 0.', 'Memory is written as the kernel would: the page is faulted in, a shared one copied.'],
    complete: () => [...registerNames, ...Object.keys(memoryReads)],
    run(d, rest) {
      const match = /^(.+?)=(?!=)(.*)$/.exec(rest);
      if (match === null) throw new UserError(`set${rest === '' ? '' : ` ${rest}`}: there is no = in it. Write set a0 = 5, or set u32(sp + 8) = 0.`);
      const target = match[1]!.trim().replace(/^\$/, '');
      const value = valueOf(d, match[2]!.trim());
      if (typeof value !== 'bigint') throw new UserError(`set ${target}: ${String(value)} is no number.`);
      d.needsOutside('set');
      const { tid } = d.words.task('set');
      const register = registerNames.indexOf(target);
      if (register >= 0) {
        d.timeline.edit(({ machine, kernel }) => {
          const task = kernel.tasks.get(tid)!;
          kernel.saveContext(task);
          task.context[register] = BigInt.asIntN(64, value);
          if (kernel.loadedTask === task) machine.loadContext(task.context);
        });
        return said('set', { target, value: asJson(value) }, `${target} = ${unsigned(value)}`);
      }
      const memory = /^([ui]\d+)\s*\((.*)\)$/.exec(target);
      const read = memory === null ? undefined : memoryReads[memory[1]!];
      if (read === undefined) throw new UserError(`set ${target}: neither a register nor memory. Write a register (a0, sp, pc ...), or u8, u16, u32, u64 with an address, as in set u32(sp + 8) = 0.`);
      const address = d.words.address(memory![2]!.trim(), 'set');
      const bytes = Uint8Array.from({ length: read.lenBytes }, (_, i) => Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn));
      let done = 0;
      d.timeline.edit(({ kernel }) => {
        const task = kernel.tasks.get(tid)!;
        done = accessRemoteVm(task.mm, task, address, bytes, true, true);
      });
      if (done < bytes.length) throw new UserError(`set ${target}: memory at ${hex(address)} cannot be written. vmas lists what is mapped.`);
      return said('set', { target, address, value: asJson(value) }, `${target} = ${value}`);
    },
  },
  {
    name: 'info registers', aliases: ['info r', 'registers'], usage: '[all]', group: 'program', summary: 'pc and x1 to x31; all: f0 to f31 and fcsr, too',
    run(d, rest) {
      const words = registersOf(d.session, d.words.task('info registers'));
      const shown = [...words.slice(0, 32)].map((word, i) => ({ name: registerNames[i]!, value: unsigned(word) }));
      if (rest === 'all') shown.push(...[...words.slice(F0, F0 + 32)].map((word, i) => ({ name: fName(i), value: unsigned(word) })), { name: 'fcsr', value: unsigned(words[64]!) });
      else if (rest !== '') throw new UserError(`info registers ${rest}: write info registers, or info registers all.`);
      const cells = shown.map(({ name, value }) => [name.padEnd(4), value] as const);
      return answer('registers', Object.fromEntries(shown.map(({ name, value }) => [name, value])), () => {
        const rows = Array.from({ length: Math.ceil(cells.length / 3) }, (_, row) => [0, 1, 2].flatMap((column) => cells[row + column * Math.ceil(cells.length / 3)] ?? []));
        return columns(rows, new Set([0, 2, 4]));
      });
    },
  },
  {
    name: 'info threads', aliases: ['threads'], usage: '', group: 'program', summary: 'all tasks: who runs, who sleeps, where',
    run(d) {
      const tasks = [...d.session.kernel.tasks.values()].map((t) => taskData(d, t));
      return answer('threads', { tasks }, () => columns([['', 'tid', 'pid', 'name', 'state', 'pc', 'faults', 'major'], ...tasks.map((t) => [t['isLookedAt'] === true ? '*' : '', `${t['tid']}`, `${t['pid']}`, `${t['comm']}`, t['isRunning'] === true ? 'running' : `${t['state']}`, hex(Number(t['pc'])), thousands(Number(t['minorFaults'])), thousands(Number(t['majorFaults']))])], new Set([0, 3, 4, 5])));
    },
  },
  {
    name: 'info processes', aliases: ['processes'], usage: '', group: 'program', summary: 'all processes: parents, threads, resident pages',
    run(d) {
      const processes = [...d.session.kernel.processes.values()].map((p) => ({
        pid: p.tgid, parent: p.parentPid, threads: p.threads.length, comm: p.leader.comm, mm: p.leader.hasMm ? p.leader.mm.id : null, rssPages: p.leader.hasMm ? p.leader.mm.rssPages : 0,
        state: p.isZombie ? 'zombie' : p.stopSignal !== 0 ? `stopped by ${signalName(p.stopSignal)}` : 'alive',
      }));
      return answer('processes', { processes }, () => columns([['pid', 'parent', 'threads', 'mm', 'rss pages', 'state', 'name'], ...processes.map((p) => [`${p.pid}`, `${p.parent}`, `${p.threads}`, `${p.mm ?? '-'}`, thousands(p.rssPages), p.state, p.comm])], new Set([5, 6])));
    },
  },
  {
    name: 'thread', usage: '[TID]', group: 'program', summary: 'look at another task, until something moves', complete: (d) => [...d.session.kernel.tasks.keys()].map((tid) => `${tid}`),
    run(d, rest) {
      if (rest === '') d.selected = null;
      else {
        const tid = d.words.number(rest, 'thread');
        if (!d.session.kernel.tasks.has(tid)) throw new UserError(`thread ${rest}: no such task. info threads lists them: ${[...d.session.kernel.tasks.keys()].join(', ')}.`);
        d.selected = tid;
      }
      const { task } = d;
      return said('thread', { tid: task?.tid ?? null }, task === null ? 'No task.' : `${task.comm}[${task.tid}]`);
    },
  },
  {
    name: 'info counters', aliases: ['counters'], usage: '[PREFIX]', group: 'kernel', summary: 'lines of /proc/vmstat that are not 0, and faults by kind', complete: () => counterNames,
    run(d, rest) {
      const { vmstat } = d.session.kernel.system;
      const counters = Object.fromEntries([...vmstat.entries(), ...Object.entries(d.session.kernel.system.faultsByKind()).map(([kind, n]) => [`fault ${kind}`, n] as const)].filter(([name, n]) => name === rest || (n !== 0 && name.startsWith(rest))));
      if (rest !== '' && !counterNames.some((name) => name.startsWith(rest)) && !rest.startsWith('fault')) throw new UserError(`info counters ${rest}: no counter begins so. quire explain vmstat lists them.`);
      return answer('counters', { counters }, () => columns(Object.entries(counters).map(([name, n]) => [thousands(n), name]), new Set([1])));
    },
  },
];
