/* SPDX-License-Identifier: Apache-2.0 */
#include "usage_table.h"

#include "mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const usage_figure_names[USAGE_FIGURES] = {
	"rx_packets", "rx_bytes", "tx_packets", "tx_bytes"};

void usage_table_init(struct usage_table *table)
{
	*table = (struct usage_table){0};
	TAILQ_INIT(&table->rows);
}

static char *row_key(const char *kind, const char *name)
{
	return mem_printf("%s\x1f%s", kind, name);
}

static void life_free(struct usage_table *table, struct usage_life *life)
{
	strmap_take(&table->lives, life->key);
	LIST_REMOVE(life, of_row);
	free(life->node);
	free(life);
}

static void row_free(struct usage_table *table, struct usage_row *row)
{
	while (!LIST_EMPTY(&row->lives))
		life_free(table, LIST_FIRST(&row->lives));
	TAILQ_REMOVE(&table->rows, row, link);
	free(row->dropped);
	free(row->key);
	free(row->kind);
	free(row->name);
	free(row->tenant);
	free(row);
}

void usage_table_fini(struct usage_table *table)
{
	while (!TAILQ_EMPTY(&table->rows))
		row_free(table, TAILQ_FIRST(&table->rows));
	strmap_fini(&table->by_key);
	strmap_fini(&table->lives);
}

/* ---- Rows ---- */

static void insert_by_id(struct usage_table *table, struct usage_row *row)
{
	struct usage_row *before = TAILQ_LAST(&table->rows, usage_rows);

	while (before != NULL && before->id > row->id)
		before = TAILQ_PREV(before, usage_rows, link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&table->rows, before, row, link);
	else
		TAILQ_INSERT_HEAD(&table->rows, row, link);
}

/* Into the chain of its name. */
static void chain(struct usage_table *table, struct usage_row *row)
{
	struct usage_row *newest = strmap_get(&table->by_key, row->key), *at = newest;

	if (newest == NULL || newest->id < row->id) {
		row->older = newest;
		strmap_put(&table->by_key, row->key, row);
		return;
	}
	while (at->older != NULL && at->older->id > row->id)
		at = at->older;
	row->older = at->older;
	at->older = row;
}

static void unchain(struct usage_table *table, struct usage_row *row)
{
	struct usage_row *at = strmap_get(&table->by_key, row->key);

	if (at == row && row->older == NULL) {
		strmap_take(&table->by_key, row->key);
	} else if (at == row) {
		/* The map borrows the key of what it points to. */
		strmap_put(&table->by_key, row->older->key, row->older);
	} else {
		while (at->older != row)
			at = at->older;
		at->older = row->older;
	}
}

struct usage_row *usage_row_add(struct usage_table *table, int64_t id, const char *kind,
	const char *name, const char *tenant)
{
	struct usage_row *row = mem_calloc(1, sizeof(*row));

	row->id = id;
	row->key = row_key(kind, name);
	row->kind = mem_strdup(kind);
	row->name = mem_strdup(name);
	row->tenant = mem_strdup(tenant);
	LIST_INIT(&row->lives);
	insert_by_id(table, row);
	chain(table, row);
	return row;
}

void usage_row_drop(struct usage_table *table, struct usage_row *row)
{
	unchain(table, row);
	row_free(table, row);
}

struct usage_row *usage_row_newest(
	const struct usage_table *table, const char *kind, const char *name)
{
	char *key = row_key(kind, name);
	struct usage_row *row = strmap_get(&table->by_key, key);

	free(key);
	return row;
}

struct usage_row *usage_row_at(
	const struct usage_table *table, const char *kind, const char *name, int64_t revision)
{
	struct usage_row *row = usage_row_newest(table, kind, name);

	while (row != NULL && row->id > revision && row->older != NULL)
		row = row->older;
	return row;
}

/* ---- Lives ---- */

static void life_key(char *key, size_t size, int64_t instance)
{
	snprintf(key, size, "%" PRId64, instance);
}

struct usage_life *usage_life_get(const struct usage_table *table, int64_t instance)
{
	char key[24];

	life_key(key, sizeof(key), instance);
	return strmap_get(&table->lives, key);
}

struct usage_life *usage_life_add(
	struct usage_table *table, struct usage_row *row, int64_t instance, const char *node)
{
	struct usage_life *life = mem_calloc(1, sizeof(*life));

	life_key(life->key, sizeof(life->key), instance);
	life->instance = instance;
	life->row = row;
	life->node = mem_strdup(node);
	LIST_INSERT_HEAD(&row->lives, life, of_row);
	strmap_put(&table->lives, life->key, life);
	return life;
}

void usage_life_fold(struct usage_table *table, struct usage_life *life)
{
	struct usage_row *row = life->row;

	for (size_t i = 0; i < USAGE_FIGURES; i++)
		row->base.v[i] += life->figures.v[i];
	if (life->updated_ms > row->updated_ms)
		row->updated_ms = life->updated_ms;
	life_free(table, life);
}

/* ---- Figures ---- */

struct usage_figures usage_row_total(const struct usage_row *row)
{
	struct usage_figures total = row->base;
	const struct usage_life *life;

	LIST_FOREACH (life, &row->lives, of_row)
		for (size_t i = 0; i < USAGE_FIGURES; i++)
			total.v[i] += life->figures.v[i];
	return total;
}

int64_t usage_row_updated_ms(const struct usage_row *row)
{
	int64_t newest = row->updated_ms;
	const struct usage_life *life;

	LIST_FOREACH (life, &row->lives, of_row)
		if (life->updated_ms > newest)
			newest = life->updated_ms;
	return newest;
}

bool usage_raise(struct usage_figures *figures, const struct usage_figures *to)
{
	bool raised = false;

	for (size_t i = 0; i < USAGE_FIGURES; i++) {
		if (to->v[i] <= figures->v[i])
			continue;
		figures->v[i] = to->v[i];
		raised = true;
	}
	return raised;
}
