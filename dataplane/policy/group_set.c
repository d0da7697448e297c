/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/group_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"

static struct hash_table sets;

static int id_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t group_ids_normalise(uint32_t *ids, uint32_t n)
{
	uint32_t kept = 0;

	if (n > 1)
		qsort(ids, n, sizeof(*ids), id_compare);
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || ids[i] != ids[i - 1])
			ids[kept++] = ids[i];
	return kept;
}

uint32_t group_ids_hash(const uint32_t *ids, uint32_t n)
{
	uint64_t hash = n;

	for (uint32_t i = 0; i < n; i++)
		hash = hash_mix(hash, ids[i]);
	return hash_fold(hash);
}

static struct group_set *set_find(const struct group_set *wanted, uint32_t hash)
{
	struct hash_node *node = hash_table_find(&sets, hash);

	for (; node; node = hash_node_same(node)) {
		struct group_set *set = HASH_OBJECT(node, struct group_set, node);
		if (set->n == wanted->n &&
			memcmp(set->ids, wanted->ids, set->n * sizeof(set->ids[0])) == 0)
			return set;
	}
	return NULL;
}

const struct group_set *group_set_get(const uint32_t *ids, uint32_t n)
{
	struct group_set *set = malloc(sizeof(*set) + n * sizeof(set->ids[0])), *known;
	uint32_t hash;

	if (!set || (!sets.buckets && hash_table_init(&sets))) {
		free(set);
		errno = ENOMEM;
		return NULL;
	}
	if (n > 0)
		memcpy(set->ids, ids, n * sizeof(set->ids[0]));
	set->n = group_ids_normalise(set->ids, n);
	set->refs = 1;
	hash = group_ids_hash(set->ids, set->n);
	known = set_find(set, hash);
	if (known) {
		free(set);
		known->refs++;
		return known;
	}
	hash_table_insert(&sets, &set->node, hash);
	return set;
}

const struct group_set *group_set_ref(const struct group_set *set)
{
	((struct group_set *)set)->refs++;
	return set;
}

void group_set_put(const struct group_set *set, void (*defer)(void (*fn)(void *), void *arg))
{
	struct group_set *own = (struct group_set *)set;

	if (--own->refs > 0)
		return;
	hash_table_remove(&sets, &own->node);
	if (sets.n == 0)
		hash_table_fini(&sets);
	if (defer)
		defer(free, own);
	else
		free(own);
}
