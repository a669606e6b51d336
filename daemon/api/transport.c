/*
 * libcurl's multi interface on an epoll descriptor of our own.
 *
 * curl_multi_socket_action() touches the one transfer whose socket has something;
 * curl_multi_perform() would poll(2) every transfer under way, each time. libcurl names the sockets
 * to watch (watch_socket) and its next timer (set_timer).
 *
 * What libcurl 7.88 does by itself, and what is done about it here:
 * - It sends a request again when a reused connection ends before a byte of the reply
 * (Curl_retry_request in lib/transfer.c, called from MSTATE_DO and MSTATE_PERFORMING of
 * lib/multi.c). Each way back to sending leads through MSTATE_DO, which first calls the pre-request
 * callback: pass_gate() lets a transfer through once.
 * - Before it reuses a connection, it takes bytes that wait on it as a sign of life (ossl_check_cxn
 * in lib/vtls/openssl.c, cf_socket_conn_is_alive in lib/cf-socket.c). On an idle connection they
 * are TLS's close_notify or a 408: the end. pass_gate() looks itself, and such a transfer, of which
 * nothing left, goes to a new connection.
 * - Its time limit is checked before the socket is read (multi_handle_timeout in lib/multi.c), so
 * after a pause of this process it would throw away a reply that had arrived. CURLOPT_TIMEOUT_MS
 * stays 0; end_overdue() reads first, then judges.
 * - It calls a reply whose head was cut off complete (readwrite_data in lib/transfer.c).
 * take_head_line() looks for the head's end.
 * - A name lookup that is given up is waited for (Curl_resolver_kill in lib/asyn-thread.c), for as
 * long as the resolver pleases, unless CURLOPT_QUICK_EXIT is set: then the thread is left to end
 * alone.
 */
#include "api/transport.h"
#include "api/address.h"
#include "api/failure.h"
#include "base/own.h"
#include "host/clock.h"
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef CHWSYNCD_VERSION
#define CHWSYNCD_VERSION "dev"
#endif

#define CONNECT_LIMIT_S 10u
#define IDLE_LIMIT_S 60L              /* an idle connection older than this is not used again */
#define SYSTEM_CA_KEPT_S 3600L        /* reading the system's authorities takes some 10 ms */
#define HEAD_LIMIT_BYTES (256 * 1024) /* all heads of one reply, interim ones included */
#define KEPT_REPLY_BYTES (64 * 1024)  /* a larger reply's memory is given back at once */
#define RECEIVED_AT_ONCE 4096L        /* of a reply; most are shorter, and each connection has it */
#define COMPRESS_FROM_BYTES                                                                        \
    (2u << 20) /* replies that may be this long are asked for compressed                           \
                */

/* One request's state; all of it is forgotten with the transfer's end. */
struct exchange {
    transfer_gate gate;
    transfer_done done;
    void *userdata;
    size_t limit_bytes, head_bytes;
    int64_t started_us,
        deadline_us; /* the deadline is the connection's, then from the gate on the reply's */
    int socket;      /* last one libcurl asked to watch, -1 = none yet */
    CURLcode code;
    long status; /* of the head that is being read */
    char retry_after[64];
    bool sent, refused_at_gate;
    bool refused_again; /* libcurl wanted to send a second time */
    bool stale;         /* the connection had ended before anything was sent */
    bool head_whole;    /* the final head's empty line was seen */
    bool too_long, timed_out;
};

/* A libcurl handle with its buffers; made once, used for one request after the other. */
struct transfer {
    LIST_ENTRY(transfer) link; /* in transport.active or .ended, or in endpoint.idle */
    struct endpoint *endpoint;
    CURL *easy;
    struct text body, reply;
    long idle_limit_s; /* as set in `easy`, like the next two */
    bool compressed, fresh;
    char curl_words[CURL_ERROR_SIZE];
    struct exchange exchange;
};
LIST_HEAD(transfer_list, transfer);

/*
 * A connection's socket from its opening to its closing, as epoll knows it. libcurl asks for no
 * watch while a connection is idle; it stays as it is for the next transfer, which spares two
 * system calls for each. Only what was opened through open_socket() is kept so: nothing else tells
 * that a number is another socket's now.
 */
struct watch {
    bool opened, wanted; /* wanted: by a transfer under way */
    uint32_t events;
};

