/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QOS_SHAPER_H
#define QOS_SHAPER_H
/* Between the files of qos/. */
#include <rte_mbuf.h>

#include "core/pkt.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "qos/bucket.h"
#include "qos/qos.h"

struct shaper;

/* A worker's part of a shaper: its accounts and its queue. Touched by that worker only. */
struct shaper_queue {
	uint64_t bytes, packets;               /* accounts */
	uint64_t passed_bytes, passed_packets; /* read by others */
	struct rte_mbuf *head, *tail;
	uint64_t due;  /* when the head may leave; the place in the worker's heap follows */
	uint32_t n;    /* queued */
	uint32_t heap; /* index in it, while n > 0 */
	/* A line that only those touch who wait. */
	struct shaper *shaper;
} __rte_cache_aligned;

struct shaper {
	struct bucket bytes, packets;
	/* Of all queues. Any worker. */
	_Atomic uint64_t waiting_bytes __rte_cache_aligned;
	_Atomic uint32_t waiting_packets;
	_Atomic uint32_t drop_owner;
	uint64_t retired; /* RCU token. Control thread */
	struct shaper *next_retired;
	qos_id_t id;
	struct shaper_queue queues[]; /* [worker_count] */
};

extern struct shaper *_Atomic shapers[QOS_SHAPERS_MAX];

static inline struct shaper *shaper_get(qos_id_t id)
{
	return rcu_ptr_get(shapers[id]);
}

/* What a frame costs: IP bytes and packets on the wire. */
struct shaper_cost {
	uint32_t bytes, packets;
};
struct shaper_cost shaper_cost(const struct rte_mbuf *m);

/* Does it take so long at that rate that its segments are to be sent one by one? Else a frame of 64 kB stops all others
 * for longer than they may wait, and is lost as a whole. */
bool shaper_splits(const struct shaper *s, const struct rte_mbuf *m);

enum shaper_verdict { SHAPER_PASS, SHAPER_QUEUED, SHAPER_FULL };
/* This worker's frame comes to the shaper. SHAPER_FULL: nothing was done. */
enum shaper_verdict shaper_enter(struct shaper *s, struct worker *w, struct rte_mbuf *m);
/* The next frame of this worker's queues whose time has come, or NULL; keeps w->wake_tsc. */
struct rte_mbuf *shaper_release(struct worker *w);
/* Room for the queues of all workers in their heaps. Control thread, before the first shaper is seen. -ENOMEM */
int shaper_heaps_init(void);

#endif
