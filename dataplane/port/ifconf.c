/* SPDX-License-Identifier: Apache-2.0 */
#include "port/ifconf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

/* One interface being configured. */
struct interface {
	struct nl_sock *nl;
	struct port *port;
	const char *ifname;
	int ifindex;
};

struct ip_text {
	int family;
	uint8_t addr[16];
	unsigned int len; /* of addr */
	unsigned int prefix;
};

/* "10.0.0.5/24", "10.0.0.1" (a whole address). */
static bool parse_ip(const char *text, struct ip_text *ip)
{
	char addr[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = '\0';
	ip->family = strchr(addr, ':') != NULL ? AF_INET6 : AF_INET;
	ip->len = ip->family == AF_INET6 ? 16 : 4;
	ip->prefix = ip->len * 8;
	if (inet_pton(ip->family, addr, ip->addr) != 1)
		return false;
	if (text[n] == '/') {
		char *end;
		unsigned long prefix = strtoul(text + n + 1, &end, 10);

		if (end == text + n + 1 || *end != '\0' || prefix > ip->prefix)
			return false;
		ip->prefix = (unsigned int)prefix;
	}
	return true;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	(void)from;
	*(int *)arg = e->error;
	return NL_STOP;
}

/* Sends and waits for the kernel's answer. Takes `msg`. 0 or the kernel's own -errno. */
static int transact(struct nl_sock *nl, struct nl_msg *msg)
{
	int error = 0, rc;

	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, on_error, &error);
	rc = nl_send_auto(nl, msg);
	nlmsg_free(msg);
	if (rc >= 0)
		rc = nl_wait_for_ack(nl);
	return error != 0 ? error : rc < 0 ? -EIO : 0;
}

static struct nl_msg *message(int type, int flags, void *payload, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK | flags);

	if (msg != NULL && nlmsg_append(msg, payload, len, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

static int set_link(const struct interface *c, int ifindex, const struct rte_ether_addr *mac,
	uint16_t mtu, bool up)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex};
	struct nl_msg *msg;

	if (up)
		ifi.ifi_flags = ifi.ifi_change = IFF_UP;
	msg = message(RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	if (msg == NULL)
		return -ENOMEM;
	if (mac != NULL && !rte_is_zero_ether_addr(mac))
		nla_put(msg, IFLA_ADDRESS, sizeof(*mac), mac);
	if (mtu != 0)
		nla_put_u32(msg, IFLA_MTU, mtu);
	return transact(c->nl, msg);
}

static int add_address(const struct interface *c, const struct ip_text *ip)
{
	struct ifaddrmsg ifa = {
		.ifa_family = (uint8_t)ip->family,
		.ifa_prefixlen = (uint8_t)ip->prefix,
		.ifa_index = (uint32_t)c->ifindex,
		/* Addresses are given out by the controller: nobody else can have it. */
		.ifa_flags = ip->family == AF_INET6 ? IFA_F_NODAD : 0,
	};
	struct nl_msg *msg = message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &ifa, sizeof(ifa));

	if (msg == NULL)
		return -ENOMEM;
	nla_put(msg, IFA_LOCAL, (int)ip->len, ip->addr);
	nla_put(msg, IFA_ADDRESS, (int)ip->len, ip->addr);
	return transact(c->nl, msg);
}

static int add_default_route(const struct interface *c, const struct ip_text *gateway)
{
	struct rtmsg rt = {
		.rtm_family = (uint8_t)gateway->family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
		/* A gateway outside the address's prefix (a /32) is fine. */
		.rtm_flags = RTNH_F_ONLINK,
	};
	struct nl_msg *msg = message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &rt, sizeof(rt));

	if (msg == NULL)
		return -ENOMEM;
	nla_put(msg, RTA_GATEWAY, (int)gateway->len, gateway->addr);
	nla_put_u32(msg, RTA_OIF, (uint32_t)c->ifindex);
	return transact(c->nl, msg);
}

/* Best effort: a kernel without IPv6 has none of these. */
static void set_ipv6_option(const char *ifname, const char *option, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname, option);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, value, strlen(value));
	close(fd);
}

static int add_addresses(const struct interface *c, const struct port_spec *spec)
{
	for (unsigned int i = 0; i < spec->n_addresses; i++) {
		struct ip_text ip;
		int rc;

		if (!parse_ip(spec->addresses[i], &ip))
			return port_fail(c->port, -EINVAL, "%s is no address", spec->addresses[i]);
		rc = add_address(c, &ip);
		if (rc < 0)
			return port_fail(c->port, rc, "address %s on %s: %s", spec->addresses[i],
				c->ifname, strerror(-rc));
	}
	return 0;
}

static int add_gateway(const struct interface *c, const char *text)
{
	struct ip_text ip;
	int rc;

	if (text == NULL || text[0] == '\0')
		return 0;
	if (!parse_ip(text, &ip))
		return port_fail(c->port, -EINVAL, "gateway %s is no address", text);
	rc = add_default_route(c, &ip);
	if (rc < 0)
		return port_fail(c->port, rc, "default route via %s on %s: %s", text, c->ifname,
			strerror(-rc));
	return 0;
}

