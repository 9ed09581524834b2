// Shared memory and memfds under the settings of shmem_enabled: for each step its page faults, and the folios that were allocated for it by
// size (hugepages-*kB/stats/shmem_alloc). Compared with a real Linux: test/golden/shmem-linux-6.18.txt.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE 4096L
#define NR_SIZES 9
static const int sizes[NR_SIZES] = {8, 16, 32, 64, 128, 256, 512, 1024, 2048};
static char buf[1 << 20] __attribute__((aligned(4096)));
static long seen[NR_SIZES];
static char sum;

static long faults(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_minflt + u.ru_majflt;
}
static long allocated(int kb) {
  char path[120];
  long n = 0;
  snprintf(path, sizeof path, "/sys/kernel/mm/transparent_hugepage/hugepages-%dkB/stats/shmem_alloc", kb);
  FILE *f = fopen(path, "r");
  if (f == NULL || fscanf(f, "%ld", &n) != 1) n = 0;
  if (f != NULL) fclose(f);
  return n;
}
static void step(const char *name, long before) {
  long n = faults() - before;
  printf("%s: faults %ld", name, n);
  for (int i = 0; i < NR_SIZES; i++) {
    long now = allocated(sizes[i]);
    if (now != seen[i]) printf(" %dkB+%ld", sizes[i], now - seen[i]);
    seen[i] = now;
  }
  puts("");
}
static void writeAll(volatile char *p, long pages, long stride) { for (long i = 0; i < pages; i += stride) p[i * PAGE] = 1; }
static void readAll(volatile char *p, long pages, long stride) { for (long i = 0; i < pages; i += stride) sum += p[i * PAGE]; }
static char *at(char *address, long pages, int prot, int flags, int fd, int advised) {
  char *p = mmap(address, (size_t)(pages * PAGE), prot, flags | MAP_FIXED, fd, 0);
  if (p == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  if (advised) madvise(p, (size_t)(pages * PAGE), MADV_HUGEPAGE);
  return p;
}
static int file(const char *name, long pages) {
  int fd = memfd_create(name, 0);
  if (fd < 0 || ftruncate(fd, pages * PAGE) != 0) {
    perror("memfd");
    exit(1);
  }
  return fd;
}

static void rounds(int advised) {
  const int rw = PROT_READ | PROT_WRITE;
  printf("%s\n", advised ? "with MADV_HUGEPAGE" : "without advice");
  char *space = mmap(NULL, 18 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *base = (char *)(((unsigned long)space + (2 << 20) - 1) & ~((2UL << 20) - 1));
  char *p = at(base, 1024, rw, MAP_SHARED | MAP_ANONYMOUS, -1, advised);
  long before = faults();
  writeAll(p, 1024, 1);
  step("4 MiB, every page written", before);
  p = at(base + (4 << 20), 300, rw, MAP_SHARED | MAP_ANONYMOUS, -1, advised);
  before = faults();
  writeAll(p, 300, 3);
  step("300 pages, every third written", before);
  before = faults();
  readAll(p, 300, 1);
  step("then every one read", before);
  int fd = file("mapped", 1024);
  p = at(base + (6 << 20), 1024, rw, MAP_SHARED, fd, advised);
  before = faults();
  writeAll(p, 1024, 2);
  step("memfd of 4 MiB, every other page written", before);
  close(fd);
  fd = file("written", 0);
  memset(buf, 1, sizeof buf);
  before = faults();
  if (write(fd, buf, 300000) != 300000 || write(fd, buf, 1 << 20) != 1 << 20 || pwrite(fd, buf, 65536, 3 << 20) != 65536) perror("write");
  step("memfd, three writes", before);
  p = at(base + (10 << 20), 768, PROT_READ, MAP_SHARED, fd, 0);
  before = faults();
  readAll(p, 768, 1);
  step("mapped and read", before);
  close(fd);
  fd = file("private", 100);
  p = at(base + (14 << 20), 100, rw, MAP_PRIVATE, fd, advised);
  before = faults();
  readAll(p, 100, 2);
  step("memfd of 100 pages, private, every other page read", before);
  before = faults();
  writeAll(p, 100, 1);
  step("then every one written", before);
  close(fd);
  munmap(space, 18 << 20);
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  memset(buf, 1, sizeof buf);
  for (int i = 0; i < NR_SIZES; i++) seen[i] = allocated(sizes[i]);
  rounds(0);
  rounds(1);
  return sum == 127 ? 3 : 0;
}
