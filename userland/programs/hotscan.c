// Hot and scan: a small hot set used all the time, beside a large region read once from end to end again and again.
// A reclaim policy that mistakes the scan for use evicts the hot set; a TLB that fills from the scan loses it as well.
#include "common.h"

int main(int argc, char **argv) {
    u64 hot = 1 * MIB, cold = 12 * MIB, scans = 2, uses = 128, seed = 1;
    const struct parameter rows[] = {
        { "hot", &hot, PAGE_BYTES, 1ull << 40, NULL, "bytes of the hot set" },
        { "cold", &cold, PAGE_BYTES, 1ull << 40, NULL, "bytes of the region that is scanned" },
        { "scans", &scans, 1, UINT64_MAX, NULL, "scans of the cold region" },
        { "uses", &uses, 0, UINT64_MAX, NULL, "uses of the hot set for each page scanned" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the hot places" },
    };
    parse_parameters(argc, argv, "hotscan", "use a hot set while scanning a cold region", rows, COUNT_OF(rows));

    u64 *hot_words = anonymous(hot), *cold_words = anonymous(cold);
    struct random random = { seed };
    for (u64 i = 0; i < hot / 8; i += PAGE_BYTES / 8) hot_words[i] = i + 1;
    for (u64 i = 0; i < cold / 8; i += PAGE_BYTES / 8) cold_words[i] = scramble(i);
    u64 sum = 0;
    for (u64 scan = 0; scan < scans; scan++)
        for (u64 page = 0; page < cold / PAGE_BYTES; page++) {
            for (u64 i = 0; i < 8; i++) sum += cold_words[page * (PAGE_BYTES / 8) + i * 64];
            for (u64 use = 0; use < uses; use++) sum ^= hot_words[random_below(&random, hot / 8)]++;
        }
    for (u64 i = 0; i < hot / 8; i += 61) sum = mix(sum, hot_words[i]);
    printf("hotscan: %llu bytes hot, %llu cold, %llu scans, %llu uses a page\n", (unsigned long long)hot, (unsigned long long)cold, (unsigned long long)scans, (unsigned long long)uses);
    print_checksum(sum);
    return 0;
}
