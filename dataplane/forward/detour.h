/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_DETOUR_H
#define FORWARD_DETOUR_H
/* Frames that come by another of our nodes than they should.
 *
 * A VTEP that somebody else runs sends what is to be routed to the gateway's MAC, and knows one node of ours for that: any.
 *
 *   theirs ─ to the gateway's MAC ─→ A: the receiver is on B ─ as it is ─→ B: from theirs, by way of A ─→ the receiver
 *
 * A passes the frame on without a session: the flow is B's, whose answers go straight to that VTEP and would never be seen on
 * A. A looks that the source lives behind who sent it; B takes A's word for that. Between our own nodes no other frame is for
 * the gateway's MAC: what is routed, is routed on the sender's node. So that MAC is how B knows, and B never passes such a
 * frame on.
 */
#include "core/node.h"

/* For a packet of the road, parsed, from a tunnel. EDGE_UNDERLAY_TX, EDGE_DROP: that is its way; DETOUR_NONE: it is treated as
 * anything else, as coming from pkt->in, which may be another VTEP now. */
#define DETOUR_NONE UINT32_MAX
unsigned int detour_edge(struct rte_mbuf *m, struct pkt *p);

#endif
