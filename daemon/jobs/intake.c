#include "jobs/intake.h"
#include "base/own.h"
#include "host/clock.h"
#include "host/crash_point.h"
#include "host/events.h"
#include <stdlib.h>
#include <string.h>

#define INTAKE_LIMIT 32000      /* lines a transaction, as each look reads the whole view */
#define INTAKE_LIMIT_SMALL 2000 /* where that many run out of time */
#define INTAKE_CHANGES 10000    /* as many it follows a transaction, see chwsync.intake() */
#define LONG_LOOK_US                                                                               \
    (20 *                                                                                          \
     US_PER_MS) /* a view that takes longer rests four times as long before a wake-up is heeded */
/* What a look may take for its plans to be kept; those of the view and of the ledger take some ms
 * to make. After more lines the tables have other sizes. */
#define QUICK_LOOK_US (4 * US_PER_MS)
#define QUICK_LOOK_ANEW_US (20 * US_PER_MS)
#define QUICK_LINES 10
#define SLOW_LOOK_US (100 * US_PER_MS)
#define SLOW_LOOKS 3
#define LAMING_LOOK_US (1000 * US_PER_MS)
#define LOSSES 2              /* of the connection, in a row: then it is a line's doing */
#define INTAKE_KEYS_LIMIT 200 /* lines tried one by one in a round */
#define PARKED_RETRY_S 300
#define OUT_OF_TIME "57014"
#define LATE_KEYS 3 /* in a row: it is the view that takes so long, not a line */

DEFINE_OWN(char, free, key_freep)

static void forget_keys(struct intake *intake)
{
    for (size_t i = 0; i < intake->key_count; i++)
        free(intake->keys[i]);
    free(intake->keys);
    intake->keys = NULL;
    intake->key_count = 0;
    intake->key_next = 0;
}

void intake_done(struct intake *intake)
{
    forget_keys(intake);
}

void intake_wake(struct intake *intake)
{
    intake->next_us = intake->rested_us;
}

/*
 * One warning for each order line in `text`, which may be NULL: its key, `mark` and why, a line
 * each. A key may hold line breaks, so that a line ends behind its mark only.
 */
static void warn_each(const char *text, struct log_entry entry, const char *begin, const char *mark)
{
    while (text && *text) {
        const char *marked = strstr(text, mark), *key_end = marked ? marked : text,
                   *end = strchrnul(key_end, '\n');
        OWN(key_freep) char *key = strndup(text, (size_t)(key_end - text));

        entry.order_ref = key && key[0] ? key : NULL;
        log_write(LOG_LEVEL_WARNING, &entry, "%s %.*s", begin, (int)(end - text), text);
        text = *end ? end + 1 : end;
    }
}

static void note_rejected(const char *rejected)
{
    warn_each(rejected, (struct log_entry){.message_id = MESSAGE_ORDER_REJECTED}, "order",
              " rejected: ");
}

/* The lines that cannot be taken by name when they are new, else their number, once. */
static void note_parked(struct intake *intake, const struct intake_result *result)
{
    struct log_entry entry = {
        .message_id = MESSAGE_LINE_PARKED,
        .hint = "'chwsyncd status' names them; each must be one row with its own order_ref"};

    warn_each(result->parked_lines, entry, "unable to take order line", ": the ");
    if (result->parked > INTAKE_NAMED_MAX ||
        (result->parked_in_all && !result->parked && !intake->some_parked))
        log_write(LOG_LEVEL_WARNING, &entry, "lines of the shop's view that cannot be taken: %u",
                  result->parked_in_all);
    if (!result->parked_in_all && intake->some_parked)
        log_event(LOG_LEVEL_NOTICE, MESSAGE_LINES_WELL,
                  "every line of the shop's view can be taken again");
    intake->some_parked = result->parked_in_all > 0;
}

