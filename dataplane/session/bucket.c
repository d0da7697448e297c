/* SPDX-License-Identifier: Apache-2.0 */
/* Writers of the hash table: locks, insertion, removal. Displacement is in displace.c. */
#include "session/bucket.h"

#include <errno.h>
#include <sched.h>

#include <rte_branch_prediction.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

#include "session/displace.h"
#include "session/memory.h"

/* Fewer buckets make pairs that are no pairs likely. */
#define BUCKETS_MIN 16u
#define INSERT_TRIES 16
#define SPINS 64

struct bucket_table bucket_table;

/* One key of a record, on its way in or out. */
struct entry {
	uint32_t ref;
	uint32_t first, second;
	uint16_t tag;
	uint32_t bucket, slot; /* chosen */
};

int bucket_init(uint32_t keys)
{
	bucket_table.n = RTE_MAX(keys / BUCKET_KEYS + 1, BUCKETS_MIN);
	bucket_table.buckets = memory_map(bucket_bytes(), MEMORY_RESERVED);
	atomic_store(&bucket_table.moves, 0);
	if (bucket_table.buckets == NULL)
		return -ENOMEM;
	/* Any flow may hash anywhere: all of it is used soon. */
	memory_populate(bucket_table.buckets, 0, bucket_bytes());
	return 0;
}

void bucket_fini(void)
{
	memory_unmap(bucket_table.buckets, bucket_bytes());
	bucket_table.buckets = NULL;
}

size_t bucket_bytes(void)
{
	return (size_t)bucket_table.n * sizeof(struct bucket);
}

void bucket_lock(uint32_t bucket)
{
	_Atomic uint32_t *lock = &bucket_table.buckets[bucket].lock;

	while (atomic_exchange_explicit(lock, 1, memory_order_acquire) != 0) {
		/* A holder writes a few words; only one that lost its CPU takes longer. */
		for (unsigned int spins = 0; atomic_load_explicit(lock, memory_order_relaxed) != 0;
			spins++) {
			if (spins < SPINS)
				rte_pause();
			else
				sched_yield();
		}
	}
}

void bucket_unlock(uint32_t bucket)
{
	atomic_store_explicit(&bucket_table.buckets[bucket].lock, 0, memory_order_release);
}

static inline void order(uint32_t *a, uint32_t *b)
{
	uint32_t low = RTE_MIN(*a, *b), high = RTE_MAX(*a, *b);

	*a = low;
	*b = high;
}

/* The buckets that two keys may live in, ascending; equal ones are neighbours. */
static void lock_four(uint32_t v[4])
{
	order(&v[0], &v[1]);
	order(&v[2], &v[3]);
	order(&v[0], &v[2]);
	order(&v[1], &v[3]);
	order(&v[1], &v[2]);
	for (unsigned int i = 0; i < 4; i++)
		if (i == 0 || v[i] != v[i - 1])
			bucket_lock(v[i]);
}

static void unlock_four(const uint32_t v[4])
{
	for (unsigned int i = 0; i < 4; i++)
		if (i == 0 || v[i] != v[i - 1])
			bucket_unlock(v[i]);
}

static bool same_flow(uint32_t a, uint32_t b)
{
	const struct session_ext *x = &session_exts[a >> 1], *y = &session_exts[b >> 1];

	return session_key_equal(&session_dirs[a].key, &session_dirs[b].key) &&
	       (!session_key_is_v6(&session_dirs[a].key) ||
		       (ip_addr_equal(&x->src[a & 1], &y->src[b & 1]) &&
			       ip_addr_equal(&x->dst[a & 1], &y->dst[b & 1])));
}

static void entry_of(struct entry *e, uint32_t ref, uint32_t hash)
{
	e->ref = ref;
	e->tag = bucket_tag(hash);
	e->first = bucket_first(hash);
	e->second = bucket_other(e->first, e->tag);
}

/* Both keys of a record; 1 when they are equal. */
static unsigned int entries_of(struct entry e[2], uint32_t index, const uint32_t hashes[2])
{
	entry_of(&e[0], index << 1, hashes[0]);
	entry_of(&e[1], index << 1 | 1, hashes[1]);
	return likely(hashes[0] != hashes[1]) || !same_flow(e[0].ref, e[1].ref) ? 2 : 1;
}

static inline uint32_t overflow_of(uint32_t bucket)
{
	return atomic_load_explicit(&bucket_table.buckets[bucket].overflow, memory_order_acquire);
}

static uint32_t holder_in(uint32_t bucket, const struct entry *e)
{
	const struct bucket *b = &bucket_table.buckets[bucket];

	for (uint32_t match = bucket_match(b, e->tag); match != 0; match &= match - 1) {
		uint32_t ref =
			atomic_load_explicit(&b->refs[__builtin_ctz(match)], memory_order_relaxed);

		if (same_flow(ref, e->ref))
			return ref;
	}
	return SESSION_NONE;
}

/* Who has the key already. Under the locks. */
static uint32_t holder_of(const struct entry *e)
{
	uint32_t ref = holder_in(e->first, e);

	if (unlikely(ref == SESSION_NONE && overflow_of(e->first) != 0))
		ref = holder_in(e->second, e);
	return ref;
}

/* A free slot of `bucket` that `taken` has not been given. */
static bool choose_in(struct entry *e, uint32_t bucket, const struct entry *taken)
{
	uint32_t free_slots = bucket_match(&bucket_table.buckets[bucket], 0);

	if (taken != NULL && taken->bucket == bucket)
		free_slots &= ~(1u << taken->slot);
	if (free_slots == 0)
		return false;
	e->bucket = bucket;
	e->slot = (uint32_t)__builtin_ctz(free_slots);
	return true;
}

