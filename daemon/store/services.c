#include "store/services.h"
#include "rules/service_type.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCT_ID_BYTES 200 /* a longer one is none: it would not fit its index */
#define WORDS_BYTES 300      /* of a name, a type, a category */

/* clang-format off */
#define EPOCH(column) "CASE WHEN " column " = 'infinity' THEN 9223372036854775807 ELSE extract(epoch FROM " column ")::bigint END"
/* clang-format on */

/* Runs it at either door; the values are taken. */
static int run_later(struct connection *lane, const struct statement *statement,
                     struct values *values, store_done done, void *userdata)
{
    struct transaction transaction = {.statement = statement, .values = values};

    return connection_run(lane, &transaction, done, userdata);
}

/* ---- looking ---- */

static const struct statement look_statement = {
    .name = "look at a catalogue",
    .text =
        "SELECT extract(epoch FROM now() - c.read_at)::bigint, extract(epoch FROM now() - "
        "c.tried_at)::bigint, c.error,\n"
        "       coalesce(c.wanted_at > CASE WHEN c.error IS NULL THEN c.read_at ELSE c.tried_at "
        "END, c.wanted_at IS NOT NULL)\n"
        "  FROM chwsync.catalogues c WHERE c.account_id = $1::int",
};

int services_look(struct connection *lane, int account_id, store_done done, void *userdata)
{
    struct values values = {0};

    values_add_integer(&values, account_id);
    return run_later(lane, &look_statement, &values, done, userdata);
}

enum session_verdict services_look_now(struct session *session, int account_id, PGresult **ret_rows,
                                       struct problem *reterr_problem)
{
    struct values values = {0};

    values_add_integer(&values, account_id);
    return session_run_values(session, &look_statement, &values, ret_rows, reterr_problem);
}

void services_timing(const PGresult *rows, struct catalogue_timing *timing)
{
    bool known = PQntuples(rows) > 0;
    const char *error = known ? row_text(rows, 0, SERVICES_LOOK_ERROR) : NULL;

    timing->read_ago_s = known ? row_integer(rows, 0, SERVICES_LOOK_READ_AGO_S, -1) : -1;
    timing->tried_ago_s = known ? row_integer(rows, 0, SERVICES_LOOK_TRIED_AGO_S, -1) : -1;
    timing->failed = error != NULL;
    timing->doubted = error && catalogue_fault_is_doubt(error);
    timing->wanted = known && row_boolean(rows, 0, SERVICES_LOOK_WANTED);
}

/* ---- comparing ---- */

static const struct statement compare_statement = {
    .name = "compare a catalogue",
    .text = "SELECT count(*), count(*) FILTER (WHERE t.service IS NULL)\n"
            "  FROM chwsync.catalogue_services k LEFT JOIN unnest($2::text[]) AS t(service) ON "
            "t.service = k.service\n"
            " WHERE k.account_id = $1::int AND k.listed",
};

static void add_ids(struct values *values, const struct reply *reply)
{
    VALUES_ADD_ARRAY(values, reply->services, reply->service_count, values_add_text, service);
}

static void bind_compare(struct values *values, int account_id, const struct reply *reply)
{
    values_add_integer(values, account_id);
    add_ids(values, reply);
}

int services_compare(struct connection *lane, int account_id, const struct reply *reply,
                     store_done done, void *userdata)
{
    struct values values = {0};

    bind_compare(&values, account_id, reply);
    return run_later(lane, &compare_statement, &values, done, userdata);
}

enum session_verdict services_compare_now(struct session *session, int account_id,
                                          const struct reply *reply, PGresult **ret_rows,
                                          struct problem *reterr_problem)
{
    struct values values = {0};

    bind_compare(&values, account_id, reply);
    return session_run_values(session, &compare_statement, &values, ret_rows, reterr_problem);
}

/* ---- storing ---- */

static const struct statement store_statement = {
    .name = "store a part of a catalogue",
    .text =
        "SELECT change, number, service, name, before, after\n"
        "  FROM chwsync.store_services($1::int, $2::text[], $3::text[], $4::text[], $5::text[], "
        "$6::text[], $7::numeric[],\n"
        "                              $8::bigint[], $9::bigint[], $10::boolean[], "
        "$11::text[])",
};

