// Strided walk: one load and store every so many bytes, pass after pass. With the stride of a page it is the closed form of a TLB:
// N pages through E entries of LRU miss always when N > E, and never after the first pass when N <= E. A pass of stores comes before those counted.
#include "common.h"

int main(int argc, char **argv) {
    u64 bytes = 16 * MIB, stride = PAGE_BYTES, passes = 256, seed = 1;
    const struct parameter rows[] = {
        { "bytes", &bytes, 8, 1ull << 40, NULL, "size of the region" },
        { "stride", &stride, 8, 1ull << 40, NULL, "bytes from access to access, a multiple of 8" },
        { "passes", &passes, 0, UINT64_MAX, NULL, "times to walk the region" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "what is added on the way" },
    };
    parse_parameters(argc, argv, "stride", "walk a region in equal strides", rows, COUNT_OF(rows));
    if (stride % 8 != 0) die("--stride %llu: must be a multiple of 8.", (unsigned long long)stride);

    u64 *words = anonymous(bytes);
    const u64 count = bytes / 8, step = stride / 8, times = passes;  // kept in registers: the walk touches the region and nothing else
    for (u64 i = 0; i < count; i += step) words[i] = seed + i;
    u64 carry = 0;
    for (u64 pass = 0; pass < times; pass++)
        for (u64 i = 0; i < count; i += step) words[i] = carry += words[i] ^ i;
    printf("stride: %llu bytes by %llu, %llu passes\n", (unsigned long long)bytes, (unsigned long long)stride, (unsigned long long)passes);
    print_checksum(mix(carry, words[0]));
    return 0;
}
