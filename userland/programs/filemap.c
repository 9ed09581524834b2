// Random file map: map a file shared and read and write it at random places; then read it back with read(2), which must see every store.
#include "common.h"
#include <fcntl.h>

int main(int argc, char **argv) {
    u64 bytes = 8 * MIB, accesses = 300000, writes = 25, seed = 1;
    const char *path = "/tmp/filemap.data";
    const struct parameter rows[] = {
        { "bytes", &bytes, PAGE_BYTES, 1ull << 40, NULL, "size of the file" },
        { "accesses", &accesses, 0, UINT64_MAX, NULL, "words to touch" },
        { "writes", &writes, 0, 100, NULL, "how many in a hundred accesses are writes" },
        { "path", NULL, 0, 0, &path, "the file, overwritten and removed in the end" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the places" },
    };
    parse_parameters(argc, argv, "filemap", "touch a mapped file at random places", rows, COUNT_OF(rows));

    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) die("%s: %s.", path, strerror(errno));
    u64 *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), count = bytes / 8;
    if (words == MAP_FAILED) die("%s: cannot be mapped: %s.", path, strerror(errno));
    struct random random = { seed };
    u64 sum = 0;
    for (u64 i = 0; i < accesses; i++) {
        u64 at = random_below(&random, count);
        if (i % 100 < writes) words[at] += i + 1;
        else sum += words[at];
    }
    munmap(words, bytes);

    static u64 buffer[4096];
    u64 total = 0;
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) > 0) for (ssize_t i = 0; i < got / 8; i++) total += buffer[i];
    if (got < 0) die("%s: %s.", path, strerror(errno));
    close(fd);
    unlink(path);
    u64 written = 0;
    for (u64 i = 0; i < accesses; i++) if (i % 100 < writes) written += i + 1;
    if (total != written) die("the file holds %llu, written were %llu.", (unsigned long long)total, (unsigned long long)written);
    printf("filemap: %llu bytes, %llu accesses, %llu written in all\n", (unsigned long long)bytes, (unsigned long long)accesses, (unsigned long long)written);
    print_checksum(mix(sum, total));
    return 0;
}
