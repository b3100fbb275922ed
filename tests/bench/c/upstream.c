/* An API that answers every GET at once and with the same object, so that what is measured is not it.

     bench-upstream PORT                  one thread, connections kept open, until it is killed */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 59\r\n\r\n"
    "{\"id\":1,\"name\":\"Minka\",\"photoUrls\":[],\"status\":\"available\"}";

/* How much of the end of a head each connection has said. */
static unsigned char said[CONNECTIONS_MAX];

static void serve(int fd)
{
    char text[65536];
    ssize_t count = read(fd, text, sizeof text), at;

    if (count <= 0) {
        close(fd);
        return;
    }
    for (at = 0; at < count; at++) {
        said[fd] = text[at] == "\r\n\r\n"[said[fd]] ? said[fd] + 1 : text[at] == '\r';
        if (said[fd] == 4) {
            said[fd] = 0;
            if (send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) < 0) {
                close(fd);
                return;
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN}, events[64];
    int listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0), one = 1, count, fd;

    if (argc != 2)
        return 2;
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512))
        return 1;
    event.data.fd = listener;
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    while ((count = epoll_wait(poller, events, 64, -1)) >= 0)
        while (count-- > 0) {
            if (events[count].data.fd != listener) {
                serve(events[count].data.fd);
            } else if ((fd = accept(listener, NULL, NULL)) >= CONNECTIONS_MAX) {
                close(fd);
            } else if (fd >= 0) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                said[fd] = 0;
                event.data.fd = fd;
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
            }
        }
    return 1;
}