static int configure(const struct interface *c, const struct port_spec *spec)
{
	int rc, lo = ifconf_index("lo");

	set_ipv6_option(c->ifname, "accept_ra", "0");
	set_ipv6_option(c->ifname, "autoconf", "0");
	set_ipv6_option(c->ifname, "accept_dad", "0");
	if (lo > 0)
		set_link(c, lo, NULL, 0, true);
	rc = set_link(c, c->ifindex, NULL, 0, true);
	if (rc < 0)
		return port_fail(c->port, rc, "%s up: %s", c->ifname, strerror(-rc));
	rc = add_addresses(c, spec);
	if (rc == 0)
		rc = add_gateway(c, spec->gateway4);
	if (rc == 0)
		rc = add_gateway(c, spec->gateway6);
	return rc;
}

int ifconf_apply(struct port *port, const struct port_spec *spec)
{
	struct interface c = {.port = port, .ifname = spec->ifname};
	int rc;

	c.ifindex = ifconf_index(spec->ifname);
	if (c.ifindex < 0)
		return port_fail(port, c.ifindex, "no interface %s", spec->ifname);
	c.nl = nl_socket_alloc();
	if (c.nl == NULL)
		return port_fail(port, -ENOMEM, "out of memory");
	if (nl_connect(c.nl, NETLINK_ROUTE) < 0) {
		nl_socket_free(c.nl);
		return port_fail(port, -EIO, "no netlink socket");
	}
	rc = set_link(&c, c.ifindex, &spec->mac, spec->mtu, false);
	if (rc < 0)
		port_fail(port, rc, "MAC or MTU of %s: %s", spec->ifname, strerror(-rc));
	else if (spec->configure)
		rc = configure(&c, spec);
	nl_socket_free(c.nl);
	return rc;
}

static int alias_found(struct nl_msg *msg, void *arg)
{
	const struct nlattr *attr =
		nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct ifinfomsg), IFLA_IFALIAS);

	if (attr != NULL)
		nla_strlcpy(arg, attr, IFCONF_ALIAS_MAX);
	return NL_OK;
}

/* A socket, one request about the interface, `attr` added to it unless NULL. */
static int about_link(int type, const char *ifname, const char *alias, char *found)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = ifconf_index(ifname)};
	struct nl_sock *nl;
	struct nl_msg *msg;
	int rc = -ENOMEM;

	if (ifi.ifi_index < 0)
		return ifi.ifi_index;
	nl = nl_socket_alloc();
	msg = message(type, 0, &ifi, sizeof(ifi));
	if (nl == NULL || msg == NULL) {
		nlmsg_free(msg);
	} else if (nl_connect(nl, NETLINK_ROUTE) < 0) {
		nlmsg_free(msg);
		rc = -EIO;
	} else {
		if (alias != NULL)
			nla_put(msg, IFLA_IFALIAS, (int)strlen(alias), alias);
		if (found != NULL)
			nl_socket_modify_cb(nl, NL_CB_VALID, NL_CB_CUSTOM, alias_found, found);
		rc = transact(nl, msg);
	}
	nl_socket_free(nl);
	return rc;
}

int ifconf_get_alias(const char *ifname, char alias[IFCONF_ALIAS_MAX])
{
	alias[0] = '\0';
	return about_link(RTM_GETLINK, ifname, NULL, alias);
}

int ifconf_set_alias(const char *ifname, const char *alias)
{
	return about_link(RTM_SETLINK, ifname, alias, NULL);
}

bool ifconf_name_valid(const char *ifname)
{
	size_t len = ifname == NULL ? 0 : strlen(ifname);

	/* '%' would make the kernel choose a number; the others it refuses. */
	return len > 0 && len < IFNAMSIZ && strpbrk(ifname, "/%: \t\n") == NULL &&
	       strcmp(ifname, ".") != 0 && strcmp(ifname, "..") != 0;
}

static int if_ioctl(const char *ifname, unsigned long request, struct ifreq *ifr)
{
	int rc, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", ifname);
	rc = ioctl(fd, request, ifr) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int ifconf_index(const char *ifname)
{
	struct ifreq ifr = {0};
	int rc = if_ioctl(ifname, SIOCGIFINDEX, &ifr);

	return rc < 0 ? rc : ifr.ifr_ifindex;
}

int ifconf_set_mtu(const char *ifname, uint16_t mtu)
{
	struct ifreq ifr = {.ifr_mtu = mtu};

	return if_ioctl(ifname, SIOCSIFMTU, &ifr);
}

int ifconf_get_mtu(const char *ifname)
{
	struct ifreq ifr = {0};
	int rc = if_ioctl(ifname, SIOCGIFMTU, &ifr);

	return rc < 0 ? rc : ifr.ifr_mtu;
}

int ifconf_get_mac(const char *ifname, struct rte_ether_addr *mac)
{
	struct ifreq ifr = {0};
	int rc = if_ioctl(ifname, SIOCGIFHWADDR, &ifr);

	if (rc == 0 && ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		rc = -EPROTOTYPE;
	if (rc == 0)
		memcpy(mac, ifr.ifr_hwaddr.sa_data, sizeof(*mac));
	return rc;
}

int ifconf_set_up(const char *ifname)
{
	struct ifreq ifr = {0};
	int rc = if_ioctl(ifname, SIOCGIFFLAGS, &ifr);

	if (rc < 0 || (ifr.ifr_flags & IFF_UP))
		return rc;
	ifr.ifr_flags |= IFF_UP;
	return if_ioctl(ifname, SIOCSIFFLAGS, &ifr);
}
