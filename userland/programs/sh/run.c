// Runs the tree: forks, pipes, redirections, conditions and loops, and the commands that only the shell itself can carry out (cd, exit, export ...).
#include "sh.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

int last_status, interactive;
pid_t shell_pid;
static char *no_arguments[] = { NULL };
char **positional = no_arguments;
/** Loops to leave (break) or to begin anew (continue); nothing runs while either is set. */
static int breaking, continuing;

/** The status that a shell shows for what waitpid answered; names the signal that killed, as shells do. */
static int status_of(int status) {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    int number = WTERMSIG(status);
    if (number != SIGINT && number != SIGPIPE) fprintf(stderr, "%s%s\n", strsignal(number), WCOREDUMP(status) ? " (core dumped)" : "");
    return 128 + number;
}
static int wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return 127;
    return status_of(status);
}
static pid_t start_child(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) complain("fork");
    if (child == 0 && interactive) {
        interactive = 0;
        signal(SIGINT, SIG_DFL);
    }
    return child;
}
/** Ends a child, its output written. */
__attribute__((noreturn)) static void end_child(int status) {
    if (fflush(stdout) != 0 && status == 0) status = 1;
    _exit(status);
}

// --- Redirections -----------------------------------------------------------------------------------------------------------

/** Opens what one redirection names, onto its descriptor. */
static int redirect_one(const struct redirect *r) {
    char *target = expand_one(r->target);
    if (r->mode == '&') {
        int from = target[0] - '0';
        if (target[0] < '0' || target[0] > '9' || target[1] != '\0' || dup2(from, r->fd) < 0) {
            errno = EBADF;
            return complain(target);
        }
        return 0;
    }
    int flags = r->mode == '<' ? O_RDONLY : O_WRONLY | O_CREAT | (r->mode == 'a' ? O_APPEND : O_TRUNC);
    int fd = open(target, flags, 0666);
    if (fd < 0) return complain(target);
    if (fd != r->fd) {
        dup2(fd, r->fd);
        close(fd);
    }
    return 0;
}
/** Redirects in this process; the descriptors from before go to saved[0..9] (-1: was closed, -2: untouched) unless that is NULL. */
static int redirect(const struct redirect *redirects, int saved[10]) {
    fflush(stdout);
    for (const struct redirect *r = redirects; r; r = r->next) {
        if (saved && saved[r->fd] == -2) saved[r->fd] = fcntl(r->fd, F_DUPFD_CLOEXEC, 10);
        if (redirect_one(r) != 0) return 1;
    }
    return 0;
}
static void restore(const int saved[10]) {
    fflush(stdout);
    for (int fd = 0; fd < 10; fd++) {
        if (saved[fd] == -2) continue;
        if (saved[fd] == -1) close(fd);
        else {
            dup2(saved[fd], fd);
            close(saved[fd]);
        }
    }
}

// --- Commands of the shell itself ---------------------------------------------------------------------------------------------

