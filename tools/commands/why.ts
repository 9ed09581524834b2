// quire why: runs a program and says of one address, or of every page, what folio backs it and why it has that size.
import { UserError } from '#base';
import { boot } from '../boot.ts';
import { NO_TERMINAL } from '../config.ts';
import { drive, showsProgress } from '../drive.ts';
import type { Outcome } from '../drive.ts';
import { EVICTIONS_SCHEMA, evictionsText } from '../evictions.ts';
import type { EvictionsReport } from '../evictions.ts';
import { exitStatus, prepareRun } from '../guest.ts';
import { toolVersion, writeResult } from '../host.ts';
import { configReport } from '../report.ts';
import { READAHEAD_SCHEMA, WHY_SCHEMA, WhyLog, emptyText, pieceText, piecesText, readaheadText } from '../why.ts';
import { guestGroups, type Command } from './command.ts';

export const why: Command = {
  name: 'why',
  usage: '[OPTIONS] ADDRESS|all|readahead|evictions -- PROG [ARGS]',
  summary: 'run a program and tell why its memory has the folios it has, and why pages went',
  details: 'Tells which folio backs the address when the program ends (or after --max-insn instructions), its order, what order was wanted\nat the fault and the reason for the difference, who maps it, whether it is folded, and why it was split. Of a page of a file: what\nread it in or wrote it first, and why into a folio of this order. `all` tells it of every page, alike neighbours together.\n'
    + '`readahead` lists what read-ahead decided during the run: where it was asked, the window, the order of its folios, the reason.\nOf a page that was evicted it tells by which policy and why, where it stood on that policy\'s lists, when it was last seen in use, and\nthe refault distance when it came back. `evictions` lists whose pages were evicted (with --memory-max, or a small --mem).\nThe answer goes to standard output or -o FILE, the program\'s own output to standard error.',
  groups: [...guestGroups, 'result'],
  async run({ values, rest }) {
    const [asked, ...after] = rest;
    const program = after[0] === '--' ? after.slice(1) : after;
    const isReadahead = asked === 'readahead';
    const isEvictions = asked === 'evictions';
    const where = isReadahead || isEvictions ? null : readAddress(asked);
    let log: WhyLog | null = null;
    const session = boot(await prepareRun(values, program, NO_TERMINAL), (created) => {
      const made = new WhyLog(created, where);
      log = made;
      return null;
    }, true);
    const { outcome, pieces, evictions } = await follow(log!, where, () => drive(session, {
      output: { 1: 2, 2: 2 }, stdin: 'blocks', progress: showsProgress(values), onStep: () => { log!.gather(); },
    }));
    if (where !== null && pieces.length === 0) throw new UserError(`why ${asked}: ${emptyText(where, log!.neighbours)} quire why all -- PROG lists what is there; addresses are the same in every run.`);
    const about = { tool: toolVersion(), config: configReport(session.config.machine, session, outcome.stdinSha256),
      program: { argv: session.config.inputs.argv, sha256: session.config.inputs.programSha256 }, instructions: session.instructions };
    const report = isEvictions ? { schema: EVICTIONS_SCHEMA, ...about, ...evictions } : isReadahead ? { schema: READAHEAD_SCHEMA, ...about, decisions: log!.readahead() } : { schema: WHY_SCHEMA, ...about, address: where, pieces };
    const lines = isEvictions ? evictionsText(evictions) : isReadahead ? readaheadText(log!.readahead()) : where === null ? piecesText(pieces) : pieces.flatMap(pieceText);
    writeResult(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${lines.join('\n')}\n`, values.output);
    // Here the budget says when to look: using it up is no failure.
    return outcome.end === 'budget' ? 0 : exitStatus(session, outcome.end, true);
  },
};

async function follow(log: WhyLog, where: number | null, run: () => Promise<Outcome>): Promise<{ outcome: Outcome; pieces: ReturnType<typeof log.look> & object; evictions: EvictionsReport }> {
  const outcome = await run();
  const pieces = log.look(where) ?? [];
  const { evictions } = log;
  log.end();
  return { outcome, pieces, evictions };
}

/** null: all. An address above what a double holds exactly is as good as any other that no program has. @throws UserError */
function readAddress(word: string | undefined): number | null {
  if (word === 'all') return null;
  const value = word !== undefined && /^(0x[0-9a-f]+|[0-9]+)$/i.test(word) ? Number(word) : NaN;
  if (value < 2 ** 64) return value;
  throw new UserError(`why${word === undefined ? '' : ` ${word}`}: not an address. Write one as in quire why 0x3f00200000 -- gups, quire why all -- gups, quire why readahead -- gups, or quire why evictions -- gups.`);
}
