/*
 * notify_recorder SOCKET FILE - plays the service manager's end of sd_notify(3): every datagram
 * becomes one line of FILE, "MILLISECONDS TEXT", with the line feeds of the text shown as " | ".
 * The milliseconds are the monotonic clock's. FILE exists when the socket listens.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void record(FILE *file, const char *text)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(file, "%lld ", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    for (; *text; text++) {
        if (*text == '\n')
            fputs(" | ", file);
        else
            putc(*text, file);
    }
    putc('\n', file);
    fflush(file);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[4096];
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path) {
        fputs("usage: notify_recorder SOCKET FILE\n", stderr);
        return 64;
    }
    strcpy(address.sun_path, argv[1]);
    unlink(argv[1]);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        perror(argv[1]);
        return 1;
    }
    FILE *file = fopen(argv[2], "we");
    if (!file) {
        perror(argv[2]);
        return 1;
    }
    for (;;) {
        ssize_t length = recv(descriptor, text, sizeof text - 1, 0);

        if (length < 0)
            return 1;
        text[length] = '\0';
        record(file, text);
    }
}
