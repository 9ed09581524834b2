// Tools that deal with lines of text: echo, grep, head, seq, sort, tail, wc; and test, true, false.
#include "sh.h"
#include <ctype.h>
#include <sys/stat.h>

int echo_main(int argc, char **argv) {
    int first = 1, newline = 1;
    while (first < argc && strcmp(argv[first], "-n") == 0) {
        newline = 0;
        first++;
    }
    for (int i = first; i < argc; i++) printf("%s%s", i > first ? " " : "", argv[i]);
    if (newline) putchar('\n');
    return 0;
}
int true_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return 0;
}
int false_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return 1;
}

/** Calls `use` with each file named from argv[first] on, or with stdin; files that cannot be opened are complained about. */
static int each_file(int argc, char **argv, int first, int (*use)(FILE *file, const char *name)) {
    int status = 0;
    if (first >= argc) return use(stdin, NULL);
    for (int i = first; i < argc; i++) {
        FILE *file = strcmp(argv[i], "-") == 0 ? stdin : fopen(argv[i], "re");
        if (file == NULL) {
            status |= complain(argv[i]);
            continue;
        }
        int got = use(file, argc - first > 1 ? argv[i] : NULL);
        status = got > status ? got : status;
        if (file != stdin) fclose(file);
    }
    return status;
}
/** The number of a count option such as -n 5 or -5; -1: not a number. */
static long parse_count(const char *text) {
    char *end;
    long count = strtol(text, &end, 10);
    return *text == '\0' || *end != '\0' || count < 0 ? -1 : count;
}

// --- wc ---------------------------------------------------------------------------------------------------------------------------

static int show_lines, show_words, show_bytes;
static unsigned long long total_lines, total_words, total_bytes;
static void print_counts(unsigned long long lines, unsigned long long words, unsigned long long bytes, const char *name) {
    const int width = show_lines + show_words + show_bytes > 1 ? 7 : 1;  // a number alone is for scripts
    if (show_lines) printf("%*llu", width, lines);
    if (show_words) printf("%*llu", width, words);
    if (show_bytes) printf("%*llu", width, bytes);
    printf("%s%s\n", name ? " " : "", name ? name : "");
}
static int count_file(FILE *file, const char *name) {
    unsigned long long lines = 0, words = 0, bytes = 0;
    int byte, in_word = 0;
    while ((byte = getc(file)) != EOF) {
        bytes++;
        lines += byte == '\n';
        words += !isspace(byte) && !in_word;
        in_word = !isspace(byte);
    }
    total_lines += lines;
    total_words += words;
    total_bytes += bytes;
    print_counts(lines, words, bytes, name);
    return 0;
}
int wc_main(int argc, char **argv) {
    int option;
    optind = 1;
    show_lines = show_words = show_bytes = 0;
    while ((option = getopt(argc, argv, "lwc")) != -1) {
        if (option == '?') return misuse("no such option");
        *(option == 'l' ? &show_lines : option == 'w' ? &show_words : &show_bytes) = 1;
    }
    if (!show_lines && !show_words && !show_bytes) show_lines = show_words = show_bytes = 1;
    int status = each_file(argc, argv, optind, count_file);
    if (argc - optind > 1) print_counts(total_lines, total_words, total_bytes, "total");
    return status;
}

// --- grep: . * ^ $ and plain characters, as in Pike's matcher ------------------------------------------------------------------------

