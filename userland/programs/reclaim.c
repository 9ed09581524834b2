// What reclaim is measured with: one region, larger than the memory that may hold it, touched in one of four patterns. A touch reads one word of one
// page, or reads and writes it, and costs few instructions, so that what is asked of the kernel is nearly all that happens. Each page has one word of
// its own (where in the page depends on the page): the upper half says whose page it is, the lower half counts the writes to it. Every word read goes
// into the checksum, so what comes back wrong or stale from swap or from the file is seen; --verify goes through all pages at the end and names one.
//
// Other programs here move a working set as well, each for another question: `hotscan` and `phases` are made for a TLB (many touches a page, small
// defaults, anonymous memory only), `kv` and `filemap` resemble applications. Here the patterns share their region, words, random numbers and check,
// and differ in nothing but the order of pages:
//   zipf     a level is drawn by its weight, then a page evenly within it. Level k holds 2^k pages (ranks 2^k to 2^(k+1) - 1, the last level what is
//            left), and weighs --level hundredths of the level before it: with 100, all levels alike, that is Zipf's law of exponent 1 in steps of two;
//            exponent 0.5 is 141, 1.5 is 71. A multiplication spreads the ranks over the region, so hot pages are nobody's neighbours.
//   loop     all pages in turn, again and again.
//   hotscan  the first --hot bytes at random, --uses times for each page of the rest, which is gone through in turn, again and again.
//   phases   a window of --window bytes at random; after --phase touches it moves on by three quarters of itself, and round the region's end.
#include "common.h"
#include <fcntl.h>
#include <sys/stat.h>

enum { LEVELS = 40 };
static u64 size = 128 * MIB, touches = 300000, writes = 25, seed = 1, level_weight = 100, hot = 24 * MIB, uses = 3, window = 48 * MIB, phase = 50000, fill = 2, verify = 0, hold = 0;
static u64 pages;
static u32 level_ends[LEVELS];  // sums of the weights of the levels, scaled to 2^16
static unsigned levels;

/** The word of a page as it was filled: whose page it is, and no writes. */
static inline u64 first_word(u64 page) { return scramble(seed * 0x9e3779b97f4a7c15ull + page) >> 32 << 32; }
/** Pages have their words at different places, so that half a page in the wrong place is seen too. */
static inline volatile u64 *word_of(u64 *region, u64 page) { return region + page * (PAGE_BYTES / 8) + (page * 37 & 511); }

static void make_levels(void) {
    u64 weights[LEVELS], sum = 0, part = 0;
    for (levels = 0; levels < LEVELS && 1ull << levels <= pages; levels++) sum += weights[levels] = levels == 0 ? 1 << 20 : weights[levels - 1] * level_weight / 100 + 1;
    for (unsigned k = 0; k < levels; k++) level_ends[k] = (u32)(((unsigned __int128)(part += weights[k]) << 16) / sum);
}
/** Where the pattern is: what it needs besides the number of the touch and the random bits. */
static u64 place, countdown, start;

static inline u64 below(u64 bits, u64 bound) { return ((bits >> 32) * bound) >> 32; }

static inline u64 zipf(u64 bits) {
    u32 draw = (u32)(bits >> 16) & 0xffff;
    unsigned k = 0;
    while (k + 1 < levels && draw >= level_ends[k]) k++;
    u64 first = 1ull << k, count = first < pages - first + 1 ? first : pages - first + 1;
    return (first + below(bits, count)) * 2654435761u % pages;
}
static inline u64 loop(void) {
    u64 page = place;
    place = page + 1 == pages ? 0 : page + 1;
    return page;
}
static inline u64 hotscan(u64 bits) {
    if (countdown-- > 0) return below(bits, hot);
    countdown = uses;
    u64 page = hot + place;
    place = page + 1 == pages ? 0 : place + 1;
    return page;
}
static inline u64 phases(u64 bits) {
    if (countdown-- == 0) {
        countdown = phase - 1;
        start = (start + (window * 3 + 3) / 4) % pages;
    }
    u64 page = start + below(bits, window);
    return page < pages ? page : page - pages;
}

/** Zeroed anonymous memory, or the file, mapped shared and made long enough. */
static u64 *map_region(const char *memory, const char *path) {
    if (strcmp(memory, "anon") == 0) return anonymous(pages * PAGE_BYTES);
    if (strcmp(memory, "file") != 0) die("--memory %s: must be anon or file.", memory);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0) die("%s: %s.", path, strerror(errno));
    if ((u64)stat.st_size < pages * PAGE_BYTES && ftruncate(fd, (off_t)(pages * PAGE_BYTES)) != 0) die("%s: cannot grow: %s.", path, strerror(errno));
    u64 *region = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED) die("%s: cannot be mapped: %s.", path, strerror(errno));
    close(fd);
    return region;
}

