/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RCU_H
#define CORE_RCU_H
/* Publish, wait for quiescence, free. Workers report a quiescent state once a loop and are offline while
 * they sleep. The control thread defers frees; they run in batches once every worker has passed.
 *
 * The control thread needs no protection from what it frees itself, so it counts as offline, except
 * between rcu_read_enter() and rcu_read_leave(): there it reads what workers free (sessions).
 *
 * Before rcu_init() (unit tests of one module) there are no workers: every grace period is over at once.
 * rcu_defer() from the control thread only. rcu_ptr_get/rcu_ptr_set order a pointer's publication.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

#define RCU_WORKERS_MAX 64u
#define RCU_THREADS_MAX (RCU_WORKERS_MAX + 1)

extern struct rte_rcu_qsbr *rcu_qsbr;
/* 0: the control thread; worker i: i + 1. */
extern __thread unsigned int rcu_thread;

/* For workers 0 .. n_workers - 1, none of them online yet. -EINVAL, -ENOMEM. Once, before any
 * thread uses the rest. */
int rcu_init(unsigned int n_workers);
/* Waits for the workers' last readers, runs what is deferred. All workers are offline for good. */
void rcu_fini(void);
/* Threads that may read: workers and the control thread. 1 before rcu_init(). */
unsigned int rcu_threads(void);

/* On the worker's own thread. While it is online it may hold pointers to shared tables between two
 * calls of rcu_worker_quiescent(); while it sleeps it is offline. */
static inline void rcu_worker_online(unsigned int worker)
{
	rcu_thread = worker + 1;
	rte_rcu_qsbr_thread_online(rcu_qsbr, rcu_thread);
}

static inline void rcu_worker_offline(void)
{
	rte_rcu_qsbr_thread_offline(rcu_qsbr, rcu_thread);
}

static inline void rcu_worker_quiescent(void)
{
	rte_rcu_qsbr_quiescent(rcu_qsbr, rcu_thread);
}

/* On the control thread, around reads of what workers free. Short; nests; never around rcu_synchronize(). */
void rcu_read_enter(void);
void rcu_read_leave(void);

/* `fn(arg)` runs on the control thread after a grace period. Never fails: when memory for the note is
 * missing it waits for the grace period in place. `fn` may defer in turn. */
void rcu_defer(void (*fn)(void *), void *arg);
/* Runs what is due; called by the control thread's timer. Returns how many frees are still waiting. */
unsigned int rcu_poll(void);
/* Waits until every worker has passed a quiescent state since now, then runs all deferred frees. */
void rcu_synchronize(void);
/* For records that are re-used by index: a token now, and whether its grace period is over. Any thread. */
uint64_t rcu_token(void);
bool rcu_token_passed(uint64_t token);

#define rcu_ptr_get(p) atomic_load_explicit(&(p), memory_order_acquire)
#define rcu_ptr_set(p, v) atomic_store_explicit(&(p), (v), memory_order_release)

#endif
