/*
 * server.h - the panel on the wire: HTTP or TLS on 127.0.0.1, one thread, any number of held
 * requests.
 *
 * Latency and silence are suspended connections and a timer, never a blocked thread.
 */
#pragma once
#include "panel.h"

struct server;

struct server_options {
    uint16_t port;               /* 0: any */
    const char *tls_certificate; /* PEM texts, borrowed until server_free(); NULL: plain HTTP */
    const char *tls_key;
    unsigned idle_seconds; /* idle connections are ended after this; 0 = never */
};

/* Starts listening. Returns 0, or -1 after writing the reason to stderr. `panel` is borrowed. */
int server_new(struct server **ret_server, struct panel *panel,
               const struct server_options *options);
uint16_t server_port(const struct server *server);

/* Serves until SIGTERM or SIGINT, which the caller has blocked. Returns 0 or -1. */
int server_run(struct server *server);
void server_free(struct server *server);
