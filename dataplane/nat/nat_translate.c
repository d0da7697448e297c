/* SPDX-License-Identifier: Apache-2.0 */
/* The outside address and port of a flow: kept, found or made.
 *
 * Endpoint-independent (RFC 4787 REQ-1, RFC 5382 REQ-1): one mapping for all flows of an inside address and port. Endpoint-dependent: a
 * port for each flow, which flows to other destinations may have, too. In both an inside address keeps its outside address
 * (REQ-2), as long as it has any flow.
 */
#include "base/ip_text.h"
#include "nat/nat_binding.h"
#include "nat/nat_flow.h"

bool nat_refuse(struct flow *f, struct nat_gateway *gw, enum nat_refusal why)
{
	static const char *const texts[] = {
		[NAT_REFUSED_NOTHING] = "",
		[NAT_REFUSED_PORTS] = "no port is left on its addresses",
		[NAT_REFUSED_PER_PORT] = "the vNIC has as many sessions as it may",
		[NAT_REFUSED_PER_VPC] = "the VPC has as many sessions as it may",
		[NAT_REFUSED_RECORDS] = "the table of mappings is full",
	};

	flow_step(f, "nat_gateway", gw->name, -1, "%s", texts[why]);
	if (!f->dry) {
		atomic_fetch_add_explicit(&gw->refused, 1, memory_order_relaxed);
		atomic_store_explicit(&gw->refusal, (uint8_t)why, memory_order_relaxed);
	}
	return flow_drop(f, DROP_NAT_EXHAUSTED, "nat_gateway", gw->name, -1);
}

/* Before anything is taken, so two workers at once may go over it by one. */
static enum nat_refusal limit_of(
	const struct flow *f, const struct nat_gateway *gw, const struct nat_rules *rules)
{
	if (rules->per_vpc != 0 && nat_gateway_sessions(gw) >= rules->per_vpc)
		return NAT_REFUSED_PER_VPC;
	if (rules->per_port != 0 && nat_owner_sessions(f, gw) >= rules->per_port)
		return NAT_REFUSED_PER_PORT;
	return NAT_REFUSED_NOTHING;
}

/* Says it, and returns the address. */
static const struct nat_address *set_source(struct flow *f, const struct nat_gateway *gw,
	const struct nat_source *source, const struct nat_address *a, rte_be16_t port,
	const char *how)
{
	char text[NET_ADDR_TEXT];

	f->new_src = a->ip;
	f->new_sport = port;
	flow_step(f, "nat_gateway", gw->name, (int32_t)source->rule,
		"source becomes %s port %u, %s", ip_addr_format(&a->ip, text),
		rte_be_to_cpu_16(port), how);
	return a;
}

/* What the flow would get; nothing is taken. */
static const struct nat_address *look(struct flow *f, struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source, enum nat_space space)
{
	struct nat_record key = nat_mapping_key(f, gw, space), host = nat_host_key(f, gw);
	const struct nat_record *r = rules->dependent ? NULL : nat_table_look(&key);
	const struct nat_address *a;
	uint32_t address;
	uint16_t port;

	if (r != NULL && nat_binding_is_legal(r, 0, gw, rules, source) &&
		(a = nat_address_at(r->address)) != NULL)
		return set_source(f, gw, source, a, r->outside, "a mapping that is there");
	r = nat_table_look(&host);
	address = r != NULL && nat_source_has(rules, source, r->address)
			  ? r->address
			  : nat_choose_address(rules, source, f->out_v6, space);
	a = nat_address_at(address);
	if (a == NULL ||
		!nat_ports_look(a->ports[space], rte_be_to_cpu_16(f->sport), nat_random(), &port)) {
		nat_refuse(f, gw, NAT_REFUSED_PORTS);
		return NULL;
	}
	return set_source(f, gw, source, a, rte_cpu_to_be_16(port), "for example");
}

/* The session's own, if it is still what it may have. Else the session ends and its next packet begins another: ports that it took now
 * would only go to rest. */
static const struct nat_address *keep(struct flow *f, const struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source)
{
	uint32_t id = nat_kept_of(f), part = f->kept->hold.part;
	const struct nat_record *root = nat_hold_root(id);
	const struct nat_address *a;

	if (root == NULL || !nat_binding_is_legal(root, part, gw, rules, source) ||
		(a = nat_address_at(root->address)) == NULL) {
		flow_drop(f, DROP_STALE, "nat_gateway", gw->name, -1);
		return NULL;
	}
	f->hold.id[HOLD_NAT] = id;
	f->hold.part = part;
	return set_source(f, gw, source, a, nat_hold_outside(root, part), "as it has been");
}

/* A new binding, or another session of one that is there. */
static const struct nat_address *take(struct flow *f, struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source, enum nat_space space)
{
	const struct nat_address *a;
	enum nat_refusal why;
	uint32_t part = 0;
	uint32_t id = rules->dependent ? nat_map_dependent(f, gw, rules, source, space, &why, &part)
				       : nat_map_independent(f, gw, rules, source, space, &why);

	if (id == 0) {
		nat_refuse(f, gw, why);
		return NULL;
	}
	a = nat_address_at(nat_record_of(id)->address);
	set_source(f, gw, source, a, nat_hold_outside(nat_record_of(id), part), "taken for it");
	if (part == 0)
		id = nat_wrap(f, rules, id,
			&(struct nat_ends){.inside = f->src,
				.inside_port = f->sport,
				.outside_port = f->new_sport,
				.remote = f->new_dst,
				.remote_port = f->new_dport});
	if (id == 0) {
		nat_refuse(f, gw, NAT_REFUSED_RECORDS);
		return NULL;
	}
	f->hold.id[HOLD_NAT] = id;
	f->hold.part = part;
	nat_hold_begin(id);
	return a;
}

const struct nat_address *nat_translate(struct flow *f, struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source)
{
	enum nat_space space = nat_space_of_flow(f);
	enum nat_refusal why;

	if (space == NAT_SPACES) {
		flow_step(f, "nat_gateway", gw->name, -1, "protocol %u has no ports", f->proto);
		flow_drop(f, DROP_UNSUPPORTED, "nat_gateway", gw->name, -1);
		return NULL;
	}
	if (f->kept != NULL)
		return keep(f, gw, rules, source);
	why = limit_of(f, gw, rules);
	if (why != NAT_REFUSED_NOTHING) {
		nat_refuse(f, gw, why);
		return NULL;
	}
	return f->dry ? look(f, gw, rules, source, space) : take(f, gw, rules, source, space);
}
