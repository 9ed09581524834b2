// Does to memory what a script on standard input says, and prints what the kernel says about it after every step, so that a real Linux and
// Quire can be asked the same question. Up to eight processes, called a to h, act on one window of addresses, which is the same on every machine.
//
//   == NAME                          a new scenario: one new process, a, with an empty window
//   a map FIRST+PAGES KIND PROT [populate|lock|noreserve|fresh]...
//                                    KIND: anon, shared (anonymous), file (shared, of a memory file of all processes), private (the same, private);
//                                    files are mapped at the offset that FIRST is. PROT: none, r, w (alone: write-only), rw. fresh: not over a mapping
//   a unmap|lock|lockonfault|unlock RANGE     a lockall BITS     a unlockall     a brk PAGES (the heap by so many; answers where it was refused)
//   a protect RANGE PROT             a move RANGE RANGE [keep]    mremap to there, with that length; keep: MREMAP_DONTUNMAP
//   a resize RANGE PAGES             a advise RANGE NAME|NUMBER   a core RANGE    mincore over the whole range at once
//   a read|write RANGE[/STRIDE]      by instructions; kread, kwrite: by system calls; pread, pwrite: the file, by system calls
//   a truncate PAGES                 a punch RANGE                the file's length; a hole in it
//   a fork b                         b exit                       a rollup    smaps_rollup beside the sum of smaps
//
// Each line: the step, a colon, 0 or the errno or what was read, minor faults, and of every process the fields that differ from the last time
// (see the table of fields). Faults may depend on the kernel's rules only: before a step all else is present (settle) and translations are forgotten.
#include "counts.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define WINDOW ((u8 *)0x2000000000)  // below the end of every address space, a multiple of a GiB, so that its page tables are its own
#define MOST_PAGES 2048
#define ACTORS 8
#define TEXT (32 * KIB)

static void must(int failed, const char *what) { if (failed) die("%s: %s.", what, strerror(errno)); }
static u64 longest = 300;  // of a field of lists; a longer one is its hash

// --- Reading what the kernel says ---------------------------------------------------------------------------------------------

static char *slurp(const char *path) {
    static char text[256 * KIB];
    read_file(path, text, sizeof text);
    return text;
}
/** The number after `name:` at the start of a line of a file already read. */
static u64 number_in(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ':') return strtoull(line + length + 1, NULL, 10);
    return 0;
}
static u64 hash_of(const char *text) {
    u64 hash = 0xcbf29ce484222325;
    for (; *text; text++) hash = (hash ^ (u8)*text) * 0x100000001b3;
    return hash;
}

/** What is shown, in this order: lists, then sums over the window of the lines of smaps, then lines of status less what they were at first. */
static const struct { const char *name, *source; enum { LIST, SMAPS, STATUS } from; } fields[] = {
    { "maps", NULL, LIST }, { "pages", NULL, LIST }, { "core", NULL, LIST },
    { "rss", "Rss", SMAPS }, { "pss", "Pss", SMAPS }, { "pssDirty", "Pss_Dirty", SMAPS }, { "sharedClean", "Shared_Clean", SMAPS },
    { "sharedDirty", "Shared_Dirty", SMAPS }, { "privateClean", "Private_Clean", SMAPS }, { "privateDirty", "Private_Dirty", SMAPS },
    { "anonymous", "Anonymous", SMAPS }, { "lazyFree", "LazyFree", SMAPS }, { "anonHuge", "AnonHugePages", SMAPS }, { "shmemHuge", "ShmemPmdMapped", SMAPS },
    { "swap", "Swap", SMAPS }, { "locked", "Locked", SMAPS }, { "eligible", "THPeligible", SMAPS },
    { "VmLck", "VmLck", STATUS }, { "RssAnon", "RssAnon", STATUS }, { "RssShmem", "RssShmem", STATUS }, { "VmSize", "VmSize", STATUS },
    { "VmData", "VmData", STATUS }, { "VmPTE", "VmPTE", STATUS },
};
struct view { char lists[3][TEXT / 4]; long numbers[COUNT_OF(fields)]; };

/** Appends, as far as there is room; what does not fit shows in the hash all the same, since the text is then too long anyway. */
__attribute__((format(printf, 2, 3))) static void append(char *list, const char *format, ...) {
    size_t at = strlen(list);
    va_list args;
    va_start(args, format);
    vsnprintf(list + at, TEXT / 4 - at, format, args);
    va_end(args);
}

