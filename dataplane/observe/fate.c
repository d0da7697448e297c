/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/fate.h"

#include "observe/observe_internal.h"

_Atomic uint32_t observe_watching;
static unsigned int watchers[3]; /* of each bit */
static observe_fate_fn _Atomic ended;

void observe_watch(uint32_t bits, bool on)
{
	for (unsigned int i = 0; i < RTE_DIM(watchers); i++) {
		if (!(bits & 1u << i))
			continue;
		watchers[i] += on ? 1 : -1u;
		if (watchers[i] > 0)
			atomic_fetch_or(&observe_watching, 1u << i);
		else
			atomic_fetch_and(&observe_watching, ~(1u << i));
	}
}

void observe_fates_set(observe_fate_fn fn)
{
	atomic_store_explicit(&ended, fn, memory_order_release);
}

void observe_end(struct rte_mbuf *m, enum observe_fate fate, enum drop_reason reason)
{
	struct pkt *p = pkt_of(m);
	observe_fate_fn fn;

	if ((p->flags & PKT_F_OBSERVED) && (p->observed & OBSERVE_COPY)) {
		unsigned int id = p->observed & ~OBSERVE_COPY;
		struct observer *o = id != OBSERVE_NOBODY ? rcu_ptr_get(observers[id]) : NULL;

		if (fate == OBSERVE_DROPPED && o != NULL)
			observe_lost(o, 1);
		return;
	}
	fn = atomic_load_explicit(&ended, memory_order_acquire);
	if (fn != NULL)
		fn(m, fate, reason);
}
