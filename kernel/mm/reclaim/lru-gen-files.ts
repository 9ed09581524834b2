// The files of MGLRU: /sys/kernel/mm/lru_gen/{enabled,min_ttl_ms}, debugfs lru_gen and lru_gen_full. Here: their texts and what is written to them. Not here: where
// they stand (kernel/fs/sysfs.ts). Mirrors enabled_store(), lru_gen_seq_show() and lru_gen_seq_write() (mm/vmscan.c), 6.18; Debian's 6.12 has
// the same formats. Commands, separated by newlines, commas or semicolons:
//   + memcg_id node_id max_gen_nr [swappiness [force_scan]]     ages: begins a generation after max_gen_nr
//   - memcg_id node_id min_gen_nr [swappiness [nr_to_reclaim]]  evicts generations up to min_gen_nr
import { Errno } from '../../syscall/errno.ts';
import type { MmSystem } from '../system.ts';
import { evictFolios, swappinessOf } from './lru-gen-evict.ts';
import { LruGen, mglru } from './lru-gen.ts';
import { MAX_NR_GENS, MIN_NR_GENS } from './lru-gen-folio.ts';
import { MAX_NR_TIERS } from './lru-gen-pid.ts';
import { tryToIncMaxSeq } from './lru-gen-walk.ts';
import { LruType } from './lruvec.ts';
import { MAX_SWAPPINESS, SWAPPINESS_ANON_ONLY, newReclaimStat, newScanControl } from './scan.ts';
import type { ScanControl } from './scan.ts';
import { twoList } from './two-list.ts';

/** Bits of lru_gen/enabled. */
const Cap = { Core: 1, MmWalk: 2, NonleafYoung: 4 } as const;
const types = [LruType.Anon, LruType.File] as const;

/** '0x0003': MGLRU is on, and sweeps page tables. Entries that point to tables have no A bit on riscv, so that the third bit is never set. */
export function lruGenEnabled({ lru, lruGen }: MmSystem): string {
  const caps = (lru.kind === mglru ? Cap.Core : 0) | (lruGen.walksMmu ? Cap.MmWalk : 0);
  return `0x${caps.toString(16).padStart(4, '0')}\n`;
}
/** A mask; 'y' for all of it, 'n' for none. Every folio goes to another list when bit 0 changes. */
export function setLruGenEnabled({ lru, lruGen }: MmSystem, text: string): number {
  const first = text[0]?.toLowerCase();
  const caps = first === 'n' ? 0 : first === 'y' ? ~0 : parseUint(text);
  if (caps === null) return -Errno.EINVAL;
  lruGen.mayWalk = (caps & Cap.MmWalk) !== 0;
  lruGen.mayUseNonleaf = (caps & Cap.NonleafYoung) !== 0;
  if ((caps & Cap.Core) !== 0 && lru.kind !== mglru) lru.setKind(mglru);
  if ((caps & Cap.Core) === 0 && lru.kind === mglru) lru.setKind(twoList);
  return 0;
}
export function setMinTtl({ lruGen }: MmSystem, text: string): number {
  const ms = parseUint(text);
  if (ms === null) return -Errno.EINVAL;
  lruGen.minTtlMs = ms;
  return 0;
}
/** kstrtouint() of base 0: decimal, 0x, or octal after a 0; one newline may follow. */
function parseUint(text: string): number | null {
  const word = /^\+?(0[xX][0-9a-fA-F]+|[0-9]+)\n?$/.exec(text)?.[1];
  if (word === undefined) return null;
  const isOctal = /^0[0-9]/.test(word);
  const n = isOctal && /^[0-7]+$/.test(word) ? parseInt(word, 8) : isOctal ? NaN : Number(word);
  return n <= 0xffff_ffff ? n : null;
}

// debugfs.

const padded = (n: number, width = 10): string => String(n).padStart(width);

/** Generations of every group, oldest first; with their tiers if `isFull`. */
export function lruGenText({ memcg }: MmSystem, isFull: boolean): string {
  let text = '';
  for (const { id, path, lruvec } of memcg) {
    if (!(lruvec instanceof LruGen)) continue;
    text += `memcg ${padded(id, 5)} ${path}\n node ${padded(0, 5)}\n`;
    const from = isFull ? Math.max(0, lruvec.maxSeq - MAX_NR_GENS + 1) : lruvec.evictableMinSeq(MAX_SWAPPINESS / 2);
    for (let seq = from; seq <= lruvec.maxSeq; seq++) {
      text += ` ${padded(seq)} ${padded(lruvec.ageMs(seq))}`;
      for (const type of types) text += ` ${padded(Math.max(0, lruvec.nrPages[(seq % MAX_NR_GENS) * 2 + type]!))}${isFull && seq < lruvec.minSeq[type] ? 'x' : ' '}`;
      text += '\n';
      if (isFull) text += tiersText(lruvec, seq);
    }
  }
  return text;
}
/** R refaulted, T total on average; r refaulted, e evicted, p protected of the oldest; then of sweeps T entries, Y young ones, F tables that were
 *  swept, A those found worth another sweep. x: nothing is kept of it. lru_gen_seq_show_full() */