/** VMAs of the window: first page, pages, protection, and the flags that protection does not say. Sums their fields. */
static u64 vma_first[MOST_PAGES], vma_pages[MOST_PAGES];
static size_t read_smaps(struct view *view) {
    size_t count = 0;
    int inside = 0;
    for (char *line = slurp("/proc/self/smaps"), *next; *line; line = next) {
        for (next = line; *next != '\0' && *next++ != '\n';) continue;
        if (*line < 'A' || *line > 'Z') {  // a VMA begins with its addresses in small letters, its fields with capitals
            char *rest;
            uintptr_t start = strtoull(line, &rest, 16), end = strtoull(rest + 1, &rest, 16);
            inside = start >= (uintptr_t)WINDOW && end <= (uintptr_t)WINDOW + MOST_PAGES * PAGE_BYTES;
            if (!inside) continue;
            vma_first[count] = (start - (uintptr_t)WINDOW) / PAGE_BYTES;
            vma_pages[count] = (end - start) / PAGE_BYTES;
            append(view->lists[0], "%s%llu+%llu:%.4s", count ? "," : "", (unsigned long long)vma_first[count], (unsigned long long)vma_pages[count], rest + 1);
            unsigned long long offset = strtoull(rest + 6, NULL, 16);
            if (offset) append(view->lists[0], "@%llu", offset / PAGE_BYTES);
            count++;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            for (char *flag = line + 9; flag + 2 < next; flag += 3)
                if (!strstr("rd wr ex sh mr mw me ms sd", (char[]){ flag[0], flag[1], 0 })) append(view->lists[0], ".%.2s", flag);
        } else if (inside)
            for (size_t i = 0; i < COUNT_OF(fields); i++) {
                size_t length = fields[i].from == SMAPS ? strlen(fields[i].source) : 0;
                if (length && strncmp(line, fields[i].source, length) == 0 && line[length] == ':') view->numbers[i] += strtol(line + length + 1, NULL, 10);
            }
    }
    return count;
}

static int pagemap_fd = -1, flags_fd = -1, counts_fd = -1, memory_fd = -1;
static u64 word_at(int fd, u64 index) {
    u64 word = 0;
    must(pread(fd, &word, 8, (off_t)(index * 8)) != 8, "a file of /proc");
    return word;
}
enum { PRESENT = 63, SWAPPED = 62, FILE_PAGE = 61, GUARD = 58, EXCLUSIVE = 56 };
enum { HEAD = 15, TAIL = 16, ZERO_PAGE = 24 };
#define BIT(word, bit) ((word) >> (bit) & 1)

