/* SPDX-License-Identifier: Apache-2.0 */
#include "session/index.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_ring_elem.h>

#include "base/cache_line.h"
#include "core/rcu.h"
#include "session/memory.h"

#define BATCH_MAX 64u
/* Lists that a thread may hold: free, waiting for its grace period, being filled. */
#define LISTS 3u

struct list {
	uint32_t head, n;
	uint64_t token; /* of retired ones */
};
_Static_assert(sizeof(struct list) == 16, "an element of the ring");

/* Written by its thread only; `used` is read by others. */
struct thread {
	_Atomic uint32_t used; /* made minus ended here: wraps, only the sum says something */
	bool tight;            /* near the capacity: count before each */
	uint32_t fresh, fresh_end;
	struct list waiting, retired;
	uint32_t n_free, free[BATCH_MAX + 1]; /* the last one is next; one more may be given back */
} __attribute__((aligned(64)));

_Atomic uint32_t *index_states READ_MOSTLY;

static struct thread threads[RCU_THREADS_MAX];
static unsigned int n_threads READ_MOSTLY;
static struct rte_ring *ring READ_MOSTLY;
static uint32_t n_ring READ_MOSTLY;
static uint32_t capacity READ_MOSTLY, records READ_MOSTLY, batch READ_MOSTLY;
/* Of records that were never used: moved once a batch by each thread, as long as there are such. */
static struct {
	_Atomic uint32_t at;
} OWN_LINE high_water;

/* Sessions of a VPC made minus ended by a thread: [thread][vpc]. */
static struct vpc_count {
	_Atomic uint32_t used, unanswered;
} * vpc_used READ_MOSTLY;
/* The most a VPC may have, 0: the default; and how much of that without an answer. */
static _Atomic uint32_t *vpc_share READ_MOSTLY;
static _Atomic uint32_t default_share READ_MOSTLY; /* 0: no limit */
static _Atomic uint32_t unanswered_percent READ_MOSTLY = 100;

static inline size_t vpc_used_bytes(void)
{
	return (size_t)SESSION_VPCS_MAX * n_threads * sizeof(*vpc_used);
}

static inline size_t vpc_share_bytes(void)
{
	return (size_t)SESSION_VPCS_MAX * sizeof(*vpc_share);
}

