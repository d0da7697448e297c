/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_TABLE_H
#define BASE_HASH_TABLE_H
/* A chained hash table for the control thread: the objects carry their links, so that inserting
 * cannot fail (when there is no memory to grow, chains grow longer). One thread only; not for the
 * packet path.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_node {
	struct hash_node *next;
	uint32_t hash;
};

struct hash_table {
	struct hash_node **buckets;
	uint32_t mask;
	uint32_t n;
};

/* The object of type `type` whose member `member` is the node. */
#define HASH_OBJECT(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* Mixes a word into a hash; start with 0, take the upper half at the end. */
static inline uint64_t hash_mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25;
	return hash ^ hash >> 35;
}

static inline uint32_t hash_fold(uint64_t hash)
{
	return (uint32_t)((hash * 0xd6e8feb86659fd93) >> 32);
}

/* -ENOMEM. */
int hash_table_init(struct hash_table *t);
/* Frees the table, not the objects. */
void hash_table_fini(struct hash_table *t);
void hash_table_insert(struct hash_table *t, struct hash_node *node, uint32_t hash);
void hash_table_remove(struct hash_table *t, struct hash_node *node);

/* Nodes of this hash, one after the other; the caller compares keys. NULL at the end. */
struct hash_node *hash_table_find(const struct hash_table *t, uint32_t hash);
struct hash_node *hash_node_same(const struct hash_node *node);

/* All nodes: start with NULL. Before removing the current one take its successor. */
struct hash_node *hash_table_next(const struct hash_table *t, const struct hash_node *node);

#endif
