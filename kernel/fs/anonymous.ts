// Homes of files that no path leads to: pipes, sockets, eventfds and their like. They have inodes, so that fstat has something to say.
// Mirrors pipefs, sockfs and anon_inodefs.
import type { Task } from '../proc/task.ts';
import { Dentry } from './dentry.ts';
import { type FileSystem, type FsUsage, Inode, type Openable } from './inode.ts';
import { type KernelView, stamp } from './view.ts';

export class AnonymousFs implements FileSystem {
  readonly type: string;
  readonly magic: number;
  readonly devMajor = 0;
  readonly devMinor: number;
  readonly options = '';
  private readonly view: KernelView;
  private nextIno = 1;
  private sharedInode: Inode | null = null;

  constructor(type: string, magic: number, devMinor: number, view: KernelView) {
    this.type = type;
    this.magic = magic;
    this.devMinor = devMinor;
    this.view = view;
  }

  /** A place of its own, named 'pipe:[7]' after its inode. @param content what opens when it is reached through /proc/PID/fd; null: nothing */
  fresh(kind: string, mode: number, owner: Task | null, content: Openable | null = null): Dentry {
    const inode = new Inode(this, this.nextIno++, mode, stamp(this.view), content === null ? {} : { content });
    inode.uid = owner?.credentials.fsuid ?? 0;
    inode.gid = owner?.credentials.fsgid ?? 0;
    return new Dentry(`${kind}:[${inode.ino}]`, null, inode);
  }
  /** A place with a name of its own on the one inode that all such files share. */
  shared(name: string): Dentry {
    this.sharedInode ??= new Inode(this, this.nextIno++, 0o600, stamp(this.view));
    return new Dentry(name, null, this.sharedInode);
  }
  usage(): FsUsage {
    return { blockSize: 4096, blocks: 0, blocksFree: 0, files: 0, filesFree: 0 };
  }
}
