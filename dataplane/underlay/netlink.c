/* SPDX-License-Identifier: Apache-2.0 */
#include "underlay/netlink.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include <event2/event.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include "core/worker.h"
#include "lib/log.h"
#include "underlay/next_hop.h"

#define EVENT_BUFFER (1 << 20)

static struct nl_sock *events;   /* what the kernel tells by itself */
static struct nl_sock *requests; /* what we ask it; blocking, but the kernel answers at once */
static const char *ifname;
static int ifindex;
static struct ip_addr own[2];
static struct netlink_handlers handlers;

static struct event *heard;

/* To do at the next tick. */
static struct {
	bool routes, neighbours, addresses;
} look;

static bool address_of(const struct nl_addr *from, struct ip_addr *to)
{
	if (from == NULL)
		return false;
	if (nl_addr_get_family(from) == AF_INET && nl_addr_get_len(from) == 4) {
		rte_be32_t v4;

		memcpy(&v4, nl_addr_get_binary_addr(from), sizeof(v4));
		*to = ip_addr_from_v4(v4);
		return true;
	}
	if (nl_addr_get_family(from) != AF_INET6 || nl_addr_get_len(from) != 16)
		return false;
	*to = ip_addr_from_v6(nl_addr_get_binary_addr(from));
	return true;
}

static enum neighbour_trust trust_of(int state)
{
	if (state & (NUD_PERMANENT | NUD_NOARP))
		return NEIGHBOUR_TRUST_FIXED;
	if (state & NUD_REACHABLE)
		return NEIGHBOUR_TRUST_CONFIRMED;
	return state & (NUD_STALE | NUD_DELAY | NUD_PROBE) ? NEIGHBOUR_TRUST_HINT
							   : NEIGHBOUR_TRUST_NONE;
}

static void heard_of(struct rtnl_neigh *n, bool gone)
{
	const struct nl_addr *lladdr = rtnl_neigh_get_lladdr(n);
	enum neighbour_trust trust =
		gone ? NEIGHBOUR_TRUST_NONE : trust_of(rtnl_neigh_get_state(n));
	struct rte_ether_addr mac = {0};
	struct ip_addr addr;

	if (rtnl_neigh_get_ifindex(n) != ifindex || !address_of(rtnl_neigh_get_dst(n), &addr))
		return;
	if (lladdr != NULL && nl_addr_get_len(lladdr) == sizeof(mac))
		memcpy(&mac, nl_addr_get_binary_addr(lladdr), sizeof(mac));
	if (!rte_is_valid_assigned_ether_addr(&mac))
		trust = NEIGHBOUR_TRUST_NONE;
	neighbour_told(next_hop_link(), &addr, &mac, trust, clock_ms());
}

static void neighbour_event(struct nlmsghdr *hdr)
{
	struct rtnl_neigh *n;

	if (rtnl_neigh_parse(hdr, &n) < 0)
		return;
	heard_of(n, hdr->nlmsg_type == RTM_DELNEIGH);
	rtnl_neigh_put(n);
}

/* Ours was deleted (or renamed), and this one has its name now. */
static bool takes_its_place(struct nlmsghdr *hdr, const struct ifinfomsg *info)
{
	struct nlattr *name = nlmsg_find_attr(hdr, sizeof(*info), IFLA_IFNAME);
	char old[IF_NAMESIZE];

	return info->ifi_index != ifindex && name != NULL && nla_strcmp(name, ifname) == 0 &&
	       (if_indextoname((unsigned int)ifindex, old) == NULL || strcmp(old, ifname) != 0);
}

static void link_event(struct nlmsghdr *hdr)
{
	const struct ifinfomsg *info = nlmsg_data(hdr);
	struct nlattr *mac = nlmsg_find_attr(hdr, sizeof(*info), IFLA_ADDRESS);

	if (takes_its_place(hdr, info)) {
		ifindex = info->ifi_index;
		look.routes = look.neighbours = look.addresses = true;
		handlers.replaced();
	} else if (info->ifi_index == ifindex && mac != NULL &&
		   nla_len(mac) == RTE_ETHER_ADDR_LEN) {
		handlers.mac_changed(nla_data(mac));
	}
}

static int on_event(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);

	(void)arg;
	switch (hdr->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbour_event(hdr);
		break;
	case RTM_NEWLINK:
		link_event(hdr);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		look.addresses = look.routes = true;
		break;
	default: /* routes and rules */
		look.routes = true;
	}
	return NL_OK;
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	int rc;

	(void)fd;
	(void)what;
	(void)arg;
	do
		rc = nl_recvmsgs_default(events);
	while (rc >= 0);
	if (rc != -NLE_AGAIN) /* some were lost */
		look.routes = look.neighbours = look.addresses = true;
}

static void read_neighbours(uint32_t now_ms)
{
	struct nl_cache *cache;
	int rc = rtnl_neigh_alloc_cache(requests, &cache);

	if (rc < 0) {
		log_warn("the kernel's neighbours can not be read",
			LOG_STR("error", nl_geterror(rc)));
		return;
	}
	neighbour_told_begin(next_hop_link());
	for (struct nl_object *o = nl_cache_get_first(cache); o != NULL; o = nl_cache_get_next(o))
		heard_of((struct rtnl_neigh *)o, false);
	neighbour_told_end(next_hop_link(), now_ms);
	nl_cache_free(cache);
}

