/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_NEIGHBOUR_H
#define UNDERLAY_NEIGHBOUR_H
/* Next hops on the underlay: whom to hand a VTEP's frames to. Control thread. */
#include <jansson.h>

#include <rte_ether.h>

#include "base/ip.h"

struct event_base;

/* Own addresses with their on-link prefixes, gateways (all zero: none) and static entries are set before; starts timers and listening. */
struct neighbour_config {
	struct ip_addr own[2]; /* IPv4, IPv6; all zero: none */
	struct ip_prefix on_link[2];
	struct ip_addr gateway[2];
	const json_t *static_entries; /* [{address, mac}] or NULL */
	const char *ifname;           /* kernel twin, or NULL */
};
int neighbour_start(const struct neighbour_config *config, struct event_base *base);

/* A frame from the underlay that is not VXLAN: ARP, ND. */
void neighbour_receive(const uint8_t *frame, uint16_t len);

#endif
