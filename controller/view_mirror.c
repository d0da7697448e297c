/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors as they are shown: with what the nodes that have them say. */
#include "controller.h"
#include "mem.h"
#include "mirror.h"
#include "node.h"
#include "reconcile.h"
#include "view_how.h"
#include "wanted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The worst of what nodes say so far. */
struct summary {
	int rank; /* 0 active, 1 pending, 2 error */
	char *reason;
	json_int_t ports, packets, bytes, lost;
};

static void worse(struct summary *s, int rank, const char *node, const char *reason)
{
	if (rank <= s->rank)
		return;
	s->rank = rank;
	free(s->reason);
	s->reason = mem_printf("node `%s`: %s", node, reason);
}

/* `said`: the node's item of mirror.status, or NULL. `kind`: which end of the mirror it has. */
static void add_end(struct summary *s, const struct node *node, const struct object *mirror,
	const char *kind, const json_t *said)
{
	const char *rejected = reconcile_rejection(node, kind, mirror->name);
	const char *trouble = resource_text(said, "reason");

	if (rejected != NULL)
		worse(s, 2, node->name, rejected);
	else if (!node_is_connected(node))
		worse(s, 1, node->name, "is away");
	else if (!wanted_is_told(node, kind, mirror->name))
		worse(s, 1, node->name, "was not told yet");
	else if (trouble != NULL && trouble[0] != '\0')
		worse(s, 2, node->name, trouble);
}

static void add_node(
	struct summary *s, const struct node *node, const struct object *mirror, const json_t *said)
{
	bool from = mirror_is_on(node, mirror), to = mirror_comes_to(node, mirror);

	if (!from && !to)
		return;
	if (from)
		add_end(s, node, mirror, "mirror", said);
	if (to)
		add_end(s, node, mirror, "mirror_in", said);
	view_add(&s->ports, said, "ports");
	view_add(&s->packets, said, "packets");
	view_add(&s->bytes, said, "bytes");
	view_add(&s->lost, said, "lost");
}

static const json_t *item_of(const struct fan_out *fan, const struct node *node, const char *name)
{
	json_t *item;
	size_t i;

	if (fan == NULL)
		return NULL;
	json_array_foreach (json_object_get(fan_out_result(fan, node->name), "items"), i, item) {
		const char *theirs = resource_text(item, "mirror");

		if (theirs != NULL && strcmp(theirs, name) == 0)
			return item;
	}
	return NULL;
}

static json_t *status_of(struct controller *c, const struct object *mirror,
	const struct fan_out *fan, const json_t *gathered)
{
	static const char *const states[] = {"active", "pending", "error"};
	struct summary s = {0};
	json_t *shown;

	(void)gathered;
	NODES_FOREACH(c, node)
	add_node(&s, node, mirror, item_of(fan, node, mirror->name));
	shown = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "state", states[s.rank], "reason",
		s.reason != NULL ? s.reason : "", "ports", s.ports, "packets", s.packets, "bytes",
		s.bytes, "lost", s.lost);
	free(s.reason);
	return shown;
}

static json_t *status(struct controller *c, const struct object *mirror)
{
	return status_of(c, mirror, NULL, NULL);
}

static void ask(struct fan_out *fan, struct api_call *call, json_t *result)
{
	(void)result;
	NODES_FOREACH(call->c, node)
	if (node_is_connected(node))
		fan_out_ask(fan, node, "mirror.status", mem_json(json_object()));
}

const struct view_how view_mirror = {.status = status, .ask = ask, .status_asked = status_of};
