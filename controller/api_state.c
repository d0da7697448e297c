/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes know: status, sessions, drops. */
#include "api.h"
#include "events.h"
#include "fan_out.h"
#include "lib/openrpc.h"
#include "mem.h"
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_TIMEOUT_MS 2000

/* ---- status ---- */

static json_t *node_entry(struct controller *c, const struct object *object, const json_t *answer)
{
	const struct node *node = node_find(c, object->name);
	json_t *entry = answer != NULL ? json_copy((json_t *)answer) : json_object();

	json_object_set_new(entry, "name", json_string(object->name));
	json_object_set_new(entry, "connected", json_boolean(answer != NULL));
	json_object_set_new(entry, "state",
		json_string(answer != NULL ? "connected"
			    : node != NULL ? "away"
					   : "foreign"));
	if (json_object_get(answer, "tunnels") == NULL)
		json_object_set_new(entry, "tunnels", json_array());
	if (answer == NULL) {
		json_object_set_new(entry, "version", json_null());
		json_object_set_new(entry, "uptime_s", json_null());
		json_object_set_new(entry, "workers", json_array());
		json_object_set_new(entry, "packets", json_null());
		json_object_set_new(entry, "sessions", json_null());
	}
	json_object_set_new(entry, "revision",
		json_pack("{s:I, s:I}", "desired", node != NULL ? (json_int_t)node->desired : 0,
			"applied", node != NULL ? (json_int_t)node->applied : 0));
	return entry;
}

static void status_done(struct fan_out *fan, void *arg)
{
	struct api_call *call = arg;
	struct controller *c = call->c;
	json_t *nodes = mem_json(json_array());

	MODEL_FOREACH(&c->model, kind_find("node"), object)
	json_array_append_new(nodes, node_entry(c, object, fan_out_result(fan, object->name)));
	api_reply(call, json_pack("{s:s, s:I, s:o}", "version", VPC_VERSION, "revision",
				(json_int_t)c->published, "nodes", nodes));
}

void api_status(struct api_call *call)
{
	struct fan_out *fan = fan_out_new(call->c, STATUS_TIMEOUT_MS, status_done, call);

	NODES_FOREACH(call->c, node)
	if (node_is_connected(node))
		fan_out_ask(fan, node, "status", mem_json(json_object()));
	fan_out_wait(fan);
}

/* ---- Filters of sessions and drops ---- */

/* The nodes that a filter leaves; false after having answered. */
static bool filters_ok(struct api_call *call)
{
	static const char *const kinds[] = {"node", "vpc", "port"};

	for (size_t i = 0; i < 3; i++) {
		const char *name = resource_text(call->params, kinds[i]);
		struct txn_error error = {0};
		char path[16];

		if (name == NULL || model_get(&call->c->model, kinds[i], name) != NULL)
			continue;
		snprintf(path, sizeof(path), "/%s", kinds[i]);
		resource_fail_code(
			&error.base, ERROR_NOT_FOUND, path, "there is no %s `%s`", kinds[i], name);
		api_fail_error(call, &error);
		return false;
	}
	return true;
}

static bool concerns(const struct api_call *call, const struct node *node)
{
	const char *name = resource_text(call->params, "node");

	return node_is_connected(node) && (name == NULL || strcmp(name, node->name) == 0);
}

/* The params for a node: a VPC by its VNI too, and without what only we know. */
static json_t *node_params(const struct api_call *call)
{
	json_t *params = mem_json(json_copy(call->params));
	const struct object *vpc = model_get(&call->c->model, "vpc", resource_text(params, "vpc"));

	if (vpc != NULL)
		json_object_set(params, "vni", json_object_get(vpc->json, "vni"));

	json_object_del(params, "node");
	json_object_del(params, "limit");
	json_object_del(params, "cursor");
	return params;
}

static void add_items(json_t *all, const char *node, const json_t *answer)
{
	json_t *items = json_object_get(answer, "items"), *item;
	size_t i;

	json_array_foreach (items, i, item) {
		json_object_set_new(item, "node", json_string(node));
		json_array_append(all, item);
	}
}

