/* SPDX-License-Identifier: Apache-2.0 */
/* Records lie one behind the other, each after a word that says how far the next one is. One that does not fit in front of
 * the end of the memory begins anew at its start, behind a word that says so. */
#include "observe/ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PREFIX ((uint32_t)sizeof(uint64_t))
#define SKIP (1ull << 32) /* nothing but the way to the next record */

static uint64_t *word_at(const struct ring *r, uint64_t pos)
{
	return (uint64_t *)(void *)(r->bytes + pos % RING_BYTES);
}

struct ring *ring_new(void)
{
	struct ring *r = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*r));
	void *bytes = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (r == NULL || bytes == MAP_FAILED) {
		free(r);
		if (bytes != MAP_FAILED)
			munmap(bytes, RING_BYTES);
		return NULL;
	}
	memset(r, 0, sizeof(*r));
	r->bytes = bytes;
	return r;
}

void ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	munmap(r->bytes, RING_BYTES);
	free(r);
}

static bool has_room(struct ring *r, uint64_t head, uint32_t size)
{
	if (head + size - r->known_tail <= RING_BYTES)
		return true;
	r->known_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return head + size - r->known_tail <= RING_BYTES;
}

void *ring_reserve(struct ring *r, uint32_t size)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t whole = RTE_ALIGN_CEIL(size, PREFIX) + PREFIX;
	uint32_t to_end = RING_BYTES - (uint32_t)(head % RING_BYTES);
	uint64_t *word;

	if (size > RING_RECORD_MAX)
		return NULL;
	if (whole > to_end) {
		if (!has_room(r, head, to_end + whole))
			return NULL;
		*word_at(r, head) = SKIP | to_end;
		head += to_end;
		atomic_store_explicit(&r->head, head, memory_order_release);
	} else if (!has_room(r, head, whole)) {
		return NULL;
	}
	word = word_at(r, head);
	*word = whole;
	return word + 1;
}

void ring_put(struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	atomic_store_explicit(&r->head, head + (uint32_t)*word_at(r, head), memory_order_release);
}

bool ring_is_empty(const struct ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_acquire) ==
	       atomic_load_explicit(&r->tail, memory_order_relaxed);
}

const void *ring_next(struct ring *r)
{
	uint64_t *word;

	for (;;) {
		if (ring_is_empty(r))
			return NULL;
		word = word_at(r, atomic_load_explicit(&r->tail, memory_order_relaxed));
		if (!(*word & SKIP))
			return word + 1;
		ring_release(r);
	}
}

void ring_release(struct ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + (uint32_t)*word_at(r, tail), memory_order_release);
}