/** Every page must still be the page it was filled as, and, if that was in this run, have all writes that it got. */
static void check_pages(u64 *region, u64 written) {
    u64 found = 0;
    for (u64 page = 0; page < pages; page++) {
        u64 word = *word_of(region, page);
        if (word >> 32 != first_word(page) >> 32)
            die("page %llu holds %016llx, which must begin with %08llx.", (unsigned long long)page, (unsigned long long)word, (unsigned long long)(first_word(page) >> 32));
        found += word & 0xffffffff;
    }
    if (fill && found != written) die("the pages hold %llu writes; there were %llu.", (unsigned long long)found, (unsigned long long)written);
}

int main(int argc, char **argv) {
    const char *pattern = "zipf", *memory = "anon", *path = "/tmp/reclaim.data";
    const struct parameter rows[] = {
        { "pattern", NULL, 0, 0, &pattern, "zipf, loop, hotscan or phases" },
        { "memory", NULL, 0, 0, &memory, "anon, or file: a shared mapping" },
        { "size", &size, 4 * PAGE_BYTES, 1ull << 43, NULL, "bytes of the region" },
        { "touches", &touches, 0, UINT64_MAX, NULL, "words to touch" },
        { "write", &writes, 0, 100, NULL, "how many in a hundred touches write" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the order and of what the pages hold" },
        { "file", NULL, 0, 0, &path, "the file; made, and grown, if need be, and left there" },
        { "fill", &fill, 0, 2, NULL, "write every page first: 0 no, 1 yes, 2 only anonymous memory" },
        { "level", &level_weight, 1, 200, NULL, "zipf: weight of a level against the one before, in hundredths; 200: no page is preferred" },
        { "hot", &hot, PAGE_BYTES, 1ull << 43, NULL, "hotscan: bytes of the hot set" },
        { "uses", &uses, 0, UINT64_MAX, NULL, "hotscan: touches of the hot set for each page scanned" },
        { "window", &window, PAGE_BYTES, 1ull << 43, NULL, "phases: bytes of the window" },
        { "phase", &phase, 1, UINT64_MAX, NULL, "phases: touches before the window moves" },
        { "verify", &verify, 0, 1, NULL, "go through all pages at the end: 0 or 1" },
        { "hold", &hold, 0, 1, NULL, "wait for a byte of standard input before ending, with everything still mapped: 0 or 1" },
    };
    parse_parameters(argc, argv, "reclaim", "touch a region larger than memory in one of four patterns", rows, COUNT_OF(rows));
    static const char *const names[] = { "zipf", "loop", "hotscan", "phases" };
    unsigned which = 0;
    while (which < COUNT_OF(names) && strcmp(pattern, names[which]) != 0) which++;
    if (which == COUNT_OF(names)) die("--pattern %s: must be zipf, loop, hotscan or phases.", pattern);
    if (fill == 2) fill = strcmp(memory, "anon") == 0;
    pages = size / PAGE_BYTES;
    hot /= PAGE_BYTES;
    window /= PAGE_BYTES;
    if (which == 2 && hot >= pages) die("--hot: must be less than --size.");
    if (which == 3 && window > pages) die("--window: must not be more than --size.");
    make_levels();
    countdown = which == 2 ? uses : phase;

    u64 *region = map_region(memory, path);
    if (fill) for (u64 page = 0; page < pages; page++) *word_of(region, page) = first_word(page);
    u64 sum = seed, written = 0;
    const u64 write_below = writes * 0x10000 / 100;
    struct random random = { seed };
    for (u64 i = 0; i < touches; i++) {
        u64 bits = random_next(&random);
        u64 page = which == 0 ? zipf(bits) : which == 1 ? loop() : which == 2 ? hotscan(bits) : phases(bits);
        volatile u64 *word = word_of(region, page);
        u64 value = *word;
        sum = (sum ^ value) * 0x9e3779b97f4a7c15ull;
        if ((bits & 0xffff) >= write_below) continue;
        *word = value + 1;
        written++;
    }
    if (verify) check_pages(region, written);
    printf("reclaim: %s, %s, %llu pages, %llu touches, %llu of them writes\n", pattern, memory, (unsigned long long)pages, (unsigned long long)touches, (unsigned long long)written);
    print_checksum(mix(sum, written));
    fflush(stdout);
    if (hold) getchar();
    return 0;
}
