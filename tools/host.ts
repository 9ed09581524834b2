// The host's side of a run, all of Node that quire uses: files in, results out, terminals. Here: reading programs, --root, --share, --file, standard
// input; writing. Not here: what a run does with them (boot.ts), which knows no host.
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { accessSync, closeSync, constants, existsSync, fstatSync, lstatSync, openSync, readFileSync, readSync, readdirSync, readlinkSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { basename, delimiter, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { UserError } from '#base';
import { hostFuses, setPatience } from '#cpu';
import type { GuestDisk, GuestFile, GuestLink, GuestStdin, InputConfig, TerminalConfig } from './config.ts';
import { FileImage } from './image-file.ts';
import type { DiskWords, Values } from './options.ts';
import { didYouMean } from './suggest.ts';

/** The checkout or the installed package: what holds package.json and userland/. */
export const packageRoot = (() => {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(at, 'package.json')) && dirname(at) !== at) at = dirname(at);
  return at;
})();
export const toolVersion = (): string => `quire ${(JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version}`;

const isNode20 = process.versions.v8.startsWith('11.3.');
/** Node 20's --wasm-tiering-budget, and the most that it can be. */
const [TIERING_BUDGET, MAX_TIERING_BUDGET] = [1_800_000, 2 ** 31 - 1];

/** Node 20 knows WebAssembly's fused multiply-add and its hints of which branches are seldom taken, but wants to be asked for them. Later ones have the first
 *  without; hints that a host passes over cost a tenth of the speed and nothing else. To be called before the first machine. */
export function askForWasmFeatures(): void {
  if (isNode20) setPatience(withPatience);
  if (hostFuses()) return;
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  setFlagsFromString('--experimental-wasm-branch-hinting');
}
function withPatience<T>(work: () => T): T {
  setFlagsFromString(`--wasm-tiering-budget=${MAX_TIERING_BUDGET}`);
  try {
    return work();
  } finally {
    setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
/** With a hash of its bytes, which is made when a report asks for it: loading node:crypto takes longer than a small guest does. */
export function withHash<T extends { readonly bytes: Uint8Array }>(file: T): T & { readonly sha256: string } {
  let hash: string | null = null;
  return Object.defineProperty({ ...file }, 'sha256', { enumerable: true, get: () => (hash ??= sha256(file.bytes)) }) as T & { readonly sha256: string };
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file', EACCES: 'you may not read it', EISDIR: 'it is a directory', ENOTDIR: 'a part of its path is not a directory',
  ELOOP: 'too many symbolic links', ENAMETOOLONG: 'the name is too long', ENOSPC: 'the disk is full', EROFS: 'the disk is read-only', EPERM: 'not permitted',
  EFBIG: 'it is not a file, and gives more than 1 GiB',
};
const codeOf = (error: unknown): string => (error as { code?: string }).code ?? '';
export const reasonOf = (error: unknown): string => reasons[codeOf(error)] ?? (codeOf(error) || String(error));

/** What is no file has no size: a pipe is read to its end, /dev/zero, which has none, to here. */
const MAX_ENDLESS_BYTES = 2 ** 30;
const PIECE_BYTES = 2 ** 20;

/** All bytes of a file or a pipe. @throws Node's errors, and EFBIG */
function readWhole(path: string): Uint8Array {
  const fd = openSync(path, 'r');
  try {
    if (fstatSync(fd).isFile()) return readFileSync(fd);
    const pieces: Uint8Array[] = [];
    for (let length = 0; length <= MAX_ENDLESS_BYTES;) {
      const piece = new Uint8Array(PIECE_BYTES);
      const bytes = readSync(fd, piece);
      if (bytes === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, bytes));
      length += bytes;
    }
  } finally {
    closeSync(fd);
  }
  throw Object.assign(new Error('endless'), { code: 'EFBIG' });
}
/** A host file. @param what begins the sentence when it cannot be read @throws UserError */
export function readHostFile(path: string, what: string): Uint8Array {
  try {
    return readWhole(path);
  } catch (error) {
    throw new UserError(`${what}: cannot read ${path}: ${reasonOf(error)}.`);
  }
}

// Results. Writes are synchronous, so that nothing is lost when the process ends.

/** Nobody reads our output any more (EPIPE): the command ends quietly, as SIGPIPE would end it. */
export class PipeClosed extends Error {}

export function writeOut(fd: 1 | 2, data: Uint8Array | string): void {
  let bytes = typeof data === 'string' ? Buffer.from(data) : data;
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      if (codeOf(error) === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2); // a full pipe of a parent that set O_NONBLOCK
      else if (codeOf(error) === 'EPIPE') throw new PipeClosed();
      else throw new UserError(`cannot write to ${fd === 1 ? 'standard output' : 'standard error'}: ${reasonOf(error)}.`, 125);
    }
  }
}
export interface ResultWriter { write(data: string | Uint8Array): void; close(): void }