/** A page, in a few words: order:offset of its folio (or z, the zero page), ! exclusive, f of a file, *n mapped n times. Pages alike but for the offset are one piece. */
struct place { int order; u64 offset, head, flags, mapped; };
static struct place last;
static struct place place_of(u64 entry) {
    u64 frame = entry & ((1ull << 55) - 1);
    struct place place = { 0, 0, frame, entry >> 56, 0 };
    if (!BIT(entry, PRESENT)) return place.order = -1, place.head = 0, place;
    place.mapped = word_at(counts_fd, frame);
    if (last.order > 0 && frame > last.head && frame < last.head + (1ull << last.order)) {
        place.order = last.order, place.offset = frame - last.head, place.head = last.head;
        return place;
    }
    u64 flags = word_at(flags_fd, frame);
    if (BIT(flags, ZERO_PAGE)) return place.order = -2, place.head = place.mapped = 0, place;
    while (BIT(flags, TAIL)) flags = word_at(flags_fd, --place.head);
    place.offset = frame - place.head;
    if (BIT(flags, HEAD)) {
        static u64 tails[1024];
        u64 size = 1;
        must(pread(flags_fd, tails, sizeof tails, (off_t)(place.head * 8)) != sizeof tails, "/proc/kpageflags");
        while (size < COUNT_OF(tails) && BIT(tails[size], TAIL)) size++;
        place.order = __builtin_ctzll(size);
    }
    return last = place;
}
static void write_piece(char *list, u64 first, u64 count, const struct place *place) {
    append(list, "%s%llu+%llu=", *list ? "," : "", (unsigned long long)first, (unsigned long long)count);
    if (place->order == -1) append(list, "-");
    else if (place->order == -2) append(list, "z");
    else append(list, "%d:%llu", place->order, (unsigned long long)place->offset);
    const u64 flags = place->flags << 56;
    append(list, "%s%s%s%s", BIT(flags, EXCLUSIVE) ? "!" : "", BIT(flags, FILE_PAGE) ? "f" : "", BIT(flags, SWAPPED) ? "s" : "", BIT(flags, GUARD) ? "g" : "");
    if (place->mapped > 1) append(list, "*%llu", (unsigned long long)place->mapped);
}
static void read_pages(struct view *view) {
    static u64 entries[MOST_PAGES];
    ssize_t bytes = pread(pagemap_fd, entries, sizeof entries, (off_t)((uintptr_t)WINDOW / PAGE_BYTES * 8));
    must(bytes != (ssize_t)sizeof entries, "/proc/self/pagemap");
    struct place first = { 0 };
    u64 start = 0, count = 0;
    last.order = 0;  // what was a folio before may be another by now
    for (u64 i = 0; i < MOST_PAGES; i++) {
        if (entries[i] == 0) {
            if (count) write_piece(view->lists[1], start, count, &first);
            count = 0;
            continue;
        }
        struct place next = place_of(entries[i]);
        int alike = count && next.order == first.order && next.flags == first.flags && next.mapped == first.mapped;
        if (alike && next.order > 0) alike = next.head == first.head && next.offset == first.offset + count;
        if (!alike) {
            if (count) write_piece(view->lists[1], start, count, &first);
            first = next, start = i, count = 0;
        }
        count++;
    }
    if (count) write_piece(view->lists[1], start, count, &first);
}
static void read_core(struct view *view, size_t vmas) {
    static u8 resident[MOST_PAGES];
    u64 start = 0, count = 0;
    memset(resident, 0, sizeof resident);
    for (size_t v = 0; v < vmas; v++) must(mincore(WINDOW + vma_first[v] * PAGE_BYTES, vma_pages[v] * PAGE_BYTES, resident + vma_first[v]) != 0, "mincore");
    for (u64 i = 0; i <= MOST_PAGES; i++) {
        if (i < MOST_PAGES && resident[i] & 1) {
            if (count++ == 0) start = i;
        } else if (count) {
            append(view->lists[2], "%s%llu+%llu", *view->lists[2] ? "," : "", (unsigned long long)start, (unsigned long long)count);
            count = 0;
        }
    }
}
static void read_view(struct view *view) {
    memset(view, 0, sizeof *view);
    size_t vmas = read_smaps(view);
    read_pages(view);
    read_core(view, vmas);
    const char *status = slurp("/proc/self/status");
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (fields[i].from == STATUS) view->numbers[i] = (long)number_in(status, fields[i].source);
}

// --- An actor -----------------------------------------------------------------------------------------------------------------

static u8 spare[64 * PAGE_BYTES] __attribute__((aligned(4096)));
static long at_first[COUNT_OF(fields)];  // status when the window was empty
static struct view seen, now;
static char name_of_actor = 'a';

static u64 minor_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (u64)usage.ru_minflt;
}
__attribute__((noinline)) static void deepen_stack(void) {
    volatile u8 deep[48 * KIB];
    for (size_t i = 0; i < sizeof deep; i += 512) deep[i] = 1;
}
/** Makes everything outside the window present and, where it may be written, this process's own. */
static void settle(void) {
    static char text[32 * KIB];
    deepen_stack();
    for (int round = 0; round < 2; round++) {  // the first one itself touches things
        read_file("/proc/self/maps", text, sizeof text);
        for (char *line = text; *line; line = strchr(line, '\n') + 1) {
            char *rest;
            uintptr_t start = strtoull(line, &rest, 16), end = strtoull(rest + 1, &rest, 16);
            if (start >= (uintptr_t)WINDOW && start < (uintptr_t)WINDOW + MOST_PAGES * PAGE_BYTES) continue;
            if (rest[1] == 'r') madvise((void *)start, end - start, rest[2] == 'w' ? 23 : 22);  // MADV_POPULATE_WRITE, _READ
        }
    }
}
/** Taking a right from more pages than Linux flushes one by one makes the processor forget all of this process's translations. */
static void forget_translations(void) {
    for (size_t i = 0; i < sizeof spare; i += PAGE_BYTES) ((volatile u8 *)spare)[i] = 1;
    must(mprotect(spare, sizeof spare, PROT_READ) != 0 || mprotect(spare, sizeof spare, PROT_READ | PROT_WRITE) != 0, "mprotect");
}
static inline void touched(void) {
#ifdef __x86_64__
    __asm__ volatile("lfence" ::: "memory");  // no running ahead of the fault, which would fill the TLB with entries as they stood before it
#else
    __sync_synchronize();
#endif
}

