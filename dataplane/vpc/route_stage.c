/* SPDX-License-Identifier: Apache-2.0 */
/* Stage `route`: where the packet goes, and with which MACs it and its answers travel.
 *
 * A frame to the gateway's MAC is routed: the longest prefix of the VPC's routes decides. A frame to the
 * MAC of the destination's owner, in the sender's subnet, is bridged. Routing is done once, on the source's
 * node: what comes out of a tunnel is for a port here and goes into no other tunnel.
 */
#include "base/ip_text.h"
#include "core/config.h"
#include "core/road.h"
#include "external/external.h"
#include "underlay/underlay.h"
#include "vpc/exit.h"
#include "vpc/vpc_internal.h"

static bool no_route(struct flow *f, const char *kind, const char *name)
{
	return flow_drop(f, DROP_NO_ROUTE, kind, name, -1);
}

/* What decides about a packet that nothing in its network does: the VPC; for an outside network the node. */
static bool network_drops(struct flow *f, enum drop_reason reason)
{
	bool outside = f->vpc->external != NULL;

	return flow_drop(
		f, reason, outside ? "node" : "vpc", outside ? node_config.node : f->vpc->name, -1);
}

#define network_step(f, ...)                                                                       \
	flow_step(f, (f)->vpc->external != NULL ? "node" : "vpc",                                  \
		(f)->vpc->external != NULL ? node_config.node : (f)->vpc->name, -1, __VA_ARGS__)

/* Do answers from the destination take its gateway's way back? */
static bool crosses(const struct flow *f)
{
	if (f->routed)
		return true;
	if (!loc_is_tunnel(f->in)) /* bridged: same subnet */
		return false;
	return f->src_ep == NULL || f->src_ep->vpc_index != f->dst_vpc->index ||
	       f->src_ep->subnet != f->dst_ep->subnet;
}

/* Whom answers from here are addressed to: the sender itself, or what it sends through. */
static struct rte_ether_addr reply_dmac(const struct flow *f)
{
	const struct route *route;
	const struct endpoint *hop;

	if (!loc_is_tunnel(f->in))
		return f->smac;
	if (f->src_ep != NULL)
		return f->src_ep->mac;
	route = route_get(f->vpc, &f->src);
	if (route != NULL && route->kind == ROUTE_VTEP)
		return route->mac;
	hop = route != NULL && route->kind == ROUTE_ENDPOINT
		      ? endpoint_get(f->vpc_index, &route->next_hop)
		      : NULL;
	return hop != NULL ? hop->mac : f->smac;
}

/* A VTEP that somebody else runs routes nothing: its answers come with the VNI that it was sent. */
static bool is_foreign(loc_t out)
{
	const struct vtep *vtep = loc_is_tunnel(out) ? vtep_get(loc_index(out)) : NULL;

	return vtep != NULL && vtep_is_foreign(vtep);
}

/* Nobody of the VPCs for who gets it: its node answers in the VPC that it was sent to. */
static bool is_strangers(const struct flow *f)
{
	return f->vpc->external != NULL || !ip_addr_equal(&f->src, &f->new_src);
}

/* The answers' part of the verdict; the packet's own is decided. */
static void decide_answers(struct flow *f)
{
	const struct vpc *src_vpc = f->src_ep != NULL ? vpc_get(f->src_ep->vpc_index) : f->vpc;
	bool crossing = crosses(f);

	if (src_vpc == NULL)
		src_vpc = f->vpc;
	f->reply_vni = src_vpc->vni;
	/* What comes back through a tunnel was routed by the node there and carries our VNI. */
	f->reply_routed = crossing && loc_is_port(f->out);
	f->out_vpc_index = loc_is_port(f->out) || is_foreign(f->out) || is_strangers(f)
				   ? f->dst_vpc->index
				   : f->vpc_index;
	f->reply_smac = crossing ? src_vpc->gw_mac : f->dmac;
	f->reply_dmac = crossing ? reply_dmac(f) : f->smac;
}

