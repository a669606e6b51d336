#include "wire_server.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define REQUEST_MAX (256 * 1024)
#define PATIENCE_S 20 /* a test that waits longer for its peer is broken */

struct wire_identity {
    EVP_PKEY *ca_key, *key;
    X509 *ca, *certificate;
    bool asks_client;
};

struct connection {
    struct wire_server *server;
    const struct wire_step *script;
    pthread_t thread;
    int fd;
    SSL *ssl;
    char *request;
    size_t length;
};

struct wire_server {
    const struct wire_step *const *scripts;
    SSL_CTX *context;
    int listen_fd, stop_fd;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t released_or_stopped;
    bool released, stopped;
    size_t requests, bytes, count, closed, sends;
    char protocols[64];
    struct connection connections[CONNECTIONS_MAX];
};

static X509 *make_certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *certificate = X509_new();
    X509V3_CTX context;
    X509_EXTENSION *extension;
    X509_NAME *subject = X509_get_subject_name(certificate);

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer ? 2 : 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(
        subject, "CN", MBSTRING_ASC,
        (const unsigned char *)name + (strlen(name) > 60 ? strlen(name) - 60 : 0), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate));
    X509V3_set_ctx(&context, issuer ? issuer : certificate, certificate, NULL, NULL, 0);
    extension =
        issuer ? X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, "IP:127.0.0.1")
               : X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(certificate, issuer_key, EVP_sha256());
    return certificate;
}

struct wire_identity *wire_identity_new(const char *ca_path)
{
    struct wire_identity *identity = calloc(1, sizeof *identity);
    FILE *file = fopen(ca_path, "we");

    assert(identity && file);
    identity->ca_key = EVP_EC_gen("P-256");
    identity->key = EVP_EC_gen("P-256");
    identity->ca = make_certificate(identity->ca_key, ca_path, NULL, identity->ca_key);
    identity->certificate =
        make_certificate(identity->key, "127.0.0.1", identity->ca, identity->ca_key);
    PEM_write_X509(file, identity->ca);
    fclose(file);
    return identity;
}

void wire_identity_ask_client(struct wire_identity *identity)
{
    identity->asks_client = true;
}

void wire_identity_free(struct wire_identity *identity)
{
    if (!identity)
        return;
    X509_free(identity->ca);
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->ca_key);
    EVP_PKEY_free(identity->key);
    free(identity);
}

/* Reads what is there into the connection's request, counting. 0 at the end of the stream, or when
 * nothing comes. */
static size_t receive(struct connection *connection)
{
    struct wire_server *server = connection->server;
    char *into = connection->request + connection->length;
    size_t room = REQUEST_MAX - connection->length - 1;
    ssize_t count = connection->ssl ? SSL_read(connection->ssl, into, (int)room)
                                    : recv(connection->fd, into, room, 0);

    if (count <= 0)
        return 0;
    pthread_mutex_lock(&server->lock);
    server->bytes += (size_t)count;
    /* A head's first line never comes in two reads here: requests leave in one write. */
    for (ssize_t i = 0; i + 5 <= count; i++)
        server->requests += memcmp(into + i, "POST ", 5) == 0;
    connection->length += (size_t)count;
    connection->request[connection->length] = '\0';
    pthread_mutex_unlock(&server->lock);
    return (size_t)count;
}

