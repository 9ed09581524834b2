// Steps over a region of anonymous memory, and the patterns made of them: what faults.c counts and smaps.c looks at.
// Regions lie at known places inside a reservation of 64 MiB, whatever the loader did, so that alignment is the pattern's alone.
// Not here: measuring; file memory, swap, threads.
#ifndef QUIRE_STEPS_H
#define QUIRE_STEPS_H
#include "common.h"
#include <fcntl.h>
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
static int pagemap_fd = -1;  // /proc/self/pagemap, of this process

static void must(int failed, const char *what) { if (failed) die("%s: %s.", what, strerror(errno)); }
/** Takes the reservation; everything in it is PROT_NONE. */
static void reserve(void) {
    reservation = mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(reservation == MAP_FAILED, "mmap");
    reservation = (u8 *)(((uintptr_t)reservation + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
}
static void open_pagemap(void) {
    if (pagemap_fd >= 0) close(pagemap_fd);
    pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
    must(pagemap_fd < 0, "/proc/self/pagemap");
}
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
#endif
