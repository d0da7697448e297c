/* SPDX-License-Identifier: Apache-2.0 */
/* Stage `spoof`: may this packet come from where it came from? Finds the sender: the port or the
 * tunnel, its VPC, and the endpoint that owns the source address.
 */
#include "base/ip_text.h"
#include "core/config.h"
#include "core/road.h"
#include "external/external.h"
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
	if (f->src_ep != NULL && !vnic_owns(vnic, &f->src))
		flow_depend(f, ep->epoch); /* somebody else may come to own it */
	flow_step(f, "port", port->name, -1, "source %s accepted%s", ip_addr_format(&f->src, text),
		port->port_security ? "" : " (port_security is off)");
	return true;
}

/* From the outside: whoever it says it is, but nobody that lives here. */
static bool from_outside(struct flow *f)
{
	const struct port *port = port_get(loc_index(f->in));
	const struct endpoint *ep = endpoint_get(f->vpc_index, &f->src);
	char text[NET_ADDR_TEXT];

	if (port == NULL || port->role != PORT_EXTERNAL)
		return flow_drop(f, DROP_STALE, NULL, NULL, -1);
	if (ep != NULL || ip_addr_is_multicast(&f->src)) {
		flow_step(f, "node", node_config.node, -1, "source %s can not come from outside",
			ip_addr_format(&f->src, text));
		return flow_drop(f, DROP_SPOOFED, "node", node_config.node, -1);
	}
	external_enter(f);
	flow_step(f, "node", node_config.node, -1, "source %s accepted from outside",
		ip_addr_format(&f->src, text));
	return true;
}

/* From a socket of this node (health checks): the kernel says who it is. */
static bool from_socket(struct flow *f)
{
	flow_step(f, NULL, NULL, -1, "a socket of this node");
	return true;
}

static bool is_socket(const struct flow *f)
{
	const struct port *port = loc_is_port(f->in) ? port_get(loc_index(f->in)) : NULL;

	return port != NULL && port->role == PORT_HEALTH && port->vpc_index == f->vpc_index;
}

static bool from_tunnel(struct flow *f)
{
	const struct vtep *vtep = vtep_get(loc_index(f->in));
	char text[NET_ADDR_TEXT];
	struct origin o;

	if (vtep == NULL)
		return flow_drop(f, DROP_UNKNOWN_VTEP, NULL, NULL, -1);
	origin_find(f->vpc, &f->src, &o);
	f->src_ep = o.endpoint;
	if (o.hop != NULL)
		flow_depend(f, o.hop->epoch);
	if (o.where == f->in) {
		flow_step(f, "node", vtep->name, -1, "source %s accepted",
			ip_addr_format(&f->src, text));
		return true;
	}
	if (!vtep->gateway) {
		flow_step(f, "node", vtep->name, -1, "source %s does not live behind this node",
			ip_addr_format(&f->src, text));
		return flow_drop(f, DROP_WRONG_VTEP, "node", vtep->name, -1);
	}
	flow_depend(f, vtep->epoch);
	flow_step(f, "node", vtep->name, -1, "source %s accepted from a gateway",
		ip_addr_format(&f->src, text));
	return true;
}

static bool decide(struct flow *f)
{
	f->vpc = vpc_get(f->vpc_index);
	if (f->vpc == NULL)
		return flow_drop(f, DROP_STALE, NULL, NULL, -1);
	if (f->vpc->external != NULL)
		return from_outside(f);
	if (loc_is_tunnel(f->in))
		return from_tunnel(f);
	return is_socket(f) ? from_socket(f) : from_port(f);
}

ROAD_STAGE(spoof_stage, 100, "spoof", decide);
