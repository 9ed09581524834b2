// quire compare --lru a,b: one program under several reclaim policies, and perhaps under several memory limits. One run each; the output of all must be
// the same.
import { showSize, UserError } from '#base';
import { boot } from '../boot.ts';
import { memoryLimit, NO_TERMINAL, type PolicyConfig, type RunConfig } from '../config.ts';
import { curvesSvg } from '../curves.ts';
import type { Curve } from '../curves.ts';
import { drive, showsProgress } from '../drive.ts';
import { exitStatus, NO_STDIN, prepare, record } from '../guest.ts';
import { openResult, readAllStdin, sha256, toolVersion, writeSvg, type ResultWriter } from '../host.ts';
import { EventWatch, LRU_COMPARE_SCHEMA, lruCompareText, majorFaults, refaults } from '../lru-compare.ts';
import type { EventLog, PolicyComparison, PolicyRun } from '../lru-compare.ts';
import type { Values } from '../options.ts';
import { readPolicy } from '../policy-file.ts';
import type { Recording } from '../recording.ts';
import { statReport } from '../report.ts';
import type { StatReport } from '../schema.ts';
import { YoungSampling } from '../young.ts';

/** @param rest PROG [ARGS] */
export async function comparePolicies(values: Values, rest: readonly string[]): Promise<number> {
  const policies = values.lru.split(',').map(readPolicy);
  const twice = policies.find(({ name }, i) => policies.findIndex((other) => other.name === name) !== i);
  if (twice !== undefined) throw new UserError(`--lru ${values.lru}: ${twice.name} stands there twice. Write each policy once.`);
  if (values['mem-sweep'] !== undefined && values['memory-max'] !== undefined) throw new UserError('--mem-sweep and --memory-max: both limit the program\'s memory. Write one of them.');
  const given = prepare({ ...values, lru: 'two-list' }, rest, NO_TERMINAL);
  const base: RunConfig = { ...given, inputs: { ...given.inputs, stdin: given.inputs.stdin ?? readAllStdin() ?? NO_STDIN } };
  const limits = values['mem-sweep']?.map((bytes) => memoryLimit(bytes, base.machine.memBytes, '--mem-sweep')) ?? [base.machine.memoryMax];
  if (values.svg !== undefined && limits.length < 2) throw new UserError('--svg: a curve needs several memory sizes. Write them, as in --mem-sweep 32M,48M,64M.');
  const progress = showsProgress(values);

  let recording: Recording | null = null;
  const needing = policies.find(({ needsRecording }) => needsRecording);
  if (needing !== undefined) recording = await record({ ...base, machine: { ...base.machine, lru: needing } }, progress);
  const runs: PolicyRun[] = [];
  const refused = new Map<string, string>();
  const outputs = new Set<string>();
  let out: ResultWriter | null = null;
  let status = 0;
  for (const memoryMax of limits) {
    let first: EventLog | null = null;
    for (const policy of policies) {
      if (refused.has(policy.name)) continue;
      const lru: PolicyConfig = policy.needsRecording ? { ...policy, recording } : policy;
      let watch: EventWatch | null = null;
      const session = boot({ ...base, machine: { ...base.machine, lru, memoryMax } }, (created) => {
        new YoungSampling(created);
        watch = new EventWatch(created, first);
        return null;
      });
      out ??= openResult(values.output);
      const chunks: Uint8Array[] = [];
      const shows = runs.length === 0 && refused.size === 0;
      let outcome;
      try {
        outcome = await drive(session, {
          output: { 1: shows ? 2 : null, 2: shows ? 2 : null }, onOutput: (bytes) => { chunks.push(bytes); }, stdin: 'blocks', progress, label: `${policy.name}${memoryMax === null ? '' : ` ${showSize(memoryMax)}`}`,
        });
      } catch (error) {
        // It knew another run's future: the others can be compared.
        if (!(error instanceof UserError) || !policy.needsRecording) throw error;
        refused.set(policy.name, error.message.replace(`--lru ${policy.name}: `, ''));
        continue;
      } finally {
        watch!.end();
      }
      if (outcome.end === 'interrupted') return 130;
      status ||= exitStatus(session, outcome.end, true);
      runs.push({ policy: policy.name, memoryMax, report: statReport(session, outcome, toolVersion()), divergence: watch!.divergence });
      outputs.add(sha256(Buffer.concat(chunks)));
      first ??= watch!.log;
    }
  }
  const compared = policies.map(({ name }) => name).filter((name) => !refused.has(name));
  const result: PolicyComparison = {
    schema: LRU_COMPARE_SCHEMA, tool: toolVersion(), program: { argv: base.inputs.argv, sha256: base.inputs.programSha256 }, policies: compared, limits, sameOutput: outputs.size <= 1,
    runs: runs.filter(({ policy }) => !refused.has(policy)), refused: [...refused].map(([policy, why]) => ({ policy, why })),
  };
  out!.write(values.json ? `${JSON.stringify(result, null, 2)}\n` : lruCompareText(result));
  out!.close();
  if (values.svg !== undefined) writeSvg(values.svg, missCurves(result));
  return status;
}

function missCurves({ program, policies, runs }: PolicyComparison): string {
  const curves = (value: (report: StatReport) => number): Curve[] => policies.map((name) => ({
    name, points: runs.filter(({ policy, memoryMax }) => policy === name && memoryMax !== null).map(({ memoryMax, report }) => ({ bytes: memoryMax!, value: value(report) })).sort((a, b) => a.bytes - b.bytes),
  }));
  return curvesSvg(program.argv.join(' '), [{ title: 'Major faults', curves: curves(majorFaults) }, { title: 'Refaults: pages that were evicted and came back', curves: curves(refaults) }]);
}
