// Recording which pages a run uses: every use is seen, in its window; the run is not changed by it; and what is recorded is known in the next run.
import { afterAll, describe, expect, test } from 'vitest';
import type { Pfn } from '#base';
import type { MmSystem } from '#kernel/mm/system.ts';
import { RecordedUses, USE_WINDOW, UseReader, UseRecorder } from '#kernel/mm/reclaim/uses.ts';
import { boot } from '#tools/boot.ts';
import type { Session } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { drive } from '#tools/drive.ts';
import { prepare, prepareRun, record } from '#tools/guest.ts';
import { type OptionGroup, parseCommandLine } from '#tools/options.ts';
import { mismatch, Recorder, TurnLog } from '#tools/recording.ts';
import { statReport } from '#tools/report.ts';
import { quire, scratch } from '../support/cli.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const groups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs', 'trace'];
const configOf = (...words: string[]) => {
  const { values, rest } = parseCommandLine('stat', groups, words);
  return prepare(values, rest, NO_TERMINAL);
};
const quiet = { output: { 1: null, 2: null }, stdin: 'blocks', progress: false } as const;

/** page windows as text: 'mapping:index window'. */
function usesOf(uses: RecordedUses): string[] {
  const found: string[] = [];
  const { numbers, starts, windows } = uses;
  for (let page = 1; page <= numbers.count; page++) {
    for (let at = starts[page]!; at < starts[page + 1]!; at++) found.push(`${numbers.mappingOf(page)}:${numbers.indexOf(page)} ${windows[at]}`);
  }
  return found.sort();
}

const program = ['--mem', '64M', '--', 'mergesort', '--count', '16K'];
describe('a recording', () => {
  test('has what an MMU that is asked for every single access sees', async () => {
    const recorded = await record(configOf(...program), false);
    // The other way: the filter never shows a page, as when misses are classed. While the engine runs, the MMU's tick is the clock, less traps.
    let naive: UseRecorder | null = null;
    const session = boot(configOf(...program), ({ machine: { mmu, hart }, kernel: { system } }) => {
      let isRunning = false;
      const clock = { get instret() { return isRunning ? mmu.tick - hart.traps : hart.instret; } };
      const watching = new UseRecorder({ folios: system.folios, machine: clock } as unknown as MmSystem);
      naive = watching;
      mmu.classifyMisses();
      mmu.observer = {
        used(pfn) {
          isRunning = true;
          watching.used(pfn);
          isRunning = false;
        },
      };
      system.uses = watching;
      return { take: () => [], end: () => [] };
    });
    await drive(session, quiet);
    const [a, b] = [usesOf(recorded.uses), usesOf(naive!.finish())];
    expect(a.length).toBeGreaterThan(1000);
    expect(a).toEqual(b);
    expect(recorded.instructions).toBe(session.instructions);
  });
  test('changes nothing of the run that is recorded', async () => {
    const run = async (isRecorded: boolean): Promise<unknown> => {
      const session = boot(configOf(...program), (created) => {
        if (isRecorded) new Recorder(created, 'opt');
        return { take: () => [], end: () => [] };
      });
      const outcome = await drive(session, quiet);
      const { host: _, ...report } = statReport(session, outcome, 'quire');
      if (isRecorded) session.recorder!.end();
      return report;
    };
    expect(await run(true)).toEqual(await run(false));
  });
  test('has the pages that system calls use, too', async () => {
    const recorded = await record(configOf('--', 'sh', '-c', 'wc /bin/sh'), false);
    const session = boot(configOf('--', 'sh', '-c', 'wc /bin/sh'));
    // All of the file's pages; executing it uses a part of them only.
    const byMapping = new Map<number, number[]>();
    const { numbers } = recorded.uses;
    for (let page = 1; page <= numbers.count; page++) {
      const list = byMapping.get(numbers.mappingOf(page)) ?? [];
      list.push(numbers.indexOf(page));
      byMapping.set(numbers.mappingOf(page), list);
    }
    const sizes = [...byMapping].filter(([mapping]) => mapping > 0).map(([, indices]) => indices.length);
    expect(Math.max(...sizes)).toBeGreaterThanOrEqual(Math.floor(session.config.inputs.files.find(({ path }) => path === '/bin/sh')!.bytes.length / 4096));
  });
});

