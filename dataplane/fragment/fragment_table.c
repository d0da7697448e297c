/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include <rte_common.h>
#include <rte_spinlock.h>

#include "fragment/fragment.h"

#define WAYS 4u
#define BUCKETS (FRAGMENT_DATAGRAMS / WAYS)
/* Gaps that a datagram on its way may have. */
#define RANGES 8u
#define EXPIRE_BUCKETS 64u

enum state {
	FREE,
	WAITING, /* for the first fragment */
	KNOWN,   /* flow is set */
	BAD,     /* drop what comes, for reason */
};

/* Bytes that have been seen; ranges in ascending order, never touching. */
struct range {
	uint32_t start, end;
};

struct entry {
	struct fragment_id id;
	struct fragment_flow flow;
	uint8_t state;
	uint8_t reason;
	uint8_t n_ranges;
	uint8_t n_held;
	uint32_t total; /* bytes, once the last fragment was seen; else 0 */
	uint32_t expires_ms;
	struct range ranges[RANGES];
	void *held[FRAGMENT_HELD_EACH];
};

struct bucket {
	rte_spinlock_t lock;
	struct entry entries[WAYS];
};

static struct bucket buckets[BUCKETS]; /* 2 MB, touched as far as used */
static _Atomic uint32_t n_held;

uint32_t fragment_held(void)
{
	return atomic_load_explicit(&n_held, memory_order_relaxed);
}

uint32_t fragment_known(void)
{
	uint32_t n = 0;

	for (unsigned int b = 0; b < BUCKETS; b++)
		for (unsigned int w = 0; w < WAYS; w++)
			n += buckets[b].entries[w].state != FREE;
	return n;
}

static struct bucket *bucket_of(const struct fragment_id *id)
{
	const uint64_t *words = (const uint64_t *)id;
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (unsigned int n = 0; n < sizeof(*id) / sizeof(*words); n++) {
		h = (h ^ words[n]) * 0xd6e8feb86659fd93ull;
		h ^= h >> 32;
	}
	return &buckets[h % BUCKETS];
}

static void free_held(struct entry *e, struct fragment_freed *freed, enum drop_reason reason)
{
	memcpy(freed->frames, e->held, e->n_held * sizeof(e->held[0]));
	freed->n = e->n_held;
	freed->reason = reason;
	atomic_fetch_sub_explicit(&n_held, e->n_held, memory_order_relaxed);
	e->n_held = 0;
}

static bool expired(const struct entry *e, uint32_t now_ms)
{
	return e->state != FREE && (int32_t)(now_ms - e->expires_ms) >= 0;
}

/* Whom a new datagram may take the place of: nobody's, timed out, its own VPC's oldest (a flood hurts the
 * flooder first), else the oldest. */
static struct entry *victim(struct bucket *b, const struct fragment_id *id, uint32_t now_ms)
{
	struct entry *best = NULL;
	int32_t best_rank = -1;

	for (unsigned int w = 0; w < WAYS; w++) {
		struct entry *e = &b->entries[w];
		int32_t age = (int32_t)(FRAGMENT_TIMEOUT_MS - (e->expires_ms - now_ms));
		int32_t rank = e->state == FREE     ? INT32_MAX
			       : expired(e, now_ms) ? INT32_MAX - 1
						    : RTE_MAX(age, 0);

		if (rank < INT32_MAX - 1 && e->id.vpc == id->vpc)
			rank += (int32_t)FRAGMENT_TIMEOUT_MS;
		if (rank > best_rank) {
			best = e;
			best_rank = rank;
		}
	}
	return best;
}

/* The datagram's entry, made if there is none. What it replaces is freed. */
static struct entry *entry_of(struct bucket *b, const struct fragment_id *id, uint32_t now_ms,
	struct fragment_freed *freed)
{
	struct entry *e;

	for (unsigned int w = 0; w < WAYS; w++) {
		e = &b->entries[w];
		if (e->state != FREE && memcmp(&e->id, id, sizeof(*id)) == 0 && !expired(e, now_ms))
			return e;
	}
	e = victim(b, id, now_ms);
	free_held(e, freed, DROP_FRAGMENT);
	e->id = *id;
	e->state = WAITING;
	e->n_ranges = 0;
	e->total = 0;
	e->expires_ms = now_ms + FRAGMENT_TIMEOUT_MS;
	return e;
}

/* Adds the piece to what was seen. False: it overlaps, lies behind the end, or there are too many gaps. */
static bool cover(struct entry *e, const struct fragment_piece *piece)
{
	struct range *r = e->ranges;
	unsigned int at = 0;

	if (e->total != 0 && (piece->end > e->total || !piece->more))
		return false;
	while (at < e->n_ranges && r[at].start < piece->start)
		at++;
	if ((at > 0 && r[at - 1].end > piece->start) ||
		(at < e->n_ranges && r[at].start < piece->end))
		return false;
	if (!piece->more && at < e->n_ranges)
		return false; /* something beyond the last one */
	if (!piece->more)
		e->total = piece->end;
	bool joins_left = at > 0 && r[at - 1].end == piece->start;
	bool joins_right = at < e->n_ranges && r[at].start == piece->end;

	if (joins_left && joins_right) {
		r[at - 1].end = r[at].end;
		memmove(&r[at], &r[at + 1], (e->n_ranges - at - 1) * sizeof(*r));
		e->n_ranges--;
	} else if (joins_left) {
		r[at - 1].end = piece->end;
	} else if (joins_right) {
		r[at].start = piece->start;
	} else {
		if (e->n_ranges == RANGES)
			return false;
		memmove(&r[at + 1], &r[at], (e->n_ranges - at) * sizeof(*r));
		r[at] = (struct range){piece->start, piece->end};
		e->n_ranges++;
	}
	return true;
}

