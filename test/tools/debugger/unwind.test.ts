// Walking up a stack: with call frames, with symbols alone, with nothing. What the file tells is believed, and the other ways are measured by it.
import { afterAll, describe, expect, test } from 'vitest';
import { basename } from 'node:path';
import { boot } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';
import { memoryAt } from '#tools/debugger/memory.ts';
import { Programs, registersOf } from '#tools/debugger/programs.ts';
import type { ProgramSource } from '#tools/debugger/source.ts';
import { unwind } from '#tools/debugger/unwind.ts';
import type { Session } from '#tools/index.ts';
import { CrossFolder, hasGcc, missing } from '../../support/cross-tools.ts';
import { debugGuest, sourceOf } from '../../support/debug-guest.ts';

const folder = new CrossFolder();
afterAll(() => folder.remove());

function start(path: string): Session {
  const { values, rest } = parseCommandLine('run', ['machine', 'kernel', 'inputs'], ['--engine', 'reference', '--file', `${path}:/bin/${basename(path)}`, '--', basename(path)]);
  return boot(prepare(values, rest, NO_TERMINAL));
}
/** The pcs of a stack, with what another file of the same code tells. */
function stack(session: Session, source: ProgramSource): number[] {
  const task = session.kernel.current!;
  const read = (address: number, lenBytes: number): Uint8Array | null => {
    const bytes = memoryAt(task.mm, address, lenBytes);
    return bytes.length < lenBytes ? null : bytes;
  };
  const isCode = (address: number): boolean => source.elf.isCode(address);
  return unwind(registersOf(session, task).slice(0, 32), { read, isCode, homeOf: () => ({ source, bias: 0 }) }).map(({ pc }) => pc);
}

describe.skipIf(!hasGcc)(`gcc${missing('gcc-riscv64-linux-gnu')}`, () => {
  test.each(['-O0', '-O2'])('%s: every stack leads to main; without call frames, and without symbols, nearly every one is the same', (level) => {
    const program = folder.compile('gcc', debugGuest, [level, '-g']);
    const whole = sourceOf(program);
    const symbols = sourceOf(folder.without(program, '-R', '.eh_frame', '-R', '.debug_frame'));
    const stripped = sourceOf(folder.without(program, '--strip-all', '-R', '.eh_frame'));
    const session = start(program);
    const main = whole.functionAt(whole.addressesOfFunction('main')[0]!)!;
    const counts = { all: 0, symbols: 0, stripped: 0 };
    const ours = new Set(['sum', 'fib', 'walk', 'leaf', 'large']);
    while (session.step(23) === 'running') {
      const pc = Number(session.machine.pc);
      if (session.kernel.current === null || !ours.has(whole.functionAt(pc)?.name ?? '')) continue;
      const truth = stack(session, whole);
      const at = truth.findIndex((a) => a >= main.start && a < main.end);
      expect(at, `stack at ${pc.toString(16)}: ${truth.map((a) => whole.symbolText(a)).join(' < ')}`).toBeGreaterThan(0);
      counts.all++;
      const upToMain = truth.slice(0, at + 1).join();
      const isSame = (source: ProgramSource): boolean => stack(session, source).slice(0, at + 1).join() === upToMain;
      if (isSame(symbols)) counts.symbols++;
      if (isSame(stripped)) counts.stripped++;
    }
    expect(counts.all).toBeGreaterThan(100);
    expect(counts.symbols / counts.all).toBeGreaterThan(0.99);
    expect(counts.stripped / counts.all).toBeGreaterThan(0.99);
  });

  test('a handler\'s stack goes on where the signal came', () => {
    const program = folder.compile('gcc', `
#include <signal.h>
#include <stdlib.h>
volatile int done;
__attribute__((noinline)) static void handler(int sig) { for (int i = 0; i < 1000; i++) done += sig; exit(0); }
__attribute__((noinline)) static int wild(volatile int *p) { done++; return *p + 1; }
int main(void) { signal(SIGSEGV, handler); return wild(0) + done; }
`, ['-O1', '-g']);
    const session = start(program);
    const programs = new Programs();
    const source = sourceOf(program);
    let names: string[] = [];
    while (session.step(100) === 'running') {
      const task = session.kernel.current;
      if (task === null || source.functionAt(Number(session.machine.pc))?.name !== 'handler') continue;
      names = programs.stackOf(session, task).map(({ lookup, found }) => `${found}: ${source.functionAt(lookup)?.name ?? '?'}`);
      break;
    }
    expect(names.slice(0, 4)).toEqual(['start: handler', 'call frames: ?', 'signal: wild', 'call frames: main']);
  });
});
