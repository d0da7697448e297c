/* SPDX-License-Identifier: Apache-2.0 */
/* Where the addresses of a VPC lead to: own subnets, peers' CIDRs and custom routes in one prefix map,
 * made again as a whole and swapped when one of them changes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prefix_map.h"
#include "core/rcu.h"
#include "core/road.h"
#include "external/external.h"
#include "vpc/vpc_internal.h"

const struct route *route_get(const struct vpc *vpc, const struct ip_addr *dst)
{
	const struct route_table *table = rcu_ptr_get(vpc->routes);
	const struct prefix_match *m = table != NULL ? prefix_map_find(table->map, dst) : NULL;

	return m != NULL ? &table->routes[m->value] : NULL;
}

const struct route *route_of(const struct vpc *vpc, const struct flow *f)
{
	return f->route_known ? f->route : route_get(vpc, &f->dst);
}

static bool is_gateway(const struct route *route, const struct ip_addr *addr)
{
	return route != NULL && route->kind == ROUTE_SUBNET &&
	       (ip_addr_equal(addr, &route->subnet->gateway4) ||
		       ip_addr_equal(addr, &route->subnet->gateway6));
}

bool gateway_is(const struct vpc *vpc, const struct ip_addr *addr)
{
	if (vpc->external != NULL)
		return external_is_own(vpc->external, addr);
	return ip_addr_equal(addr, &vpc->gw_link_local) || is_gateway(route_get(vpc, addr), addr);
}

bool gateway_is_destination(const struct vpc *vpc, struct flow *f)
{
	if (vpc->external != NULL || ip_addr_equal(&f->dst, &vpc->gw_link_local))
		return gateway_is(vpc, &f->dst);
	f->route = route_get(vpc, &f->dst);
	f->route_known = true;
	return is_gateway(f->route, &f->dst);
}

static void table_free(void *arg)
{
	struct route_table *table = arg;

	prefix_map_free(table->map);
	free(table);
}

void route_table_free(struct route_table *table)
{
	if (table != NULL)
		table_free(table);
}

/* Room for all routes of the VPC, counted generously. */
static uint32_t count_routes(const struct vpc *vpc)
{
	const struct custom_route *custom;
	uint32_t n = 0;

	for (const struct subnet *s = vpc->subnets; s != NULL; s = s->next)
		n += 2;
	LIST_FOREACH (custom, &vpc->custom_routes, link)
		n++;
	for (uint32_t p = 0; p < vpc->n_peers; p++) {
		const struct vpc *peer = vpc_by_vni(vpc->peers[p]);

		n += peer != NULL ? peer->n_cidrs : 0;
	}
	for (uint32_t i = 1; vpc->external != NULL && i < VPC_INDEX_MAX; i++)
		n += vpc_get(i) != NULL &&
				     (custom_route_leads_to(vpc_get(i), vpc->external, false) ||
					     custom_route_leads_to(vpc_get(i), vpc->external, true))
			     ? vpc_get(i)->n_cidrs
			     : 0;
	return n;
}

static void add(struct route_table *t, const struct route *route)
{
	t->routes[t->n++] = *route;
}

static void add_custom(struct route_table *t, const struct vpc *vpc, bool blackholes)
{
	const struct custom_route *r;

	LIST_FOREACH (r, &vpc->custom_routes, link) {
		route_work.looks++;
		if ((r->route.kind == ROUTE_BLACKHOLE) == blackholes)
			add(t, &r->route);
	}
}

static void add_subnet(struct route_table *t, struct subnet *s, const struct ip_prefix *prefix)
{
	struct route *r = &t->routes[t->n];

	if (prefix->len == IP_PREFIX_NONE)
		return;
	t->n++;
	*r = (struct route){
		.kind = ROUTE_SUBNET, .subnet = s, .prefix = *prefix, .tunnel = LOC_NONE};
	r->revision = s->revision;
	snprintf(r->name, sizeof(r->name), "%s", s->name);
}

static void add_range(struct route_table *t, struct vpc *peer, const struct ip_prefix *range,
	enum route_kind kind)
{
	struct route *r = &t->routes[t->n++];

	*r = (struct route){.kind = kind, .peer = peer, .tunnel = LOC_NONE};
	r->prefix = *range;
	r->revision = peer->revision;
	snprintf(r->name, sizeof(r->name), "%s", peer->name);
}

static void add_peer(struct route_table *t, struct vpc *peer)
{
	for (uint32_t c = 0; c < peer->n_cidrs; c++)
		add_range(t, peer, &peer->cidrs[c], ROUTE_PEERING);
}

/* Of a scope: what VPCs have routes to its network. */
static void add_inward(struct route_table *t, const struct external *ext)
{
	for (uint32_t i = 1; i < VPC_INDEX_MAX; i++) {
		struct vpc *vpc = vpc_get(i);

		for (uint32_t c = 0; vpc != NULL && c < vpc->n_cidrs; c++)
			if (custom_route_leads_to(vpc, ext, !ip_addr_is_v4(&vpc->cidrs[c].addr)))
				add_range(t, vpc, &vpc->cidrs[c], ROUTE_INWARD);
	}
}

/* Among equal prefixes the first one given wins: discarding, then the VPC itself, then what somebody
 * wrote, then what a peering brings along. */
static void fill(struct route_table *t, struct vpc *vpc)
{
	add_custom(t, vpc, true);
	for (struct subnet *s = vpc->subnets; s != NULL; s = s->next) {
		add_subnet(t, s, &s->prefix4);
		add_subnet(t, s, &s->prefix6);
	}
	add_custom(t, vpc, false);
	for (uint32_t p = 0; p < vpc->n_peers; p++) {
		struct vpc *peer = vpc_by_vni(vpc->peers[p]);

		/* A peering that only one side knows of is none. */
		if (peer != NULL && peer != vpc && vpc_has_peer(peer, vpc->vni))
			add_peer(t, peer);
	}
	if (vpc->external != NULL)
		add_inward(t, vpc->external);
}

int route_table_rebuild(struct vpc *vpc)
{
	uint32_t room = count_routes(vpc);
	struct route_table *t = calloc(1, sizeof(*t) + room * sizeof(t->routes[0]));
	struct prefix_map_entry *entries = calloc(room + 1, sizeof(*entries));
	struct route_table *old = vpc->routes;

	if (t == NULL || entries == NULL)
		goto no_memory;
	route_work.rebuilds++;
	fill(t, vpc);
	for (uint32_t n = 0; n < t->n; n++)
		entries[n] = (struct prefix_map_entry){.prefix = t->routes[n].prefix, .value = n};
	t->map = prefix_map_new(entries, t->n);
	if (t->map == NULL)
		goto no_memory;
	free(entries);
	rcu_ptr_set(vpc->routes, t);
	if (old != NULL)
		rcu_defer(table_free, old);
	return 0;
no_memory:
	free(entries);
	free(t);
	return -ENOMEM;
}