static int cd(int argc, char **argv) {
    const char *to = argc > 1 ? argv[1] : variable("HOME");
    if (to == NULL) to = "/";
    return chdir(to) == 0 ? 0 : complain(to);
}
static int exit_shell(int argc, char **argv) {
    fflush(stdout);
    exit(argc > 1 ? atoi(argv[1]) & 255 : last_status);
}
static int export(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        size_t length = name_length(argv[i]);
        char *name = keep_string(argv[i], length);
        if (length == 0 || (argv[i][length] != '=' && argv[i][length] != '\0')) return misuse("export: not a name");
        const char *value = argv[i][length] == '=' ? argv[i] + length + 1 : variable(name);
        set_variable(name, value ? value : "", 1);
    }
    return 0;
}
static int unset(int argc, char **argv) {
    for (int i = 1; i < argc; i++) unset_variable(argv[i]);
    return 0;
}
static int read_line(int argc, char **argv) {
    struct string line = { 0 };
    char byte;
    ssize_t got;
    while ((got = read(0, &byte, 1)) == 1 && byte != '\n') append(&line, byte);
    char *text = line.length ? line.bytes : keep_string("", 0);
    for (int i = 1; i < argc; i++) {
        text += strspn(text, " \t");
        size_t length = i + 1 < argc ? strcspn(text, " \t") : strlen(text);
        set_variable(argv[i], keep_string(text, length), 0);
        text += length;
    }
    return got == 1 || line.length > 0 ? 0 : 1;
}
static int wait_all(int argc, char **argv) {
    int status = 0;
    if (argc > 1) return wait_for((pid_t)atoi(argv[1]));
    while (waitpid(-1, &status, 0) > 0 || errno == EINTR) continue;
    return 0;
}
static int break_loop(int argc, char **argv) {
    (void)argc, (void)argv;
    breaking = 1;
    return 0;
}
static int continue_loop(int argc, char **argv) {
    (void)argc, (void)argv;
    continuing = 1;
    return 0;
}
static int shift(int argc, char **argv) {
    (void)argc, (void)argv;
    if (positional[0] == NULL || positional[1] == NULL) return 1;
    positional[1] = positional[0];
    positional++;
    return 0;
}
static int execute(int argc, char **argv);
static int help(int argc, char **argv);
static const struct builtin { const char *name; int (*run)(int argc, char **argv); } builtins[] = {
    { "cd", cd }, { "exit", exit_shell }, { "export", export }, { "unset", unset }, { "read", read_line }, { "wait", wait_all }, { "break", break_loop },
    { "continue", continue_loop }, { "shift", shift }, { "exec", execute }, { "help", help }, { ":", true_main },
    // Tools that are as well run without a process of their own.
    { "echo", echo_main }, { "test", test_main }, { "[", test_main }, { "pwd", pwd_main }, { "true", true_main }, { "false", false_main },
};
static const struct builtin *find_builtin(const char *name) {
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) if (strcmp(builtins[i].name, name) == 0) return &builtins[i];
    return NULL;
}
static int help(int argc, char **argv) {
    (void)argc, (void)argv;
    printf("Of the shell: cd exit export unset read wait break continue shift exec help\nTools:\n");
    for (const struct tool *tool = tools; tool->name; tool++) printf("  %s\n", tool->usage);
    return 0;
}

/** Becomes the program or tool argv[0]; returns the status to exit with when there is none such. */
static int become(char **argv) {
    const struct tool *tool = find_tool(argv[0]);
    if (tool) {
        int argc = 0;
        while (argv[argc]) argc++;
        speaker = tool->name;
        return tool->run(argc, argv);
    }
    const char *path = variable("PATH");
    setenv("PATH", path ? path : "/bin:/usr/bin", 1);
    execvpe(argv[0], argv, exported_environment());
    int status = errno == ENOENT ? 127 : 126;
    if (errno == ENOENT && strchr(argv[0], '/') == NULL) fprintf(stderr, "%s: %s: not found\n", speaker, argv[0]);
    else complain(argv[0]);
    return status;
}
static int execute(int argc, char **argv) { if (argc < 2) return 0; end_child(become(argv + 1)); }

// --- The tree -------------------------------------------------------------------------------------------------------------------

