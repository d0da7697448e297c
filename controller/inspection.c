/* SPDX-License-Identifier: Apache-2.0 */
#include "inspection.h"

#include "controller.h"
#include "emission.h"
#include "lib/kinds.h"
#include "mem.h"
#include "node.h"
#include "rules.h"

#include <string.h>

static bool scope_covers(const json_t *scope, const char *vpc)
{
	const char *one = resource_text(scope, "vpc");
	const json_t *name;
	size_t i;

	if (resource_boolean(scope, "all", false) || (one != NULL && strcmp(one, vpc) == 0))
		return true;
	json_array_foreach (json_object_get(scope, "vpcs"), i, name)
		if (strcmp(json_string_value(name), vpc) == 0)
			return true;
	return false;
}

bool inspection_covers(const struct object *inspection, const struct object *vpc)
{
	return scope_covers(json_object_get(inspection->json, "scope"), vpc->name);
}

bool inspection_has(const struct object *inspection, const char *type)
{
	const json_t *detector;
	size_t i;

	json_array_foreach (json_object_get(inspection->json, "detectors"), i, detector)
		if (strcmp(resource_text(detector, "type"), type) == 0)
			return true;
	return false;
}

/* {type: {threshold, window_s, learn_s}}, what the user left open filled in. */
static json_t *detectors_of(const struct object *inspection)
{
	json_t *out = mem_json(json_object());
	const json_t *detector;
	size_t i;

	json_array_foreach (json_object_get(inspection->json, "detectors"), i, detector) {
		const char *type = resource_text(detector, "type");
		json_t *learn_s = json_object_get(detector, "learn_s");
		unsigned threshold = 1, window_s = 60;

		inspection_detector_default(type, &threshold, &window_s);
		json_object_set_new(out, type,
			json_pack("{s:I, s:I, s:O*}", "threshold",
				resource_integer(detector, "threshold", threshold), "window_s",
				resource_integer(detector, "window_s", window_s), "learn_s",
				learn_s));
	}
	return out;
}

/* Those it names, or all of its tenant. */
static json_t *lists_of(const struct model *model, const struct object *inspection)
{
	json_t *named = json_object_get(inspection->json, "indicator_lists");
	json_t *all;

	if (!inspection_has(inspection, "indicator"))
		return mem_json(json_array());
	if (json_array_size(named) > 0)
		return json_incref(named);
	all = mem_json(json_array());
	MODEL_FOREACH(model, kind_find("indicator_list"), list)
	{
		if (strcmp(object_tenant(list), object_tenant(inspection)) == 0)
			json_array_append_new(all, json_string(list->name));
	}
	return all;
}

void inspection_items(const struct node *node, const struct object *vpc, json_t *out)
{
	const struct model *model = &node->c->model;

	MODEL_FOREACH(model, kind_find("inspection"), inspection)
	{
		const json_t *json = inspection->json;

		if (!inspection_covers(inspection, vpc))
			continue;
		json_array_append_new(out,
			mem_json(json_pack("[s, s, I, o, o, O, O, O, I]", "inspection",
				inspection->name, (json_int_t)vpc_vni(vpc),
				detectors_of(inspection), lists_of(model, inspection),
				json_object_get(json, "first_packets"),
				json_object_get(json, "sample"), json_object_get(json, "snaplen"),
				(json_int_t)object_revision(inspection))));
	}
}

static void touch_scope(struct controller *c, const json_t *inspection)
{
	const json_t *scope = json_object_get(inspection, "scope"), *name;
	size_t i;

	if (inspection == NULL)
		return;
	if (resource_boolean(scope, "all", false)) {
		MODEL_FOREACH(&c->model, kind_find("vpc"), vpc)
		emission_touch(c, vpc);
		return;
	}
	if (resource_text(scope, "vpc") != NULL)
		emission_touch(c, model_get(&c->model, "vpc", resource_text(scope, "vpc")));
	json_array_foreach (json_object_get(scope, "vpcs"), i, name)
		emission_touch(c, model_get(&c->model, "vpc", json_string_value(name)));
}

void inspection_touch(struct controller *c, const struct change *ch)
{
	if (strcmp(ch->object->kind->name, "inspection") == 0) {
		touch_scope(c, ch->old);
		touch_scope(c, ch->new);
		return;
	}
	/* A list that comes or goes is in the items of those that look for all there are. */
	if (ch->op == CHANGE_UPDATE)
		return;
	MODEL_FOREACH(&c->model, kind_find("inspection"), inspection)
	{
		if (inspection_has(inspection, "indicator"))
			touch_scope(c, inspection->json);
	}
}
