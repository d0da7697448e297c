/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash_table.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MIN 16

int hash_table_init(struct hash_table *t)
{
	*t = (struct hash_table){
		.buckets = calloc(BUCKETS_MIN, sizeof(*t->buckets)),
		.mask = BUCKETS_MIN - 1,
	};
	return t->buckets ? 0 : -ENOMEM;
}

void hash_table_fini(struct hash_table *t)
{
	free(t->buckets);
	*t = (struct hash_table){0};
}

static void grow(struct hash_table *t)
{
	uint32_t mask = t->mask * 2 + 1;
	struct hash_node **buckets = calloc((size_t)mask + 1, sizeof(*buckets));

	if (!buckets)
		return;
	for (uint32_t i = 0; i <= t->mask; i++) {
		while (t->buckets[i]) {
			struct hash_node *node = t->buckets[i];
			t->buckets[i] = node->next;
			node->next = buckets[node->hash & mask];
			buckets[node->hash & mask] = node;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->mask = mask;
}

void hash_table_insert(struct hash_table *t, struct hash_node *node, uint32_t hash)
{
	if (t->n > t->mask)
		grow(t);
	node->hash = hash;
	node->next = t->buckets[hash & t->mask];
	t->buckets[hash & t->mask] = node;
	t->n++;
}

void hash_table_remove(struct hash_table *t, struct hash_node *node)
{
	struct hash_node **link = &t->buckets[node->hash & t->mask];

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	t->n--;
}

static struct hash_node *skip_others(struct hash_node *node, uint32_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct hash_node *hash_table_find(const struct hash_table *t, uint32_t hash)
{
	return skip_others(t->buckets[hash & t->mask], hash);
}

struct hash_node *hash_node_same(const struct hash_node *node)
{
	return skip_others(node->next, node->hash);
}

struct hash_node *hash_table_next(const struct hash_table *t, const struct hash_node *node)
{
	uint32_t bucket = 0;

	if (node) {
		if (node->next)
			return node->next;
		bucket = (node->hash & t->mask) + 1;
	}
	for (; bucket <= t->mask; bucket++)
		if (t->buckets[bucket])
			return t->buckets[bucket];
	return NULL;
}
