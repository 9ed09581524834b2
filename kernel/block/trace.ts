// Tracepoints of the block layer, under Linux's names (include/trace/events/block.h). What a request does is a number here, which rwbs()
// prints as Linux does.
import { tracepoint } from '#base';
import { type Bio, BioOp } from './bio.ts';

const bioEvent = { major: 'dec', minor: 'dec', sector: 'dec', nr_sector: 'dec', rwbs: 'hex' } as const;
export const blockBioQueue = tracepoint('block_bio_queue', 'block', bioEvent);
export const blockBioBackmerge = tracepoint('block_bio_backmerge', 'block', bioEvent);
export const blockBioFrontmerge = tracepoint('block_bio_frontmerge', 'block', bioEvent);
/** A bio is longer than a request may be: it goes on at new_sector. */
export const blockSplit = tracepoint('block_split', 'block', { major: 'dec', minor: 'dec', sector: 'dec', new_sector: 'dec', rwbs: 'hex' });
export const blockPlug = tracepoint('block_plug', 'block', {});
export const blockUnplug = tracepoint('block_unplug', 'block', { nr_rq: 'dec' });
export const blockRqIssue = tracepoint('block_rq_issue', 'block', { ...bioEvent, bytes: 'dec' });
export const blockRqComplete = tracepoint('block_rq_complete', 'block', { ...bioEvent, error: 'dec' });

const Flags = { Readahead: 8, Sync: 16, Meta: 32 } as const;
/** Reads are waited for by nature, and are not marked as such. */
export const rwbsOf = (bio: Bio): number =>
  bio.op + (bio.isReadahead ? Flags.Readahead : 0) + (bio.isSync && bio.op !== BioOp.Read ? Flags.Sync : 0) + (bio.isMeta ? Flags.Meta : 0);
/** 'RA', 'WS': blk_fill_rwbs(). A flush is an empty write as a bio, 'FWS', and a request of its own kind, 'FF'. */
export function rwbs(code: number, isRequest = false): string {
  const op = code & 7;
  if (op === BioOp.Flush) return isRequest ? 'FF' : (code & Flags.Sync) !== 0 ? 'FWS' : 'FW';
  const words = op === BioOp.Read ? 'R' : op === BioOp.Write ? 'W' : 'D';
  return words + ((code & Flags.Readahead) !== 0 ? 'A' : '') + ((code & Flags.Sync) !== 0 ? 'S' : '') + ((code & Flags.Meta) !== 0 ? 'M' : '');
}
