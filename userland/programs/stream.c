// STREAM: copy, scale, add and triad over three arrays of doubles. Sequential: few TLB misses for each byte moved, and contiguity makes them fewer.
// The values stay small whole numbers, which doubles hold exactly, so that a fused multiply-add gives the same sums as two roundings.
#include "common.h"

static void fill(double *a, double *b, double *c, u64 n, u64 seed) {
    for (u64 i = 0; i < n; i++) {
        a[i] = (double)((i + seed) % 1021);
        b[i] = 2.0;
        c[i] = 0.0;
    }
}
static void copy(double *restrict to, const double *restrict from, u64 n) { for (u64 i = 0; i < n; i++) to[i] = from[i]; }
static void scale(double *restrict to, const double *restrict from, double factor, u64 n) { for (u64 i = 0; i < n; i++) to[i] = factor * from[i]; }
static void add(double *restrict to, const double *restrict x, const double *restrict y, u64 n) { for (u64 i = 0; i < n; i++) to[i] = x[i] + y[i]; }
static void triad(double *restrict to, const double *restrict x, const double *restrict y, double factor, u64 n) { for (u64 i = 0; i < n; i++) to[i] = x[i] + factor * y[i]; }

int main(int argc, char **argv) {
    u64 elements = 256 * KIB, rounds = 2, seed = 1;
    const struct parameter rows[] = {
        { "elements", &elements, 1, 1ull << 36, NULL, "doubles in each of the three arrays" },
        { "rounds", &rounds, 1, 8, NULL, "times to run the four kernels" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "what the first array begins with" },
    };
    parse_parameters(argc, argv, "stream", "copy, scale, add, triad", rows, COUNT_OF(rows));

    double *a = anonymous(elements * sizeof *a), *b = anonymous(elements * sizeof *b), *c = anonymous(elements * sizeof *c);
    fill(a, b, c, elements, seed % 1021);
    for (u64 round = 0; round < rounds; round++) {
        copy(c, a, elements);
        scale(b, c, 3.0, elements);
        add(c, a, b, elements);
        triad(a, b, c, 3.0, elements);
    }
    u64 sum = 0;
    for (u64 i = 0; i < elements; i += 61) sum = mix(mix(mix(sum, (u64)a[i]), (u64)b[i]), (u64)c[i]);
    printf("stream: 3 x %llu doubles, %llu rounds\n", (unsigned long long)elements, (unsigned long long)rounds);
    print_checksum(sum);
    return 0;
}
