// The debugger's `cache`: the files that have pages in memory, and the folios of one of them.
import type { Session } from '../../boot.ts';
import { fileReports, folioReports, listedText } from '../../cache.ts';
import type { CacheFileReport, CacheFolioReport } from '../../cache.ts';
import { thousands } from '../../text.ts';
import type { Ink } from '../ink.ts';
import { columns, count } from './text.ts';

export interface CacheView { readonly files: readonly CacheFileReport[] }
export interface CacheFileView { readonly path: string; readonly folios: readonly CacheFolioReport[] }

export const cacheView = (session: Session): CacheView => ({ files: fileReports(session) });
/** null: no page of such a file is in memory */
export function cacheFileView(session: Session, path: string): CacheFileView | null {
  const folios = folioReports(session, path);
  return folios === null ? null : { path, folios };
}
export function cacheViewText({ files }: CacheView, ink: Ink): string[] {
  const rows = files.map((f) => [f.path, thousands(f.pages), thousands(f.folios.reduce((a, b) => a + b, 0)), count(f.dirtyPages), count(f.writebackPages), count(f.mappedPages), f.backEnd]);
  const [head = '', ...body] = columns([['file', 'pages', 'folios', 'dirty', 'writing', 'mapped', 'back end'], ...rows], new Set([0, 6]));
  return [ink.faint(head), ...body];
}
export const cacheFileText = ({ path, folios }: CacheFileView, ink: Ink): string[] =>
  listedText({ path, folios }).slice(1).map((line, i) => (i === 0 ? ink.head(line.trimStart()) : i === 1 ? ink.faint(line) : line));
