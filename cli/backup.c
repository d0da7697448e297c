// SPDX-License-Identifier: Apache-2.0
/* backup and restore: the controller makes and reads the lines, we carry them to a file and back. */
#include "cli/backup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/apply.h"
#include "cli/client.h"
#include "cli/text.h"

/* Of lines in one call. */
#define CHUNK_BYTES ((size_t)1 << 20)

const struct field backup_args[] = {
	{.name = "file",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "the file; - is standard output or input",
		.example = "\"network.backup\""},
	{},
};

const struct field restore_flags[] = {
	{.name = "prune",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "also delete what is not in the backup, whatever its kind and tenant"},
	{.name = "dry_run",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "only say what would change"},
	{},
};

static int fail_file(const char *path, int error)
{
	return cli_fail(CLI_USAGE, "%s: %s", path, strerrordesc_np(error));
}

/* ---- backup ---- */

static size_t write_lines(FILE *out, const json_t *lines)
{
	json_t *line;
	size_t index;

	json_array_foreach ((json_t *)lines, index, line)
		fprintf(out, "%s\n", json_string_value(line));
	return json_array_size(lines);
}

/* All pages. */
static int fetch(struct cli *cli, FILE *out, size_t *lines)
{
	json_t *cursor = NULL, *result;
	int status;

	do {
		json_t *params = json_object();

		if (cursor)
			json_object_set_new(params, "cursor", cursor);
		status = client_call(cli, "backup", params, &result);
		if (status != CLI_OK)
			return status;
		*lines += write_lines(out, json_object_get(result, "lines"));
		cursor = json_incref(json_object_get(result, "cursor"));
		json_decref(result);
	} while (json_is_string(cursor));
	return CLI_OK;
}

/* The whole file or none, and only for its owner: written beside it, then put in its place. */
static int fetch_file(struct cli *cli, const char *path, size_t *lines)
{
	char *temporary = text_printf("%s.XXXXXX", path);
	int fd = mkstemp(temporary), status;
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!out) {
		status = fail_file(path, errno);
	} else {
		bool bad;

		status = fetch(cli, out, lines);
		errno = 0;
		bad = ferror(out) || fflush(out) || fsync(fd) < 0;
		bad |= fclose(out) != 0;
		if (status == CLI_OK && (bad || rename(temporary, path) < 0))
			status = fail_file(path, errno ? errno : EIO);
		if (status != CLI_OK)
			unlink(temporary);
	}
	free(temporary);
	return status;
}

int backup_run(struct cli *cli, const struct command *command, json_t *params)
{
	const char *path = resource_text(params, "file");
	size_t lines = 0;
	int status;

	(void)command;
	if (!strcmp(path, "-"))
		return fetch(cli, stdout, &lines);
	status = fetch_file(cli, path, &lines);
	if (status == CLI_OK)
		printf("%zu records are in %s\n", lines, path);
	return status;
}

/* ---- restore ---- */

/* Some lines of the file; NULL when it cannot be read, said. */
static json_t *read_chunk(FILE *in, const char *path)
{
	json_t *lines = json_array();
	char *line = NULL;
	size_t room = 0, bytes = 0;
	ssize_t length;

	while (bytes < CHUNK_BYTES && (length = getline(&line, &room, in)) >= 0) {
		json_t *text;

		if (length > 0 && line[length - 1] == '\n')
			length--;
		text = json_stringn(line, (size_t)length);
		if (!text) {
			cli_fail(0, "%s is no backup of vpcctl", path);
			json_decref(lines);
			free(line);
			return NULL;
		}
		json_array_append_new(lines, text);
		bytes += (size_t)length;
	}
	free(line);
	if (ferror(in)) {
		fail_file(path, errno);
		json_decref(lines);
		return NULL;
	}
	return lines;
}

static int send_file(
	struct cli *cli, FILE *in, const char *path, json_t *last_call, json_t **result)
{
	json_t *upload = NULL;
	int status = CLI_OK;

	do {
		json_t *lines = read_chunk(in, path), *params, *answer = NULL;
		const bool last = feof(in);

		if (!lines) {
			status = CLI_USAGE;
			break;
		}
		params = last ? json_copy(last_call) : json_object();
		json_object_set_new(params, "lines", lines);
		if (upload)
			json_object_set(params, "upload", upload);
		status = client_call(cli, "restore", params, &answer);
		json_decref(upload);
		upload = json_incref(json_object_get(answer, "upload"));
		if (last)
			*result = json_incref(answer);
		json_decref(answer);
		if (last)
			break;
	} while (status == CLI_OK);
	json_decref(upload);
	return status;
}

int restore_run(struct cli *cli, const struct command *command, json_t *params)
{
	const char *path = resource_text(params, "file");
	const bool dry_run = resource_boolean(params, "dry_run", false);
	FILE *in = strcmp(path, "-") ? fopen(path, "re") : stdin;
	json_t *result = NULL, *last_call;
	int status;

	(void)command;
	if (!in)
		return fail_file(path, errno);
	last_call = json_pack("{s:b, s:b, s:b}", "commit", true, "dry_run", dry_run, "prune",
		resource_boolean(params, "prune", false));
	status = send_file(cli, in, path, last_call, &result);
	if (status == CLI_OK)
		status = apply_show(cli, result, dry_run);
	json_decref(last_call);
	json_decref(result);
	if (in != stdin)
		fclose(in);
	return status;
}
