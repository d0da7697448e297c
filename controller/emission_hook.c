/* SPDX-License-Identifier: Apache-2.0 */
/* What a hook is to the nodes that have something of its scope. The mirror of a sampler follows, as it is named. */
#include "controller.h"
#include "emission.h"
#include "hook.h"
#include "lib/kinds.h"
#include "mem.h"
#include "mirror.h"

#include <stdlib.h>

static json_t *scope_on(const struct node *node, const struct object *hook)
{
	json_t *texts = mem_json(json_array()), *source;
	size_t i;

	if (!resource_boolean(hook->json, "enabled", true))
		return texts;
	json_array_foreach (json_object_get(hook->json, "scope"), i, source) {
		char *text = mirror_source_text(node, source);

		if (text != NULL)
			json_array_append_new(texts, json_string(text));
		free(text);
	}
	return texts;
}

bool hook_is_on(const struct node *node, const struct object *hook)
{
	json_t *scope = scope_on(node, hook);
	bool any = json_array_size(scope) > 0;

	json_decref(scope);
	return any;
}

void hook_items(const struct node *node, const struct object *hook, json_t *out)
{
	json_t *json = hook->json, *scope = scope_on(node, hook);
	const char *mirror = object_text(hook, "mirror");

	if (json_array_size(scope) > 0)
		json_array_append_new(out,
			mem_json(json_pack("[s, s, O, O, O, O, O, O, s?, I]", "hook", hook->name,
				scope, json_object_get(json, "direction"),
				json_object_get(json, "role"), json_object_get(json, "program"),
				json_object_get(json, "section"),
				json_object_get(json, "budget_cycles"), mirror,
				(json_int_t)object_revision(hook))));
	json_decref(scope);
}

static void touch_users(struct node *node, const struct object *object)
{
	REFERRERS_FOREACH(object, kind_find("hook"), ref)
	emission_touch_on(node, ref->from);
}

void hook_touch_vpc(struct node *node, struct object *vpc)
{
	touch_users(node, vpc);
	REFERRERS_FOREACH(vpc, kind_find("subnet"), s)
	touch_users(node, s->from);
}
