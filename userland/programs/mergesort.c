// Merge sort from the bottom up: log2(n) passes, each reading two streams and writing one. Sequential, yet three places at once.
#include "common.h"

/** Merges the sorted runs from[low, middle) and from[middle, high) into to[low, high). */
static void merge(u64 *restrict to, const u64 *restrict from, u64 low, u64 middle, u64 high) {
    u64 left = low, right = middle;
    for (u64 at = low; at < high; at++) to[at] = left < middle && (right == high || from[left] <= from[right]) ? from[left++] : from[right++];
}

int main(int argc, char **argv) {
    u64 count = 64 * KIB, seed = 1;
    const struct parameter rows[] = {
        { "count", &count, 1, 1ull << 36, NULL, "8-byte keys to sort" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the keys" },
    };
    parse_parameters(argc, argv, "mergesort", "sort random keys by merging", rows, COUNT_OF(rows));

    u64 *keys = anonymous(count * 8), *spare = anonymous(count * 8), sum = 0, total = 0;
    struct random random = { seed };
    for (u64 i = 0; i < count; i++) total += keys[i] = random_next(&random);
    for (u64 width = 1; width < count; width *= 2) {
        for (u64 low = 0; low < count; low += 2 * width) {
            u64 middle = low + width < count ? low + width : count, high = low + 2 * width < count ? low + 2 * width : count;
            merge(spare, keys, low, middle, high);
        }
        u64 *swap = keys;
        keys = spare;
        spare = swap;
    }
    for (u64 i = 0; i < count; i++) {
        if (i > 0 && keys[i - 1] > keys[i]) die("the result is not sorted.");
        total -= keys[i];
        if (i % 7 == 0) sum = mix(sum, keys[i]);
    }
    if (total != 0) die("keys were lost.");
    printf("mergesort: %llu keys\n", (unsigned long long)count);
    print_checksum(sum);
    return 0;
}
