// fork and copy on write: who shares what, who may write, what the counts say. Reuse of large folios follows 6.15's mm ids.
import { describe, expect, test } from 'vitest';
import { asPfn } from '#base';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { FaultResult } from '#kernel/mm/fault.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { Prot } from '#kernel/mm/mman.ts';
import { Program, boot } from '../../support/mm-fixture.ts';
import { entryPicture, picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const RW = Prot.Read | Prot.Write;
function fork(parent: Program): Program {
  const mm = dupMm(parent.mm);
  if (mm === null) throw new Error('fork: no memory');
  mm.activate();
  return new Program(mm);
}

describe('base pages', () => {
  test('both map the same frame read-only; the first write copies, the last owner reuses', () => {
    const { program, system } = boot();
    program.map(0x2000, BASE);
    program.write(BASE);
    const frame = program.frame(BASE);
    const child = fork(program);
    expect(child.frame(BASE)).toBe(frame);
    expect(system.folios.isAnonExclusive(asPfn(frame))).toBe(false);
    expect([entryPicture(program.mm), entryPicture(child.mm)]).toEqual(['0x1000000000 r.', '0x1000000000 r.']);
    child.write(BASE);
    expect(child.frame(BASE)).not.toBe(frame);
    expect(system.vmstat.get('pgreuse')).toBe(0);
    program.write(BASE);
    expect(program.frame(BASE)).toBe(frame);
    expect(system.vmstat.get('pgreuse')).toBe(1);
    expect(system.folios.isAnonExclusive(asPfn(frame))).toBe(true);
    system.check();
  });
  test('contents are copied, and later writes stay apart', () => {
    const { program } = boot();
    program.map(0x1000, BASE);
    program.user.setU32(BASE, 17);
    const child = fork(program);
    child.user.setU32(BASE, 18);
    program.user.setU32(BASE + 4, 19);
    expect([program.user.u32(BASE), child.user.u32(BASE), child.user.u32(BASE + 4)]).toEqual([17, 18, 0]);
  });
  test('the parent is fenced, for its translations allowed more', () => {
    const { program, machine } = boot();
    program.map(0x1000, BASE);
    program.write(BASE);
    machine.fences.length = 0;
    fork(program);
    expect(machine.fences).toEqual([{ asid: program.mm.asid, vpn: null }]);
  });
  test('a copy fences the page it replaces', () => {
    const { program, machine } = boot();
    program.map(0x1000, BASE);
    program.read(BASE);
    machine.fences.length = 0;
    program.write(BASE);
    expect(machine.fences).toEqual([{ asid: program.mm.asid, vpn: BASE / 4096 }]);
  });
  test('DONTFORK leaves a range out, WIPEONFORK leaves it empty, mlock is not inherited', () => {
    const { program, system } = boot();
    for (const [at, advice] of [[0, Madvise.DontFork], [4, Madvise.WipeOnFork], [8, -1]] as const) {
      program.map(0x2000, BASE + at * 4096);
      program.write(BASE + at * 4096);
      if (advice >= 0) program.mm.madvise(BASE + at * 4096, 0x2000, advice);
    }
    program.mm.mlock(BASE + 0x8000, 0x2000);
    const child = fork(program);
    expect(picture(child.mm)).toBe('0x1000004000 .. | 0x1000008000 00');
    expect(child.read(BASE)).toBe(FaultResult.MapErr);
    expect([program.mm.lockedVm, child.mm.lockedVm]).toEqual([2, 0]);
    system.check();
  });
});

describe('large folios', () => {
  test('a write in the child breaks one page off; the folio stays folded nowhere but whole elsewhere', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x20000, BASE);
    program.touch(BASE, 0x20000);
    const child = fork(program);
    expect(entryPicture(child.mm)).toBe('0x1000000000 NNNNNNNNNNNNNNNN NNNNNNNNNNNNNNNN');
    child.write(BASE + 0x5000);
    expect(picture(child.mm)).toBe('0x1000000000 4444404444444444 4444444444444444');
    expect(entryPicture(child.mm)).toBe('0x1000000000 rrrrrwrrrrrrrrrr NNNNNNNNNNNNNNNN');
    expect(entryPicture(program.mm)).toBe('0x1000000000 NNNNNNNNNNNNNNNN NNNNNNNNNNNNNNNN');
    expect(system.folios.folioMapcount(system.folios.folioOf(asPfn(program.frame(BASE))))).toBe(31);
    system.check();
  });
  test('while two map it nobody reuses; when one is left it reuses page by page and folds again', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.write(BASE);
    const head = system.folios.folioOf(asPfn(program.frame(BASE)));
    const child = fork(program);
    expect(system.folios.maybeMappedShared(head)).toBe(true);
    child.mm.dispose();
    expect(system.folios.maybeMappedShared(head)).toBe(false);
    program.write(BASE + 0x3000);
    expect(entryPicture(program.mm)).toBe('0x1000000000 rrrwrrrrrrrrrrrr');
    program.touch(BASE, 0x10000);
    expect(entryPicture(program.mm)).toBe('0x1000000000 NNNNNNNNNNNNNNNN');
    expect(picture(program.mm)).toBe('0x1000000000 4444444444444444');
    expect(system.vmstat.get('pgreuse')).toBe(16);
    system.check();
  });
  test('with three owners the count is conservative: two may leave and the third still copies', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.write(BASE);
    const head = system.folios.folioOf(asPfn(program.frame(BASE)));
    const second = fork(program);
    const third = fork(program);
    program.mm.dispose();
    second.mm.dispose();
    // The third never had a slot, so nothing proves that it is alone.
    expect(system.folios.folioMapcount(head)).toBe(16);
    expect(system.folios.test(head, FolioFlag.MaybeShared)).toBe(true);
    third.write(BASE);
    expect(picture(third.mm)).toBe('0x1000000000 0444444444444444');
    system.check();
  });
  test('the last mapped page of a folio is copied and the folio let go', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.write(BASE);
    const child = fork(program);
    child.mm.dispose();
    program.mm.munmap(BASE + 0x1000, 0xf000);
    expect(system.thp.stat(4, 'split_deferred')).toBe(1);
    expect(system.thp.stat(4, 'nr_anon_partially_mapped')).toBe(1);
    program.write(BASE);
    expect(picture(program.mm)).toBe('0x1000000000 0');
    expect(system.thp.stat(4, 'nr_anon')).toBe(0);
    expect(system.thp.stat(4, 'nr_anon_partially_mapped')).toBe(0);
    system.check();
  });
  test('2 MiB: shared it splits at the first write, alone it is reused whole', () => {
    const { program, system } = boot({ orders: [9] });
    program.map(2 << 20, BASE);
    program.write(BASE);
    const child = fork(program);
    child.write(BASE + 0x1000);
    expect(system.vmstat.get('thp_split_pmd')).toBe(1);
    expect(picture(child.mm, BASE, BASE + 0x10000)).toBe('0x1000000000 9099999999999999');
    expect(entryPicture(child.mm, BASE, BASE + 0x20000)).toBe('0x1000000000 rwrrrrrrrrrrrrrr NNNNNNNNNNNNNNNN');
    expect(entryPicture(program.mm, BASE, BASE + 0x10000)).toBe('0x1000000000 MMMMMMMMMMMMMMMM');
    system.check();
    child.mm.dispose();
    program.write(BASE);
    expect(entryPicture(program.mm, BASE, BASE + 0x10000)).toBe('0x1000000000 MMMMMMMMMMMMMMMM');
    expect(system.vmstat.get('thp_split_pmd')).toBe(1);
    system.check();
  });
});

