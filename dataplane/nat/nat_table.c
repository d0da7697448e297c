/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_table.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>

#include <rte_common.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

#include "base/cache_line.h"
#include "base/prefetch.h"
#include "core/rcu.h"
#include "session/memory.h"

#define LOCKED 0x80000000u
/* So many records ahead of those in use have memory, taken in such pieces: a first use costs a worker no page fault. */
#define AHEAD 65536u
#define PIECE 32768u
#define POPULATE_MS 1u
#define SPINS 64u

struct nat_record *nat_records READ_MOSTLY;

static uint32_t capacity READ_MOSTLY; /* indexes are below */
static _Atomic uint32_t *buckets READ_MOSTLY;
static uint32_t mask READ_MOSTLY;
static uint64_t seed[2] READ_MOSTLY;
static _Atomic uint32_t fresh; /* never used yet from here on */
static _Atomic int32_t used;

/* Lists of free records; the upper half of a head counts its changes, so that none is mistaken for an earlier one. */
static _Atomic uint64_t free_head, limbo_head;
static uint32_t populated; /* control thread, like: */
static uint32_t batch;     /* those that wait for the token. Control thread */
static uint64_t batch_token;

int nat_table_init(uint32_t n)
{
	if (nat_records != NULL)
		return 0;
	capacity = n + 1;
	mask = rte_align32pow2(RTE_MAX(n / 2, 1024u)) - 1;
	nat_records = memory_map((size_t)capacity * sizeof(*nat_records), MEMORY_HUGE);
	buckets = memory_map(((size_t)mask + 1) * sizeof(*buckets), MEMORY_HUGE);
	if (nat_records == NULL || buckets == NULL) {
		nat_table_fini();
		return -ENOMEM;
	}
	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		seed[0] = (uintptr_t)nat_records;
	atomic_store(&fresh, 1);
	return 0;
}

void nat_table_fini(void)
{
	memory_unmap(nat_records, (size_t)capacity * sizeof(*nat_records));
	memory_unmap((void *)buckets, ((size_t)mask + 1) * sizeof(*buckets));
	nat_records = NULL;
	buckets = NULL;
	atomic_store(&free_head, 0);
	atomic_store(&limbo_head, 0);
	atomic_store(&used, 0);
	batch = populated = 0;
}

/* Not in `next`: somebody may still be on his way through the chain. */
static inline uint32_t link_of(uint32_t index)
{
	return __atomic_load_n(&nat_records[index].parent, __ATOMIC_RELAXED);
}

static void push(_Atomic uint64_t *head, uint32_t index)
{
	uint64_t old = atomic_load_explicit(head, memory_order_relaxed), new;

	do {
		__atomic_store_n(&nat_records[index].parent, (uint32_t)old, __ATOMIC_RELAXED);
		new = ((old >> 32) + 1) << 32 | index;
	} while (!atomic_compare_exchange_weak_explicit(
		head, &old, new, memory_order_release, memory_order_relaxed));
}

static uint32_t pop(_Atomic uint64_t *head)
{
	uint64_t old = atomic_load_explicit(head, memory_order_acquire), new;

	do {
		if ((uint32_t)old == 0)
			return 0;
		new = ((old >> 32) + 1) << 32 | link_of((uint32_t)old);
	} while (!atomic_compare_exchange_weak_explicit(
		head, &old, new, memory_order_acquire, memory_order_acquire));
	return (uint32_t)old;
}

uint32_t nat_record_new(void)
{
	uint32_t index = pop(&free_head);
	struct nat_record *r;

	if (index == 0 && atomic_load_explicit(&fresh, memory_order_relaxed) < capacity) {
		index = atomic_fetch_add_explicit(&fresh, 1, memory_order_relaxed);
		if (index >= capacity) {
			atomic_fetch_sub_explicit(&fresh, 1, memory_order_relaxed);
			index = 0;
		}
	}
	if (index == 0)
		return 0;
	r = &nat_records[index];
	prefetch_own(r + 1); /* of those never used before, as a rule the next one */
	memset((void *)r, 0, sizeof(*r));
	atomic_store_explicit(&r->refs, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&used, 1, memory_order_relaxed);
	return index;
}

void nat_record_free(uint32_t index)
{
	push(&limbo_head, index);
}

/* True when there is more to do. */
static bool populate(void)
{
	uint32_t most =
		RTE_MIN(atomic_load_explicit(&fresh, memory_order_relaxed) + AHEAD, capacity);
	uint32_t to = RTE_MIN(populated + PIECE, most);

	if (populated >= most)
		return false;
	memory_populate((void *)nat_records, (size_t)populated * sizeof(*nat_records),
		(size_t)to * sizeof(*nat_records));
	populated = to;
	return to < most;
}

void nat_table_turn(void)
{
	uint32_t next;

	memory_populate_for(POPULATE_MS, populate);
	if (batch != 0 && rcu_token_passed(batch_token)) {
		for (; batch != 0; batch = next) {
			next = link_of(batch);
			push(&free_head, batch);
			atomic_fetch_sub_explicit(&used, 1, memory_order_relaxed);
		}
	}
	if (batch == 0 && (uint32_t)atomic_load_explicit(&limbo_head, memory_order_relaxed) != 0) {
		batch = (uint32_t)atomic_exchange(&limbo_head, 0);
		batch_token = rcu_token();
	}
}

uint32_t nat_table_used(void)
{
	int32_t n = atomic_load_explicit(&used, memory_order_relaxed);

	return n < 0 ? 0 : (uint32_t)n;
}

__extension__ typedef unsigned __int128 wide;

