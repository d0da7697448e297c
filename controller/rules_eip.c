/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of outside addresses, and the elastic IPs taken from them. No two EIPs have one address. */
#include "gateway.h"
#include "rules.h"

#include <string.h>

/* ---- Pools ---- */

static void bounds(const struct net_prefix *range, range_value *first, range_value *last)
{
	struct net_addr a = net_prefix_first(range), b = net_prefix_last(range);

	*first = range_of_addr(&a);
	*last = range_of_addr(&b);
}

static struct range_set *pools_of(struct model *model, const struct net_prefix *range)
{
	return range->addr.family == NET_IPV4 ? &model->pools4 : &model->pools6;
}

static const char *overlapped(
	const struct model *model, const struct object *pool, const struct net_prefix *range)
{
	MODEL_FOREACH(model, pool->kind, other)
	{
		struct net_prefix theirs;

		if (other != pool && net_prefix_parse(object_text(other, "cidr"), &theirs) &&
			net_prefix_overlaps(range, &theirs))
			return other->name;
	}
	return "another";
}

static bool pool_claim(struct model *model, struct object *pool, struct resource_error *error)
{
	struct pool_state *s = pool->state;
	range_value first, last;
	struct net_prefix range;

	net_prefix_parse(object_text(pool, "cidr"), &range);
	bounds(&range, &first, &last);
	if (!range_set_add(pools_of(model, &range), first, last))
		return resource_fail_code(error, ERROR_CONFLICT, "/cidr",
			"%s overlaps EIP pool `%s`", object_text(pool, "cidr"),
			overlapped(model, pool, &range));
	s->claimed = true;
	return true;
}

static void pool_release(struct model *model, struct object *pool)
{
	struct pool_state *s = pool->state;
	range_value first, last;
	struct net_prefix range;

	if (!s->claimed)
		return;
	net_prefix_parse(object_text(pool, "cidr"), &range);
	bounds(&range, &first, &last);
	range_set_remove(pools_of(model, &range), first, last);
	s->claimed = false;
}

static bool pool_check(
	const struct model *model, const struct object *pool, struct resource_error *error)
{
	const struct object *node = object_target(pool, kind_find("node"));

	(void)model;
	return node == NULL || object_text(node, "rpc") != NULL ||
	       resource_fail(error, "/node", "node `%s` has no dataplane of ours", node->name);
}

const struct kind_rules rules_eip_pool = {
	.kind = "eip_pool",
	.state_size = sizeof(struct pool_state),
	.claim = pool_claim,
	.release = pool_release,
	.check = pool_check,
	.recheck = pool_check,
};

/* ---- EIPs ---- */

static bool eip_complete(const struct model *model, json_t *json, struct resource_error *error)
{
	const char *address = resource_text(json, "address");
	const char *pool_name = resource_text(json, "pool");
	const struct object *pool = model_get(model, "eip_pool", pool_name);
	const char *external = resource_text(json, "external"), *text = address;

	if (pool_name != NULL && pool == NULL)
		return true; /* which is said when references are made */
	if (pool != NULL) {
		const char *node = object_text(pool, "node");

		if (node != NULL && json_object_get(json, "node") == NULL)
			json_object_set_new(json, "node", json_string(node));
		text = object_text(pool, "cidr");
		if (external == NULL)
			external = object_text(pool, "external");
	}
	return json_object_get(json, "node") != NULL ||
	       gateway_choose_into(model, json, external,
		       strchr(text, ':') != NULL ? NET_IPV6 : NET_IPV4, error);
}

static struct range_set *used_of(struct model *model, enum net_family family)
{
	return family == NET_IPV4 ? &model->eips4 : &model->eips6;
}

static void take(struct model *model, struct object *eip, const struct net_addr *addr)
{
	range_set_add(used_of(model, addr->family), range_of_addr(addr), range_of_addr(addr));
	strmap_put(&model->eips, object_text(eip, "address"), eip);
}

static bool eip_claim(struct model *model, struct object *eip, struct resource_error *error)
{
	const char *text = object_text(eip, "address");
	const struct object *pool = object_target(eip, kind_find("eip_pool")), *owner;
	struct net_prefix range;
	struct net_addr addr;

	if (text == NULL)
		return true;
	net_addr_parse(text, &addr);
	if (pool != NULL && net_prefix_parse(object_text(pool, "cidr"), &range) &&
		!net_prefix_contains(&range, &addr))
		return resource_fail(error, "/address", "%s is outside %s of EIP pool `%s`", text,
			object_text(pool, "cidr"), pool->name);
	owner = strmap_get(&model->eips, text);
	if (owner != NULL)
		return resource_fail_code(error, ERROR_CONFLICT, "/address",
			"%s is taken by EIP `%s`", text, owner->name);
	take(model, eip, &addr);
	return true;
}

