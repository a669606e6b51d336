/*
 * scripted.c - a TCP server that follows a script to the byte, for what an HTTP server would never
 * do.
 *
 *     scripted --port-file FILE --script FILE --transcript FILE [--port N]
 *
 * Listens on 127.0.0.1 before the port file appears. The script's lines, done in turn; # begins a
 * comment:
 *
 *     accept             wait for the next connection; the current one stays open, `use N` goes
 * back to it use N              go on with the N-th accepted connection (from 1) expect TEXT read
 * on until one whole HTTP request is in; it must contain TEXT ("" fits all) expect-close       read
 * on until the client ends the connection expect-silence MS  nothing may arrive for so long,
 * neither bytes nor a connection reply TEXT         send TEXT; \r \n \t \\ \0 \xHH are escapes;
 * surrounding "" are taken off reply-http S TEXT  a whole HTTP reply with status S and TEXT as its
 * JSON body reply-file FILE    send the file's bytes sleep-ms N close              FIN after what
 * was sent reset              RST repeat N ... end   the lines between N times; not nested
 *
 * Every wait gives up after --timeout seconds (30). The transcript has one line for each event - "1
 * request 214", "1 sent 97", "2 reset" with the connection's number first - every request's bytes
 * escaped, and at the end "requests N" and "connections N". Exit codes: 0 the script was done, 1
 * something else came, 64 usage.
 */
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256

struct peer {
    int fd; /* -1: ended */
    struct text input;
};

struct script {
    int listener;
    struct peer peers[CONNECTIONS_MAX];
    unsigned peer_count, current; /* current: index + 1, 0 = none */
    unsigned requests;
    int timeout_ms;
    FILE *transcript;
    unsigned line_number;
    const char *path;
};

static int fail(const struct script *script, const char *what)
{
    fprintf(stderr, "scripted: %s:%u: %s\n", script->path, script->line_number, what);
    fprintf(script->transcript, "failed line %u: %s\n", script->line_number, what);
    return -1;
}

static int hexadecimal(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *found = digit ? strchr(digits, digit | 0x20) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* One escape, `*at` being behind the backslash and left behind the escape. */
static char unescape_one(const char **at)
{
    char letter = *(*at)++;

    switch (letter) {
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '0':
        return '\0';
    case 'x':
        if (hexadecimal((*at)[0]) >= 0 && hexadecimal((*at)[1]) >= 0) {
            *at += 2;
            return (char)(hexadecimal((*at)[-2]) * 16 + hexadecimal((*at)[-1]));
        }
        break;
    }
    return letter;
}

static void unescape(const char *source, struct text *text)
{
    size_t length = strlen(source);
    bool quoted = length >= 2 && source[0] == '"' && source[length - 1] == '"';
    const char *end = source + length - quoted;
    const char *at = source + quoted;

    text_clear(text);
    text_add(text, "");
    while (at < end) {
        char byte = *at++;
        if (byte == '\\' && at < end)
            byte = unescape_one(&at);
        text_add_bytes(text, &byte, 1);
    }
}

static void write_escaped(FILE *file, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\r')
            fputs("\\r", file);
        else if (byte == '\n')
            fputs("\\n", file);
        else if (byte == '\\')
            fputs("\\\\", file);
        else if (byte < 0x20 || byte == 0x7f)
            fprintf(file, "\\x%02x", byte);
        else
            fputc(byte, file);
    }
}

static struct peer *current_peer(struct script *script)
{
    return script->current ? &script->peers[script->current - 1] : NULL;
}

