/*
 * store/accounts.h - the ledger of accounts: who they are, what they used of their budget, why they
 * are paused.
 *
 * An account is an endpoint and a keyed digest of the key: rows and budget belong to it, not to the
 * name in the configuration.
 */
#pragma once
#include "store/connection.h"

/* The schema's version and the salt of key digests. Rows: 0 version, 1 salt. Refused (42P01, 3F000,
 * 42501) when the schema is not there. */
int accounts_ledger(struct connection *lane, store_done done, void *userdata);

/*
 * The digest of a key: sha512-crypt of it under the ledger's salt (crypt(3)), so that a reader of
 * the ledger cannot tell the key. 0, 1 when the system's crypt refuses the salt, or -ENOMEM.
 * *ret_digest is owned (free).
 */
int accounts_digest(const char *salt, const char *key, char **ret_digest);

/*
 * Finds or makes the account. Rows, the first: 0 id, 1 seconds until all requests may go on (NULL =
 * now), 2 seconds until submits may go on (NULL = now), 3 pause_reason, 4 minute's age in seconds,
 * 5 requests in that minute; one row a minute of the last day, the newest first; a single row with
 * NULLs in 4 and 5 when nothing was used.
 */
int accounts_open(struct connection *lane, const char *provider, const char *endpoint,
                  const char *digest, store_done done, void *userdata);

/* No request before that many seconds from now (the provider asked for it), in the provider's
 * words. */
int accounts_pause_all(struct connection *lane, int account_id, int64_t seconds, const char *reason,
                       store_done done, void *userdata);
/* No submit before that many seconds from now; reason NULL = submits go on. */
int accounts_pause_submits(struct connection *lane, int account_id, int64_t seconds,
                           const char *reason, store_done done, void *userdata);
/* The last thing that went wrong, for `status`. */
int accounts_note_error(struct connection *lane, int account_id, const char *error, store_done done,
                        void *userdata);
/* Requests that are neither adds nor polls, for the budget. */
int accounts_count_read(struct connection *lane, int account_id, unsigned count, store_done done,
                        void *userdata);
