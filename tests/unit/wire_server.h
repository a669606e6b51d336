/*
 * tests/unit/wire_server.h - a server that does what a script says, byte for byte.
 *
 * Listens on 127.0.0.1, plain or with TLS. The n-th connection plays the n-th script (further ones
 * the last); at a script's end it is closed. Everything that arrives is counted, so a test can tell
 * how often a request was really sent.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum wire_deed {
    WIRE_END,    /* of the script: close in order (with TLS: close_notify) */
    WIRE_EXPECT, /* read one whole request */
    WIRE_BEGIN,  /* read until something came */
    WIRE_SEND,   /* `text` */
    WIRE_FLOOD,  /* send `text` again and again until the peer is gone */
    WIRE_HOLD,   /* until wire_server_release() or wire_server_stop() */
    WIRE_DRAIN,  /* read until the peer is gone */
    WIRE_RESET,  /* end with a reset */
    WIRE_CUT,    /* end in order for TCP, but with TLS without its close_notify */
};

struct wire_step {
    enum wire_deed deed;
    const char *text;
};

/* An authority of its own with a certificate for 127.0.0.1. */
struct wire_identity;
/* Writes the authority's certificate to `ca_path` as PEM. Owned (wire_identity_free). NULL = it
 * failed. */
struct wire_identity *wire_identity_new(const char *ca_path);
void wire_identity_free(struct wire_identity *identity);
/* Its servers want a certificate of the client, too. With TLS 1.3 the client learns of a refusal
 * only after it has sent. */
void wire_identity_ask_client(struct wire_identity *identity);

struct wire_server;
/* `scripts` end with NULL and stay the caller's until wire_server_stop(). `identity` NULL = without
 * TLS. */
struct wire_server *wire_server_start(const struct wire_step *const *scripts,
                                      struct wire_identity *identity);
/* Waits until every connection has ended; the clients are to be closed before. The counts stay
 * readable till free. */
void wire_server_stop(struct wire_server *server);
void wire_server_free(struct wire_server *server);

unsigned wire_server_port(const struct wire_server *server);
/* Lets all WIRE_HOLD go on, those to come too. */
void wire_server_release(struct wire_server *server);
/* Heads of requests that arrived, whole or not; all bytes; connections that came, and that the
 * server has closed. */
size_t wire_server_requests(struct wire_server *server);
size_t wire_server_bytes(struct wire_server *server);
size_t wire_server_connections(struct wire_server *server);
size_t wire_server_closed(struct wire_server *server);
/* The application protocols (ALPN) that the latest client offered, "" = none. Borrowed; only after
 * wire_server_stop(). The server takes h2 where it is offered. */
const char *wire_server_protocols(struct wire_server *server);
/* WIRE_SEND steps that are done. */
size_t wire_server_sends(struct wire_server *server);
/* The latest request, as far as it arrived. Borrowed until wire_server_free(); only after
 * wire_server_stop(). */
const char *wire_server_last_request(struct wire_server *server);