function tiersText({ counters, minSeq, maxSeq, mmState }: LruGen, seq: number): string {
  let text = '';
  for (let tier = 0; tier < MAX_NR_TIERS; tier++) {
    text += `            ${padded(tier)}`;
    for (const type of types) {
      const at = type * MAX_NR_TIERS + tier;
      let letters = 'xxx';
      let n = [0, 0, 0];
      if (seq === maxSeq) {
        letters = 'RTx';
        n = [counters.avgRefaulted[at]!, counters.avgTotal[at]!, 0];
      } else if (seq === minSeq[type]) {
        letters = 'rep';
        n = [counters.refaulted[at]!, counters.evicted[at]!, counters.protected[at]!];
      }
      for (let i = 0; i < 3; i++) text += ` ${padded(n[i]!)}${letters[i]!}`;
    }
    text += '\n';
  }
  text += '                      ';
  for (const [i, n] of mmState.stats.entries()) text += seq === maxSeq ? ` ${padded(n)}${'TYFA'[i]!}` : ` ${padded(0)}x`;
  return `${text}\n`;
}

/** @returns 0, or -errno of the first command that fails; those before it are done */
export function lruGenCommands(system: MmSystem, text: string): number {
  const { vmscan, lruGen, params } = system;
  const sc = newScanControl({ nrToReclaim: 0, by: 'proactive', swappiness: params.vm.swappiness });
  vmscan.nrRuns++;
  vmscan.isRunning = true;
  lruGen.setWalk();
  let error = -Errno.EINVAL;
  for (const command of text.split(/[,;\n]/)) {
    const words = command.trimStart();
    if (words === '') continue;
    error = runCommand(system, words, sc);
    if (error !== 0) break;
  }
  lruGen.clearWalk();
  vmscan.isRunning = false;
  return error;
}
/** One command, as sscanf() reads it. run_cmd() */
function runCommand(system: MmSystem, words: string, base: ScanControl): number {
  const parts = /^(.)\s*\+?(\d+)\s+\+?(\d+)\s+\+?(\d+)\s*(?:(\S{1,4})\s*(?:(\d+)\s*)?)?$/.exec(words);
  if (parts === null) return -Errno.EINVAL;
  const [, letter, id, node, seqText, swapText, optText] = parts;
  const group = system.memcg.byId(Number(id));
  if (group === null || Number(node) !== 0 || !(group.lruvec instanceof LruGen)) return -Errno.EINVAL;
  const { lruvec } = group;
  const sc = { ...base, target: group, nr: newReclaimStat() };
  let swappiness = swappinessOf(lruvec, sc);
  if (swapText !== undefined) {
    const given = swapText === 'max' && !lruvec.isOld ? SWAPPINESS_ANON_ONLY : parseUint(swapText);
    if (given === null || given > (lruvec.isOld ? MAX_SWAPPINESS : SWAPPINESS_ANON_ONLY)) return -Errno.EINVAL;
    swappiness = given;
  }
  const opt = optText === undefined ? Infinity : Number(optText);
  if (letter === '+') return runAging(lruvec, Number(seqText), swappiness, opt !== 0);
  return letter === '-' ? runEviction(lruvec, Number(seqText), sc, swappiness, opt) : -Errno.EINVAL;
}
function runAging(lruvec: LruGen, seq: number, swappiness: number, forceScan: boolean): number {
  const { maxSeq } = lruvec;
  if (lruvec.isOld && seq < maxSeq) return 0;
  if (seq > maxSeq) return -Errno.EINVAL;
  // 6.12 does not merge the oldest generation into the next, unless forced to.
  if (lruvec.isOld && !forceScan && lruvec.evictableMinSeq(swappiness) + MAX_NR_GENS - 1 <= maxSeq) return -Errno.ERANGE;
  return tryToIncMaxSeq(lruvec, maxSeq, swappiness, forceScan) || lruvec.isOld ? 0 : -Errno.EEXIST;
}
function runEviction(lruvec: LruGen, seq: number, sc: ScanControl, swappiness: number, nrToReclaim: number): number {
  if (seq + MIN_NR_GENS > lruvec.maxSeq) return -Errno.EINVAL;
  while (seq >= lruvec.evictableMinSeq(swappiness) && sc.nrReclaimed < nrToReclaim) {
    if (evictFolios(lruvec, nrToReclaim - sc.nrReclaimed, sc, swappiness) === 0) break;
  }
  return 0;
}
