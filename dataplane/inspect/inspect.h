/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H
/* Inspection: what vpc-inspectd gets to see, and what it tells.
 *
 *	road, fast_path ─ inspect_seen() ─ ring ─ sight thread ─ TAP ─ eBPF programs ─ vpc-inspectd
 *	                                                                                   │ inspect.get, inspect.alert
 *	controller ◀── notification inspect.alert ── control thread ◀───────────────────────┘
 *
 * Of flows of a VPC under inspection the first packets of each direction are fed, then one in so many, each question to a name server,
 * and first packets that are refused.
 * A flow is fed where it begins: what comes by a tunnel from another node of ours was seen there. A session says by a flag
 * that it is fed; others pay nothing but the test of it. docs/inspection.md has the form of the feed.
 *
 * What the sight thread has no time for is lost and counted, as everything there (observe/observe.h).
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "core/pkt.h"
#include "core/road.h"
#include "core/worker.h"
#include "session/session.h"
#include "vpc/vpc.h"

/* Is any VPC here under inspection? Written by the control thread. */
extern bool inspect_any;
/* The most of any VPC's `first_packets`. */
extern uint32_t inspect_first;
/* Of the others one in so many; UINT32_MAX: none. */
extern uint32_t inspect_sample;

/* Written by its worker; the control thread reads `packets`. */
struct inspect_worker {
	uint32_t passed;  /* since the last sample */
	bool fed;         /* in this burst: inspect_burst_end() wakes who waits */
	uint64_t packets; /* given to the ring, those that were lost there among them */
} __rte_cache_aligned;
extern struct inspect_worker inspect_workers[WORKER_MAX];

/*
 * Workers; inspect_mark() also the control thread.
 */
/* Sets SESSION_F_INSPECT_* of a session that is made of the flow. Its other flags are there. */
void inspect_mark(struct session_dir d[2], const struct flow *f);
/* One of the first packets, or a sample if one is due. */
void inspect_feed(struct worker *w, const struct rte_mbuf *m, uint32_t ref, uint64_t packets);
/* A packet that ends here without a session. */
void inspect_refused(struct worker *w, const struct rte_mbuf *m);
/* Wakes the sight thread. */
void inspect_wake(struct inspect_worker *iw);

/* To a name server: what leaves by names leaves in one flow. */
static inline bool inspect_is_question(const struct pkt *p)
{
	return p->dport == RTE_BE16(53) && p->proto == IPPROTO_UDP;
}

/* A packet of a session with the flag; it has been counted already. */
static inline void inspect_seen(struct worker *w, const struct rte_mbuf *m, uint32_t ref)
{
	const struct pkt *p = rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m);
	uint64_t packets =
		atomic_load_explicit(&session_hot_of(ref)->packets, memory_order_relaxed);

	if (packets <= inspect_first || ++inspect_workers[w->id].passed >= inspect_sample ||
		unlikely(inspect_is_question(p)))
		inspect_feed(w, m, ref, packets);
}

/* The end of a burst in which inspect_feed() may have been called. */
static inline void inspect_burst_end(const struct worker *w)
{
	struct inspect_worker *iw = &inspect_workers[w->id];

	if (unlikely(iw->fed))
		inspect_wake(iw);
}

#endif
