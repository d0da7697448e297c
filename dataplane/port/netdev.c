/* SPDX-License-Identifier: Apache-2.0 */
#include "port/netdev.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/ifconf.h"

static int prepare(struct port *port, const struct netdev *dev)
{
	struct rte_ether_addr mac;
	int mtu = ifconf_get_mtu(dev->ifname);
	int rc = ifconf_get_mac(dev->ifname, &mac);

	if (mtu < 0 || rc < 0)
		return port_fail(
			port, rc < 0 ? rc : mtu, "%s is no Ethernet interface", dev->ifname);
	if (rte_is_zero_ether_addr(&port->mac))
		port->mac = mac;
	if (port->mtu == 0)
		port->mtu = (uint16_t)RTE_MIN(mtu, UINT16_MAX);
	rc = netdev_set_mtu(dev, port->mtu);
	if (rc < 0)
		return port_fail(port, rc, "%s has an MTU of %d, %u is needed: %s", dev->ifname,
			mtu, port->mtu, strerror(-rc));
	rc = ifconf_set_up(dev->ifname);
	if (rc < 0)
		return port_fail(port, rc, "%s up: %s", dev->ifname, strerror(-rc));
	return 0;
}

/* Bound to no protocol: it hears nothing. The kernel forgets the membership with the socket. */
static int open_socket(struct netdev *dev)
{
	struct packet_mreq all = {.mr_ifindex = dev->ifindex, .mr_type = PACKET_MR_PROMISC};

	dev->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dev->fd < 0)
		return -errno;
	if (setsockopt(dev->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0) {
		int error = errno;

		close(dev->fd);
		return -error;
	}
	return 0;
}

int netdev_open(struct port *port, const struct port_spec *spec, struct netdev *dev)
{
	int rc;

	if (!ifconf_name_valid(spec->ifname) || ifconf_index(spec->ifname) < 0)
		return port_fail(
			port, -ENODEV, "no interface %s", spec->ifname == NULL ? "" : spec->ifname);
	memset(dev, 0, sizeof(*dev));
	memcpy(dev->ifname, spec->ifname, strlen(spec->ifname));
	dev->ifindex = ifconf_index(spec->ifname);
	rc = prepare(port, dev);
	if (rc < 0)
		return rc;
	rc = open_socket(dev);
	if (rc < 0)
		return port_fail(port, rc, "packet socket on %s: %s%s", dev->ifname, strerror(-rc),
			rc == -EPERM ? " (needs CAP_NET_RAW)" : "");
	return 0;
}

void netdev_close(struct netdev *dev)
{
	close(dev->fd);
}

bool netdev_link_up(struct port *port, const struct netdev *dev)
{
	struct ifreq ifr = {0};

	ifr.ifr_ifindex = dev->ifindex;
	/* By index: another interface may have taken the name. */
	if (ioctl(dev->fd, SIOCGIFNAME, &ifr) < 0) {
		port_fail(port, 0, "interface %s was deleted; attach the port again", dev->ifname);
		return false;
	}
	if (ioctl(dev->fd, SIOCGIFFLAGS, &ifr) < 0 || !(ifr.ifr_flags & IFF_UP)) {
		port_fail(port, 0, "interface %s is down", dev->ifname);
		return false;
	}
	if (!(ifr.ifr_flags & IFF_RUNNING)) {
		port_fail(port, 0, "interface %s has no carrier", dev->ifname);
		return false;
	}
	return true;
}

int netdev_set_mtu(const struct netdev *dev, uint16_t mtu)
{
	int now = ifconf_get_mtu(dev->ifname);

	return now >= mtu ? 0 : ifconf_set_mtu(dev->ifname, mtu);
}
