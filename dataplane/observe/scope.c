/* SPDX-License-Identifier: Apache-2.0 */
/* Which ports an observer looks at: scopes, resolved into a mask of observers at each port. */
#include <stdio.h>
#include <string.h>

#include "core/state.h"
#include "observe/observe_internal.h"
#include "vpc/vpc.h"

bool observe_scope_parse(struct observe_scope *scope, const char *text)
{
	unsigned int vni;

	*scope = (struct observe_scope){.kind = OBSERVE_VPC};
	if (sscanf(text, "vpc %u", &vni) == 1)
		scope->vni = vni;
	else if (sscanf(text, "port %63s", scope->name) == 1)
		scope->kind = OBSERVE_PORT;
	else if (sscanf(text, "subnet %63s", scope->name) == 1)
		scope->kind = OBSERVE_SUBNET;
	else
		return false;
	return true;
}

uint8_t observe_directions(const char *direction)
{
	if (strcmp(direction, "egress") == 0)
		return OBSERVE_SENT;
	return strcmp(direction, "ingress") == 0 ? OBSERVE_GIVEN : OBSERVE_SENT | OBSERVE_GIVEN;
}

bool observe_scope_has(const struct observe_scope *s, const struct port *port)
{
	const struct vnic *vnic = vnic_of(port);
	const struct subnet *subnet;

	if (s->kind == OBSERVE_PORT)
		return strcmp(s->name, port->name) == 0;
	if (port->role != PORT_TENANT || vnic == NULL)
		return false;
	if (s->kind == OBSERVE_NODE)
		return true;
	if (s->kind == OBSERVE_VPC)
		return vnic->vpc != NULL && vnic->vpc->vni == s->vni;
	subnet = rcu_ptr_get(((struct vnic *)(uintptr_t)vnic)->subnet);
	return subnet != NULL && strcmp(s->name, subnet->name) == 0;
}

static bool looks_at(const struct observer *o, const struct port *port)
{
	if (strcmp(o->except, port->name) == 0)
		return false;
	for (unsigned int i = 0; i < o->n_scopes; i++)
		if (observe_scope_has(&o->scopes[i], port))
			return true;
	return false;
}

/* The masks first: a worker that sees the flag finds them; without the flag nobody looks. */
static void set_masks(struct port *port, uint64_t sent, uint64_t given)
{
	atomic_store_explicit(&port->tap_sent, sent, memory_order_relaxed);
	atomic_store_explicit(&port->tap_given, given, memory_order_release);
	__atomic_store_n(&port->tapped,
		(uint8_t)((sent != 0 ? OBSERVE_SENT : 0) | (given != 0 ? OBSERVE_GIVEN : 0)),
		__ATOMIC_RELEASE);
}

void scope_resolve(void)
{
	static bool looked; /* the last time somebody was there */
	bool looking = false;

	for (unsigned int id = 0; id < OBSERVERS_MAX; id++) {
		struct observer *o = rcu_ptr_get(observers[id]);

		if (o != NULL) {
			o->n_ports = 0;
			looking = true;
		}
	}
	if (!looking && !looked)
		return;
	looked = looking;
	names_refresh();
	for (struct port *port = port_next(NULL); port != NULL; port = port_next(port)) {
		uint64_t sent = 0, given = 0;

		for (unsigned int id = 0; id < OBSERVERS_MAX; id++) {
			struct observer *o = rcu_ptr_get(observers[id]);

			if (o == NULL || !looks_at(o, port))
				continue;
			o->n_ports++;
			sent |= o->directions & OBSERVE_SENT ? 1ull << id : 0;
			given |= o->directions & OBSERVE_GIVEN ? 1ull << id : 0;
		}
		set_masks(port, sent, given);
	}
}

void observe_resolve(void)
{
	scope_resolve();
}

/* Behind all that makes ports, vNICs and observers. */
STATE_HOOK(observe_hook, .order = 95, .after_commit = scope_resolve)
