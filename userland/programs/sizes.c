// Counts what the kernel counts about large folios, step by step: transparent_hugepage/hugepages-*kB/stats and the thp_ lines of /proc/vmstat.
// Every region is advised MADV_HUGEPAGE, so that sizes set to `madvise` serve this program and nobody else while it counts.
// After the step each line has what has changed: "64:anon_fault_alloc+16,nr_anon+16 thp_split_pmd+1", or "-"; a step of a child counts with what
// its end changes. COLLAPSE lines end in the errno of MADV_COLLAPSE, 0 for none.
#include "steps.h"
#include "counts.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static int collapse_error;
static void collapse(struct region *r) { collapse_error = madvise(r->base, r->pages * PAGE_BYTES, MADV_COLLAPSE) == 0 ? 0 : errno; }
static void collapse_first(struct region *r) {
    u8 *aligned = (u8 *)(((uintptr_t)r->base + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
    collapse_error = madvise(aligned, HUGE_BYTES, MADV_COLLAPSE) == 0 ? 0 : errno;
}
static void free_middle(struct region *r) { advise(r, r->pages / 4, r->pages / 4 * 2, MADV_FREE); }
static void cold_middle(struct region *r) { advise(r, r->pages / 4, r->pages / 4 * 2, MADV_COLD); }
static void free_all(struct region *r) { advise(r, 0, r->pages, MADV_FREE); }
static void unmap_all(struct region *r) { must(munmap(r->base, r->pages * PAGE_BYTES) != 0, "munmap"); }

#define UNMAP STEP(unmap_all)
static const struct pattern cases[] = {
    { "write", { STEP(write_all), STEP(write_all), UNMAP } },
    { "read", { STEP(read_all), STEP(write_all), UNMAP } },
    { "sparse", { STEP(write_every_16), STEP(write_every_4), STEP(write_all), UNMAP } },
    { "backwards", { STEP(write_backwards), STEP(dontneed), STEP(write_every_17), UNMAP } },
    { "dontneed-middle", { STEP(write_all), STEP(dontneed_middle), STEP(write_all), UNMAP } },
    { "dontneed-holes", { STEP(write_all), STEP(dontneed_holes), STEP(write_all), UNMAP } },
    { "dontneed-8-of-16", { STEP(write_all), STEP(dontneed_8_of_16), STEP(dontneed), UNMAP } },
    { "unmap-middle", { STEP(write_all), STEP(unmap_middle), STEP(map_middle), UNMAP } },
    { "shrink", { STEP(write_all), STEP(shrink), STEP(grow), STEP(write_all), UNMAP } },
    { "protect-middle", { STEP(write_all), STEP(read_only_middle), STEP(read_write), STEP(write_all), UNMAP } },
    { "move", { STEP(write_all), STEP(move_alike), UNMAP } },
    { "move-askew", { STEP(write_all), STEP(move_askew), STEP(write_all), UNMAP } },
    { "fork", { STEP(write_all), CHILD(write_all), STEP(write_all), UNMAP } },
    { "fork-sparse", { STEP(write_all), CHILD(write_every_16), STEP(dontneed_8_of_16), UNMAP } },
    { "free", { STEP(write_all), STEP(free_all), STEP(free_middle), STEP(write_all), UNMAP } },
    { "free-middle", { STEP(write_all), STEP(free_middle), STEP(write_all), UNMAP } },
    { "cold-middle", { STEP(write_all), STEP(cold_middle), STEP(dontneed_middle), UNMAP } },
    { "collapse", { STEP(write_every_16), STEP(collapse), STEP(write_all), UNMAP } },
    { "collapse-small", { STEP(nohugepage), STEP(write_all), STEP(hugepage), STEP(collapse), STEP(dontneed_middle), UNMAP } },
    { "collapse-again", { STEP(write_all), STEP(dontneed_middle), STEP(collapse_first), STEP(dontneed_holes), STEP(collapse_first), UNMAP } },
    { "collapse-forked", { STEP(write_all), CHILD(collapse_first), STEP(collapse_first), UNMAP } },
    { "collapse-refused", { STEP(nohugepage), STEP(write_all), STEP(collapse), UNMAP } },
};
static const struct { u64 first_page, pages; } geometries[] = { { 3, 1021 }, { 16, 48 } };

static void run_step(const struct step *step, struct region *region) {
    if (step->where == HERE) {
        step->run(region);
        return;
    }
    fflush(stdout);
    pid_t child = fork();
    must(child < 0, "fork");
    if (child == 0) {
        step->run(region);
        _exit(collapse_error);
    }
    int status;
    must(waitpid(child, &status, 0) != child || !WIFEXITED(status), "the child");
    collapse_error = WEXITSTATUS(status);
}
static void run_case(const struct pattern *pattern, u64 first_page, u64 pages) {
    struct counts before, after;
    struct region region = make_region(HOME, first_page, pages);
    hugepage(&region);
    count(&before);
    for (size_t s = 0; s < MOST_STEPS && pattern->steps[s].name; s++) {
        const struct step *step = &pattern->steps[s];
        collapse_error = 0;
        run_step(step, &region);
        count(&after);
        printf("%s %s %llu %llu", pattern->name, step->name, (unsigned long long)first_page, (unsigned long long)pages);
        print_change(&before, &after);
        if (strstr(step->name, "collapse") != NULL) printf(" errno %d", collapse_error);
        printf("\n");
        before = after;
    }
    clear_reservation();
}

int main(int argc, char **argv) {
    static char output[64 * KIB];
    const char *only = "";
    const struct parameter rows[] = { { "pattern", NULL, 0, 0, &only, "the one pattern to run; empty for all" } };
    parse_parameters(argc, argv, "sizes", "count what the kernel counts about large folios", rows, COUNT_OF(rows));
    setvbuf(stdout, output, _IOFBF, sizeof output);
    reserve();
    (void)patterns;  // the other programs' cases; these are chosen for what they count
    (void)open_pagemap;
    for (size_t p = 0; p < COUNT_OF(cases); p++)
        for (size_t g = 0; g < COUNT_OF(geometries); g++)
            if (*only == '\0' || strcmp(only, cases[p].name) == 0) run_case(&cases[p], geometries[g].first_page, geometries[g].pages);
    return 0;
}
