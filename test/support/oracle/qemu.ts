// qemu-riscv64, the oracle: is it installed, which version, and what does a program of ours write when it runs there.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Program } from './program.ts';

/** Every extension of the table that qemu 7.2 knows; Zbc is not ours. Zicond came later (8.0). */
export const QEMU_ARGUMENTS: readonly string[] = ['-cpu', 'rv64,zba=true,zbb=true,zbc=false,zbs=true'];
export const QEMU_COMMAND = `qemu-riscv64 ${QEMU_ARGUMENTS.join(' ')} PROGRAM`;

/** 'qemu-riscv64 version 7.2.22 (...)', or null where there is none. */
export function qemuVersion(): string | null {
  const { status, stdout } = spawnSync('qemu-riscv64', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0]! : null;
}

/** What the program's data is after it ran under qemu. */
export function runOnQemu(program: Program): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'quire-oracle-'));
  try {
    const path = join(folder, 'program');
    writeFileSync(path, program.elf);
    chmodSync(path, 0o755);
    const { status, signal, stdout } = spawnSync('qemu-riscv64', [...QEMU_ARGUMENTS, path], { maxBuffer: 1 << 28, timeout: 60_000 });
    if (status !== 0) throw new Error(`qemu ended with status ${status}, signal ${signal}`);
    return Uint8Array.from(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
