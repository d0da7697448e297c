/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STATE_TABLE_H
#define CORE_STATE_TABLE_H
/* A set of items by key: what is applied, and what a transaction has staged. Control thread only.
 *
 * There is one hash table for each digest bucket. Inside it chains and slots are in ascending order
 * of the key's hash, whatever the table's size, so a walk can go on where it stopped.
 */
#include "lib/southbound.h"

struct state_kind;

struct state_item {
	struct state_item *next;
	uint64_t key_hash;
	uint64_t hash; /* of the text; 0 for a staged deletion */
	struct state_kind *kind;
	void *prepared;         /* while staged: what prepare() gave */
	struct state_item *old; /* while it commits: the applied item it replaces or deletes */
	uint32_t refs;          /* how many items refer to this one */
	int32_t delta;          /* of refs, by the commit that `mark` names */
	uint32_t mark;
	uint32_t pos;      /* in its transaction's list */
	uint32_t size;     /* of text */
	uint16_t key_size; /* text[0..key_size) is the key array without its closing bracket */
	bool deletion : 1; /* staged: remove the applied item of this key */
	bool skip : 1;     /* staged: nothing to do */
	bool is_prepared : 1;
	uint16_t n_refs;
	const char *text;      /* canonical JSON, not terminated; behind ref_hashes */
	uint64_t ref_hashes[]; /* identities of what it refers to */
};

struct state_slots {
	struct state_item **heads;
	uint32_t n_slots, n_items; /* slots: 0 or a power of two */
	uint64_t digest;
};

struct state_table {
	struct state_slots buckets[SB_BUCKETS];
	uint32_t n_items;
};

/* Of a checked item or key; NULL when out of memory. `kind` is the caller's to set. */
struct state_item *state_item_new(const json_t *item, uint64_t key_hash, bool deletion);

/* Visits each reference of an item until fn returns non-zero; returns that. */
int state_each_ref(const json_t *item, const struct sb_kind *kind,
	int (*fn)(void *arg, const char *target_kind, const json_t *value, uint64_t target_hash),
	void *arg);

/* By identity alone: what a reference leads to. */
struct state_item *state_table_find_hash(const struct state_table *table, uint64_t key_hash);
/* The item of that key, compared with another item's text. */
struct state_item *state_table_find(
	const struct state_table *table, uint64_t key_hash, const char *key, uint16_t key_size);
/* Once for a key's hash before insert, which then can not fail: -ENOMEM. Also grows the table. */
int state_table_reserve(struct state_table *table, uint64_t key_hash);
/* Puts it in and returns the one it replaced, or NULL. */
struct state_item *state_table_insert(struct state_table *table, struct state_item *item);
struct state_item *state_table_remove(struct state_table *table, const struct state_item *like);
/* Walk: the first item of a bucket whose key hash is >= from. */
struct state_item *state_table_seek(
	const struct state_table *table, unsigned int bucket, uint64_t from);
/* The item behind `item`, in the same bucket; NULL at its end. */
struct state_item *state_table_next(const struct state_table *table, const struct state_item *item);
/* Frees the table's insides; the items only with `items`. */
void state_table_clear(struct state_table *table, bool items);

#endif
