// Writes one byte to every page of a private mapping of argv[1] MiB: one fault a folio. argv[2] is the distance of the writes in kB (default
// 4), argv[3] how often it is done, with a fresh mapping each time (default 2). The last time is the measured one: the second time memory has
// been used before, as on a machine that has run for a while. Natively it also prints faults and CPU seconds of that time, so that the same
// source asks a real kernel the same question. For faults.mjs.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

static double seconds(const struct rusage *u) {
  return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + 1e-6 * (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

int main(int argc, char **argv) {
  size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20;
  size_t step = (size_t)(argc > 2 ? atoi(argv[2]) : 4) << 10;
  int times = argc > 3 ? atoi(argv[3]) : 2;
  struct rusage before, after;
  for (int time = 0; time < times; time++) {
    volatile char *p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 1;
    getrusage(RUSAGE_SELF, &before);
    for (size_t at = 0; at < bytes; at += step) p[at] = 1;
    getrusage(RUSAGE_SELF, &after);
    munmap((void *)p, bytes);
  }
  printf("%ld %.6f\n", after.ru_minflt - before.ru_minflt, seconds(&after) - seconds(&before));
  return 0;
}
