// The kernel's loop and disks: who waits for a disk sleeps while others run, and wakes at the same clock cycle however the run is cut.
import { describe, expect, test } from 'vitest';
import { StateHash } from '#base';
import { MemoryImage } from '#kernel/block/image.ts';
import { diskPresets } from '#kernel/block/latency.ts';
import { mkfs, mkfsDefaults } from '#kernel/fs/ext/mkfs.ts';
import { call, DATA, go, guest, label, li, type Line, reg } from '../../support/guests.ts';
import { bootKernel, emit, exit, fork, put, type Rig, Sys } from '../../support/kernel-rig.ts';

const bytes = new Uint8Array(200_000).map((_, i) => i % 251);
/** Counts down from n in the program itself. */
const spin = (name: string, n: number): Line[] => [...li(reg.t1, n), label(name), ['addi', { rd: reg.t1, rs1: reg.t1, imm: -1 }], go('bne', name, { rs1: reg.t1, rs2: 0 })];
const openFile: Line[] = [...put(0x100, 0x746e6d2f), ...put(0x104, 0x612f), ...call(Sys.openat, 0, DATA + 0x100, 0)]; // "/mnt/a": descriptor 3
/** Reads of a page each, with the clock after each. */
const readLoop: Line[] = [
  ...li(reg.s0, 12), label('again'), ...call(Sys.read, 3, DATA + 0x200, 512), ...emit(), ...call(Sys.clockGettime, 1, DATA + 0x80), ...call(Sys.write, 1, DATA + 0x80, 16),
  ...call(62, 3, 16000, 1), ['addi', { rd: reg.s0, rs1: reg.s0, imm: -1 }], go('bne', 'again', { rs1: reg.s0, rs2: 0 }),
];
const program: Line[] = [...openFile, ...emit(), ...fork('other', [...spin('spin', 300_000), ...exit(0)]), ...readLoop, ...call(Sys.wait4, -1, 0, 0, 0), ...exit(0)];

function started(latency: string, lines: readonly Line[] = program): Rig {
  const image = new MemoryImage(new Uint8Array(8 << 20));
  expect(mkfs(image, mkfsDefaults, [{ path: '/a', mode: 0o100644, bytes: () => bytes }])).toBe(null);
  const rig = bootKernel({ files: { '/guest': guest(lines) }, host: { disks: [{ image, latency: diskPresets.find(({ name }) => name === latency)! }] } });
  const { kernel } = rig;
  expect(kernel.vfs.mountDisk(kernel.system.disks[0]!, '/mnt', { isReadOnly: true })).toBe(null);
  kernel.start(['guest'], [], '/guest');
  return rig;
}
function runIn(rig: Rig, budget: number): { words: bigint[]; hash: string } {
  for (;;) {
    const result = rig.run(budget);
    if (result === 'exited') break;
    if (result !== 'budget') throw new Error(result);
  }
  const hash = new StateHash();
  rig.machine.hash(hash);
  rig.kernel.hash(hash);
  return { words: rig.words(), hash: hash.digest() };
}

describe('sleeping on a disk', () => {
  test.each(['nvme', 'hdd'])('%s: the same clock at every wake-up, whatever the budgets', (latency) => {
    const whole = runIn(started(latency), 1e9);
    expect(whole.words[0]).toBe(3n);
    expect(whole.words.filter((_, i) => i % 3 === 1)).toEqual(new Array(12).fill(512n));
    for (const budget of [97, 1000, 12_345]) expect(runIn(started(latency), budget)).toEqual(whole);
  });
  test('others run meanwhile: what they compute takes no time of its own', () => {
    const cycles = (lines: readonly Line[]): number => {
      const rig = started('hdd', lines);
      runIn(rig, 1e9);
      expect(rig.kernel.system.waits.deadline).toBe(Infinity);
      expect(rig.kernel.idleCycles).toBeGreaterThan(1e6);
      return rig.machine.clockCycles;
    };
    const child = (n: number): Line[] => [...openFile, ...emit(), ...fork('other', [...spin('spin', n), ...exit(0)]), ...readLoop, ...call(Sys.wait4, -1, 0, 0, 0), ...exit(0)];
    // 600,000 instructions more; the disk takes its milliseconds in any case.
    expect(cycles(child(300_000)) - cycles(child(1))).toBeLessThan(60_000);
  });
});
