// Shows the folios behind anonymous memory, pattern by pattern: which page lies where in a folio of which order. Needs root.
// After the step (show.h) each line has the region from its first page on, in pieces that belong together:
//   4:0+16  sixteen pages from the start of an order-4 folio      z+8   eight pages of the zero page, small or huge
//   4:5+11  eleven pages from page 5 of an order-4 folio          .+12  twelve pages that are absent          x3  three times the same
// It reads frame numbers in /proc/self/pagemap, and heads and tails in /proc/kpageflags.
#include "show.h"

#define PRESENT (1ull << 63)
#define FRAME(entry) ((entry) & ((1ull << 55) - 1))
enum { HEAD = 15, TAIL = 16, ZERO_PAGE = 24 };

static int flags_fd = -1;
/** The flags of `count` frames from `frame` on. */
static void read_flags(u64 frame, u64 count, u64 *flags) { must(pread(flags_fd, flags, count * 8, (off_t)(frame * 8)) != (ssize_t)(count * 8), "/proc/kpageflags"); }

/** Where a page lies: order -1 absent, -2 zero page; `offset` from the folio's head, whose frame is `head`. */
struct place { int order; u64 offset, head; };
static struct place last;  // of the folios, the one seen last: its pages come one after another
static struct place place_of(u64 entry) {
    static u64 flags[1024];
    u64 frame = FRAME(entry);
    if (!(entry & PRESENT)) return (struct place){ -1, 0, 0 };
    if (last.order > 0 && frame > last.head && frame < last.head + (1ull << last.order)) {
        last.offset = frame - last.head;
        return last;
    }
    read_flags(frame, 1, flags);
    if (flags[0] >> ZERO_PAGE & 1) return (struct place){ -2, 0, 0 };
    u64 head = frame;
    while (flags[0] >> TAIL & 1) read_flags(--head, 1, flags);
    if (!(flags[0] >> HEAD & 1)) return (struct place){ 0, 0, frame };
    u64 size = 1;
    read_flags(head, COUNT_OF(flags), flags);
    while (size < COUNT_OF(flags) && flags[size] >> TAIL & 1) size++;
    return last = (struct place){ __builtin_ctzll(size), frame - head, head };
}

/** Pages that belong together: `count` from `offset` on in a folio of that order. */
struct piece { int order; u64 offset, count; };
static struct piece pieces[MOST_PAGES];
static int alike(u64 i, u64 j, u64 count) {
    for (u64 k = 0; k < count; k++)
        if (pieces[i + k].order != pieces[j + k].order || pieces[i + k].offset != pieces[j + k].offset || pieces[i + k].count != pieces[j + k].count) return 0;
    return 1;
}
static size_t write_piece(char *out, size_t room, const struct piece *piece) {
    if (piece->order < 0) return (size_t)snprintf(out, room, "%c+%llu", piece->order == -1 ? '.' : 'z', (unsigned long long)piece->count);
    return (size_t)snprintf(out, room, "%d:%llu+%llu", piece->order, (unsigned long long)piece->offset, (unsigned long long)piece->count);
}
/** Writes the pieces, with what comes again and again only once: "4:0+16x3", "(z+1 .+15)x7". */
static void write_pieces(char *out, size_t room, u64 count) {
    size_t at = 0;
    *out = '\0';
    for (u64 i = 0; i < count;) {
        u64 period = 1, times = 1;  // of the period that covers most, up to nine pieces
        for (u64 p = 1; p < 10 && i + p <= count; p++) {
            u64 t = 1;
            while (i + (t + 1) * p <= count && alike(i, i + t * p, p)) t++;
            if (t > 1 && t * p > times * period) period = p, times = t;
        }
        at += (size_t)snprintf(out + at, room - at, "%s%s", i > 0 ? " " : "", period > 1 ? "(" : "");
        for (u64 k = 0; k < period && at + 80 < room; k++) {
            if (k > 0) out[at++] = ' ';
            at += write_piece(out + at, room - at, &pieces[i + k]);
        }
        if (period > 1) at += (size_t)snprintf(out + at, room - at, ")");
        if (times > 1) at += (size_t)snprintf(out + at, room - at, "x%llu", (unsigned long long)times);
        must(at + 80 >= room, "the line is too long");
        i += period * times;
    }
}

/** How many pages belong together from the first of `entries` on. */
static u64 piece_length(const struct place *first, const u64 *entries, u64 left) {
    u64 count = 1;
    for (; first->order != 0 && count < left; count++) {
        const struct place next = place_of(entries[count]);
        if (next.order != first->order || (first->order > 0 && (next.head != first->head || next.offset != first->offset + count))) break;
    }
    return count;
}
static void show(char *out, size_t room, const struct region *region) {
    static u64 entries[MOST_PAGES];
    u64 nr = 0;
    last.order = 0;  // what was a folio before may be another by now
    ssize_t bytes = pread(pagemap_fd, entries, region->pages * 8, (off_t)((uintptr_t)region->base / PAGE_BYTES * 8));
    must(bytes != (ssize_t)(region->pages * 8), "/proc/self/pagemap");
    for (u64 i = 0, count; i < region->pages; i += count, nr++) {
        const struct place first = place_of(entries[i]);
        count = piece_length(&first, entries + i, region->pages - i);
        pieces[nr] = (struct piece){ first.order, first.offset, count };
    }
    write_pieces(out, room, nr);
}

int main(int argc, char **argv) {
    flags_fd = open("/proc/kpageflags", O_RDONLY);
    if (flags_fd < 0) die("/proc/kpageflags: %s.", strerror(errno));
    return show_patterns(argc, argv, "folios", "show the folios behind anonymous memory", show);
}
