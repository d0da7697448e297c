/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QOS_BUCKET_H
#define QOS_BUCKET_H
/* A token bucket that threads share by borrowing slices of it. Pure C.
 *
 * The shared part is one word: the moment at which the bucket is, or will be, empty. A bucket that is full was empty `depth`
 * ago; what is taken moves the moment on. A thread takes a slice at once and spends it packet by packet from an account of
 * its own, so most packets touch nothing shared.
 *
 * The bucket may owe: a slice is given if anything is left, whatever its size, and the next one waits for longer. So no
 * frame is too large for a bucket, and the rate over time is exact.
 *
 * Time is in ticks of a clock that all threads share (the TSC).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUCKET_SHIFT 16

struct bucket {
	_Atomic uint64_t empty; /* when it is empty. Any thread, by compare-and-swap */
	/* Written by the thread that configures. */
	_Atomic uint64_t price; /* ticks a unit << BUCKET_SHIFT; 0: no limit */
	_Atomic uint64_t depth; /* ticks that fill it */
	_Atomic uint64_t slice; /* units that are borrowed at once */
};

static inline bool bucket_limits(const struct bucket *b)
{
	return atomic_load_explicit(&b->price, memory_order_relaxed) != 0;
}

/* Ticks that so many units take. `units` < 2^22. */
static inline uint64_t bucket_ticks(const struct bucket *b, uint64_t units)
{
	return units * atomic_load_explicit(&b->price, memory_order_relaxed) >> BUCKET_SHIFT;
}

/* `rate` units a second (0: no limit), of a clock of `hz` ticks; full after `least` units or `least_ms` of the rate, whatever is more.
 * What was taken stays taken. Relaxed: a reader that sees half of a change takes one wrong slice. */
static inline void bucket_set(
	struct bucket *b, uint64_t rate, uint64_t hz, uint64_t least, uint64_t least_ms)
{
	uint64_t price = rate == 0 ? 0 : (hz << BUCKET_SHIFT) / rate;
	uint64_t depth = least * price >> BUCKET_SHIFT, least_ticks = least_ms * hz / 1000;
	uint64_t slice = rate / 5000; /* 200 us of it */

	slice = slice < 1 ? 1 : slice > 65536 ? 65536 : slice;
	atomic_store_explicit(&b->slice, slice, memory_order_relaxed);
	atomic_store_explicit(
		&b->depth, depth > least_ticks ? depth : least_ticks, memory_order_relaxed);
	atomic_store_explicit(&b->price, price != 0 || rate == 0 ? price : 1, memory_order_relaxed);
}

/* Takes `units` if anything is left at `now`, whatever is left; else says when something will be. */
static inline bool bucket_take(struct bucket *b, uint64_t now, uint64_t units, uint64_t *due)
{
	uint64_t full = now - atomic_load_explicit(&b->depth, memory_order_relaxed);
	uint64_t empty = atomic_load_explicit(&b->empty, memory_order_relaxed), from;

	do {
		from = (int64_t)(empty - full) < 0 ? full : empty;
		if ((int64_t)(from - now) > 0) {
			*due = from;
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&b->empty, &empty,
		from + bucket_ticks(b, units), memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* Can a thread spend so much, from its account or, with a slice more, from the bucket? */
static inline bool bucket_pass(
	struct bucket *b, uint64_t *account, uint64_t now, uint64_t units, uint64_t *due)
{
	uint64_t more;

	if (*account >= units || !bucket_limits(b))
		return true;
	more = units - *account + atomic_load_explicit(&b->slice, memory_order_relaxed);
	if (!bucket_take(b, now, more, due))
		return false;
	*account += more;
	return true;
}

/* After bucket_pass(). */
static inline void bucket_spend(const struct bucket *b, uint64_t *account, uint64_t units)
{
	if (bucket_limits(b))
		*account -= *account < units ? *account : units;
}

/* Spends all the same. What is owed stays below the depth, or after a rate was lowered much nothing would pass for long. */
static inline void bucket_force(struct bucket *b, uint64_t *account, uint64_t now, uint64_t units)
{
	uint64_t empty = atomic_load_explicit(&b->empty, memory_order_relaxed), to;
	uint64_t most = now + atomic_load_explicit(&b->depth, memory_order_relaxed);
	uint64_t own = *account < units ? *account : units;

	if (!bucket_limits(b))
		return;
	*account -= own;
	do {
		to = empty + bucket_ticks(b, units - own);
		if ((int64_t)(to - most) > 0)
			to = most;
	} while (!atomic_compare_exchange_weak_explicit(
		&b->empty, &empty, to, memory_order_relaxed, memory_order_relaxed));
}

/* Ticks from `now` until what was taken is paid; 0: it is. */
static inline uint64_t bucket_debt(const struct bucket *b, uint64_t now)
{
	int64_t ahead = (int64_t)(atomic_load_explicit(&b->empty, memory_order_relaxed) - now);

	return ahead > 0 && bucket_limits(b) ? (uint64_t)ahead : 0;
}

#endif
