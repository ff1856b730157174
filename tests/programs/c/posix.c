/*
 * What a C program does with the calls of POSIX: processes, other programs, signals, jumps, threads, terminals. Nothing here
 * knows of Tine; it passes on Linux, too. It wants a shell in /bin/sh.
 *
 *     posix            runs all tests and says how many passed
 *     posix --as ROLE  is what it runs as another program
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char *self;
static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%s:%d: %s (errno %d, %s)\n", __func__, __LINE__, #condition, errno, strerror(errno)); \
            failures++; \
            return; \
        } \
    } while (0)

/* The status of a child that must have returned from main or called exit; -1 if a signal ended it. */
static int exit_status(pid_t pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- processes ---- */

static int at_exit_fd;

static void say_goodbye(void)
{
    (void)!write(at_exit_fd, "!", 1);
}

static void children_end_as_they_say(void)
{
    int ends[2], status;
    char byte;
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            _exit(i * 11 % 256);
        CHECK(exit_status(pid) == i * 11 % 256);
    }
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        at_exit_fd = ends[1];
        atexit(say_goodbye);
        exit(3);
    }
    close(ends[1]);
    CHECK(read(ends[0], &byte, 1) == 1 && byte == '!' && read(ends[0], &byte, 1) == 0);
    close(ends[0]);
    CHECK(exit_status(pid) == 3);
    pid = fork();
    if (pid == 0)
        abort();
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(wait(&status) == -1 && errno == ECHILD);
}

static void memory_is_copied_or_shared(void)
{
    int own = 1;
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_t *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED && turn != MAP_FAILED && sem_init(turn, 1, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        own = 2;
        *shared = 42;
        sem_post(turn);
        _exit(own);
    }
    CHECK(sem_wait(turn) == 0 && *shared == 42 && own == 1);
    CHECK(exit_status(pid) == 2);
    munmap(turn, 4096);
    munmap(shared, 4096);
}

static void a_stopped_child_is_told_and_goes_on(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(5);
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(exit_status(pid) == 5);
}

static void vfork_and_exec_run_a_program(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl(self, self, "--as", "7", (char *)NULL);
        _exit(127);
    }
    CHECK(pid > 0 && exit_status(pid) == 7);
    errno = 0;
    CHECK(execl("/no/such/program", "x", (char *)NULL) == -1 && errno == ENOENT);
}

/* ---- other programs ---- */

static void the_shell_runs_what_system_says(void)
{
    CHECK(system(NULL) != 0);
    CHECK(WEXITSTATUS(system("exit 7")) == 7);
    int status = system("kill -TERM $$");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(system("test \"$(echo one | tr o 0)\" = 0ne") == 0);
    CHECK(WEXITSTATUS(system("/no/such/program 2>/dev/null")) == 127);
}

static void a_shell_is_read_and_written_through_popen(void)
{
    char line[64];
    int sum = 0, number;
    FILE *from = popen("for i in 1 2 3 4; do echo $i; done; exit 9", "r");
    CHECK(from);
    while (fscanf(from, "%d", &number) == 1)
        sum += number;
    CHECK(sum == 10 && WEXITSTATUS(pclose(from)) == 9);
    char path[] = "/tmp/popen-XXXXXX", command[64];
    int fd = mkstemp(path);
    snprintf(command, sizeof command, "sort -n > %s", path);
    FILE *to = popen(command, "w");
    CHECK(fd >= 0 && to);
    for (int i = 2000; i > 0; i--)
        fprintf(to, "%d\n", i);
    CHECK(pclose(to) == 0);
    FILE *sorted = fdopen(fd, "r");
    for (int i = 1; i <= 2000; i++)
        CHECK(fgets(line, sizeof line, sorted) && atoi(line) == i);
    fclose(sorted);
    unlink(path);
}

static void programs_are_spawned_with_their_files_and_signals(void)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t mask;
    pid_t pid;
    int ends[2];
    char text[64] = "";
    CHECK(pipe(ends) == 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    posix_spawnattr_setsigmask(&attributes, &mask);
    sigaddset(&mask, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &mask);
    posix_spawnattr_setpgroup(&attributes, 0);
    char *words[] = {(char *)self, "--as", "teller", NULL};
    CHECK(posix_spawn(&pid, self, &actions, &attributes, words, environ) == 0);
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    CHECK(from && fgets(text, sizeof text, from) != NULL);
    fclose(from);
    CHECK(strcmp(text, "leader blocked default empty\n") == 0);
    CHECK(exit_status(pid) == 0);
    char *shell[] = {"sh", "-c", "exit 12", NULL};
    CHECK(posix_spawnp(&pid, "sh", NULL, NULL, shell, environ) == 0 && exit_status(pid) == 12);
    CHECK(posix_spawn(&pid, "/no/such/program", NULL, NULL, shell, environ) == ENOENT);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
}

