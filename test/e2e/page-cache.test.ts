// Traces of the page cache and of disks as a person makes them: what a program reads of an image, event by event and call by call.
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quire, scratch } from '../support/cli.ts';
import { call, guest, Nr } from '../support/guests.ts';

const host = scratch();
afterAll(() => { host.remove(); });
let image = '';
beforeAll(() => {
  mkdirSync(host.path('files'));
  writeFileSync(host.path('files/data'), Buffer.alloc(1 << 18, 7));
  image = host.path('disk.img');
  expect(quire(['mkfs', image, '--from', host.path('files'), '--size', '8M']).status).toBe(0);
});
/** Lines of some events, without task and time. */
function events(names: string, words: readonly string[], disk = image): string[] {
  const settings = ['dirty_writeback_centisecs=10', 'dirty_expire_centisecs=5'].flatMap((setting) => ['--set', `/proc/sys/vm/${setting}`]);
  const { status, stdout, stderr } = quire(['trace', '-e', names, '--mem', '64M', ...settings, '--disk', disk, '--', ...words]);
  expect(status, stderr).toBe(0);
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of lines) expect(line).toMatch(/^ *\S+-\d+ +\[000\] \.{5} +\d+\.\d{6}: \w+: /);
  return lines.map((line) => line.replace(/^.*?\.\d{6}: /, ''));
}

test('a file that is read from front to back: its windows, its folios, its bios', () => {
  const lines = events('readahead,filemap,block', ['sh', '-c', 'cat /mnt/data > /dev/null']);
  expect(lines.filter((line) => line.startsWith('page_cache_')).slice(0, 3)).toEqual([
    'page_cache_sync_ra: dev=254:0 ino=c index=0 req_count=4 order=0 size=0 async_size=0 ra_pages=32 mmap_miss=0 prev_pos=-1',
    'page_cache_ra_order: dev=254:0 ino=c index=0 order=0 size=8 async_size=4 ra_pages=32',
    'page_cache_async_ra: dev=254:0 ino=c index=4 req_count=4 order=0 size=8 async_size=4 ra_pages=32 mmap_miss=0 prev_pos=16384',
  ]);
  expect(lines).toContainEqual(expect.stringMatching(/^mm_filemap_add_to_page_cache: dev 254:0 ino c pfn=0x[\da-f]+ ofs=32768 order=2$/));
  expect(lines).toContainEqual(expect.stringMatching(/^mm_filemap_add_to_page_cache: dev 0:7 ino fe00000 pfn=0x[\da-f]+ ofs=\d+ order=0$/));
  expect(lines).toContainEqual(expect.stringMatching(/^block_bio_queue: 254,0 RA \d+ \+ 64 \[sh\]$/));
  expect(lines).toContainEqual(expect.stringMatching(/^block_rq_issue: 254,0 RA 32768 \(\) \d+ \+ 64 be,0,4 \[sh\]$/));
  expect(lines.filter((line) => line.startsWith('block_rq_issue')).length).toBe(lines.filter((line) => line.startsWith('block_rq_complete')).length);
});
test('a file that is written, and made safe by fsync or by the flusher: dirty folios, writes, flushes', () => {
  const path = host.path('rw.img');
  expect(quire(['mkfs', path, '--size', '32M']).status).toBe(0);
  const synced = events('writeback,block', ['filefaults', '/mnt/f'], `${path}:rw`);
  expect(synced).toContain('writeback_dirty_folio: bdi 254:0: ino=12 index=0');
  expect(synced).toContainEqual(expect.stringMatching(/^block_bio_queue: 254,0 WS \d+ \+ \d+ \[filefaults\]$/));
  expect(synced).toContain('block_bio_queue: 254,0 FWS 0 + 0 [filefaults]');
  expect(synced).toContain('block_rq_issue: 254,0 FF 0 () 0 + 0 none,0,0 [filefaults]');
  expect(synced).toContain('block_rq_complete: 254,0 FF () 18446744073709551615 + 0 none,0,0 [0]');
  const flushed = events('writeback,block', ['sh', '-c', 'seq 1 5000 > /mnt/n; sleep 1'], `${path}:rw`);
  const at = flushed.findIndex((line) => line.startsWith('writeback_start: bdi 254:0: sb_dev 0:0 nr_pages='));
  expect(flushed[at]).toMatch(/ sync_mode=0 kupdate=1 range_cyclic=1 background=0 reason=periodic cgroup_ino=1$/);
  expect(flushed.slice(at)).toContainEqual(expect.stringMatching(/^block_bio_queue: 254,0 W \d+ \+ 48 \[swapper\]$/));
  expect(flushed.slice(at)).toContainEqual(expect.stringMatching(/^writeback_written: bdi 254:0: .* reason=periodic cgroup_ino=1$/));
});
test('strace names advice, ranges and modes', () => {
  const program = host.file('calls', guest([...call(223, 0, 4096, 8192, 2), ...call(213, 0, 0, 4096), ...call(84, 0, 0, 0, 7), ...call(47, 0, 3, 0, 4096), ...call(82, 0), ...call(Nr.exit, 0)]));
  const { stdout } = quire(['trace', '--strace', '--', program]);
  for (const line of ['fadvise64(0, 4096, 8192, POSIX_FADV_SEQUENTIAL)', 'readahead(0, 0, 4096)', 'sync_file_range(0, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE|SYNC_FILE_RANGE_WRITE|SYNC_FILE_RANGE_WAIT_AFTER)',
    'fallocate(0, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 4096)', 'fsync(0)']) expect(stdout).toContain(line);
});
