// fs: files as programs see them. The root is tmpfs, whose pages are frames of guest RAM, so that mapping a file maps its pages.
//
// Reading order, which is that of open("/tmp/a", O_CREAT) and a write:
//   inode.ts       Inode: attributes, and the three things it can be besides (a directory, a link, something that opens); FileSystem
//   dentry.ts      names: the tree over all mounts, the path of a name
//   walk.ts        from a path to a place: '..', mounts, links; who may go where
//   vfs.ts         mounts at boot, open, files without names, what the tools put in and take out, the hash of it all
//   names.ts       mkdir, link, unlink, rename: what changes names
//   file.ts        OpenFile (struct file), FileOps (what kinds of files differ in), FileTable (descriptors), FsContext (cwd, root, umask)
//   io-buffer.ts   the other side of a read or write: pieces of user memory that may turn out to be bad half way
//   tmpfs.ts       directories and links in memory; regular.ts regular files over mm's AddressSpace, with seals
//   mapping.ts     what an on-disk format answers to the page cache: extents (iomap.ts) or a block at a time (buffer-head.ts); folio-io.ts
//                  what both do with folios and a disk; buffers.ts, meta-blocks.ts a format's own blocks, in the page cache of its device
//   disk-file.ts   a regular file on a disk; disk-sync.ts the steps of fsync; disk-mount.ts where device, cache, format and names meet
//   pipe.ts        bytes on their way, in frames of RAM; fifo.ts two sides that wait for each other; socket.ts AF_UNIX pairs
//   eventfd.ts, timerfd.ts, pidfd.ts, epoll.ts; anonymous.ts where files without a path live
//   console.ts     the host's stdin, stdout, stderr; tty.ts the terminal: line editing, echo, settings, keys that are signals; dev.ts devices
//   locks.ts       record locks, flock, deadlock
//   pseudo.ts      files that are told, not stored; procfs/ (its index.ts has the order), sysfs.ts
//   buffers.ts, mapping.ts   what stands between the page cache and an on-disk format: metadata blocks, and where the bytes of a file are
//   ext/           ext2 and ext4 on a disk (its index.ts has the order)
//   view.ts        what all this needs of the kernel around it
//
// How a call sleeps. An operation that can do nothing now answers -EAGAIN; OpenFile.read and write put the task on the file's queues and
// answer BLOCK; the handler runs again from its arguments when woken (proc/wait.ts), with notes of what it has moved in task.restart.
// What costs the host memory is bounded as Linux bounds it: inodes and pages of a tmpfs, fs.file-max, pages of pipes from RAM.
export * from './console.ts';
export * from './file.ts';
export * from './vfs.ts';
