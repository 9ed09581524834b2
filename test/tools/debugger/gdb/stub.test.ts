// The stub without gdb: what each packet is answered, on programs that are always there.
import { afterAll, describe, expect, test } from 'vitest';
import { GdbClient, guestConfig } from '../../../support/gdb-client.ts';

const clients: GdbClient[] = [];
afterAll(() => { for (const client of clients) client.close(); });
function client(...words: string[]): GdbClient {
  const made = new GdbClient(guestConfig(...words));
  clients.push(made);
  return made;
}
const hello = (): GdbClient => client('--', 'hello');
/** A gdb that does not ask for children. */
function alone(...words: string[]): GdbClient {
  const made = new GdbClient(guestConfig(...words), 'multiprocess+;swbreak+;hwbreak+');
  clients.push(made);
  return made;
}

test('features, threads and the first stop', () => {
  const gdb = hello();
  expect(gdb.ask('qSupported:multiprocess+')).toMatch(/^PacketSize=4000;.*ReverseStep\+;ReverseContinue\+/);
  expect(gdb.ask('?')).toMatch(/^T05thread:p2\.2;02:[0-9a-f]{16};08:[0-9a-f]{16};20:[0-9a-f]{16};$/);
  expect([gdb.ask('qC'), gdb.ask('qfThreadInfo'), gdb.ask('qsThreadInfo'), gdb.ask('Hgp2.2'), gdb.ask('Tp2.2'), gdb.ask('Tp2.9'), gdb.ask('Hgp9.9')])
    .toEqual(['QCp2.2', 'mp2.2', 'l', 'OK', 'OK', 'E01', 'E01']);
  expect([gdb.ask('vMustReplyEmpty'), gdb.ask('vCont?'), gdb.ask('nonsense'), gdb.ask(''), gdb.ask('qSymbol::'), gdb.ask('QStartNoAckMode')]).toEqual(['', 'vCont;c;C;s;S', '', '', 'OK', 'OK']);
  expect(gdb.object('threads')).toContain('<thread id="p2.2" core="0" name="hello">runnable</thread>');
  const single = new GdbClient(guestConfig('--', 'hello'), 'swbreak+');
  clients.push(single);
  expect([single.ask('qfThreadInfo'), single.ask('?').slice(0, 13)]).toEqual(['m2', 'T05thread:2;0']);
});

test('registers have gdb\'s numbers; g holds those of cpu and fpu in order', () => {
  const gdb = hello();
  const cpu = gdb.object('features', 'riscv-64bit-cpu.xml');
  const numbers = (xml: string): Record<string, number> => Object.fromEntries([...xml.matchAll(/<reg name="(\w+)" .*regnum="(\d+)"/g)].map(([, name, n]) => [name!, Number(n)]));
  expect(numbers(cpu)).toMatchObject({ zero: 0, ra: 1, sp: 2, fp: 8, s1: 9, a0: 10, t6: 31, pc: 32 });
  expect(numbers(gdb.object('features', 'riscv-64bit-fpu.xml'))).toMatchObject({ ft0: 33, fa0: 43, ft11: 64, fflags: 66, frm: 67, fcsr: 68 });
  expect(numbers(gdb.object('features', 'riscv-64bit-csr.xml'))).toMatchObject({ satp: 449, cycle: 3137, instret: 3139 });
  expect(gdb.object('features', 'target.xml')).toContain('<architecture>riscv:rv64</architecture>');
  expect(gdb.object('features', 'other.xml')).toBe('E00');
  const g = gdb.ask('g');
  expect(g.length).toBe(2 * (33 * 8 + 32 * 8 + 3 * 4));
  expect(g.slice(32 * 16, 33 * 16)).toBe(gdb.ask('p20'));
  expect(gdb.register(2)).toBe(BigInt(gdb.timeline.session.kernel.first!.leader.mm.startStack));
  expect(gdb.ask('P5=efbeadde00000000')).toBe('OK');
  expect(gdb.register(5)).toBe(0xdeadbeefn);
  expect(gdb.ask('P44=e1000000')).toBe('OK');
  expect([gdb.register(66), gdb.register(67)]).toEqual([1n, 7n]);
  const changed = gdb.ask('g');
  expect(gdb.ask(`G${g}`)).toBe('OK');
  expect([gdb.ask('g'), changed === g]).toEqual([g, false]);
  expect([gdb.ask('p41'), gdb.ask('pffff'), gdb.ask('P5=1'), gdb.ask('P1c1=0000000000000000')]).toEqual(['E01', 'E01', 'E01', 'E01']);
  expect(Number(gdb.register(449) & 0xfffffffffffn)).toBe(gdb.timeline.session.kernel.first!.leader.mm.root);
});

