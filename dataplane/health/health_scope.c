/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_scope.h"

#include <stdlib.h>

#include "base/hash_table.h"
#include "base/ip_text.h"
#include "core/rcu.h"
#include "lib/log.h"

/* The first ones are our own. */
#define TARGET_FIRST 16u
#define TARGETS_MAX 65536u

struct target {
	/* Workers read these. */
	uint32_t vni;
	struct ip_addr machine;
	/* Control thread. */
	uint32_t index, users;
	struct hash_node node;
};

static struct target *_Atomic targets[TARGETS_MAX]; /* RCU; by index of the check address */
static struct hash_table by_machine;
static uint32_t next_index = TARGET_FIRST; /* so that an index rests long */
static struct vpc *scope;

static struct ip_addr check_address(bool v4, uint32_t index)
{
	static const uint8_t v6[16] = {0xfd, 0x76, 0x70, 0x63, 0x68, 0x65};
	struct ip_addr a = ip_addr_from_v6(v6);

	if (v4)
		return ip_addr_from_v4(rte_cpu_to_be_32((198u << 24 | 18u << 16) + index));
	a.w[3] = rte_cpu_to_be_32(index);
	return a;
}

static uint32_t index_of(const struct ip_addr *check)
{
	uint32_t low = rte_be_to_cpu_32(check->w[3]);

	return ip_addr_is_v4(check) ? low & 0x1ffff : low;
}

/* Under RCU. NULL: nobody's. */
static const struct target *target_of(const struct ip_addr *check)
{
	uint32_t index = index_of(check);

	return index < TARGETS_MAX ? rcu_ptr_get(targets[index]) : NULL;
}

/* --- On the packet path --- */

/* The gateway of the machine's subnet: a source that it can answer, and that no port may send from. */
static const struct ip_addr *gateway_for(const struct vpc *vpc, const struct ip_addr *machine)
{
	const struct route *route = route_get(vpc, machine);
	const struct subnet *subnet = route == NULL                 ? NULL
				      : route->kind == ROUTE_SUBNET ? route->subnet
								    : NULL;

	if (subnet == NULL)
		return NULL;
	return ip_addr_is_v4(machine) ? &subnet->gateway4 : &subnet->gateway6;
}

static bool arrive(struct flow *f, const struct endpoint *ep)
{
	const struct target *t = target_of(&ep->addr);
	struct vpc *vpc = t != NULL ? vpc_by_vni(t->vni) : NULL;
	const struct ip_addr *gateway = vpc != NULL ? gateway_for(vpc, &t->machine) : NULL;
	char text[NET_ADDR_TEXT];

	if (vpc != NULL)
		flow_depend(f, vpc->epoch);
	if (gateway == NULL) {
		flow_step(f, NULL, NULL, -1, "nobody to check");
		return flow_drop(f, DROP_NO_ROUTE, NULL, NULL, -1);
	}
	f->new_src = *gateway;
	flow_step(f, "vpc", vpc->name, -1, "a health check, from the gateway %s",
		ip_addr_format(gateway, text));
	return flow_deliver(f, vpc, &t->machine);
}

static const struct flow_service health_service = {.kind = "health_check", .arrive = arrive};

/* --- Control thread --- */

struct vpc *health_scope_new(const struct rte_ether_addr *mac, uint16_t mtu)
{
	if (hash_table_init(&by_machine) < 0)
		return NULL;
	scope = vpc_scope_new("(health)");
	if (scope == NULL)
		return NULL;
	scope->gw_mac = *mac;
	scope->mtu = mtu;
	vpc_scope_put(scope);
	return scope;
}

static uint32_t hash_of(uint32_t vni, const struct ip_addr *machine)
{
	return hash_fold(hash_mix(hash_mix(hash_mix(0, vni), machine->q[0]), machine->q[1]));
}

static struct target *find(uint32_t vni, const struct ip_addr *machine)
{
	for (struct hash_node *n = hash_table_find(&by_machine, hash_of(vni, machine)); n != NULL;
		n = hash_node_same(n)) {
		struct target *t = HASH_OBJECT(n, struct target, node);

		if (t->vni == vni && ip_addr_equal(&t->machine, machine))
			return t;
	}
	return NULL;
}

static uint32_t take_index(void)
{
	for (uint32_t tries = 0; tries < TARGETS_MAX; tries++) {
		uint32_t index = next_index;

		next_index = next_index + 1 == TARGETS_MAX ? TARGET_FIRST : next_index + 1;
		if (targets[index] == NULL)
			return index;
	}
	return 0;
}

static struct target *target_new(uint32_t vni, const struct ip_addr *machine)
{
	uint32_t index = take_index();
	struct ip_addr check = check_address(ip_addr_is_v4(machine), index);
	struct target *t = index != 0 ? calloc(1, sizeof(*t)) : NULL;
	struct endpoint *ep = t != NULL ? endpoint_new(scope->index, &check, "health check") : NULL;

	if (ep == NULL) {
		free(t);
		return NULL;
	}
	ep->mac = scope->gw_mac;
	ep->service = &health_service;
	*t = (struct target){.vni = vni, .machine = *machine, .index = index};
	rcu_ptr_set(targets[index], t);
	hash_table_insert(&by_machine, &t->node, hash_of(vni, machine));
	endpoint_put(ep);
	return t;
}

bool health_target_get(uint32_t vni, const struct ip_addr *machine, struct ip_addr *check)
{
	struct target *t = find(vni, machine);

	if (t == NULL)
		t = target_new(vni, machine);
	if (t == NULL)
		return false;
	t->users++;
	*check = check_address(ip_addr_is_v4(machine), t->index);
	return true;
}

void health_target_put(const struct ip_addr *check)
{
	struct target *t = targets[index_of(check)];

	if (--t->users > 0)
		return;
	endpoint_remove(scope->index, check, LOC_NONE); /* its flows are asked again, and end */
	hash_table_remove(&by_machine, &t->node);
	rcu_ptr_set(targets[t->index], NULL);
	rcu_defer(free, t);
}

const char *health_target_problem(const struct ip_addr *check)
{
	const struct target *t = target_of(check);
	const struct vpc *vpc = t != NULL ? vpc_by_vni(t->vni) : NULL;
	const struct endpoint *ep = vpc != NULL ? endpoint_get(vpc->index, &t->machine) : NULL;
	const struct vnic *vnic;
	const struct port *port;

	if (ep == NULL || ep->service != NULL)
		return "no port has this address";
	if (!loc_is_port(ep->where))
		return NULL;
	port = ep->where != LOC_NONE ? port_get(loc_index(ep->where)) : NULL;
	vnic = port != NULL ? vnic_of(port) : NULL;
	if (vnic == NULL)
		return "its port is not here";
	if (!port->enabled)
		return "its port is disabled";
	return port->state == PORT_ACTIVE ? NULL : "its port is down";
}
