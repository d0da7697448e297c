/* SPDX-License-Identifier: Apache-2.0 */
#include "ranges.h"

#include "mem.h"

#include <stdlib.h>

struct range {
	struct tree_node node;
	range_value first, last;
};

#define RANGE(n) TREE_OBJECT(n, struct range, node)

static int compare(const void *key, const struct tree_node *node)
{
	range_value value = *(const range_value *)key;
	range_value first = TREE_ENTRY(node, struct range, node)->first;

	return value < first ? -1 : value > first;
}

void range_set_init(struct range_set *set)
{
	set->tree = (struct tree){.compare = compare};
}

void range_set_fini(struct range_set *set)
{
	struct range *r;

	while ((r = RANGE(tree_first(&set->tree))) != NULL) {
		tree_remove(&set->tree, &r->first);
		free(r);
	}
}

static void insert(struct range_set *set, range_value first, range_value last)
{
	struct range *r = mem_calloc(1, sizeof(*r));

	r->first = first;
	r->last = last;
	tree_insert(&set->tree, &r->first, &r->node);
}

static void drop(struct range_set *set, struct range *r)
{
	tree_remove(&set->tree, &r->first);
	free(r);
}

bool range_set_overlaps(const struct range_set *set, range_value first, range_value last)
{
	const struct range *r = RANGE(tree_floor(&set->tree, &last));

	return r != NULL && r->last >= first;
}

bool range_set_add(struct range_set *set, range_value first, range_value last)
{
	struct range *before, *behind;

	if (range_set_overlaps(set, first, last))
		return false;
	before = RANGE(tree_floor(&set->tree, &first));
	behind = RANGE(tree_after(&set->tree, &last));
	if (behind != NULL && behind->first == last + 1) {
		last = behind->last;
		drop(set, behind);
	}
	/* The first number stays, so the order does not change. */
	if (before != NULL && before->last + 1 == first)
		before->last = last;
	else
		insert(set, first, last);
	return true;
}

void range_set_remove(struct range_set *set, range_value first, range_value last)
{
	struct range *r = RANGE(tree_floor(&set->tree, &first));
	range_value end;

	if (r == NULL || r->last < last)
		return;
	end = r->last;
	if (r->first == first)
		drop(set, r);
	else
		r->last = first - 1;
	if (end > last)
		insert(set, last + 1, end);
}

bool range_set_lowest_free(
	const struct range_set *set, range_value from, range_value to, range_value *result)
{
	const struct range *r = RANGE(tree_floor(&set->tree, &from));

	if (r != NULL && r->last >= from) {
		if (r->last >= to)
			return false;
		from = r->last + 1; /* merged neighbours: the number behind a range is free */
	}
	*result = from;
	return from <= to;
}

bool range_set_highest_free(
	const struct range_set *set, range_value from, range_value to, range_value *result)
{
	const struct range *r = RANGE(tree_floor(&set->tree, &to));

	if (r != NULL && r->last >= to) {
		if (r->first <= from)
			return false;
		to = r->first - 1;
	}
	*result = to;
	return from <= to;
}

range_value range_of_addr(const struct net_addr *addr)
{
	unsigned n = addr->family == NET_IPV4 ? 4 : 16;
	range_value value = 0;

	for (unsigned i = 0; i < n; i++)
		value = value << 8 | addr->bytes[i];
	return value;
}

struct net_addr range_to_addr(enum net_family family, range_value value)
{
	unsigned n = family == NET_IPV4 ? 4 : 16;
	uint8_t bytes[16] = {0};

	for (unsigned i = n; i-- > 0; value >>= 8)
		bytes[i] = (uint8_t)value;
	return net_addr_from_bytes(family, bytes);
}
