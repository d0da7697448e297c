/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `route`: custom routes. A VPC may have a hundred thousand, so they are parsed when they are staged, and commit only
 * resolves names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "external/external.h"
#include "underlay/underlay.h"
#include "vpc/item.h"
#include "vpc/vpc_internal.h"

enum column { VNI = 1, DESTINATION, NAME, NEXT_HOP, ADDRESS, MAC, VTEP, TARGET, REVISION };

struct change {
	uint32_t vni;
	struct ip_prefix destination;
	struct custom_route *route; /* NULL: deletion */
	char vtep[PORT_NAME_MAX];
};

static void undo(void *staged)
{
	struct change *c = staged;

	free(c->route);
	free(c);
}

static int parse(const json_t *item, struct change *c, struct state_error *err)
{
	static const char *const hops[] = {[ROUTE_ENDPOINT] = "endpoint",
		[ROUTE_VTEP] = "vtep",
		[ROUTE_BLACKHOLE] = "blackhole",
		[ROUTE_NAT_GATEWAY] = "nat_gateway",
		[ROUTE_EXTERNAL] = "external"};
	const char *hop = item_text(item, NEXT_HOP);
	struct route *r = &c->route->route;
	int rc;

	r->kind = RTE_DIM(hops);
	for (unsigned int k = 0; k < RTE_DIM(hops); k++)
		if (hops[k] != NULL && strcmp(hop, hops[k]) == 0)
			r->kind = k;
	if (r->kind == RTE_DIM(hops))
		return state_fail(err, -EINVAL, "unknown next hop `%s`", hop);
	if ((rc = item_name(item, NAME, r->name, err)) != 0 ||
		(rc = item_addr(item, ADDRESS, &r->next_hop, err)) != 0 ||
		(rc = item_name(item, VTEP, c->vtep, err)) != 0 ||
		(rc = item_name(item, TARGET, r->target, err)) != 0)
		return rc;
	if (r->kind == ROUTE_ENDPOINT && *item_text(item, ADDRESS) == '\0')
		return state_fail(err, -EINVAL, "an endpoint as next hop needs its address");
	if (r->kind == ROUTE_VTEP && (c->vtep[0] == '\0' || *item_text(item, MAC) == '\0'))
		return state_fail(err, -EINVAL, "a VTEP as next hop needs its name and a MAC");
	r->mac = item_mac(item, MAC);
	r->prefix = c->destination;
	r->tunnel = LOC_NONE;
	r->revision = item_uint(item, REVISION);
	return 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *key = item != NULL ? item : old;
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	c->vni = (uint32_t)item_uint(key, VNI);
	rc = item_prefix(key, DESTINATION, &c->destination, err);
	if (rc == 0 && item != NULL) {
		c->route = calloc(1, sizeof(*c->route));
		rc = c->route != NULL ? parse(item, c, err) : item_no_memory(err);
	}
	if (rc != 0)
		undo(c);
	else
		*staged = c;
	return rc;
}

static void commit(void *staged)
{
	struct change *c = staged;
	struct vpc *vpc = vpc_by_vni(c->vni);
	const struct vtep *vtep = c->vtep[0] != '\0' ? vtep_by_name(c->vtep) : NULL;

	if (c->route == NULL) {
		route_remove(vpc, &c->destination);
	} else {
		struct route *r = &c->route->route;

		if (vtep != NULL)
			r->tunnel = loc_tunnel(vtep->index);
		if (r->kind == ROUTE_EXTERNAL && c->vtep[0] == '\0')
			r->external = external_find(r->target, !ip_addr_is_v4(&r->prefix.addr));
		route_put(vpc, c->route);
	}
	free(c);
}

STATE_KIND(route_kind, .name = "route", .order = 80, .eager = true, .prepare = prepare,
	.commit = commit, .abort = undo);
