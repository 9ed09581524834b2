// What every workload shares: parameters with help, a seeded generator, a checksum, anonymous memory, and errors as one sentence.
// Here: only what two or more programs need, as static functions of one header. Not here: any workload.
// Rule for all workloads: the output depends on the parameters alone (no clock, no address, no page size), so that every machine prints the same.
#ifndef QUIRE_COMMON_H
#define QUIRE_COMMON_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define KIB (1024ull)
#define MIB (1024ull * 1024)
#define PAGE_BYTES 4096ull

/** The name of the running program, for messages; set by parse_parameters. */
static const char *program_name = "program";

/** Prints one sentence to stderr and ends with status 1. */
__attribute__((format(printf, 1, 2), noreturn)) static inline void die(const char *format, ...) {
    va_list args;
    fflush(stdout);
    fprintf(stderr, "%s: ", program_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

// --- Parameters -----------------------------------------------------------------------------------------------------

/** One parameter of a workload: a number between least and most, or, where `text` is set, a word. The default is what the variable holds. */
struct parameter {
    const char *name;
    u64 *number;
    u64 least, most;
    const char **text;
    const char *help;
};

static inline void print_help(const char *summary, const struct parameter *rows, size_t count) {
    printf("%s: %s\n\nusage: %s [--NAME VALUE]...\n", program_name, summary, program_name);
    for (size_t i = 0; i < count; i++) {
        printf("  --%-10s %s (default ", rows[i].name, rows[i].help);
        if (rows[i].text) printf("%s)\n", *rows[i].text);
        else printf("%llu; %llu to %llu)\n", (unsigned long long)*rows[i].number, (unsigned long long)rows[i].least, (unsigned long long)rows[i].most);
    }
    printf("Numbers may end in K, M or G (times 1024, 1024^2, 1024^3).\n");
}

/** Reads "4096", "64K", "16M" or "1G"; ends the program with a sentence when it is none of them or out of range. */
static inline u64 parse_number(const struct parameter *row, const char *word) {
    char *end = NULL;
    errno = 0;
    u64 value = strtoull(word, &end, 0);
    unsigned shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' || *end == 'm' ? 20 : *end == 'G' || *end == 'g' ? 30 : 0;
    if (word[0] < '0' || word[0] > '9' || end[shift != 0] != '\0') die("--%s %s: not a number. Write it as in --%s 64K.", row->name, word, row->name);
    if (errno == ERANGE || value > (UINT64_MAX >> shift) || value << shift < row->least || value << shift > row->most)
        die("--%s %s: must be %llu to %llu.", row->name, word, (unsigned long long)row->least, (unsigned long long)row->most);
    return value << shift;
}

/** Fills the parameters from `--name value` or `--name=value`; --help prints them and ends with status 0. */
static inline void parse_parameters(int argc, char **argv, const char *name, const char *summary, const struct parameter *rows, size_t count) {
    program_name = name;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(summary, rows, count);
            exit(0);
        }
        if (strncmp(word, "--", 2) != 0) die("%s: not an option. Try --help.", word);
        const char *equals = strchr(word, '=');
        size_t length = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
        size_t row = 0;
        while (row < count && (strlen(rows[row].name) != length || strncmp(rows[row].name, word + 2, length) != 0)) row++;
        if (row == count) die("%s: no such option. Try --help.", word);
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL) die("%s: a value must follow.", word);
        if (rows[row].text) *rows[row].text = value;
        else *rows[row].number = parse_number(&rows[row], value);
    }
}
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// --- Generator and checksum -------------------------------------------------------------------------------------------

/** The finaliser of splitmix64: every bit of the input reaches every bit of the output. */
static inline u64 scramble(u64 x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/** splitmix64: the seed is the whole state. */
struct random { u64 state; };
static inline u64 random_next(struct random *random) { return scramble(random->state += 0x9e3779b97f4a7c15ull); }
/** A number below `bound`, by the high half of a product (the bias of 2^-64 * bound does not matter here). */
static inline u64 random_below(struct random *random, u64 bound) { return (u64)(((unsigned __int128)random_next(random) * bound) >> 64); }

/** Takes `value` into the checksum `sum`; the order of the values matters. */
static inline u64 mix(u64 sum, u64 value) { return scramble(sum + 0x9e3779b97f4a7c15ull + value); }
static inline void print_checksum(u64 sum) { printf("checksum %016llx\n", (unsigned long long)sum); }

// --- Memory -----------------------------------------------------------------------------------------------------------

/**
 * Zeroed private memory straight from mmap, so that no allocator stands between the workload and the kernel.
 * Who reads it before writing gets the zero page, and after that single pages only: workloads that large folios should serve write first.
 */
static inline void *anonymous(u64 bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) die("no memory for %llu bytes: %s.", (unsigned long long)bytes, strerror(errno));
    return memory;
}
#endif
