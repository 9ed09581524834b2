// The quire command as a person runs it: a process of its own, with what it printed and how it ended.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
export const bundle = join(root, 'dist/quire.cjs');

export interface Ended { readonly status: number | null; readonly stdout: string; readonly stderr: string }

/** Runs `quire ...words`. @param input standard input; absent: empty */
export function quire(words: readonly string[], input = '', cwd: string = root): Ended {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [bundle, ...words], { input, cwd, encoding: 'utf8', timeout: 120_000, maxBuffer: 256 * 1024 ** 2 });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

/** A folder for one test file's host files; call `remove` at the end. */
export function scratch(): { path(name: string): string; file(name: string, bytes: Uint8Array | string, mode?: number): string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'quire-test-'));
  return {
    path: (name) => join(folder, name),
    file(name, bytes, mode = 0o755) {
      const path = join(folder, name);
      writeFileSync(path, bytes, { mode });
      return path;
    },
    remove: () => { rmSync(folder, { recursive: true, force: true }); },
  };
}
