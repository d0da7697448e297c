// SPDX-License-Identifier: Apache-2.0
/* status, for people: the controller in a line, the nodes in a table. */
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/text.h"

static void number_cell(struct table *table, const json_t *object, const char *name)
{
	char *text = cell_text(NULL, json_object_get(object, name));

	table_cell(table, text);
	free(text);
}

/* Takes the text. */
static void own_cell(struct table *table, char *text)
{
	table_cell(table, text);
	free(text);
}

static char *uptime_text(const json_t *node)
{
	const json_t *uptime = json_object_get(node, "uptime_s");
	const long long s = (long long)json_number_value(uptime);

	if (!json_is_number(uptime))
		return text_printf("-");
	if (s < 3600)
		return text_printf("%lldm%02llds", s / 60, s % 60);
	if (s < 86400)
		return text_printf("%lldh%02lldm", s / 3600, s / 60 % 60);
	return text_printf("%lldd%02lldh", s / 86400, s / 3600 % 24);
}

/* "12 %, 3 %" */
static char *load_text(const json_t *workers)
{
	char *text = NULL;
	json_t *worker;
	size_t size, index;
	FILE *out = must(open_memstream(&text, &size));

	json_array_foreach ((json_t *)workers, index, worker) {
		fprintf(out, "%s%.0f%%", index ? "," : "",
			json_number_value(json_object_get(worker, "load_percent")));
	}
	fputs(index ? "" : "-", out);
	fclose(out);
	return must(text);
}

static json_int_t dropped(const json_t *packets)
{
	const char *reason;
	json_int_t sum = 0;
	json_t *count;

	json_object_foreach (json_object_get(packets, "dropped"), reason, count) {
		sum += json_integer_value(count);
	}
	return sum;
}

static char *fraction(const json_t *object, const char *part, const char *whole)
{
	if (!json_is_object(object))
		return text_printf("-");
	return text_printf("%lld/%lld", (long long)resource_integer(object, part, 0),
		(long long)resource_integer(object, whole, 0));
}

/* "2/3": of those that are asked, how many answer. */
static char *tunnels_text(const json_t *node)
{
	json_t *list = json_object_get(node, "tunnels"), *tunnel;
	unsigned up = 0, down = 0;
	size_t index;

	json_array_foreach (list, index, tunnel) {
		up += !strcmp(resource_text(tunnel, "state"), "up");
		down += !strcmp(resource_text(tunnel, "state"), "down");
	}
	return up + down ? text_printf("%u/%u", up, up + down) : text_printf("-");
}

static void node_row(struct table *table, const json_t *node, bool wide)
{
	const json_t *packets = json_object_get(node, "packets");
	const bool known = json_is_object(packets);

	table_cell(table, resource_text(node, "name"));
	table_cell(table, resource_text(node, "state"));
	own_cell(table, cell_text(NULL, json_object_get(node, "version")));
	own_cell(table, uptime_text(node));
	own_cell(table, fraction(json_object_get(node, "revision"), "applied", "desired"));
	own_cell(table, fraction(json_object_get(node, "sessions"), "used", "capacity"));
	own_cell(table, tunnels_text(node));
	own_cell(table, load_text(json_object_get(node, "workers")));
	number_cell(table, packets, "received");
	number_cell(table, packets, "sent");
	own_cell(
		table, known ? text_printf("%lld", (long long)dropped(packets)) : text_printf("-"));
	if (wide) {
		number_cell(table, packets, "generated");
		number_cell(table, packets, "consumed");
		number_cell(table, packets, "held");
	}
}

static void print_status(const json_t *status, bool wide, bool color)
{
	static const char *const texts[] = {"node", "state", "version", "uptime"};
	static const char *const numbers[] = {"applied", "sessions", "tunnels", "load", "received",
		"sent", "dropped", "generated", "consumed", "held"};
	struct table *table = table_new(color);
	json_t *nodes = json_object_get(status, "nodes"), *node;
	size_t index;

	for (size_t i = 0; i < 4; i++)
		table_column(table, texts[i], false);
	for (size_t i = 0; i < (wide ? 10 : 7); i++)
		table_column(table, numbers[i], true);
	printf("controller %s, revision %lld\n", resource_text(status, "version"),
		(long long)resource_integer(status, "revision", 0));
	json_array_foreach (nodes, index, node) {
		node_row(table, node, wide);
	}
	if (json_array_size(nodes)) {
		putchar('\n');
		table_print(table, false);
	}
	table_free(table);
}

int status_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *result = NULL;
	int status = client_call(cli, command->method->name, json_incref(params), &result);

	if (status == CLI_OK && cli->options.format <= FORMAT_WIDE)
		print_status(result, cli->options.format == FORMAT_WIDE, cli->options.color);
	else if (status == CLI_OK)
		status = output_value(cli, command->method->result, result);
	json_decref(result);
	return status;
}
