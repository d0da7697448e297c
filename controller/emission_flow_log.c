/* SPDX-License-Identifier: Apache-2.0 */
/* A flow log is told to every node that has something of its VPC: whose flows it logs there is the node's to find out. */
#include "controller.h"
#include "emission.h"
#include "flow_log.h"
#include "lib/kinds.h"
#include "mem.h"
#include "rules.h"

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

struct object *flow_log_vpc(const struct object *log)
{
	const struct object *port = object_target(log, kind_find("port"));

	return vpc_of(port != NULL ? port : log);
}

void flow_log_items(const struct node *node, const struct object *log, json_t *out)
{
	const json_t *json = log->json, *scope = json_object_get(json, "scope");
	const struct object *vpc = flow_log_vpc(log);

	if (!emission_vpc_is_relevant(node, vpc))
		return;
	json_array_append_new(out,
		mem_json(json_pack("[s, s, I, o, o, O, O, O, O, O, O, O, I]", "flow_log", log->name,
			(json_int_t)vpc_vni(vpc), text_or_null(resource_text(scope, "subnet")),
			text_or_null(resource_text(scope, "port")),
			json_object_get(json, "collector"), json_object_get(json, "format"),
			json_object_get(json, "interval_s"), json_object_get(json, "sample"),
			json_object_get(json, "verdicts"), json_object_get(json, "biflow"),
			json_object_get(json, "nat_events"), (json_int_t)object_revision(log))));
}

static void touch_users(struct node *node, const struct object *object)
{
	REFERRERS_FOREACH(object, kind_find("flow_log"), ref)
	emission_touch_on(node, ref->from);
}

void flow_log_touch_vpc(struct node *node, const struct object *vpc)
{
	touch_users(node, vpc);
	REFERRERS_FOREACH(vpc, kind_find("subnet"), s)
	{
		touch_users(node, s->from);
		REFERRERS_FOREACH(s->from, kind_find("port"), p)
		touch_users(node, p->from);
	}
}
