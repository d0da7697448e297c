/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where packets end without being sent or answered. */
#include <string.h>

#include "core/config.h"
#include "core/node.h"
#include "observe/fate.h"
#include "observe/live.h"
#include "port/port.h"
#include "vpc/vpc.h"

#define OWNER_NODE 0u

size_t drop_owner_count(void)
{
	return 1 + (size_t)node_config.ports + VPC_INDEX_MAX;
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
	return reason == DROP_POLICY_INGRESS || reason == DROP_QUEUE_FULL || reason == DROP_HOOK ||
	       (reason == DROP_PORT_DOWN && !comes_from_off(p));
}

uint32_t drop_owner_of(const struct pkt *p, enum drop_reason reason)
{
	if (drop_is_receivers(p, reason))
		return drop_owner_port(p->out);
	if (p->in != LOC_NONE && loc_is_port(p->in) && p->in < node_config.ports)
		return drop_owner_port(p->in);
	return p->vpc != PKT_VPC_NONE ? drop_owner_vpc(p->vpc) : OWNER_NODE;
}

uint32_t drop_owner_node(void)
{
	return OWNER_NODE;
}

static struct drop_cell *cell_of(struct worker *w, uint32_t owner, enum drop_reason reason)
{
	return &w->drops[(size_t)owner * DROP_MAX + reason];
}

static void count(uint32_t owner, enum drop_reason reason, const uint8_t *frame, uint32_t length)
{
	struct worker *w = worker_self;
	struct drop_cell *cell = cell_of(w, owner, reason);
	uint32_t version = atomic_load_explicit(&cell->version, memory_order_relaxed);

	w->count.dropped[reason]++;
	atomic_store_explicit(&cell->version, version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	cell->packets++;
	cell->last_ms = w->now_ms;
	cell->length = (uint16_t)RTE_MIN(length, (uint32_t)sizeof(cell->head));
	memcpy(cell->head, frame, cell->length);
	atomic_store_explicit(&cell->version, version + 2, memory_order_release);
}

void drop_count_at(uint32_t owner, const struct rte_mbuf *m, enum drop_reason reason)
{
	count(owner, reason, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
	observe_dropped((struct rte_mbuf *)(uintptr_t)m, reason);
	live_dropped((struct rte_mbuf *)(uintptr_t)m, reason);
}

void drop_count(const struct rte_mbuf *m, enum drop_reason reason)
{
	drop_count_at(drop_owner_of(pkt_of((struct rte_mbuf *)(uintptr_t)m), reason), m, reason);
}

void drop_count_unseen(uint32_t owner, enum drop_reason reason)
{
	count(owner, reason, (const uint8_t *)"", 0);
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
