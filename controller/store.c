/* SPDX-License-Identifier: Apache-2.0 */
#include "store_internal.h"

#include "lib/log.h"
#include "mem.h"
#include "store_checkpoint.h"
#include "store_file.h"
#include "store_lists.h"
#include "store_schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const statements[STATEMENT_COUNT] = {
	[PUT] = "REPLACE INTO objects (kind, name, tenant, revision, json) VALUES (?,?,?,?,?)",
	[DELETE] = "DELETE FROM objects WHERE kind = ? AND name = ?",
	[PART_PUT] = "REPLACE INTO list_parts (kind, name, field, part, json) VALUES (?,?,?,?,?)",
	[PART_DELETE] =
		"DELETE FROM list_parts WHERE kind = ? AND name = ? AND field = ? AND part = ?",
	[LIST_DELETE] = "DELETE FROM list_parts WHERE kind = ? AND name = ? AND field = ?",
	[LISTS_DELETE] = "DELETE FROM list_parts WHERE kind = ? AND name = ?",
	[SET] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)",
	[UNSET] = "DELETE FROM meta WHERE key = ?",
	[GET] = "SELECT value FROM meta WHERE key = ?",
	[EVENT_ADD] = "INSERT OR REPLACE INTO events (number, json) VALUES (?,?)",
	[EVENT_TRIM] = "DELETE FROM events WHERE number <= ?",
};

int store_complain(struct store *store, const char *what)
{
	log_error(
		"store failed", LOG_STR("what", what), LOG_STR("error", sqlite3_errmsg(store->db)));
	return -EIO;
}

static int run(struct store *store, const char *sql)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return store_complain(store, sql);
}

/* ---- Opening ---- */

static int schema_version(struct store *store)
{
	sqlite3_stmt *st;
	int version = 0;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
		return store_complain(store, "user_version");
	if (sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return version;
}

static int migrate(struct store *store)
{
	int version = schema_version(store), newest = store_steps[store_step_count - 1].version;

	if (version < 0)
		return version;
	if (version > newest) {
		log_error("the store was written by a newer version", LOG_INT("schema", version),
			LOG_INT("known", newest));
		return -EINVAL;
	}
	for (size_t i = 0; i < store_step_count; i++) {
		char pragma[64];

		if (store_steps[i].version <= version)
			continue;
		snprintf(
			pragma, sizeof(pragma), "PRAGMA user_version = %d", store_steps[i].version);
		if (run(store, "BEGIN IMMEDIATE") < 0 || run(store, store_steps[i].sql) < 0 ||
			run(store, pragma) < 0 || run(store, "COMMIT") < 0)
			return -EIO;
		log_info("store schema", LOG_INT("version", store_steps[i].version));
	}
	return 0;
}

static int prepare(struct store *store)
{
	for (int i = 0; i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(store->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &store->stmt[i], NULL) != SQLITE_OK)
			return store_complain(store, statements[i]);
	return 0;
}

static int open_database(struct store *store, const char *path)
{
	int rc;

	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
		SQLITE_OK)
		return store_complain(store, path);
	sqlite3_busy_timeout(store->db, 2000);
	if (run(store, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		       "PRAGMA wal_autocheckpoint=0; BEGIN EXCLUSIVE; COMMIT") < 0)
		return -EIO;
	rc = migrate(store);
	if (rc == 0)
		rc = prepare(store);
	if (rc < 0)
		return rc;
	store->checkpointer = store_checkpointer_new(store->db, path);
	return store->checkpointer != NULL ? 0 : -EIO;
}

int store_open(struct store **result, const char *url)
{
	const char *path = strncmp(url, "sqlite:", 7) == 0 ? url + 7 : url;
	struct store *store = mem_calloc(1, sizeof(*store));
	int rc;

	store->lock = store_file_claim(path);
	rc = store->lock < 0 ? store->lock : open_database(store, path);
	if (rc < 0) {
		store_close(store);
		return rc;
	}
	*result = store;
	return 0;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	store_checkpointer_free(store->checkpointer);
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(store->stmt[i]);
	store_lists_forget(store);
	sqlite3_close(store->db);
	if (store->lock >= 0)
		close(store->lock);
	free(store);
}

/* ---- Reading ---- */

/* NULL when the row is no object: logged. */
static json_t *read_object(sqlite3_stmt *st)
{
	json_error_t error;
	json_t *object = json_loadb((const char *)sqlite3_column_text(st, 2),
		(size_t)sqlite3_column_bytes(st, 2), 0, &error);

	if (object == NULL)
		log_error("an object in the store is damaged",
			LOG_STR("kind", (const char *)sqlite3_column_text(st, 0)),
			LOG_STR("name", (const char *)sqlite3_column_text(st, 1)),
			LOG_STR("error", error.text));
	return object;
}

