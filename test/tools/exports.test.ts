// Traces in files of other tools: read by readers of their own, held against the report of the run and against each other.
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import { totalUsage } from '#kernel';
import { scratch } from '../support/cli.ts';
import { exportRun, type Exported } from '../support/export-run.ts';
import { readPerfetto, type ReadSlice, type ReadTrace } from '../support/perfetto-reader.ts';
import { runGuest } from '../support/run-guest.ts';
import { counterRows } from '#tools/trace/run-counters.ts';
import { checkRequest } from '#tools/trace/formats.ts';

/** Forks, executes, reads and writes files, faults for lack of memory under a limit, and swaps. */
const busy = ['--mem', '32M', '--swap', '64M', '--memory-max', '3M', '--', 'sh', '-c', 'hello > /tmp/a; gups --words 524288 --updates 300; cat /tmp/a'];
/** Dirties a disk and fills small memory, so that the kernel's own threads have work. */
const whole = ['--mem', '16M', '--swap', '64M', '--thp', 'always', '--set', '/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs=1', '--', 'gups', '--words', '2097152', '--updates', '2000'];

let perfetto: Exported;
let trace: ReadTrace;
beforeAll(() => {
  perfetto = exportRun('perfetto', busy);
  trace = readPerfetto(perfetto.bytes);
});
const named = (name: RegExp): ReadSlice[] => trace.slices.filter((slice) => name.test(slice.name));