/* A slot for each key, or which of them has no room: 0 or 1; 2 when all is well. */
static unsigned int choose(struct entry e[2], unsigned int n)
{
	bool room = false;

	for (unsigned int i = 0; i < 2; i++) {
		if (!choose_in(&e[0], i == 0 ? e[0].first : e[0].second, NULL))
			continue;
		room = true;
		/* With a bucket in common, the second may need the slot that the first has taken. */
		if (n == 1 || choose_in(&e[1], e[1].first, &e[0]) ||
			choose_in(&e[1], e[1].second, &e[0]))
			return 2;
	}
	return room ? 1 : 0;
}

static void enter(const struct entry *e)
{
	struct bucket *b = &bucket_table.buckets[e->bucket];

	/* Counted before it can be found, or a reader that has found it once might not again. */
	if (e->bucket != e->first)
		atomic_fetch_add_explicit(
			&bucket_table.buckets[e->first].overflow, 1, memory_order_relaxed);
	atomic_store_explicit(&b->refs[e->slot], e->ref, memory_order_release);
	atomic_store_explicit(&b->tags[e->slot], e->tag, memory_order_release);
}

static void enter_all(const struct entry e[2], unsigned int n, _Atomic uint32_t *state,
	uint32_t value, uint32_t *ref)
{
	atomic_store_explicit(state, value, memory_order_release);
	for (unsigned int i = 0; i < n; i++)
		enter(&e[i]);
	*ref = e[0].ref;
}

/* An attempt under the locks of the first buckets only, which as a rule is enough: with nothing in its second, whoever has or
 * enters the key locks the first. */
static int insert_first(
	struct entry e[2], unsigned int n, _Atomic uint32_t *state, uint32_t value, uint32_t *ref)
{
	for (unsigned int i = 0; i < n; i++) {
		if (overflow_of(e[i].first) != 0)
			return -EAGAIN;
		*ref = holder_in(e[i].first, &e[i]);
		if (*ref != SESSION_NONE)
			return -EEXIST;
		if (!choose_in(&e[i], e[i].first, i > 0 ? &e[0] : NULL))
			return -EAGAIN;
	}
	enter_all(e, n, state, value, ref);
	return 0;
}

/* Under the locks of all buckets that the keys may live in. -EAGAIN: e[*full] has no room. */
static int insert_any(struct entry e[2], unsigned int n, _Atomic uint32_t *state, uint32_t value,
	uint32_t *ref, unsigned int *full)
{
	for (unsigned int i = 0; i < n; i++) {
		*ref = holder_of(&e[i]);
		if (*ref != SESSION_NONE)
			return -EEXIST;
	}
	*full = choose(e, n);
	if (*full < 2)
		return -EAGAIN;
	enter_all(e, n, state, value, ref);
	return 0;
}

static int insert_crowded(
	struct entry e[2], unsigned int n, _Atomic uint32_t *state, uint32_t value, uint32_t *ref)
{
	for (unsigned int tries = 0; tries < INSERT_TRIES; tries++) {
		uint32_t locks[4] = {e[0].first, e[0].second, e[n - 1].first, e[n - 1].second};
		unsigned int full;
		int err;

		lock_four(locks);
		err = insert_any(e, n, state, value, ref, &full);
		unlock_four(locks);
		if (err != -EAGAIN)
			return err;
		if (!displace(e[full].first, e[full].second, locks))
			break;
	}
	return -ENOSPC;
}

int bucket_insert(uint32_t index, const uint32_t hashes[2], _Atomic uint32_t *state, uint32_t value,
	uint32_t *ref)
{
	struct entry e[2];
	unsigned int n = entries_of(e, index, hashes);
	uint32_t low = RTE_MIN(e[0].first, e[n - 1].first),
		 high = RTE_MAX(e[0].first, e[n - 1].first);
	int err;

	bucket_lock(low);
	if (high != low)
		bucket_lock(high);
	err = insert_first(e, n, state, value, ref);
	if (high != low)
		bucket_unlock(high);
	bucket_unlock(low);
	return likely(err != -EAGAIN) ? err : insert_crowded(e, n, state, value, ref);
}

static bool remove_from(const struct entry *e, uint32_t bucket)
{
	struct bucket *b = &bucket_table.buckets[bucket];
	bool found = false;

	bucket_lock(bucket);
	for (uint32_t match = bucket_match(b, e->tag); match != 0; match &= match - 1) {
		unsigned int slot = (unsigned int)__builtin_ctz(match);

		if (atomic_load_explicit(&b->refs[slot], memory_order_relaxed) != e->ref)
			continue;
		atomic_store_explicit(&b->tags[slot], 0, memory_order_release);
		found = true;
		break;
	}
	bucket_unlock(bucket);
	return found;
}

void bucket_remove(uint32_t index, const uint32_t hashes[2])
{
	struct entry e[2];
	unsigned int n = entries_of(e, index, hashes);

	for (unsigned int i = 0; i < n; i++) {
		/* It may be moved between the two looks, then it is where we looked first. */
		while (!remove_from(&e[i], e[i].first)) {
			if (!remove_from(&e[i], e[i].second))
				continue;
			atomic_fetch_sub_explicit(&bucket_table.buckets[e[i].first].overflow, 1,
				memory_order_release);
			break;
		}
	}
}
