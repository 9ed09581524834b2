// Runs the patterns of steps.h and shows the region after each step, by a function that the program brings along.
// Each line: pattern, step, first page (counted from a 2 MiB boundary), pages, and what the function writes. A step of a child gives two lines: the
// child's view, and the parent's at the same time.
#ifndef QUIRE_SHOW_H
#define QUIRE_SHOW_H
#include "steps.h"

static const struct { u64 first_page, pages; } geometries[] = { { 3, 1021 }, { 16, 48 } };
#define LINE_BYTES 4096  // no more than a pipe takes at once

/** Writes one line, without its end, about the region as this process sees it. */
typedef void show_function(char *out, size_t room, const struct region *region);

static pid_t child = -1;
static int release_fd = -1;
/** Forks; the child runs the step, sends its line and sleeps until end_child. */
static void show_in_child(show_function *show, char *out, size_t room, const struct step *step, struct region *region) {
    int answers[2], release[2];
    must(pipe(answers) != 0 || pipe(release) != 0, "pipe");
    fflush(stdout);
    child = fork();
    must(child < 0, "fork");
    if (child == 0) {
        close(release[1]);
        open_pagemap();
        step->run(region);
        show(out, room, region);
        if (write(answers[1], out, room) != (ssize_t)room) _exit(1);
        u8 byte;
        while (read(release[0], &byte, 1) > 0) continue;
        _exit(0);
    }
    close(answers[1]);
    close(release[0]);
    must(read(answers[0], out, room) != (ssize_t)room, "the child's answer");
    close(answers[0]);
    release_fd = release[1];
}
static void end_child(void) {
    int status;
    close(release_fd);
    must(waitpid(child, &status, 0) != child || status != 0, "the child");
}

static void show_pattern(show_function *show, const struct pattern *pattern, u64 first_page, u64 pages) {
    static char line[LINE_BYTES];
    struct region region = make_region(HOME, first_page, pages);
    for (size_t s = 0; s < MOST_STEPS && pattern->steps[s].name; s++) {
        const struct step *step = &pattern->steps[s];
        if (step->where == IN_CHILD) {
            show_in_child(show, line, sizeof line, step, &region);
            printf("%s %s %llu %llu %s\n", pattern->name, step->name, (unsigned long long)first_page, (unsigned long long)pages, line);
        } else if (step->where == CHILD_ENDS) end_child();
        else step->run(&region);
        show(line, sizeof line, &region);
        printf("%s %s%s %llu %llu %s\n", pattern->name, step->where == IN_CHILD ? "parent_of_" : "", step->name, (unsigned long long)first_page, (unsigned long long)pages, line);
    }
    clear_reservation();
}

/** All patterns, or the one that the command line names. */
static int show_patterns(int argc, char **argv, const char *name, const char *summary, show_function *show) {
    static char output[64 * KIB];
    const char *only = "";
    const struct parameter rows[] = { { "pattern", NULL, 0, 0, &only, "the one pattern to run; empty for all" } };
    parse_parameters(argc, argv, name, summary, rows, COUNT_OF(rows));
    setvbuf(stdout, output, _IOFBF, sizeof output);
    reserve();
    open_pagemap();
    for (size_t p = 0; p < COUNT_OF(patterns); p++)
        for (size_t g = 0; g < COUNT_OF(geometries); g++)
            if (*only == '\0' || strcmp(only, patterns[p].name) == 0) show_pattern(show, &patterns[p], geometries[g].first_page, geometries[g].pages);
    return 0;
}
#endif
