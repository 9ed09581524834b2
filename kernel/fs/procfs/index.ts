// /proc. Here: the root directory with a directory for each process, and putting the families of files together. Reading order: task-dir.ts
// (the directory of one process or thread), status.ts (what a task is), maps.ts (its memory; procmap-query.ts the same by ioctl), system.ts (meminfo, vmstat and the like),
// sysctl.ts (/proc/sys). What is not modelled is absent.
import { Errno } from '../../syscall/errno.ts';
import { Dentry } from '../dentry.ts';
import { FileType, Inode } from '../inode.ts';
import { type LiveNames, PseudoDirectory, PseudoFs, PseudoLink, putText } from '../pseudo.ts';
import type { Vfs } from '../vfs.ts';
import type { KernelView } from '../view.ts';
import { framesFile } from './pagemap.ts';
import { sysctlRows } from './sysctl.ts';
import { systemRows } from './system.ts';
import { TaskDirectories } from './task-dir.ts';

const PROC_MAGIC = 0x9fa0;
/** Processes come after all fixed names (FIRST_PROCESS_ENTRY). */
const FIRST_PROCESS_POSITION = 256;

export function makeProcfs(view: KernelView, vfs: Vfs): Dentry {
  const fs = new PseudoFs(view, 'proc', PROC_MAGIC, 3);
  const root = new PseudoDirectory(processNames(view, new TaskDirectories(fs, view, vfs)));
  const rootInode = fs.directory(0o555, root, 1);
  const link = (name: string, to: PseudoLink): void => {
    root.put(name, new Inode(fs, fs.number(), FileType.Symlink | 0o777, fs.now, { link: to }));
  };
  for (const [path, row] of Object.entries(systemRows)) putText(fs, root, path, row, { view, vfs });
  for (const [path, row] of Object.entries(sysctlRows(view, vfs))) putText(fs, root, `sys/${path}`, { ...row, isStrict: true }, null);
  for (const [name, tells] of [['kpagecount', 'count'], ['kpageflags', 'flags']] as const) {
    root.put(name, new Inode(fs, fs.number(), FileType.Regular | 0o400, fs.now, { content: framesFile(view, tells) }));
  }
  link('self', new PseudoLink((t) => (t === null ? -Errno.ENOENT : `${t.tgid}`)));
  link('thread-self', new PseudoLink((t) => (t === null ? -Errno.ENOENT : `${t.tgid}/task/${t.tid}`)));
  link('mounts', new PseudoLink(() => 'self/mounts', null, 'self/mounts'.length));
  return new Dentry('', null, rootInode);
}

function processNames(view: KernelView, tasks: TaskDirectories): LiveNames {
  return {
    /** A thread's number leads to its directory too, though it is not listed. */
    find(name) {
      const task = /^[1-9][0-9]{0,8}$/.test(name) ? view.tasks.get(Number(name)) : undefined;
      return task === undefined ? null : tasks.ofProcess(task);
    },
    list: () => [...view.processes.keys()].sort((a, b) => a - b)
      .map((tgid) => ({ name: `${tgid}`, ino: tasks.numberOf(tgid), mode: FileType.Directory, position: FIRST_PROCESS_POSITION + tgid })),
  };
}
