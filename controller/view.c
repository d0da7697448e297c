/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include "mem.h"
#include "node.h"
#include "quota.h"
#include "reconcile.h"
#include "response.h"
#include "rules.h"
#include "view_how.h"

#include <stdlib.h>
#include <string.h>

/* So that whoever asks once a second for rates has figures of now. */
#define LIVE_MS 200
#define ASK_TIMEOUT_MS 1000

/* ---- Status ---- */

static json_t *subnet_status(const struct object *subnet)
{
	char text[NET_MAC_TEXT];
	struct net_mac mac;

	vpc_gateway_mac(vpc_of(subnet), &mac);
	return json_pack("{s:s}", "gateway_mac", net_mac_format(&mac, text));
}

static json_t *state(const char *name, const char *reason)
{
	return json_pack("{s:s, s:s}", "state", name, "reason", reason != NULL ? reason : "");
}

static json_t *port_state(const struct node *node, const struct object *port)
{
	const char *type = resource_text(json_object_get(port->json, "attachment"), "type");
	const struct port_state *live = port->state;
	const char *rejected = node != NULL ? reconcile_rejection(node, "port", port->name) : NULL;
	char *text;
	json_t *status;

	if (rejected != NULL)
		return state("error", rejected);
	if (node == NULL) /* a foreign VTEP: what it does with the address is its business */
		return state("active", NULL);
	if (!node_is_connected(node)) {
		text = mem_printf("node `%s` is away", node->name);
		status = state("down", text);
		free(text);
		return status;
	}
	if (live->live != NULL && resource_text(live->live, "state") != NULL)
		return state(
			resource_text(live->live, "state"), resource_text(live->live, "reason"));
	if (strcmp(type, "none") == 0)
		return state("detached", NULL);
	return state("down", "not attached yet");
}

static json_t *port_status(struct controller *c, const struct object *port)
{
	static const char *const counters[] = {
		"rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "drops"};
	const struct port_state *live = port->state;
	const json_t *known = json_object_get(live->live, "counters");
	json_t *status = port_state(node_find(c, object_text(port, "node")), port);
	json_t *shown = json_object();

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		json_object_set_new(
			shown, counters[i], json_integer(resource_integer(known, counters[i], 0)));
	json_object_set_new(status, "counters", shown);
	if (response_quarantine_of(port->name) != NULL)
		json_object_set_new(
			status, "quarantine", json_string(response_quarantine_of(port->name)));
	return status;
}

/* The kinds that this file does not know. */
static const struct view_how *how_of(const char *kind)
{
	static const struct {
		const char *kind;
		const struct view_how *how;
	} all[] = {
		{"node", &view_node},
		{"eip", &view_service},
		{"nat_gateway", &view_service},
		{"load_balancer", &view_service},
		{"mirror", &view_mirror},
		{"flow_log", &view_flow_log},
		{"hook", &view_hook},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].kind, kind) == 0)
			return all[i].how;
	return NULL;
}

static json_t *status_of(struct controller *c, const struct object *object)
{
	const char *kind = object->kind->name;
	const struct view_how *how = how_of(kind);

	if (how != NULL)
		return how->status(c, object);
	if (strcmp(kind, "subnet") == 0)
		return subnet_status(object);
	if (strcmp(kind, "tenant") == 0)
		return json_pack("{s:o}", "used", quota_used(&c->model, object));
	if (strcmp(kind, "port") == 0)
		return port_status(c, object);
	if (strcmp(kind, "peering") == 0 || strcmp(kind, "alert") == 0)
		return json_incref(json_object_get(object->json, "status"));
	return json_object();
}

json_t *view_object(struct controller *c, const struct object *object)
{
	json_t *copy = mem_json(json_copy(object->json));

	json_object_set_new(copy, "status", status_of(c, object));
	return copy;
}

/* ---- Ports as their dataplanes see them ---- */

struct refresh {
	struct api_call *call;
	json_t *result;
	unsigned pending;
};

static void renew(struct controller *c, json_t *shown)
{
	const struct object *port = model_get(&c->model, "port", resource_text(shown, "name"));

	if (port != NULL)
		json_object_set_new(shown, "status", port_status(c, port));
}

static void refresh_end(struct refresh *refresh)
{
	struct api_call *call = refresh->call;
	json_t *shown;

	for (size_t i = 0; (shown = view_shown(refresh->result, i)) != NULL; i++)
		renew(call->c, shown);
	api_reply(call, refresh->result);
	free(refresh);
}

static void on_status(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct refresh *refresh = arg;
	const struct model *model = &refresh->call->c->model;
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(outcome->result, "items"), i, item) {
		struct object *port = model_get(model, "port", resource_text(item, "name"));
		struct port_state *live = port != NULL ? port->state : NULL;

		if (live == NULL)
			continue;
		json_decref(live->live);
		live->live = json_incref(item);
		live->at_ms = now_ms();
	}
	if (--refresh->pending == 0)
		refresh_end(refresh);
}

static bool is_stale(const struct object *port, bool fresh)
{
	const struct port_state *live = port->state;
	const char *state = resource_text(live->live, "state");

	/* What is not in order may be by now. */
	return fresh || state == NULL || strcmp(state, "active") != 0 ||
	       now_ms() - live->at_ms >= LIVE_MS;
}

static void add_name(struct controller *c, json_t *by_node, const json_t *shown, bool fresh)
{
	const struct object *port = model_get(&c->model, "port", resource_text(shown, "name"));
	const char *where = resource_text(shown, "node");
	const struct node *node = node_find(c, where);
	json_t *names;

	if (port == NULL || node == NULL || !node_is_connected(node) || !is_stale(port, fresh))
		return;
	names = json_object_get(by_node, where);
	if (names == NULL) {
		names = json_array();
		json_object_set_new(by_node, where, names);
	}
	json_array_append_new(names, json_string(port->name));
}

static void ask(struct refresh *refresh, json_t *by_node)
{
	const char *where;
	json_t *names;

	json_object_foreach (by_node, where, names) {
		struct node *node = node_find(refresh->call->c, where);

		if (jsonrpc_client_call(node->client, "port.status",
			    json_pack("{s:O}", "names", names), ASK_TIMEOUT_MS, on_status,
			    refresh) != 0)
			refresh->pending++;
	}
}

void view_reply(struct api_call *call, json_t *result, bool fresh)
{
	const struct view_how *how = how_of(call->method->kind->name);
	json_t *by_node, *shown;
	struct refresh *refresh;

	if (how != NULL) {
		view_ask(call, result, how);
		return;
	}
	if (strcmp(call->method->kind->name, "port") != 0) {
		api_reply(call, result);
		return;
	}
	by_node = json_object();
	for (size_t i = 0; (shown = view_shown(result, i)) != NULL; i++)
		add_name(call->c, by_node, shown, fresh);
	refresh = mem_calloc(1, sizeof(*refresh));
	*refresh = (struct refresh){.call = call, .result = result};
	ask(refresh, by_node);
	json_decref(by_node);
	if (refresh->pending == 0)
		refresh_end(refresh);
}
