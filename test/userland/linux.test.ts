// Anonymous memory against a real Linux, under eight settings of multi-size THP: the minor faults of every step of userland/programs/faults.c, and
// what smaps, mincore and pagemap say after every step (smaps.c), and which folios are there then (folios.c), what changes
// of the per-size counters (sizes.c: partial unmaps, moves, forks, MADV_COLLAPSE). Then the scripts of userland/probes (probe.c): several processes,
// shared memory and files, every advice, mlock, mremap, MADV_COLLAPSE of mixtures; after every step the faults and whatever has changed of maps,
// smaps, status, mincore, pagemap, kpagecount. The golden answers come from Linux itself; userland/record-linux.mjs is how.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runGuest } from '../support/run-guest.ts';

/** An answer that is null is the one of the column before. */
interface Golden { kernel: string; columns: string[]; rows: [string, ...(string | null)[]][] }
const goldenOf = (program: string): Golden => JSON.parse(readFileSync(join(import.meta.dirname, `../golden/${program}-linux-6.18.json`), 'utf8')) as Golden;
/** The options that mean the same as the recorded settings of /sys/kernel/mm/transparent_hugepage. */
const settings: Readonly<Record<string, readonly string[]>> = {
  never: ['--thp', 'never', '--mthp', '2m=never'],
  '16K': ['--thp', 'never', '--mthp', '2m=never,16k=always'],
  '64K': ['--thp', 'never', '--mthp', '2m=never,64k=always'],
  '16K+64K+2M': ['--thp', 'never', '--mthp', '16k=always,64k=always,2m=always'],
  '2M': ['--thp', 'never', '--mthp', '2m=always'],
  '32K+256K': ['--thp', 'never', '--mthp', '2m=never,32k=always,256k=always'],
  advised: ['--thp', 'madvise', '--mthp', '16k=madvise,64k=inherit,2m=inherit'],
  inherited: ['--thp', 'always', '--mthp', '2m=never,128k=inherit,1m=inherit,512k=madvise'],
};
/** The same for sizes.c, where only memory that asks for it gets large folios. */
const advised: Readonly<Record<string, readonly string[]>> = {
  never: ['--thp', 'never', '--mthp', '2m=never'],
  '16K': ['--thp', 'never', '--mthp', '2m=never,16k=madvise'],
  '64K': ['--thp', 'never', '--mthp', '2m=never,64k=madvise'],
  '16K+64K+2M': ['--thp', 'never', '--mthp', '16k=madvise,64k=madvise,2m=madvise'],
  '2M': ['--thp', 'never', '--mthp', '2m=madvise'],
  '32K+256K': ['--thp', 'never', '--mthp', '2m=never,32k=madvise,256k=madvise'],
  inherited: ['--thp', 'madvise', '--mthp', '64k=inherit,2m=inherit'],
  '128K+512K+1M': ['--thp', 'never', '--mthp', '2m=never,128k=madvise,512k=madvise,1m=madvise'],
};

describe.each(['faults', 'smaps', 'folios', 'sizes'])('%s prints what it prints on Linux 6.18', (program) => {
  const golden = goldenOf(program);
  test.each(golden.columns.slice(1).map((name, i) => [name, i + 1] as const))('with folios of %s', (name, column) => {
    const { stdout, stderr, status } = runGuest([...(program === 'sizes' ? advised : settings)[name]!, '--', program]);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    // Line by line, so that a failure shows which steps differ, with both answers.
    const lines = stdout.trimEnd().split('\n');
    const differing = golden.rows.flatMap((row, i) => (lines[i] === `${row[0]} ${row[column]}` ? [] : [`${lines[i]}   Linux: ${row[column]}`]));
    expect(differing).toEqual([]);
    expect(lines.length).toBe(golden.rows.length);
  });
});

/** Where Quire differs on purpose, by step; userland/README.md says why. */
const deliberate: Readonly<Record<string, readonly string[]>> = {
  smaps: ['a write 20+1'],
};
const scripts = readdirSync(join(import.meta.dirname, '../../userland/probes')).map((file) => file.replace('.txt', ''));
describe.each(scripts)('probe, with the script %s, prints what it prints on Linux 6.18', (script) => {
  const golden = goldenOf(`probe-${script}`);
  const input = readFileSync(join(import.meta.dirname, `../../userland/probes/${script}.txt`), 'utf8');
  test.each(golden.columns.slice(1).map((name, i) => [name, i + 1] as const))('with folios of %s', (name, column) => {
    // Four levels of page tables, as the machine had that was asked: VmPTE counts them.
    const { stdout, stderr, status } = runGuest(['--sv', '48', ...settings[name]!, '--', 'probe'], { input });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const lines = stdout.trimEnd().split('\n');
    const differing = golden.rows.flatMap(([step, ...answers], i) => {
      const answer = answers.slice(0, column).findLast((text) => text !== null);
      const line = /^([^:]*):? ?(.*)$/.exec(lines[i] ?? '')!;
      return line[1] === step && (line[2] === answer || deliberate[script]?.includes(step)) ? [] : [`${lines[i]}   Linux: ${answer}`];
    });
    expect(differing).toEqual([]);
    expect(lines.length).toBe(golden.rows.length);
  });
});
