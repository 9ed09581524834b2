// quire mm cache and what quire why says of pages of files, through the command: on images with extents and with block maps, and in memory alone.
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasons } from '#kernel';
import { boot } from '#tools/boot.ts';
import { CacheWatch, cacheFields } from '#tools/cache.ts';
import type { CacheFileReport, CacheReport } from '#tools/cache.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { closeDisks } from '#tools/host.ts';
import { parseCommandLine } from '#tools/options.ts';
import type { Piece, ReadaheadStory } from '#tools/why.ts';
import { quire, scratch } from '../support/cli.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const DATA_BYTES = 1 << 20;
const images: Record<string, string> = {};
beforeAll(() => {
  mkdirSync(host.path('files'));
  writeFileSync(host.path('files/data'), Buffer.alloc(DATA_BYTES, 'some text\n'));
  writeFileSync(host.path('files/a-name-that-is-longer-than-its-column'), 'x');
  for (const type of ['ext2', 'ext4']) {
    images[type] = host.path(`${type}.img`);
    expect(quire(['mkfs', images[type], '--from', host.path('files'), '--type', type, '--size', '16M']).status).toBe(0);
  }
});

function json<T>(command: readonly string[], disk: string, ...words: string[]): T {
  const { status, stdout, stderr } = quire([...command, '--json', '--mem', '64M', '--disk', disk, ...words]);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as T;
}
const cacheOf = (type: string, ...words: string[]): CacheReport => json(['mm', 'cache'], images[type]!, ...words);
const fileOf = (r: CacheReport, path: string): CacheFileReport => r.files.find((file) => file.path === path) ?? { ...r.files[0]!, path: 'not there' };
const sh = (script: string): string[] => ['--', 'sh', '-c', script];
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('quire mm cache', () => {
  test('every declared field is there, and what is there adds up', () => {
    const r = cacheOf('ext4', '--path', '/mnt/data', ...sh('wc /mnt/data'));
    for (const [path, kind] of cacheFields) {
      const value = path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], r);
      expect(value, path).toBeDefined();
      if (kind === 'count') expect(Number.isSafeInteger(value) && (value as number) >= 0, path).toBe(true);
    }
    expect(Object.keys(r.mapping).map((key) => `mapping.${key}`).filter((path) => !cacheFields.some(([declared]) => declared === path))).toEqual([]);
    expect(Object.keys(r.atomics).map((key) => `atomics.${key}`).filter((path) => !cacheFields.some(([declared]) => declared === path))).toEqual([]);
    expect(r.total.pages).toBe(sum(r.files.map(({ pages }) => pages)));
    for (const file of r.files) expect(sum(file.folios.map((n, order) => n * 2 ** order)), file.path).toBe(file.pages);
    expect(r.total.folios).toBe(sum(r.files.flatMap(({ folios }) => folios)));
    const { decisions, neededPages, aheadPages, usedPages, unusedPages } = r.readahead;
    expect([aheadPages, neededPages + aheadPages, decisions > 0]).toEqual([usedPages + unusedPages, fileOf(r, '/mnt/data').pages, true]);
    expect(r.listed!.folios.map(({ index, order }) => [index, order]).reduce((next, [index, order]) => (index === next ? next + 2 ** order! : NaN), 0)).toBe(256);
  });
  test('one file through extents and through blocks: the same pages, in fewer folios, with fewer questions, states and atomic operations', () => {
    const [extents, blocks] = ['ext4', 'ext2'].map((type) => cacheOf(type, ...sh('wc /mnt/data'))) as [CacheReport, CacheReport];
    expect(fileOf(extents, '/mnt/data')).toMatchObject({ sizeBytes: DATA_BYTES, pages: 256, backEnd: 'iomap', isUsed: true, dirtyPages: 0 });
    expect(fileOf(blocks, '/mnt/data')).toMatchObject({ sizeBytes: DATA_BYTES, pages: 256, folios: [256, 0, 0, 0, 0, 0, 0, 0, 0, 0], backEnd: 'buffer_head' });
    expect(fileOf(extents, '/mnt/data').folios[5]).toBeGreaterThan(4);
    expect([extents.mapping.getBlock, blocks.mapping.iomapBegin, blocks.mapping.getBlock]).toEqual([0, 0, 256]);
    expect(extents.mapping.iomapBegin).toBeLessThan(20);
    expect(sum(Object.values(extents.atomics))).toBeLessThan(sum(Object.values(blocks.atomics)) / 3);
    expect([extents.mapping.readBytes, blocks.mapping.readBytes]).toEqual([DATA_BYTES, DATA_BYTES]);
    expect(fileOf(blocks, '/dev/vda').backEnd).toBe('buffer_head');
  });
  test('dirty pages, mapped pages and deleted files are seen as the program ends', () => {
    const image = host.path('rw.img');
    expect(quire(['mkfs', image, '--size', '16M']).status).toBe(0);
    const written: CacheReport = json(['mm', 'cache'], `${image}:rw`, ...sh('seq 1 20000 > /mnt/numbers'));
    const numbers = fileOf(written, '/mnt/numbers');
    expect([numbers.dirtyPages + numbers.writebackPages, numbers.pages]).toEqual([Math.ceil(108_894 / 4096), Math.ceil(108_894 / 4096)]);
    expect(written.disks.writtenBytes).toBeLessThan(108_894);
    const mapped: CacheReport = json(['mm', 'cache'], `${image}:rw`, '--', 'filemap', '--path', '/mnt/map');
    expect(Math.max(...mapped.files.map(({ mappedPages }) => mappedPages))).toBeGreaterThan(0);
    expect(fileOf(mapped, '/bin/filemap').mappedPages).toBeGreaterThan(0);
  });
  test('memory alone: shmem, its names, and large folios where they are enabled', () => {
    const { status, stdout, stderr } = quire(['mm', 'cache', '--json', '--mem', '64M', '--set', '/sys/kernel/mm/transparent_hugepage/shmem_enabled=force', ...sh('seq 1 20000 > /tmp/x')]);
    expect(status, stderr).toBe(0);
    const r = JSON.parse(stdout) as CacheReport;
    expect(r.files.every(({ backEnd }) => backEnd === 'shmem')).toBe(true);
    expect(fileOf(r, '/tmp/x')).toMatchObject({ sizeBytes: 108_894, pages: 512, folios: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1], dirtyPages: 0, isUsed: true });
    expect(r.disks).toMatchObject({ bios: 0, requests: 0 });
  });
  test('as text: at most 120 columns, long names on lines of their own, the untouched together', () => {
    const { status, stdout } = quire(['mm', 'cache', '--mem', '64M', '--disk', images['ext4']!, '--path', '/mnt/data', ...sh('wc /mnt/data /mnt/a-name-that-is-longer-than-its-column')]);
    expect(status).toBe(0);
    const lines = stdout.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120);
    expect(lines).toContainEqual(expect.stringMatching(/^ \/mnt\/data +1M +256 +0 +0 .*  iomap$/));
    expect(lines).toContain(' /mnt/a-name-that-is-longer-than-its-column');
    expect(stdout).toMatch(/^ and \d+ files that were there before the start and were not touched: [\d,]+ pages$/m);
    expect(stdout).toMatch(/^ +[\d,]+ {2}iomap begin \(extents\) +# [\d.]+ pages moved for each$/m);
    expect(stdout).toMatch(/^ Folios of \/mnt\/data\n.*\n {3}0-\d+ +\d+ +0 +0 {2}uptodate; ra-first-order$/m);
  });
  test('a run that is watched is the run that is not', () => {
    const hash = (watched: boolean): string => {
      const { values, rest } = parseCommandLine('mm', ['machine', 'kernel', 'inputs'], ['--mem', '64M', '--disk', images['ext4']!, ...sh('wc /mnt/data')]);
      const session = boot(prepare(values, rest, NO_TERMINAL), watched ? (created) => {
        const watch = new CacheWatch(created, null);
        return { take: () => [], end: () => { watch.end(); return []; } };
      } : undefined, watched);
      while (session.step(200_000) === 'running');
      session.trace?.end();
      const answer = session.stateHash();
      session.shutdown();
      closeDisks();
      return answer;
    };
    expect(hash(true)).toBe(hash(false));
  });
});

