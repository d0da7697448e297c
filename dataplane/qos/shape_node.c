/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes `shape` (packets of flows with a rate, decided and rewritten) and `shape_release` (those whose time has come; a
 * source). Both end where the verdict says. */
#include <errno.h>
#include <string.h>

#include "core/node.h"
#include "core/stats.h"
#include "port/offload.h"
#include "port/port.h"
#include "qos/shaper.h"
#include "session/session.h"

/* Frames that one turn releases at most; the others follow in the next. */
#define RELEASE_MAX 256u
/* Segments stay as the frame was in everything but length: what the output can not carry is done there. */
#define SPLIT_CAPS (PORT_CAP_MULTI_SEG | PORT_CAP_CSUM)

STATS_HELD(qos_stats, qos_held)

/* The port that a queued packet is for may be gone when it leaves, and its index another's. */
static uint16_t life_of(loc_t out)
{
	const struct port *port = loc_is_port(out) ? port_get(loc_index(out)) : NULL;

	return port != NULL ? port->life : 0;
}

static void forward(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m)
{
	rte_node_enqueue_x1(
		graph, node, loc_is_tunnel(pkt_of(m)->out) ? EDGE_UNDERLAY_TX : EDGE_PORT_TX, m);
}

static void onward(struct rte_graph *graph, struct rte_node *node, struct worker *w,
	struct rte_mbuf *m, const qos_id_t *ids, unsigned int n);

/* A GSO frame segment by segment. */
static void split(struct rte_graph *graph, struct rte_node *node, struct worker *w,
	struct rte_mbuf *m, const qos_id_t *ids, unsigned int n)
{
	struct rte_mbuf *out[BURST];
	struct offload o;
	unsigned int made;
	int rc = offload_begin(&o, SPLIT_CAPS, m);

	if (rc != 0) {
		node_drop(graph, node, m, rc == -ENOMEM ? DROP_NO_BUFFER : DROP_MALFORMED);
		return;
	}
	while ((made = offload_next(&o, out, BURST)) > 0) {
		for (unsigned int i = 0; i < made; i++) {
			struct pkt *p = pkt_of(out[i]);

			p->l3_len = (uint16_t)(out[i]->pkt_len - p->l3_off);
			onward(graph, node, w, out[i], ids, n);
		}
	}
	/* One frame came in; the others are extra. Of one that is lost half way the rest counts as one drop. */
	if (o.count + o.failed > 1)
		w->count.generated += o.count + o.failed - 1;
	if (unlikely(o.failed))
		drop_count(o.frame, DROP_NO_BUFFER);
	offload_end(&o);
}

/* Through one shaper after another until one keeps it. */
static void onward(struct rte_graph *graph, struct rte_node *node, struct worker *w,
	struct rte_mbuf *m, const qos_id_t *ids, unsigned int n)
{
	for (unsigned int i = 0; i < n && ids[i] != QOS_NONE; i++) {
		struct shaper *s = shaper_get(ids[i]);

		if (s != NULL && shaper_splits(s, m)) {
			split(graph, node, w, m, ids + i, n - i);
			return;
		}
		switch (s != NULL ? shaper_enter(s, w, m) : SHAPER_PASS) {
		case SHAPER_PASS:
			continue;
		case SHAPER_QUEUED:
			memset(pkt_of(m)->shapers, 0, sizeof(pkt_of(m)->shapers));
			memcpy(pkt_of(m)->shapers, ids + i + 1, (n - i - 1) * sizeof(*ids));
			return;
		case SHAPER_FULL:
			drop_count_at(s->drop_owner, m, DROP_RATE_LIMITED);
			rte_pktmbuf_free(m);
			return;
		}
	}
	forward(graph, node, m);
}

static uint16_t shape_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct worker *w = worker_self;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct pkt *p = pkt_of(objs[i]);
		const struct session_meters ids = session_meters[p->session];

		p->out_life = life_of(p->out);
		onward(graph, node, w, objs[i], ids.id, SESSION_METERS);
	}
	return nb_objs;
}

static uint16_t release_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct worker *w = worker_self;
	struct rte_mbuf *m;
	uint16_t n = 0;

	(void)objs;
	(void)nb_objs;
	if (likely(w->wake_tsc == UINT64_MAX || (int64_t)(w->wake_tsc - w->now_tsc) > 0))
		return 0;
	node->idx = 0;
	while (n < RELEASE_MAX && (m = shaper_release(w)) != NULL) {
		const struct pkt *p = pkt_of(m);
		qos_id_t ids[RTE_DIM(p->shapers)];

		n++;
		memcpy(ids, p->shapers, sizeof(ids));
		if (unlikely(life_of(p->out) != p->out_life))
			node_drop(graph, node, m, DROP_STALE);
		else
			onward(graph, node, w, m, ids, RTE_DIM(ids));
	}
	return n;
}

static struct rte_node_register shape_node;
NODE_REGISTER(shape_node, "shape", shape_process);
NODE_ATTACH_CLASSIFY(shape_attachment, CLASSIFY_SHAPE, "shape")

static struct rte_node_register release_node = {
	.name = "shape_release",
	.process = release_process,
	.flags = RTE_NODE_SOURCE_F,
	.nb_edges = EDGE_COMMON,
	.next_nodes = {"drop", "port_tx", "underlay_tx"},
};
RTE_NODE_REGISTER(release_node);
