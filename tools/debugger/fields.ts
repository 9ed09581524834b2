// The fields that conditions and `print` can name, by what they are of: the task that runs, a fault, a phase, a system call, an event, a watched number.
// Declared once: types, meanings and values are read off the tables below. Not here: the language (expression.ts).
import { PAGE_SIZE, utf8Decode } from '#base';
import type { Tracepoint } from '#base';
import { xName } from '#cpu';
import { CONTEXT_WORDS, FaultResult, VmStat } from '#kernel';
import type { FaultPhase, FaultRecord, Mm, Task, VmaView, VmName } from '#kernel';
import type { Session } from '../boot.ts';
import { nameOf } from '../evictions.ts';
import { currentTask } from '../trace/sink.ts';
import { peekString } from '../trace/peek.ts';
import { rightsOf } from '../why.ts';
import type { Facts, FieldType, Scope, Value } from './expression.ts';
import { memoryAt } from './memory.ts';
import { registersOf } from './programs.ts';
import { syscallArguments } from './syscall-names.ts';
import type { Place } from './timeline.ts';

/** What can be asked at one moment of a run. */
export interface Moment {
  readonly session: Session;
  readonly place: Place;
  /** Whose registers and memory are meant. */
  readonly task: Task | null;
  readonly fault?: FaultRecord | null;
  readonly phase?: FaultPhase | null;
  /** Of an event, in the order of its fields. */
  readonly values?: readonly number[];
  /** Of a watched number or of watched memory. */
  readonly before?: number;
  readonly after?: number;
  readonly address?: number;
}
export interface Field {
  readonly type: FieldType;
  readonly help: string;
  readonly read: (moment: Moment) => Value | number;
}
export type Fields = Readonly<Record<string, Field>>;
const number = (help: string, read: Field['read']): Field => ({ type: 'number', help, read });
const text = (help: string, read: (moment: Moment) => string): Field => ({ type: 'text', help, read });

/** Registers of a task, or of the hart where there is none. */
const words = ({ session, task }: Moment): readonly bigint[] => {
  if (task !== null) return registersOf(session, task);
  const all = new BigInt64Array(CONTEXT_WORDS);
  session.machine.saveContext(all);
  return [...all];
};
const ACCESSES = ['read', 'write', 'execute'] as const;
const resultNames: Readonly<Record<number, string>> = Object.fromEntries(Object.entries(FaultResult).map(([name, value]) => [value, name.toLowerCase()]));
export const accessName = (access: number): string => ACCESSES[access] ?? 'read';
export const resultName = (result: number): string => (result < 0 ? 'under way' : resultNames[result] ?? `${result}`);

export const taskFields: Fields = {
  insn: number('instructions since the machine began', ({ place }) => place.instret),
  event: number('events since the machine began', ({ place }) => place.event),
  cycle: number('the modelled clock', ({ session }) => session.machine.clockCycles),
  pid: number('process of the task that runs', ({ task }) => task?.tgid ?? 0),
  tid: number('thread that runs', ({ task }) => task?.tid ?? 0),
  comm: text('its name', ({ session, task }) => task?.comm ?? currentTask(session).comm),
  pc: number('program counter', (moment) => words(moment)[0]!),
  ...Object.fromEntries(Array.from({ length: 31 }, (_, i) => [xName(i + 1), number(`register x${i + 1}`, (moment) => words(moment)[i + 1]!)])),
};

const fact = (fault: FaultRecord, phase: string, name: string): number | null => {
  const found = fault.phases.findLast((p) => p.name === phase && p.facts[name] !== undefined)?.facts[name];
  return typeof found === 'number' ? found : null;
};
const highest = (orders: number): number => (orders === 0 ? 0 : 31 - Math.clz32(orders));
/** log2 of the pages that it mapped; before that, of what it allocated or chose. */
const orderOf = (fault: FaultRecord): number =>
  highest(fact(fault, 'map', 'pages') ?? 2 ** (fact(fault, 'allocate', 'order') ?? fact(fault, 'order choice', 'chosen') ?? 0));
export const mmOf = ({ kernel: { system } }: Session, id: number): Mm | null => system.mms.find((mm) => mm.id === id) ?? null;
/** The mapping that the fault is in; null: none, or the address space is gone. */
function vmaOf({ session, fault }: Moment): { readonly mm: Mm; readonly vma: VmaView } | null {
  const mm = mmOf(session, fault!.mmId);
  const vma = mm?.findVma(fault!.va) ?? null;
  return mm === null || vma === null ? null : { mm, vma };
}
const ofVma = (help: string, read: (vma: VmaView) => number): Field => number(help, (moment) => { const found = vmaOf(moment); return found === null ? 0 : read(found.vma); });

