// Flag words of system calls by name, where strace prints names too, by the kind that the table gives an argument. Values from the uapi headers (asm-generic for riscv64).
import { signalName } from '#kernel';

type Bits = readonly (readonly [name: string, bit: number])[];

const prot: Bits = [['PROT_READ', 1], ['PROT_WRITE', 2], ['PROT_EXEC', 4], ['PROT_GROWSDOWN', 0x0100_0000]];
const mapFlags: Bits = [
  ['MAP_FIXED', 0x10], ['MAP_ANONYMOUS', 0x20], ['MAP_GROWSDOWN', 0x100], ['MAP_DENYWRITE', 0x800], ['MAP_EXECUTABLE', 0x1000], ['MAP_LOCKED', 0x2000],
  ['MAP_NORESERVE', 0x4000], ['MAP_POPULATE', 0x8000], ['MAP_NONBLOCK', 0x10000], ['MAP_STACK', 0x20000], ['MAP_HUGETLB', 0x40000], ['MAP_FIXED_NOREPLACE', 0x100000],
];
const open: Bits = [
  ['O_CREAT', 0o100], ['O_EXCL', 0o200], ['O_NOCTTY', 0o400], ['O_TRUNC', 0o1000], ['O_APPEND', 0o2000], ['O_NONBLOCK', 0o4000], ['O_DSYNC', 0o10000],
  ['O_DIRECT', 0o40000], ['O_LARGEFILE', 0o100000], ['O_DIRECTORY', 0o200000], ['O_NOFOLLOW', 0o400000], ['O_NOATIME', 0o1000000], ['O_CLOEXEC', 0o2000000], ['O_PATH', 0o10000000],
];
const clone: Bits = [
  ['CLONE_VM', 0x100], ['CLONE_FS', 0x200], ['CLONE_FILES', 0x400], ['CLONE_SIGHAND', 0x800], ['CLONE_VFORK', 0x4000], ['CLONE_PARENT', 0x8000], ['CLONE_THREAD', 0x10000],
  ['CLONE_SYSVSEM', 0x40000], ['CLONE_SETTLS', 0x80000], ['CLONE_PARENT_SETTID', 0x100000], ['CLONE_CHILD_CLEARTID', 0x200000], ['CLONE_DETACHED', 0x400000], ['CLONE_CHILD_SETTID', 0x1000000],
];
const madvice = ['MADV_NORMAL', 'MADV_RANDOM', 'MADV_SEQUENTIAL', 'MADV_WILLNEED', 'MADV_DONTNEED', '', '', '', 'MADV_FREE', 'MADV_REMOVE', 'MADV_DONTFORK', 'MADV_DOFORK',
  'MADV_MERGEABLE', 'MADV_UNMERGEABLE', 'MADV_HUGEPAGE', 'MADV_NOHUGEPAGE', 'MADV_DONTDUMP', 'MADV_DODUMP', 'MADV_WIPEONFORK', 'MADV_KEEPONFORK', 'MADV_COLD', 'MADV_PAGEOUT',
  'MADV_POPULATE_READ', 'MADV_POPULATE_WRITE', 'MADV_DONTNEED_LOCKED', 'MADV_COLLAPSE'];

/** 'A|B|0x40'; `none` for zero. */
function bitNames(bits: Bits, value: number, none: string, first: string[] = []): string {
  const names = [...first];
  let rest = value >>> 0;
  for (const [name, bit] of bits) {
    if ((rest & bit) === 0) continue;
    names.push(name);
    rest = (rest & ~bit) >>> 0;
  }
  if (rest !== 0) names.push(`0x${rest.toString(16)}`);
  return names.length === 0 ? none : names.join('|');
}

