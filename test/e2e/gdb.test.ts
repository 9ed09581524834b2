// gdb-multiarch itself, with a script, against `quire debug --gdb`: every command of the protocol's acceptance list, and not one line that complains.
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { bundle } from '../support/cli.ts';
import { CrossFolder, hasGcc, hasGdb, missing } from '../support/cross-tools.ts';

const folder = new CrossFolder();
afterAll(() => folder.remove());

const guest = `
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
volatile int counter;
volatile long total;
volatile int seen, handled;
double ratio = 0.5;
__attribute__((noinline)) int bump(int by)
{
  int old = __atomic_fetch_add(&counter, by, __ATOMIC_SEQ_CST);
  int want = old + by;
  while (!__atomic_compare_exchange_n(&counter, &want, want + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    ;
  return old;
}
__attribute__((noinline)) int square(int x)
{
  return x * x;
}
__attribute__((noinline)) long work(int n)
{
  long sum = 0;
  for (int i = 0; i < n; i++)
    sum += square(i);
  total = sum;
  seen = total != 0;
  return sum;
}
static void handler(int sig) { seen = sig; }
static void *thread(void *arg)
{
  work(3);
  bump(5);
  return arg;
}
__attribute__((noinline)) void in_child(void)
{
  work(2);
}
int main(void)
{
  bump(1);
  work(5);
  pthread_t t;
  pthread_create(&t, 0, thread, 0);
  pthread_join(t, 0);
  signal(SIGUSR1, handler);
  raise(SIGUSR1);
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  sigaddset(&both, SIGUSR2);
  signal(SIGUSR2, handler);
  sigprocmask(SIG_BLOCK, &both, 0);
  raise(SIGUSR1);
  raise(SIGUSR2);
  sigprocmask(SIG_UNBLOCK, &both, 0);
  handled = seen;
  fflush(stdout);
  int pid = fork();
  if (pid == 0) {
    in_child();
    _exit(7);
  }
  int status;
  waitpid(pid, &status, 0);
  printf("%d %ld %d %d\\n", counter, total, seen, WEXITSTATUS(status));
  return 0;
}
`;

