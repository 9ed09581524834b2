// Text to tree, by recursive descent: list, and-or, pipeline, command, word. Nothing is expanded here: words keep their quotes and dollars.
#include "sh.h"
#include <ctype.h>

static const char *at;      // what is still to be read
static enum parsed state;   // PARSED until something is wrong or missing
static const char *problem;

static void fail(enum parsed how, const char *sentence) {
    if (state != PARSED) return;
    state = how;
    problem = sentence;
}
static void fail_here(const char *sentence) { fail(*at == '\0' ? INCOMPLETE : WRONG, sentence); }

static int is_operator(char c) { return c != '\0' && strchr("|&;<>()\n", c) != NULL; }
static int ends_word(char c) { return c == '\0' || c == ' ' || c == '\t' || c == '\r' || is_operator(c); }

/** Past the ')' that closes "$(" at `open`; NULL when there is none. */
const char *skip_substitution(const char *open) {
    const char *p = open + 2;
    while (*p != ')') {
        const char *next = *p == '\0' ? NULL : ends_word(*p) && *p != '(' ? p + 1 : *p == '(' ? skip_substitution(p - 1) : skip_word(p);
        if (next == NULL) return NULL;
        p = next;
    }
    return p + 1;
}
static const char *skip_quoted(const char *p) {
    for (p++; *p != '"'; p++) {
        if (*p == '\\' && p[1] != '\0') p++;
        else if (p[0] == '$' && p[1] == '(') {
            p = skip_substitution(p);
            if (p == NULL) return NULL;
            p--;
        } else if (*p == '\0') return NULL;
    }
    return p + 1;
}
const char *skip_word(const char *p) {
    while (!ends_word(*p)) {
        if (*p == '\\') p += p[1] == '\0' ? 1 : 2;
        else if (*p == '\'') {
            p = strchr(p + 1, '\'');
            if (p == NULL) return NULL;
            p++;
        } else if (*p == '"') p = skip_quoted(p);
        else if (p[0] == '$' && p[1] == '(') p = skip_substitution(p);
        else if (p[0] == '$' && p[1] == '{') {
            p = strchr(p, '}');
            if (p != NULL) p++;
        } else p++;
        if (p == NULL) return NULL;
    }
    return p;
}

/** Skips blanks, comments and joined lines; line ends as well if `lines`. */
static void skip_space(int lines) {
    for (;; at++) {
        if (*at == '#') while (*at != '\0' && *at != '\n') at++;
        if (at[0] == '\\' && at[1] == '\n') at++;
        else if (*at != ' ' && *at != '\t' && *at != '\r' && (!lines || *at != '\n')) return;
    }
}
static int accept(const char *operator) {
    size_t length = strlen(operator);
    skip_space(0);
    if (strncmp(at, operator, length) != 0) return 0;
    if (length == 1 && (*operator == '|' || *operator == '&') && at[1] == *operator) return 0;  // "|" is not the beginning of "||"
    at += length;
    return 1;
}
static int peek_word(const char *word) {
    size_t length = strlen(word);
    skip_space(0);
    return strncmp(at, word, length) == 0 && ends_word(at[length]);
}
static int accept_word(const char *word) {
    if (!peek_word(word)) return 0;
    at += strlen(word);
    return 1;
}
static char *take_word(void) {
    skip_space(0);
    const char *start = at, *end = skip_word(at);
    if (end == NULL) {
        fail(INCOMPLETE, "a quote or a parenthesis is still open");
        return NULL;
    }
    if (end == start) return NULL;
    at = end;
    return keep_string(start, (size_t)(end - start));
}

static struct node *new_node(enum kind kind, struct node *left, struct node *right) {
    struct node *node = keep(sizeof *node);
    *node = (struct node){ .kind = kind, .left = left, .right = right };
    return node;
}
static struct node *parse_list(void);

/** One redirection if there is one: [n]<, [n]>, [n]>>, [n]>&m. */
static struct redirect *parse_redirect(void) {
    skip_space(0);
    const char *p = at;
    int fd = -1;
    if (isdigit((unsigned char)*p) && (p[1] == '<' || p[1] == '>')) fd = *p++ - '0';
    if (*p != '<' && *p != '>') return NULL;
    struct redirect *redirect = keep(sizeof *redirect);
    *redirect = (struct redirect){ fd >= 0 ? fd : *p == '>', *p, NULL, NULL };
    at = p + 1;
    if (*p == '>' && *at == '>') {
        redirect->mode = 'a';
        at++;
    } else if (*at == '&') {
        redirect->mode = '&';
        at++;
    } else if (*p == '<' && *at == '<') fail(WRONG, "here-documents are not known to this shell");
    redirect->target = take_word();
    if (redirect->target == NULL) fail_here("a redirection needs a file");
    return redirect;
}
static void parse_redirects(struct node *node) {
    struct redirect **end = &node->redirects;
    while (*end) end = &(*end)->next;
    while (state == PARSED && (*end = parse_redirect()) != NULL) end = &(*end)->next;
}

