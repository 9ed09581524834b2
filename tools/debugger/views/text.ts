// What the views' texts share: sizes, counts, columns.
import { thousands } from '../../text.ts';

/** '4K', '64K', '2M'. */
export const sizeOfOrder = (order: number): string => (order >= 8 ? `${2 ** (order - 8)}M` : `${4 * 2 ** order}K`);
/** A zero that does not shout. */
export const count = (n: number): string => (n === 0 ? '.' : thousands(n));
export const plural = (n: number, one: string, many = `${one}s`): string => `${thousands(n)} ${n === 1 ? one : many}`;

/** Rows in columns as wide as their widest cell. @param left which columns stand to the left; the others to the right */
export function columns(rows: readonly (readonly string[])[], left: ReadonlySet<number>, gap = 2): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => { widths[i] = Math.max(widths[i] ?? 0, cell.length); });
  return rows.map((row) => row.map((cell, i) => (left.has(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' '.repeat(gap)).trimEnd());
}
/** Runs of alike neighbours as one row: what comes again and again is not printed again and again. */
export function runs<T>(items: readonly T[], alike: (a: T, b: T) => boolean): { readonly first: T; readonly last: T; readonly times: number }[] {
  const found: { first: T; last: T; times: number }[] = [];
  for (const item of items) {
    const run = found.at(-1);
    if (run !== undefined && alike(run.last, item)) {
      run.last = item;
      run.times++;
    } else found.push({ first: item, last: item, times: 1 });
  }
  return found;
}

const COLUMNS = 80;
const ANSI = /\x1b\[\d+m/g;
/** Breaks a line at blanks, so that each piece fits the columns; the later ones stand further right than it begins. Colours take no column. */
export function wrapLine(line: string): string[] {
  const widthOf = (text: string): number => text.replace(ANSI, '').length;
  if (widthOf(line) <= COLUMNS) return [line];
  const indent = ' '.repeat(Math.min(20, /^ */.exec(line)![0].length + 4));
  const pieces: string[] = [];
  let at = '';
  for (const word of line.split(/(?<=\S)(?= )/)) {
    if (at !== '' && widthOf(at) + widthOf(word) > COLUMNS) {
      pieces.push(at);
      at = indent + word.trimStart();
    } else at += word;
  }
  return [...pieces, at];
}

/** What was typed, as it can be shown: no character of it moves the terminal's cursor. */
export const printable = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f\ufffd]/g, '?');
