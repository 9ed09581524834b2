// Tools that ask about or act on the running system: ps, free, sleep, kill, env.
#include "sh.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

/** Reads a small file whole; NULL when it cannot be read. */
static char *slurp(const char *path) {
    struct string text = { 0 };
    char bytes[1024];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    while ((got = read(fd, bytes, sizeof bytes)) > 0) for (ssize_t i = 0; i < got; i++) append(&text, bytes[i]);
    close(fd);
    return text.length ? text.bytes : NULL;
}
/** The number after "label:" in a text of such lines; -1: there is no such line. */
static long long labelled(const char *text, const char *label) {
    size_t length = strlen(label);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, label, length) == 0 && line[length] == ':') return atoll(line + length + 1);
    }
    return -1;
}

static void print_process(const char *pid) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    char *stat = slurp(path);
    char *open = stat ? strchr(stat, '(') : NULL, *close = stat ? strrchr(stat, ')') : NULL;
    if (open == NULL || close == NULL) return;  // it ended while we looked
    char state = '?';
    int parent = 0;
    unsigned long long minor = 0, major = 0, size = 0;
    long long resident = 0;
    // Fields 3 to 24: state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice threads itreal start vsize rss.
    sscanf(close + 2, "%c %d %*d %*d %*d %*d %*u %llu %*u %llu %*u %*u %*u %*d %*d %*d %*d %*d %*d %*u %llu %lld", &state, &parent, &minor, &major, &size, &resident);
    printf("%5s %5d %c %9llu %9lld %8llu %6llu %.*s\n", pid, parent, state, size / 1024, resident * 4, minor, major, (int)(close - open - 1), open + 1);
}
static int compare_numbers(const void *a, const void *b) { return atoi(*(char *const *)a) - atoi(*(char *const *)b); }
int ps_main(int argc, char **argv) {
    char *pids[1024];
    size_t count = 0;
    struct dirent *entry;
    if (argc > 1) return misuse("ps takes no arguments");
    (void)argv;
    DIR *folder = opendir("/proc");
    if (folder == NULL) return complain("/proc");
    while ((entry = readdir(folder)) != NULL && count < 1024)
        if (isdigit((unsigned char)entry->d_name[0])) pids[count++] = keep_string(entry->d_name, strlen(entry->d_name));
    closedir(folder);
    qsort(pids, count, sizeof *pids, compare_numbers);
    printf("  PID  PPID S   SIZE kB    RSS kB   MINFLT MAJFLT COMMAND\n");
    for (size_t i = 0; i < count; i++) print_process(pids[i]);
    return 0;
}

int free_main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return misuse("free takes no arguments");
    const char *text = slurp("/proc/meminfo");
    if (text == NULL) return complain("/proc/meminfo");
    long long total = labelled(text, "MemTotal"), unused = labelled(text, "MemFree"), cached = labelled(text, "Cached"), available = labelled(text, "MemAvailable");
    long long buffers = labelled(text, "Buffers"), swap = labelled(text, "SwapTotal"), swap_free = labelled(text, "SwapFree");
    cached = (cached > 0 ? cached : 0) + (buffers > 0 ? buffers : 0);
    printf("            total        used        free      cached   available   (kB)\n");
    printf("Mem:  %11lld %11lld %11lld %11lld %11lld\n", total, total - unused - cached, unused, cached, available);
    if (swap >= 0) printf("Swap: %11lld %11lld %11lld\n", swap, swap - swap_free, swap_free);
    return 0;
}

int sleep_main(int argc, char **argv) {
    char *end = NULL;
    double seconds = argc == 2 ? strtod(argv[1], &end) : -1;
    if (argc != 2 || *argv[1] == '\0' || *end != '\0' || !(seconds >= 0 && seconds < 1e9)) return misuse("a number of seconds must follow");
    struct timespec rest = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) continue;
    return 0;
}

int kill_main(int argc, char **argv) {
    static const struct { const char *name; int number; } names[] = {
        { "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "KILL", SIGKILL }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "TERM", SIGTERM }, { "CONT", SIGCONT }, { "STOP", SIGSTOP },
    };
    int signal_number = SIGTERM, first = 1, status = 0;
    if (argc > 1 && argv[1][0] == '-') {
        first = 2;
        signal_number = isdigit((unsigned char)argv[1][1]) ? atoi(argv[1] + 1) : -1;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) if (strcmp(argv[1] + 1, names[i].name) == 0) signal_number = names[i].number;
        if (signal_number < 0) return misuse("no such signal");
    }
    if (first >= argc) return misuse("a process must follow");
    for (int i = first; i < argc; i++) {
        char *end;
        long pid = strtol(argv[i], &end, 10);
        if (*argv[i] == '\0' || *end != '\0') return misuse("not a process number");
        if (kill((pid_t)pid, signal_number) != 0) status |= complain(argv[i]);
    }
    return status;
}

int env_main(int argc, char **argv) {
    int first = 1;
    for (; first < argc && name_length(argv[first]) > 0 && argv[first][name_length(argv[first])] == '='; first++) {
        size_t length = name_length(argv[first]);
        set_variable(keep_string(argv[first], length), argv[first] + length + 1, 1);
    }
    char **environment = exported_environment();
    if (first == argc) {
        for (; *environment; environment++) puts(*environment);
        return 0;
    }
    execvpe(argv[first], argv + first, environment);
    int missing = errno == ENOENT;
    complain(argv[first]);
    return missing ? 127 : 126;
}