/* The lowest free address of the pool that no gateway has for itself. */
static bool lowest_free(struct model *model, const struct net_prefix *range, struct net_addr *addr)
{
	struct net_addr from = net_prefix_first_host(range), to = net_prefix_last_host(range);
	range_value value, first = range_of_addr(&from), last = range_of_addr(&to);

	while (range_set_lowest_free(used_of(model, from.family), first, last, &value)) {
		*addr = range_to_addr(from.family, value);
		if (!gateway_has_address(model, addr))
			return true;
		if (value == last)
			return false;
		first = value + 1;
	}
	return false;
}

static bool eip_choose(struct model *model, struct object *eip, struct resource_error *error)
{
	const struct object *pool = object_target(eip, kind_find("eip_pool"));
	char text[NET_ADDR_TEXT];
	struct net_prefix range;
	struct net_addr addr;

	if (object_text(eip, "address") != NULL)
		return true;
	net_prefix_parse(object_text(pool, "cidr"), &range);
	if (!lowest_free(model, &range, &addr))
		return rules_exhausted(error, "/address", "addresses",
			"no address is left in EIP pool `%s`", pool->name);
	json_object_set_new(eip->json, "address", json_string(net_addr_format(&addr, text)));
	take(model, eip, &addr);
	return true;
}

static void eip_release(struct model *model, struct object *eip)
{
	const char *text = object_text(eip, "address");
	struct net_addr addr;

	if (text == NULL || strmap_get(&model->eips, text) != eip)
		return;
	strmap_take(&model->eips, text);
	net_addr_parse(text, &addr);
	range_set_remove(used_of(model, addr.family), range_of_addr(&addr), range_of_addr(&addr));
}

static bool port_has(const struct object *port, const char *address)
{
	static const char *const fields[] = {"addresses", "allowed_addresses"};

	for (size_t f = 0; f < 2; f++) {
		json_t *list = json_object_get(port->json, fields[f]), *entry;
		size_t i;

		json_array_foreach (list, i, entry)
			if (strcmp(json_string_value(entry), address) == 0)
				return true;
	}
	return false;
}

/* Of a port's address there is one EIP: which one would its packets leave with? */
static bool stands_alone(const struct object *eip, const struct object *port, const char *address,
	struct resource_error *error)
{
	REFERRERS_FOREACH(port, eip->kind, ref)
	{
		const char *theirs = ref->from != eip ? eip_private_address(ref->from) : NULL;

		if (theirs != NULL && strcmp(theirs, address) == 0)
			return resource_fail_code(error, ERROR_CONFLICT, "/port",
				"EIP `%s` stands for %s of port `%s` already", ref->from->name,
				address, port->name);
	}
	return true;
}

static bool port_check(const struct object *eip, struct resource_error *error)
{
	const struct object *port = object_target(eip, kind_find("port"));
	const char *given = object_text(eip, "private_address");
	const char *address = port != NULL ? eip_private_address(eip) : NULL;
	bool ipv6 = eip_family(eip) == NET_IPV6;

	if (port == NULL)
		return true;
	if (address == NULL)
		return resource_fail(error, "/port",
			"port `%s` has no %s address for EIP `%s` to stand for", port->name,
			ipv6 ? "IPv6" : "IPv4", eip->name);
	if (given != NULL && (strchr(given, ':') != NULL) != ipv6)
		return resource_fail(error, "/private_address",
			"%s and the EIP's address %s are of different families", given,
			object_text(eip, "address"));
	if (!port_has(port, address))
		return resource_fail(error, "/private_address",
			"%s is no address of port `%s`, which EIP `%s` stands for", address,
			port->name, eip->name);
	return stands_alone(eip, port, address, error);
}

static bool eip_check(
	const struct model *model, const struct object *eip, struct resource_error *error)
{
	const struct object *port = object_target(eip, kind_find("port"));

	(void)model;
	if (!gateway_check(eip, error))
		return false;
	return (port == NULL || eip_is_free_for(eip, port, "/port", error)) &&
	       port_check(eip, error);
}

const struct kind_rules rules_eip = {
	.kind = "eip",
	.complete = eip_complete,
	.claim = eip_claim,
	.choose = eip_choose,
	.release = eip_release,
	.check = eip_check,
	.recheck = eip_check,
	.blamed = "/node",
};
