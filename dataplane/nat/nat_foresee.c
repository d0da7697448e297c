/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that an endpoint-dependent binding is made of, on their way while other flows are decided: the inside address' record, its
 * outside address' ports, the answers' bucket. A guess; nothing is taken. */
#include "external/external.h"
#include "nat/nat_binding.h"
#include "session/session.h"
#include "vpc/vpc.h"

/* Of the flow's VPC, if it is here and makes such bindings. */
static const struct nat_gateway *gateway_of(const struct flow *f)
{
	const struct vpc *vpc = vpc_get(f->vpc_index);
	const struct nat_gateway *gw = vpc != NULL && !f->v6 ? nat_gateway_first(vpc->vni) : NULL;
	const struct nat_rules *rules = gw != NULL ? rcu_ptr_get(gw->rules) : NULL;

	return rules != NULL && rules->here && rules->dependent ? gw : NULL;
}

/* As far as can be told at a glance. */
static bool leaves(const struct flow *f)
{
	const struct vpc *vpc = vpc_get(f->vpc_index);
	const struct route *route = vpc != NULL ? route_of(vpc, f) : NULL;

	return route == NULL || route->kind == ROUTE_NAT_GATEWAY;
}

static void foresee_binding(const struct flow *f, const struct nat_record *host)
{
	enum nat_space space = nat_space_of_flow(f);
	const struct nat_address *a = nat_address_at(host->address);
	const struct external *ext = a != NULL ? external_at(a->network) : NULL;
	struct session_key answers;
	int port;

	if (ext == NULL || space == NAT_SPACES)
		return;
	port = nat_ports_foresee(a->ports[space], rte_be_to_cpu_16(f->sport), nat_random_of(f));
	if (port < 0)
		return;
	answers = session_key_v4(ext->scope->index, f->proto, ip_addr_v4(&f->dst),
		ip_addr_v4(&a->ip), f->dport, rte_cpu_to_be_16((uint16_t)port));
	session_prefetch(&answers);
	endpoint_prefetch(ext->scope->index, &f->dst); /* is it a service's of this node? */
}

static bool foresee(const struct flow *f, struct road_foreseen *seen, unsigned int step)
{
	const struct nat_gateway *gw = step == 0 ? gateway_of(f) : seen->object;
	const struct nat_record *host;
	struct nat_record key;

	if (gw == NULL || (step == 0 && !leaves(f)))
		return false;
	if (step == 1) {
		nat_table_foresee_record(seen->at);
		return true;
	}
	key = nat_host_key(f, gw);
	if (step == 0) {
		seen->object = gw;
		seen->at = nat_table_foresee(&key);
		return true;
	}
	host = nat_table_foreseen(seen->at, &key);
	if (host != NULL)
		foresee_binding(f, host);
	return false;
}

ROAD_FORESEE(nat_foresight, foresee)