/* All of it has been seen: the same id may mean another datagram from now on. */
static void forget_if_complete(struct entry *e)
{
	if (e->total != 0 && e->n_ranges == 1 && e->ranges[0].start == 0 &&
		e->ranges[0].end == e->total)
		e->state = FREE;
}

static enum drop_reason spoil(
	struct entry *e, enum drop_reason reason, struct fragment_freed *freed)
{
	e->state = BAD;
	e->reason = (uint8_t)reason;
	if (freed->n == 0)
		free_held(e, freed, reason);
	return reason;
}

static enum drop_reason first_locked(struct entry *e, const struct fragment_piece *piece,
	const struct fragment_flow *flow, enum drop_reason denied, struct fragment_freed *freed)
{
	if (e->state == BAD)
		return (enum drop_reason)e->reason;
	if (!cover(e, piece))
		return spoil(e, DROP_FRAGMENT, freed);
	if (denied != DROP_NONE)
		return spoil(e, denied, freed);
	e->flow = *flow;
	e->state = KNOWN;
	if (e->n_held != 0)
		free_held(e, freed, DROP_NONE);
	forget_if_complete(e);
	return DROP_NONE;
}

enum drop_reason fragment_first(const struct fragment_id *id, const struct fragment_piece *piece,
	const struct fragment_flow *flow, enum drop_reason denied, uint32_t now_ms,
	struct fragment_freed *freed)
{
	struct bucket *b = bucket_of(id);
	enum drop_reason reason;

	freed->n = 0;
	rte_spinlock_lock(&b->lock);
	reason = first_locked(entry_of(b, id, now_ms, freed), piece, flow, denied, freed);
	rte_spinlock_unlock(&b->lock);
	return reason;
}

/* Room for one more held frame? Takes it. */
static bool take_held(const struct entry *e)
{
	if (e->n_held == FRAGMENT_HELD_EACH)
		return false;
	if (atomic_fetch_add_explicit(&n_held, 1, memory_order_relaxed) < FRAGMENT_HELD_MAX)
		return true;
	atomic_fetch_sub_explicit(&n_held, 1, memory_order_relaxed);
	return false;
}

static enum fragment_verdict later_locked(struct entry *e, const struct fragment_piece *piece,
	void *frame, struct fragment_flow *flow, enum drop_reason *reason,
	struct fragment_freed *freed)
{
	*reason = (enum drop_reason)e->reason;
	if (e->state == BAD)
		return FRAGMENT_DROP;
	*reason = DROP_FRAGMENT;
	if (!cover(e, piece)) {
		spoil(e, DROP_FRAGMENT, freed);
		return FRAGMENT_DROP;
	}
	if (e->state == WAITING) {
		if (!take_held(e)) {
			spoil(e, DROP_FRAGMENT, freed);
			return FRAGMENT_DROP;
		}
		e->held[e->n_held++] = frame;
		return FRAGMENT_HELD;
	}
	*flow = e->flow;
	forget_if_complete(e);
	return FRAGMENT_GO;
}

enum fragment_verdict fragment_later(const struct fragment_id *id,
	const struct fragment_piece *piece, void *frame, uint32_t now_ms,
	struct fragment_flow *flow, enum drop_reason *reason, struct fragment_freed *freed)
{
	struct bucket *b = bucket_of(id);
	enum fragment_verdict verdict;

	freed->n = 0;
	rte_spinlock_lock(&b->lock);
	verdict = later_locked(entry_of(b, id, now_ms, freed), piece, frame, flow, reason, freed);
	rte_spinlock_unlock(&b->lock);
	return verdict;
}

static struct entry *find_expired(struct bucket *b, uint32_t now_ms)
{
	for (unsigned int w = 0; w < WAYS; w++)
		if (expired(&b->entries[w], now_ms))
			return &b->entries[w];
	return NULL;
}

bool fragment_expire(uint32_t *cursor, uint32_t now_ms, struct fragment_freed *freed)
{
	freed->n = 0;
	for (unsigned int n = 0; n < EXPIRE_BUCKETS; n++) {
		struct bucket *b = &buckets[*cursor % BUCKETS];
		struct entry *e;

		rte_spinlock_lock(&b->lock);
		while (freed->n == 0 && (e = find_expired(b, now_ms)) != NULL) {
			free_held(e, freed, DROP_FRAGMENT);
			e->state = FREE;
		}
		rte_spinlock_unlock(&b->lock);
		if (freed->n != 0)
			return true;
		++*cursor;
	}
	return false;
}
