// Read-ahead and the folios it makes, held against what a real Linux 6.18 traces on ext4 (test/golden/readahead: program, recorder, answers).
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Folio } from '#base';
import { IoBuffer } from '#kernel/fs/io-buffer.ts';
import { mmFilemapAddToPageCache, pageCacheAsyncRa, pageCacheRaOrder, pageCacheRaUnbounded, pageCacheSyncRa } from '#kernel/mm/events.ts';
import { Fadvise, fadvise } from '#kernel/mm/fadvise.ts';
import { filemapRead } from '#kernel/mm/filemap-read.ts';
import type { FileMapping, FileRa } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { newRa } from '#kernel/mm/readahead.ts';
import { Program, bootSystem } from '../../support/mm-fixture.ts';
import { SlowDisk, slowByte } from '../../support/slow-disk.ts';

const SIZE = 8 << 20;
const golden = readFileSync(new URL('../../golden/readahead/linux-6.18.txt', import.meta.url), 'utf8');

class Reader {
  readonly system = bootSystem({ ramBytes: 64 << 20 }).system;
  readonly disk: SlowDisk;
  readonly ra: FileRa;
  readonly program = Program.on(this.system);
  pos = 0;
  constructor(raPages: number, maxOrder = 9) {
    this.disk = new SlowDisk(this.system, SIZE, { maxOrder });
    this.ra = newRa(raPages, 1024);
  }
  /** pread, as a task that sleeps whenever it must. @returns bytes, each of which has been compared */
  at(pos: number, len: number): number {
    const into = new Uint8Array(len);
    const io = IoBuffer.of(into);
    let moved = 0;
    for (;;) {
      const progress = filemapRead(this.disk.space, this.ra, pos + moved, io);
      moved += progress.moved;
      if (progress.error !== 0) return progress.error;
      if (progress.wait === 0) break;
      this.system.waits.waitNow(progress.wait as Folio, FolioFlag.Locked);
    }
    for (let i = 0; i < moved; i += 509) expect(into[i]).toBe(slowByte(pos + i));
    return moved;
  }
  read(len: number): number {
    const n = this.at(this.pos, len);
    if (n > 0) this.pos += n;
    return n;
  }
  /** The disk is faster than the program. */
  settle(): void {
    while (this.system.waits.passTime());
  }
  map(): number {
    const file: FileMapping = { space: this.disk.space, path: '/file', ino: 1, devMajor: 0, devMinor: 1, mayWrite: true, ra: this.ra };
    return this.program.mm.mmap({ addr: 0, len: SIZE, prot: Prot.Read, flags: MapFlag.Shared, file, pgoff: 0 });
  }
}

/** What record.c does. @returns fault counts of a mapping, as it prints them */
function perform(r: Reader, how: string): string {
  let state = 1;
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const kb = Number(/\d+$/.exec(how)?.[0] ?? 0) * 1024;
  if (how.startsWith('seq')) while (r.read(kb) > 0);
  else if (how.startsWith('back')) for (let i = 1; i <= 64; i++) r.at(SIZE - i * kb, kb);
  else if (how === 'inter') {
    for (let i = 0; i < 100; i++) {
      r.at(i * 8192, 8192);
      r.at(SIZE / 2 + i * 8192, 8192);
    }
  } else if (how === 'random') for (let i = 0; i < 60; i++) r.at(next(SIZE / 4096) * 4096, 4096);
  else if (how === 'unaligned') for (let i = 0; i < 200; i++) r.read(5000);
  else if (how === 'skip') for (let i = 0; i < 64; i++) r.at(i * 40960, 12288);
  else if (how === 'fsequential') {
    fadvise(r.disk.space, r.ra, 0, 0, Fadvise.Sequential);
    while (r.read(16384) > 0);
  } else if (how === 'frandom') {
    fadvise(r.disk.space, r.ra, 0, 0, Fadvise.Random);
    for (let i = 0; i < 40; i++) r.at(((i * 37) % 200) * 16384, 16384);
  } else if (how === 'fwillneed') fadvise(r.disk.space, r.ra, 8192, 1 << 20, Fadvise.WillNeed);
  else if (how === 'readahead') {
    fadvise(r.disk.space, r.ra, 65536, 300 << 10, Fadvise.WillNeed);
    for (let i = 0; i < 64; i++) r.read(8192);
  } else if (how === 'stride') for (let at = 0; at < SIZE; at += 65536) r.at(at, 4096);
  else {
    const map = r.map();
    const advice = { msequential: 2, mrandomadvice: 1, mhuge: 14 }[how];
    if (advice !== undefined) expect(r.program.mm.madvise(map, SIZE, advice)).toBe(0);
    r.program.counts.minFlt = r.program.counts.majFlt = 0;
    const touch = (offset: number): void => {
      r.program.read(map + offset);
      r.settle();
    };
    if (how === 'mrandom') for (let i = 0; i < 60; i++) touch(next(SIZE / 4096) * 4096);
    else for (let at = 0; at < SIZE; at += how === 'mstride' ? 65536 : how === 'mrandomadvice' ? 5 * 4096 : 4096) touch(at);
    return `faults min ${r.program.counts.minFlt} maj ${r.program.counts.majFlt}`;
  }
  return '';
}

