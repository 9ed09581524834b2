// What the arguments of system calls are called, for conditions: `break syscall mmap if len > 1M`. Names as the manual pages have them. A call that is not
// listed has a0 to a5; their kinds (numbers, texts) are the kernel's table's.
import { syscallName, syscallNames, syscallTable } from '#kernel';

const argumentNames: Readonly<Record<string, string>> = {
  mmap: 'addr len prot flags fd offset', munmap: 'addr len', mprotect: 'addr len prot', madvise: 'addr len advice', mremap: 'addr len new_len flags new_addr', brk: 'addr', mincore: 'addr len vec',
  msync: 'addr len flags', mlock: 'addr len', mlock2: 'addr len flags', munlock: 'addr len', mlockall: 'flags', mseal: 'addr len flags', process_madvise: 'pidfd vec count advice flags',
  openat: 'dirfd path flags mode', close: 'fd', read: 'fd buf count', write: 'fd buf count', pread64: 'fd buf count offset', pwrite64: 'fd buf count offset', readv: 'fd vec count', writev: 'fd vec count',
  lseek: 'fd offset whence', ftruncate: 'fd len', fallocate: 'fd mode offset len', fsync: 'fd', fdatasync: 'fd', readahead: 'fd offset count', fadvise64: 'fd offset len advice', ioctl: 'fd request arg',
  unlinkat: 'dirfd path flags', mkdirat: 'dirfd path mode', fstat: 'fd buf', newfstatat: 'dirfd path buf flags', getdents64: 'fd buf count', sendfile: 'out_fd in_fd offset count',
  clone: 'flags stack parent_tid tls child_tid', execve: 'path argv envp', exit: 'status', exit_group: 'status', wait4: 'pid status options rusage', kill: 'pid sig', tgkill: 'tgid tid sig',
  rt_sigaction: 'sig act oldact size', rt_sigprocmask: 'how set oldset size', futex: 'addr op val timeout addr2 val3', nanosleep: 'req rem', clock_nanosleep: 'clock flags req rem', prctl: 'option arg2 arg3 arg4 arg5',
  swapon: 'path flags', swapoff: 'path', memfd_create: 'name flags', shmget: 'key size flags', shmat: 'id addr flags', shmctl: 'id cmd buf', shmdt: 'addr', getrandom: 'buf count flags',
};
export interface SyscallArgument { readonly name: string; readonly kind: string }

/** The arguments of a call that have names. */
export function syscallArguments(nr: number): SyscallArgument[] {
  const kinds = (syscallTable[nr]?.args ?? '').split(' ');
  return (argumentNames[syscallName(nr) ?? ''] ?? '').split(' ').filter((name) => name !== '').map((name, i) => ({ name, kind: kinds[i] ?? 'hex' }));
}
/** By name or number; null: there is no such call. */
export function syscallNumber(word: string): number | null {
  for (const [nr, name] of syscallNames) if (name === word || `${nr}` === word) return nr;
  return null;
}
