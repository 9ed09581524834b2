// Paths and names. The errno tables were recorded on Linux 6.18 (tmpfs, root) with a C program that makes the same calls.
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { errnoName } from '#kernel/syscall/errno.ts';
import { type Argument, AT_FDCWD, bootGuest, type GuestTask, type Outcome } from '../../support/fs-fixture.ts';

const O = { RDONLY: 0, WRONLY: 1, RDWR: 2, CREAT: 0o100, EXCL: 0o200, DIRECTORY: 0o200000, NOFOLLOW: 0o400000, TMPFILE: 0o20200000, PATH: 0o10000000 } as const;
let g: GuestTask;
const at = (name: string, path: string, ...rest: readonly Argument[]): Outcome => g.call(name, AT_FDCWD, path, ...rest);
const mkdir = (path: string): Outcome => at('mkdirat', path, 0o755);
const unlink = (path: string): Outcome => at('unlinkat', path, 0);
const rmdir = (path: string): Outcome => at('unlinkat', path, 0x200);
const symlink = (text: string, path: string): Outcome => g.call('symlinkat', text, AT_FDCWD, path);
const link = (from: string, to: string): Outcome => g.call('linkat', AT_FDCWD, from, AT_FDCWD, to, 0);
const rename = (from: string, to: string, flags = 0): Outcome => g.call('renameat2', AT_FDCWD, from, AT_FDCWD, to, flags);
const readlink = (path: string): string => {
  const n = at('readlinkat', path, g.buffer, 200);
  return typeof n === 'string' ? n : g.text(n);
};
const cwd = (): string => {
  const n = g.call('getcwd', g.buffer, 4096);
  return typeof n === 'string' ? n : g.text(n - 1);
};

beforeEach(() => {
  g = bootGuest();
  mkdir('/w');
  g.call('chdir', '/w');
});

