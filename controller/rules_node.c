/* SPDX-License-Identifier: Apache-2.0 */
/* What no two nodes have: a dataplane is programmed once, and a VTEP is one machine. */
#include "rules.h"

#include <string.h>

static const char *const fields[] = {"rpc", "vtep"};

static struct strmap *taken(struct model *model, size_t field)
{
	return field == 0 ? &model->rpcs : &model->vteps;
}

/* The other one that has the node's `rpc` or `vtep`; NULL: nobody. */
static struct object *other(const struct model *model, const struct object *node, size_t field)
{
	const char *text = object_text(node, fields[field]);
	struct object *has =
		text != NULL ? strmap_get(taken((struct model *)model, field), text) : NULL;

	return has != node ? has : NULL;
}

struct object *node_rival(const struct model *model, const struct object *node, const char **field)
{
	for (size_t i = 0; i < 2; i++) {
		struct object *rival = other(model, node, i);

		*field = fields[i];
		if (rival != NULL)
			return rival;
	}
	return NULL;
}

/* Never fails: a store of an earlier release may hold two of one. */
static bool node_claim(struct model *model, struct object *node, struct resource_error *error)
{
	(void)error;
	for (size_t i = 0; i < 2; i++) {
		const char *text = object_text(node, fields[i]);

		if (text != NULL && strmap_get(taken(model, i), text) == NULL)
			strmap_put(taken(model, i), text, node);
	}
	return true;
}

static void node_release(struct model *model, struct object *node)
{
	for (size_t i = 0; i < 2; i++) {
		const char *text = object_text(node, fields[i]);

		if (text != NULL && strmap_get(taken(model, i), text) == node)
			strmap_take(taken(model, i), text);
	}
}

/* See collector_check() of rules_mirror.c. */
static bool collector_check(
	const struct model *model, const struct object *node, struct resource_error *error)
{
	const char *vtep = object_text(node, "vtep");

	if (vtep == NULL)
		return true;
	MODEL_FOREACH(model, kind_find("mirror"), mirror)
	{
		const char *address = mirror_collector(mirror);

		if (address != NULL && strcmp(address, vtep) == 0)
			return resource_fail_code(error, ERROR_CONFLICT, "/vtep",
				"%s is the collector of mirror `%s`", vtep, mirror->name);
	}
	return true;
}

static bool node_check(
	const struct model *model, const struct object *node, struct resource_error *error)
{
	const char *field, *path;
	const struct object *rival = node_rival(model, node, &field);

	if (model->configuring)
		return true;
	if (rival == NULL)
		return collector_check(model, node, error);
	path = strcmp(field, "rpc") == 0 ? "/rpc" : "/vtep";
	return resource_fail_code(error, ERROR_CONFLICT, path, "%s is that of node `%s` too",
		object_text(node, field), rival->name);
}

static void node_fini(struct object *node)
{
	struct node_rules_state *s = node->state;

	json_decref(s->externals);
}

const struct kind_rules rules_node = {
	.kind = "node",
	.state_size = sizeof(struct node_rules_state),
	.fini = node_fini,
	.claim = node_claim,
	.release = node_release,
	.check = node_check,
	.blamed = "/rpc",
};