/** The place of a command's result: -o FILE, or standard output. A command that runs a program opens it before the run, so that a path that
 *  cannot be written is said at once; and after the program was found fit to run, so that no older result is lost for nothing.
 *  @throws UserError, as its methods do */
export function openResult(file: string | undefined): ResultWriter {
  if (file === undefined) return { write: (data) => { if (data.length > 0) writeOut(1, data); }, close() {} };
  const trying = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      const reason = codeOf(error) === 'ENOENT' ? 'the folder it would be in does not exist' : codeOf(error) === 'EACCES' ? 'you may not write there' : reasonOf(error);
      throw new UserError(`-o ${file}: cannot write it: ${reason}.`);
    }
  };
  const fd = trying(() => openSync(file, 'w'));
  return { write: (data) => { trying(() => { writeFileSync(fd, data); }); }, close: () => { trying(() => { closeSync(fd); }); } };
}
/** A result that is there at once. */
export function writeResult(text: string, file: string | undefined): void {
  const out = openResult(file);
  out.write(text);
  out.close();
}

/** A picture beside the result. @param path a file, or a folder that is there: then miss-curves.svg in it @throws UserError */
export function writeSvg(path: string, svg: string): void {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  try {
    writeFileSync(isFolder ? join(path, 'miss-curves.svg') : path, svg);
  } catch (error) {
    throw new UserError(`--svg ${path}: cannot write it: ${codeOf(error) === 'ENOENT' ? 'the folder it would be in does not exist' : reasonOf(error)}.`);
  }
}

// Terminals and standard input.

const LINUX_MEMORY_DEVICES = 1; // major number: /dev/null and its like
/** Is one of this process's own streams a terminal? Its kind is asked first: process.stdin and the others bring with them what Node has for sockets,
 *  which takes longer than a small guest does. */
export function isTerminal(fd: 0 | 1 | 2): boolean {
  const stat = fstatSync(fd);
  if (!stat.isCharacterDevice() || (process.platform === 'linux' && stat.rdev >> 8 === LINUX_MEMORY_DEVICES)) return false;
  return [process.stdin, process.stdout, process.stderr][fd]!.isTTY === true;
}
/** What this process's streams are: a guest that runs for its own sake finds them as they are. */
export function hostTerminal(): TerminalConfig {
  const [stdin, stdout, stderr] = [isTerminal(0), isTerminal(1), isTerminal(2)];
  return { stdin, stdout, stderr, rows: stdout ? process.stdout.rows : 24, columns: stdout ? process.stdout.columns : 80 };
}

export interface StdinReader {
  /** The next bytes, empty at the end; also returns, empty, soon after `stopped` is true. */
  next(stopped: () => boolean): Promise<Uint8Array>;
  /** From a terminal that has been read once: keys that have come meanwhile, Ctrl-C among them. */
  keys(): Uint8Array | null;
  close(): void;
  /** Of all bytes handed on so far; null: none were asked for. */
  sha256(): string | null;
}
const BLOCK_BYTES = 65536;

