// Guards, seals and other ways in which a mapping refuses: what Linux 6.18 answers, asked natively of each case here.
import { describe, expect, test } from 'vitest';
import { asPfn } from '#base';
import { FaultResult } from '#kernel/mm/fault.ts';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { clearRefs } from '#kernel/mm/clear-refs.ts';
import { pageCategories, pagemapWord, smapsOf, vmFlagsText } from '#kernel/mm/inspect.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { MapFlag, MremapFlag, Prot } from '#kernel/mm/mman.ts';
import { accessRemoteVm } from '#kernel/mm/remote.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, boot } from '../../support/mm-fixture.ts';
import { maps } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const PAGE = 4096;
const MB2 = 2 << 20;
const RW = Prot.Read | Prot.Write;
const [EPERM, ENOMEM, EACCES, EFAULT, EINVAL] = [-1, -12, -13, -14, -22];
const fork = (parent: Program): Program => {
  const mm = dupMm(parent.mm)!;
  mm.activate();
  return new Program(mm);
};
const guard = ({ mm }: Program, page: number, nr = 1): number => mm.madvise(BASE + page * PAGE, nr * PAGE, Madvise.GuardInstall);
const isGuarded = (p: Program, page: number): boolean => p.read(BASE + page * PAGE) === FaultResult.MapErr && p.write(BASE + page * PAGE) === FaultResult.MapErr;
const flagsAt = ({ mm }: Program, page: number): string => vmFlagsText(mm.findVma(BASE + page * PAGE)!.flags);
function memfd(system: MmSystem, pages: number): FileMapping {
  const space = new AddressSpace(system, 'shmem');
  space.write(0, new Uint8Array(pages * PAGE).fill(7));
  return { space, path: '/memfd', ino: 3, devMajor: 0, devMinor: 1, mayWrite: true };
}

