#include "server.h"

#include "control.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX (4u << 20)
#define HELD_CHECK_US 20000
#define FILLER "<!-- there is always more -->\n"

enum phase {
    PHASE_IDLE,    /* between requests */
    PHASE_READING, /* the request's body is coming */
    PHASE_WAITING, /* suspended until its time; then the ending follows */
    PHASE_SILENT,  /* suspended until the client gives up */
    PHASE_REPLYING
};

/* What becomes of the request once its time has come. */
enum ending {
    ENDING_REPLY,
    ENDING_CLOSE, /* no byte, then FIN */
    ENDING_RESET, /* no byte, then RST */
    ENDING_SILENCE,
    ENDING_ENDLESS,
    ENDING_TRUNCATED,
    ENDING_SLOW
};

struct connection {
    struct server *server;
    struct MHD_Connection *handle;
    struct connection *next, *previous;
    uint32_t id, requests;
    int fd;
    enum phase phase;
    enum ending ending;
    unsigned http_status;
    uint32_t retry_after;
    bool html;
    struct text request, reply;
    size_t sent; /* of a slow body */
    int64_t slow_us;
    bool slow_waited;
};

struct timer {
    int64_t at_us; /* monotonic */
    struct connection *connection;
};

struct server {
    struct panel *panel;
    struct MHD_Daemon *daemon;
    struct connection *connections;
    uint32_t connection_count; /* ever */
    uint16_t in_flight;
    uint16_t port;
    bool stopping;        /* nothing may be suspended any more */
    struct timer *timers; /* a heap */
    size_t timer_count, timer_capacity;
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void timer_push(struct server *server, int64_t at_us, struct connection *connection)
{
    if (server->timer_count == server->timer_capacity) {
        server->timer_capacity = server->timer_capacity ? server->timer_capacity * 2 : 64;
        server->timers = realloc(server->timers, server->timer_capacity * sizeof *server->timers);
        if (!server->timers)
            abort();
    }
    size_t at = server->timer_count++;
    for (; at && server->timers[(at - 1) / 2].at_us > at_us; at = (at - 1) / 2)
        server->timers[at] = server->timers[(at - 1) / 2];
    server->timers[at] = (struct timer){at_us, connection};
}

static struct connection *timer_pop(struct server *server)
{
    struct connection *first = server->timers[0].connection;
    struct timer last = server->timers[--server->timer_count];
    size_t at = 0;

    for (;;) {
        size_t child = at * 2 + 1;
        if (child + 1 < server->timer_count &&
            server->timers[child + 1].at_us < server->timers[child].at_us)
            child++;
        if (child >= server->timer_count || server->timers[child].at_us >= last.at_us)
            break;
        server->timers[at] = server->timers[child];
        at = child;
    }
    if (server->timer_count)
        server->timers[at] = last;
    return first;
}

static void suspend_until(struct connection *connection, int64_t at_us)
{
    MHD_suspend_connection(connection->handle);
    timer_push(connection->server, at_us, connection);
}

static bool peer_is_gone(const struct connection *connection)
{
    struct pollfd look = {.fd = connection->fd, .events = POLLRDHUP};

    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Disconnecting a TCP socket from its address sends RST at once; closing it would say FIN first. */
static void send_reset(const struct connection *connection)
{
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    if (connect(connection->fd, &nowhere, sizeof nowhere) < 0)
        perror("panel: reset");
}

static ssize_t read_endless(void *context, uint64_t position, char *buffer, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++)
        buffer[i] = FILLER[(position + i) % (sizeof FILLER - 1)];
    return (ssize_t)size;
}

static ssize_t read_truncated(void *context, uint64_t position, char *buffer, size_t size)
{
    struct connection *connection = context;
    size_t left = connection->reply.length - (size_t)position;

    if (!left)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size = size < left ? size : left;
    memcpy(buffer, connection->reply.data + position, size);
    return (ssize_t)size;
}

static ssize_t read_slow(void *context, uint64_t position, char *buffer, size_t size)
{
    struct connection *connection = context;

    if (!size)
        return 0;
    if (connection->server->stopping)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (position && !connection->slow_waited) {
        connection->slow_waited = true;
        suspend_until(connection, clock_us(CLOCK_MONOTONIC) + connection->slow_us);
        return 0;
    }
    connection->slow_waited = false;
    *buffer = connection->reply.data[position];
    return 1;
}

static struct MHD_Response *make_response(struct connection *connection)
{
    const struct text *reply = &connection->reply;

