// fs: files as programs see them. The root is tmpfs, whose pages are frames of guest RAM, so that mapping a file maps its pages.
//
// Reading order:
//   inode.ts      Inode and its kinds; FileOps, what an open file can do
//   file.ts       OpenFile (struct file), FileTable (struct files_struct), FsContext (cwd, umask)
//   vfs.ts        path walk with mounts and symbolic links; open, mkdir, unlink, rename
//   tmpfs.ts      directories and regular files in memory
//   pipe.ts, eventfd.ts, socketpair.ts, console.ts (the host's stdin, stdout, stderr), dev.ts (null, zero, random, tty)
//   procfs/       one file a family: task.ts (status, stat, ...), maps.ts (maps, smaps, pagemap), system.ts (meminfo, vmstat, ...)
//   sysfs.ts      /sys: the transparent_hugepage tree, cpu topology
export {};