static int read_objects(struct store *store, sqlite3_stmt *st, struct store_lists_reader *lists,
	store_object_fn fn, void *arg)
{
	int step, rc;

	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		const char *kind = (const char *)sqlite3_column_text(st, 0);
		json_t *object = read_object(st);

		if (object == NULL)
			return -EINVAL;
		rc = store_lists_read(
			lists, kind, (const char *)sqlite3_column_text(st, 1), object);
		if (rc < 0) {
			json_decref(object);
			return rc;
		}
		fn(kind, object, arg);
	}
	return step == SQLITE_DONE ? store_lists_read_end(lists) : store_complain(store, "objects");
}

int store_load(struct store *store, store_object_fn fn, void *arg)
{
	static const char sql[] = "SELECT kind, name, json FROM objects ORDER BY kind, name";
	struct store_lists_reader *lists;
	sqlite3_stmt *st;
	int rc = -EIO;

	if (sqlite3_prepare_v2(store->db, sql, -1, &st, NULL) != SQLITE_OK)
		return store_complain(store, "objects");
	lists = store_lists_reader_new(store);
	if (lists != NULL)
		rc = read_objects(store, st, lists, fn, arg);
	store_lists_reader_free(lists);
	sqlite3_finalize(st);
	return rc;
}

int store_event_load(struct store *store, store_event_fn fn, void *arg)
{
	sqlite3_stmt *st;
	int step;

	if (sqlite3_prepare_v2(store->db, "SELECT number, json FROM events ORDER BY number", -1,
		    &st, NULL) != SQLITE_OK)
		return store_complain(store, "events");
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *event = json_loads((const char *)sqlite3_column_text(st, 1), 0, NULL);

		if (event != NULL)
			fn(sqlite3_column_int64(st, 0), event, arg);
	}
	sqlite3_finalize(st);
	return step == SQLITE_DONE ? 0 : store_complain(store, "events");
}

char *store_get(struct store *store, const char *key)
{
	sqlite3_stmt *st = store->stmt[GET];
	char *value = NULL;

	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW)
		value = mem_strdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_reset(st);
	return value;
}

/* ---- Writing ---- */

static void begin_any(struct store *store)
{
	if (store->open)
		return;
	store->open = true;
	store->failed = run(store, "BEGIN IMMEDIATE") < 0;
}

sqlite3_stmt *store_begin(struct store *store, enum statement which)
{
	begin_any(store);
	return store->stmt[which];
}

void store_step(struct store *store, sqlite3_stmt *st)
{
	if (!store->failed && sqlite3_step(st) != SQLITE_DONE) {
		store_complain(store, sqlite3_sql(st));
		store->failed = true;
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

sqlite3_stmt *store_prepare(struct store *store, const char *sql)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) !=
		SQLITE_OK)
		store_complain(store, sql);
	return st;
}

void store_write(struct store *store, sqlite3_stmt *statement)
{
	begin_any(store);
	store_step(store, statement);
}

void store_put(struct store *store, const char *kind, const char *name, const char *tenant,
	uint64_t revision, const json_t *object)
{
	json_t *row = store_lists_put(store, kind, name, object);
	sqlite3_stmt *st = store_begin(store, PUT);

	sqlite3_bind_text(st, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, tenant, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)revision);
	sqlite3_bind_text(st, 5, json_dumps(row, JSON_COMPACT), -1, free);
	store_step(store, st);
	json_decref(row);
}

void store_delete(struct store *store, const char *kind, const char *name)
{
	sqlite3_stmt *st = store_begin(store, DELETE);

	sqlite3_bind_text(st, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
	store_step(store, st);
	store_lists_delete(store, kind, name);
}

void store_set(struct store *store, const char *key, const char *value)
{
	sqlite3_stmt *st = store_begin(store, value != NULL ? SET : UNSET);

	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	if (value != NULL)
		sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC);
	store_step(store, st);
}

void store_event_add(struct store *store, int64_t number, const char *text, int64_t keep)
{
	sqlite3_stmt *st = store_begin(store, EVENT_ADD);

	sqlite3_bind_int64(st, 1, number);
	sqlite3_bind_text(st, 2, text, -1, SQLITE_STATIC);
	store_step(store, st);
	st = store_begin(store, EVENT_TRIM);
	sqlite3_bind_int64(st, 1, number - keep);
	store_step(store, st);
}

int store_commit(struct store *store)
{
	int rc = 0;

	if (!store->open)
		return 0;
	if (store->failed || run(store, "COMMIT") < 0) {
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
		store_lists_forget(store);
		rc = -EIO;
	}
	store->open = store->failed = false;
	return rc;
}

bool store_is_dirty(const struct store *store)
{
	return store->open;
}