static void note_taken(struct intake *intake, const struct intake_result *result)
{
    if (result->taken || result->returned)
        log_debug("took %u new order lines, %u shown again", result->taken, result->returned);
    note_rejected(result->rejected);
    if (result->followed)
        log_info("queued orders that follow a change in the shop: %u", result->followed);
    note_parked(intake, result);
}

static void failed(struct intake *intake, const struct store_answer *answer)
{
    struct log_entry entry = {.message_id = MESSAGE_INTAKE_FAILED,
                              .sqlstate = answer->sqlstate,
                              .hint = answer->problem.hint};

    /* The look at the contract says it, unless it finds nothing and the next reading fails again.
     */
    if (sqlstate_doubts_contract(answer->sqlstate) && !intake->doubting) {
        intake->doubting = true;
        intake->workshop->contract_doubtful = true;
        return;
    }
    log_repeated(&intake->failed_log, LOG_LEVEL_ERROR, &entry,
                 "unable to read the shop's pending orders: %s; next try in %lld s",
                 answer->problem.text, (long long)(intake->interval_us / US_PER_S));
    workshop_note_error(intake->workshop, "pending orders: %s", answer->problem.text);
    if (sqlstate_doubts_contract(answer->sqlstate))
        intake->workshop->contract_doubtful = true;
}

static void parked(void *userdata, const struct store_answer *answer)
{
    struct intake *intake = userdata;

    intake->busy = false;
    if (answer->verdict == STORE_REFUSED)
        failed(intake, answer);
}

/* Parks the key of the round whose row raises, with the database's words. */
static void park(struct intake *intake, const char *key, const char *sqlstate, const char *words)
{
    struct log_entry entry = {
        .order_ref = key,
        .sqlstate = sqlstate,
        .message_id = MESSAGE_LINE_PARKED,
        .hint = "mend the row or the view; the line is tried again in 5 min, the others go on"};

    intake->some_parked = true;
    intake->parked_of_round++;
    log_write(LOG_LEVEL_WARNING, &entry, "unable to take order line %s: %s", key, words);
    if (shop_park(intake->workshop->lanes.ledger, key, sqlstate, words, PARKED_RETRY_S, parked,
                  intake) == 0)
        intake->busy = true;
}

/* One key of the round is done with. */
static void one_looked(void *userdata, const struct store_answer *answer)
{
    struct intake *intake = userdata;
    const char *key = intake->keys[intake->key_next];

    intake->busy = false;
    if (answer->verdict == STORE_LOST && ++intake->lost_keys < LOSSES)
        return; /* the same key again on the next connection */
    intake->lost_keys = 0;
    intake->key_next++;
    if (answer->verdict == STORE_LOST) {
        park(intake, key, "08006", "the database connection broke while it was read");
        return;
    }
    if (answer->verdict == STORE_DONE) {
        intake->late_keys = 0;
        note_rejected(row_text(answer->rows, 0, 7));
        if (row_integer(answer->rows, 0, 0, 0) > 0)
            intake->on_looked(intake->userdata, 0, row_integer(answer->rows, 0, 6, -1));
        return;
    }
    park(intake, key, answer->sqlstate, answer->problem.text);
    intake->late_keys = strcmp(answer->sqlstate, OUT_OF_TIME) == 0 ? intake->late_keys + 1 : 0;
    if (intake->late_keys >= LATE_KEYS)
        forget_keys(intake);
}

static void keys_looked(void *userdata, const struct store_answer *answer)
{
    struct intake *intake = userdata;
    int count = answer->verdict == STORE_DONE ? PQntuples(answer->rows) : 0;

    intake->busy = false;
    if (answer->verdict == STORE_REFUSED)
        failed(intake, answer);
    forget_keys(intake);
    intake->late_keys = intake->parked_of_round = 0;
    intake->round_is_whole = answer->verdict == STORE_DONE && count < INTAKE_KEYS_LIMIT;
    if (count == 0)
        return;
    intake->keys = calloc((size_t)count, sizeof *intake->keys);
    for (int i = 0; intake->keys && i < count; i++) {
        intake->keys[i] = strdup(row_text(answer->rows, i, 0));
        if (!intake->keys[i])
            break;
        intake->key_count++;
    }
}