struct transport {
    CURLM *multi;
    int epoll_fd;
    struct watch *watches; /* by socket */
    int watch_count;
    int fault;                /* negative errno of a callback that could not report it */
    int64_t timer_us;         /* when libcurl wants to be called; INT64_MAX = never */
    int64_t next_deadline_us; /* no deadline is earlier */
    int *socket_by_port; /* local port -> socket + 1 of the connection that was last kept there */
    struct transfer_list active, ended;
    unsigned endpoints, connections;
    bool calling; /* a callback is under way */
};

struct endpoint {
    struct transport *transport;
    struct address address;
    char *ca_file;
    struct endpoint_tls tls;
    bool observes_tls;
    struct curl_slist *headers;
    unsigned max_in_flight, in_flight;
    int64_t timeout_us, connect_timeout_us;
    long idle_limit_s; /* shortened to what the server says in Keep-Alive */
    struct transfer_list idle;
};

DEFINE_OWN(struct transport, transport_free, transport_freep)
DEFINE_OWN(struct endpoint, endpoint_free, endpoint_freep)

static void wipe_text(struct text *text)
{
    if (text->bytes)
        explicit_bzero(text->bytes, text->size);
    text_done(text);
}

static struct transfer *transfer_of(CURL *easy)
{
    char *transfer = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    return (struct transfer *)(void *)transfer;
}

static void set_deadline(struct transfer *transfer, int64_t limit_us)
{
    struct transport *transport = transfer->endpoint->transport;
    int64_t deadline_us = clock_monotonic_us() + limit_us;

    transfer->exchange.deadline_us = deadline_us;
    if (deadline_us < transport->next_deadline_us)
        transport->next_deadline_us = deadline_us;
}

/*
 * Whether the connection libcurl is about to reuse has ended. Nothing may wait on an idle HTTP/1.1
 * connection: what does is its end. Not knowing the socket counts as fresh, the gate then still
 * keeps a request from being sent twice.
 */