describe('as Linux 6.18 answers', () => {
  beforeEach(() => {
    g.call('close', g.fd('a', O.CREAT | O.RDWR));
    symlink('nowhere', 'dl');
    symlink('loop', 'loop');
    mkdir('sub');
  });
  test.each<[string, () => Outcome, Outcome]>([
    ['a file with a slash behind it', () => g.open('a/'), 'ENOTDIR'],
    ['making a file with a slash', () => g.open('n/', O.CREAT | O.RDWR), 'EISDIR'],
    ['O_CREAT on a directory', () => g.open('sub', O.CREAT | O.RDONLY), 'EISDIR'],
    ['O_CREAT|O_EXCL on a directory', () => g.open('sub', O.CREAT | O.EXCL), 'EEXIST'],
    ['writing a directory', () => g.open('sub', O.RDWR), 'EISDIR'],
    ['O_EXCL on a dangling link', () => g.open('dl', O.CREAT | O.EXCL | O.RDWR), 'EEXIST'],
    ['O_NOFOLLOW on a link', () => g.open('dl', O.NOFOLLOW), 'ELOOP'],
    ['a link to itself', () => g.open('loop'), 'ELOOP'],
    ['O_DIRECTORY on a file', () => g.open('a', O.DIRECTORY), 'ENOTDIR'],
    ['O_DIRECTORY with O_CREAT', () => g.open('zz', O.DIRECTORY | O.CREAT), 'EINVAL'],
    ['unlink with a slash', () => unlink('a/'), 'ENOTDIR'],
    ['unlink of a directory', () => unlink('sub'), 'EISDIR'],
    ['rmdir of a file', () => rmdir('a'), 'ENOTDIR'],
    ['rmdir of .', () => rmdir('sub/.'), 'EINVAL'],
    ['rmdir of ..', () => rmdir('sub/..'), 'ENOTEMPTY'],
    ['rmdir of /', () => rmdir('/'), 'EBUSY'],
    ['unlink of /', () => unlink('/'), 'EISDIR'],
    ['rmdir of a mount', () => rmdir('/proc'), 'EBUSY'],
    ['mkdir of /', () => mkdir('/'), 'EEXIST'],
    ['mkdir with a slash', () => mkdir('new/'), 0],
    ['mkdir of .', () => mkdir('.'), 'EEXIST'],
    ['symlink with a slash', () => symlink('x', 'lnk/'), 'ENOENT'],
    ['an empty symlink', () => symlink('', 'e'), 'ENOENT'],
    ['link of a directory', () => link('sub', 's2'), 'EPERM'],
    ['link of a link, not followed', () => link('dl', 'dl2'), 0],
    ['link to a name with a slash', () => link('a', 'b/'), 'ENOENT'],
    ['rename of a file over a directory', () => rename('a', 'sub'), 'EISDIR'],
    ['rename of a directory over a file', () => rename('sub', 'a'), 'ENOTDIR'],
    ['rename into itself', () => rename('sub', 'sub/x'), 'EINVAL'],
    ['rename of a file with a slash', () => rename('a/', 'b'), 'ENOTDIR'],
    ['rename of a file to a name with a slash', () => rename('a', 'b/'), 'ENOTDIR'],
    ['rename of a directory with slashes', () => rename('sub/', 'ddd/'), 0],
    ['rename to .', () => rename('sub', '.'), 'EBUSY'],
    ['rename of .', () => rename('.', 'q'), 'EBUSY'],
    ['rename to itself', () => rename('a', 'a'), 0],
    ['mkdir in /proc', () => mkdir('/proc/foo'), 'ENOENT'],
    ['mkdir in /sys', () => mkdir('/sys/foo'), 'EPERM'],
    ['a new file in /proc', () => g.open('/proc/foo', O.CREAT | O.RDWR), 'ENOENT'],
    ['a new file in /sys', () => g.open('/sys/foo', O.CREAT | O.RDWR), 'EACCES'],
    ['unlink in /proc', () => unlink('/proc/version'), 'EPERM'],
    ['rename in /proc', () => rename('/proc/version', '/proc/v'), 'ENOENT'],
    ['rename between file systems', () => rename('a', '/proc/v'), 'EXDEV'],
    ['a file as directory', () => g.open('a/b'), 'ENOTDIR'],
    ['a missing directory', () => g.open('nn/b'), 'ENOENT'],
    ['the empty path', () => g.open('', O.CREAT), 'ENOENT'],
    ['a long name', () => g.open('x'.repeat(256)), 'ENAMETOOLONG'],
    ['the longest name', () => g.open('x'.repeat(255)), 'ENOENT'],
    ['a long path', () => g.open('/'.repeat(4096)), 'ENAMETOOLONG'],
    ['the longest path', () => g.open('/'.repeat(4095)), 3],
    ['O_TMPFILE for reading only', () => g.open('.', O.TMPFILE), 'EINVAL'],
    ['O_TMPFILE below a file', () => g.open('a', O.TMPFILE | O.RDWR), 'ENOTDIR'],
    ['readlink of a file', () => readlink('a'), 'EINVAL'],
    ['chdir to a file', () => g.call('chdir', 'a'), 'ENOTDIR'],
    ['RENAME_NOREPLACE over a name', () => rename('a', 'sub', 1), 'EEXIST'],
    ['RENAME_EXCHANGE with nothing', () => rename('a', 'zz', 2), 'ENOENT'],
    ['both at once', () => rename('a', 'sub', 3), 'EINVAL'],
  ])('%s', (_what, make, answer) => {
    expect(make()).toBe(answer);
  });
});

test('a directory lists its newest name first, and a renamed one is new', () => {
  for (const name of ['f0', 'f1', 'f2', 'f3']) g.call('close', g.fd(name, O.CREAT));
  expect(g.ls('.')).toBe('f3 f2 f1 f0');
  unlink('f1');
  symlink('f0', 'l');
  mkdir('d');
  rename('f2', 'g2');
  expect(g.ls('.')).toBe('g2 d/ l@ f3 f0');
  rename('g2', 'f0');
  expect(g.ls('.')).toBe('f0 d/ l@ f3');
});

test('getdents64 goes on where it stopped, whatever is made or removed meanwhile', () => {
  for (let i = 0; i < 9; i++) g.call('close', g.fd(`f${i}`, O.CREAT));
  const fd = g.fd('.', O.DIRECTORY);
  const names: string[] = [];
  for (let round = 0; ; round++) {
    const n = g.call('getdents64', fd, g.buffer, 80) as number;
    if (n === 0) break;
    const bytes = g.bytes(n);
    for (let at = 0; at < n; at += bytes[at + 16]!) names.push(g.text(2, g.buffer + at + 19).replace('\0', ''));
    if (round === 1) {
      unlink('f0');
      g.call('close', g.fd('new', O.CREAT));
    }
  }
  expect(names.join(' ')).toBe('. .. f8 f7 f6 f5 f4 f3 f2 f1');
});

