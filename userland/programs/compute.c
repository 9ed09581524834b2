// Ordinary computing, one kernel a run: arithmetic, tables, hashing, sorting, copying, lists and parsing, a matrix, hashed pages, a B-tree of records.
// For comparing engines: what a translator meets in real programs. A round of any kernel is 10 to 500 million instructions.
#include "common.h"
#include <stddef.h>

typedef uint16_t u16;
#define MILLION 1000000ull

static inline void fill(void *memory, u64 bytes, struct random *random) {
    for (u64 i = 0; i < bytes / 8; i++) ((u64 *)memory)[i] = random_next(random);
}

// --- alu: arithmetic in registers and nothing else ---------------------------------------------------------------------

static u64 alu(u64 rounds, struct random *random) {
    u64 x = random_next(random) | 1, y = random_next(random), sum = 0;
    u32 z = (u32)random_next(random);
    for (u64 i = 0; i < rounds * MILLION; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        y = y * 6364136223846793005ull + 1442695040888963407ull;
        z = (z << 5 | z >> 27) + (u32)(x >> 32);
        if ((y >> 60) % 4 == 0) sum += y % 1021;
        else sum ^= x + z;
    }
    return mix(sum, z);
}

// --- crc32: a small table, one dependent look-up a byte ------------------------------------------------------------------

static u64 crc32(u64 rounds, struct random *random) {
    static u32 table[256];
    static u64 data[MIB / 8];
    for (u32 i = 0; i < 256; i++) {
        u32 word = i;
        for (int bit = 0; bit < 8; bit++) word = word & 1 ? word >> 1 ^ 0xedb88320u : word >> 1;
        table[i] = word;
    }
    fill(data, sizeof data, random);
    const u8 *bytes = (const u8 *)data;
    u32 crc = ~0u;
    for (u64 round = 0; round < rounds; round++)
        for (u64 i = 0; i < sizeof data; i++) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
    return ~crc;
}

// --- sha256: rotations and additions of 32-bit words, unrolled by nobody -------------------------------------------------

struct sha256 { u32 state[8], constants[64]; };
static inline u32 rotate(u32 word, int by) { return word >> by | word << (32 - by); }

/** The first 32 bits behind the point of a root of `number`, square or cube: FIPS 180-4 defines its constants so. */
static u32 root_fraction(u64 number, int power) {
    u64 low = 0, high = 1ull << 37;
    while (high - low > 1) {
        const u64 middle = (low + high) / 2;
        const unsigned __int128 square = (unsigned __int128)middle * middle, target = (unsigned __int128)number << (32 * power);
        if ((power == 2 ? square : square * middle) <= target) low = middle;
        else high = middle;
    }
    return (u32)low;
}

static void sha256_begin(struct sha256 *sha) {
    u32 found = 0;
    for (u32 number = 2; found < 64; number++) {
        u32 divisor = 2;
        while (number % divisor != 0) divisor++;
        if (divisor != number) continue;
        if (found < 8) sha->state[found] = root_fraction(number, 2);
        sha->constants[found++] = root_fraction(number, 3);
    }
}

static void sha256_block(struct sha256 *sha, const u8 *block) {
    u32 w[64], s[8];
    for (int i = 0; i < 16; i++) w[i] = (u32)block[4 * i] << 24 | (u32)block[4 * i + 1] << 16 | (u32)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        const u32 s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3, s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(s, sha->state, sizeof s);
    for (int i = 0; i < 64; i++) {
        const u32 e = s[4], a = s[0];
        const u32 one = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + sha->constants[i] + w[i];
        const u32 two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6], s[6] = s[5], s[5] = e, s[4] = s[3] + one, s[3] = s[2], s[2] = s[1], s[1] = a, s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) sha->state[i] += s[i];
}

static u64 sha256(u64 rounds, struct random *random) {
    static u64 data[256 * KIB / 8];
    static u8 abc[64] = { 'a', 'b', 'c', 0x80, [63] = 24 };
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_block(&sha, abc);
    if (sha.state[0] != 0xba7816bfu || sha.state[7] != 0xf20015adu) die("SHA-256 of abc is wrong.");
    fill(data, sizeof data, random);
    for (u64 round = 0; round < rounds; round++)
        for (u64 at = 0; at < sizeof data; at += 64) sha256_block(&sha, (const u8 *)data + at);
    return mix((u64)sha.state[0] << 32 | sha.state[1], sha.state[7]);
}