static bool is_own(const struct sockaddr *a, bool v6)
{
	struct ip_addr addr;

	if (a->sa_family != (v6 ? AF_INET6 : AF_INET))
		return false;
	addr = v6 ? ip_addr_from_v6(((const struct sockaddr_in6 *)a)->sin6_addr.s6_addr)
		  : ip_addr_from_v4(((const struct sockaddr_in *)a)->sin_addr.s_addr);
	return ip_addr_equal(&addr, &own[v6]);
}

static void read_addresses(void)
{
	bool owns[2] = {false, false};
	struct ifaddrs *list;

	if (getifaddrs(&list) != 0)
		return;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || strcmp(i->ifa_name, ifname) != 0)
			continue;
		owns[0] |= is_own(i->ifa_addr, false);
		owns[1] |= is_own(i->ifa_addr, true);
	}
	freeifaddrs(list);
	next_hop_link()->silent[0] = owns[0];
	next_hop_link()->silent[1] = owns[1];
}

/* The answer to RTM_GETROUTE. */
struct route_answer {
	const struct ip_addr *dst;
	struct ip_addr hop;
	bool found;
};

static int on_route(struct nl_msg *msg, void *arg)
{
	struct route_answer *answer = arg;
	struct rtnl_nexthop *nh;
	struct rtnl_route *route;
	struct nl_addr *gateway;

	if (rtnl_route_parse(nlmsg_hdr(msg), &route) < 0)
		return NL_OK;
	nh = rtnl_route_nexthop_n(route, 0);
	if (rtnl_route_get_type(route) == RTN_UNICAST && nh != NULL &&
		rtnl_route_nh_get_ifindex(nh) == ifindex) {
		gateway = rtnl_route_nh_get_gateway(nh);
		if (gateway == NULL)
			gateway = rtnl_route_nh_get_via(nh);
		answer->hop = *answer->dst;
		answer->found = gateway == NULL || address_of(gateway, &answer->hop);
	}
	rtnl_route_put(route);
	return NL_OK;
}

bool netlink_route(const struct ip_addr *dst, struct ip_addr *next_hop)
{
	bool v6 = !ip_addr_is_v4(dst);
	struct rtmsg rtm = {.rtm_family = v6 ? AF_INET6 : AF_INET, .rtm_dst_len = v6 ? 128 : 32};
	struct route_answer answer = {.dst = dst};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETROUTE, 0);

	if (msg == NULL)
		return false;
	if (nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) == 0 &&
		nla_put(msg, RTA_DST, v6 ? 16 : 4, v6 ? dst->bytes : dst->bytes + 12) == 0 &&
		nl_socket_modify_cb(requests, NL_CB_VALID, NL_CB_CUSTOM, on_route, &answer) == 0 &&
		nl_send_auto(requests, msg) >= 0)
		nl_recvmsgs_default(requests); /* an error is the answer "nowhere" */
	nlmsg_free(msg);
	*next_hop = answer.hop;
	return answer.found;
}

void netlink_tick(uint32_t now_ms)
{
	static unsigned int hops_seen;
	unsigned int hops = next_hop_link()->made;

	if (events == NULL)
		return;
	if (hops != hops_seen)
		look.neighbours = true;
	hops_seen = hops;
	if (look.addresses)
		read_addresses();
	if (look.routes)
		next_hop_reroute(now_ms);
	if (look.neighbours)
		read_neighbours(now_ms);
	memset(&look, 0, sizeof(look));
}

static int open_sockets(void)
{
	int rc;

	events = nl_socket_alloc();
	requests = nl_socket_alloc();
	if (events == NULL || requests == NULL)
		return -NLE_NOMEM;
	nl_socket_disable_seq_check(events);
	nl_socket_disable_auto_ack(requests);
	nl_socket_modify_cb(events, NL_CB_VALID, NL_CB_CUSTOM, on_event, NULL);
	rc = nl_connect(requests, NETLINK_ROUTE);
	if (rc == 0)
		rc = nl_connect(events, NETLINK_ROUTE);
	if (rc == 0)
		rc = nl_socket_add_memberships(events, RTNLGRP_NEIGH, RTNLGRP_LINK,
			RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,
			RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0);
	if (rc == 0)
		rc = nl_socket_set_nonblocking(events);
	if (rc == 0)
		rc = nl_socket_set_buffer_size(events, EVENT_BUFFER, 0);
	return rc;
}

int netlink_start(const char *name, const struct ip_addr addresses[2], struct event_base *base,
	const struct netlink_handlers *told)
{
	int rc;

	ifname = name;
	ifindex = (int)if_nametoindex(name);
	own[0] = addresses[0];
	own[1] = addresses[1];
	handlers = *told;
	rc = open_sockets();
	if (rc < 0) {
		log_error("netlink can not be opened", LOG_STR("error", nl_geterror(rc)));
		return -EIO;
	}
	heard = event_new(base, nl_socket_get_fd(events), EV_READ | EV_PERSIST, readable, NULL);
	if (heard == NULL || event_add(heard, NULL) != 0)
		return -ENOMEM;
	read_addresses();
	return 0;
}

void netlink_stop(void)
{
	if (heard != NULL)
		event_free(heard);
	nl_socket_free(events);
	nl_socket_free(requests);
	events = requests = NULL;
}
