// Writes one byte to every page of a fresh private mapping of argv[1] MiB: one fault a folio. Natively it also prints faults and CPU seconds,
// so that the same source asks a real kernel the same question. For faults.mjs.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

static double seconds(const struct rusage *u) {
  return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + 1e-6 * (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

int main(int argc, char **argv) {
  size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20;
  struct rusage before, after;
  volatile char *p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return 1;
  getrusage(RUSAGE_SELF, &before);
  for (size_t at = 0; at < bytes; at += 4096) p[at] = 1;
  getrusage(RUSAGE_SELF, &after);
  printf("%ld %.6f\n", after.ru_minflt - before.ru_minflt, seconds(&after) - seconds(&before));
  return 0;
}
