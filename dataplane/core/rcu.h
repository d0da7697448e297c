/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RCU_H
#define CORE_RCU_H
/* Publish, wait for quiescence, free. Workers report a quiescent state once a loop and are offline while
 * they sleep. The control thread defers frees; they run in batches once every worker has passed.
 *
 * rcu_defer() from the control thread only. rcu_ptr_get/rcu_ptr_set order a pointer's publication.
 */
#include <stdatomic.h>
#include <stdint.h>

/* `fn(arg)` runs on the control thread after a grace period. Never fails: when memory for the note is
 * missing it waits for the grace period in place. */
void rcu_defer(void (*fn)(void *), void *arg);
/* Runs what is due; called by the control thread's timer. Returns how many frees are still waiting. */
unsigned int rcu_poll(void);
/* Waits until every worker has passed a quiescent state since now, then runs all deferred frees. */
void rcu_synchronize(void);
/* For records that are re-used by index: a token now, and whether its grace period is over. */
uint64_t rcu_token(void);
_Bool rcu_token_passed(uint64_t token);

#define rcu_ptr_get(p) atomic_load_explicit(&(p), memory_order_acquire)
#define rcu_ptr_set(p, v) atomic_store_explicit(&(p), (v), memory_order_release)

#endif
