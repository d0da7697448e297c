/* SPDX-License-Identifier: Apache-2.0 */
/* Usage in backups: what has been billed once is history, which a restored controller goes on with. */
#include "commit.h"
#include "controller.h"
#include "mem.h"
#include "usage_internal.h"

#include <string.h>

static json_t *figures_json(const struct usage_figures *figures)
{
	json_t *list = mem_json(json_array());

	for (size_t i = 0; i < USAGE_FIGURES; i++)
		json_array_append_new(list, json_integer((json_int_t)figures->v[i]));
	return list;
}

static struct usage_figures figures_of(const json_t *record)
{
	const json_t *list = json_object_get(record, "figures");
	struct usage_figures figures;

	for (size_t i = 0; i < USAGE_FIGURES; i++) {
		json_int_t value = json_integer_value(json_array_get(list, i));

		figures.v[i] = value > 0 ? (uint64_t)value : 0;
	}
	return figures;
}

static json_t *lives_json(const struct usage_row *row)
{
	json_t *lives = mem_json(json_array());
	const struct usage_life *life;

	LIST_FOREACH (life, &row->lives, of_row)
		json_array_append_new(lives,
			json_pack("{s:I, s:s, s:I, s:o}", "instance", (json_int_t)life->instance,
				"node", life->node, "updated_ms", (json_int_t)life->updated_ms,
				"figures", figures_json(&life->figures)));
	return lives;
}

void usage_backup(const struct usage *usage, json_t *records)
{
	const struct usage_row *row;

	TAILQ_FOREACH (row, &usage->table.rows, link)
		json_array_append_new(
			records, json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:o, s:o}",
					 "record", "usage", "id", (json_int_t)row->id, "kind",
					 row->kind, "name", row->name, "tenant", row->tenant,
					 "deleted_ms", (json_int_t)row->deleted_ms, "updated_ms",
					 (json_int_t)row->updated_ms, "figures",
					 figures_json(&row->base), "lives", lives_json(row)));
}

/* ---- Taking in ---- */

/* The row that the record is about: the same object's; of one that was there, and is again, the new one's. */
static struct usage_row *row_of(struct usage *usage, const json_t *record)
{
	const char *kind = resource_text(record, "kind"), *name = resource_text(record, "name");
	json_int_t id = resource_integer(record, "id", 0);
	struct usage_row *newest = usage_row_newest(&usage->table, kind, name), *row;

	for (row = newest; row != NULL; row = row->older)
		if (row->id == id)
			return row;
	if (resource_integer(record, "deleted_ms", 0) == 0 && newest != NULL &&
		newest->deleted_ms == 0 && newest->id > id)
		return newest;
	row = usage_row_add(&usage->table, id, kind, name, resource_text(record, "tenant"));
	row->deleted_ms = resource_integer(record, "deleted_ms", 0);
	if (row->deleted_ms == 0)
		row->deleted_ms = usage_now_ms(); /* it was not restored */
	return row;
}

/* A life goes on where the backup left it, unless more is known of it by now. */
static void merge_life(struct usage *usage, struct usage_row *row, const json_t *record)
{
	const char *node = resource_text(record, "node");
	json_int_t instance = resource_integer(record, "instance", 0);
	struct usage_life *life = usage_life_get(&usage->table, instance);
	struct usage_figures figures = figures_of(record);

	if (node == NULL || instance <= 0)
		return;
	if (life == NULL)
		life = usage_life_add(&usage->table, row, instance, node);
	if (life->updated_ms < resource_integer(record, "updated_ms", 0))
		life->updated_ms = resource_integer(record, "updated_ms", 0);
	usage_raise(&life->figures, &figures);
	life->dirty = true;
}

/* What the backup says it had in all. */
static struct usage_figures total_of(const json_t *record)
{
	struct usage_figures total = figures_of(record);
	json_t *life;
	size_t i;

	json_array_foreach (json_object_get(record, "lives"), i, life) {
		struct usage_figures figures = figures_of(life);

		for (size_t f = 0; f < USAGE_FIGURES; f++)
			total.v[f] += figures.v[f];
	}
	return total;
}

static void raise_total(struct usage_row *row, const struct usage_figures *to)
{
	struct usage_figures has = usage_row_total(row);

	for (size_t i = 0; i < USAGE_FIGURES; i++)
		if (to->v[i] > has.v[i])
			row->base.v[i] += to->v[i] - has.v[i];
}

static void merge_record(struct usage *usage, const json_t *record)
{
	struct usage_figures total = total_of(record), none = {0}, has;
	struct usage_row *row;
	json_t *life;
	size_t i;

	if (resource_text(record, "kind") == NULL || resource_text(record, "name") == NULL ||
		resource_text(record, "tenant") == NULL)
		return;
	row = row_of(usage, record);
	has = usage_row_total(row);
	/* Only who knows nothing of it takes its lives: else they are counted already, or in the base. */
	if (memcmp(&has, &none, sizeof(none)) == 0)
		json_array_foreach (json_object_get(record, "lives"), i, life)
			merge_life(usage, row, life);
	raise_total(row, &total);
	if (row->updated_ms < resource_integer(record, "updated_ms", 0))
		row->updated_ms = resource_integer(record, "updated_ms", 0);
	row->dirty = true;
}

void usage_merge(struct usage *usage, const json_t *records)
{
	json_t *record;
	size_t i;

	json_array_foreach ((json_t *)records, i, record)
		merge_record(usage, record);
	usage_write_now(usage);
}
