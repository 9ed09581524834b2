// Page faults on mappings of a file on a disk against real Linux: with large folios (iomap here, 6.18's ext4 there) and without (buffer heads
// here, 6.12's ext4 and ext2 there). userland/programs/filefaults.c prints; recorded natively on ext4 with read_ahead_kb at 128, and on
// Debian's 6.12 kernel.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MemoryImage } from '#kernel/block/image.ts';
import { mkfs } from '#kernel/fs/ext/mkfs.ts';
import { runGuest } from '../support/run-guest.ts';

test.each([['ext4', 'linux-6.18-ext4'], ['ext2', 'linux-6.12-ext4']] as const)('on %s as on %s', (type, golden) => {
  const folder = mkdtempSync(join(tmpdir(), 'filefaults-'));
  try {
    const image = new MemoryImage(new Uint8Array(64 << 20));
    expect(mkfs(image, { type, blockSize: 4096, inodeSize: 256, label: '', seed: 1, epochSeconds: 0, metadataCsum: type === 'ext4', is64: false, reservedPercent: 5 })).toBe(null);
    const path = join(folder, 'disk.img');
    writeFileSync(path, image.bytes);
    const { stdout, stderr, status, session } = runGuest(['--disk', `${path}:rw`, '--', 'filefaults', '/mnt/file']);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const lines = readFileSync(new URL(`../golden/filefaults/${golden}.txt`, import.meta.url), 'utf8').trimEnd().split('\n').slice(1);
    expect(stdout.trimEnd().split('\n')).toEqual(lines);
    session.kernel.system.check();
    expect(session.shutdown()).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