static bool connection_is_stale(const struct transfer *transfer, int local_port)
{
    const struct transport *transport = transfer->endpoint->transport;
    long opened = 0;
    char byte;

    if (curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &opened) || opened > 0)
        return false;
    if (local_port <= 0 || local_port > UINT16_MAX || !transport->socket_by_port[local_port])
        return false;
    if (recv(transport->socket_by_port[local_port] - 1, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
        return true;
    return errno != EAGAIN && errno != EBADF && errno != ENOTSOCK;
}

/* CURLOPT_PREREQFUNCTION: called each time libcurl is about to send the request. */
static int pass_gate(void *userdata, char *address, char *local_address, int port, int local_port)
{
    struct transfer *transfer = userdata;
    struct exchange *exchange = &transfer->exchange;

    (void)address, (void)local_address, (void)port;
    if (exchange->sent) {
        exchange->refused_again = true;
        return CURL_PREREQFUNC_ABORT;
    }
    exchange->stale = connection_is_stale(transfer, local_port);
    if (exchange->stale)
        return CURL_PREREQFUNC_ABORT;
    if (exchange->gate && !exchange->gate(exchange->userdata)) {
        exchange->refused_at_gate = true;
        return CURL_PREREQFUNC_ABORT;
    }
    exchange->sent = true;
    set_deadline(transfer, transfer->endpoint->timeout_us);
    return CURL_PREREQFUNC_OK;
}

/* Copies the value of "NAME: value" when the line has that name (any letter case) and the value
 * fits. */
static bool head_value(const char *line, size_t bytes, const char *name, char *ret_value,
                       size_t size)
{
    size_t skip = strlen(name);

    if (bytes <= skip || strncasecmp(line, name, skip) != 0 || line[skip] != ':')
        return false;
    do
        skip++;
    while (skip < bytes && (line[skip] == ' ' || line[skip] == '\t'));
    while (bytes > skip && strchr(" \t\r\n", line[bytes - 1]))
        bytes--;
    if (bytes - skip >= size)
        return false;
    memcpy(ret_value, line + skip, bytes - skip);
    ret_value[bytes - skip] = '\0';
    return true;
}

/*
 * "Keep-Alive: timeout=5": the server closes after that idle time. Reusing a connection at that
 * very moment makes an answer's outcome unknown, so it is left alone a second earlier (libcurl
 * counts whole seconds, hence the 2).
 */
static void heed_keep_alive(struct endpoint *endpoint, const char *value)
{
    const char *timeout = strcasestr(value, "timeout=");
    long seconds;

    if (!timeout)
        return;
    seconds = strtol(timeout + strlen("timeout="), NULL, 10) - 2;
    endpoint->idle_limit_s = seconds < 0 ? 0 : seconds > IDLE_LIMIT_S ? IDLE_LIMIT_S : seconds;
}

/* CURLOPT_HEADERFUNCTION: one whole line of a head, or of a chunked reply's trailer. */
static size_t take_head_line(char *line, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;
    struct exchange *exchange = &transfer->exchange;
    size_t bytes = size * count;
    char value[128];

    exchange->head_bytes += bytes;
    if (exchange->head_bytes > HEAD_LIMIT_BYTES) {
        exchange->too_long = true;
        return 0;
    }
    if (exchange->head_whole)
        return bytes;
    if (bytes > 9 && memcmp(line, "HTTP/", 5) == 0) {
        exchange->status = strtol(line + 9, NULL, 10);
        exchange->retry_after[0] = '\0';
    } else if (line[0] == '\r' || line[0] == '\n') {
        exchange->head_whole = exchange->status >= 200;
    } else if (head_value(line, bytes, "Keep-Alive", value, sizeof value)) {
        heed_keep_alive(transfer->endpoint, value);
    } else {
        head_value(line, bytes, "Retry-After", exchange->retry_after, sizeof exchange->retry_after);
    }
    return bytes;
}

/* CURLOPT_WRITEFUNCTION: bytes of the body, decompressed; so the limit holds for what they unpack
 * to. */
static size_t take_body(char *bytes, size_t size, size_t count, void *userdata)
{
    struct transfer *transfer = userdata;
    size_t total = size * count;

    if (total > transfer->exchange.limit_bytes - transfer->reply.length) {
        transfer->exchange.too_long = true;
        return 0;
    }
    text_add_bytes(&transfer->reply, bytes, total);
    return transfer->reply.failed ? 0 : total;
}

/* NULL when memory is short. */
static struct watch *watch_of(struct transport *transport, int socket)
{
    struct watch *watches = transport->watches;
    int count = transport->watch_count;

    if (socket < count)
        return &watches[socket];
    while (count <= socket)
        count = count > 0 ? count * 2 : 64;
    watches = reallocarray(watches, (size_t)count, sizeof *watches);
    if (!watches)
        return NULL;
    memset(watches + transport->watch_count, 0,
           (size_t)(count - transport->watch_count) * sizeof *watches);
    transport->watches = watches;
    transport->watch_count = count;
    return &watches[socket];
}

/* CURLOPT_OPENSOCKETFUNCTION */
static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    struct transport *transport = userdata;
    int opened = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    struct watch *watch = opened >= 0 ? watch_of(transport, opened) : NULL;

    (void)purpose;
    if (watch)
        *watch = (struct watch){.opened = true};
    return opened;
}

/* CURLOPT_CLOSESOCKETFUNCTION; the kernel ends what epoll knows of it. */
static int close_socket(void *userdata, curl_socket_t socket)
{
    struct transport *transport = userdata;

    if (socket < transport->watch_count)
        transport->watches[socket] = (struct watch){0};
    return close(socket);
}

static void unwatch(struct transport *transport, int socket, struct watch *watch)
{
    epoll_ctl(transport->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
    watch->events = 0;
}

static int set_watch(struct transport *transport, int socket, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = socket};

    watch->wanted = true;
    if (watch->opened && watch->events == events)
        return 0;
    if (epoll_ctl(transport->epoll_fd, EPOLL_CTL_ADD, socket, &event) < 0 &&
        (errno != EEXIST || epoll_ctl(transport->epoll_fd, EPOLL_CTL_MOD, socket, &event) < 0))
        return -errno;
    watch->events = events;
    return 0;
}

