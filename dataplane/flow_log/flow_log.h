/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_LOG_FLOW_LOG_H
#define FLOW_LOG_FLOW_LOG_H
/* Flow logs: which flows a VPC's ports had, what they carried, and which were denied; told to a collector.
 *
 * Nothing is done per packet of an accepted flow: the sessions' clock hand passes each flow about once a second and compares its
 * counters with those of last time (struct flow_mark, beside the session, in each log's own array). What a worker removes
 * it hands over by a ring, with its last counters. Only the control thread touches marks. Denied flows have no sessions: each worker
 * adds them up in a small table of its own (flow_log_denied()), which the control thread reads.
 *
 * Each flow is reported once: by the node of the initiator's port if that is in the log's scope, else by the node of the
 * responder's. NAT events are reported by the node that translates.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "core/pkt.h"

/* Is any log here that wants denied flows? Workers ask per packet that the road refuses. */
extern _Atomic bool flow_log_wants_denied;

/* The road has refused the packet, parsed, for p->reason. Workers. */
void flow_log_denied(const struct rte_mbuf *m, const struct pkt *p);
static inline bool flow_log_denies(void)
{
	return atomic_load_explicit(&flow_log_wants_denied, memory_order_relaxed);
}

/* What workers have handed over, and denied flows that are due. Control thread, each tick. */
void flow_log_turn(uint32_t now_ms);
/* The end of the process, when no packet comes any more: what the logs do not know yet is told. */
void flow_log_stop(void);

#endif
