// SPDX-License-Identifier: Apache-2.0
/* delete -f: what files name, those first that refer to others. */
#include <stdlib.h>
#include <string.h>

#include "cli/apply.h"
#include "cli/client.h"
#include "cli/files.h"
#include "cli/output.h"

const struct field delete_flags[] = {
	{.name = "file",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "a file of resources (YAML stream or JSON; - is standard input), of which "
			"only kind and name matter; may be repeated",
		.example = "[\"network.yaml\"]"},
	{.name = "ignore_missing",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "what is not there need not be deleted"},
	{.name = "dry_run",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "only say what would be deleted"},
	{},
};

/* {kind: [name]} of the resources that exist. NULL when some are bad, or missing, said. */
static json_t *existing(
	const struct files *files, const json_t *known, bool ignore_missing, int *status)
{
	json_t *chosen = json_object(), *present = json_object(), *resource;
	size_t index;

	json_array_foreach ((json_t *)known, index, resource) {
		char key[160];

		snprintf(key, sizeof(key), "%s %s", resource_text(resource, "kind"),
			resource_text(resource, "name"));
		json_object_set_new(present, key, json_true());
	}
	*status = CLI_OK;
	json_array_foreach (files_resources(files), index, resource) {
		const char *kind = resource_text(resource, "kind");
		const char *name = resource_text(resource, "name");
		char key[160];

		if (!name || !kind_find(kind)) {
			*status = cli_fail(CLI_USAGE, "%s: %s \"%.64s\"",
				name ? name : "a resource without a name",
				name ? "unknown kind" : "of kind", kind);
			break;
		}
		snprintf(key, sizeof(key), "%s %s", kind, name);
		if (!json_object_get(present, key)) {
			if (!ignore_missing)
				*status = cli_fail(CLI_REFUSED, "%s does not exist", key);
			continue;
		}
		if (!json_object_get(chosen, kind))
			json_object_set_new(chosen, kind, json_array());
		json_array_append_new(json_object_get(chosen, kind), json_string(name));
		json_object_del(present, key);
	}
	json_decref(present);
	return chosen;
}

/* What the command is to do, and what has become of it. */
struct deletion {
	struct cli *cli;
	bool dry_run, late; /* late: something is stored, but not yet obeyed everywhere */
	json_t *deleted;    /* [{kind, name}], for -o json and yaml, which come at the end */
};

static void show(struct deletion *d, const char *kind, const json_t *names)
{
	const enum options_format format = d->cli->options.format;
	json_t *name;
	size_t index;

	json_array_foreach ((json_t *)names, index, name) {
		if (format == FORMAT_JSON || format == FORMAT_YAML)
			json_array_append_new(
				d->deleted, json_pack("{s:s, s:O}", "kind", kind, "name", name));
		else if (format == FORMAT_NAME)
			printf("%s/%s\n", kind, json_string_value(name));
		else
			printf("%s %s %s\n", d->dry_run ? "would delete" : "deleted", kind,
				json_string_value(name));
	}
}

/* The names from one on, as many as a call takes. */
static json_t *names_from(const json_t *names, size_t from)
{
	json_t *some = json_array();

	for (size_t i = from; i < json_array_size(names) && i < from + RESOURCE_LIST_MAX; i++)
		json_array_append(some, json_array_get(names, i));
	return some;
}

/* A change that is stored but not yet obeyed everywhere (--wait) is no reason to leave the rest. */
static int delete_kind(struct deletion *d, const struct kind *kind, json_t *names)
{
	json_t *result = NULL, *error = NULL;
	bool stored = false;
	int status = CLI_OK;

	if (!d->dry_run)
		status = client_try(d->cli, method_of(kind, "delete")->name,
			json_pack("{s:O}", "names", names), &result, &error);
	if (status == CLI_REFUSED) {
		stored = resource_integer(error, "code", 0) == ERROR_UNAVAILABLE &&
			 json_object_get(json_object_get(error, "data"), "revision");
		client_refused(error);
	}
	json_decref(result);
	if (status == CLI_OK || stored)
		show(d, kind->name, names);
	d->late = d->late || stored;
	return stored ? CLI_OK : status;
}

/* Those that refer to others before these. */
static int delete_all(struct deletion *d, const json_t *chosen)
{
	int status = CLI_OK;

	for (size_t i = kind_count(); i-- > 0 && status == CLI_OK;) {
		const struct kind *kind = kind_at(i);
		const json_t *names = json_object_get(chosen, kind->name);

		for (size_t from = 0; from < json_array_size(names) && status == CLI_OK;
			from += RESOURCE_LIST_MAX) {
			json_t *some = names_from(names, from);

			status = delete_kind(d, kind, some);
			json_decref(some);
		}
	}
	return status;
}

int delete_run(struct cli *cli, const struct command *command, json_t *params)
{
	struct files *files = files_read(json_object_get(params, "file"));
	json_t *known = NULL, *chosen;
	struct deletion d = {.cli = cli,
		.dry_run = resource_boolean(params, "dry_run", false),
		.deleted = json_array()};
	int status;

	(void)command;
	if (!files) {
		json_decref(d.deleted);
		return CLI_USAGE;
	}
	status = client_call(cli, "export", NULL, &known);
	if (status == CLI_OK) {
		chosen = existing(files, json_object_get(known, "resources"),
			resource_boolean(params, "ignore_missing", false), &status);
		if (status == CLI_OK)
			status = delete_all(&d, chosen);
		if (status == CLI_OK && d.late)
			status = CLI_REFUSED;
		if (status == CLI_OK || json_array_size(d.deleted))
			output_resources(cli, d.deleted);
		json_decref(chosen);
	}
	json_decref(d.deleted);
	json_decref(known);
	files_free(files);
	return status;
}
