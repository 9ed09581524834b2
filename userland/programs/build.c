// A build: many small sources, for each a process that is forked and executed anew ("compiler"), and one that reads all results ("linker").
// Short lives, so most of the time goes into page faults, fork, exec and exit.
#include "common.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char text[64 * KIB];

static void write_file(const char *path, const char *bytes, size_t count) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, bytes, count) != (ssize_t)count) die("%s: %s.", path, strerror(errno));
    close(fd);
}
static size_t read_file(const char *path) {
    int fd = open(path, O_RDONLY);
    size_t have = 0;
    ssize_t got = 0;
    if (fd < 0) die("%s: %s.", path, strerror(errno));
    while (have < sizeof text && (got = read(fd, text + have, sizeof text - have)) > 0) have += (size_t)got;
    if (got < 0) die("%s: %s.", path, strerror(errno));
    close(fd);
    return have;
}

/** The source of unit `unit`: lines that name and number things. */
static size_t make_source(char *out, size_t room, u64 unit, u64 lines, struct random *random) {
    size_t at = 0;
    for (u64 line = 0; line < lines && at + 80 < room; line++) {
        u64 used = random_below(random, line + 1), added = random_below(random, 100000);
        at += (size_t)snprintf(out + at, room - at, "let u%llu_v%llu = v%llu + %llu;\n", (unsigned long long)unit, (unsigned long long)line, (unsigned long long)used, (unsigned long long)added);
    }
    return at;
}

/** The "compiler": a table of the words of a source on the heap, then one line a word with how often it occurred. */
static int compile(const char *source, const char *object) {
    struct word { struct word *next; u64 hash, count; };
    enum { BUCKETS = 256 };
    struct word **buckets = calloc(BUCKETS, sizeof *buckets);
    size_t length = read_file(source);
    for (size_t i = 0; i < length;) {
        u64 hash = 0;
        size_t start = i;
        while (i < length && text[i] > ' ') hash = hash * 131 + (u8)text[i++];
        while (i < length && text[i] <= ' ') i++;
        if (i == start) break;
        struct word *word = buckets[hash % BUCKETS];
        while (word && word->hash != hash) word = word->next;
        if (!word) {
            word = malloc(sizeof *word);
            if (!word) die("no memory.");
            *word = (struct word){ buckets[hash % BUCKETS], hash, 0 };
            buckets[hash % BUCKETS] = word;
        }
        word->count++;
    }
    size_t at = 0;
    for (size_t b = 0; b < BUCKETS; b++)
        for (struct word *word = buckets[b]; word && at + 40 < sizeof text; word = word->next)
            at += (size_t)snprintf(text + at, sizeof text - at, "%016llx %llu\n", (unsigned long long)word->hash, (unsigned long long)word->count);
    write_file(object, text, at);
    return 0;
}

static void run_compiler(const char *program, const char *source, const char *object) {
    int status;
    pid_t child = fork();
    if (child < 0) die("no fork: %s.", strerror(errno));
    if (child == 0) {
        execl(program, "build", "--compile", source, object, (char *)NULL);
        die("%s: %s.", program, strerror(errno));
    }
    if (waitpid(child, &status, 0) != child || status != 0) die("the compiler failed on %s.", source);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--compile") == 0) return compile(argv[2], argv[3]);
    u64 units = 24, lines = 150, seed = 1;
    const char *folder = "/tmp/build", *program = "/proc/self/exe";
    const struct parameter rows[] = {
        { "units", &units, 1, 1ull << 20, NULL, "sources to compile" },
        { "lines", &lines, 1, 1000, NULL, "lines of each source" },
        { "folder", NULL, 0, 0, &folder, "where the files go; removed in the end" },
        { "program", NULL, 0, 0, &program, "this program, to be executed for each source" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of the sources" },
    };
    parse_parameters(argc, argv, "build", "compile many small files, each in a process of its own", rows, COUNT_OF(rows));

    struct random random = { seed };
    char source[256], object[256];
    u64 sum = 0, bytes = 0;
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) die("%s: %s.", folder, strerror(errno));
    for (u64 unit = 0; unit < units; unit++) {
        snprintf(source, sizeof source, "%s/%llu.src", folder, (unsigned long long)unit);
        snprintf(object, sizeof object, "%s/%llu.obj", folder, (unsigned long long)unit);
        write_file(source, text, make_source(text, sizeof text, unit, lines, &random));
        run_compiler(program, source, object);
    }
    for (u64 unit = 0; unit < units; unit++) {
        snprintf(source, sizeof source, "%s/%llu.src", folder, (unsigned long long)unit);
        snprintf(object, sizeof object, "%s/%llu.obj", folder, (unsigned long long)unit);
        size_t length = read_file(object);
        for (size_t i = 0; i < length; i++) sum = sum * 31 + (u8)text[i];
        bytes += length;
        unlink(source);
        unlink(object);
    }
    if (rmdir(folder) != 0) die("%s: %s.", folder, strerror(errno));
    printf("build: %llu units, %llu lines each, %llu bytes of objects\n", (unsigned long long)units, (unsigned long long)lines, (unsigned long long)bytes);
    print_checksum(mix(sum, bytes));
    return 0;
}
