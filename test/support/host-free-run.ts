// A guest run with nothing of the host but its bytes: what a browser's worker can do, and Node as well.
import { utf8Decode } from '#base';
import { boot } from '#tools/boot.ts';
import { NO_TERMINAL, machineConfig } from '#tools/config.ts';
import { parseCommandLine } from '#tools/options.ts';

export interface HostFreeRun { readonly argv: readonly string[]; readonly status: number; readonly stdout: string; readonly stateHash: string; readonly instructions: number; readonly regions: number }

/** @param options of `quire stat` @param argv of the program; its first word is its name in /bin */
export function runHostFree(options: readonly string[], argv: readonly string[], program: Uint8Array): HostFreeRun {
  const { values } = parseCommandLine('stat', ['machine', 'kernel'], options);
  const path = `/bin/${argv[0]!}`;
  const session = boot({
    machine: machineConfig(values, null, { name: 'two-list', file: null, make: null, needsRecording: false, recording: null }),
    inputs: {
      argv, path, programSha256: '', env: ['PATH=/bin'], files: [{ path, bytes: program, mode: 0o755, sha256: '' }], folders: ['/tmp'], links: [], disks: [],
      stdin: { bytes: new Uint8Array(0), sha256: '' }, terminal: NO_TERMINAL,
    },
  });
  const pieces: string[] = [];
  for (let result: string = 'running'; result === 'running';) {
    result = session.step(2_000_000);
    for (const { bytes } of session.takeOutput()) pieces.push(utf8Decode(bytes));
    if (result !== 'running' && result !== 'exited') throw new Error(`${argv.join(' ')}: ended by ${result}`);
  }
  return {
    argv, status: session.kernel.exitStatus!.status, stdout: pieces.join(''), stateHash: session.stateHash(), instructions: session.instructions, regions: session.machine.translation?.regions ?? 0,
  };
}