static uint64_t mix(uint64_t a, uint64_t b)
{
	wide m = (wide)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static bool is_remote(const struct nat_record *r)
{
	return r->kind == NAT_REMOTE;
}

static _Atomic uint32_t *bucket_of(const struct nat_record *key)
{
	uint64_t head = (uint64_t)key->gateway << 48 | (uint64_t)key->port << 32 |
			(uint64_t)key->kind << 8 | nat_space_of(key);
	uint64_t h = mix(head ^ seed[0], key->addr.q[0] ^ seed[1]);

	h = mix(h ^ key->addr.q[1], seed[0]);
	if (is_remote(key))
		h = mix(h ^ key->remote.q[0] ^ key->parent, key->remote.q[1] ^ seed[1]);
	return &buckets[(uint32_t)(h >> 32) & mask];
}

static bool same(const struct nat_record *a, const struct nat_record *b)
{
	return a->kind == b->kind && a->gateway == b->gateway && a->space == b->space &&
	       a->port == b->port && ip_addr_equal(&a->addr, &b->addr) &&
	       (!is_remote(a) || (a->parent == b->parent && ip_addr_equal(&a->remote, &b->remote)));
}

/* In the chain that begins with `index`; a dead one is none. */
static uint32_t find_in(uint32_t index, const struct nat_record *key)
{
	while (index != 0) {
		const struct nat_record *r = &nat_records[index];

		if (same(r, key) && atomic_load_explicit(&r->refs, memory_order_relaxed) != 0)
			return index;
		index = atomic_load_explicit(&r->next, memory_order_acquire);
	}
	return 0;
}

static uint32_t chain_at(const _Atomic uint32_t *bucket)
{
	return atomic_load_explicit(bucket, memory_order_acquire) & ~LOCKED;
}

static uint32_t chain_of(const struct nat_record *key)
{
	return chain_at(bucket_of(key));
}

uint32_t nat_table_find(const struct nat_record *key)
{
	uint32_t index = find_in(chain_of(key), key);

	return index != 0 && nat_record_get(index) ? index : 0;
}

uintptr_t nat_table_foresee(const struct nat_record *key)
{
	const _Atomic uint32_t *bucket = bucket_of(key);

	rte_prefetch0((const void *)bucket);
	return (uintptr_t)bucket;
}

void nat_table_foresee_record(uintptr_t at)
{
	prefetch_own(&nat_records[chain_at((const _Atomic uint32_t *)at)]);
}

const struct nat_record *nat_table_foreseen(uintptr_t at, const struct nat_record *key)
{
	uint32_t index = find_in(chain_at((const _Atomic uint32_t *)at), key);

	return index != 0 ? &nat_records[index] : NULL;
}

const struct nat_record *nat_table_look(const struct nat_record *key)
{
	uint32_t index = nat_records != NULL ? find_in(chain_of(key), key) : 0;

	return index != 0 ? &nat_records[index] : NULL;
}

/* Returns the chain's first. */
static uint32_t lock(_Atomic uint32_t *bucket)
{
	for (unsigned int spins = 0;; spins++) {
		uint32_t head = atomic_load_explicit(bucket, memory_order_relaxed);

		if (!(head & LOCKED) &&
			atomic_compare_exchange_weak_explicit(bucket, &head, head | LOCKED,
				memory_order_acquire, memory_order_relaxed))
			return head;
		if (spins % SPINS != SPINS - 1)
			rte_pause();
		else
			sched_yield();
	}
}

static void unlock(_Atomic uint32_t *bucket, uint32_t head)
{
	atomic_store_explicit(bucket, head, memory_order_release);
}

uint32_t nat_table_add(uint32_t index)
{
	struct nat_record *r = &nat_records[index];
	_Atomic uint32_t *bucket = bucket_of(r);
	uint32_t head = lock(bucket), found = find_in(head, r);

	if (found != 0 && nat_record_get(found)) {
		unlock(bucket, head);
		return found;
	}
	atomic_store_explicit(&r->next, head, memory_order_relaxed);
	unlock(bucket, index);
	return index;
}

bool nat_record_get(uint32_t index)
{
	_Atomic uint32_t *refs = &nat_records[index].refs;
	uint32_t n = atomic_load_explicit(refs, memory_order_relaxed);

	while (n != 0)
		if (atomic_compare_exchange_weak_explicit(
			    refs, &n, n + 1, memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

static bool is_keyed(const struct nat_record *r)
{
	return (r->kind == NAT_MAPPING || r->kind == NAT_REMOTE || r->kind == NAT_HOST ||
		       r->kind == NAT_OWNER) &&
	       !(r->space & NAT_HIDDEN);
}

/* Out of the chain that begins with `head`; returns what it begins with then. */
static uint32_t unlink_from(uint32_t head, uint32_t index)
{
	uint32_t next = atomic_load(&nat_records[index].next);

	if (head == index)
		return next;
	for (uint32_t at = head; at != 0; at = atomic_load(&nat_records[at].next))
		if (atomic_load(&nat_records[at].next) == index) {
			atomic_store_explicit(&nat_records[at].next, next, memory_order_release);
			break;
		}
	return head;
}

static void take_out(uint32_t index)
{
	_Atomic uint32_t *bucket = bucket_of(&nat_records[index]);

	unlock(bucket, unlink_from(lock(bucket), index));
}

void nat_table_hide(uint32_t index)
{
	struct nat_record *r = &nat_records[index];
	_Atomic uint32_t *bucket = bucket_of(r);
	uint32_t head = lock(bucket);

	if (!(r->space & NAT_HIDDEN)) {
		head = unlink_from(head, index);
		r->space |= NAT_HIDDEN;
	}
	unlock(bucket, head);
}

bool nat_record_put(uint32_t index)
{
	if (atomic_fetch_sub_explicit(&nat_records[index].refs, 1, memory_order_acq_rel) != 1)
		return false;
	if (is_keyed(&nat_records[index]))
		take_out(index);
	return true;
}