test('O_CREAT makes what a dangling link names; following counts to forty', () => {
  symlink('target', 'dl');
  g.call('close', g.fd('dl', O.CREAT | O.RDWR));
  expect(g.ls('.')).toBe('target dl@');
  symlink('target', 'l0');
  for (let i = 1; i <= 40; i++) symlink(`l${i - 1}`, `l${i}`);
  expect(typeof g.open('l39')).toBe('number');
  expect(g.open('l40')).toBe('ELOOP');
});

test('mounts, "..", links and the working directory agree', () => {
  expect(mkdir('/w/d')).toBe(0);
  symlink('/dev/shm', 'to');
  g.call('chdir', 'to');
  expect(cwd()).toBe('/dev/shm');
  g.call('chdir', '../..');
  expect(cwd()).toBe('/');
  g.call('chdir', '/../../w/./d//');
  expect(cwd()).toBe('/w/d');
  expect(readlink('/proc/self/cwd')).toBe('/w/d');
  rename('/w/d', '/w/e');
  expect(cwd()).toBe('/w/e');
  rmdir('/w/e');
  expect(cwd()).toBe('ENOENT');
  expect(g.open('x', O.CREAT)).toBe('ENOENT');
  expect(readlink('/proc/self/cwd')).toBe('/w/e (deleted)');
  expect(g.call('chdir', '..')).toBe(0);
  expect(cwd()).toBe('/w');
});

test('chroot hides what is above', () => {
  mkdir('jail');
  g.call('close', g.fd('jail/in', O.CREAT));
  expect(g.call('chroot', 'jail')).toBe(0);
  g.call('chdir', '/');
  expect(g.ls('/../..')).toBe('in');
  expect(cwd()).toBe('/');
});

test('an open file lives on without a name, and O_TMPFILE gets one later', () => {
  const fd = g.fd('h', O.CREAT | O.RDWR);
  g.write(fd, 'hello');
  link('h', 'h2');
  unlink('h');
  unlink('h2');
  expect(readlink(`/proc/self/fd/${fd}`)).toBe('/w/h (deleted)');
  g.call('lseek', fd, 1, 0);
  expect(g.read(fd)).toBe('ello');
  expect(g.call('linkat', AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, 'back', 0x400)).toBe('ENOENT');
  const tmp = g.fd('.', O.TMPFILE | O.RDWR);
  g.write(tmp, 'later');
  expect(g.call('linkat', AT_FDCWD, `/proc/self/fd/${tmp}`, AT_FDCWD, 'named', 0x400)).toBe(0);
  expect(g.cat('/w/named')).toBe('later');
});

test('memory of a file without name and users is free again', () => {
  const fd = g.fd('big', O.CREAT | O.RDWR);
  g.call('ftruncate', fd, 1 << 20);
  for (let i = 0; i < 4; i++) g.call('pwrite64', fd, 'x', 1, i * 65536);
  unlink('big');
  const held = g.kernel.system.freeBytes;
  g.call('close', fd);
  expect(g.kernel.system.freeBytes - held).toBe(4 * 4096);
});

test('names are bytes: what is not UTF-8 comes back unchanged', () => {
  const name = 'caf\udce9 \u20ac';
  g.call('close', g.fd(name, O.CREAT));
  expect(g.ls('.')).toBe(name);
});

