// Page faults on mappings of a file: reads through the cache, private and shared writes, writes after msync, cold pages, odd mappings. Prints for
// each step how many faults it took, and how many pages of the mapping mincore sees before and after. One argument: a file to be made
// (on the file system that is asked about), gone at the end. Compared with a real Linux: test/golden/filefaults-*.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#define PAGE 4096L
#define PAGES 1024L  // of the file: 4 MiB

static int fd;
static const char *path;
static char *map, *base;
static long pages;
static unsigned char vec[PAGES];
static char buf[256 * PAGE] __attribute__((aligned(4096)));
static volatile char *m;

static long faults(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_minflt + u.ru_majflt;
}
static long incore(void) {
  long n = 0;
  mincore(map, (size_t)(pages * PAGE), vec);
  for (long i = 0; i < pages; i++) n += vec[i] & 1;
  return n;
}
static void die(const char *what) {
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}
/** A fresh mapping of `n` pages of the file from page `first` on, placed so that 2 MiB of the file are 2 MiB of memory wherever this runs. */
static void mapped(int prot, int flags, long first, long n) {
  if (map != NULL) munmap(map, (size_t)(pages * PAGE));
  map = mmap(base + first * PAGE, (size_t)(n * PAGE), prot, flags | MAP_FIXED, fd, first * PAGE);
  if (map == MAP_FAILED) die("mmap");
  pages = n;
  m = map;
}
static void step(const char *name, long before, long cached) {
  long n = faults() - before;
  printf("%s: faults %ld cached %ld -> %ld\n", name, n, cached, incore());
}
#define STEP(name, code) do { long cached_ = incore(), before_ = faults(); code; step(name, before_, cached_); } while (0)
/** Reads a byte and stores it nowhere: a store would be a page of ours to fault. */
static void look(long page) {
  char byte = m[page * PAGE];
  __asm__ volatile("" : : "r"(byte));
}
static void readAll(long stride) { for (long i = 0; i < pages; i += stride) look(i); }
static void writeAll(long stride) { for (long i = 0; i < pages; i += stride) m[i * PAGE + 8] = (char)i; }

/** The file, written in pieces of `n` pages, on disk, and no longer in memory unless `keep`. */
static void make(long n, int keep) {
  if (fd > 0) close(fd);
  unlink(path);
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) die(path);
  for (long at = 0; at < PAGES; at += n) {
    memset(buf, 'a' + (int)(at % 26), (size_t)(n * PAGE));
    if (write(fd, buf, (size_t)(n * PAGE)) != n * PAGE) die("write");
  }
  if (fsync(fd) != 0) die("fsync");
  if (!keep) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}
static sigjmp_buf jump;
static void onBus(int signo) { siglongjmp(jump, signo); }
static void touchUntilBus(void) {
  static volatile long i;  // outlives the jump
  for (i = 0; i < pages; i++) {
    int got = sigsetjmp(jump, 1);
    if (got != 0) {
      printf("  page %ld: signal %d\n", i, got);
      return;
    }
    look(i);
  }
}

static void cached(const char *how, long n) {
  char name[80];
  make(n, 1);
#define NAMED(what) (snprintf(name, sizeof name, "%s, %s", how, what), name)
  mapped(PROT_READ, MAP_SHARED, 0, PAGES);
  STEP(NAMED("read every page"), readAll(1));
  mapped(PROT_READ, MAP_SHARED, 0, PAGES);
  STEP(NAMED("read every 16th page"), readAll(16));
  mapped(PROT_READ, MAP_SHARED, 0, PAGES);
  STEP(NAMED("read every 37th page"), readAll(37));
  mapped(PROT_READ, MAP_PRIVATE, 3, 700);
  STEP(NAMED("private, from page 3, read"), readAll(1));
  mapped(PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, PAGES);
  STEP(NAMED("private write"), writeAll(1));
  mapped(PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, PAGES);
  STEP(NAMED("private read, then"), readAll(1));
  STEP(NAMED("write"), writeAll(3));
  mapped(PROT_READ | PROT_WRITE, MAP_SHARED, 0, PAGES);
  STEP(NAMED("shared write"), writeAll(1));
  STEP(NAMED("again"), writeAll(1));
  if (msync(map, (size_t)(pages * PAGE), MS_SYNC) != 0) die("msync");
  STEP(NAMED("after msync"), writeAll(1));
  fsync(fd);
  STEP(NAMED("after fsync, every 5th"), writeAll(5));
  mapped(PROT_READ | PROT_WRITE, MAP_SHARED, 0, PAGES);
  STEP(NAMED("shared read, then"), readAll(1));
  STEP(NAMED("write every 3rd"), writeAll(3));
  mapped(PROT_READ, MAP_SHARED, 5, 100);
  STEP(NAMED("100 pages from page 5"), readAll(1));
  munmap(map + 40 * PAGE, 8 * PAGE);
  pages = 40;
  STEP(NAMED("the first 40, with a hole after"), readAll(1));
  munmap(map + 48 * PAGE, 52 * PAGE);
#undef NAMED
}

