// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client_http.h"

static const struct field_value formats[] = {
	[FORMAT_TABLE] = {"table", "for people"},
	[FORMAT_WIDE] = {"wide", "with more columns"},
	[FORMAT_JSON] = {"json", "as the server answers; of lists the array of items"},
	[FORMAT_YAML] = {"yaml", "the same in YAML"},
	[FORMAT_NAME] = {"name", "only names, one a line"},
	{},
};

const struct field options_fields[] = {
	{.name = "output",
		.type = FIELD_ENUM,
		.values = formats,
		.def = "\"table\"",
		.help = "how the answer is shown"},
	{.name = "socket",
		.type = FIELD_STRING,
		.def = "\"" OPTIONS_SOCKET "\"",
		.help = "the controller's Unix socket; also in VPC_SOCKET"},
	{.name = "server",
		.type = FIELD_STRING,
		.help = "the controller's HTTP address instead of the socket, "
			"such as http://127.0.0.1:9470; also in VPC_SERVER"},
	{.name = "token_file",
		.type = FIELD_STRING,
		.help = "with --server: a file with the token that allows changes; also the token "
			"itself in VPC_TOKEN"},
	{.name = "wait",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "of changes: end once every dataplane concerned forwards by them"},
	{.name = "wait_timeout_ms",
		.type = FIELD_INTEGER,
		.max = 3600000,
		.def = "5000",
		.unit = "milliseconds",
		.help = "with --wait: how long; then the change stands, and the exit status is 1"},
	{.name = "no_color",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "no colours on a terminal; also with NO_COLOR in the environment"},
	{.name = "help", .type = FIELD_BOOLEAN, .def = "false", .help = "say how to use it"},
	{.name = "version",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "say which version it is"},
	{},
};

static const struct {
	char letter;
	const char *name;
} letters[] = {{'o', "output"}, {'f', "file"}, {'h', "help"}, {'n', "iterations"}, {'w', "write"},
	{'c', "count"}};

#define LETTERS (sizeof(letters) / sizeof(letters[0]))

const char *options_of_letter(char letter)
{
	for (size_t i = 0; i < LETTERS; i++)
		if (letters[i].letter == letter)
			return letters[i].name;
	return NULL;
}

char options_letter(const char *name)
{
	for (size_t i = 0; i < LETTERS; i++)
		if (!strcmp(letters[i].name, name))
			return letters[i].letter;
	return 0;
}

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static bool take_format(struct options *options, const char *text, char *why, size_t size)
{
	options->format_given = text != NULL;
	options->format = FORMAT_TABLE;
	if (!text)
		return true;
	for (size_t i = 0; formats[i].name; i++)
		if (!strcmp(formats[i].name, text)) {
			options->format = (enum options_format)i;
			return true;
		}
	snprintf(why, size, "--output: \"%.64s\" is none of table, wide, json, yaml, name", text);
	return false;
}

bool options_take(struct options *options, const json_t *given, char *why, size_t size)
{
	const char *socket = resource_text(given, "socket");

	*options = (struct options){
		.server = resource_text(given, "server"),
		.token_file = resource_text(given, "token_file"),
		.help = resource_boolean(given, "help", false),
		.version = resource_boolean(given, "version", false),
		.wait = resource_boolean(given, "wait", false),
		.wait_timeout_ms = resource_integer(given, "wait_timeout_ms", 0),
		.color = !resource_boolean(given, "no_color", false) &&
			 !from_environment("NO_COLOR") && isatty(STDOUT_FILENO),
	};
	if (socket && options->server) {
		snprintf(why, size, "--socket and --server exclude each other");
		return false;
	}
	if (!socket && !options->server && !(socket = from_environment("VPC_SOCKET")))
		options->server = from_environment("VPC_SERVER");
	if (options->server && !client_http_is_url(options->server)) {
		snprintf(
			why, size, "--server %.128s: it must be http://host:port", options->server);
		return false;
	}
	options->socket = socket ? socket : OPTIONS_SOCKET;
	return take_format(options, resource_text(given, "output"), why, size);
}