static sigjmp_buf out_of_touch;
static void on_fault(int signal) { siglongjmp(out_of_touch, signal); }
static int byte_pipe[2];

enum touch { READ, WRITE, KERNEL_READ, KERNEL_WRITE, FILE_READ, FILE_WRITE };
/** @returns 0, or a signal, or a negative errno */
static int touch_page(enum touch how, u64 page, u8 value, u64 *sum) {
    volatile u8 *at = WINDOW + page * PAGE_BYTES;
    u8 byte = value;
    ssize_t done = 1;
    int signal = sigsetjmp(out_of_touch, 0);
    if (signal != 0) return signal;
    switch (how) {
    case READ: byte = *at, touched(); break;
    case WRITE: *at = value, touched(); return 0;
    case KERNEL_READ:
        done = write(byte_pipe[1], (void *)at, 1);
        if (done == 1) must(read(byte_pipe[0], &byte, 1) != 1, "pipe");
        break;
    case KERNEL_WRITE:
        must(write(byte_pipe[1], &byte, 1) != 1, "pipe");
        done = read(byte_pipe[0], (void *)at, 1);
        if (done != 1) {
            int error = errno;
            must(read(byte_pipe[0], &byte, 1) != 1, "pipe");
            errno = error;
        }
        return done == 1 ? 0 : -errno;
    case FILE_READ: done = pread(memory_fd, &byte, 1, (off_t)(page * PAGE_BYTES)); break;
    case FILE_WRITE: done = pwrite(memory_fd, &byte, 1, (off_t)(page * PAGE_BYTES)); return done == 1 ? 0 : -errno;
    }
    if (done < 0) return -errno;
    if (done == 0) return -ENODATA;
    *sum += byte * (page % 251 + 1);
    return 0;
}

struct range { u64 first, pages, stride; };
static struct range parse_range(const char *text) {
    struct range range = { 0, 0, 1 };
    char *rest = NULL;
    if (text) range.first = strtoull(text, &rest, 10);
    if (!rest || *rest != '+') die("%s: not a range, which is FIRST+PAGES or FIRST+PAGES/STRIDE.", text ? text : "nothing");
    range.pages = strtoull(rest + 1, &rest, 10);
    if (*rest == '/') range.stride = strtoull(rest + 1, &rest, 10);
    if (*rest != '\0' || range.stride == 0 || range.first + range.pages > MOST_PAGES) die("%s: not a range of the window.", text);
    return range;
}
static int parse_protection(const char *text) {
    if (strcmp(text, "none") == 0) return PROT_NONE;
    return (strchr(text, 'r') ? PROT_READ : 0) | (strchr(text, 'w') ? PROT_WRITE : 0) | (strchr(text, 'x') ? PROT_EXEC : 0);
}
static const struct { const char *name; int advice; } advices[] = {
    { "normal", 0 }, { "random", 1 }, { "sequential", 2 }, { "willneed", 3 }, { "dontneed", 4 }, { "free", 8 }, { "remove", 9 }, { "dontfork", 10 }, { "dofork", 11 },
    { "hugepage", 14 }, { "nohugepage", 15 }, { "dontdump", 16 }, { "dodump", 17 }, { "wipeonfork", 18 }, { "keeponfork", 19 }, { "cold", 20 }, { "pageout", 21 },
    { "populate_read", 22 }, { "populate_write", 23 }, { "dontneed_locked", 24 }, { "collapse", 25 }, { "guard_install", 102 }, { "guard_remove", 103 },
};
static int parse_advice(const char *text) {
    for (size_t i = 0; i < COUNT_OF(advices); i++) if (strcmp(advices[i].name, text) == 0) return advices[i].advice;
    return atoi(text);
}

