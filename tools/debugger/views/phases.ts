// A fault as a list of phases, and the page-table words that they changed. See kernel/mm/fault-record.ts.
import { hex } from '#base';
import { ptePfn } from '#mmu';
import { pteKindOf } from '#kernel';
import type { PteChange } from '#kernel';
import { entryFlags } from './page-table.ts';
import { runs } from './text.ts';

const wordText = (low: number, high: number): string => {
  const kind = pteKindOf(low, high);
  return kind === 'none' ? '0' : kind === 'leaf' || kind === 'folded' || kind === 'prot none' || kind === 'table' ? `${hex(ptePfn(low))} ${entryFlags(low, high)}` : `${kind} ${hex(low >>> 0)}`;
};
const isFrame = (low: number): boolean => low === 0 || ['leaf', 'folded', 'prot none', 'table'].includes(pteKindOf(low, 0));
/** Do neighbours have words that go on: the same, those of neighbouring frames, or those of neighbouring slots of swap? */
const goOn = (a: number, b: number): boolean => (a & 0x3ff) === (b & 0x3ff) && isFrame(a) === isFrame(b) && (isFrame(a) ? [0, 1].includes(a === 0 && b === 0 ? 0 : ptePfn(b) - ptePfn(a)) : (b >>> 12) - (a >>> 12) === 1);
/** Words next to each other that changed alike are one line. */
export function pteChangeText(changes: readonly PteChange[]): string[] {
  const alike = (a: PteChange, b: PteChange): boolean =>
    a.table === b.table && b.index === a.index + 1 && a.newHigh === b.newHigh && a.oldHigh === b.oldHigh && goOn(a.oldLow, b.oldLow) && goOn(a.newLow, b.newLow);
  return runs(changes, alike).map(({ first, last, times }) => {
    const place = `pte ${hex(first.table)}[${first.index}${times > 1 ? `-${last.index}` : ''}]`;
    return `${place}: ${wordText(first.oldLow, first.oldHigh)} -> ${wordText(first.newLow, first.newHigh)}${times > 1 ? ' ...' : ''}`;
  });
}