// --- sieve: Eratosthenes over 1 MB, a byte for each odd number -----------------------------------------------------------

static u64 sieve(u64 rounds, struct random *random) {
    static u8 composite[MILLION];
    u64 sum = random_next(random);
    for (u64 round = 0; round < rounds; round++) {
        memset(composite, 0, sizeof composite);
        u64 primes = 1;
        for (u64 i = 1; i < sizeof composite; i++) {
            if (composite[i]) continue;
            primes++;
            for (u64 multiple = 2 * i * (i + 1); multiple < sizeof composite; multiple += 2 * i + 1) composite[multiple] = 1;
        }
        sum = mix(sum, primes);
    }
    return sum;
}

// --- memcpy: blocks of 1 MiB within 16 MiB, ten a round ------------------------------------------------------------------

static u64 copy(u64 rounds, struct random *random) {
    u64 *blocks = anonymous(16 * MIB), sum = 0;
    const u64 words = MIB / 8;
    fill(blocks, 16 * MIB, random);
    for (u64 i = 0; i < 10 * rounds; i++) {
        const u64 from = i % 16, to = (i * 5 + 3) % 16;  // never the same: 4 i + 3 is odd
        memcpy(blocks + to * words, blocks + from * words, MIB);
        sum = mix(sum, blocks[to * words + i % words] += i);
    }
    return sum;
}

// --- qsort: a million 64-bit keys, by recursion --------------------------------------------------------------------------

static void quicksort(u64 *keys, long low, long high) {
    if (high - low < 12) {
        for (long i = low + 1; i <= high; i++) {
            const u64 key = keys[i];
            long at = i;
            for (; at > low && keys[at - 1] > key; at--) keys[at] = keys[at - 1];
            keys[at] = key;
        }
        return;
    }
    const u64 a = keys[low], b = keys[low + (high - low) / 2], c = keys[high];
    const u64 pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    long left = low, right = high;
    while (left <= right) {
        while (keys[left] < pivot) left++;
        while (keys[right] > pivot) right--;
        if (left > right) break;
        const u64 key = keys[left];
        keys[left++] = keys[right];
        keys[right--] = key;
    }
    quicksort(keys, low, right);
    quicksort(keys, left, high);
}

static u64 sort(u64 rounds, struct random *random) {
    u64 *keys = anonymous(MILLION * 8), sum = 0;
    for (u64 round = 0; round < rounds; round++) {
        fill(keys, MILLION * 8, random);
        quicksort(keys, 0, MILLION - 1);
        for (u64 i = 1; i < MILLION; i++)
            if (keys[i - 1] > keys[i]) die("the result is not sorted.");
        for (u64 i = 0; i < MILLION; i += 10007) sum = mix(sum, keys[i]);
    }
    return sum;
}

// --- core: linked lists, a matrix, a state machine and a CRC, everything in the first-level cache ------------------------

#define ITEMS 200
#define SIDE 24
struct item { struct item *next; u32 key, value; };
typedef int (*before)(const struct item *, const struct item *);
static int by_key(const struct item *a, const struct item *b) { return a->key < b->key; }
static int by_value(const struct item *a, const struct item *b) { return a->value != b->value ? a->value < b->value : a->key < b->key; }

static u32 crc16(u32 crc, u32 word) {
    for (int bit = 0; bit < 32; bit++, word >>= 1) crc = (crc ^ word) & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    return crc;
}

static struct item *sort_list(struct item *left, before before) {
    if (left == NULL || left->next == NULL) return left;
    struct item *middle = left, *head = NULL, **tail = &head;
    for (const struct item *end = left->next; end != NULL && end->next != NULL; end = end->next->next) middle = middle->next;
    struct item *right = sort_list(middle->next, before);
    middle->next = NULL;
    left = sort_list(left, before);
    while (left != NULL && right != NULL) {
        struct item **from = before(right, left) ? &right : &left;
        *tail = *from;
        tail = &(*from)->next;
        *from = *tail;
    }
    *tail = left != NULL ? left : right;
    return head;
}

