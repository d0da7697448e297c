/* SPDX-License-Identifier: Apache-2.0 */
/* capture: which nodes it concerns, and their start. */
#include "api.h"
#include "capture.h"
#include "fan_out.h"
#include "lib/packet_filter.h"
#include "mem.h"
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define START_TIMEOUT_MS 5000
#define CAPTURES_MAX 64

static const char *const scopes[] = {"port", "vpc", "node"};

/* The object that it is about; NULL for drops of everything. False after having answered. */
static bool find_object(struct api_call *call, const struct object **object)
{
	*object = NULL;
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		const char *name = resource_text(call->params, scopes[i]);
		struct txn_error error = {0};
		char path[8];

		if (name == NULL)
			continue;
		*object = model_get(&call->c->model, scopes[i], name);
		if (*object != NULL)
			return true;
		snprintf(path, sizeof(path), "/%s", scopes[i]);
		resource_fail_code(
			&error.base, ERROR_NOT_FOUND, path, "there is no %s `%s`", scopes[i], name);
		api_fail_error(call, &error);
		return false;
	}
	return true;
}

static bool filter_ok(struct api_call *call)
{
	const char *filter = resource_text(call->params, "filter");
	struct txn_error error = {0};
	struct packet_filter *compiled = NULL;
	char why[160];

	if (packet_filter_new(filter, &compiled, why, sizeof(why)) == 0) {
		packet_filter_free(compiled);
		return true;
	}
	resource_fail(&error.base, "/filter", "%s", why);
	api_fail_error(call, &error);
	return false;
}

/* Is anything of the object on the node? */
static bool concerns(const struct object *object, const struct node *node)
{
	const char *kind = object != NULL ? object->kind->name : "";

	if (strcmp(kind, "port") == 0)
		return strcmp(object_text(object, "node"), node->name) == 0;
	if (strcmp(kind, "vpc") == 0)
		return strmap_get(&node->presences, object->name) != NULL;
	if (strcmp(kind, "node") == 0)
		return strcmp(object->name, node->name) == 0;
	return true;
}

/* What a node is asked. */
static json_t *question(const struct capture *capture, const struct object *object)
{
	static const char *const same[] = {
		"drops", "filter", "snaplen", "count", "rewritten", "path"};
	json_t *params = json_pack("{s:I, s:s}", "capture", capture->id, "scope",
		object != NULL ? object->kind->name : "all");

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		json_t *value = json_object_get(capture->params, same[i]);

		if (value != NULL)
			json_object_set(params, same[i], value);
	}
	if (object != NULL && strcmp(object->kind->name, "vpc") == 0)
		json_object_set(params, "vni", json_object_get(object->json, "vni"));
	if (object != NULL)
		json_object_set_new(params, "name", json_string(object->name));
	return params;
}

static json_t *names_of(const struct capture *capture)
{
	json_t *names = mem_json(json_array());

	for (size_t i = 0; i < capture->n_legs; i++)
		json_array_append_new(names, json_string(capture->legs[i].node));
	return names;
}

/* All nodes have answered. Unless all of them have begun, none is to go on. */
static void on_started(struct fan_out *fan, void *arg)
{
	struct capture *capture = arg;
	struct api_call *call = capture->starter;

	capture->starter = NULL;
	if (fan_out_failed(fan) != NULL) {
		int code = fan_out_code(fan);

		api_fail(call, code != 0 ? code : ERROR_UNAVAILABLE, NULL, "%s",
			fan_out_failed(fan));
		capture_finish(capture, "it could not begin");
		return;
	}
	capture->started = true;
	api_reply(call, json_pack("{s:I, s:o, s:O}", "capture", capture->id, "nodes",
				names_of(capture), "away", call->result));
	capture_send(capture);
	capture_look(capture);
}

static struct capture *capture_new(struct api_call *call)
{
	struct captures *captures = call->c->captures;
	const struct jsonrpc_peer *peer = jsonrpc_call_peer(call->rpc);
	struct capture *capture = mem_calloc(1, sizeof(*capture));
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	capture->c = call->c;
	capture->id = ++captures->last;
	capture->conn = jsonrpc_call_conn(call->rpc);
	capture->params = json_incref(call->params);
	capture->by = mem_printf("%s uid %lld pid %lld", peer->name, (long long)(int)peer->uid,
		(long long)peer->pid);
	capture->since_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	capture->limit = (uint64_t)resource_integer(call->params, "count", 0);
	capture->starter = call;
	pcapng_section(&capture->out, "vpc-controller " VPC_VERSION);
	LIST_INSERT_HEAD(&captures->list, capture, link);
	captures->count++;
	return capture;
}

static void add_leg(struct capture *capture, const char *node)
{
	MEM_GROW(capture->legs, capture->n_legs, capture->legs_room);
	capture->legs[capture->n_legs++] = (struct capture_leg){.node = mem_strdup(node)};
}

static void start(struct api_call *call, const struct object *object)
{
	struct capture *capture = capture_new(call);
	struct fan_out *fan = fan_out_new(call->c, START_TIMEOUT_MS, on_started, capture);

	NODES_FOREACH(call->c, node)
	{
		if (!concerns(object, node) || !node_is_connected(node))
			continue;
		add_leg(capture, node->name);
		fan_out_ask(fan, node, "capture.start", question(capture, object));
	}
	fan_out_wait(fan);
}

void api_capture(struct api_call *call)
{
	const struct object *object;
	unsigned there = 0;

	if (jsonrpc_call_conn(call->rpc) == NULL) {
		api_fail(call, ERROR_UNAVAILABLE, NULL,
			"capture needs a connection of its own: the Unix socket");
		return;
	}
	if (!find_object(call, &object) || !filter_ok(call))
		return;
	if (call->c->captures->count >= CAPTURES_MAX) {
		api_fail(call, ERROR_EXHAUSTED, json_pack("{s:s}", "what", "captures"),
			"%d captures run already", CAPTURES_MAX);
		return;
	}
	call->result = mem_json(json_array());
	NODES_FOREACH(call->c, node)
	{
		if (!concerns(object, node))
			continue;
		if (node_is_connected(node))
			there++;
		else
			json_array_append_new(call->result, json_string(node->name));
	}
	if (there == 0) {
		api_fail(call, ERROR_UNAVAILABLE, NULL,
			json_array_size(call->result) > 0 ? "the node is away"
							  : "no node of ours has it");
		return;
	}
	start(call, object);
}