    switch (connection->ending) {
    case ENDING_REPLY:
        return MHD_create_response_from_buffer(reply->length, reply->data, MHD_RESPMEM_PERSISTENT);
    case ENDING_ENDLESS:
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_endless, NULL, NULL);
    case ENDING_TRUNCATED:
        return MHD_create_response_from_callback(reply->length + 100, 16384, read_truncated,
                                                 connection, NULL);
    case ENDING_SLOW:
        return MHD_create_response_from_callback(reply->length, 1, read_slow, connection, NULL);
    case ENDING_CLOSE:
    case ENDING_RESET:
    case ENDING_SILENCE:
        break;
    }
    return NULL;
}

static enum MHD_Result send_reply(struct connection *connection)
{
    struct MHD_Response *response = make_response(connection);
    uint64_t variants = connection->server->panel->variants;
    bool html = connection->html || HAS(variants, TEXT_HTML);

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type",
                            html ? "text/html; charset=UTF-8" : "application/json; charset=UTF-8");
    if (connection->retry_after) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", connection->retry_after);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (HAS(variants, CONNECTION_CLOSE))
        MHD_add_response_header(response, "Connection", "close");
    connection->phase = PHASE_REPLYING;
    enum MHD_Result result =
        MHD_queue_response(connection->handle, connection->http_status, response);
    MHD_destroy_response(response);
    return result;
}

/* The request's time has come. */
static enum MHD_Result end_request(struct connection *connection)
{
    switch (connection->ending) {
    case ENDING_CLOSE:
        return MHD_NO;
    case ENDING_RESET:
        send_reset(connection);
        return MHD_NO;
    case ENDING_SILENCE:
        if (connection->phase == PHASE_SILENT)
            return MHD_NO;
        connection->phase = PHASE_SILENT;
        suspend_until(connection, clock_us(CLOCK_MONOTONIC) + HELD_CHECK_US);
        return MHD_YES;
    case ENDING_REPLY:
    case ENDING_ENDLESS:
    case ENDING_TRUNCATED:
    case ENDING_SLOW:
        return send_reply(connection);
    }
    return MHD_NO;
}

static const char page_503[] =
    "<html><head><title>503 Service Unavailable</title></head><body><center>"
    "<h1>503 Service Unavailable</h1></center></body></html>\n";
static const char page_200[] =
    "<!DOCTYPE html><html><title>Just a moment...</title><body>Checking your browser."
    "</body></html>\n";
static const char error_500[] =
    "{\"code\":\"internal_server_error\",\"message\":\"<p>There has been a critical error on this "
    "website.</p>\",\"data\":{\"status\":500}}";

static void set_body(struct connection *connection, const struct fault *fault, unsigned http_status,
                     const char *body, bool html)
{
    connection->html = html;
    connection->http_status = http_status;
    connection->retry_after = fault->retry_after;
    text_clear(&connection->reply);
    text_add(&connection->reply, body);
}

static void set_error(struct connection *connection, const struct fault *fault,
                      enum api_error error, const char *words, struct panel_reply *reply)
{
    text_clear(&connection->reply);
    panel_error(connection->server->panel, error, fault->text ? fault->text : words,
                fault->retry_after, &connection->reply, reply);
    connection->http_status = reply->http_status;
    connection->retry_after = reply->retry_after;
}

/* What the fault makes of a reply that is ready (or of none, when nothing was carried out). */
static void apply_fault(struct connection *connection, const struct fault *fault,
                        struct panel_reply *reply)
{
    static const enum ending endings[FAULT_COUNT] = {
        [FAULT_RESET_BEFORE] = ENDING_RESET,    [FAULT_RESET_AFTER] = ENDING_RESET,
        [FAULT_CLOSE_BEFORE] = ENDING_CLOSE,    [FAULT_CLOSE_AFTER] = ENDING_CLOSE,
        [FAULT_CLOSE_REUSED] = ENDING_CLOSE,    [FAULT_TIMEOUT_BEFORE] = ENDING_SILENCE,
        [FAULT_TIMEOUT_AFTER] = ENDING_SILENCE, [FAULT_ENDLESS] = ENDING_ENDLESS,
        [FAULT_TRUNCATED] = ENDING_TRUNCATED,   [FAULT_SLOW_BODY] = ENDING_SLOW,
    };
    enum fault_kind kind = fault->kind;

    connection->ending = endings[kind];
    connection->slow_us = fault->millis ? (int64_t)fault->millis * 1000 : 1000000;
    if (kind == FAULT_HTML_503)
        set_body(connection, fault, 503, page_503, true);
    else if (kind == FAULT_HTML_200)
        set_body(connection, fault, 200, page_200, true);
    else if (kind == FAULT_500_BEFORE || kind == FAULT_500_AFTER)
        set_body(connection, fault, 500, error_500, false);
    else if (kind == FAULT_REPLY)
        set_body(connection, fault, fault->http_status, fault->text ? fault->text : "", false);
    else if (kind == FAULT_EMPTY)
        text_clear(&connection->reply);
    else if (kind == FAULT_HALF_JSON)
        connection->reply.length /= 2;
    else if (kind == FAULT_WRONG_KEY)
        set_error(connection, fault, ERROR_KEY, "Invalid API key.", reply);
    else if (kind == FAULT_INSUFFICIENT)
        set_error(connection, fault, ERROR_FUNDS, "Insufficient balance.", reply);
    else if (kind == FAULT_RATE)
        set_error(connection, fault, ERROR_RATE, "Rate limit exceeded: max 60 requests per minute.",
                  reply);
}

