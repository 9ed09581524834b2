// Shared memory in large folios against a real Linux 6.18, under twelve settings of shmem_enabled (test/golden/shmem-record.sh).
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runGuest } from '../support/run-guest.ts';

const controls = '/sys/kernel/mm/transparent_hugepage';
const golden = readFileSync(new URL('../golden/shmem-linux-6.18.txt', import.meta.url), 'utf8');

test.each(golden.split('\n= ').slice(1).map((section) => [section.split('\n')[0]!.trim(), section.slice(section.indexOf('\n') + 1)] as const))(
  'shmem_enabled %s: faults and folios are those of Linux', (setting, answer) => {
    const [global = '', ...sizes] = setting.split(' ');
    const set = [`${controls}/shmem_enabled=${global}`, ...sizes.map((size) => `${controls}/hugepages-${size.replace('=', 'kB/shmem_enabled=')}`)];
    const { stdout, stderr, status } = runGuest([...set.flatMap((one) => ['--set', one]), '--', 'shmem']);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout.trimEnd().split('\n')).toEqual(answer.trimEnd().split('\n'));
  });