/* Of all new lines, because the view raises as a whole. */
static void look_at_keys(struct intake *intake)
{
    if (shop_intake_keys(intake->workshop->shop, intake->workshop->lanes.view, INTAKE_KEYS_LIMIT,
                         keys_looked, intake) == 0)
        intake->busy = true;
}

/* Of the lines that raised some time ago: the look at the whole leaves them out. */
static void look_at_parked(struct intake *intake)
{
    if (shop_parked_keys(intake->workshop->lanes.view, INTAKE_KEYS_LIMIT, keys_looked, intake) == 0)
        intake->busy = true;
}

/* Once is chance: the disk or the shop was busy. The shorter of two says what the view takes. */
static void rest(struct intake *intake, int64_t took_us)
{
    int64_t least_us = took_us < intake->took_us ? took_us : intake->took_us;

    intake->took_us = took_us;
    if (least_us > LONG_LOOK_US)
        intake->rested_us = clock_monotonic_us() + 4 * least_us;
    if (intake->next_us < intake->rested_us) /* woken while it was read */
        intake->next_us = intake->rested_us;
}

/* Once is chance: the shop was busy. So long that it matters is not. */
static void note_time(struct intake *intake, int64_t took_us)
{
    unsigned before = intake->slow_looks;
    const struct log_entry entry = {
        .message_id = MESSAGE_VIEW_SLOW,
        .hint = "chwsyncd check names what helps: an index, or the adapter with a queue"};

    if (took_us <= SLOW_LOOK_US) {
        intake->slow_looks = 0;
        log_recovered(&intake->slow_log);
        return;
    }
    intake->slow_looks += took_us > LAMING_LOOK_US ? SLOW_LOOKS : 1;
    log_debug("reading the view took %lld ms", (long long)(took_us / US_PER_MS));
    if (before < SLOW_LOOKS && intake->slow_looks >= SLOW_LOOKS)
        log_repeated(&intake->slow_log, LOG_LEVEL_WARNING, &entry,
                     "reading the shop's view takes %lld ms, more than %d: new "
                     "lines are taken later, and the database is kept busy",
                     (long long)(took_us / US_PER_MS), (int)(SLOW_LOOK_US / US_PER_MS));
}

/*
 * A line that raises is found by its key, if it is a new one, and left out from then on. When it
 * raises again although none was found, it is a line that was taken before, or all of them.
 */
static void raised(struct intake *intake, const struct store_answer *answer)
{
    const struct log_entry entry = {
        .message_id = MESSAGE_INTAKE_FAILED,
        .sqlstate = answer->sqlstate,
        .hint = "a line that was taken before raises: mend its row or the view. Changes of queued "
                "lines are not seen meanwhile"};

    log_debug("the view raised as a whole (%s), its lines are taken one by one",
              answer->problem.text);
    if (intake->raises && intake->round_is_whole && intake->parked_of_round == 0) {
        log_repeated(&intake->failed_log, LOG_LEVEL_ERROR, &entry,
                     "unable to read the shop's pending orders at once: %s; new lines are taken "
                     "one by one",
                     answer->problem.text);
        workshop_note_error(intake->workshop, "pending orders: %s", answer->problem.text);
    }
    intake->raises = true;
    if (strcmp(answer->sqlstate, OUT_OF_TIME) == 0)
        note_time(intake, answer->took_us);
    rest(intake, answer->took_us);
    look_at_keys(intake);
}

static void refused(struct intake *intake, const struct store_answer *answer)
{
    if (sqlstate_doubts_contract(answer->sqlstate)) {
        failed(intake, answer);
    } else if (!intake->options.anew && strcmp(answer->sqlstate, OUT_OF_TIME) == 0) {
        intake->quick = false;
        intake->next_us = 0;
    } else if (!intake->small_bites && strcmp(answer->sqlstate, OUT_OF_TIME) == 0) {
        log_debug("up to %u lines at once take too long: they are taken in smaller bites",
                  intake->options.limit);
        intake->small_bites = true;
        intake->next_us = 0;
    } else {
        raised(intake, answer);
    }
}

