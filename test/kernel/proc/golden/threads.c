// What POSIX threads ask of a kernel, through a real C library: each line is one promise. Recorded on Linux by
//   gcc -O1 -pthread threads.c -o threads && ./threads > threads-linux-6.18.txt
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int go, passed;
static __thread long own = 5;
static pthread_t threads[16];

static void milliseconds(int ms) {
  struct timespec t = {0, ms * 1000000L};
  nanosleep(&t, NULL);
}
static int tid(void) { return (int)syscall(SYS_gettid); }

static void *waiter(void *arg) {
  pthread_mutex_lock(&lock);
  while (!go) pthread_cond_wait(&changed, &lock);
  passed++;
  pthread_mutex_unlock(&lock);
  own += (long)arg;
  return (void *)own;
}
static void condition_variables(void) {
  long sum = 0;
  for (long i = 0; i < 16; i++) pthread_create(&threads[i], NULL, waiter, (void *)i);
  pthread_mutex_lock(&lock);
  go = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < 16; i++) {
    void *result;
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  printf("broadcast woke %d, thread-local sum %ld, main's own %ld\n", passed, sum, own);
  struct timespec soon;
  clock_gettime(CLOCK_REALTIME, &soon);
  soon.tv_nsec += 20000000;
  if (soon.tv_nsec >= 1000000000) soon.tv_sec++, soon.tv_nsec -= 1000000000;
  pthread_mutex_lock(&lock);
  printf("timed wait: %s\n", pthread_cond_timedwait(&changed, &lock, &soon) == ETIMEDOUT ? "timed out" : "?");
  pthread_mutex_unlock(&lock);
}

static pthread_barrier_t barrier;
static void *at_barrier(void *arg) {
  long serial = 0;
  for (int i = 0; i < 20; i++) serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
  return (void *)serial;
}
static void barriers(void) {
  long sum = 0;
  pthread_barrier_init(&barrier, NULL, 5);
  for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, at_barrier, NULL);
  for (int i = 0; i < 5; i++) {
    void *result;
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  printf("barrier rounds: %ld\n", sum);
}

static void cleanup(void *what) { printf("cleanup of the %s\n", (char *)what); }
static void *cancelled(void *arg) {
  pthread_cleanup_push(cleanup, "cancelled");
  for (;;) pause();
  pthread_cleanup_pop(0);
  return NULL;
}
static volatile int handled_by;
static void on_signal(int signo) { handled_by = tid(); }
static volatile int sleeper_tid;
static void *sleeper(void *arg) {
  sleeper_tid = tid();
  struct timespec ten = {10, 0};
  return (void *)(long)(nanosleep(&ten, NULL) == -1 && errno == EINTR);
}
static void cancel_and_kill(void) {
  void *result;
  pthread_create(threads, NULL, cancelled, NULL);
  pthread_cancel(threads[0]);
  pthread_join(threads[0], &result);
  printf("cancelled: %d\n", result == PTHREAD_CANCELED);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  pthread_create(threads, NULL, sleeper, NULL);
  while (!sleeper_tid) sched_yield();
  milliseconds(5);
  pthread_kill(threads[0], SIGUSR1);
  pthread_join(threads[0], &result);
  printf("its handler ran in the thread: %d, its sleep was interrupted: %ld\n", handled_by == sleeper_tid, (long)result);
}

static volatile long flag;
static void *spinner(void *arg) {
  while (!flag) {}
  return NULL;
}
static sem_t semaphore;
static void *poster(void *arg) {
  for (int i = 0; i < 100; i++) sem_post(&semaphore);
  return NULL;
}
static void progress(void) {
  pthread_create(threads, NULL, spinner, NULL);
  for (volatile int i = 0; i < 100000; i++) {}
  flag = 1;
  pthread_join(threads[0], NULL);
  printf("a spinning thread saw the flag\n");
  int left;
  sem_init(&semaphore, 0, 0);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, poster, NULL);
  for (int i = 0; i < 300; i++) sem_wait(&semaphore);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  sem_getvalue(&semaphore, &left);
  printf("semaphore left: %d\n", left);
}

static pthread_mutex_t *shared;
static void *dies_holding(void *arg) {
  pthread_mutex_lock(shared);
  return NULL;
}
static void recover(const char *whose) {
  printf("mutex of a dead %s: %s\n", whose, pthread_mutex_lock(shared) == EOWNERDEAD ? "owner died" : "?");
  pthread_mutex_consistent(shared);
  pthread_mutex_unlock(shared);
}
static void robust_mutexes(void) {
  pthread_mutexattr_t attributes;
  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(shared, &attributes);
  pthread_create(threads, NULL, dies_holding, NULL);
  pthread_join(threads[0], NULL);
  recover("thread");
  pid_t child = fork();
  if (child == 0) {
    pthread_mutex_lock(shared);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  recover("process");
}

static int status_of(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
static void endings(void) {
  pid_t child;
  if ((child = fork()) == 0) {
    flag = 0;
    for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, spinner, NULL);
    exit(17);
  }
  printf("exit() with threads running: %d\n", status_of(child));
  if ((child = fork()) == 0) {
    flag = 0;
    pthread_create(threads, NULL, spinner, NULL);
    pthread_kill(threads[0], SIGKILL);
    for (;;) {}
  }
  printf("SIGKILL to one thread: %d\n", status_of(child));
  if ((child = fork()) == 0) {
    signal(SIGUSR1, SIG_DFL);
    pthread_create(threads, NULL, sleeper, NULL);
    pthread_kill(threads[0], SIGUSR1);
    for (;;) pause();
  }
  printf("a deadly signal to one thread: %d\n", status_of(child));
  if ((child = fork()) == 0) {
    pthread_create(threads, NULL, sleeper, NULL);
    pthread_exit(NULL);
  }
  milliseconds(5);
  printf("the first thread gone, another left: %d\n", waitpid(child, NULL, WNOHANG));
  kill(child, SIGTERM);
  printf("then: %d\n", status_of(child));
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  condition_variables();
  barriers();
  cancel_and_kill();
  progress();
  robust_mutexes();
  endings();
  return 0;
}