test('memory is read without touching it, also where the program has not been, and written', () => {
  const gdb = hello();
  const before = gdb.timeline.session.stateHash();
  const { mm } = gdb.timeline.session.kernel.first!.leader;
  expect([...gdb.memory(mm.startCode, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
  expect(gdb.memory(mm.startStack - 65536, 8)).toEqual(new Uint8Array(8));
  expect(gdb.ask('m0,8')).toBe('E0e');
  expect(gdb.ask('mffffffffffffffff,8')).not.toBe('');
  expect(gdb.ask(`qSearch:memory:${mm.startCode.toString(16)};1000;ELF`)).toBe(`1,${(mm.startCode + 1).toString(16)}`);
  expect(gdb.ask(`qSearch:memory:${mm.startCode.toString(16)};1000;no such bytes`)).toBe('0');
  expect(gdb.ask(`qCRC:${mm.startCode.toString(16)},4`)).toMatch(/^C[0-9a-f]+$/);
  expect(gdb.timeline.session.stateHash()).toBe(before);
  const at = mm.startStack - 64;
  expect([gdb.ask(`X${at.toString(16)},0:`), gdb.ask(`X${at.toString(16)},3:abc`), gdb.ask(`M${(at + 3).toString(16)},2:6465`)]).toEqual(['OK', 'OK', 'OK']);
  expect(new TextDecoder().decode(gdb.memory(at, 5))).toBe('abcde');
  expect([gdb.ask('M0,2:0000'), gdb.ask(`M${at.toString(16)},2:00`), gdb.ask(`M${at.toString(16)},1:zz`)]).toEqual(['E0e', 'E01', 'E01']);
});

test('breakpoints stop before their instruction; back and forth comes to the same registers', () => {
  const gdb = alone('--', 'hello');
  for (let i = 0; i < 40; i++) gdb.ask('vCont;s:p2.2');
  const target = gdb.pc;
  const registers = gdb.ask('g');
  for (let i = 0; i < 8; i++) expect(gdb.ask('bs')).toMatch(/^T05thread/);
  expect(gdb.pc).not.toBe(target);
  for (let i = 0; i < 8; i++) gdb.ask('vCont;s:p2.2');
  expect(gdb.ask('g')).toBe(registers);
  for (let i = 0; i < 15; i++) gdb.ask('bs');
  expect(gdb.ask(`Z0,${target.toString(16)},2`)).toBe('OK');
  expect(gdb.ask('vCont;c:p2.-1')).toMatch(/^T05swbreak:;thread:p2\.2;/);
  expect(gdb.pc).toBe(target);
  expect(gdb.ask(`z0,${target.toString(16)},2`)).toBe('OK');
  expect(gdb.ask(`Z1,${target.toString(16)},4`)).toBe('OK');
  expect(gdb.ask('bc')).toMatch(/^T05(hwbreak:;|replaylog:begin;)thread/);
  while (!gdb.ask('bc').includes('replaylog:begin')) expect(gdb.pc).toBe(target);
  expect(gdb.ask('vCont;c')).toMatch(/^T05hwbreak:;/);
  expect([gdb.ask('Z0,1,2'), gdb.ask('Z0,2,3'), gdb.ask('Z5,0,4'), gdb.ask('Z2,0,0'), gdb.ask('Z0')]).toEqual(['E01', 'E01', '', 'E01', 'E01']);
  gdb.ask(`z1,${target.toString(16)},4`);
  gdb.ask(`QPassSignals:${Array.from({ length: 150 }, (_, n) => n.toString(16)).join(';')}`);
  expect(gdb.ask('c')).toBe('W2a;process:2');
  expect(gdb.output).not.toBe('');
});

test('a watchpoint stops before the access, forwards; behind it, backwards; the kernel\'s own accesses count', () => {
  const gdb = alone('--', 'sh', '-c', 'read line; echo got');
  gdb.ask(`QPassSignals:${Array.from({ length: 150 }, (_, n) => n.toString(16)).join(';')}`);
  const { mm } = gdb.timeline.session.kernel.first!.leader;
  const at = mm.startStack - 512;
  const point = `2,${at.toString(16)},8`;
  const word = (): string => gdb.ask(`m${at.toString(16)},8`);
  const stopText = new RegExp(`^T05watch:${at.toString(16).slice(0, -1)}[0-9a-f];thread`);
  // A store of the same word is none that gdb would show.
  let [pc, before, after] = [0, '', ''];
  while (before === after) {
    gdb.ask(`Z${point}`);
    expect(gdb.ask('vCont;c')).toMatch(stopText);
    [pc, before] = [gdb.pc, word()];
    gdb.ask(`z${point}`);
    gdb.ask('vCont;s');
    after = word();
  }
  expect(gdb.pc).not.toBe(pc);
  for (let i = 0; i < 20; i++) gdb.ask('vCont;s');
  gdb.ask(`Z${point}`);
  expect(gdb.ask('bc')).toMatch(stopText);
  expect(word()).toBe(after);
  expect(gdb.ask('P5=0100000000000000')).toBe('OK');
});

test('the guest\'s files, /proc among them, and nothing of it stays', () => {
  const gdb = hello();
  const before = gdb.timeline.session.stateHash();
  expect(gdb.ask('vFile:setfs:0')).toBe('F0');
  expect(gdb.file('/proc/2/maps')).toMatch(/ r-xp .*hello\n[^]*\[stack\]\n$/);
  expect(gdb.file('/proc/self/maps')).toBe(gdb.file('/proc/2/maps'));
  const exe = gdb.object('exec-file', '2');
  expect(gdb.file(exe).slice(1, 4)).toBe('ELF');
  expect(gdb.ask(`vFile:readlink:${Buffer.from('/proc/2/exe').toString('hex')}`)).toBe(`F${exe.length.toString(16)};${exe}`);
  expect([gdb.file('/no/such'), gdb.file('/proc'), gdb.ask(`vFile:open:${Buffer.from('/new').toString('hex')},201,1b6`)]).toEqual(['not opened', 'not opened', 'F-1,1e']);
  const [fd] = [gdb.ask(`vFile:open:${Buffer.from(exe).toString('hex')},0,0`).slice(1)];
  expect(gdb.ask(`vFile:fstat:${fd}`)).toMatch(/^F40;/);
  expect([gdb.ask('vFile:pread:99,10,0'), gdb.ask(`vFile:close:${fd}`), gdb.ask(`vFile:close:${fd}`), gdb.ask('vFile:other:1')]).toEqual(['F-1,9', 'F0', 'F-1,9', '']);
  expect(gdb.file('/dev/zero')).toBe('not opened');
  expect(gdb.timeline.session.stateHash()).toBe(before);
  const auxv = Uint8Array.from(gdb.object('auxv'), (c) => c.charCodeAt(0));
  const pairs = new BigUint64Array(auxv.buffer);
  expect([pairs.length % 2, pairs.at(-2), pairs[pairs.indexOf(6n) + 1]]).toEqual([0, 0n, 4096n]);
  expect(gdb.object('libraries-svr4')).toBe('<library-list-svr4 version="1.0"/>');
  expect(gdb.object('nothing')).toBe('');
});

describe('signals', () => {
  /** The shell, which is sent one by its own child. */
  const shell = (script: string): GdbClient => alone('--', 'sh', '-c', script);
  test('a signal is announced before the program gets it, with its siginfo, and then passed on or kept', () => {
    const gdb = shell('kill -USR1 $$; echo not reached');
    expect(gdb.ask('vCont;c')).toMatch(/^T1ethread:p2\.2;/);
    const siginfo = gdb.object('siginfo');
    expect([siginfo.length, siginfo.charCodeAt(0)]).toEqual([128, 10]);
    const kept = shell('kill -USR1 $$; echo reached');
    kept.ask('vCont;c');
    expect(kept.ask('vCont;c')).toBe('W00;process:2');
    expect(kept.output).toBe('reached\n');
    expect(gdb.ask('vCont;C1e')).toBe('X1e;process:2');
    expect(gdb.output).toBe('');
  });
  test('one that gdb does not want to hear of is just delivered', () => {
    const gdb = shell('kill -USR1 $$; echo not reached');
    expect(gdb.ask('QPassSignals:1e')).toBe('OK');
    expect(gdb.ask('vCont;c')).toBe('X1e;process:2');
    expect(gdb.object('siginfo')).toBe('E01');
  });
});

test('children are announced, stop by themselves, and can be let go', () => {
  const gdb = client('--', 'sh', '-c', 'cat /proc/version; echo done');
  const fork = gdb.ask('vCont;c:p2.-1');
  const child = /^T05(v?fork):p([0-9a-f]+)\.\2;thread:p2\.2;/.exec(fork);
  expect(child, fork).not.toBeNull();
  expect(gdb.ask('qfThreadInfo')).toBe(`mp2.2,p${child![2]}.${child![2]}`);
  // Only the child runs: its parent waits, even when it has ended.
  let stop = gdb.ask(`vCont;c:p${child![2]}.-1`);
  if (stop.startsWith('T05exec')) {
    expect(Buffer.from(/exec:([0-9a-f]+);/.exec(stop)![1]!, 'hex').toString()).toMatch(/^\//);
    stop = gdb.ask(`vCont;c:p${child![2]}.-1`);
  }
  while (stop.startsWith('T05vforkdone')) stop = gdb.ask(`vCont;c:p${child![2]}.-1`);
  expect(stop).toBe(`W00;process:${child![2]}`);
  expect(gdb.output).toContain('Linux version');
  expect(gdb.output).not.toContain('done');
  stop = gdb.ask('vCont;c:p2.-1');
  while (stop.startsWith('T')) stop = gdb.ask('vCont;c:p2.-1');
  expect([stop, gdb.output.endsWith('done\n')]).toEqual(['W00;process:2', true]);
});
test('a breakpoint belongs to one process', () => {
  const gdb = client('--', 'sh', '-c', 'cat /proc/version; echo done');
  const child = /fork:p([0-9a-f]+)\./.exec(gdb.ask('vCont;c'))![1]!;
  // Behind the call both go on with the same instructions, in memory that looks the same.
  const start = gdb.pc;
  for (let i = 0; i < 2; i++) gdb.ask('vCont;s:p2.2');
  const shared = gdb.pc;
  for (let i = 0; i < 2; i++) gdb.ask('bs');
  expect(gdb.pc).toBe(start);
  gdb.ask(`Hgp${child}.${child}`);
  expect([gdb.pc, gdb.ask(`Z0,${shared.toString(16)},2`)]).toEqual([start, 'OK']);
  // The parent comes to wait for a child that stands still.
  expect(gdb.ask('vCont;c:p2.-1')).toMatch(/^T02thread:p2\.2;/);
  expect(gdb.ask(`vCont;c:p${child}.-1`)).toMatch(new RegExp(`^T05swbreak:;thread:p${child}\\.${child};`));
  expect(gdb.pc).toBe(shared);
});
test('a child that is let go is nobody\'s to stop', () => {
  const gdb = client('--', 'sh', '-c', 'cat /proc/version; echo done');
  const child = /fork:p([0-9a-f]+)\./.exec(gdb.ask('vCont;c'))![1]!;
  expect(gdb.ask(`D;${child}`)).toBe('OK');
  let stop = gdb.ask('vCont;c');
  if (stop.startsWith('T05vforkdone')) stop = gdb.ask('vCont;c');
  expect([stop, gdb.output.endsWith('done\n')]).toEqual(['W00;process:2', true]);
});

test('monitor, kill and detach', () => {
  const gdb = hello();
  expect(Buffer.from(gdb.ask(`qRcmd,${Buffer.from('vmas').toString('hex')}`), 'hex').toString()).toBe('asked: vmas\n');
  expect([gdb.ask('qRcmd,zz'), gdb.ask('vKill;9'), gdb.ask('vKill;2')]).toEqual(['E01', 'E01', 'killed OK']);
  expect(hello().ask('D;2')).toBe('detached OK');
  expect(hello().ask('k')).toBe('killed');
});
