/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_IFCONF_H
#define PORT_IFCONF_H
/* A kernel interface as a tenant's: MAC, MTU, addresses, default routes. Over netlink, in the caller's network namespace
 * (netns_run). Control thread. */
#include <stdbool.h>
#include <stddef.h>

#include "port/port.h"

/* By `spec`: MAC (unless zero) and MTU (unless zero); with spec->configure also addresses, lo and the interface up, IPv6 autoconfiguration and
 * duplicate address detection off, default routes. -errno with the reason in `port`. */
int ifconf_apply(struct port *port, const struct port_spec *spec);
/* The index of an interface's name, or -errno. */
int ifconf_index(const char *ifname);
/* The text that administrators see as `alias`; "" when there is none. -ENODEV without such an interface. */
#define IFCONF_ALIAS_MAX 256
int ifconf_get_alias(const char *ifname, char alias[IFCONF_ALIAS_MAX]);
int ifconf_set_alias(const char *ifname, const char *alias);
int ifconf_set_mtu(const char *ifname, uint16_t mtu);
int ifconf_set_up(const char *ifname);
int ifconf_get_mtu(const char *ifname);
int ifconf_get_mac(const char *ifname, struct rte_ether_addr *mac);
/* False when the name can not be an interface's. */
bool ifconf_name_valid(const char *ifname);

#endif
