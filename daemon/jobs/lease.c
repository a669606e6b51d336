#include "jobs/lease.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include "jobs/account.h"
#include "store/leases.h"
#include <stdio.h>
#include <string.h>

#define MARGIN_US (1 * US_PER_S) /* for clocks that do not run alike */
#define RENEW_US (4 * US_PER_S)  /* renewed when less than that is left */
#define UNCHANGED_US ((LEASE_S + 3) * US_PER_S)
#define FRESH_US (1 * US_PER_S) /* what was read since then is what the other left */
#define LOOK_AGAIN_US (5 * US_PER_S)
/* Another's lease is over for so long before one is taken for a look: it looks once a minute. */
#define IDLE_PATIENCE_S 120
#define IDLE_LOOK_US (60 * US_PER_S)

static int64_t lasts_until(int64_t asked_us)
{
    return asked_us + LEASE_S * US_PER_S - MARGIN_US;
}

static void note_stops(struct account *account, const PGresult *rows)
{
    struct lease *lease = &account->lease;
    struct log_entry entry = {.provider = account->config->name,
                              .message_id = MESSAGE_LEDGER_OLDER,
                              .hint =
                                  "look at them, settle those that are uncertain with 'chwsyncd "
                                  "resolve', then let submits go on with 'chwsyncd resolve "
                                  "--release PROVIDER'"};

    lease->stops = (uint64_t)row_integer(rows, 0, LEASE_STOPS, 0);
    if (lease->stops) {
        log_repeated(&lease->stop_log, LOG_LEVEL_ERROR, &entry,
                     "submits to %s are stopped: the database had lost %llu attempts, of order %s "
                     "and others",
                     account->config->name, (unsigned long long)lease->stops,
                     row_text(rows, 0, LEASE_STOPPED_BY));
        workshop_note_error(
            account->workshop,
            "submits to %s are stopped: the database is older than the flight journal",
            account->config->name);
    } else if (log_recovered(&lease->stop_log)) {
        log_event(LOG_LEVEL_NOTICE, MESSAGE_SUBMITS_RELEASED,
                  "submits to %s go on: every lost attempt was released", account->config->name);
        account->workshop->last_error[0] = '\0';
    }
}

static void taken_by_other(struct account *account, const PGresult *rows, int64_t now_us)
{
    struct lease *lease = &account->lease;
    const char *expires_at = row_text(rows, 0, LEASE_EXPIRES_AT);
    int64_t left_us = row_integer(rows, 0, LEASE_LEFT_S, 0) * US_PER_S;

    lease->ours = false;
    if (expires_at && strcmp(lease->seen, expires_at) != 0) {
        snprintf(lease->seen, sizeof lease->seen, "%s", expires_at);
        lease->seen_us = now_us;
    }
    lease->retry_us =
        now_us + (left_us < LOOK_AGAIN_US ? left_us + 100 * US_PER_MS : LOOK_AGAIN_US);
    lease->look_us = now_us + IDLE_LOOK_US;
    log_repeated(
        &lease->other_log, LOG_LEVEL_INFO,
        &(struct log_entry){.message_id = MESSAGE_STANDS_BY, .provider = account->config->name},
        "another instance works for %s; this one stands by", account->config->name);
}

/* What the other left is looked for: attempts without an end, and what it used of the budget. */
static void note_take_over(struct account *account, int64_t now_us)
{
    log_event(LOG_LEVEL_NOTICE, MESSAGE_TAKE_OVER, "this instance works for %s now",
              account->config->name);
    account->lease.taken_us = now_us;
    account->workshop->clock_doubtful = true; /* perhaps it ended because the clock was set */
    if (now_us - account->workshop->reconciled_us > FRESH_US)
        account->workshop->ledger_doubtful = true;
    if (now_us - account->opened_us > FRESH_US)
        account->opened = false;
}

