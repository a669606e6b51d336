/* An order's life: every pair of state and event is named here, allowed or forbidden. */
#include "base/own.h"
#include "rules/order_state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/*
 * The whole matrix. Columns are the events in order, cells the state that follows, '-' = forbidden:
 * Queued Submitting Active Completed Partial canceleD reFunded failEd reJected Withdrawn Uncertain
 * aBandoned.
 */
static const char state_letters[] = "QSACPDFEJWUB";
/* clang-format off */
static const struct {
    enum order_state from;
    const char *after;
} matrix[] = {
    /*                     CWSARPN OCPDFE PAGRD */
    { ORDER_QUEUED,       "SW-AJQ-" "------" "----U" },
    { ORDER_SUBMITTING,   "---AJQU" "------" "-----" },
    { ORDER_ACTIVE,       "-------" "ACPDFE" "----U" },
    { ORDER_COMPLETED,    "-------" "ACPDFE" "----U" },
    { ORDER_PARTIAL,      "-------" "ACPDFE" "----U" },
    { ORDER_CANCELED,     "-------" "ACPDFE" "----U" },
    { ORDER_REFUNDED,     "-------" "ACPDFE" "----U" },
    { ORDER_FAILED,       "-------" "ACPDFE" "---QU" },
    { ORDER_REJECTED,     "---A---" "------" "---QU" },
    { ORDER_WITHDRAWN,    "--QA---" "------" "----U" },
    { ORDER_UNCERTAIN,    "---AJQ-" "------" "AQB--" },
    { ORDER_ABANDONED,    "---A---" "------" "A----" },
};
/* clang-format on */

static void test_matrix(void **state)
{
    size_t allowed = 0;
    (void)state;
    assert_int_equal(COUNT_OF(matrix), ORDER_STATE_COUNT);
    for (size_t row = 0; row < ORDER_STATE_COUNT; row++) {
        assert_int_equal(matrix[row].from, row);
        assert_int_equal(strlen(matrix[row].after), ORDER_EVENT_COUNT);
        for (int on = 0; on < ORDER_EVENT_COUNT; on++) {
            const struct transition *found =
                order_transition_find(matrix[row].from, (enum order_event)on);
            char to = found ? state_letters[found->to] : '-';
            if (to != matrix[row].after[on])
                fail_msg("%s on %s leads to %c, not %c", order_state_name(matrix[row].from),
                         order_event_name((enum order_event)on), to, matrix[row].after[on]);
            allowed += found != NULL;
        }
    }
    /* With every allowed pair found once, a longer table would hold a pair twice. */
    assert_int_equal(allowed, order_transition_count);
}

static void test_every_row_says_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < order_transition_count; i++) {
        const struct transition *row = &order_transitions[i];
        assert_ptr_equal(order_transition_find(row->from, row->on), row);
        assert_non_null(row->why);
        assert_in_range(strlen(row->why), 10, 70);
        assert_null(strpbrk(row->why, "\n\"\\<>{}")); /* fit for a log line and a diagram's label */
    }
    assert_null(order_transition_find((enum order_state)ORDER_STATE_COUNT, EVENT_CLAIMED));
}

/* Which states can follow `from` by rows for which `passes` holds (as a set of bits). */
static unsigned reach(enum order_state from, bool (*passes)(const struct transition *))
{
    unsigned reached = 1u << from, before = 0;
    while (reached != before) {
        before = reached;
        for (size_t i = 0; i < order_transition_count; i++) {
            const struct transition *row = &order_transitions[i];
            if ((reached & 1u << row->from) && passes(row))
                reached |= 1u << row->to;
        }
    }
    return reached;
}

static bool any(const struct transition *row)
{
    (void)row;
    return true;
}

/* Neither an answer that nothing was bought, nor a person. */
static bool proves_nothing(const struct transition *row)
{
    return row->on != EVENT_PUT_OFF && row->on != EVENT_PROVED_ABSENT && row->on != EVENT_RETRY;
}

static void test_every_state_is_reached(void **state)
{
    (void)state;
    assert_int_equal(reach(ORDER_QUEUED, any), (1u << ORDER_STATE_COUNT) - 1);
}

static void test_nothing_is_bought_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < order_transition_count; i++) {
        const struct transition *row = &order_transitions[i];
        bool open = row->from == ORDER_SUBMITTING || row->from == ORDER_UNCERTAIN;
        if (open && row->to == ORDER_QUEUED)
            assert_true(row->on == EVENT_PUT_OFF || row->on == EVENT_PROVED_ABSENT);
        if (row->to == ORDER_SUBMITTING)
            assert_true(row->from == ORDER_QUEUED && row->on == EVENT_CLAIMED);
        if (row->on == EVENT_RETRY)
            assert_true(row->from == ORDER_REJECTED || row->from == ORDER_FAILED);
    }
    assert_false(reach(ORDER_SUBMITTING, proves_nothing) & 1u << ORDER_QUEUED);
    assert_false(reach(ORDER_UNCERTAIN, proves_nothing) & 1u << ORDER_QUEUED);
    assert_false(reach(ORDER_ABANDONED, proves_nothing) & 1u << ORDER_QUEUED);
    assert_false(reach(ORDER_ACTIVE, proves_nothing) & 1u << ORDER_QUEUED);
}

static void test_names(void **state)
{
    static const char *const states[] = {"queued",   "submitting", "active",    "completed",
                                         "partial",  "canceled",   "refunded",  "failed",
                                         "rejected", "withdrawn",  "uncertain", "abandoned"};
    static const char *const events[] = {
        "claimed",         "withdrawn",       "shown_again",   "accepted",         "refused",
        "put_off",         "no_answer",       "status_open",   "status_completed", "status_partial",
        "status_canceled", "status_refunded", "status_failed", "proved_placed",    "proved_absent",
        "given_up",        "retry",           "disproved"};
    static const char *const foreign[] = {"", "Queued", "queue", "queued ", "cancelled", "pending"};
    enum order_state parsed = ORDER_ABANDONED;
    (void)state;
    assert_int_equal(COUNT_OF(states), ORDER_STATE_COUNT);
    assert_int_equal(COUNT_OF(events), ORDER_EVENT_COUNT);
    for (size_t i = 0; i < ORDER_STATE_COUNT; i++) {
        assert_string_equal(order_state_name((enum order_state)i), states[i]);
        assert_true(order_state_parse(states[i], &parsed));
        assert_int_equal(parsed, i);
    }
    for (size_t i = 0; i < ORDER_EVENT_COUNT; i++)
        assert_string_equal(order_event_name((enum order_event)i), events[i]);
    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        parsed = ORDER_PARTIAL;
        assert_false(order_state_parse(foreign[i], &parsed));
        assert_int_equal(parsed, ORDER_PARTIAL);
    }
}

static void test_final(void **state)
{
    static const char final[] = "CPDFEJWB";
    (void)state;
    for (int i = 0; i < ORDER_STATE_COUNT; i++) {
        bool expected = strchr(final, state_letters[i]) != NULL;
        assert_int_equal(order_state_is_final((enum order_state)i), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_every_row_says_why),
        cmocka_unit_test(test_every_state_is_reached),
        cmocka_unit_test(test_nothing_is_bought_twice),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_final),
    };
    return cmocka_run_group_tests_name("order_state", tests, NULL, NULL);
}
