/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where packets end without being sent or answered. */
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "core/config.h"
#include "core/node.h"
#include "observe/fate.h"
#include "observe/live.h"
#include "port/port.h"

#define OWNER_NODE 0u

size_t drop_owner_count(void)
{
	return 1 + (size_t)node_config.ports + node_config.vpcs + 1;
}

uint32_t drop_owner_port(uint32_t port_index)
{
	return 1 + port_index;
}

uint32_t drop_owner_vpc(uint32_t vpc_index)
{
	return 1 + node_config.ports + vpc_index;
}

/* Of a port that is off nothing is taken; what it sends all the same has no receiver yet. */
static bool comes_from_off(const struct pkt *p)
{
	const struct port *in =
		p->in != LOC_NONE && loc_is_port(p->in) ? port_get(loc_index(p->in)) : NULL;

	return in != NULL && !in->enabled;
}

bool drop_is_receivers(const struct pkt *p, enum drop_reason reason)
{
	/* What we say ourselves is nobody's loss. */
	if (p->in == LOC_NONE || !loc_is_port(p->out) || p->out >= node_config.ports)
		return false;
	return reason == DROP_POLICY_INGRESS || reason == DROP_QUEUE_FULL ||
	       (reason == DROP_PORT_DOWN && !comes_from_off(p));
}

uint32_t drop_owner_of(const struct pkt *p, enum drop_reason reason)
{
	if (drop_is_receivers(p, reason))
		return drop_owner_port(p->out);
	if (p->in != LOC_NONE && loc_is_port(p->in) && p->in < node_config.ports)
		return drop_owner_port(p->in);
	return p->vpc != PKT_VPC_NONE && p->vpc <= node_config.vpcs ? drop_owner_vpc(p->vpc)
								    : OWNER_NODE;
}

uint32_t drop_owner_node(void)
{
	return OWNER_NODE;
}

void drop_forget(uint32_t owner)
{
	for (unsigned int i = 0; i < worker_count; i++)
		memset(&workers[i].drops[(size_t)owner * DROP_MAX], 0,
			DROP_MAX * sizeof(struct drop_cell));
}

static void keep_last(struct drop_cell *cell, const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	cell->ether_type = 0;
	if (m->data_len < 14)
		return;
	memcpy(&cell->ether_type, frame + 12, sizeof(cell->ether_type));
	cell->proto = p->proto;
	cell->sport = p->sport;
	cell->dport = p->dport;
	if (cell->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && m->data_len >= 34) {
		const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(frame + 14);

		cell->src = ip_addr_from_v4(ip->src_addr);
		cell->dst = ip_addr_from_v4(ip->dst_addr);
	} else if (cell->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && m->data_len >= 54) {
		cell->src = ip_addr_from_v6(frame + 22);
		cell->dst = ip_addr_from_v6(frame + 38);
	}
}

void drop_count_at(uint32_t owner, const struct rte_mbuf *m, enum drop_reason reason)
{
	struct worker *w = worker_self;
	struct drop_cell *cell = &w->drops[(size_t)owner * DROP_MAX + reason];

	w->count.dropped[reason]++;
	cell->packets++;
	cell->last_ms = w->now_ms;
	keep_last(cell, m, pkt_of((struct rte_mbuf *)(uintptr_t)m));
	observe_dropped((struct rte_mbuf *)(uintptr_t)m, reason);
	live_dropped((struct rte_mbuf *)(uintptr_t)m, reason);
}

void drop_count(const struct rte_mbuf *m, enum drop_reason reason)
{
	drop_count_at(drop_owner_of(pkt_of((struct rte_mbuf *)(uintptr_t)m), reason), m, reason);
}

void drop_count_to(uint32_t owner, enum drop_reason reason, unsigned int n)
{
	struct worker *w = worker_self;
	struct drop_cell *cell = &w->drops[(size_t)owner * DROP_MAX + reason];

	w->count.dropped[reason] += n;
	cell->packets += n;
	cell->last_ms = w->now_ms;
}

static uint16_t drop_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	RTE_SET_USED(graph);
	RTE_SET_USED(node);
	for (uint16_t i = 0; i < nb_objs; i++) {
		const struct pkt *p = pkt_of(objs[i]);

		drop_count(
			objs[i], p->reason != DROP_NONE ? (enum drop_reason)p->reason : DROP_STALE);
	}
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objs, nb_objs);
	return nb_objs;
}

static struct rte_node_register drop_node = {
	.name = "drop",
	.process = drop_process,
};
RTE_NODE_REGISTER(drop_node);