/** Reads this process's standard input when asked, not before: a guest that reads nothing leaves it to the next command.
 *  @param mode 'lines': what has arrived; 'blocks': 64 KiB or the end, so that a program's read() returns the same in every run (a person at a
 *    terminal still gives lines)
 *  @param rawTerminal a terminal's keys go to the guest unedited: its own terminal edits, echoes and makes signals of them */
export function openStdin(mode: 'lines' | 'blocks', rawTerminal: boolean): StdinReader {
  let [started, ended] = [false, false];
  let held: Buffer[] = [];
  let hash: Hash | null = null;
  const isRaw = (): boolean => rawTerminal && process.stdin.isTTY === true;
  const start = (): void => {
    if (started) return;
    started = true;
    if (isRaw()) process.stdin.setRawMode(true);
    process.stdin.on('data', (chunk: Buffer) => {
      held.push(chunk);
      if (!isRaw()) process.stdin.pause();
    });
    process.stdin.once('end', () => { ended = true; });
    process.stdin.once('error', () => { ended = true; });
  };
  const take = (): Uint8Array => {
    const all = Buffer.concat(held);
    const bytes = all.subarray(0, BLOCK_BYTES);
    held = all.length > bytes.length ? [all.subarray(bytes.length)] : [];
    (hash ??= createHash('sha256')).update(bytes);
    return bytes;
  };
  return {
    async next(stopped) {
      start();
      const wanted = mode === 'lines' || process.stdin.isTTY ? 1 : BLOCK_BYTES;
      while (held.reduce((n, chunk) => n + chunk.length, 0) < wanted && !ended && !stopped()) {
        process.stdin.resume();
        await new Promise((resolve) => { setTimeout(resolve, 1); });
      }
      return take();
    },
    keys: () => (started && isRaw() && held.length > 0 ? take() : null),
    close() {
      if (!started) return;
      process.stdin.pause();
      if (isRaw()) process.stdin.setRawMode(false);
    },
    sha256: () => (started ? (hash ?? createHash('sha256')).copy().digest('hex') : null),
  };
}
/** All of standard input, for commands that run a program more than once; null on a terminal. */
export function readAllStdin(): GuestStdin | null {
  if (isTerminal(0)) return null;
  try {
    const bytes = readFileSync(0);
    return withHash({ bytes });
  } catch {
    return null; // closed, or not readable
  }
}

/** Path of a host command, as the shell would find it; null: not there. */
export function findTool(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (folder !== '' && statSync(path).isFile()) return path;
    } catch { /* not in this folder */ }
  }
  return null;
}

// Disks. Images are opened for as long as the command runs; what is not asked for stays in the file.

