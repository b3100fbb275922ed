/* Clients that call and wait for the answer, each over a connection of its own.

     bench-load PORT COUNT FILE           FILE holds a request for each client: its length in decimal, a newline,
                                          its bytes. COUNT calls are made by all together. Prints the wall clock in
                                          nanoseconds, the calls that failed, and each call's nanoseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (1 << 20)

struct client {
    int fd;
    char *request, *answer;
    size_t length, have;
    uint64_t began;
};

static int poller, port;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int reach(struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    int one = 1;

    address.sin_port = htons((unsigned short)port);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address))
        return -1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event);
}

static void call(struct client *client)
{
    client->have = 0;
    client->began = now_ns();
    if (send(client->fd, client->request, client->length, MSG_NOSIGNAL) != (ssize_t)client->length) {
        close(client->fd);
        if (reach(client) || send(client->fd, client->request, client->length, MSG_NOSIGNAL) < 0)
            exit(1);
    }
}

/* Whether the answer is whole. */
static int is_whole(const struct client *client)
{
    char *body = memmem(client->answer, client->have, "\r\n\r\n", 4), *length;

    if (!body)
        return 0;
    *body = 0;
    length = strcasestr(client->answer, "\r\ncontent-length:");
    *body = '\r';
    body += 4;
    if (length)
        return client->have - (size_t)(body - client->answer) >= strtoul(length + 17, NULL, 10);
    return client->have >= 5 && !memcmp(client->answer + client->have - 5, "0\r\n\r\n", 5);
}

static int is_good(struct client *client)
{
    client->answer[client->have] = 0;
    return !strncmp(client->answer, "HTTP/1.1 200", 12) && strstr(client->answer, "Minka")
           && !strstr(client->answer, "\"isError\":true");
}

int main(int argc, char **argv)
{
    struct client clients[256] = {{0}};
    struct epoll_event events[256];
    size_t count = 0, length, at, asked = 0, done = 0, failed = 0;
    FILE *file = argc == 4 ? fopen(argv[3], "rb") : NULL;
    uint64_t *times, began;
    int ready;

    if (!file)
        return 2;
    port = atoi(argv[1]);
    at = strtoul(argv[2], NULL, 10);
    times = calloc(at, sizeof *times);
    poller = epoll_create1(0);
    for (; count < 256 && fscanf(file, "%zu\n", &length) == 1; count++) {
        clients[count].request = malloc(length);
        clients[count].answer = malloc(ANSWER_MAX + 1);
        clients[count].length = length;
        if (fread(clients[count].request, 1, length, file) != length || reach(&clients[count]))
            return 1;
    }
    began = now_ns();
    for (length = 0; length < count && asked < at; length++, asked++)
        call(&clients[length]);
    while (done < at && (ready = epoll_wait(poller, events, 256, 60000)) > 0)
        while (ready-- > 0 && done < at) {
            struct client *client = events[ready].data.ptr;
            ssize_t got = read(client->fd, client->answer + client->have, ANSWER_MAX - client->have);

            if (got > 0)
                client->have += (size_t)got;
            if (got > 0 && !is_whole(client))
                continue;
            failed += got <= 0 || !is_good(client);
            if (got <= 0) {
                close(client->fd);
                if (reach(client))
                    return 1;
            }
            times[done++] = now_ns() - client->began;
            if (asked < at) {
                asked++;
                call(client);
            }
        }
    printf("%llu\n%zu\n", (unsigned long long)(now_ns() - began), failed + at - done);
    for (length = 0; length < done; length++)
        printf("%llu\n", (unsigned long long)times[length]);
    return 0;
}