static void add_words(struct values *values, const char *words)
{
    char line[WORDS_BYTES];

    text_one_line(line, sizeof line, words);
    values_add_text(values, line);
}

static void add_product_id(struct values *values, const char *product_id)
{
    values_add_text(values,
                    product_id && strlen(product_id) <= PRODUCT_ID_BYTES ? product_id : NULL);
}

static void add_amount(struct values *values, const char *amount)
{
    values_add_text(values, amount[0] ? amount : NULL);
}

/* A bound that is no whole number is none. */
static void add_bound(struct values *values, const char *bound)
{
    int64_t whole;

    if (bound[0] && decimal_parse_integer(bound, &whole))
        values_add_integer(values, whole);
    else
        values_add_text(values, NULL);
}

static void add_charged_by(struct values *values, const char *type)
{
    values_add_text(values, charged_by_name(service_type_charged_by(type)));
}

static void bind_store(struct values *values, int account_id, const struct reply *reply,
                       size_t first)
{
    const struct reply_service *rows = reply->services + first;
    size_t left = reply->service_count - first, count = left < SERVICES_PART ? left : SERVICES_PART;

    values_add_integer(values, account_id);
    VALUES_ADD_ARRAY(values, rows, count, values_add_text, service);
    VALUES_ADD_ARRAY(values, rows, count, add_product_id, product_id);
    VALUES_ADD_ARRAY(values, rows, count, add_words, name);
    VALUES_ADD_ARRAY(values, rows, count, add_words, type);
    VALUES_ADD_ARRAY(values, rows, count, add_words, category);
    VALUES_ADD_ARRAY(values, rows, count, add_amount, rate);
    VALUES_ADD_ARRAY(values, rows, count, add_bound, min);
    VALUES_ADD_ARRAY(values, rows, count, add_bound, max);
    VALUES_ADD_ARRAY(values, rows, count, values_add_boolean, refill);
    VALUES_ADD_ARRAY(values, rows, count, add_charged_by, type);
}

int services_store(struct connection *lane, int account_id, const struct reply *reply, size_t first,
                   store_done done, void *userdata)
{
    struct values values = {0};

    bind_store(&values, account_id, reply, first);
    return run_later(lane, &store_statement, &values, done, userdata);
}

enum session_verdict services_store_now(struct session *session, int account_id,
                                        const struct reply *reply, size_t first,
                                        PGresult **ret_rows, struct problem *reterr_problem)
{
    struct values values = {0};

    bind_store(&values, account_id, reply, first);
    return session_run_values(session, &store_statement, &values, ret_rows, reterr_problem);
}

static const struct statement end_statement = {
    .name = "end a catalogue",
    .text = "SELECT change, number, service, name, before, after\n"
            "  FROM chwsync.end_catalogue($1::int, $2::text, $3::text[], $4::float8)",
};

static void bind_end(struct values *values, int account_id, const char *provider,
                     const struct reply *reply, double asked_ago_s)
{
    values_add_integer(values, account_id);
    values_add_text(values, provider);
    add_ids(values, reply);
    values_add_real(values, asked_ago_s);
}

int services_end(struct connection *lane, int account_id, const char *provider,
                 const struct reply *reply, double asked_ago_s, store_done done, void *userdata)
{
    struct values values = {0};

    bind_end(&values, account_id, provider, reply, asked_ago_s);
    return run_later(lane, &end_statement, &values, done, userdata);
}

enum session_verdict services_end_now(struct session *session, int account_id, const char *provider,
                                      const struct reply *reply, double asked_ago_s,
                                      PGresult **ret_rows, struct problem *reterr_problem)
{
    struct values values = {0};

    bind_end(&values, account_id, provider, reply, asked_ago_s);
    return session_run_values(session, &end_statement, &values, ret_rows, reterr_problem);
}