const listed = (names: readonly string[], value: number): string => names[value] || `${value}`;
const clocks = ['CLOCK_REALTIME', 'CLOCK_MONOTONIC', 'CLOCK_PROCESS_CPUTIME_ID', 'CLOCK_THREAD_CPUTIME_ID', 'CLOCK_MONOTONIC_RAW', 'CLOCK_REALTIME_COARSE',
  'CLOCK_MONOTONIC_COARSE', 'CLOCK_BOOTTIME', 'CLOCK_REALTIME_ALARM', 'CLOCK_BOOTTIME_ALARM', '', 'CLOCK_TAI'];
const futexOps = ['FUTEX_WAIT', 'FUTEX_WAKE', 'FUTEX_FD', 'FUTEX_REQUEUE', 'FUTEX_CMP_REQUEUE', 'FUTEX_WAKE_OP', 'FUTEX_LOCK_PI', 'FUTEX_UNLOCK_PI', 'FUTEX_TRYLOCK_PI',
  'FUTEX_WAIT_BITSET', 'FUTEX_WAKE_BITSET', 'FUTEX_WAIT_REQUEUE_PI', 'FUTEX_CMP_REQUEUE_PI', 'FUTEX_LOCK_PI2'];
const fcntls: Readonly<Record<number, string>> = {
  0: 'F_DUPFD', 1: 'F_GETFD', 2: 'F_SETFD', 3: 'F_GETFL', 4: 'F_SETFL', 5: 'F_GETLK', 6: 'F_SETLK', 7: 'F_SETLKW', 8: 'F_SETOWN', 9: 'F_GETOWN',
  1024: 'F_SETLEASE', 1025: 'F_GETLEASE', 1030: 'F_DUPFD_CLOEXEC', 1031: 'F_SETPIPE_SZ', 1032: 'F_GETPIPE_SZ', 1033: 'F_ADD_SEALS', 1034: 'F_GET_SEALS',
};
const ioctls: Readonly<Record<number, string>> = {
  0x5401: 'TCGETS', 0x5402: 'TCSETS', 0x5403: 'TCSETSW', 0x5404: 'TCSETSF', 0x540f: 'TIOCGPGRP', 0x5410: 'TIOCSPGRP', 0x5413: 'TIOCGWINSZ', 0x5414: 'TIOCSWINSZ',
  0x541b: 'FIONREAD', 0x5421: 'FIONBIO', 0x5450: 'FIONCLEX', 0x5451: 'FIOCLEX',
};
const rlimits = ['RLIMIT_CPU', 'RLIMIT_FSIZE', 'RLIMIT_DATA', 'RLIMIT_STACK', 'RLIMIT_CORE', 'RLIMIT_RSS', 'RLIMIT_NPROC', 'RLIMIT_NOFILE', 'RLIMIT_MEMLOCK', 'RLIMIT_AS',
  'RLIMIT_LOCKS', 'RLIMIT_SIGPENDING', 'RLIMIT_MSGQUEUE', 'RLIMIT_NICE', 'RLIMIT_RTPRIO', 'RLIMIT_RTTIME'];
const waitFlags: Bits = [['WNOHANG', 1], ['WUNTRACED', 2], ['WEXITED', 4], ['WCONTINUED', 8], ['WNOWAIT', 0x0100_0000], ['__WNOTHREAD', 0x2000_0000], ['__WALL', 0x4000_0000], ['__WCLONE', 0x8000_0000]];

const fadvice = ['POSIX_FADV_NORMAL', 'POSIX_FADV_RANDOM', 'POSIX_FADV_SEQUENTIAL', 'POSIX_FADV_WILLNEED', 'POSIX_FADV_DONTNEED', 'POSIX_FADV_NOREUSE'];
const syncRange: Bits = [['SYNC_FILE_RANGE_WAIT_BEFORE', 1], ['SYNC_FILE_RANGE_WRITE', 2], ['SYNC_FILE_RANGE_WAIT_AFTER', 4]];
const falloc: Bits = [['FALLOC_FL_KEEP_SIZE', 1], ['FALLOC_FL_PUNCH_HOLE', 2], ['FALLOC_FL_NO_HIDE_STALE', 4], ['FALLOC_FL_COLLAPSE_RANGE', 8], ['FALLOC_FL_ZERO_RANGE', 0x10],
  ['FALLOC_FL_INSERT_RANGE', 0x20], ['FALLOC_FL_UNSHARE_RANGE', 0x40]];
