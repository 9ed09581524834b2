/* What Linux makes of three neighbouring anonymous mappings A B C, four pages each, when a part of B changes its rights: the boundaries of
   the VMAs afterwards, in pages. Every combination of: which of the three have had a page written (mask), the rights of A and C, the rights
   that B gets, the part of B. Record with: gcc -O1 vma-merge.c && ./a.out > vma-merge-linux-6.18.txt */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static const int rights[2] = {PROT_READ, PROT_READ | PROT_WRITE};
static const int parts[4][2] = {{0, 4}, {0, 2}, {2, 4}, {1, 3}};

static void boundaries(unsigned long base) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  while (fgets(line, sizeof line, maps)) {
    unsigned long start, end;
    char prot[8];
    sscanf(line, "%lx-%lx %7s", &start, &end, prot);
    if (end > base && start < base + 12 * 4096) printf(" %ld-%ld:%.2s", (long)(start - base) / 4096, (long)(end - base) / 4096, prot);
  }
  fclose(maps);
}

int main(void) {
  for (int mask = 0; mask < 8; mask++)
    for (int a = 0; a < 2; a++)
      for (int c = 0; c < 2; c++)
        for (int b = 0; b < 2; b++)
          for (int part = 0; part < 4; part++) {
            char *hole = mmap(0, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            char *p = hole + 16 * 4096;
            munmap(hole, 64 * 4096);
            int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
            mmap(p, 4 * 4096, PROT_READ | PROT_WRITE, fixed, -1, 0);
            mmap(p + 8 * 4096, 4 * 4096, PROT_READ | PROT_WRITE, fixed, -1, 0);
            if (mask & 1) p[0] = 1;
            if (mask & 4) p[8 * 4096] = 1;
            mmap(p + 4 * 4096, 4 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, fixed, -1, 0);
            if (mask & 2) p[4 * 4096] = 1;
            mprotect(p, 4 * 4096, rights[a]);
            mprotect(p + 8 * 4096, 4 * 4096, rights[c]);
            mprotect(p + (4 + parts[part][0]) * 4096, (parts[part][1] - parts[part][0]) * 4096, rights[b]);
            printf("%d %d%d%d %d:", mask, a, b, c, part);
            boundaries((unsigned long)p);
            printf("\n");
            munmap(hole, 64 * 4096);
          }
  return 0;
}
