// quire doctor: is everything here that quire needs, and what else could it use? Ends with a short run of a bundled program.
import { availableParallelism, freemem, totalmem } from 'node:os';
import { showSize, UserError } from '#base';
import { boot } from '../boot.ts';
import { NO_TERMINAL } from '../config.ts';
import { drive } from '../drive.ts';
import { prepare } from '../guest.ts';
import { bundledPrograms, findTool, toolVersion, writeResult } from '../host.ts';
import { parseCommandLine } from '../options.ts';
import { findCompiler } from './cc.ts';
import { guestGroups, type Command } from './command.ts';

/** Optional tools, and what each is good for. */
const tools: readonly (readonly [name: string, use: string])[] = [
  ['qemu-riscv64', 'tests compare instructions and programs with it'],
  ['riscv64-linux-gnu-gcc', 'quire cc; tests compile programs with it'],
  ['riscv64-linux-gnu-objdump', 'tests compare the disassembler with it'],
  ['gdb-multiarch', 'looking into core files and programs'],
];

interface Line { readonly name: string; readonly ok: boolean; readonly text: string }

export const doctor: Command = {
  name: 'doctor',
  usage: '',
  summary: 'check this installation: Node, memory, tools, and a short run',
  groups: ['result'],
  async run({ values }) {
    const major = Number(process.versions.node.split('.')[0]);
    const compiler = findCompiler();
    const lines: Line[] = [
      { name: 'quire', ok: true, text: toolVersion() },
      { name: 'node', ok: major >= 20, text: `${process.version}${major >= 20 ? '' : ': too old, 20 is needed'}` },
      { name: 'memory', ok: totalmem() >= 1024 ** 3, text: `${showSize(Math.round(totalmem() / 1024 ** 2) * 1024 ** 2)}, ${Math.round(freemem() / 1024 ** 2)}M free, ${availableParallelism()} processors` },
      { name: 'programs', ok: bundledPrograms().length > 0, text: `${bundledPrograms().length} bundled` },
      { name: 'compiler', ok: true, text: compiler === null ? 'none for quire cc' : compiler.command.join(' ') },
      ...tools.map(([name, use]): Line => ({ name, ok: true, text: `${findTool(name) ?? 'not here (optional)'}: ${use}` })),
      await selfTest(),
    ];
    const text = lines.map((l) => `${l.ok ? 'ok ' : 'BAD'}  ${l.name.padEnd(26)}${l.text}`).join('\n');
    writeResult(values.json ? `${JSON.stringify({ schema: 'quire.doctor/1', checks: lines }, null, 2)}\n` : `${text}\n`, values.output);
    return lines.every((l) => l.ok) ? 0 : 1;
  },
};

/** Two runs of one bundled program: they must end well and in the same state. */
async function selfTest(): Promise<Line> {
  const name = 'self test';
  try {
    const line = parseCommandLine('doctor', guestGroups, ['--mem', '64M', '--', 'gups', '--words', '65536', '--updates', '300000']);
    const runs: { hash: string; mips: number; ended: boolean }[] = [];
    for (let i = 0; i < 2; i++) {
      const session = boot(prepare(line.values, line.rest, NO_TERMINAL));
      const { end, wallSeconds } = await drive(session, { output: { 1: null, 2: null }, stdin: 'blocks', progress: false });
      runs.push({ hash: session.stateHash(), mips: session.instructions / wallSeconds / 1e6, ended: end === 'exited' && session.kernel.exitStatus?.status === 0 });
    }
    const [a, b] = runs;
    const ok = a!.ended && b!.ended && a!.hash === b!.hash;
    return { name, ok, text: ok ? `gups ran twice to the same state ${a!.hash}, ${b!.mips.toFixed(0)} million instructions per second` : 'gups did not run to its end, or not to the same state twice' };
  } catch (error) {
    if (error instanceof UserError) return { name, ok: false, text: error.message };
    throw error;
  }
}
