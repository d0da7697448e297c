/* SPDX-License-Identifier: Apache-2.0 */
/* Flow logs as they are shown: each node that has one says what became of its records. */
#include "emission.h"
#include "flow_log.h"
#include "mem.h"
#include "node.h"
#include "reconcile.h"
#include "view_how.h"
#include "wanted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 512

/* What is wrong with it on a node, in `reason`; the worse of two is kept. */
enum worse { FINE, LATER, WRONG };

static enum worse state_on(
	const struct node *node, const struct object *log, const json_t *said, char *reason)
{
	const char *rejected = reconcile_rejection(node, "flow_log", log->name);
	const char *why = resource_text(said, "reason");

	if (rejected != NULL) {
		snprintf(reason, REASON_MAX, "node `%s`: %.400s", node->name, rejected);
		return WRONG;
	}
	if (!node_is_connected(node) || !wanted_is_told(node, "flow_log", log->name)) {
		snprintf(reason, REASON_MAX, "node `%s` %s", node->name,
			node_is_connected(node) ? "was not told yet" : "is away");
		return LATER;
	}
	if (why == NULL || *why == '\0')
		return FINE;
	snprintf(reason, REASON_MAX, "node `%s`: %.400s", node->name, why);
	return WRONG;
}

static const json_t *answer_of(
	const struct fan_out *fan, const struct node *node, const struct object *log)
{
	const json_t *items =
		fan != NULL ? json_object_get(fan_out_result(fan, node->name), "items") : NULL;
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)items, i, item) {
		const char *name = resource_text(item, "name");

		if (name != NULL && strcmp(name, log->name) == 0)
			return item;
	}
	return NULL;
}

static json_t *status_of(struct controller *c, const struct object *log, const struct fan_out *fan,
	const json_t *gathered)
{
	static const char *const names[] = {"active", "pending", "error"};
	char reason[REASON_MAX] = "", why[REASON_MAX] = "";
	json_t *nodes = mem_json(json_array());
	json_int_t records = 0, lost = 0;
	enum worse worst = FINE;
	bool any = false;

	(void)gathered;
	NODES_FOREACH(c, node)
	{
		const json_t *said = answer_of(fan, node, log);
		const char *trouble = resource_text(said, "reason");
		enum worse worse;

		if (!emission_vpc_is_relevant(node, flow_log_vpc(log)))
			continue;
		any = true;
		worse = state_on(node, log, said, why);
		if (worse > worst) {
			worst = worse;
			memcpy(reason, why, sizeof(reason));
		}
		if (said == NULL)
			continue;
		json_array_append_new(nodes, json_pack("{s:s, s:I, s:I, s:s}", "node", node->name,
						     "records", view_add(&records, said, "records"),
						     "lost", view_add(&lost, said, "lost"),
						     "reason", trouble != NULL ? trouble : ""));
	}
	if (!any) {
		worst = LATER;
		snprintf(reason, sizeof(reason), "no node has a port or a service of the VPC");
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:o}", "state", names[worst], "reason", reason,
		"records", records, "lost", lost, "nodes", nodes);
}

static json_t *status(struct controller *c, const struct object *log)
{
	return status_of(c, log, NULL, NULL);
}

static void ask(struct fan_out *fan, struct api_call *call, json_t *result)
{
	(void)result;
	NODES_FOREACH(call->c, node)
	if (node_is_connected(node))
		fan_out_ask(fan, node, "flow_log.status", mem_json(json_object()));
}

const struct view_how view_flow_log = {.status = status, .ask = ask, .status_asked = status_of};
