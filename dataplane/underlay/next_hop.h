/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_NEXT_HOP_H
#define UNDERLAY_NEXT_HOP_H
/* Next hops on the underlay: whom to hand a VTEP's frames to.
 *
 * A VTEP is reached by itself when it lies in the prefix of our own address, else through the gateway, else as the
 * kernel routes. VTEPs with the same next hop share it. Its MAC is found and kept fresh by neighbour/neighbour.h as long as a
 * VTEP needs it. One that does not answer leaves its VTEPs without a next hop (drop no_neighbour) and raises an event for each.
 *
 * Control thread. Touches neither EAL nor clock: the time is an argument.
 */
#include <jansson.h>

#include <rte_ether.h>

#include "base/ip.h"
#include "neighbour/neighbour.h"

struct vtep;

struct next_hop_config {
	struct ip_addr own[2]; /* IPv4, IPv6; all zero: none */
	struct ip_prefix on_link[2];
	struct ip_addr gateway[2]; /* all zero: none */
	struct rte_ether_addr own_mac;
	const json_t *static_entries; /* [{address, mac}] or NULL; checked */
	/* Where the kernel would send packets for `dst` on our interface; false: nowhere. May be NULL. */
	bool (*kernel_route)(const struct ip_addr *dst, struct ip_addr *next_hop);
};

/* Looks for the next hops of all VTEPs there are. Once. */
void next_hop_start(const struct next_hop_config *config, uint32_t now_ms);
/* The underlay and its neighbours. */
struct neighbour_link *next_hop_link(void);

/* The kernel's routes have changed: every VTEP's next hop is looked up again. */
void next_hop_reroute(uint32_t now_ms);

/* Before its next hop is needed, and when it will not be any more. */
void next_hop_vtep_added(struct vtep *vtep, uint32_t now_ms);
void next_hop_vtep_removed(struct vtep *vtep);

#endif