static int ring_new(void)
{
	n_ring = rte_align32pow2(records / batch + n_threads + 2);
	ring = aligned_alloc(RTE_CACHE_LINE_SIZE,
		RTE_ALIGN_CEIL((size_t)rte_ring_get_memsize_elem(sizeof(struct list), n_ring),
			RTE_CACHE_LINE_SIZE));
	if (ring == NULL)
		return -ENOMEM;
	/* RTS: a thread that lost its CPU in the middle holds up nobody. */
	return rte_ring_init(
		ring, "session_indexes", n_ring, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
}

int index_init(uint32_t n)
{
	n_threads = rcu_threads();
	capacity = n;
	/* Small tables: small batches, that the threads' lists do not matter beside the capacity. */
	batch = RTE_MIN(RTE_MAX(capacity / (32 * n_threads), 1u), BATCH_MAX);
	records = capacity + LISTS * batch * n_threads;
	atomic_store(&high_water.at, 0);
	for (unsigned int t = 0; t < RCU_THREADS_MAX; t++)
		threads[t] = (struct thread){.waiting.head = INDEX_END, .retired.head = INDEX_END};
	index_states = memory_map(records * sizeof(*index_states), MEMORY_RESERVED);
	vpc_used = memory_map(vpc_used_bytes(), MEMORY_SMALL);
	vpc_share = memory_map(vpc_share_bytes(), MEMORY_SMALL);
	if (index_states == NULL || vpc_used == NULL || vpc_share == NULL)
		return -ENOMEM;
	return ring_new();
}

void index_fini(void)
{
	memory_unmap(index_states, records * sizeof(*index_states));
	memory_unmap(vpc_used, vpc_used_bytes());
	memory_unmap(vpc_share, vpc_share_bytes());
	free(ring);
	index_states = vpc_share = NULL;
	vpc_used = NULL;
	ring = NULL;
}

uint32_t index_records(void)
{
	return records;
}

size_t index_bytes(void)
{
	return records * sizeof(*index_states) + n_ring * sizeof(struct list);
}

uint32_t index_high_water(void)
{
	return RTE_MIN(atomic_load_explicit(&high_water.at, memory_order_acquire), records);
}

uint32_t session_capacity(void)
{
	return capacity;
}

uint32_t session_used(void)
{
	uint32_t sum = 0;

	for (unsigned int t = 0; t < n_threads; t++)
		sum += atomic_load_explicit(&threads[t].used, memory_order_relaxed);
	/* A session may be counted off before it is counted, if not for long. */
	return (int32_t)sum < 0 ? 0 : sum;
}

static inline struct vpc_count *vpc_slice(uint32_t vpc_index, unsigned int thread)
{
	return &vpc_used[(size_t)thread * SESSION_VPCS_MAX + vpc_index];
}

uint32_t session_vpc_used(uint32_t vpc_index)
{
	uint32_t sum = 0;

	for (unsigned int t = 0; t < n_threads; t++)
		sum += atomic_load_explicit(&vpc_slice(vpc_index, t)->used, memory_order_relaxed);
	return (int32_t)sum < 0 ? 0 : sum;
}

uint32_t session_vpc_unanswered(uint32_t vpc_index)
{
	uint32_t sum = 0;

	for (unsigned int t = 0; t < n_threads; t++)
		sum += atomic_load_explicit(
			&vpc_slice(vpc_index, t)->unanswered, memory_order_relaxed);
	return (int32_t)sum < 0 ? 0 : sum;
}

void session_share_set(uint32_t vpc_index, uint32_t max)
{
	if (vpc_index < SESSION_VPCS_MAX)
		atomic_store_explicit(&vpc_share[vpc_index], max, memory_order_relaxed);
}

void session_share_default(uint32_t max, unsigned int unanswered)
{
	atomic_store_explicit(&default_share, max, memory_order_relaxed);
	atomic_store_explicit(&unanswered_percent, unanswered, memory_order_relaxed);
}

static uint32_t share_of(uint32_t vpc_index)
{
	uint32_t share = atomic_load_explicit(&vpc_share[vpc_index], memory_order_relaxed);

	return share != 0 ? share : atomic_load_explicit(&default_share, memory_order_relaxed);
}

/* Of a share, what may be unanswered; UINT32_MAX: all. */
static uint32_t unanswered_of(uint32_t share)
{
	uint32_t percent = atomic_load_explicit(&unanswered_percent, memory_order_relaxed);

	return percent >= 100 ? UINT32_MAX : (uint32_t)((uint64_t)share * percent / 100);
}

int index_share_left(uint32_t vpc_index)
{
	uint32_t share = share_of(vpc_index);

	if (likely(share == 0))
		return 0;
	if (session_vpc_used(vpc_index) >= share)
		return -EDQUOT;
	return session_vpc_unanswered(vpc_index) >= unanswered_of(share) ? -EBUSY : 0;
}

bool index_share_crowded(uint32_t index)
{
	uint32_t state = atomic_load_explicit(&index_states[index], memory_order_relaxed);
	uint32_t vpc_index = state & ~(INDEX_ALIVE | INDEX_UNANSWERED), share, unanswered;

	if (!(state & INDEX_ALIVE))
		return false; /* ended meanwhile: the word says something else */
	share = share_of(vpc_index);
	unanswered = unanswered_of(share);
	return share != 0 &&
	       (session_vpc_used(vpc_index) >= share - share / 10 ||
		       session_vpc_unanswered(vpc_index) >= unanswered - unanswered / 10);
}

/* Only this thread writes these. */
static inline void add(_Atomic uint32_t *counter, uint32_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

/* A session of that state lives, or does not any more. */
static inline void count(uint32_t state, uint32_t n)
{
	struct vpc_count *c = vpc_slice(state & ~(INDEX_ALIVE | INDEX_UNANSWERED), rcu_thread);

	add(&threads[rcu_thread].used, n);
	add(&c->used, n);
	if (state & INDEX_UNANSWERED)
		add(&c->unanswered, n);
}

void index_count(uint32_t state)
{
	count(state, 1);
}

void session_answered(uint32_t index)
{
	uint32_t state = atomic_load_explicit(&index_states[index], memory_order_relaxed);

	while ((state & INDEX_ALIVE) && (state & INDEX_UNANSWERED))
		if (atomic_compare_exchange_weak_explicit(&index_states[index], &state,
			    state & ~INDEX_UNANSWERED, memory_order_acq_rel,
			    memory_order_relaxed)) {
			add(&vpc_slice(state & ~(INDEX_ALIVE | INDEX_UNANSWERED), rcu_thread)
					->unanswered,
				UINT32_MAX);
			return;
		}
}

static bool take_waiting(struct thread *t)
{
	if (t->waiting.n == 0 && rte_ring_dequeue_elem(ring, &t->waiting, sizeof(t->waiting)) != 0)
		return false;
	if (!rcu_token_passed(t->waiting.token))
		return false;
	for (uint32_t index = t->waiting.head; t->n_free < t->waiting.n; t->n_free++) {
		t->free[t->n_free] = index;
		index = atomic_load_explicit(&index_states[index], memory_order_relaxed);
	}
	t->waiting = (struct list){.head = INDEX_END};
	return true;
}

static bool take_fresh(struct thread *t)
{
	uint32_t first;

	if (atomic_load_explicit(&high_water.at, memory_order_relaxed) >= records)
		return false;
	first = atomic_fetch_add_explicit(&high_water.at, batch, memory_order_acq_rel);
	if (first >= records)
		return false;
	t->fresh = first;
	t->fresh_end = RTE_MIN(first + batch, records);
	return true;
}

/* The list that waits may be younger than others: another thread's readers may be slow. */
static bool take_other(struct thread *t)
{
	for (unsigned int i = 0; i < n_threads && t->waiting.n > 0; i++) {
		if (rte_ring_enqueue_elem(ring, &t->waiting, sizeof(t->waiting)) == 0)
			t->waiting = (struct list){.head = INDEX_END};
		if (take_waiting(t))
			return true;
	}
	return false;
}

static bool refill(struct thread *t)
{
	t->tight = session_used() + batch * n_threads >= capacity;
	return take_waiting(t) || take_fresh(t) || take_other(t);
}

uint32_t index_take(void)
{
	struct thread *t = &threads[rcu_thread];

	if (unlikely(t->n_free == 0 && t->fresh == t->fresh_end && !refill(t)))
		return SESSION_NONE;
	if (unlikely(t->tight && session_used() >= capacity))
		return SESSION_NONE;
	return t->n_free > 0 ? t->free[--t->n_free] : t->fresh++;
}

uint32_t index_ahead(uint32_t n)
{
	const struct thread *t = &threads[rcu_thread];

	if (t->n_free > n)
		return t->free[t->n_free - 1 - n];
	/* A worker alone has the next batch, too. */
	return t->n_free == 0 && t->fresh + n < records ? t->fresh + n : SESSION_NONE;
}

void index_untake(uint32_t index)
{
	struct thread *t = &threads[rcu_thread];

	t->free[t->n_free++] = index;
}

bool index_kill(uint32_t index)
{
	uint32_t state = atomic_load_explicit(&index_states[index], memory_order_acquire);

	/* Meanwhile it may be answered, but not become another that lives: the caller is a reader. */
	do {
		if (!(state & INDEX_ALIVE))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&index_states[index], &state, INDEX_END,
		memory_order_acq_rel, memory_order_acquire));
	count(state, UINT32_MAX);
	return true;
}

void index_retire(uint32_t index)
{
	struct thread *t = &threads[rcu_thread];

	atomic_store_explicit(&index_states[index], t->retired.head, memory_order_relaxed);
	t->retired.head = index;
	if (++t->retired.n < batch)
		return;
	t->retired.token = rcu_token();
	/* There is a place for every full list. */
	rte_ring_enqueue_elem(ring, &t->retired, sizeof(t->retired));
	t->retired = (struct list){.head = INDEX_END};
}