const openImages: FileImage[] = [];
/** @throws UserError where it is none, or may not be opened */
export function openDisk({ image: name, isWritable, path }: DiskWords): GuestDisk {
  const what = `--disk ${name}`;
  try {
    const kind = statSync(name);
    if (!kind.isFile()) throw new UserError(`${what}: not a file. Write the name of an image; quire mkfs makes one.`);
    if (kind.size === 0) throw new UserError(`${what}: the file is empty. quire mkfs makes an image.`);
    const image = FileImage.open(name, !isWritable);
    openImages.push(image);
    return { name, path, isWritable, image };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${what}: cannot open it${isWritable ? ' for writing' : ''}: ${codeOf(error) === 'EACCES' && isWritable ? 'you may not write it. Leave :rw out to read it' : reasonOf(error)}.`);
  }
}
export function closeDisks(): void {
  for (const image of openImages.splice(0)) image.close();
}

// Programs.

export const bundledFolder = join(packageRoot, 'userland/bin');
const isElf = (bytes: Uint8Array): boolean => bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
/** Names of the bundled programs, in order. */
export function bundledPrograms(): string[] {
  return existsSync(bundledFolder) ? readdirSync(bundledFolder).filter((name) => !name.includes('.')).sort() : [];
}
/** What a bundled program does: the first sentence of its source. */
export function programSummary(name: string): string {
  const places = [`${name}.c`, `${name}/main.c`].map((file) => join(packageRoot, 'userland/programs', file));
  const source = places.find((path) => existsSync(path));
  if (source === undefined) return '';
  const comment = /^(\/\/.*\n)+/.exec(readFileSync(source, 'utf8'))?.[0] ?? '';
  return comment.replace(/^\/\/ ?/gm, '').replace(/\n/g, ' ').trim().replace(/([.]) .*$/, '$1');
}
/** The tools that the shell holds, as its table names them: each is a link to it. */
export function shellTools(): string[] {
  const source = join(packageRoot, 'userland/programs/sh/main.c');
  if (!existsSync(source)) return [];
  return [...readFileSync(source, 'utf8').matchAll(/^ {4}\{ "([^"]+)", [a-z_]+, "/gm)].map((match) => match[1]!).filter((name) => name !== 'sh');
}
const bundledLinks = (): GuestLink[] => shellTools().map((name) => ({ path: `/bin/${name}`, target: 'sh' }));
function bundledFiles(): GuestFile[] {
  return bundledPrograms().map((name) => {
    const bytes = readFileSync(join(bundledFolder, name));
    return withHash({ path: `/bin/${name}`, bytes, mode: 0o755 });
  }).filter((file) => isElf(file.bytes));
}

interface Tree { files: GuestFile[]; folders: string[]; links: GuestLink[] }

/** Adds a host folder at a guest path ('' is the root). Symbolic links are copied, not followed; devices and sockets are left out.
 *  @param what the option as the user wrote it, for what goes wrong @param hint what to write instead of something that is no folder */
function readTree(tree: Tree, root: string, at: string, what: string, hint: string): void {
  const visit = (host: string, guest: string): void => {
    for (const name of readdirSync(host).sort()) {
      const [hostPath, guestPath] = [join(host, name), `${guest}/${name}`];
      const stat = lstatSync(hostPath);
      if (stat.isSymbolicLink()) tree.links.push({ path: guestPath, target: readlinkSync(hostPath) });
      else if (stat.isDirectory()) {
        tree.folders.push(guestPath);
        visit(hostPath, guestPath);
      } else if (stat.isFile()) {
        const bytes = readHostFile(hostPath, what);
        tree.files.push(withHash({ path: guestPath, bytes, mode: stat.mode & 0o777 }));
      }
    }
  };
  try {
    if (!statSync(root).isDirectory()) throw new UserError(`${what}: not a directory. ${hint}`);
    visit(root, at);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${what}: ${reasonOf(error)}.`);
  }
}
/** What --root and --share copy in, in the order in which it is written. */
function readTrees(values: Values): Tree {
  const tree: Tree = { files: [], folders: [], links: [] };
  if (values.root !== undefined) readTree(tree, values.root, '', `--root ${values.root}`, 'Write the folder that holds bin, lib and so on.');
  for (const { name, value } of values.share) {
    const what = `--share ${name}:${value}`;
    if (!value.startsWith('/')) throw new UserError(`${what}: the guest path must begin with /. Write it as in --share ${name}:/${basename(name) || 'data'}.`);
    const at = posix.normalize(value).replace(/\/$/, '');
    const disk = values.disk.find(({ path }) => at === path || at.startsWith(`${path}/`));
    if (disk !== undefined) throw new UserError(`${what}: ${disk.path} is where --disk ${disk.image} is mounted. Write another guest path, or put the files into the image with quire mkfs --from.`);
    if (at !== '') tree.folders.push(at);
    readTree(tree, name, at, what, `--file ${name}:${value} copies one file.`);
  }
  // What comes later has the place of what came before.
  const last = new Map(tree.files.map((file) => [file.path, file]));
  return { ...tree, files: [...last.values()] };
}

