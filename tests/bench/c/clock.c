/* How long a whole command takes: vfork, exec, wait, without a shell or an interpreter around it.

     bench-clock COUNT SECONDS COMMAND…   runs COMMAND up to COUNT times, but not for longer than
                                          SECONDS, and prints each run's nanoseconds and exit code */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
    uint64_t first = now_ns();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (argc < 4 || null < 0)
        return 100;
    for (long left = atol(argv[1]); left > 0; left--) {
        uint64_t begin = now_ns();
        int status = 0;
        pid_t pid = vfork();

        if (pid == 0) {
            dup2(null, 0);
            dup2(null, 1);
            dup2(null, 2);
            execvp(argv[3], argv + 3);
            _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return 111;
        printf("%llu %d\n", (unsigned long long)(now_ns() - begin),
               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        if (now_ns() - first > strtoull(argv[2], NULL, 10) * 1000000000u)
            break;
    }
    return 0;
}
