/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXTERNAL_EXTERNAL_INTERNAL_H
#define EXTERNAL_EXTERNAL_INTERNAL_H
/* Between the files of external/. Control thread, unless said otherwise. */
#include <string.h>

#include "external/external.h"
#include "lib/net.h"

/* --- external.c --- */

/* The network that a port is of; NULL: none. Any thread. */
struct external *external_of_port(const struct port *port);
/* Its port has another MAC or MTU now. */
void external_port_changed(struct external *ext);

/* As the API writes it: NET_MAC_TEXT bytes, returned. */
static inline char *external_mac_format(const struct rte_ether_addr *mac, char *text)
{
	struct net_mac m;

	memcpy(&m, mac, sizeof(m));
	return net_mac_format(&m, text);
}

/* --- external_hop.c: next hops --- */

#define EXTERNAL_HOPS_MAX 1024u /* of a network: on-link machines that somebody sends to */

struct external_hops *external_hops_new(struct external *ext);
void external_hops_set_mac(struct external *ext, const struct rte_ether_addr *mac);
/* Gateways in the order in which they are preferred, and those with a fixed MAC; before the first start. -ENOMEM. */
int external_gateway_add(struct external *ext, const struct ip_addr *addr);
void external_hops_static(struct external *ext, const json_t *entries);
/* The link is there: from now on, or again. */
void external_hops_start(struct external *ext, uint32_t now_ms);
void external_hops_receive(
	struct external *ext, const uint8_t *frame, uint16_t len, uint32_t now_ms);
void external_hops_tick(struct external *ext, uint32_t now_ms);
/* Somebody sends to `addr`, which is on-link: asks. */
void external_hop_want(struct external *ext, const struct ip_addr *addr, uint32_t now_ms);
/* [{address, state, mac}] */
json_t *external_gateways_json(const struct external *ext);

/* Is an ARP or ND frame of interest to the control thread: about a next hop, or about ourselves? Workers. */
struct neighbour_message;
bool external_hop_concerns(const struct external *ext, const struct neighbour_message *msg);
/* The gateway in use; false: none answers. Any thread. */
bool external_way(const struct external *ext, bool v6, struct external_hop *hop);
/* Where answers to `src` go, whose packets come from `mac`, if not back there: to who is on the link where that is now, to a gateway
 * where that is now, for one that does not answer to the one in use. False: back. Any thread. */
bool external_way_back(const struct external *ext, const struct ip_addr *src,
	const struct rte_ether_addr *mac, struct external_hop *hop);
/* Nothing is known against the next hop to `dst`. Any thread. */
bool external_hop_may_answer(const struct external *ext, const struct ip_addr *dst);

/* --- external_wait_node.c: packets that wait for a next hop --- */

/* One has been found: what waits may try again. */
void external_wait_over(void);
/* Wakes workers whose packets have waited in vain. */
void external_wait_tick(void);

/* --- external_announce.c: gratuitous ARP, unsolicited advertisements --- */

/* A service has this address there now. */
void external_announce(struct external *ext, const struct ip_addr *addr);
/* All that services have there. */
void external_announce_all(struct external *ext);
void external_announce_tick(uint32_t now_ms);

/* --- external_trunk.c --- */

/* The time of external_turn(), and since. */
uint32_t external_now_ms(void);

/* --- external_port.c: networks' ports --- */

/* The interface was opened, or has another MAC: takes over its MAC, MTU (unless `mtu` is given) and capabilities. */
void external_port_follow(struct external *ext, uint16_t mtu);
/* 0: untagged. */
uint16_t external_port_vlan(const struct external *ext);

#endif
