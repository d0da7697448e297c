// SPDX-License-Identifier: Apache-2.0
/* Answers on stdout, in the form that --output asks for. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "cli/cli.h"
#include "lib/resource.h"

/*
 * A value by its description (a method's result, NULL: anything). In tables an object of a kind is one
 * row, any other object its members. CLI_OK, or CLI_USAGE (said) when it has no names for -o name.
 */
int output_value(struct cli *cli, const struct field *shape, const json_t *value);

/* A list of what `fields` describe; `what` says what there is none of. */
int output_items(
	struct cli *cli, const struct field *fields, const json_t *items, const char *what);

/* JSON or YAML, members in the order of their descriptions (shape may be NULL). */
void output_json(const struct field *shape, const json_t *value, bool one_line);
void output_yaml(const struct field *shape, const json_t *value);
/* A stream of documents; each resource has its kind. */
void output_yaml_stream(FILE *out, const json_t *resources);

/* Objects of several kinds, each with `kind`, for json, yaml and name. False: the format is a table. */
bool output_resources(struct cli *cli, const json_t *resources);

/* The same value with members in the order of their descriptions. New reference. */
json_t *output_ordered(const struct field *shape, const json_t *value);
/* {kind, …} in the order of the kind's fields. New reference. */
json_t *output_ordered_resource(const json_t *resource);

/* Members line by line, indented, in YAML's manner. */
void output_members(FILE *out, const struct field *fields, const json_t *object, size_t indent);

#endif
