// Counts the minor faults of anonymous memory, pattern by pattern, so that a real Linux and Quire can be asked the same question.
// Each line: pattern, step, first page (counted from a 2 MiB boundary), pages, minor faults of the step, pages then present.
// A number may depend on the kernel's rules only. So before the first step and after each fork all code and data that steps need are touched
// (warm_up), translations are forgotten before each step, and nothing here uses malloc. The patterns are in steps.h.
#include "steps.h"
#include <sys/resource.h>
#include <sys/syscall.h>

/** First page (from a 2 MiB boundary) and pages of the regions that each pattern runs over. */
static const struct { u64 first_page, pages; } geometries[] = { { 0, 2048 }, { 3, 1021 }, { 16, 300 }, { 500, 40 }, { 1, 16 }, { 0, 7 } };

static u64 minor_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (u64)usage.ru_minflt;
}

/** How many pages from `base` on are present, by /proc/self/pagemap (bit 63); the zero page counts. */
static u64 present_pages(const u8 *base, u64 pages) {
    static u64 entries[MOST_PAGES];
    u64 count = 0;
    ssize_t bytes = pread(pagemap_fd, entries, pages * 8, (off_t)((uintptr_t)base / PAGE_BYTES * 8));
    must(bytes != (ssize_t)(pages * 8), "/proc/self/pagemap");
    for (u64 i = 0; i < pages; i++) count += entries[i] >> 63;
    return count;
}

// --- Measuring --------------------------------------------------------------------------------------------------------------

/** Whether this process must warm up: at its start, and after fork, when what it writes is shared and (in the child) its text is not mapped. */
static int cold = 1;
/** Runs everything once over scratch memory, and uses stack deeper than any step does: what a step needs is then present. */
static void warm_up(void) {
    if (!cold) return;
    cold = 0;
    volatile u8 stack[3 * PAGE_BYTES];
    for (u64 i = 0; i < sizeof stack; i += 512) stack[i] = 1;
    for (size_t p = 0; p < COUNT_OF(patterns); p++) {
        struct region scratch = make_region(SCRATCH, 0, 8);
        for (size_t s = 0; s < MOST_STEPS && patterns[p].steps[s].name; s++) {
            // Moving would clear the way for itself over the region under test: the scratch region stays where it is.
            void (*run)(struct region *) = patterns[p].steps[s].run;
            if (run == move_alike || run == move_askew) run = nothing;
            u64 before = minor_faults();
            run(&scratch);
            stack[0] = (u8)(minor_faults() - before);
        }
        present_pages(scratch.base, scratch.pages);
    }
    map_at(reservation + SCRATCH, 8 * PAGE_BYTES, PROT_NONE);
}

/**
 * Makes the processor forget this process's translations, by taking and giving back the right to write to more pages than Linux flushes one
 * by one. Widening a right does not flush: entries from earlier reads, where a huge page is many of them, would each cost a spurious fault.
 */
static void forget_translations(struct region *spare) {
    write_all(spare);
    read_only(spare);
    read_write(spare);
}

struct answer { u64 faults, present; };
static struct answer measure(const struct step *step, struct region *region) {
    struct region spare = { reservation + SPARE, 64, 64 };
    warm_up();
    forget_translations(&spare);
    u64 before = minor_faults();
    step->run(region);
    u64 after = minor_faults();
    return (struct answer){ after - before, present_pages(region->base, region->pages) };
}

static pid_t child = -1;
static int release_fd = -1;
/** Forks; the child runs the step, answers through a pipe and sleeps until end_child. */
static struct answer measure_in_child(const struct step *step, struct region *region) {
    int answers[2], release[2];
    struct answer answer;
    must(pipe(answers) != 0 || pipe(release) != 0, "pipe");
    fflush(stdout);
    child = fork();
    must(child < 0, "fork");
    cold = 1;
    if (child == 0) {
        close(release[1]);
        open_pagemap();
        answer = measure(step, region);
        if (write(answers[1], &answer, sizeof answer) != sizeof answer) _exit(1);
        u8 byte;
        while (read(release[0], &byte, 1) > 0) continue;
        _exit(0);
    }
    close(answers[1]);
    close(release[0]);
    must(read(answers[0], &answer, sizeof answer) != sizeof answer, "the child's answer");
    close(answers[0]);
    release_fd = release[1];
    return answer;
}
static void end_child(void) {
    int status;
    close(release_fd);
    must(waitpid(child, &status, 0) != child || status != 0, "the child");
}