static u8 value;  // of the next write
#define MOST_WORDS 10
/** Does one step. @returns what to print after the colon */
static const char *act(char **word, int words) {
    static char answer[200];
    const char *op = word[0];
    const char *none = NULL, *first_word = words > 1 ? word[1] : none;
    int error = 0;
#define IS(text) (strcmp(op, text) == 0)
#define CALL(expression) (error = (expression) == 0 ? 0 : errno)
#define AT(range) (WINDOW + (range).first * PAGE_BYTES), (range).pages * PAGE_BYTES
#define WITH(text) ({ int found = 0; for (int w = 2; w < words; w++) found |= strcmp(word[w], text) == 0; found; })
    if (IS("map")) {
        struct range r = parse_range(first_word);
        int shared = WITH("shared") || WITH("file"), file = WITH("file") || WITH("private");
        int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (file ? 0 : MAP_ANONYMOUS) | (WITH("fresh") ? MAP_FIXED_NOREPLACE : MAP_FIXED) |
            (WITH("populate") ? MAP_POPULATE : 0) | (WITH("lock") ? MAP_LOCKED : 0) | (WITH("noreserve") ? MAP_NORESERVE : 0);
        u8 *got = mmap(AT(r), parse_protection(word[3]), flags, file ? memory_fd : -1, file ? (off_t)(r.first * PAGE_BYTES) : 0);
        error = got == MAP_FAILED ? errno : 0;
    } else if (IS("unmap")) CALL(munmap(AT(parse_range(first_word))));
    else if (IS("protect")) CALL(mprotect(AT(parse_range(first_word)), parse_protection(word[2])));
    else if (IS("advise")) CALL(madvise(AT(parse_range(first_word)), parse_advice(word[2])));
    else if (IS("lock")) CALL(mlock(AT(parse_range(first_word))));
    else if (IS("lockonfault")) CALL(syscall(SYS_mlock2, AT(parse_range(first_word)), 1));
    else if (IS("unlock")) CALL(munlock(AT(parse_range(first_word))));
    else if (IS("core")) {
        static u8 resident[MOST_PAGES];
        CALL(mincore(AT(parse_range(first_word)), resident));
    } else if (IS("move")) {
        struct range from = parse_range(first_word), to = parse_range(word[2]);
        void *got = mremap(AT(from), to.pages * PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED | (WITH("keep") ? 4 : 0), WINDOW + to.first * PAGE_BYTES);
        error = got == MAP_FAILED ? errno : 0;
    } else if (IS("resize")) error = mremap(AT(parse_range(first_word)), strtoull(word[2], NULL, 10) * PAGE_BYTES, 0) == MAP_FAILED ? errno : 0;
    else if (IS("truncate")) CALL(ftruncate(memory_fd, (off_t)(strtoull(first_word, NULL, 10) * PAGE_BYTES)));
    else if (IS("punch")) {
        struct range r = parse_range(first_word);
        CALL(fallocate(memory_fd, 3, (off_t)(r.first * PAGE_BYTES), (off_t)(r.pages * PAGE_BYTES)));  // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    } else if (IS("rollup")) {
        static const char *const same[] = { "Rss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous", "LazyFree", "AnonHugePages", "Locked" };
        u64 sums[COUNT_OF(same)] = { 0 };
        for (char *line = slurp("/proc/self/smaps"); line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
            for (size_t i = 0; i < COUNT_OF(same); i++) {
                size_t length = strlen(same[i]);
                if (strncmp(line, same[i], length) == 0 && line[length] == ':') sums[i] += strtoull(line + length + 1, NULL, 10);
            }
        const char *rollup = slurp("/proc/self/smaps_rollup");
        // A locked VMA adds its Pss, which the one file rounds by VMA and the other at the end.
        for (size_t i = 0; i < COUNT_OF(same); i++) {
            u64 all = number_in(rollup, same[i]);
            if (i + 1 < COUNT_OF(same) ? all != sums[i] : all < sums[i]) return snprintf(answer, sizeof answer, "%s differs", same[i]), answer;
        }
    } else {
        static const char *const touches[] = { "read", "write", "kread", "kwrite", "pread", "pwrite" };
        size_t how = 0;
        while (how < COUNT_OF(touches) && !IS(touches[how])) how++;
        if (how == COUNT_OF(touches)) die("%s: no such step.", op);
        struct range r = parse_range(first_word);
        u64 sum = 0, refused = 0;
        int why = 0;
        for (u64 i = 0; i < r.pages; i += r.stride) {
            int failed = touch_page((enum touch)how, r.first + i, value, &sum);
            if (failed == 0) continue;
            refused++;
            if (why == 0) why = failed;
        }
        if (refused) return snprintf(answer, sizeof answer, "%llu refused by %d, sum %llu", (unsigned long long)refused, why, (unsigned long long)sum), answer;
        return snprintf(answer, sizeof answer, how == READ || how == KERNEL_READ || how == FILE_READ ? "sum %llu" : "0", (unsigned long long)sum), answer;
    }
    return snprintf(answer, sizeof answer, "%d", error), answer;
}

static int commands[ACTORS][2], answers[2];  // pipes: what to do, for each actor; what became of it, of all
static void reply(const char *text) {
    size_t left = strlen(text) + 1;
    while (left > 0) {
        ssize_t wrote = write(answers[1], text, left);
        must(wrote <= 0, "write");
        text += wrote, left -= (size_t)wrote;
    }
}
/** The fields that differ from the last time, as " a.rss=256". */
static void reply_view(void) {
    static char text[TEXT];
    size_t at = 0;
    read_view(&now);
    text[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i].from == LIST) {
            if (strcmp(now.lists[i], seen.lists[i]) == 0) continue;
            const char *list = now.lists[i];
            if (strlen(list) > longest) at += (size_t)snprintf(text + at, TEXT - at, " %c.%s=#%llx", name_of_actor, fields[i].name, (unsigned long long)hash_of(list));
            else at += (size_t)snprintf(text + at, TEXT - at, " %c.%s=%s", name_of_actor, fields[i].name, *list ? list : "-");
        } else {
            if (fields[i].from == STATUS) now.numbers[i] -= at_first[i];
            if (now.numbers[i] != seen.numbers[i]) at += (size_t)snprintf(text + at, TEXT - at, " %c.%s=%ld", name_of_actor, fields[i].name, now.numbers[i]);
        }
    }
    seen = now;
    reply(text);
}
/** What an actor is: it does what its pipe says, until it says `exit`. A line is: value of writes, step; or `?` for the view. */
static void open_pagemap(void) {
    if (pagemap_fd >= 0) close(pagemap_fd);
    pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
    must(pagemap_fd < 0, "/proc/self/pagemap");
}
static void be_actor(void) {
    static char line[256], answer[256];
    char *word[MOST_WORDS];
    open_pagemap();
    for (int i = 0; i < ACTORS; i++) close(commands[i][1]);  // so that it ends when nobody can tell it anything any more
    settle();
    const char *status = slurp("/proc/self/status");
    for (size_t i = 0; i < COUNT_OF(fields); i++) if (fields[i].from == STATUS) at_first[i] = (long)number_in(status, fields[i].source);
    while (read(commands[name_of_actor - 'a'][0], line, sizeof line) == sizeof line) {
        if (line[0] == '?') {
            reply_view();
            continue;
        }
        int words = 0;
        for (char *w = strtok(line, " "); w && words < MOST_WORDS; w = strtok(NULL, " ")) word[words++] = w;
        value = (u8)atoi(word[0]);
        if (words == 3 && strcmp(word[1], "fork") == 0) {
            long pid = syscall(SYS_clone, 0x8000 | SIGCHLD, 0, 0, 0, 0);  // CLONE_PARENT: whoever reads the script waits for all
            must(pid < 0, "clone");
            if (pid == 0) name_of_actor = *word[2], memset(&seen, 0, sizeof seen), open_pagemap();
            settle();
            if (pid != 0) reply("0");
            continue;
        }
        if (strcmp(word[1], "exit") == 0) _exit(0);
        forget_translations();
        u64 before = minor_faults();
        const char *result = act(word + 1, words - 1);
        u64 faults = minor_faults() - before;
        snprintf(answer, sizeof answer, faults ? "%s faults=%llu" : "%s", result, (unsigned long long)faults);
        reply(answer);
    }
    _exit(0);
}

