// Breadth-first search from several sources of a random graph in compressed rows: edges are read in order, their targets' marks at random.
#include "common.h"

/** The edges of node u are targets[starts[u]] up to targets[starts[u + 1]]. */
struct graph { u64 nodes, edges; u32 *starts, *targets; };

/** Degrees from 0 to twice the mean; targets lean towards low numbers, as popular nodes do in real graphs. */
static struct graph make_graph(u64 nodes, u64 degree, struct random *random) {
    struct graph graph = { nodes, 0, anonymous((nodes + 1) * sizeof(u32)), NULL };
    for (u64 u = 0; u < nodes; u++) graph.starts[u + 1] = graph.starts[u] + (u32)random_below(random, 2 * degree + 1);
    graph.edges = graph.starts[nodes];
    graph.targets = anonymous((graph.edges + 1) * sizeof(u32));
    for (u64 e = 0; e < graph.edges; e++) {
        u64 x = random_next(random), one = ((x >> 32) * nodes) >> 32, two = ((x & 0xffffffff) * nodes) >> 32;
        graph.targets[e] = (u32)(one < two ? one : two);
    }
    return graph;
}

/** Fills `depths` (0: not reached, the source has 1) and returns how many nodes were reached. */
static u64 search(const struct graph *graph, u32 source, u32 *depths, u32 *queue) {
    u64 head = 0, tail = 0;
    memset(depths, 0, graph->nodes * sizeof *depths);
    depths[source] = 1;
    queue[tail++] = source;
    while (head < tail) {
        const u32 u = queue[head++];
        for (u32 e = graph->starts[u]; e < graph->starts[u + 1]; e++) {
            const u32 v = graph->targets[e];
            if (depths[v] != 0) continue;
            depths[v] = depths[u] + 1;
            queue[tail++] = v;
        }
    }
    return tail;
}

int main(int argc, char **argv) {
    u64 nodes = 64 * KIB, degree = 6, sources = 3, seed = 1;
    const struct parameter rows[] = {
        { "nodes", &nodes, 1, 1ull << 28, NULL, "nodes of the graph" },
        { "degree", &degree, 1, 7, NULL, "mean number of edges from a node" },
        { "sources", &sources, 1, 1ull << 20, NULL, "searches, each from another node" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the graph" },
    };
    parse_parameters(argc, argv, "bfs", "breadth-first search of a random graph", rows, COUNT_OF(rows));

    struct random random = { seed };
    const struct graph graph = make_graph(nodes, degree, &random);
    u32 *depths = anonymous(nodes * sizeof *depths), *queue = anonymous(nodes * sizeof *queue);
    u64 reached = 0, sum = 0;
    for (u64 i = 0; i < sources; i++) {
        u64 count = search(&graph, (u32)random_below(&random, nodes), depths, queue);
        reached += count;
        for (u64 u = 0; u < nodes; u += 7) sum += (u64)depths[u] * (u + 1);
        sum = mix(sum, count);
    }
    printf("bfs: %llu nodes, %llu edges, %llu reached from %llu sources\n", (unsigned long long)nodes, (unsigned long long)graph.edges, (unsigned long long)reached, (unsigned long long)sources);
    print_checksum(sum);
    return 0;
}