/* CURLMOPT_SOCKETFUNCTION. libcurl calls this before it closes a socket too. */
static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *userdata, void *unused)
{
    struct transport *transport = userdata;
    struct watch *watch = watch_of(transport, socket);
    struct transfer *transfer;
    int r = watch ? 0 : -ENOMEM;

    (void)unused;
    if (watch && what == CURL_POLL_REMOVE) {
        watch->wanted = false;
        if (!watch->opened)
            unwatch(transport, socket, watch);
        return 0;
    }
    transfer = transfer_of(easy);
    if (transfer)
        transfer->exchange.socket = socket;
    if (watch)
        r = set_watch(transport, socket, watch,
                      (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                          (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0));
    if (r < 0)
        transport->fault = r;
    return 0;
}

/* CURLMOPT_TIMERFUNCTION. */
static int set_timer(CURLM *multi, long timeout_ms, void *userdata)
{
    struct transport *transport = userdata;

    (void)multi;
    if (timeout_ms < 0)
        transport->timer_us = INT64_MAX;
    else if (timeout_ms == 0)
        transport->timer_us = 0;
    else
        transport->timer_us = clock_monotonic_us() + timeout_ms * US_PER_MS;
    return 0;
}

static int errno_of(CURLMcode code)
{
    if (code == CURLM_OK)
        return 0;
    return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

/* Hands libcurl what the sockets have and runs its timer. Everything that had arrived when this was
 * called is read. */
static int drive(struct transport *transport)
{
    struct epoll_event events[64];
    CURLMcode code = CURLM_OK;
    int running, count;

    if (transport->timer_us <= clock_monotonic_us()) {
        transport->timer_us = INT64_MAX;
        code = curl_multi_socket_action(transport->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    do {
        count = epoll_wait(transport->epoll_fd, events, COUNT_OF(events), 0);
        if (count < 0)
            return errno == EINTR ? 0 : -errno;
        for (int i = 0; i < count && code == CURLM_OK; i++) {
            int socket = events[i].data.fd;
            struct watch *watch = watch_of(transport, socket);
            int what = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
            if (watch && watch->opened && !watch->wanted) {
                unwatch(transport, socket, watch); /* an idle connection's end: see pass_gate() */
                continue;
            }
            code = curl_multi_socket_action(transport->multi, socket, what, &running);
        }
    } while (count == COUNT_OF(events) && code == CURLM_OK);
    return code == CURLM_OK ? transport->fault : errno_of(code);
}

static CURLMcode start(struct transfer *transfer)
{
    transfer->exchange.socket = -1;
    /* libcurl's own limit ends the connecting; this one is for what that limit does not see. */
    set_deadline(transfer, transfer->endpoint->connect_timeout_us + US_PER_S);
    return curl_multi_add_handle(transfer->endpoint->transport->multi, transfer->easy);
}

/* The connection had ended while it was idle and nothing was sent: the same request goes to a new
 * one. */
static bool start_afresh(struct transfer *transfer)
{
    if (!transfer->exchange.stale || transfer->fresh)
        return false;
    transfer->exchange.stale = false;
    transfer->fresh = true;
    return curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           start(transfer) == CURLM_OK;
}

static void end_transfer(struct transfer *transfer, CURLcode code)
{
    struct transport *transport = transfer->endpoint->transport;

    curl_multi_remove_handle(transport->multi, transfer->easy);
    transfer->exchange.code = code;
    if (start_afresh(transfer))
        return;
    LIST_REMOVE(transfer, link);
    LIST_INSERT_HEAD(&transport->ended, transfer, link);
}

/* Where the connection of a whole reply can be found again, for connection_is_stale(). */
static void remember_socket(struct transfer *transfer)
{
    long port = 0;

    if (curl_easy_getinfo(transfer->easy, CURLINFO_LOCAL_PORT, &port) == CURLE_OK && port > 0 &&
        port <= UINT16_MAX)
        transfer->endpoint->transport->socket_by_port[port] = transfer->exchange.socket + 1;
}

static void collect_ended(struct transport *transport)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(transport->multi, &left))) {
        struct transfer *transfer = transfer_of(message->easy_handle);
        CURLcode code = message->data.result; /* the message is gone with the handle */

        if (code == CURLE_OK)
            remember_socket(transfer);
        end_transfer(transfer, code);
    }
}

/* Grows with every byte that overdue transfers get, and when one of them ends or stops being
 * overdue. */
static size_t overdue_received(const struct transport *transport, int64_t now_us)
{
    const struct transfer *transfer;
    size_t received = 0;

    LIST_FOREACH(transfer, &transport->active, link)
    {
        if (transfer->exchange.deadline_us <= now_us)
            received += 1 + transfer->exchange.head_bytes + transfer->reply.length;
    }
    return received;
}

/* Whatever was made of the watches: what is overdue is looked at itself. */
static int read_overdue(struct transport *transport, int64_t now_us)
{
    const struct transfer *transfer;
    int running;

    LIST_FOREACH(transfer, &transport->active, link)
    {
        CURLMcode code = CURLM_OK;

        if (transfer->exchange.deadline_us <= now_us && transfer->exchange.socket >= 0)
            code = curl_multi_socket_action(transport->multi, transfer->exchange.socket,
                                            CURL_CSELECT_IN, &running);
        if (code != CURLM_OK)
            return errno_of(code);
    }
    return drive(transport);
}

/*
 * Ends what is past its deadline. This process may have been the slow one, with the reply already
 * in its socket; so overdue transfers are read, a buffer at a time, until nothing more is there.
 * The size limits bound that.
 */
static int end_overdue(struct transport *transport)
{
    int64_t now_us = clock_monotonic_us();
    struct transfer *transfer, *next;
    size_t before;

    do {
        int r;

        before = overdue_received(transport, now_us);
        r = read_overdue(transport, now_us);
        if (r < 0)
            return r;
        collect_ended(transport);
    } while (overdue_received(transport, now_us) != before);

    transport->next_deadline_us = INT64_MAX;
    for (transfer = LIST_FIRST(&transport->active); transfer; transfer = next) {
        next = LIST_NEXT(transfer, link);
        if (transfer->exchange.deadline_us <= now_us) {
            transfer->exchange.timed_out = true;
            end_transfer(transfer, CURLE_OPERATION_TIMEDOUT);
        } else if (transfer->exchange.deadline_us < transport->next_deadline_us) {
            transport->next_deadline_us = transfer->exchange.deadline_us;
        }
    }
    return 0;
}

static void tell_failure(const struct transfer *transfer, struct problem *reterr_problem)
{
    const struct endpoint *endpoint = transfer->endpoint;
    const struct exchange *exchange = &transfer->exchange;
    long system_error = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &system_error);
    failure_tell(&(struct failure){.host = endpoint->address.host,
                                   .connect_timeout_us = endpoint->connect_timeout_us,
                                   .timeout_us = endpoint->timeout_us,
                                   .code = exchange->code,
                                   .curl_words = transfer->curl_words,
                                   .system_error = (int)system_error,
                                   .received = exchange->head_bytes + transfer->reply.length,
                                   .limit_bytes = exchange->head_whole ? exchange->limit_bytes
                                                                       : (size_t)HEAD_LIMIT_BYTES,
                                   .refused_at_gate = exchange->refused_at_gate,
                                   .sent = exchange->sent,
                                   .out_of_memory = transfer->reply.failed,
                                   .too_long = exchange->too_long,
                                   .timed_out = exchange->timed_out},
                 reterr_problem);
}

