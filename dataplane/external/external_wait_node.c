/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes `external_wait` and `external_release`: the first packet to a machine on an outside link waits until that has said where it
 * is (RFC 1122 section 2.3.2.2), instead of being lost. Few, and for a second at most. As soon as any next hop is found, all that wait
 * start again: the walk says whether theirs is among them. */
#include "core/node.h"
#include "core/stats.h"
#include "external/external_internal.h"

#define WAITING_MAX 64u /* of a worker */
#define WAIT_MS 1000u

#define EDGE_FAST_PATH EDGE_COMMON

struct waiting {
	struct rte_mbuf *frame;
	uint32_t since_ms; /* when it came first */
};

static __thread struct {
	struct waiting list[WAITING_MAX];
	unsigned int n;
	uint32_t found; /* what n_found was when they were looked at last */
} waiting;
static _Atomic uint32_t n_held;
static _Atomic uint32_t n_found; /* grows with every next hop that is found */

static uint64_t held(void)
{
	return atomic_load_explicit(&n_held, memory_order_relaxed);
}
STATS_HELD(external_wait_stats, held)

void external_wait_over(void)
{
	atomic_fetch_add_explicit(&n_found, 1, memory_order_release);
	if (held() != 0)
		worker_wake_all();
}

void external_wait_tick(void)
{
	if (held() != 0)
		worker_wake_all();
}

static uint16_t wait_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	uint32_t now_ms = worker_self->now_ms;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct pkt *p = pkt_of(objs[i]);
		uint32_t since_ms = now_ms;

		if (p->flags & PKT_F_WAITED)
			since_ms -= (uint16_t)(now_ms - p->queued_ms);
		if (waiting.n == WAITING_MAX || now_ms - since_ms >= WAIT_MS) {
			node_drop(graph, node, objs[i], DROP_NO_NEIGHBOUR);
			continue;
		}
		waiting.list[waiting.n++] = (struct waiting){objs[i], since_ms};
		atomic_fetch_add_explicit(&n_held, 1, memory_order_relaxed);
	}
	return nb_objs;
}

/* As it came. */
static void start_again(struct rte_graph *graph, struct rte_node *node, const struct waiting *w)
{
	struct pkt *p = pkt_of(w->frame);

	p->flags |= PKT_F_WAITED;
	p->queued_ms = (uint16_t)w->since_ms;
	p->reason = DROP_NONE;
	rte_node_enqueue_x1(graph, node, EDGE_FAST_PATH, w->frame);
}

static uint16_t release_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	uint32_t found, now_ms = worker_self->now_ms;
	unsigned int kept = 0, n = waiting.n;

	(void)objs;
	(void)nb_objs;
	if (likely(n == 0))
		return 0;
	node->idx = 0;
	found = atomic_load_explicit(&n_found, memory_order_acquire);
	for (unsigned int i = 0; i < n; i++) {
		struct waiting *w = &waiting.list[i];

		if (found != waiting.found)
			start_again(graph, node, w);
		else if (now_ms - w->since_ms >= WAIT_MS)
			node_drop(graph, node, w->frame, DROP_NO_NEIGHBOUR);
		else
			waiting.list[kept++] = *w;
	}
	waiting.n = kept;
	waiting.found = found;
	atomic_fetch_sub_explicit(&n_held, n - kept, memory_order_relaxed);
	return (uint16_t)(n - kept);
}

static struct rte_node_register wait_node;
NODE_REGISTER(wait_node, "external_wait", wait_process);
NODE_ATTACH_CLASSIFY(external_wait_attachment, CLASSIFY_WAIT, "external_wait")

static struct rte_node_register release_node = {
	.name = "external_release",
	.process = release_process,
	.flags = RTE_NODE_SOURCE_F,
	.nb_edges = EDGE_COMMON + 1,
	.next_nodes = {"drop", "port_tx", "underlay_tx", "fast_path"},
};
RTE_NODE_REGISTER(release_node);
