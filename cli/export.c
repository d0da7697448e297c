// SPDX-License-Identifier: Apache-2.0
/* The whole network at once: export, get all. */
#include "cli/export.h"

#include <string.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/table.h"

/* ---- export ---- */

int export_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *result = NULL;
	int status = client_call(cli, command->method->name, json_incref(params), &result);
	const json_t *resources = json_object_get(result, "resources");

	if (status == CLI_OK && cli->options.format == FORMAT_JSON)
		status = output_value(cli, command->method->result, result);
	else if (status == CLI_OK && !output_resources(cli, resources))
		output_yaml_stream(stdout, resources);
	json_decref(result);
	return status;
}

/* ---- get all ---- */

static int print_kinds(struct cli *cli, const json_t *resources)
{
	bool first = true;
	const struct kind *kind;

	KIND_FOREACH(kind)
	{
		json_t *items = json_array(), *item;
		size_t index;

		json_array_foreach ((json_t *)resources, index, item) {
			if (!strcmp(resource_text(item, "kind"), kind->name))
				json_array_append(items, item);
		}
		if (json_array_size(items)) {
			printf("%s%s%s%s\n", first ? "" : "\n",
				cli->options.color ? COLOR_BOLD : "", kind->plural,
				cli->options.color ? COLOR_OFF : "");
			table_items(kind->fields, items, cli->options.format == FORMAT_WIDE,
				cli->options.color);
			first = false;
		}
		json_decref(items);
	}
	if (first)
		fprintf(stderr, "nothing is there\n");
	return CLI_OK;
}

int export_all(struct cli *cli, json_t **all)
{
	json_t *items, *item;
	const struct kind *kind;
	int status = CLI_OK;
	size_t index;

	*all = json_array();
	KIND_FOREACH(kind)
	{
		status = client_list(cli, method_of(kind, "list")->name, json_object(), &items);
		if (status != CLI_OK)
			break;
		json_array_foreach (items, index, item) {
			json_object_set_new(item, "kind", json_string(kind->name));
			json_array_append(*all, item);
		}
		json_decref(items);
	}
	return status;
}

int get_all_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *all;
	int status = export_all(cli, &all);

	(void)command;
	(void)params;
	if (status == CLI_OK && !output_resources(cli, all))
		status = print_kinds(cli, all);
	json_decref(all);
	return status;
}