/** Where a guest path leads through the links of --root, as the guest's kernel will find it; a loop ends as it began. */
function resolveLinks(path: string, links: readonly GuestLink[]): string {
  let resolved = path;
  for (let i = 0; i < 40; i++) {
    const link = links.find((l) => resolved === l.path || resolved.startsWith(`${l.path}/`));
    if (link === undefined) return resolved;
    resolved = posix.join(posix.resolve(dirname(link.path), link.target), resolved.slice(link.path.length));
  }
  return path;
}

const searchPath = ['/usr/local/bin', '/usr/bin', '/bin'];

/** Where the program comes from: a path of --root's tree, a host path, or a name of a bundled program. @throws UserError 126, 127 */
function findProgram(word: string, files: GuestFile[], links: readonly GuestLink[]): GuestFile {
  const at = (path: string): GuestFile | undefined => {
    const file = files.find((f) => resolveLinks(f.path, links) === resolveLinks(path, links));
    return file === undefined ? undefined : withHash({ path, bytes: file.bytes, mode: file.mode });
  };
  const inGuest = word.startsWith('/') ? at(word) : undefined;
  if (inGuest !== undefined) return inGuest;
  if (!word.includes('/')) {
    const named = searchPath.map((folder) => at(`${folder}/${word}`)).find((f) => f !== undefined);
    if (named !== undefined) return named;
    const here = existsSync(word) ? ` For the file in this folder write ./${word}.` : '';
    throw new UserError(`${word}: not a bundled program.${here || didYouMean(word, [...bundledPrograms(), ...shellTools()])} quire help programs lists them.`, 127);
  }
  let bytes: Uint8Array;
  try {
    bytes = readWhole(word);
  } catch (error) {
    if (codeOf(error) === 'EISDIR') throw new UserError(`${word}: is a directory, not a program.`, 126);
    throw new UserError(`${word}: ${reasonOf(error)}.`, codeOf(error) === 'EACCES' ? 126 : 127);
  }
  const file = withHash({ path: `/${basename(word)}`, bytes, mode: 0o755 });
  files.push(file);
  return file;
}

/** Reads all host inputs of a run. @param rest PROG [ARGS] @throws UserError */
export function readInputs(values: Values, rest: readonly string[], terminal: TerminalConfig, stdin: GuestStdin | null): InputConfig {
  const [word, ...args] = rest;
  if (word === undefined || word === '') throw new UserError('no program is given. Write one after the options, as in quire run -- hello; quire help programs lists the bundled ones.');
  const tree = readTrees(values);
  // What --root, --share and --file bring has the place of a bundled program. Places are compared where the root's links (/bin -> usr/bin) lead.
  const placeOf = (path: string): string => posix.join(resolveLinks(dirname(path), tree.links), basename(path));
  const given = new Set([...tree.files.map(({ path }) => path), ...tree.links.map(({ path }) => path), ...values.file.map(({ value }) => value)].map(placeOf));
  const files = [...bundledFiles().filter(({ path }) => !given.has(placeOf(path))), ...tree.files];
  const links = [...tree.links, ...bundledLinks().map((link) => ({ ...link, path: placeOf(link.path) })).filter(({ path }) => !given.has(path))];
  for (const { name, value } of values.file) {
    if (!value.startsWith('/')) throw new UserError(`--file ${name}:${value}: the guest path must begin with /. Write it as in --file ${name}:/tmp/${basename(name)}.`);
    const bytes = readHostFile(name, `--file ${name}:${value}`);
    files.push(withHash({ path: value, bytes, mode: 0o644 | (statSync(name).mode & 0o111) }));
  }
  const program = findProgram(word, files, links);
  const env = ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/root', ...values.env.map(({ name, value }) => `${name}=${value}`)];
  return {
    argv: [word, ...args], path: program.path, get programSha256() { return program.sha256; },
    env: env.filter((line, i) => !env.slice(i + 1).some((after) => after.split('=', 1)[0] === line.split('=', 1)[0])),
    files, folders: tree.folders, links, disks: values.disk.map(openDisk), stdin, terminal,
  };
}
