/* The service every peer supervises: it says when it started, and then sleeps. Static and tiny, so
   that its own exec is the same small share of every figure.

     bench-service                        does nothing (what the shortest command costs)
     bench-service STAMPS SLOT            stamps, prints one line, sleeps
     bench-service STAMPS SLOT BYTES LINE stamps, waits for SIGUSR1, stamps again, prints BYTES in
                                          numbered lines of LINE bytes by 4 KiB writes, sleeps */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A slot of the stamps file: who, and when by CLOCK_MONOTONIC. The harness maps the file. */
struct stamp {
    uint64_t pid;
    uint64_t ns;
};

static void stamp(const char *stamps, long slot)
{
    struct timespec now;
    struct stamp mine;
    int fd;

    clock_gettime(CLOCK_MONOTONIC, &now);
    mine.pid = (uint64_t)getpid();
    mine.ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    fd = open(stamps, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, &mine, sizeof mine, slot * (long)sizeof mine) != (ssize_t)sizeof mine)
        _exit(111);
    close(fd);
}

static void write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(1, bytes, length);
        if (written < 0)
            _exit(111);
        bytes += written;
        length -= (size_t)written;
    }
}

/* Every line carries its number behind '#', so that a reader can tell lost from torn. The lines
   leave in blocks that cut them anywhere, as stdio sends them. */
static void flood(long bytes, long line_bytes)
{
    enum { DIGITS = 10, BLOCK = 4096 };
    static char block[BLOCK];
    size_t used = 0;
    char *line = malloc((size_t)line_bytes);

    if (line == NULL || line_bytes < DIGITS + 4)
        _exit(111);
    memset(line, 'x', (size_t)line_bytes);
    memcpy(line, "#0000000000 ", DIGITS + 2);
    line[line_bytes - 1] = '\n';
    for (long left = bytes / line_bytes; left > 0; left--) {
        size_t sent = 0;
        int digit = DIGITS;

        while (line[digit] == '9')
            line[digit--] = '0';
        line[digit]++;
        while (sent < (size_t)line_bytes) {
            size_t fits = (size_t)line_bytes - sent;
            if (fits > BLOCK - used)
                fits = BLOCK - used;
            memcpy(block + used, line + sent, fits);
            sent += fits;
            used += fits;
            if (used == BLOCK) {
                write_all(block, used);
                used = 0;
            }
        }
    }
    write_all(block, used);
    free(line);
}

int main(int argc, char **argv)
{
    sigset_t word;
    long slot;
    int heard;

    if (argc < 3)
        return 0;
    sigemptyset(&word);
    sigaddset(&word, SIGUSR1);
    sigprocmask(SIG_BLOCK, &word, NULL);
    slot = atol(argv[2]);
    stamp(argv[1], slot);
    if (argc >= 5) {
        sigwait(&word, &heard);
        stamp(argv[1], slot);
        flood(atol(argv[3]), atol(argv[4]));
    } else {
        write_all("started\n", 8);
    }
    for (;;)
        pause();
}
