// Ten times more memory in use than a limit allows: with swap enough the program ends and finds all it wrote; without, it is killed, and the log says why.
// And the policy exchanged under a running program.
import { describe, expect, test } from 'vitest';
import { runGuest } from '../support/run-guest.ts';

const limits = ['--memory-max', '2M', '--swap', '32M', '--sanitize'];
const program = 'reclaim --size 20M --window 3M --hot 1M --verify 1 --touches 4000';

describe.each(['two-list', 'mglru', 'clock'])('ten times the limit in use, %s', (policy) => {
  test.each(['zipf', 'loop'])('%s: swap is large enough: everything is found again', (pattern) => {
    const { status, stdout, stderr } = runGuest(['--lru', policy, ...limits, '--', 'sh', '-c', `${program} --pattern ${pattern}`]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^checksum [0-9a-f]{16}$/m);
  });

  test('swap is too small: the program that uses most is killed, by SIGKILL, and the log has the limit, its group and its score', () => {
    const { status, stdout, session } = runGuest(['--lru', policy, '--memory-max', '2M', '--swap', '8M', '--', 'sh', '-c', `${program} --pattern zipf; echo status $?`]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'status 137\n' });  // the shell lives on
    const log = session.takeLog().join('\n');
    expect(log).toMatch(/^reclaim invoked oom-killer/m);
    expect(log).toMatch(/constraint=CONSTRAINT_MEMCG.*task=reclaim/);
    expect(log).toMatch(/Memory cgroup out of memory: Killed process \d+ \(reclaim\)/);
  });
});

test('the policy is exchanged again and again while a program swaps: nothing is lost, and each has worked', () => {
  const switches = Array.from({ length: 12 }, (_, i) => `sleep 0.02; echo ${i % 2 === 0 ? 'y' : 'n'} > /sys/kernel/mm/lru_gen/enabled`).join('; ');
  const { status, stdout, stderr } = runGuest([
    '--lru', 'two-list', '--mthp', '64k=always,16k=always', ...limits, '--',
    'sh', '-c', `${program} --pattern zipf --touches 40000 & ${switches}; wait; grep pgsteal_anon /proc/vmstat; cat /sys/kernel/mm/lru_gen/enabled`,
  ]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^checksum [0-9a-f]{16}$/m);
  expect(stdout).toMatch(/^0x0000$/m);
});

test('the group of --memory-max is a directory of the guest, whose other limits can be set before the start', () => {
  const { stdout } = runGuest(['--memory-max', '8M', '--set', '/sys/fs/cgroup/quire/memory.high=4M', '--', 'sh', '-c', 'cd /sys/fs/cgroup/quire; cat memory.max memory.high /proc/self/cgroup']);
  expect(stdout).toBe('8388608\n4194304\n0::/quire\n');
});
