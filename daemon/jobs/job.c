#include "jobs/job.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void singles_fill(struct singles *singles, const PGresult *rows)
{
    int count = PQntuples(rows);

    singles->next = 0;
    singles->count = 0;
    for (int i = 0; i < count && i < SINGLES_MAX; i++)
        singles->ids[singles->count++] = row_integer(rows, i, 0, 0);
}

bool sqlstate_doubts_contract(const char *sqlstate)
{
    /* undefined table, column, function, object; ambiguous; wrong type; no privilege; no such
     * schema */
    static const char *const doubts[] = {"42P01", "42703", "42883", "42704", "42725",
                                         "42804", "42846", "42501", "3F000", "42809"};

    for (size_t i = 0; i < sizeof doubts / sizeof doubts[0]; i++)
        if (strcmp(sqlstate, doubts[i]) == 0)
            return true;
    return false;
}

void workshop_note_error(struct workshop *workshop, const char *format, ...)
{
    char whole[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(whole, sizeof whole, format, arguments);
    va_end(arguments);
    text_one_line(workshop->last_error, sizeof workshop->last_error, whole);
}