/* 1 something to read, 0 time is up. */
static int wait_readable(int fd, int timeout_ms)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    int ready;

    do
        ready = poll(&look, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static int do_accept(struct script *script, const char *argument)
{
    (void)argument;
    if (script->peer_count == CONNECTIONS_MAX)
        return fail(script, "too many connections");
    if (!wait_readable(script->listener, script->timeout_ms))
        return fail(script, "no connection came");
    int fd = accept4(script->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return fail(script, strerror(errno));
    script->peers[script->peer_count].fd = fd;
    script->current = ++script->peer_count;
    fprintf(script->transcript, "%u accepted\n", script->current);
    return 0;
}

static int do_use(struct script *script, const char *argument)
{
    uint64_t number;

    if (digits_parse(argument, script->peer_count, &number) || !number)
        return fail(script, "there is no such connection");
    script->current = (unsigned)number;
    return 0;
}

/* The length of the whole request at the start of `input`, 0 while it is incomplete. */
static size_t request_length(const struct text *input)
{
    const char *end = input->length ? memmem(input->data, input->length, "\r\n\r\n", 4) : NULL;
    uint64_t body = 0;

    if (!end)
        return 0;
    size_t head = (size_t)(end - input->data) + 4;
    const char *header = strcasestr(input->data, "\r\ncontent-length:");
    if (header && header < end)
        body = strtoull(header + 17, NULL, 10);
    return input->length >= head + body ? head + (size_t)body : 0;
}

/* Bytes read, 0 at the end, -1 when nothing came. */
static ssize_t read_more(const struct script *script, struct peer *peer)
{
    char block[16384];

    if (peer->fd < 0 || !wait_readable(peer->fd, script->timeout_ms))
        return -1;
    ssize_t got = read(peer->fd, block, sizeof block);
    if (got > 0)
        text_add_bytes(&peer->input, block, (size_t)got);
    return got < 0 ? 0 : got;
}

static int do_expect(struct script *script, const char *argument)
{
    struct peer *peer = current_peer(script);
    struct text wanted = {0};
    size_t length;
    int result = 0;

    if (!peer)
        return fail(script, "no connection");
    while (!(length = request_length(&peer->input))) {
        ssize_t got = read_more(script, peer);
        if (got <= 0)
            return fail(script, got ? "no request came" : "the client ended the connection");
    }
    script->requests++;
    fprintf(script->transcript, "%u request %zu ", script->current, length);
    write_escaped(script->transcript, peer->input.data, length);
    fputc('\n', script->transcript);
    unescape(argument, &wanted);
    if (wanted.length && !memmem(peer->input.data, length, wanted.data, wanted.length))
        result = fail(script, "the request does not contain what is expected");
    memmove(peer->input.data, peer->input.data + length, peer->input.length - length + 1);
    peer->input.length -= length;
    text_done(&wanted);
    return result;
}

static int do_expect_close(struct script *script, const char *argument)
{
    struct peer *peer = current_peer(script);
    ssize_t got;

    (void)argument;
    if (!peer)
        return fail(script, "no connection");
    while ((got = read_more(script, peer)) > 0)
        continue;
    if (got < 0)
        return fail(script, "the client did not end the connection");
    fprintf(script->transcript, "%u ended by the client\n", script->current);
    return 0;
}

static int do_expect_silence(struct script *script, const char *argument)
{
    struct peer *peer = current_peer(script);
    struct pollfd looks[] = {
        {.fd = script->listener, .events = POLLIN},
        {.fd = peer ? peer->fd : -1, .events = POLLIN},
    };
    char byte;

    if (peer && peer->input.length)
        return fail(script, "more bytes than were expected");
    if (poll(looks, 2, atoi(argument)) <= 0)
        return 0;
    if (looks[0].revents)
        return fail(script, "another connection came");
    /* An end of the connection is silence, too. */
    return recv(peer->fd, &byte, 1, MSG_PEEK) > 0 ? fail(script, "more bytes came") : 0;
}

static int send_all(struct script *script, const char *bytes, size_t count)
{
    struct peer *peer = current_peer(script);
    size_t sent = 0;

    if (!peer || peer->fd < 0)
        return fail(script, "no connection");
    while (sent < count) {
        ssize_t now = send(peer->fd, bytes + sent, count - sent, MSG_NOSIGNAL);
        if (now <= 0)
            break;
        sent += (size_t)now;
    }
    fprintf(script->transcript, "%u sent %zu\n", script->current, sent);
    return 0;
}

static int do_reply(struct script *script, const char *argument)
{
    struct text reply = {0};

    unescape(argument, &reply);
    int result = send_all(script, reply.data, reply.length);
    text_done(&reply);
    return result;
}

static int do_reply_http(struct script *script, const char *argument)
{
    struct text body = {0};
    struct text reply = {0};
    char *rest;
    long status = strtol(argument, &rest, 10);

    unescape(rest + strspn(rest, " "), &body);
    text_addf(
        &reply,
        "HTTP/1.1 %ld Scripted\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        status, body.length);
    text_add_bytes(&reply, body.data, body.length);
    int result = send_all(script, reply.data, reply.length);
    text_done(&reply);
    text_done(&body);
    return result;
}

static int read_file(const char *path, struct text *text)
{
    FILE *file = fopen(path, "re");
    char block[4096];
    size_t got;

    if (!file)
        return -1;
    text_add(text, "");
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        text_add_bytes(text, block, got);
    fclose(file);
    return 0;
}

static int do_reply_file(struct script *script, const char *argument)
{
    struct text reply = {0};

    if (read_file(argument, &reply))
        return fail(script, strerror(errno));
    int result = send_all(script, reply.data, reply.length);
    text_done(&reply);
    return result;
}

static int do_sleep(struct script *script, const char *argument)
{
    int milliseconds = atoi(argument);
    struct timespec pause = {.tv_sec = milliseconds / 1000,
                             .tv_nsec = milliseconds % 1000 * 1000000L};

    (void)script;
    nanosleep(&pause, NULL);
    return 0;
}

static int end_connection(struct script *script, bool with_reset)
{
    struct peer *peer = current_peer(script);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (!peer || peer->fd < 0)
        return fail(script, "no connection");
    if (with_reset)
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(peer->fd);
    peer->fd = -1;
    fprintf(script->transcript, "%u %s\n", script->current, with_reset ? "reset" : "closed");
    return 0;
}

static int do_close(struct script *script, const char *argument)
{
    (void)argument;
    return end_connection(script, false);
}

static int do_reset(struct script *script, const char *argument)
{
    (void)argument;
    return end_connection(script, true);
}

static int do_line(struct script *script, char *line)
{
    static const struct {
        const char *verb;
        int (*run)(struct script *script, const char *argument);
    } verbs[] = {
        {"accept", do_accept},
        {"use", do_use},
        {"expect", do_expect},
        {"expect-close", do_expect_close},
        {"expect-silence", do_expect_silence},
        {"reply", do_reply},
        {"reply-http", do_reply_http},
        {"reply-file", do_reply_file},
        {"sleep-ms", do_sleep},
        {"close", do_close},
        {"reset", do_reset},
    };
    char *argument = line + strcspn(line, " ");

    if (*argument)
        *argument++ = '\0';
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].verb, line) == 0)
            return verbs[i].run(script, argument);
    }
    return fail(script, "no such word");
}

