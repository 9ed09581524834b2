// Reclaim of pages of disks' files: who goes, who gets a second chance, what happens when a file is larger than memory.
import { describe, expect, test } from 'vitest';
import { asPfn } from '#base';
import type { Folio } from '#base';
import { IoBuffer } from '#kernel/fs/io-buffer.ts';
import { filemapRead } from '#kernel/mm/filemap-read.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { LruType } from '#kernel/mm/reclaim/lruvec.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { newRa } from '#kernel/mm/readahead.ts';
import { Program, bootSystem } from '../../support/mm-fixture.ts';
import { SlowDisk, slowByte } from '../../support/slow-disk.ts';

const MIB = 1 << 20;
function boot(ramMib: number, fileMib: number, maxOrder = 9) {
  const { system, machine } = bootSystem({ ramBytes: ramMib * MIB });
  const disk = new SlowDisk(system, fileMib * MIB, { maxOrder });
  const ra = newRa(32, 1024);
  const read = (pos: number, len: number): number => {
    const into = new Uint8Array(len);
    const io = IoBuffer.of(into);
    let moved = 0;
    for (;;) {
      const { moved: n, error, wait } = filemapRead(disk.space, ra, pos + moved, io);
      moved += n;
      if (error !== 0) return error;
      if (wait === 0) break;
      system.waits.waitNow(wait as Folio, FolioFlag.Locked);
    }
    for (let i = 0; i < moved; i += 1021) expect(into[i]).toBe(slowByte(pos + i));
    return moved;
  };
  const settle = (): void => { while (system.waits.passTime()); };
  const file: FileMapping = { space: disk.space, path: '/file', ino: 1, devMajor: 0, devMinor: 1, mayWrite: true, ra };
  return { system, machine, disk, ra, read, settle, file, program: Program.on(system) };
}

describe('a file larger than memory', () => {
  test.each([0, 4, 9])('is read from front to back, folios of up to order %i', (order) => {
    const { system, read, settle } = boot(16, 48, order);
    for (let pos = 0; pos < 48 * MIB; pos += MIB / 4) expect(read(pos, MIB / 4)).toBe(MIB / 4);
    settle();
    system.check();
    const { vmstat } = system;
    expect(vmstat.get('pgsteal_direct') + vmstat.get('pgsteal_kswapd')).toBeGreaterThan(32 * 256);
    expect(vmstat.get('pgsteal_file')).toBe(vmstat.get('pgsteal_direct') + vmstat.get('pgsteal_kswapd'));
    expect(vmstat.get('oom_kill')).toBe(0);
  });
  test('is read through a mapping, and gone pages fault in again', () => {
    const { system, program, file, settle } = boot(16, 40);
    const at = program.mm.mmap({ addr: 0, len: 40 * MIB, prot: Prot.Read, flags: MapFlag.Shared, file, pgoff: 0 });
    for (const round of [0, 1]) {
      for (let page = 0; page < 40 * 256; page += 3) {
        expect(program.user.u8(at + page * 4096 + round)).toBe(slowByte(page * 4096 + round));
      }
    }
    settle();
    system.check();
    expect(program.counts.majFlt).toBeGreaterThan(100);
  });
});

describe('the second chance', () => {
  test('what was used once goes before what was used twice', () => {
    const { system, disk, ra, read, settle } = boot(16, 32, 0);
    ra.raPages = 0; // page by page
    for (const _ of [0, 1, 2]) for (let page = 0; page < 64; page += 2) read(page * 4096, 10);
    expect(system.lru.activePages(LruType.File)).toBe(32);
    ra.raPages = 32;
    for (let pos = MIB; pos < 32 * MIB; pos += MIB / 4) read(pos, MIB / 4);
    settle();
    expect([0, 2, 30, 62].map((page) => disk.space.folioAt(page) !== 0)).toEqual([true, true, true, true]);
    expect(disk.space.folioAt(2 * 256)).toBe(0);
    system.check();
  });
  test('a page that a mapping has used since the last look stays, and its accessed bit begins anew', () => {
    const { system, program, file, disk, read, settle } = boot(16, 32, 0);
    const at = program.mm.mmap({ addr: 0, len: MIB, prot: Prot.Read, flags: MapFlag.Shared, file, pgoff: 0 });
    for (let pos = 0; pos < 32 * MIB; pos += MIB / 4) {
      program.user.u8(at);
      read(pos, MIB / 4);
    }
    settle();
    expect(disk.space.folioAt(0)).not.toBe(0);
    expect(system.folios.folioMapcount(disk.space.folioAt(0) as Folio)).toBe(1);
    expect(disk.space.folioAt(100)).toBe(0);
    system.check();
  });
  test('what somebody holds, or locks in memory, stays', () => {
    const { system, program, file, disk, read, settle } = boot(16, 32, 0);
    const at = program.mm.mmap({ addr: 0, len: 16 * 4096, prot: Prot.Read, flags: MapFlag.Shared, file, pgoff: 0 });
    expect(program.mm.mlock(at, 16 * 4096)).toBe(0);
    read(20 * 4096, 4096);
    const held = disk.space.folioAt(20) as Folio;
    system.folios.get(held);
    for (let pos = MIB; pos < 32 * MIB; pos += MIB / 4) read(pos, MIB / 4);
    settle();
    for (let page = 0; page < 16; page++) expect(disk.space.folioAt(page)).not.toBe(0);
    expect(disk.space.folioAt(20)).toBe(held);
    system.putFolio(held);
    system.check();
  });
  test('a dirty folio is not freed; the flusher is asked', () => {
    const { system, disk, read, settle } = boot(16, 32, 0);
    read(0, 4096);
    settle();
    const folio = system.folios.folioOf(asPfn(disk.space.folioAt(0)));
    disk.space.dirtyFolio(folio);
    for (let pos = MIB; pos < 32 * MIB; pos += MIB / 4) read(pos, MIB / 4);
    settle();
    expect(disk.space.folioAt(0)).toBe(folio);
    system.check();
  });
});
