/*
 * api/transport.h - HTTP requests that are sent at most once each.
 *
 * libcurl's multi interface with keep-alive, TLS verified, no redirects, no proxy, http:// to
 * loopback only, HTTP/1.1. Time and size of every reply are bounded. libcurl by itself sends a
 * request again when a reused connection turns out to be dead before a byte of the reply came
 * (Curl_retry_request); for a purchase that could buy twice. So every transfer passes one gate,
 * CURLOPT_PREREQFUNCTION, right before its bytes leave: it opens once. When it never opened,
 * nothing was sent, provably; a second attempt of libcurl is refused there and ends the transfer as
 * "may have been sent". An idle connection that has ended is found at the gate, before anything is
 * sent.
 *
 * Connecting may take timeout_s, at most 10 s; the reply may take timeout_s from the moment of
 * sending. A reply that arrived in time is never lost to a stall of this process.
 *
 * One struct transport for all providers of the process; single-threaded. The owner's loop calls
 * transport_wait() and transport_work(). `done` may start transfers; a gate may not, and neither
 * may free endpoints or the transport. The process is to ignore SIGPIPE.
 */
#pragma once
#include "base/problem.h"
#include "base/text.h"
#include "wire/reply.h"
#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
/*
 * How a request can end, and what is concluded. Each line is a test of tests/unit/test_transport.c.
 * unsent: `sent` is false. lost: sent and not complete, which for an `add` is an unknown outcome.
 *
 * | what happens                              | is       | source, reason
 * | name, address, connection, handshake fail | unsent   | the gate stands behind them: multi.c, MSTATE_DO
 * | the caller's gate says no                 | unsent   | CURLOPT_PREREQFUNCTION
 * | idle connection found ended, or a 408     | unsent   | looked at in the gate; goes to a new one, once
 * | it ends before, while or after sending    | lost     | RFC 9110 9.2.2: not known to be not applied; on a
 * |                                           |          | reused one libcurl would send again (transfer.c,
 * |                                           |          | Curl_retry_request): the gate opens once
 * | TLS 1.3, a client's certificate is wanted | lost     | RFC 8446 4.4.3: the client may send before the
 * |                                           |          | server has looked at it
 * | only 1xx heads, a 101 nobody asked for    | lost     | RFC 9110 15.2: no final reply
 * | cut in head, chunks or Content-Length     | lost     | RFC 9112 8
 * | body of no told length, connection ends   | complete | also without TLS's close_notify: libcurl takes both
 * |                                           |          | for the end. A part of a JSON object is none, so
 * |                                           |          | it decodes to unknown
 * | too long, too slow, no HTTP/1             | lost     |
 * | 301, 401, 417, 503                        | complete | never followed, answered or sent again
 * | proxies of the environment                | never    | CURLOPT_PROXY ""
 * | HTTP/2, its refused streams and re-sends  | never    | CURL_HTTP_VERSION_1_1: ALPN offers http/1.1 alone
 */
/* clang-format on */

struct transport;
struct endpoint; /* one provider's URL with its TLS settings and its pool of idle handles */

/* How a transfer ended; borrowed during the callback. */
struct transfer_end {
    bool sent;            /* false: provably no byte of the request left */
    bool complete;        /* a whole HTTP reply arrived: `bytes` is valid */
    bool refused_at_gate; /* the caller's own gate said no (then `sent` is false) */
    struct reply_bytes bytes;
    struct problem problem; /* when not complete: what happened, without URL or key */
    int64_t took_us;
};

/* Asked once, right before the first byte leaves; false = do not send. May be NULL. */
typedef bool (*transfer_gate)(void *userdata);
typedef void (*transfer_done)(void *userdata, const struct transfer_end *end);

int transport_new(struct transport **ret_transport);
/* Transfers under way are dropped without their callback. */
void transport_free(struct transport *transport);

/* What is known of the connection's protection, for people. The certificate was verified: without
 * that there is no reply. */
struct endpoint_tls {
    bool plain;            /* http:// to this machine */
    char version[40];      /* "TLSv1.3", "" = not known */
    int64_t certificate_s; /* wall clock at which the server's certificate ends; 0 = not known */
};

struct endpoint_options {
    const char *url, *ca_file; /* ca_file NULL = the system's */
    unsigned max_in_flight, timeout_s;
    bool observes_tls; /* keep struct endpoint_tls; costs a little with each connection */
};
/* 0, 1 with a problem (URL, CA file), or negative errno. The endpoint is owned; free it before its
 * transport. */
int endpoint_new(struct transport *transport, const struct endpoint_options *options,
                 struct endpoint **ret_endpoint, struct problem *reterr_problem);
void endpoint_free(struct endpoint *endpoint);
/* How many more transfers may start now. */
unsigned endpoint_free_slots(const struct endpoint *endpoint);
unsigned endpoint_in_flight(const struct endpoint *endpoint);
/* As the latest reply found it. Borrowed. */
const struct endpoint_tls *endpoint_tls(const struct endpoint *endpoint);

/*
 * Starts a POST. `body` is taken: wiped and freed by the transport in every case. `limit_bytes`
 * bounds the reply (a longer one is not complete). `done` is called exactly once, from
 * transport_work(), unless the transport is freed first. Returns 0 or negative errno; then nothing
 * was sent and `done` is not called.
 */
int transport_post(struct endpoint *endpoint, struct text *body, size_t limit_bytes,
                   transfer_gate gate, transfer_done done, void *userdata);

/*
 * Moves transfers on and calls `done` for those that ended. 0, or negative errno: a fault of ours.
 * May be called without a wait before it.
 */
int transport_work(struct transport *transport);
/* Waits for the transfers' sockets, for `extra_fd` to be readable, or for `wait_us`; returns early
 * for any. */
int transport_wait(struct transport *transport, int extra_fd, int64_t wait_us);
