// /proc/PID and /proc/PID/task/TID. Here: what is in the directory of a task, its links, its descriptors. Not here: what the files say
// (status.ts, maps.ts). Directories are made when asked for and forgotten; only their numbers stay the same. Mirrors fs/proc/base.c, fd.c.
import type { Process } from '../../proc/process.ts';
import type { Task } from '../../proc/task.ts';
import { Errno } from '../../syscall/errno.ts';
import { Dentry, pathOf } from '../dentry.ts';
import { Open, type OpenFile } from '../file.ts';
import { type Directory, type DirEntry, FileType, Inode, type LinkTarget } from '../inode.ts';
import { PseudoLink, type PseudoFs, type TextRow } from '../pseudo.ts';
import { MappedFile } from '../regular.ts';
import { FIRST_POSITION } from '../tmpfs.ts';
import type { Vfs } from '../vfs.ts';
import type { KernelView } from '../view.ts';
import { mapsRows } from './maps.ts';
import { memOf } from './mem.ts';
import { pagemapOf } from './pagemap.ts';
import { processRows, statusRows } from './status.ts';

/** What the files of a task are about. */
export interface TaskSubject { readonly task: Task; readonly view: KernelView; readonly vfs: Vfs }

/** Room for the numbers of one task's files. */
const NUMBERS_PER_TASK = 65536;
const FIRST_NUMBER = 2 ** 33;
const FD_NUMBERS = 1024;
const FDINFO_NUMBERS = 32768;

/** Text files of threads, and those that only processes have; names in the order of a listing. */
const threadRows: Readonly<Record<string, TextRow<TaskSubject>>> = { ...statusRows, ...mapsRows };
const groupRows: Readonly<Record<string, TextRow<TaskSubject>>> = { ...threadRows, ...processRows };
const linkNames = ['cwd', 'root', 'exe'] as const;

export class TaskDirectories {
  readonly fs: PseudoFs;
  readonly view: KernelView;
  readonly vfs: Vfs;
  constructor(fs: PseudoFs, view: KernelView, vfs: Vfs) {
    this.fs = fs;
    this.view = view;
    this.vfs = vfs;
  }
  numberOf(tid: number): number {
    return FIRST_NUMBER + tid * NUMBERS_PER_TASK;
  }
  ofProcess(task: Task): Inode {
    return this.directory(task, new TaskDirectory(this, task, true), 0);
  }
  ofThread(task: Task): Inode {
    return this.directory(task, new TaskDirectory(this, task, false), 1);
  }
  directory(task: Task, contents: Directory, slot: number, mode = 0o555): Inode {
    const inode = new Inode(this.fs, this.numberOf(task.tid) + slot, FileType.Directory | mode, this.fs.now, { dir: contents });
    inode.nlink = 2;
    return this.owned(task, inode);
  }
  link(task: Task, target: LinkTarget, slot: number, mode = 0o777): Inode {
    return this.owned(task, new Inode(this.fs, this.numberOf(task.tid) + slot, FileType.Symlink | mode, this.fs.now, { link: target }));
  }
  owned(task: Task, inode: Inode): Inode {
    inode.uid = task.credentials.euid;
    inode.gid = task.credentials.egid;
    return inode;
  }
  subject(task: Task): TaskSubject {
    return { task, view: this.view, vfs: this.vfs };
  }
  isThere(task: Task): boolean {
    return this.view.tasks.get(task.tid) === task;
  }
  /** Does it still have files and a working directory? */
  hasFiles(task: Task): boolean {
    return this.isThere(task) && task.hasFiles;
  }
}

class TaskDirectory implements Directory {
  private readonly owner: TaskDirectories;
  readonly task: Task;
  readonly isProcess: boolean;
  private readonly rows: Readonly<Record<string, TextRow<TaskSubject>>>;
  private readonly folders: readonly string[];

  constructor(owner: TaskDirectories, task: Task, isProcess: boolean) {
    this.owner = owner;
    this.task = task;
    this.isProcess = isProcess;
    this.rows = isProcess ? groupRows : threadRows;
    this.folders = isProcess ? ['task', 'fd', 'fdinfo'] : ['fd', 'fdinfo'];
  }

