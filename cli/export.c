// SPDX-License-Identifier: Apache-2.0
/* The whole network at once: export, get all, and backup and restore of a file. */
#include "cli/export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/apply.h"
#include "cli/client.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/text.h"

/* The first line of a backup; the count tells a whole file from one that was cut off. */
#define HEADER "# vpcctl backup of "

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

/* ---- backup ---- */

const struct field backup_args[] = {
	{.name = "file",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "the file; - is standard output or input",
		.example = "\"network.yaml\""},
	{},
};

/* What the header says of a backup. */
struct backup {
	const json_t *resources;
	json_int_t revision;
	bool json; /* rather than YAML */
};

static void write_backup(FILE *out, const struct backup *backup)
{
	const size_t count = json_array_size(backup->resources);
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (backup->json) {
		json_t *file = json_pack("{s:{s:I, s:I, s:s}, s:O}", "backup", "resources",
			(json_int_t)count, "revision", backup->revision, "time", when, "resources",
			backup->resources);

		json_dumpf(file, out, JSON_INDENT(2));
		fputc('\n', out);
		json_decref(file);
		return;
	}
	fprintf(out, HEADER "%zu resources, revision %lld, %s\n", count,
		(long long)backup->revision, when);
	fputs("# Read back by `vpcctl restore FILE`, in one transaction.\n", out);
	output_yaml_stream(out, backup->resources);
}

/* The whole file or none: written beside it, then put in its place. 0 or -errno. */
static int write_file(const char *path, const struct backup *backup)
{
	char *temporary = text_printf("%s.XXXXXX", path);
	int fd = mkstemp(temporary), rc = 0;
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!out) {
		rc = -errno;
	} else {
		write_backup(out, backup);
		if (fflush(out) || fsync(fd) < 0)
			rc = -errno;
		if (fclose(out) && rc == 0)
			rc = -errno;
		if (rc == 0 && rename(temporary, path) < 0)
			rc = -errno;
		if (rc < 0)
			unlink(temporary);
	}
	free(temporary);
	return rc;
}

static bool is_json(const struct cli *cli, const char *path)
{
	const size_t length = strlen(path);

	return cli->options.format == FORMAT_JSON ||
	       (length > 5 && !strcmp(path + length - 5, ".json"));
}

int backup_run(struct cli *cli, const struct command *command, json_t *params)
{
	const char *path = resource_text(params, "file");
	json_t *status_now = NULL, *result = NULL;
	int status = client_call(cli, "status", NULL, &status_now), rc = 0;

	(void)command;
	if (status == CLI_OK)
		status = client_call(cli, "export", NULL, &result);
	if (status == CLI_OK) {
		const struct backup backup = {json_object_get(result, "resources"),
			resource_integer(status_now, "revision", 0), is_json(cli, path)};

		if (!strcmp(path, "-"))
			write_backup(stdout, &backup);
		else
			rc = write_file(path, &backup);
		if (rc < 0)
			status = cli_fail(CLI_USAGE, "%s: %s", path, strerrordesc_np(-rc));
		else if (strcmp(path, "-"))
			printf("%zu resources of revision %lld are in %s\n",
				json_array_size(backup.resources), (long long)backup.revision,
				path);
	}
	json_decref(status_now);
	json_decref(result);
	return status;
}

/* ---- restore ---- */

const struct field restore_flags[] = {
	{.name = "prune",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "also delete what was made since, among the kinds and tenants of the "
			"backup"},
	{.name = "dry_run",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "only say what would change"},
	{},
};

/* How many resources the header promises; -1 when there is none. */
static long long promised(const char *path)
{
	json_t *json = json_load_file(path, 0, NULL);
	long long count = resource_integer(json_object_get(json, "backup"), "resources", -1);
	FILE *in = json ? NULL : fopen(path, "re");
	char line[256];

	json_decref(json);
	if (!in)
		return count;
	if (fgets(line, sizeof(line), in) && !strncmp(line, HEADER, strlen(HEADER)))
		count = strtoll(line + strlen(HEADER), NULL, 10);
	fclose(in);
	return count;
}

int restore_run(struct cli *cli, const struct command *command, json_t *params)
{
	const char *path = resource_text(params, "file");
	const bool is_file = strcmp(path, "-"),
		   dry_run = resource_boolean(params, "dry_run", false);
	json_t *paths = json_pack("[s]", path), *result = NULL;
	struct files *files = files_read(paths);
	long long wanted = files && is_file ? promised(path) : -1;
	size_t count = files ? json_array_size(files_resources(files)) : 0;
	int status = CLI_USAGE;

	(void)command;
	json_decref(paths);
	if (!files)
		return CLI_USAGE;
	if (is_file && wanted < 0) {
		cli_fail(0, "%s is no backup of vpcctl; to make it so anyway: vpcctl apply -f",
			path);
	} else if (is_file && (size_t)wanted != count) {
		cli_fail(0, "%s is damaged: %lld resources were written, %zu are there", path,
			wanted, count);
	} else {
		status = apply_files(cli, files,
			json_pack("{s:b, s:b}", "dry_run", dry_run, "prune",
				resource_boolean(params, "prune", false)),
			&result);
		if (status == CLI_OK)
			status = apply_show(cli, result, dry_run);
	}
	json_decref(result);
	files_free(files);
	return status;
}
