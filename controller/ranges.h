/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_RANGES_H
#define CONTROLLER_RANGES_H
/*
 * A set of numbers kept as disjoint inclusive ranges in order; neighbours are merged, so the lowest free
 * number is found in O(log n) however many are taken. For addresses (as numbers) and VNIs.
 */
#include "lib/net.h"
#include "tree.h"

typedef unsigned __int128 range_value;

struct range_set {
	struct tree tree;
};

void range_set_init(struct range_set *set);
void range_set_fini(struct range_set *set);
bool range_set_overlaps(const struct range_set *set, range_value first, range_value last);
/* False, and nothing changes, when a part of it is taken already. */
bool range_set_add(struct range_set *set, range_value first, range_value last);
/* All of it must be in the set. */
void range_set_remove(struct range_set *set, range_value first, range_value last);
/* The lowest number in from..to that is not in the set; false when there is none. */
bool range_set_lowest_free(
	const struct range_set *set, range_value from, range_value to, range_value *result);
/* The highest one. */
bool range_set_highest_free(
	const struct range_set *set, range_value from, range_value to, range_value *result);

range_value range_of_addr(const struct net_addr *addr);
struct net_addr range_to_addr(enum net_family family, range_value value);

#endif
