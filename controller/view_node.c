/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as they are shown: with the tunnels and outside networks that their dataplanes have, which those are asked for. */
#include "mem.h"
#include "node.h"
#include "view_how.h"

#include <stdlib.h>

static char *networks_key(const char *node)
{
	return mem_printf("external.list %s", node);
}

/* Of what it says of its networks, the members that the API knows. */
static json_t *networks_of(const json_t *answer)
{
	static const char *const members[] = {
		"name", "state", "reason", "ifname", "vlan", "mtu", "addresses", "gateways"};
	json_t *list = mem_json(json_array()), *item, *shown, *value;
	size_t i;

	json_array_foreach (json_object_get(answer, "items"), i, item) {
		shown = mem_json(json_object());
		for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
			value = json_object_get(item, members[m]);
			json_object_set_new(shown, members[m],
				value != NULL ? json_incref(value) : json_null());
		}
		json_array_append_new(list, shown);
	}
	return list;
}

static json_t *status(struct controller *c, const struct object *object)
{
	const struct node *node = node_find(c, object->name);
	bool connected = node != NULL && node_is_connected(node);
	bool has_rpc = resource_text(object->json, "rpc") !=
		       NULL; /* a new one's link is made when it is stored */

	return json_pack("{s:s, s:s, s:[], s:[]}", "state",
		connected ? "connected"
		: has_rpc ? "away"
			  : "foreign",
		"reason",
		connected || !has_rpc ? ""
		: node != NULL        ? node->reason
				      : "not connected yet",
		"tunnels", "externals");
}

static json_t *status_asked(struct controller *c, const struct object *object,
	const struct fan_out *fan, const json_t *said)
{
	json_t *tunnels = json_object_get(fan_out_result(fan, object->name), "items");
	json_t *shown = status(c, object);
	char *key = networks_key(object->name);

	(void)said;
	if (tunnels != NULL)
		json_object_set(shown, "tunnels", tunnels);
	json_object_set_new(shown, "externals", networks_of(fan_out_result(fan, key)));
	free(key);
	return shown;
}

static void ask(struct fan_out *fan, struct api_call *call, json_t *result)
{
	json_t *shown;

	for (size_t i = 0; (shown = view_shown(result, i)) != NULL; i++) {
		struct node *node = node_find(call->c, resource_text(shown, "name"));
		char *key;

		if (node == NULL || !node_is_connected(node))
			continue;
		fan_out_ask(fan, node, "tunnel.list", mem_json(json_object()));
		key = networks_key(node->name);
		fan_out_ask_as(fan, node, key, "external.list", mem_json(json_object()));
		free(key);
	}
}

const struct view_how view_node = {.status = status, .ask = ask, .status_asked = status_asked};
