/* SPDX-License-Identifier: Apache-2.0 */
/* Which ends of flows are whose. */
#include <stdio.h>
#include <string.h>

#include "flow_log/flow_log_internal.h"

static const struct vnic *vnic_at(loc_t where)
{
	const struct port *port =
		where != LOC_NONE && loc_is_port(where) ? port_get(loc_index(where)) : NULL;

	return port != NULL && port->role == PORT_TENANT ? vnic_of(port) : NULL;
}

bool flow_end_is_here(const struct flow_end_of *end)
{
	return vnic_at(end->where) != NULL;
}

static bool is_named(const struct flow_log *log, const struct subnet *subnet, const char *port)
{
	switch (log->scope) {
	case FLOW_SCOPE_VPC:
		return true;
	case FLOW_SCOPE_SUBNET:
		return subnet != NULL && strcmp(subnet->name, log->scope_name) == 0;
	default:
		return strcmp(port, log->scope_name) == 0;
	}
}

bool flow_scope_has(const struct flow_log *log, const struct flow_end_of *end)
{
	const struct vnic *vnic = vnic_at(end->where);
	const struct endpoint *ep;

	if (vnic != NULL)
		return vnic->vpc->index == log->vpc_index &&
		       is_named(log, rcu_ptr_get(vnic->subnet), vnic->port->name);
	if (end->vpc_index != log->vpc_index || log->vpc_index == 0)
		return false;
	ep = endpoint_get(log->vpc_index, &end->addr);
	return ep != NULL && ep->service == NULL &&
	       is_named(log, rcu_ptr_get(ep->subnet), ep->port_name);
}

static void copy_name(char *to, const char *name)
{
	snprintf(to, FLOW_NAME_MAX, "%s", name);
}

void flow_scope_describe(
	struct flow_record *r, const struct flow_end_of ends[2], uint32_t vpc_index)
{
	const struct vpc *vpc = vpc_get(vpc_index);

	copy_name(r->vpc, vpc != NULL ? vpc->name : "");
	for (unsigned int i = 0; i < 2; i++) {
		const struct vnic *vnic = vnic_at(ends[i].where);
		const struct endpoint *ep = NULL;

		vpc = vpc_get(ends[i].vpc_index);
		r->vni[i] = vpc != NULL ? vpc->vni : 0;
		r->port[i] = vnic != NULL ? vnic->port->index + 1 : 0;
		if (vnic == NULL && vpc != NULL)
			ep = endpoint_get(ends[i].vpc_index, &ends[i].addr);
		copy_name(r->name[i], vnic != NULL                        ? vnic->port->name
				      : ep != NULL && ep->service == NULL ? ep->port_name
									  : "");
	}
}
