// Words to arguments: $variables, $(commands), splitting at blanks, wildcards, and at last the quotes go. Here too: the variables.
#include "sh.h"
#include <ctype.h>
#include <glob.h>

struct variable { struct variable *next; char *name, *value; int exported; };
static struct variable *variables;
extern char **environ;

/** The variables begin as the environment. */
static void import_environment(void) {
    static int done;
    if (done) return;
    done = 1;
    for (char **entry = environ; *entry; entry++) {
        char *equals = strchr(*entry, '=');
        if (equals == NULL) continue;
        char *name = strndup(*entry, (size_t)(equals - *entry));
        set_variable(name, equals + 1, 1);
        free(name);
    }
}
static struct variable *find_variable(const char *name) {
    import_environment();
    struct variable *v = variables;
    while (v && strcmp(v->name, name) != 0) v = v->next;
    return v;
}
const char *variable(const char *name) {
    struct variable *v = find_variable(name);
    return v ? v->value : NULL;
}
void set_variable(const char *name, const char *value, int exported) {
    struct variable *v = find_variable(name);
    if (v == NULL) {
        v = calloc(1, sizeof *v);
        v->name = strdup(name);
        v->next = variables;
        variables = v;
    }
    char *copy = strdup(value);  // before the old value goes: x=$x hands in a copy, but export hands in the value itself
    free(v->value);
    v->value = copy;
    v->exported |= exported;
}
void unset_variable(const char *name) {
    import_environment();
    for (struct variable **v = &variables; *v; v = &(*v)->next) {
        if (strcmp((*v)->name, name) != 0) continue;
        struct variable *gone = *v;
        *v = gone->next;
        free(gone->name);
        free(gone->value);
        free(gone);
        return;
    }
}
char **exported_environment(void) {
    import_environment();
    size_t count = 0;
    for (struct variable *v = variables; v; v = v->next) count += (size_t)v->exported;
    char **entries = keep((count + 1) * sizeof *entries);
    entries[count] = NULL;
    for (struct variable *v = variables; v; v = v->next) {
        if (!v->exported) continue;
        struct string entry = { 0 };
        append_all(&entry, v->name);
        append(&entry, '=');
        append_all(&entry, v->value);
        entries[--count] = entry.bytes;
    }
    return entries;
}
size_t name_length(const char *text) {
    size_t length = 0;
    if (isdigit((unsigned char)*text)) return 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_') length++;
    return length;
}

/** Where the fields of a word are gathered. In `current`, a backslash stands before each quoted character that a wildcard could be. */
struct fields { char **list; size_t count, room; struct string current; int started, wild, whole; };

