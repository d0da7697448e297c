/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_SCOPE_H
#define HEALTH_HEALTH_SCOPE_H
/* How a socket of this host reaches a machine of any VPC, though VPCs overlap: each (VPC, address) that is checked has a *check
 * address* of our own, in 198.18.0.0/15 (RFC 2544) or fd76:7063:6865::/64, which exist nowhere but in the namespace of
 * health_net.c.
 *
 *   socket 198.18.0.1:p → 198.18.0.16:80     scope of the checks
 *                  │ session, stage `service`
 *   10.0.0.1:p → 10.0.0.5:80                 VPC: from the gateway of the machine's subnet
 *
 * One machine has one check address whatever is checked there, so two sockets never make the same flow in a VPC.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "core/road.h"
#include "port/port.h"
#include "vpc/vpc.h"

/* Own addresses and next hops of the namespace's interface. */
#define HEALTH_OWN4 "198.18.0.1"
#define HEALTH_HOP4 "198.18.0.2"
#define HEALTH_OWN6 "fd76:7063:6865::1"
#define HEALTH_HOP6 "fd76:7063:6865::2"

/* Makes the scope. NULL with errno. Control thread, once. */
struct vpc *health_scope_new(const struct rte_ether_addr *mac, uint16_t mtu);

/* The check address of a machine; counts its users. False: none left. Control thread. */
bool health_target_get(uint32_t vni, const struct ip_addr *machine, struct ip_addr *check);
void health_target_put(const struct ip_addr *check);
/* Why no packet reaches the machine, in words; NULL: as far as is known here one would. Control thread. */
const char *health_target_problem(const struct ip_addr *check);

#endif