static void run_pattern(const struct pattern *pattern, u64 first_page, u64 pages) {
    struct region region = make_region(HOME, first_page, pages);
    for (size_t s = 0; s < MOST_STEPS && pattern->steps[s].name; s++) {
        const struct step *step = &pattern->steps[s];
        if (step->where == CHILD_ENDS) {
            end_child();
            continue;
        }
        struct answer answer = step->where == IN_CHILD ? measure_in_child(step, &region) : measure(step, &region);
        printf("%s %s %llu %llu %llu %llu\n", pattern->name, step->name, (unsigned long long)first_page, (unsigned long long)pages, (unsigned long long)answer.faults, (unsigned long long)answer.present);
    }
    clear_reservation();
}

// --- The stack and the heap, which have places of their own ---------------------------------------------------------------------

/** Stores to `count` places below the stack, downwards, `stride` pages apart, the first 64 KiB-aligned; then to every page in between, upwards. */
static void grow_stack(const char *name, u64 distance, u64 count, u64 stride) {
    u8 *top = (u8 *)(((uintptr_t)__builtin_frame_address(0) - distance) & ~(uintptr_t)(64 * KIB - 1));
    u64 pages = (count - 1) * stride + 1;
    u8 *bottom = top - (pages - 1) * PAGE_BYTES;
    warm_up();
    u64 start = minor_faults();
    for (u64 i = 0; i < count; i++) store_to(top - i * stride * PAGE_BYTES);
    u64 grown = minor_faults();
    for (u64 i = 0; i < pages; i++) store_to(bottom + i * PAGE_BYTES);
    u64 filled = minor_faults();
    printf("%s down 0 %llu %llu -\n%s fill 0 %llu %llu -\n", name, (unsigned long long)count, (unsigned long long)(grown - start), name, (unsigned long long)pages, (unsigned long long)(filled - grown));
}

static u8 *set_break(u8 *to) { return (u8 *)syscall(SYS_brk, to); }
/** Grows the heap by `pages` from a 2 MiB boundary above its end, writes them, gives half back, and takes it again. */
static void grow_heap(u64 pages) {
    u8 *old = set_break(NULL), *base = (u8 *)(((uintptr_t)old + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
    u8 *end = base + pages * PAGE_BYTES;
    struct region region = { base, pages, pages };
    must(set_break(end) != end, "brk");
    struct step write = STEP(write_all);
    u64 first = measure(&write, &region).faults;
    u8 *half = base + pages / 2 * PAGE_BYTES;
    must(set_break(half) != half || set_break(end) != end, "brk");
    u64 second = measure(&write, &region).faults;
    must(set_break(old) != old, "brk");
    printf("heap write_all 0 %llu %llu -\nheap write_regrown 0 %llu %llu -\n", (unsigned long long)pages, (unsigned long long)first, (unsigned long long)pages, (unsigned long long)second);
}

int main(int argc, char **argv) {
    static char output[64 * KIB];
    const char *only = "";
    const struct parameter rows[] = { { "pattern", NULL, 0, 0, &only, "the one pattern to run; empty for all" } };
    parse_parameters(argc, argv, "faults", "count the minor faults of anonymous memory", rows, COUNT_OF(rows));
    setvbuf(stdout, output, _IOFBF, sizeof output);
    reserve();
    open_pagemap();
    make_region(SPARE, 0, 64);

    for (size_t p = 0; p < COUNT_OF(patterns); p++)
        for (size_t g = 0; g < COUNT_OF(geometries); g++)
            if (*only == '\0' || strcmp(only, patterns[p].name) == 0) run_pattern(&patterns[p], geometries[g].first_page, geometries[g].pages);
    if (*only == '\0') {
        grow_stack("stack-pages", 256 * KIB, 40, 1);
        grow_stack("stack-strides", 512 * KIB, 40, 16);
        grow_heap(700);
        grow_heap(37);
    }
    return 0;
}
