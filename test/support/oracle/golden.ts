// What qemu-riscv64 answered, kept in the repository, so that tests compare without it. Recorded by the tests themselves:
//   QUIRE_RECORD=1 npx vitest run test/cpu/oracle
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { QEMU_COMMAND, qemuVersion } from './qemu.ts';

export const RECORD_COMMAND = 'QUIRE_RECORD=1 npx vitest run test/cpu/oracle';
/** True: ask qemu and keep what it says, rather than compare. */
export const isRecording = process.env['QUIRE_RECORD'] === '1';

const pathOf = (name: string): string => join(import.meta.dirname, '../../golden/oracle', `${name}.json`);

export interface Provenance {
  readonly qemu: string;
  readonly command: string;
  readonly recordedBy: string;
}
export function readGolden<T>(name: string): T & Provenance {
  return JSON.parse(readFileSync(pathOf(name), 'utf8')) as T & Provenance;
}
export function writeGolden(name: string, about: string, content: object): void {
  const qemu = qemuVersion();
  if (qemu === null) throw new Error('recording needs qemu-riscv64');
  const provenance: Provenance = { qemu, command: QEMU_COMMAND, recordedBy: RECORD_COMMAND };
  writeFileSync(pathOf(name), `${JSON.stringify({ about, ...provenance, ...content }, null, 1)}\n`);
}
