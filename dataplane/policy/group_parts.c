/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/group_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct group_part *group_part_new(uint64_t number, uint32_t n)
{
	struct group_part *part = calloc(1, sizeof(*part) + n * sizeof(part->rules[0]));

	if (part != NULL) {
		part->number = number;
		part->n = n;
	}
	return part;
}

int group_parts_stage(struct group_parts *parts, uint64_t number, struct group_part *part)
{
	uint32_t room = parts->room != 0 ? 2 * parts->room : 8;
	struct group_part_change *staged = parts->staged;

	if (parts->n_staged == parts->room) {
		staged = realloc(staged, room * sizeof(*staged));
		if (staged == NULL)
			return -ENOMEM;
		parts->staged = staged;
		parts->room = room;
	}
	staged[parts->n_staged++] = (struct group_part_change){number, part};
	return 0;
}

static int by_number(const void *pa, const void *pb)
{
	const struct group_part_change *a = pa, *b = pb;

	return (a->number > b->number) - (a->number < b->number);
}

/* Fills `next`: of two of one number the staged one, and none where that is a deletion. */
static uint32_t merge(const struct group_parts *parts, struct group_part **next)
{
	uint32_t at = 0, n = 0;

	for (uint32_t i = 0; i < parts->n_staged; i++) {
		const struct group_part_change *change = &parts->staged[i];

		while (at < parts->n_now && parts->now[at]->number < change->number)
			next[n++] = parts->now[at++];
		at += at < parts->n_now && parts->now[at]->number == change->number;
		if (change->part != NULL)
			next[n++] = change->part;
	}
	while (at < parts->n_now)
		next[n++] = parts->now[at++];
	return n;
}

static int concatenate(const struct group_parts *parts, struct policy_rule **rules, uint32_t *n)
{
	size_t total = 0;

	for (uint32_t i = 0; i < parts->n_next; i++)
		total += parts->next[i]->n;
	*n = 0;
	*rules = total <= UINT32_MAX ? malloc((total + 1) * sizeof(**rules)) : NULL;
	if (*rules == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < parts->n_next; i++) {
		const struct group_part *part = parts->next[i];

		memcpy(*rules + *n, part->rules, part->n * sizeof(**rules));
		*n += part->n;
	}
	return 0;
}

int group_parts_merge(struct group_parts *parts, struct policy_rule **rules, uint32_t *n)
{
	/* Never of no size: NULL says that nothing is merged. */
	size_t most = (size_t)parts->n_now + parts->n_staged + 1;
	struct group_part **next = calloc(most, sizeof(*next));

	if (next == NULL)
		return -ENOMEM;
	if (parts->n_staged > 1)
		qsort(parts->staged, parts->n_staged, sizeof(parts->staged[0]), by_number);
	free(parts->next);
	parts->next = next;
	parts->n_next = merge(parts, next);
	return concatenate(parts, rules, n);
}

static void forget_staged(struct group_parts *parts)
{
	free(parts->staged);
	parts->staged = NULL;
	parts->n_staged = parts->room = 0;
}

void group_parts_commit(struct group_parts *parts)
{
	uint32_t at = 0;

	if (parts->next == NULL)
		return;
	/* Both ascend. */
	for (uint32_t i = 0; i < parts->n_staged; i++) {
		uint64_t number = parts->staged[i].number;

		while (at < parts->n_now && parts->now[at]->number < number)
			at++;
		if (at < parts->n_now && parts->now[at]->number == number)
			free(parts->now[at++]);
	}
	free(parts->now);
	parts->now = parts->next;
	parts->n_now = parts->n_next;
	parts->next = NULL;
	forget_staged(parts);
}

void group_parts_abort(struct group_parts *parts)
{
	for (uint32_t i = 0; i < parts->n_staged; i++)
		free(parts->staged[i].part);
	free(parts->next);
	parts->next = NULL;
	forget_staged(parts);
}