test('permissions bind other users, and sticky directories protect their files', () => {
  at('fchmodat', '.', 0o755);
  mkdir('priv');
  at('fchmodat', 'priv', 0o700);
  g.call('close', g.fd('rd', O.CREAT, 0o644));
  g.call('close', g.fd('pv', O.CREAT, 0o600));
  mkdir('st');
  at('fchmodat', 'st', 0o1777);
  g.call('close', g.fd('st/a', O.CREAT));
  const user = g.child();
  Object.assign(user.task.credentials, { uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, gid: 1000, egid: 1000, sgid: 1000, fsgid: 1000, groups: [] });
  const got = {
    readPrivate: user.open('pv'), writeReadable: user.open('rd', O.WRONLY), make: user.open('new', O.CREAT), search: user.open('priv/x'), enter: user.call('chdir', 'priv'),
    chmod: user.call('fchmodat', AT_FDCWD, 'rd', 0), unlink: user.call('unlinkat', AT_FDCWD, 'rd', 0), sticky: user.call('unlinkat', AT_FDCWD, 'st/a', 0),
    chown: user.call('fchownat', AT_FDCWD, 'rd', 1000, -1, 0), device: user.call('mknodat', AT_FDCWD, 'st/n', 0o020666, 0x103), chroot: user.call('chroot', '/'),
  };
  expect(got).toEqual({
    readPrivate: 'EACCES', writeReadable: 'EACCES', make: 'EACCES', search: 'EACCES', enter: 'EACCES', chmod: 'EPERM', unlink: 'EACCES', sticky: 'EPERM',
    chown: 'EPERM', device: 'EPERM', chroot: 'EPERM',
  });
  expect(user.fd('st/mine', O.CREAT)).toBe(3);
  expect(user.call('unlinkat', AT_FDCWD, 'st/mine', 0)).toBe(0);
});

/** A tree as a map from path to 'dir' or the number of the file. */
class NaiveTree {
  readonly nodes = new Map<string, number | 'dir'>([['', 'dir']]);
  private next = 1;
  private children(path: string): string[] {
    return [...this.nodes.keys()].filter((other) => other.startsWith(`${path}/`));
  }
  private above(path: string): 'dir' | 'ENOENT' | 'ENOTDIR' {
    for (let end = path.indexOf('/', 1); end > 0; end = path.indexOf('/', end + 1)) {
      const node = this.nodes.get(path.slice(0, end));
      if (node === undefined) return 'ENOENT';
      if (node !== 'dir') return 'ENOTDIR';
    }
    return 'dir';
  }
  mkdir(path: string): Outcome {
    const above = this.above(path);
    if (above !== 'dir') return above;
    if (this.nodes.has(path)) return 'EEXIST';
    this.nodes.set(path, 'dir');
    return 0;
  }
  create(path: string): Outcome {
    const above = this.above(path);
    if (above !== 'dir') return above;
    const node = this.nodes.get(path);
    if (node !== undefined) return node === 'dir' ? 'EISDIR' : 0;
    this.nodes.set(path, this.next++);
    return 0;
  }
  unlink(path: string): Outcome {
    const above = this.above(path);
    if (above !== 'dir') return above;
    const node = this.nodes.get(path);
    if (node === undefined || node === 'dir') return node === undefined ? 'ENOENT' : 'EISDIR';
    this.nodes.delete(path);
    return 0;
  }
  rmdir(path: string): Outcome {
    const above = this.above(path);
    if (above !== 'dir') return above;
    const node = this.nodes.get(path);
    if (node !== 'dir') return node === undefined ? 'ENOENT' : 'ENOTDIR';
    if (this.children(path).length > 0) return 'ENOTEMPTY';
    this.nodes.delete(path);
    return 0;
  }
  link(from: string, to: string): Outcome {
    const above = this.above(from);
    if (above !== 'dir') return above;
    const node = this.nodes.get(from);
    if (node === undefined) return 'ENOENT';
    const aboveTo = this.above(to);
    if (aboveTo !== 'dir') return aboveTo;
    if (this.nodes.has(to)) return 'EEXIST';
    if (node === 'dir') return 'EPERM';
    this.nodes.set(to, node);
    return 0;
  }
  rename(from: string, to: string): Outcome {
    const above = this.above(from);
    if (above !== 'dir') return above;
    const aboveTo = this.above(to);
    if (aboveTo !== 'dir') return aboveTo;
    const node = this.nodes.get(from);
    if (node === undefined) return 'ENOENT';
    if (node === 'dir' && to.startsWith(`${from}/`)) return 'EINVAL';
    const target = this.nodes.get(to);
    if (target === 'dir' && from.startsWith(`${to}/`)) return 'ENOTEMPTY';
    if (from === to || (target !== undefined && target === node && node !== 'dir')) return 0;
    if (target !== undefined && node === 'dir' && target !== 'dir') return 'ENOTDIR';
    if (target === 'dir' && node !== 'dir') return 'EISDIR';
    if (target === 'dir' && this.children(to).length > 0) return 'ENOTEMPTY';
    const moved = [from, ...this.children(from)].map((path) => [path, this.nodes.get(path)!] as const);
    this.nodes.delete(to);
    for (const [path] of moved) this.nodes.delete(path);
    for (const [path, what] of moved) this.nodes.set(to + path.slice(from.length), what);
    return 0;
  }
  /** Every path with what it is, sorted. */
  picture(): string[] {
    const ids = new Map<number, string>();
    return [...this.nodes].filter(([path]) => path !== '').sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, node]) => {
      if (node === 'dir') return `${path}/`;
      ids.set(node, ids.get(node) ?? path);
      return `${path}=${ids.get(node)}`;
    });
  }
}

