/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOWGEN_DEVICE_H
#define FLOWGEN_DEVICE_H
/* A device and its queues. A queue is polled by one thread; queue n of all directions by the same one. */
#include <stdio.h>

#include <rte_mbuf.h>

#include "counts.h"
#include "frame.h"
#include "plan.h"

#define DEVICE_CYCLE 12 /* an IMIX: seven small, four middle, one large */

struct talk;

/* What makes packets. */
struct source {
	struct device *device;
	struct rte_mempool *pool;
	struct counts_queue *count;
	uint64_t flow;            /* the next flow's number, below plan.flows */
	uint32_t src_at, dst_at;  /* and its place among the addresses */
	uint16_t sport_at, sport; /* and ports; the first of this queue */
	uint64_t fresh;           /* flows made that are never seen again */
	uint32_t fresh_in;
	uint32_t cycle;      /* place in the IMIX */
	uint64_t began, due; /* of a paced one: its first TSC, packets since */
	struct rte_mbuf **ring;
	uint32_t ring_at;
	struct frame frames[3]; /* by size; one but for IMIX */
} __rte_cache_aligned;

/* What takes them. */
struct sink {
	struct device *device;
	struct counts_queue *count;
} __rte_cache_aligned;

struct device {
	struct plan plan;
	uint16_t port_id;
	struct counts *counts; /* shared with who measures */
	struct talk *talk;     /* of the two ends of TCP conversations; else NULL */
	FILE *dump;
	uint64_t dumped, dump_passed;
	struct source sources[COUNTS_QUEUES];
	struct sink sinks[COUNTS_QUEUES];
};

typedef uint16_t (*device_burst_fn)(void *queue, struct rte_mbuf **packets, uint16_t n);

/* The function that makes packets of this plan. */
device_burst_fn source_burst(const struct plan *plan);
/* Begins anew with these buffers. 0 or -ENOMEM. */
int source_start(struct device *d, uint16_t queue, struct rte_mempool *pool);
void source_free(struct source *s);
/* So many buffers, and those that rested longest if there is a ring. 0: none. */
uint16_t source_buffers(struct source *s, struct rte_mbuf **packets, uint16_t n);
/* What a NIC would say of a packet. */
void source_describe(const struct device *d, struct rte_mbuf *m, uint16_t length, uint32_t hash);

/* Counts and frees; looks at ages or at conversations if it is asked to. */
uint16_t sink_burst(void *queue, struct rte_mbuf **packets, uint16_t n);

/* Both ends of TCP conversations: SYN, SYN ACK, ACK, FIN, FIN ACK, ACK, each answered when it has come through. */
int talk_start(struct device *d);
void talk_free(struct device *d);
void talk_hear(struct device *d, const struct rte_mbuf *m);
uint16_t talk_burst(void *queue, struct rte_mbuf **packets, uint16_t n);

/* The next flow's headers. */
static inline struct frame_flow source_next(struct source *s, const struct plan *plan)
{
	struct frame_flow f = {
		.src = frame_low(&plan->src) + s->src_at,
		.dst = frame_low(&plan->dst) + s->dst_at,
		.sport = (uint16_t)(s->sport + s->sport_at),
		.dport = plan->dport,
	};

	if (++s->src_at >= plan->sources) {
		s->src_at = 0;
		s->sport_at++;
	}
	if (++s->dst_at >= plan->destinations)
		s->dst_at = 0;
	if (++s->flow >= plan->flows) {
		s->flow = 0;
		s->src_at = s->dst_at = 0;
		s->sport_at = 0;
	}
	return f;
}

#endif
