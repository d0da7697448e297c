/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include "capture.h"
#include "controller.h"
#include "emission.h"
#include "lib/tls.h"
#include "mem.h"
#include "wait.h"
#include "wanted.h"
#include "wave.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct nodes *nodes_new(void)
{
	struct nodes *nodes = mem_calloc(1, sizeof(*nodes));

	TAILQ_INIT(&nodes->list);
	return nodes;
}

bool node_exists(const struct controller *c, const struct node *wanted)
{
	NODES_FOREACH(c, node)
	{
		if (node == wanted)
			return true;
	}
	return false;
}

struct node *node_find(const struct controller *c, const char *name)
{
	return name != NULL ? strmap_get(&c->nodes->by_name, name) : NULL;
}

bool node_is_connected(const struct node *node)
{
	return node->state != NODE_AWAY && node->state != NODE_GREETING;
}

static struct node *node_new(struct controller *c, struct object *object)
{
	struct node *node = mem_calloc(1, sizeof(*node));

	node->c = c;
	node->object = object;
	node->name = mem_strdup(object->name);
	node->rpc = mem_strdup(object_text(object, "rpc"));
	node->tls_files = json_incref(json_object_get(object->json, "tls"));
	TAILQ_INIT(&node->queue);
	TAILQ_INSERT_TAIL(&c->nodes->list, node, link);
	strmap_put(&c->nodes->by_name, node->name, node);
	return node;
}

static void node_free(struct node *node)
{
	struct controller *c = node->c;

	node_link_stop(node);
	capture_node_gone(node);
	emission_forget_node(node);
	TAILQ_REMOVE(&c->nodes->list, node, link);
	strmap_take(&c->nodes->by_name, node->name);
	wanted_fini(node);
	if (node->again != NULL)
		event_free(node->again);
	tls_free(node->tls);
	json_decref(node->tls_files);
	json_decref(node->hello);
	free(node->rpc);
	free(node->name);
	free(node);
	wait_look(c);
	wave_look(c);
}

void nodes_free(struct nodes *nodes)
{
	if (nodes == NULL)
		return;
	while (!TAILQ_EMPTY(&nodes->list))
		node_free(TAILQ_FIRST(&nodes->list));
	strmap_fini(&nodes->by_name);
	free(nodes);
}

/* Its ports' addresses live behind its VTEP: they look different to everybody. */
static void touch_ports(struct controller *c, struct object *object)
{
	REFERRERS_FOREACH(object, kind_find("port"), ref)
	emission_touch(c, ref->from);
}

/* Is its dataplane another one, or we to it, than what we are connected to? */
static bool is_elsewhere(const struct node *node, const struct object *object)
{
	const char *rpc = object->present ? object_text(object, "rpc") : NULL;
	json_t *tls = json_object_get(object->json, "tls");

	return node->object != object || rpc == NULL || strcmp(rpc, node->rpc) != 0 ||
	       (tls != node->tls_files && !json_equal(tls, node->tls_files));
}

void node_update(struct controller *c, struct object *object)
{
	struct node *node = node_find(c, object->name);
	const char *rpc = object->present ? object_text(object, "rpc") : NULL;

	if (node != NULL && is_elsewhere(node, object)) {
		/* Deleted, or deleted and made again, or another dataplane now. */
		node_free(node);
		node = NULL;
	}
	if (object->present)
		touch_ports(c, object);
	if (node != NULL || rpc == NULL)
		return;
	node = node_new(c, object);
	emission_touch_node(node);
	node_link_start(node);
}
