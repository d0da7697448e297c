/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEIGHBOUR_NEIGHBOUR_H
#define NEIGHBOUR_NEIGHBOUR_H
/* Who is behind an address of a link: neighbours by ARP (RFC 826) and neighbour discovery (RFC 4861).
 *
 * A *link* is a network that we have addresses in: the underlay, each outside network. Its neighbours are those that somebody
 * here needs; whoever needs one makes it, is told its MAC, and removes it. It is kept fresh by the states of RFC 4861 7.3.2, a
 * little simplified:
 *
 *   INCOMPLETE ─ answer ─→ REACHABLE ─ fresh_ms ─→ STALE (in use, asked: some times by unicast, then everybody)
 *       └─ unanswered ─→ FAILED ←─ unanswered ─┘
 *
 * FAILED goes on asking, less and less often, and at once, at most once a second, when a packet wants to go there. Learnt is
 * only what was asked for or is known.
 *
 * Control thread. Touches neither EAL nor clock: the time is an argument.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_ether.h>

#include "base/ip.h"
#include "core/location.h"

struct neighbour_message;

enum neighbour_state {
	NEIGHBOUR_INCOMPLETE,
	NEIGHBOUR_REACHABLE,
	NEIGHBOUR_STALE,
	NEIGHBOUR_FAILED,
	NEIGHBOUR_FIXED /* by configuration, or by the kernel's administrator */
};

/* How closely one is watched. */
struct neighbour_pace {
	uint32_t fresh_ms;  /* an answer holds for so long … */
	uint32_t spread_ms; /* … and a little longer, not the same for all (a power of two - 1) */
	uint8_t tries;      /* unanswered before it has failed: nothing was known */
	uint8_t stale_tries; /* the same: it has answered before; the last `tries` of them ask everybody */
	uint8_t backoff_max; /* doublings of the time between requests while it has failed */
};

/* As RFC 4861 10 has it: noticed after about 16 s. */
extern const struct neighbour_pace neighbour_pace_usual;
/* For gateways: asked every second, noticed after 4 s. */
extern const struct neighbour_pace neighbour_pace_watched;

struct neighbour {
	struct ip_addr addr;
	struct rte_ether_addr mac; /* in REACHABLE, STALE, FIXED */
	uint8_t state;             /* enum neighbour_state */
	uint8_t asked;             /* requests since the last answer or change of state */
	bool doubted;              /* fixed by the kernel, which has not said so again yet */
	uint32_t asked_ms;
	uint32_t due_ms; /* when the clock brings it on */
	const struct neighbour_pace *pace;
	struct neighbour *next; /* of the same hash */
	LIST_ENTRY(neighbour) link;
};

/* What its maker is told. All may be called from within any function below but neighbour_find(). */
struct neighbour_ops {
	/* It lives at neighbour->mac from now on, or (`known` false) nobody knows where. */
	void (*publish)(struct neighbour *n, bool known);
	/* It does not answer; told again each time that asking has ended. */
	void (*lost)(struct neighbour *n);
	/* It has been heard of; told again and again. */
	void (*found)(struct neighbour *n);
	/* A packet wants to go there. */
	bool (*wanted)(const struct neighbour *n);
	/* It has just been asked for: whoever wants to go there may say so again. */
	void (*asked)(struct neighbour *n);
};

#define NEIGHBOUR_BUCKETS 1024u

/* Filled by its maker up to `ops`; the rest is zero. */
struct neighbour_link {
	const char *name;      /* in messages: "the underlay" */
	struct ip_addr own[2]; /* IPv4, IPv6; all zero: none */
	struct rte_ether_addr own_mac;
	loc_t out;                    /* where frames go (control_send()) */
	bool silent[2];               /* somebody else answers for own[] */
	const json_t *static_entries; /* [{address, mac}] or NULL; checked */
	const struct neighbour_ops *ops;
	struct neighbour *buckets[NEIGHBOUR_BUCKETS];
	LIST_HEAD(, neighbour) all;
	unsigned int made; /* grows with every new neighbour */
	struct {
		unsigned int left;
		uint32_t due_ms;
	} announcement;
};

/* Takes `n` in, whose `addr` and `pace` are set, and asks for it. `n` stays the caller's, at the same place until it is removed. */
void neighbour_add(struct neighbour_link *link, struct neighbour *n, uint32_t now_ms);
void neighbour_remove(struct neighbour_link *link, struct neighbour *n);
/* NULL: nobody needs it. */
struct neighbour *neighbour_find(const struct neighbour_link *link, const struct ip_addr *addr);
/* Is its MAC known? */
bool neighbour_has_mac(const struct neighbour *n);
/* One of the link's own addresses. */
bool neighbour_is_own(const struct neighbour_link *link, const struct ip_addr *addr);
/* Asks, at once but not more than once a second, where nothing is known. */
void neighbour_want(struct neighbour_link *link, struct neighbour *n, uint32_t now_ms);

/* What the kernel knows about a neighbour: nothing; a MAC that may be old; one that it has just verified; one
 * that its administrator has set. */
enum neighbour_trust {
	NEIGHBOUR_TRUST_NONE,
	NEIGHBOUR_TRUST_HINT,
	NEIGHBOUR_TRUST_CONFIRMED,
	NEIGHBOUR_TRUST_FIXED
};
void neighbour_told(struct neighbour_link *link, const struct ip_addr *addr,
	const struct rte_ether_addr *mac, enum neighbour_trust trust, uint32_t now_ms);
/* Around telling all that the kernel knows: what it had fixed and does not tell again is forgotten. */
void neighbour_told_begin(struct neighbour_link *link);
void neighbour_told_end(struct neighbour_link *link, uint32_t now_ms);

/* Our MAC is another one now: all known neighbours are published again. */
void neighbour_link_set_mac(struct neighbour_link *link, const struct rte_ether_addr *mac);
/* The link was away: who was there is asked again, at once. */
void neighbour_link_doubt(struct neighbour_link *link, uint32_t now_ms);
/* Tells everybody where our addresses live, a few times: after our MAC has changed, or the link was away. */
void neighbour_link_announce(struct neighbour_link *link, uint32_t now_ms);

/* An ARP or ND frame of the link: learns, and answers for own[] unless `silent`. */
void neighbour_link_receive(
	struct neighbour_link *link, const uint8_t *frame, uint16_t len, uint32_t now_ms);

/* Sends what is due; every NEIGHBOUR_TICK_MS. */
#define NEIGHBOUR_TICK_MS 100
void neighbour_link_tick(struct neighbour_link *link, uint32_t now_ms);

/* How often, and after how long, an address is announced. */
#define NEIGHBOUR_ANNOUNCEMENTS 3 /* MAX_NEIGHBOR_ADVERTISEMENT; a switch may not forward yet */
#define NEIGHBOUR_RETRY_MS                                                                         \
	1000 /* RFC 4861 10 RETRANS_TIMER; RFC 1122 2.3.2.1: at most one request a second */

#endif
