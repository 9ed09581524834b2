// Sparse matrix times vector, repeated: values and columns are read in order, the vector at random.
// All values are whole numbers below 2^53, so that every order of rounding, fused or not, gives the same result.
#include "common.h"

int main(int argc, char **argv) {
    u64 size = 64 * KIB, per_row = 8, rounds = 2, seed = 1;
    const struct parameter rows[] = {
        { "size", &size, 1, 1ull << 31, NULL, "rows and columns of the matrix" },
        { "per-row", &per_row, 1, 1024, NULL, "entries in each row" },
        { "rounds", &rounds, 1, 1ull << 20, NULL, "multiplications" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of places and values" },
    };
    parse_parameters(argc, argv, "spmv", "sparse matrix times vector", rows, COUNT_OF(rows));

    const u64 entries = size * per_row;
    double *values = anonymous(entries * sizeof *values), *x = anonymous(size * sizeof *x), *y = anonymous(size * sizeof *y);
    u32 *columns = anonymous(entries * sizeof *columns);
    struct random random = { seed };
    for (u64 i = 0; i < entries; i++) {
        u64 bits = random_next(&random);
        columns[i] = (u32)(((bits >> 32) * size) >> 32);
        values[i] = (double)(bits & 15);
    }
    for (u64 i = 0; i < size; i++) x[i] = (double)(i & 1023);
    for (u64 round = 0; round < rounds; round++) {
        for (u64 row = 0; row < size; row++) {
            double sum = 0;
            for (u64 i = row * per_row; i < (row + 1) * per_row; i++) sum += values[i] * x[columns[i]];
            y[row] = sum;
        }
        for (u64 i = 0; i < size; i++) x[i] = (double)((u64)y[i] & 1023);  // keeps the next round's sums small
    }
    u64 sum = 0;
    for (u64 i = 0; i < size; i += 7) sum = mix(sum, (u64)y[i]);
    printf("spmv: %llu x %llu, %llu entries, %llu rounds\n", (unsigned long long)size, (unsigned long long)size, (unsigned long long)entries, (unsigned long long)rounds);
    print_checksum(sum);
    return 0;
}
