/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_GROUP_PARTS_H
#define POLICY_GROUP_PARTS_H
/*
 * A group's list of rules as it arrives: in numbered parts, of which a changed rule replaces one. The list is
 * their concatenation by ascending number.
 *
 * Parts are staged, merged with those that are there to one list, and then committed or dropped. Control
 * thread only. Zeroed memory is a group without parts.
 */
#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

struct group_part {
	uint64_t number;
	uint32_t n;
	struct policy_rule rules[];
};

struct group_part_change {
	uint64_t number;
	struct group_part *part; /* NULL: it goes */
};

struct group_parts {
	struct group_part **now;  /* committed, by number */
	struct group_part **next; /* merged; NULL: nothing is */
	uint32_t n_now, n_next;
	struct group_part_change *staged; /* a number at most once */
	uint32_t n_staged, room;
};

/* NULL when out of memory. To be freed with free(). */
struct group_part *group_part_new(uint64_t number, uint32_t n);

/* Takes the part; NULL: the part of that number goes. 0 or -ENOMEM (the part stays the caller's). */
int group_parts_stage(struct group_parts *parts, uint64_t number, struct group_part *part);
/* The whole list with what is staged: malloc'd. 0 or -ENOMEM. */
int group_parts_merge(struct group_parts *parts, struct policy_rule **rules, uint32_t *n);
/* What was merged holds; nothing merged: nothing done. */
void group_parts_commit(struct group_parts *parts);
/* Drops what is staged. */
void group_parts_abort(struct group_parts *parts);

#endif
