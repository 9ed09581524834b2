// The system calls about files, joined: a file a subject.
import { descriptorSyscalls } from './descriptors.ts';
import { dirSyscalls } from './dirs.ts';
import { fcntlSyscalls } from './fcntl.ts';
import { ioSyscalls } from './io.ts';
import { ioctlSyscalls } from './ioctl.ts';
import type { SyscallRow } from './row.ts';
import { socketSyscalls } from './socket.ts';
import { statSyscalls } from './stat.ts';
import { syncSyscalls } from './sync.ts';

export const fileSyscalls: readonly SyscallRow[] = [
  ...descriptorSyscalls, ...ioSyscalls, ...statSyscalls, ...dirSyscalls, ...fcntlSyscalls, ...ioctlSyscalls, ...socketSyscalls, ...syncSyscalls,
];
