// A first program that leans on everything a C library leans on: printf of doubles, malloc, qsort, threads, fork and wait, and a handler for SIGSEGV.
// It uses nothing of this project, and prints the same on every Linux. Addresses are printed relative to something known, never as they are.
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_doubles(void) {
    const double values[] = { 0.1, -1.0 / 3.0, 1e300 * 1e10, 2.2250738585072014e-308, 6.02214076e23, 123456789.0, -0.0 };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) printf("%g %.17g %.3f %a\n", values[i], values[i], values[i], values[i]);
    printf("sqrt 2 = %.15f, 2 / 3 as float = %.9g, 7 mod -3 = %d\n", sqrt(2.0), (double)(2.0f / 3.0f), 7 % -3);
}

static int compare_strings(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static void sort_strings(void) {
    char *words[26];
    for (int i = 0; i < 26; i++) {
        words[i] = malloc((size_t)i * 97 + 8);  // from small chunks to more than a page in all
        snprintf(words[i], 8, "%c%d", 'a' + i * 7 % 26, i);
    }
    qsort(words, 26, sizeof words[0], compare_strings);
    for (int i = 0; i < 26; i++) printf("%s%c", words[i], i == 25 ? '\n' : ' ');
    for (int i = 0; i < 26; i++) free(words[i]);
    char *large = malloc(1 << 20);  // large enough for a mapping of its own
    memset(large, 'x', 1 << 20);
    large = realloc(large, 3 << 20);
    printf("realloc kept %c%c\n", large[0], large[(1 << 20) - 1]);
    free(large);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static __thread long own;
static void *count_up(void *argument) {
    for (long i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        counter += (long)argument;
        pthread_mutex_unlock(&mutex);
        own++;
    }
    return (void *)(own * (long)argument);
}
static void run_threads(void) {
    pthread_t threads[4];
    long total = 0;
    for (long i = 0; i < 4; i++) if (pthread_create(&threads[i], NULL, count_up, (void *)(i + 1)) != 0) puts("no thread");
    for (long i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        total += (long)result;
    }
    printf("threads counted %ld, returned %ld\n", counter, total);
}

static void fork_and_wait(void) {
    int ends[2], status;
    char answer[32] = "";
    int variable = 1;
    if (pipe(ends) != 0) return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        variable = 2;
        dprintf(ends[1], "child has %d", variable);
        _exit(7);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], answer, sizeof answer - 1);
    pid_t waited = waitpid(child, &status, 0);
    printf("%s (%zd bytes), parent has %d, status %d, right child %d\n", answer, got, variable, WEXITSTATUS(status), waited == child);
    child = fork();
    if (child == 0) {
        raise(SIGKILL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("killed by %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static sigjmp_buf back;
static volatile uintptr_t fault_address;
static volatile int fault_signal, fault_code;
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    fault_signal = signal;
    fault_code = info->si_code;
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(back, 1);
}
static void report_fault(const char *what, const volatile char *base, long at, int write) {
    if (sigsetjmp(back, 1) == 0) {
        if (write) ((volatile char *)base)[at] = 1;
        else (void)base[at];
        printf("%s: no fault\n", what);
    } else printf("%s: signal %d code %d at base + %ld\n", what, fault_signal, fault_code, (long)(fault_address - (uintptr_t)base));
}
static char *volatile nowhere = NULL;  // volatile, or the compiler would know and trap
static void catch_faults(void) {
    struct sigaction action = { 0 };
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pages[0] = pages[4096] = pages[8192] = 42;
    mprotect(pages + 4096, 4096, PROT_READ);
    mprotect(pages + 8192, 4096, PROT_NONE);
    report_fault("read of a read-only page", pages, 4096 + 10, 0);
    report_fault("write to a read-only page", pages, 4096 + 11, 1);
    report_fault("read of a page without rights", pages, 8192 + 12, 0);
    report_fault("write to page zero", nowhere, 16, 1);
    mprotect(pages, 3 * 4096, PROT_READ | PROT_WRITE);
    report_fault("write with all rights back", pages, 8192 + 12, 1);
    printf("kept %d %d %d\n", pages[0], pages[4096], pages[8192]);
    munmap(pages, 3 * 4096);
    report_fault("read of unmapped memory", pages, 1, 0);
}

int main(int argc, char **argv) {
    printf("hello, %s\n", argc > 1 ? argv[1] : "world");
    print_doubles();
    sort_strings();
    run_threads();
    fork_and_wait();
    catch_faults();
    return 42;
}
