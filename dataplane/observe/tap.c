/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's part: which observers want a packet. */
#include "observe/observe_internal.h"

#include <rte_bitops.h>

bool observe_offer(struct observer *o, struct observe_meta *meta, struct rte_mbuf *m)
{
	struct observe_tally *t = &o->tallies[worker_self->id];

	if (!packet_filter_match(
		    o->filter, rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len, m->data_len))
		return false;
	if (++t->passed < o->sample)
		return false;
	t->passed = 0;
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

static struct observe_meta meta_of(
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

static void show_all(struct observer *o, const struct port *port, enum observe_direction d,
	struct rte_mbuf **pkts, uint16_t n)
{
	bool any = false;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);
		struct observe_meta meta;

		if ((p->flags & PKT_F_OBSERVED) && (p->observed & OBSERVE_COPY))
			continue;
		meta = meta_of(port, d, p);
		any |= observe_offer(o, &meta, pkts[i]);
	}
	if (any)
		observe_offered(o);
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
