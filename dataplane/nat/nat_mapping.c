/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint-independent mappings (RFC 4787 REQ-1, RFC 5382 REQ-1), and what bindings of both kinds have in common. */
#include "nat/nat_binding.h"
#include "nat/nat_log.h"

/* The host has a block more, and so a reference. */
void nat_binding_leased(const struct nat_address *a, enum nat_space space, uint32_t host,
	const struct nat_grant *grant)
{
	if (!grant->leased)
		return;
	nat_record_get(host);
	nat_log_block(a, space, host, grant->block_from, grant->block_to, true);
}

struct nat_lease *nat_lease_of(const struct nat_address *a, uint32_t host, enum nat_space space)
{
	return a->block != 0 ? &nat_record_of(host)->leases[space] : NULL;
}

/* A record for a port of `host`, whose reference it takes over; of no port yet. */
uint32_t nat_binding_new(enum nat_kind kind, const struct flow *f, const struct nat_gateway *gw,
	enum nat_space space, uint32_t host, struct nat_address *a)
{
	uint32_t id = nat_hold_new(kind, gw->id);
	struct nat_record *r = nat_record_of(id);

	if (id == 0)
		return 0;
	r->space = nat_mapping_key(f, gw, space).space;
	r->port = f->sport;
	r->addr = f->src;
	r->parent = host;
	r->address = a->id;
	return id;
}

/* Takes over `host`'s reference. 0: refused. */
static uint32_t mapping_new(struct flow *f, struct nat_gateway *gw, enum nat_space space,
	uint32_t host, enum nat_refusal *why)
{
	struct nat_address *a = nat_address_at(nat_record_of(host)->address);
	uint32_t id = a != NULL ? nat_binding_new(NAT_MAPPING, f, gw, space, host, a) : 0, there;
	struct nat_grant grant;

	*why = NAT_REFUSED_RECORDS;
	if (id == 0) {
		nat_hold_drop(host);
		return 0;
	}
	*why = NAT_REFUSED_PORTS;
	if (!nat_ports_take(a->ports[space], nat_lease_of(a, host, space), host,
		    rte_be_to_cpu_16(f->sport), nat_random(), &grant)) {
		nat_hold_discard(id);
		nat_hold_drop(host);
		return 0;
	}
	nat_binding_leased(a, space, host, &grant);
	atomic_fetch_add_explicit(&a->records, 1, memory_order_relaxed);
	nat_record_of(id)->outside = rte_cpu_to_be_16(grant.port);
	there = nat_table_add(id);
	if (there == id) {
		atomic_store_explicit(&a->mapped[space][grant.port], id, memory_order_release);
		return id;
	}
	/* Another worker was first: nobody has used the port. */
	atomic_fetch_sub_explicit(&a->records, 1, memory_order_relaxed);
	nat_ports_put(a->ports[space], grant.port, false);
	nat_hold_discard(id);
	nat_hold_drop(host);
	return there;
}

static bool port_is_free(const struct nat_record *r, uint32_t part)
{
	const struct nat_address *a = nat_address_at(r->address);
	enum nat_space space = part != 0 ? nat_part_space(part) : nat_space_of(r);

	return a != NULL &&
	       !nat_ports_is_reserved(a->ports[space], rte_be_to_cpu_16(nat_hold_outside(r, part)));
}

static bool is_of_kind(const struct nat_record *r, uint32_t part, const struct nat_rules *rules)
{
	if (!rules->dependent)
		return r->kind == NAT_MAPPING;
	return r->kind == (part != 0 ? NAT_HOST : NAT_FLOW);
}

/* May flows of the rule have it? */
bool nat_binding_is_legal(const struct nat_record *r, uint32_t part, const struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source)
{
	return r->gateway == gw->id && is_of_kind(r, part, rules) &&
	       nat_source_has(rules, source, r->address) && port_is_free(r, part);
}

/* 0: refused. Else with a reference. */
uint32_t nat_map_independent(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source, enum nat_space space, enum nat_refusal *why)
{
	struct nat_record key = nat_mapping_key(f, gw, space);
	uint32_t id = nat_table_find(&key), host;

	if (id != 0 && nat_binding_is_legal(nat_record_of(id), 0, gw, rules, source))
		return id;
	if (id != 0) {
		nat_table_hide(id);
		nat_hold_drop(id);
	}
	*why = NAT_REFUSED_RECORDS;
	host = nat_host_of(f, gw, rules, source, space);
	return host != 0 ? mapping_new(f, gw, space, host, why) : 0;
}