/* Says what it was spawned with. */
static int teller(void)
{
    sigset_t mask;
    struct sigaction action;
    char byte;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    sigaction(SIGPIPE, NULL, &action);
    printf("%s %s %s %s\n", getpgrp() == getpid() ? "leader" : "follower",
        sigismember(&mask, SIGUSR2) ? "blocked" : "open", action.sa_handler == SIG_DFL ? "default" : "other",
        read(0, &byte, 1) == 0 ? "empty" : "full");
    return 0;
}

/* ---- signals and jumps ---- */

static volatile sig_atomic_t caught, caught_value;
static volatile pid_t caught_from;
static sigjmp_buf behind_fault;

static void catch(int number, siginfo_t *info, void *context)
{
    (void)context;
    caught = number;
    caught_from = info->si_pid;
    caught_value = info->si_value.sival_int;
}

static void jump(int number, siginfo_t *info, void *context)
{
    (void)context;
    siglongjmp(behind_fault, number == SIGSEGV && info->si_addr == (void *)16 ? 1 : 2);
}

static int set_handler(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    return sigaction(number, &action, NULL);
}

static void signals_are_caught_blocked_and_waited_for(void)
{
    sigset_t blocked, before, suspended, pending;
    siginfo_t info;
    union sigval value = {.sival_int = 77};
    CHECK(set_handler(SIGUSR1, catch, 0) == 0);
    caught = 0;
    CHECK(raise(SIGUSR1) == 0 && caught == SIGUSR1 && caught_from == getpid());
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGRTMIN);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, &before) == 0);
    suspended = before;
    sigaddset(&suspended, SIGRTMIN);
    caught = 0;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        kill(parent, SIGUSR1);
        sigqueue(parent, SIGRTMIN, value);
        _exit(0);
    }
    CHECK(sigsuspend(&suspended) == -1 && errno == EINTR && caught == SIGUSR1 && caught_from == pid);
    CHECK(sigwaitinfo(&blocked, &info) == SIGRTMIN && info.si_value.sival_int == 77 && info.si_pid == pid);
    CHECK(exit_status(pid) == 0);
    for (value.sival_int = 1; value.sival_int <= 3; value.sival_int++)
        CHECK(sigqueue(parent, SIGRTMIN, value) == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN) && !sigismember(&pending, SIGUSR1));
    for (int i = 1; i <= 3; i++)
        CHECK(sigwaitinfo(&blocked, &info) == SIGRTMIN && info.si_value.sival_int == i);
    struct timespec moment = {0, 1000000};
    CHECK(sigtimedwait(&blocked, &info, &moment) == -1 && errno == EAGAIN);
    CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    signal(SIGUSR1, SIG_DFL);
}

static void an_alarm_ends_a_read_and_a_timer_comes_again(void)
{
    int ends[2];
    char byte;
    struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    CHECK(pipe(ends) == 0 && set_handler(SIGALRM, catch, 0) == 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 5; i++)
        CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    caught = 0;
    alarm(1);
    CHECK(pause() == -1 && errno == EINTR && caught == SIGALRM && alarm(0) == 0);
    close(ends[0]);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR && write(ends[1], "x", 1) == -1 && errno == EPIPE);
    signal(SIGPIPE, SIG_DFL);
    close(ends[1]);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value.sival_int = 5};
    struct itimerspec soon = {{0, 0}, {0, 1000000}};
    timer_t timer;
    caught = 0;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &soon, NULL) == 0);
    while (!caught)
        sched_yield();
    CHECK(caught_value == 5 && timer_delete(timer) == 0);
    signal(SIGALRM, SIG_DFL);
}

static void a_fault_is_caught_on_a_stack_of_its_own(void)
{
    static char room[65536];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room}, none = {.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&stack, NULL) == 0 && set_handler(SIGSEGV, jump, SA_ONSTACK) == 0);
    for (int i = 0; i < 3; i++) {
        volatile int *volatile nowhere = (int *)16;
        int way = sigsetjmp(behind_fault, 1);
        if (way == 0)
            *nowhere = 1;
        CHECK(way == 1);
    }
    signal(SIGSEGV, SIG_DFL);
    CHECK(sigaltstack(&none, NULL) == 0);
}

static jmp_buf bottom;
static volatile int leave = 1;

/* Returns what it was called with, had it a way back. */
static double descend(int depth)
{
    double kept = depth;
    if (depth == 0 && leave)
        longjmp(bottom, 123);
    return depth == 0 ? 0 : descend(depth - 1) + kept / depth;
}

static void a_jump_leaves_many_calls(void)
{
    volatile int times = 0;
    volatile double number = 1.5;
    int way = setjmp(bottom);
    if (way == 0) {
        times++;
        number = descend(1000);
    }
    CHECK(way == 123 && times == 1 && number == 1.5);
}

