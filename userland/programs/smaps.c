// Shows what the kernel says about anonymous memory, pattern by pattern: /proc/self/smaps, mincore and /proc/self/pagemap after each step.
// Each line: pattern, step, first page (counted from a 2 MiB boundary), pages; the number of VMAs that hold the region, then, in kB and summed
// over these, the fields of smaps named below; then pages that mincore calls resident, and pages that pagemap calls exclusive (bit 56).
// A step of a child gives two lines: the child's view, and the parent's at the same time. The patterns are in steps.h.
#include "steps.h"

static const struct { u64 first_page, pages; } geometries[] = { { 3, 1021 }, { 16, 48 } };
static const char *const fields[] = {
    "Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Referenced", "Anonymous", "AnonHugePages", "THPeligible",
};

/** Reads /proc/self/smaps whole; the text ends in NUL. */
static const char *read_smaps(void) {
    static char text[128 * KIB];
    size_t have = 0;
    ssize_t got;
    int fd = open("/proc/self/smaps", O_RDONLY);
    must(fd < 0, "/proc/self/smaps");
    while ((got = read(fd, text + have, sizeof text - 1 - have)) > 0) have += (size_t)got;
    must(got < 0, "/proc/self/smaps");
    close(fd);
    text[have] = '\0';
    return text;
}

/** The number of VMAs that overlap [start, end), and the sums of their fields. */
static u64 sum_fields(uintptr_t start, uintptr_t end, u64 sums[COUNT_OF(fields)]) {
    u64 vmas = 0;
    int inside = 0;
    const char *line = read_smaps();
    for (const char *next; *line; line = next) {
        for (next = line; *next != '\0' && *next++ != '\n';) continue;
        // A VMA begins with its addresses in small letters, its fields with capitals.
        if (*line < 'A' || *line > 'Z') {
            char *dash;
            uintptr_t low = strtoull(line, &dash, 16), high = strtoull(dash + 1, NULL, 16);
            inside = low < end && high > start;
            vmas += (u64)inside;
        }
        for (size_t i = 0; inside && i < COUNT_OF(fields); i++) {
            size_t length = strlen(fields[i]);
            if (strncmp(line, fields[i], length) == 0 && line[length] == ':') sums[i] += strtoull(line + length + 1, NULL, 10);
        }
    }
    return vmas;
}

/** One line about the region as this process sees it. */
static void show(char *out, size_t room, const struct region *region) {
    static u64 entries[MOST_PAGES];
    static u8 resident[MOST_PAGES];
    u64 sums[COUNT_OF(fields)] = { 0 }, in_core = 0, exclusive = 0;
    u64 vmas = sum_fields((uintptr_t)region->base, (uintptr_t)region->base + region->pages * PAGE_BYTES, sums);
    // Where a part is unmapped, mincore answers ENOMEM for the whole.
    int whole = mincore(region->base, region->pages * PAGE_BYTES, resident) == 0;
    ssize_t bytes = pread(pagemap_fd, entries, region->pages * 8, (off_t)((uintptr_t)region->base / PAGE_BYTES * 8));
    must(bytes != (ssize_t)(region->pages * 8), "/proc/self/pagemap");
    for (u64 i = 0; i < region->pages; i++) {
        if (whole) in_core += resident[i] & 1;
        exclusive += entries[i] >> 56 & entries[i] >> 63 & 1;
    }
    size_t at = (size_t)snprintf(out, room, "%llu", (unsigned long long)vmas);
    for (size_t i = 0; i < COUNT_OF(fields); i++) at += (size_t)snprintf(out + at, room - at, " %llu", (unsigned long long)sums[i]);
    if (whole) snprintf(out + at, room - at, " %llu %llu", (unsigned long long)in_core, (unsigned long long)exclusive);
    else snprintf(out + at, room - at, " - %llu", (unsigned long long)exclusive);
}

static pid_t child = -1;
static int release_fd = -1;
/** Forks; the child runs the step, sends its line and sleeps until end_child. */
static void show_in_child(char *out, size_t room, const struct step *step, struct region *region) {
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

static void run_pattern(const struct pattern *pattern, u64 first_page, u64 pages) {
    char line[512] = "";
    struct region region = make_region(HOME, first_page, pages);
    for (size_t s = 0; s < MOST_STEPS && pattern->steps[s].name; s++) {
        const struct step *step = &pattern->steps[s];
        if (step->where == IN_CHILD) {
            show_in_child(line, sizeof line, step, &region);
            printf("%s %s %llu %llu %s\n", pattern->name, step->name, (unsigned long long)first_page, (unsigned long long)pages, line);
        } else if (step->where == CHILD_ENDS) end_child();
        else step->run(&region);
        show(line, sizeof line, &region);
        printf("%s %s%s %llu %llu %s\n", pattern->name, step->where == IN_CHILD ? "parent_of_" : "", step->name, (unsigned long long)first_page, (unsigned long long)pages, line);
    }
    clear_reservation();
}

int main(int argc, char **argv) {
    static char output[64 * KIB];
    const char *only = "";
    const struct parameter rows[] = { { "pattern", NULL, 0, 0, &only, "the one pattern to run; empty for all" } };
    parse_parameters(argc, argv, "smaps", "show what the kernel says about anonymous memory", rows, COUNT_OF(rows));
    setvbuf(stdout, output, _IOFBF, sizeof output);
    reserve();
    open_pagemap();
    for (size_t p = 0; p < COUNT_OF(patterns); p++)
        for (size_t g = 0; g < COUNT_OF(geometries); g++)
            if (*only == '\0' || strcmp(only, patterns[p].name) == 0) run_pattern(&patterns[p], geometries[g].first_page, geometries[g].pages);
    return 0;
}
