// SPDX-License-Identifier: Apache-2.0
/* trace: the way of real packets through a node's graph. */
#include <stdlib.h>
#include <string.h>

#include "cli/capture.h"
#include "cli/text.h"

#define PATH_TEXT 2048

const struct field trace_args[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.flags = FIELD_REQUIRED,
		.help = "the port that sends"},
	{.name = "filter",
		.type = FIELD_STRING,
		.flags = FIELD_LIST,
		.help = "a pcap expression; when omitted: everything"},
	{},
};

const struct field trace_flags[] = {
	{.name = "count",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 1000000,
		.def = "10",
		.help = "end after so many packets"},
	{},
};

/* "fast_path:52/32": the node, cycles of its call, packets in the burst. */
static void print_hop(const char *hop)
{
	const char *cycles = strchr(hop, ':');
	const char *packets = cycles ? strchr(cycles, '/') : NULL;
	double spent = cycles ? strtod(cycles + 1, NULL) : 0;
	unsigned long burst = packets ? strtoul(packets + 1, NULL, 10) : 0;

	if (!burst)
		return;
	printf("    %-20.*s %8.0f cycles, burst of %lu: %.0f a packet\n", (int)(cycles - hop), hop,
		spent, burst, spent / (double)burst);
}

static void print_end(const struct pcapng_record *record)
{
	static const char *const words[] = {"verdict", "reason", "out", "session"};
	char value[160];
	bool any = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!packet_word(record, words[i], value, sizeof(value)))
			continue;
		printf("%s%s %s", any ? ", " : "    → ", words[i], value);
		any = true;
	}
	if (any)
		putchar('\n');
}

static bool print_packet(
	struct capture_stream *stream, const char *interface, const struct pcapng_record *record)
{
	char when[PACKET_TIME], text[PACKET_TEXT], path[PATH_TEXT];

	(void)stream;
	if (!packet_word(record, "path", path, sizeof(path)))
		return true;
	printf("%s %s %s, length %u\n", packet_time(record->packet.time_ns, when), interface,
		packet_text(record->packet.data, record->packet.captured, text),
		record->packet.length);
	for (char *left, *hop = strtok_r(path, ",", &left); hop; hop = strtok_r(NULL, ",", &left))
		print_hop(hop);
	print_end(record);
	return fflush(stdout) == 0;
}

int trace_run(struct cli *cli, const struct command *command, json_t *params)
{
	struct capture_stream stream = {.packet = print_packet};
	json_t *question = json_deep_copy(params);

	(void)command;
	capture_join_filter(question);
	if (!json_object_get(question, "count"))
		json_object_set_new(question, "count", json_integer(10));
	json_object_set_new(question, "path", json_true());
	return capture_stream_run(cli, question, &stream);
}