describe('when memory runs out', () => {
  test('fork gives everything back, whichever allocation fails', () => {
    const { program, system } = boot({ orders: [4, 9] });
    program.map(5 << 20, BASE);
    program.touch(BASE, 5 << 20);
    program.map(0x10000, 0x20_0000_0000);
    program.write(0x20_0000_0000);
    const free = system.freeBytes;
    let failures = 0;
    for (let n = 0; ; n++) {
      system.allocationsUntilFailure = n;
      const mm = dupMm(program.mm);
      system.allocationsUntilFailure = Infinity;
      system.check();
      if (mm !== null) {
        mm.dispose();
        break;
      }
      failures++;
      expect(system.freeBytes).toBe(free);
    }
    expect(failures).toBeGreaterThan(5);
    expect(program.write(BASE)).toBe(FaultResult.Done);
  });
  test('a write that finds no frame answers OutOfMemory and changes nothing', () => {
    const { program, system } = boot({ ramBytes: 16 << 20 });
    program.map(15 << 20, BASE, RW);
    let at = BASE;
    while (program.write(at) === FaultResult.Done) at += 4096;
    expect(program.write(at)).toBe(FaultResult.OutOfMemory);
    expect(program.user.setU32(at, 1)).toBe(false);
    system.check();
    program.mm.madvise(BASE, 0x10000, Madvise.DontNeed);
    expect(program.write(at)).toBe(FaultResult.Done);
  });
});