  lookup(at: Dentry, name: string): Dentry | null {
    const { owner, task } = this;
    if (!owner.isThere(task)) return null;
    const slot = this.slotOf(name);
    if (slot < 0) return null;
    const row = Object.hasOwn(this.rows, name) ? this.rows[name] : undefined;
    if (row !== undefined) return new Dentry(name, at, owner.owned(task, owner.fs.file(liveRow(owner, row), owner.subject(task), owner.numberOf(task.tid) + slot)));
    return new Dentry(name, at, this.special(name, slot));
  }
  private special(name: string, slot: number): Inode {
    const { owner, task } = this;
    switch (name) {
      case 'pagemap':
        return owner.owned(task, new Inode(owner.fs, owner.numberOf(task.tid) + slot, FileType.Regular | 0o400, owner.fs.now, { content: pagemapOf(task, owner.view) }));
      case 'mem':
        return owner.owned(task, new Inode(owner.fs, owner.numberOf(task.tid) + slot, FileType.Regular | 0o600, owner.fs.now, { content: memOf(task) }));
      case 'task': return owner.directory(task, new ThreadDirectory(owner, task), slot);
      case 'fd': return owner.directory(task, new DescriptorDirectory(owner, task, false), slot, 0o500);
      case 'fdinfo': return owner.directory(task, new DescriptorDirectory(owner, task, true), slot);
      case 'cwd': return owner.link(task, placeLink(owner, task, (t) => t.fs.cwd), slot);
      case 'root': return owner.link(task, placeLink(owner, task, (t) => t.fs.root), slot);
      default: return owner.link(task, exeLink(owner, task), slot);
    }
  }
  private names(): readonly string[] {
    return [...this.folders, ...Object.keys(this.rows), 'mem', 'pagemap', ...linkNames];
  }
  private slotOf(name: string): number {
    const at = this.names().indexOf(name);
    return at < 0 ? -1 : at + 2;
  }
  list(_at: Dentry, position: number): readonly DirEntry[] {
    if (!this.owner.isThere(this.task)) return [];
    const typeOf = (name: string): number => (this.folders.includes(name) ? FileType.Directory : linkNames.includes(name as 'cwd') ? FileType.Symlink : FileType.Regular);
    return this.names()
      .map((name, i) => ({ name, ino: this.owner.numberOf(this.task.tid) + i + 2, mode: typeOf(name), position: FIRST_POSITION + i }))
      .filter((entry) => entry.position >= position);
  }
}

/** The process whose directory below /proc a file is, open for reading: tgid_pidfd_to_pid(). null: it is something else. */
export function processOfDirectory({ inode }: OpenFile): Process | null {
  return inode.dir instanceof TaskDirectory && inode.dir.isProcess ? inode.dir.task.process : null;
}

/** A file whose task is gone answers ESRCH, however long it has been open. */
function liveRow(owner: TaskDirectories, row: TextRow<TaskSubject>): TextRow<TaskSubject> {
  const { show, showPart, store, ioctl } = row;
  const isGone = ({ task }: TaskSubject): boolean => !owner.isThere(task);
  return {
    mode: row.mode,
    ...(show !== undefined && { show: (s: TaskSubject, reader: Task | null) => (isGone(s) ? -Errno.ESRCH : show(s, reader)) }),
    ...(showPart !== undefined && { showPart: (s: TaskSubject, cursor: number, reader: Task | null) => (isGone(s) ? -Errno.ESRCH : showPart(s, cursor, reader)) }),
    ...(store !== undefined && { store: (s: TaskSubject, text: string, writer: Task | null) => (isGone(s) ? -Errno.ESRCH : store(s, text, writer)) }),
    ...(ioctl !== undefined && { ioctl: (s: TaskSubject, t: Task, command: number, arg: number) => (isGone(s) ? -Errno.ESRCH : ioctl(s, t, command, arg)) }),
  };
}

