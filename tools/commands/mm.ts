// quire mm: reports on memory management beyond those of quire stat: memmap, what describing memory costs; cache, what the page cache holds; lru, the
// lists or generations that reclaim works on.
import { UserError } from '#base';
import { boot } from '../boot.ts';
import { CacheWatch, cacheReport, cacheText } from '../cache.ts';
import { NO_TERMINAL } from '../config.ts';
import { drive, showsProgress } from '../drive.ts';
import type { DriveOptions } from '../drive.ts';
import { exitStatus, prepareRun } from '../guest.ts';
import { commandHelp } from '../help-text.ts';
import { openResult, toolVersion, writeOut } from '../host.ts';
import { lruReport, lruText, LruWatch } from '../lru.ts';
import { memmapReport, memmapText } from '../memmap.ts';
import { type OptionGroup, parseCommandLine, type Values } from '../options.ts';
import { didYouMean } from '../suggest.ts';
import { guestGroups, type Command } from './command.ts';

const groupsOf: Readonly<Record<string, readonly OptionGroup[]>> = { memmap: [...guestGroups, 'result'], cache: [...guestGroups, 'cache', 'result'], lru: [...guestGroups, 'lists', 'result'] };

export const mm: Command = {
  name: 'mm',
  usage: 'memmap|cache|lru [OPTIONS] -- PROG [ARGS]',
  summary: 'run a program and report what describing memory costs, what the page cache holds, or what reclaim works on',
  details: 'memmap: descriptors by type when most memory was in use, their share of RAM, the cost of one GiB by folio size in every layout\n(--memmap 64|32|16|8), and what the page allocator did (--alloc-strategy).\n'
    + 'cache: every file with pages in memory as the program ends (its mappings still there), with its folios by order, and what it took:\ntranslations, bios, atomic operations, pages read ahead and used. --path lists the folios of one file, with the reason of their order.\n'
    + 'lru: of each control group the generations with their ages, or the active and inactive lists, in pages and folios of anonymous memory and of\nfiles, as the program ends or after --at instructions.\n'
    + 'The report goes to standard output or -o FILE, the program\'s own output to standard error, or with -o to standard output.',
  groups: [...guestGroups, 'cache', 'lists', 'result'],
  run({ given, rest: words }) {
    const [report, ...after] = words;
    const groups = groupsOf[report ?? ''];
    if (groups === undefined) throw new UserError(`mm${report === undefined ? '' : ` ${report}`}: not a report.${didYouMean(report ?? '', Object.keys(groupsOf))} Write quire mm memmap -- PROG, quire mm cache -- PROG or quire mm lru -- PROG.`);
    if (given.size > 0) throw new UserError('mm: options stand after the report\'s name, as in quire mm memmap --memmap 8 -- gups.');
    const { values, rest } = parseCommandLine(`mm ${report}`, groups, after);
    if (values.help) {
      writeOut(1, commandHelp(mm));
      return 0;
    }
    return report === 'cache' ? cache(values, rest) : report === 'lru' ? lru(values, rest) : memmap(values, rest);
  },
};

const outputs = (values: Values): DriveOptions => ({ output: { 1: values.output === undefined ? 2 : 1, 2: 2 }, stdin: 'blocks', progress: showsProgress(values) });

async function memmap(values: Values, rest: readonly string[]): Promise<number> {
  const session = boot(await prepareRun(values, rest, NO_TERMINAL));
  const out = openResult(values.output);
  const outcome = await drive(session, outputs(values));
  const result = memmapReport(session, outcome, toolVersion());
  out.write(values.json ? `${JSON.stringify(result, null, 2)}\n` : memmapText(result));
  out.close();
  return exitStatus(session, outcome.end, false);
}

async function lru(values: Values, rest: readonly string[]): Promise<number> {
  if (values.at !== undefined && values['max-insn'] !== undefined) throw new UserError('--at and --max-insn: both say where the run ends. Write one of them.');
  let watch: LruWatch | null = null;
  const config = await prepareRun({ ...values, 'max-insn': values.at ?? values['max-insn'] }, rest, NO_TERMINAL);
  const session = boot(config, (created) => {
    watch = new LruWatch(created);
    return null;
  });
  const out = openResult(values.output);
  const outcome = await drive(session, outputs(values));
  const result = lruReport(session, outcome, toolVersion(), watch!.end());
  out.write(values.json ? `${JSON.stringify(result, null, 2)}\n` : lruText(result));
  out.close();
  return values.at !== undefined && outcome.end === 'budget' ? 0 : exitStatus(session, outcome.end, true);
}

async function cache(values: Values, rest: readonly string[]): Promise<number> {
  const { path } = values;
  if (path !== undefined && !path.startsWith('/')) throw new UserError(`--path ${path}: not a whole path. Write it from the guest's root on, as in --path /mnt/data.`);
  let watch: CacheWatch | null = null;
  const session = boot(await prepareRun(values, rest, NO_TERMINAL), (created) => {
    watch = new CacheWatch(created, path ?? null);
    return null;
  }, true);
  const out = openResult(values.output);
  const outcome = await drive(session, { ...outputs(values), onStep: () => { watch!.gather(); } });
  const listing = watch!.end();
  if (path !== undefined && listing.listed === null) throw new UserError(`--path ${path}: no page of such a file is in memory.${didYouMean(path, listing.files.map((file) => file.path))} quire mm cache -- PROG lists the files, by the names they were last opened by.`);
  const result = cacheReport(session, outcome, toolVersion(), listing);
  out.write(values.json ? `${JSON.stringify(result, null, 2)}\n` : cacheText(result));
  out.close();
  return exitStatus(session, outcome.end, true);
}
