/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as they are shown: with the tunnels and outside networks that their dataplanes have, which those are asked for. */
#include "fan_out.h"
#include "mem.h"
#include "node.h"
#include "view.h"

#include <stdlib.h>

#define TIMEOUT_MS 1000

struct shown {
	struct api_call *call;
	json_t *result;
};

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

static void show(const struct fan_out *fan, json_t *object)
{
	const char *name = resource_text(object, "name");
	json_t *status = json_object_get(object, "status");
	json_t *tunnels = json_object_get(fan_out_result(fan, name), "items");
	char *key = networks_key(name);

	if (tunnels != NULL)
		json_object_set(status, "tunnels", tunnels);
	json_object_set_new(status, "externals", networks_of(fan_out_result(fan, key)));
	free(key);
}

static void answered(struct fan_out *fan, void *arg)
{
	struct shown *shown = arg;
	json_t *items = json_object_get(shown->result, "items"), *object;
	size_t i;

	if (items == NULL)
		show(fan, shown->result);
	json_array_foreach (items, i, object)
		show(fan, object);
	api_reply(shown->call, shown->result);
	free(shown);
}

static void ask(struct fan_out *fan, struct controller *c, const json_t *object)
{
	struct node *node = node_find(c, resource_text(object, "name"));

	char *key;

	if (node == NULL || !node_is_connected(node))
		return;
	fan_out_ask(fan, node, "tunnel.list", mem_json(json_object()));
	key = networks_key(node->name);
	fan_out_ask_as(fan, node, key, "external.list", mem_json(json_object()));
	free(key);
}

void view_node_reply(struct api_call *call, json_t *result)
{
	struct shown *shown = mem_calloc(1, sizeof(*shown));
	json_t *items = json_object_get(result, "items"), *object;
	struct fan_out *fan;
	size_t i;

	*shown = (struct shown){.call = call, .result = result};
	fan = fan_out_new(call->c, TIMEOUT_MS, answered, shown);
	if (items == NULL)
		ask(fan, call->c, result);
	json_array_foreach (items, i, object)
		ask(fan, call->c, object);
	fan_out_wait(fan);
}
