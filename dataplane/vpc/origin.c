/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/vpc.h"

void origin_find(const struct vpc *vpc, const struct ip_addr *src, struct origin *o)
{
	const struct route *route;

	*o = (struct origin){.where = LOC_NONE};
	o->hop = o->endpoint = endpoint_get(vpc->index, src);
	route = o->hop == NULL && !ip_addr_is_link_local(src) ? route_get(vpc, src) : NULL;
	if (route != NULL && route->kind == ROUTE_PEERING)
		o->hop = o->endpoint = endpoint_get(route->peer->index, src);
	else if (route != NULL && route->kind == ROUTE_ENDPOINT)
		o->hop = endpoint_get(vpc->index, &route->next_hop);
	else if (route != NULL && route->kind == ROUTE_VTEP)
		o->where = route->tunnel;
	if (o->hop != NULL)
		o->where = o->hop->where;
}