/* Rows of a kind stand together; each has the kind's whole number. */
void services_news(const PGresult *rows, struct catalogue_news *news)
{
    enum {
        CHANGE,
        NUMBER,
        SERVICE,
        NAME,
        BEFORE,
        AFTER,
    };

    for (int row = 0, told = 0; row < PQntuples(rows); row++) {
        enum catalogue_change change;
        const char *word = row_text(rows, row, CHANGE);
        bool is_last = row + 1 == PQntuples(rows) || strcmp(word, row_text(rows, row + 1, CHANGE));

        if (!catalogue_change_parse(word, &change))
            continue;
        catalogue_news_add(news, change, row_text(rows, row, SERVICE), row_text(rows, row, NAME),
                           row_text(rows, row, BEFORE), row_text(rows, row, AFTER));
        told++;
        if (!is_last)
            continue;
        catalogue_news_count(news, change, (uint64_t)(row_integer(rows, row, NUMBER, told) - told));
        told = 0;
    }
}

/* ---- faults ---- */

static const struct statement fault_statement = {
    .name = "note a catalogue's fault",
    .text = "INSERT INTO chwsync.catalogues AS c (account_id, tried_at, error) VALUES ($1::int, "
            "now(), $2::text)\n"
            "ON CONFLICT (account_id) DO UPDATE SET tried_at = now(), error = $2::text",
};

static void bind_fault(struct values *values, int account_id, const char *fault)
{
    values_add_integer(values, account_id);
    values_add_text(values, fault);
}

int services_fault(struct connection *lane, int account_id, const char *fault, store_done done,
                   void *userdata)
{
    struct values values = {0};

    bind_fault(&values, account_id, fault);
    return run_later(lane, &fault_statement, &values, done, userdata);
}

enum session_verdict services_fault_now(struct session *session, int account_id, const char *fault,
                                        struct problem *reterr_problem)
{
    struct values values = {0};

    bind_fault(&values, account_id, fault);
    return session_run_values(session, &fault_statement, &values, NULL, reterr_problem);
}

/* ---- retention ---- */

static const struct statement forget_statement = {
    .name = "forget old changes of catalogues",
    .text = "WITH old AS (SELECT c.id FROM chwsync.catalogue_changes c\n"
            "              WHERE $1::int > 0 AND c.at < now() - make_interval(days => $1::int) "
            "ORDER BY c.id LIMIT $2::int),\n"
            "     gone AS (DELETE FROM chwsync.catalogue_changes c USING old WHERE c.id = old.id "
            "RETURNING 1)\n"
            "SELECT count(*) FROM gone",
};

int services_forget(struct connection *lane, unsigned days, unsigned limit, store_done done,
                    void *userdata)
{
    struct values values = {0};

    values_add_integer(&values, days);
    values_add_integer(&values, limit);
    return run_later(lane, &forget_statement, &values, done, userdata);
}

/* ---- for the command ---- */

enum session_verdict services_salt(struct session *session, char **ret_salt,
                                   struct problem *reterr_problem)
{
    static const struct statement statement = {
        "services salt",
        "SELECT digest_salt FROM chwsync.ledger",
    };
    OWN(rows_freep) PGresult *rows = NULL;
    enum session_verdict verdict = session_run(session, &statement, NULL, 0, &rows, reterr_problem);

    if (verdict == SESSION_DONE)
        *ret_salt = PQntuples(rows) ? strdup(PQgetvalue(rows, 0, 0)) : NULL;
    return verdict;
}

enum session_verdict services_account(struct session *session, const char *provider,
                                      const char *endpoint, const char *digest, int *ret_id,
                                      struct problem *reterr_problem)
{
    static const struct statement statement = {
        "services account",
        "INSERT INTO chwsync.accounts AS a (provider, endpoint, key_digest) VALUES ($1::text, "
        "$2::text, $3::text)\n"
        "ON CONFLICT (endpoint, key_digest) DO UPDATE SET provider = a.provider RETURNING a.id",
    };
    OWN(rows_freep) PGresult *rows = NULL;
    const char *values[] = {provider, endpoint, digest};
    enum session_verdict verdict =
        session_run(session, &statement, values, COUNT_OF(values), &rows, reterr_problem);

    if (verdict == SESSION_DONE)
        *ret_id = (int)row_integer(rows, 0, 0, 0);
    return verdict;
}

/* The search as $1 text, $2 provider, $3 all, $5 id; `s` is a row of chwsync.services. Text is a
 * part, not a pattern. */
