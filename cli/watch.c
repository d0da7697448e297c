// SPDX-License-Identifier: Apache-2.0
/* watch: every change, until interrupted. */
#include <time.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"

static void print_line(const json_t *event, bool color)
{
	const char *op = resource_text(event, "op");
	const time_t now = time(NULL);
	struct tm tm;
	char when[16];

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	printf("%s  %lld  %s%s%s  %s %s\n", when, (long long)resource_integer(event, "revision", 0),
		color ? color_of(op) : "", op, color && *color_of(op) ? COLOR_OFF : "",
		resource_text(event, "kind"),
		resource_text(json_object_get(event, "object"), "name"));
}

static void print_event(const struct cli *cli, const json_t *event)
{
	const char *kind = resource_text(event, "kind");
	const json_t *object = json_object_get(event, "object");

	switch (cli->options.format) {
	case FORMAT_JSON:
		output_json(NULL, event, true);
		break;
	case FORMAT_YAML:
		puts("---");
		output_yaml(NULL, event);
		break;
	case FORMAT_NAME:
		printf("%s/%s\n", kind, resource_text(object, "name"));
		break;
	default:
		print_line(event, cli->options.color);
	}
	fflush(stdout);
}

int watch_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *result = NULL, *notification;
	int status = CLI_OK;

	if (cli->options.server)
		return cli_fail(CLI_USAGE, "watch needs --socket: HTTP carries no notifications");
	status = client_call(cli, command->method->name, json_incref(params), &result);
	json_decref(result);
	while (status == CLI_OK) {
		status = client_next(cli, &notification);
		if (status != CLI_OK)
			break;
		print_event(cli, json_object_get(notification, "params"));
		json_decref(notification);
		if (ferror(stdout))
			break;
	}
	return status;
}