/* ---- session.list: one node after the other; the cursor is NODE or NODE:CURSOR ---- */

struct session_walk {
	struct api_call *call;
	json_t *items;
	json_int_t limit; /* 0: none */
	char node[RESOURCE_NAME_MAX + 1];
	char *cursor; /* of the node; NULL: its first page */
};

static void session_step(struct session_walk *walk);

static void session_end(struct session_walk *walk, json_t *cursor)
{
	api_reply(walk->call, json_pack("{s:o, s:o}", "items", walk->items, "cursor", cursor));
	free(walk->cursor);
	free(walk);
}

/* The next connected node behind walk->node. */
static struct node *node_behind(const struct session_walk *walk)
{
	const struct kind *kind = kind_find("node");

	for (struct object *o = model_after(&walk->call->c->model, kind, walk->node); o != NULL;
		o = model_after(&walk->call->c->model, kind, o->name)) {
		struct node *node = node_find(walk->call->c, o->name);

		if (node != NULL && concerns(walk->call, node))
			return node;
	}
	return NULL;
}

static bool is_full(const struct session_walk *walk)
{
	return walk->limit > 0 && (json_int_t)json_array_size(walk->items) >= walk->limit;
}

static void session_page(struct fan_out *fan, void *arg)
{
	struct session_walk *walk = arg;
	const json_t *answer = fan_out_result(fan, walk->node);
	const char *cursor = resource_text(answer, "cursor");

	add_items(walk->items, walk->node, answer);
	free(walk->cursor);
	walk->cursor = cursor != NULL ? mem_strdup(cursor) : NULL;
	session_step(walk);
}

static void session_step(struct session_walk *walk)
{
	struct controller *c = walk->call->c;
	struct node *node = walk->cursor != NULL ? node_find(c, walk->node) : node_behind(walk);
	struct fan_out *fan;
	json_t *params;

	if (node == NULL || !node_is_connected(node)) {
		session_end(walk, json_null());
		return;
	}
	if (is_full(walk)) {
		char *text = walk->cursor != NULL ? mem_printf("%s:%s", walk->node, walk->cursor)
						  : mem_strdup(walk->node);

		session_end(walk, json_string(text));
		free(text);
		return;
	}
	snprintf(walk->node, sizeof(walk->node), "%s", node->name);
	params = node_params(walk->call);
	if (walk->limit > 0)
		json_object_set_new(params, "limit",
			json_integer(walk->limit - (json_int_t)json_array_size(walk->items)));
	if (walk->cursor != NULL)
		json_object_set_new(params, "cursor", json_string(walk->cursor));
	fan = fan_out_new(c, STATUS_TIMEOUT_MS, session_page, walk);
	fan_out_ask(fan, node, "session.list", params);
	fan_out_wait(fan);
}

void api_session_list(struct api_call *call)
{
	const char *cursor = resource_text(call->params, "cursor"), *colon;
	struct session_walk *walk;

	if (!filters_ok(call))
		return;
	walk = mem_calloc(1, sizeof(*walk));
	walk->call = call;
	walk->items = mem_json(json_array());
	walk->limit = resource_integer(call->params, "limit", 0);
	colon = cursor != NULL ? strchr(cursor, ':') : NULL;
	if (cursor != NULL)
		snprintf(walk->node, sizeof(walk->node), "%.*s",
			(int)(colon != NULL ? colon - cursor : (ptrdiff_t)strlen(cursor)), cursor);
	if (colon != NULL)
		walk->cursor = mem_strdup(colon + 1);
	session_step(walk);
}

/* ---- session.flush, drops.list: all nodes at once ---- */

static void ask_all(struct api_call *call, const char *method, fan_out_fn done)
{
	struct fan_out *fan;

	if (!filters_ok(call))
		return;
	fan = fan_out_new(call->c, STATUS_TIMEOUT_MS, done, call);
	NODES_FOREACH(call->c, node)
	if (concerns(call, node))
		fan_out_ask(fan, node, method, node_params(call));
	fan_out_wait(fan);
}

