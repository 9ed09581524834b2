// A small shell, and the tools that make it pleasant, in one program.
// It runs as the tool it was called as (argv[0]), else as the shell. Here: that choice, and what all parts share, which is messages and memory.
#include "sh.h"

const struct tool tools[] = {
    { "sh", sh_main, "sh [-c COMMANDS | FILE] [ARGUMENT...]" },
    { "[", test_main, "[ EXPRESSION ]" },
    { "cat", cat_main, "cat [FILE...]" },
    { "cp", cp_main, "cp FROM TO" },
    { "echo", echo_main, "echo [-n] [WORD...]" },
    { "env", env_main, "env [NAME=VALUE...] [PROGRAM [ARGUMENT...]]" },
    { "false", false_main, "false" },
    { "free", free_main, "free" },
    { "grep", grep_main, "grep [-v] [-c] [-i] [-n] PATTERN [FILE...]   (pattern: . * ^ $ and plain characters)" },
    { "head", head_main, "head [-n LINES] [FILE...]" },
    { "kill", kill_main, "kill [-SIGNAL] PID..." },
    { "ls", ls_main, "ls [-l] [-a] [FILE...]" },
    { "mkdir", mkdir_main, "mkdir [-p] FOLDER..." },
    { "ps", ps_main, "ps" },
    { "pwd", pwd_main, "pwd" },
    { "rm", rm_main, "rm [-r] [-f] FILE..." },
    { "seq", seq_main, "seq [FIRST [STEP]] LAST" },
    { "sleep", sleep_main, "sleep SECONDS" },
    { "sort", sort_main, "sort [-n] [-r] [FILE...]" },
    { "tail", tail_main, "tail [-n LINES] [FILE...]" },
    { "test", test_main, "test EXPRESSION" },
    { "touch", touch_main, "touch FILE..." },
    { "true", true_main, "true" },
    { "wc", wc_main, "wc [-l] [-w] [-c] [FILE...]" },
    { NULL, NULL, NULL },
};
const char *speaker = "sh";

const struct tool *find_tool(const char *name) {
    for (const struct tool *tool = tools; tool->name; tool++) if (strcmp(tool->name, name) == 0) return tool;
    return NULL;
}

int complain(const char *what) {
    fflush(stdout);
    fprintf(stderr, "%s: %s: %s\n", speaker, what, strerror(errno));
    return 1;
}
int misuse(const char *sentence) {
    const struct tool *tool = find_tool(speaker);
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", speaker, sentence);
    if (tool) fprintf(stderr, "usage: %s\n", tool->usage);
    return 2;
}

// Kept memory: blocks in a list, the newest first; a mark is the newest block of its time.
struct block { struct block *before; };
static struct block *newest;
void *keep(size_t bytes) {
    struct block *block = malloc(sizeof *block + bytes);
    if (!block) {
        fprintf(stderr, "%s: no memory left\n", speaker);
        exit(1);
    }
    block->before = newest;
    newest = block;
    return block + 1;
}
char *keep_string(const char *from, size_t length) {
    char *copy = keep(length + 1);
    memcpy(copy, from, length);
    copy[length] = '\0';
    return copy;
}
void *mark(void) { return newest; }
void release(void *to) {
    while (newest != to) {
        struct block *block = newest;
        newest = block->before;
        free(block);
    }
}

void append(struct string *string, char byte) {
    if (string->length + 2 > string->room) {
        size_t room = string->room ? 2 * string->room : 32;
        char *larger = keep(room);
        if (string->length) memcpy(larger, string->bytes, string->length);
        string->bytes = larger;
        string->room = room;
    }
    string->bytes[string->length++] = byte;
    string->bytes[string->length] = '\0';
}
void append_all(struct string *string, const char *bytes) { while (*bytes) append(string, *bytes++); }

int main(int argc, char **argv) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const struct tool *tool = argc > 0 ? find_tool(slash ? slash + 1 : argv[0]) : NULL;
    if (!tool) tool = find_tool("sh");
    speaker = tool->name;
    int status = tool->run(argc, argv);
    if (fflush(stdout) != 0 && status == 0) status = complain("stdout");
    return status;
}
