/* Keys: where they are looked for, what is refused, and that nothing of them is ever told. */
#include "base/own.h"
#include "host/credentials.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/chwsyncd-credentials-XXXXXX");
    unsetenv("CREDENTIALS_DIRECTORY");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_key(const char *name, const void *bytes, size_t count, mode_t mode)
{
    int file;

    unlink(path_of(name));
    file = open(path_of(name), O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, count), (ssize_t)count);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static void assert_key(const char *key_file, const char *expected)
{
    OWN(secret_done) struct secret secret = {0};
    struct problem problem = {0};
    int r = credentials_read(directory, key_file, &secret, &problem);

    if (r)
        print_message("%s: %s\n", key_file, problem.text);
    assert_int_equal(r, 0);
    assert_string_equal(secret.text, expected);
}

/* `expected` is what stands behind "key file DIRECTORY/NAME ". */
static void assert_refused(const char *key_file, const char *expected)
{
    OWN(secret_done) struct secret secret = {0};
    struct problem problem = {0};
    char text[300];

    assert_int_equal(credentials_read(directory, key_file, &secret, &problem), 1);
    assert_null(secret.text);
    snprintf(text, sizeof text, "key file %s %s", *key_file == '/' ? key_file : path_of(key_file),
             expected);
    assert_string_equal(problem.text, text);
}

static void test_content(void **state)
{
    static char largest[4097], larger[4099];

    (void)state;
    write_key("k", "abc", 3, 0600);
    assert_key("k", "abc");
    write_key("k", "abc\n", 4, 0400);
    assert_key("k", "abc");
    write_key("k", " a:b \xc3\xa4\n", 8, 0600);
    assert_key("k", " a:b \xc3\xa4");
    memset(largest, 'x', 4096);
    write_key("k", largest, 4096, 0600);
    assert_key("k", largest);
    memset(larger, 'x', 4098);
    memcpy(larger, largest, 4096);
    larger[4096] = '\n';
    write_key("k", larger, 4097, 0600);
    assert_key("k", largest);
}

static void test_refused_content(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *expected;
    } cases[] = {
        {"", 0, "is empty"},
        {"\n", 1, "is empty"},
        {"secret\n\n", 8, "contains a control character (0x0a)"},
        {"secret\r\n", 8, "contains a control character (0x0d)"},
        {"sec\0ret", 7, "contains a control character (0x00)"},
        {"\0", 1, "contains a control character (0x00)"},
        {"sec\tret", 7, "contains a control character (0x09)"},
        {"sec\x7fret", 7, "contains a control character (0x7f)"},
        {"sec\nret\n", 8, "contains a control character (0x0a)"},
    };
    static char larger[5000];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_key("k", cases[i].bytes, cases[i].count, 0600);
        assert_refused("k", cases[i].expected);
    }
    memset(larger, 'x', sizeof larger);
    for (size_t count = 4097; count < 4100; count++) {
        write_key("k", larger, count, 0600);
        assert_refused("k", "holds more than 4096 bytes");
    }
    write_key("k", larger, sizeof larger, 0600);
    assert_refused("k", "holds more than 4096 bytes");
}

static void test_modes(void **state)
{
    static const mode_t open_modes[] = {0640, 0604, 0620, 0601, 0644};
    char absolute[128];

    (void)state;
    snprintf(absolute, sizeof absolute, "%s", path_of("k"));
    for (size_t i = 0; i < COUNT_OF(open_modes); i++) {
        char expected[80];

        write_key("k", "abc", 3, open_modes[i]);
        snprintf(expected, sizeof expected, "is open to group or others (mode %04o)",
                 (unsigned)open_modes[i]);
        setenv("CREDENTIALS_DIRECTORY", "/elsewhere", 1);
        assert_refused("k", expected);
        /* systemd's own directory is guarded otherwise; an absolute path never is. */
        setenv("CREDENTIALS_DIRECTORY", directory, 1);
        assert_key("k", "abc");
        assert_refused(absolute, expected);
    }
    write_key("k", "abc", 3, 0600);
    assert_key(absolute, "abc");
}

static void test_kinds(void **state)
{
    (void)state;
    write_key("target", "abc", 3, 0600);
    assert_int_equal(symlink("target", path_of("link")), 0);
    assert_key("link", "abc");
    assert_int_equal(mkdir(path_of("directory"), 0700), 0);
    assert_refused("directory", "is not a regular file");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_refused("fifo", "is not a regular file");
    write_key("directory/k", "in", 2, 0600);
    assert_key("directory/k", "in");
    write_key("..k", "dots", 4, 0600);
    assert_key("..k", "dots");
}

static void test_places(void **state)
{
    static const struct {
        const char *directory, *key_file, *text, *hint;
    } cases[] = {
        {"/d", "", "a key file has an empty name", ""},
        {"/d", "../k", "key file \"../k\" leaves the credentials directory",
         "name a file inside it, or give an absolute path"},
        {"/d", "a/..", "key file \"a/..\" leaves the credentials directory",
         "name a file inside it, or give an absolute path"},
        {"/d", "a/../k", "key file \"a/../k\" leaves the credentials directory",
         "name a file inside it, or give an absolute path"},
        {NULL, "k", "unable to read key file \"k\": there is no credentials directory",
         "say --credentials-dir DIR (/etc/chwsyncd/credentials); a unit gives it by "
         "LoadCredential=credentials:DIR"},
        {"/nowhere", "k", "unable to read key file /nowhere/k: No such file or directory",
         "put the API key into it, or correct key_file"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OWN(secret_done) struct secret secret = {0};
        struct problem problem = {0};

        assert_int_equal(credentials_read(cases[i].directory, cases[i].key_file, &secret, &problem),
                         1);
        assert_string_equal(problem.text, cases[i].text);
        assert_string_equal(problem.hint, cases[i].hint);
    }
}

static void test_directory_and_path(void **state)
{
    char *path;

    (void)state;
    assert_null(credentials_directory(NULL));
    assert_string_equal(credentials_directory("/option"), "/option");
    setenv("CREDENTIALS_DIRECTORY", "/managed", 1);
    assert_string_equal(credentials_directory(NULL), "/managed");
    assert_string_equal(credentials_directory("/option"), "/option");

    assert_null(credentials_path(directory, "pgpass"));
    write_key("pgpass", "x", 1, 0600);
    path = credentials_path(directory, "pgpass");
    assert_string_equal(path, path_of("pgpass"));
    free(path);
    assert_null(credentials_path(NULL, "pgpass"));
    assert_null(credentials_path(directory, "../pgpass"));
    assert_null(credentials_path(directory, ""));
}

static void test_wiped(void **state)
{
    struct secret secret = {.text = strdup("abc")};

    (void)state;
    secret_done(&secret);
    assert_null(secret.text);
    secret_done(&secret);
}

/* How systemd calls the files of a directory that LoadCredential=credentials:DIRECTORY names. */
static void test_loaded_directory(void **state)
{
    char *path;

    (void)state;
    write_key("credentials_panel.key", "K-1\n", 4, 0600);
    write_key("credentials_pgpass", "x\n", 2, 0600);
    assert_key("panel.key", "K-1");
    path = credentials_path(directory, "pgpass");
    assert_non_null(path);
    assert_string_equal(path, path_of("credentials_pgpass"));
    free(path);
    assert_null(credentials_path(directory, "other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directory_and_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loaded_directory, set_up, tear_down),
        cmocka_unit_test(test_wiped),
    };

    return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
