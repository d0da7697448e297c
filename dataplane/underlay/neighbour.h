/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_NEIGHBOUR_H
#define UNDERLAY_NEIGHBOUR_H
/* Next hops on the underlay: whom to hand a VTEP's frames to.
 *
 * A VTEP is reached by itself when it lies in the prefix of our own address, else through the gateway, else as the
 * kernel routes. VTEPs with the same next hop share it. Its MAC is found by ARP (RFC 826) or neighbour discovery (RFC 4861)
 * and kept fresh as long as a VTEP needs it, by the states of RFC 4861 7.3.2, a little simplified:
 *
 *   INCOMPLETE ─ answer ─→ REACHABLE ─ 10 s ─→ STALE (in use, asked: 3 times by unicast, 3 times everybody)
 *       └─ 3 unanswered ─→ FAILED ←─ 6 unanswered ─┘
 *
 * FAILED leaves its VTEPs without a next hop (drop no_neighbour), raises an event for each, and goes on asking: after 1, 2, 4 …
 * 16 s, and at once, at most once a second, when a packet wants to go there. Learnt is only what was asked for or is known.
 *
 * Control thread. Touches neither EAL nor clock: the time is an argument.
 */
#include <jansson.h>

#include <rte_ether.h>

#include "base/ip.h"

struct vtep;

struct neighbour_config {
	struct ip_addr own[2]; /* IPv4, IPv6; all zero: none */
	struct ip_prefix on_link[2];
	struct ip_addr gateway[2]; /* all zero: none */
	struct rte_ether_addr own_mac;
	const json_t *static_entries; /* [{address, mac}] or NULL; checked */
	/* Where the kernel would send packets for `dst` on our interface; false: nowhere. May be NULL. */
	bool (*kernel_route)(const struct ip_addr *dst, struct ip_addr *next_hop);
};

/* Looks for the next hops of all VTEPs there are. 0 or -errno, logged. Once. */
int neighbour_start(const struct neighbour_config *config, uint32_t now_ms);

/* The kernel has our address of that family on the interface, so that it answers for it; else we do. */
void neighbour_kernel_owns(bool v6, bool owns);
/* What the kernel knows about a neighbour: nothing; a MAC that may be old; one that it has just verified; one
 * that its administrator has set. */
enum neighbour_trust { NEIGHBOUR_UNKNOWN, NEIGHBOUR_HINT, NEIGHBOUR_CONFIRMED, NEIGHBOUR_FIXED };
void neighbour_kernel_knows(const struct ip_addr *addr, const struct rte_ether_addr *mac,
	enum neighbour_trust trust, uint32_t now_ms);
/* Around telling all that the kernel knows: what it had fixed and does not tell again is forgotten. */
void neighbour_kernel_begin(void);
void neighbour_kernel_end(uint32_t now_ms);
/* Grows with every new next hop: the kernel may know it already. */
unsigned int neighbour_hops_made(void);
/* Our MAC is another one now. */
void neighbour_own_mac(const struct rte_ether_addr *mac);
/* Tells everybody where our addresses live, a few times: after our MAC has changed, or the link was away. */
void neighbour_announce(uint32_t now_ms);
/* The kernel's routes have changed: every VTEP's next hop is looked up again. */
void neighbour_reroute(uint32_t now_ms);

/* Before its next hop is needed, and when it will not be any more. */
void neighbour_vtep_added(struct vtep *vtep, uint32_t now_ms);
void neighbour_vtep_removed(struct vtep *vtep);

/* A frame from the underlay that is not VXLAN: ARP, ND. */
void neighbour_receive(const uint8_t *frame, uint16_t len, uint32_t now_ms);

/* Sends what is due; every NEIGHBOUR_TICK_MS. */
#define NEIGHBOUR_TICK_MS 100
void neighbour_tick(uint32_t now_ms);

#endif
