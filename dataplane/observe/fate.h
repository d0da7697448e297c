/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBSERVE_FATE_H
#define OBSERVE_FATE_H
/* How packets end, for whoever marked them when they came.
 *
 * A packet with PKT_F_OBSERVED has a number in pkt->observed. With OBSERVE_COPY it is a copy that a mirror made, and the rest is the
 * observer's id: dropped, it counts as lost there. (OBSERVE_NOBODY: by whoever sent it on.) Any other number belongs to the one who registered with observe_fates_set(): a slot
 * of a table of this worker, say. Segments that are made of a marked frame have its mark too, and frames that a port puts together
 * (port/coalesce.h) end with the first: whoever waits for an end must not wait for ever.
 *
 * A packet stays on one worker from receipt to its end, but for what waits in shapers or for a next hop: that may leave on another.
 *
 * All on workers; observe_fates_set() and observe_watch() on the control thread.
 */
#include <stdatomic.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "core/drop.h"
#include "core/pkt.h"

#define OBSERVE_COPY 0x8000u
#define OBSERVE_NOBODY 0x7fffu /* a copy of no observer here: it was made on another node */

enum observe_fate { OBSERVE_DROPPED, OBSERVE_TO_PORT, OBSERVE_TO_UNDERLAY, OBSERVE_CONSUMED };

/* Somebody marks packets; somebody wants to see all drops, also of packets that nobody marked; probes are on their way (live.h). */
enum observe_watch {
	OBSERVE_WATCH_MARKED = 1 << 0,
	OBSERVE_WATCH_DROPS = 1 << 1,
	OBSERVE_WATCH_PROBES = 1 << 2,
};
extern _Atomic uint32_t observe_watching;
void observe_watch(uint32_t bits, bool on); /* counted: each `on` needs its off */

/* Called for the ends of marked packets that are no copies and, with OBSERVE_WATCH_DROPS, for all drops. `m` still has its bytes and
 * struct pkt. With OBSERVE_TO_PORT it is what the port is given; OBSERVE_TO_UNDERLAY: the inner frame. */
typedef void (*observe_fate_fn)(
	struct rte_mbuf *m, enum observe_fate fate, enum drop_reason reason);
void observe_fates_set(observe_fate_fn fn);

/* What nodes call at a packet's end. */
void observe_end(struct rte_mbuf *m, enum observe_fate fate, enum drop_reason reason);

static inline uint32_t observe_watched(void)
{
	return atomic_load_explicit(&observe_watching, memory_order_relaxed);
}

static inline void observe_dropped(struct rte_mbuf *m, enum drop_reason reason)
{
	if (unlikely((pkt_of(m)->flags & PKT_F_OBSERVED) ||
		     (observe_watched() & OBSERVE_WATCH_DROPS)))
		observe_end(m, OBSERVE_DROPPED, reason);
}

static inline void observe_consumed(struct rte_mbuf *m)
{
	if (unlikely(pkt_of(m)->flags & PKT_F_OBSERVED))
		observe_end(m, OBSERVE_CONSUMED, DROP_NONE);
}

/* A burst that is sent. */
static inline void observe_sent(struct rte_mbuf **pkts, uint16_t n, enum observe_fate fate)
{
	if (likely(!(observe_watched() & OBSERVE_WATCH_MARKED)))
		return;
	for (uint16_t i = 0; i < n; i++)
		if (pkt_of(pkts[i])->flags & PKT_F_OBSERVED)
			observe_end(pkts[i], fate, DROP_NONE);
}

#endif
