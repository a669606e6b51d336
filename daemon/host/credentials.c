#include "host/credentials.h"
#include "base/own.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_BYTES_MAX 4096
/* One byte for a trailing newline, one to notice a longer file, one for the NUL. */
#define SECRET_BUFFER_SIZE (SECRET_BYTES_MAX + 3)
/* LoadCredential=credentials:DIRECTORY puts this before the name of every file, systemd.exec(5). */
#define OF_DIRECTORY "credentials_"

static void free_text(char **text)
{
    free(*text);
}

static void close_descriptor(const int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
}

/* True when the name climbs out of its directory. */
static bool has_parent_step(const char *name)
{
    for (const char *part = name;; part++) {
        size_t length = strcspn(part, "/");

        if (length == 2 && !memcmp(part, "..", 2))
            return true;
        part += length;
        if (!*part)
            return false;
    }
}

static char *join_path(const char *directory, const char *prefix, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s%s", directory, prefix, name) < 0 ? NULL : path;
}

/* Where the credential is, or would be when there is none. NULL: out of memory. */
static char *credential_file(const char *directory, const char *name)
{
    OWN(free_text) char *whole = join_path(directory, OF_DIRECTORY, name);

    if (whole && access(whole, F_OK) == 0)
        return GIVE(whole);
    return join_path(directory, "", name);
}

/* 0: *ret_path is owned. 1: told. Negative errno. */
static int find_path(const char *directory, const char *key_file, char **ret_path,
                     struct problem *reterr_problem)
{
    if (!*key_file) {
        problem_set(reterr_problem, "a key file has an empty name");
        return 1;
    }
    if (*key_file == '/') {
        *ret_path = strdup(key_file);
        return *ret_path ? 0 : -ENOMEM;
    }
    if (has_parent_step(key_file)) {
        problem_set(reterr_problem, "key file \"%.200s\" leaves the credentials directory",
                    key_file);
        problem_hint(reterr_problem, "name a file inside it, or give an absolute path");
        return 1;
    }
    if (!directory) {
        problem_set(reterr_problem,
                    "unable to read key file \"%.200s\": there is no credentials directory",
                    key_file);
        problem_hint(reterr_problem,
                     "say --credentials-dir DIR (/etc/chwsyncd/credentials); a unit gives it by "
                     "LoadCredential=credentials:DIR");
        return 1;
    }
    *ret_path = credential_file(directory, key_file);
    return *ret_path ? 0 : -ENOMEM;
}

/* systemd guards its own directory (mode 0400, or 0440 with an access list), so only other files
 * show by their mode who reads them. */
static bool is_guarded_by_manager(const char *directory, const char *key_file)
{
    const char *managed = getenv("CREDENTIALS_DIRECTORY");

    return *key_file != '/' && managed && directory && !strcmp(managed, directory);
}

static void hint_missing(const char *directory, const char *key_file,
                         struct problem *reterr_problem)
{
    if (is_guarded_by_manager(directory, key_file))
        problem_hint(reterr_problem,
                     "put the API key into the file %.100s of the directory that the unit's "
                     "LoadCredential= names (/etc/chwsyncd/credentials), then restart",
                     key_file);
    else
        problem_hint(reterr_problem, "put the API key into it, or correct key_file");
}

static int check_file(int file, const char *path, bool guarded, struct problem *reterr_problem)
{
    struct stat status;

    if (fstat(file, &status) < 0) {
        problem_set(reterr_problem, "unable to read key file %.300s: %s", path, strerror(errno));
        return 1;
    }
    if (!S_ISREG(status.st_mode)) {
        problem_set(reterr_problem, "key file %.300s is not a regular file", path);
        return 1;
    }
    if (!guarded && (status.st_mode & 077)) {
        problem_set(reterr_problem, "key file %.300s is open to group or others (mode %04o)", path,
                    (unsigned)status.st_mode & 07777);
        problem_hint(reterr_problem,
                     "chmod 0600 it, and change the key if others use this machine");
        return 1;
    }
    return 0;
}

/* Number of bytes, at most SECRET_BUFFER_SIZE - 1, or negative errno. */
static ssize_t read_bytes(int file, char *buffer)
{
    size_t length = 0;

    while (length < SECRET_BUFFER_SIZE - 1) {
        ssize_t count = read(file, buffer + length, SECRET_BUFFER_SIZE - 1 - length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (!count)
            break;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

/* Cuts the newline and says what is wrong with the rest; never shows it. */
static int check_bytes(char *bytes, size_t length, const char *path, struct problem *reterr_problem)
{
    if (length && bytes[length - 1] == '\n')
        bytes[--length] = '\0';
    if (!length) {
        problem_set(reterr_problem, "key file %.300s is empty", path);
        problem_hint(reterr_problem, "put the API key of the provider's account into it");
        return 1;
    }
    if (length > SECRET_BYTES_MAX) {
        problem_set(reterr_problem, "key file %.300s holds more than %d bytes", path,
                    SECRET_BYTES_MAX);
        return 1;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)bytes[i] >= ' ' && bytes[i] != 0x7f)
            continue;
        problem_set(reterr_problem, "key file %.300s contains a control character (0x%02x)", path,
                    (unsigned char)bytes[i]);
        problem_hint(reterr_problem, "it must hold the key in one line, ended by a line feed or "
                                     "nothing");
        return 1;
    }
    return 0;
}

int credentials_read(const char *directory, const char *key_file, struct secret *ret_secret,
                     struct problem *reterr_problem)
{
    OWN(secret_done) struct secret secret = {0};
    OWN(free_text) char *path = NULL;
    OWN(close_descriptor) int file = -1;
    ssize_t length;
    int r;

    r = find_path(directory, key_file, &path, reterr_problem);
    if (r)
        return r;
    /* Without O_NONBLOCK the opening of a FIFO would wait for ever. */
    file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0) {
        problem_set(reterr_problem, "unable to read key file %.300s: %s", path, strerror(errno));
        if (errno == ENOENT)
            hint_missing(directory, key_file, reterr_problem);
        return 1;
    }
    r = check_file(file, path, is_guarded_by_manager(directory, key_file), reterr_problem);
    if (r)
        return r;
    secret.text = calloc(1, SECRET_BUFFER_SIZE);
    if (!secret.text)
        return -ENOMEM;
    length = read_bytes(file, secret.text);
    if (length < 0) {
        problem_set(reterr_problem, "unable to read key file %.300s: %s", path,
                    strerror((int)-length));
        return 1;
    }
    r = check_bytes(secret.text, (size_t)length, path, reterr_problem);
    if (r) {
        explicit_bzero(secret.text,
                       SECRET_BUFFER_SIZE); /* a NUL inside would end secret_done early */
        return r;
    }
    ret_secret->text = GIVE(secret.text);
    return 0;
}

void secret_done(struct secret *secret)
{
    if (secret->text)
        explicit_bzero(secret->text, strlen(secret->text));
    free(secret->text);
    secret->text = NULL;
}

const char *credentials_directory(const char *option)
{
    return option ? option : getenv("CREDENTIALS_DIRECTORY");
}

char *credentials_path(const char *directory, const char *name)
{
    OWN(free_text) char *path = NULL;

    if (!directory || !*name || *name == '/' || has_parent_step(name))
        return NULL;
    path = credential_file(directory, name);
    if (!path || access(path, F_OK) < 0)
        return NULL;
    return GIVE(path);
}
