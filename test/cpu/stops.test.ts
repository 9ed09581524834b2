// Where a run ends because somebody asked: breakpoints, watched memory; and images, to come back to. None of it may show in a count.
import { describe, expect, test } from 'vitest';
import { Prng, StateHash } from '#base';
import { DEFAULT_HOTNESS, EAGER, ENGINES, type Exit, type Hotness } from '#cpu';
import { Pte } from '#mmu';
import { hartRig, type HartRig } from '../support/hart-rig.ts';

const CODE = 0x10000;
const DATA = 0x20000;
const BREAKPOINT = 2;

const engines: readonly (readonly [string, { engine: (typeof ENGINES)[number]; hotness: Hotness }])[] = [
  ['jit, eager', { engine: 'jit', hotness: EAGER }], ['jit', { engine: 'jit', hotness: DEFAULT_HOTNESS }], ['interp', { engine: 'interp', hotness: EAGER }], ['reference', { engine: 'reference', hotness: EAGER }],
];
const hashOf = (rig: HartRig): string => {
  const into = new StateHash();
  rig.machine.hash(into);
  rig.machine.hashFrames(into, Array.from({ length: 40 }, (_, i) => (rig.root + i) as never));
  return into.digest();
};

/** Two loops, one in the other, over two pages of data; compressed code in between, and an instruction across a page's end. */
function program(rig: HartRig): void {
  rig.map(DATA, 'rw');
  rig.map(DATA + 0x1000, 'rw');
  rig.code(CODE + 0xfe8, [
    'addi a0,a0,1', 'ld a2,0(s0)', 'add a2,a2,a0', 'sd a2,0(s0)', 'sw a0,8(s1)', // 0xfe8 to 0xffb
    0x0505, // c.addi a0,1 at 0xffc
    'lw a3,4(s1)', // across the end: 0xffe
    'addi a1,a1,-1', // 0x1002
    'bne a1,zero,-30', // 0x1006: back to 0xfe8
    'amoadd.d a4,a0,(s0)',
    'ecall',
  ]);
  rig.set({ s0: DATA, s1: DATA + 0xffc, a1: 600, a0: 0 });
  rig.machine.pc = BigInt(CODE + 0xfe8);
}

describe('breakpoints', () => {
  const places = [0xfe8, 0xff4, 0xffc, 0xffe, 0x1002, 0x1006, 0x100a].map((offset) => CODE + offset);
  for (const [name, options] of engines) {
    test.each([...places.map((place) => [[place]]), [places]])(`${name}: stop at %j, each time, and nothing is different`, (stops) => {
      const plain = hartRig(options);
      program(plain);
      expect(plain.run(1e6)).toMatch(/^ecall/);
      const rig = hartRig(options);
      program(rig);
      rig.run(1234); // in the middle, with code that is translated
      rig.machine.setBreakpoints(new Set(stops));
      const hits: number[] = [];
      let exit: Exit;
      while ((exit = rig.machine.run(1e6)).kind === BREAKPOINT) hits.push(Number(rig.machine.pc));
      expect(exit.cause).toBe(8);
      expect(hashOf(rig)).toBe(hashOf(plain));
      // Where a machine that goes step by step comes by.
      const steps = hartRig({ ...options, engine: 'reference' });
      program(steps);
      steps.run(1234);
      const seen: number[] = [];
      while (steps.machine.run(1).kind === 1) if (stops.includes(Number(steps.machine.pc))) seen.push(Number(steps.machine.pc));
      expect(hits).toEqual(seen);
    });
    test(`${name}: what was set and taken away again does not stop`, () => {
      const rig = hartRig(options);
      program(rig);
      rig.machine.setBreakpoints(new Set(places));
      rig.machine.run(50);
      rig.machine.setBreakpoints(new Set());
      expect(rig.run(1e6)).toMatch(/^ecall/);
    });
  }
});

