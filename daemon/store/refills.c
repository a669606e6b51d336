#include "store/refills.h"
#include "base/own.h"
#include <stdio.h>

/* ---- the daemon's ---- */

/*
 * What is `sending` and due belongs to nobody who waits for its answer. The row's lock, not the
 * lease, keeps two instances from sending one request twice: it goes from requested to sending
 * once.
 */
/* clang-format off */
static const struct statement take_statement = {
    .name = "take a refill",
    .text =
        "WITH lease AS MATERIALIZED (\n"
        "    SELECT 1 FROM chwsync.leases l\n"
        "     WHERE l.account_id = $1::int AND l.holder = $2::uuid AND l.number = $3::bigint AND l.expires_at > clock_timestamp()\n"
        "), left_over AS (\n"
        "    UPDATE chwsync.refills r\n"
        "       SET state = CASE WHEN r.instance = $2::uuid THEN 'requested' ELSE 'uncertain' END,\n"
        "           error = CASE WHEN r.instance = $2::uuid THEN r.error\n"
        "                        ELSE 'the run that asked for it ended before the answer was recorded' END,\n"
        "           next_at = CASE WHEN r.instance = $2::uuid THEN now() END, updated_at = now()\n"
        "     WHERE r.account_id = $1::int AND r.state = 'sending' AND r.next_at <= now() AND EXISTS (SELECT FROM lease)\n"
        "    RETURNING r.id, r.order_id, r.state, r.error\n"
        "), due AS MATERIALIZED (\n"
        "    SELECT r.id, r.order_id FROM chwsync.refills r\n"
        "     WHERE r.account_id = $1::int AND r.next_at <= now() AND r.state <> 'sending' AND EXISTS (SELECT FROM lease)\n"
        "     ORDER BY r.state = 'requested' DESC, r.next_at LIMIT 1 FOR UPDATE SKIP LOCKED\n"
        "), fit AS MATERIALIZED (\n"
        "    SELECT d.id, o.order_ref, o.state, o.provider_order_id,\n"
        "           o.state IN ('completed', 'partial') AND o.provider_order_id IS NOT NULL AND o.account_id = $1::int AS good\n"
        "      FROM due d JOIN chwsync.orders o ON o.id = d.order_id\n"
        "), taken AS (\n"
        "    UPDATE chwsync.refills r\n"
        "       SET state = CASE WHEN r.state <> 'requested' THEN r.state WHEN f.good THEN 'sending' ELSE 'refused' END,\n"
        "           attempt = r.attempt + (r.state = 'requested' AND f.good)::int, instance = $2::uuid,\n"
        "           sent_at = CASE WHEN r.state = 'requested' AND f.good THEN clock_timestamp() ELSE r.sent_at END,\n"
        "           error = CASE WHEN r.state = 'requested' AND NOT f.good\n"
        "                        THEN format('the order line is %s by now', f.state) ELSE r.error END,\n"
        "           next_at = CASE WHEN r.state <> 'requested' THEN now() + interval '5 minutes' WHEN f.good THEN now() END,\n"
        "           ended_at = CASE WHEN r.state = 'requested' AND NOT f.good THEN now() END, updated_at = now()\n"
        "      FROM fit f WHERE r.id = f.id\n"
        "    RETURNING r.*, f.order_ref, f.provider_order_id\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT l.order_id, 'refill', o.state, 'it is not known whether the refill was taken: ' || l.error\n"
        "      FROM left_over l JOIN chwsync.orders o ON o.id = l.order_id WHERE l.state = 'uncertain'\n"
        "    UNION ALL\n"
        "    SELECT t.order_id, 'refill', o.state, 'not requested: ' || t.error\n"
        "      FROM taken t JOIN chwsync.orders o ON o.id = t.order_id WHERE t.state = 'refused'\n"
        "), counted AS (\n"
        "    INSERT INTO chwsync.budget_minutes AS b (account_id, minute, reads)\n"
        "    SELECT $1::int, date_trunc('minute', now()), 1 FROM taken t WHERE t.state <> 'refused'\n"
        "    ON CONFLICT (account_id, minute) DO UPDATE SET reads = b.reads + 1\n"
        ")\n"
        "SELECT EXISTS (SELECT FROM lease),\n"
        "       (SELECT greatest(ceil(extract(epoch FROM n.next_at - now())), 0)::bigint FROM chwsync.refills n\n"
        "         WHERE n.account_id = $1::int AND n.next_at IS NOT NULL AND n.id IS DISTINCT FROM (SELECT d.id FROM due d)\n"
        "         ORDER BY n.next_at LIMIT 1),\n"
        "       (SELECT count(*) FROM chwsync.refills n WHERE n.account_id = $1::int AND n.next_at IS NOT NULL),\n"
        "       (SELECT string_agg(o.order_ref, ', ') FROM left_over l JOIN chwsync.orders o ON o.id = l.order_id\n"
        "         WHERE l.state = 'uncertain'),\n"
        "       t.id, t.attempt, t.order_ref, t.state, t.provider_order_id, t.refill_id,\n"
        "       extract(epoch FROM now() - t.sent_at)::bigint, t.errors\n"
        "  FROM (SELECT) AS one_row LEFT JOIN taken t ON true",
};
/* clang-format on */

