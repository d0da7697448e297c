// SPDX-License-Identifier: Apache-2.0
#include "lib/resource_list.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/json_memo.h"

/* ---- A set of the items of one list: open addressing, at most half full ---- */

struct slot {
	const json_t *value; /* NULL: free */
	uint64_t hash;
	size_t index;
	bool marked;
};

struct set {
	struct slot *slots;
	size_t mask;
};

static void set_init(struct set *set, size_t items)
{
	size_t size = 16;

	while (size < 2 * items)
		size *= 2;
	set->slots = calloc(size, sizeof(*set->slots));
	if (!set->slots)
		abort();
	set->mask = size - 1;
}

/* The slot that holds an equal value, or the free one where it would be. */
static struct slot *set_find(const struct set *set, const json_t *value, uint64_t hash)
{
	for (size_t i = hash & set->mask;; i = (i + 1) & set->mask) {
		struct slot *slot = &set->slots[i];

		if (!slot->value || (slot->hash == hash && json_equal(slot->value, value)))
			return slot;
	}
}

/* False when an equal value is in the set already. */
static bool set_add(struct set *set, const json_t *value, size_t index)
{
	uint64_t hash = json_memo_hash(value);
	struct slot *slot = set_find(set, value, hash);

	if (slot->value)
		return false;
	*slot = (struct slot){value, hash, index, false};
	return true;
}

/* ---- Lists ---- */

long resource_list_duplicate(const json_t *list)
{
	long found = -1;
	struct set set;
	json_t *item;
	size_t index;

	set_init(&set, json_array_size(list));
	json_array_foreach ((json_t *)list, index, item)
		if (!set_add(&set, item, index)) {
			found = (long)index;
			break;
		}
	free(set.slots);
	return found;
}

/* Marks in a set of `wanted` the items that `list` has, too. */
static void mark_present(struct set *set, const json_t *wanted, const json_t *list)
{
	json_t *item;
	size_t index;

	set_init(set, json_array_size(wanted));
	json_array_foreach ((json_t *)wanted, index, item)
		set_add(set, item, index);
	json_array_foreach ((json_t *)list, index, item) {
		struct slot *slot = set_find(set, item, json_memo_hash(item));

		if (slot->value)
			slot->marked = true;
	}
}

json_t *resource_list_add(const json_t *list, const json_t *more)
{
	json_t *result = json_copy((json_t *)list), *item;
	struct set set;
	size_t index;

	mark_present(&set, more, list);
	json_array_foreach ((json_t *)more, index, item) {
		struct slot *slot = set_find(&set, item, json_memo_hash(item));

		if (!slot->marked)
			json_array_append(result, item);
		slot->marked = true;
	}
	free(set.slots);
	return result;
}

static bool all_marked(const struct set *set, size_t *missing)
{
	bool all = true;

	for (size_t i = 0; i <= set->mask; i++) {
		const struct slot *slot = &set->slots[i];

		if (slot->value && !slot->marked && (all || slot->index < *missing)) {
			*missing = slot->index;
			all = false;
		}
	}
	return all;
}

bool resource_list_remove(const json_t *list, const json_t *less, json_t **out, size_t *missing)
{
	struct set set;
	json_t *item;
	size_t index;

	*out = NULL;
	mark_present(&set, less, list);
	if (all_marked(&set, missing)) {
		*out = json_array();
		json_array_foreach ((json_t *)list, index, item)
			if (!set_find(&set, item, json_memo_hash(item))->value)
				json_array_append(*out, item);
	}
	free(set.slots);
	return *out != NULL;
}

bool resource_list_share(const json_t *old, json_t *list)
{
	size_t n_old = json_array_size(old), n = json_array_size(list), before = 0, behind = 0;
	size_t most = n_old < n ? n_old : n;

	for (; before < most; before++) {
		json_t *item = json_array_get(old, before);

		if (!json_equal(item, json_array_get(list, before)))
			break;
		json_array_set(list, before, item);
	}
	for (; behind < most - before; behind++) {
		json_t *item = json_array_get(old, n_old - 1 - behind);

		if (!json_equal(item, json_array_get(list, n - 1 - behind)))
			break;
		json_array_set(list, n - 1 - behind, item);
	}
	return before == n && n == n_old;
}
