/*
 * relay.c - `relay PORT-FILE SOCKET-PATH`: passes connections to 127.0.0.1 on to a unix socket,
 * until told not to.
 *
 * SIGUSR1: nothing is passed on any more, in either direction, and every connection stays open: the
 * network has gone without a word. New connections are accepted and lead nowhere. SIGUSR2:
 * everything goes on, what was held comes late.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAIRS_MAX 64

static volatile sig_atomic_t frozen;

static void on_signal(int number)
{
    frozen = number == SIGUSR1;
}

static int listen_anywhere(const char *port_file)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FILE *file;

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -1;
    file = fopen(port_file, "w");
    if (!file)
        return -1;
    fprintf(file, "%d\n", ntohs(address.sin_port));
    fclose(file);
    return fd;
}

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* False at the end of the connection. */
static bool pass(int from, int to)
{
    char bytes[65536];
    ssize_t count = read(from, bytes, sizeof bytes), written = 0;

    if (count <= 0)
        return count < 0 && errno == EINTR;
    while (written < count) {
        ssize_t r = write(to, bytes + written, (size_t)(count - written));

        if (r < 0 && errno != EINTR)
            return false;
        written += r > 0 ? r : 0;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct pollfd polled[1 + 2 * PAIRS_MAX];
    struct sigaction action = {.sa_handler = on_signal};
    nfds_t count = 1;

    if (argc != 3)
        return 64;
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    polled[0] = (struct pollfd){.fd = listen_anywhere(argv[1]), .events = POLLIN};
    if (polled[0].fd < 0)
        return 1;
    for (;;) {
        if (frozen) {
            poll(NULL, 0, 20);
            continue;
        }
        if (poll(polled, count, 20) < 0)
            continue;
        for (nfds_t i = 1; i < count; i += 2) {
            bool ends = false;

            for (nfds_t side = 0; side < 2 && !ends && !frozen; side++)
                if (polled[i + side].revents)
                    ends = !pass(polled[i + side].fd, polled[i + 1 - side].fd);
            if (ends) {
                close(polled[i].fd);
                close(polled[i + 1].fd);
                polled[i] = polled[count - 2];
                polled[i + 1] = polled[count - 1];
                polled[i].revents = polled[i + 1].revents = 0;
                count -= 2;
            }
        }
        if (polled[0].revents && count + 2 <= sizeof polled / sizeof polled[0]) {
            int client = accept4(polled[0].fd, NULL, NULL, SOCK_CLOEXEC), server = dial(argv[2]);

            if (client >= 0 && server >= 0) {
                polled[count++] = (struct pollfd){.fd = client, .events = POLLIN};
                polled[count++] = (struct pollfd){.fd = server, .events = POLLIN};
            } else {
                if (client >= 0)
                    close(client);
                if (server >= 0)
                    close(server);
            }
        }
    }
}
