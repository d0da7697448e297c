// SPDX-License-Identifier: Apache-2.0
/*
 * Lists as sets of JSON values, matched by value: the work grows with the lengths, not their product.
 */
#ifndef LIB_RESOURCE_LIST_H
#define LIB_RESOURCE_LIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The index of the first item that equals an earlier one; -1 when all differ. */
long resource_list_duplicate(const json_t *list);

/* `list` and after it those items of `more` that it lacks, each once. New reference, sharing the items. */
json_t *resource_list_add(const json_t *list, const json_t *more);

/*
 * `list` without the items of `less`. *out is a new reference, sharing the items. False, *out NULL and
 * *missing the index in `less`, when `list` lacks one.
 */
bool resource_list_remove(const json_t *list, const json_t *less, json_t **out, size_t *missing);

/*
 * Puts the items of `old` into `list` where it has equal ones before and behind the place where the two differ: who
 * compares them later sees it by their addresses. True when nothing differs.
 */
bool resource_list_share(const json_t *old, json_t *list);

#endif
