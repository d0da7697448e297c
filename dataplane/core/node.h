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
	pkt_of(m)->reason = (uint8_t)reason;
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
	CLASSIFY_ARP,        /* EtherType 0806 */
	CLASSIFY_ND,         /* ICMPv6 133..137 */
	CLASSIFY_DHCP,       /* IPv4 UDP to port 67 from a port with DHCP, or to 68 */
	CLASSIFY_DHCP6,      /* IPv6 UDP to port 547, or to 546 */
	CLASSIFY_GATEWAY,    /* IP to an address of a gateway */
	CLASSIFY_TTL,        /* routed with TTL <= 1: time exceeded */
	CLASSIFY_PROHIBITED, /* refused with an answer, for pkt->reason */
	CLASSIFY_TOO_BIG,    /* larger than pkt->out's MTU in m->hash.usr */
	CLASSIFY_FRAGMENT,   /* fragments without a session decision yet */
	CLASSIFY_SHAPE, /* forwarded packets of a flow with a rate: pkt->out says where to, pkt->session by which */
	CLASSIFY_WAIT, /* the first packet of a flow to a next hop that is not known yet */
	CLASSIFY_PROBE, /* of the underlay: VXLAN with VNI 0, ICMP echo replies to us. pkt->in says from whom */
	CLASSIFY_COPY, /* of the underlay: VXLAN with a VNI of a mirror, in pkt->out_vni. pkt->in says from whom */
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

/* Node attached to a kind of frame; "unclaimed" (drops as unsupported) when there is none. */
const char *node_of_classify(enum classify_kind kind);

/* Where port_rx hands what it reads, by the port's role (port/port.h). */
struct rx_attachment {
	unsigned int role;
	const char *node;
	struct rx_attachment *next;
};
void node_attach_rx(struct rx_attachment *attachment);
#define NODE_ATTACH_RX(var, r, node_name)                                                          \
	static struct rx_attachment var = {.role = (r), .node = node_name};                        \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		node_attach_rx(&var);                                                              \
	}
const char *node_of_rx(unsigned int role);

void node_link_all(void);

/* Something to do once all nodes are registered and before graphs are made (rte_node_edge_update). */
struct node_linker {
	void (*link)(void);
	struct node_linker *next;
};
void node_linker_register(struct node_linker *linker);
#define NODE_LINKER(var, fn)                                                                       \
	static struct node_linker var = {.link = (fn)};                                            \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		node_linker_register(&var);                                                        \
	}

/* Whom a drop is counted to: the port that did not get it where the reason is that port's (p->out is set then); else the
 * port the packet came from; else the VPC; else the node. */
size_t drop_owner_count(void);
uint32_t drop_owner_of(const struct pkt *p, enum drop_reason reason);
bool drop_is_receivers(const struct pkt *p, enum drop_reason reason);
uint32_t drop_owner_port(uint32_t port_index);
uint32_t drop_owner_vpc(uint32_t vpc_index);
uint32_t drop_owner_node(void);
/* The VPC, or the node when there is no such VPC (any more). */
uint32_t drop_owner_of_vpc(uint32_t vpc_index);
/* Of a frame that nobody has seen: there was no buffer to put it into. Worker. */
void drop_count_unseen(uint32_t owner, enum drop_reason reason);
/* Counts a drop on this worker and keeps what the packet looked like; it is the caller's to free. */
void drop_count(const struct rte_mbuf *m, enum drop_reason reason);
/* The same to somebody else than drop_owner_of() says. */
void drop_count_at(uint32_t owner, const struct rte_mbuf *m, enum drop_reason reason);

struct drop_cell;
/* Adds an owner's drops for a reason to `sum`, which has the later of both last packets; false: there are none. Control thread. */
bool drop_sum(uint32_t owner, enum drop_reason reason, struct drop_cell *sum);
/* The owner ends and its index will be somebody else's: `heir` has its drops from now on, those that workers count to it until the grace
 * period is over with its end, so that the sum of all stays what it is. Control thread, when workers can no longer find the owner. */
void drop_pass_on(uint32_t owner, uint32_t heir);

/* Links all nodes and makes a graph for each worker. 0 or -errno, logged. Control thread, once. */
int graph_init(void);

#endif
