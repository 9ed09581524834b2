// What the kernel counts about large folios: transparent_hugepage/hugepages-*kB/stats and the thp_ lines of /proc/vmstat, and what has changed of it.
// Not here: what is counted while; the counters are the whole machine's.
#ifndef QUIRE_COUNTS_H
#define QUIRE_COUNTS_H
#include "common.h"
#include <fcntl.h>

#define STATS "/sys/kernel/mm/transparent_hugepage/hugepages-%dkB/stats/%s"

static const int kbytes[] = { 16, 32, 64, 128, 256, 512, 1024, 2048 };
static const char *const stats[] = { "anon_fault_alloc", "anon_fault_fallback", "split", "split_failed", "split_deferred", "nr_anon", "nr_anon_partially_mapped" };
static const char *const lines[] = { "thp_fault_alloc", "thp_fault_fallback", "thp_collapse_alloc", "thp_collapse_alloc_failed", "thp_deferred_split_page", "thp_split_pmd" };
struct counts { long size[COUNT_OF(kbytes)][COUNT_OF(stats)], line[COUNT_OF(lines)]; };

static void read_file(const char *path, char *text, size_t room) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) die("%s: %s.", path, strerror(errno));
    size_t have = 0;
    ssize_t got;
    while ((got = read(fd, text + have, room - 1 - have)) > 0) have += (size_t)got;
    if (got < 0) die("%s: %s.", path, strerror(errno));
    close(fd);
    text[have] = '\0';
}
static void count(struct counts *counts) {
    static char text[16 * KIB], path[128];
    for (size_t s = 0; s < COUNT_OF(kbytes); s++)
        for (size_t i = 0; i < COUNT_OF(stats); i++) {
            snprintf(path, sizeof path, STATS, kbytes[s], stats[i]);
            read_file(path, text, sizeof text);
            counts->size[s][i] = strtol(text, NULL, 10);
        }
    read_file("/proc/vmstat", text, sizeof text);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        size_t length = strlen(lines[i]);
        counts->line[i] = 0;
        for (const char *at = text; (at = strstr(at, lines[i])) != NULL; at += length)
            if (at[length] == ' ') counts->line[i] = strtol(at + length, NULL, 10);
    }
}
static void print_change(const struct counts *before, const struct counts *after) {
    int any = 0;
    for (size_t s = 0; s < COUNT_OF(kbytes); s++) {
        int here = 0;
        for (size_t i = 0; i < COUNT_OF(stats); i++) {
            long change = after->size[s][i] - before->size[s][i];
            if (change == 0) continue;
            if (here++) printf(",%s%+ld", stats[i], change);
            else printf(" %d:%s%+ld", kbytes[s], stats[i], change);
        }
        any |= here;
    }
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        long change = after->line[i] - before->line[i];
        if (change != 0) any = 1, printf(" %s%+ld", lines[i], change);
    }
    if (!any) printf(" -");
}
#endif
