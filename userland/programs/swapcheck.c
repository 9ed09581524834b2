// Swap check: fills more pages than memory holds, and looks at every word of them again and again, in several processes of which some are killed.
// A page that cannot be read (SIGBUS) is lost, and is given up; one that holds anything but what was written last is wrong: that ends the program with
// status 1. Only these pages can be swapped out: all else is locked in memory.
#include "common.h"
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#define WORDS (PAGE_BYTES / 8)
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/** Pages of one kind, and what each of them should hold: 0 zeros, else words made of page and generation. */
struct region { u64 *words; u64 pages; u32 *generations; int is_shared; };

static sigjmp_buf on_bus;
static void bus(int signal) {
    (void)signal;
    siglongjmp(on_bus, 1);
}
static u64 lost, wrong;

static u64 word_of(u64 page, u32 generation, u64 i) { return generation == 0 ? 0 : scramble(page * WORDS + i + ((u64)generation << 40)); }

static void write_page(struct region *region, u64 page, u32 generation) {
    volatile u64 *words = region->words + page * WORDS;
    if (sigsetjmp(on_bus, 1) != 0) {
        // What was there is lost; a page of one's own is empty then, a hole in a file likewise.
        lost++;
        madvise((void *)words, PAGE_BYTES, region->is_shared ? MADV_REMOVE : MADV_DONTNEED);
    }
    for (u64 i = 0; i < WORDS; i++) words[i] = word_of(page, generation, i);
    region->generations[page] = generation;
}
static void check_page(struct region *region, u64 page) {
    volatile u64 *words = region->words + page * WORDS;
    if (sigsetjmp(on_bus, 1) != 0) {
        lost++;
        madvise((void *)words, PAGE_BYTES, region->is_shared ? MADV_REMOVE : MADV_DONTNEED);
        region->generations[page] = 0;
        return;
    }
    for (u64 i = 0; i < WORDS; i++) {
        if (words[i] == word_of(page, region->generations[page], i)) continue;
        fprintf(stderr, "swapcheck: word %llu of %s page %llu is %llx, should be %llx\n", (unsigned long long)i, region->is_shared ? "shared" : "private", (unsigned long long)page,
            (unsigned long long)words[i], (unsigned long long)word_of(page, region->generations[page], i));
        wrong++;
        return;
    }
}

/** A child looks at the pages that it has in common with its parent, writes to its own, and ends, or works on until it is killed. */
static void child(struct region *own, u64 seed, int is_to_die) {
    struct random random = { seed };
    for (u64 i = 0; i < 40 || is_to_die; i++) {
        u64 page = random_below(&random, own->pages);
        if (random_below(&random, 3) == 0) write_page(own, page, 1000 + (u32)i);
        else check_page(own, page);
    }
    _exit(wrong > 0 ? 1 : 0);
}

static void *locked(u64 bytes) {
    void *memory = anonymous(bytes);
    if (mlock(memory, bytes) != 0) die("cannot lock %llu bytes: %s.", (unsigned long long)bytes, strerror(errno));
    return memory;
}

int main(int argc, char **argv) {
    u64 size = 8 * MIB, shared = 2 * MIB, steps = 4000, forks = 6, seed = 1;
    const struct parameter rows[] = {
        { "size", &size, PAGE_BYTES, 1ull << 36, NULL, "bytes of private memory" },
        { "shared", &shared, PAGE_BYTES, 1ull << 36, NULL, "bytes of shared memory" },
        { "steps", &steps, 0, UINT64_MAX, NULL, "pages written or looked at in between" },
        { "forks", &forks, 0, UINT64_MAX, NULL, "children, of which every second one is killed" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the places" },
    };
    parse_parameters(argc, argv, "swapcheck", "check that swapped pages come back as they were", rows, COUNT_OF(rows));
    if (mlockall(MCL_CURRENT) != 0) die("cannot lock memory: %s.", strerror(errno));
    struct sigaction action = { .sa_handler = bus };
    sigaction(SIGBUS, &action, NULL);
    struct region own = { anonymous(size / PAGE_BYTES * PAGE_BYTES), size / PAGE_BYTES, locked(size / PAGE_BYTES * sizeof(u32)), 0 };
    struct region common = { mmap(NULL, shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), shared / PAGE_BYTES, locked(shared / PAGE_BYTES * sizeof(u32)), 1 };
    if (common.words == MAP_FAILED) die("no shared memory: %s.", strerror(errno));
    struct random random = { seed };
    for (u64 page = 0; page < own.pages; page++) write_page(&own, page, page % 16 == 5 ? 0 : 1);
    for (u64 page = 0; page < common.pages; page++) write_page(&common, page, 1);
    u64 killed = 0, failed = 0;
    for (u64 step = 0, forked = 0; step < steps; step++) {
        struct region *region = random_below(&random, 4) == 0 ? &common : &own;
        u64 page = random_below(&random, region->pages), what = random_below(&random, 100);
        if (what < 35) write_page(region, page, 2 + (u32)step);
        else if (what < 90) check_page(region, page);
        else madvise(region->words + page * WORDS, PAGE_BYTES * (1 + random_below(&random, region->pages - page > 32 ? 32 : region->pages - page)), MADV_PAGEOUT);
        if (forked < forks && step >= (forked + 1) * (steps / (forks + 1))) {
            int is_to_die = forked++ % 2;
            fflush(stderr);
            pid_t pid = fork();
            if (pid < 0) die("cannot fork: %s.", strerror(errno));
            if (pid == 0) {
                // Shared pages change under a child's feet: it looks at private ones alone. Locks are not inherited; what is lost of its stack is its end.
                mlock(own.generations, own.pages * sizeof(u32));
                child(&own, seed + forked, is_to_die);
            }
            for (u64 i = 0; i < 30; i++) {
                check_page(&own, random_below(&random, own.pages));
                sched_yield();
            }
            if (is_to_die) {
                kill(pid, SIGKILL);
                killed++;
            }
            int status = 0;
            waitpid(pid, &status, 0);
            if (WIFEXITED(status) && WEXITSTATUS(status) != 0) failed++;
        }
    }
    for (u64 page = 0; page < own.pages; page++) check_page(&own, page);
    for (u64 page = 0; page < common.pages; page++) check_page(&common, page);
    if (lost > 0) fprintf(stderr, "swapcheck: %llu pages were lost\n", (unsigned long long)lost);
    printf("swapcheck: %llu private and %llu shared pages, %llu steps, %llu children killed: %llu wrong\n", (unsigned long long)own.pages, (unsigned long long)common.pages,
        (unsigned long long)steps, (unsigned long long)killed, (unsigned long long)(wrong + failed));
    return wrong + failed > 0;
}
