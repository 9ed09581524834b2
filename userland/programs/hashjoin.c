// Hash join: build a table over the small relation, probe it with the large one. Sequential reads of the rows, random reads of the table.
#include "common.h"

struct row { u64 key, payload; };

/** Rows with keys below `keys`; several rows may share one. */
static struct row *make_rows(u64 count, u64 keys, struct random *random) {
    struct row *rows = anonymous(count * sizeof *rows);
    for (u64 i = 0; i < count; i++) {
        rows[i].key = random_below(random, keys);
        rows[i].payload = random_next(random);
    }
    return rows;
}

/** Chained buckets by index: head of each bucket, next of each row; 0 ends a chain, so rows are numbered from 1. */
struct table { u32 *heads, *nexts; u64 mask; };
static struct table build(const struct row *rows, u64 count) {
    u64 buckets = 1;
    while (buckets < count) buckets *= 2;
    struct table table = { anonymous(buckets * sizeof(u32)), anonymous((count + 1) * sizeof(u32)), buckets - 1 };
    memset(table.heads, 0, buckets * sizeof(u32));  // zero it is already; but written first, not read
    for (u64 i = 0; i < count; i++) {
        u32 *head = &table.heads[scramble(rows[i].key) & table.mask];
        table.nexts[i + 1] = *head;
        *head = (u32)i + 1;
    }
    return table;
}

int main(int argc, char **argv) {
    u64 inner = 64 * KIB, outer = 256 * KIB, seed = 1;
    const struct parameter rows[] = {
        { "inner", &inner, 1, 1ull << 31, NULL, "rows of the small relation, from which the table is built" },
        { "outer", &outer, 0, 1ull << 40, NULL, "rows of the large relation, which probe it" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of keys and payloads" },
    };
    parse_parameters(argc, argv, "hashjoin", "join two relations through a hash table", rows, COUNT_OF(rows));

    struct random random = { seed };
    const struct row *small = make_rows(inner, 2 * inner, &random);
    const struct row *large = make_rows(outer, 2 * inner, &random);
    const struct table table = build(small, inner);
    u64 matches = 0, sum = 0;
    for (u64 i = 0; i < outer; i++)
        for (u32 at = table.heads[scramble(large[i].key) & table.mask]; at != 0; at = table.nexts[at])
            if (small[at - 1].key == large[i].key) {
                matches++;
                sum += small[at - 1].payload ^ large[i].payload;
            }
    printf("hashjoin: %llu x %llu rows, %llu matches\n", (unsigned long long)inner, (unsigned long long)outer, (unsigned long long)matches);
    print_checksum(mix(sum, matches));
    return 0;
}
