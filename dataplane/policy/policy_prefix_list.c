/* SPDX-License-Identifier: Apache-2.0 */
/* Prefix lists: named sets of prefixes that rules refer to. A rule's table does not depend on them,
 * only the way an address is led to it (the shape). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/policy_internal.h"

static uint32_t list_hash(uint32_t id)
{
	return hash_fold(hash_mix(0, id));
}

static struct prefix_list *list_find(const struct policy_db *db, uint32_t id)
{
	struct hash_node *node = hash_table_find(&db->prefix_lists, list_hash(id));

	for (; node; node = hash_node_same(node)) {
		struct prefix_list *l = HASH_OBJECT(node, struct prefix_list, node);
		if (l->id == id)
			return l;
	}
	return NULL;
}

bool prefix_list_is_staged(const struct policy_db *db, uint32_t id)
{
	const struct prefix_list *l = list_find(db, id);

	return l && l->staged;
}

struct prefix_set *prefix_list_view(const struct policy_db *db, uint32_t id)
{
	const struct prefix_list *l = list_find(db, id);

	if (!l)
		return NULL;
	return l->staged ? l->next : l->live;
}

static struct prefix_list *list_take(struct policy_db *db, uint32_t id)
{
	struct prefix_list *l = list_find(db, id);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->id = id;
	hash_table_insert(&db->prefix_lists, &l->node, list_hash(id));
	return l;
}

void prefix_set_put(struct prefix_set *set)
{
	if (!set || --set->refs > 0)
		return;
	prefix_map_free(set->map);
	free(set);
}

void prefix_list_free(struct prefix_list *l)
{
	prefix_set_put(l->live);
	prefix_set_put(l->next);
	free(l);
}

static void list_release(struct policy_db *db, struct prefix_list *l)
{
	if (l->live || l->staged)
		return;
	hash_table_remove(&db->prefix_lists, &l->node);
	prefix_list_free(l);
}

/* Drops what is staged; the list stays. */
static void list_reset(struct prefix_list *l)
{
	prefix_set_put(l->next);
	l->next = NULL;
	l->staged = false;
}

void prefix_list_unstage(struct policy_db *db, struct prefix_list *l)
{
	list_reset(l);
	list_release(db, l);
}

/* Workers read sets through the shapes that hold them. */
void prefix_list_commit(struct policy_db *db, struct prefix_list *l)
{
	prefix_set_put(l->live);
	l->live = l->next;
	l->next = NULL;
	l->staged = false;
	list_release(db, l);
}

static bool same_prefixes(
	const struct prefix_set *set, const struct ip_prefix *prefixes, uint32_t n)
{
	if (!set || set->n != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!ip_prefix_equal(&set->prefixes[i], &prefixes[i]))
			return false;
	return true;
}

static struct prefix_map *map_new(const struct ip_prefix *prefixes, uint32_t n)
{
	struct prefix_map_entry *entries = calloc(n, sizeof(*entries));
	struct prefix_map *map;

	if (!entries)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		entries[i].prefix = prefixes[i];
	map = prefix_map_new(entries, n);
	free(entries);
	return map;
}

static struct prefix_set *set_new(const struct ip_prefix *prefixes, uint32_t n)
{
	struct prefix_set *set = calloc(1, sizeof(*set) + n * sizeof(*prefixes));

	if (!set)
		return NULL;
	set->refs = 1;
	set->n = n;
	memcpy(set->prefixes, prefixes, n * sizeof(*prefixes));
	if (n <= PREFIX_SET_INLINE_MAX)
		return set;
	set->map = map_new(prefixes, n);
	if (set->map)
		return set;
	free(set);
	return NULL;
}

int policy_prefix_list_set(
	struct policy_db *db, uint32_t id, const struct ip_prefix *prefixes, uint32_t n)
{
	struct prefix_set *set;

	db->error[0] = '\0';
	if (n == 0)
		return policy_prefix_list_del(db, id);
	if (n > PREFIX_MAP_MAX) {
		snprintf(db->error, sizeof(db->error), "too many prefixes");
		return -EINVAL;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (ip_prefix_is_valid(&prefixes[i]))
			continue;
		snprintf(db->error, sizeof(db->error), "prefix %u has host bits set", i);
		return -EINVAL;
	}
	struct prefix_list *l = list_take(db, id);
	if (!l)
		return -ENOMEM;
	if (same_prefixes(l->live, prefixes, n)) {
		list_reset(l);
		return 0;
	}
	set = set_new(prefixes, n);
	list_reset(l);
	if (!set) {
		list_release(db, l);
		return -ENOMEM;
	}
	l->next = set;
	l->staged = true;
	return 0;
}

int policy_prefix_list_del(struct policy_db *db, uint32_t id)
{
	struct prefix_list *l = list_find(db, id);

	db->error[0] = '\0';
	if (!l)
		return 0;
	list_reset(l);
	l->staged = l->live != NULL;
	list_release(db, l);
	return 0;
}
