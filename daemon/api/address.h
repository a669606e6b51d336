/*
 * api/address.h - where a provider is: its URL, judged before a key goes there.
 *
 * https://, or http:// to this machine alone; no user name or password in it. Embed a struct
 * address; address_done() after every address_init(), also after one that failed.
 */
#pragma once
#include "base/problem.h"
#include <curl/curl.h>
#include <stdbool.h>

struct address {
    CURLU *url;     /* parsed once; libcurl copies that faster than it parses */
    char host[300]; /* for messages: HOST or HOST:PORT */
    bool plain;     /* http:// to this machine */
};

/* 0, 1 with a problem, or negative errno. */
int address_init(struct address *address, const char *string, struct problem *reterr_problem);
void address_done(struct address *address);
/* Whether the file holds certificates. 0, or 1 with a problem. */
int address_check_ca_file(const char *path, struct problem *reterr_problem);
