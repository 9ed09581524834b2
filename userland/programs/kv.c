// Key-value store: gets and puts with Zipf keys, and in the middle a snapshot by fork, as Redis saves itself.
// The child reads everything while the parent goes on writing, and each page that the parent writes then is copied.
#include "common.h"
#include <sys/wait.h>

/** An entry of the store: open addressing, 0 is no key. The value follows in `values`, at the same index. */
struct store { u64 slots, value_bytes; u64 *keys; u8 *values; };

static u64 slot_of(const struct store *store, u64 key) {
    u64 slot = scramble(key) & (store->slots - 1);
    while (store->keys[slot] != 0 && store->keys[slot] != key) slot = (slot + 1) & (store->slots - 1);
    return slot;
}
static void put(struct store *store, u64 key, u64 version) {
    u64 slot = slot_of(store, key), *value = (u64 *)(store->values + slot * store->value_bytes);
    store->keys[slot] = key;
    for (u64 i = 0; i < store->value_bytes / 8; i++) value[i] = key * 31 + version + i;
}
static u64 get(const struct store *store, u64 key) {
    u64 slot = slot_of(store, key), sum = 0;
    const u64 *value = (const u64 *)(store->values + slot * store->value_bytes);
    if (store->keys[slot] != key) return 0;
    for (u64 i = 0; i < store->value_bytes / 8; i++) sum += value[i];
    return sum;
}
/** The checksum of every entry, in the order of the slots. */
static u64 sum_all(const struct store *store) {
    u64 sum = 0;
    for (u64 slot = 0; slot < store->slots; slot++)
        if (store->keys[slot] != 0) sum = mix(sum, store->keys[slot] ^ *(const u64 *)(store->values + slot * store->value_bytes));
    return sum;
}

/** Sums of 2^40 / rank: a place in them, drawn evenly, gives rank k with a chance proportional to 1 / k (Zipf with exponent 1, in whole numbers). */
static u64 *make_zipf(u64 keys) {
    u64 *sums = anonymous(keys * 8), sum = 0;
    for (u64 rank = 0; rank < keys; rank++) sums[rank] = sum += (1ull << 40) / (rank + 1);
    return sums;
}
static u64 draw_key(const u64 *sums, u64 keys, struct random *random) {
    u64 place = random_below(random, sums[keys - 1]), low = 0, high = keys - 1;
    while (low < high) {
        u64 middle = (low + high) / 2;
        if (sums[middle] <= place) low = middle + 1;
        else high = middle;
    }
    return low + 1;
}

/** One in four operations is a put. */
static u64 serve(struct store *store, const u64 *sums, u64 keys, u64 operations, struct random *random) {
    u64 sum = 0;
    for (u64 i = 0; i < operations; i++) {
        u64 key = draw_key(sums, keys, random);
        if (random->state & 3 << 20) sum += get(store, key);
        else put(store, key, i);
    }
    return sum;
}

int main(int argc, char **argv) {
    u64 keys = 8192, value_bytes = 256, operations = 60000, seed = 1;
    const struct parameter rows[] = {
        { "keys", &keys, 1, 1ull << 24, NULL, "keys in the store" },
        { "value", &value_bytes, 8, 1ull << 20, NULL, "bytes of a value, a multiple of 8" },
        { "operations", &operations, 0, UINT64_MAX, NULL, "gets and puts, half of them after the snapshot" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the operations" },
    };
    parse_parameters(argc, argv, "kv", "key-value store with Zipf keys and a snapshot by fork", rows, COUNT_OF(rows));
    if (value_bytes % 8 != 0) die("--value %llu: must be a multiple of 8.", (unsigned long long)value_bytes);

    struct store store = { 1, value_bytes, NULL, NULL };
    while (store.slots < 2 * keys) store.slots *= 2;
    store.keys = anonymous(store.slots * 8);
    store.values = anonymous(store.slots * value_bytes);
    memset(store.keys, 0, store.slots * 8);  // zero they are already; but written first, not read
    struct random random = { seed };
    const u64 *sums = make_zipf(keys);
    for (u64 key = 1; key <= keys; key++) put(&store, key, 0);
    u64 sum = serve(&store, sums, keys, operations / 2, &random);

    int ends[2], status;
    u64 snapshot = 0;
    if (pipe(ends) != 0) die("no pipe: %s.", strerror(errno));
    pid_t child = fork();
    if (child < 0) die("no fork: %s.", strerror(errno));
    if (child == 0) {
        snapshot = sum_all(&store);
        _exit(write(ends[1], &snapshot, sizeof snapshot) == sizeof snapshot ? 0 : 1);
    }
    sum = mix(sum, serve(&store, sums, keys, operations - operations / 2, &random));
    if (read(ends[0], &snapshot, sizeof snapshot) != sizeof snapshot || waitpid(child, &status, 0) != child || status != 0) die("the snapshot failed.");
    printf("kv: %llu keys of %llu bytes, %llu operations\nsnapshot %016llx\n", (unsigned long long)keys, (unsigned long long)value_bytes, (unsigned long long)operations, (unsigned long long)snapshot);
    print_checksum(mix(mix(sum, snapshot), sum_all(&store)));
    return 0;
}