static void answered(void *userdata, const struct store_answer *answer)
{
    struct account *account = userdata;
    struct lease *lease = &account->lease;
    int64_t now_us = clock_monotonic_us();
    const char *server;
    bool same_server, was_ours = lease->ours;

    lease->asking = false;
    lease->retry_us = now_us + US_PER_S;
    if (answer->verdict == STORE_REFUSED && strcmp(answer->sqlstate, "55P03") != 0)
        log_repeated(
            &lease->failed_log, LOG_LEVEL_ERROR,
            &(struct log_entry){.message_id = MESSAGE_LEASE_FAILED,
                                .provider = account->config->name,
                                .sqlstate = answer->sqlstate},
            "unable to take the lease for %s: %s; nothing is sent without it, next try in 1 s",
            account->config->name, answer->problem.text);
    if (answer->verdict != STORE_DONE)
        return;
    log_recovered(&lease->failed_log);
    server = row_text(answer->rows, 0, LEASE_SERVER);
    same_server = !lease->server[0] || strcmp(lease->server, server) == 0;
    snprintf(lease->server, sizeof lease->server, "%s", server);
    note_stops(account, answer->rows);
    if (!row_boolean(answer->rows, 0, LEASE_OURS)) {
        taken_by_other(account, answer->rows, now_us);
        return;
    }
    if (row_boolean(answer->rows, 0, LEASE_TAKEN)) {
        note_take_over(account, now_us);
    } else if (!same_server ||
               (was_ours && lease->claims != row_integer(answer->rows, 0, LEASE_CLAIMS, 0))) {
        log_event(LOG_LEVEL_NOTICE, MESSAGE_DATABASE_CHANGED,
                  "the database is not the one it was: it is compared with the flight journal");
        account->workshop->ledger_doubtful = true;
    }
    log_recovered(&lease->other_log);
    if (!was_ours)
        account->keep_us = now_us; /* from now on the account's figures are ours */
    lease->ours = true;
    lease->number = row_integer(answer->rows, 0, LEASE_NUMBER, 0);
    lease->claims = row_integer(answer->rows, 0, LEASE_CLAIMS, 0);
    lease->until_us = lasts_until(lease->asked_us);
    if (lease->stops)
        lease->retry_us = now_us + LOOK_AGAIN_US; /* whether they were released */
    lease->seen[0] = '\0';
    CRASH_POINT(was_ours ? "lease: renewed" : "lease: taken");
}

static void ask(struct account *account, enum lease_wish wish, int64_t now_us)
{
    struct lease *lease = &account->lease;
    struct workshop *workshop = account->workshop;
    unsigned patience_s = wish == LEASE_FOR_A_LOOK ? IDLE_PATIENCE_S : 0;
    int64_t unchanged_us = UNCHANGED_US + patience_s * US_PER_S;
    struct problem problem;
    struct flight_file *file = flight_journal_hold(workshop->journal, now_us, &problem);
    struct lease_request request = {
        .account_id = account->id,
        .instance = workshop->instance,
        .journal = file ? flight_file_id(file) : NULL,
        .dead_journals = workshop->dead_journals,
        .dead_count = workshop->dead_count,
        .unchanged = lease->seen[0] && now_us - lease->seen_us > unchanged_us ? lease->seen : NULL,
        .patience_s = patience_s};

    lease->asked_us = clock_boottime_us();
    lease->asking = leases_take(workshop->lanes.ledger, &request, answered, account) == 0;
    flight_file_release(file);
}

bool lease_holds(const struct lease *lease)
{
    return lease->ours && clock_boottime_us() < lease->until_us;
}

int64_t lease_work(struct account *account, enum lease_wish wish, int64_t now_us)
{
    struct lease *lease = &account->lease;
    bool due = !lease->ours || lease->stops || clock_boottime_us() > lease->until_us - RENEW_US;

    if (wish == LEASE_NOT_WANTED || !due || lease->asking || !account->workshop->reconciled ||
        !connection_is_up(account->workshop->lanes.ledger))
        return INT64_MAX;
    if (now_us < lease->retry_us)
        return lease->retry_us;
    if (wish == LEASE_FOR_A_LOOK && !lease->ours && now_us < lease->look_us)
        return lease->look_us;
    ask(account, wish, now_us);
    return INT64_MAX;
}

void lease_note_claim(struct lease *lease, int64_t asked_us)
{
    lease->claims++;
    lease->until_us = lasts_until(asked_us);
}

void lease_forget(struct lease *lease, int64_t now_us)
{
    lease->ours = false;
    lease->until_us = 0;
    lease->retry_us = now_us + 100 * US_PER_MS;
}

static void given_up(void *userdata, const struct store_answer *answer)
{
    (void)userdata, (void)answer;
}

void lease_give_up(struct account *account)
{
    if (account->lease.ours && connection_is_up(account->workshop->lanes.ledger))
        (void)leases_give_up(account->workshop->lanes.ledger, account->id,
                             account->workshop->instance, given_up, NULL);
    account->lease.ours = false;
}
