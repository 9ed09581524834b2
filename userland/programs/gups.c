// GUPS: read, change and write back words at random places of one table (the HPC Challenge's RandomAccess): a TLB miss almost every time.
#include "common.h"

int main(int argc, char **argv) {
    u64 words = 1 * MIB, updates = 1000000, seed = 1;
    const struct parameter rows[] = {
        { "words", &words, 2, 1ull << 36, NULL, "8-byte words in the table, a power of two" },
        { "updates", &updates, 0, UINT64_MAX, NULL, "updates to make" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the places" },
    };
    parse_parameters(argc, argv, "gups", "update a table at random places", rows, COUNT_OF(rows));
    if ((words & (words - 1)) != 0) die("--words %llu: must be a power of two.", (unsigned long long)words);

    u64 *table = anonymous(words * 8);
    for (u64 i = 0; i < words; i++) table[i] = i;
    struct random random = { seed };
    for (u64 i = 0; i < updates; i++) {
        u64 value = random_next(&random);
        table[value & (words - 1)] ^= value;
    }
    // A sample is enough for a proof, and leaves the updates what is measured.
    u64 sum = 0;
    for (u64 i = 0; i < words; i += 61) sum = mix(sum, table[i]);
    printf("gups: %llu words, %llu updates\n", (unsigned long long)words, (unsigned long long)updates);
    print_checksum(sum);
    return 0;
}