static void describe_end(struct transfer *transfer, struct transfer_end *ret_end)
{
    struct exchange *exchange = &transfer->exchange;

    *ret_end = (struct transfer_end){
        .sent = exchange->sent,
        .complete = exchange->code == CURLE_OK && exchange->head_whole,
        .refused_at_gate = exchange->refused_at_gate,
        .took_us = clock_monotonic_us() - exchange->started_us,
    };
    if (!ret_end->complete) {
        tell_failure(transfer, &ret_end->problem);
        return;
    }
    ret_end->bytes = (struct reply_bytes){
        .http_status = exchange->status,
        .retry_after = exchange->retry_after[0] ? exchange->retry_after : NULL,
        .now_s = exchange->retry_after[0] ? clock_wall_s() : 0,
        .body = text_string(&transfer->reply),
        .body_bytes = transfer->reply.length,
    };
}

/* Of the server's own certificate, which is the first one. A connection that is used again tells
 * none. */
static void observe_certificate(struct transfer *transfer)
{
    struct curl_certinfo *chain = NULL;

    if (!transfer->endpoint->observes_tls ||
        curl_easy_getinfo(transfer->easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain ||
        chain->num_of_certs < 1)
        return;
    for (const struct curl_slist *line = chain->certinfo[0]; line; line = line->next)
        if (strncmp(line->data, "Expire date:", 12) == 0)
            transfer->endpoint->tls.certificate_s = (int64_t)curl_getdate(line->data + 12, NULL);
}

static void put_back(struct transfer *transfer)
{
    if (transfer->reply.size > KEPT_REPLY_BYTES)
        text_done(&transfer->reply);
    LIST_INSERT_HEAD(&transfer->endpoint->idle, transfer, link);
}

static void call_ended(struct transport *transport)
{
    struct transfer *transfer;

    while ((transfer = LIST_FIRST(&transport->ended))) {
        struct transfer_end end;

        LIST_REMOVE(transfer, link);
        wipe_text(&transfer->body);
        observe_certificate(transfer);
        describe_end(transfer, &end);
        transfer->endpoint->in_flight--;
        transport->calling = true;
        transfer->exchange.done(transfer->exchange.userdata, &end);
        transport->calling = false;
        put_back(transfer);
    }
}

int transport_work(struct transport *transport)
{
    int r;

    assert(!transport->calling);
    /* The second round sends what the first one's callbacks started. */
    for (int round = 0; round < 2; round++) {
        r = drive(transport);
        if (r < 0)
            return r;
        collect_ended(transport);
        if (transport->next_deadline_us <= clock_monotonic_us()) {
            r = end_overdue(transport);
            if (r < 0)
                return r;
        }
        call_ended(transport);
        if (transport->timer_us != 0)
            break;
    }
    return 0;
}

int transport_wait(struct transport *transport, int extra_fd, int64_t wait_us)
{
    struct pollfd polled[] = {{.fd = transport->epoll_fd, .events = POLLIN},
                              {.fd = extra_fd, .events = POLLIN}};
    int64_t until_us = transport->timer_us < transport->next_deadline_us
                           ? transport->timer_us
                           : transport->next_deadline_us;
    struct timespec timeout;

    assert(!transport->calling);
    if (until_us != INT64_MAX) {
        int64_t left_us = until_us - clock_monotonic_us();

        wait_us = left_us < wait_us ? left_us : wait_us;
    }
    if (wait_us <= 0)
        return 0;
    timeout = (struct timespec){.tv_sec = wait_us / US_PER_S, .tv_nsec = wait_us % US_PER_S * 1000};
    if (ppoll(polled, COUNT_OF(polled), &timeout, NULL) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

int transport_new(struct transport **ret_transport)
{
    OWN(transport_freep) struct transport *transport = NULL;

    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return -ENOMEM;
    transport = calloc(1, sizeof *transport);
    if (!transport) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    transport->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (transport->epoll_fd < 0)
        return -errno;
    transport->timer_us = transport->next_deadline_us = INT64_MAX;
    transport->socket_by_port = calloc(UINT16_MAX + 1, sizeof *transport->socket_by_port);
    transport->multi = curl_multi_init();
    if (!transport->socket_by_port || !transport->multi)
        return -ENOMEM;
    curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport);
    curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport);
    *ret_transport = GIVE(transport);
    return 0;
}

void transport_free(struct transport *transport)
{
    if (!transport)
        return;
    assert(!transport->calling && transport->endpoints == 0);
    if (transport->multi)
        curl_multi_cleanup(transport->multi);
    if (transport->epoll_fd >= 0)
        close(transport->epoll_fd);
    free(transport->socket_by_port);
    free(transport->watches);
    free(transport);
    curl_global_cleanup();
}

static void transfer_free(struct transfer *transfer)
{
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    wipe_text(&transfer->body);
    text_done(&transfer->reply);
    free(transfer);
}

/*
 * libcurl names the version only in its words for people: "SSL connection using TLSv1.3 / ...", of
 * OpenSSL as of GnuTLS. Nothing but these words is looked at here; what is sent and received, which
 * passes here too, is not.
 */
static int hear_words(CURL *easy, curl_infotype type, char *bytes, size_t count, void *userdata)
{
    static const char using[] = "SSL connection using ";
    struct endpoint_tls *tls = userdata;
    size_t skipped = sizeof using - 1, length = 0;

    (void)easy;
    if (type != CURLINFO_TEXT || count <= skipped || memcmp(bytes, using, skipped) != 0)
        return 0;
    while (skipped + length < count && length < sizeof tls->version - 1 &&
           bytes[skipped + length] != ' ' && bytes[skipped + length] != '\n')
        length++;
    snprintf(tls->version, sizeof tls->version, "%.*s", (int)length, bytes + skipped);
    return 0;
}

/* The options that never change; a request then costs few calls. */
static CURLcode set_options(struct transfer *transfer)
{
    const struct endpoint *endpoint = transfer->endpoint;
    CURL *easy = transfer->easy;
    const char *system_ca = NULL;
    CURLcode code = CURLE_OK;

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK)                                                                      \
            code = curl_easy_setopt(easy, option, value);                                          \
    } while (0)

    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_BUFFERSIZE, RECEIVED_AT_ONCE);
    SET(CURLOPT_ERRORBUFFER, transfer->curl_words);
    SET(CURLOPT_CURLU, endpoint->address.url);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_HTTPHEADER, endpoint->headers);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, endpoint->transport);
    SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, endpoint->transport);
    SET(CURLOPT_PREREQFUNCTION, pass_gate);
    SET(CURLOPT_PREREQDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, take_head_line);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);

    SET(CURLOPT_PROTOCOLS_STR, endpoint->tls.plain ? "http" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*"); /* else the environment is searched for it, each time */
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_NOPROGRESS, 1L);
    SET(CURLOPT_TIMEOUT_MS, 0L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(endpoint->connect_timeout_us / US_PER_MS));
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_MAXAGE_CONN, transfer->idle_limit_s);

    if (endpoint->observes_tls) {
        SET(CURLOPT_VERBOSE, 1L);
        SET(CURLOPT_DEBUGFUNCTION, hear_words);
        SET(CURLOPT_DEBUGDATA, &transfer->endpoint->tls);
        SET(CURLOPT_CERTINFO, 1L);
    }
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (endpoint->ca_file)
        SET(CURLOPT_CAINFO, endpoint->ca_file);
    /* libcurl keeps parsed authorities for a day, of a file that was replaced too. Reading the few
     * of a ca_file costs nothing beside a handshake. */
    SET(CURLOPT_CA_CACHE_TIMEOUT, endpoint->ca_file ? 0L : SYSTEM_CA_KEPT_S);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(easy, CURLINFO_CAINFO, &system_ca);
    /* Besides a ca_file nothing is to be trusted. Without one the directory repeats the system's
     * file, and libcurl keeps parsed certificates from one connection to the next only when there
     * is no directory. */
    if (endpoint->ca_file || (system_ca && access(system_ca, R_OK) == 0))
        SET(CURLOPT_CAPATH, NULL);