describe('perfetto', () => {
  test('a conformant reader finds every slice begun, ended and nested, and time that never goes back', () => {
    expect(trace.slices.length).toBeGreaterThan(1000);
    const isWithin = ({ start, end, parent }: ReadSlice): boolean => end >= start && (parent === null || (start >= parent.start && end <= parent.end));
    expect(trace.slices.filter((slice) => !isWithin(slice))).toEqual([]);
  });
  test('every program has a process, every task a thread in it, under the name it has last', () => {
    const processes = trace.tracks.filter(({ kind }) => kind === 'process');
    expect(processes.map(({ name }) => name)).toEqual(['init', 'sh', 'hello', 'hello', 'hello', 'gups', 'sh']);
    for (const thread of trace.tracks.filter(({ kind }) => kind === 'thread')) expect(processes).toContainEqual(expect.objectContaining({ uuid: thread.parent, pid: thread.pid }));
  });
  test('faults are slices made of their phases, without a gap', () => {
    const faults = named(/^page fault/);
    const inside = new Map<ReadSlice | null, ReadSlice[]>(faults.map((fault) => [fault, []]));
    for (const slice of trace.slices) inside.get(slice.parent)?.push(slice);
    const shapes = faults.map((fault) => {
      const phases = inside.get(fault)!;
      const isWithoutGap = phases.every((phase, i) => phase.start === (i === 0 ? fault.start : phases[i - 1]!.end)) && phases.at(-1)!.end === fault.end;
      return `${phases[0]!.name} to ${phases.at(-1)!.name}${isWithoutGap ? '' : ', with gaps'}`;
    });
    expect(new Set(shapes)).toEqual(new Set(['trap to return']));
    const { minFlt, majFlt } = totalUsage(perfetto.session.kernel.first!);
    const settled = faults.filter((fault) => fault.args['result'] === 'Done' && fault.track.name !== 'init');
    expect(settled.length).toBe(minFlt + majFlt - faults.filter(({ track, args }) => track.name === 'init' && args['result'] === 'Done').length);
    expect(settled.filter(({ args }) => args['major'] === 1).length).toBe(majFlt);
    expect(majFlt).toBeGreaterThan(50);
    const first = faults.find(({ name }) => name === 'page fault (anon)')!;
    expect(trace.slices.find(({ parent, name }) => parent === first && name === 'order choice')!.args['reason']).toBe('thp-off');
  });
  test('reclaim stands in the phase that needed it, requests of swap on the slots of its disk', () => {
    const reclaim = named(/^memcg reclaim$/);
    expect(reclaim.length).toBeGreaterThan(20);
    for (const slice of reclaim) expect(['allocate', 'zero', 'map', 'copy', 'trap', 'vma lookup', 'rmap+lru']).toContain(slice.parent?.name);
    expect(new Set(named(/^RA?S?M? \d+ bytes$/).map(({ track }) => track.name))).toContain('vda slot 0');
  });
  test('system calls are slices with their arguments and answers', () => {
    const calls = trace.slices.filter(({ category }) => category === 'syscall');
    const lines = exportRun('csv', busy, { events: ['sys_enter'] }).text.split('\r\n').slice(1, -1);
    expect(calls.length).toBe(lines.length);
    expect(calls.find(({ name, args }) => name === 'openat' && args['error'] === undefined)!.args['ret']).toBeGreaterThanOrEqual(3);
    expect(calls.filter(({ name }) => name === 'exit_group').length).toBe(5);
  });
  test('one task at a time has the hart', () => {
    const turns = trace.slices.filter(({ track }) => track.name === 'hart 0');
    turns.forEach((turn, i) => { if (i > 0) expect(turn.start).toBeGreaterThanOrEqual(turns[i - 1]!.end); });
    expect(new Set(turns.map(({ name }) => name))).toEqual(new Set(['sh', 'hello', 'gups']));
  });
  test('what only grows never falls, and ends at what the report says', () => {
    const report = runGuest(busy).report();
    const ends: Record<string, number> = {};
    for (const { name, isTotal, unit } of counterRows) {
      const values = trace.counters.filter(({ track }) => track.name === name).map(({ value }) => value);
      if (isTotal) values.forEach((value, i) => { if (i > 0) expect(value, name).toBeGreaterThanOrEqual(values[i - 1]!); });
      expect(trace.tracks.find((track) => track.name === name)!.unit).toBe(unit === 'bytes' ? 3 : 2);
      ends[name] = values.at(-1)!;
    }
    const { l1d, l1i, walks } = report.tlb;
    expect(ends).toMatchObject({
      'dTLB misses': l1d.misses, 'iTLB misses': l1i.misses, 'L2 TLB misses': walks.count, 'page faults': report.vmstat['pgfault'], 'major faults': report.vmstat['pgmajfault'],
      'refaults': report.vmstat['workingset_refault_anon']! + report.vmstat['workingset_refault_file']!, 'pages reclaimed': report.vmstat['pgsteal_anon']! + report.vmstat['pgsteal_file']!, 'instructions': report.clock.instructions,
    });
    const rss = trace.counters.filter(({ track }) => track.name === 'resident set');
    expect(Math.max(...rss.map(({ value }) => value))).toBeLessThanOrEqual(report.memory.maxRssKb * 1024);
    expect(trace.tracks.filter(({ name, parent }) => name === 'resident set' && trace.tracks.some(({ uuid, kind }) => uuid === parent && kind === 'process')).length).toBeGreaterThan(2);
  });
  test('threads of the kernel have rows of their own', () => {
    const { tracks, slices } = readPerfetto(exportRun('perfetto', whole).bytes);
    const kernel = tracks.find(({ name }) => name === 'kernel')!;
    const rows = tracks.filter(({ parent, kind }) => parent === kernel.uuid && kind === 'row').map(({ name }) => name);
    expect(rows).toEqual(expect.arrayContaining(['kswapd0', 'khugepaged', 'hart 0', 'vda slot 0']));
    expect(slices.filter(({ track, name }) => track.name === 'hart 0' && name === 'kswapd0').length).toBeGreaterThan(0);
  });
  test('only what was asked for is told; the run is the one that nobody watches, however the host slices it', () => {
    const few = readPerfetto(exportRun('perfetto', busy, { events: ['raw_syscalls'] }).bytes);
    expect(new Set(few.slices.map(({ category }) => category))).toEqual(new Set(['syscall', 'sched']));
    expect(few.instants).toEqual([]);
    expect(perfetto.session.stateHash()).toBe(runGuest(busy).session.stateHash());
    expect(exportRun('perfetto', busy, {}, 77_777).bytes.equals(perfetto.bytes)).toBe(true);
  });
});