static void record_request(struct connection *connection, const struct form *form, int64_t now_us,
                           const struct panel_reply *reply, enum fault_kind fault)
{
    struct panel *panel = connection->server->panel;
    const char *key = form_text(form, "key");
    size_t length = strlen(key);

    if (!panel->record_limit)
        return;
    struct request_record *record = &panel->records[panel->record_count++ % panel->record_limit];
    *record = (struct request_record){
        .wall_us = now_us,
        .monotonic_us = clock_us(CLOCK_MONOTONIC),
        .order = reply->order ? reply->order->id : 0,
        .connection = connection->id,
        .nth_on_connection = connection->requests,
        .ids = reply->ids,
        .in_flight = connection->server->in_flight,
        .action = (uint8_t)reply->action,
        .result = (uint8_t)reply->result,
        .fault = (uint8_t)fault,
    };
    memcpy(record->key_tail, key + (length > 4 ? length - 4 : 0), length > 4 ? 4 : length);
}

/* One whole API request: carried out and recorded. Returns for how long the ending is put off. */
static int64_t serve_api(struct connection *connection, const struct form *form)
{
    struct panel *panel = connection->server->panel;
    int64_t now_us = clock_us(CLOCK_REALTIME);
    enum panel_action action = panel_action_of(form);
    struct panel_reply reply = {.action = action};
    int64_t delay_us = panel->latency_us;
    const struct fault *fault = NULL;

    if (panel->faults.count)
        fault =
            faults_meet(&panel->faults, panel_action_name(action), form, connection->requests > 1);
    panel->counters[action].requests++;
    if (!fault || fault->executes) {
        panel_answer(panel, form, now_us, &connection->reply, &reply);
        connection->http_status = reply.http_status;
        connection->retry_after = reply.retry_after;
    }
    if (fault) {
        panel->counters[action].faulted++;
        apply_fault(connection, fault, &reply);
        if (fault->kind != FAULT_SLOW_BODY)
            delay_us += (int64_t)fault->millis * 1000;
    }
    record_request(connection, form, now_us, &reply, fault ? fault->kind : FAULT_NONE);
    return delay_us;
}

static void serve_control(struct connection *connection, const char *verb, const struct form *form)
{
    struct server *server = connection->server;
    struct panel *panel = server->panel;
    struct control_reply reply;
    const char *key =
        MHD_lookup_connection_value(connection->handle, MHD_HEADER_KIND, "X-Control-Key");

    if (!key)
        key = form_text(form, "control");
    if (panel->control_key && strcmp(panel->control_key, key) != 0) {
        connection->http_status = 403;
        text_add(&connection->reply, "wrong control key\n");
        return;
    }
    control_answer(panel, verb, form, clock_us(CLOCK_REALTIME), &connection->reply, &reply);
    connection->http_status = reply.http_status;
    if (!reply.closes_idle)
        return;
    for (const struct connection *other = server->connections; other; other = other->next) {
        if (other->phase == PHASE_IDLE)
            shutdown(other->fd, SHUT_RDWR);
    }
}

static void serve_no_route(struct connection *connection)
{
    connection->http_status = 404;
    text_add(&connection->reply,
             "{\"code\":\"rest_no_route\",\"message\":\"No route was found matching the URL and "
             "request method.\",\"data\":{\"status\":404}}");
}

/* The request has been read whole. */
static enum MHD_Result serve(struct connection *connection, const char *url, const char *method)
{
    static const char control[] = "/control/";
    bool post = strcmp(method, "POST") == 0;
    struct form form = {.count = 0};
    int64_t delay_us = 0;

