/* SPDX-License-Identifier: Apache-2.0 */
/* What workers have counted as dropped, and what is left of owners that are no more. Control thread. */
#include <stdlib.h>
#include <string.h>

#include "core/node.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "vpc/vpc.h"

/* How often a cell is read anew that its worker writes meanwhile; a flood may keep it busy. */
#define READS 100

/* Of owners whose index may be somebody else's by now: [heir][reason], where there is one. */
static struct drop_cell *(*inherited)[DROP_MAX];

static bool cell_read(const struct drop_cell *cell, struct drop_cell *copy)
{
	uint32_t before, after;

	for (unsigned int i = 0; i < READS; i++) {
		before = atomic_load_explicit(&cell->version, memory_order_acquire);
		memcpy(copy, cell, sizeof(*copy));
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(&cell->version, memory_order_relaxed);
		if (before == after && before % 2 == 0)
			return copy->packets > 0;
	}
	/* What it counts is one word; its frame would be two frames' pieces. */
	copy->length = 0;
	return copy->packets > 0;
}

static void add(struct drop_cell *sum, const struct drop_cell *one)
{
	uint64_t packets = sum->packets + one->packets;

	if (sum->packets == 0 || (int32_t)(one->last_ms - sum->last_ms) > 0)
		memcpy(sum, one, sizeof(*sum));
	sum->packets = packets;
}

bool drop_sum(uint32_t owner, enum drop_reason reason, struct drop_cell *sum)
{
	const struct drop_cell *left = inherited != NULL ? inherited[owner][reason] : NULL;
	struct drop_cell copy;
	bool any = left != NULL;

	if (left != NULL)
		add(sum, left);
	for (unsigned int i = 0; i < worker_count; i++) {
		if (!cell_read(&workers[i].drops[(size_t)owner * DROP_MAX + reason], &copy))
			continue;
		add(sum, &copy);
		any = true;
	}
	return any;
}

/* Without memory the counts are lost: the node's status still has them. */
static struct drop_cell *inheritance(uint32_t heir, unsigned int reason)
{
	if (inherited == NULL)
		inherited = calloc(drop_owner_count(), sizeof(*inherited));
	if (inherited != NULL && inherited[heir][reason] == NULL)
		inherited[heir][reason] = calloc(1, sizeof(struct drop_cell));
	return inherited != NULL ? inherited[heir][reason] : NULL;
}

static void forget(uint32_t owner)
{
	/* Only what was counted: cells that nobody has written take no memory. */
	for (unsigned int i = 0; i < worker_count; i++)
		for (unsigned int r = 0; r < DROP_MAX; r++) {
			struct drop_cell *cell = &workers[i].drops[(size_t)owner * DROP_MAX + r];

			if (cell->packets > 0)
				memset(cell, 0, sizeof(*cell));
		}
	for (unsigned int r = 0; inherited != NULL && r < DROP_MAX; r++) {
		free(inherited[owner][r]);
		inherited[owner][r] = NULL;
	}
}

uint32_t drop_owner_of_vpc(uint32_t vpc_index)
{
	return vpc_get(vpc_index) != NULL ? drop_owner_vpc(vpc_index) : drop_owner_node();
}

/* An owner that ends: workers may count to it yet. */
struct ending {
	uint32_t owner, heir;
	uint64_t passed[DROP_MAX];
};

/* Gives the heir what was counted since the last time. */
static void pass(struct ending *e)
{
	for (unsigned int r = 1; r < DROP_MAX; r++) {
		struct drop_cell sum = {0}, *left;
		uint64_t packets;

		if (!drop_sum(e->owner, (enum drop_reason)r, &sum))
			continue;
		packets = sum.packets;
		sum.packets -= e->passed[r];
		e->passed[r] = packets;
		if (sum.packets > 0 && (left = inheritance(e->heir, r)) != NULL)
			add(left, &sum);
	}
}

static void end(void *arg)
{
	struct ending *e = arg;

	pass(e);
	forget(e->owner);
	free(e);
}

static void end_unpassed(void *owner)
{
	forget((uint32_t)(uintptr_t)owner);
}

void drop_pass_on(uint32_t owner, uint32_t heir)
{
	struct ending *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		rcu_defer(end_unpassed, (void *)(uintptr_t)owner);
		return;
	}
	e->owner = owner;
	e->heir = heir;
	pass(e);
	rcu_defer(end, e);
}

__attribute__((destructor)) static void free_all(void)
{
	for (size_t owner = 0; inherited != NULL && owner < drop_owner_count(); owner++)
		for (unsigned int r = 0; r < DROP_MAX; r++)
			free(inherited[owner][r]);
	free(inherited);
}
