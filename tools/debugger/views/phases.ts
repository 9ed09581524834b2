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
const frameStep = (a: number, b: number): number => (a === 0 && b === 0 ? 0 : ptePfn(b) - ptePfn(a));
/** Words next to each other that changed alike are one line. */
export function pteChangeText(changes: readonly PteChange[]): string[] {
  const alike = (a: PteChange, b: PteChange): boolean =>
    a.table === b.table && b.index === a.index + 1 && (a.newLow & 0x3ff) === (b.newLow & 0x3ff) && (a.oldLow & 0x3ff) === (b.oldLow & 0x3ff) && a.newHigh === b.newHigh && a.oldHigh === b.oldHigh
    && [0, 1].includes(frameStep(a.newLow, b.newLow)) && [0, 1].includes(frameStep(a.oldLow, b.oldLow));
  return runs(changes, alike).map(({ first, last, times }) => {
    const place = `pte ${hex(first.table)}[${first.index}${times > 1 ? `-${last.index}` : ''}]`;
    return `${place}: ${wordText(first.oldLow, first.oldHigh)} -> ${wordText(first.newLow, first.newHigh)}${times > 1 ? ' ...' : ''}`;
  });
}
