/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_DROPS_H
#define PORT_DROPS_H
/* Frames that the port layer itself drops. Workers. */
#include <rte_mbuf.h>

#include "core/node.h"
#include "port/port.h"

/* Frames on their way out. */
static inline void port_drop(struct rte_mbuf **pkts, unsigned int n, enum drop_reason reason)
{
	for (unsigned int i = 0; i < n; i++)
		drop_count(pkts[i], reason);
	rte_pktmbuf_free_bulk(pkts, n);
}

/* The same of a port that does not take them: of a tenant's it is that port's matter, not the senders'. */
static inline void port_drop_refused(
	const struct port *port, struct rte_mbuf **pkts, unsigned int n, enum drop_reason reason)
{
	if (port->role == PORT_TENANT)
		for (unsigned int i = 0; i < n; i++)
			pkt_of(pkts[i])->out = loc_port(port->index);
	port_drop(pkts, n, reason);
}

/* A frame that a driver took from its device and can not hand on: `m` is freed. NULL: there was no buffer for it. */
static inline void port_drop_received(
	struct port *port, struct rte_mbuf *m, enum drop_reason reason)
{
	port->counters[worker_self->id].rx_packets++;
	worker_self->count.received++;
	if (m == NULL) {
		drop_count_unseen(drop_owner_port(port->index), reason);
		return;
	}
	pkt_of(m)->in = loc_port(port->index);
	pkt_of(m)->vpc = port->vpc_index;
	pkt_of(m)->flags = 0;
	/* What it asks for makes no sense: nobody is to do it to a copy. */
	m->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
	drop_count(m, reason);
	rte_pktmbuf_free(m);
}

#endif
