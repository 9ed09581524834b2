// Tools that deal with files as such: cat, cp, ls, mkdir, pwd, rm, touch.
#include "sh.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static char buffer[16384];

static int copy_out(int from, int to, const char *from_name, const char *to_name) {
    ssize_t got;
    while ((got = read(from, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, buffer + done, (size_t)(got - done));
            if (put < 0) return complain(to_name);
            done += put;
        }
    return got < 0 ? complain(from_name) : 0;
}

int cat_main(int argc, char **argv) {
    int status = 0;
    fflush(stdout);
    if (argc == 1) return copy_out(0, 1, "stdin", "stdout");
    for (int i = 1; i < argc; i++) {
        int fd = strcmp(argv[i], "-") == 0 ? 0 : open(argv[i], O_RDONLY | O_CLOEXEC);
        status |= fd < 0 ? complain(argv[i]) : copy_out(fd, 1, argv[i], "stdout");
        if (fd > 0) close(fd);
    }
    return status;
}

int cp_main(int argc, char **argv) {
    struct stat from;
    if (argc != 3) return misuse("cp takes two names");
    int in = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (in < 0 || fstat(in, &from) != 0) return complain(argv[1]);
    const char *to = argv[2];
    struct stat there;
    if (stat(to, &there) == 0 && S_ISDIR(there.st_mode)) {
        const char *slash = strrchr(argv[1], '/');
        struct string path = { 0 };
        append_all(&path, to);
        append(&path, '/');
        append_all(&path, slash ? slash + 1 : argv[1]);
        to = path.bytes;
    }
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, from.st_mode & 0777);
    if (out < 0) return complain(to);
    int status = copy_out(in, out, argv[1], to);
    close(in);
    return close(out) != 0 ? complain(to) : status;
}

static void print_mode(mode_t mode) {
    char text[11] = "?rwxrwxrwx";
    text[0] = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c' : S_ISBLK(mode) ? 'b' : S_ISFIFO(mode) ? 'p' : S_ISSOCK(mode) ? 's' : '-';
    for (int bit = 0; bit < 9; bit++) if (!(mode >> (8 - bit) & 1)) text[bit + 1] = '-';
    fputs(text, stdout);
}
static int list_one(const char *path, const char *name, int details) {
    struct stat about;
    char target[256];
    if (!details) {
        puts(name);
        return 0;
    }
    if (lstat(path, &about) != 0) return complain(path);
    print_mode(about.st_mode);
    printf(" %3lu %4u %4u %10lld %s", (unsigned long)about.st_nlink, (unsigned)about.st_uid, (unsigned)about.st_gid, (long long)about.st_size, name);
    ssize_t length = S_ISLNK(about.st_mode) ? readlink(path, target, sizeof target - 1) : -1;
    if (length >= 0) printf(" -> %.*s", (int)length, target);
    putchar('\n');
    return 0;
}
static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static int list_folder(const char *path, int details, int all) {
    DIR *folder = opendir(path);
    struct dirent *entry;
    char **names = NULL;
    size_t count = 0, room = 0;
    int status = 0;
    if (folder == NULL) return complain(path);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.' && !all) continue;
        if (count == room) {
            char **larger = keep((room = room ? 2 * room : 32) * sizeof *names);
            if (count) memcpy(larger, names, count * sizeof *names);
            names = larger;
        }
        names[count++] = keep_string(entry->d_name, strlen(entry->d_name));
    }
    closedir(folder);
    if (count) qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        struct string full = { 0 };
        append_all(&full, path);
        append(&full, '/');
        append_all(&full, names[i]);
        status |= list_one(full.bytes, names[i], details);
    }
    return status;
}
int ls_main(int argc, char **argv) {
    int details = 0, all = 0, status = 0, option;
    optind = 1;
    while ((option = getopt(argc, argv, "la1")) != -1) {
        if (option == '?') return misuse("no such option");
        details |= option == 'l';
        all |= option == 'a';
    }
    if (optind == argc) return list_folder(".", details, all);
    for (int i = optind; i < argc; i++) {
        struct stat about;
        if ((details ? lstat(argv[i], &about) : stat(argv[i], &about)) != 0) {
            status |= complain(argv[i]);
            continue;
        }
        if (!S_ISDIR(about.st_mode)) {
            status |= list_one(argv[i], argv[i], details);
            continue;
        }
        if (argc - optind > 1) printf("%s%s:\n", i > optind ? "\n" : "", argv[i]);
        status |= list_folder(argv[i], details, all);
    }
    return status;
}

int mkdir_main(int argc, char **argv) {
    int parents = argc > 1 && strcmp(argv[1], "-p") == 0, status = 0;
    if (argc < 2 + parents) return misuse("a folder must follow");
    for (int i = 1 + parents; i < argc; i++) {
        char *path = keep_string(argv[i], strlen(argv[i]));
        for (char *slash = path; parents && (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
            *slash = '\0';
            mkdir(path, 0777);
        }
        if (mkdir(path, 0777) != 0 && !(parents && errno == EEXIST)) status |= complain(path);
    }
    return status;
}

int pwd_main(int argc, char **argv) {
    (void)argc, (void)argv;
    if (getcwd(buffer, sizeof buffer) == NULL) return complain("getcwd");
    puts(buffer);
    return 0;
}

static int remove_tree(const char *path, int recursive) {
    struct stat about;
    if (lstat(path, &about) != 0) return complain(path);
    if (!S_ISDIR(about.st_mode)) return unlink(path) == 0 ? 0 : complain(path);
    if (!recursive) {
        errno = EISDIR;
        return complain(path);
    }
    int status = 0;
    DIR *folder = opendir(path);
    struct dirent *entry;
    if (folder == NULL) return complain(path);
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        struct string full = { 0 };
        append_all(&full, path);
        append(&full, '/');
        append_all(&full, entry->d_name);
        status |= remove_tree(full.bytes, 1);
        rewinddir(folder);  // entries move up when one goes
        if (status) break;
    }
    closedir(folder);
    return status ? status : rmdir(path) == 0 ? 0 : complain(path);
}
int rm_main(int argc, char **argv) {
    int recursive = 0, force = 0, status = 0, option;
    optind = 1;
    while ((option = getopt(argc, argv, "rRf")) != -1) {
        if (option == '?') return misuse("no such option");
        if (option == 'f') force = 1;
        else recursive = 1;
    }
    if (optind == argc && !force) return misuse("a file must follow");
    for (int i = optind; i < argc; i++) if (!force || access(argv[i], F_OK) == 0) status |= remove_tree(argv[i], recursive);
    return status;
}

int touch_main(int argc, char **argv) {
    int status = 0;
    if (argc < 2) return misuse("a file must follow");
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) status |= complain(argv[i]);
        else {
            futimens(fd, NULL);
            close(fd);
        }
    }
    return status;
}
