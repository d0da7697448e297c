/* SPDX-License-Identifier: Apache-2.0 */
/* Copies from other nodes, out of their tunnel: to the port that their mirror names, and nowhere else. */
#include "core/node.h"
#include "mirror/mirror_in.h"

static struct port *port_of(const struct mirror_in *in)
{
	uint32_t index = atomic_load_explicit(
		&((struct mirror_in *)(uintptr_t)in)->port, memory_order_relaxed);

	return index != UINT32_MAX ? port_get(index) : NULL;
}

static bool takes(const struct port *port)
{
	return port != NULL && port->enabled &&
	       __atomic_load_n(&port->state, __ATOMIC_ACQUIRE) == PORT_ACTIVE;
}

/* True: it was given to the port. One by one: what a port would put together (port/coalesce.h) is no copy any more. */
static bool deliver(const struct mirror_in *in, struct port *port, struct rte_mbuf *m)
{
	uint64_t sent = worker_self->count.sent;

	*pkt_of(m) = (struct pkt){
		.in = LOC_NONE,
		.out = loc_port(port->index),
		.flags = PKT_F_OBSERVED,
		.observed = OBSERVE_COPY | OBSERVE_NOBODY,
		.session = UINT32_MAX,
	};
	port_send(port, &m, 1);
	if (likely(worker_self->count.sent != sent))
		return true;
	in->tallies[worker_self->id].lost++;
	return false;
}

static uint16_t mirror_in_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct port *full =
		NULL; /* has refused one of this burst, and is spared the others */

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const struct mirror_in *in = mirror_in_by_vni(pkt_of(m)->out_vni);
		struct port *port;

		if (unlikely(in == NULL)) {
			node_drop(graph, node, m, DROP_UNKNOWN_VNI);
			continue;
		}
		if (unlikely(!mirror_in_may_send(in, loc_index(pkt_of(m)->in)))) {
			node_drop(graph, node, m, DROP_WRONG_VTEP);
			continue;
		}
		port = port_of(in);
		if (unlikely(!takes(port) || port == full)) {
			in->tallies[worker_self->id].lost++;
			node_drop(graph, node, m, takes(port) ? DROP_QUEUE_FULL : DROP_PORT_DOWN);
		} else if (unlikely(!deliver(in, port, m))) {
			full = port;
		}
	}
	return nb_objs;
}

static struct rte_node_register mirror_in_node;
NODE_REGISTER(mirror_in_node, "mirror_in", mirror_in_process);
NODE_ATTACH_CLASSIFY(mirror_in_attachment, CLASSIFY_COPY, "mirror_in")