/* ---- threads ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int counter, made, destroyed;
static __thread int own;

static void make(void)
{
    made++;
}

static void destroy(void *value)
{
    __atomic_add_fetch(&destroyed, (int)(long)value, __ATOMIC_SEQ_CST);
}

static void *count(void *argument)
{
    pthread_once(&once, make);
    pthread_setspecific(key, argument);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
        own++;
    }
    return (void *)(long)own;
}

static void threads_count_together(void)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    void *result;
    CHECK(pthread_key_create(&key, destroy) == 0 && pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (long i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, count, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], &result) == 0 && result == (void *)5000);
    CHECK(counter == THREADS * 5000 && made == 1 && destroyed == THREADS * (THREADS + 1) / 2 && own == 0);
    pthread_barrier_destroy(&barrier);
    pthread_key_delete(key);
}

static int turn;

static void *take_turns(void *argument)
{
    int mine = (int)(long)argument;
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 2 != mine)
            pthread_cond_wait(&condition, &lock);
        turn++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void note_cleanup(void *argument)
{
    *(int *)argument = 1;
}

static void *wait_forever(void *argument)
{
    pthread_cleanup_push(note_cleanup, argument);
    for (;;)
        pause();
    pthread_cleanup_pop(0);
    return NULL;
}

static void threads_take_turns_and_are_cancelled(void)
{
    pthread_t one, other;
    void *result;
    int cleaned = 0;
    CHECK(pthread_create(&one, NULL, take_turns, (void *)0) == 0);
    CHECK(pthread_create(&other, NULL, take_turns, (void *)1) == 0);
    CHECK(pthread_join(one, NULL) == 0 && pthread_join(other, NULL) == 0 && turn == 400);
    CHECK(pthread_create(&one, NULL, wait_forever, &cleaned) == 0 && pthread_cancel(one) == 0);
    CHECK(pthread_join(one, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 1);
}

static pthread_t interrupted;

static void *read_nothing(void *argument)
{
    char byte;
    ssize_t count = read(*(int *)argument, &byte, 1);
    return (void *)(long)(count == -1 ? errno : 0);
}

static void a_signal_is_sent_to_one_thread_and_fork_takes_one(void)
{
    int ends[2];
    void *result = NULL;
    CHECK(pipe(ends) == 0 && set_handler(SIGUSR1, catch, 0) == 0);
    caught = 0;
    CHECK(pthread_create(&interrupted, NULL, read_nothing, &ends[0]) == 0);
    /* Again until it was in its read when the signal came. */
    do {
        CHECK(pthread_kill(interrupted, SIGUSR1) == 0);
        usleep(1000);
    } while (pthread_tryjoin_np(interrupted, &result) == EBUSY);
    CHECK(caught == SIGUSR1 && result == (void *)EINTR);
    CHECK(pthread_create(&interrupted, NULL, read_nothing, &ends[0]) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        /* The other thread is not here; a new one can be. */
        pthread_t own_thread;
        int nothing = open("/dev/null", O_RDONLY);
        int failed = pthread_create(&own_thread, NULL, read_nothing, &nothing) || pthread_join(own_thread, NULL);
        _exit(failed ? 1 : 21);
    }
    CHECK(exit_status(pid) == 21);
    CHECK(write(ends[1], "x", 1) == 1 && pthread_join(interrupted, &result) == 0 && result == NULL);
    close(ends[0]);
    close(ends[1]);
    signal(SIGUSR1, SIG_DFL);
}

/* ---- files and terminals ---- */

static void files_and_directories_are_read_back(void)
{
    char directory[] = "/tmp/posix-XXXXXX", path[64], real[PATH_MAX];
    struct stat status;
    glob_t found;
    int entries = 0;
    CHECK(mkdtemp(directory) && snprintf(path, sizeof path, "%s/file", directory) > 0);
    FILE *file = fopen(path, "w+");
    CHECK(file && fputs("twelve bytes", file) >= 0 && fseek(file, -5, SEEK_END) == 0);
    char text[16] = "";
    CHECK(fread(text, 1, sizeof text, file) == 5 && strcmp(text, "bytes") == 0 && fclose(file) == 0);
    CHECK(stat(path, &status) == 0 && status.st_size == 12 && S_ISREG(status.st_mode));
    snprintf(path, sizeof path, "%s/li*k", directory);
    char link_path[64];
    snprintf(link_path, sizeof link_path, "%s/link", directory);
    CHECK(symlink("file", link_path) == 0 && realpath(link_path, real) && strstr(real, "/file"));
    CHECK(glob(path, 0, NULL, &found) == 0 && found.gl_pathc == 1 && strcmp(found.gl_pathv[0], link_path) == 0);
    globfree(&found);
    DIR *open_directory = opendir(directory);
    for (struct dirent *entry; open_directory && (entry = readdir(open_directory));)
        entries += entry->d_name[0] != '.';
    CHECK(entries == 2 && closedir(open_directory) == 0);
    FILE *temporary = tmpfile();
    CHECK(temporary && fprintf(temporary, "%d", 42) == 2 && fclose(temporary) == 0);
    CHECK(unlink(link_path) == 0 && rmdir(directory) == -1 && errno == ENOTEMPTY);
    snprintf(path, sizeof path, "%s/file", directory);
    CHECK(unlink(path) == 0 && rmdir(directory) == 0);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1 && sysconf(_SC_PAGESIZE) == 4096);
}

