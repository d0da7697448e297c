/* SPDX-License-Identifier: Apache-2.0 */
/* Stage `rate` of the readable road: the rates of the ports at both ends of a flow. Each flow depends on both vNICs already, by
 * the stages `policy_*`. */
#include "core/road.h"
#include "port/port.h"
#include "vpc/vpc.h"

static const struct qos_port *rate_of(loc_t where, const char **name)
{
	const struct port *port = loc_is_port(where) ? port_get(loc_index(where)) : NULL;
	const struct vnic *vnic = port != NULL && port->role == PORT_TENANT ? vnic_of(port) : NULL;

	if (vnic == NULL)
		return NULL;
	*name = port->name;
	return &vnic->rate;
}

static bool decide(struct flow *f)
{
	const char *name = NULL;
	const struct qos_port *from = rate_of(f->in, &name), *to;

	if (from != NULL) {
		flow_meter(f, 0, from->egress);
		flow_meter(f, 1, from->ingress);
		if (from->egress != QOS_NONE)
			flow_step(f, "port", name, -1, "its egress rate limits what it sends");
	}
	to = rate_of(f->out, &name);
	if (to != NULL) {
		flow_meter(f, 0, to->ingress);
		flow_meter(f, 1, to->egress);
		if (to->ingress != QOS_NONE)
			flow_step(f, "port", name, -1, "its ingress rate limits what it is given");
	}
	return true;
}

ROAD_STAGE(rate_stage, 650, "rate", decide)