int refills_take(struct connection *lane, const struct refill_taker *taker, store_done done,
                 void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {
        .statement = &take_statement, .values = &values, .by_index = true};

    values_add_integer(&values, taker->account_id);
    values_add_text(&values, taker->instance);
    values_add_integer(&values, taker->lease_number);
    return connection_run(lane, &transaction, done, userdata);
}

/*
 * An answer to a request is taken up whatever became of the row meanwhile, as long as no newer
 * attempt is under way and it has not ended; so is a late one that finds it uncertain.
 */
/* clang-format off */
static const struct statement record_statement = {
    .name = "record a refill",
    .text =
        "WITH before AS MATERIALIZED (\n"
        "    SELECT r.id, r.order_id, r.state, r.word, r.error FROM chwsync.refills r\n"
        "     WHERE r.id = $1::bigint AND r.attempt = $2::int\n"
        "       AND r.state = ANY (CASE WHEN $3::boolean THEN ARRAY['pending', 'in_progress']\n"
        "                               ELSE ARRAY['sending', 'uncertain', 'requested'] END)\n"
        "       FOR UPDATE\n"
        "), moved AS (\n"
        "    UPDATE chwsync.refills r\n"
        "       SET state = $4::text, refill_id = coalesce($5::text, r.refill_id), word = coalesce($6::text, r.word),\n"
        "           error = $7::text, errors = CASE WHEN $7::text IS NULL THEN 0 ELSE r.errors + 1 END,\n"
        "           next_at = CASE WHEN $8::float8 >= 0 THEN now() + make_interval(secs => $8::float8) END,\n"
        "           ended_at = CASE WHEN $4::text IN ('completed', 'rejected', 'canceled', 'refused') THEN now() END,\n"
        "           updated_at = now()\n"
        "      FROM before b WHERE r.id = b.id\n"
        "    RETURNING r.*, b.state AS old_state, b.word AS old_word, b.error AS old_error\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT m.order_id, 'refill', o.state, CASE\n"
        "           WHEN m.state = 'refused' THEN 'the provider refused the refill: ' || coalesce(m.error, 'without words')\n"
        "           WHEN m.state = 'uncertain' THEN 'it is not known whether the refill was taken: ' || coalesce(m.error, 'no answer')\n"
        "           WHEN m.state = 'requested' THEN 'the refill was not asked for yet: ' || coalesce(m.error, '')\n"
        "           WHEN m.error IS NOT NULL THEN format('the provider does not say how refill %s stands: %s', m.refill_id, m.error)\n"
        "           WHEN m.old_state IN ('sending', 'uncertain', 'requested') THEN 'the provider took it as refill ' || m.refill_id\n"
        "           ELSE format('refill %s is %s', m.refill_id, m.state)\n"
        "                || CASE WHEN m.word IS NULL THEN '' ELSE format(', in the provider''s word %s', m.word) END END\n"
        "      FROM moved m JOIN chwsync.orders o ON o.id = m.order_id\n"
        "     WHERE (m.state, m.word, m.error) IS DISTINCT FROM (m.old_state, m.old_word, m.old_error)\n"
        "), looked_at AS (\n"
        "    INSERT INTO chwsync.rechecks AS c (order_id, account_id, due_at, ended_at)\n"
        "    SELECT m.order_id, m.account_id, now(), coalesce(o.changed_at, now()) FROM moved m JOIN chwsync.orders o ON o.id = m.order_id\n"
        "     WHERE m.state IN ('pending', 'in_progress', 'completed') AND m.error IS NULL\n"
        "       AND o.state IN ('completed', 'partial', 'canceled', 'refunded', 'failed')\n"
        "    ON CONFLICT (order_id) DO UPDATE SET due_at = least(c.due_at, excluded.due_at) WHERE c.due_at < 'infinity'\n"
        ")\n"
        "SELECT o.order_ref, m.old_state, m.state, m.refill_id, m.word, m.error\n"
        "  FROM moved m JOIN chwsync.orders o ON o.id = m.order_id",
};
/* clang-format on */

