// One page fault of each kind that the debugger's session goes through (session.txt), and nothing else: no C library, so that no fault is another's.
// The executable beside this file is committed, so that the test needs no compiler and every address is the same. To make it again, at the root of the
// checkout, with gcc 12 for riscv64:
//   riscv64-linux-gnu-gcc -O1 -g -march=rv64gc -mabi=lp64d -ffreestanding -fno-stack-protector -fno-pic -no-pie -nostdlib -static -Wl,--build-id=none \
//     -fno-asynchronous-unwind-tables -fdebug-prefix-map=$PWD=/quire -o test/golden/debug/paths test/golden/debug/paths.c
typedef unsigned long word;

static long call(long nr, word a, word b, word c, word d, word e, word f) {
    register word a0 __asm__("a0") = a;
    register word a1 __asm__("a1") = b;
    register word a2 __asm__("a2") = c;
    register word a3 __asm__("a3") = d;
    register word a4 __asm__("a4") = e;
    register word a5 __asm__("a5") = f;
    register long a7 __asm__("a7") = nr;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
    return (long)a0;
}
enum { OPENAT = 56, WRITE_TO = 64, EXIT = 93, NANOSLEEP = 101, CLONE = 220, MMAP = 222, MADVISE = 233, WAIT4 = 260 };
enum { KIB = 1024, MIB = 1024 * KIB, PAGE = 4 * KIB };
enum { READ = 1, WRITE = 2, PRIVATE = 2, FIXED = 16, ANONYMOUS = 32, HUGEPAGE = 14, PAGEOUT = 21, SIGCHLD = 17, AT_FDCWD = -100 };

/** Anonymous memory at a fixed address, so that the session can name it. */
static volatile char *map(word at, word bytes) {
    return (volatile char *)call(MMAP, at, bytes, READ | WRITE, PRIVATE | FIXED | ANONYMOUS, -1, 0);
}

/** A first touch, in the middle of an aligned 64K: one folio of sixteen pages. */
__attribute__((noinline)) static void first_touch(volatile char *region) {
    region[5 * PAGE] = 1;
}
/** The same where the mapping is shorter than 64K. */
__attribute__((noinline)) static void short_mapping(volatile char *region) {
    region[0] = 2;
}
/** A child writes to what it shares with its parent. */
__attribute__((noinline)) static void copy_on_write(volatile char *region) {
    long child = call(CLONE, SIGCHLD, 0, 0, 0, 0, 0);
    if (child == 0) {
        region[5 * PAGE] = 3;
        call(EXIT, 0, 0, 0, 0, 0, 0);
    }
    call(WAIT4, child, 0, 0, 0, 0, 0);
}
/** A page of a mapped file that is on the disk. */
__attribute__((noinline)) static char file_page(void) {
    long fd = call(OPENAT, AT_FDCWD, (word)"/mnt/numbers", 0, 0, 0, 0);
    volatile char *file = (volatile char *)call(MMAP, 0, 256 * KIB, READ, PRIVATE, fd, 0);
    return file[10 * PAGE];
}
static void sleep_milliseconds(long milliseconds) {
    long time[2] = { 0, milliseconds * 1000000 };
    call(NANOSLEEP, (word)time, 0, 0, 0, 0, 0);
}
/** A page that went to swap: written, and then, when it was clean, let go. */
__attribute__((noinline)) static char swapped(volatile char *region) {
    call(MADVISE, (word)region, 64 * KIB, PAGEOUT, 0, 0, 0);
    sleep_milliseconds(10);
    long fd = call(OPENAT, AT_FDCWD, (word)"/sys/fs/cgroup/memory.reclaim", 1, 0, 0, 0);
    call(WRITE_TO, fd, (word)"64K", 3, 0, 0, 0);
    return region[5 * PAGE];
}
/** 2 MiB of small folios, advised to be huge: khugepaged makes one of them while the program sleeps. */
__attribute__((noinline)) static char collapsed(volatile char *region) {
    for (word at = 0; at < 2 * MIB; at += PAGE) region[at] = 4;
    call(MADVISE, (word)region, 2 * MIB, HUGEPAGE, 0, 0, 0);
    sleep_milliseconds(900);
    return region[MIB];
}

void _start(void) {
    volatile char *region = map(0x2000000000, 256 * KIB);
    first_touch(region);
    short_mapping(map(0x2010000000, 40 * KIB));
    copy_on_write(region);
    char sum = file_page();
    sum += swapped(region);
    sum += collapsed(map(0x2020000000, 2 * MIB));
    call(EXIT, sum, 0, 0, 0, 0, 0);
}
