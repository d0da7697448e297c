/* SPDX-License-Identifier: Apache-2.0 */
/* What the interfaces of outside networks receive: to its network by the VLAN tag, which comes off; then the way of a tenant's
 * frame, in the network's scope. What is for somebody else ends here: the interface is promiscuous, and the link has others. */
#include <netinet/in.h>

#include "core/control.h"
#include "core/node.h"
#include "external/external_internal.h"
#include "external/external_trunk.h"
#include "external/external_vlan.h"
#include "neighbour/neighbour_wire.h"
#include "qos/limit.h"

#define EDGE_FAST_PATH 1
#define TALK_MAX 256 /* bytes of an ARP or ND frame that are looked at */

/* What becomes of a frame that is not dropped and goes nowhere. */
#define HEARD DROP_MAX

/* Where a run of frames comes from. */
struct from {
	loc_t in;                           /* LOC_NONE: nothing yet */
	const struct external_trunk *trunk; /* NULL: a port that is a network's alone */
	struct external *ext;               /* of it */
};

static void look_up(struct from *from, loc_t in)
{
	const struct port *port = port_get(loc_index(in));

	from->in = in;
	from->trunk = external_trunk_of(loc_index(in));
	from->ext = from->trunk == NULL && port != NULL ? external_of_port(port) : NULL;
}

/* From the interface to the network's port: what it has received. */
static void hand_over(struct rte_mbuf *m, const struct external *ext)
{
	struct port_counters *c = &ext->port->counters[worker_self->id];
	struct pkt *p = pkt_of(m);

	c->rx_packets++;
	c->rx_bytes += m->pkt_len;
	p->in = loc_port(ext->port->index);
	p->vpc = ext->scope->index;
}

/* The network of a frame, without its tag. NULL: dropped for `reason`. */
static inline struct external *network_of(
	const struct from *from, struct rte_mbuf *m, enum drop_reason *reason)
{
	struct external *ext = from->ext;
	uint16_t vlan = 0;

	*reason = DROP_VLAN;
	if (from->trunk == NULL) { /* fast_path refuses tags */
		if (ext == NULL)
			*reason = DROP_STALE;
		return ext;
	}
	if (vlan_is_tagged(m)) {
		vlan = vlan_id(m);
		if (vlan != 0 && external_trunk_network(from->trunk, vlan) == NULL)
			return NULL;
		vlan_pop(m);
	}
	ext = external_trunk_network(from->trunk, vlan);
	if (ext == NULL)
		*reason = DROP_NOT_FOR_US; /* untagged, where all networks have tags */
	else
		hand_over(m, ext);
	return ext;
}

/* A copy for the control thread; the frame itself may be answered here. */
static void tell_control(const struct rte_mbuf *m, const struct external *ext)
{
	loc_t in = loc_port(ext->port->index);
	struct rte_mbuf *copy;

	if (!limit_pass(LIMIT_NEIGHBOUR, in, worker_self->now_ms) ||
		(copy = node_generate()) == NULL)
		return;
	pkt_of(copy)->in = in;
	memcpy(rte_pktmbuf_append(copy, m->data_len), rte_pktmbuf_mtod(m, const void *),
		m->data_len);
	control_punt(copy, CONTROL_EXTERNAL);
}

/* ARP and neighbour discovery. DROP_NONE: a question, to be answered by who answers them. */
static enum drop_reason neighbour_talk(struct rte_mbuf *m, const struct external *ext)
{
	struct neighbour_message msg;
	bool concerns;

	if (m->data_len > TALK_MAX ||
		!neighbour_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &msg))
		return DROP_MALFORMED;
	concerns = external_hop_concerns(ext, &msg);
	if (concerns)
		tell_control(m, ext);
	if (msg.request)
		return DROP_NONE;
	return concerns ? HEARD : DROP_NOT_FOR_US;
}

/* Of neighbour discovery; 0: it is none. */
static uint8_t nd_type(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->data_len < 58 || f[12] != 0x86 || f[13] != 0xdd || f[20] != IPPROTO_ICMPV6)
		return 0;
	return f[54] >= 133 && f[54] <= 137 ? f[54] : 0;
}

static inline enum drop_reason receive(struct rte_mbuf *m, const struct external *ext)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	bool ours = rte_is_same_ether_addr(&eth->dst_addr, &ext->port->mac);
	uint8_t nd;

	if (unlikely(!ours && !rte_is_multicast_ether_addr(&eth->dst_addr)))
		return DROP_NOT_FOR_US;
	if (unlikely(eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP)))
		return neighbour_talk(m, ext);
	nd = nd_type(m);
	if (unlikely(nd != 0)) /* what routers say to the link is not said to us */
		return nd == 135 || nd == 136 ? neighbour_talk(m, ext) : DROP_NOT_FOR_US;
	return likely(ours) ? DROP_NONE : DROP_NOT_FOR_US;
}

static uint16_t rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct from from = {.in = LOC_NONE};
	uint16_t onward = 0;

	/* What goes on moves to the front of objs, in order. */
	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		struct pkt *p = pkt_of(m);
		enum drop_reason reason = DROP_MALFORMED;
		struct external *ext = NULL;

		if (unlikely(p->in != from.in))
			look_up(&from, p->in);
		if (likely(m->data_len >= sizeof(struct rte_ether_hdr)))
			ext = network_of(&from, m, &reason);
		if (likely(ext != NULL))
			reason = receive(m, ext);
		if (likely(reason == DROP_NONE))
			objs[onward++] = m;
		else if (reason == HEARD)
			node_consume(m);
		else
			node_drop(graph, node, m, reason);
	}
	if (likely(onward == nb_objs))
		rte_node_next_stream_move(graph, node, EDGE_FAST_PATH);
	else if (onward > 0)
		rte_node_enqueue(graph, node, EDGE_FAST_PATH, objs, onward);
	return nb_objs;
}

static struct rte_node_register rx_node = {
	.name = "external_rx",
	.process = rx_process,
	.nb_edges = 2,
	.next_nodes = {"drop", "fast_path"},
};
RTE_NODE_REGISTER(rx_node);
NODE_ATTACH_RX(external_rx_attachment, PORT_EXTERNAL, "external_rx")
