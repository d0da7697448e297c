/* SPDX-License-Identifier: Apache-2.0 */
/* Whose records the sight thread hands on, and for how long: observers take turns by deficit round robin, measured in time.
 *
 * A turn is a quantum. What a record takes beyond it (a disk that makes one wait) its observer owes, and pays with its next turns. So one
 * whose sink is slow gets what the others leave, and no more than one of its records is in front of them.
 */
#include <rte_cycles.h>

#include "observe/observe_internal.h"
#include "observe/ring.h"

#define QUANTUM_US 200

bool drain_is_over(const struct observer *o)
{
	for (unsigned int i = 0; i < worker_count; i++)
		if (!ring_is_empty(o->rings[i]))
			return false;
	return true;
}

/* Workers take turns, too: it goes on with the one that the turn began with until that has nothing more. */
static const struct sight_record *next_record(const struct observer *o, struct ring **ring)
{
	for (unsigned int i = 0; i < worker_count; i++) {
		const struct sight_record *r;

		*ring = o->rings[(o->first_ring + i) % worker_count];
		r = ring_next(*ring);
		if (r != NULL)
			return r;
	}
	return NULL;
}

static unsigned int hand_on(struct observer *o)
{
	uint64_t began = rte_rdtsc(), now = began;
	const struct sight_record *r;
	struct ring *ring;
	unsigned int n = 0;

	while ((int64_t)(now - began) < o->credit && (r = next_record(o, &ring)) != NULL) {
		o->sink->record(o, &r->meta, r->data);
		ring_release(ring);
		n++;
		now = rte_rdtsc();
	}
	o->first_ring = (o->first_ring + 1) % worker_count;
	o->unflushed |= n > 0;
	o->credit -= (int64_t)(now - began);
	return n;
}

unsigned int drain_turn(struct observer *o)
{
	bool over = drain_is_over(o);
	unsigned int n;

	if (over && !o->unflushed)
		return 0;
	o->credit += (int64_t)(rte_get_tsc_hz() / 1000000 * QUANTUM_US);
	if (o->credit <= 0)
		return 1;
	n = over ? 0 : hand_on(o);
	/* Time that it did not need is nobody's. */
	if (o->credit > 0)
		o->credit = 0;
	return n;
}
