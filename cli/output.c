// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "cli/text.h"
#include "cli/yaml_out.h"

/* ---- JSON, YAML ---- */

void output_json(const struct field *shape, const json_t *value, bool one_line)
{
	json_t *ordered = output_ordered(shape, value);

	json_dumpf(ordered, stdout,
		JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) |
			(one_line ? JSON_COMPACT : JSON_INDENT(2)));
	putchar('\n');
	json_decref(ordered);
}

void output_yaml(const struct field *shape, const json_t *value)
{
	json_t *ordered = output_ordered(shape, value);

	yaml_out(stdout, (const json_t *const *)&ordered, 1, false);
	json_decref(ordered);
}

void output_yaml_stream(FILE *out, const json_t *resources)
{
	size_t count = json_array_size(resources);
	const json_t **documents = must(calloc(count + 1, sizeof(*documents)));

	for (size_t i = 0; i < count; i++)
		documents[i] = output_ordered_resource(json_array_get(resources, i));
	yaml_out(out, documents, count, true);
	for (size_t i = 0; i < count; i++)
		json_decref((json_t *)documents[i]);
	free(documents);
}

bool output_resources(struct cli *cli, const json_t *resources)
{
	const json_t *item;
	json_t *list;
	size_t index;

	switch (cli->options.format) {
	case FORMAT_JSON:
		list = json_array();
		json_array_foreach ((json_t *)resources, index, item) {
			json_array_append_new(list, output_ordered_resource(item));
		}
		output_json(NULL, list, false);
		json_decref(list);
		return true;
	case FORMAT_YAML:
		output_yaml_stream(stdout, resources);
		return true;
	case FORMAT_NAME:
		json_array_foreach ((json_t *)resources, index, item) {
			printf("%s/%s\n", resource_text(item, "kind"), resource_text(item, "name"));
		}
		return true;
	default:
		return false;
	}
}

/* ---- Names ---- */

static int print_name(const json_t *object)
{
	const char *name = resource_text(object, "name");

	if (!name)
		return cli_fail(CLI_USAGE, "-o name: these have no names");
	puts(name);
	return CLI_OK;
}

/* ---- Members ---- */

void output_members(FILE *out, const struct field *fields, const json_t *object, size_t indent)
{
	json_t *ordered = json_object();
	const struct field *field;
	const char *line, *end;
	char *text;

	FIELD_FOREACH(field, fields)
	{
		json_t *value = json_object_get(object, field->name);

		if (value)
			json_object_set_new(ordered, field->name, output_ordered(field, value));
	}
	if (!fields)
		json_object_update(ordered, (json_t *)object);
	text = yaml_out_text(ordered);
	for (line = text; *line && json_object_size(ordered); line = end) {
		end = strchrnul(line, '\n');
		end += *end == '\n';
		fprintf(out, "%*s%.*s", (int)indent, "", (int)(end - line), line);
	}
	free(text);
	json_decref(ordered);
}

/* ---- By description ---- */

static const struct field *members(const struct field *shape)
{
	const struct kind *kind = shape->ref ? kind_find(shape->ref) : NULL;

	if (shape->type == FIELD_RESOURCE)
		return kind ? kind->fields : NULL;
	return shape->type == FIELD_OBJECT ? shape->fields : NULL;
}

static void output_table(struct cli *cli, const struct field *shape, const json_t *value)
{
	const struct field *fields = shape ? members(shape) : NULL;
	bool wide = cli->options.format == FORMAT_WIDE;

	if (shape && shape->type == FIELD_RESOURCE && fields) {
		json_t *items = json_pack("[O]", value);

		table_items(fields, items, wide, cli->options.color);
		json_decref(items);
	} else if (json_is_object(value) && fields) {
		output_members(stdout, fields, value, 0);
	} else {
		output_json(shape, value, false);
	}
}

int output_value(struct cli *cli, const struct field *shape, const json_t *value)
{
	switch (cli->options.format) {
	case FORMAT_JSON:
		output_json(shape, value, false);
		return CLI_OK;
	case FORMAT_YAML:
		output_yaml(shape, value);
		return CLI_OK;
	case FORMAT_NAME:
		return print_name(value);
	default:
		output_table(cli, shape, value);
		return CLI_OK;
	}
}

int output_items(struct cli *cli, const struct field *fields, const json_t *items, const char *what)
{
	const struct field shape = {.type = FIELD_OBJECT, .flags = FIELD_LIST, .fields = fields};
	const json_t *item;
	size_t index;

	switch (cli->options.format) {
	case FORMAT_JSON:
		output_json(&shape, items, false);
		return CLI_OK;
	case FORMAT_YAML:
		output_yaml(&shape, items);
		return CLI_OK;
	case FORMAT_NAME:
		json_array_foreach ((json_t *)items, index, item) {
			if (print_name(item) != CLI_OK)
				return CLI_USAGE;
		}
		return CLI_OK;
	default:
		break;
	}
	if (json_array_size(items) == 0)
		fprintf(stderr, "no %s\n", what);
	else
		table_items(fields, items, cli->options.format == FORMAT_WIDE, cli->options.color);
	return CLI_OK;
}