static bool is_whole(const struct connection *connection)
{
    const char *end = strstr(connection->request, "\r\n\r\n");
    const char *length = strcasestr(connection->request, "\r\nContent-Length:");

    if (!end)
        return false;
    return strlen(end + 4) >= (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static bool send_text(struct connection *connection, const char *text)
{
    size_t length = strlen(text), sent = 0;

    while (sent < length) {
        ssize_t count = connection->ssl
                            ? SSL_write(connection->ssl, text + sent, (int)(length - sent))
                            : send(connection->fd, text + sent, length - sent, MSG_NOSIGNAL);
        if (count <= 0)
            return false;
        sent += (size_t)count;
    }
    return true;
}

static void hold(struct wire_server *server)
{
    pthread_mutex_lock(&server->lock);
    while (!server->released && !server->stopped)
        pthread_cond_wait(&server->released_or_stopped, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

static void count_one(struct wire_server *server, size_t *counter)
{
    pthread_mutex_lock(&server->lock);
    ++*counter;
    pthread_mutex_unlock(&server->lock);
}

/* How the connection is to end: WIRE_END, WIRE_RESET or WIRE_CUT. */
static enum wire_deed play(struct connection *connection)
{
    for (const struct wire_step *step = connection->script;; step++) {
        switch (step->deed) {
        case WIRE_END:
        case WIRE_RESET:
        case WIRE_CUT:
            return step->deed;
        case WIRE_EXPECT:
            connection->length = 0;
            connection->request[0] = '\0';
            while (!is_whole(connection) && receive(connection) > 0)
                ;
            break;
        case WIRE_BEGIN:
            receive(connection);
            break;
        case WIRE_SEND:
            send_text(connection, step->text);
            count_one(connection->server, &connection->server->sends);
            break;
        case WIRE_FLOOD:
            while (send_text(connection, step->text))
                ;
            break;
        case WIRE_HOLD:
            hold(connection->server);
            break;
        case WIRE_DRAIN:
            connection->length = 0;
            while (receive(connection) > 0)
                connection->length = 0;
            break;
        }
    }
}

static void *serve(void *userdata)
{
    struct connection *connection = userdata;
    struct linger linger = {.l_onoff = 1};
    enum wire_deed end;

    if (connection->server->context) {
        connection->ssl = SSL_new(connection->server->context);
        SSL_set_fd(connection->ssl, connection->fd);
        if (SSL_accept(connection->ssl) != 1)
            goto end;
    }
    end = play(connection);
    if (end == WIRE_RESET)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    else if (end == WIRE_END && connection->ssl)
        SSL_shutdown(connection->ssl);
end:
    close(connection->fd);
    SSL_free(connection->ssl);
    count_one(connection->server, &connection->server->closed);
    return NULL;
}

static void accept_one(struct wire_server *server)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct connection *connection = &server->connections[server->count];
    int fd = accept(server->listen_fd, NULL, NULL);

    assert(fd >= 0 && server->count < CONNECTIONS_MAX);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    *connection = (struct connection){.server = server, .script = *server->scripts, .fd = fd};
    connection->request = calloc(1, REQUEST_MAX);
    assert(connection->request);
    if (server->scripts[1])
        server->scripts++;
    count_one(server, &server->count);
    pthread_create(&connection->thread, NULL, serve, connection);
}

static void *accept_all(void *userdata)
{
    struct wire_server *server = userdata;
    struct pollfd polled[] = {{.fd = server->listen_fd, .events = POLLIN},
                              {.fd = server->stop_fd, .events = POLLIN}};

    /* Connections that wait are taken before a stop is heeded: what was sent on them counts. */
    while (poll(polled, 2, -1) > 0) {
        if (polled[0].revents)
            accept_one(server);
        else if (polled[1].revents)
            break;
    }
    for (size_t i = 0; i < server->count; i++)
        pthread_join(server->connections[i].thread, NULL);
    return NULL;
}

/* Notes "name,name" of the length-prefixed names; takes the first of ours that is among them. */
static int take_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                         const unsigned char *offered, unsigned offered_length, void *userdata)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    struct wire_server *server = userdata;
    unsigned char *chosen = NULL;
    size_t length = 0;

    (void)ssl;
    pthread_mutex_lock(&server->lock);
    for (unsigned i = 0; i < offered_length; i += 1u + offered[i])
        length += (size_t)snprintf(server->protocols + length, sizeof server->protocols - length,
                                   "%s%.*s", i ? "," : "", offered[i], offered + i + 1);
    pthread_mutex_unlock(&server->lock);
    if (SSL_select_next_proto(&chosen, ret_length, ours, sizeof ours - 1, offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *ret_name = chosen;
    return SSL_TLSEXT_ERR_OK;
}

struct wire_server *wire_server_start(const struct wire_step *const *scripts,
                                      struct wire_identity *identity)
{
    struct wire_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int r;

    assert(server);
    signal(SIGPIPE, SIG_IGN); /* SSL_write() knows no MSG_NOSIGNAL */
    server->scripts = scripts;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->released_or_stopped, NULL);
    if (identity) {
        server->context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_use_certificate(server->context, identity->certificate);
        SSL_CTX_use_PrivateKey(server->context, identity->key);
        SSL_CTX_set_alpn_select_cb(server->context, take_protocol, server);
        if (identity->asks_client)
            SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                               NULL);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    r = bind(server->listen_fd, (struct sockaddr *)&address, size);
    assert(r == 0);
    r = listen(server->listen_fd, CONNECTIONS_MAX);
    assert(r == 0);
    getsockname(server->listen_fd, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    r = pthread_create(&server->thread, NULL, accept_all, server);
    assert(r == 0);
    return server;
}

const char *wire_server_protocols(struct wire_server *server)
{
    return server->protocols;
}

void wire_server_stop(struct wire_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopped = true;
    pthread_cond_broadcast(&server->released_or_stopped);
    pthread_mutex_unlock(&server->lock);
    eventfd_write(server->stop_fd, 1);
    pthread_join(server->thread, NULL);
    close(server->listen_fd);
    close(server->stop_fd);
}

void wire_server_free(struct wire_server *server)
{
    for (size_t i = 0; i < server->count; i++)
        free(server->connections[i].request);
    SSL_CTX_free(server->context);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->released_or_stopped);
    free(server);
}

unsigned wire_server_port(const struct wire_server *server)
{
    return server->port;
}

void wire_server_release(struct wire_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->released = true;
    pthread_cond_broadcast(&server->released_or_stopped);
    pthread_mutex_unlock(&server->lock);
}

static size_t read_counter(struct wire_server *server, const size_t *counter)
{
    size_t value;

    pthread_mutex_lock(&server->lock);
    value = *counter;
    pthread_mutex_unlock(&server->lock);
    return value;
}

size_t wire_server_requests(struct wire_server *server)
{
    return read_counter(server, &server->requests);
}

size_t wire_server_bytes(struct wire_server *server)
{
    return read_counter(server, &server->bytes);
}

size_t wire_server_connections(struct wire_server *server)
{
    return read_counter(server, &server->count);
}

size_t wire_server_closed(struct wire_server *server)
{
    return read_counter(server, &server->closed);
}

size_t wire_server_sends(struct wire_server *server)
{
    return read_counter(server, &server->sends);
}

const char *wire_server_last_request(struct wire_server *server)
{
    return server->connections[server->count - 1].request;
}