const somePath = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`);
const step = fc.oneof(
  fc.tuple(fc.constantFrom('mkdir', 'create', 'unlink', 'rmdir'), somePath, somePath),
  fc.tuple(fc.constantFrom('link', 'rename'), somePath, somePath),
);

/** The guest's tree in the naive tree's words: files with the first path of the same inode. */
function picture(base: string): string[] {
  const inodes = new Map<number, string>();
  const lines: string[] = [];
  const visit = (path: string): void => {
    for (const name of g.ls(base + path).split(' ').filter((n) => n !== '')) {
      const bare = name.replace('/', '');
      lines.push(name.endsWith('/') ? `${path}/${bare}/` : `${path}/${bare}`);
      if (name.endsWith('/')) visit(`${path}/${bare}`);
    }
  };
  visit('');
  const order = (line: string): string => line.replace(/\/$/, '');
  return lines.sort((a, b) => (order(a) < order(b) ? -1 : 1)).map((line) => {
    if (line.endsWith('/')) return line;
    at('newfstatat', base + line, g.buffer, 0);
    const [, ino = 0] = g.words(2);
    inodes.set(ino, inodes.get(ino) ?? line);
    return `${line}=${inodes.get(ino)}`;
  });
}

test('random changes of names do what they do to a naive tree', () => {
  fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
    g = bootGuest({ ramBytes: 8 << 20 });
    mkdir('/t');
    const naive = new NaiveTree();
    for (const [what, one, two] of steps) {
      const [from, to] = [`/t${one}`, `/t${two}`];
      switch (what) {
        case 'mkdir': expect(mkdir(from)).toBe(naive.mkdir(one)); break;
        case 'create': {
          const fd = g.open(from, O.CREAT | O.RDWR);
          expect(typeof fd === 'number' ? 0 : fd).toBe(naive.create(one));
          if (typeof fd === 'number') g.call('close', fd);
          break;
        }
        case 'unlink': expect(unlink(from)).toBe(naive.unlink(one)); break;
        case 'rmdir': expect(rmdir(from)).toBe(naive.rmdir(one)); break;
        case 'link': expect(link(from, to)).toBe(naive.link(one, two)); break;
        default: expect(rename(from, to)).toBe(naive.rename(one, two)); break;
      }
    }
    expect(picture('/t')).toEqual(naive.picture());
    // Link counts: a directory has two and one for each below it, a file as many as names.
    for (const line of naive.picture()) {
      const path = line.replace(/[/=].*$/, '') === '' ? line.replace(/=.*$/, '').replace(/\/$/, '') : line;
      at('newfstatat', `/t${path}`, g.buffer, 0);
      const nlink = Number(new DataView(g.bytes(24).buffer).getUint32(20, true));
      const node = naive.nodes.get(path);
      const below = [...naive.nodes].filter(([other, what]) => what === 'dir' && other !== path && other.slice(0, other.lastIndexOf('/')) === path).length;
      expect(nlink).toBe(node === 'dir' ? 2 + below : [...naive.nodes.values()].filter((other) => other === node).length);
    }
  }), { numRuns: 200 });
});

test('what tools put in is there, with its rights, and errors are numbers', () => {
  const { vfs } = g.kernel;
  expect(vfs.addFile('/usr/bin/prog', new Uint8Array([1, 2, 3]), 0o755)).toBe(0);
  expect(vfs.symlink('prog', '/usr/bin/alias')).toBe(0);
  expect(vfs.readWhole('/usr/bin/alias')).toEqual(new Uint8Array([1, 2, 3]));
  expect(vfs.addFile('/usr/bin/prog/x', new Uint8Array())).toBe(-20);
  expect(vfs.mkdirs('/usr/bin/prog')).toBe(-20);
  const missing = vfs.readWhole('/none');
  expect(typeof missing === 'number' ? errnoName(-missing) : '').toBe('ENOENT');
});
