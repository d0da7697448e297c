/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"
#include "rules.h"

#include <string.h>

static struct object *side(const struct object *peering, size_t index)
{
	return index < peering->ref_count ? peering->refs[index].to : NULL;
}

struct object *peering_other(const struct object *peering, const struct object *vpc)
{
	if (side(peering, 0) == vpc)
		return side(peering, 1);
	return side(peering, 1) == vpc ? side(peering, 0) : NULL;
}

static const char *state_of(const json_t *json)
{
	return resource_text(json_object_get(json, "status"), "state");
}

bool peering_is_active(const struct object *peering)
{
	const char *state = state_of(peering->json);

	return state != NULL && strcmp(state, "active") == 0;
}

static void set_state(json_t *json, const char *state)
{
	json_object_set_new(json, "status", mem_json(json_pack("{s:s}", "state", state)));
}

bool peering_accept(json_t *peering)
{
	const char *state = state_of(peering);

	if (state != NULL && strcmp(state, "active") == 0)
		return false;
	set_state(peering, "active");
	return true;
}

/* Within one tenant nobody else has to agree. */
static bool peering_choose(
	struct model *model, struct object *peering, struct resource_error *error)
{
	bool same = strcmp(object_tenant(side(peering, 0)), object_tenant(side(peering, 1))) == 0;

	(void)model;
	(void)error;
	if (state_of(peering->json) == NULL)
		set_state(peering->json, same ? "active" : "pending");
	return true;
}

static bool disjoint(const struct object *a, const struct object *b, struct resource_error *error)
{
	const json_t *as = json_object_get(a->json, "cidrs"),
		     *bs = json_object_get(b->json, "cidrs");

	for (size_t i = 0; i < json_array_size(as); i++) {
		for (size_t j = 0; j < json_array_size(bs); j++) {
			const char *x = json_string_value(json_array_get(as, i));
			const char *y = json_string_value(json_array_get(bs, j));
			struct net_prefix p, q;

			if (net_prefix_parse(x, &p) && net_prefix_parse(y, &q) &&
				net_prefix_overlaps(&p, &q))
				return resource_fail_code(error, ERROR_CONFLICT, "/vpcs",
					"%s of VPC `%s` overlaps %s of VPC `%s`", x, a->name, y,
					b->name);
		}
	}
	return true;
}

static bool peering_recheck(
	const struct model *model, const struct object *peering, struct resource_error *error)
{
	(void)model;
	return disjoint(side(peering, 0), side(peering, 1), error);
}

static bool peering_check(
	const struct model *model, const struct object *peering, struct resource_error *error)
{
	REFERRERS_FOREACH(side(peering, 0), peering->kind, ref)
	{
		if (ref->from != peering &&
			peering_other(ref->from, side(peering, 0)) == side(peering, 1))
			return resource_fail_code(error, ERROR_CONFLICT, "/vpcs",
				"peering `%s` joins these VPCs already", ref->from->name);
	}
	return peering_recheck(model, peering, error);
}

const struct kind_rules rules_peering = {
	.kind = "peering",
	.choose = peering_choose,
	.check = peering_check,
	.recheck = peering_recheck,
};
