/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of the hash table: one key, and a burst in stages. */
#include <netinet/in.h>

#include <rte_branch_prediction.h>
#include <rte_debug.h>
#include <rte_prefetch.h>

#include "base/simd.h"
#include "session/bucket.h"

static bool addresses_equal(uint32_t ref, const struct ip_addr *src, const struct ip_addr *dst)
{
	const struct session_ext *ext = &session_exts[ref >> 1];

	return src != NULL && dst != NULL && ip_addr_equal(&ext->src[ref & 1], src) &&
	       ip_addr_equal(&ext->dst[ref & 1], dst);
}

static inline uint32_t ref_at(const struct bucket *b, unsigned int slot)
{
	/* Acquire: the record was filled before. */
	return atomic_load_explicit(&b->refs[slot], memory_order_acquire);
}

static uint32_t lookup_in(const struct bucket *b, uint16_t tag, const struct session_key *key,
	const struct ip_addr *src, const struct ip_addr *dst)
{
	for (uint32_t match = bucket_match(b, tag); match != 0; match &= match - 1) {
		uint32_t ref = ref_at(b, (unsigned int)__builtin_ctz(match));

		if (session_key_equal(&session_dirs[ref].key, key) &&
			(!session_key_is_v6(key) || addresses_equal(ref, src, dst)))
			return ref;
	}
	return SESSION_NONE;
}

static inline bool overflows(const struct bucket *b)
{
	/* Behind the tags: a key on its way to its second bucket is counted before its first loses it. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&b->overflow, memory_order_acquire) != 0;
}

static inline uint32_t moves_before(void)
{
	return atomic_load_explicit(&bucket_table.moves, memory_order_acquire);
}

static inline uint32_t moves_after(void)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&bucket_table.moves, memory_order_relaxed);
}

uint32_t session_lookup(const struct session_key *key, uint32_t hash, const struct ip_addr *src,
	const struct ip_addr *dst)
{
	uint32_t first = bucket_first(hash), moves, ref;
	const struct bucket *b = &bucket_table.buckets[first];
	uint16_t tag = bucket_tag(hash);

	do {
		moves = moves_before();
		ref = lookup_in(b, tag, key, src, dst);
		if (ref == SESSION_NONE && overflows(b))
			ref = lookup_in(&bucket_table.buckets[bucket_other(first, tag)], tag, key,
				src, dst);
	} while (ref == SESSION_NONE && moves_after() != moves);
	return ref;
}

static inline void prefetch_records(uint32_t ref, const struct session_key *key)
{
	rte_prefetch0(&session_dirs[ref]);
	rte_prefetch0_write(session_hot_of(ref));
	if (session_key_proto(key) == IPPROTO_TCP)
		rte_prefetch0(session_hot_of(ref ^ 1)); /* its window */
}

/* The first slot whose tag fits: the right one but for one key in a thousand. */
static inline uint32_t candidate(
	const struct bucket *b, uint16_t tag, const struct session_key *key)
{
	uint32_t match = bucket_match(b, tag), ref;

	if (match == 0)
		return SESSION_NONE;
	ref = ref_at(b, (unsigned int)__builtin_ctz(match));
	prefetch_records(ref, key);
	return ref;
}

/* Second buckets of those keys that their first may have lost to it. */
static void candidates_second(const struct session_key *keys, const uint32_t *hashes,
	const uint32_t *second, const uint8_t *late, unsigned int n_late, uint32_t *refs)
{
	for (unsigned int l = 0; l < n_late; l++) {
		unsigned int i = late[l];

		refs[i] = candidate(
			&bucket_table.buckets[second[l]], bucket_tag(hashes[i]), &keys[i]);
	}
}

static void candidates(
	const struct session_key *keys, const uint32_t *hashes, uint32_t *refs, unsigned int n)
{
	uint32_t second[SESSION_BULK];
	uint8_t late[SESSION_BULK];
	unsigned int n_late = 0;

	for (unsigned int i = 0; i < n; i++)
		rte_prefetch0(&bucket_table.buckets[bucket_first(hashes[i])]);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t first = bucket_first(hashes[i]);
		const struct bucket *b = &bucket_table.buckets[first];
		uint16_t tag = bucket_tag(hashes[i]);

		refs[i] = candidate(b, tag, &keys[i]);
		if (unlikely(refs[i] == SESSION_NONE && overflows(b))) {
			second[n_late] = bucket_other(first, tag);
			rte_prefetch0(&bucket_table.buckets[second[n_late]]);
			late[n_late++] = (uint8_t)i;
		}
	}
	candidates_second(keys, hashes, second, late, n_late, refs);
}

SIMD_CLONES void session_lookup_bulk(const struct session_key *keys, const uint32_t *hashes,
	const struct ip_addr (*addrs)[2], uint64_t v6, uint32_t *refs, unsigned int n)
{
	uint32_t moves = moves_before();
	uint64_t again = 0;

	RTE_ASSERT(n <= SESSION_BULK);
	candidates(keys, hashes, refs, n);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t ref = refs[i];

		if (unlikely(ref == SESSION_NONE))
			continue;
		if (unlikely(!session_key_equal(&session_dirs[ref].key, &keys[i]) ||
			     ((v6 >> i & 1) && !addresses_equal(ref, &addrs[i][0], &addrs[i][1]))))
			again |= 1ull << i;
	}
	if (unlikely(moves_after() != moves))
		for (unsigned int i = 0; i < n; i++)
			again |= (uint64_t)(refs[i] == SESSION_NONE) << i;
	for (; again != 0; again &= again - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(again);

		refs[i] = session_lookup(&keys[i], hashes[i], addrs != NULL ? &addrs[i][0] : NULL,
			addrs != NULL ? &addrs[i][1] : NULL);
	}
}
