/* SPDX-License-Identifier: Apache-2.0 */
/* Out of a VPC by its NAT gateway: which one, and where it is. What it gets there: nat_translate.c. */
#include "base/ip_text.h"
#include "nat/nat_flow.h"
#include "vpc/exit.h"
#include "vpc/vpc.h"

/* Does it leave as IPv6, and is its destination an IPv4 one in 64:ff9b::/96? */
static void family_of(const struct flow *f, bool *out_v6, bool *nat64)
{
	struct ip_addr v4;

	*nat64 = f->v6 && nat64_of(&f->new_dst, &v4);
	*out_v6 = f->v6 && !*nat64;
}

static const struct nat_source *source_of(const struct flow *f, const struct nat_rules *rules)
{
	bool out_v6, nat64;

	family_of(f, &out_v6, &nat64);
	return nat_rules_find(rules, &f->src, out_v6, nat64);
}

/* Of those that cover the source the one with the longest prefix, of equal ones the first by name. */
static struct nat_gateway *gateway_of(const struct flow *f, const struct nat_source **by)
{
	struct nat_gateway *best = NULL;
	int best_len = -1;

	for (struct nat_gateway *gw = nat_gateway_first(f->vpc->vni); gw != NULL;
		gw = nat_gateway_next(gw)) {
		const struct nat_rules *rules = rcu_ptr_get(gw->rules);
		const struct nat_source *source;

		if (rules == NULL || (f->exit_name != NULL && strcmp(f->exit_name, gw->name) != 0))
			continue;
		source = source_of(f, rules);
		if (source != NULL && source->prefix.len > best_len) {
			best = gw;
			best_len = source->prefix.len;
			*by = source;
		}
	}
	return best;
}

static bool leave(struct flow *f);

static bool find(struct flow *f)
{
	const struct nat_source *source = NULL;
	struct nat_gateway *gw = gateway_of(f, &source);
	const struct nat_rules *rules = gw != NULL ? rcu_ptr_get(gw->rules) : NULL;

	if (rules == NULL)
		return false;
	flow_depend(f, gw->epoch);
	if (!rules->here) {
		flow_step(f, "nat_gateway", gw->name, -1, "takes it, on another node");
		(void)flow_to_gateway(f, rules->where);
		return true;
	}
	flow_step(f, "nat_gateway", gw->name, -1, "takes it");
	f->leave = leave;
	f->leave_object = gw;
	f->leave_detail = source;
	return true;
}

VPC_EXIT(nat_exit, 200, find)

/* An IPv6 address of the machine's own leads nowhere with these destinations. */
static bool find_nat64(struct flow *f)
{
	struct ip_addr v4;

	return f->v6 && nat64_of(&f->new_dst, &v4) && find(f);
}

VPC_EXIT(nat64_exit, 50, find_nat64)

/* RFC 6146 section 3.5: what is no host's address outside gets nothing. */
static bool is_no_host(const struct ip_addr *v4)
{
	uint8_t first = v4->bytes[12];

	return first == 0 || first == 127 || first >= 224;
}

static bool exchange_family(struct flow *f, const struct nat_gateway *gw)
{
	char text[NET_ADDR_TEXT];
	struct ip_addr v4;

	if (!f->v6 || !nat64_of(&f->new_dst, &v4))
		return true;
	if (is_no_host(&v4)) {
		flow_step(f, "nat_gateway", gw->name, -1, "%s is no host's address",
			ip_addr_format(&v4, text));
		return flow_drop(f, DROP_NO_ROUTE, "nat_gateway", gw->name, -1);
	}
	f->new_dst = v4;
	f->out_v6 = false;
	flow_step(f, "nat_gateway", gw->name, -1, "to IPv4 address %s", ip_addr_format(&v4, text));
	return true;
}

/* What was found, unless the rules have been replaced since. */
static const struct nat_source *source_again(const struct flow *f, const struct nat_rules *rules)
{
	const struct nat_source *source = f->leave_detail;

	if (rules == NULL)
		return NULL;
	return source >= rules->sources && source < rules->sources + rules->n_sources
		       ? source
		       : source_of(f, rules);
}

static bool leave(struct flow *f)
{
	struct nat_gateway *gw = (struct nat_gateway *)(uintptr_t)f->leave_object;
	const struct nat_rules *rules = rcu_ptr_get(gw->rules);
	const struct nat_source *source = source_again(f, rules);
	const struct nat_address *a;
	const struct eip *eip;

	if (source == NULL) /* changed since it was found */
		return flow_drop(f, DROP_STALE, "nat_gateway", gw->name, -1);
	a = exchange_family(f, gw) ? nat_translate(f, gw, rules, source) : NULL;
	if (a == NULL)
		return false;
	eip = nat_address_eip(a);
	if (eip == NULL)
		return flow_drop(f, DROP_STALE, "nat_gateway", gw->name, -1);
	flow_account(f, atomic_load_explicit(&gw->account, memory_order_relaxed), false);
	return eip_leave(f, eip);
}
