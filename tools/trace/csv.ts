// Events as a table: a row an event, a column a field of any of the events asked for, empty where an event has no such field. RFC 4180: CR LF ends a row,
// and text with commas, quotes or line ends is quoted. Numbers stand as the event's other formats show them, in decimal or as 0x...
import type { FieldKind, Tracepoint } from '#base';
import type { Session } from '../boot.ts';
import { currentTask } from './sink.ts';

const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
const row = (cells: readonly string[]): string => `${cells.map(cell).join(',')}\r\n`;
const shown = (value: number, kind: FieldKind): string => (kind === 'dec' ? `${value}` : `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`);
/** Before the fields: of the modelled clock, of the run, who was on the hart, what happened. */
const FIRST = ['time_ns', 'instructions', 'comm', 'tid', 'system', 'event'] as const;

export class CsvEvents {
  private readonly places: ReadonlyMap<string, number>;
  private readonly stops: (() => void)[];
  private rows: string[];

  /** @param points the events to be listed */
  constructor(session: Session, points: readonly Tracepoint[]) {
    // A field may be called like one of the first columns: it has its own all the same.
    const names = [...new Set(points.flatMap(({ fields }) => fields.map(({ name }) => name)))];
    this.places = new Map(names.map((name, i) => [name, FIRST.length + i]));
    this.rows = [row([...FIRST, ...names])];
    const nrColumns = FIRST.length + names.length;
    this.stops = points.map((each) => each.listen((point, values) => {
      const { comm, tid } = currentTask(session);
      const cells = new Array<string>(nrColumns).fill('');
      [`${session.kernel.uptimeNs()}`, `${session.instructions}`, comm, `${tid}`, point.system, point.name].forEach((text, i) => { cells[i] = text; });
      point.fields.forEach(({ name, kind }, i) => { cells[this.places.get(name)!] = shown(values[i] ?? 0, kind); });
      this.rows.push(row(cells));
    }));
  }
  take(): string {
    const text = this.rows.join('');
    this.rows = [];
    return text;
  }
  finish(): string {
    for (const stop of this.stops) stop();
    return this.take();
  }
}
