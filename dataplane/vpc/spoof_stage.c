/* SPDX-License-Identifier: Apache-2.0 */
/* Stage `spoof`: may this packet come from where it came from? Finds the sender: the port or the
 * tunnel, its VPC, and the endpoint that owns the source address.
 */
#include "base/ip_text.h"
#include "core/road.h"
#include "underlay/underlay.h"
#include "vpc/vpc_internal.h"

static bool from_port(struct flow *f)
{
	struct port *port = port_get(loc_index(f->in));
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;
	struct endpoint *ep;
	char text[NET_ADDR_TEXT];

	if (vnic == NULL || vnic->vpc->index != f->vpc_index)
		return flow_drop(f, DROP_STALE, NULL, NULL, -1);
	f->in_port = port;
	flow_depend(f, vnic->epoch);
	if (!port->enabled) {
		flow_step(f, "port", port->name, -1, "disabled");
		return flow_drop(f, DROP_PORT_DOWN, "port", port->name, -1);
	}
	if (port->port_security && !rte_is_same_ether_addr(&f->smac, &port->mac)) {
		flow_step(f, "port", port->name, -1, "source MAC is not the port's");
		return flow_drop(f, DROP_SPOOFED, "port", port->name, -1);
	}
	if (port->port_security && !vnic_may_use(vnic, &f->src)) {
		flow_step(f, "port", port->name, -1,
			"source %s is neither the port's nor in allowed_addresses",
			ip_addr_format(&f->src, text));
		return flow_drop(f, DROP_SPOOFED, "port", port->name, -1);
	}
	/* An address that lives elsewhere gives its sender nobody's membership. */
	ep = endpoint_get(f->vpc_index, &f->src);
	f->src_ep = ep != NULL && ep->where == f->in ? ep : NULL;
	flow_step(f, "port", port->name, -1, "source %s accepted%s", ip_addr_format(&f->src, text),
		port->port_security ? "" : " (port_security is off)");
	return true;
}

static bool lives_behind(const struct endpoint *ep, loc_t in)
{
	return ep != NULL && ep->where == in;
}

/* A source that is no endpoint of the VPC: known through a peering, or behind a route's next hop. Sets
 * src_ep. True: the tunnel is where it belongs. */
static bool known_from_elsewhere(struct flow *f)
{
	const struct route *route = route_get(f->vpc, &f->src);

	switch (route != NULL ? route->kind : ROUTE_BLACKHOLE) {
	case ROUTE_PEERING:
		f->src_ep = endpoint_get(route->peer->index, &f->src);
		return lives_behind(f->src_ep, f->in);
	case ROUTE_ENDPOINT:
		return lives_behind(endpoint_get(f->vpc_index, &route->next_hop), f->in);
	case ROUTE_VTEP:
		return route->tunnel == f->in;
	default:
		return false;
	}
}

static bool from_tunnel(struct flow *f)
{
	const struct vtep *vtep = vtep_get(loc_index(f->in));
	char text[NET_ADDR_TEXT];
	bool own;

	if (vtep == NULL)
		return flow_drop(f, DROP_UNKNOWN_VTEP, NULL, NULL, -1);
	f->src_ep = endpoint_get(f->vpc_index, &f->src);
	own = f->src_ep != NULL ? lives_behind(f->src_ep, f->in) : known_from_elsewhere(f);
	if (f->src_ep != NULL)
		flow_depend(f, f->src_ep->epoch);
	if (!own)
		flow_depend(f, vtep->epoch);
	if (!own && !vtep->gateway) {
		flow_step(f, "node", vtep->name, -1, "source %s does not live behind this node",
			ip_addr_format(&f->src, text));
		return flow_drop(f, DROP_WRONG_VTEP, "node", vtep->name, -1);
	}
	flow_step(f, "node", vtep->name, -1, "source %s accepted%s", ip_addr_format(&f->src, text),
		own ? "" : " from a gateway");
	return true;
}

static bool decide(struct flow *f)
{
	f->vpc = vpc_get(f->vpc_index);
	if (f->vpc == NULL)
		return flow_drop(f, DROP_STALE, NULL, NULL, -1);
	return loc_is_tunnel(f->in) ? from_tunnel(f) : from_port(f);
}

ROAD_STAGE(spoof_stage, 100, "spoof", decide);
