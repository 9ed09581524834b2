// A small shell and the tools that make it pleasant, in one program: what they share.
// Reading order: main.c (which part runs), parse.c (text to tree), expand.c (words to arguments), run.c (the tree's commands), then the tools in
// files.c, text.c and system.c. Left out of POSIX sh: functions, case, here-documents, arithmetic, job control, aliases.
#ifndef QUIRE_SH_H
#define QUIRE_SH_H
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

// --- main.c: tools, messages, memory ---------------------------------------------------------------------------------------

struct tool { const char *name; int (*run)(int argc, char **argv); const char *usage; };
/** The tool of that name, or NULL. */
const struct tool *find_tool(const char *name);
extern const struct tool tools[];
/** Writes "tool: what: error" to stderr (the error of errno) and returns 1. */
int complain(const char *what);
/** Writes "tool: sentence" to stderr and returns 2, the status of wrong use. */
int misuse(const char *sentence);
extern const char *speaker;  // who complains

/** Memory that is given back all at once: by release(), to a mark taken before. Never NULL: running out ends the program with status 1. */
void *keep(size_t bytes);
char *keep_string(const char *from, size_t length);
void *mark(void);
void release(void *mark);

/** A string that grows, in kept memory; `bytes` always ends in NUL. */
struct string { char *bytes; size_t length, room; };
void append(struct string *string, char byte);
void append_all(struct string *string, const char *bytes);

// --- parse.c: text to tree ---------------------------------------------------------------------------------------------------

enum kind { SIMPLE, PIPE, AND, OR, SEQUENCE, BACKGROUND, NOT, IF, WHILE, UNTIL, FOR, GROUP, SUBSHELL };
struct word { char *text; struct word *next; };  // with its quotes and dollars, as written
struct redirect { int fd; char mode; char *target; struct redirect *next; };  // mode: '<', '>', 'a' (append), '&' (duplicate)
struct node {
    enum kind kind;
    struct node *left, *right, *other;  // IF: condition, then, else; loops: condition, body
    struct word *words;                 // SIMPLE: assignments, command, arguments; FOR: what to go through
    char *name;                         // FOR: the variable
    struct redirect *redirects;
};
enum parsed { PARSED, INCOMPLETE, WRONG };
/** Parses a whole text; *tree is NULL for an empty one. INCOMPLETE: a quote or an `if` is still open. WRONG: *wrong is a sentence. */
enum parsed parse(const char *text, struct node **tree, const char **wrong);
/** Past the quotes, substitutions and plain characters of one word; NULL when a quote is open. expand.c skips by it as well. */
const char *skip_word(const char *at);
const char *skip_substitution(const char *open);

// --- expand.c: words to arguments ----------------------------------------------------------------------------------------------

/** Fields after variables, splitting, wildcards and removal of quotes; ends in NULL. */
char **expand_words(const struct word *words, int *count);
/** One field: no splitting, no wildcards. */
char *expand_one(const char *word);
const char *variable(const char *name);
void set_variable(const char *name, const char *value, int exported);
void unset_variable(const char *name);
/** What an executed program gets. */
char **exported_environment(void);
/** The length of the name that `text` begins with; 0: it does not begin with a name. */
size_t name_length(const char *text);

// --- run.c ------------------------------------------------------------------------------------------------------------------------

extern int last_status, interactive;
extern pid_t shell_pid;    // $$: of the shell itself, in its subshells as well
extern char **positional;  // $0, $1 ...; ends in NULL
int run(const struct node *node);
/** Parses and runs `text`; returns the status, 2 when the text is wrong. */
int run_text(const char *text);
/** What `text` prints, without the line ends at its end. */
char *output_of(const char *text);

// --- the tools -------------------------------------------------------------------------------------------------------------------

int sh_main(int argc, char **argv);
int cat_main(int argc, char **argv), ls_main(int argc, char **argv), mkdir_main(int argc, char **argv), rm_main(int argc, char **argv);
int cp_main(int argc, char **argv), touch_main(int argc, char **argv), pwd_main(int argc, char **argv);
int echo_main(int argc, char **argv), wc_main(int argc, char **argv), grep_main(int argc, char **argv), head_main(int argc, char **argv);
int tail_main(int argc, char **argv), seq_main(int argc, char **argv), sort_main(int argc, char **argv);
int test_main(int argc, char **argv), true_main(int argc, char **argv), false_main(int argc, char **argv);
int ps_main(int argc, char **argv), free_main(int argc, char **argv), sleep_main(int argc, char **argv), kill_main(int argc, char **argv), env_main(int argc, char **argv);
#endif
