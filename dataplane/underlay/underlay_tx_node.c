/* SPDX-License-Identifier: Apache-2.0 */
/* Puts VXLAN together: inner frame and tunnel → underlay frame. Frames that are underlay frames already (ARP, ND: `out` is
 * LOC_NONE) pass. */
#include <errno.h>

#include "core/node.h"
#include "observe/fate.h"
#include "observe/live.h"
#include "observe/observe.h"
#include "port/offload.h"
#include "underlay/underlay.h"

/* What the outer header can be put in front of: complete frames, also chained ones. */
#define INNER_CAPS PORT_CAP_MULTI_SEG

/* The tunnel of no VTEP: no packet is for it. */
#define NOWHERE loc_tunnel(LOC_TUNNEL_BIT - 2)

/* What leaves together, and what the frame before needed: a burst mostly goes to the same place. */
struct batch {
	struct port *port;
	const struct vxlan_outer *outer; /* of `out` */
	loc_t out;                       /* NOWHERE: nothing yet */
	uint32_t most;                   /* bytes of an inner frame that fit with it */
	uint16_t mtu;
	uint16_t n;
	struct rte_mbuf *pkts[BURST];
};

static inline void flush(struct batch *b)
{
	if (b->n > 0) {
		observe_port(b->port, OBSERVE_GIVEN, b->pkts, b->n);
		port_send(b->port, b->pkts, b->n);
	}
	b->n = 0;
}

static inline void add(struct batch *b, struct rte_mbuf *m)
{
	if (unlikely(b->n == BURST))
		flush(b);
	b->pkts[b->n++] = m;
}

static void drop_here(struct rte_mbuf *m, enum drop_reason reason)
{
	drop_count(m, reason);
	rte_pktmbuf_free(m);
}

/* DROP_NONE: b->outer leads to `out`. */
static enum drop_reason look_up(struct batch *b, loc_t out)
{
	struct vtep *vtep = vtep_get(loc_index(out));
	uint32_t room;

	b->out = NOWHERE;
	if (vtep == NULL)
		return DROP_UNKNOWN_VTEP;
	b->outer = atomic_load_explicit(&vtep->outer, memory_order_acquire);
	if (b->outer == NULL) {
		if (!atomic_load_explicit(&vtep->wanted, memory_order_relaxed))
			atomic_store_explicit(&vtep->wanted, true, memory_order_relaxed);
		return DROP_NO_NEIGHBOUR;
	}
	b->out = out;
	room = (uint32_t)b->mtu + RTE_ETHER_HDR_LEN;
	b->most = room > b->outer->len ? room - b->outer->len : 0;
	return DROP_NONE;
}

/* One complete inner frame. */
static inline void push(struct batch *b, struct rte_mbuf *m, const struct pkt *p)
{
	uint8_t ecn = vxlan_ecn_of(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);

	if (unlikely(m->pkt_len > b->most))
		drop_here(m, DROP_TOO_BIG);
	else if (likely(vxlan_push(m, b->outer, p->out_vni, p->hash, ecn)))
		add(b, m);
	else
		drop_here(m, DROP_NO_BUFFER);
}

/* A frame that asks for segments or a checksum: on the wire it has them. */
static void push_fixed(struct batch *b, struct rte_mbuf *m)
{
	struct rte_mbuf *out[BURST];
	struct offload o;
	unsigned int n;
	int rc = offload_begin(&o, INNER_CAPS, m);

	if (rc != 0) {
		drop_here(m, rc == -ENOMEM ? DROP_NO_BUFFER : DROP_MALFORMED);
		return;
	}
	while ((n = offload_next(&o, out, BURST)) > 0)
		for (unsigned int i = 0; i < n; i++)
			push(b, out[i], pkt_of(out[i]));
	/* One frame came in; the others are extra. Of one that is lost half way the rest counts as one drop. */
	if (o.count + o.failed > 1)
		worker_self->count.generated += o.count + o.failed - 1;
	if (unlikely(o.failed))
		drop_count(o.frame, DROP_NO_BUFFER);
	offload_end(&o);
}

/* Whatever is not as the frame before was: for another VTEP, to be finished first, or complete. */
static void push_other(struct batch *b, struct rte_mbuf *m, const struct pkt *p)
{
	enum drop_reason reason = DROP_NONE;

	if (!loc_is_tunnel(p->out)) {
		add(b, m);
		return;
	}
	if (p->out != b->out)
		reason = look_up(b, p->out);
	if (reason != DROP_NONE)
		drop_here(m, reason);
	else if (offload_fits(INNER_CAPS, m))
		push(b, m, p);
	else
		push_fixed(b, m);
}

static uint16_t tx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct batch b = {.port = underlay_port(), .out = NOWHERE, .mtu = underlay_mtu()};

	if (unlikely(b.port == NULL)) {
		for (uint16_t i = 0; i < nb_objs; i++)
			node_drop(graph, node, objs[i], DROP_PORT_DOWN);
		return nb_objs;
	}
	observe_sent((struct rte_mbuf **)objs, nb_objs, OBSERVE_TO_UNDERLAY);
	live_tunnelled((struct rte_mbuf **)objs, nb_objs);
	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const struct pkt *p = pkt_of(m);

		if (likely(p->out == b.out && offload_fits(INNER_CAPS, m)))
			push(&b, m, p);
		else
			push_other(&b, m, p);
	}
	flush(&b);
	return nb_objs;
}

static struct rte_node_register tx_node = {
	.name = "underlay_tx",
	.process = tx_process,
	.nb_edges = 1,
	.next_nodes = {"drop"},
};
RTE_NODE_REGISTER(tx_node);