static void looked(void *userdata, const struct store_answer *answer)
{
    struct intake *intake = userdata;
    struct intake_result result;

    intake->busy = false;
    if (answer->verdict == STORE_LOST) {
        intake->lost_looks++;
        intake->next_us = 0;
        return;
    }
    intake->lost_looks = 0;
    if (answer->verdict == STORE_REFUSED) {
        refused(intake, answer);
        return;
    }
    CRASH_POINT("intake: committed");
    shop_intake_decode(answer->rows, &result);
    intake->doubting = intake->raises = false;
    if (log_recovered(&intake->failed_log)) {
        log_event(LOG_LEVEL_NOTICE, MESSAGE_INTAKE_WELL,
                  "the shop's pending orders can be read again");
        intake->workshop->last_error[0] = '\0';
    }
    note_taken(intake, &result);
    intake->on_clock(intake->userdata, &(struct clock_look){.server_us = result.server_us,
                                                            .asked_us = intake->asked_us,
                                                            .told_us = clock_boottime_us()});
    /* Else it were the lines that took it, not the view. */
    if (result.taken + result.returned + result.followed < INTAKE_LIMIT_SMALL)
        note_time(intake, answer->took_us);
    intake->on_looked(intake->userdata,
                      result.taken || result.returned || result.followed ? 0 : result.queue_due_s,
                      result.write_back_due_s);
    intake->on_refills(intake->userdata, result.refills_due);
    intake->on_wishes(intake->userdata, result.wishes);
    rest(intake, answer->took_us);
    intake->quick =
        answer->took_us <= (intake->options.anew ? QUICK_LOOK_ANEW_US : QUICK_LOOK_US) &&
        result.taken <= QUICK_LINES;
    if (result.taken >= intake->options.limit)
        intake->next_us = 0;
    else if (result.followed + result.returned >= INTAKE_CHANGES)
        intake_wake(intake); /* rested: a view may show other values each time, for ever */
    else
        intake->small_bites = false;
    if (result.parked_in_all && clock_monotonic_us() >= intake->parked_next_us) {
        intake->parked_next_us = clock_monotonic_us() + PARKED_RETRY_S * US_PER_S;
        look_at_parked(intake);
    }
}

static bool start_next_key(struct intake *intake)
{
    if (intake->key_next >= intake->key_count)
        return false;
    if (shop_intake_one(intake->workshop->shop, intake->workshop->lanes.view, &intake->options,
                        intake->keys[intake->key_next], one_looked, intake) == 0)
        intake->busy = true;
    return true;
}

int64_t intake_work(struct intake *intake, int64_t now_us)
{
    struct workshop *workshop = intake->workshop;

    if (intake->busy || workshop->stopping || !shop_has_view(workshop->shop) ||
        !connection_is_up(workshop->lanes.view))
        return INT64_MAX;
    /* Lines that raised before keep no new ones waiting. */
    if ((intake->raises || now_us < intake->next_us) && start_next_key(intake))
        return INT64_MAX;
    if (now_us < intake->next_us)
        return intake->next_us;
    if (intake->lost_looks >= LOSSES) {
        intake->lost_looks = 0;
        intake->raises = true;
        look_at_keys(intake);
        return INT64_MAX;
    }
    intake->options.limit = intake->small_bites ? INTAKE_LIMIT_SMALL : INTAKE_LIMIT;
    intake->options.anew = !intake->quick;
    intake->next_us = now_us + intake->interval_us;
    intake->asked_us = clock_boottime_us();
    if (shop_intake(workshop->shop, workshop->lanes.view, &intake->options, looked, intake) == 0)
        intake->busy = true;
    return intake->next_us;
}