describe('a guard', () => {
  test('replaces what was there, refuses every access as if nothing were mapped, and goes by MADV_GUARD_REMOVE', () => {
    const { program, system } = boot();
    program.map(8 * PAGE, BASE);
    program.touch(BASE, 8 * PAGE);
    expect(guard(program, 2, 2)).toBe(0);
    expect([1, 2, 3, 4].map((page) => isGuarded(program, page))).toEqual([false, true, true, false]);
    expect([program.mm.rss.anonPages, pagemapWord(program.mm, BASE + 2 * PAGE), flagsAt(program, 0)]).toEqual([6, 0x4400_0000_0000_009fn, 'rd wr mr mw me gu ac']);
    expect(program.user.read(BASE + PAGE + 4090, new Uint8Array(12))).toBe(false);
    expect(program.mm.madvise(BASE, 8 * PAGE, Madvise.GuardRemove)).toBe(0);
    expect([program.user.u8(BASE + 2 * PAGE), flagsAt(program, 0)]).toEqual([0, 'rd wr mr mw me gu ac']);
    system.check();
  });
  test('stays through every other advice, mprotect and populating; mincore sees nothing', () => {
    const { program, system } = boot();
    program.map(4 * PAGE, BASE);
    guard(program, 1);
    const { DontNeed, Free, Cold, PageOut, DontNeedLocked, PopulateRead, PopulateWrite } = Madvise;
    expect([DontNeed, Free, Cold, PageOut, DontNeedLocked, PopulateRead, PopulateWrite].map((advice) => program.mm.madvise(BASE, 4 * PAGE, advice))).toEqual([0, 0, 0, 0, 0, EFAULT, EFAULT]);
    expect([program.mm.mprotect(BASE, 4 * PAGE, Prot.Read), program.mm.mprotect(BASE, 4 * PAGE, RW), program.mm.mlock(BASE, 4 * PAGE)]).toEqual([0, 0, ENOMEM]);
    expect([guard(program, 0), program.mm.madvise(BASE, 4 * PAGE, Madvise.GuardRemove)]).toEqual([EINVAL, 0]); // locked: none may come, they may go
    program.mm.munlock(BASE, 4 * PAGE);
    guard(program, 1);
    const into = new Uint8Array(4);
    expect([program.mm.mincore(BASE, 4 * PAGE, into), into[1], isGuarded(program, 1)]).toEqual([0, 0, true]);
    system.check();
  });
  test('holes are reported when the rest is done; munmap and mmap over it take guards away', () => {
    const { program, system } = boot();
    program.map(2 * PAGE, BASE);
    program.map(2 * PAGE, BASE + 4 * PAGE);
    expect(guard(program, 0, 8)).toBe(ENOMEM);
    expect([isGuarded(program, 0), isGuarded(program, 5)]).toEqual([true, true]);
    program.map(2 * PAGE, BASE);
    program.mm.munmap(BASE + 4 * PAGE, PAGE);
    program.map(PAGE, BASE + 4 * PAGE);
    expect([isGuarded(program, 0), isGuarded(program, 4), isGuarded(program, 5)]).toEqual([false, false, true]);
    system.check();
  });
  test('moves with its page, and is inherited but by MADV_WIPEONFORK', () => {
    const { program, system } = boot();
    program.map(4 * PAGE, BASE);
    guard(program, 3);
    const child = fork(program);
    expect([isGuarded(child, 3), child.mm.madvise(BASE, 4 * PAGE, Madvise.GuardRemove), isGuarded(child, 3), isGuarded(program, 3)]).toEqual([true, 0, false, true]);
    program.mm.madvise(BASE, 4 * PAGE, Madvise.WipeOnFork);
    expect(isGuarded(fork(program), 3)).toBe(false);
    expect(program.mm.mremap(BASE, 4 * PAGE, 4 * PAGE, MremapFlag.MayMove | MremapFlag.Fixed | MremapFlag.DontUnmap, BASE + MB2)).toBe(BASE + MB2);
    expect([program.read(BASE + 3 * PAGE), program.read(BASE + MB2 + 3 * PAGE)]).toEqual([FaultResult.Done, FaultResult.MapErr]);
    system.check();
  });
  test('of a file keeps fault-around, truncation and punched holes off, and is inherited through shared mappings too', () => {
    const { program, system } = boot();
    const file = memfd(system, 16);
    program.mm.mmap({ addr: BASE, len: 16 * PAGE, prot: RW, flags: MapFlag.Shared | MapFlag.Fixed, file, pgoff: 0 });
    expect(guard(program, 1)).toBe(0);
    expect([program.read(BASE), program.frame(BASE + 2 * PAGE) !== 0, isGuarded(program, 1), isGuarded(fork(program), 1)]).toEqual([FaultResult.Done, true, true, true]);
    file.space.punchHole(0, 4 * PAGE);
    file.space.truncate(0);
    expect([program.read(BASE), isGuarded(program, 1)]).toEqual([FaultResult.BusError, true]);
    system.check();
  });
  test('cuts 2 MiB mappings, and keeps them from coming back', () => {
    const { program, system } = boot({ orders: [9] });
    program.map(MB2, BASE);
    program.write(BASE);
    expect(guard(program, 8)).toBe(0);
    expect([program.mm.tables.pmdLeaf(BASE / PAGE), program.mm.rss.anonPages]).toEqual([0, 511]);
    const before = system.vmstat.get('thp_collapse_alloc');
    expect([program.mm.madvise(BASE, MB2, Madvise.Collapse), system.vmstat.get('thp_collapse_alloc') - before]).toEqual([EINVAL, 1]);
    program.mm.madvise(BASE, MB2, Madvise.DontNeed);
    expect(isGuarded(program, 8)).toBe(true); // the table with the guard in it is not given back
    program.mm.madvise(BASE, MB2, Madvise.GuardRemove);
    expect([program.write(BASE), program.mm.madvise(BASE, MB2, Madvise.Collapse), guard(program, 0, 512), program.mm.rss.anonPages]).toEqual([FaultResult.Done, 0, 0, 0]);
    system.check();
  });
  test('does not keep neighbours apart: the merged mapping may have guards', () => {
    const { program } = boot();
    program.map(4 * PAGE, BASE + 8 * PAGE);
    guard(program, 8);
    program.map(4 * PAGE, BASE + 12 * PAGE);
    program.map(4 * PAGE, BASE + 4 * PAGE);
    program.mm.mprotect(BASE + 6 * PAGE, PAGE, Prot.Read);
    expect(maps(program.mm).length).toBe(3);
    program.mm.mprotect(BASE + 6 * PAGE, PAGE, RW);
    expect([maps(program.mm).length, flagsAt(program, 15)]).toEqual([1, 'rd wr mr mw me gu ac']);
  });
  test('cannot be had without memory for its table', () => {
    const { program, system } = boot();
    program.map(4 * PAGE, BASE);
    system.allocationsUntilFailure = 0;
    expect(guard(program, 0)).toBe(ENOMEM);
    system.allocationsUntilFailure = Infinity;
    system.check();
  });
});

