/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_VERDICT_H
#define FORWARD_VERDICT_H
/* Between the readable road and sessions: a packet becomes a flow, a flow's verdict becomes a session, and a session is
 * asked again when what it was decided by has changed.
 *
 * Workers and the control thread, inside an RCU read section.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "core/pkt.h"
#include "core/road.h"
#include "session/session.h"

/* The packet's part of a flow. The packet is parsed. */
void verdict_flow_of_packet(struct flow *f, const struct rte_mbuf *m, const struct pkt *p);

/* Of a walked flow: its packets were routed where they come from; here they get new MACs and keep their TTL. */
bool verdict_was_routed(const struct flow *f);

/* Protocol and destination port (of an ICMP query: type, code) of a flow behind its translation: others than those that stages see only
 * between the families. */
uint8_t verdict_out_proto(const struct flow *f);
rte_be16_t verdict_out_dport(const struct flow *f);

/* The ICMP type and code of a described flow, from its ports. */
void verdict_set_icmp(struct flow *f);

/* The initiator's first packet again, from its session. */
void verdict_flow_of_session(struct flow *f, uint32_t index);

/* A walked flow becomes no session: gives back what the walk has taken for it, but what a session has that was asked again (f->kept). */
void flow_release(struct flow *f);

/* Makes the session of a walked flow, which from then on has what the flow holds. `key`: as parsed from its first packet. `change`: the epoch change word loaded before the walk.
 * As session_insert(). */
int verdict_insert(const struct flow *f, const struct session_key *key, uint32_t change,
	uint32_t now_ms, uint32_t *ref);
/* The same of a session that has a past. */
int verdict_restore(const struct flow *f, uint32_t change, const struct session_history *history,
	uint32_t *ref);
/* Of a walked flow whose session is made some hundred cycles later: its answers' bucket, the one cold line that waits to be known. */
void verdict_prefetch(const struct flow *f);

/* The key of a flow's first packet. */
struct session_key verdict_key(const struct flow *f);

/* Is the session's verdict still what its objects say? Cheap: sums its epochs. Then the direction's record is marked fresh. */
bool verdict_still_fresh(uint32_t ref, uint32_t change);

/* Walks the road again for a stale session, always with the initiator's tuple and direction, from where the initiator lives now. Allowed: the
 * records are brought up to date, DROP_NONE. No longer allowed: the session is removed, the reason is returned; DROP_STALE when another session says
 * what this one can not (its keys are others now), or could. Of several callers one asks, the others wait for it. */
enum drop_reason verdict_refresh(uint32_t index);

#endif