function placeLink(owner: TaskDirectories, task: Task, place: (t: Task) => Dentry): PseudoLink {
  return new PseudoLink(
    () => (owner.hasFiles(task) ? pathOf(place(task)) : -Errno.ENOENT),
    () => (owner.hasFiles(task) ? place(task) : -Errno.ENOENT),
  );
}
/** The program that runs: the file itself while its text is mapped, whatever became of its name. */
function exeLink(owner: TaskDirectories, task: Task): PseudoLink {
  const mapped = (): MappedFile | null => {
    const file = task.hasMm ? task.mm.findVma(task.mm.startCode)?.file : null;
    return file instanceof MappedFile ? file : null;
  };
  return new PseudoLink(
    () => (!owner.isThere(task) || !task.hasMm ? -Errno.ENOENT : (mapped()?.path ?? task.mm.exePath)),
    () => (!owner.isThere(task) || !task.hasMm ? -Errno.ENOENT : (mapped()?.dentry ?? null)),
  );
}

class ThreadDirectory implements Directory {
  private readonly owner: TaskDirectories;
  private readonly task: Task;
  constructor(owner: TaskDirectories, task: Task) {
    this.owner = owner;
    this.task = task;
  }
  /** The leader stays listed as a zombie while other threads run on. */
  private threads(): readonly Task[] {
    const { process } = this.task;
    const { leader, threads } = process;
    return threads.includes(leader) || !this.owner.isThere(leader) ? threads : [leader, ...threads];
  }
  lookup(at: Dentry, name: string): Dentry | null {
    const thread = this.threads().find((t) => `${t.tid}` === name);
    return thread === undefined ? null : new Dentry(name, at, this.owner.ofThread(thread));
  }
  list(_at: Dentry, position: number): readonly DirEntry[] {
    return this.threads().map((t) => t.tid).sort((a, b) => a - b)
      .map((tid) => ({ name: `${tid}`, ino: this.owner.numberOf(tid) + 1, mode: FileType.Directory, position: FIRST_POSITION + tid }))
      .filter((entry) => entry.position >= position);
  }
}

/** fd/ or fdinfo/. */
class DescriptorDirectory implements Directory {
  private readonly owner: TaskDirectories;
  private readonly task: Task;
  private readonly isInfo: boolean;
  constructor(owner: TaskDirectories, task: Task, isInfo: boolean) {
    this.owner = owner;
    this.task = task;
    this.isInfo = isInfo;
  }
  private file(fd: number): OpenFile | null {
    return this.owner.hasFiles(this.task) ? this.task.files.get(fd) : null;
  }
  lookup(at: Dentry, name: string): Dentry | null {
    const fd = /^(?:0|[1-9][0-9]{0,8})$/.test(name) ? Number(name) : -1;
    const file = fd < 0 ? null : this.file(fd);
    if (file === null) return null;
    const { owner, task } = this;
    if (this.isInfo) {
      const row: TextRow<null> = { mode: 0o444, show: () => fdInfo(this.file(fd), task, fd) };
      return new Dentry(name, at, owner.owned(task, owner.fs.file(row, null, owner.numberOf(task.tid) + FDINFO_NUMBERS + fd)));
    }
    const rights = (file.canRead ? 0o500 : 0) | (file.canWrite ? 0o300 : 0);
    const link = new PseudoLink(() => this.file(fd)?.path ?? -Errno.ENOENT, () => this.file(fd)?.dentry ?? -Errno.ENOENT, 64);
    return new Dentry(name, at, owner.link(task, link, FD_NUMBERS + fd, rights));
  }
  list(_at: Dentry, position: number): readonly DirEntry[] {
    if (!this.owner.hasFiles(this.task)) return [];
    const first = this.owner.numberOf(this.task.tid) + (this.isInfo ? FDINFO_NUMBERS : FD_NUMBERS);
    return this.task.files.open()
      .map((fd) => ({ name: `${fd}`, ino: first + fd, mode: this.isInfo ? FileType.Regular : FileType.Symlink, position: FIRST_POSITION + fd }))
      .filter((entry) => entry.position >= position);
  }
  /** Since Linux 6.2 the size of fd/ is the number of open files. */
  size(): number {
    return !this.isInfo && this.owner.hasFiles(this.task) ? this.task.files.open().length : 0;
  }
}

function fdInfo(file: OpenFile | null, task: Task, fd: number): string | number {
  if (file === null) return -Errno.ENOENT;
  const flags = file.flags | (task.files.closesOnExec(fd) ? Open.CLOEXEC : 0);
  return `pos:\t${file.pos}\nflags:\t0${flags.toString(8)}\nino:\t${file.inode.ino}\n${file.ops.info?.(file) ?? ''}`;
}
