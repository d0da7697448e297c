// SPDX-License-Identifier: Apache-2.0
/* The commands that are one call, shown as its description says. */
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

/* The table of a list's items; NULL when the result is no list. */
static const struct field *items_of(const struct method *method)
{
	const struct field *items = method->result->type == FIELD_OBJECT
					    ? field_find(method->result->fields, "items")
					    : NULL;

	if (items && items->type == FIELD_RESOURCE)
		return kind_find(items->ref)->fields;
	return items ? items->fields : NULL;
}

static int run_list(struct cli *cli, const struct command *command, json_t *params)
{
	const struct method *method = command->method;
	char what[64];
	json_t *items;
	int status = client_list(cli, method->name, json_incref(params), &items);

	if (status != CLI_OK)
		return status;
	/* drops, usage: neither has a plural */
	snprintf(what, sizeof(what), "%s%s", method->kind ? method->kind->plural : command->noun,
		method->kind || strchr("es", command->noun[strlen(command->noun) - 1]) ? "" : "s");
	status = output_items(cli, items_of(method), items, what);
	json_decref(items);
	return status;
}

static int run_delete(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *names = json_object_get(params, "names"), *result = NULL, *name;
	size_t index;
	int status = client_call(cli, command->method->name,
		json_array_size(names) == 1 ? json_pack("{s:O}", "name", json_array_get(names, 0))
					    : json_pack("{s:O}", "names", names),
		&result);

	if (status != CLI_OK)
		return status;
	if (cli->options.format == FORMAT_JSON || cli->options.format == FORMAT_YAML) {
		status = output_value(cli, command->method->result, result);
	} else {
		json_array_foreach (names, index, name) {
			if (cli->options.format == FORMAT_NAME)
				puts(json_string_value(name));
			else
				printf("deleted %s %s\n", command->noun, json_string_value(name));
		}
	}
	json_decref(result);
	return status;
}

int verbs_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *result = NULL;
	int status;

	if (items_of(command->method))
		return run_list(cli, command, params);
	if (command->method->verb == METHOD_DELETE)
		return run_delete(cli, command, params);
	status = client_call(cli, command->method->name, json_incref(params), &result);
	/* Who asks for one object wants to see all of it, unless asking for a table by name. */
	if (status == CLI_OK && command->method->verb == METHOD_GET && !cli->options.format_given)
		output_members(stdout, command->method->kind->fields, result, 0);
	else if (status == CLI_OK)
		status = output_value(cli, command->method->result, result);
	json_decref(result);
	return status;
}
