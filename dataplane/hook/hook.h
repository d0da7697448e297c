/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOK_HOOK_H
#define HOOK_HOOK_H
/* Programs of users in the path of packets: filters that drop, samplers that pick packets for a mirror.
 *
 *	port_rx: mirrors see the packet → samplers → filters → the graph
 *	port_tx: the graph → filters → samplers → mirrors see the packet → the port
 *
 * A port without hooks pays one test a burst. At one that has some, a description of each packet (configs/hooks/vpc_hook.h) is made, and
 * each program is run on it. A filter that says 0 drops the packet for DROP_HOOK; a packet that one has dropped no other is asked about.
 *
 * Programs are proved to be harmless twice, by lib/hook_program.h and by librte_bpf, before they are compiled (where the compiled form does
 * what the interpreter does, else that interprets them). What a proof can not say is how long one takes: each worker keeps the mean
 * over windows of HOOK_WINDOW packets, and when that was above the budget HOOK_WINDOWS times in a row, the program is detached: no worker
 * runs it any more, packets pass as if it were not there, the controller hears of it (event `hook.detached`). It stays so, over restarts too,
 * until the hook changes. A worker that the kernel takes the processor from makes one burst long, not so many windows.
 *
 * Threads: hooks are made, changed and freed by the control thread; workers read them under RCU and write their own tallies.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_bpf.h>
#include <rte_graph.h>

#include "configs/hooks/vpc_hook.h"
#include "core/road.h"
#include "core/state.h"
#include "lib/hook_program.h"
#include "observe/observe.h"
#include "port/port.h"

#define HOOKS_MAX 32u     /* on a node */
#define HOOK_IDS 64u      /* an update has its own beside that of its forerunner */
#define HOOKS_PER_PORT 8u /* in one direction */
#define HOOK_WINDOW 128u  /* packets, at least */
#define HOOK_WINDOWS 16u  /* in a row */
#define HOOK_BURST_CAP 8u /* a burst counts as so many times the budget at most */
#define HOOK_STATE_REASON 200

enum hook_role { HOOK_FILTER, HOOK_SAMPLE };

/* What one worker counts. Written by it. */
struct hook_tally {
	uint64_t runs, dropped, sampled, cycles;
	uint64_t window_cycles; /* of the window that it is in */
	uint32_t window_runs;
	uint32_t over; /* windows above the budget, in a row */
} __rte_cache_aligned;

struct hook {
	/* What workers read for each burst. Immutable but for `detached` and `mirror`. */
	uint64_t (*run)(void *context); /* compiled; NULL: `bpf` is interpreted */
	struct rte_bpf *bpf;
	struct hook_tally *tallies; /* [worker_count] */
	uint32_t budget;            /* cycles a packet */
	uint8_t id;
	uint8_t role;          /* enum hook_role */
	_Atomic bool detached; /* set by the worker that finds it too slow */
	_Atomic uint64_t
		mirror; /* of a sampler: its observer (observer_find). Set by the control thread */
	/* Control thread. */
	uint8_t directions; /* enum observe_direction */
	bool replaces;      /* one of its name was there */
	bool told;          /* that it is detached */
	unsigned int n_ports;
	uint64_t revision;
	struct observe_scope *scopes;
	unsigned int n_scopes;
	char name[PORT_NAME_MAX];
	char mirror_name[PORT_NAME_MAX];
	char reason[HOOK_STATE_REASON]; /* why it does not run, or not everywhere; else "" */
	struct hook *next;              /* by name */
};

/* By id. Workers read it under RCU. */
extern struct hook *_Atomic hooks[HOOK_IDS];

/* What the program says about a packet. Changes nothing. */
static inline bool hook_says(const struct hook *h, struct vpc_hook *context)
{
	return (uint32_t)(h->run != NULL ? h->run(context) : rte_bpf_exec(h->bpf, context)) != 0;
}
static inline bool hook_is_attached(const struct hook *h)
{
	return !atomic_load_explicit(&h->detached, memory_order_relaxed);
}
/* The ids of those that are asked about what the port sends, or is given. */
static inline uint64_t hook_mask(struct port *port, enum observe_direction d)
{
	return atomic_load_explicit(
		d == OBSERVE_SENT ? &port->hook_sent : &port->hook_given, memory_order_acquire);
}

/*
 * hook_run.c. Workers.
 */
/* Of a port that has hooks: asks them about its packets. Those that are dropped go to the edge `drop` of the node; the others are moved to the
 * front, in their order, and counted. */
uint16_t hook_ask(struct rte_graph *graph, struct rte_node *node, struct port *port,
	enum observe_direction d, struct rte_mbuf **pkts, uint16_t n);
static inline uint16_t hook_pass(struct rte_graph *graph, struct rte_node *node, struct port *port,
	enum observe_direction d, struct rte_mbuf **pkts, uint16_t n)
{
	return unlikely(port->hooked & d) ? hook_ask(graph, node, port, d, pkts, n) : n;
}

/*
 * hook_explain.c. Control thread, inside an RCU read section.
 */
/* Asks the hooks of the port about the frame of a described packet, in the order that workers do, with a step for each. Nothing is
 * counted, copied or timed. False: dropped. The flow has a trace. */
bool hook_explain(struct flow *f, struct port *port, enum observe_direction d, const uint8_t *frame,
	uint16_t len);

/*
 * hook_context.c: the description of a packet.
 */
void hook_describe(
	struct vpc_hook *context, const struct rte_mbuf *m, uint32_t vni, enum observe_direction d);

/*
 * hook_load.c. Control thread.
 */
/* 0 and h->bpf, h->run; -errno with `err`. `text`: the object in base64. */
int hook_load(struct hook *h, const char *text, const char *section, struct state_error *err);
/* From a program that was verified; NULL: librte_bpf refuses it. */
struct rte_bpf *hook_compile(const struct hook_program *program);
/* Does the compiler of librte_bpf know all its instructions? In DPDK 22.11 it gets some wrong. */
bool hook_may_compile(const struct hook_program *program);
/* The compiled form, if it says the same as the interpreter about `n` descriptions at random; NULL: there is none, or it does not. */
uint64_t (*hook_compiled(const struct rte_bpf *bpf, unsigned int n))(void *);

/*
 * hook_table.c. Control thread.
 */
struct hook *hook_by_name(const char *name);
struct hook *hook_next(struct hook *previous); /* by name */
/* An empty one with an id; NULL with errno: -ENOSPC, -ENOMEM. `replaces`: one of its name is there. */
struct hook *hook_new(bool replaces);
/* In place of the one of its name. Takes it. */
void hook_put(struct hook *hook);
void hook_remove(const char *name);
/* One that was not put. */
void hook_free(struct hook *hook);
struct hook_tally hook_sum(const struct hook *hook);
/* Stops it for good; workers, too. */
void hook_detach(struct hook *hook);

/*
 * hook_detached.c: those that were too slow, on disk. Control thread.
 */
/* Before any item. `state`: the file of the node's state, beside which it is kept; NULL: nowhere. */
void hook_start(const char *state);
void hook_stop(void);
/* Since it is as in that revision. */
bool hook_was_detached(const char *name, uint64_t revision);
/* The hook of that name is another one now, or none. */
void hook_forget(const char *name, uint64_t but_revision);
/* Tells of hooks that workers have detached. */
void hook_turn(void);
/* Workers: there is one. */
void hook_overrun(void);

#endif
