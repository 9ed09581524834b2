// Reads a whole file twice, by read(2) in pieces of 1 MiB or through a mapping, eight bytes at a time. The second time everything is in memory; it
// lies between the lines "begin" and "end" on standard output. For read.mjs.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char buf[1 << 20] __attribute__((aligned(4096)));

int main(int argc, char **argv) {
  int fd = argc > 2 ? open(argv[1], O_RDONLY) : -1;
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return 1;
  uint64_t sum = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) write(1, "begin\n", 6);
    if (strcmp(argv[2], "read") == 0) {
      ssize_t n;
      lseek(fd, 0, SEEK_SET);
      while ((n = read(fd, buf, sizeof buf)) > 0) sum += (unsigned char)buf[n - 1];
    } else {
      const uint64_t *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
      if (p == MAP_FAILED) return 1;
      for (size_t i = 0; i < (size_t)st.st_size / 8; i++) sum += p[i];
      munmap((void *)p, (size_t)st.st_size);
    }
  }
  write(1, "end\n", 4);
  printf("%llx\n", (unsigned long long)sum);
  return 0;
}
