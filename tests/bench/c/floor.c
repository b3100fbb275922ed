/* The floor: what supervising costs when only the system calls are paid for. It starts COUNT
   services, starts one again whenever it dies, and on SIGTERM ends them all and waits. It keeps no
   state, checks nothing and answers nobody.

     bench-floor COUNT LOGS PROGRAM STAMPS [WORD…]   LOGS is a folder, one file a service, fed through a pipe
                                                     each; or "-", and the output goes nowhere. The words come
                                                     before the program, one that is "walls" alone builds those
                                                     of walls.c around it */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TURN = 64, SIGNALS = -1, WORDS_MAX = 64, STACK = 64 * 1024 };

void prepare_walls(const char *program, const char *written);
void raise_walls(void);

struct service {
    pid_t pid;
    int read_end, write_end, file;
    char slot[16];
};

static struct service *services;
static int count;
static char *program, *stamps;
static sigset_t mask;
static int poller, null, walled;
static char **words;
static char stack[STACK] __attribute__((aligned(16)));
static char block[65536];

static void die(const char *what)
{
    perror(what);
    exit(111);
}

static int become(void *service)
{
    struct service *one = service;
    char *args[WORDS_MAX + 4];
    int used = 0;

    dup2(null, 0);
    dup2(one->write_end, 1);
    dup2(one->write_end, 2);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    if (walled)
        raise_walls();
    else
        while (words[used] != NULL && used < WORDS_MAX) {
            args[used] = words[used];
            used++;
        }
    args[used] = program;
    args[used + 1] = stamps;
    args[used + 2] = one->slot;
    args[used + 3] = NULL;
    execv(args[0], args);
    _exit(127);
}

static void start(struct service *one)
{
    int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (walled ? CLONE_NEWNS | CLONE_NEWPID : 0);
    pid_t pid = clone(become, stack + STACK, flags, one);

    if (pid < 0)
        die("clone");
    one->pid = pid;
}

/* The pipe outlives its service, as it does under every supervisor that loses no output. */
static void prepare(int index, const char *logs)
{
    struct service *one = &services[index];

    snprintf(one->slot, sizeof one->slot, "%d", index);
    one->write_end = null;
    if (strcmp(logs, "-") != 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = index};
        char path[4096];
        int ends[2];

        snprintf(path, sizeof path, "%s/%d", logs, index);
        one->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (one->file < 0 || pipe2(ends, O_CLOEXEC) < 0)
            die(path);
        one->read_end = ends[0];
        one->write_end = ends[1];
        if (epoll_ctl(poller, EPOLL_CTL_ADD, one->read_end, &event) < 0)
            die("epoll_ctl");
    }
}

static void store(const struct service *one)
{
    ssize_t length = read(one->read_end, block, sizeof block);

    if (length > 0 && write(one->file, block, (size_t)length) != length)
        die("write");
}

/* Reaps all that died; starts them again unless it is the end. Returns how many are left. */
static int reap(int left, int ending)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        int index = 0;
        while (index < count && services[index].pid != pid)
            index++;
        if (index < count && !ending)
            start(&services[index]);
        else if (index < count)
            left--;
    }
    return left;
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = SIGNALS}, events[TURN];
    struct signalfd_siginfo signal;
    int signals, ending = 0, left;

    if (argc < 5)
        return 100;
    count = left = atoi(argv[1]);
    program = argv[3];
    stamps = argv[4];
    words = argv + 5;
    walled = argc == 6 && strcmp(argv[5], "walls") == 0;
    if (walled)
        prepare_walls(program, stamps);
    services = calloc((size_t)count, sizeof *services);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signals = signalfd(-1, &mask, SFD_CLOEXEC);
    poller = epoll_create1(EPOLL_CLOEXEC);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (services == NULL || signals < 0 || poller < 0 || null < 0)
        die("bench-floor");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, signals, &event) < 0)
        die("epoll_ctl");
    for (int index = 0; index < count; index++) {
        prepare(index, argv[2]);
        start(&services[index]);
    }
    while (left > 0) {
        int ready = epoll_wait(poller, events, TURN, -1);
        for (int turn = 0; turn < ready; turn++) {
            if (events[turn].data.fd != SIGNALS) {
                store(&services[events[turn].data.fd]);
                continue;
            }
            if (read(signals, &signal, sizeof signal) != (ssize_t)sizeof signal)
                continue;
            if (signal.ssi_signo == SIGTERM && !ending) {
                ending = 1;
                for (int index = 0; index < count; index++)
                    kill(services[index].pid, walled ? SIGKILL : SIGTERM); /* the first of its own hears no other */
            }
            left = reap(left, ending);
        }
    }
    return 0;
}
