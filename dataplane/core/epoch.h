/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_EPOCH_H
#define CORE_EPOCH_H
/* Epochs tell a session that its verdict may be stale.
 *
 * An object whose change may alter a verdict (a policy, an endpoint, a VPC's route map, a service) owns a
 * slot. A session remembers up to EPOCH_DEPS slots and the sum of their values. Slots only grow, and
 * keep their value when they are freed and taken again, so an equal sum means that nothing changed.
 *
 * Beside the slots stands one word, `epoch_word`, moved by every bump. The fast path compares only that
 * word; when it differs the sum is made again, and if that is equal the session goes on.
 *
 * Threads: slots are taken, freed and bumped by the control thread; workers read (acquire).
 */
#include <stdatomic.h>
#include <stdint.h>

#include "base/cache_line.h"

#define EPOCH_DEPS 12
#define EPOCH_NO_SLOT 0u /* a slot that is never bumped */
#define EPOCH_ANY_SLOT                                                                             \
	1u /* a slot that every bump bumps too: for who depends on more than EPOCH_DEPS */
#define EPOCH_MORE_SLOT 2u /* never bumped either: a list of slots goes on elsewhere */

typedef uint32_t epoch_slot_t;

extern _Atomic uint32_t *epoch_values;
/* The change word. Read by each worker once a loop, and written by each bump: alone in its line. */
struct epoch_word {
	_Atomic uint32_t change;
} OWN_LINE;
_Static_assert(sizeof(struct epoch_word) == CACHE_LINE, "nothing beside it");
extern struct epoch_word epoch_word;

/* Reserve room for `max` slots. -ENOMEM. Once at start; demand-paged. */
int epoch_init(uint32_t max);
void epoch_fini(void);
/* A free slot, or EPOCH_NO_SLOT when all are taken. */
epoch_slot_t epoch_take(void);
/* Bumps the slot (whoever depends on it looks again) and frees it. */
void epoch_free(epoch_slot_t slot);
/* What the slot's owner says has changed; must follow the publication of the change itself. */
void epoch_bump(epoch_slot_t slot);

static inline uint32_t epoch_change(void)
{
	return atomic_load_explicit(&epoch_word.change, memory_order_acquire);
}

static inline uint32_t epoch_value(epoch_slot_t slot)
{
	return atomic_load_explicit(&epoch_values[slot], memory_order_relaxed);
}

static inline uint32_t epoch_sum_of(const epoch_slot_t *deps, unsigned int n)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += epoch_value(deps[i]);
	return sum;
}

static inline uint32_t epoch_sum(const epoch_slot_t deps[EPOCH_DEPS])
{
	return epoch_sum_of(deps, EPOCH_DEPS);
}

#endif
