/* SPDX-License-Identifier: Apache-2.0 */
/* On the workers, only while somebody traces: the graph is walked by a loop that looks which marked packets a node is given, and how
 * long the node takes.
 */
#include <string.h>

#include <rte_cycles.h>
#include <rte_graph_worker.h>

#include "capture/capture.h"
#include "core/worker.h"

/* Marked packets of a burst whose way is told; of more the rest has a gap. */
#define FOLLOWED_MAX 64

_Atomic uint64_t capture_paths;
static unsigned int users;

struct followed {
	uint16_t numbers[FOLLOWED_MAX];
	unsigned int n;
};
static __thread struct followed followed;

static uint64_t followers_of(uint16_t number, uint64_t *id)
{
	return capture_mark_of(number, id) &
	       atomic_load_explicit(&capture_paths, memory_order_relaxed);
}

void capture_path_marked(uint16_t number)
{
	if (followed.n < FOLLOWED_MAX)
		followed.numbers[followed.n++] = number;
}

static void find_marked(const struct rte_node *node)
{
	for (uint16_t i = 0; i < node->idx; i++) {
		const struct pkt *p = pkt_of(node->objs[i]);

		if ((p->flags & PKT_F_OBSERVED) && !(p->observed & OBSERVE_COPY))
			capture_path_marked(p->observed);
	}
}

static void tell(uint16_t number, const struct capture_hop *hop)
{
	struct observe_meta meta = {.tsc = worker_self->now_tsc,
		.point = OBSERVE_AT_NODE,
		.len = sizeof(*hop),
		.worker = (uint8_t)worker_self->id};
	uint64_t left = followers_of(number, &meta.id);

	for (; left != 0; left &= left - 1) {
		struct capture *c = capture_of((unsigned int)__builtin_ctzll(left));

		if (c == NULL)
			continue;
		observe_bytes_to_ring(c->observer, &meta, hop);
		observe_offered(c->observer);
	}
}

static void tell_all(const struct rte_node *node, uint64_t cycles, uint16_t burst)
{
	struct capture_hop hop = {.cycles = (uint32_t)RTE_MIN(cycles, UINT32_MAX), .burst = burst};

	memcpy(hop.node, node->name, RTE_MIN(sizeof(hop.node) - 1, sizeof(node->name)));
	for (unsigned int i = 0; i < followed.n; i++)
		tell(followed.numbers[i], &hop);
	followed.n = 0;
}

static void run(struct rte_graph *graph, struct rte_node *node)
{
	uint16_t given = node->idx, done;
	uint64_t before;

	find_marked(node);
	before = rte_rdtsc_precise();
	done = node->process(graph, node, node->objs, given);
	if (followed.n > 0)
		tell_all(node, rte_rdtsc_precise() - before, given > 0 ? given : done);
	node->idx = 0;
}

/* As rte_graph_walk() does it: sources first, at negative indexes, then what they have filled. */
static void walk(struct rte_graph *graph)
{
	const rte_graph_off_t *line = graph->cir_start;
	const rte_node_t mask = graph->cir_mask;
	uint32_t head = graph->head;

	while (head != graph->tail) {
		run(graph, RTE_PTR_ADD(graph, line[(int32_t)head++]));
		head = (int32_t)head > 0 ? head & mask : head;
	}
	graph->tail = 0;
}

void capture_path_open(struct capture *c)
{
	atomic_fetch_or(&capture_paths, UINT64_C(1) << observer_id(c->observer));
	if (users++ == 0)
		atomic_store(&worker_walk, walk);
}

void capture_path_close(struct capture *c)
{
	atomic_fetch_and(&capture_paths, ~(UINT64_C(1) << observer_id(c->observer)));
	if (--users == 0)
		atomic_store(&worker_walk, NULL);
}
