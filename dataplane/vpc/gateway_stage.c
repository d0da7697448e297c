/* SPDX-License-Identifier: Apache-2.0 */
/* Stage `gateway_source`: what comes from a gateway's own address is the gateway's own. Machines never ask for that address
 * back, and the receivers' groups let it pass (health checks), so nobody else may use it: no port, whatever its port_security
 * or allowed_addresses say, nobody over a peering and nobody from outside. Asked where a flow enters, of the source that it
 * arrives with.
 */
#include "base/ip_text.h"
#include "core/road.h"
#include "underlay/underlay.h"
#include "vpc/vpc_internal.h"

bool gateway_sends(const struct flow *f)
{
	const struct port *port = loc_is_port(f->in) ? port_get(loc_index(f->in)) : NULL;
	const struct vtep *vtep = loc_is_tunnel(f->in) ? vtep_get(loc_index(f->in)) : NULL;

	if (port != NULL)
		return port->role == PORT_HEALTH;
	return vtep != NULL && vtep->gateway && gateway_is(f->vpc, &f->src);
}

static bool decide(struct flow *f)
{
	char text[NET_ADDR_TEXT];

	if (f->src_ep != NULL && ip_addr_equal(&f->src, &f->new_src))
		return true; /* a machine's */
	if (f->dst_vpc == NULL || !gateway_is(f->dst_vpc, &f->new_src) || gateway_sends(f))
		return true;
	flow_step(f, "vpc", f->dst_vpc->name, -1, "source %s is its gateway's",
		ip_addr_format(&f->new_src, text));
	return flow_drop(f, DROP_SPOOFED, "vpc", f->dst_vpc->name, -1);
}

ROAD_STAGE(gateway_stage, 590, "gateway_source", decide)
