/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_NETDEV_H
#define PORT_NETDEV_H
/* An existing interface of the kernel, in this process' network namespace: what packet sockets and XDP sockets have in
 * common. Control thread. */
#include <net/if.h>
#include <stdbool.h>

#include "port/port.h"

struct netdev {
	int fd; /* a packet socket that receives nothing; the interface is promiscuous while it is open */
	int ifindex;
	char ifname[IFNAMSIZ];
};

/* Makes the interface ready: up, promiscuous, with room for port->mtu. A port without MAC or MTU takes the interface's.
 * -errno with the reason in `port`; nothing is open then. */
int netdev_open(struct port *port, const struct port_spec *spec, struct netdev *dev);
void netdev_close(struct netdev *dev);
/* For drivers' link_up. */
bool netdev_link_up(struct port *port, const struct netdev *dev);
/* Raises the interface's MTU when it is too small; never lowers it. */
int netdev_set_mtu(const struct netdev *dev, uint16_t mtu);

#endif