static void expect_word(const char *word, const char *sentence) {
    skip_space(1);
    if (state == PARSED && !accept_word(word)) fail_here(sentence);
}
/** After `if` or `elif`. */
static struct node *parse_if(void) {
    struct node *node = new_node(IF, parse_list(), NULL);
    expect_word("then", "`if` needs `then`");
    node->right = parse_list();
    if (accept_word("elif")) node->other = parse_if();
    else {
        if (accept_word("else")) node->other = parse_list();
        expect_word("fi", "`if` needs `fi`");
    }
    return node;
}
static struct node *parse_body(struct node *loop) {
    expect_word("do", "a loop needs `do`");
    loop->right = parse_list();
    expect_word("done", "a loop needs `done`");
    return loop;
}
static struct node *parse_for(void) {
    struct node *node = new_node(FOR, NULL, NULL);
    node->name = take_word();
    if (node->name == NULL || name_length(node->name) != strlen(node->name)) fail_here("`for` needs a name");
    if (accept_word("in")) {
        struct word **end = &node->words;
        char *text;
        while ((text = take_word()) != NULL) {
            *end = keep(sizeof **end);
            **end = (struct word){ text, NULL };
            end = &(*end)->next;
        }
    } else fail_here("`for NAME` needs `in`");
    accept(";");
    return parse_body(node);
}
static struct node *parse_simple(void) {
    struct node *node = new_node(SIMPLE, NULL, NULL);
    struct word **end = &node->words;
    for (;;) {
        parse_redirects(node);
        char *text = state == PARSED ? take_word() : NULL;
        if (text == NULL) break;
        *end = keep(sizeof **end);
        **end = (struct word){ text, NULL };
        end = &(*end)->next;
    }
    if (node->words == NULL && node->redirects == NULL) fail_here("a command is missing");
    return node;
}
static struct node *parse_command(void) {
    struct node *node;
    skip_space(0);
    if (accept_word("if")) node = parse_if();
    else if (accept_word("while")) node = parse_body(new_node(WHILE, parse_list(), NULL));
    else if (accept_word("until")) node = parse_body(new_node(UNTIL, parse_list(), NULL));
    else if (accept_word("for")) node = parse_for();
    else if (accept_word("{")) {
        node = new_node(GROUP, parse_list(), NULL);
        expect_word("}", "`{` needs `}`");
    } else if (accept("(")) {
        node = new_node(SUBSHELL, parse_list(), NULL);
        skip_space(1);
        if (state == PARSED && !accept(")")) fail_here("`(` needs `)`");
    } else return parse_simple();
    parse_redirects(node);
    return node;
}
static struct node *parse_pipeline(void) {
    int negated = accept_word("!");
    struct node *node = parse_command();
    while (state == PARSED && accept("|")) {
        skip_space(1);
        node = new_node(PIPE, node, parse_command());
    }
    return negated ? new_node(NOT, node, NULL) : node;
}
static struct node *parse_and_or(void) {
    struct node *node = parse_pipeline();
    while (state == PARSED) {
        enum kind kind = accept("&&") ? AND : accept("||") ? OR : SIMPLE;
        if (kind == SIMPLE) break;
        skip_space(1);
        node = new_node(kind, node, parse_pipeline());
    }
    return node;
}
/** Whether a list ends here: at the end, at ')', or at a word that belongs to the construct around it. */
static int list_ends(void) {
    static const char *const closing[] = { "then", "else", "elif", "fi", "do", "done", "}" };
    skip_space(1);
    if (*at == '\0' || *at == ')') return 1;
    for (size_t i = 0; i < sizeof closing / sizeof closing[0]; i++) if (peek_word(closing[i])) return 1;
    return 0;
}
static struct node *parse_list(void) {
    struct node *list = NULL;
    while (state == PARSED && !list_ends()) {
        struct node *item = parse_and_or();
        if (accept("&")) item = new_node(BACKGROUND, item, NULL);
        else if (!accept(";") && *at != '\n' && state == PARSED && !list_ends()) fail_here("something stands where `;` was expected");
        list = list ? new_node(SEQUENCE, list, item) : item;
    }
    return list;
}

enum parsed parse(const char *text, struct node **tree, const char **wrong) {
    at = text;
    state = PARSED;
    *tree = parse_list();
    skip_space(1);
    if (state == PARSED && *at != '\0') fail(WRONG, "something is closed that was not open");
    *wrong = problem;
    return state;
}
