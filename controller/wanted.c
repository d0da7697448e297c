/* SPDX-License-Identifier: Apache-2.0 */
#include "wanted.h"

#include "controller.h"
#include "mem.h"
#include "wave.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool wanted_is_pulled(const char *kind)
{
	return strcmp(kind, "vtep") == 0 || strcmp(kind, "group") == 0 ||
	       strcmp(kind, "prefix_list") == 0 || strcmp(kind, "indicator_list") == 0 ||
	       strcmp(kind, "mirror") == 0;
}

struct item *wanted_find(const struct node *node, const char *key)
{
	return strmap_get(&node->items, key);
}

struct item *wanted_of(const struct node *node, const char *kind, const char *name)
{
	char key[640];

	snprintf(key, sizeof(key), "%s\x1f%s", kind, name);
	return wanted_find(node, key);
}

bool wanted_is_told(const struct node *node, const char *kind, const char *name)
{
	const struct item *item = wanted_of(node, kind, name);

	return item != NULL && item->known && item->known_hash == item->hash;
}

struct item *wanted_get(struct node *node, const char *key)
{
	struct item *item = wanted_find(node, key);
	size_t kind_len = strcspn(key, "\x1f");

	if (item != NULL)
		return item;
	item = mem_calloc(1, sizeof(*item));
	item->key = mem_strdup(key);
	for (size_t i = 0; i < sb_kind_count; i++)
		if (strlen(sb_kinds[i].name) == kind_len &&
			memcmp(sb_kinds[i].name, key, kind_len) == 0)
			item->rank = (unsigned)i;
	strmap_put(&node->items, item->key, item);
	return item;
}

static void item_free(struct node *node, struct item *item)
{
	strmap_take(&node->items, item->key);
	json_decref(item->wanted);
	free(item->rejected);
	free(item->told);
	free(item->key);
	free(item);
}

bool item_differs(const struct item *item)
{
	if (item->wanted == NULL)
		return item->known;
	return item->rejected == NULL && (!item->known || item->known_hash != item->hash);
}

void item_settle(struct node *node, struct item *item)
{
	/* What is being sent is looked at again when the node has answered. */
	bool differs = item_differs(item) && !item->in_flight;

	if (differs && !item->queued)
		TAILQ_INSERT_TAIL(&node->queue, item, link);
	else if (!differs && item->queued)
		TAILQ_REMOVE(&node->queue, item, link);
	item->queued = differs;
	if (item->wanted == NULL && !item->known && item->refs == 0 && item->holders == 0 &&
		!item->in_flight)
		item_free(node, item);
}

void item_set_known(struct item *item, bool known, uint64_t hash)
{
	item->known = known;
	item->known_hash = known ? hash : 0;
}

void item_reject(struct node *node, struct item *item, const char *reason)
{
	item_forgive(node, item);
	item->rejected = mem_strdup(reason);
	node->rejected_count++;
}

void item_forgive(struct node *node, struct item *item)
{
	if (item->rejected == NULL)
		return;
	free(item->rejected);
	item->rejected = NULL;
	node->rejected_count--;
}

void wanted_settle_all(struct node *node)
{
	/* Items may go while we look. */
	size_t count = node->items.count, n = 0;
	struct item **all = mem_alloc(count * sizeof(*all));

	STRMAP_FOREACH(&node->items, slot)
	all[n++] = slot->value;
	for (size_t i = 0; i < n; i++) {
		item_forgive(node, all[i]);
		item_settle(node, all[i]);
	}
	free(all);
}

bool item_tell(struct item *item, const char *reason)
{
	if (reason != NULL && item->told != NULL && strcmp(item->told, reason) == 0)
		return false;
	free(item->told);
	item->told = reason != NULL ? mem_strdup(reason) : NULL;
	return reason != NULL;
}

/* ---- References ---- */

static bool refs_of_rules(const json_t *rules, item_ref_fn fn, void *arg)
{
	const json_t *rule;
	size_t i;

	json_array_foreach ((json_t *)rules, i, rule) {
		struct sb_rule text;

		if (sb_rule_parse(json_string_value(rule), &text) &&
			text.remote == SB_REMOTE_LIST && !fn("prefix_list", text.name, arg))
			return false;
	}
	return true;
}

