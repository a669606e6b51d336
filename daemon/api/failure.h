/*
 * api/failure.h - why there is no whole reply, in words for people.
 *
 * Neither the URL nor the key is among them. What can be done about it is the problem's hint.
 */
#pragma once
#include "base/problem.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of a transfer that ended without one. */
struct failure {
    const char *host;
    int64_t connect_timeout_us, timeout_us;
    CURLcode code;
    const char *curl_words; /* "" = none */
    int system_error;       /* errno of the last try to connect; 0 = none */
    size_t received, limit_bytes;
    bool refused_at_gate, sent;
    bool out_of_memory; /* for the reply */
    bool too_long, timed_out;
};

void failure_tell(const struct failure *failure, struct problem *ret_problem);
