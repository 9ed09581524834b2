// Sparse toucher: a large region of which only a page here and there is used, as hash tables and arenas often are.
// Large folios make it resident many times over; small ones need a TLB entry for every touch.
#include "common.h"

int main(int argc, char **argv) {
    u64 bytes = 256 * MIB, gap = 128 * KIB, rounds = 300, seed = 1;
    const struct parameter rows[] = {
        { "bytes", &bytes, PAGE_BYTES, 1ull << 42, NULL, "size of the region" },
        { "gap", &gap, 64, 1ull << 42, NULL, "bytes from touched place to touched place, a multiple of 8" },
        { "rounds", &rounds, 1, UINT64_MAX, NULL, "times to come back to all places" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the place within each gap's first page" },
    };
    parse_parameters(argc, argv, "sparse", "touch a large region thinly", rows, COUNT_OF(rows));
    if (gap % 8 != 0) die("--gap %llu: must be a multiple of 8.", (unsigned long long)gap);

    u8 *region = anonymous(bytes);
    const u64 places = bytes / gap, window = (gap < PAGE_BYTES ? gap : PAGE_BYTES) / 8;
    u32 *offsets = anonymous(places * sizeof *offsets + 8);
    struct random random = { seed };
    for (u64 i = 0; i < places; i++) {
        offsets[i] = (u32)random_below(&random, window) * 8;
        *(u64 *)(region + i * gap + offsets[i]) = i;
    }
    u64 sum = 0;
    for (u64 round = 0; round < rounds; round++)
        for (u64 i = 0; i < places; i++) sum ^= *(u64 *)(region + i * gap + offsets[i]) += round ^ i;
    printf("sparse: %llu places in %llu bytes, %llu rounds\n", (unsigned long long)places, (unsigned long long)bytes, (unsigned long long)rounds);
    print_checksum(mix(sum, places));
    return 0;
}
