// Shows what the kernel says about anonymous memory, pattern by pattern: /proc/self/smaps, mincore and /proc/self/pagemap after each step.
// After the step (show.h) each line has: the number of VMAs that hold the region; in kB and summed over these, the fields of smaps named below;
// pages that mincore calls resident; pages that pagemap calls exclusive (bit 56).
#include "show.h"

// Not Referenced: real processors set A bits of pages that they only speculate about, so that it differs from run to run.
static const char *const fields[] = {
    "Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous", "AnonHugePages", "THPeligible",
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

int main(int argc, char **argv) { return show_patterns(argc, argv, "smaps", "show what the kernel says about anonymous memory", show); }
