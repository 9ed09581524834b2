// Phase change: a working set that moves. Each phase uses another window of one region at random; a share of each window is inherited from the
// one before. What serves one phase well (a cached translation, an old page kept in memory) is in the way in the next.
#include "common.h"

int main(int argc, char **argv) {
    u64 window = 4 * MIB, phases = 4, accesses = 250000, overlap = 25, seed = 1;
    const struct parameter rows[] = {
        { "window", &window, PAGE_BYTES, 1ull << 38, NULL, "bytes of the working set" },
        { "phases", &phases, 1, 4096, NULL, "working sets, one after another" },
        { "accesses", &accesses, 0, UINT64_MAX, NULL, "accesses in each phase" },
        { "overlap", &overlap, 0, 100, NULL, "how much of a window is inherited, in a hundred" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the places" },
    };
    parse_parameters(argc, argv, "phases", "a working set that moves in phases", rows, COUNT_OF(rows));

    const u64 step = window / 100 * (100 - overlap) / 8, words = window / 8;
    u64 *region = anonymous(phases * window), sum = 0;
    struct random random = { seed };
    for (u64 phase = 0; phase < phases; phase++) {
        u64 *set = region + phase * step;
        for (u64 i = 0; i < words; i += PAGE_BYTES / 8) set[i] = phase + i;
        for (u64 i = 0; i < accesses; i++) {
            u64 at = random_below(&random, words);
            sum += set[at];
            set[at] = sum ^ i;
        }
        sum = mix(sum, phase);
    }
    printf("phases: %llu of %llu bytes, %llu accesses each\n", (unsigned long long)phases, (unsigned long long)window, (unsigned long long)accesses);
    print_checksum(sum);
    return 0;
}
