/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_NETLINK_H
#define UNDERLAY_NETLINK_H
/* The kernel's view of the underlay where its interface has a kernel twin: neighbours, routes, own addresses and MAC, by
 * netlink events; all of it is read again when events were lost. Control thread. */
#include <rte_ether.h>

#include "base/ip.h"

struct event_base;

struct netlink_handlers {
	void (*mac_changed)(const struct rte_ether_addr *mac);
	/* The interface is gone and another one has its name now. */
	void (*replaced)(void);
};

/* Listens for changes of that interface and tells next_hop.h and the handlers about them. 0 or -errno, logged. */
int netlink_start(const char *ifname, const struct ip_addr own[2], struct event_base *base,
	const struct netlink_handlers *handlers);

/* Where the kernel sends packets for `dst`: false when that is not out of this interface. Asks the kernel, so policy rules and all
 * tables count. */
bool netlink_route(const struct ip_addr *dst, struct ip_addr *next_hop);

/* Acts on what the events have left to do: a burst of them costs one look. Every NEIGHBOUR_TICK_MS. */
void netlink_tick(uint32_t now_ms);
void netlink_stop(void);

#endif
