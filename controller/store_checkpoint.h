/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_STORE_CHECKPOINT_H
#define CONTROLLER_STORE_CHECKPOINT_H
/*
 * Brings what the write-ahead log has gathered into the database file, off the way of the calls: a thread with a
 * connection of its own, which neither waits for writers nor makes them wait. It copies; a commit finds all copied
 * and begins the log anew. Only while commits follow each other so closely that the thread never catches up does
 * the writer copy the last few pages itself.
 */
#include <sqlite3.h>

struct store_checkpointer;

/* Watches the commits of `db`, whose file is `path`. NULL: logged. */
struct store_checkpointer *store_checkpointer_new(sqlite3 *db, const char *path);
/* Before db is closed. */
void store_checkpointer_free(struct store_checkpointer *cp);

#endif
