/* SPDX-License-Identifier: Apache-2.0 */
#include "emission.h"

#include "controller.h"
#include "flow_log.h"
#include "gateway.h"
#include "hook.h"
#include "mem.h"
#include "mirror.h"
#include "reconcile.h"
#include "response.h"
#include "rules.h"
#include "wanted.h"
#include "wave.h"

#include <stdlib.h>
#include <string.h>

struct task {
	struct node *node; /* NULL: every node */
	struct object *object;
};

/* What was touched and not looked at yet. One controller a process. */
static struct task *tasks;
static size_t task_count, task_room;

static void add_task(struct node *node, struct object *object)
{
	MEM_GROW(tasks, task_count, task_room);
	tasks[task_count++] = (struct task){.node = node, .object = object};
}

void emission_touch(struct controller *c, struct object *object)
{
	(void)c;
	if (object == NULL || object->dirty)
		return;
	object->dirty = true;
	add_task(NULL, object);
}

void emission_touch_on(struct node *node, struct object *object)
{
	if (object != NULL)
		add_task(node, object);
}

/* ---- Which VPCs a node has to do with ---- */

static unsigned things_here(const struct node *node, const struct object *vpc)
{
	const struct presence *p = strmap_get(&node->presences, vpc->name);

	return p != NULL ? p->count : 0;
}

bool emission_vpc_is_relevant(const struct node *node, const struct object *vpc)
{
	if (things_here(node, vpc) > 0)
		return true;
	REFERRERS_FOREACH(vpc, kind_find("peering"), ref)
	{
		if (peering_is_active(ref->from) &&
			things_here(node, peering_other(ref->from, vpc)) > 0)
			return true;
	}
	return false;
}

void emission_touch_vpc(struct node *node, struct object *vpc)
{
	static const char *const parts[] = {"subnet", "route", "nat_gateway", "load_balancer"};

	emission_touch_on(node, vpc);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		REFERRERS_FOREACH(vpc, kind_find(parts[i]), part)
	emission_touch_on(node, part->from);
	REFERRERS_FOREACH(vpc, kind_find("subnet"), s)
	REFERRERS_FOREACH(s->from, kind_find("port"), p)
	emission_touch_on(node, p->from);
	mirror_touch_vpc(node, vpc);
	hook_touch_vpc(node, vpc);
	flow_log_touch_vpc(node, vpc);
}

/* The first thing of a VPC came to the node, or its last one went. */
static void presence_changed(struct node *node, const char *vpc_name)
{
	const struct kind *peering = kind_find("peering");
	struct object *vpc = model_get(&node->c->model, "vpc", vpc_name);

	if (vpc == NULL)
		return;
	emission_touch_vpc(node, vpc);
	REFERRERS_FOREACH(vpc, peering, ref)
	{
		struct object *peer = peering_other(ref->from, vpc);

		if (peer == NULL || !peering_is_active(ref->from))
			continue;
		emission_touch_vpc(node, peer);
		/* Their peers' lists of peers name those that are here. */
		REFERRERS_FOREACH(peer, peering, further)
		emission_touch_on(node, peering_other(further->from, peer));
	}
}

static struct presence *enter(struct node *node, const struct object *vpc)
{
	struct presence *p = strmap_get(&node->presences, vpc->name);

	if (p == NULL) {
		p = mem_calloc(1, sizeof(*p));
		p->vpc = mem_strdup(vpc->name);
		strmap_put(&node->presences, p->vpc, p);
	}
	if (p->count++ == 0)
		presence_changed(node, p->vpc);
	return p;
}

static void leave(struct node *node, struct presence *p)
{
	if (--p->count > 0)
		return;
	presence_changed(node, p->vpc);
	strmap_take(&node->presences, p->vpc);
	free(p->vpc);
	free(p);
}

/* ---- One object on one node ---- */

static struct emission **emission_of(struct object *object, const struct node *node)
{
	struct emission **link = &object->emissions;

	while (*link != NULL && (*link)->node != node)
		link = &(*link)->next;
	return link;
}

static void pull(struct node *node, const char *kind, const char *name);

/* The group that denies everything is no object either. */
static void pull_sealed(struct node *node)
{
	json_t *items[] = {
		json_pack("[s, s, i]", "group", RESPONSE_SEALED, 0), response_sealed_rules()};

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		char *key = sb_item_key(items[i]);
		bool named = wanted_get(node, "group\x1f" RESPONSE_SEALED)->refs > 0;

		if (named)
			wanted_put(node, NULL, json_incref(items[i]), pull);
		else
			wanted_drop(node, NULL, wanted_get(node, key), pull);
		json_decref(items[i]);
		free(key);
	}
}