static void a_file_is_shared_memory(void)
{
    char path[] = "/tmp/shared-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && unlink(path) == 0 && ftruncate(fd, 8192) == 0);
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        strcpy(memory + 4096, "from the child");
        _exit(0);
    }
    char text[32] = "";
    CHECK(exit_status(pid) == 0 && pread(fd, text, sizeof text, 4096) == sizeof text);
    CHECK(strcmp(text, "from the child") == 0 && munmap(memory, 8192) == 0 && close(fd) == 0);
}

static void descriptors_are_waited_for(void)
{
    int event = eventfd(0, EFD_NONBLOCK), set = epoll_create1(EPOLL_CLOEXEC), ends[2];
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = event}, got;
    uint64_t number = 3;
    CHECK(event >= 0 && set >= 0 && pipe(ends) == 0 && epoll_ctl(set, EPOLL_CTL_ADD, event, &wanted) == 0);
    struct pollfd both[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = set, .events = POLLIN}};
    CHECK(poll(both, 2, 0) == 0 && epoll_wait(set, &got, 1, 0) == 0);
    CHECK(write(event, &number, sizeof number) == sizeof number && poll(both, 2, -1) == 1);
    CHECK(both[1].revents == POLLIN && epoll_wait(set, &got, 1, -1) == 1 && got.data.fd == event);
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    struct timeval moment = {0, 1000};
    CHECK(select(ends[0] + 1, &readable, NULL, NULL, &moment) == 0);
    close(ends[1]);
    CHECK(poll(both, 1, -1) == 1 && both[0].revents == POLLHUP);
    close(ends[0]);
    close(event);
    close(set);
}

static void a_terminal_of_its_own_is_talked_to(void)
{
    struct winsize size = {.ws_row = 30, .ws_col = 70};
    char said[256] = "";
    size_t length = 0;
    int controller;
    pid_t pid = forkpty(&controller, NULL, NULL, &size);
    CHECK(pid >= 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "stty size; read word; echo \"<$word>\"; test -t 0 && exit 4", (char *)NULL);
        _exit(127);
    }
    CHECK(write(controller, "helx\177lo\n", 8) == 8);
    while (length < sizeof said - 1) {
        ssize_t count = read(controller, said + length, sizeof said - 1 - length);
        if (count <= 0)
            break;
        length += count;
    }
    CHECK(strstr(said, "30 70\r\n") && strstr(said, "<hello>\r\n"));
    CHECK(exit_status(pid) == 4);
    close(controller);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
#define TEST(name) {#name, name}
    TEST(children_end_as_they_say),
    TEST(memory_is_copied_or_shared),
    TEST(a_stopped_child_is_told_and_goes_on),
    TEST(vfork_and_exec_run_a_program),
    TEST(the_shell_runs_what_system_says),
    TEST(a_shell_is_read_and_written_through_popen),
    TEST(programs_are_spawned_with_their_files_and_signals),
    TEST(signals_are_caught_blocked_and_waited_for),
    TEST(an_alarm_ends_a_read_and_a_timer_comes_again),
    TEST(a_fault_is_caught_on_a_stack_of_its_own),
    TEST(a_jump_leaves_many_calls),
    TEST(threads_count_together),
    TEST(threads_take_turns_and_are_cancelled),
    TEST(a_signal_is_sent_to_one_thread_and_fork_takes_one),
    TEST(files_and_directories_are_read_back),
    TEST(a_file_is_shared_memory),
    TEST(descriptors_are_waited_for),
    TEST(a_terminal_of_its_own_is_talked_to),
};

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    char path[PATH_MAX];
    if (argc == 3 && strcmp(argv[1], "--as") == 0)
        return strcmp(argv[2], "teller") == 0 ? teller() : atoi(argv[2]);
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) {
        perror("/proc/self/exe");
        return 1;
    }
    path[length] = '\0';
    self = path;
    /* A child that is forked takes nothing unsaid with it. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        int before = failures;
        tests[i].run();
        int good = failures == before;
        printf("%s %s\n", good ? "ok" : "FAILED", tests[i].name);
        passed += good;
        failed += !good;
    }
    printf("posix: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
