/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks as they are shown: with what the nodes that have them say. */
#include "controller.h"
#include "hook.h"
#include "mem.h"
#include "node.h"
#include "reconcile.h"
#include "view_how.h"
#include "wanted.h"

#include <stdlib.h>
#include <string.h>

/* What counts more when nodes differ comes later. */
static const char *const states[] = {"attached", "pending", "detached", "error"};

static size_t rank_of(const char *state)
{
	size_t rank = 0;

	while (rank < sizeof(states) / sizeof(states[0]) - 1 && strcmp(states[rank], state) != 0)
		rank++;
	return rank;
}

struct summary {
	size_t rank;
	char *reason;
	json_int_t ports, runs, dropped, sampled, cycles;
	json_t *nodes;
};

static void add_count(json_t *object, const char *member, json_int_t count)
{
	json_object_set_new(object, member, mem_json(json_integer(count)));
}

/* Why it does not run there, as far as the controller knows; NULL: the node is to be asked. */
static const char *known_state(
	const struct node *node, const struct object *hook, const char **reason)
{
	*reason = reconcile_rejection(node, "hook", hook->name);
	if (*reason != NULL)
		return "error";
	if (node_is_connected(node) && wanted_is_told(node, "hook", hook->name))
		return NULL;
	*reason = node_is_connected(node) ? "was not told yet" : "is away";
	return "pending";
}

/* What it says of itself. `said`: its item of hook.status, or NULL. */
static const char *said_state(const json_t *said, const char **reason)
{
	const char *state = resource_text(said, "state");

	*reason = resource_text(said, "reason");
	if (*reason == NULL)
		*reason = "";
	if (state != NULL)
		return states[rank_of(state)];
	return "attached"; /* it was not asked, or has not answered */
}

static void add_node(
	struct summary *s, const struct node *node, const struct object *hook, const json_t *said)
{
	const char *reason, *state = known_state(node, hook, &reason);
	json_t *shown;

	if (state == NULL)
		state = said_state(said, &reason);
	if (rank_of(state) > s->rank) {
		s->rank = rank_of(state);
		free(s->reason);
		s->reason = mem_printf("node `%s`: %s", node->name, reason);
	}
	shown = mem_json(
		json_pack("{s:s, s:s, s:s}", "node", node->name, "state", state, "reason", reason));
	add_count(shown, "ports", view_add(&s->ports, said, "ports"));
	add_count(shown, "runs", view_add(&s->runs, said, "runs"));
	add_count(shown, "dropped", view_add(&s->dropped, said, "dropped"));
	add_count(shown, "sampled", view_add(&s->sampled, said, "sampled"));
	add_count(shown, "mean_cycles", view_add(&(json_int_t){0}, said, "mean_cycles"));
	view_add(&s->cycles, said, "cycles");
	json_array_append_new(s->nodes, shown);
}

static const json_t *item_of(const struct fan_out *fan, const struct node *node, const char *name)
{
	json_t *item;
	size_t i;

	if (fan == NULL)
		return NULL;
	json_array_foreach (json_object_get(fan_out_result(fan, node->name), "items"), i, item) {
		const char *theirs = resource_text(item, "hook");

		if (theirs != NULL && strcmp(theirs, name) == 0)
			return item;
	}
	return NULL;
}

static json_t *status_of(struct controller *c, const struct object *hook, const struct fan_out *fan,
	const json_t *gathered)
{
	struct summary s = {.nodes = mem_json(json_array())};
	bool enabled = resource_boolean(hook->json, "enabled", true);
	json_t *shown;

	(void)gathered;
	NODES_FOREACH(c, node)
	if (hook_is_on(node, hook))
		add_node(&s, node, hook, item_of(fan, node, hook->name));
	shown = mem_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "state",
		enabled ? states[s.rank] : "disabled", "reason", s.reason != NULL ? s.reason : "",
		"ports", s.ports, "runs", s.runs, "dropped", s.dropped, "sampled", s.sampled,
		"mean_cycles", s.runs > 0 ? s.cycles / s.runs : 0, "nodes", s.nodes));
	free(s.reason);
	return shown;
}

static json_t *status(struct controller *c, const struct object *hook)
{
	return status_of(c, hook, NULL, NULL);
}

static void ask(struct fan_out *fan, struct api_call *call, json_t *result)
{
	(void)result;
	NODES_FOREACH(call->c, node)
	if (node_is_connected(node))
		fan_out_ask(fan, node, "hook.status", mem_json(json_object()));
}

const struct view_how view_hook = {.status = status, .ask = ask, .status_asked = status_of};
