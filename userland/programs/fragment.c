// Fragmenter: fills memory with single pages, gives back all but one in every so many, and then asks for memory anew.
// Free memory is plentiful and nowhere contiguous: large folios must fall back, and what the second region pays for that is the question.
// Run it with --bytes near the size of RAM; a report's anon_fault_fallback and the TLB misses of the walk are its result.
#include "common.h"

int main(int argc, char **argv) {
    u64 bytes = 24 * MIB, keep = 16, then = 8 * MIB, passes = 48, seed = 1;
    const struct parameter rows[] = {
        { "bytes", &bytes, PAGE_BYTES, 1ull << 40, NULL, "memory to break into pieces" },
        { "keep", &keep, 1, 1ull << 30, NULL, "one page in so many is kept" },
        { "then", &then, PAGE_BYTES, 1ull << 40, NULL, "memory to allocate afterwards" },
        { "passes", &passes, 1, UINT64_MAX, NULL, "walks over that memory" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the contents" },
    };
    parse_parameters(argc, argv, "fragment", "fragment physical memory, then allocate", rows, COUNT_OF(rows));

    u8 *pieces = anonymous(bytes);
    madvise(pieces, bytes, MADV_NOHUGEPAGE);  // single pages, whatever the system's setting; a kernel without THP refuses, and does so anyway
    for (u64 at = 0; at + 8 <= bytes; at += PAGE_BYTES) *(u64 *)(pieces + at) = scramble(seed + at);
    for (u64 at = 0; at < bytes; at += keep * PAGE_BYTES) {
        u64 from = at + PAGE_BYTES, to = at + keep * PAGE_BYTES < bytes ? at + keep * PAGE_BYTES : bytes;
        if (from < to && madvise(pieces + from, to - from, MADV_DONTNEED) != 0) die("madvise: %s.", strerror(errno));
    }
    u64 sum = 0, kept = 0;
    u8 *region = anonymous(then);
    for (u64 at = 0; at + 8 <= then; at += PAGE_BYTES) *(u64 *)(region + at) = at;
    for (u64 pass = 0; pass < passes; pass++)
        for (u64 at = pass % 64 * 64; at + 8 <= then; at += PAGE_BYTES) sum += *(u64 *)(region + at) += pass + at;
    for (u64 at = 0; at + 8 <= bytes; at += PAGE_BYTES) {
        u64 word = *(const u64 *)(pieces + at);
        if (at / PAGE_BYTES % keep == 0) {
            if (word != scramble(seed + at)) die("a page that was kept has lost its contents.");
            sum = mix(sum, word);
            kept++;
        } else if (word != 0) die("a page that was given back is not zero.");
    }
    printf("fragment: %llu bytes broken up, %llu pages kept, %llu bytes after that\n", (unsigned long long)bytes, (unsigned long long)kept, (unsigned long long)then);
    print_checksum(sum);
    return 0;
}