describe('a sealed mapping', () => {
  const sealed = (prot = RW): Program => {
    const { program } = boot();
    program.map(4 * PAGE, BASE, prot);
    expect(program.mm.mseal(BASE, 2 * PAGE, 0)).toBe(0);
    return program;
  };
  test('can neither go, move nor change rights, and no range that it is in', () => {
    const { mm } = sealed();
    expect([mm.munmap(BASE, PAGE), mm.munmap(BASE, 4 * PAGE), mm.mprotect(BASE, PAGE, RW), mm.mremap(BASE, PAGE, PAGE, 0, 0), mm.mremap(BASE, PAGE, 2 * PAGE, MremapFlag.MayMove, 0),
      mm.mremap(BASE + 2 * PAGE, PAGE, PAGE, MremapFlag.MayMove | MremapFlag.Fixed, BASE)]).toEqual([EPERM, EPERM, EPERM, EPERM, EPERM, EPERM]);
    expect(mm.mmap({ addr: BASE, len: PAGE, prot: RW, flags: MapFlag.Private | MapFlag.Anonymous | MapFlag.Fixed, file: null, pgoff: 0 })).toBe(EPERM);
    expect([mm.mprotect(BASE + 2 * PAGE, PAGE, Prot.Read), mm.munmap(BASE + 2 * PAGE, 2 * PAGE), maps(mm).length]).toEqual([0, 0, 1]);
  });
  test('that is read-only cannot be emptied', () => {
    const { DontNeed, Free, Remove, DontFork, WipeOnFork, DontNeedLocked, GuardInstall, DoFork, GuardRemove, Cold, NoHugePage } = Madvise;
    const advice = [DontNeed, Free, Remove, DontFork, WipeOnFork, DontNeedLocked, GuardInstall, DoFork, GuardRemove, Cold, NoHugePage];
    const readOnly = sealed(Prot.Read);
    const writable = sealed();
    expect(advice.map((a) => readOnly.mm.madvise(BASE, PAGE, a))).toEqual([EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, 0, 0, 0, 0]);
    expect([writable.mm.madvise(BASE, PAGE, DontNeed), writable.mm.madvise(BASE, PAGE, GuardInstall)]).toEqual([0, 0]);
  });
  test('is sealed in children too, again without error, and never over a hole', () => {
    const program = sealed();
    expect(flagsAt(fork(program), 0)).toBe('rd wr mr mw me ac sl');
    expect([program.mm.mseal(BASE, 4 * PAGE, 0), program.mm.mseal(BASE, 5 * PAGE, 0), program.mm.mseal(BASE + 1, PAGE, 0), program.mm.mseal(BASE, PAGE, 1), program.mm.mseal(BASE, 0, 0)])
      .toEqual([0, ENOMEM, EINVAL, EINVAL, 0]);
  });
});

describe('MAP_DROPPABLE', () => {
  const map = ({ mm }: Program, flags: number, file: FileMapping | null = null): number => mm.mmap({ addr: BASE, len: 4 * PAGE, prot: RW, flags: MapFlag.Droppable | MapFlag.Fixed | flags, file, pgoff: 0 });
  test('is private memory that nobody promises, copies, dumps or locks, and that counts as freed lazily', () => {
    const { program, system } = boot();
    expect(map(program, MapFlag.Anonymous)).toBe(BASE);
    expect([flagsAt(program, 0), system.committedPages]).toEqual(['rd wr mr mw me nr wf dd dp', 0]);
    expect([program.mm.mlock(BASE, PAGE), program.mm.lockedVm, program.mm.madvise(BASE, PAGE, Madvise.KeepOnFork), program.mm.madvise(BASE, PAGE, Madvise.DoDump), program.mm.madvise(BASE, PAGE, Madvise.WipeOnFork)])
      .toEqual([0, 0, EINVAL, EINVAL, 0]);
    program.user.setU8(BASE, 1);
    expect(system.folios.test(asPfn(program.frame(BASE)), FolioFlag.SwapBacked)).toBe(false);
    expect(fork(program).user.u8(BASE)).toBe(0);
    system.check();
  });
  test('is of no file, no stack, and not locked at birth', () => {
    const { program, system } = boot();
    expect([map(program, 0, memfd(system, 4)), map(program, MapFlag.Anonymous | MapFlag.Locked), map(program, MapFlag.Anonymous | MapFlag.GrowsDown)]).toEqual([EINVAL, EINVAL, EINVAL]);
  });
});

