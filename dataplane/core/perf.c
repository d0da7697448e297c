/* SPDX-License-Identifier: Apache-2.0 */
/* perf: what each node costs, from two looks at its counters. The answer comes when the time between them is over. */
#include "core/perf.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <rte_cycles.h>
/* Compiled with the counters of rte_graph, which worker.c leaves out. */
#include <rte_graph_worker.h>

#include "base/cache_line.h"
#include "core/rpc.h"
#include "core/worker.h"

#define MS_DEFAULT 1000
#define MS_MAX 60000

_Atomic unsigned int perf_open READ_MOSTLY;

struct look {
	uint64_t calls, packets, cycles;
};

/* A question that is open. */
struct asked {
	struct jsonrpc_call *call;
	uint64_t began_tsc;
	unsigned int nodes;  /* of each worker's graph */
	struct look looks[]; /* by worker and place in the graph */
};

void perf_walk(struct rte_graph *graph)
{
	rte_graph_walk(graph);
}

/* Counters are the worker's, read while it writes: each is a word of its own. */
static struct look look_at(const struct rte_node *node)
{
	return (struct look){
		.calls = __atomic_load_n(&node->total_calls, __ATOMIC_RELAXED),
		.packets = __atomic_load_n(&node->total_objs, __ATOMIC_RELAXED),
		.cycles = __atomic_load_n(&node->total_cycles, __ATOMIC_RELAXED),
	};
}

static void look_around(struct rte_graph *graph, struct look *looks)
{
	struct rte_node *node;
	rte_graph_off_t off;
	rte_node_t n;

	rte_graph_foreach_node(n, off, graph, node) looks[n] = look_at(node);
}

static json_t *row(unsigned int worker, const char *step, const struct look *spent, uint64_t cycles)
{
	double packets = (double)spent->packets;

	return json_pack("{s:I, s:s, s:I, s:I, s:o, s:o, s:f}", "worker", (json_int_t)worker,
		"step", step, "calls", (json_int_t)spent->calls, "packets",
		(json_int_t)spent->packets, "packets_per_call",
		spent->calls != 0 ? json_real(packets / (double)spent->calls) : json_null(),
		"cycles_per_packet",
		spent->packets != 0 ? json_real((double)spent->cycles / packets) : json_null(),
		"share_percent", 100 * (double)spent->cycles / (double)cycles);
}

static void add_worker(json_t *items, struct asked *a, unsigned int worker, uint64_t cycles)
{
	const struct look *before = &a->looks[worker * a->nodes];
	struct look spent, all = {0};
	struct rte_node *node;
	rte_graph_off_t off;
	rte_node_t n;

	rte_graph_foreach_node(n, off, workers[worker].graph, node)
	{
		struct look now = look_at(node);

		spent = (struct look){.calls = now.calls - before[n].calls,
			.packets = now.packets - before[n].packets,
			.cycles = now.cycles - before[n].cycles};
		if (spent.calls == 0)
			continue;
		json_array_append_new(items, row(worker, node->name, &spent, cycles));
		all.calls = RTE_MAX(all.calls, spent.calls); /* a source is called each turn */
		all.cycles += spent.cycles;
		if (strcmp(node->name, "port_rx") == 0)
			all.packets = spent.packets;
	}
	json_array_append_new(items, row(worker, "all", &all, cycles));
}

static void answer(evutil_socket_t fd, short what, void *arg)
{
	struct asked *a = arg;
	uint64_t cycles = rte_rdtsc() - a->began_tsc;
	json_t *items = json_array();

	(void)fd;
	(void)what;
	atomic_fetch_sub_explicit(&perf_open, 1, memory_order_relaxed);
	for (unsigned int i = 0; i < worker_count; i++)
		add_worker(items, a, i, cycles);
	jsonrpc_reply(a->call,
		json_pack("{s:I, s:o}", "tsc_hz", (json_int_t)rte_get_tsc_hz(), "items", items));
	free(a);
}

static void perf(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *given = json_object_get(params, "milliseconds");
	json_int_t ms = given != NULL ? json_integer_value(given) : MS_DEFAULT;
	unsigned int nodes = workers[0].graph->nb_nodes;
	struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct asked *a;

	(void)ctx;
	if (ms < 1 || ms > MS_MAX) {
		rpc_invalid(call, "/milliseconds", "is from 1 to %d", MS_MAX);
		return;
	}
	a = malloc(sizeof(*a) + (size_t)worker_count * nodes * sizeof(a->looks[0]));
	if (a == NULL) {
		jsonrpc_fail(call, ERROR_EXHAUSTED, "out of memory", NULL);
		return;
	}
	*a = (struct asked){.call = call, .began_tsc = rte_rdtsc(), .nodes = nodes};
	for (unsigned int i = 0; i < worker_count; i++)
		look_around(workers[i].graph, &a->looks[i * nodes]);
	if (event_base_once(rpc_base(), -1, EV_TIMEOUT, answer, a, &wait) != 0) {
		jsonrpc_fail(call, ERROR_EXHAUSTED, "out of memory", NULL);
		free(a);
		return;
	}
	atomic_fetch_add_explicit(&perf_open, 1, memory_order_relaxed);
	worker_wake_all();
}
RPC_METHOD(perf_method, "perf", perf)
