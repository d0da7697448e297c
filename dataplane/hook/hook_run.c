/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's part: programs are asked about the packets of a burst, and their time is taken. */
#include <rte_cycles.h>

#include "core/node.h"
#include "hook/hook.h"
#include "observe/live.h"
#include "vpc/vpc.h"

/* A burst that is asked about. */
struct asked {
	struct port *port;
	enum observe_direction d;
	struct rte_mbuf **pkts;
	uint16_t n;
	bool gone[BURST]; /* dropped by one of the filters */
	struct vpc_hook context[BURST];
};

static void run_each(struct hook *h, struct asked *a, bool yes[BURST])
{
	for (uint16_t i = 0; i < a->n; i++)
		if (!a->gone[i])
			yes[i] = hook_says(h, &a->context[i]);
}

/* Returns true when it was too slow for too long. */
static bool take_time(struct hook_tally *t, uint32_t budget, uint64_t cycles, uint16_t n)
{
	t->cycles += cycles;
	t->window_cycles += RTE_MIN(cycles, (uint64_t)HOOK_BURST_CAP * budget * n);
	t->window_runs += n;
	if (t->window_runs < HOOK_WINDOW)
		return false;
	t->over = t->window_cycles > (uint64_t)budget * t->window_runs ? t->over + 1 : 0;
	t->window_cycles = 0;
	t->window_runs = 0;
	return t->over >= HOOK_WINDOWS;
}

static uint16_t still_there(const struct asked *a)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < a->n; i++)
		n = (uint16_t)(n + !a->gone[i]);
	return n;
}

/* What it says about each packet that is still there. False: it does not run. */
static bool ask(struct hook *h, struct asked *a, bool yes[BURST])
{
	struct hook_tally *t = &h->tallies[worker_self->id];
	uint16_t n = still_there(a);
	uint64_t begin;

	if (!hook_is_attached(h) || n == 0)
		return false;
	begin = rte_rdtsc();
	run_each(h, a, yes);
	t->runs += n;
	if (unlikely(take_time(t, h->budget, rte_rdtsc() - begin, n))) {
		hook_detach(h);
		hook_overrun();
	}
	return true;
}

static void filter(struct hook *h, struct asked *a)
{
	bool yes[BURST];

	if (!ask(h, a, yes))
		return;
	for (uint16_t i = 0; i < a->n; i++) {
		if (a->gone[i] || yes[i])
			continue;
		a->gone[i] = true;
		h->tallies[worker_self->id].dropped++;
	}
}

static void sample(struct hook *h, struct asked *a)
{
	struct observer *o = observer_find(atomic_load_explicit(&h->mirror, memory_order_relaxed));
	bool yes[BURST], any = false;

	if (!ask(h, a, yes))
		return;
	for (uint16_t i = 0; i < a->n; i++) {
		struct observe_meta meta;

		if (a->gone[i] || !yes[i] || live_is_secret(a->pkts[i]))
			continue;
		h->tallies[worker_self->id].sampled++;
		if (o == NULL)
			continue;
		meta = observe_meta_of(a->port, a->d, pkt_of(a->pkts[i]));
		any |= observe_offer(o, &meta, a->pkts[i]);
	}
	if (any)
		observe_offered(o);
}

static void ask_all(uint64_t mask, enum hook_role role, struct asked *a)
{
	for (; mask != 0; mask &= mask - 1) {
		/* As with observers (observe/tap.c): the bit may be that of one that has just gone. */
		struct hook *h = rcu_ptr_get(hooks[__builtin_ctzll(mask)]);

		if (h == NULL || h->role != role)
			continue;
		if (role == HOOK_FILTER)
			filter(h, a);
		else
			sample(h, a);
	}
}

/* Returns how many go on. */
static uint16_t part(struct rte_graph *graph, struct rte_node *node, const struct asked *a)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < a->n; i++) {
		struct rte_mbuf *m = a->pkts[i];

		if (likely(!a->gone[i])) {
			a->pkts[kept++] = m;
			continue;
		}
		if (a->d == OBSERVE_SENT)
			pkt_of(m)->out = LOC_NONE;
		node_drop(graph, node, m, DROP_HOOK);
	}
	return kept;
}

static uint16_t ask_burst(struct rte_graph *graph, struct rte_node *node, struct asked *a)
{
	const struct vpc *vpc = vpc_get(a->port->vpc_index);
	uint64_t mask = hook_mask(a->port, a->d);

	for (uint16_t i = 0; i < a->n; i++) {
		a->gone[i] = false;
		hook_describe(&a->context[i], a->pkts[i], vpc != NULL ? vpc->vni : 0, a->d);
	}
	if (a->d == OBSERVE_SENT)
		ask_all(mask, HOOK_SAMPLE, a);
	ask_all(mask, HOOK_FILTER, a);
	if (a->d == OBSERVE_GIVEN)
		ask_all(mask, HOOK_SAMPLE, a);
	return part(graph, node, a);
}

uint16_t hook_ask(struct rte_graph *graph, struct rte_node *node, struct port *port,
	enum observe_direction d, struct rte_mbuf **pkts, uint16_t n)
{
	struct asked a = {.port = port, .d = d};
	uint16_t kept = 0;

	for (uint16_t done = 0; done < n; done = (uint16_t)(done + a.n)) {
		uint16_t pass;

		a.pkts = &pkts[done];
		a.n = (uint16_t)RTE_MIN(n - done, BURST);
		pass = ask_burst(graph, node, &a);
		memmove(&pkts[kept], a.pkts, pass * sizeof(*pkts));
		kept = (uint16_t)(kept + pass);
	}
	return kept;
}
