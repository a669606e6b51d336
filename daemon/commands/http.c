#include "commands/http.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX 8192
#define WAIT_MS 5000

void http_answer(FILE *output, const char *status, const char *type, const char *body)
{
    fprintf(output,
            "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
            status, type, strlen(body), body);
    fflush(output);
}

/* The head of a request, until the empty line. False when none came in time and size. */
static bool read_head(int input, char *head)
{
    size_t length = 0;

    while (length < REQUEST_MAX - 1) {
        struct pollfd descriptor = {.fd = input, .events = POLLIN};
        ssize_t count;

        if (poll(&descriptor, 1, WAIT_MS) <= 0)
            return false;
        count = read(input, head + length, REQUEST_MAX - 1 - length);
        if (count <= 0)
            return false;
        length += (size_t)count;
        head[length] = '\0';
        if (strlen(head) < length) /* a NUL is in no request */
            return false;
        if (strstr(head, "\r\n\r\n") || strstr(head, "\n\n"))
            return true;
    }
    return false;
}

/* The path of "METHOD PATH HTTP/1.x", without its query. */
static bool is_path(const char *request, const char *path)
{
    const char *begin = strchr(request, ' ');
    size_t length = begin ? strcspn(begin + 1, " ?\r\n") : 0;

    return begin && length == strlen(path) && strncmp(begin + 1, path, length) == 0;
}

bool http_wants_metrics(FILE *input, FILE *output)
{
    char head[REQUEST_MAX];
    bool is_get, is_head;

    if (!read_head(fileno(input), head)) {
        http_answer(output, "400 Bad Request", "text/plain", "no request\n");
        return false;
    }
    is_get = strncmp(head, "GET ", 4) == 0;
    is_head = strncmp(head, "HEAD ", 5) == 0;
    if (!is_get && !is_head) {
        http_answer(output, "405 Method Not Allowed", "text/plain", "GET only\n");
        return false;
    }
    if (!is_path(head, "/metrics") && !is_path(head, "/")) {
        http_answer(output, "404 Not Found", "text/plain", is_head ? "" : "see /metrics\n");
        return false;
    }
    if (is_head) /* the length of what was not collected is not known, and may be left out */
        fputs("HTTP/1.1 200 OK\r\nContent-Type: " HTTP_METRICS_TYPE "\r\n"
              "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
              output);
    return is_get;
}
