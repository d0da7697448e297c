/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's part: which observers want a packet. */
#include "observe/observe_internal.h"
#include "port/offload.h"

#include <rte_bitops.h>

/* Filter and sampling. */
static bool is_wanted(const struct observer *o, struct observe_tally *t, const struct rte_mbuf *m)
{
	if (!packet_filter_match(
		    o->filter, rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len, m->data_len) ||
		++t->passed < o->sample)
		return false;
	t->passed = 0;
	return true;
}

bool observe_offer(struct observer *o, struct observe_meta *meta, struct rte_mbuf *m)
{
	struct observe_tally *t = &o->tallies[worker_self->id];

	if (!is_wanted(o, t, m))
		return false;
	meta->tsc = worker_self->now_tsc;
	meta->len = m->pkt_len;
	meta->worker = (uint8_t)worker_self->id;
	t->count.packets++;
	t->count.bytes += m->pkt_len;
	if (o->sink->take != NULL)
		o->sink->take(o, meta, m);
	else
		observe_to_ring(o, meta, m);
	return true;
}

void observe_offered(struct observer *o)
{
	if (o->sink->burst_end != NULL)
		o->sink->burst_end(o);
	if (o->sink->record != NULL)
		sight_wake();
}

void observe_lost(struct observer *o, unsigned int n)
{
	o->tallies[worker_self->id].count.lost += n;
}

struct observe_meta observe_meta_of(
	const struct port *port, enum observe_direction d, const struct pkt *p)
{
	struct observe_meta meta = {.in = p->in, .out = LOC_NONE, .vpc = p->vpc};

	if (d == OBSERVE_SENT) {
		meta.point = OBSERVE_AT_RX;
		meta.session = UINT32_MAX;
	} else {
		meta.point = OBSERVE_AT_TX;
		meta.out = loc_port(port->index);
		meta.session = p->session;
	}
	return meta;
}

static bool is_copy(const struct pkt *p)
{
	return (p->flags & PKT_F_OBSERVED) && (p->observed & OBSERVE_COPY);
}

static inline uint32_t segments_of(const struct rte_mbuf *m)
{
	return likely(!(m->ol_flags & OFFLOAD_GSO)) ? 1 : offload_segments(m);
}

static void count(struct observe_counters *c, uint64_t packets, uint64_t bytes, uint64_t lost)
{
	c->packets += packets;
	c->bytes += bytes;
	c->lost += lost;
}

static inline bool may_be_copies(struct rte_mbuf **pkts, uint16_t n)
{
	uint8_t flags = 0;

	for (size_t i = 0; i < n; i++)
		flags |= pkt_of(pkts[i])->flags;
	return flags & PKT_F_OBSERVED;
}

/* All of them, if that is simple: no filter, no sampling, each one frame. This is what a dead target costs its sources' packets. */
static bool lose_plain(
	struct observer *o, enum observe_direction d, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t bytes = 0, offload = 0;

	if (o->filter != NULL || o->sample > 1)
		return false;
#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++) {
		bytes += pkts[i]->pkt_len;
		offload |= pkts[i]->ol_flags;
	}
	/* No port sends copies: they are made here. */
	if ((offload & OFFLOAD_GSO) || (d == OBSERVE_GIVEN && may_be_copies(pkts, n)))
		return false;
	count(&o->tallies[worker_self->id].count, n, bytes, n);
	return true;
}

/* Nobody takes them: counted as if they had been copied. */
static void lose_all(
	struct observer *o, enum observe_direction d, struct rte_mbuf **pkts, uint16_t n)
{
	struct observe_tally *t = &o->tallies[worker_self->id];

	if (likely(lose_plain(o, d, pkts, n)))
		return;
	for (uint16_t i = 0; i < n; i++)
		if (!is_copy(pkt_of(pkts[i])) && is_wanted(o, t, pkts[i]))
			count(&t->count, 1, pkts[i]->pkt_len, segments_of(pkts[i]));
}

static bool takes(struct observer *o)
{
	return o->sink->takes == NULL || o->sink->takes(o);
}

static void show_all(struct observer *o, const struct port *port, enum observe_direction d,
	struct rte_mbuf **pkts, uint16_t n)
{
	const struct observe_counters *tally = &o->tallies[worker_self->id].count;
	bool any = false, ask = true;
	uint16_t i;

	for (i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);
		uint64_t lost = tally->lost;
		struct observe_meta meta;

		if (is_copy(p))
			continue;
		if (ask && !takes(o))
			break;
		meta = observe_meta_of(port, d, p);
		any |= observe_offer(o, &meta, pkts[i]);
		ask = tally->lost != lost;
	}
	if (i < n)
		lose_all(o, d, pkts + i, (uint16_t)(n - i));
	if (any)
		observe_offered(o);
}

struct observer *observer_find(uint64_t reference)
{
	struct observer *o = rcu_ptr_get(observers[reference % OBSERVERS_MAX]);

	return o != NULL && o->reference == reference ? o : NULL;
}

void observe_tap(struct port *port, enum observe_direction d, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t mask = atomic_load_explicit(
		d == OBSERVE_SENT ? &port->tap_sent : &port->tap_given, memory_order_acquire);

	for (; mask != 0; mask &= mask - 1) {
		/* The bit may be that of one that has just gone: NULL. Its id is not used again before a grace period is over. */
		struct observer *o = rcu_ptr_get(observers[__builtin_ctzll(mask)]);

		if (o != NULL)
			show_all(o, port, d, pkts, n);
	}
}