#undef SET
    return code;
}

static struct transfer *transfer_get(struct endpoint *endpoint)
{
    struct transfer *transfer = LIST_FIRST(&endpoint->idle);

    if (transfer) {
        LIST_REMOVE(transfer, link);
        return transfer;
    }
    transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return NULL;
    transfer->endpoint = endpoint;
    transfer->idle_limit_s = endpoint->idle_limit_s;
    transfer->easy = curl_easy_init();
    if (!transfer->easy || set_options(transfer) != CURLE_OK) {
        transfer_free(transfer);
        return NULL;
    }
    return transfer;
}

/* libcurl formats a header of ours once, one from an option twice. A form's Content-Type is its
 * own. */
static bool add_header(struct endpoint *endpoint, const char *header)
{
    struct curl_slist *headers = curl_slist_append(endpoint->headers, header);

    if (headers)
        endpoint->headers = headers;
    return headers;
}

/* As many connections as can be busy at once are worth keeping; transfers never outnumber them, so
 * no other limit is needed. */
static void count_connections(struct endpoint *endpoint, int sign)
{
    struct transport *transport = endpoint->transport;

    transport->endpoints += (unsigned)sign;
    transport->connections += (unsigned)sign * endpoint->max_in_flight;
    curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS,
                      transport->connections ? (long)transport->connections : 1L);
}

