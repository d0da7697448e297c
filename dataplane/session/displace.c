/* SPDX-License-Identifier: Apache-2.0 */
#include "session/displace.h"

#include <rte_common.h>

#include "session/bucket.h"

/* Buckets looked at: two full ones, what their 16 keys could move to, and so on. Enough at 95 % load. */
#define REACH 256u
#define NOWHERE UINT32_MAX
#define ROOTS 2u

/* A bucket reached by moving the key in `slot` of step `from` there. */
struct step {
	uint32_t bucket;
	uint16_t from;
	uint8_t slot;
	uint16_t tag;
};

static inline uint16_t tag_at(uint32_t bucket, unsigned int slot)
{
	return atomic_load_explicit(&bucket_table.buckets[bucket].tags[slot], memory_order_relaxed);
}

static inline bool spared(uint32_t bucket, const uint32_t spare[4])
{
	return bucket == spare[0] || bucket == spare[1] || bucket == spare[2] || bucket == spare[3];
}

/* Breadth first, so the shortest chain of moves. Without locks: each move is checked when it is
 * made. Index of the step with a free slot, or NOWHERE. */
static uint32_t search(struct step *steps, uint32_t n, const uint32_t spare[4])
{
	for (uint32_t i = 0; i < n; i++) {
		if (i >= ROOTS && bucket_match(&bucket_table.buckets[steps[i].bucket], 0) != 0)
			return i;
		for (unsigned int slot = 0; slot < BUCKET_SLOTS && n < REACH; slot++) {
			uint16_t tag = tag_at(steps[i].bucket, slot);
			uint32_t other = bucket_other(steps[i].bucket, tag);

			if (tag != 0 && other != steps[i].bucket && !spared(other, spare))
				steps[n++] = (struct step){other, (uint16_t)i, (uint8_t)slot, tag};
		}
	}
	return NOWHERE;
}

/* Under both locks. The order is what readers rely on (bucket.h): the copy, the count for those who look in
 * the first bucket, `moves`, then the original goes. */
static bool move_locked(uint32_t from, unsigned int slot, uint16_t tag, uint32_t to)
{
	struct bucket *source = &bucket_table.buckets[from], *target = &bucket_table.buckets[to];
	uint32_t free_slots = bucket_match(target, 0), ref;
	unsigned int target_slot;
	bool leaves_first;

	if (tag_at(from, slot) != tag || free_slots == 0)
		return false;
	target_slot = (unsigned int)__builtin_ctz(free_slots);
	ref = atomic_load_explicit(&source->refs[slot], memory_order_relaxed);
	leaves_first = bucket_first(session_hash(&session_dirs[ref].key)) == from;
	atomic_store_explicit(&target->refs[target_slot], ref, memory_order_release);
	atomic_store_explicit(&target->tags[target_slot], tag, memory_order_release);
	if (leaves_first)
		atomic_fetch_add_explicit(&source->overflow, 1, memory_order_release);
	atomic_fetch_add_explicit(&bucket_table.moves, 1, memory_order_acq_rel);
	if (!leaves_first)
		atomic_fetch_sub_explicit(&target->overflow, 1, memory_order_release);
	atomic_store_explicit(&source->tags[slot], 0, memory_order_release);
	return true;
}

static bool move(uint32_t from, unsigned int slot, uint16_t tag, uint32_t to)
{
	uint32_t low = RTE_MIN(from, to), high = RTE_MAX(from, to);
	bool moved;

	bucket_lock(low);
	bucket_lock(high);
	moved = move_locked(from, slot, tag, to);
	bucket_unlock(high);
	bucket_unlock(low);
	return moved;
}

bool displace(uint32_t first, uint32_t second, const uint32_t spare[4])
{
	struct step steps[REACH] = {{first, 0, 0, 0}, {second, 0, 0, 0}};
	uint32_t at = search(steps, ROOTS, spare);

	if (at == NOWHERE)
		return false;
	/* From the free slot backwards: each move fills what the one before has emptied. */
	while (at >= ROOTS) {
		const struct step *s = &steps[at];

		if (!move(steps[s->from].bucket, s->slot, s->tag, s->bucket))
			break; /* somebody was faster */
		at = s->from;
	}
	return true;
}
