/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBSERVE_LIVE_H
#define OBSERVE_LIVE_H
/* Probes of `explain --live`: packets of ours that go the real way, as if a port had sent them, and end before anybody gets them.
 *
 * The last bytes of a probe are its token, so it is known again on any node and behind any translation; and so is an ICMP error that
 * quotes it. A node looks for tokens only while it expects one (live_arm()): else it costs nothing beyond the word that observers
 * have (fate.h). A probe's first end here is kept: given to a port (where it ends, unless it is to be delivered), put into a tunnel, or
 * dropped. Errors about it are never given to anybody.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "observe/fate.h"

#define LIVE_TOKEN 16
#define LIVE_FRAME_MAX 256u /* longer ones are none */

enum live_end { LIVE_NOTHING, LIVE_PORT, LIVE_TUNNEL, LIVE_DROPPED };

struct live_fate {
	enum live_end end;
	enum drop_reason reason; /* LIVE_DROPPED */
	uint32_t port;           /* LIVE_PORT: its index */
	loc_t tunnel;            /* LIVE_TUNNEL, with the VNI that it has there */
	uint32_t vni;
	uint16_t len;
	uint8_t frame[LIVE_FRAME_MAX]; /* as it was then; of a tunnel the inner one */
};

/* Expect a probe. `deliver`: let the port have it that it comes to. A handle for the others, or -EBUSY: too many at once. Again with
 * the same token: the same one. Control thread, as all three. */
int live_arm(const uint8_t token[LIVE_TOKEN], bool deliver);
/* What has become of it so far. */
enum live_end live_look(int handle, struct live_fate *fate);
void live_disarm(int handle);

/* Where packets pass. Workers. */
uint16_t live_absorb(uint32_t port, struct rte_mbuf **pkts, uint16_t n);
void live_note_tunnelled(struct rte_mbuf **pkts, uint16_t n);
void live_note_dropped(struct rte_mbuf *m, enum drop_reason reason);
bool live_ends_unseen(const struct rte_mbuf *m);

/* A burst for a port: how many of them it gets. */
static inline uint16_t live_sent(uint32_t port, struct rte_mbuf **pkts, uint16_t n)
{
	return unlikely(observe_watched() & OBSERVE_WATCH_PROBES) ? live_absorb(port, pkts, n) : n;
}

/* Of a probe that nobody is to get, no mirror gets a copy either. */
static inline bool live_is_secret(const struct rte_mbuf *m)
{
	return unlikely(observe_watched() & OBSERVE_WATCH_PROBES) && live_ends_unseen(m);
}

static inline void live_tunnelled(struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(observe_watched() & OBSERVE_WATCH_PROBES))
		live_note_tunnelled(pkts, n);
}

static inline void live_dropped(struct rte_mbuf *m, enum drop_reason reason)
{
	if (unlikely(observe_watched() & OBSERVE_WATCH_PROBES))
		live_note_dropped(m, reason);
}

#endif
