/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <string.h>

static bool route_claim(struct model *model, struct object *route, struct resource_error *error)
{
	struct vpc_state *vpc = vpc_of(route)->state;
	const char *destination = object_text(route, "destination");
	const struct object *owner = strmap_get(&vpc->routes, destination);

	(void)model;
	if (owner != NULL)
		return resource_fail_code(error, ERROR_CONFLICT, "/destination",
			"route `%s` of the VPC has that destination", owner->name);
	strmap_put(&vpc->routes, destination, route);
	return true;
}

static void route_release(struct model *model, struct object *route)
{
	const struct object *vpc = vpc_of(route);
	struct vpc_state *s = vpc != NULL ? vpc->state : NULL;
	const char *destination = object_text(route, "destination");

	(void)model;
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

static bool route_check(
	const struct model *model, const struct object *route, struct resource_error *error)
{
	const struct object *vpc = vpc_of(route);
	const struct object *port = object_target(route, kind_find("port"));
	const struct object *peering = object_target(route, kind_find("peering"));
	bool ipv6 = strchr(object_text(route, "destination"), ':') != NULL;

	(void)model;
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
	return true;
}

const struct kind_rules rules_route = {
	.kind = "route",
	.claim = route_claim,
	.release = route_release,
	.check = route_check,
	.recheck = route_check,
};
