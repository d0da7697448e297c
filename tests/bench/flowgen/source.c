/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of many flows, round robin: nothing is stored for a flow, so that a million costs the same as one. */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "device.h"

/* Frames of the Internet mix, with their FCS 64, 594 and 1518 bytes. */
static const uint16_t mix_sizes[] = {60, 590, 1514};
static const uint8_t mix_cycle[DEVICE_CYCLE] = {0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0};

uint16_t source_buffers(struct source *s, struct rte_mbuf **packets, uint16_t n)
{
	if (unlikely(n == 0))
		return 0;
	if (unlikely(rte_pktmbuf_alloc_bulk(s->pool, packets, n) != 0)) {
		s->count->no_buffer++;
		return 0;
	}
	if (s->ring == NULL)
		return n;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *rested = s->ring[s->ring_at];

		s->ring[s->ring_at] = packets[i];
		packets[i] = rested;
		if (++s->ring_at >= s->device->plan.ring)
			s->ring_at = 0;
	}
	return n;
}

static __rte_always_inline void describe(const struct plan *plan, uint16_t port_id,
	struct rte_mbuf *m, uint16_t length, uint32_t hash)
{
	m->ol_flags = (plan->rss ? RTE_MBUF_F_RX_RSS_HASH : 0) |
		      (plan->good ? RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0);
	m->hash.rss = hash;
	m->data_len = length;
	m->pkt_len = length;
	m->port = port_id;
	m->packet_type =
		plan->vni != 0
			? 0
			: RTE_PTYPE_L2_ETHER |
				  (plan->src.ipv6 ? RTE_PTYPE_L3_IPV6 : RTE_PTYPE_L3_IPV4) |
				  (plan->l4 == PLAN_UDP ? RTE_PTYPE_L4_UDP : RTE_PTYPE_L4_TCP);
}

void source_describe(const struct device *d, struct rte_mbuf *m, uint16_t length, uint32_t hash)
{
	describe(&d->plan, d->port_id, m, length, hash);
}

/* A flow that comes once: from the upper half of the 64 K addresses, whose ports count on when those are through. */
static inline void fresh_flow(struct source *s, const struct plan *plan, struct frame_flow *f)
{
	f->src = (frame_low(&plan->src) & 0xffff0000) | 0x8000 | (s->fresh & 0x7fff);
	f->sport = (uint16_t)(1024 + (s->fresh >> 15) % 64512);
	s->fresh++;
	s->fresh_in = plan->fresh_every;
}

/* How many of n are due by now at the plan's rate. */
static uint16_t paced(struct source *s, const struct plan *plan, uint16_t n)
{
	uint64_t now = rte_rdtsc(), due;

	if (s->began == 0)
		s->began = now;
	due = (uint64_t)((double)(now - s->began) * (double)plan->rate / (double)rte_get_tsc_hz());
	/* What was missed while nobody polled is not made up for: a second's burst would measure the burst. */
	if (due - s->due > 4 * n)
		s->due = due - n;
	n = (uint16_t)RTE_MIN((uint64_t)n, due - s->due);
	s->due += n;
	return n;
}

static __rte_always_inline uint16_t body(struct source *s, struct rte_mbuf **packets, uint16_t n,
	const bool ipv6, const bool tcp, const bool vxlan)
{
	const struct plan *plan = &s->device->plan;
	uint64_t bytes = 0, now;

	if (unlikely(plan->rate != 0))
		n = paced(s, plan, n);
	n = source_buffers(s, packets, n);
	now = plan->stamp ? rte_rdtsc() : 0;
	for (uint16_t i = 0; i < n; i++) {
		const struct frame *t = &s->frames[0];
		uint8_t *p = rte_pktmbuf_mtod(packets[i], uint8_t *);
		struct frame_flow f;

		if (plan->fresh_every != 0 && --s->fresh_in == 0) {
			f = (struct frame_flow){.dst = frame_low(&plan->dst), .dport = plan->dport};
			fresh_flow(s, plan, &f);
		} else {
			f = source_next(s, plan);
		}
		if (plan->size == 0) {
			t = &s->frames[mix_cycle[s->cycle]];
			s->cycle = s->cycle + 1 == DEVICE_CYCLE ? 0 : s->cycle + 1;
		}
		frame_put(t, p, &f, ipv6, tcp, vxlan, plan->checksum);
		if (unlikely(plan->stamp))
			memcpy(p + (ipv6 ? 62 : 42), &now, sizeof(now));
		describe(plan, s->device->port_id, packets[i], t->length,
			plan->rss ? frame_hash(&f) : 0);
		bytes += t->length;
	}
	s->count->rx_packets += n;
	s->count->rx_bytes += bytes;
	return n;
}

#define BODY(name, ipv6, tcp, vxlan)                                                               \
	static uint16_t name(void *queue, struct rte_mbuf **packets, uint16_t n)                   \
	{                                                                                          \
		return body(queue, packets, n, ipv6, tcp, vxlan);                                  \
	}
BODY(udp4, false, false, false)
BODY(udp4_vxlan, false, false, true)
BODY(tcp4, false, true, false)
BODY(tcp4_vxlan, false, true, true)
BODY(udp6, true, false, false)
BODY(udp6_vxlan, true, false, true)
BODY(tcp6, true, true, false)
BODY(tcp6_vxlan, true, true, true)

static uint16_t silent(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	(void)queue;
	(void)packets;
	(void)n;
	return 0;
}

device_burst_fn source_burst(const struct plan *plan)
{
	static const device_burst_fn bursts[2][2][2] = {
		{{udp4, udp4_vxlan}, {tcp4, tcp4_vxlan}},
		{{udp6, udp6_vxlan}, {tcp6, tcp6_vxlan}},
	};

	if (plan->l4 == PLAN_CLIENT || plan->l4 == PLAN_SERVER)
		return talk_burst;
	if (!plan->rx)
		return silent;
	return bursts[plan->src.ipv6][plan->l4 != PLAN_UDP][plan->vni != 0];
}

int source_start(struct device *d, uint16_t queue, struct rte_mempool *pool)
{
	const struct plan *plan = &d->plan;
	struct source *s = &d->sources[queue];

	source_free(s);
	memset(s, 0, sizeof(*s));
	s->device = d;
	s->pool = pool;
	s->count = &d->counts->queues[queue];
	s->sport = (uint16_t)(plan->sport + queue * (plan->flows / plan->sources + 1));
	s->fresh_in = plan->fresh_every;
	for (size_t i = 0; i < RTE_DIM(mix_sizes); i++)
		frame_make(&s->frames[i], plan, plan->size != 0 ? plan->size : mix_sizes[i]);
	if (!plan->rx || plan->ring == 0)
		return 0;
	s->ring =
		rte_zmalloc("flowgen", sizeof(struct rte_mbuf *) * plan->ring, RTE_CACHE_LINE_SIZE);
	if (s->ring == NULL)
		return -ENOMEM;
	if (rte_pktmbuf_alloc_bulk(pool, s->ring, plan->ring) != 0) {
		rte_free(s->ring);
		s->ring = NULL;
		return -ENOMEM;
	}
	return 0;
}

void source_free(struct source *s)
{
	if (s->ring == NULL)
		return;
	rte_pktmbuf_free_bulk(s->ring, s->device->plan.ring);
	rte_free(s->ring);
	s->ring = NULL;
}