describe('the next and the last use', () => {
  test('agree with a search through all uses', () => {
    const system = { folios: { folioOf: (pfn: number) => pfn, mapping: () => 5, index: (folio: number) => folio }, machine: { instret: 0 } };
    const recorder = new UseRecorder(system as never);
    const uses: [window: number, page: number][] = [];
    let seed = 7;
    const below = (n: number): number => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) % n;
    for (let window = 0; window < 400; window += 1 + below(3)) {
      for (let i = below(5); i >= 0; i--) {
        const page = below(20);
        system.machine.instret = window * USE_WINDOW + below(USE_WINDOW);
        recorder.used(page as Pfn);
        uses.push([window, page]);
      }
    }
    const reader = new UseReader(recorder.finish());
    for (let now = 0; now < 410 * USE_WINDOW; now += below(3 * USE_WINDOW)) {
      const window = Math.floor(now / USE_WINDOW);
      const [first, nr] = [below(20), 1 + below(3)];
      const mine = uses.filter(([, page]) => page >= first && page < first + nr).map(([at]) => at);
      const next = Math.min(...mine.filter((at) => at >= window));
      const last = Math.max(-1, ...mine.filter((at) => at <= window));
      expect(reader.nextUse(5, first, nr, now)).toBe(next * USE_WINDOW);
      expect(reader.lastUse(5, first, nr, now)).toBe(last < 0 ? -1 : last * USE_WINDOW);
    }
    expect([reader.nextUse(6, 0, 1, 0), reader.lastUse(6, 0, 1, 0)]).toEqual([Infinity, -1]);
  });
});

describe('whether a later run is the same', () => {
  const after = async (words: readonly string[], change: (session: Session) => void = () => {}) => {
    const recording = await record(configOf(...words), false);
    let turns: TurnLog | null = null;
    const session = boot(configOf(...words), (created) => {
      turns = new TurnLog(created);
      change(created);
      return { take: () => [], end: () => [] };
    });
    await drive(session, quiet);
    return mismatch(session, recording, turns!.end());
  };
  test('it is, for a program that does the same', async () => expect(await after(['--', 'hello'])).toBeNull());
  test('it is not when it takes other instructions, as a program that looks at the clock does', async () => {
    expect(await after(['--', 'sh', '-c', 'echo $(cat /proc/uptime) | wc'], ({ machine }) => { machine.charge(123_456_789_000); })).toMatch(/instructions when it was recorded/);
  });
  test('it is not when tasks take turns otherwise', async () => {
    const words = ['--', 'sh', '-c', 'wc /bin/sh & wc /bin/gups; wait'];
    expect(await after(words)).toBeNull();
    expect(await after(words, ({ kernel }) => { kernel.params.vm.slice_instructions = 7000; })).toMatch(/took turns at other instructions/);
  });
});

test('--lru opt runs the program twice, and refuses what the first run would change', async () => {
  const ended = quire(['run', '--lru', 'opt', '--memory-max', '2M', '--', 'hello']);
  expect(ended).toEqual(quire(['run', '--', 'hello']));
  const image = host.path('disk.img');
  expect(quire(['mkfs', image, '--size', '1M']).status).toBe(0);
  const { values, rest } = parseCommandLine('stat', groups, ['--lru', 'lru', '--disk', `${image}:rw`, '--', 'hello']);
  await expect(prepareRun(values, rest, NO_TERMINAL)).rejects.toThrow(/run twice.*Leave :rw out/);
});