int endpoint_new(struct transport *transport, const struct endpoint_options *options,
                 struct endpoint **ret_endpoint, struct problem *reterr_problem)
{
    OWN(endpoint_freep) struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    int r;

    if (!endpoint)
        return -ENOMEM;
    endpoint->transport = transport;
    endpoint->max_in_flight = options->max_in_flight;
    endpoint->observes_tls = options->observes_tls;
    count_connections(endpoint, 1);
    endpoint->idle_limit_s = IDLE_LIMIT_S;
    endpoint->timeout_us = options->timeout_s * US_PER_S;
    endpoint->connect_timeout_us =
        (options->timeout_s < CONNECT_LIMIT_S ? options->timeout_s : CONNECT_LIMIT_S) * US_PER_S;
    endpoint->ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    if ((options->ca_file && !endpoint->ca_file) || !add_header(endpoint, "Expect:") ||
        !add_header(endpoint, "Accept: application/json") ||
        !add_header(endpoint, "User-Agent: chwsyncd/" CHWSYNCD_VERSION))
        return -ENOMEM;
    r = address_init(&endpoint->address, options->url, reterr_problem);
    if (r == 0 && endpoint->ca_file)
        r = address_check_ca_file(endpoint->ca_file, reterr_problem);
    endpoint->tls.plain = endpoint->address.plain;
    if (r == 0)
        *ret_endpoint = GIVE(endpoint);
    return r;
}

