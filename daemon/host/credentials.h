/*
 * host/credentials.h - keys, read once and wiped.
 *
 * A relative name is looked for in `directory` (--credentials-dir, else $CREDENTIALS_DIRECTORY),
 * there also as credentials_NAME: so systemd calls the files of a whole directory, which is how the
 * unit loads them. An absolute one is refused when group or others can read it. One trailing
 * newline is cut; NUL, CR, LF and other control characters inside, an empty file and more than 4096
 * bytes are refused.
 */
#pragma once
#include "base/problem.h"

struct secret {
    char *text; /* NUL-terminated, or NULL */
};

/* 0; 1 with *reterr_problem written (the file's name and what to do, never its content); negative
 * errno. */
int credentials_read(const char *directory, const char *key_file, struct secret *ret_secret,
                     struct problem *reterr_problem);
/* Wipes and frees. */
void secret_done(struct secret *secret);
/* The credentials directory: `option` when not NULL, else $CREDENTIALS_DIRECTORY, else NULL.
 * Borrowed. */
const char *credentials_directory(const char *option);
/* Path of a credential called `name` when that file exists in the directory, else NULL. Owned
 * (free). */
char *credentials_path(const char *directory, const char *name);
