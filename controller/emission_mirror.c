/* SPDX-License-Identifier: Apache-2.0 */
/* What a mirror is to the nodes that have its sources, and to the one that has its target port: to the others that is a VXLAN tunnel to
 * its node, with the VNI of the mirror. */
#include "controller.h"
#include "emission.h"
#include "lib/kinds.h"
#include "mem.h"
#include "mirror.h"
#include "response.h"
#include "rules.h"
#include "wanted.h"

#include <stdio.h>
#include <string.h>

static const struct object *named(const struct node *node, const char *kind, const char *name)
{
	return name != NULL ? model_get(&node->c->model, kind, name) : NULL;
}

char *mirror_source_text(const struct node *node, const json_t *source)
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
		char *text = mirror_source_text(node, source);

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
		char *text = mirror_source_text(node, source);

		if (text != NULL)
			json_array_append_new(texts, json_string(text));
		free(text);
	}
	add_answers(node, mirror, texts);
	return texts;
}

/* By a sampler's hook. */
static bool is_named(const struct node *node, const struct object *mirror)
{
	const struct item *item = wanted_of(node, "mirror", mirror->name);

	return item != NULL && item->refs > 0;
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

bool mirror_is_on(const struct node *node, const struct object *mirror)
{
	json_t *sources = sources_on(node, mirror);
	bool any = json_array_size(sources) > 0 || is_named(node, mirror);

	json_decref(sources);
	return any;
}

/* The node object of the target port; NULL: the target is none. */
static struct object *home_of(const struct controller *c, const struct object *mirror)
{
	const char *name = resource_text(json_object_get(mirror->json, "target"), "port");
	const struct object *port = name != NULL ? model_get(&c->model, "port", name) : NULL;

	return port != NULL ? object_target(port, kind_find("node")) : NULL;
}

/* The nodes that send copies to this one. New reference. */
static json_t *senders(const struct node *to, const struct object *mirror)
{
	json_t *names = mem_json(json_array());

	if (mirror_vni(mirror) == 0 || home_of(to->c, mirror) != to->object)
		return names;
	NODES_FOREACH(to->c, node)
	if (node != to && node->object != NULL && mirror_is_on(node, mirror))
		json_array_append_new(names, json_string(node->name));
	return names;
}

bool mirror_comes_to(const struct node *node, const struct object *mirror)
{
	json_t *names = senders(node, mirror);
	bool any = json_array_size(names) > 0;

	json_decref(names);
	return any;
}

static void add_receiver(const struct node *node, const struct object *mirror, json_t *out)
{
	json_t *names = senders(node, mirror);

	if (json_array_size(names) > 0)
		json_array_append_new(out,
			mem_json(json_pack("[s, s, I, O, O, I]", "mirror_in", mirror->name,
				(json_int_t)mirror_vni(mirror),
				json_object_get(json_object_get(mirror->json, "target"), "port"),
				names, (json_int_t)object_revision(mirror))));
	json_decref(names);
}

void mirror_items(const struct node *node, const struct object *mirror, json_t *out)
{
	json_t *json = mirror->json, *target = json_object_get(json, "target"), *vtep;
	const char *address = resource_text(target, "address");
	const struct object *home = home_of(node->c, mirror);
	bool away = home != NULL && home != node->object;
	json_t *sources = sources_on(node, mirror);

	add_receiver(node, mirror, out);
	if (away) {
		target = json_pack(
			"{s:s, s:I}", "type", "vxlan", "vni", (json_int_t)mirror_vni(mirror));
		vtep = json_string(home->name);
	} else {
		json_incref(target);
		vtep = address != NULL ? vtep_of(node, address) : json_null();
	}
	if ((json_array_size(sources) > 0 || is_named(node, mirror)) &&
		(!away || mirror_vni(mirror) != 0))
		json_array_append_new(out,
			mem_json(json_pack("[s, s, O, O, O, O, O, O, O, I]", "mirror", mirror->name,
				sources, json_object_get(json, "direction"),
				json_object_get(json, "filter"), json_object_get(json, "sample"),
				json_object_get(json, "snaplen"), target, vtep,
				(json_int_t)object_revision(mirror))));
	json_decref(target);
	json_decref(vtep);
	json_decref(sources);
}

/* The one that has the target port is told who sends. */
static void touch_home(const struct node *from, struct object *mirror)
{
	const struct object *home = home_of(from->c, mirror);

	NODES_FOREACH(from->c, node)
	if (home != NULL && node->object == home && node != from)
		emission_touch_on(node, mirror);
}

void mirror_touch_named(struct node *node, struct object *mirror)
{
	if (mirror == NULL)
		return;
	emission_touch_on(node, mirror);
	touch_home(node, mirror);
}

static void touch_referrers(struct node *node, const struct object *object)
{
	REFERRERS_FOREACH(object, kind_find("mirror"), ref)
	{
		emission_touch_on(node, ref->from);
		touch_home(node, ref->from);
	}
}

void mirror_touch_vpc(struct node *node, struct object *vpc)
{
	touch_referrers(node, vpc);
	REFERRERS_FOREACH(vpc, kind_find("subnet"), s)
	touch_referrers(node, s->from);
}