describe('quire why, of files', () => {
  test('readahead lists every decision, with the window and the reason, and explains the reasons', () => {
    const { decisions } = json<{ decisions: ReadaheadStory[] }>(['why'], images['ext4']!, 'readahead', ...sh('wc /mnt/data'));
    expect(decisions[0]).toMatchObject({ number: 0, path: '/mnt/data', kind: 'sync', reason: 'ra-first', index: 0, start: 0, order: 0 });
    expect(decisions.slice(1).every(({ kind, reason }) => kind === 'async' && reason === 'ra-mark')).toBe(true);
    expect(sum(decisions.map(({ pages }) => pages))).toBe(256);
    const text = quire(['why', '--mem', '64M', '--disk', images['ext4']!, 'readahead', ...sh('wc /mnt/data')]).stdout;
    expect(text).toMatch(/^ +0 +\d+ {2}sync +0\+\d+ {2}0\+\d+ +\d+ +0 +\d+ {2}ra-first$/m);
    expect(text).toMatch(/^ {5}\.\.\. \d+ times more like the last line, up to page \d+$/m);
    expect(text).toContain(`ra-mark: ${reasons['ra-mark'].sentence}`);
    expect(quire(['why', 'readahead', '--', 'true']).stdout).toBe('Read-ahead decided nothing: no page of a file had to be read from a disk.\n');
  });
  test('of a page of a mapped file: the order of its folio, and which decision of read-ahead brought it', () => {
    const disk = host.path('map.img');
    expect(quire(['mkfs', disk, '--size', '16M', '--from', host.path('files')]).status).toBe(0);
    const words = ['--', 'filemap', '--path', '/mnt/map', '--bytes', '256K'];
    const { pieces } = json<{ pieces: Piece[] }>(['why'], `${disk}:rw`, 'all', ...words);
    const ofFile = pieces.filter((piece) => piece.vma.name.startsWith('/mnt/map') && piece.cache !== null);
    const ofProgram = pieces.filter((piece) => piece.vma.name === '/bin/filemap' && piece.backing.what === 'file page');
    expect(ofProgram.every(({ cache }) => cache?.reasons[0] === 'shmem-off')).toBe(true);
    expect(ofProgram.length).toBeGreaterThan(0);
    for (const { cache, backing, filePage } of ofFile) {
      expect(cache!.order).toBe(backing.order);
      expect(filePage! - backing.pageOfFolio).toBe(cache!.index);
    }
    const at = ofProgram[0]!;
    const one = quire(['why', '--mem', '64M', '--disk', `${disk}:rw`, `0x${at.start.toString(16)}`, ...words]).stdout;
    expect(one).toMatch(/^ {2}in the page cache since cycle \d+, page 0 of the file: wanted 4K \(order 0\), got 4K \(order 0\)\n {4}shmem-off: /m);
  });
});

describe('wrong input', () => {
  const says = (words: readonly string[], text: string): void => {
    expect(quire(words)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining(text) as string });
  };
  test('reports, paths and options that are not there are answered with what to write', () => {
    says(['mm', 'cahce', '--', 'true'], 'cahce: not a report. Did you mean cache?');
    says(['mm'], 'quire mm cache -- PROG');
    says(['mm', 'memmap', '--path', '/a', '--', 'true'], '--path: not an option of quire mm memmap.');
    says(['mm', 'cache', '--path', 'data', '--', 'true'], '--path data: not a whole path.');
    says(['mm', 'cache', '--path', '/bin/tru', '--', 'true'], '--path /bin/tru: no page of such a file is in memory.');
    says(['why', 'readahed', '--', 'true'], 'quire why readahead -- gups');
  });
  test('quire explain knows the fields, and the reasons', () => {
    expect(quire(['explain', 'iomapBegin']).stdout).toContain('one an extent');
    expect(quire(['explain', 'ra-interleaved']).stdout).toContain(reasons['ra-interleaved'].sentence);
    expect(quire(['explain', 'cache']).stdout.split('\n').length).toBeGreaterThan(25);
    expect(quire(['mm', '--help']).stdout).toContain('--path');
  });
});