static bool is_of(loc_t where, const struct vpc *vpc)
{
	const struct port *port = port_get(loc_index(where));
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;

	return vnic != NULL && vnic->vpc == vpc;
}

static bool to_service(struct flow *f, struct vpc *vpc, const struct endpoint *ep)
{
	flow_depend(f, ep->epoch);
	f->service = ep;
	f->dst_vpc = vpc;
	flow_step(f, ep->service->kind, ep->port_name, -1, "its address");
	return true;
}

static bool deliver(struct flow *f, struct vpc *vpc, struct endpoint *ep)
{
	if (ep->service != NULL)
		return to_service(f, vpc, ep);
	if (ep->where == LOC_NONE ||
		(!f->gateway && loc_is_tunnel(f->in) && loc_is_tunnel(ep->where))) {
		flow_step(f, "port", ep->port_name, -1, "is not on this node");
		return no_route(f, "port", ep->port_name);
	}
	if (ip_addr_equal(&f->new_src, &f->new_dst)) {
		flow_step(f, "port", ep->port_name, -1, "source and destination are the same");
		return no_route(f, "port", ep->port_name);
	}
	if (loc_is_port(ep->where) &&
		!is_of(ep->where, vpc)) { /* never into another VPC, whatever a record says */
		flow_step(f, "port", ep->port_name, -1, "is gone");
		return flow_drop(f, DROP_STALE, "port", ep->port_name, -1);
	}
	flow_depend(f, ep->epoch);
	f->dst_ep = ep;
	f->dst_vpc = vpc;
	f->out = ep->where;
	f->out_vni = vpc->vni;
	f->mtu = RTE_MIN(f->vpc->mtu, vpc->mtu);
	f->out_smac = f->routed ? vpc->gw_mac : f->smac;
	f->out_dmac = ep->mac;
	decide_answers(f);
	flow_step(f, "port", ep->port_name, -1, "%s to it%s", f->routed ? "routed" : "bridged",
		loc_is_tunnel(f->out) ? ", on another node" : "");
	return true;
}

static bool route_to_subnet(struct flow *f, struct vpc *vpc, const struct route *route)
{
	struct endpoint *ep = endpoint_get(vpc->index, &f->dst);

	if (ep != NULL)
		return deliver(f, vpc, ep);
	flow_step(f, "subnet", route->name, -1, "nobody has that address");
	return no_route(f, "subnet", route->name);
}

/* Only what is the peer's own: its routes and its other peerings are not ours. */
static bool route_to_peer(struct flow *f, const struct route *route)
{
	const struct route *theirs = route_get(route->peer, &f->dst);

	flow_step(f, "peering", route->name, -1, "the peer's address");
	if (theirs != NULL && theirs->kind == ROUTE_SUBNET)
		return route_to_subnet(f, route->peer, theirs);
	if (theirs != NULL && theirs->kind == ROUTE_BLACKHOLE)
		return flow_drop(f, DROP_BLACKHOLE, "route", theirs->name, -1);
	flow_step(f, "vpc", route->name, -1, "no subnet of the peer");
	return no_route(f, "vpc", route->name);
}

static bool route_to_hop(struct flow *f, const struct route *route)
{
	struct endpoint *ep = endpoint_get(f->vpc_index, &route->next_hop);

	flow_step(f, "route", route->name, -1, "next hop is a port");
	if (ep != NULL)
		return deliver(f, f->vpc, ep);
	flow_step(f, "route", route->name, -1, "its next hop is not there");
	return no_route(f, "route", route->name);
}

static bool route_to_vtep(struct flow *f, const struct route *route)
{
	if (loc_is_tunnel(f->in) || route->tunnel == LOC_NONE) {
		flow_step(f, "route", route->name, -1, "leads back out of the node");
		return no_route(f, "route", route->name);
	}
	f->dst_vpc = f->vpc;
	f->out = route->tunnel;
	f->out_vni = f->vpc->vni;
	f->mtu = f->vpc->mtu;
	f->out_smac = f->vpc->gw_mac;
	f->out_dmac = route->mac;
	decide_answers(f);
	flow_step(f, "route", route->name, -1, "into its tunnel");
	return true;
}