describe('watched memory', () => {
  for (const [name, options] of engines) {
    test(`${name}: an access is found behind its instruction, wherever its bytes are`, () => {
      const plain = hartRig(options);
      program(plain);
      plain.run(1e6);
      const rig = hartRig(options);
      program(rig);
      rig.run(3000);
      // The store of a word at DATA + 0x1004; the load of four bytes at DATA + 0x1000; the double word at DATA.
      rig.machine.setWatch([
        { space: 'virtual', start: DATA + 0x1004, lenBytes: 1, reads: false, writes: true },
        { space: 'virtual', start: DATA + 0x1002, lenBytes: 2, reads: true, writes: true },
      ]);
      const found: string[] = [];
      while (rig.machine.run(1e6).kind === BREAKPOINT) {
        for (const { va, isRead, isWrite } of rig.machine.mmu.watch!.hits) found.push(`${isRead ? 'r' : ''}${isWrite ? 'w' : ''} ${va!.toString(16)} before ${rig.machine.pc.toString(16)}`);
      }
      expect(new Set(found)).toEqual(new Set(['w 21004 before 10ffc', 'r 21000 before 11002']));
      expect(found.length).toBeGreaterThan(300);
      expect(hashOf(rig)).toBe(hashOf(plain));
    });
    test(`${name}: an atomic instruction reads and writes, and a half that lies in the next page counts`, () => {
      const rig = hartRig(options);
      rig.map(DATA, 'rw');
      rig.map(DATA + 0x1000, 'rw');
      rig.code(CODE, ['amoadd.d a4,a0,(s0)', 'sd a0,4(s1)', 'ld a0,4(s1)', 'sd a0,0(s0)', 'ecall']);
      rig.set({ s0: DATA, s1: DATA + 0xff8, a0: 5 });
      rig.machine.setWatch([{ space: 'virtual', start: DATA, lenBytes: 8, reads: true, writes: false }, { space: 'virtual', start: DATA + 0x1003, lenBytes: 1, reads: true, writes: true }]);
      const found: string[] = [];
      while (rig.machine.run(1e6).kind === BREAKPOINT) found.push(`${rig.machine.pc.toString(16)}: ${rig.machine.mmu.watch!.hits.map(({ va, lenBytes, isRead, isWrite }) => `${va!.toString(16)}+${lenBytes}${isRead ? 'r' : ''}${isWrite ? 'w' : ''}`).join(' ')}`);
      expect(found).toEqual(['10004: 20000+8rw', '10008: 21000+4w', '1000c: 21000+4r']);
    });
    test(`${name}: an access that faults has not happened; the walk that set A has`, () => {
      const rig = hartRig(options);
      rig.map(DATA, 'rw');
      rig.code(CODE, ['addi a0,a0,1', 'sd a0,4(s1)', 'ecall']);
      rig.set({ s1: DATA + 0xff8 });
      const table = [...Array(40).keys()].map((i) => (rig.root + i) as never).find((pfn) => (rig.machine.pteLow(pfn, 32) & (Pte.V | Pte.R | Pte.W)) === (Pte.V | Pte.R | Pte.W))!;
      rig.machine.setWatch([{ space: 'virtual', start: DATA + 0xff0, lenBytes: 32, reads: true, writes: true }, { space: 'physical', start: table * 4096 + 8 * 32, lenBytes: 8, reads: false, writes: true }]);
      expect(rig.run()).toBe('store page fault at 0x21000, pc 0x10004');
      expect(rig.machine.mmu.watch!.hits).toEqual([{ va: null, pa: table * 4096 + 256, lenBytes: 8, isRead: false, isWrite: true }]);
      rig.map(DATA + 0x1000, 'rw');
      expect(rig.machine.run(100).kind).toBe(BREAKPOINT);
      expect(rig.machine.pc).toBe(0x10008n);
    });
  }
  test('the kernel\'s writes are told of when they are done', () => {
    const rig = hartRig();
    const pfn = rig.map(DATA, 'rw');
    const told: string[] = [];
    rig.machine.onTouch = (pa, lenBytes, isWrite) => { told.push(`${isWrite ? 'w' : 'r'} ${(pa - pfn * 4096).toString(16)}+${lenBytes}`); };
    rig.machine.storePte(pfn, 3, 1, 2);
    rig.machine.storePtes(pfn, 4, 3, 1, 2, 1);
    rig.machine.writeFrame(pfn, 100, new Uint8Array(7));
    rig.machine.readFrame(pfn, 50, new Uint8Array(3));
    rig.machine.zeroFrames(pfn, 1);
    rig.machine.copyFrame(pfn, pfn);
    expect(told).toEqual(['w 18+8', 'w 20+24', 'w 64+7', 'r 32+3', 'w 0+4096', 'r 0+4096', 'w 0+4096']);
  });
});

describe('images', () => {
  for (const [name, options] of engines) {
    test(`${name}: a machine put back goes on as it did, again and again`, () => {
      const rig = hartRig(options);
      program(rig);
      const random = new Prng(3, 'images');
      const images = [rig.machine.takeImage()];
      const hashes = [hashOf(rig)];
      const instrets = [0];
      for (let i = 0; i < 12; i++) {
        rig.machine.run(20 + random.below(400));
        images.push(rig.machine.takeImage());
        hashes.push(hashOf(rig));
        instrets.push(rig.machine.instret);
      }
      expect(new Set(hashes).size).toBe(13);
      for (let i = 0; i < 40; i++) {
        const at = random.below(images.length);
        rig.machine.putBack(images[at]!);
        expect(hashOf(rig)).toBe(hashes[at]);
        if (at < 12) {
          rig.machine.run(instrets[at + 1]! - instrets[at]!);
          expect(hashOf(rig)).toBe(hashes[at + 1]);
        }
      }
    });
    test(`${name}: code that was written after an image is gone when it is put back`, () => {
      const rig = hartRig(options);
      rig.code(CODE, ['addi a0,a0,1', 'addi a1,a1,-1', 'bne a1,zero,-8', 'ecall']);
      rig.set({ a0: 0, a1: 500 });
      rig.run(900);
      const image = rig.machine.takeImage();
      rig.write(CODE, Uint8Array.of(0x13, 0x05, 0x25, 0x00)); // addi a0,a0,2
      rig.run(1e6);
      rig.machine.putBack(image);
      expect(rig.run(1e6)).toMatch(/^ecall/);
      expect(rig.x('a0')).toBe(500n);
    });
  }
  test('what did not change is shared', () => {
    const rig = hartRig();
    program(rig);
    const first = rig.machine.takeImage();
    rig.machine.run(100);
    const second = rig.machine.takeImage();
    const pages = (image: typeof first): unknown[] => image.frames.flat().filter((page) => page !== null);
    const shared = pages(second).filter((page) => pages(first).includes(page));
    expect(pages(second).length).toBeGreaterThan(5);
    expect(pages(second).length - shared.length).toBe(3); // two pages of data, and the table whose entries got A and D
  });
});
