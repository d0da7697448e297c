/* SPDX-License-Identifier: Apache-2.0 */
/* Custom routes as they were told: each found by VPC and destination in one step, however many a VPC has; those into outside
 * networks, which are few, in a list of their own. Workers see none of this but the copies in a VPC's table (route_table.c). */
#include <stdlib.h>
#include <sys/random.h>

#include "base/hash_table.h"
#include "external/external.h"
#include "vpc/vpc_internal.h"

static struct hash_table destinations; /* of all VPCs */
static uint64_t seed; /* tenants choose destinations: chains must not be theirs to build */

struct route_work route_work;

int custom_routes_init(void)
{
	if (destinations.buckets != NULL)
		return 0;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed = (uintptr_t)&seed;
	return hash_table_init(&destinations);
}

static uint32_t hash_of(const struct vpc *vpc, const struct ip_prefix *destination)
{
	uint64_t hash = hash_mix(seed, ip_addr_high(&destination->addr));

	hash = hash_mix(hash, ip_addr_low(&destination->addr));
	return hash_fold(hash_mix(hash, (uint64_t)vpc->index << 8 | destination->len));
}

static struct custom_route *find(
	const struct vpc *vpc, const struct ip_prefix *destination, uint32_t hash)
{
	struct hash_node *node = hash_table_find(&destinations, hash);

	for (; node != NULL; node = hash_node_same(node)) {
		struct custom_route *r = HASH_OBJECT(node, struct custom_route, by_destination);

		route_work.looks++;
		if (r->vpc == vpc && ip_prefix_equal(&r->route.prefix, destination))
			return r;
	}
	return NULL;
}

static void drop(struct custom_route *route)
{
	hash_table_remove(&destinations, &route->by_destination);
	LIST_REMOVE(route, link);
	if (route->route.external != NULL)
		LIST_REMOVE(route, outward);
	free(route);
}

void route_put(struct vpc *vpc, struct custom_route *route)
{
	uint32_t hash = hash_of(vpc, &route->route.prefix);
	struct custom_route *old = find(vpc, &route->route.prefix, hash);

	vpc_dirty(vpc); /* also the network that it led to until now */
	if (old != NULL)
		drop(old);
	route->vpc = vpc;
	hash_table_insert(&destinations, &route->by_destination, hash);
	LIST_INSERT_HEAD(&vpc->custom_routes, route, link);
	if (route->route.external == NULL)
		return;
	LIST_INSERT_HEAD(&vpc->outward_routes, route, outward);
	vpc_dirty(vpc);
}

void route_remove(struct vpc *vpc, const struct ip_prefix *destination)
{
	struct custom_route *old = find(vpc, destination, hash_of(vpc, destination));

	if (old == NULL)
		return;
	vpc_dirty(vpc);
	drop(old);
}

void custom_routes_free(struct vpc *vpc)
{
	while (!LIST_EMPTY(&vpc->custom_routes))
		drop(LIST_FIRST(&vpc->custom_routes));
}

bool custom_route_leads_to(const struct vpc *vpc, const struct external *ext, bool v6)
{
	const struct custom_route *r;

	LIST_FOREACH (r, &vpc->outward_routes, outward) {
		route_work.looks++;
		if (r->route.external == ext && ip_addr_is_v4(&r->route.prefix.addr) == !v6)
			return true;
	}
	return false;
}
