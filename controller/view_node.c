/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as they are shown: with the tunnels that their dataplanes have, which those are asked for. */
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

static void show(const struct fan_out *fan, json_t *object)
{
	const json_t *answer = fan_out_result(fan, resource_text(object, "name"));
	json_t *tunnels = json_object_get(answer, "items");

	if (tunnels != NULL)
		json_object_set(json_object_get(object, "status"), "tunnels", tunnels);
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

	if (node != NULL && node_is_connected(node))
		fan_out_ask(fan, node, "tunnel.list", mem_json(json_object()));
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
