/* SPDX-License-Identifier: Apache-2.0 */
#include "controller.h"
#include "fan_out.h"
#include "flow_log.h"
#include "mem.h"
#include "metrics_service.h"
#include "node.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

static char *key_of(const struct node *node)
{
	return mem_printf("flow_log.status %s", node->name);
}

void flow_log_metrics_ask(struct fan_out *fan, struct node *node)
{
	char *key = key_of(node);

	if (model_count(&node->c->model, kind_find("flow_log")) > 0)
		fan_out_ask_as(fan, node, key, "flow_log.status", mem_json(json_object()));
	free(key);
}

static void write_figure(struct controller *c, const struct fan_out *fan, const char *name,
	const char *member, const char *help, struct evbuffer *out)
{
	metrics_head(out, name, "counter", help);
	NODES_FOREACH(c, node)
	{
		char *key = key_of(node);
		const json_t *items = json_object_get(fan_out_result(fan, key), "items");
		json_t *item;
		size_t i;

		free(key);
		json_array_foreach ((json_t *)items, i, item) {
			const char *log = resource_text(item, "name");

			/* What a node says is no name until it is one of ours. */
			if (log != NULL && i < METRICS_SHOWN &&
				model_get(&c->model, "flow_log", log) != NULL)
				evbuffer_add_printf(out,
					"%s{node=\"%s\",flow_log=\"%s\"} "
					"%" JSON_INTEGER_FORMAT "\n",
					name, node->name, log, resource_integer(item, member, 0));
		}
	}
}

void flow_log_metrics_write(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	write_figure(c, fan, "vpc_flow_log_records_total", "records",
		"Records that a node has given to a flow log's collector.", out);
	write_figure(c, fan, "vpc_flow_log_lost_total", "lost",
		"Records of a flow log that a node could not get rid of.", out);
}
