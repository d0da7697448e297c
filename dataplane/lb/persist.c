/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/persist.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "session/session.h"

/* The age of an entry is counted in steps of 1024 ms, which wrap when the clock does: after 50 days. */
#define STEP_SHIFT 10
#define STEP_BITS 22
#define STEP_MASK ((1u << STEP_BITS) - 1)
#define ID_SHIFT STEP_BITS
#define TAG_SHIFT (ID_SHIFT + 16)

struct bucket {
	_Atomic uint64_t entries[LB_PERSIST_WAYS]; /* tag 26 | id 16 | steps 22; 0: empty */
} __attribute__((aligned(64)));

static struct bucket *buckets;
static uint64_t secret[3];

int lb_persist_init(void)
{
	lb_persist_fini();
	if (posix_memalign((void **)&buckets, 64, LB_PERSIST_BUCKETS * sizeof(*buckets)) != 0)
		return -ENOMEM;
	memset(buckets, 0, LB_PERSIST_BUCKETS * sizeof(*buckets));
	if (getrandom(secret, sizeof(secret), GRND_NONBLOCK) != (ssize_t)sizeof(secret))
		secret[0] ^= (uintptr_t)buckets;
	return 0;
}

void lb_persist_fini(void)
{
	free(buckets);
	buckets = NULL;
}

static uint64_t hash_of(uint32_t listener, const struct ip_addr *client)
{
	return session_mix(
		session_mix(client->q[0] ^ secret[0], client->q[1] ^ secret[1]) ^ listener,
		secret[2]);
}

static struct bucket *bucket_of(uint64_t hash)
{
	return &buckets[(uint32_t)hash % LB_PERSIST_BUCKETS];
}

static uint64_t entry_make(uint64_t hash, uint16_t id, uint32_t now_ms)
{
	return hash >> TAG_SHIFT << TAG_SHIFT | (uint64_t)id << ID_SHIFT | now_ms >> STEP_SHIFT;
}

/* A clock that is a little ahead of ours wrote it just now. */
static uint32_t age_of(uint64_t entry, uint32_t now_ms)
{
	uint32_t age = ((now_ms >> STEP_SHIFT) - (uint32_t)entry) & STEP_MASK;

	return age <= STEP_MASK / 2 ? age : 0;
}

static uint32_t steps_of(uint32_t timeout_s)
{
	uint64_t steps = ((uint64_t)timeout_s * 1000 + (1u << STEP_SHIFT) - 1) >> STEP_SHIFT;

	return steps < STEP_MASK / 2 ? (uint32_t)steps : STEP_MASK / 2;
}

static bool is_of(uint64_t entry, uint64_t hash)
{
	return entry != 0 && entry >> TAG_SHIFT == hash >> TAG_SHIFT;
}

uint16_t lb_persist_find(
	uint32_t listener, const struct ip_addr *client, uint32_t timeout_s, uint32_t now_ms)
{
	uint64_t hash = hash_of(listener, client);
	struct bucket *bucket = bucket_of(hash);

	for (unsigned int way = 0; way < LB_PERSIST_WAYS; way++) {
		uint64_t entry = atomic_load_explicit(&bucket->entries[way], memory_order_relaxed);

		if (is_of(entry, hash))
			return age_of(entry, now_ms) <= steps_of(timeout_s)
				       ? (uint16_t)(entry >> ID_SHIFT)
				       : 0;
	}
	return 0;
}

void lb_persist_note(
	uint32_t listener, const struct ip_addr *client, uint16_t backend, uint32_t now_ms)
{
	uint64_t hash = hash_of(listener, client);
	struct bucket *bucket = bucket_of(hash);
	unsigned int place = 0;
	uint32_t oldest = 0;

	for (unsigned int way = 0; way < LB_PERSIST_WAYS; way++) {
		uint64_t entry = atomic_load_explicit(&bucket->entries[way], memory_order_relaxed);
		uint32_t age = entry == 0 ? UINT32_MAX : age_of(entry, now_ms);

		if (is_of(entry, hash)) {
			place = way;
			break;
		}
		if (age > oldest) {
			oldest = age;
			place = way;
		}
	}
	atomic_store_explicit(
		&bucket->entries[place], entry_make(hash, backend, now_ms), memory_order_relaxed);
}