static bool refs_of_column(
	const struct sb_column *column, const json_t *value, item_ref_fn fn, void *arg)
{
	const json_t *entry;
	char number[24];
	size_t i;

	if (column->type == SB_RULES)
		return refs_of_rules(value, fn, arg);
	if (column->ref == NULL)
		return true;
	if (json_is_string(value))
		return fn(column->ref, json_string_value(value), arg);
	if (json_is_integer(value)) {
		snprintf(
			number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return fn(column->ref, number, arg);
	}
	json_array_foreach ((json_t *)value, i, entry)
		if (json_is_string(entry) && !fn(column->ref, json_string_value(entry), arg))
			return false;
	return true;
}

bool item_refs(const json_t *json, item_ref_fn fn, void *arg)
{
	const struct sb_kind *kind = sb_kind_find(json_string_value(json_array_get(json, 0)));

	for (unsigned int i = 0; i < kind->n_columns; i++)
		if (!refs_of_column(&kind->columns[i], json_array_get(json, i + 1), fn, arg))
			return false;
	return true;
}

struct counting {
	struct node *node;
	int by;
	bool parts; /* of a group: they follow it, and do not make it wanted */
	wanted_pull_fn pull;
};

static bool count_ref(const char *kind, const char *name, void *arg)
{
	const struct counting *counting = arg;
	struct item *item;
	char key[640];

	if (!wanted_is_pulled(kind) || (counting->parts && strcmp(kind, "group") == 0))
		return true;
	snprintf(key, sizeof(key), "%s\x1f%s", kind, name);
	item = wanted_get(counting->node, key);
	item->refs += (unsigned)counting->by;
	/* Named first or no more: its maker decides; an item that stays named needs no look. */
	if ((counting->by > 0 && item->refs == 1) || item->refs == 0)
		counting->pull(counting->node, kind, name);
	return true;
}

static void count_refs(struct node *node, const json_t *json, int by, wanted_pull_fn pull)
{
	const char *kind = json_string_value(json_array_get(json, 0));
	struct counting counting = {.node = node, .by = by, .pull = pull};

	if (json == NULL)
		return;
	counting.parts = strcmp(kind, "rules") == 0;
	item_refs(json, count_ref, &counting);
}

/* ---- Wanting ---- */

static void toggle_digest(struct node *node, const struct item *item)
{
	node->digest[sb_bucket(item->key)] ^= item->hash;
}

static void set_wanted(struct node *node, struct item *item, json_t *json, wanted_pull_fn pull)
{
	json_t *old = item->wanted;

	/* The new names first: what both name never ceases to be named. */
	count_refs(node, json, 1, pull);
	if (old != NULL)
		toggle_digest(node, item);
	item->wanted = json;
	if (json != NULL)
		item->way = wave_is_way(item->key, json);
	item->hash = json != NULL ? sb_item_hash(json) : 0;
	if (json != NULL)
		toggle_digest(node, item);
	node->wanted_count += (json != NULL) - (size_t)(old != NULL);
	item->revision = node->c->published;
	node->desired = node->c->published;
	item_forgive(node, item);
	item_tell(item, NULL);
	count_refs(node, old, -1, pull);
	json_decref(old);
	item_settle(node, item);
}

struct item *wanted_put(struct node *node, struct object *source, json_t *json, wanted_pull_fn pull)
{
	char *key = sb_item_key(json);
	struct item *item = wanted_get(node, key);

	free(key);
	item->source = source;
	if (item->wanted != NULL && json_equal(item->wanted, json))
		json_decref(json);
	else
		set_wanted(node, item, json, pull);
	return item;
}

void wanted_drop(struct node *node, struct object *source, struct item *item, wanted_pull_fn pull)
{
	if (item->source == source && item->wanted != NULL) {
		item->source = NULL;
		set_wanted(node, item, NULL, pull);
	} else {
		item_settle(node, item);
	}
}

void wanted_fini(struct node *node)
{
	STRMAP_FOREACH(&node->items, slot)
	{
		struct item *item = slot->value;

		json_decref(item->wanted);
		free(item->rejected);
		free(item->told);
		free(item->key);
		free(item);
	}
	strmap_fini(&node->items);
	STRMAP_FOREACH(&node->presences, slot)
	{
		struct presence *p = slot->value;

		free(p->vpc);
		free(p);
	}
	strmap_fini(&node->presences);
}
