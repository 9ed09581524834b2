// The report of a run, quire.stat/1, filled from counters and tables. Here: the filling. Not here: what the fields mean (schema.ts), text (text.ts).
import { PAGE_SIZE } from '#base';
import { BioOp, memcgStat, signalName, totalUsage } from '#kernel';
import { PROGRAM_GROUP } from './boot.ts';
import type { Session } from './boot.ts';
import type { MachineConfig } from './config.ts';
import type { Outcome } from './drive.ts';
import { STAT_SCHEMA, type ConfigReport, type MemcgReport, type StatReport, type SwapReport } from './schema.ts';

/** What the counts and the clock leave out, said in every report. */
export const NOT_MODELLED = [
  'data and instruction caches', 'out-of-order overlap and prefetching', 'speculative page walks', 'more than one hart',
];

/** @param tool name and version of this program */
export function statReport(session: Session, outcome: Outcome, tool: string): StatReport {
  const { machine, kernel, config } = session;
  const { system } = kernel;
  const pgfault = system.vmstat.get('pgfault');
  const pgmajfault = system.vmstat.get('pgmajfault');
  const { instructions, cycles } = session;
  const tlbCycles = machine.mmu.cycles;
  const exit = outcome.end === 'exited' ? kernel.exitStatus : null;
  return {
    schema: STAT_SCHEMA,
    tool,
    config: configReport(config.machine, session, outcome.stdinSha256),
    program: { argv: config.inputs.argv, sha256: config.inputs.programSha256 },
    exit: {
      reason: outcome.end,
      status: exit === null || exit.signal !== 0 ? null : exit.status,
      signal: exit === null || exit.signal === 0 ? null : signalName(exit.signal),
    },
    clock: { instructions, cycles, tlbCycles, kernelCycles: cycles - instructions - tlbCycles },
    tlb: machine.mmu.report(),
    faults: { minor: pgfault - pgmajfault, major: pgmajfault, byKind: system.faultsByKind() },
    vmstat: Object.fromEntries(system.vmstat.entries()),
    thp: system.thp.stats(),
    memory: { maxRssKb: maxRssPages(session) * 4, memmapBytes: system.memmapBytes },
    lru: { policy: config.machine.lru.name, youngSampling: session.young?.report() ?? null },
    memcg: memcgReport(session),
    swap: swapReport(session),
    notModelled: NOT_MODELLED,
    unknownSyscalls: [...kernel.syscallWarnings.values()],
    stateHash: session.stateHash(),
    host: { wallSeconds: outcome.wallSeconds, mips: instructions / Math.max(1e-6, outcome.wallSeconds) / 1e6, translation: machine.translation },
  };
}

export function configReport(m: MachineConfig, { config: { inputs } }: Session, fedSha256: string | null): ConfigReport {
  return {
    preset: m.preset, tlb: m.tlb, memBytes: m.memBytes, sv: m.sv, svadu: m.svadu, engine: m.engine, seed: m.seed, maxInsn: m.maxInsn,
    thp: m.thp, mthp: Object.fromEntries(m.mthp.map(({ kb, mode }) => [`hugepages-${kb}kB`, mode])), set: m.set, costs: m.costs, memmap: m.memmap, allocStrategy: m.allocStrategy,
    lru: { policy: m.lru.name, file: m.lru.file?.path ?? null, sha256: m.lru.file?.sha256 ?? null }, memoryMax: m.memoryMax,
    env: inputs.env, files: inputs.files.map(({ path, sha256 }) => ({ path, sha256 })), disks: inputs.disks.map(({ path, isWritable, image }) => ({ path, isWritable, sizeBytes: image.sizeBytes })), diskLatency: { ...m.diskLatency }, swap: m.swapBytes, swapLatency: { ...m.swapLatency }, stdinSha256: inputs.stdin?.sha256 ?? fedSha256,
  };
}

/** The group that --memory-max made. */
function memcgReport({ config, kernel: { system } }: Session): MemcgReport | null {
  const group = config.machine.memoryMax === null ? undefined : [...system.memcg].find(({ path }) => path === PROGRAM_GROUP);
  if (group === undefined) return null;
  return {
    path: group.path, currentBytes: group.usage * PAGE_SIZE, peakBytes: group.peak * PAGE_SIZE, maxBytes: config.machine.memoryMax!, swapBytes: group.swapUsage * PAGE_SIZE,
    events: { ...group.events }, stat: Object.fromEntries(memcgStat(group)),
  };
}
function swapReport({ kernel: { system: { swap, vmstat } } }: Session): SwapReport | null {
  if (swap.totalPages === 0) return null;
  const requests = (op: BioOp): number => [...new Set(swap.devices.map(({ target }) => target.device))].reduce((n, device) => n + device.stats[op]!.ios, 0);
  return {
    outRequests: requests(BioOp.Write), inRequests: requests(BioOp.Read),
    totalBytes: swap.totalPages * PAGE_SIZE, usedBytes: (swap.totalPages - swap.freePages) * PAGE_SIZE, outPages: vmstat.get('pswpout'), inPages: vmstat.get('pswpin'),
    zeroOutPages: vmstat.get('swpout_zero'), zeroInPages: vmstat.get('swpin_zero'), readaheadPages: vmstat.get('swap_ra'), readaheadHits: vmstat.get('swap_ra_hit'),
  };
}

/** The largest resident set that any program of the run has had: of the first one, what it waited for, and what is still there. */
function maxRssPages({ kernel }: Session): number {
  const first = kernel.first === null ? [] : [kernel.first];
  return Math.max(0, ...[...first, ...kernel.processes.values()].map((p) => totalUsage(p).maxRssPages));
}