int main(int argc, char **argv) {
  path = argc > 1 ? argv[1] : "/mnt/filefaults";
  setvbuf(stdout, NULL, _IONBF, 0);
  signal(SIGBUS, onBus);
  base = mmap(NULL, 16 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) die("mmap");
  munmap(base, 16 << 20);
  base = (char *)(((unsigned long)base + (4 << 20)) & ~((2UL << 20) - 1));
  // What is measured with has been used before it measures.
  map = buf;
  m = buf;
  pages = 2;
  readAll(1);
  writeAll(1);
  printf("begins with %ld pages\n", incore() + (faults() < 0));
  map = NULL;
  cached("written by 1 MiB", 256);
  cached("written by 64 KiB", 16);
  cached("written by pages", 1);

  make(256, 0);
  mapped(PROT_READ, MAP_SHARED, 0, PAGES);
  printf("cold: cached %ld\n", incore());
  look(500);
  printf("cold, one page touched: cached %ld\n", incore());
  make(256, 0);
  mapped(PROT_READ, MAP_SHARED, 0, PAGES);
  madvise(map, (size_t)(pages * PAGE), MADV_RANDOM);
  look(500);
  printf("cold, random, one page touched: cached %ld\n", incore());
  madvise(map, (size_t)(pages * PAGE), MADV_POPULATE_READ);
  printf("populated: cached %ld\n", incore());
  STEP("after MADV_POPULATE_READ", readAll(1));
  mapped(PROT_READ | PROT_WRITE, MAP_SHARED, 0, PAGES);
  STEP("MADV_POPULATE_WRITE", madvise(map, (size_t)(pages * PAGE), MADV_POPULATE_WRITE));
  STEP("after it", writeAll(1));

  // A child has the mapping, and none of its entries.
  make(256, 1);
  mapped(PROT_READ | PROT_WRITE, MAP_SHARED, 0, PAGES);
  STEP("parent reads", readAll(1));
  pid_t pid = fork();
  if (pid == 0) {
    STEP("child reads", readAll(1));
    STEP("child writes every 7th", writeAll(7));
    _exit(0);
  }
  waitpid(pid, NULL, 0);
  STEP("parent writes every 7th", writeAll(7));
  char *moved = mremap(map, (size_t)(pages * PAGE), (size_t)(pages * PAGE) + 64 * PAGE, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED) die("mremap");
  map = moved;
  m = map;
  STEP("grown, maybe moved, read", readAll(1));
  munmap(map + pages * PAGE, 64 * PAGE);

  mapped(PROT_READ, MAP_SHARED, 0, PAGES);
  STEP("mapped anew, read", readAll(1));
  if (ftruncate(fd, 300 * PAGE + 100) != 0) die("ftruncate");
  printf("truncated to 300 pages and a bit: cached %ld\n", incore());
  touchUntilBus();
  STEP("what is left, read", for (long i = 0; i < 301; i++) look(i));
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20 * PAGE + 5, 90 * PAGE) != 0) die("fallocate");
  printf("a hole: cached %ld\n", incore());
  STEP("what is left, with the hole, read", for (long i = 0; i < 301; i++) look(i));
  close(fd);
  unlink(path);
  return 0;
}
