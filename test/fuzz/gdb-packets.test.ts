// Hostile packets: right ones with a part changed, wrong numbers, cut off, bytes of chance, at any moment of a run. Each is answered or ignored; nothing is
// thrown, and the next sound packet has its sound answer. The default is a slice; a hundred thousand:
//   QUIRE_FUZZ_PACKETS=100000 npx vitest run test/fuzz/gdb-packets.test.ts       (QUIRE_SEED=n for others; a failure prints the packets before it)
import { expect, test } from 'vitest';
import { Prng } from '#base';
import { fromLatin, frame, latin, PacketReader, toHex } from '#tools/debugger/gdb/packets.ts';
import { Debugger } from '#tools/debugger/debugger.ts';
import { monitorAnswer } from '#tools/debugger/gdb/monitor.ts';
import { GdbStub } from '#tools/debugger/gdb/stub.ts';
import { codeOf } from '#tools/debugger/guest-code.ts';
import { Programs } from '#tools/debugger/programs.ts';
import { openTimeline } from '#tools/debugger/replay.ts';
import { guestConfig } from '../support/gdb-client.ts';

const nrPackets = Number(process.env['QUIRE_FUZZ_PACKETS'] ?? 2000);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
/** Of the program under the packets: after so many it ends, whatever became of it. */
const MAX_INSN = '400k';