/** The lines of the recorder for what happens meanwhile. */
function traced(run: () => string): { lines: string[]; faults: string } {
  const lines: string[] = [];
  let adds: { first: number; end: number; order: number; n: number } | null = null;
  const flush = (): void => {
    if (adds !== null) lines.push(`add ${adds.first} x${adds.n} order ${adds.order}`);
    adds = null;
  };
  const stops = [pageCacheSyncRa, pageCacheAsyncRa, pageCacheRaOrder, pageCacheRaUnbounded].map((point) => point.listen((_, values) => {
    flush();
    lines.push(`${point.name.replace('page_cache_', '')} ${point.fields.map(({ name }, i) => `${name}=${values[i]}`).slice(3).join(' ')}`);
  }));
  stops.push(mmFilemapAddToPageCache.listen((_, [, , , , ofs, order]) => {
    const at = ofs! / 4096;
    if (adds !== null && at === adds.end && order === adds.order) {
      adds.n++;
      adds.end += 2 ** order;
      return;
    }
    flush();
    adds = { first: at, end: at + 2 ** order!, order: order!, n: 1 };
  }));
  const faults = run();
  flush();
  for (const stop of stops) stop();
  return { lines, faults };
}

describe('windows, folio orders and faults are those of Linux 6.18', () => {
  for (const section of golden.split('\n= ').slice(1)) {
    const [head = '', ...lines] = section.trimEnd().split('\n');
    const [, how = '', kb = '', faults = ''] = /^(\S+) read_ahead_kb (\d+) ?(.*)$/.exec(head) ?? [];
    test(`${how}, windows of up to ${kb} kB`, () => {
      const reader = new Reader(Number(kb) / 4);
      const seen = traced(() => perform(reader, how));
      expect(seen.lines).toEqual(lines);
      expect(seen.faults).toBe(faults);
      reader.system.check();
    });
  }
});

describe('reading', () => {
  test('a folio that cannot be read answers EIO, once it has been tried for itself; its neighbours are read', () => {
    const reader = new Reader(32, 0);
    reader.disk.bad.add(5);
    expect(reader.at(0, 5 * 4096)).toBe(5 * 4096);
    expect(reader.at(5 * 4096, 100)).toBe(-5);
    expect(reader.at(6 * 4096, 4096)).toBe(4096);
    reader.disk.bad.clear();
    expect(reader.at(5 * 4096, 100)).toBe(100);
  });
  test('a file system without large folios gets single pages in the same windows', () => {
    const reader = new Reader(32, 0);
    const { lines } = traced(() => perform(reader, 'seq16'));
    expect(lines.filter((line) => line.startsWith('add')).every((line) => line.endsWith('order 0'))).toBe(true);
  });
});