describe('MADV_PAGEOUT', () => {
  const { Free, PageOut, Cold } = Madvise;
  const resident = (p: Program, pages: number): number[] => Array.from({ length: pages }, (_, i) => Number(p.frame(BASE + i * PAGE) !== 0));
  test('drops what MADV_FREE has marked and nobody has written since; COLD does not', () => {
    const { program, system } = boot();
    program.map(8 * PAGE, BASE);
    program.touch(BASE, 8 * PAGE);
    program.mm.madvise(BASE, 8 * PAGE, PageOut);
    expect(resident(program, 8)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    program.mm.madvise(BASE, 8 * PAGE, Free);
    program.write(BASE + PAGE);
    program.read(BASE + 2 * PAGE);
    program.mm.madvise(BASE, 8 * PAGE, Cold);
    program.mm.madvise(BASE, 4 * PAGE, PageOut);
    expect([resident(program, 8), system.vmstat.get('pglazyfreed'), program.mm.rss.anonPages]).toEqual([[0, 1, 0, 0, 1, 1, 1, 1], 3, 5]);
    program.mm.madvise(BASE, 2 * PAGE, PageOut); // written once, it is like any other
    expect(resident(program, 2)).toEqual([0, 1]);
    system.check();
  });
  test('leaves what others map or hold, drops large folios whole, and droppable memory though it was written', () => {
    const { program, system } = boot({ orders: [4, 9] });
    program.map(MB2, BASE);
    program.write(BASE);
    program.mm.madvise(BASE, MB2, Free);
    const child = fork(program);
    program.mm.madvise(BASE, MB2, PageOut);
    expect(program.mm.rss.anonPages).toBe(512);
    child.mm.dispose();
    const frame = asPfn(program.frame(BASE));
    system.holdPage(frame);
    program.mm.madvise(BASE, MB2, PageOut);
    expect(program.mm.rss.anonPages).toBe(512);
    system.releasePage(frame);
    program.mm.madvise(BASE, MB2, PageOut);
    expect([program.mm.rss.anonPages, system.vmstat.get('pglazyfreed')]).toEqual([0, 512]);
    program.mm.mmap({ addr: BASE, len: 32 * PAGE, prot: RW, flags: MapFlag.Droppable | MapFlag.Anonymous | MapFlag.Fixed, file: null, pgoff: 0 });
    program.touch(BASE, 32 * PAGE);
    program.mm.madvise(BASE, 32 * PAGE, PageOut);
    expect([program.mm.rss.anonPages, system.vmstat.get('pglazyfreed'), program.user.u8(BASE)]).toEqual([0, 512, 0]);
    system.check();
  });
});

test('PR_SET_MDWE: what is writable never executes, and what does not execute never will', () => {
  const { program: { mm } } = boot();
  mm.mdwe = 1;
  const map = (page: number, prot: number): number => Math.min(0, mm.mmap({ addr: BASE + page * PAGE, len: PAGE, prot, flags: MapFlag.Private | MapFlag.Anonymous | MapFlag.Fixed, file: null, pgoff: 0 }));
  const { Read, Write, Exec } = Prot;
  expect([map(0, Read | Write | Exec), map(1, Read | Write), map(2, Read | Exec)]).toEqual([EACCES, 0, 0]);
  const protect = (page: number, prot: number): number => mm.mprotect(BASE + page * PAGE, PAGE, prot);
  expect([protect(1, Read | Exec), protect(2, Read | Exec), protect(2, Read | Write | Exec), protect(2, Read), protect(2, Read | Exec)]).toEqual([EACCES, 0, EACCES, 0, EACCES]);
  expect([dupMm(mm)!.mdwe, (mm.mdwe = 3, dupMm(mm)!.mdwe)]).toEqual([1, 0]);
});

describe('memory of another program', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const write = ({ mm, counts }: Program, va: number, force: boolean): number => accessRemoteVm(mm, counts, va, bytes, true, force);
  const read = ({ mm, counts }: Program, va: number, force: boolean, len = 3): number => accessRemoteVm(mm, counts, va, new Uint8Array(len), false, force);
  test('is had as far as rights go, and by force beyond them', () => {
    const { program } = boot();
    program.map(PAGE, BASE);
    program.map(PAGE, BASE + PAGE, Prot.Read);
    program.map(PAGE, BASE + 2 * PAGE, Prot.None);
    expect([0, 1, 2, 3].map((page) => [read(program, BASE + page * PAGE, false), write(program, BASE + page * PAGE, false), read(program, BASE + page * PAGE, true), write(program, BASE + page * PAGE, true)]))
      .toEqual([[3, 3, 3, 3], [3, 0, 3, 3], [0, 0, 3, 3], [0, 0, 0, 0]]);
    expect(read(program, BASE + 3 * PAGE - 5, true, 100)).toBe(5);
  });
  test('that is read-only is copied by a forced write, and stays read-only: the file and other programs see nothing', () => {
    const { program, system } = boot();
    const file = memfd(system, 2);
    program.mm.mmap({ addr: BASE, len: 2 * PAGE, prot: Prot.Read, flags: MapFlag.Private | MapFlag.Fixed, file, pgoff: 0 });
    program.map(PAGE, BASE + 2 * PAGE);
    program.user.setU8(BASE + 2 * PAGE, 9);
    program.mm.mprotect(BASE + 2 * PAGE, PAGE, Prot.Read);
    const child = fork(program);
    program.read(BASE);
    expect([write(program, BASE, true), write(program, BASE + 2 * PAGE, true)]).toEqual([3, 3]);
    expect([program.user.u8(BASE), program.user.u8(BASE + 2 * PAGE), child.user.u8(BASE), child.user.u8(BASE + 2 * PAGE)]).toEqual([1, 1, 7, 9]);
    expect([program.write(BASE), program.write(BASE + 2 * PAGE), smapsOf(program.mm, program.mm.findVma(BASE)!).privateDirty]).toEqual([FaultResult.AccErr, FaultResult.AccErr, PAGE]);
    system.check();
  });
  test('that is shared cannot be forced', () => {
    const { program, system } = boot();
    program.mm.mmap({ addr: BASE, len: PAGE, prot: Prot.Read, flags: MapFlag.Shared | MapFlag.Fixed, file: memfd(system, 1), pgoff: 0 });
    expect([write(program, BASE, true), read(program, BASE, true)]).toEqual([0, 3]);
  });
  test('under 2 MiB is split where only a page is to be written', () => {
    const { program, system } = boot({ orders: [9] });
    program.map(MB2, BASE);
    program.write(BASE);
    const child = fork(program);
    expect([write(child, BASE + 5 * PAGE, true), child.user.u8(BASE + 5 * PAGE + 1), program.user.u8(BASE + 5 * PAGE + 1)]).toEqual([3, 2, 0]);
    system.check();
  });
});