/** What has no name at all, as strace shows it. */
const nameless = (value: number, prefix: string): string => `0x${(value >>> 0).toString(16)} /* ${prefix}_??? */`;
const hasName = (bits: Bits, value: number): boolean => value === 0 || bits.some(([, bit]) => (value & bit) !== 0);

/** Flags, and in the low byte the signal that tells the parent of the end. */
function cloneFlags(value: number): string {
  const names = [...((value & ~0xff) === 0 ? [] : [bitNames(clone, value & ~0xff, '')]), ...((value & 0xff) === 0 ? [] : [signalName(value & 0xff)])];
  return names.length === 0 ? '0' : names.join('|');
}

/** By kind of argument, the way its value prints. */
const printers: Readonly<Record<string, (value: number) => string>> = {
  prot: (v) => bitNames(prot, v, 'PROT_NONE'),
  'mmap-flags': (v) => bitNames(mapFlags, v & ~3, '0', [['MAP_FILE', 'MAP_SHARED', 'MAP_PRIVATE', 'MAP_SHARED_VALIDATE'][v & 3]!]),
  'mremap-flags': (v) => bitNames([['MREMAP_MAYMOVE', 1], ['MREMAP_FIXED', 2], ['MREMAP_DONTUNMAP', 4]], v, '0'),
  'msync-flags': (v) => bitNames([['MS_ASYNC', 1], ['MS_INVALIDATE', 2], ['MS_SYNC', 4]], v, '0'),
  madvice: (v) => (v === 102 ? 'MADV_GUARD_INSTALL' : v === 103 ? 'MADV_GUARD_REMOVE' : listed(madvice, v)),
  fadvice: (v) => fadvice[v] ?? nameless(v, 'POSIX_FADV'),
  'sync-range': (v) => (hasName(syncRange, v) ? bitNames(syncRange, v, '0') : nameless(v, 'SYNC_FILE_RANGE')),
  falloc: (v) => (hasName(falloc, v) ? bitNames(falloc, v, '0') : nameless(v, 'FALLOC_FL')),
  'clone-flags': cloneFlags,
  open: (v) => bitNames(open, v & ~3, '0', [['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'][v & 3]!]),
  'fd-flags': (v) => bitNames(open, v, '0'),
  clock: (v) => listed(clocks, v),
  seek: (v) => listed(['SEEK_SET', 'SEEK_CUR', 'SEEK_END', 'SEEK_DATA', 'SEEK_HOLE'], v),
  'sig-how': (v) => listed(['SIG_BLOCK', 'SIG_UNBLOCK', 'SIG_SETMASK'], v),
  'wait-flags': (v) => bitNames(waitFlags, v, '0'),
  'futex-op': (v) => listed(futexOps, v & 0x7f) + ((v & 0x80) === 0 ? '' : '_PRIVATE') + ((v & 0x100) === 0 ? '' : '|FUTEX_CLOCK_REALTIME'),
  access: (v) => bitNames([['R_OK', 4], ['W_OK', 2], ['X_OK', 1]], v, 'F_OK'),
  fcntl: (v) => fcntls[v] ?? `0x${v.toString(16)}`,
  ioctl: (v) => ioctls[v] ?? `0x${(v >>> 0).toString(16)}`,
  rlimit: (v) => listed(rlimits, v),
  at: (v) => bitNames([['AT_SYMLINK_NOFOLLOW', 0x100], ['AT_REMOVEDIR', 0x200], ['AT_SYMLINK_FOLLOW', 0x400], ['AT_NO_AUTOMOUNT', 0x800], ['AT_EMPTY_PATH', 0x1000]], v, '0'),
};

/** A value by the name of its kind; null: the kind is no set of names. */
export const flagNames = (kind: string, value: number): string | null => printers[kind]?.(value) ?? null;
