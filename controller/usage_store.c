/* SPDX-License-Identifier: Apache-2.0 */
/* The tables `usage` and `usage_lives`. */
#include "lib/log.h"
#include "mem.h"
#include "store_internal.h"
#include "usage_table.h"

#include <stdlib.h>

enum usage_statement { PUT_ROW, PUT_LIFE, DROP_LIFE, DROP_ROW, DROP_ROW_LIVES, TEXT_COUNT };

static const char *const texts[TEXT_COUNT] = {
	[PUT_ROW] = "REPLACE INTO usage (id, kind, name, tenant, deleted, updated, rx_packets,"
		    " rx_bytes, tx_packets, tx_bytes) VALUES (?,?,?,?,?,?,?,?,?,?)",
	[PUT_LIFE] = "REPLACE INTO usage_lives (instance, id, node, updated, rx_packets,"
		     " rx_bytes, tx_packets, tx_bytes) VALUES (?,?,?,?,?,?,?,?)",
	[DROP_LIFE] = "DELETE FROM usage_lives WHERE instance = ?",
	[DROP_ROW] = "DELETE FROM usage WHERE id = ?",
	[DROP_ROW_LIVES] = "DELETE FROM usage_lives WHERE id = ?",
};

struct usage_store {
	struct store *store;
	sqlite3_stmt *statements[TEXT_COUNT];
};

static struct usage_figures figures_of(sqlite3_stmt *st, int column)
{
	struct usage_figures f;

	for (int i = 0; i < USAGE_FIGURES; i++)
		f.v[i] = (uint64_t)sqlite3_column_int64(st, column + i);
	return f;
}

static const char *text_of(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);

	return text != NULL ? text : "";
}

static void load_row(sqlite3_stmt *st, struct usage_table *table)
{
	struct usage_row *row = usage_row_add(
		table, sqlite3_column_int64(st, 0), text_of(st, 1), text_of(st, 2), text_of(st, 3));

	row->deleted_ms = sqlite3_column_int64(st, 4);
	row->updated_ms = sqlite3_column_int64(st, 5);
	row->base = figures_of(st, 6);
}

/* With the row's kind and name behind its own columns: they find the row. */
static void load_life(sqlite3_stmt *st, struct usage_table *table)
{
	struct usage_row *row =
		usage_row_at(table, text_of(st, 8), text_of(st, 9), sqlite3_column_int64(st, 1));
	struct usage_life *life;

	if (row == NULL)
		return;
	life = usage_life_add(table, row, sqlite3_column_int64(st, 0), text_of(st, 2));
	life->updated_ms = sqlite3_column_int64(st, 3);
	life->figures = figures_of(st, 4);
}

static bool load(struct store *store, const char *sql, struct usage_table *table,
	void (*take)(sqlite3_stmt *st, struct usage_table *table))
{
	sqlite3_stmt *st = store_prepare(store, sql);
	int step = SQLITE_ERROR;

	if (st == NULL)
		return false;
	while ((step = sqlite3_step(st)) == SQLITE_ROW)
		take(st, table);
	if (step != SQLITE_DONE)
		log_error("usage cannot be read from the store",
			LOG_STR("error", sqlite3_errstr(step)));
	sqlite3_finalize(st);
	return step == SQLITE_DONE;
}

static bool load_all(struct store *store, struct usage_table *table)
{
	return load(store,
		       "SELECT id, kind, name, tenant, deleted, updated, rx_packets, rx_bytes,"
		       " tx_packets, tx_bytes FROM usage ORDER BY id",
		       table, load_row) &&
	       load(store,
		       "SELECT instance, l.id, node, l.updated, l.rx_packets, l.rx_bytes,"
		       " l.tx_packets, l.tx_bytes, kind, name FROM usage_lives l JOIN usage u"
		       " ON u.id = l.id",
		       table, load_life);
}

struct usage_store *usage_store_open(struct store *store, struct usage_table *table)
{
	struct usage_store *us = mem_calloc(1, sizeof(*us));
	bool ok = load_all(store, table);

	us->store = store;
	for (int i = 0; ok && i < TEXT_COUNT; i++) {
		us->statements[i] = store_prepare(store, texts[i]);
		ok = us->statements[i] != NULL;
	}
	if (ok)
		return us;
	usage_store_close(us);
	return NULL;
}

void usage_store_close(struct usage_store *store)
{
	if (store == NULL)
		return;
	for (int i = 0; i < TEXT_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
	free(store);
}

static void bind_figures(sqlite3_stmt *st, int column, const struct usage_figures *f)
{
	for (int i = 0; i < USAGE_FIGURES; i++)
		sqlite3_bind_int64(st, column + i, (sqlite3_int64)f->v[i]);
}

void usage_store_row(struct usage_store *store, const struct usage_row *row)
{
	sqlite3_stmt *st = store->statements[PUT_ROW];

	sqlite3_bind_int64(st, 1, row->id);
	sqlite3_bind_text(st, 2, row->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, row->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, row->tenant, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, row->deleted_ms);
	sqlite3_bind_int64(st, 6, row->updated_ms);
	bind_figures(st, 7, &row->base);
	store_write(store->store, st);
}

void usage_store_life(struct usage_store *store, const struct usage_life *life)
{
	sqlite3_stmt *st = store->statements[PUT_LIFE];

	sqlite3_bind_int64(st, 1, life->instance);
	sqlite3_bind_int64(st, 2, life->row->id);
	sqlite3_bind_text(st, 3, life->node, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, life->updated_ms);
	bind_figures(st, 5, &life->figures);
	store_write(store->store, st);
}

static void drop(struct usage_store *store, enum usage_statement which, int64_t number)
{
	sqlite3_bind_int64(store->statements[which], 1, number);
	store_write(store->store, store->statements[which]);
}

void usage_store_drop_life(struct usage_store *store, int64_t instance)
{
	drop(store, DROP_LIFE, instance);
}

void usage_store_drop_row(struct usage_store *store, const struct usage_row *row)
{
	drop(store, DROP_ROW, row->id);
	drop(store, DROP_ROW_LIVES, row->id);
}
