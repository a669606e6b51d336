/*
 * host/flight_journal.h - the flight journal: what left this machine, kept beside the database.
 *
 * One file per process in the state directory, flights-UUID.journal, locked (flock) for as long as
 * the process lives. A record before each `add` leaves, one with its reply (wire/flight_record.h).
 * When a file has grown to 16 MiB the next claims use a new one; the old one stays open until what
 * was claimed under it is recorded.
 *
 * What survives what. A record is put into the page cache before the bytes leave, through a mapping
 * of the file; no fsync stands on that path. It never crosses a page, and its first word, without
 * which it is none, is stored last. Hence after the death of the process the file is complete;
 * after the death of the machine it may lack its end. So it may when the disk refuses what the page
 * cache wants to write, and the cache forgets it. That is why a missing record proves "not sent"
 * only within the same boot (the head holds the boot's id) and only in a file that is whole: its
 * head is that of this very inode, every record follows the one before, nothing comes after the
 * last one but zeros or one interrupted record, the room that was reserved for replies is still
 * there, and the file was changed last when its last record was made.
 *
 * Room for the reply is allocated (posix_fallocate) before a record says that a request leaves; a
 * full disk therefore stops new requests and loses no reply.
 */
#pragma once
#include "base/own.h"
#include "base/problem.h"
#include "wire/flight_record.h"

#define FLIGHT_ID_SIZE 37 /* uuid text */

struct flight_journal; /* of this process */
struct flight_file;    /* one file that this process writes */

/* Opens nothing yet. 0 or -ENOMEM. `directory` is copied. */
int flight_journal_new(const char *directory, struct flight_journal **ret_journal);
/* As it was given. Borrowed. */
const char *flight_journal_directory(const struct flight_journal *journal);
/* Closes all files; their locks end. NULL is allowed. */
void flight_journal_free(struct flight_journal *journal);

/*
 * The file that the next claim is to name, held for the caller (flight_file_release). NULL: none
 * can be written, so no add may leave; the problem says why and it is looked at again on the next
 * call 5 s later or more.
 */
struct flight_file *flight_journal_hold(struct flight_journal *journal, int64_t now_us,
                                        struct problem *reterr_problem);
/* Held once more. */
struct flight_file *flight_file_share(struct flight_file *file);
/* NULL is allowed. */
void flight_file_release(struct flight_file *file);
/* The id that claims name. Borrowed. */
const char *flight_file_id(const struct flight_file *file);
/*
 * A claim names the file, or it turned out to hold nothing. A file that nothing was ever written to
 * goes with its process, unless a claim names it: then it proves that what was claimed was not
 * sent.
 */
void flight_file_note_claim(struct flight_file *file);
void flight_file_note_empty_claim(struct flight_file *file);

/*
 * Immediately before the bytes leave: writes the record, after room for its reply was made sure of.
 * False: it could not be written, nothing may leave.
 */
bool flight_file_leaves(struct flight_file *file, const struct flight_record *record);
/* How it ended. What cannot be written is lost to the journal alone: the ledger is told by the
 * caller anyway. */
void flight_file_ended(struct flight_file *file, const struct flight_record *record);
/* Everything that was to be written is written: whoever reads it after us knows as much as we do.
 */
bool flight_file_is_whole(const struct flight_file *file);

/* ---- reading ---- */

/* One request that left, in the order of leaving. Strings are borrowed from the log. */
struct flight_entry {
    struct flight_record leaves;
    struct flight_record ended; /* kind 0 = none */
};

/* What one file holds. */
struct flight_log {
    char id[FLIGHT_ID_SIZE];
    bool own;      /* this process writes it */
    bool complete; /* whole, of this boot, its writer dead and its lock ours: what is not in it was
                      not sent */
    struct flight_entry *entries;
    size_t count;
    uint8_t *bytes;
};
void flight_log_done(struct flight_log *log);

/* The files that can be read now, the newest first; those that another living process holds are not
 * among them. */
struct flight_shelf {
    struct flight_place {
        char *path;
        char id[FLIGHT_ID_SIZE];
        uint64_t number; /* grows with every new file of the directory */
        int fd;          /* locked by us until flight_shelf_done(); -1 = ours to write */
        int64_t changed_s, bytes;
    } * places;
    size_t count;
};
/* 0 or negative errno. A file that has no sound head is passed over. */
int flight_journal_list(struct flight_journal *journal, struct flight_shelf *ret_shelf);
void flight_shelf_done(struct flight_shelf *shelf);
/* 0, or negative errno when it cannot be read: then nothing is known of it. */
int flight_journal_read(struct flight_journal *journal, const struct flight_place *place,
                        struct flight_log *ret_log);

/*
 * Removes what is older than 30 days at now_s (since 1970), and the oldest beyond 64 MiB in all.
 * Called when everything in the shelf is in the ledger.
 */
void flight_journal_prune(const struct flight_shelf *shelf, int64_t now_s);
