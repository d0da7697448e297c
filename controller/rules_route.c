/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"
#include "lib/kinds.h"
#include "rules.h"

#include <string.h>

/* The outside network that the route leads to, "" for the first; NULL: it leads elsewhere. */
static const char *network_of(const json_t *route)
{
	const json_t *hop = json_object_get(route, "next_hop");
	const char *kind = resource_text(hop, "kind"), *name = resource_text(hop, "name");

	if (kind == NULL || strcmp(kind, "external") != 0)
		return NULL;
	return name != NULL ? name : "";
}

static bool route_complete(const struct model *model, json_t *json, struct resource_error *error)
{
	const char *network = network_of(json);
	bool ipv6 = strchr(resource_text(json, "destination"), ':') != NULL;

	if (network == NULL || json_object_get(json, "node") != NULL)
		return true;
	return gateway_choose_into(model, json, network[0] != '\0' ? network : NULL,
		ipv6 ? NET_IPV6 : NET_IPV4, error);
}

static bool route_claim(struct model *model, struct object *route, struct resource_error *error)
{
	struct vpc_state *vpc = vpc_of(route)->state;
	const char *destination = object_text(route, "destination");
	const struct object *owner = strmap_get(&vpc->routes, destination);

	if (owner != NULL)
		return resource_fail_code(error, ERROR_CONFLICT, "/destination",
			"route `%s` of the VPC has that destination", owner->name);
	strmap_put(&vpc->routes, destination, route);
	if (network_of(route->json) != NULL)
		strmap_put(&model->external_routes, route->name, route);
	return true;
}

static void route_release(struct model *model, struct object *route)
{
	const struct object *vpc = vpc_of(route);
	struct vpc_state *s = vpc != NULL ? vpc->state : NULL;
	const char *destination = object_text(route, "destination");

	if (strmap_get(&model->external_routes, route->name) == route)
		strmap_take(&model->external_routes, route->name);
	if (s != NULL && strmap_get(&s->routes, destination) == route)
		strmap_take(&s->routes, destination);
}

static bool family_of_port(const struct object *port, bool ipv6)
{
	const json_t *addresses = json_object_get(port->json, "addresses"), *address;
	size_t i;

	json_array_foreach ((json_t *)addresses, i, address)
		if ((strchr(json_string_value(address), ':') != NULL) == ipv6)
			return true;
	return false;
}

/* Do two VPCs have addresses of that family in common? */
static bool share_addresses(const struct object *a, const struct object *b, enum net_family family)
{
	json_t *cidrs = json_object_get(a->json, "cidrs"), *others, *x, *y;
	size_t i, j;

	json_array_foreach (cidrs, i, x) {
		others = json_object_get(b->json, "cidrs");
		json_array_foreach (others, j, y) {
			struct net_prefix p, q;

			if (net_prefix_parse(json_string_value(x), &p) && p.addr.family == family &&
				net_prefix_parse(json_string_value(y), &q) &&
				net_prefix_overlaps(&p, &q))
				return true;
		}
	}
	return false;
}

static enum net_family family_of(const struct object *route)
{
	return strchr(object_text(route, "destination"), ':') != NULL ? NET_IPV6 : NET_IPV4;
}

/* What comes from an outside network is for one VPC. */
static bool network_check(const struct model *model, const struct object *route,
	const char *network, struct resource_error *error)
{
	STRMAP_FOREACH(&model->external_routes, slot)
	{
		const struct object *other = slot->value;

		if (vpc_of(other) == vpc_of(route) || family_of(other) != family_of(route) ||
			strcmp(network_of(other->json), network) != 0 ||
			!share_addresses(vpc_of(route), vpc_of(other), family_of(route)))
			continue;
		return resource_fail_code(error, ERROR_CONFLICT, "/next_hop/name",
			"route `%s` leads there from VPC `%s`, which has addresses of VPC `%s` too",
			other->name, vpc_of(other)->name, vpc_of(route)->name);
	}
	return true;
}

static bool route_check(
	const struct model *model, const struct object *route, struct resource_error *error)
{
	const struct object *vpc = vpc_of(route);
	const struct object *port = object_target(route, kind_find("port"));
	const struct object *peering = object_target(route, kind_find("peering"));
	const struct object *nat = object_target(route, kind_find("nat_gateway"));
	const char *network = network_of(route->json);
	bool ipv6 = strchr(object_text(route, "destination"), ':') != NULL;

	if (port != NULL && vpc_of(port) != vpc)
		return resource_fail(error, "/next_hop/name",
			"port `%s` is in VPC `%s`, not in `%s`", port->name, vpc_of(port)->name,
			vpc->name);
	if (port != NULL && !family_of_port(port, ipv6))
		return resource_fail(error, "/next_hop/name", "port `%s` has no %s address",
			port->name, ipv6 ? "IPv6" : "IPv4");
	if (peering != NULL && peering_other(peering, vpc) == NULL)
		return resource_fail(error, "/next_hop/name", "peering `%s` does not join VPC `%s`",
			peering->name, vpc->name);
	if (nat != NULL && vpc_of(nat) != vpc)
		return resource_fail(error, "/next_hop/name",
			"NAT gateway `%s` is in VPC `%s`, not in `%s`", nat->name,
			vpc_of(nat)->name, vpc->name);
	return network == NULL ||
	       (gateway_check(route, error) && network_check(model, route, network, error));
}

const struct kind_rules rules_route = {
	.kind = "route",
	.complete = route_complete,
	.claim = route_claim,
	.release = route_release,
	.check = route_check,
	.recheck = route_check,
};
