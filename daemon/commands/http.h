/*
 * commands/http.h - one HTTP request on standard input, one answer on standard output.
 *
 * For a service that systemd starts for each connection (Accept=yes), so that no process of ours
 * listens or holds keys while it serves. It never keeps a connection, and a request that is slow or
 * long is cut off.
 */
#pragma once
#include <stdbool.h>
#include <stdio.h>

#define HTTP_METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Reads the request. True when it asks for GET /metrics (or /); otherwise it has been answered:
 * another path, another method, no request. HEAD is answered with the header alone. */
bool http_wants_metrics(FILE *input, FILE *output);
void http_answer(FILE *output, const char *status, const char *type, const char *body);