// --- Whoever reads the script ---------------------------------------------------------------------------------------------------

/** Empties Linux's per-cpu batches of pages on their way to an LRU list, which hide what madvise did: MADV_COLLAPSE does, before it finds no 2 MiB here. */
static void drain_batches(void) {
    static u8 *large;
    if (!large) {
        large = anonymous(4 * MIB);
        *large = 1;  // it must have had a page
    }
    madvise(large + PAGE_BYTES, PAGE_BYTES, 25);
}
static pid_t living[ACTORS];
static void tell(int actor, const char *text) {
    char line[256] = { 0 };
    snprintf(line, sizeof line, "%s", text);
    must(write(commands[actor][1], line, sizeof line) != sizeof line, "write");
}
static const char *hear(void) {
    static char text[TEXT];
    for (size_t at = 0; at < sizeof text;) {  // one answer is under way at a time
        ssize_t got = read(answers[0], text + at, sizeof text - at);
        must(got <= 0, "an actor's answer");
        at += (size_t)got;
        if (text[at - 1] == '\0') return text;
    }
    die("an actor's answer is too long.");
}
/** Waits for any child; with CLONE_PARENT all actors are children of this process, but only the first one's number is known to it. */
static void reap(void) {
    int status;
    must(wait(&status) < 0, "wait");
    if (status != 0) die("an actor ended with status %d.", status);
}
static void start(void) {
    must(ftruncate(memory_fd, 0) != 0 || ftruncate(memory_fd, (off_t)(MOST_PAGES * PAGE_BYTES)) != 0, "ftruncate");
    fflush(stdout);
    living[0] = fork();
    must(living[0] < 0, "fork");
    if (living[0] == 0) be_actor();
    tell(0, "?");
    hear();
}
static void end_actor(int actor) {
    if (!living[actor]) return;
    tell(actor, "0 exit");
    reap();
    living[actor] = 0;
}
static void end_all(void) { for (int i = 0; i < ACTORS; i++) end_actor(i); }

