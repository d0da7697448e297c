/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kinds.h"
#include "rules.h"

#include <string.h>

static void subnet_init(struct object *subnet)
{
	struct subnet_state *s = subnet->state;

	range_set_init(&s->used4);
	range_set_init(&s->used6);
}

static void subnet_fini(struct object *subnet)
{
	struct subnet_state *s = subnet->state;

	range_set_fini(&s->used4);
	range_set_fini(&s->used6);
}

/* Where things of one family are kept, and which fields of the subnet they come from. */
struct family_view {
	struct net_prefix range;
	struct net_addr gateway;
	struct range_set *siblings, *used;
	bool *claimed;
	const char *cidr_path, *gateway_path, *gateway_field;
};

static bool view(const struct object *subnet, enum net_family family, struct family_view *v)
{
	struct vpc_state *vpc = vpc_of(subnet)->state;
	struct subnet_state *s = subnet->state;
	const char *cidr = object_text(subnet, "cidr");
	bool second = family == NET_IPV6 && (cidr == NULL || strchr(cidr, ':') == NULL);

	if (!subnet_range(subnet->json, family, &v->range, &v->gateway))
		return false;
	v->siblings = family == NET_IPV4 ? &vpc->subnets4 : &vpc->subnets6;
	v->used = family == NET_IPV4 ? &s->used4 : &s->used6;
	v->claimed = family == NET_IPV4 ? &s->claimed4 : &s->claimed6;
	v->cidr_path = second ? "/cidr6" : "/cidr";
	v->gateway_path = second ? "/gateway6" : "/gateway";
	v->gateway_field = v->gateway_path + 1;
	return true;
}

static void bounds(const struct net_prefix *range, range_value *first, range_value *last)
{
	struct net_addr a = net_prefix_first(range), b = net_prefix_last(range);

	*first = range_of_addr(&a);
	*last = range_of_addr(&b);
}

/* The other subnet that has a part of the range, for the message. */
static const char *overlapped(const struct object *subnet, const struct net_prefix *range)
{
	REFERRERS_FOREACH(vpc_of(subnet), subnet->kind, ref)
	{
		struct net_prefix other;

		if (ref->from != subnet &&
			subnet_range(ref->from->json, range->addr.family, &other, NULL) &&
			net_prefix_overlaps(range, &other))
			return ref->from->name;
	}
	return "another";
}

static struct range_set *used_of(struct object *subnet, enum net_family family)
{
	struct subnet_state *s = subnet->state;

	return family == NET_IPV4 ? &s->used4 : &s->used6;
}

void subnet_reserve(struct object *subnet, const struct net_addr *addr)
{
	range_set_add(used_of(subnet, addr->family), range_of_addr(addr), range_of_addr(addr));
}

void subnet_unreserve(struct object *subnet, const struct net_addr *addr)
{
	range_set_remove(used_of(subnet, addr->family), range_of_addr(addr), range_of_addr(addr));
}

/* The virtual address of a balancer of its VPC, if it is in the range. */
static bool virtual_address(
	const struct object *balancer, const struct family_view *v, struct net_addr *addr)
{
	const struct vpc_state *vpc = vpc_of(balancer)->state;
	const char *text = object_text(balancer, "address");

	return text != NULL && strmap_get(&vpc->taken, text) == balancer &&
	       net_addr_parse(text, addr) && net_prefix_contains(&v->range, addr);
}

/* Can those that were there before the subnet be addresses in it? */
static bool virtual_addresses_fit(
	const struct object *subnet, const struct family_view *v, struct resource_error *error)
{
	REFERRERS_FOREACH(vpc_of(subnet), kind_find("load_balancer"), ref)
	{
		struct net_addr addr;
		bool gateway;

		if (!virtual_address(ref->from, v, &addr))
			continue;
		gateway = net_addr_equal(&addr, &v->gateway);
		if (gateway || !net_prefix_is_host(&v->range, &addr))
			return resource_fail_code(error, ERROR_CONFLICT,
				gateway ? v->gateway_path : v->cidr_path,
				"%s is taken by load_balancer `%s`",
				object_text(ref->from, "address"), ref->from->name);
	}
	return true;
}

static void reserve_virtual(struct object *subnet, const struct family_view *v)
{
	REFERRERS_FOREACH(vpc_of(subnet), kind_find("load_balancer"), ref)
	{
		struct net_addr addr;

		if (virtual_address(ref->from, v, &addr))
			subnet_reserve(subnet, &addr);
	}
}

static bool claim_family(
	struct object *subnet, enum net_family family, struct resource_error *error)
{
	struct vpc_state *vpc = vpc_of(subnet)->state;
	struct family_view v;
	range_value first, last, gateway;

	if (!view(subnet, family, &v))
		return true;
	if (!vpc_covers(vpc_of(subnet), &v.range))
		return resource_fail(error, v.cidr_path, "%s is outside the ranges of VPC `%s`",
			object_text(subnet, v.cidr_path + 1), vpc_of(subnet)->name);
	if (!virtual_addresses_fit(subnet, &v, error))
		return false;
	bounds(&v.range, &first, &last);
	if (!range_set_add(v.siblings, first, last))
		return resource_fail_code(error, ERROR_CONFLICT, v.cidr_path,
			"%s overlaps subnet `%s`", object_text(subnet, v.cidr_path + 1),
			overlapped(subnet, &v.range));
	*v.claimed = true;
	reserve_virtual(subnet, &v);
	gateway = range_of_addr(&v.gateway);
	range_set_add(v.used, gateway, gateway);
	strmap_put(&vpc->taken, object_text(subnet, v.gateway_field), subnet);
	return true;
}

static bool subnet_claim(struct model *model, struct object *subnet, struct resource_error *error)
{
	(void)model;
	return claim_family(subnet, NET_IPV4, error) && claim_family(subnet, NET_IPV6, error);
}

static void release_family(struct object *subnet, enum net_family family)
{
	struct vpc_state *vpc = vpc_of(subnet)->state;
	struct family_view v;
	range_value first, last, gateway;

	if (!view(subnet, family, &v) || !*v.claimed)
		return;
	bounds(&v.range, &first, &last);
	range_set_remove(v.siblings, first, last);
	gateway = range_of_addr(&v.gateway);
	range_set_remove(v.used, gateway, gateway);
	strmap_take(&vpc->taken, object_text(subnet, v.gateway_field));
	*v.claimed = false;
}

static void subnet_release(struct model *model, struct object *subnet)
{
	(void)model;
	if (vpc_of(subnet) == NULL)
		return;
	release_family(subnet, NET_IPV4);
	release_family(subnet, NET_IPV6);
}

static bool subnet_recheck(
	const struct model *model, const struct object *subnet, struct resource_error *error)
{
	static const enum net_family families[] = {NET_IPV4, NET_IPV6};

	(void)model;
	for (size_t i = 0; i < 2; i++) {
		struct net_prefix range;

		if (subnet_range(subnet->json, families[i], &range, NULL) &&
			!vpc_covers(vpc_of(subnet), &range))
			return resource_fail_code(error, ERROR_CONFLICT, "",
				"subnet `%s` would be outside the VPC's ranges", subnet->name);
	}
	return true;
}

const struct kind_rules rules_subnet = {
	.kind = "subnet",
	.state_size = sizeof(struct subnet_state),
	.init = subnet_init,
	.fini = subnet_fini,
	.claim = subnet_claim,
	.release = subnet_release,
	.recheck = subnet_recheck,
};
