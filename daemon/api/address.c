#include "api/address.h"
#include "host/config_value.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

int address_init(struct address *address, const char *string, struct problem *reterr_problem)
{
    CURLU *url = address->url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    int r = 1;

    if (!url)
        return -ENOMEM;
    if (curl_url_set(url, CURLUPART_URL, string, 0) ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) ||
        curl_url_get(url, CURLUPART_HOST, &host, 0)) {
        problem_set(reterr_problem, "the url is not valid");
        problem_hint(reterr_problem, "it looks like https://HOST/PATH");
        goto end;
    }
    curl_url_get(url, CURLUPART_PORT, &port, 0);
    snprintf(address->host, sizeof address->host, "%s%s%s", host, port ? ":" : "",
             port ? port : "");
    address->plain = strcmp(scheme, "http") == 0;
    if (!address->plain && strcmp(scheme, "https") != 0) {
        problem_set(reterr_problem, "the url must begin with https://");
    } else if (address->plain && !config_value_is_loopback(host)) {
        problem_set(reterr_problem, "http:// to %s would show the key to the network",
                    address->host);
        problem_hint(reterr_problem, "use https://; http:// is for addresses of this machine only");
    } else if (curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_NO_USER) {
        problem_set(reterr_problem, "the url must not hold a user name or a password");
    } else {
        r = 0;
    }
end:
    curl_free(scheme), curl_free(host), curl_free(port), curl_free(user);
    return r;
}

void address_done(struct address *address)
{
    curl_url_cleanup(address->url);
    *address = (struct address){0};
}

int address_check_ca_file(const char *path, struct problem *reterr_problem)
{
    char line[256];
    bool found = false;
    FILE *file = fopen(path, "re");

    if (!file) {
        problem_set(reterr_problem, "unable to read the CA file %s: %s", path, strerror(errno));
        return 1;
    }
    while (!found && fgets(line, sizeof line, file))
        found = strncmp(line, "-----BEGIN ", 11) == 0 && strstr(line, "CERTIFICATE-----");
    fclose(file);
    if (found)
        return 0;
    problem_set(reterr_problem, "no certificate in the CA file %s", path);
    problem_hint(reterr_problem, "it must be in PEM form (-----BEGIN CERTIFICATE-----)");
    return 1;
}
