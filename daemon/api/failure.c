#include "api/failure.h"
#include "host/clock.h"
#include <string.h>

static void tell_time_out(const struct failure *failure, struct problem *ret_problem)
{
    if (!failure->sent) {
        problem_set(ret_problem, "no connection to %s within %lld s", failure->host,
                    (long long)(failure->connect_timeout_us / US_PER_S));
        problem_hint(ret_problem, "check that this machine can reach it");
    } else if (failure->received == 0) {
        problem_set(ret_problem, "no reply within %lld s",
                    (long long)(failure->timeout_us / US_PER_S));
    } else {
        problem_set(ret_problem, "the reply was not complete within %lld s, only %zu bytes came",
                    (long long)(failure->timeout_us / US_PER_S), failure->received);
    }
}

/* Failures before the request was sent: of the name, the connection or TLS. */
static void tell_unsent(const struct failure *failure, struct problem *ret_problem)
{
    const char *host = failure->host;
    CURLcode code = failure->code;
    const char *words = failure->curl_words[0] ? failure->curl_words : curl_easy_strerror(code);

    if (code == CURLE_COULDNT_RESOLVE_HOST) {
        problem_set(ret_problem, "unable to find the address of %s", host);
        problem_hint(ret_problem,
                     "check the host name in the url, and this machine's name service");
    } else if (code == CURLE_COULDNT_CONNECT) {
        problem_set(ret_problem, "unable to connect to %s: %s", host,
                    failure->system_error ? strerror(failure->system_error) : words);
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        problem_set(ret_problem, "the certificate of %s is not trusted: %s", host, words);
        problem_hint(ret_problem, "the url must use a name the certificate was issued for; for an "
                                  "authority of your own, name its certificate in ca_file");
    } else if (code == CURLE_SSL_CACERT_BADFILE) {
        problem_set(ret_problem, "unable to read the certificates that are to be trusted: %s",
                    words);
        problem_hint(ret_problem, "check ca_file, or install the package ca-certificates");
    } else if (code == CURLE_SSL_CONNECT_ERROR) {
        problem_set(ret_problem, "no TLS connection to %s: %s", host, words);
        problem_hint(ret_problem,
                     "the server must speak TLS 1.2 or later on that port, and a "
                     "ca_file must hold the authority that signed its certificate now");
    } else {
        problem_set(ret_problem, "unable to send to %s: %s", host, words);
    }
}

void failure_tell(const struct failure *failure, struct problem *ret_problem)
{
    if (failure->refused_at_gate)
        problem_set(ret_problem, "not sent: withdrawn before sending");
    else if (failure->out_of_memory)
        problem_set(ret_problem, "out of memory for the reply");
    else if (failure->too_long)
        problem_set(ret_problem, "the reply is longer than %zu bytes", failure->limit_bytes);
    else if (failure->timed_out || (failure->code == CURLE_OPERATION_TIMEDOUT && !failure->sent))
        tell_time_out(failure, ret_problem);
    else if (!failure->sent)
        tell_unsent(failure, ret_problem);
    else if (failure->code == CURLE_UNSUPPORTED_PROTOCOL ||
             failure->code == CURLE_WEIRD_SERVER_REPLY ||
             failure->code == CURLE_BAD_CONTENT_ENCODING)
        problem_set(ret_problem, "the reply is no valid HTTP: %s", failure->curl_words);
    else if (failure->received == 0)
        problem_set(ret_problem, "the connection was closed before a reply came");
    else
        problem_set(ret_problem, "the reply was cut off after %zu bytes", failure->received);
}
