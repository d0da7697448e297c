/* SPDX-License-Identifier: Apache-2.0 */
/* NAT gateways: all their EIPs are theirs alone, and on their node. */
#include "gateway.h"
#include "lib/kinds.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

static bool nat_complete(const struct model *model, json_t *json, struct resource_error *error)
{
	const char *first = json_string_value(json_array_get(json_object_get(json, "eips"), 0));
	const struct object *eip = model_get(model, "eip", first);
	const char *node = eip != NULL ? object_text(eip, "node") : NULL;

	(void)error;
	if (json_object_get(json, "node") == NULL && node != NULL)
		json_object_set_new(json, "node", json_string(node));
	return true;
}

static const struct object *eip_named(const struct model *model, const json_t *name)
{
	return model_get(model, "eip", json_string_value(name));
}

static bool eips_check(
	const struct model *model, const struct object *nat, struct resource_error *error)
{
	const json_t *eips = json_object_get(nat->json, "eips"), *name;
	const struct object *node = gateway_of(nat);
	char path[40];
	size_t i;

	json_array_foreach ((json_t *)eips, i, name) {
		const struct object *eip = eip_named(model, name), *theirs = gateway_of(eip);

		snprintf(path, sizeof(path), "/eips/%zu", i);
		if (!eip_is_free_for(eip, nat, path, error))
			return false;
		if (theirs != node)
			return resource_fail(error, "/node",
				"EIP `%s` of NAT gateway `%s` is on node `%s`, not on `%s`",
				eip->name, nat->name, theirs->name, node->name);
	}
	return true;
}

bool nat_has_eip(const struct model *model, const struct object *nat, const json_t *snat,
	enum net_family family)
{
	const json_t *names = json_object_get(snat, "eips"), *name;
	size_t i;

	if (json_array_size(names) == 0)
		names = json_object_get(nat->json, "eips");
	json_array_foreach ((json_t *)names, i, name)
		if (eip_family(eip_named(model, name)) == family)
			return true;
	return false;
}

static bool source_check(const struct model *model, const struct object *nat, const json_t *snat,
	struct resource_error *error)
{
	const char *text = resource_text(snat, "source");
	bool nat64 = resource_boolean(snat, "nat64", false);
	struct net_prefix source;

	net_prefix_parse(text, &source);
	if (!vpc_covers(vpc_of(nat), &source))
		return resource_fail(error, "/source", "%s is outside the ranges of VPC `%s`", text,
			vpc_of(nat)->name);
	if (!nat64 && !nat_has_eip(model, nat, snat, source.addr.family))
		return resource_fail(error, "/eips", "%s needs an %s EIP", text,
			source.addr.family == NET_IPV4 ? "IPv4" : "IPv6");
	return true;
}

static bool subnet_check(const struct model *model, const struct object *nat, const json_t *snat,
	struct resource_error *error)
{
	const struct object *subnet = model_get(model, "subnet", resource_text(snat, "subnet"));
	bool nat64 = resource_boolean(snat, "nat64", false), some = false;
	static const enum net_family families[] = {NET_IPV4, NET_IPV6};

	if (vpc_of(subnet) != vpc_of(nat))
		return resource_fail(error, "/subnet", "subnet `%s` is in VPC `%s`, not in `%s`",
			subnet->name, vpc_of(subnet)->name, vpc_of(nat)->name);
	for (size_t i = 0; i < 2; i++)
		some |= subnet_range(subnet->json, families[i], NULL, NULL) &&
			(nat_has_eip(model, nat, snat, families[i]) ||
				(nat64 && families[i] == NET_IPV6));
	if (nat64 && !subnet_range(subnet->json, NET_IPV6, NULL, NULL))
		return resource_fail(
			error, "/nat64", "subnet `%s` has no IPv6 range", subnet->name);
	return some || resource_fail(error, "/eips", "none is of a family that subnet `%s` has",
			       subnet->name);
}

static bool snat_check(const struct model *model, const struct object *nat, const json_t *snat,
	struct resource_error *error)
{
	if (resource_boolean(snat, "nat64", false) && !nat_has_eip(model, nat, snat, NET_IPV4))
		return resource_fail(error, "/nat64", "needs an IPv4 EIP");
	return resource_text(snat, "source") != NULL ? source_check(model, nat, snat, error)
						     : subnet_check(model, nat, snat, error);
}

static bool dnat_check(const struct model *model, const struct object *nat, const json_t *dnat,
	struct resource_error *error)
{
	const char *to = resource_text(dnat, "to_address");
	const struct object *eip = eip_named(model, json_object_get(dnat, "eip"));
	struct net_prefix whole;

	net_prefix_parse_any(to, &whole);
	if (whole.addr.family != eip_family(eip))
		return resource_fail(error, "/to_address",
			"%s and EIP `%s`, %s, are of different families", to, eip->name,
			object_text(eip, "address"));
	return vpc_covers(vpc_of(nat), &whole) ||
	       resource_fail(error, "/to_address", "%s is outside the ranges of VPC `%s`", to,
		       vpc_of(nat)->name);
}

static bool nat_recheck(
	const struct model *model, const struct object *nat, struct resource_error *error)
{
	const json_t *entry;
	size_t i;

	if (!gateway_check(nat, error) || !eips_check(model, nat, error))
		return false;
	json_array_foreach (json_object_get(nat->json, "snat"), i, entry) {
		if (snat_check(model, nat, entry, error))
			continue;
		resource_error_prefix(error, "/snat/%zu", i);
		return false;
	}
	json_array_foreach (json_object_get(nat->json, "dnat"), i, entry) {
		if (dnat_check(model, nat, entry, error))
			continue;
		resource_error_prefix(error, "/dnat/%zu", i);
		return false;
	}
	return true;
}

const struct kind_rules rules_nat_gateway = {
	.kind = "nat_gateway",
	.complete = nat_complete,
	.check = nat_recheck,
	.recheck = nat_recheck,
	.blamed = "/node",
};
