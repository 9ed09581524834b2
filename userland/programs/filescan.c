// File scan: write a file of random words, then read it from front to back with read(2), counting lines, words and bytes as wc does.
#include "common.h"
#include <fcntl.h>

static u8 buffer[64 * KIB];

/** Writes `bytes` of lower-case words, blanks and line ends. */
static void write_file(const char *path, u64 bytes, struct random *random) {
    static const char alphabet[] = "etaoinshrdlu eta oin shr dlu\nae ";
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) die("%s: %s.", path, strerror(errno));
    for (u64 done = 0; done < bytes;) {
        u64 part = bytes - done < sizeof buffer ? bytes - done : sizeof buffer;
        for (u64 i = 0; i < part; i += 8) {
            u64 bits = random_next(random);
            for (u64 k = 0; k < 8; k++, bits >>= 5) buffer[i + k] = (u8)alphabet[bits & 31];
        }
        if (write(fd, buffer, part) != (ssize_t)part) die("%s: %s.", path, strerror(errno));
        done += part;
    }
    close(fd);
}

struct counts { u64 lines, words, bytes, hash; };
static struct counts scan_file(const char *path, u64 chunk) {
    struct counts counts = { 0, 0, 0, 0 };
    int fd = open(path, O_RDONLY), in_word = 0;
    ssize_t got;
    if (fd < 0) die("%s: %s.", path, strerror(errno));
    while ((got = read(fd, buffer, chunk)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            int letter = buffer[i] > ' ';
            counts.lines += buffer[i] == '\n';
            counts.words += (u64)(letter & !in_word);
            in_word = letter;
        }
        counts.bytes += (u64)got;
        counts.hash = mix(counts.hash, buffer[0] + 256u * buffer[got - 1]);
    }
    if (got < 0) die("%s: %s.", path, strerror(errno));
    close(fd);
    return counts;
}

int main(int argc, char **argv) {
    u64 bytes = 1 * MIB, chunk = 16 * KIB, passes = 1, seed = 1;
    const char *path = "/tmp/filescan.data";
    const struct parameter rows[] = {
        { "bytes", &bytes, 1, 1ull << 40, NULL, "size of the file" },
        { "chunk", &chunk, 1, sizeof buffer, NULL, "bytes of each read" },
        { "passes", &passes, 1, 1ull << 20, NULL, "times to read the file" },
        { "path", NULL, 0, 0, &path, "the file, overwritten and removed in the end" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the words" },
    };
    parse_parameters(argc, argv, "filescan", "write a file and count its words", rows, COUNT_OF(rows));

    struct random random = { seed };
    struct counts counts = { 0, 0, 0, 0 };
    u64 sum = 0;
    write_file(path, bytes, &random);
    for (u64 pass = 0; pass < passes; pass++) {
        counts = scan_file(path, chunk);
        sum = mix(mix(mix(sum, counts.lines), counts.words), counts.hash);
    }
    unlink(path);
    printf("filescan: %llu lines, %llu words, %llu bytes, %llu passes\n", (unsigned long long)counts.lines, (unsigned long long)counts.words, (unsigned long long)counts.bytes, (unsigned long long)passes);
    print_checksum(sum);
    return 0;
}