    text_clear(&connection->reply);
    connection->ending = ENDING_REPLY;
    connection->html = false;
    connection->http_status = 200;
    connection->retry_after = 0;
    connection->slow_waited = false;
    if (connection->request.length)
        form_parse(&form, connection->request.data);
    if (strncmp(url, control, sizeof control - 1) == 0)
        serve_control(connection, url + sizeof control - 1, &form);
    else if (post && (strcmp(url, "/wp-json/chw/v2") == 0 || strcmp(url, "/api/v2") == 0 ||
                      strcmp(url, "/") == 0))
        delay_us = serve_api(connection, &form);
    else
        serve_no_route(connection);
    if (!connection->reply.data)
        text_add(&connection->reply, "");
    if (delay_us <= 0)
        return end_request(connection);
    connection->phase = PHASE_WAITING;
    suspend_until(connection, clock_us(CLOCK_MONOTONIC) + delay_us);
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *handle, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **request_context)
{
    struct connection *connection = *request_context;
    struct server *server = context;

    (void)version;
    if (!connection) {
        connection =
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        *request_context = connection;
        connection->phase = PHASE_READING;
        connection->requests++;
        server->in_flight++;
        text_clear(&connection->request);
        return MHD_YES;
    }
    if (*data_size) {
        if (connection->request.length + *data_size > BODY_MAX)
            return MHD_NO;
        text_add_bytes(&connection->request, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    if (server->stopping)
        return MHD_NO;
    if (connection->phase == PHASE_READING)
        return serve(connection, url, method);
    return end_request(connection);
}

static void on_completed(void *context, struct MHD_Connection *handle, void **request_context,
                         enum MHD_RequestTerminationCode reason)
{
    struct connection *connection = *request_context;
    struct server *server = context;

    (void)handle;
    (void)reason;
    if (!connection)
        return;
    server->in_flight--;
    connection->phase = PHASE_IDLE;
    *request_context = NULL;
}

static void on_connection(void *context, struct MHD_Connection *handle, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct connection *connection = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection = calloc(1, sizeof *connection);
        if (!connection)
            abort();
        connection->server = server;
        connection->handle = handle;
        connection->id = ++server->connection_count;
        connection->fd =
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        connection->next = server->connections;
        if (connection->next)
            connection->next->previous = connection;
        server->connections = connection;
        *socket_context = connection;
        return;
    }
    if (connection->next)
        connection->next->previous = connection->previous;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    text_done(&connection->request);
    text_done(&connection->reply);
    free(connection);
}

int server_new(struct server **ret_server, struct panel *panel,
               const struct server_options *options)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key},
        {MHD_OPTION_END, 0, NULL},
    };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (options->tls_certificate)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[2];
    struct server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->panel = panel;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_CONNECTION_LIMIT, 4096u,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_seconds, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_ARRAY,
        tls, MHD_OPTION_END);
    if (!server->daemon) {
        fprintf(stderr, "panel: unable to listen on 127.0.0.1:%u: %s\n", options->port,
                strerror(errno));
        free(server);
        return -1;
    }
    server->port = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    *ret_server = server;
    return 0;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

/* Wakes every connection whose time has come. */
static void fire_timers(struct server *server, int64_t now_us)
{
    while (server->timer_count && server->timers[0].at_us <= now_us) {
        struct connection *connection = timer_pop(server);
        if (connection->phase == PHASE_SILENT && !peer_is_gone(connection))
            timer_push(server, now_us + HELD_CHECK_US, connection);
        else
            MHD_resume_connection(connection->handle);
    }
}

/* How long nothing has to be done; negative: until something happens. */
static int64_t idle_us(struct server *server)
{
    MHD_UNSIGNED_LONG_LONG milliseconds;
    int64_t wait_us = -1;

    if (MHD_get_timeout(server->daemon, &milliseconds) == MHD_YES)
        wait_us = (int64_t)milliseconds * 1000;
    if (server->timer_count) {
        int64_t timer_us = server->timers[0].at_us - clock_us(CLOCK_MONOTONIC);
        timer_us = timer_us > 0 ? timer_us : 0;
        wait_us = wait_us < 0 || timer_us < wait_us ? timer_us : wait_us;
    }
    return wait_us;
}

int server_run(struct server *server)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    struct pollfd watched[] = {
        {.fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
         .events = POLLIN},
        {.fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN},
    };
    /* The kernel's default slack of 50 us would show in the latencies that are asked for. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    while (watched[1].fd >= 0) {
        int64_t wait_us = idle_us(server);
        struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
        if (wait_us != 0 && ppoll(watched, 2, wait_us < 0 ? NULL : &wait, NULL) < 0 &&
            errno != EINTR)
            break;
        if (watched[1].revents & POLLIN) {
            close(watched[1].fd);
            return 0;
        }
        if (server->timer_count)
            fire_timers(server, clock_us(CLOCK_MONOTONIC));
        if (MHD_run(server->daemon) != MHD_YES)
            break;
    }
    perror("panel: unable to go on");
    if (watched[1].fd >= 0)
        close(watched[1].fd);
    return -1;
}

void server_free(struct server *server)
{
    /* A daemon with suspended connections cannot be stopped. */
    server->stopping = true;
    while (server->timer_count)
        MHD_resume_connection(timer_pop(server)->handle);
    MHD_run(server->daemon);
    MHD_stop_daemon(server->daemon);
    free(server->timers);
    free(server);
}