/* Whose maker must look again, now that an item is named, or no more. */
static void pull(struct node *node, const char *kind, const char *name)
{
	const char *address = strncmp(name, "addr:", 5) == 0 ? name + 5 : NULL;
	struct item *item;
	char *key;

	if (strcmp(kind, "group") == 0 && strcmp(name, RESPONSE_SEALED) == 0) {
		pull_sealed(node);
	} else if (strcmp(kind, "group") == 0) {
		emission_touch_on(node, model_get(&node->c->model, "security_group", name));
	} else if (strcmp(kind, "indicator_list") == 0) {
		emission_touch_on(node, model_get(&node->c->model, "indicator_list", name));
	} else if (strcmp(kind, "mirror") == 0) {
		mirror_touch_named(node, model_get(&node->c->model, "mirror", name));
	} else if (strcmp(kind, "prefix_list") == 0) {
		emission_touch_on(node, model_get(&node->c->model, "prefix_list", name));
	} else if (address == NULL) {
		emission_touch_on(node, model_get(&node->c->model, "node", name));
	} else {
		/* A VTEP that is known by nothing but its address is no object. */
		key = mem_printf("vtep\x1f%s", name);
		item = wanted_get(node, key);
		free(key);
		if (item->refs > 0)
			wanted_put(node, NULL, json_pack("[s, s, s, b]", "vtep", name, address, 0),
				pull);
		else
			wanted_drop(node, NULL, item, pull);
	}
}

/* The VPC that the node has to know because of the object; NULL: none. */
static const struct object *brings(const struct node *node, const struct object *object)
{
	bool port = strcmp(object->kind->name, "port") == 0;

	if (!object->present || (!port && !gateway_is_service(object)) ||
		object_target(object, kind_find("node")) != node->object)
		return NULL;
	return port ? vpc_of(object) : gateway_vpc(object);
}

static void update_presence(struct node *node, struct object *object, struct emission *e)
{
	const struct object *vpc = brings(node, object);
	struct presence *old = e->presence;

	if (vpc != NULL && old != NULL && strcmp(old->vpc, vpc->name) == 0)
		return;
	e->presence = vpc != NULL ? enter(node, vpc) : NULL;
	if (old != NULL)
		leave(node, old);
}

static void replace_items(
	struct node *node, struct object *object, struct emission *e, json_t *list)
{
	struct item **old = e->items;
	size_t old_count = e->count, i;
	json_t *json;

	e->count = json_array_size(list);
	e->items = e->count != 0 ? mem_alloc(e->count * sizeof(*e->items)) : NULL;
	json_array_foreach (list, i, json) {
		e->items[i] = wanted_put(node, object, json_incref(json), pull);
		e->items[i]->holders++;
		e->items[i]->kept = true;
	}
	for (i = 0; i < old_count; i++) {
		old[i]->holders--;
		if (!old[i]->kept)
			wanted_drop(node, object, old[i], pull);
	}
	for (i = 0; i < e->count; i++)
		e->items[i]->kept = false;
	free(old);
}

static void emit(struct node *node, struct object *object)
{
	struct emission **link = emission_of(object, node), *e = *link;
	json_t *list = mem_json(json_array());

	emission_items(node, object, list);
	if (e == NULL && json_array_size(list) == 0) {
		json_decref(list);
		return;
	}
	if (e == NULL) {
		e = *link = mem_calloc(1, sizeof(*e));
		e->node = node;
	}
	replace_items(node, object, e, list);
	update_presence(node, object, e);
	if (e->count == 0) {
		link = emission_of(object, node);
		*link = e->next;
		free(e);
	}
	json_decref(list);
}

void emission_flush(struct controller *c)
{
	while (task_count > 0) {
		struct task task = tasks[--task_count];

		if (task.node != NULL) {
			emit(task.node, task.object);
			continue;
		}
		task.object->dirty = false;
		NODES_FOREACH(c, node)
		emit(node, task.object);
	}
	wave_begin(c);
	NODES_FOREACH(c, node)
	reconcile_push(node);
}

void emission_touch_node(struct node *node)
{
	static const char *const kinds[] = {"port", "eip", "nat_gateway", "load_balancer", "route"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		REFERRERS_FOREACH(node->object, kind_find(kinds[i]), ref)
	emission_touch_on(node, ref->from);
	REFERRERS_FOREACH(node->object, kind_find("port"), source)
	REFERRERS_FOREACH(source->from, kind_find("mirror"), mirror)
	emission_touch_on(node, mirror->from);
	REFERRERS_FOREACH(node->object, kind_find("port"), hooked)
	REFERRERS_FOREACH(hooked->from, kind_find("hook"), hook)
	emission_touch_on(node, hook->from);
	/* A machine here may have its EIP at a gateway elsewhere. */
	REFERRERS_FOREACH(node->object, kind_find("port"), port)
	REFERRERS_FOREACH(port->from, kind_find("eip"), eip)
	emission_touch_on(node, eip->from);
}

/* Tasks for a node that is going. */
static void drop_tasks(const struct node *node)
{
	size_t kept = 0;

	for (size_t i = 0; i < task_count; i++)
		if (tasks[i].node != node)
			tasks[kept++] = tasks[i];
	task_count = kept;
}

void emission_forget_node(struct node *node)
{
	drop_tasks(node);
	for (size_t k = 0; k < kind_count(); k++) {
		MODEL_FOREACH(&node->c->model, kind_at(k), object)
		{
			struct emission **link = emission_of(object, node), *e = *link;

			if (e == NULL)
				continue;
			*link = e->next;
			free(e->items);
			free(e);
		}
	}
}