static void flush_done(struct fan_out *fan, void *arg)
{
	struct api_call *call = arg;
	json_int_t flushed = 0;

	if (fan_out_failed(fan) != NULL) {
		api_fail(call, ERROR_UNAVAILABLE, NULL, "not every node has answered: %s",
			fan_out_failed(fan));
		return;
	}
	NODES_FOREACH(call->c, node)
	flushed += resource_integer(fan_out_result(fan, node->name), "flushed", 0);
	api_reply(call, json_pack("{s:I}", "flushed", flushed));
}

void api_session_flush(struct api_call *call)
{
	ask_all(call, "session.flush", flush_done);
}

static double rate_of(const json_t *item)
{
	return json_number_value(json_object_get(item, "bytes_per_s"));
}

static int compare_rates(const void *pa, const void *pb)
{
	double a = rate_of(*(json_t *const *)pa), b = rate_of(*(json_t *const *)pb);

	return a < b ? 1 : a > b ? -1 : 0;
}

static void top_done(struct fan_out *fan, void *arg)
{
	struct api_call *call = arg;
	size_t limit = (size_t)resource_integer(call->params, "limit", 0), n, i;
	json_t *all = mem_json(json_array()), *items = mem_json(json_array()), **sorted;

	NODES_FOREACH(call->c, node)
	add_items(all, node->name, fan_out_result(fan, node->name));
	n = json_array_size(all);
	sorted = mem_calloc(n + 1, sizeof(*sorted));
	for (i = 0; i < n; i++)
		sorted[i] = json_array_get(all, i);
	qsort(sorted, n, sizeof(*sorted), compare_rates);
	for (i = 0; i < n && i < limit; i++)
		json_array_append(items, sorted[i]);
	free(sorted);
	json_decref(all);
	api_reply(call, json_pack("{s:o}", "items", items));
}

void api_session_top(struct api_call *call)
{
	ask_all(call, "session.top", top_done);
}

static void drops_done(struct fan_out *fan, void *arg)
{
	struct api_call *call = arg;
	json_t *items = mem_json(json_array());

	NODES_FOREACH(call->c, node)
	add_items(items, node->name, fan_out_result(fan, node->name));
	api_reply(call, json_pack("{s:o}", "items", items));
}

void api_drops_list(struct api_call *call)
{
	ask_all(call, "drops.list", drops_done);
}

/* ---- node.perf ---- */

static void perf_done(struct fan_out *fan, void *arg)
{
	struct api_call *call = arg;
	const json_t *answer = fan_out_result(fan, resource_text(call->params, "name"));

	if (answer == NULL)
		api_fail(call, ERROR_UNAVAILABLE, NULL, "the node has not answered: %s",
			fan_out_failed(fan));
	else
		api_reply(call, json_pack("{s:O}", "items", json_object_get(answer, "items")));
}

void api_node_perf(struct api_call *call)
{
	json_int_t ms = resource_integer(call->params, "milliseconds", 0);
	struct object *object = api_object(call);
	struct node *node;
	struct fan_out *fan;

	if (object == NULL)
		return;
	node = node_find(call->c, object->name);
	if (node == NULL || !node_is_connected(node)) {
		api_fail(call, ERROR_UNAVAILABLE, NULL, "node %s is not connected", object->name);
		return;
	}
	fan = fan_out_new(call->c, (unsigned)ms + STATUS_TIMEOUT_MS, perf_done, call);
	fan_out_ask(fan, node, "perf", json_pack("{s:I}", "milliseconds", ms));
	fan_out_wait(fan);
}

/* ---- What the controller knows itself ---- */

void api_event_list(struct api_call *call)
{
	api_reply(call, events_list(call->c->events, call->params));
}

void api_discover(struct api_call *call)
{
	api_reply(call, openrpc_document());
}