/* Out of the VPC: by a service that takes its source there. */
static bool route_out(struct flow *f)
{
	char text[NET_ADDR_TEXT];

	if (vpc_exit_find(f))
		return f->reason == DROP_NONE;
	network_step(f, "no route leads to %s", ip_addr_format(&f->dst, text));
	return network_drops(f, DROP_NO_ROUTE);
}

bool flow_deliver(struct flow *f, struct vpc *vpc, const struct ip_addr *addr)
{
	struct endpoint *ep = endpoint_get(vpc->index, addr);
	char text[NET_ADDR_TEXT];

	f->new_dst = *addr;
	if (ep == NULL || ep->service != NULL) {
		flow_step(f, "vpc", vpc->name, -1, "no machine of it has %s",
			ip_addr_format(addr, text));
		return no_route(f, "vpc", vpc->name);
	}
	f->gateway = f->routed = true;
	return deliver(f, vpc, ep);
}

bool flow_to_gateway(struct flow *f, loc_t tunnel)
{
	const struct vtep *vtep = loc_is_tunnel(tunnel) ? vtep_get(loc_index(tunnel)) : NULL;

	if (loc_is_tunnel(f->in) || vtep == NULL) {
		flow_step(f, "vpc", f->vpc->name, -1, "the gateway is not this node");
		return no_route(f, "vpc", f->vpc->name);
	}
	f->dst_vpc = f->vpc;
	f->out = tunnel;
	f->out_vni = f->vpc->vni;
	f->mtu = f->vpc->mtu;
	f->out_smac = f->out_dmac = f->vpc->gw_mac;
	decide_answers(f);
	flow_step(f, "node", vtep->name, -1, "to the gateway there");
	return true;
}

static bool leave_as_it_is(struct flow *f)
{
	return external_leave(f, (struct external *)(uintptr_t)f->leave_object);
}

/* A dedicated line. */
static bool route_to_external(struct flow *f, const struct route *route)
{
	if (route->tunnel != LOC_NONE) {
		flow_step(f, "route", route->name, -1, "leads out by a gateway");
		return flow_to_gateway(f, route->tunnel);
	}
	if (route->external == NULL) {
		flow_step(f, "route", route->name, -1, "there is no network %s on this node",
			route->target);
		return no_route(f, "route", route->name);
	}
	flow_step(f, "route", route->name, -1, "leads out by network %s", route->external->name);
	f->leave = leave_as_it_is;
	f->leave_object = route->external;
	return true;
}

static bool route_to_nat_gateway(struct flow *f, const struct route *route)
{
	flow_step(f, "route", route->name, -1, "leads to NAT gateway %s", route->target);
	f->exit_name = route->target;
	return route_out(f);
}

/* What came in from an outside network: to a service's address, or by a dedicated line. */
static bool route_in(struct flow *f, const struct route *route)
{
	const struct endpoint *ep = endpoint_get(f->vpc_index, &f->dst);

	f->routed = true;
	if (ep != NULL && ep->service != NULL)
		return to_service(f, f->vpc, ep);
	if (route == NULL) {
		flow_step(f, "node", node_config.node, -1, "no address of this node");
		return flow_drop(f, DROP_NOT_FOR_US, "node", node_config.node, -1);
	}
	flow_step(f, "vpc", route->name, -1, "has a route to this network");
	return flow_deliver(f, route->peer, &f->dst);
}

/* No address of a subnet: a service's, or somewhere beyond the VPC. */
static bool route_beyond(struct flow *f, const struct route *route)
{
	const struct endpoint *ep = endpoint_get(f->vpc_index, &f->dst);

	f->routed = true;
	if (ep != NULL && ep->service != NULL)
		return to_service(f, f->vpc, ep);
	if (route == NULL)
		return route_out(f);
	return route->kind == ROUTE_EXTERNAL ? route_to_external(f, route)
					     : route_to_nat_gateway(f, route);
}

