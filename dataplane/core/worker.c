/* SPDX-License-Identifier: Apache-2.0 */
#include "core/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_launch.h>

/* Its counters cost two time stamps a node and burst: perf.c has them, for those who ask. */
#undef RTE_LIBRTE_GRAPH_STATS
#include <rte_graph_worker.h>

#include "base/cache_line.h"
#include "core/config.h"
#include "core/control.h"
#include "core/epoch.h"
#include "core/node.h"
#include "core/perf.h"
#include "core/rcu.h"
#include "lib/log.h"
#include "port/poll.h"

/* How long a worker looks for packets before it sleeps, and how long it sleeps at most. */
#define SPIN_US 50
#define SLEEP_US 100000

struct worker workers[WORKER_MAX];
worker_walk_fn _Atomic worker_walk READ_MOSTLY;
unsigned int worker_count READ_MOSTLY;
__thread struct worker *worker_self;

static uint64_t start_tsc READ_MOSTLY;
static double tsc_per_ms READ_MOSTLY;
static _Atomic bool stopping READ_MOSTLY;

uint32_t clock_ms(void)
{
	return (uint32_t)((double)(rte_rdtsc() - start_tsc) / tsc_per_ms);
}

static inline void tick(struct worker *w)
{
	w->now_tsc = rte_rdtsc();
	w->now_ms = (uint32_t)((double)(w->now_tsc - start_tsc) / tsc_per_ms);
	w->change = epoch_change();
}

/* Counter memory that costs nothing until it is touched. */
static void *demand_paged(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int init_one(struct worker *w, unsigned int id, const struct node_config *c)
{
	size_t owners = drop_owner_count();

	memset(w, 0, sizeof(*w));
	w->id = id;
	w->lcore = id + 1;
	w->cpu = c->workers[id];
	w->wake_tsc = UINT64_MAX;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->drops = demand_paged(owners * DROP_MAX * sizeof(*w->drops));
	return w->wake_fd < 0 ? -errno : w->drops == NULL ? -ENOMEM : 0;
}

int worker_init(const struct node_config *c)
{
	start_tsc = rte_rdtsc();
	tsc_per_ms = (double)rte_get_tsc_hz() / 1000.0;
	worker_count = c->n_workers;
	for (unsigned int i = 0; i < worker_count; i++) {
		int err = init_one(&workers[i], i, c);

		if (err != 0) {
			log_error("no resources for a worker", LOG_ERRNO(err));
			return err;
		}
	}
	return 0;
}

void worker_wake_all(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned int i = 0; i < worker_count; i++)
		if (atomic_load_explicit(&workers[i].asleep, memory_order_relaxed))
			eventfd_write(workers[i].wake_fd, 1);
}

/* How long it may sleep: not beyond what it has promised itself to do (packets that wait for their rate). */
static unsigned int sleep_us(const struct worker *w, uint64_t now)
{
	double us;

	if (w->wake_tsc == UINT64_MAX)
		return SLEEP_US;
	if (w->wake_tsc <= now)
		return 0;
	us = (double)(w->wake_tsc - now) * 1000 / tsc_per_ms;
	return us < SLEEP_US ? (unsigned int)us : SLEEP_US;
}

/* Nothing was queued before the sleep (outputs flush in their nodes), so only inputs are looked at once more. */
static void sleep_until_work(struct worker *w)
{
	uint64_t before = rte_rdtsc();
	unsigned int timeout_us = sleep_us(w, before);

	rcu_worker_offline();
	atomic_store_explicit(&w->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!control_pending(w) && !atomic_load_explicit(&stopping, memory_order_relaxed))
		port_poll_wait(w, timeout_us);
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
	rcu_worker_online(w->id);
	w->idle_tsc += rte_rdtsc() - before;
}

static inline void walk(struct worker *w)
{
	worker_walk_fn other = atomic_load_explicit(&worker_walk, memory_order_relaxed);

	if (unlikely(other != NULL))
		other(w->graph);
	else if (unlikely(atomic_load_explicit(&perf_open, memory_order_relaxed) != 0))
		perf_walk(w->graph);
	else
		rte_graph_walk(w->graph);
}

static int run(void *arg)
{
	struct worker *w = arg;
	const uint64_t spin = (uint64_t)(SPIN_US * tsc_per_ms / 1000);
	bool adaptive = node_config.idle == IDLE_ADAPTIVE;
	uint64_t busy_until, worked = 0;

	worker_self = w;
	rcu_worker_online(w->id);
	tick(w);
	busy_until = w->now_tsc;
	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		uint64_t before = w->now_tsc;

		walk(w);
		tick(w);
		rcu_worker_quiescent();
		if (w->count.received + w->count.generated != worked) {
			worked = w->count.received + w->count.generated;
			w->busy_tsc += w->now_tsc - before;
			busy_until = w->now_tsc + spin;
			continue;
		}
		w->idle_tsc += w->now_tsc - before;
		if (adaptive && w->now_tsc > busy_until && w->wake_tsc > w->now_tsc + spin &&
			port_poll_idle(w)) {
			sleep_until_work(w);
			tick(w);
		}
	}
	rcu_worker_offline();
	return 0;
}

int worker_start(void)
{
	for (unsigned int i = 0; i < worker_count; i++) {
		int err = rte_eal_remote_launch(run, &workers[i], workers[i].lcore);

		if (err != 0)
			return err;
	}
	return 0;
}

void worker_stop(void)
{
	atomic_store(&stopping, true);
	for (unsigned int i = 0; i < worker_count; i++)
		eventfd_write(workers[i].wake_fd, 1);
	rte_eal_mp_wait_lcore();
}