test('clear_refs makes Referenced zero, of anonymous memory or of files alone; 5 brings the high-water mark down', () => {
  const { program, system } = boot({ orders: [4] });
  program.map(16 * PAGE, BASE);
  program.touch(BASE, 16 * PAGE);
  program.mm.mmap({ addr: BASE + MB2, len: PAGE, prot: Prot.Read, flags: MapFlag.Shared | MapFlag.Fixed, file: memfd(system, 1), pgoff: 0 });
  program.read(BASE + MB2);
  const referenced = (): number[] => program.mm.vmas.map((vma) => smapsOf(program.mm, vma).referenced / PAGE);
  expect([referenced(), clearRefs(program.mm, '4'), referenced(), clearRefs(program.mm, '3\n'), referenced(), clearRefs(program.mm, ' 2'), referenced()])
    .toEqual([[16, 1], 0, [16, 1], 0, [16, 0], 0, [0, 0]]);
  expect(['0', '6', 'x', '1x', '-1', ''].map((text) => clearRefs(program.mm, text))).toEqual(Array(6).fill(EINVAL));
  program.mm.munmap(BASE, 8 * PAGE);
  expect([program.mm.hiwaterRss, clearRefs(program.mm, '5'), program.mm.hiwaterRss]).toEqual([17, 0, 9]);
  system.check();
});

test('categories of pages: present, zeros, file, guard, 2 MiB; nothing without a table', () => {
  const { program, system } = boot({ orders: [9] });
  program.map(MB2, BASE);
  program.write(BASE);
  program.map(8 * PAGE, BASE + 2 * MB2);
  program.read(BASE + 2 * MB2);
  program.mm.madvise(BASE + 2 * MB2 + PAGE, PAGE, Madvise.GuardInstall);
  program.mm.mmap({ addr: BASE + 2 * MB2 + 2 * PAGE, len: PAGE, prot: Prot.Read, flags: MapFlag.Shared | MapFlag.Fixed, file: memfd(system, 1), pgoff: 0 });
  program.read(BASE + 2 * MB2 + 2 * PAGE);
  const at = (va: number): [number, number] => {
    const { categories, nr } = pageCategories(program.mm, va / PAGE, va / PAGE + 600);
    return [categories, nr];
  };
  expect([BASE, BASE + 4 * PAGE, BASE + MB2, BASE + 2 * MB2, BASE + 2 * MB2 + PAGE, BASE + 2 * MB2 + 2 * PAGE, BASE + 2 * MB2 + 3 * PAGE].map(at))
    .toEqual([[0x4a, 512], [0x4a, 508], [0, 512], [0x2a, 1], [0x112, 1], [0xe, 1], [2, 1]]);
});