/** Runs quire and gdb together. @returns what gdb printed, by the sections that `echo ==name` begins; how quire ended */
async function session(words: readonly string[], symbols: string | null, script: readonly string[], where = '0'): Promise<{ sections: Record<string, string>; text: string; output: string; status: number | null }> {
  const quire = spawn(process.execPath, [bundle, 'debug', '--gdb', where, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, output] = ['', ''];
  quire.stderr.on('data', (bytes: Buffer) => { said += bytes.toString(); });
  quire.stdout.on('data', (bytes: Buffer) => { output += bytes.toString(); });
  const ended = new Promise<number | null>((resolve) => { quire.on('close', resolve); });
  try {
    const target = await new Promise<string>((resolve, reject) => {
      quire.on('close', () => { reject(new Error(`quire ended: ${said}`)); });
      quire.stderr.on('data', () => {
        const at = /target remote ([^']+)'/.exec(said)?.[1];
        if (at !== undefined) resolve(at);
      });
    });
    const file = folder.path('script.gdb');
    writeFileSync(file, ['set pagination off', 'set confirm off', 'set width 0', 'set sysroot /nonexistent', `target remote ${target}`, ...script].join('\n'));
    const gdb = spawn('gdb-multiarch', ['-nx', '-batch', '-x', file, ...(symbols === null ? ['-ex', 'set architecture riscv:rv64'] : [symbols])], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [gdb.stdout, gdb.stderr]) stream.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    await new Promise((resolve) => { gdb.on('close', resolve); });
    const sections = Object.fromEntries(text.split(/^==/m).slice(1).map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]));
    const status = await ended;
    return { sections, text, output, status };
  } finally {
    quire.kill('SIGKILL');
  }
}
/** Lines in which gdb complains. */
const complaints = (text: string): string[] => text.split('\n').filter((line) => /error|warning|cannot|can't|unable|not supported|does not support|failed|ignoring|unknown|invalid|timed out|no symbol|could not/i.test(line));
const section = (name: string): string => `echo ==${name}\\n`;

describe.skipIf(!hasGdb || !hasGcc)(`gdb-multiarch on a program of gcc${missing('gdb-multiarch', 'gcc-riscv64-linux-gnu')}`, () => {
  test('goes through its script without a complaint, and each command did what it says', async () => {
    const program = folder.compile('gcc', guest, ['-O1', '-g']);
    const { sections, text, status } = await session(['--', program], program, [
      section('break'), 'break bump', 'continue', 'bt',
      section('stepi'), 'stepi 5', 'x/i $pc',
      section('atomic'), 'next', 'next', 'next', 'info line',
      section('finish'), 'finish',
      section('call'), 'delete', 'print square(6)', 'print work(4)', 'print total',
      section('write'), 'set var counter = 41', 'print counter', 'print $t0 = 5', 'print $fa5 = 1.25', 'print $fa5', 'print ratio',
      section('watch'), 'watch total', 'continue', 'continue', 'delete',
      section('rwatch'), 'rwatch total', 'continue', 'delete',
      section('awatch'), 'awatch counter', 'continue', 'delete',
      section('hbreak'), 'hbreak thread', 'info breakpoints', 'delete',
      section('proc'), 'info proc', 'info proc mappings', 'info auxv',
      section('threads'), 'info threads', 'thread 1', 'bt 1', 'thread 2',
      section('memory'), 'find &ratio, +64, (long)0x3fe0000000000000', 'compare-sections .text', 'x/2i work',
      section('registers'), 'p $pc', 'p $satp != 0', 'p $fcsr', 'info registers instret',
      section('signal'), 'continue', 'print $_siginfo.si_signo', 'bt 1',
      section('two'), 'continue', 'continue', 'watch handled', 'continue', 'delete',
      section('forward'), 'break in_child', 'set follow-fork-mode child', 'set detach-on-fork off', 'continue', 'info inferiors',
      section('before'), 'stepi 6', 'info registers',
      section('back'), 'reverse-stepi 6', 'x/i $pc',
      section('after'), 'stepi 6', 'info registers',
      section('reverse'), 'break square', 'continue', 'finish', 'reverse-continue', 'bt 1', 'reverse-continue', 'delete',
      section('monitor'), 'monitor vmas', 'monitor tlb', 'monitor pt sp', 'monitor buddy', 'monitor continue',
      section('child'), 'continue', 'inferior 1', 'info threads', 'next',
      section('kill'), 'kill', 'info inferiors',
    ]);
    expect(complaints(text.replace(/^.*monitor continue.*$/m, ''))).toEqual([]);
    expect(sections['break']).toMatch(/Breakpoint 1, bump \(by=.*1\)[^]*#1 .* in main \(\)/);
    expect(sections['stepi']).toMatch(/=> 0x[0-9a-f]+ <bump\+\d+>/);
    expect(sections['atomic']).toMatch(/return old|bump|main/);
    expect(sections['finish']).toMatch(/Value returned is \$\d+ = 0|main \(\)/);
    expect(sections['call']).toMatch(/= 36\n[^]*= 14\n[^]*= 14\n/);
    expect(sections['write']).toMatch(/= 41\n[^]*= 1\.25[^]*= 0\.5\n/);
    expect(sections['watch']).toMatch(/Old value = 14\nNew value = 30\nwork \(n=[^]*Old value = 30\nNew value = 5\nwork/);
    expect(sections['rwatch']).toMatch(/Hardware read watchpoint \d+: total\n\nValue = 5\n/);
    expect(sections['awatch']).toMatch(/Hardware access \(read\/write\) watchpoint \d+: counter\n\nOld value = 41\nNew value = 46\n/);
    expect(sections['hbreak']).toMatch(/hw breakpoint/);
    expect(sections['proc']).toMatch(/process 2\n[^]*r-xp[^]*\[stack\][^]*AT_PAGESZ[^]*4096/);
    expect(sections['threads']).toMatch(/Thread 2\.2 "guest-\d+" \(sleeps in futex\)[^]*Thread 2\.3 "guest-\d+" \(runnable\)/);
    expect(sections['memory']).toMatch(/<ratio>\n1 pattern found[^]*matched/);
    expect(sections['signal']).toMatch(/SIGUSR1[^]*= 10\n/);
    // Both wait, and are taken without an instruction between them: the second one's handler runs first.
    expect(sections['two']).toMatch(/signal SIGUSR1[^]*signal SIGUSR2[^]*New value = 10\n/);
    expect(sections['forward']).toMatch(/hit Breakpoint[^]*in_child \(\)[^]*process 2[^]*\* 2 +process \d+/);
    expect(sections['after']).toBe(sections['before']);
    expect(sections['back']).toMatch(/in_child/);
    expect(sections['reverse']!.match(/hit Breakpoint \d+[^\n]*square/g)!.length).toBeGreaterThanOrEqual(2);
    expect(sections['monitor']).toMatch(/\[heap\][^]*L1 D[^]*moves the program behind gdb's back/);
    expect(sections['child']).toMatch(/\[Inferior 2 \(process \d+\) exited with code 07\]/);
    expect(sections['kill']).toMatch(/\[Inferior 1 \(process 2\) killed\][^]*<null>/);
    expect(status).toBe(0);
  });

  test('over a socket of the file system; who detaches lets the program run to its end', async () => {
    const program = folder.compile('gcc', guest, ['-O0', '-g']);
    const { text, output } = await session(['--', program], program, ['break work', 'continue', 'delete', 'detach'], `unix:${folder.path('socket')}`);
    expect(complaints(text)).toEqual([]);
    expect(output).toBe('8 5 10 7\n');
  });
});

test.skipIf(!hasGdb)(`gdb-multiarch on a stripped program${missing('gdb-multiarch')}`, async () => {
  const { sections, text, output, status } = await session(['--', 'hello'], null, [
    section('steps'), 'stepi 200', 'x/3i $pc', 'info proc mappings', 'info auxv', 'info threads',
    section('before'), 'info registers', 'reverse-stepi 50', 'stepi 50', section('after'), 'info registers',
    section('break'), 'tbreak *$ra', 'continue', 'reverse-continue', 'monitor vmas',
    section('kill'), 'kill',
  ]);
  expect(complaints(text)).toEqual([]);
  expect(sections['steps']).toMatch(/=> 0x[^]*\[stack\][^]*AT_PHDR[^]*Thread 2\.2 "hello"/);
  expect(sections['after']).toBe(sections['before']!.slice(0, sections['after']!.length));
  expect(sections['break']).toMatch(/emporary breakpoint/);
  expect([output, status]).toEqual(['', 0]);
});

/** Starts quire for a client of the test's own. */
async function served(...words: string[]): Promise<{ port: number; stop: () => void }> {
  const quire = spawn(process.execPath, [bundle, 'debug', '--gdb', '0', ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  const port = await new Promise<number>((resolve) => {
    quire.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      const match = /127\.0\.0\.1:(\d+)/.exec(said);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  return { port, stop: () => { quire.kill('SIGKILL'); } };
}
/** Sends each text when the one before has been answered by a packet. @returns what came back */
function talk(port: number, ...texts: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const waiting = [...texts];
    let got = '';
    const next = (): void => {
      const text = waiting.shift();
      if (text === undefined) socket.end();
      else socket.write(text);
      // A program that runs says nothing: the next one interrupts it.
      if (waiting[0] === '\x03') setTimeout(next, 100);
    };
    socket.on('data', (bytes) => {
      got += bytes.toString();
      if (/\$.*#..$/.test(got)) next();
    });
    socket.on('error', reject);
    socket.on('close', () => { resolve(got); });
    next();
  });
}
test('a program that runs is stopped by Ctrl-C, and is where it was for the next gdb', async () => {
  const { port, stop } = await served('--', 'sh', '-c', 'while true; do :; done');
  try {
    expect(await talk(port, '$vCont;c#a8', '\x03')).toMatch(/^\+\$T02thread:2;/);
    expect(await talk(port, '$?#3f')).toMatch(/^\+\$T05thread:2;/);
  } finally {
    stop();
  }
});
test('a port of another address is refused, and one that is taken; what connects and talks nonsense ends nothing', async () => {
  const refused = spawnSync(process.execPath, [bundle, 'debug', '--gdb', '0.0.0.0:1234', '--', 'hello'], { encoding: 'utf8' });
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringMatching(/^quire: --gdb 0\.0\.0\.0:1234: other machines cannot be let in/)]);
  const { port, stop } = await served('--', 'hello');
  try {
    const taken = spawnSync(process.execPath, [bundle, 'debug', '--gdb', `${port}`, '--', 'hello'], { encoding: 'utf8' });
    expect([taken.status, taken.stderr]).toEqual([2, expect.stringMatching(/cannot listen there: somebody else does already/)]);
    expect(await talk(port, 'GET / HTTP/1.1\r\n\r\n$?#3f')).toMatch(/^\+\$T05thread:2;/);
    expect(await talk(port, '\x00\xff$nonsense#00$qC#b4')).toMatch(/^-\+\$QC2#/);
  } finally {
    stop();
  }
});
