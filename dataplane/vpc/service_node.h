/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_SERVICE_NODE_H
#define VPC_SERVICE_NODE_H
/* The loop of a node around a service: its own file says only which. */
#include "core/node.h"
#include "port/offload.h"
#include "vpc/service.h"

/* The frame has become its own answer: one packet consumed, one generated. */
static inline unsigned int service_reply(struct rte_mbuf *m, struct pkt *p, const struct service *s)
{
	if (m->nb_segs == 1) {
		m->data_len = s->len;
		m->pkt_len = s->len;
	}
	m->ol_flags &= ~OFFLOAD_TX_FLAGS;
	worker_self->count.consumed++;
	node_count_generated(1);
	p->flags |= PKT_F_GENERATED;
	p->out = p->in;
	p->out_vni = s->vpc->vni;
	return loc_is_tunnel(p->out) ? EDGE_UNDERLAY_TX : EDGE_PORT_TX;
}

static inline void service_one(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m, service_fn fn)
{
	struct pkt *p = pkt_of(m);
	struct service s;

	if (!service_begin(&s, p->in, p->vpc)) {
		node_drop(graph, node, m, s.reason);
		return;
	}
	/* Services read and write whole checksums. */
	if (unlikely(m->ol_flags & RTE_MBUF_F_TX_L4_MASK) && !offload_complete(m)) {
		node_drop(graph, node, m, DROP_MALFORMED);
		return;
	}
	s.frame = rte_pktmbuf_mtod(m, uint8_t *);
	s.len = m->data_len;
	s.l4_off = p->l4_off;
	s.room = (uint16_t)(m->data_len + (m->nb_segs == 1 ? rte_pktmbuf_tailroom(m) : 0));
	switch (fn(&s)) {
	case SERVICE_REPLY:
		rte_node_enqueue_x1(graph, node, (rte_edge_t)service_reply(m, p, &s), m);
		break;
	case SERVICE_CONSUMED:
		node_consume(m);
		break;
	case SERVICE_DROP:
		node_drop(graph, node, m, s.reason);
		break;
	}
}

#define SERVICE_NODE(name, kind, fn)                                                               \
	static uint16_t name##_process(                                                            \
		struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)     \
	{                                                                                          \
		for (uint16_t i = 0; i < nb_objs; i++)                                             \
			service_one(graph, node, objs[i], fn);                                     \
		return nb_objs;                                                                    \
	}                                                                                          \
	static struct rte_node_register name##_node;                                               \
	NODE_REGISTER(name##_node, #name, name##_process);                                         \
	NODE_ATTACH_CLASSIFY(name##_attachment, kind, #name)

#endif
