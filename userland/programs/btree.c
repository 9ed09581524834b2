// B-tree: insert random keys, look keys up, and read all of them in order. A few pages near the root are hot, the leaves are cold.
#include "common.h"

#define MOST_KEYS 30  // with the children and the count, a node is just under 512 bytes

struct node { u32 count, leaf; u64 keys[MOST_KEYS]; struct node *children[MOST_KEYS + 1]; };

/** Nodes come one after another from one region; nothing is ever freed. */
static struct node *region, *region_end;
static struct node *new_node(u32 leaf) {
    if (region == region_end) die("more nodes than planned for.");
    struct node *node = region++;
    node->leaf = leaf;
    return node;
}

/** The first position whose key is not below `key`. */
static u32 lower_bound(const struct node *node, u64 key) {
    u32 low = 0, high = node->count;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (node->keys[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low;
}

static int contains(const struct node *node, u64 key) {
    for (;;) {
        u32 at = lower_bound(node, key);
        if (at < node->count && node->keys[at] == key) return 1;
        if (node->leaf) return 0;
        node = node->children[at];
    }
}

/** Splits the full child at `at` in two and lifts its middle key into the parent, which is not full. */
static void split_child(struct node *parent, u32 at) {
    struct node *left = parent->children[at], *right = new_node(left->leaf);
    const u32 middle = MOST_KEYS / 2;
    right->count = MOST_KEYS - middle - 1;
    memcpy(right->keys, left->keys + middle + 1, right->count * sizeof(u64));
    if (!left->leaf) memcpy(right->children, left->children + middle + 1, (right->count + 1) * sizeof(struct node *));
    left->count = middle;
    memmove(parent->keys + at + 1, parent->keys + at, (parent->count - at) * sizeof(u64));
    memmove(parent->children + at + 2, parent->children + at + 1, (parent->count - at) * sizeof(struct node *));
    parent->keys[at] = left->keys[middle];
    parent->children[at + 1] = right;
    parent->count++;
}

/** Inserts `key` and returns the root, splitting full nodes on the way down. A key that is there already changes nothing. */
static struct node *insert(struct node *root, u64 key) {
    if (root->count == MOST_KEYS) {
        struct node *above = new_node(0);
        above->children[0] = root;
        split_child(above, 0);
        root = above;
    }
    struct node *node = root;
    for (;;) {
        u32 at = lower_bound(node, key);
        if (at < node->count && node->keys[at] == key) return root;
        if (node->leaf) {
            memmove(node->keys + at + 1, node->keys + at, (node->count - at) * sizeof(u64));
            node->keys[at] = key;
            node->count++;
            return root;
        }
        if (node->children[at]->count == MOST_KEYS) {
            split_child(node, at);
            if (node->keys[at] == key) return root;
            if (node->keys[at] < key) at++;
        }
        node = node->children[at];
    }
}

/** Takes the keys in order into the checksum; ends the program if they are not in order. */
static u64 scan(const struct node *node, u64 *last, u64 *seen, u64 sum) {
    for (u32 i = 0; i <= node->count; i++) {
        if (!node->leaf) sum = scan(node->children[i], last, seen, sum);
        if (i == node->count) break;
        if (*seen > 0 && node->keys[i] <= *last) die("the tree is out of order.");
        *last = node->keys[i];
        *seen += 1;
        sum = mix(sum, node->keys[i]);
    }
    return sum;
}

int main(int argc, char **argv) {
    u64 keys = 30000, lookups = 40000, seed = 1;
    const struct parameter rows[] = {
        { "keys", &keys, 1, 1ull << 32, NULL, "keys to insert" },
        { "lookups", &lookups, 0, UINT64_MAX, NULL, "keys to look up" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the keys" },
    };
    parse_parameters(argc, argv, "btree", "insert into and search a B-tree", rows, COUNT_OF(rows));

    u64 most_nodes = keys / (MOST_KEYS / 2 - 1) + 64;
    region = anonymous(most_nodes * sizeof *region);
    region_end = region + most_nodes;
    struct random random = { seed };
    struct node *root = new_node(1);
    for (u64 i = 0; i < keys; i++) root = insert(root, random_below(&random, 4 * keys));
    u64 found = 0, last = 0, seen = 0;
    for (u64 i = 0; i < lookups; i++) found += (u64)contains(root, random_below(&random, 4 * keys));
    u64 sum = scan(root, &last, &seen, 0);
    printf("btree: %llu keys, %llu of %llu lookups found\n", (unsigned long long)seen, (unsigned long long)found, (unsigned long long)lookups);
    print_checksum(mix(sum, found));
    return 0;
}