/* clang-format off */
#define MATCHES \
    "($1::text IS NULL OR position(lower($1::text) IN lower(concat_ws(E'\n', s.service, s.product_id, s.name, s.category))) > 0)\n" \
    "   AND ($2::text IS NULL OR s.provider = $2::text) AND ($3::boolean OR s.available) AND ($5::text IS NULL OR s.service = $5::text)"
/* clang-format on */

static enum session_verdict run_search(struct session *session, const struct statement *statement,
                                       const struct services_search *search, PGresult **ret_rows,
                                       struct problem *reterr_problem)
{
    struct values values = {0};

    values_add_text(&values, search->text);
    values_add_text(&values, search->provider);
    values_add_boolean(&values, search->all);
    values_add_integer(&values, search->limit);
    values_add_text(&values, search->service);
    return session_run_values(session, statement, &values, ret_rows, reterr_problem);
}

enum session_verdict services_list(struct session *session, const struct services_search *search,
                                   PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "services list",
        "SELECT s.provider, s.service, s.product_id, s.name, s.type, s.category, s.rate, s.min, s.max, s.refill, s.available,\n"
        "       s.charged_by, " EPOCH("s.first_seen_at") " AS first_seen_at, " EPOCH("s.changed_at") " AS changed_at,\n"
        "       count(*) OVER () AS in_all\n"
        "  FROM chwsync.services s WHERE " MATCHES "\n"
        " ORDER BY s.provider, coalesce(s.service = $1 OR s.product_id = $1, false) DESC, length(s.service), s.service LIMIT $4::bigint"};
    /* clang-format on */
    return run_search(session, &statement, search, ret_rows, reterr_problem);
}

enum session_verdict services_accept(struct session *session, const char *provider,
                                     const char *service, PGresult **ret_rows,
                                     struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "accept a service",
        "SELECT f.was, f.is_now, f.freed\n"
        "  FROM (SELECT b.id FROM chwsync.accounts b WHERE b.provider = $1::text ORDER BY b.last_used_at DESC, b.id DESC LIMIT 1) AS a,\n"
        "       LATERAL chwsync.accept_service(a.id, $2::text) AS f WHERE f.is_now IS NOT NULL"};
    /* clang-format on */
    const char *values[] = {provider, service};

    return session_run(session, &statement, values, COUNT_OF(values), ret_rows, reterr_problem);
}

enum session_verdict services_changes(struct session *session, const struct services_search *search,
                                      PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "services changes",
        "SELECT " EPOCH("c.at") " AS changed_at, c.provider, c.service, c.name, c.change, c.before, c.after\n"
        "  FROM chwsync.service_changes c\n"
        " WHERE $1::text IS NULL AND $2::text IS NULL AND $5::text IS NULL\n"
        "    OR EXISTS (SELECT FROM chwsync.services s WHERE s.provider = c.provider AND s.service = c.service\n"
        "                  AND " MATCHES ")\n"
        " ORDER BY c.at DESC, c.provider, length(c.service), c.service, c.change LIMIT $4::bigint"};
    /* clang-format on */
    return run_search(session, &statement, search, ret_rows, reterr_problem);
}

enum session_verdict services_catalogues(struct session *session, const char *provider,
                                         PGresult **ret_rows, struct problem *reterr_problem)
{
    /* clang-format off */
    static const struct statement statement = {
        "services catalogues",
        "SELECT a.provider, (SELECT count(*) FROM chwsync.catalogue_services k\n"
        "                     WHERE k.account_id = a.id AND k.listed AND k.refused_at IS NULL) AS services,\n"
        "       " EPOCH("c.read_at") " AS read_at, " EPOCH("c.tried_at") " AS tried_at, c.error\n"
        "  FROM (SELECT DISTINCT ON (b.provider) b.id, b.provider FROM chwsync.accounts b\n"
        "         ORDER BY b.provider, b.last_used_at DESC, b.id DESC) AS a\n"
        "  LEFT JOIN chwsync.catalogues c ON c.account_id = a.id\n"
        " WHERE $1::text IS NULL OR a.provider = $1 ORDER BY a.provider"};
    /* clang-format on */
    return session_run(session, &statement, &provider, 1, ret_rows, reterr_problem);
}