static const char *pattern;
static int inverted, only_count, ignore_case, with_numbers;
static int same(char wanted, char c) { return c != '\0' && (wanted == '.' || wanted == c || (ignore_case && tolower((unsigned char)wanted) == tolower((unsigned char)c))); }
/** One character of the pattern at `p`: how long it is written (2 with a backslash). */
static int unit(const char *p) { return p[0] == '\\' && p[1] != '\0' ? 2 : 1; }
static int same_unit(const char *p, char c) { return unit(p) == 2 ? c != '\0' && (p[1] == c || (ignore_case && tolower((unsigned char)p[1]) == tolower((unsigned char)c))) : same(*p, c); }
static int match_here(const char *p, const char *text) {
    for (;;) {
        if (*p == '\0') return 1;
        if (p[0] == '$' && p[1] == '\0') return *text == '\0';
        int length = unit(p);
        if (p[length] == '*') {
            do if (match_here(p + length + 1, text)) return 1;
            while (same_unit(p, *text++));
            return 0;
        }
        if (!same_unit(p, *text)) return 0;
        p += length;
        text++;
    }
}
static int match(const char *text) {
    if (*pattern == '^') return match_here(pattern + 1, text);
    do if (match_here(pattern, text)) return 1;
    while (*text++ != '\0');
    return 0;
}
static int any_match;
static int grep_file(FILE *file, const char *name) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    unsigned long matches = 0, number = 0;
    while ((length = getline(&line, &room, file)) >= 0) {
        number++;
        if (length > 0 && line[length - 1] == '\n') line[length - 1] = '\0';
        if (match(line) == inverted) continue;
        matches++;
        if (only_count) continue;
        if (name) printf("%s:", name);
        if (with_numbers) printf("%lu:", number);
        puts(line);
    }
    free(line);
    if (only_count) printf("%s%s%lu\n", name ? name : "", name ? ":" : "", matches);
    any_match |= matches > 0;
    return 0;
}
int grep_main(int argc, char **argv) {
    int option;
    optind = 1;
    while ((option = getopt(argc, argv, "vcin")) != -1) {
        if (option == '?') return misuse("no such option");
        *(option == 'v' ? &inverted : option == 'c' ? &only_count : option == 'i' ? &ignore_case : &with_numbers) = 1;
    }
    if (optind == argc) return misuse("a pattern must follow");
    pattern = argv[optind];
    return each_file(argc, argv, optind + 1, grep_file) != 0 ? 2 : !any_match;
}

// --- head, tail, sort, seq -------------------------------------------------------------------------------------------------------------

static long wanted_lines;
/** Reads "-n 5" or "-5"; returns the index of the first file, or -1 when it is wrong. */
static int parse_lines(int argc, char **argv) {
    wanted_lines = 10;
    if (argc < 2 || argv[1][0] != '-' || argv[1][1] == '\0') return 1;
    int separate = strcmp(argv[1], "-n") == 0;
    wanted_lines = separate ? argc > 2 ? parse_count(argv[2]) : -1 : parse_count(argv[1] + 1 + (argv[1][1] == 'n'));
    return wanted_lines < 0 ? -1 : 2 + separate;
}
static int head_file(FILE *file, const char *name) {
    int byte;
    if (name) printf("==> %s <==\n", name);
    for (long lines = 0; lines < wanted_lines && (byte = getc(file)) != EOF; lines += byte == '\n') putchar(byte);
    return 0;
}
int head_main(int argc, char **argv) {
    int first = parse_lines(argc, argv);
    return first < 0 ? misuse("not a number of lines") : each_file(argc, argv, first, head_file);
}

struct lines { char **list; size_t count, room; };
static struct lines lines;
static void add_lines(FILE *file) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, file)) >= 0) {
        if (lines.count == lines.room) {
            char **larger = keep((lines.room = lines.room ? 2 * lines.room : 64) * sizeof *larger);
            if (lines.count) memcpy(larger, lines.list, lines.count * sizeof *larger);
            lines.list = larger;
        }
        if (length > 0 && line[length - 1] == '\n') length--;
        lines.list[lines.count++] = keep_string(line, (size_t)length);
    }
    free(line);
}
static int tail_file(FILE *file, const char *name) {
    if (name) printf("==> %s <==\n", name);
    lines = (struct lines){ 0 };
    add_lines(file);
    size_t wanted = (size_t)wanted_lines;
    for (size_t i = lines.count > wanted ? lines.count - wanted : 0; i < lines.count; i++) puts(lines.list[i]);
    return 0;
}
int tail_main(int argc, char **argv) {
    int first = parse_lines(argc, argv);
    return first < 0 ? misuse("not a number of lines") : each_file(argc, argv, first, tail_file);
}

