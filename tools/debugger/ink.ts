// Colours of the debugger's texts. A text is made once, with an ink that colours or one that does not; widths are reckoned before colouring.

export interface Ink {
  /** What a line is about. */
  readonly head: (text: string) => string;
  /** Less than the rest: units, places in the source. */
  readonly faint: (text: string) => string;
  /** What has just changed, or is asked about. */
  readonly mark: (text: string) => string;
  /** Refused, failed. */
  readonly bad: (text: string) => string;
}
const plain = (text: string): string => text;
const sgr = (code: number, end: number) => (text: string): string => (text === '' ? '' : `\x1b[${code}m${text}\x1b[${end}m`);
export const plainInk: Ink = { head: plain, faint: plain, mark: plain, bad: plain };
export const colourInk: Ink = { head: sgr(1, 22), faint: sgr(2, 22), mark: sgr(33, 39), bad: sgr(31, 39) };

/** Colours belong on a terminal that has them. https://no-color.org */
export const inkFor = (isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Ink =>
  (isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb' ? colourInk : plainInk);