/** Sets the assignments that a command begins with; returns the words after them. */
static const struct word *assign(const struct word *words, int exported) {
    for (; words; words = words->next) {
        size_t length = name_length(words->text);
        if (length == 0 || words->text[length] != '=') break;
        set_variable(keep_string(words->text, length), expand_one(words->text + length + 1), exported);
    }
    return words;
}
static int is_assignment(const char *text) {
    size_t length = name_length(text);
    return length > 0 && text[length] == '=';
}
/** @param own_process  whether this process exists for this command alone: then it need not fork. */
static int run_simple(const struct node *node, int own_process) {
    int count, saved[10];
    const struct word *command = node->words;
    while (command && is_assignment(command->text)) command = command->next;
    char **argv = expand_words(command, &count);
    if (argv == NULL) {
        last_status = 0;
        for (int i = 0; i < 10; i++) saved[i] = -2;
        int failed = redirect(node->redirects, saved);
        assign(node->words, 0);
        restore(saved);
        return failed ? 1 : last_status;  // x=$(false) has the status of false
    }
    const struct builtin *builtin = find_builtin(argv[0]);
    if (builtin) {
        for (int i = 0; i < 10; i++) saved[i] = -2;
        int status = redirect(node->redirects, saved);
        if (status == 0) {
            const char *before = speaker;
            assign(node->words, 0);
            if (find_tool(argv[0])) speaker = argv[0];
            status = builtin->run(count, argv);
            speaker = before;
        }
        if (builtin->run != execute || status != 0) restore(saved);
        return status;
    }
    pid_t child = own_process ? 0 : start_child();
    if (child < 0) return 1;
    if (child > 0) return wait_for(child);
    if (redirect(node->redirects, NULL) != 0) end_child(1);
    assign(node->words, 1);
    end_child(become(argv));
}
static int run_in(const struct node *node, int own_process);

/** The commands of a pipeline stand in a left-leaning tree; the last one gives the status. */
static int run_pipe(const struct node *node) {
    int ends[2];
    if (pipe(ends) != 0) return complain("pipe");
    pid_t left = start_child();
    if (left == 0) {
        close(ends[0]);
        dup2(ends[1], 1);
        close(ends[1]);
        end_child(run_in(node->left, 1));
    }
    pid_t right = left < 0 ? -1 : start_child();
    if (right == 0) {
        close(ends[1]);
        dup2(ends[0], 0);
        close(ends[0]);
        end_child(run_in(node->right, 1));
    }
    close(ends[0]);
    close(ends[1]);
    if (left < 0) return 1;
    int status = right < 0 ? 1 : wait_for(right);
    wait_for(left);
    return status;
}
static int run_loop(const struct node *node) {
    int status = 0, count = 0;
    char **items = node->kind == FOR ? expand_words(node->words, &count) : NULL;
    for (int i = 0; node->kind != FOR || i < count; i++) {
        void *before = mark();
        if (node->kind == FOR) set_variable(node->name, items[i], 0);
        else if ((run(node->left) == 0) != (node->kind == WHILE) || breaking) break;
        status = run(node->right);
        release(before);
        continuing = 0;
        if (breaking) break;
    }
    breaking = continuing = 0;
    return status;
}
static int run_background(const struct node *node) {
    pid_t child = start_child();
    if (child == 0) end_child(run_in(node->left, 1));
    if (child > 0 && interactive) fprintf(stderr, "[%d]\n", (int)child);
    return child < 0;
}
static int run_subshell(const struct node *node) {
    pid_t child = start_child();
    if (child == 0) end_child(redirect(node->redirects, NULL) == 0 ? run(node->left) : 1);
    return child < 0 ? 1 : wait_for(child);
}
/** What stands for itself: if, a loop, a group; with its redirections around it. */
static int run_compound(const struct node *node) {
    switch (node->kind) {
    case IF: {
        int condition = run(node->left);
        if (breaking || continuing) return 0;
        return condition == 0 ? run(node->right) : run(node->other);
    }
    case GROUP: return run(node->left);
    default: return run_loop(node);
    }
}
static int run_redirected(const struct node *node) {
    int saved[10];
    for (int i = 0; i < 10; i++) saved[i] = -2;
    int status = redirect(node->redirects, saved);
    if (status == 0) status = run_compound(node);
    restore(saved);
    return status;
}
static int run_in(const struct node *node, int own_process) {
    if (node == NULL || breaking || continuing) return last_status;
    int status = 0;
    switch (node->kind) {
    case SIMPLE: status = run_simple(node, own_process); break;
    case PIPE: status = run_pipe(node); break;
    case AND: status = run(node->left); if (status == 0) status = run_in(node->right, own_process); break;
    case OR: status = run(node->left); if (status != 0) status = run_in(node->right, own_process); break;
    case NOT: status = run(node->left) == 0; break;
    case SEQUENCE: run(node->left); status = run_in(node->right, own_process); break;
    case BACKGROUND: status = run_background(node); break;
    case SUBSHELL: status = run_subshell(node); break;
    case IF: case WHILE: case UNTIL: case FOR: case GROUP: status = run_redirected(node); break;
    }
    return last_status = status;
}
int run(const struct node *node) { return node == NULL ? last_status = 0 : run_in(node, 0); }

