// SPDX-License-Identifier: Apache-2.0
/* capture: a line for each packet, or a pcapng file. */
#include "cli/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/text.h"

const struct field capture_args[] = {
	{.name = "filter",
		.type = FIELD_STRING,
		.flags = FIELD_LIST,
		.help = "a pcap expression; when omitted: everything"},
	{},
};

const struct field capture_flags[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.help = "what this port sends and is given"},
	{.name = "vpc",
		.type = FIELD_REF,
		.ref = "vpc",
		.help = "the same of all ports of this VPC, on all nodes"},
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.help = "the same of everything on this node, its underlay and outside networks "
			"included"},
	{.name = "drops",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "only packets that are dropped, each with the reason; alone: of "
			"everything"},
	{.name = "write",
		.type = FIELD_STRING,
		.help = "a pcapng file; - is standard output; when omitted: a line for each "
			"packet"},
	{.name = "count",
		.type = FIELD_INTEGER,
		.max = INT64_MAX,
		.help = "end after so many packets; 0 or omitted: when interrupted"},
	{.name = "snaplen",
		.type = FIELD_INTEGER,
		.max = 65535,
		.unit = "bytes",
		.help = "keep so much of each packet; 0 or omitted: all of it"},
	{.name = "rewritten",
		.type = FIELD_STRING,
		.help = "what ports send before or after the node has rewritten it (addresses, "
			"MACs, TTL), or both; when omitted: before"},
	{.name = "path",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "say in the comments, too, which graph nodes a packet went through"},
	{},
};

/* ---- A file ---- */

static bool write_bytes(struct capture_stream *stream, const struct bytes *bytes)
{
	FILE *file = stream->ctx;

	return fwrite(bytes->data, 1, bytes->length, file) == bytes->length && fflush(file) == 0;
}

static int run_file(struct cli *cli, json_t *params, const char *path)
{
	bool standard = !strcmp(path, "-");
	FILE *file = standard ? stdout : fopen(path, "we");
	struct capture_stream stream = {.bytes = write_bytes, .ctx = file};
	int status, error;

	if (file && isatty(fileno(file))) {
		json_decref(params);
		return cli_fail(
			CLI_USAGE, "packets are not for a terminal: give a file, or a pipe");
	}
	if (!file) {
		json_decref(params);
		return cli_fail(CLI_USAGE, "%s: %m", path);
	}
	status = capture_stream_run(cli, params, &stream);
	if (standard)
		return status;
	error = ferror(file) ? EIO : 0;
	if (fclose(file) != 0)
		error = errno;
	return error && status == CLI_OK ? cli_fail(CLI_REFUSED, "%s: %s", path, strerror(error))
					 : status;
}

/* ---- Lines ---- */

static const char *direction_text(enum pcapng_direction direction)
{
	return direction == PCAPNG_INBOUND ? "sent" : direction == PCAPNG_OUTBOUND ? "given" : "-";
}

static bool print_json(
	struct capture_stream *stream, const char *interface, const struct pcapng_record *record)
{
	const struct pcapng_packet *packet = &record->packet;
	char text[PACKET_TEXT];
	json_t *line = json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:s, s:s%}", "time_ns",
		(json_int_t)packet->time_ns, "interface", interface, "direction",
		direction_text(packet->direction), "length", (json_int_t)packet->length, "captured",
		(json_int_t)packet->captured, "id", (json_int_t)packet->id, "packet",
		packet_text(packet->data, packet->captured, text), "comment",
		record->comment ? record->comment : "", record->comment_length);

	(void)stream;
	if (line) {
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(line);
	return fflush(stdout) == 0;
}

static bool print_line(
	struct capture_stream *stream, const char *interface, const struct pcapng_record *record)
{
	const struct cli *cli = stream->ctx;
	const struct pcapng_packet *packet = &record->packet;
	bool dropped = packet->verdict == PCAPNG_DROPPED, color = cli->options.color;
	char when[PACKET_TIME], text[PACKET_TEXT], reason[64] = "";

	packet_word(record, "reason", reason, sizeof(reason));
	printf("%s %s %s %s, length %u", packet_time(packet->time_ns, when), interface,
		direction_text(packet->direction),
		packet_text(packet->data, packet->captured, text), packet->length);
	if (dropped)
		printf(" %s[drop %s]%s", color ? color_of("drop") : "", reason,
			color ? COLOR_OFF : "");
	putchar('\n');
	return fflush(stdout) == 0;
}

/* What the command line alone tells to be wrong. */
static const char *misuse(const json_t *params)
{
	static const char *const scopes[] = {"port", "vpc", "node"};
	unsigned given = 0;

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		given += json_object_get(params, scopes[i]) != NULL;
	if (given > 1)
		return "only one of --port, --vpc and --node";
	if (!given && !resource_boolean(params, "drops", false))
		return "one of --port, --vpc, --node and --drops says what to capture";
	return NULL;
}

int capture_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *question;
	struct capture_stream stream = {.packet = print_line, .ctx = cli};
	const char *path = resource_text(params, "write"), *wrong = misuse(params);

	(void)command;
	if (wrong)
		return cli_fail(CLI_USAGE, "%s", wrong);
	question = json_deep_copy(params);
	json_object_del(question, "write");
	capture_join_filter(question);
	if (path)
		return run_file(cli, question, path);
	if (cli->options.format == FORMAT_JSON)
		stream.packet = print_json;
	return capture_stream_run(cli, question, &stream);
}

/* ---- capture stop ---- */

const struct field capture_stop_args[] = {
	{.name = "capture",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.min = 1,
		.max = INT64_MAX,
		.help = "its number, as capture list shows it"},
	{},
};

int capture_stop_run(struct cli *cli, const struct command *command, json_t *params)
{
	const struct method *method = method_find("capture.stop");
	json_t *result = NULL;
	int status = client_call(cli, method->name, json_incref(params), &result);

	(void)command;
	if (status == CLI_OK)
		status = output_value(cli, method->result, result);
	json_decref(result);
	return status;
}
