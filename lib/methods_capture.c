// SPDX-License-Identifier: Apache-2.0
/* Packets for people: captures and traces, streamed. */
#include "lib/methods_internal.h"
#include "lib/resource_internal.h"

#include <string.h>

static const struct field_value rewritten[] = {
	{"before", "what ports send, as they send it; what they are given, as they are given it"},
	{"after", "what ports send, as it leaves the node for its next place, inside the tunnel"},
	{"both", "what ports send twice, with the same packet id"},
	{},
};

/* `trace` has the same but for what only files are made of. */
#define CAPTURE_FILTERS                                                                            \
	{.name = "filter",                                                                         \
		.type = FIELD_STRING,                                                              \
		.max = 4096,                                                                       \
		.help = "a pcap expression; when omitted: everything",                             \
		.example = "\"tcp port 443\""},                                                    \
	{                                                                                          \
		.name = "count", .type = FIELD_INTEGER, .max = INT64_MAX,                          \
		.help = "end after so many packets; 0: never", .example = "100"                    \
	}

static const struct field capture_params[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.help = "what this port sends and is given",
		.example = "\"web1\""},
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
		.help = "only packets that are dropped, each with the reason; of everything when "
			"neither port, vpc nor node is given"},
	CAPTURE_FILTERS,
	{.name = "snaplen",
		.type = FIELD_INTEGER,
		.max = 65535,
		.def = "0",
		.unit = "bytes",
		.help = "keep so much of each packet; 0: all of it",
		.example = "128"},
	{.name = "rewritten",
		.type = FIELD_ENUM,
		.values = rewritten,
		.def = "\"before\"",
		.help = "packets before or after what the node makes of them"},
	{.name = "path",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "say in the comments, too, which graph nodes a packet went through, and "
			"how many cycles each took; slows the node down while it runs"},
	{},
};

static bool capture_check(const json_t *params, struct resource_error *error)
{
	static const char *const scopes[] = {"port", "vpc", "node"};
	bool drops = resource_boolean(params, "drops", false);
	const char *given = NULL;

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		char path[8] = "/";

		if (!json_object_get(params, scopes[i]))
			continue;
		strcat(path, scopes[i]);
		if (given)
			return resource_fail(error, path, "only one of port, vpc and node");
		given = scopes[i];
	}
	if (!given && !drops)
		return resource_fail(
			error, "/port", "one of port, vpc, node or drops says what to capture");
	if (drops && resource_boolean(params, "path", false))
		return resource_fail(error, "/path", "of drops alone no way is known");
	if (drops && strcmp(resource_text(params, "rewritten"), "before") != 0)
		return resource_fail(
			error, "/rewritten", "drops are shown as they are when they are dropped");
	return true;
}

static const struct field capture_result_fields[] = {
	COUNT("capture", "its number, in notifications and for capture.stop"),
	{.name = "nodes",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "which nodes take part"},
	{.name = "away",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "which should, but are not connected"},
	{},
};
static const struct field capture_result = RESULT(capture_result_fields, "what has begun");

static const struct field stop_params[] = {
	{.name = "capture",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.min = 1,
		.max = INT64_MAX,
		.help = "its number",
		.example = "7"},
	{},
};

#define CAPTURE_COUNTS                                                                             \
	COUNT("packets", "that were sent to the client"),                                          \
		COUNT("lost", "that were seen, but got lost on the way to the client")

static const struct field stop_result_fields[] = {CAPTURE_COUNTS, {}};
static const struct field stop_result = RESULT(stop_result_fields, "what it was");

static const struct field listed_fields[] = {
	COUNT("capture", "its number"),
	TEXT("by", "who has asked for it"),
	{.name = "since", .type = FIELD_TIME, .flags = FIELD_REQUIRED, .help = "when it began"},
	TEXT("what", "what it shows: port, vpc, node or drops"),
	TEXT_OR_NULL("name", "of which object"),
	TEXT_OR_NULL("filter", "its pcap expression"),
	{.name = "nodes",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "which nodes take part"},
	CAPTURE_COUNTS,
	{},
};
static const struct field list_result_fields[] = {ITEMS(listed_fields, "running captures"), {}};
static const struct field list_result = RESULT(list_result_fields, "running captures");

const struct method methods_capture[] = {
	{.name = "capture",
		.flags = METHOD_STREAM | METHOD_WRITES,
		.help = "Sends packets from now on: notifications `capture.data` {capture, data}, "
			"where all data of a capture, base64 decoded, are one pcapng section; at "
			"its end `capture.end` {capture, reason, packets, lost}. It ends by count, "
			"capture.stop, or with the connection. A client that reads too slowly "
			"loses packets, which are counted.",
		.params = capture_params,
		.result = &capture_result,
		.check = capture_check,
		.example = "{\"port\": \"web1\", \"filter\": \"tcp port 443\", \"count\": 100}"},
	{.name = "capture.stop",
		.flags = METHOD_WRITES,
		.help = "Ends a capture, whoever's it is. What is on its way is sent first.",
		.params = stop_params,
		.result = &stop_result,
		.example = "{\"capture\": 7}"},
	{.name = "capture.list", .help = "Shows the captures that run.", .result = &list_result},
};

const size_t methods_capture_count = sizeof(methods_capture) / sizeof(methods_capture[0]);
