/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of the graph: port_rx reads the ports of this worker, port_tx sends to any. */
#include "core/control.h"
#include "core/node.h"
#include "hook/hook.h"
#include "observe/fate.h"
#include "observe/live.h"
#include "observe/observe.h"
#include "port/poll.h"
#include "port/port.h"

/* One edge a role, after `drop`. */
static struct rte_node_register port_rx_node;
#define RX_EDGE(role) (1 + (role))

static inline void stamp(const struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
		p->in = loc_port(port->index);
		p->vpc = port->vpc_index;
		p->flags = 0;
		p->reason = DROP_NONE;
		p->proto = 0;
		p->sport = p->dport = 0;
	}
}

static uint16_t port_rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct worker *w = worker_self;
	struct rte_mbuf *pkts[BURST];
	struct port *port;
	uint16_t n, total = 0;

	RTE_SET_USED(objs);
	RTE_SET_USED(nb_objs);
	port_poll_begin(w);
	while ((n = port_poll_next(w, &port, pkts, BURST)) > 0) {
		stamp(port, pkts, n);
		observe_port(port, OBSERVE_SENT, pkts, n);
		total = (uint16_t)(total + n);
		if (unlikely(!port->enabled)) {
			for (uint16_t i = 0; i < n; i++)
				node_drop(graph, node, pkts[i], DROP_PORT_DOWN);
			continue;
		}
		n = hook_pass(graph, node, port, OBSERVE_SENT, pkts, n);
		/* A node that is given nothing is put into the list of those that wait each time, which has room for each of them once. */
		if (unlikely(n == 0))
			continue;
		rte_node_enqueue(graph, node, (rte_edge_t)RX_EDGE(port->role), (void **)pkts, n);
	}
	return total;
}

static struct rte_node_register port_rx_node = {
	.name = "port_rx",
	.process = port_rx_process,
	.flags = RTE_NODE_SOURCE_F,
	.nb_edges = 1,
	.next_nodes = {"drop"},
};
RTE_NODE_REGISTER(port_rx_node);

/* A frame that was made here as if the port had sent it. */
static bool enter(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m)
{
	struct port *port = port_get(loc_index(pkt_of(m)->in));

	return port == NULL || hook_pass(graph, node, port, OBSERVE_SENT, &m, 1) == 1;
}

static void link_rx(void)
{
	const char *names[PORT_ROLES];

	for (unsigned int role = 0; role < PORT_ROLES; role++)
		names[role] = node_of_rx(role);
	rte_node_edge_update(rte_node_from_name("port_rx"), 1, names, RTE_DIM(names));
	control_link_roles(PORT_ROLES, enter);
}
NODE_LINKER(port_rx_linker, link_rx)

static uint16_t port_tx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct rte_mbuf **pkts = (struct rte_mbuf **)objs;

	for (uint16_t i = 0, start; i < nb_objs;) {
		loc_t out = pkt_of(pkts[i])->out;
		struct port *port = loc_is_port(out) ? port_get(loc_index(out)) : NULL;

		start = i;
		while (i < nb_objs && pkt_of(pkts[i])->out == out)
			i++;
		if (likely(port != NULL && port->enabled)) {
			uint16_t n = (uint16_t)(i - start);

			n = hook_pass(graph, node, port, OBSERVE_GIVEN, &pkts[start], n);
			if (likely(port->state == PORT_ACTIVE))
				n = live_sent(port->index, &pkts[start], n);
			observe_port(port, OBSERVE_GIVEN, &pkts[start], n);
			observe_sent(&pkts[start], n, OBSERVE_TO_PORT);
			port_send(port, &pkts[start], n);
			continue;
		}
		for (uint16_t k = start; k < i; k++) {
			pkt_of(pkts[k])->reason = DROP_PORT_DOWN;
			rte_node_enqueue_x1(graph, node, 0, pkts[k]);
		}
	}
	return nb_objs;
}

static struct rte_node_register port_tx_node = {
	.name = "port_tx",
	.process = port_tx_process,
	.nb_edges = 1,
	.next_nodes = {"drop"},
};
RTE_NODE_REGISTER(port_tx_node);
