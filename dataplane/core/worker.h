/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_WORKER_H
#define CORE_WORKER_H
/* A forwarding thread: one lcore, one graph, its own counters.
 *
 * Everything in `struct worker` is written by its worker only; the control thread reads counters relaxed and
 * sums them. `worker_self` is NULL on the control thread.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_graph.h>
#include <rte_mempool.h>

#include "base/cache_line.h"
#include "core/drop.h"

#define WORKER_MAX 64
/* Packets that are worked on together. What a turn costs beside them is shared by more of them, and prefetches have more time; frames and
 * sessions of 64 still fit the first cache. */
#define BURST 64

struct worker_counters {
	uint64_t received;  /* frames taken from ports and the underlay */
	uint64_t generated; /* replies, errors, clones, extra segments */
	uint64_t sent;
	uint64_t consumed; /* answered or absorbed */
	uint64_t dropped[DROP_MAX];
};

/* Drops of one owner for one reason, with the beginning of the last frame: Ethernet, IPv6 and the ports and flags of TCP. The worker
 * makes `version` odd while it writes. */
#define DROP_HEAD 74
struct drop_cell {
	uint64_t packets;
	_Atomic uint32_t version;
	uint32_t last_ms;
	uint16_t length; /* of head; 0: nobody has seen the frame */
	uint8_t head[DROP_HEAD];
};

struct worker {
	/* Hot: read or written every burst. */
	uint32_t now_ms; /* since start of the process; one time stamp a loop */
	uint32_t change; /* epoch change word, loaded once a loop */
	uint64_t now_tsc;
	struct worker_counters count;
	struct drop_cell *drops; /* [owner][reason], see core/drop_node.c; demand-paged */
	unsigned int id;         /* 0 .. n-1 */
	unsigned int lcore;
	unsigned int cpu;
	struct rte_graph *graph;
	struct rte_mempool *pool;       /* default packet buffers, private area of struct pkt */
	struct rte_mempool *jumbo_pool; /* 64 kB data rooms for GSO frames */
	int wake_fd;                    /* eventfd */
	_Atomic bool asleep;
	uint64_t
		wake_tsc; /* there is something to do by then without any input; UINT64_MAX: nothing. Set by source nodes */
	uint64_t busy_tsc, idle_tsc; /* for load_percent */
} __rte_cache_aligned;
_Static_assert(sizeof(struct worker) % CACHE_LINE == 0, "workers share no line");

extern __thread struct worker *worker_self;
extern unsigned int worker_count;
extern struct worker workers[WORKER_MAX];

/* Walks the graph instead of rte_graph_walk(): for whoever looks at nodes one by one. NULL: nobody. Set by the control thread. */
typedef void (*worker_walk_fn)(struct rte_graph *graph);
extern worker_walk_fn _Atomic worker_walk;

struct node_config;
/* Makes the workers' state (no threads yet); starts the threads, one an lcore; stops them and waits. Control thread. */
int worker_init(const struct node_config *config);
int worker_start(void);
void worker_stop(void);

/* Milliseconds since the process started, coarse, for threads other than workers. Wraps: compare signed. */
uint32_t clock_ms(void);
/* After a change that a sleeping worker must see (a new port, an injected packet). Any thread. */
void worker_wake_all(void);

#endif