int run_text(const char *text) {
    struct node *tree;
    const char *wrong;
    void *before = mark();
    if (parse(text, &tree, &wrong) != PARSED) {
        fflush(stdout);
        fprintf(stderr, "%s: %s\n", speaker, wrong);
        last_status = 2;
    } else if (tree) run(tree);
    release(before);
    return last_status;
}
char *output_of(const char *text) {
    struct string output = { 0 };
    int ends[2];
    char bytes[512];
    ssize_t got;
    if (pipe(ends) != 0) {
        complain("pipe");
        return keep_string("", 0);
    }
    pid_t child = start_child();
    if (child == 0) {
        close(ends[0]);
        dup2(ends[1], 1);
        close(ends[1]);
        end_child(run_text(text));
    }
    close(ends[1]);
    while ((got = read(ends[0], bytes, sizeof bytes)) > 0) for (ssize_t i = 0; i < got; i++) append(&output, bytes[i]);
    close(ends[0]);
    if (child > 0) last_status = wait_for(child);
    while (output.length > 0 && output.bytes[output.length - 1] == '\n') output.bytes[--output.length] = '\0';
    return output.length ? output.bytes : keep_string("", 0);
}

// --- sh ---------------------------------------------------------------------------------------------------------------------------

/** The next line of standard input with its line end, byte by byte, so that commands find the rest; NULL at the end. */
static int take_line(struct string *text) {
    char byte;
    size_t before = text->length;
    while (read(0, &byte, 1) == 1) {
        append(text, byte);
        if (byte == '\n') break;
    }
    return text->length > before;
}
/** Reads and runs standard input, command by command. */
static int run_input(void) {
    for (;;) {
        struct string text = { 0 };
        struct node *tree;
        const char *wrong;
        void *before = mark();
        enum parsed parsed;
        do {
            if (interactive) fputs(text.length ? "> " : "$ ", stderr);
            if (!take_line(&text)) {
                if (text.length > 0) run_text(text.bytes);  // says what is still open
                return last_status;
            }
            parsed = parse(text.bytes, &tree, &wrong);
        } while (parsed == INCOMPLETE);
        if (parsed == WRONG) {
            fprintf(stderr, "%s: %s\n", speaker, wrong);
            last_status = 2;
        } else if (tree) run(tree);
        fflush(stdout);
        release(before);
    }
}
static int run_file(const char *path) {
    struct string text = { 0 };
    FILE *file = fopen(path, "re");
    int byte;
    if (file == NULL) {
        complain(path);
        return 127;
    }
    while ((byte = getc(file)) != EOF) if (byte != '\0') append(&text, (char)byte);
    fclose(file);
    return text.length ? run_text(text.bytes) : 0;
}
int sh_main(int argc, char **argv) {
    shell_pid = getpid();
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        printf("usage: %s\n", find_tool("sh")->usage);
        return help(0, NULL);
    }
    if (argc > 1 && strcmp(argv[1], "-c") == 0) {
        if (argc < 3) return misuse("-c needs commands");
        positional = argc > 3 ? argv + 3 : no_arguments;
        return run_text(argv[2]);
    }
    if (argc > 1 && argv[1][0] == '-' && argv[1][1] != '\0') return misuse("no such option");
    positional = argc > 1 ? argv + 1 : argv;
    if (argc > 1) return run_file(argv[1]);
    interactive = isatty(0);
    if (interactive) signal(SIGINT, SIG_IGN);
    return run_input();
}
