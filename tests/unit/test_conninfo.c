#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "store/conninfo.h"
#include <stdlib.h>
#include <string.h>

DEFINE_OWN(PGconn, PQfinish, server_freep)

static const char *effective(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val ? options->val : "";
    return "";
}

static void assert_effective(const char *string, unsigned rotation, const char *keyword,
                             const char *expected)
{
    OWN(conninfo_done) struct conninfo conninfo = {0};
    OWN(server_freep) PGconn *server = NULL;
    PQconninfoOption *options;

    assert_int_equal(conninfo_parse(&conninfo, string, "/nowhere/pgpass", "ledger"), 0);
    server = conninfo_connect(&conninfo, rotation);
    assert_non_null(server);
    options = PQconninfo(server);
    assert_non_null(options);
    assert_string_equal(effective(options, keyword), expected);
    PQconninfoFree(options);
}

static void defaults_yield_to_the_conninfo(void **state)
{
    static const struct {
        const char *string, *keyword, *expected;
    } cases[] = {
        {"host=/nowhere", "keepalives_idle", "30"},
        {"host=/nowhere", "keepalives_interval", "10"},
        {"host=/nowhere", "keepalives_count", "3"},
        {"host=/nowhere", "tcp_user_timeout", "30000"},
        {"host=/nowhere", "target_session_attrs", "read-write"},
        {"host=/nowhere", "client_encoding", "UTF8"},
        {"host=/nowhere", "passfile", "/nowhere/pgpass"},
        {"host=/nowhere", "fallback_application_name", "chwsyncd ledger"},
        {"host=/nowhere keepalives_idle=7", "keepalives_idle", "7"},
        {"host=/nowhere tcp_user_timeout=0", "tcp_user_timeout", "0"},
        {"host=/nowhere target_session_attrs=any", "target_session_attrs", "any"},
        {"host=/nowhere passfile=/mine", "passfile", "/mine"},
        {"host=/nowhere application_name=shop", "application_name", "shop"},
        {"postgresql://u@/shop?host=/nowhere", "dbname", "shop"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_effective(cases[i].string, 0, cases[i].keyword, cases[i].expected);
}

static void hosts_rotate_together_with_their_ports(void **state)
{
    static const struct {
        const char *string;
        unsigned hosts, rotation;
        const char *host, *port;
    } cases[] = {
        {"host=/a,/b,/c port=1,2,3", 3, 0, "/a,/b,/c", "1,2,3"},
        {"host=/a,/b,/c port=1,2,3", 3, 1, "/b,/c,/a", "2,3,1"},
        {"host=/a,/b,/c port=1,2,3", 3, 2, "/c,/a,/b", "3,1,2"},
        {"host=/a,/b,/c port=1,2,3", 3, 3, "/a,/b,/c", "1,2,3"},
        {"host=/a,/b port=9", 2, 1, "/b,/a", "9"},
        {"host=/a port=9", 1, 1, "/a", "9"},
        {"host=/a,/b port=,2", 2, 1, "/b,/a", "2,"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct conninfo conninfo;

        assert_int_equal(conninfo_parse(&conninfo, cases[i].string, NULL, "ledger"), 0);
        assert_int_equal(conninfo.hosts, cases[i].hosts);
        conninfo_done(&conninfo);
        assert_effective(cases[i].string, cases[i].rotation, "host", cases[i].host);
        assert_effective(cases[i].string, cases[i].rotation, "port", cases[i].port);
    }
}

static void unreadable_strings_are_refused(void **state)
{
    static const char *const strings[] = {
        "password=two words",
        "no_such_keyword=1",
        "postgresql://[::1",
        "host='open",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        struct conninfo conninfo;

        assert_int_equal(conninfo_parse(&conninfo, strings[i], NULL, "ledger"), -EINVAL);
    }
}

/* Left: as libpq 15 and PostgreSQL 15 write it. */
static void messages_become_one_sentence(void **state)
{
    static const struct {
        const char *message, *text, *hint;
    } cases[] = {
        {"server closed the connection unexpectedly\n\tThis probably means the server terminated "
         "abnormally\n\tbefore or while processing the request.\n",
         "server closed the connection unexpectedly", ""},
        {"", "the server closed the connection", ""},
        {"connection to server on socket \"/run/x/.s.PGSQL.5432\" failed: No such file or "
         "directory\n\tIs the server running locally and accepting connections on that socket?\n",
         "connection to server on socket \"/run/x/.s.PGSQL.5432\" failed: No such file or "
         "directory",
         "is PostgreSQL running, and is its socket where database.conninfo points?"},
        {"connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n"
         "\tIs the server running on that host and accepting TCP/IP connections?\n"
         "connection to server at \"127.0.0.2\", port 1 failed: FATAL:  role \"a\" does not "
         "exist\n",
         "connection to server at \"127.0.0.1\", port 1 failed: Connection refused; connection to "
         "server at \"127.0.0.2\", port 1 failed: role \"a\" does not exist",
         "is PostgreSQL running, and does it listen where database.conninfo points?"},
        {"failed: FATAL:  database \"nix\" does not exist\n",
         "failed: database \"nix\" does not exist",
         "correct dbname in database.conninfo, or create the database"},
        {"failed: FATAL:  role \"nix\" does not exist\n", "failed: role \"nix\" does not exist",
         "chwsyncd schema install creates the roles"},
        {"failed: FATAL:  permission denied for database \"a\"\n",
         "failed: permission denied for database \"a\"", ""},
        {"failed: FATAL:  the database system is starting up\n",
         "failed: the database system is starting up", "it comes back by itself"},
        {"failed: FATAL:  password authentication failed for user \"u\"\n",
         "failed: password authentication failed for user \"u\"",
         "compare the credential \"pgpass\" with the role's password"},
        {"failed: FATAL:  Peer authentication failed for user \"u\"\n",
         "failed: Peer authentication failed for user \"u\"",
         "peer authentication wants a system user of the role's name, or a map in pg_ident.conf"},
        {"failed: session is read-only\n", "failed: session is read-only",
         "none of the servers accepts writes now; database.conninfo must lead to the primary"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct problem problem;

        conninfo_explain(cases[i].message, &problem);
        assert_string_equal(problem.text, cases[i].text);
        assert_string_equal(problem.hint, cases[i].hint);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_yield_to_the_conninfo),
        cmocka_unit_test(hosts_rotate_together_with_their_ports),
        cmocka_unit_test(unreadable_strings_are_refused),
        cmocka_unit_test(messages_become_one_sentence),
    };

    return cmocka_run_group_tests_name("conninfo", tests, NULL, NULL);
}
