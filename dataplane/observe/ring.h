/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBSERVE_RING_H
#define OBSERVE_RING_H
/* A ring of records of any length between one producer and one consumer: bytes in one piece, without a lock. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

/* Bytes; a record may have at most a quarter. */
#define RING_BYTES (4u << 20)
#define RING_RECORD_MAX (RING_BYTES / 4)

struct ring {
	/* Producer. */
	_Atomic uint64_t head __rte_cache_aligned; /* bytes ever put */
	uint64_t known_tail;                       /* the tail as it was last read */
	/* Consumer. */
	_Atomic uint64_t tail __rte_cache_aligned;
	uint8_t *bytes;
};

/* Memory that costs nothing until it is used. NULL: out of memory. */
struct ring *ring_new(void);
void ring_free(struct ring *r);

/* Producer: room for `size` bytes, 8-aligned, or NULL; filled in, ring_put() publishes it. One at a time. */
void *ring_reserve(struct ring *r, uint32_t size);
void ring_put(struct ring *r);

/* Consumer: the oldest record, until ring_release(); NULL: there is none. */
const void *ring_next(struct ring *r);
void ring_release(struct ring *r);
bool ring_is_empty(const struct ring *r);

#endif