static u32 list_work(struct item **list, u32 crc) {
    struct item *reversed = NULL;
    for (u32 key = 0; key < ITEMS; key += 9) {
        const struct item *item = *list;
        while (item->key != key) item = item->next;
        crc = crc16(crc, item->value);
    }
    *list = sort_list(*list, by_value);
    for (struct item *item = *list, *next; item != NULL; item = next) {
        next = item->next;
        item->value = (item->value * 5 + crc) % 1000;
        item->next = reversed;
        reversed = item;
    }
    *list = sort_list(reversed, by_key);
    return crc16(crc, (*list)->value);
}

static u32 matrix_work(int16_t (*a)[SIDE], int16_t (*b)[SIDE], u32 crc) {
    for (int row = 0; row < SIDE; row++) {
        u32 line = 0;
        for (int column = 0; column < SIDE; column++) {
            int32_t sum = 0;
            for (int k = 0; k < SIDE; k++) sum += a[row][k] * b[k][column];
            b[row][column] = (int16_t)((sum >> 5 & 255) - (sum >> 13 & 127) + (int)(crc & 3));
            line += (u32)sum;
        }
        crc = crc16(crc, line);
    }
    return crc;
}

/** Tells integers, fractions, exponents, names and strings apart, character by character. */
static u32 scan_work(const char *text, u32 crc) {
    enum { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, NAME, STRING, ESCAPE, WRONG, STATES } state = START;
    u32 seen[STATES] = { 0 };
    for (; *text != '\0'; text++) {
        const char c = *text;
        const int digit = c >= '0' && c <= '9', letter = (c >= 'a' && c <= 'z') || c == '_';
        seen[state]++;
        if (c == ' ' && state != STRING && state != ESCAPE) state = START;
        else switch (state) {
            case START: state = digit ? INTEGER : letter ? NAME : c == '-' || c == '+' ? SIGN : c == '.' ? POINT : c == '"' ? STRING : WRONG; break;
            case SIGN: state = digit ? INTEGER : c == '.' ? POINT : WRONG; break;
            case INTEGER: state = digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : WRONG; break;
            case POINT: case FRACTION: state = digit ? FRACTION : c == 'e' && state == FRACTION ? EXPONENT : WRONG; break;
            case EXPONENT: state = digit || c == '-' ? EXPONENT : WRONG; break;
            case NAME: state = digit || letter ? NAME : WRONG; break;
            case STRING: state = c == '\\' ? ESCAPE : c == '"' ? START : STRING; break;
            case ESCAPE: state = STRING; break;
            default: break;
        }
    }
    for (int i = 0; i < STATES; i++) crc = crc16(crc, seen[i]);
    return crc;
}

static u64 core(u64 rounds, struct random *random) {
    static const char *const tokens[] = { "17", "-4.25", "3e10", "1.5e-7", "name", "x_1", "\"a \\\" b\"", "+.5", "0x1f", "12a", "--", ".", "longer_name", "987654321" };
    static struct item items[ITEMS];
    static int16_t a[SIDE][SIDE], b[SIDE][SIDE];
    static char text[2 * KIB];
    struct item *list = NULL;
    u64 length = 0;
    for (u32 i = 0; i < ITEMS; i++) {
        items[i] = (struct item){ list, i, (u32)random_below(random, 1000) };
        list = &items[i];
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i / SIDE][i % SIDE] = (int16_t)random_below(random, 256);
        b[i / SIDE][i % SIDE] = (int16_t)random_below(random, 256);
    }
    while (length < sizeof text - 16) {
        const char *token = tokens[random_below(random, COUNT_OF(tokens))];
        memcpy(text + length, token, strlen(token));
        length += strlen(token);
        text[length++] = ' ';
    }
    u32 crc = 0xffff;
    for (u64 i = 0; i < 100 * rounds; i++) {
        crc = list_work(&list, crc);
        crc = matrix_work(a, b, crc);
        crc = scan_work(text, crc);
        text[i % length] = text[i % length] == ' ' ? ' ' : (char)('0' + crc % 10);
    }
    return crc;
}