test('chrome: valid JSON of the trace event format, with the slices that Perfetto\'s file has', () => {
  interface Event { ph: string; name?: string; cat?: string; pid: number; tid: number; ts?: number; args: Record<string, unknown>; s?: string }
  const { displayTimeUnit, traceEvents } = JSON.parse(exportRun('chrome', busy).text) as { displayTimeUnit: string; traceEvents: Event[] };
  expect(displayTimeUnit).toBe('ns');
  const shapes = new Set<string>();
  const open = new Map<string, Event[]>();
  const slices: [string, number, number][] = [];
  for (const event of traceEvents) {
    shapes.add(`${event.ph} ${typeof event.pid} ${typeof event.tid} ${typeof event.ts} ${typeof event.args} ${event.s}`);
    const stack = open.get(`${event.pid} ${event.tid}`) ?? [];
    open.set(`${event.pid} ${event.tid}`, stack);
    if (event.ph === 'B') stack.push(event);
    if (event.ph !== 'E') continue;
    const begun = stack.pop()!;
    slices.push([begun.name!, Math.round(begun.ts! * 1000), Math.round(event.ts! * 1000)]);
  }
  expect([...open.values()].every((stack) => stack.length === 0)).toBe(true);
  expect([...shapes].sort()).toEqual(['B number number number object undefined', 'C number number number object undefined', 'E number number number object undefined', 'M number number undefined object undefined', 'i number number number object t']);
  const sorted = (rows: [string, number, number][]): string[] => rows.map((row) => row.join(' ')).sort();
  expect(sorted(slices)).toEqual(sorted(trace.slices.map(({ name, start, end }) => [name, start, end])));
});

describe('csv', () => {
  /** RFC 4180: records end with CR LF; quotes around a field, two for one in it. */
  const parse = (text: string): string[][] => {
    const rows: string[][] = [];
    let [row, cell, isQuoted]: [string[], string, boolean] = [[], '', false];
    for (let i = 0; i < text.length; i++) {
      const c = text[i]!;
      if (isQuoted) {
        if (c !== '"') cell += c;
        else if (text[i + 1] === '"') { cell += '"'; i++; } else isQuoted = false;
      } else if (c === '"') isQuoted = true;
      else if (c === ',') { row.push(cell); cell = ''; } else if (c === '\r' && text[i + 1] === '\n') {
        rows.push([...row, cell]);
        [row, cell] = [[], ''];
        i++;
      } else cell += c;
    }
    expect([row, cell]).toEqual([[], '']);
    return rows;
  };
  test('a row an event, all as wide as the head, in the order of the run', () => {
    const [head, ...rows] = parse(exportRun('csv', busy, { events: ['kmem:mm_page_alloc', 'fault_return'] }).text);
    expect(head).toEqual(['time_ns', 'instructions', 'comm', 'tid', 'system', 'event', 'pfn', 'order', 'migratetype', 'gfp_flags', 'mm_id', 'address', 'kind', 'result', 'major']);
    for (const row of rows) expect(row.length).toBe(head!.length);
    expect(rows.length).toBe(exportRun('ftrace', busy, { events: ['kmem:mm_page_alloc', 'fault_return'] }).text.split('\n').length - 5);
    rows.forEach((row, i) => { if (i > 0) expect(Number(row[0])).toBeGreaterThanOrEqual(Number(rows[i - 1]![0])); });
    expect(rows.filter((row) => row[5] === 'mm_page_alloc').every((row) => /^0x[0-9a-f]+$/.test(row[6]!) && row[11] === '')).toBe(true);
  });
  test('a program whose name has commas, quotes and line ends is one field', () => {
    const { text } = exportRun('csv', ['--mem', '32M', '--', 'sh', '-c', `cp /bin/hello '/tmp/a,"b'; '/tmp/a,"b'`], { events: ['sched_process_exec'] });
    expect(parse(text).map((row) => row[2])).toContain('a,"b');
  });
});

