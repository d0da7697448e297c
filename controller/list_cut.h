/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_LIST_CUT_H
#define CONTROLLER_LIST_CUT_H
/*
 * A long list cut into numbered parts. When the list is replaced by one that differs in a place or two, what
 * lies before and behind the difference keeps its parts and their numbers: a changed item costs the one part that
 * it is in, whatever the length of the list. The list is the concatenation of its parts by rising number.
 *
 * Lists are replaced, never changed: items that were not touched are the same objects in both.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct list_part {
	json_int_t number;
	size_t count; /* items */
	void *data;   /* the owner's */
};

/* Zeroed memory is the cut of an empty list. */
struct list_cut {
	json_t *list; /* what is cut; owned, NULL before the first */
	struct list_part *parts;
	size_t count;
};

struct list_cut_owner {
	size_t part_max; /* items */
	/* A part that is no more; `replaced`: made() is called for its number next, with another content. */
	void (*gone)(const struct list_part *part, bool replaced, void *arg);
	/* A new part: list[first … first + part->count). Sets part->data. */
	void (*made)(struct list_part *part, const json_t *list, size_t first, void *arg);
	void *arg;
};

/* Cuts the list that follows cut->list: keeps what can be kept. */
void list_cut_update(struct list_cut *cut, json_t *list, const struct list_cut_owner *owner);
/* A part read back from where its owner keeps it, behind all others: its items have been appended to cut->list. */
void list_cut_append(struct list_cut *cut, json_int_t number, size_t count);
/* Frees the parts' array and the list, without a word to the owner. */
void list_cut_fini(struct list_cut *cut);

#endif
