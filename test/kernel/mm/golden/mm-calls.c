/* What Linux answers to mmap, munmap, mprotect, mremap, madvise, mlock, msync and mincore for many starts, lengths and flags over one layout
   of mappings, and what the layout is afterwards (nothing: as before). Results as hex offsets from the first page, or E and an errno.
   Record with: gcc -O1 -static mm-calls.c && ulimit -l 8192 && ./a.out > mm-calls-linux-6.18.txt, as root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define P 4096ul
static char *base, initial[512];

/* Pages 0-3 rw, two of them used; 4-5 r; 6 hole; 7-8 none; 9-10 shared; 11-12 a file opened for reading, shared; 13 hole; 14-15 locked. */
static void lay(void) {
  int fixed = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;
  munmap(base, 128 * P);
  mmap(base, 4 * P, 3, fixed, -1, 0);
  base[0] = base[P] = 1;
  mmap(base + 4 * P, 2 * P, 1, fixed, -1, 0);
  mmap(base + 7 * P, 2 * P, 0, fixed, -1, 0);
  mmap(base + 9 * P, 2 * P, 3, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  mmap(base + 11 * P, 2 * P, 1, MAP_FIXED | MAP_SHARED, 3, 0);
  mmap(base + 14 * P, 2 * P, 3, fixed, -1, 0);
  mlock(base + 14 * P, 2 * P);
}
static void layout(char *text) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  *text = 0;
  while (fgets(line, sizeof line, maps)) {
    unsigned long start, end;
    char prot[8];
    sscanf(line, "%lx-%lx %7s", &start, &end, prot);
    if (end > (unsigned long)base && start < (unsigned long)base + 128 * P)
      text += sprintf(text, " %ld-%ld:%s", (long)(start - (unsigned long)base) / 4096, (long)(end - (unsigned long)base) / 4096, prot);
  }
  fclose(maps);
}
static void show(const char *name, long a, long b, long c, long d, long result) {
  char now[512], value[32];
  if (result == -1) sprintf(value, "E%d", errno);
  else if (result >= (long)base && result < (long)base + 128 * (long)P) sprintf(value, "+%lx", (result - (long)base) / P);
  else sprintf(value, "%s", result > 4096 ? "elsewhere" : "0");
  layout(now);
  printf("%s %lx %lx %lx %lx=%s%s\n", name, a, b, c, d, value, strcmp(now, initial) ? now : "");
}

int main(void) {
  static const long starts[] = {0, 2, 4, 5, 6, 7, 9, 11, 14}, lens[] = {0, 1, 3 * P, 9 * P};
  static const long prots[] = {0, 1, 3, 5};
  static const long advice[] = {0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 99};
  static const long types[] = {0, 1, 2, 3, 0x20, 0x22, 0x21, 0x23, 0x11, 0x12, 0x32, 0x31, 0x100022, 0x100012, 0x132, 0x131, 0x2032, 0x4032, 0x8032, 0x20032};
  static const long strange[] = {1, 2049, -4096, -1};
  char zeros[8192] = {0};
  unlink("/tmp/mm-calls");
  int fd = open("/tmp/mm-calls", O_CREAT | O_RDWR, 0600);
  if (write(fd, zeros, sizeof zeros) != sizeof zeros) return 1;
  close(fd);
  if (open("/tmp/mm-calls", O_RDONLY) != 3) return 1;
  base = mmap(0, 512 * P, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  munmap(base, 512 * P);
  base = (char *)(((unsigned long)base + 128 * P + 65535) & ~65535ul);
  lay();
  layout(initial);
#define CALL(name, a, b, c, d, call) do { lay(); errno = 0; long result = (long)(call); show(name, a, b, c, d, result); } while (0)
  for (int s = 0; s < 9; s++)
    for (int l = 0; l < 4; l++) {
      char *at = base + starts[s] * P;
      long len = lens[l];
      unsigned char resident[16];
      for (int p = 0; p < 4; p++) CALL("mprotect", starts[s], len, prots[p], 0, mprotect(at, len, prots[p]));
      CALL("munmap", starts[s], len, 0, 0, munmap(at, len));
      for (int i = 0; i < 21; i++) CALL("madvise", starts[s], len, advice[i], 0, madvise(at, len, advice[i]));
      CALL("mlock", starts[s], len, 0, 0, mlock(at, len));
      CALL("munlock", starts[s], len, 0, 0, munlock(at, len));
      for (int f = 0; f < 8; f++) CALL("msync", starts[s], len, f, 0, msync(at, len, f));
      CALL("mincore", starts[s], len, 0, 0, mincore(at, len, resident));
      for (int n = 0; n < 4; n++)
        for (int f = 0; f < 8; f++) {
          if (f == 1 && n > l) continue; /* where it would go is nobody's business */
          CALL("mremap", starts[s], len, lens[n], f, syscall(SYS_mremap, at, len, lens[n], f, base + 40 * P));
        }
      CALL("mremap", starts[s], len, len, 103, syscall(SYS_mremap, at, len, len, 3, base + P));
      for (int i = 0; i < 20; i++) {
        if (!(types[i] & 0x10) && !(types[i] & 0x100000)) continue;
        for (int p = 0; p < 4; p++) CALL("mmap", starts[s], len, types[i], prots[p], mmap(at, len, prots[p], types[i], types[i] & 0x20 ? -1 : 3, 0));
      }
    }
  for (int i = 0; i < 20; i++) CALL("mmap", 64, P, types[i], 3, mmap(base + 64 * P, P, 3, types[i], types[i] & 0x20 ? -1 : 3, 0));
  for (int i = 0; i < 4; i++) {
    CALL("munmap", strange[i], P, 0, 1, munmap(base + strange[i], P));
    CALL("mprotect", strange[i], P, 1, 1, mprotect(base + strange[i], P, 1));
    CALL("madvise", strange[i], P, 4, 1, madvise(base + strange[i], P, 4));
  }
  return 0;
}