export const faultFields: Fields = {
  kind: text('what the fault turned out to be, as quire stat counts it; known at its last phase', ({ fault }) => fault!.kind),
  va: number('address of the access', ({ fault }) => fault!.va),
  page: number('its page number', ({ fault }) => Math.floor(fault!.va / PAGE_SIZE)),
  ip: number('pc of the access', ({ fault }) => fault!.ip),
  access: text('read, write or execute', ({ fault }) => accessName(fault!.access)),
  from: text('user, or kernel: on the program\'s behalf', ({ fault }) => fault!.from),
  mm: number('the address space', ({ fault }) => fault!.mmId),
  order: number('log2 of the pages mapped; before that, of those allocated or chosen', ({ fault }) => orderOf(fault!)),
  wanted: number('largest order that settings and advice allow', ({ fault }) => Math.max(fact(fault!, 'order choice', 'wanted') ?? 0, highest(fact(fault!, 'order choice', 'enabled') ?? 0))),
  reason: text('why this order; else the last reason that was given', ({ fault }) => reasonOf(fault!)),
  result: text('done, retry, maperr, accerr, buserror, outofmemory; known at its last phase', ({ fault }) => resultName(fault!.result)),
  cycles: number('modelled cycles that it has taken', ({ session, fault }) => session.machine.clockCycles - fault!.cycle),
  'vma.name': text('heap, stack, anon, the path of a file ...', (moment) => { const found = vmaOf(moment); return found === null ? '' : nameOf(found.mm, found.vma); }),
  'vma.rights': text('rights of the mapping, as rw-p', (moment) => { const found = vmaOf(moment); return found === null ? '' : rightsOf(found.vma); }),
  'vma.start': ofVma('first address of the mapping', (vma) => vma.start),
  'vma.end': ofVma('end of the mapping', (vma) => vma.end),
  'vma.len': ofVma('bytes of the mapping', (vma) => vma.end - vma.start),
};
export function reasonOf(fault: FaultRecord): string {
  return (fault.phases.find((p) => p.name === 'order choice' && p.reason !== null) ?? fault.phases.findLast((p) => p.reason !== null))?.reason ?? '';
}
export const phaseFields: Fields = {
  ...faultFields,
  phase: text('name of the phase that has ended', ({ phase }) => phase!.name),
  decision: text('what was decided in it', ({ phase }) => phase!.decision),
  changed: number('page-table words that it changed', ({ phase }) => phase!.ptes.length),
};
export const watchFields: Fields = {
  before: number('the number before', ({ before }) => before ?? 0),
  after: number('the number after', ({ after }) => after ?? 0),
};
export const memoryFields: Fields = { address: number('first byte of the access', ({ address }) => address ?? 0) };

/** Fields of an event: those that it was declared with. */
export const eventFieldsOf = (point: Tracepoint): Fields =>
  Object.fromEntries(point.fields.map(({ name }, i) => [name, number(`field of ${point.name}`, ({ values }) => values![i] ?? 0)]));

const MAX_TEXT = 4096;
/** Where arguments begin among the fields of sys_enter. */
const FIRST_ARGUMENT = 2;
/** Arguments of a system call, as it is entered. @param nr null: of any */
export function syscallFields(nr: number | null): Fields {
  const named = nr === null ? [] : syscallArguments(nr).map(({ name, kind }, i): [string, Field] => {
    const read = ({ values }: Moment): number => values![FIRST_ARGUMENT + i] ?? 0;
    if (kind !== 'path' && kind !== 'str') return [name, number(`argument ${i + 1}`, read)];
    return [name, text(`argument ${i + 1}`, (moment) => utf8Decode(peekString(moment.session, read(moment), MAX_TEXT)?.text ?? new Uint8Array(0)))];
  });
  return { nr: number('its number', ({ values }) => values![1] ?? 0), ...Object.fromEntries(named) };
}
const zeroStat = new VmStat();
/** Counters, for print and watch: counter.pgfault. */
export const counterNames: readonly VmName[] = zeroStat.entries().map(([name]) => name);
export const counterFields: Fields = Object.fromEntries(counterNames.map((name) => [`counter.${name}`, number(`the line ${name} of /proc/vmstat`, ({ session }) => session.kernel.system.vmstat.get(name))]));

export function scopeOf(...tables: readonly Fields[]): Scope {
  const all: Fields = Object.assign({}, ...tables);
  return { typeOf: (path) => (Object.hasOwn(all, path) ? all[path]!.type : undefined), names: Object.keys(all) };
}
/** @param tables those of the scope */
export function factsOf(moment: Moment, ...tables: readonly Fields[]): Facts {
  return {
    field: (path) => tables.findLast((table) => Object.hasOwn(table, path))![path]!.read(moment),
    memory(address, lenBytes, isSigned) {
      const va = Number(address);
      if (address < 0n || !Number.isSafeInteger(va) || moment.task?.hasMm !== true) return null;
      const bytes = memoryAt(moment.task.mm, va, lenBytes);
      if (bytes.length < lenBytes) return null;
      const value = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      return isSigned ? BigInt.asIntN(8 * lenBytes, value) : value;
    },
  };
}
