/* SPDX-License-Identifier: Apache-2.0 */
/* What a mirror is to the nodes that have its sources. */
#include "controller.h"
#include "emission.h"
#include "lib/kinds.h"
#include "mem.h"
#include "mirror.h"
#include "response.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

static const struct object *named(const struct node *node, const char *kind, const char *name)
{
	return name != NULL ? model_get(&node->c->model, kind, name) : NULL;
}

/* The source in the words of the item; NULL: nothing of it is on the node. */
static char *source_text(const struct node *node, const json_t *source)
{
	const struct object *port = named(node, "port", resource_text(source, "port"));
	const struct object *subnet = named(node, "subnet", resource_text(source, "subnet"));
	const struct object *vpc = named(node, "vpc", resource_text(source, "vpc"));

	if (port != NULL)
		return object_target(port, kind_find("node")) == node->object
			       ? mem_printf("port %s", port->name)
			       : NULL;
	if (subnet != NULL)
		return emission_vpc_is_relevant(node, vpc_of(subnet))
			       ? mem_printf("subnet %s", subnet->name)
			       : NULL;
	if (vpc != NULL)
		return emission_vpc_is_relevant(node, vpc) ? mem_printf("vpc %u", vpc_vni(vpc))
							   : NULL;
	return NULL;
}

/* Ports that alerts have put under it. */
static void add_answers(const struct node *node, const struct object *mirror, json_t *texts)
{
	json_t *ports = response_mirrored(mirror->name), *name;
	size_t i;

	json_array_foreach (ports, i, name) {
		json_t *source = json_pack("{s:O}", "port", name);
		char *text = source_text(node, source);

		if (text != NULL)
			json_array_append_new(texts, json_string(text));
		free(text);
		json_decref(source);
	}
	json_decref(ports);
}

static json_t *sources_on(const struct node *node, const struct object *mirror)
{
	json_t *texts = mem_json(json_array()), *source;
	size_t i;

	json_array_foreach (json_object_get(mirror->json, "sources"), i, source) {
		char *text = source_text(node, source);

		if (text != NULL)
			json_array_append_new(texts, json_string(text));
		free(text);
	}
	add_answers(node, mirror, texts);
	return texts;
}

/* A VTEP of that address, or one that is nothing but an address. */
static json_t *vtep_of(const struct node *node, const char *address)
{
	const struct object *known = strmap_get(&node->c->model.vteps, address);
	char *text;
	json_t *name;

	if (known != NULL && known != node->object)
		return json_string(known->name);
	text = mem_printf("addr:%s", address);
	name = json_string(text);
	free(text);
	return name;
}

bool mirror_is_on(const struct node *node, const struct object *mirror, const struct object **away)
{
	json_t *target = json_object_get(mirror->json, "target");
	const struct object *port = named(node, "port", resource_text(target, "port"));
	json_t *sources = sources_on(node, mirror);
	bool any = json_array_size(sources) > 0;

	json_decref(sources);
	*away = NULL;
	if (any && port != NULL && object_target(port, kind_find("node")) != node->object)
		*away = port;
	return any;
}

void mirror_items(const struct node *node, const struct object *mirror, json_t *out)
{
	json_t *json = mirror->json, *target = json_object_get(json, "target");
	const char *address = resource_text(target, "address");
	const struct object *away;

	if (!mirror_is_on(node, mirror, &away) || away != NULL)
		return;
	json_array_append_new(
		out, mem_json(json_pack("[s, s, o, O, O, O, O, O, o, I]", "mirror", mirror->name,
			     sources_on(node, mirror), json_object_get(json, "direction"),
			     json_object_get(json, "filter"), json_object_get(json, "sample"),
			     json_object_get(json, "snaplen"), target,
			     address != NULL ? vtep_of(node, address) : json_null(),
			     (json_int_t)object_revision(mirror))));
}

static void touch_referrers(struct node *node, const struct object *object)
{
	REFERRERS_FOREACH(object, kind_find("mirror"), ref)
	emission_touch_on(node, ref->from);
}

void mirror_touch_vpc(struct node *node, struct object *vpc)
{
	touch_referrers(node, vpc);
	REFERRERS_FOREACH(vpc, kind_find("subnet"), s)
	touch_referrers(node, s->from);
}
