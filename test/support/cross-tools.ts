// Compilers and binutils for riscv64 as oracles: what they make, and what they say of it. Where one is missing, tests that need it are skipped; `missing`
// names it for the test's title. QUIRE_ZIG names a zig (clang and LLVM's linker in one).
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const runs = (command: string, ...words: string[]): boolean => spawnSync(command, words, { stdio: 'ignore' }).status === 0;
const zig = process.env['QUIRE_ZIG'] ?? 'zig';
export const hasGcc = runs('riscv64-linux-gnu-gcc', '--version');
export const hasZig = runs(zig, 'version');
export const hasGdb = runs('gdb-multiarch', '--version');
export const hasBinutils = runs('riscv64-linux-gnu-readelf', '--version') && runs('riscv64-linux-gnu-addr2line', '--version');
const packages = { 'gcc-riscv64-linux-gnu': hasGcc, 'binutils-riscv64-linux-gnu': hasBinutils, 'gdb-multiarch': hasGdb, 'zig (or QUIRE_ZIG)': hasZig } as const;
export type CrossPackage = keyof typeof packages;
/** ' (skipped: ... is not installed)', or nothing. */
export function missing(...wanted: CrossPackage[]): string {
  const absent = wanted.filter((name) => !packages[name]);
  return absent.length === 0 ? '' : ` (skipped: ${absent.join(', ')} is not installed)`;
}

/** A folder for programs; call `remove` at the end. */
export class CrossFolder {
  private readonly folder = mkdtempSync(join(tmpdir(), 'quire-cross-'));
  private made = 0;
  /** The path of a file in it. */
  path(name: string): string {
    return join(this.folder, name);
  }
  /** Compiles one C file. @returns the program's path */
  compile(compiler: 'gcc' | 'zig', source: string, flags: readonly string[]): string {
    const c = this.path('guest.c');
    writeFileSync(c, source);
    const out = this.path(`guest-${this.made++}`);
    const command = compiler === 'gcc' ? ['riscv64-linux-gnu-gcc'] : [zig, 'cc', '-target', 'riscv64-linux-musl', '-mcpu=generic_rv64+m+a+f+d+c', '-fno-sanitize=all'];
    execFileSync(command[0]!, [...command.slice(1), '-static', ...flags, '-o', out, c], { cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] });
    return out;
  }
  /** objcopy: a copy without what `flags` take away. */
  without(program: string, ...flags: string[]): string {
    const out = this.path(`guest-${this.made++}`);
    execFileSync('riscv64-linux-gnu-objcopy', [...flags, program, out]);
    return out;
  }
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
export const ask = (tool: string, words: readonly string[], input = ''): string =>
  execFileSync(`riscv64-linux-gnu-${tool}`, words, { input, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['pipe', 'pipe', 'ignore'] });