static int numeric, reversed;
static int compare_lines(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    double nx = numeric ? strtod(x, NULL) : 0, ny = numeric ? strtod(y, NULL) : 0;
    int order = nx < ny ? -1 : nx > ny ? 1 : strcmp(x, y);
    return reversed ? -order : order;
}
static int gather_file(FILE *file, const char *name) {
    (void)name;
    add_lines(file);
    return 0;
}
int sort_main(int argc, char **argv) {
    int option;
    optind = 1;
    while ((option = getopt(argc, argv, "nr")) != -1) {
        if (option == '?') return misuse("no such option");
        *(option == 'n' ? &numeric : &reversed) = 1;
    }
    int status = each_file(argc, argv, optind, gather_file);
    if (lines.count) qsort(lines.list, lines.count, sizeof *lines.list, compare_lines);
    for (size_t i = 0; i < lines.count; i++) puts(lines.list[i]);
    return status;
}

int seq_main(int argc, char **argv) {
    long long values[3];
    if (argc < 2 || argc > 4) return misuse("one to three numbers must follow");
    for (int i = 1; i < argc; i++) {
        char *end;
        values[i - 1] = strtoll(argv[i], &end, 10);
        if (*argv[i] == '\0' || *end != '\0') return misuse("not a whole number");
    }
    long long first = argc > 2 ? values[0] : 1, step = argc == 4 ? values[1] : 1, last = values[argc - 2];
    if (step == 0) return misuse("a step of 0 has no end");
    for (long long value = first; step > 0 ? value <= last : value >= last; value += step) printf("%lld\n", value);
    return 0;
}

// --- test -----------------------------------------------------------------------------------------------------------------------------

static int test_file(char what, const char *path) {
    struct stat about;
    if (what == 'r' || what == 'w' || what == 'x') return access(path, what == 'r' ? R_OK : what == 'w' ? W_OK : X_OK) == 0;
    if (stat(path, &about) != 0) return 0;
    return what == 'e' || (what == 'f' && S_ISREG(about.st_mode)) || (what == 'd' && S_ISDIR(about.st_mode)) || (what == 's' && about.st_size > 0);
}
/** 1: true, 0: false, -1: not an expression. */
static int evaluate(int count, char **words) {
    static const char *const comparisons[] = { "-eq", "-ne", "-lt", "-le", "-gt", "-ge" };
    if (count == 0) return 0;
    if (strcmp(words[0], "!") == 0 && count > 1) {
        int rest = evaluate(count - 1, words + 1);
        return rest < 0 ? rest : !rest;
    }
    if (count == 1) return *words[0] != '\0';
    if (count == 2) {
        if (words[0][0] != '-' || words[0][1] == '\0' || words[0][2] != '\0') return -1;
        if (words[0][1] == 'z') return *words[1] == '\0';
        if (words[0][1] == 'n') return *words[1] != '\0';
        return strchr("erwxfds", words[0][1]) ? test_file(words[0][1], words[1]) : -1;
    }
    if (count != 3) return -1;
    if (strcmp(words[1], "=") == 0) return strcmp(words[0], words[2]) == 0;
    if (strcmp(words[1], "!=") == 0) return strcmp(words[0], words[2]) != 0;
    for (int i = 0; i < 6; i++) {
        if (strcmp(words[1], comparisons[i]) != 0) continue;
        char *end1, *end2;
        long long x = strtoll(words[0], &end1, 10), y = strtoll(words[2], &end2, 10);
        if (*words[0] == '\0' || *words[2] == '\0' || *end1 != '\0' || *end2 != '\0') return -1;
        const int results[] = { x == y, x != y, x < y, x <= y, x > y, x >= y };
        return results[i];
    }
    return -1;
}
int test_main(int argc, char **argv) {
    if (strcmp(argv[0], "[") == 0) {
        if (strcmp(argv[argc - 1], "]") != 0) return misuse("] is missing");
        argc--;
    }
    int result = evaluate(argc - 1, argv + 1);
    return result < 0 ? misuse("not an expression that is known here") : !result;
}