static void add_field(struct fields *fields, char *text) {
    if (fields->count + 1 >= fields->room) {
        size_t room = fields->room ? 2 * fields->room : 16;
        char **larger = keep(room * sizeof *larger);
        if (fields->count) memcpy(larger, fields->list, fields->count * sizeof *larger);
        fields->list = larger;
        fields->room = room;
    }
    fields->list[fields->count++] = text;
    fields->list[fields->count] = NULL;
}
static char *without_backslashes(const char *text) {
    struct string plain = { 0 };
    append_all(&plain, "");
    if (*text == '\0') return keep_string("", 0);
    for (; *text; text++) {
        if (*text == '\\' && text[1] != '\0') text++;
        append(&plain, *text);
    }
    return plain.bytes;
}
/** Ends the current field: what it matches if it is a pattern that matches anything, else itself. */
static void end_field(struct fields *fields) {
    glob_t found;
    if (!fields->started) return;
    const char *text = fields->current.length ? fields->current.bytes : "";
    if (fields->wild && !fields->whole && glob(text, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) add_field(fields, keep_string(found.gl_pathv[i], strlen(found.gl_pathv[i])));
        globfree(&found);
    } else add_field(fields, without_backslashes(text));
    fields->current = (struct string){ 0 };
    fields->started = fields->wild = 0;
}
static void add_quoted(struct fields *fields, char byte) {
    fields->started = 1;
    if (strchr("*?[]\\", byte)) append(&fields->current, '\\');
    append(&fields->current, byte);
}
/** What came out of a dollar: inside quotes as it is, else split at blanks, with wildcards. */
static void add_value(struct fields *fields, const char *value, int quoted) {
    for (; *value; value++) {
        if (quoted || fields->whole) add_quoted(fields, *value);
        else if (isspace((unsigned char)*value)) end_field(fields);
        else if (*value == '\\') add_quoted(fields, *value);
        else {
            fields->wild |= strchr("*?[", *value) != NULL;
            fields->started = 1;
            append(&fields->current, *value);
        }
    }
}
/** All of $1, $2 ...: "$@" makes a field of each, "$*" one of all. */
static void add_positional(struct fields *fields, int quoted, int separate) {
    for (char **p = positional[0] ? positional + 1 : positional; *p; p++) {
        if (quoted) fields->started = 1;
        add_value(fields, *p, quoted);
        if (p[1] == NULL) break;
        if (quoted && !separate) add_quoted(fields, ' ');
        else end_field(fields);
    }
}
/** Expands what begins with the dollar at `p`; returns what follows it. */
static const char *expand_dollar(struct fields *fields, const char *p, int quoted) {
    char number[16];
    if (p[1] == '(') {
        const char *end = skip_substitution(p);
        add_value(fields, output_of(keep_string(p + 2, (size_t)(end - p) - 3)), quoted);
        return end;
    }
    int braces = p[1] == '{';
    const char *name = p + 1 + braces, *end = name + name_length(name);
    if (end == name && (isdigit((unsigned char)*name) || strchr("?$#@*!", *name)) && *name != '\0') end++;
    if (end == name || (braces && *end != '}')) {
        add_quoted(fields, '$');
        return p + 1;
    }
    size_t length = (size_t)(end - name);
    if (*name == '@' || *name == '*') add_positional(fields, quoted, *name == '@');
    else if (strchr("?$#", *name)) {
        int count = 0;
        while (positional[count]) count++;
        snprintf(number, sizeof number, "%d", *name == '?' ? last_status : *name == '$' ? (int)shell_pid : count > 0 ? count - 1 : 0);
        add_value(fields, number, quoted);
    } else if (isdigit((unsigned char)*name)) {
        int wanted = *name - '0', count = 0;
        while (positional[count]) count++;
        if (wanted < count) add_value(fields, positional[wanted], quoted);
    } else {
        const char *value = variable(keep_string(name, length));
        if (value) add_value(fields, value, quoted);
    }
    return end + braces;
}
static void expand(struct fields *fields, const char *p) {
    int quoted = 0;
    while (*p) {
        if (*p == '\'' && !quoted) {
            fields->started = 1;
            for (p++; *p != '\''; p++) add_quoted(fields, *p);
            p++;
        } else if (*p == '"') {
            quoted = !quoted;
            // "" is a field, but "$@" of nothing is none.
            if (quoted && strncmp(p, "\"$@\"", 4) != 0) fields->started = 1;
            p++;
        } else if (*p == '\\' && p[1] != '\0' && (!quoted || strchr("$\"\\`\n", p[1]))) {
            if (p[1] != '\n') add_quoted(fields, p[1]);
            p += 2;
        } else if (*p == '$') p = expand_dollar(fields, p, quoted);
        else if (quoted) add_quoted(fields, *p++);
        else {
            fields->wild |= strchr("*?[", *p) != NULL;
            fields->started = 1;
            append(&fields->current, *p++);
        }
    }
    end_field(fields);
}

char **expand_words(const struct word *words, int *count) {
    struct fields fields = { 0 };
    for (; words; words = words->next) expand(&fields, words->text);
    *count = (int)fields.count;
    return fields.count ? fields.list : NULL;
}
char *expand_one(const char *word) {
    struct fields fields = { .whole = 1 };
    expand(&fields, word);
    return fields.count ? fields.list[0] : keep_string("", 0);
}
