/* SPDX-License-Identifier: Apache-2.0 */
/* To an elastic IP that serves a NAT gateway: forwards, and mappings as far as their filter lets new flows in. Answers never come here:
 * they have their session.
 *
 * What nobody waits for is dropped in silence, TCP's SYN too: RFC 5382 REQ-4 forbids an answer for 6 s, in which the inside end may
 * send its own SYN (simultaneous open), and none is owed later.
 */
#include "base/ip_text.h"
#include "nat/nat_binding.h"
#include "nat/nat_flow.h"
#include "vpc/vpc.h"

static bool filtered(struct flow *f, const struct eip *eip, const char *why)
{
	flow_step(f, "eip", eip->name, -1, "%s", why);
	return flow_drop(f, DROP_NAT_FILTERED, "eip", eip->name, -1);
}

/* From a VPC of this node, not from the outside. */
static bool is_hairpin(const struct flow *f)
{
	return f->vpc->external == NULL;
}

static bool may_turn(struct flow *f, const struct nat_gateway *gw, const struct nat_rules *rules)
{
	if (!is_hairpin(f) || f->vpc->vni != gw->vni || rules->hairpin)
		return true;
	flow_step(f, "nat_gateway", gw->name, -1, "does not turn flows of its own VPC round");
	return flow_drop(f, DROP_NAT_FILTERED, "nat_gateway", gw->name, -1);
}

/* Is it what the session that is asked again has of the destination's side? */
static bool is_kept(const struct flow *f, const struct nat_record *root)
{
	uint32_t kept = nat_kept_of(f);

	if (kept != 0 && f->hold.id[HOLD_NAT] == kept) /* of both sides */
		kept = nat_record_of(kept)->kind == NAT_BOTH ? nat_record_of(kept)->address : 0;
	return kept != 0 && nat_hold_root(kept) == root;
}

/* A second one beside the source's. Takes over the reference. */
static uint32_t join(struct flow *f, uint32_t id)
{
	bool whole = f->hold.part == 0 || nat_flow_of_part(f);
	uint32_t both = whole ? nat_hold_new(NAT_BOTH, nat_record_of(id)->gateway) : 0;

	if (both == 0) {
		nat_hold_drop(id);
		return 0;
	}
	nat_record_of(both)->parent = f->hold.id[HOLD_NAT];
	nat_record_of(both)->address = id;
	return both;
}

/* The flow to an inside end holds `id`, a MAPPING or FORWARD, whose reference is the caller's. */
static bool hold(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules, uint32_t id,
	const struct ip_addr *inside, rte_be16_t inside_port)
{
	bool second = f->hold.id[HOLD_NAT] != 0;

	if (is_kept(f, nat_record_of(id))) {
		f->hold.id[HOLD_NAT] = nat_kept_of(f);
		nat_hold_drop(id);
		return true;
	}
	if (f->dry) {
		nat_hold_drop(id);
		return true;
	}
	if (f->kept != NULL) { /* another one: the session ends, its next packet begins anew */
		nat_hold_drop(id);
		return flow_drop(f, DROP_STALE, "nat_gateway", gw->name, -1);
	}
	id = nat_wrap(f, rules, id,
		&(struct nat_ends){.inside = *inside,
			.inside_port = inside_port,
			.outside_port = f->new_dport,
			.remote = f->new_src,
			.remote_port = f->new_sport});
	if (id != 0 && second)
		id = join(f, id);
	if (id == 0)
		return nat_refuse(f, gw, NAT_REFUSED_RECORDS);
	f->hold.id[HOLD_NAT] = id;
	if (!second)
		nat_hold_begin(id);
	return true;
}

/* To an inside address of the gateway's VPC. */
static bool deliver(struct flow *f, const struct nat_gateway *gw, const struct eip *eip,
	const struct ip_addr *addr, rte_be16_t port)
{
	struct vpc *vpc = vpc_by_vni(gw->vni);

	if (vpc == NULL)
		return flow_drop(f, DROP_STALE, "nat_gateway", gw->name, -1);
	eip_meter(f, eip, true);
	flow_account(f, atomic_load_explicit(&gw->account, memory_order_relaxed), true);
	f->new_dport = port;
	return flow_deliver(f, vpc, addr);
}

