// SPDX-License-Identifier: Apache-2.0
/* explain, for people: every decision, the verdict, and the packet before and after. */
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/text.h"

/* "security_group web rule 3 rev 17" */
static char *object_text(const json_t *object)
{
	const json_t *rule = json_object_get(object, "rule");
	const json_t *revision = json_object_get(object, "revision");
	char *text = NULL;
	size_t size;
	FILE *out;

	if (!json_is_object(object))
		return text_printf("-");
	out = must(open_memstream(&text, &size));
	fprintf(out, "%s %s", resource_text(object, "kind"), resource_text(object, "name"));
	if (json_is_integer(rule))
		fprintf(out, " rule %lld", (long long)json_integer_value(rule));
	if (json_is_integer(revision))
		fprintf(out, " rev %lld", (long long)json_integer_value(revision));
	fclose(out);
	return must(text);
}

static void print_steps(const json_t *steps, bool color)
{
	struct table *table = table_new(color);
	json_t *step;
	size_t index;

	table_column(table, "node", false);
	table_column(table, "stage", false);
	table_column(table, "object", false);
	table_column(table, "decision", false);
	json_array_foreach ((json_t *)steps, index, step) {
		char *object = object_text(json_object_get(step, "object"));
		char *decision = cell_text(NULL, json_object_get(step, "decision"));

		table_cell(table, resource_text(step, "node"));
		table_cell(table, resource_text(step, "stage"));
		table_cell(table, object);
		table_cell(table, decision);
		free(object);
		free(decision);
	}
	table_print(table, false);
	table_free(table);
}

static void print_end(FILE *out, const json_t *packet, const char *address, const char *port)
{
	const json_t *number = json_object_get(packet, port);
	const char *text = resource_text(packet, address);
	const bool v6 = text && strchr(text, ':');

	if (json_is_integer(number))
		fprintf(out, v6 ? "[%s]:%lld" : "%s:%lld", text,
			(long long)json_integer_value(number));
	else
		fprintf(out, "%s", text ? text : "?");
}

/* "tcp 10.0.1.10:49152 > 10.0.2.10:443 ttl 64" */
static void print_packet(FILE *out, const char *title, const json_t *packet)
{
	char *protocol;

	if (!json_is_object(packet))
		return;
	protocol = cell_text(NULL, json_object_get(packet, "protocol"));
	fprintf(out, "%-8s%s ", title, protocol);
	print_end(out, packet, "source", "source_port");
	fputs(" > ", out);
	print_end(out, packet, "destination", "port");
	if (json_object_get(packet, "ttl"))
		fprintf(out, " ttl %lld", (long long)resource_integer(packet, "ttl", 0));
	if (json_object_get(packet, "vni"))
		fprintf(out, " vni %lld", (long long)resource_integer(packet, "vni", 0));
	if (resource_text(packet, "source_mac") && resource_text(packet, "destination_mac"))
		fprintf(out, " mac %s > %s", resource_text(packet, "source_mac"),
			resource_text(packet, "destination_mac"));
	fputc('\n', out);
	free(protocol);
}

/* What became of the probe. */
static void print_live(const json_t *live, bool color)
{
	const char *verdict = resource_text(live, "verdict"),
		   *reason = resource_text(live, "reason"),
		   *to = resource_text(live, "delivered_to");
	json_t *difference;
	size_t i;

	if (!json_is_object(live))
		return;
	printf("\n%-8s%s%s%s", "live", color ? color_of(verdict) : "", verdict,
		color ? COLOR_OFF : "");
	if (reason && *reason)
		printf(", %s", reason);
	if (to && *to)
		printf(" to %s", to);
	puts(resource_boolean(live, "agrees", false) ? ", as explained" : ", NOT as explained");
	print_packet(stdout, "seen", json_object_get(live, "packet"));
	json_array_foreach (json_object_get(live, "differences"), i, difference)
		printf("%-8s%s\n", "", json_string_value(difference));
}

static void print_explanation(const json_t *result, bool color)
{
	const json_t *packet = json_object_get(result, "packet");
	const char *verdict = resource_text(result, "verdict");
	const char *reason = resource_text(result, "reason");
	const char *to = resource_text(result, "delivered_to");

	print_steps(json_object_get(result, "steps"), color);
	printf("\n%-8s%s%s%s", "verdict", color ? color_of(verdict) : "", verdict,
		color ? COLOR_OFF : "");
	if (reason && *reason)
		printf(", %s", reason);
	if (to && *to)
		printf(" to %s", to);
	putchar('\n');
	print_packet(stdout, "before", json_object_get(packet, "before"));
	print_packet(stdout, "after", json_object_get(packet, "after"));
	print_live(json_object_get(result, "live"), color);
}

int explain_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *result = NULL;
	int status = client_call(cli, command->method->name, json_incref(params), &result);

	if (status == CLI_OK && cli->options.format <= FORMAT_WIDE)
		print_explanation(result, cli->options.color);
	else if (status == CLI_OK)
		status = output_value(cli, command->method->result, result);
	json_decref(result);
	return status;
}