/** What gdb sends, with places for numbers (#), threads (@) and hex (%). */
const sound = [
  'g', 'G%', 'p#', 'P#=%', 'm#,#', 'M#,#:%', 'X#,#:%', 'x#,#', '?', 'c', 's', 'C0b', 'S05', 'bs', 'bc', 'vCont?', 'vCont;c', 'vCont;s:@', 'vCont;c:@;s:@', 'vCont;C#:@;c', 'Hg@', 'Hc@', 'T@',
  'Z0,#,2', 'z0,#,2', 'Z1,#,4', 'Z2,#,8', 'Z3,#,#', 'Z4,#,#', 'z2,#,#', 'qC', 'qfThreadInfo', 'qsThreadInfo', 'qThreadExtraInfo,@', 'qSupported:multiprocess+;fork-events+;swbreak+', 'qAttached:#', 'qOffsets', 'qSymbol::',
  'qXfer:features:read:target.xml:#,#', 'qXfer:features:read:%:#,#', 'qXfer:auxv:read::#,#', 'qXfer:threads:read::#,#', 'qXfer:siginfo:read::#,#', 'qXfer:exec-file:read:#:#,#', 'qXfer:libraries-svr4:read::#,#',
  'qSearch:memory:#;#;%', 'qCRC:#,#', 'qRcmd,%', 'QPassSignals:#;#', 'QNonStop:#', 'QStartNoAckMode', 'vFile:setfs:#', 'vFile:open:2f70726f632f322f6d617073,0,0', 'vFile:open:%,#,#', 'vFile:pread:#,#,#', 'vFile:close:#', 'vFile:fstat:#',
  'vFile:readlink:2f70726f632f322f657865', 'vFile:readlink:%', 'vFile:stat:%', 'vFile:unlink:%', 'vKill;#', 'D;#', 'vMustReplyEmpty',
];
const monitors = ['vmas', 'tlb', 'pt sp', 'help', 'folio 0x80100', 'lru', 'why sp', 'continue', 'break fault', 'print pc', 'x', 'pt', ''];
function packet(random: Prng): Uint8Array {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const digits = (): string => Array.from({ length: random.below(12) }, () => random.below(16).toString(16)).join('');
  const number = (): string => pick(['0', '1', '2', '8', '20', '100', '10000', '1017000', '3fffffe000', '3ffffff000', '1010000', 'ffffffff', 'ffffffffffffffff', '8000000000000000', '7fffffffffffffff', '-1', '', digits()]);
  const thread = (): string => pick(['p2.2', 'p2.-1', 'p-1.-1', '-1', '0', '2', 'p9.9', 'p2', 'p', number(), `p${number()}.${number()}`]);
  const hex = (): string => pick(['', '00', 'efbeadde00000000', toHex(fromLatin(pick(monitors))), toHex(fromLatin(pick(['/', '/proc', '/proc/2/maps', '/dev/zero', '/proc/2/mem', '/bin/hello', '/nothing', '/proc/self/fd/0']))), digits(), '0'.repeat(random.below(4000))]);
  let text = pick(sound).replace(/#/g, number).replace(/@/g, thread).replace(/%/g, hex);
  if (random.below(4) === 0) text = text.slice(0, random.below(text.length + 1));
  if (random.below(6) === 0) text = text.slice(0, random.below(text.length + 1)) + String.fromCharCode(random.below(256)) + text.slice(random.below(text.length + 1));
  if (random.below(20) === 0) text = Array.from({ length: random.below(30) }, () => String.fromCharCode(random.below(256))).join('');
  return fromLatin(text);
}

test(`${nrPackets} hostile packets are answered or ignored (QUIRE_SEED=${seed})`, () => {
  const random = new Prng(seed, 'gdb-packets');
  const config = guestConfig('--mem', '64M', '--engine', 'reference', '--max-insn', MAX_INSN, '--', 'hello');
  const timeline = openTimeline(config, { ringBytes: 64 * 2 ** 20 });
  const start = timeline.place;
  const programs = new Programs();
  const d = new Debugger(timeline, (session, task) => codeOf(programs, session, task, () => null));
  let sentLast: string[] = [];
  const counts = { answered: 0, stopped: 0, ended: 0, ignored: 0 };
  let stub = new GdbStub(timeline, (line, tid) => monitorAnswer(d, line, tid));
  let reader = new PacketReader();
  const anew = (): void => {
    stub.release();
    timeline.seek(start);
    stub = new GdbStub(timeline, (line, tid) => monitorAnswer(d, line, tid));
    reader = new PacketReader();
    sentLast = [];
  };
  try {
    for (let n = 0; n < nrPackets; n++) {
      const body = packet(random);
      sentLast.push(latin(body));
      // As it comes over the wire, and sometimes not as it was sent.
      const wire = frame(body).map((byte) => (random.below(400) === 0 ? random.below(256) : byte));
      for (const received of reader.feed(wire, () => undefined)) {
        if (received.kind !== 'packet') {
          counts.ignored++;
          continue;
        }
        const answer = stub.answer(received.body);
        if (answer.kind === 'reply') counts.answered++;
        if (answer.kind === 'end') {
          counts.ended++;
          anew();
        }
        if (answer.kind === 'running') {
          let reply: string | null = null;
          for (let slices = 0; reply === null; slices++) {
            if (slices === 3) stub.resumption.isInterrupted = true;
            reply = stub.resumption.run();
            if (reply === 'input') {
              timeline.feed(new Uint8Array(0));
              reply = null;
            }
          }
          expect(reply).toMatch(/^(T[0-9a-f]{2}.*thread:|S[0-9a-f]{2}$|[WX][0-9a-f]{2})/);
          counts.stopped++;
          if (/^[WX]/.test(reply) || timeline.stop.kind === 'budget') anew();
        }
      }
      timeline.takeOutput();
      if (random.below(200) === 0) {
        const answer = stub.answer(fromLatin('vMustReplyEmpty'));
        expect(answer).toEqual({ kind: 'reply', body: new Uint8Array(0) });
      }
      if (random.below(600) === 0) anew();
    }
  } catch (error) {
    throw new Error(`QUIRE_SEED=${seed} after:\n${sentLast.slice(-40).map((text) => JSON.stringify(text)).join('\n')}`, { cause: error });
  } finally {
    timeline.close();
  }
  if (process.env['QUIRE_FUZZ_PACKETS'] !== undefined) console.log(counts);
  expect(counts.answered).toBeGreaterThan(nrPackets / 3);
  expect(counts.stopped).toBeGreaterThan(nrPackets / 100);
}, 7_200_000);
