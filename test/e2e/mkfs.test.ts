// quire mkfs as a person uses it: an image from a folder, and a sentence for each thing that cannot be.
import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { quire, scratch } from '../support/cli.ts';
import { debugfs, e2fsck, hasE2fsprogs } from '../support/e2fsprogs.ts';
import { checkExt } from '../support/ext-check.ts';

const host = scratch();
afterAll(() => { host.remove(); });
mkdirSync(host.path('files/sub'), { recursive: true });
writeFileSync(host.path('files/sub/a.txt'), 'some text\n', { mode: 0o640 });
linkSync(host.path('files/sub/a.txt'), host.path('files/b.txt'));
symlinkSync('sub/a.txt', host.path('files/link'));

describe('quire mkfs', () => {
  test.each(['ext2', 'ext4'])('--type %s makes an image with the folder in it', (type) => {
    const path = host.path(`${type}.img`);
    expect(quire(['mkfs', path, '--from', host.path('files'), '--type', type, '--size', '16M', '--block-size', '1024', '--label', 'books'])).toEqual({ status: 0, stdout: '', stderr: '' });
    const image = new Uint8Array(readFileSync(path));
    expect(image.length).toBe(16 * 2 ** 20);
    const { problems, tree, bytes } = checkExt(image, { contents: true });
    expect(problems).toEqual([]);
    expect([...tree.keys()].sort()).toEqual(['/', '/b.txt', '/link', '/lost+found', '/sub', '/sub/a.txt']);
    expect(tree.get('/link')).toBe('link -> sub/a.txt');
    expect(tree.get('/b.txt')).toBe(tree.get('/sub/a.txt'));
    expect(new TextDecoder().decode(bytes.get('/b.txt'))).toBe('some text\n');
    if (hasE2fsprogs) {
      expect(e2fsck(image)).toBe('clean');
      expect(debugfs(image, ['stat /sub/a.txt']).text).toMatch(/Mode: {2}0640/);
    }
  });
  test('the image is sparse, and large enough by itself', () => {
    const path = host.path('sparse.img');
    expect(quire(['mkfs', path, '--size', '1G']).status).toBe(0);
    expect(statSync(path).size).toBe(2 ** 30);
    expect(statSync(path).blocks * 512).toBeLessThan(8 * 2 ** 20);
    writeFileSync(host.path('files/large'), new Uint8Array(20 * 2 ** 20).fill(7));
    expect(quire(['mkfs', host.path('auto.img'), '--from', host.path('files')]).status).toBe(0);
    expect(checkExt(new Uint8Array(readFileSync(host.path('auto.img')))).problems).toEqual([]);
  });
  test.each([
    [[], /no image is given/], [['x.img', '--type', 'ext3'], /ext3: not one of the choices/], [['x.img', '--from', 'no-such-folder'], /--from no-such-folder: there is no such file/],
    [['x.img', 'y.img'], /y\.img is one word too many/], [['--type', 'ext2', 'x.img', '--size', '1M'], /both sides/], [['/no/such/folder/x.img'], /cannot make it/],
    [['x.img', '--size', '16K'], /too few/], [['x.img', '--type', 'ext2', '--64bit'], /has neither/], [['x.img', '--label', 'a name that is far too long'], /longer than 16/],
  ])('%j is answered with a sentence', (words, sentence) => {
    const ended = quire(['mkfs', ...words], '', host.path('.'));
    expect(ended.stderr).toMatch(sentence);
    expect(ended.status).toBe(2);
    expect(ended.stdout).toBe('');
  });
  test('a file that is there is left alone without --force', () => {
    const path = host.file('kept.img', 'precious');
    expect(quire(['mkfs', path]).stderr).toMatch(/--force/);
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(quire(['mkfs', path, '--force', '--size', '8M']).status).toBe(0);
  });
});