// --- matmul: doubles, 384 by 384, rows along rows ------------------------------------------------------------------------

#define ORDER 384
static u64 matmul(u64 rounds, struct random *random) {
    static double a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];
    u64 sum = 0;
    for (int i = 0; i < ORDER * ORDER; i++) {
        a[i / ORDER][i % ORDER] = (double)(random_next(random) >> 11) * 0x1p-53 - 0.5;
        b[i / ORDER][i % ORDER] = (double)(random_next(random) >> 11) * 0x1p-53;
    }
    for (u64 round = 0; round < rounds; round++) {
        for (int i = 0; i < ORDER; i++) {
            for (int j = 0; j < ORDER; j++) c[i][j] = (double)round;
            for (int k = 0; k < ORDER; k++)
                for (int j = 0; j < ORDER; j++) c[i][j] += a[i][k] * b[k][j];
        }
        for (int i = 0; i < ORDER; i++) {
            u64 bits;
            memcpy(&bits, &c[i][i], sizeof bits);
            sum = mix(sum, bits);
        }
    }
    return sum;
}

// --- mixed: a hash table of 64 MiB, and for each key a place in some page of another 128 MiB -----------------------------

static u64 mixed(u64 rounds, struct random *random) {
    const u64 slots = 4 * MIB, pages = 32 * KIB;
    struct entry { u64 key, uses; } *table = anonymous(slots * sizeof *table);
    u64 *words = anonymous(pages * PAGE_BYTES), sum = 0, keys = 0;
    for (u64 i = 0; i < rounds * MILLION; i++) {
        const u64 key = 1 + random_below(random, 2 * MIB), hash = scramble(key);
        struct entry *entry = &table[hash % slots];
        while (entry->key != 0 && entry->key != key) entry = entry + 1 == table + slots ? table : entry + 1;
        if (entry->key == 0) {
            entry->key = key;
            keys++;
        }
        sum += words[(hash >> 32) % pages * (PAGE_BYTES / 8) + key % (PAGE_BYTES / 8)] += ++entry->uses;
    }
    return mix(sum, keys);
}

// --- records: a B-tree of variable-length records in slotted pages, as databases keep them -------------------------------

/** Slots grow upwards, each the place of a cell; cells grow downwards from the end. Interior cells lead to keys up to their own. */
struct page { u16 count, heap, dead, unused; u32 last; u16 slots[2042]; };  // last: the child behind all keys; 0: this is a leaf
struct __attribute__((may_alias)) cell { u16 key_bytes, value_bytes; u8 bytes[]; };
struct bytes { const void *at; u32 count; };
/** What a split hands to the page above: the new page, left of the old, and its last key. */
struct lifted { u32 page, key_bytes; u8 key[64]; };
static struct page *tree;  // page 0 is room for a copy
static u32 pages_used, pages_most;

static inline struct cell *cell_at(const struct page *page, u32 slot) { return (struct cell *)((u8 *)page + page->slots[slot]); }
static inline u32 cell_size(u32 key_bytes, u32 value_bytes) { return (u32)sizeof(struct cell) + ((key_bytes + value_bytes + 1) & ~1u); }
static inline struct bytes key_of(const struct cell *cell) { return (struct bytes){ cell->bytes, cell->key_bytes }; }
static inline struct bytes value_of(const struct cell *cell) { return (struct bytes){ cell->bytes + cell->key_bytes, cell->value_bytes }; }
static u32 child_at(const struct page *page, u32 slot) {
    u32 child = page->last;
    if (slot < page->count) memcpy(&child, value_of(cell_at(page, slot)).at, sizeof child);
    return child;
}
static u32 new_page(u32 last) {
    if (pages_used == pages_most) die("more pages than planned for.");
    tree[pages_used] = (struct page){ .heap = sizeof(struct page), .last = last };
    return pages_used++;
}

