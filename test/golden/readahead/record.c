// Reads a file of 8 MiB in one way, named by argv[2], for a recorder that traces the kernel's read-ahead meanwhile. See record.sh.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static char buf[1 << 20];
static unsigned state = 1;
static long next(long below) {
  state = state * 1103515245u + 12345u;
  return (long)(state >> 8) % below;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  int fd = open(argv[1], O_RDONLY);
  const char *how = argv[2];
  long size = lseek(fd, 0, SEEK_END);
  long kb = 0;
  lseek(fd, 0, SEEK_SET);
  if (sscanf(how, "seq%ld", &kb) == 1) {
    while (read(fd, buf, (size_t)kb << 10) > 0) {}
  } else if (sscanf(how, "back%ld", &kb) == 1) {
    for (int i = 1; i <= 64; i++) pread(fd, buf, (size_t)kb << 10, size - i * (kb << 10));
  } else if (strcmp(how, "inter") == 0) {
    for (int i = 0; i < 100; i++) {
      pread(fd, buf, 8192, i * 8192L);
      pread(fd, buf, 8192, size / 2 + i * 8192L);
    }
  } else if (strcmp(how, "random") == 0) {
    for (int i = 0; i < 60; i++) pread(fd, buf, 4096, next(size / 4096) * 4096L);
  } else if (strcmp(how, "unaligned") == 0) {
    for (int i = 0; i < 200; i++) read(fd, buf, 5000);
  } else if (strcmp(how, "skip") == 0) {
    for (int i = 0; i < 64; i++) pread(fd, buf, 12288, i * 40960L);
  } else if (strcmp(how, "fsequential") == 0) {
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while (read(fd, buf, 16384) > 0) {}
  } else if (strcmp(how, "frandom") == 0) {
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    for (int i = 0; i < 40; i++) pread(fd, buf, 16384, (i * 37L % 200) * 16384L);
  } else if (strcmp(how, "fwillneed") == 0) {
    posix_fadvise(fd, 8192, 1 << 20, POSIX_FADV_WILLNEED);
  } else if (strcmp(how, "readahead") == 0) {
    readahead(fd, 65536, 300 << 10);
    for (int i = 0; i < 64; i++) read(fd, buf, 8192);
  } else if (strcmp(how, "stride") == 0) {
    for (long at = 0; at < size; at += 65536) pread(fd, buf, 4096, at);
  } else {
    char *map = mmap(0, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    volatile char *m = map;
    struct rusage before, after;
    if (strcmp(how, "msequential") == 0) madvise(map, (size_t)size, MADV_SEQUENTIAL);
    if (strcmp(how, "mrandomadvice") == 0) madvise(map, (size_t)size, MADV_RANDOM);
    if (strcmp(how, "mhuge") == 0) madvise(map, (size_t)size, MADV_HUGEPAGE);
    getrusage(RUSAGE_SELF, &before);
    if (strcmp(how, "mrandom") == 0) for (int i = 0; i < 60; i++) (void)m[next(size / 4096) * 4096L];
    else if (strcmp(how, "mstride") == 0) for (long at = 0; at < size; at += 65536) (void)m[at];
    else if (strcmp(how, "mrandomadvice") == 0) for (long at = 0; at < size; at += 5 * 4096) (void)m[at];
    else for (long at = 0; at < size; at += 4096) (void)m[at];
    getrusage(RUSAGE_SELF, &after);
    printf("faults min %ld maj %ld\n", after.ru_minflt - before.ru_minflt, after.ru_majflt - before.ru_majflt);
  }
  return 0;
}
