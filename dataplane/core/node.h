/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_NODE_H
#define CORE_NODE_H
/* Graph nodes: how a capability adds one, and how packets are handed on.
 *
 * A node is registered with NODE_REGISTER in its own file. Parents do not name their children: a child attaches
 * itself to a parent's dispatch (node_attach_*) and gets the edge number there. Edge 0 of every node is `drop`.
 *
 *   port_rx ─┐                              ┌→ port_tx
 *            ├→ fast_path ─ hits ───────────┤
 *   underlay_rx → vxlan_decap ┘             └→ underlay_tx
 *                    └ misses → road ; other frames → classify → arp | nd | dhcp | icmp_gateway …
 */
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_mbuf.h>

#include "core/drop.h"
#include "core/pkt.h"
#include "core/worker.h"

/* Edges that every node has, in this order. */
enum node_edge { EDGE_DROP, EDGE_PORT_TX, EDGE_UNDERLAY_TX, EDGE_COMMON };

/* Registers a node with the common edges; `name` is a string literal. */
#define NODE_REGISTER(var, node_name, fn)                                                          \
	static struct rte_node_register var = {                                                    \
		.name = node_name,                                                                 \
		.process = fn,                                                                     \
		.nb_edges = EDGE_COMMON,                                                           \
		.next_nodes = {"drop", "port_tx", "underlay_tx"},                                  \
	};                                                                                         \
	RTE_NODE_REGISTER(var)

/* Says why and sends to `drop`. */
static inline void node_drop(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m, enum drop_reason reason)
{
	struct pkt *p = pkt_of(m);

	p->reason = (uint8_t)reason;
	p->flags |= PKT_F_VERDICT;
	rte_node_enqueue_x1(graph, node, EDGE_DROP, m);
}

/* The packet was answered or absorbed: counts and frees it. */
void node_consume(struct rte_mbuf *m);
/* A new packet from this worker's pool with headroom for encapsulation, counted as generated; NULL when out of buffers. */
struct rte_mbuf *node_generate(void);
/* Counts a packet that was made here (already allocated). */
void node_count_generated(unsigned int n);

/* `classify` hands frames that are not sessions' to services. An attached node gets frames of that kind from tenant ports and tunnels;
 * attach at start (constructor order does not matter). */
enum classify_kind {
	CLASSIFY_ARP,          /* EtherType 0806 */
	CLASSIFY_ND,           /* ICMPv6 133..137 */
	CLASSIFY_DHCP,         /* IPv4 UDP to port 67 from a port with DHCP, or to 68 */
	CLASSIFY_DHCP6,        /* IPv6 UDP to port 547, or to 546 */
	CLASSIFY_GATEWAY,      /* IP to an address of a gateway */
	CLASSIFY_TTL,          /* routed with TTL <= 1: time exceeded */
	CLASSIFY_TOO_BIG,      /* larger than pkt->out's MTU in m->hash.usr */
	CLASSIFY_FRAGMENT,     /* fragments without a session decision yet */
	CLASSIFY_MAX
};
struct classify_attachment {
	enum classify_kind kind;
	const char *node;
	struct classify_attachment *next;
};
void node_attach_classify(struct classify_attachment *attachment);
#define NODE_ATTACH_CLASSIFY(var, k, node_name)                                                    \
	static struct classify_attachment var = {.kind = (k), .node = node_name};                  \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		node_attach_classify(&var);                                                        \
	}

/* Frames from the underlay that are not VXLAN to us: ARP/ND go to the control thread through this ring (copies, bounded). */
void node_to_control(struct rte_mbuf *m);
/* From the control thread: a frame for a port or the underlay, sent by a worker. Counted as generated. -ENOBUFS when full. */
int control_send(loc_t out_or_none_for_underlay, const void *frame, uint16_t len);

/* Counts a drop of `p` on this worker; the packet is the caller's to free. */
void drop_count(const struct pkt *p, enum drop_reason reason);

#endif
