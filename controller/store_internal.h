/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_STORE_INTERNAL_H
#define CONTROLLER_STORE_INTERNAL_H
/* What the files of the store share. */
#include "store.h"
#include "strmap.h"

#include <sqlite3.h>

enum statement {
	PUT,
	DELETE,
	PART_PUT,
	PART_DELETE,
	LIST_DELETE,
	LISTS_DELETE,
	SET,
	UNSET,
	GET,
	EVENT_ADD,
	EVENT_TRIM,
	STATEMENT_COUNT
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[STATEMENT_COUNT];
	struct store_checkpointer *checkpointer;
	int lock;            /* a file descriptor, store_file.h */
	bool open;           /* a transaction has begun */
	bool failed;         /* a part of it did not work */
	struct strmap lists; /* store_lists.c */
	bool lists_unknown; /* it was thrown away: there may be parts on the disk that it does not have */
};

/* A statement of the transaction, which begins with the first one; to be bound, and run by store_step(). */
sqlite3_stmt *store_begin(struct store *store, enum statement which);
void store_step(struct store *store, sqlite3_stmt *st);
/* Logs what SQLite says; -EIO. */
int store_complain(struct store *store, const char *what);
/* A statement of another file's, which finalizes it. NULL, logged, when it is no good. */
sqlite3_stmt *store_prepare(struct store *store, const char *sql);
/* Runs such a one, bound, in the transaction. */
void store_write(struct store *store, sqlite3_stmt *statement);

#endif
