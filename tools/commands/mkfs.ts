// quire mkfs: makes an ext2 or ext4 image, filled from a folder, without any other tool. Here: the folder and the file. Not here: the format
// (kernel/fs/ext/mkfs.ts).
import { lstatSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '#base';
import { mkfs, mkfsDefaults, type MkfsEntry } from '#kernel/fs/ext/mkfs.ts';
import { commandHelp } from '../help-text.ts';
import { readHostFile, reasonOf, writeOut } from '../host.ts';
import { FileImage } from '../image-file.ts';
import { type CommandLine, parseCommandLine, type Values } from '../options.ts';
import type { Command } from './command.ts';

const DIRECTORY = 0o040000;
const REGULAR = 0o100000;
const SYMLINK = 0o120000;
const MIB = 2 ** 20;
const MIN_SIZE = 8 * MIB;
const LABEL_BYTES = 16;

export const mkfsCommand: Command = {
  name: 'mkfs',
  usage: 'IMAGE [OPTIONS]',
  summary: 'make an ext2 or ext4 disk image, filled from a folder',
  details: 'The image can be given to --disk, mounted by Linux, checked with e2fsck. Files belong to root and keep their modes; symbolic links are\ncopied as they are, hard links stay links; devices and sockets are left out. The same input gives the same bytes.\n\n  quire mkfs disk.img --from ./files --type ext4 --size 64M',
  groups: ['image'],
  run(line) {
    const { image, values } = operands(line);
    if (values.help) {
      writeOut(1, commandHelp(mkfsCommand));
      return 0;
    }
    if (new TextEncoder().encode(values.label ?? '').length > LABEL_BYTES) throw new UserError(`--label ${values.label!}: longer than ${LABEL_BYTES} bytes. Write a shorter one.`);
    if (values.type === 'ext2' && (values['64bit'] || values['no-checksums'])) throw new UserError('--type ext2: has neither checksums nor 64-bit block numbers. Leave --64bit and --no-checksums out.');
    const entries = values.from === undefined ? [] : readFolder(values.from);
    make(image, imageSize(image, values, entries), values, entries);
    return 0;
  },
};

/** IMAGE may stand before or after the options. */
function operands({ values, given, rest }: CommandLine): { image: string; values: Values } {
  const [image, ...after] = rest;
  if (values.help) return { image: '', values };
  if (image === undefined || image === '') throw new UserError('mkfs: no image is given. Write quire mkfs IMAGE, as in quire mkfs disk.img --from ./files.');
  if (after.length === 0) return { image, values };
  if (given.size > 0) throw new UserError('mkfs: options stand on both sides of the image. Write them after it, as in quire mkfs disk.img --type ext2.');
  const line = parseCommandLine('mkfs', mkfsCommand.groups, after);
  if (line.rest.length > 0) throw new UserError(`mkfs: ${line.rest[0]!} is one word too many. Write one image, as in quire mkfs ${image} --from ./files.`);
  return { image, values: line.values };
}

interface HostEntry extends MkfsEntry { readonly sizeBytes: number }

/** The folder as the file system will have it: directories before what is in them, names in order. */
function readFolder(folder: string): HostEntry[] {
  const entries: HostEntry[] = [];
  const linked = new Map<string, string>();
  const visit = (host: string, guest: string): void => {
    for (const name of readdirSync(host).sort()) {
      const [hostPath, path] = [join(host, name), `${guest}/${name}`];
      const stat = lstatSync(hostPath);
      const mode = stat.mode & 0o7777;
      if (stat.isSymbolicLink()) {
        const text = new TextEncoder().encode(readlinkSync(hostPath));
        entries.push({ path, mode: SYMLINK | 0o777, sizeBytes: text.length, bytes: () => text });
      } else if (stat.isDirectory()) {
        entries.push({ path, mode: DIRECTORY | mode, sizeBytes: 0 });
        visit(hostPath, path);
      } else if (stat.isFile()) {
        const first = linked.get(`${stat.dev}:${stat.ino}`);
        if (first !== undefined) {
          entries.push({ path, mode: REGULAR | mode, sizeBytes: 0, linkTo: first });
          continue;
        }
        if (stat.nlink > 1) linked.set(`${stat.dev}:${stat.ino}`, path);
        entries.push({ path, mode: REGULAR | mode, sizeBytes: stat.size, bytes: () => readHostFile(hostPath, '--from') });
      }
    }
  };
  try {
    if (!statSync(folder).isDirectory()) throw new UserError(`--from ${folder}: not a directory. Write the folder whose files the image shall have.`);
    visit(folder, '');
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`--from ${folder}: ${reasonOf(error)}.`);
  }
  return entries;
}

/** --size, or the size of the image that is there, or room for the files, their inodes and a quarter more. */
function imageSize(image: string, values: Values, entries: readonly HostEntry[]): number {
  const found = existing(image);
  if (found !== null && !values.force) throw new UserError(`${image}: there is a file already. Write --force to put a new file system in its place.`);
  if (values.size !== undefined) return values.size;
  if (found !== null && found > 0) return found;
  const block = Number(values['block-size']);
  const needed = entries.reduce((sum, { sizeBytes }) => sum + (Math.ceil(sizeBytes / block) + 1) * block + Number(values['inode-size']), 0);
  return Math.max(MIN_SIZE, Math.ceil((needed * 1.25 + 4 * MIB) / MIB) * MIB);
}
/** Size of a file that is there; null: none is. */
function existing(image: string): number | null {
  try {
    const stat = statSync(image);
    if (!stat.isFile()) throw new UserError(`${image}: not a file. Images are made in files only.`);
    return stat.size;
  } catch (error) {
    if (error instanceof UserError) throw error;
    return null;
  }
}

function make(image: string, sizeBytes: number, values: Values, entries: readonly HostEntry[]): void {
  const blockSize = Number(values['block-size']);
  const usual = Math.floor(sizeBytes / (blockSize < 4096 ? 4096 : 16384));
  const nrInodes = values.inodes ?? Math.max(usual, Math.ceil(entries.length * 1.1) + 32);
  let file: FileImage;
  try {
    file = FileImage.create(image, sizeBytes);
  } catch (error) {
    throw new UserError(`${image}: cannot make it: ${reasonOf(error)}.`);
  }
  let problem: string | null = 'it was given up';
  try {
    problem = mkfs(file, {
      ...mkfsDefaults, type: values.type, blockSize, inodeSize: Number(values['inode-size']), nrInodes, label: values.label ?? '',
      metadataCsum: !values['no-checksums'], is64: values['64bit'] === true, seed: values['uuid-seed'], epochSeconds: values.time,
    }, entries);
    if (problem !== null && file.error !== null) problem = reasonOf(file.error);
  } finally {
    file.close();
    if (problem !== null) rmSync(image, { force: true });
  }
  if (problem !== null) throw new UserError(`${image}: ${problem}. Write another --size, or give it less.`);
}
