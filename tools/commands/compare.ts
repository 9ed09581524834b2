// quire compare: one program under three configurations that differ only in how pages are made and cached, side by side. The main job.
import { UserError } from '#base';
import { withCoalescing } from '#mmu';
import { boot } from '../boot.ts';
import { NO_TERMINAL, type MachineConfig, type RunConfig } from '../config.ts';
import { drive, showsProgress } from '../drive.ts';
import { exitStatus, NO_STDIN, prepare } from '../guest.ts';
import { openResult, readAllStdin, sha256, toolVersion, type ResultWriter } from '../host.ts';
import { statReport } from '../report.ts';
import { compareText, type Column, type Comparison } from '../text.ts';
import { comparePolicies } from './compare-lru.ts';
import { guestGroups, type Command } from './command.ts';

interface Variant { readonly title: string; readonly meaning: string; change(machine: MachineConfig): MachineConfig }

/** The TLBs keep their geometry; what differs is the size of folios and what an entry can cover. */
const variants: readonly Variant[] = [
  {
    title: '4K pages', meaning: 'no large folios; a TLB entry covers one page',
    change: (m) => ({ ...m, preset: null, tlb: withCoalescing(m.tlb, 'none'), thp: 'never', mthp: [] }),
  },
  {
    title: '64K Svnapot', meaning: '64 kB folios, marked in the page table; an entry covers 16 pages',
    change: (m) => ({ ...m, preset: null, tlb: withCoalescing(m.tlb, 'svnapot'), thp: 'never', mthp: [{ kb: 64, mode: 'always' }] }),
  },
  {
    title: '4x4K merged', meaning: '16 kB folios, unmarked; the TLB merges 4 neighbours by itself',
    change: (m) => ({ ...m, preset: null, tlb: withCoalescing(m.tlb, 'zen'), thp: 'never', mthp: [{ kb: 16, mode: 'always' }] }),
  },
];
/** What `npm start` runs: large enough to miss, small enough to wait for. */
export const MAIN_JOB: readonly string[] = ['gups'];

export const compare: Command = {
  name: 'compare',
  usage: '[--lru A,B...] [OPTIONS] [-- PROG [ARGS]]',
  summary: 'one program with different page sizes and TLBs, or reclaim policies, side by side',
  details: `Without PROG it runs ${MAIN_JOB.join(' ')}. The program's output must be the same in every run, which is checked.\n`
    + 'Without --lru: 4K pages, 64K Svnapot folios and a TLB that merges neighbours. With --lru two-list,mglru,opt: a run for each reclaim policy, with\n'
    + '--memory-max as the limit, or with each limit of --mem-sweep 32M,48M,64M; --svg FILE draws the curves.',
  groups: [...guestGroups, 'sweep', 'result'],
  async run({ values, given, rest }) {
    if (values.disk.some(({ isWritable }) => isWritable)) throw new UserError('--disk: quire compare runs the program several times, and each run would find what the last one wrote. Leave :rw out.');
    if (given.has('lru')) return comparePolicies(values, rest.length === 0 ? MAIN_JOB : rest);
    for (const name of ['mem-sweep', 'svg'] as const) if (given.has(name)) throw new UserError(`--${name}: it compares reclaim policies. Write them, as in --lru two-list,mglru,opt.`);
    for (const name of ['thp', 'mthp'] as const) {
      if (given.has(name)) throw new UserError(`--${name}: quire compare sets folio sizes itself. Leave it out, or use quire stat --${name}.`);
    }
    const base = prepare(values, rest.length === 0 ? MAIN_JOB : rest, NO_TERMINAL);
    const stdin = base.inputs.stdin ?? (rest.length === 0 ? null : readAllStdin()) ?? NO_STDIN;
    const columns: Column[] = [];
    const outputs: string[] = [];
    let out: ResultWriter | null = null;
    let status = 0;
    for (const variant of variants) {
      const config: RunConfig = { machine: variant.change(base.machine), inputs: { ...base.inputs, stdin } };
      const session = boot(config);
      out ??= openResult(values.output);
      const chunks: Uint8Array[] = [];
      const first = columns.length === 0;
      const outcome = await drive(session, {
        output: { 1: first ? 2 : null, 2: first ? 2 : null }, onOutput: (bytes) => { chunks.push(bytes); }, stdin: 'blocks', progress: showsProgress(values), label: variant.title,
      });
      if (outcome.end === 'interrupted') return 130;
      status ||= exitStatus(session, outcome.end, true);
      columns.push({ title: variant.title, meaning: variant.meaning, report: statReport(session, outcome, toolVersion()) });
      outputs.push(sha256(Buffer.concat(chunks)));
    }
    const comparison: Comparison = { schema: 'quire.compare/1', sameOutput: outputs.every((hash) => hash === outputs[0]), columns };
    out!.write(values.json ? `${JSON.stringify(comparison, null, 2)}\n` : compareText(comparison));
    out!.close();
    return status;
  },
};
