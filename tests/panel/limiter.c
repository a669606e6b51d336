#include "limiter.h"

#include <stdlib.h>
#include <string.h>

int limiter_model_parse(const char *name, enum limiter_model *ret_model)
{
    static const struct {
        const char *name;
        enum limiter_model model;
    } models[] = {
        {"fixed", LIMITER_FIXED},
        {"sliding", LIMITER_SLIDING},
        {"bucket", LIMITER_BUCKET},
        {"estimate", LIMITER_ESTIMATE},
        {"sliding-rejects", LIMITER_SLIDING_REJECTS},
    };

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (strcmp(models[i].name, name) == 0) {
            *ret_model = models[i].model;
            return 0;
        }
    }
    return -1;
}

void limiter_set(struct limiter *limiter, enum limiter_model model, uint32_t limit,
                 int64_t length_us)
{
    limiter_done(limiter);
    *limiter = (struct limiter){.model = model, .limit = limit, .length_us = length_us};
    limiter->tokens_us = length_us;
    if (limit && (model == LIMITER_SLIDING || model == LIMITER_SLIDING_REJECTS)) {
        limiter->log = calloc(limit, sizeof *limiter->log);
        if (!limiter->log)
            abort();
    }
}

void limiter_done(struct limiter *limiter)
{
    free(limiter->log);
    limiter->log = NULL;
}

/* Moves the counters to the window `now_us` lies in. */
static void roll(struct limiter *limiter, int64_t now_us)
{
    int64_t began_us = now_us - now_us % limiter->length_us;

    if (began_us == limiter->window_began_us)
        return;
    limiter->previous =
        began_us == limiter->window_began_us + limiter->length_us ? limiter->count : 0;
    limiter->count = 0;
    limiter->window_began_us = began_us;
}

static void refill(struct limiter *limiter, int64_t now_us)
{
    if (limiter->window_began_us)
        limiter->tokens_us += now_us - limiter->window_began_us;
    if (limiter->tokens_us > limiter->length_us)
        limiter->tokens_us = limiter->length_us;
    limiter->window_began_us = now_us;
}

/* The time after which `previous` weighs little enough for one more request. */
static int64_t estimate_wait_us(const struct limiter *limiter, int64_t now_us)
{
    int64_t end_us = limiter->window_began_us + limiter->length_us;
    int64_t left_us = end_us - now_us;

    if (limiter->count >= limiter->limit || limiter->previous == 0)
        return left_us + limiter->length_us / limiter->limit;
    int64_t may_weigh = (int64_t)(limiter->limit - limiter->count);
    int64_t allowed_us = may_weigh * limiter->length_us / (int64_t)limiter->previous;
    return left_us > allowed_us ? left_us - allowed_us : 1;
}

bool limiter_allows(struct limiter *limiter, int64_t now_us, int64_t *ret_wait_us)
{
    int64_t wait_us = 0;

    if (!limiter->limit)
        return true;
    switch (limiter->model) {
    case LIMITER_FIXED:
        roll(limiter, now_us);
        if (limiter->count >= limiter->limit)
            wait_us = limiter->window_began_us + limiter->length_us - now_us;
        break;
    case LIMITER_ESTIMATE: {
        roll(limiter, now_us);
        int64_t left_us = limiter->window_began_us + limiter->length_us - now_us;
        __int128 weighted =
            (__int128)limiter->previous * left_us + (__int128)limiter->count * limiter->length_us;
        if (weighted >= (__int128)limiter->limit * limiter->length_us)
            wait_us = estimate_wait_us(limiter, now_us);
        break;
    }
    case LIMITER_BUCKET: {
        int64_t token_us = limiter->length_us / limiter->limit;
        refill(limiter, now_us);
        if (limiter->tokens_us < token_us)
            wait_us = token_us - limiter->tokens_us;
        break;
    }
    case LIMITER_SLIDING:
    case LIMITER_SLIDING_REJECTS: {
        int64_t oldest_us = limiter->log[limiter->log_next];
        if (oldest_us && now_us - oldest_us < limiter->length_us)
            wait_us = oldest_us + limiter->length_us - now_us;
        break;
    }
    }
    if (wait_us > 0)
        *ret_wait_us = wait_us;
    return wait_us <= 0;
}

void limiter_count(struct limiter *limiter, int64_t now_us, bool accepted)
{
    if (!limiter->limit || (!accepted && limiter->model != LIMITER_SLIDING_REJECTS))
        return;
    switch (limiter->model) {
    case LIMITER_FIXED:
    case LIMITER_ESTIMATE:
        limiter->count++;
        break;
    case LIMITER_BUCKET:
        limiter->tokens_us -= limiter->length_us / limiter->limit;
        break;
    case LIMITER_SLIDING:
    case LIMITER_SLIDING_REJECTS:
        limiter->log[limiter->log_next] = now_us;
        limiter->log_next = (limiter->log_next + 1) % limiter->limit;
        break;
    }
}