/* Cuts the script into lines. Comments and blank ones stay, so that line numbers are right. */
static size_t split_lines(char *text, char ***ret_lines)
{
    size_t count = 0;
    char **lines = NULL;

    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        lines = realloc(lines, (count + 1) * sizeof *lines);
        if (!lines)
            abort();
        lines[count++] = line + strspn(line, " \t");
    }
    *ret_lines = lines;
    return count;
}

static int follow(struct script *script, char **lines, size_t count)
{
    size_t repeat_from = 0;
    long repeats = 0;

    for (size_t i = 0; i < count; i++) {
        script->line_number = (unsigned)i + 1;
        if (!*lines[i] || *lines[i] == '#')
            continue;
        if (strncmp(lines[i], "repeat ", 7) == 0) {
            repeats = strtol(lines[i] + 7, NULL, 10);
            repeat_from = i;
            continue;
        }
        if (strcmp(lines[i], "end") == 0) {
            if (--repeats > 0)
                i = repeat_from;
            continue;
        }
        char *line = strdup(lines[i]); /* a repeated line is read again */
        if (!line)
            abort();
        int result = do_line(script, line);
        free(line);
        if (result)
            return result;
    }
    return 0;
}

static int listen_on(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof address;
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("scripted: unable to listen");
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int write_port(const char *path, uint16_t port)
{
    struct text temporary = {0};

    text_addf(&temporary, "%s.%d", path, getpid());
    FILE *file = fopen(temporary.data, "we");
    int result = -1;
    if (file) {
        fprintf(file, "%u\n", port);
        result = fclose(file) ? -1 : rename(temporary.data, path);
    }
    if (result)
        perror(path);
    text_done(&temporary);
    return result;
}

static int run(struct script *script, const char *port_file, uint16_t port)
{
    struct text text = {0};
    char **lines;

    if (read_file(script->path, &text)) {
        perror(script->path);
        return 1;
    }
    size_t count = split_lines(text.data, &lines);
    script->listener = listen_on(port, &port);
    int result =
        script->listener < 0 || write_port(port_file, port) || follow(script, lines, count);
    fprintf(script->transcript, "requests %u\nconnections %u\n", script->requests,
            script->peer_count);
    for (unsigned i = 0; i < script->peer_count; i++) {
        if (script->peers[i].fd >= 0)
            close(script->peers[i].fd);
        text_done(&script->peers[i].input);
    }
    if (script->listener >= 0)
        close(script->listener);
    free(lines);
    text_done(&text);
    return result ? 1 : 0;
}

static int usage(void)
{
    fputs("usage: scripted --port-file FILE --script FILE --transcript FILE [--port N] [--timeout "
          "SECONDS]\n",
          stderr);
    return 64;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port-file", required_argument, NULL, 'f'},  {"script", required_argument, NULL, 's'},
        {"transcript", required_argument, NULL, 't'}, {"port", required_argument, NULL, 'p'},
        {"timeout", required_argument, NULL, 'w'},    {NULL, 0, NULL, 0},
    };
    struct script script = {.listener = -1, .timeout_ms = 30000};
    const char *port_file = NULL;
    const char *transcript = NULL;
    uint64_t port = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'f')
            port_file = optarg;
        else if (option == 's')
            script.path = optarg;
        else if (option == 't')
            transcript = optarg;
        else if (option == 'w')
            script.timeout_ms = atoi(optarg) * 1000;
        else if (option != 'p' || digits_parse(optarg, 65535, &port))
            return usage();
    }
    if (!port_file || !script.path || !transcript || optind < argc)
        return usage();
    script.transcript = fopen(transcript, "we");
    if (!script.transcript) {
        perror(transcript);
        return 1;
    }
    setvbuf(script.transcript, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    int result = run(&script, port_file, (uint16_t)port);
    fclose(script.transcript);
    return result;
}