static void drop_transfers(struct endpoint *endpoint, struct transfer_list *list)
{
    struct transfer *transfer, *next;

    for (transfer = LIST_FIRST(list); transfer; transfer = next) {
        next = LIST_NEXT(transfer, link);
        if (transfer->endpoint != endpoint)
            continue;
        curl_multi_remove_handle(endpoint->transport->multi, transfer->easy);
        LIST_REMOVE(transfer, link);
        transfer_free(transfer);
    }
}

void endpoint_free(struct endpoint *endpoint)
{
    if (!endpoint)
        return;
    assert(!endpoint->transport->calling);
    drop_transfers(endpoint, &endpoint->transport->active);
    drop_transfers(endpoint, &endpoint->transport->ended);
    drop_transfers(endpoint, &endpoint->idle);
    count_connections(endpoint, -1);
    curl_slist_free_all(endpoint->headers);
    address_done(&endpoint->address);
    free(endpoint->ca_file);
    free(endpoint);
}

unsigned endpoint_free_slots(const struct endpoint *endpoint)
{
    return endpoint->max_in_flight - endpoint->in_flight;
}

unsigned endpoint_in_flight(const struct endpoint *endpoint)
{
    return endpoint->in_flight;
}

const struct endpoint_tls *endpoint_tls(const struct endpoint *endpoint)
{
    return &endpoint->tls;
}

/* What can differ from the handle's last request. */
static CURLcode set_request(struct transfer *transfer)
{
    const struct endpoint *endpoint = transfer->endpoint;
    /* A short reply gains nothing from compression, and an order's must not depend on a decoder. */
    bool compressed = transfer->exchange.limit_bytes >= COMPRESS_FROM_BYTES;
    CURL *easy = transfer->easy;
    CURLcode code;

    code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, text_string(&transfer->body));
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)transfer->body.length);
    if (code == CURLE_OK && transfer->compressed != compressed)
        code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, compressed ? "gzip" : NULL);
    if (code == CURLE_OK && transfer->fresh)
        code = curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 0L);
    if (code == CURLE_OK && transfer->idle_limit_s != endpoint->idle_limit_s)
        code = curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, endpoint->idle_limit_s);
    transfer->compressed = compressed;
    transfer->fresh = false;
    transfer->idle_limit_s = endpoint->idle_limit_s;
    return code;
}

int transport_post(struct endpoint *endpoint, struct text *body, size_t limit_bytes,
                   transfer_gate gate, transfer_done done, void *userdata)
{
    struct transfer *transfer =
        !body->failed && endpoint_free_slots(endpoint) > 0 ? transfer_get(endpoint) : NULL;

    if (!transfer) {
        bool full = !body->failed && endpoint_free_slots(endpoint) == 0;

        wipe_text(body);
        return full ? -EBUSY : -ENOMEM;
    }
    transfer->body = *body;
    *body = (struct text){0};
    text_clear(&transfer->reply);
    transfer->exchange = (struct exchange){.gate = gate,
                                           .done = done,
                                           .userdata = userdata,
                                           .limit_bytes = limit_bytes,
                                           .started_us = clock_monotonic_us()};
    if (set_request(transfer) != CURLE_OK || start(transfer) != CURLM_OK) {
        wipe_text(&transfer->body);
        put_back(transfer);
        return -ENOMEM;
    }
    endpoint->in_flight++;
    LIST_INSERT_HEAD(&endpoint->transport->active, transfer, link);
    return 0;
}