describe('folded stacks', () => {
  const parse = (text: string): [stack: string, count: number][] => text.split('\n').slice(0, -1).map((line) => {
    expect(line).toMatch(/^[^;\n]+(;[^;\n]+)* \d+$/);
    const at = line.lastIndexOf(' ');
    return [line.slice(0, at), Number(line.slice(at + 1))];
  });
  const sum = (rows: readonly [string, number][]): number => rows.reduce((total, [, count]) => total + count, 0);
  test('kernel: the lines add up to the clock, and name program, call or fault, and phase', () => {
    const { text, session } = exportRun('folded', busy, { stacks: 'kernel' });
    const rows = parse(text);
    expect(sum(rows)).toBe(Math.floor(session.kernel.uptimeNs()) - perfettoStart());
    expect(rows.map(([stack]) => stack)).toEqual(expect.arrayContaining(['gups;user mode', 'gups;page fault (anon);zero', 'gups;page fault (anon);allocate;memcg reclaim', 'idle', 'sh;clone']));
    expect(new Set(rows.map(([stack]) => stack)).size).toBe(rows.length);
  });
  /** When tracing began: before the program was started. */
  const perfettoStart = (): number => trace.counters[0]!.ns;
  test('guest: instructions by place, looked at every so many, however the host slices the run', () => {
    const { text, session } = exportRun('folded', busy, { everyInstrs: 1000 });
    const rows = parse(text);
    expect(sum(rows)).toBe(Math.floor(session.instructions / 1000) * 1000);
    expect(rows.every(([stack]) => /^(sh|gups|hello);/.test(stack))).toBe(true);
    expect(exportRun('folded', busy, { everyInstrs: 1000 }, 333).text).toBe(text);
  });
});

const gcc = spawnSync('riscv64-linux-gnu-gcc', ['--version']).status === 0;
test.skipIf(!gcc)(`guest stacks name functions where the program has symbols${gcc ? '' : ' (skipped: needs riscv64-linux-gnu-gcc)'}`, () => {
  const host = scratch();
  const source = host.file('named.c', 'void hot(void) { for (volatile int i = 0; i < 20000; i++); }\nvoid cold(void) { for (volatile int i = 0; i < 200; i++); }\nvoid _start(void) { cold(); hot(); __asm__ volatile ("li a0, 0\\n li a7, 93\\n ecall"); }\n');
  expect(spawnSync('riscv64-linux-gnu-gcc', ['-O1', '-march=rv64gc', '-mabi=lp64d', '-static', '-nostdlib', '-ffreestanding', '-fno-inline', '-o', host.path('named'), source]).status).toBe(0);
  const counts = Object.fromEntries(exportRun('folded', ['--mem', '32M', '--', host.path('named')], { everyInstrs: 7 }).text.split('\n').slice(0, -1).map((line) => line.split(' ')));
  expect(Object.keys(counts).filter((name) => name !== 'named;_start').sort()).toEqual(['named;cold', 'named;hot']);
  expect(Number(counts['named;hot']) / Number(counts['named;cold'])).toBeCloseTo(100, -1);
  host.remove();
});

test('what a format has no use for is said, with the formats that have', () => {
  const nothing = { events: null, faults: null, everyInstrs: null, stacks: null };
  expect(() => { checkRequest('perfetto', { ...nothing, everyInstrs: 5 }); }).toThrow('--every: --format perfetto has no use for it. Leave it out, or write --format folded.');
  expect(() => { checkRequest('folded', { ...nothing, events: ['sched'] }); }).toThrow('-e: --format folded has no use for it. Leave it out, or write --format perfetto or chrome or ftrace or csv.');
  expect(() => { checkRequest('csv', { ...nothing, events: ['sched_swich'] }); }).toThrow('Did you mean sched_switch');
  expect(() => { checkRequest('folded', { ...nothing, everyInstrs: 0 }); }).toThrow('Write --every 10007.');
  expect(() => { checkRequest('folded', { ...nothing, everyInstrs: 7, stacks: 'kernel' }); }).toThrow('not sampled');
});