static bool to_forward(struct flow *f, const struct nat_forward *fw, const struct eip *eip)
{
	struct nat_gateway *gw = nat_gateway_at(fw->gateway);
	const struct nat_rules *rules = gw != NULL ? rcu_ptr_get(gw->rules) : NULL;
	uint16_t port = (uint16_t)(fw->to_port + (rte_be_to_cpu_16(f->new_dport) - fw->from));
	char text[NET_ADDR_TEXT];

	if (rules == NULL)
		return filtered(f, eip, "its NAT gateway is gone");
	flow_depend(f, gw->epoch);
	if (!may_turn(f, gw, rules))
		return false;
	flow_step(f, "nat_gateway", gw->name, (int32_t)fw->rule, "forwards to %s port %u",
		ip_addr_format(&fw->to_address, text), port);
	if (!nat_record_get(fw->record))
		return flow_drop(f, DROP_STALE, "nat_gateway", gw->name, -1);
	return hold(f, gw, rules, fw->record, &fw->to_address, rte_cpu_to_be_16(port)) &&
	       deliver(f, gw, eip, &fw->to_address, rte_cpu_to_be_16(port));
}

/* RFC 4787 REQ-8: may a new flow from there use the mapping? */
static bool lets_in(const struct flow *f, const struct nat_rules *rules, uint32_t mapping)
{
	struct nat_record key = {.kind = NAT_REMOTE,
		.gateway = nat_record_of(mapping)->gateway,
		.parent = mapping,
		.remote = f->new_src};

	switch (rules->filtering) {
	case NAT_FILTER_NONE:
		return true;
	case NAT_FILTER_ADDRESS:
		return nat_table_look(&key) != NULL;
	case NAT_FILTER_ADDRESS_AND_PORT:
		break;
	}
	return false;
}

/* The mapping of a port, with a reference; 0: none that is found. */
static uint32_t mapping_of(const struct nat_address *a, enum nat_space space, rte_be16_t outside)
{
	uint32_t id = atomic_load_explicit(
		&a->mapped[space][rte_be_to_cpu_16(outside)], memory_order_acquire);
	const struct nat_record *r = nat_record_of(id);

	if (id == 0 || !nat_record_get(id))
		return 0;
	if (r->kind == NAT_MAPPING && r->address == a->id && r->outside == outside &&
		nat_space_of(r) == space && !(r->space & NAT_HIDDEN))
		return id;
	nat_hold_drop(id);
	return 0;
}

/* An IPv4 source is known inside by its address in 64:ff9b::/96 (RFC 6146 section 3.5.1.1). */
static void exchange_family(
	struct flow *f, const struct nat_gateway *gw, const struct nat_record *r)
{
	struct ip_addr src = {.w = {RTE_BE32(0x0064ff9b), 0, 0, ip_addr_v4(&f->new_src)}};
	char text[NET_ADDR_TEXT];

	if (!(r->space & NAT_TO_V4) || f->out_v6)
		return;
	f->new_src = src;
	f->out_v6 = true;
	flow_step(f, "nat_gateway", gw->name, -1, "inside its source is %s",
		ip_addr_format(&src, text));
}

static bool to_mapping(struct flow *f, uint32_t id, const struct eip *eip)
{
	const struct nat_record *r = nat_record_of(id);
	struct nat_gateway *gw = nat_gateway_at(r->gateway);
	const struct nat_rules *rules = gw != NULL ? rcu_ptr_get(gw->rules) : NULL;
	struct ip_addr inside = r->addr;
	rte_be16_t port = r->port;
	char text[NET_ADDR_TEXT];

	if (rules == NULL || !lets_in(f, rules, id)) {
		nat_hold_drop(id);
		return filtered(f, eip, "its mapping of that port lets no new flow from there in");
	}
	flow_depend(f, gw->epoch);
	if (!may_turn(f, gw, rules)) {
		nat_hold_drop(id);
		return false;
	}
	flow_step(f, "nat_gateway", gw->name, -1, "mapped to %s port %u",
		ip_addr_format(&inside, text), rte_be_to_cpu_16(port));
	if (!hold(f, gw, rules, id, &inside, port))
		return false;
	exchange_family(f, gw, r);
	return deliver(f, gw, eip, &inside, port);
}

static bool arrive(struct flow *f, const struct eip *eip)
{
	const struct nat_address *a =
		eip->ext != NULL ? nat_address_find(eip->ext->index, &eip->address) : NULL;
	enum nat_space space = nat_space_of_flow(f);
	const struct nat_forward *fw;
	uint32_t id;

	if (a == NULL || space == NAT_SPACES)
		return filtered(f, eip, "nothing is forwarded from it");
	if (space == NAT_ICMP) /* its id is its sender's */
		return filtered(f, eip, "queries are not forwarded");
	fw = nat_forward_find(a, space, rte_be_to_cpu_16(f->new_dport));
	if (fw != NULL)
		return to_forward(f, fw, eip);
	id = mapping_of(a, space, f->new_dport);
	if (id == 0)
		return filtered(f, eip, "nothing is forwarded from that port");
	return to_mapping(f, id, eip);
}

EIP_USE(nat_use, "nat", arrive)
