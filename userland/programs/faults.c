// Counts the minor faults of anonymous memory, pattern by pattern, so that a real Linux and Quire can be asked the same question.
// Each line: pattern, step, first page (counted from a 2 MiB boundary), pages, minor faults of the step, pages then present.
// A number may depend on the kernel's rules only. So regions lie at known places inside a reservation of 64 MiB, whatever the loader did;
// before the first step and after each fork all code and data that steps need are touched (warm_up); and nothing here uses malloc.
// Not here: file memory, swap, threads.
#include "common.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HUGE_BYTES (2 * MIB)
#define RESERVED_BYTES (64 * MIB)
#define SCRATCH (256 * KIB)  // places in the reservation: for warming up,
#define SPARE (512 * KIB)    // for forget_translations,
#define HOME (4 * MIB)       // for regions under test (plus their first page), and where these move
#define ELSEWHERE (32 * MIB)
#define MOST_PAGES 2048

/** Memory under test. `pages` follows what the steps do to it; `full` is the size it began with. */
struct region { u8 *base; u64 pages, full; };
static u8 *reservation;  // 2 MiB aligned; PROT_NONE wherever no region is
static int pagemap_fd = -1;

static u64 minor_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (u64)usage.ru_minflt;
}

static void must(int failed, const char *what) { if (failed) die("%s: %s.", what, strerror(errno)); }
static u8 *map_at(u8 *at, u64 bytes, int prot) {
    u8 *got = mmap(at, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    must(got != at, "mmap");
    return got;
}
static struct region make_region(u64 place, u64 first_page, u64 pages) {
    return (struct region){ map_at(reservation + place + first_page * PAGE_BYTES, pages * PAGE_BYTES, PROT_READ | PROT_WRITE), pages, pages };
}
/** Throws away every region. */
static void clear_reservation(void) { map_at(reservation + HOME, RESERVED_BYTES - HUGE_BYTES - HOME, PROT_NONE); }

/** How many pages from `base` on are present, by /proc/self/pagemap (bit 63); the zero page counts. */
static u64 present_pages(const u8 *base, u64 pages) {
    static u64 entries[MOST_PAGES];
    u64 count = 0;
    ssize_t bytes = pread(pagemap_fd, entries, pages * 8, (off_t)((uintptr_t)base / PAGE_BYTES * 8));
    must(bytes != (ssize_t)(pages * 8), "/proc/self/pagemap");
    for (u64 i = 0; i < pages; i++) count += entries[i] >> 63;
    return count;
}

// --- Steps: touching ----------------------------------------------------------------------------------------------------

/**
 * Waits until the touch has happened. A processor that runs ahead of a fault fills its TLB with the entries of the pages after it, as they
 * stand before the fault changes them; under a hypervisor that backs a huge page with small ones, each of these is then a spurious fault.
 */
static inline void touched(void) {
#ifdef __x86_64__
    __asm__ volatile("lfence" ::: "memory");
#elif defined __aarch64__
    __asm__ volatile("dsb sy\n\tisb" ::: "memory");
#else
    __sync_synchronize();
#endif
}
static inline void store_to(u8 *at) { *(volatile u8 *)at = 1; touched(); }
static void store(struct region *r, u64 page) { store_to(r->base + page * PAGE_BYTES); }
static void load(struct region *r, u64 page) { (void)*(volatile u8 *)(r->base + page * PAGE_BYTES); touched(); }
static void store_every(struct region *r, u64 from, u64 stride) { for (u64 i = from; i < r->pages; i += stride) store(r, i); }
static void load_every(struct region *r, u64 from, u64 stride) { for (u64 i = from; i < r->pages; i += stride) load(r, i); }

static void nothing(struct region *r) { (void)r; }
static void write_all(struct region *r) { store_every(r, 0, 1); }
static void read_all(struct region *r) { load_every(r, 0, 1); }
static void write_backwards(struct region *r) { for (u64 i = r->pages; i-- > 0;) store(r, i); }
static void write_every_2(struct region *r) { store_every(r, 0, 2); }
static void write_every_4(struct region *r) { store_every(r, 0, 4); }
static void write_every_16(struct region *r) { store_every(r, 0, 16); }
static void write_every_17(struct region *r) { store_every(r, 0, 17); }
static void write_every_512(struct region *r) { store_every(r, 0, 512); }
static void write_odd(struct region *r) { store_every(r, 1, 2); }
static void write_last_of_16(struct region *r) { store_every(r, 15, 16); }
static void read_every_2(struct region *r) { load_every(r, 0, 2); }
static void read_every_16(struct region *r) { load_every(r, 0, 16); }
static void write_middle_page(struct region *r) { store(r, r->pages / 2); }
/** Every page once, in the order of a generator of full period over the next power of two. */
static void write_random(struct region *r) {
    u64 bound = 1;
    while (bound < r->pages) bound *= 2;
    for (u64 i = 0, at = 0; i < bound; i++) {
        at = (at * 5 + 3) & (bound - 1);
        if (at < r->pages) store(r, at);
    }
}
static void write_outer(struct region *r) {
    for (u64 i = 0; i < r->pages; i++) if (i < r->pages / 4 || i >= r->pages / 4 * 3) store(r, i);
}

// --- Steps: changing the mapping ------------------------------------------------------------------------------------------

static void advise(struct region *r, u64 from, u64 pages, int advice) {
    if (pages > 0) must(madvise(r->base + from * PAGE_BYTES, pages * PAGE_BYTES, advice) != 0, "madvise");
}
static void dontneed(struct region *r) { advise(r, 0, r->pages, MADV_DONTNEED); }
static void dontneed_middle(struct region *r) { advise(r, r->pages / 4, r->pages / 4 * 2, MADV_DONTNEED); }
static void dontneed_holes(struct region *r) { for (u64 i = 5; i < r->pages; i += 16) advise(r, i, 1, MADV_DONTNEED); }
static void dontneed_8_of_16(struct region *r) { for (u64 i = 8; i + 8 <= r->pages; i += 16) advise(r, i, 8, MADV_DONTNEED); }
static void dontneed_all_but_16th(struct region *r) { for (u64 i = 0; i + 16 <= r->pages; i += 16) advise(r, i + 1, 15, MADV_DONTNEED); }
static void hugepage(struct region *r) { advise(r, 0, r->pages, MADV_HUGEPAGE); }
static void nohugepage(struct region *r) { advise(r, 0, r->pages, MADV_NOHUGEPAGE); }

static void protect(struct region *r, u64 from, u64 pages, int prot) {
    if (pages > 0) must(mprotect(r->base + from * PAGE_BYTES, pages * PAGE_BYTES, prot) != 0, "mprotect");
}
static void read_only(struct region *r) { protect(r, 0, r->pages, PROT_READ); }
static void no_access(struct region *r) { protect(r, 0, r->pages, PROT_NONE); }
static void read_write(struct region *r) { protect(r, 0, r->pages, PROT_READ | PROT_WRITE); }
static void read_only_middle(struct region *r) { protect(r, r->pages / 4, r->pages / 4 * 2, PROT_READ); }

static void unmap_middle(struct region *r) {
    if (r->pages >= 4) must(munmap(r->base + r->pages / 4 * PAGE_BYTES, r->pages / 4 * 2 * PAGE_BYTES) != 0, "munmap");
}
static void map_middle(struct region *r) {
    if (r->pages >= 4) map_at(r->base + r->pages / 4 * PAGE_BYTES, r->pages / 4 * 2 * PAGE_BYTES, PROT_READ | PROT_WRITE);
}
static void resize(struct region *r, u64 pages) {
    must(mremap(r->base, r->pages * PAGE_BYTES, pages * PAGE_BYTES, 0) != r->base, "mremap");
    r->pages = pages;
}
static void shrink(struct region *r) { if (r->pages >= 2) resize(r, r->pages / 2); }
static void grow(struct region *r) { resize(r, r->full); }
static void move_to(struct region *r, u8 *to) {
    must(mremap(r->base, r->pages * PAGE_BYTES, r->pages * PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to, "mremap");
    r->base = to;
}
/** To a place that stands to 2 MiB as the old one does. */
static void move_alike(struct region *r) { move_to(r, r->base < reservation + ELSEWHERE ? r->base + ELSEWHERE - HOME : r->base - ELSEWHERE + HOME); }
/** To a place shifted by three pages, so that no large folio lies naturally any more. */
static void move_askew(struct region *r) { move_alike(r); move_to(r, r->base + HUGE_BYTES * 5 + 3 * PAGE_BYTES); }

// --- Patterns -------------------------------------------------------------------------------------------------------------

enum { HERE, IN_CHILD, CHILD_ENDS };  // IN_CHILD forks; the child lives on, still, until CHILD_ENDS
struct step { const char *name; void (*run)(struct region *); int where; };
#define STEP(function) { #function, function, HERE }
#define CHILD(function) { "child_" #function, function, IN_CHILD }
#define ENDS { "child_ends", nothing, CHILD_ENDS }
#define MOST_STEPS 6
struct pattern { const char *name; struct step steps[MOST_STEPS]; };

static const struct pattern patterns[] = {
    { "sequential", { STEP(write_all), STEP(write_all) } },
    { "read-then-write", { STEP(read_all), STEP(read_all), STEP(write_all), STEP(write_all) } },
    { "read-some-then-write", { STEP(read_every_16), STEP(write_all) } },
    { "read-half-then-write", { STEP(read_every_2), STEP(write_every_4), STEP(write_all) } },
    { "write-some-then-read", { STEP(write_every_16), STEP(read_all), STEP(write_all) } },
    { "one-page", { STEP(write_middle_page), STEP(write_all) } },
    { "backwards", { STEP(write_backwards) } },
    { "stride-2", { STEP(write_every_2), STEP(write_odd) } },
    { "stride-4", { STEP(write_every_4), STEP(write_all) } },
    { "stride-16", { STEP(write_every_16), STEP(write_all) } },
    { "stride-17", { STEP(write_every_17), STEP(write_every_4), STEP(write_all) } },
    { "stride-512", { STEP(write_every_512), STEP(write_all) } },
    { "last-of-16", { STEP(write_last_of_16), STEP(write_all) } },
    { "random", { STEP(write_random) } },
    { "dontneed", { STEP(write_all), STEP(dontneed), STEP(read_all), STEP(write_all) } },
    { "dontneed-rewrite", { STEP(write_all), STEP(dontneed), STEP(write_every_17), STEP(write_all) } },
    { "dontneed-middle", { STEP(write_all), STEP(dontneed_middle), STEP(write_all) } },
    { "dontneed-holes", { STEP(write_all), STEP(dontneed_holes), STEP(write_all) } },
    { "dontneed-8-of-16", { STEP(write_all), STEP(dontneed_8_of_16), STEP(read_every_16), STEP(write_all) } },
    { "dontneed-15-of-16", { STEP(write_all), STEP(dontneed_all_but_16th), STEP(write_all) } },
    { "dontneed-zero-pages", { STEP(read_all), STEP(dontneed_8_of_16), STEP(write_all) } },
    { "fork-child-reads", { STEP(write_all), CHILD(read_all), STEP(read_all), ENDS, STEP(write_all) } },
    { "fork-child-writes", { STEP(write_all), CHILD(write_all), STEP(write_all), ENDS, STEP(write_all) } },
    { "fork-parent-writes", { STEP(write_all), CHILD(nothing), STEP(write_all), ENDS, STEP(write_all) } },
    { "fork-parent-writes-after", { STEP(write_all), CHILD(nothing), ENDS, STEP(write_all), STEP(write_all) } },
    { "fork-parent-writes-some", { STEP(write_all), CHILD(write_every_16), STEP(write_every_4), ENDS, STEP(write_all) } },
    { "fork-child-dontneed", { STEP(write_all), CHILD(dontneed), STEP(write_all), ENDS } },
    { "fork-parent-dontneed", { STEP(write_all), CHILD(nothing), STEP(dontneed_middle), STEP(write_all), ENDS } },
    { "fork-untouched", { CHILD(write_all), STEP(write_all), ENDS } },
    { "fork-zero-pages", { STEP(read_all), CHILD(write_all), STEP(write_all), ENDS } },
    { "fork-twice", { STEP(write_all), CHILD(nothing), ENDS, CHILD(write_all), STEP(write_all), ENDS } },
    { "protect-read-only", { STEP(write_all), STEP(read_only), STEP(read_all), STEP(read_write), STEP(write_all) } },
    { "protect-none", { STEP(write_all), STEP(no_access), STEP(read_write), STEP(write_all) } },
    { "protect-zero-pages", { STEP(read_all), STEP(read_only), STEP(read_write), STEP(write_all) } },
    { "protect-before-touch", { STEP(read_only), STEP(read_every_2), STEP(read_write), STEP(write_all) } },
    { "protect-middle", { STEP(read_only_middle), STEP(write_outer), STEP(read_write), STEP(write_all) } },
    { "protect-after-fork", { STEP(write_all), CHILD(nothing), STEP(read_only), STEP(read_write), STEP(write_all), ENDS } },
    { "unmap-middle", { STEP(unmap_middle), STEP(write_outer), STEP(map_middle), STEP(write_all) } },
    { "unmap-written-middle", { STEP(write_all), STEP(unmap_middle), STEP(write_outer), STEP(map_middle), STEP(write_all) } },
    { "shrink-grow", { STEP(write_all), STEP(shrink), STEP(write_all), STEP(grow), STEP(write_all) } },
    { "shrink-grow-sparse", { STEP(shrink), STEP(write_every_16), STEP(grow), STEP(write_every_4), STEP(write_all) } },
    { "move", { STEP(write_all), STEP(move_alike), STEP(write_all) } },
    { "move-askew", { STEP(write_all), STEP(move_askew), STEP(write_all) } },
    { "move-sparse", { STEP(write_every_17), STEP(move_askew), STEP(write_all) } },
    { "move-zero-pages", { STEP(read_all), STEP(move_alike), STEP(write_all) } },
    { "nohugepage", { STEP(nohugepage), STEP(write_all) } },
    { "hugepage", { STEP(hugepage), STEP(write_all) } },
};
/** First page (from a 2 MiB boundary) and pages of the regions that each pattern runs over. */
static const struct { u64 first_page, pages; } geometries[] = { { 0, 2048 }, { 3, 1021 }, { 16, 300 }, { 500, 40 }, { 1, 16 }, { 0, 7 } };

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
        close(pagemap_fd);
        pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
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
    reservation = mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(reservation == MAP_FAILED, "mmap");
    reservation = (u8 *)(((uintptr_t)reservation + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
    pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
    must(pagemap_fd < 0, "/proc/self/pagemap");
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
