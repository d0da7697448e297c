// SPDX-License-Identifier: Apache-2.0
#include "cli/apply.h"

#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/diff.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/table.h"

#define FILE_FLAG(what)                                                                            \
	{                                                                                          \
		.name = "file", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_LIST,        \
		.help = what " (YAML stream or JSON; - is standard input); may be repeated",       \
		.example = "[\"network.yaml\"]"                                                    \
	}
#define PRUNE_FLAG                                                                                 \
	{                                                                                          \
		.name = "prune", .type = FIELD_BOOLEAN, .def = "false",                            \
		.help = "also delete what is not in the files, among the kinds and tenants that "  \
			"are in them"                                                              \
	}

const struct field apply_flags[] = {
	FILE_FLAG("a file of resources"),
	{.name = "dry_run",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "only say what would change"},
	PRUNE_FLAG,
	{},
};

const struct field diff_flags[] = {
	FILE_FLAG("a file of resources"),
	PRUNE_FLAG,
	{.name = "exit_code",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "exit with 1 when there are differences"},
	{},
};

/* ---- The call ---- */

static int refused(const struct files *files, json_t *error)
{
	const json_t *data = json_object_get(error, "data");
	char *where = files_where(files, resource_text(data, "path"));
	const char *reason = resource_text(data, "reason");
	json_t *located;

	if (!where || !reason) {
		free(where);
		return client_refused(error);
	}
	/* Where the user wrote it says more than where it is in the call. */
	located = json_pack(
		"{s:o, s:O}", "message", json_sprintf("%s: %s", where, reason), "data", data);
	json_object_del(json_object_get(located, "data"), "path");
	free(where);
	json_decref(error);
	return client_refused(located);
}

int apply_files(struct cli *cli, const struct files *files, json_t *params, json_t **result)
{
	json_t *error = NULL;
	int status;

	json_object_set(params, "resources", files_resources(files));
	status = client_try(cli, "apply", params, result, &error);
	return status == CLI_REFUSED ? refused(files, error) : status;
}

static json_t *call_params(const json_t *params, bool dry_run)
{
	return json_pack("{s:b, s:b}", "dry_run", dry_run, "prune",
		resource_boolean(params, "prune", false));
}

/* ---- What it says ---- */

static void print_fields(const json_t *diff)
{
	const char *field, *before = " (";
	json_t *pair;

	json_object_foreach ((json_t *)diff, field, pair) {
		printf("%s%s", before, field);
		before = ", ";
	}
	if (json_object_size(diff))
		putchar(')');
}

static void print_changes(const struct cli *cli, const json_t *changes)
{
	json_t *change;
	size_t index;

	json_array_foreach ((json_t *)changes, index, change) {
		const char *op = resource_text(change, "op");
		const bool color = cli->options.color && *color_of(op);

		printf("%s%sd%s %s %s", color ? color_of(op) : "", op, color ? COLOR_OFF : "",
			resource_text(change, "kind"), resource_text(change, "name"));
		if (!strcmp(op, "update"))
			print_fields(json_object_get(change, "diff"));
		putchar('\n');
	}
}

int apply_show(struct cli *cli, const json_t *result, bool dry_run)
{
	const json_t *changes = json_object_get(result, "changes");

	if (cli->options.format == FORMAT_NAME) {
		output_resources(cli, changes);
		return CLI_OK;
	}
	if (cli->options.format == FORMAT_JSON || cli->options.format == FORMAT_YAML)
		return output_value(cli, method_find("apply")->result, result);
	print_changes(cli, changes);
	printf("%s%lld created, %lld updated, %lld deleted, %lld unchanged\n",
		dry_run ? "dry run: " : "", (long long)resource_integer(result, "created", 0),
		(long long)resource_integer(result, "updated", 0),
		(long long)resource_integer(result, "deleted", 0),
		(long long)resource_integer(result, "unchanged", 0));
	return CLI_OK;
}

/* ---- Commands ---- */

int apply_run(struct cli *cli, const struct command *command, json_t *params)
{
	struct files *files = files_read(json_object_get(params, "file"));
	const bool dry_run = resource_boolean(params, "dry_run", false);
	json_t *result = NULL;
	int status;

	(void)command;
	if (!files)
		return CLI_USAGE;
	status = apply_files(cli, files, call_params(params, dry_run), &result);
	if (status == CLI_OK)
		status = apply_show(cli, result, dry_run);
	json_decref(result);
	files_free(files);
	return status;
}

int diff_run(struct cli *cli, const struct command *command, json_t *params)
{
	struct files *files = files_read(json_object_get(params, "file"));
	json_t *result = NULL;
	int status;

	(void)command;
	if (!files)
		return CLI_USAGE;
	status = apply_files(cli, files, call_params(params, true), &result);
	if (status == CLI_OK) {
		const json_t *changes = json_object_get(result, "changes");

		if (cli->options.format <= FORMAT_WIDE)
			diff_print(changes, cli->options.color);
		else
			status = apply_show(cli, result, true);
		if (status == CLI_OK && json_array_size(changes) &&
			resource_boolean(params, "exit_code", false))
			status = CLI_REFUSED;
	}
	json_decref(result);
	files_free(files);
	return status;
}
