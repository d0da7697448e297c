/* SPDX-License-Identifier: Apache-2.0 */
#include "core/epoch.h"

#include <errno.h>
#include <stdlib.h>

_Atomic uint32_t *epoch_values READ_MOSTLY;
struct epoch_word epoch_word;

/* Free slots, a stack, last in first out so that few pages are touched. Slots from `fresh` on were never taken. */
static epoch_slot_t *free_slots;
static uint32_t n_free, fresh, n_slots;

int epoch_init(uint32_t max)
{
	if (epoch_values != NULL)
		return -EINVAL;
	n_slots = max + 3; /* the special ones beside them */
	epoch_values = calloc(n_slots, sizeof(*epoch_values));
	free_slots = calloc(n_slots, sizeof(*free_slots));
	if (epoch_values == NULL || free_slots == NULL) {
		epoch_fini();
		return -ENOMEM;
	}
	fresh = EPOCH_MORE_SLOT + 1;
	n_free = 0;
	return 0;
}

void epoch_fini(void)
{
	free(epoch_values);
	free(free_slots);
	epoch_values = NULL;
	free_slots = NULL;
}

epoch_slot_t epoch_take(void)
{
	if (n_free > 0)
		return free_slots[--n_free];
	return fresh < n_slots ? fresh++ : EPOCH_NO_SLOT;
}

void epoch_free(epoch_slot_t slot)
{
	if (slot == EPOCH_NO_SLOT)
		return;
	epoch_bump(slot);
	free_slots[n_free++] = slot;
}

/* The word moves on both sides of the slot. Who validates sees the second move only with the new value; and who walks the road while this runs, and
 * sums the new value after having read the old tables, has seen a word from before the first. */
void epoch_bump(epoch_slot_t slot)
{
	if (slot == EPOCH_NO_SLOT)
		return;
	atomic_fetch_add_explicit(&epoch_word.change, 1, memory_order_seq_cst);
	atomic_fetch_add_explicit(&epoch_values[slot], 1, memory_order_seq_cst);
	atomic_fetch_add_explicit(&epoch_values[EPOCH_ANY_SLOT], 1, memory_order_seq_cst);
	atomic_fetch_add_explicit(&epoch_word.change, 1, memory_order_release);
}
