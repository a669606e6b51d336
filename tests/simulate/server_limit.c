#include "server_limit.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const count_model_names[COUNT_MODELS] = {"fixed", "log", "bucket", "estimate",
                                                     "rejects"};

void server_limit_init(struct server_limit *limit, enum count_model model, double number,
                       double window_s, double capacity)
{
    *limit = (struct server_limit){.model = model,
                                   .limit = number,
                                   .window_s = window_s,
                                   .capacity = capacity > 0 ? capacity : number,
                                   .began_s = -1e9};
    limit->tokens = limit->capacity;
}

void server_limit_done(struct server_limit *limit)
{
    free(limit->log_s);
}

static void forget(struct server_limit *limit, double now_s)
{
    while (limit->logged > 0 && limit->log_s[limit->first] <= now_s - limit->window_s) {
        limit->first = (limit->first + 1) % limit->size;
        limit->logged--;
    }
}

static void note(struct server_limit *limit, double now_s)
{
    if (limit->logged == limit->size) {
        size_t size = limit->size * 2 + 64;
        double *log_s = calloc(size, sizeof *log_s);

        if (!log_s)
            abort();
        for (size_t i = 0; i < limit->logged; i++)
            log_s[i] = limit->log_s[(limit->first + i) % limit->size];
        free(limit->log_s);
        limit->log_s = log_s;
        limit->size = size;
        limit->first = 0;
    }
    limit->log_s[(limit->first + limit->logged++) % limit->size] = now_s;
}

static void turn_window(struct server_limit *limit, double now_s)
{
    double began_s = floor(now_s / limit->window_s) * limit->window_s;

    if (began_s == limit->began_s)
        return;
    limit->before = began_s - limit->began_s < 1.5 * limit->window_s ? limit->count : 0;
    limit->count = 0;
    limit->began_s = began_s;
}

bool server_limit_allows(struct server_limit *limit, double now_s)
{
    switch (limit->model) {
    case COUNT_FIXED:
        turn_window(limit, now_s);
        return limit->count < limit->limit;
    case COUNT_ESTIMATE:
        turn_window(limit, now_s);
        return limit->before * (1 - (now_s - limit->began_s) / limit->window_s) + limit->count <
               limit->limit;
    case COUNT_BUCKET:
        if (limit->began_s > -1e8)
            limit->tokens =
                fmin(limit->capacity,
                     limit->tokens + (now_s - limit->began_s) * limit->limit / limit->window_s);
        limit->began_s = now_s;
        return limit->tokens >= 1;
    case COUNT_LOG:
    case COUNT_REJECTS:
        forget(limit, now_s);
        return (double)limit->logged < limit->limit;
    case COUNT_MODELS:
        break;
    }
    return true;
}

void server_limit_count(struct server_limit *limit, bool accepted, double now_s)
{
    switch (limit->model) {
    case COUNT_FIXED:
    case COUNT_ESTIMATE:
        limit->count += accepted;
        break;
    case COUNT_BUCKET:
        limit->tokens -= accepted;
        break;
    case COUNT_LOG:
        if (accepted)
            note(limit, now_s);
        break;
    case COUNT_REJECTS:
        note(limit, now_s);
        break;
    case COUNT_MODELS:
        break;
    }
}
