/* SPDX-License-Identifier: Apache-2.0 */
/* Which ends of flows are whose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_log/flow_log_internal.h"
#include "session/session.h"
#include "underlay/underlay.h"

/* A port that was deleted: its sessions are cut in the second after. Not the next one's with its index, which rests long. */
struct left_port {
	struct left_port *next;
	uint32_t index, vpc_index, vni;
	char name[PORT_NAME_MAX], subnet[PORT_NAME_MAX];
	struct flow_turns since;
};

static struct left_port **left; /* [index of a port] */
static struct left_port *first_left;

/* What is known of a port of this node, whether it is still there or not. */
struct known_port {
	const char *name, *subnet;
	uint32_t index, vpc_index, vni;
};

static bool known_of_vnic(const struct vnic *vnic, struct known_port *k)
{
	const struct subnet *subnet = rcu_ptr_get(vnic->subnet);

	*k = (struct known_port){vnic->port->name, subnet != NULL ? subnet->name : "",
		vnic->port->index, vnic->vpc->index, vnic->vpc->vni};
	return true;
}

static const struct left_port *left_at(loc_t where)
{
	return left != NULL && where != LOC_NONE && loc_is_port(where) &&
			       loc_index(where) < port_table.capacity
		       ? left[loc_index(where)]
		       : NULL;
}

static bool port_at(loc_t where, struct known_port *k)
{
	const struct port *port =
		where != LOC_NONE && loc_is_port(where) ? port_get(loc_index(where)) : NULL;
	const struct vnic *vnic = port != NULL && port->role == PORT_TENANT ? vnic_of(port) : NULL;
	const struct left_port *gone;

	if (vnic != NULL)
		return known_of_vnic(vnic, k);
	gone = left_at(where);
	if (gone == NULL)
		return false;
	*k = (struct known_port){gone->name, gone->subnet, gone->index, gone->vpc_index, gone->vni};
	return true;
}

bool flow_end_is_here(const struct flow_end_of *end)
{
	struct known_port k;

	return port_at(end->where, &k);
}

bool flow_end_has_left(const struct flow_end_of *end)
{
	return left_at(end->where) != NULL;
}

static enum flow_scoped is_named(const struct flow_log *log, const char *subnet, const char *port)
{
	const char *name = log->scope == FLOW_SCOPE_SUBNET ? subnet : port;

	return log->scope == FLOW_SCOPE_VPC || strcmp(name, log->scope_name) == 0 ? FLOW_INSIDE
										  : FLOW_OUTSIDE;
}

bool flow_end_is_foreign(const struct flow_end_of *end)
{
	const struct vtep *vtep =
		loc_is_tunnel(end->where) ? vtep_get(loc_index(end->where)) : NULL;

	return vtep != NULL && vtep_is_foreign(vtep);
}

static enum flow_scoped of_endpoint(const struct flow_log *log, const struct endpoint *ep)
{
	const struct subnet *subnet = rcu_ptr_get(((struct endpoint *)(uintptr_t)ep)->subnet);

	return ep->service == NULL
		       ? is_named(log, subnet != NULL ? subnet->name : "", ep->port_name)
		       : FLOW_OUTSIDE;
}

/* An address that nobody has (any more): what its subnet says, or the machine that it is routed to. */
static enum flow_scoped by_route(const struct flow_log *log, const struct ip_addr *addr)
{
	const struct vpc *vpc = vpc_get(log->vpc_index);
	const struct route *route = vpc != NULL ? route_get(vpc, addr) : NULL;
	const struct endpoint *hop;

	if (vpc != NULL && gateway_is(vpc, addr))
		return FLOW_OUTSIDE; /* of a health check */
	if (route != NULL && route->kind == ROUTE_SUBNET && log->scope != FLOW_SCOPE_PORT)
		return is_named(log, route->subnet->name, "");
	hop = route != NULL && route->kind == ROUTE_ENDPOINT
		      ? endpoint_get(log->vpc_index, &route->next_hop)
		      : NULL;
	return hop != NULL ? of_endpoint(log, hop) : FLOW_UNKNOWN;
}

enum flow_scoped flow_scope_of(const struct flow_log *log, const struct flow_end_of *end)
{
	const struct endpoint *ep;
	struct known_port k;

	if (port_at(end->where, &k))
		return k.vpc_index == log->vpc_index ? is_named(log, k.subnet, k.name)
						     : FLOW_OUTSIDE;
	if (end->vpc_index != log->vpc_index || log->vpc_index == 0)
		return FLOW_OUTSIDE;
	ep = endpoint_get(log->vpc_index, &end->addr);
	return ep != NULL ? of_endpoint(log, ep) : by_route(log, &end->addr);
}

static void copy_name(char *to, const char *name)
{
	snprintf(to, FLOW_NAME_MAX, "%s", name);
}

static uint32_t vni_of(const struct flow_log *log, uint32_t vpc_index)
{
	const struct vpc *vpc = vpc_get(vpc_index);

	return vpc != NULL ? vpc->vni : vpc_index == log->vpc_index ? log->vni : 0;
}

void flow_scope_describe(
	const struct flow_log *log, struct flow_record *r, const struct flow_end_of ends[2])
{
	copy_name(r->vpc, log->vpc);
	for (unsigned int i = 0; i < 2; i++) {
		const struct endpoint *ep;
		struct known_port k;

		r->vni[i] = vni_of(log, ends[i].vpc_index);
		if (port_at(ends[i].where, &k)) {
			r->port[i] = k.index + 1;
			copy_name(r->name[i], k.name);
			continue;
		}
		ep = r->vni[i] != 0 ? endpoint_get(ends[i].vpc_index, &ends[i].addr) : NULL;
		copy_name(r->name[i], ep != NULL && ep->service == NULL ? ep->port_name : "");
	}
}

/* ---- Ports that leave ---- */

static void forget(struct left_port *p)
{
	if (left[p->index] == p)
		left[p->index] = NULL;
	free(p);
}

void flow_scope_left(const struct vnic *vnic)
{
	struct left_port *p;
	struct known_port k;

	if (session_watched() == NULL)
		return;
	if (left == NULL)
		left = calloc(port_table.capacity, sizeof(left[0]));
	p = left != NULL ? calloc(1, sizeof(*p)) : NULL;
	if (p == NULL)
		return; /* its last interval is not told */
	known_of_vnic(vnic, &k);
	p->index = k.index;
	p->vpc_index = k.vpc_index;
	p->vni = k.vni;
	copy_name(p->name, k.name);
	copy_name(p->subnet, k.subnet);
	p->since = flow_log_now();
	p->next = first_left;
	first_left = p;
	left[p->index] = p;
}

void flow_scope_turn(void)
{
	struct left_port **at = &first_left, *p;

	while ((p = *at) != NULL) {
		if (!flow_log_all_passed(&p->since)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		forget(p);
	}
}

void flow_scope_forget(void)
{
	struct left_port *p;

	while ((p = first_left) != NULL) {
		first_left = p->next;
		forget(p);
	}
	free(left);
	left = NULL;
}