static int compare(struct bytes a, struct bytes b) {
    const int order = memcmp(a.at, b.at, a.count < b.count ? a.count : b.count);
    return order != 0 ? order : (int)a.count - (int)b.count;
}
/** The first slot whose key is not below `key`. */
static u32 slot_of(const struct page *page, struct bytes key) {
    u32 low = 0, high = page->count;
    while (low < high) {
        const u32 middle = (low + high) / 2;
        if (compare(key_of(cell_at(page, middle)), key) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}
static int is_at(const struct page *page, u32 slot, struct bytes key) { return slot < page->count && compare(key_of(cell_at(page, slot)), key) == 0; }

/** Puts a cell into a slot. The caller knows that there is room. */
static void add_cell(struct page *page, u32 slot, struct bytes key, struct bytes value) {
    page->heap = (u16)(page->heap - cell_size(key.count, value.count));
    memmove(page->slots + slot + 1, page->slots + slot, (page->count++ - slot) * sizeof(u16));
    page->slots[slot] = page->heap;
    struct cell *cell = cell_at(page, slot);
    cell->key_bytes = (u16)key.count;
    cell->value_bytes = (u16)value.count;
    memcpy(cell->bytes, key.at, key.count);
    memcpy(cell->bytes + key.count, value.at, value.count);
}
static void drop_cell(struct page *page, u32 slot) {
    const struct cell *cell = cell_at(page, slot);
    page->dead = (u16)(page->dead + cell_size(cell->key_bytes, cell->value_bytes));
    memmove(page->slots + slot, page->slots + slot + 1, (--page->count - slot) * sizeof(u16));
}
/** Moves the cells [from, to) of `old` to the end of an empty page. */
static void take_cells(struct page *page, const struct page *old, u32 from, u32 to) {
    for (u32 slot = from; slot < to; slot++) add_cell(page, slot - from, key_of(cell_at(old, slot)), value_of(cell_at(old, slot)));
}
static void keep_cells(struct page *page, u32 from, u32 to) {
    tree[0] = *page;
    page->count = page->dead = 0;
    page->heap = sizeof(struct page);
    take_cells(page, &tree[0], from, to);
}
/** Moves the lower half of a page to a new one on its left. Of an interior page the middle cell goes up, of a leaf its key only. */
static void split(struct page *page, struct lifted *lifted) {
    const u32 middle = page->count / 2, is_leaf = page->last == 0;
    const struct bytes key = key_of(cell_at(page, middle));
    lifted->page = new_page(is_leaf ? 0 : child_at(page, middle));
    lifted->key_bytes = key.count;
    memcpy(lifted->key, key.at, key.count);
    take_cells(&tree[lifted->page], page, 0, middle + is_leaf);
    keep_cells(page, middle + 1, page->count);
}
/** Puts a cell where it belongs. @returns whether the page had to be split, and then what the page above must know */
static int add_or_split(struct page *page, struct bytes key, struct bytes value, struct lifted *lifted) {
    const u32 needed = cell_size(key.count, value.count) + sizeof(u16), unused = page->heap - (u32)offsetof(struct page, slots) - page->count * sizeof(u16);
    int is_split = 0;
    if (unused < needed) {
        if (unused + page->dead >= needed) keep_cells(page, 0, page->count);
        else {
            split(page, lifted);
            is_split = 1;
            if (compare(key, (struct bytes){ lifted->key, lifted->key_bytes }) <= 0) page = &tree[lifted->page];
        }
    }
    add_cell(page, slot_of(page, key), key, value);
    return is_split;
}
static int put(u32 number, struct bytes key, struct bytes value, struct lifted *lifted) {
    struct page *page = &tree[number];
    const u32 slot = slot_of(page, key);
    if (page->last == 0) {
        if (is_at(page, slot, key)) drop_cell(page, slot);
        return add_or_split(page, key, value, lifted);
    }
    struct lifted below;
    if (!put(child_at(page, slot), key, value, &below)) return 0;
    return add_or_split(page, (struct bytes){ below.key, below.key_bytes }, (struct bytes){ &below.page, sizeof below.page }, lifted);
}
static u32 put_at_root(u32 root, struct bytes key, struct bytes value) {
    struct lifted below;
    if (!put(root, key, value, &below)) return root;
    const u32 above = new_page(root);
    add_cell(&tree[above], 0, (struct bytes){ below.key, below.key_bytes }, (struct bytes){ &below.page, sizeof below.page });
    return above;
}

/** Takes up to `most` records from `key` on into the checksum; `most` is less where the leaf ends. */
static u64 read_records(u32 number, struct bytes key, u32 most, u64 sum) {
    const struct page *page = &tree[number];
    while (page->last != 0) page = &tree[child_at(page, slot_of(page, key))];
    for (u32 slot = slot_of(page, key); slot < page->count && most > 0; slot++, most--) {
        u8 record[256];
        const struct bytes value = value_of(cell_at(page, slot));
        u64 word;
        memcpy(record, value.at, value.count);
        memcpy(&word, record + value.count - sizeof word, sizeof word);
        sum = mix(sum, word + value.count);
    }
    return sum;
}

/** A key is the name of a table and a number as text; many begin alike. */
static struct bytes make_key(u64 id, char *text) {
    static const char *const names[] = { "account/", "account/closed/", "order/", "order/line/", "stock/warehouse/", "user/" };
    const u64 hash = scramble(id);
    const char *name = names[hash % COUNT_OF(names)];
    u32 length = (u32)strlen(name);
    memcpy(text, name, length);
    for (u64 rest = hash >> 32; rest != 0; rest /= 10) text[length++] = (char)('0' + rest % 10);
    return (struct bytes){ text, length };
}

static u64 records(u64 rounds, struct random *random) {
    static u64 text[32];
    pages_most = 20000;
    tree = anonymous(pages_most * sizeof *tree);
    pages_used = 1;
    u64 sum = 0;
    u32 root = new_page(0);
    for (u64 i = 0; i < rounds * 10000; i++) {
        char name[64];
        const u64 what = random_below(random, 10), id = random_below(random, 200000);
        const struct bytes key = make_key(id, name);
        if (what < 4) {
            const u32 length = 16 + (u32)random_below(random, 184);
            text[i % COUNT_OF(text)] = id ^ i;
            root = put_at_root(root, key, (struct bytes){ text, length });
        } else sum = read_records(root, key, what == 9 ? 20 : 1, sum);
    }
    return mix(sum, pages_used);
}

// -------------------------------------------------------------------------------------------------------------------------

static const struct kernel { const char *name; u64 (*run)(u64 rounds, struct random *random); } kernels[] = {
    { "alu", alu }, { "crc32", crc32 }, { "sha256", sha256 }, { "sieve", sieve }, { "memcpy", copy }, { "qsort", sort },
    { "core", core }, { "matmul", matmul }, { "mixed", mixed }, { "records", records },
};

int main(int argc, char **argv) {
    u64 rounds = 1, seed = 1;
    const char *name = "alu";
    const struct parameter rows[] = {
        { "kernel", NULL, 0, 0, &name, "alu, crc32, sha256, sieve, memcpy, qsort, core, matmul, mixed or records" },
        { "rounds", &rounds, 0, 1ull << 32, NULL, "times to do it" },
        { "seed", &seed, 0, UINT64_MAX, NULL, "seed of what it works on" },
    };
    int words = 0;
    if (argc > 1 && argv[1][0] != '-') name = argv[++words];
    if (words == 1 && argc > 2 && argv[2][0] != '-') rounds = parse_number(&rows[1], argv[++words]);
    parse_parameters(argc - words, argv + words, "compute", "ordinary computing, one kernel a run (compute alu 30 is --kernel alu --rounds 30)", rows, COUNT_OF(rows));

    struct random random = { seed };
    for (size_t i = 0; i < COUNT_OF(kernels); i++) {
        if (strcmp(kernels[i].name, name) != 0) continue;
        const u64 sum = kernels[i].run(rounds, &random);
        printf("compute: %s, %llu rounds\n", name, (unsigned long long)rounds);
        print_checksum(mix(sum, seed));
        return 0;
    }
    die("--kernel %s: no such kernel. Try --help.", name);
}
