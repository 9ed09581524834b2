// e2fsprogs as an oracle: what e2fsck and debugfs say of an image, images made by mke2fs. Where they are not installed, `hasE2fsprogs` is false: tests
// that ask them are skipped.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const find = (name: string): string | null => ['/sbin', '/usr/sbin', '/usr/local/sbin', '/usr/bin'].map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
const tools = { e2fsck: find('e2fsck'), debugfs: find('debugfs'), mke2fs: find('mke2fs') };
export const hasE2fsprogs = Object.values(tools).every((path) => path !== null);
/** For the name of a skipped suite. */
export const e2fsprogsNote = hasE2fsprogs ? '' : ' (skipped: e2fsprogs is not installed)';

function inFolder<T>(action: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'quire-ext-'));
  try {
    return action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
function onImage<T>(bytes: Uint8Array, action: (path: string, folder: string) => T): T {
  return inFolder((folder) => {
    const path = join(folder, 'image');
    writeFileSync(path, bytes);
    return action(path, folder);
  });
}

/** e2fsck -fn: 'clean', or what it complains about. */
export function e2fsck(bytes: Uint8Array): string {
  return onImage(bytes, (path) => {
    const { status, stdout } = spawnSync(tools.e2fsck!, ['-fn', path], { encoding: 'utf8' });
    return status === 0 ? 'clean' : `exit ${status}: ${stdout}`;
  });
}
/** Repairs an image as e2fsck -fy does. @param more options besides @returns its bytes, and whether nothing was left to repair */
export function repair(bytes: Uint8Array, more: readonly string[] = []): { bytes: Uint8Array; isRepaired: boolean; log: string } {
  return onImage(bytes, (path) => {
    const { status, stdout } = spawnSync(tools.e2fsck!, ['-fy', ...more, path], { encoding: 'utf8' });
    return { bytes: new Uint8Array(readFileSync(path)), isRepaired: status !== null && status < 4, log: stdout };
  });
}
/** Bytes of files, as debugfs reads them. @param paths without spaces */
export function debugfsCat(bytes: Uint8Array, paths: readonly string[]): Map<string, Uint8Array> {
  return onImage(bytes, (image, folder) => {
    const commands = paths.map((path, i) => `dump ${path} ${join(folder, `${i}`)}`).join('\n');
    writeFileSync(join(folder, 'commands'), `${commands}\n`);
    spawnSync(tools.debugfs!, ['-f', join(folder, 'commands'), image], { encoding: 'utf8' });
    return new Map(paths.flatMap((path, i) => (existsSync(join(folder, `${i}`)) ? [[path, new Uint8Array(readFileSync(join(folder, `${i}`)))] as const] : [])));
  });
}
/** What a command of debugfs prints. @param isWriting the image it leaves is returned too */
export function debugfs(bytes: Uint8Array, commands: readonly string[], isWriting = false): { text: string; bytes: Uint8Array } {
  return onImage(bytes, (image, folder) => {
    writeFileSync(join(folder, 'commands'), `${commands.join('\n')}\n`);
    const { stdout } = spawnSync(tools.debugfs!, [...(isWriting ? ['-w'] : []), '-f', join(folder, 'commands'), image], { encoding: 'utf8', cwd: folder, maxBuffer: 1 << 28 });
    return { text: stdout, bytes: isWriting ? new Uint8Array(readFileSync(image)) : bytes };
  });
}
/** An image by mke2fs. @param files put in with -d, by path */
export function mke2fs(args: readonly string[], size: string, files: Readonly<Record<string, Uint8Array>> = {}): Uint8Array {
  return inFolder((folder) => {
    const image = join(folder, 'image');
    const from = join(folder, 'from');
    spawnSync('mkdir', ['-p', from, ...Object.keys(files).map((path) => join(from, path, '..'))]);
    for (const [path, bytes] of Object.entries(files)) writeFileSync(join(from, path), bytes);
    const { status, stderr } = spawnSync(tools.mke2fs!, ['-q', '-F', '-d', from, ...args, image, size], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`mke2fs: ${stderr}`);
    return new Uint8Array(readFileSync(image));
  });
}
