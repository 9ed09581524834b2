// From a sanitizer's finding to its cause, as a person goes: the finding names a page or a frame; in the debugger watch, last-write and the views lead from
// there to the line of the kernel that is wrong. The bugs are planted (kernel/plant.ts).
import { afterAll, describe, expect, test } from 'vitest';
import type { PlantName } from '#kernel';
import { boot } from '#tools/boot.ts';
import { Debugger } from '#tools/debugger/debugger.ts';
import { codeOf } from '#tools/debugger/guest-code.ts';
import { Programs } from '#tools/debugger/programs.ts';
import { openTimeline } from '#tools/debugger/replay.ts';
import { runScript } from '#tools/debugger/script.ts';
import { SanitizerStop } from '#tools/sanitize.ts';
import { scratch } from '../../support/cli.ts';
import { call, exitWithErrno, guest, li, Nr, reg } from '../../support/guests.ts';
import { configOf } from './fixture.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const MUNMAP = 215;
const useAfterMunmap = host.file('use-after-munmap', guest([
  ...call(Nr.mmap, 0, 4096, 3, 0x22, -1, 0), ['addi', { rd: reg.s0, rs1: reg.a0, imm: 0 }], ['sd', { rs1: reg.s0, rs2: reg.s0, imm: 0 }],
  ...li(reg.a1, 4096), ['addi', { rd: reg.a7, rs1: 0, imm: MUNMAP }], ['ecall'], ['ld', { rd: reg.a0, rs1: reg.s0, imm: 0 }], ...exitWithErrno,
]));
const forks = '--mem 32M --lru mglru -- sh -c hello>/tmp/a';
const withPlant = (words: string, plant: PlantName | null): string => (plant === null ? words : `--plant ${plant} ${words}`);

/** What the sanitizer says first. */
function finding(words: string, plant: PlantName, sanitizer: string): string {
  const session = boot(configOf(`--sanitize=${sanitizer} ${withPlant(words, plant)}`));
  try {
    while (session.step(1e6) === 'running') session.takeOutput();
  } catch (error) {
    if (error instanceof SanitizerStop) return error.finding.lines[0]!;
    throw error;
  }
  return 'nothing';
}
/** What a script prints. */
function debugged(words: string, plant: PlantName | null, ...script: string[]): string {
  const programs = new Programs(null);
  const d = new Debugger(openTimeline(configOf(withPlant(words, plant))), (session, task) => codeOf(programs, session, task, () => null));
  let said = '';
  try {
    runScript(d, 'script', script.join('\n'), false, (text) => { said += text; });
  } finally {
    d.timeline.close();
  }
  return said.replace(/\n {4,}(?=\S)/g, ' ');
}
const hexIn = (text: string, before: string): string => new RegExp(`${before} (0x[0-9a-f]+)`, 'i').exec(text)![1]!;

describe('a planted bug is found in a scripted session', () => {
  test('a fence that is missing: the entry goes, no flush follows, the translation stays', () => {
    const words = `--mem 32M -- ${useAfterMunmap}`;
    const va = hexIn(finding(words, 'munmap-fence', 'tlb'), 'at');
    const script = ['break syscall munmap', 'continue', `watch pte ${va}`, 'continue', 'delete', 'break tlb_flush', 'continue'];
    const wrong = debugged(words, 'munmap-fence', ...script);
    expect(wrong).toMatch(new RegExp(`pte ${va}: written at 0x[0-9a-f]+ by kernel/mm/pagetable\\.ts:\\d+ \\w+, from kernel/mm/unmap\\.ts:\\d+ zapPtes`));
    // The call has retired nothing, the read behind it, and what ends the program, have.
    const [atCall, atFlush] = [...wrong.matchAll(/^#\d+ {2}insn (\d+) /gm)].map(([, insn]) => Number(insn)).slice(-2) as [number, number];
    expect(wrong).toContain('tlb:tlb_flush: reason=3 pages=-1');
    expect(atFlush).toBeGreaterThan(atCall);
    expect(debugged(words, null, ...script)).toMatch(new RegExp(`^#\\d+ {2}insn ${atCall} .*\\n.*\\ntlb:tlb_flush`, 'm'));
    const after = ['break syscall munmap', 'continue', 'out', `tlb ${va}`];
    expect(debugged(words, 'munmap-fence', ...after)).toMatch(/L1 D: 1 entry of ASID 1\n.*\n.* vrw-u-ad {2}0x/);
    expect(debugged(words, null, ...after)).not.toContain('vrw-u-ad');
  });
  test('a lost reference: fork wrote the mapping and not the reference', () => {
    const frame = hexIn(finding(forks, 'fork-refcount', 'folio').replace('Exclusive frame', 'Folio'), 'Folio');
    const script = ['break sched_process_fork', 'continue', `folio ${frame}`, `last-write folio ${frame}.refcount`, `last-write folio ${frame}.mapcount`];
    const wrong = debugged(forks, 'fork-refcount', ...script);
    expect(wrong).toContain('references 1; mapped 2 times');
    expect(wrong).toContain(`refcount of folio ${frame}: not written since the run began.`);
    const right = debugged(forks, null, ...script);
    expect(right).toContain('references 2; mapped 2 times');
    for (const said of [right, wrong]) expect(said.slice(said.indexOf('mapcount\n'))).toMatch(/: 1 -> 2 at [^]*kernel\/mm\/fork\.ts:\d+ copyUnit/);
  });
  test('a page that fork leaves writable: nobody wrote its entry', () => {
    const va = hexIn(finding(forks, 'fork-writable', 'cow'), 'mapped at');
    const script = ['break sched_process_fork', 'continue', `pt ${va}`, `last-write pte ${va}`];
    const wrong = debugged(forks, 'fork-writable', ...script);
    expect(wrong).toMatch(/PTE .* vrw-u-ad-- +frame/);
    expect(wrong).toContain('not written since the run began.');
    const right = debugged(forks, null, ...script);
    expect(right).toMatch(/PTE .* vr--u-ad-- +frame/);
    expect(right).toMatch(/kernel\/mm\/fork\.ts:\d+ copyUnit/);
  });
  test('a store into a page table by somebody who has no business there', () => {
    const va = hexIn(finding(forks, 'stray-write', 'tlb'), 'at');
    const by = '0x[0-9a-f]+ by kernel/mm/uaccess\\.ts:\\d+ strayWrite, from kernel/syscall/resource\\.ts:\\d+ schedGetaffinity';
    const said = debugged(forks, 'stray-write', 'break syscall', `watch pte ${va}`, 'continue', 'continue', 'continue', 'continue', 'stepi', `last-write pte ${va}`);
    expect(said).toMatch(new RegExp(`pte ${va}: written at ${by}`));
    expect(said).toMatch(/entry of .*: written at #\d+, insn \d+, .*\n +by kernel\/mm\/uaccess\.ts:\d+ strayWrite/);
  });
  test('a slip of MGLRU\'s lists: the folio says one generation, the lists have it in another', () => {
    const said = finding(forks, 'lru-slip', 'folio');
    const [, frame, list, word] = /Folio (0x[0-9a-f]+) stands on list (\d), its word says (\d)/.exec(said)!;
    const script = ['event', `folio ${frame}`, 'lru'];
    const wrong = debugged(forks, 'lru-slip', ...script);
    expect(wrong).toContain(`lists      generation ${word} of`);
    expect(wrong).toMatch(new RegExp(`generation ${list} +\\d+ ms +\\. +1 `));
    expect(debugged(forks, null, ...script)).toMatch(new RegExp(`generation ${list} +\\d+ ms +\\. +\\. `));
  });
});
