/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_STORE_H
#define CONTROLLER_STORE_H
/*
 * What survives: objects, events and a few facts, in SQLite (WAL, synchronous=FULL: a commit is on the
 * disk before it returns). Writes gather in one transaction until store_commit().
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

/*
 * "sqlite:/path/state.db"; makes the directory. Brings an older schema up to date. 0 or -errno, logged.
 * A store that another process has open is refused.
 */
int store_open(struct store **store, const char *url);
void store_close(struct store *store);

/* Calls back for each object, kinds in no order; takes over json. 0, or -EIO / -EINVAL, logged. */
typedef void (*store_object_fn)(const char *kind, json_t *object, void *arg);
int store_load(struct store *store, store_object_fn fn, void *arg);

/* A failure is remembered, and makes the commit fail. */
void store_put(struct store *store, const char *kind, const char *name, const char *tenant,
	uint64_t revision, const json_t *object);
void store_delete(struct store *store, const char *kind, const char *name);
/* A fact by name; NULL deletes it. */
void store_set(struct store *store, const char *key, const char *value);
/* malloc'd, NULL when there is none. */
char *store_get(struct store *store, const char *key);

/* Makes everything since the last commit durable. On -EIO (logged) nothing of it is. */
int store_commit(struct store *store);
bool store_is_dirty(const struct store *store);

/* Events: numbered; only the newest `keep` stay. */
void store_event_add(struct store *store, int64_t number, const char *text, int64_t keep);
typedef void (*store_event_fn)(int64_t number, json_t *event, void *arg);
int store_event_load(struct store *store, store_event_fn fn, void *arg);

#endif