int main(int argc, char **argv) {
    static char output[64 * KIB], line[256], copy[280];
    static struct counts before, after;
    u64 counting = 0;
    const struct parameter rows[] = {
        { "longest", &longest, 0, TEXT / 5, NULL, "characters of a list; a longer one is shown by its hash" },
        { "count", &counting, 0, 1, NULL, "1: show changes of the per-size counters, too, which are the whole machine's" },
    };
    parse_parameters(argc, argv, "probe", "do to memory what a script on standard input says, and show what the kernel says about it", rows, COUNT_OF(rows));
    setvbuf(stdout, output, _IOFBF, sizeof output);
    flags_fd = open("/proc/kpageflags", O_RDONLY);
    counts_fd = open("/proc/kpagecount", O_RDONLY);
    must(flags_fd < 0 || counts_fd < 0, "/proc/kpageflags, /proc/kpagecount");
    memory_fd = (int)syscall(SYS_memfd_create, "memory", 0);
    must(memory_fd < 0 || pipe(byte_pipe) != 0 || pipe(answers) != 0, "pipe");
    for (int i = 0; i < ACTORS; i++) must(pipe(commands[i]) != 0, "pipe");
    struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);

    for (u64 step = 1; fgets(line, sizeof line, stdin);) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#') continue;
        if (strncmp(line, "== ", 3) == 0) {
            end_all();
            start();
            printf("%s\n", line);
            if (counting) count(&before);
            continue;
        }
        int actor = line[0] - 'a';
        if (actor < 0 || actor >= ACTORS || line[1] != ' ' || !living[actor]) die("%s: not a step of a living process.", line);
        printf("%s:", line);
        if (strcmp(line + 2, "exit") == 0) end_actor(actor);
        else {
            snprintf(copy, sizeof copy, "%llu %s", (unsigned long long)(step++ % 251 + 1), line + 2);
            tell(actor, copy);
            printf(" %s", hear());
            if (strncmp(line + 2, "fork ", 5) == 0) living[line[7] - 'a'] = 1;
        }
        drain_batches();
        for (int i = 0; i < ACTORS; i++)
            if (living[i]) {
                tell(i, "?");
                printf("%s", hear());
            }
        if (counting) {
            count(&after);
            print_change(&before, &after);
            before = after;
        }
        printf("\n");
    }
    end_all();
    return 0;
}
