// Pointer chase: one dependent load after another through a random cycle over all nodes. No locality, no overlap: the TLB's worst case.
#include "common.h"

struct node { struct node *next; u64 label; };

/** Links the nodes into one random cycle (Sattolo's shuffle yields exactly one cycle, so a walk visits every node before it repeats). */
static struct node *link_cycle(u8 *memory, u64 nodes, u64 spacing, struct random *random) {
    u32 *order = anonymous(nodes * sizeof *order);
    for (u64 i = 0; i < nodes; i++) order[i] = (u32)i;
    for (u64 i = nodes - 1; i > 0; i--) {
        u64 j = random_below(random, i);
        u32 swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (u64 i = 0; i < nodes; i++) {
        struct node *node = (struct node *)(memory + i * spacing);
        node->next = (struct node *)(memory + order[i] * spacing);
        node->label = random_next(random);
    }
    munmap(order, nodes * sizeof *order);
    return (struct node *)memory;
}

int main(int argc, char **argv) {
    u64 nodes = 64 * KIB, spacing = 256, steps = 1000000, seed = 1;
    const struct parameter rows[] = {
        { "nodes", &nodes, 2, 1ull << 31, NULL, "nodes in the cycle" },
        { "spacing", &spacing, sizeof(struct node), 1ull << 30, NULL, "bytes from node to node, a multiple of 8" },
        { "steps", &steps, 0, UINT64_MAX, NULL, "loads to follow" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the cycle" },
    };
    parse_parameters(argc, argv, "chase", "follow pointers through a random cycle", rows, COUNT_OF(rows));
    if (spacing % 8 != 0) die("--spacing %llu: must be a multiple of 8.", (unsigned long long)spacing);

    struct random random = { seed };
    const struct node *node = link_cycle(anonymous(nodes * spacing), nodes, spacing, &random);
    u64 sum = 0;
    for (u64 step = 0; step < steps; step++) {
        sum += node->label;
        node = node->next;
    }
    printf("chase: %llu nodes, %llu bytes apart, %llu steps\n", (unsigned long long)nodes, (unsigned long long)spacing, (unsigned long long)steps);
    print_checksum(mix(sum, node->label));
    return 0;
}
