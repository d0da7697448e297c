/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_BUCKET_H
#define SESSION_BUCKET_H
/* The hash table under the sessions: keys to references. Only session/ includes this.
 *
 * A key lives in its first bucket when that has room, else in its second, else room is made by moving others to their
 * second choice. The two choices of a key are a pair that the tag alone leads between, so that a key can
 * be moved without its hash. A bucket counts the keys that live in their second bucket instead of here
 * (`overflow`): while it is 0, most of the time, a look-up reads one line, hit or miss.
 *
 * Readers take no lock. A key that is moved is in both buckets for a while, and `moves` is raised before it leaves the old one;
 * a reader that found nothing looks again when `moves` has changed meanwhile, so it never misses a key that is
 * there. Writers lock the buckets they change, in ascending order.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_vect.h>

#include "base/cache_line.h"
#include "base/prefetch.h"
#include "session/session.h"

#define BUCKET_SLOTS 8u
#define BUCKET_KEYS 5u /* a bucket, when the table is full */

struct bucket {
	_Atomic uint16_t tags[BUCKET_SLOTS]; /* 0: free. Written after the slot's ref */
	_Atomic uint32_t refs[BUCKET_SLOTS];
	_Atomic uint32_t lock;     /* writers */
	_Atomic uint32_t overflow; /* keys whose first bucket this is, in their second */
	uint64_t reserved;
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct bucket) == 64, "one cache line");

struct bucket_table {
	struct bucket *buckets;
	uint32_t n;
	/* Read by every burst that misses, written on the rare displacement: not in the line that every look-up reads. */
	_Atomic uint32_t moves OWN_LINE;
};

extern struct bucket_table bucket_table;

/* Room for `keys` keys. -ENOMEM. */
int bucket_init(uint32_t keys);
void bucket_fini(void);
/* Bytes of the table. */
size_t bucket_bytes(void);

/* Enters both keys of the record `index`, whose hashes these are, or the first only when they are equal, with the
 * reference in *ref; -EEXIST with the holder in *ref, -ENOSPC. `value` is stored to `state` under the locks, when nothing
 * can fail any more and before the keys can be found. */
int bucket_insert(uint32_t index, const uint32_t hashes[2], _Atomic uint32_t *state, uint32_t value,
	uint32_t *ref);
/* Takes out what bucket_insert() entered. Once a record. */
void bucket_remove(uint32_t index, const uint32_t hashes[2]);

static inline uint16_t bucket_tag(uint32_t hash)
{
	return (uint16_t)hash ? (uint16_t)hash : 1;
}

/* x of 32 bits scaled down to 0 .. n - 1; its high bits decide. */
static inline uint32_t bucket_scale(uint32_t x)
{
	return (uint32_t)((uint64_t)x * bucket_table.n >> 32);
}

static inline uint32_t bucket_first(uint32_t hash)
{
	return bucket_scale(hash);
}

static inline void bucket_prefetch(uint32_t hash)
{
	prefetch_own(&bucket_table.buckets[bucket_first(hash)]);
}

/* The other one of a pair: both sum up, modulo n, to what the tag says. */
static inline uint32_t bucket_other(uint32_t bucket, uint16_t tag)
{
	uint32_t sum = bucket_scale((uint32_t)tag * 0x9e3779b1u);

	return sum >= bucket ? sum - bucket : sum + bucket_table.n - bucket;
}

/* Bit i: slot i has this tag. Slots that change meanwhile may show or not. */
static inline uint32_t bucket_match(const struct bucket *b, uint16_t tag)
{
#ifdef __SSE2__
	__m128i tags = _mm_load_si128((const __m128i *)b->tags);
	__m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
	static const uint16_t bit[BUCKET_SLOTS] = {1, 2, 4, 8, 16, 32, 64, 128};
	uint16x8_t equal = vceqq_u16(vld1q_u16((const uint16_t *)b->tags), vdupq_n_u16(tag));

	return vaddvq_u16(vandq_u16(equal, vld1q_u16(bit)));
#endif
}

#endif