int refills_record(struct connection *lane, const struct refill_answer *answer, store_done done,
                   void *userdata)
{
    struct values values = {0};
    struct transaction transaction = {.statement = &record_statement, .values = &values};

    values_add_integer(&values, answer->id);
    values_add_integer(&values, answer->attempt);
    values_add_boolean(&values, answer->of_question);
    values_add_text(&values, answer->state);
    values_add_text(&values, answer->refill_id);
    values_add_text(&values, answer->word);
    values_add_text(&values, answer->error);
    values_add_real(&values, answer->wait_s);
    return connection_run(lane, &transaction, done, userdata);
}

/* ---- an operator's word ---- */

enum session_verdict refill_ask(struct session *session, const char *order_ref, const char *who,
                                bool again, PGresult **ret_rows, struct problem *reterr_problem)
{
    static const struct statement statement = {
        "request a refill", "SELECT chwsync.ask_refill($1::text, $2::text, $3::boolean)"};
    const char *values[] = {order_ref, who, again ? "t" : "f"};

    return session_run(session, &statement, values, 3, ret_rows, reterr_problem);
}

enum session_verdict refill_settle(struct session *session, const char *order_ref, const char *who,
                                   const char *refill_id, bool *ret_done,
                                   struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "settle a refill",
        "WITH settled AS (\n"
        "    UPDATE chwsync.refills r\n"
        "       SET state = CASE WHEN $3::text IS NULL THEN 'requested' ELSE 'pending' END, refill_id = $3::text, word = NULL,\n"
        "           error = NULL, errors = 0, next_at = now(), updated_at = now()\n"
        "      FROM chwsync.orders o\n"
        "     WHERE o.order_ref = $1::text AND r.order_id = o.id AND r.ended_at IS NULL\n"
        "       AND (r.state = 'uncertain' OR r.state IN ('pending', 'in_progress') AND r.errors > 0)\n"
        "    RETURNING r.order_id, r.state, o.state AS order_state\n"
        "), noted AS (\n"
        "    INSERT INTO chwsync.history (order_id, event, state, detail)\n"
        "    SELECT s.order_id, 'refill', s.order_state, format(CASE WHEN $3::text IS NULL\n"
        "           THEN '%s said that the refill does not exist there: it is requested again'\n"
        "           ELSE '%s said that it exists there as refill %s' END, $2::text, $3::text)\n"
        "      FROM settled s\n"
        ")\n"
        "SELECT FROM settled"};
    /* clang-format on */
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {order_ref, who, refill_id};
    enum session_verdict verdict =
        session_run(session, &statement, values, 3, &rows, reterr_problem);

    if (verdict == SESSION_DONE)
        *ret_done = PQntuples(rows) > 0;
    return verdict;
}

#define EPOCH(moment) "extract(epoch FROM " moment ")::bigint"

enum session_verdict refill_latest(struct session *session, const char *order_ref,
                                   PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "the latest refill",
        "SELECT s.order_ref, s.display_ref, s.provider, s.provider_order_id, s.refill_id, s.status, s.error,\n"
        "       " EPOCH("s.requested_at") " AS requested_at, s.requested_by, " EPOCH("s.updated_at") " AS updated_at,\n"
        "       s.provider_status, " EPOCH("s.sent_at") " AS sent_at, " EPOCH("s.ended_at") " AS ended_at,\n"
        "       " EPOCH("s.next_look_at") " AS next_look_at\n"
        "  FROM chwsync.refill_status s WHERE s.order_ref = $1::text ORDER BY s.requested_at DESC LIMIT 1"};
    /* clang-format on */
    const char *values[] = {order_ref};

    return session_run(session, &statement, values, 1, ret_rows, reterr_problem);
}