static bool decide_routed(struct flow *f)
{
	const struct route *route = route_of(f->vpc, f);
	char prefix[NET_PREFIX_TEXT];

	if (ip_addr_is_link_local(&f->src) || ip_addr_is_link_local(&f->dst)) {
		network_step(f, "a link-local address ends at the gateway");
		return network_drops(f, DROP_NO_ROUTE);
	}
	if (f->vpc->external != NULL)
		return route_in(f, route);
	if (route == NULL)
		return route_beyond(f, NULL);
	f->routed = true;
	switch (route->kind) {
	case ROUTE_SUBNET:
		flow_step(f, "subnet", route->name, -1, "%s matches",
			ip_prefix_format(&route->prefix, prefix));
		return route_to_subnet(f, f->vpc, route);
	case ROUTE_PEERING:
		return route_to_peer(f, route);
	case ROUTE_ENDPOINT:
		return route_to_hop(f, route);
	case ROUTE_VTEP:
		return route_to_vtep(f, route);
	case ROUTE_NAT_GATEWAY:
	case ROUTE_EXTERNAL:
		return route_beyond(f, route);
	case ROUTE_INWARD:
	case ROUTE_BLACKHOLE:
		break;
	}
	flow_step(f, "route", route->name, -1, "%s is a black hole",
		ip_prefix_format(&route->prefix, prefix));
	return flow_drop(f, DROP_BLACKHOLE, "route", route->name, -1);
}

/* Whose MAC the frame must carry: the destination's owner, or the port that a route sends it through. */
static struct endpoint *bridged_owner(const struct flow *f)
{
	struct endpoint *ep = endpoint_get(f->vpc_index, &f->dst);
	const struct route *route;

	if (ep != NULL || ip_addr_is_link_local(&f->dst))
		return ep;
	route = route_get(f->vpc, &f->dst);
	return route != NULL && route->kind == ROUTE_ENDPOINT
		       ? endpoint_get(f->vpc_index, &route->next_hop)
		       : NULL;
}

static bool holds(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	return prefix->len != IP_PREFIX_NONE && ip_prefix_contains(prefix, addr);
}

static bool in_senders_subnet(const struct flow *f, const struct endpoint *ep)
{
	const struct subnet *subnet =
		vnic_of(f->in_port) != NULL ? vnic_of(f->in_port)->subnet : NULL;

	if (ep->subnet != NULL)
		return ep->subnet == subnet;
	return subnet != NULL &&
	       (holds(&subnet->prefix4, &ep->addr) || holds(&subnet->prefix6, &ep->addr));
}

/* From a tunnel: link-local addresses are the subnet's. */
static bool leaves_link(const struct flow *f, const struct endpoint *ep)
{
	return (ip_addr_is_link_local(&f->src) || ip_addr_is_link_local(&f->dst)) &&
	       (f->src_ep == NULL || f->src_ep->subnet != ep->subnet);
}

static bool decide_bridged(struct flow *f)
{
	struct endpoint *ep = bridged_owner(f);
	char text[NET_ADDR_TEXT];

	if (ep == NULL || !rte_is_same_ether_addr(&ep->mac, &f->dmac)) {
		network_step(f, "destination MAC is not that of %s", ip_addr_format(&f->dst, text));
		return network_drops(f, DROP_NO_ROUTE);
	}
	if (f->in_port != NULL ? !in_senders_subnet(f, ep) : leaves_link(f, ep)) {
		flow_step(
			f, "port", ep->port_name, -1, "is in another subnet: send to the gateway");
		return no_route(f, "port", ep->port_name);
	}
	return deliver(f, f->vpc, ep);
}

static bool decide(struct flow *f)
{
	flow_depend(f, f->vpc->epoch);
	if (rte_is_multicast_ether_addr(&f->dmac) || ip_addr_is_multicast(&f->dst)) {
		network_step(f, "broadcast and multicast are not carried");
		return network_drops(f, DROP_BROADCAST);
	}
	return rte_is_same_ether_addr(&f->dmac, &f->vpc->gw_mac) ? decide_routed(f)
								 : decide_bridged(f);
}

ROAD_STAGE(route_stage, ROAD_ROUTE, "route", decide);
