// SPDX-License-Identifier: Apache-2.0
/* Flow logs: what flows there were, told to a collector. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kinds.h"

static const struct field_value formats[] = {
	{"ipfix", "IPFIX messages (RFC 7011); in a file as RFC 5655 has them"},
	{"json", "a JSON object a line"},
	{},
};

static const struct field_value verdicts[] = {
	{"all", "accepted and denied flows"},
	{"accepted", "flows that were let through"},
	{"denied", "flows that were refused"},
	{},
};

static const struct field_value states[] = {
	{"active", "every node concerned has it and reaches the collector"},
	{"pending", "no node has anything to log yet, or one was not told or is away"},
	{"error", "a node refuses it, or does not reach the collector"},
	{},
};

static const struct field scope_fields[] = {
	{.name = "vpc",
		.type = FIELD_REF,
		.ref = "vpc",
		.flags = FIELD_IMMUTABLE,
		.help = "all flows of this VPC's ports",
		.example = "\"prod\""},
	{.name = "subnet",
		.type = FIELD_REF,
		.ref = "subnet",
		.flags = FIELD_IMMUTABLE,
		.help = "or of this subnet's",
		.example = "\"web\""},
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.flags = FIELD_IMMUTABLE,
		.help = "or of this port",
		.example = "\"vm1\""},
	{},
};

static bool scope_check(const json_t *scope, struct resource_error *error)
{
	static const char *const members[] = {"vpc", "subnet", "port"};
	const char *seen = NULL;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (resource_text(scope, members[i]) == NULL)
			continue;
		if (seen != NULL)
			return resource_fail(error, "", "give one of vpc, subnet and port");
		seen = members[i];
	}
	return seen != NULL || resource_fail(error, "", "give vpc, subnet or port");
}

/* HOST:PORT, the host a name, an IPv4 address or an IPv6 address in brackets. */
static bool is_host_and_port(const char *text)
{
	const char *colon = strrchr(text, ':'), *end = colon;
	char *rest;
	long port;

	if (colon == NULL || colon == text || colon[1] < '1' || colon[1] > '9')
		return false;
	port = strtol(colon + 1, &rest, 10);
	if (*rest != '\0' || port > 65535)
		return false;
	if (*text == '[') {
		struct net_addr addr;
		char inner[NET_ADDR_TEXT];
		size_t len = (size_t)(end - text);

		if (len < 3 || text[len - 1] != ']' || len - 2 >= sizeof(inner))
			return false;
		snprintf(inner, sizeof(inner), "%.*s", (int)(len - 2), text + 1);
		return net_addr_parse(inner, &addr) && addr.family == NET_IPV6;
	}
	for (const char *p = text; p < end; p++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-",
			    *p) == NULL)
			return false;
	return true;
}

static bool collector_check(const json_t *value, struct resource_error *error)
{
	const char *text = json_string_value(value);

	if (strncmp(text, "udp://", 6) == 0 || strncmp(text, "tcp://", 6) == 0)
		return is_host_and_port(text + 6) ||
		       resource_fail(error, "", "%s: what follows %.6s is HOST:PORT", text, text);
	if (strncmp(text, "file:", 5) != 0)
		return resource_fail(
			error, "", "%s: give udp://HOST:PORT, tcp://HOST:PORT or file:PATH", text);
	if (text[5] != '/' || text[6] == '\0' || strstr(text, "/../") != NULL ||
		text[strlen(text) - 1] == '/')
		return resource_fail(error, "", "%s: the file's name is absolute", text);
	return true;
}

static const struct field node_fields[] = {
	{.name = "node", .type = FIELD_NAME, .flags = FIELD_REQUIRED, .help = "the node"},
	{.name = "records",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "records that it has sent or written since it was told of the log"},
	{.name = "lost",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "records that it could not get rid of"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "what is wrong with the collector, else empty"},
	{},
};

static const struct field flow_log_status[] = {
	{.name = "state",
		.type = FIELD_ENUM,
		.values = states,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "whether flows are logged"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_WIDE,
		.help = "why not, else empty"},
	{.name = "records",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "records of all nodes"},
	{.name = "lost",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "records that were lost: the collector did not take them"},
	{.name = "nodes",
		.type = FIELD_OBJECT,
		.fields = node_fields,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "the same of each node that has it"},
	{},
};

static const struct field flow_log_fields[] = {
	KIND_NAME("audit"),
	KIND_TENANT("that of its VPC, subnet or port"),
	KIND_DESCRIPTION,
	{.name = "scope",
		.type = FIELD_OBJECT,
		.fields = scope_fields,
		.check = scope_check,
		.flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
		.column = COLUMN_TABLE,
		.help = "whose flows are logged: those of a VPC's ports, of a subnet's or of one",
		.example = "{\"vpc\": \"prod\"}"},
	{.name = "collector",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.min = 7,
		.max = 300,
		.check = collector_check,
		.column = COLUMN_TABLE,
		.help = "who gets them from each node: udp://HOST:PORT, tcp://HOST:PORT, or "
			"file:PATH on the node itself",
		.example = "\"udp://192.0.2.10:4739\""},
	{.name = "format",
		.type = FIELD_ENUM,
		.values = formats,
		.def = "\"ipfix\"",
		.column = COLUMN_TABLE,
		.help = "in which form"},
	{.name = "interval_s",
		.type = FIELD_INTEGER,
		.def = "60",
		.min = 1,
		.max = 3600,
		.unit = "seconds",
		.help = "a flow that lasts is reported so often; one that ends, at its end",
		.example = "60"},
	{.name = "sample",
		.type = FIELD_INTEGER,
		.def = "1",
		.min = 1,
		.max = 1000000,
		.help = "log one flow in so many, chosen by a hash of its addresses and ports",
		.example = "1"},
	{.name = "verdicts",
		.type = FIELD_ENUM,
		.values = verdicts,
		.def = "\"all\"",
		.column = COLUMN_WIDE,
		.help = "which flows"},
	{.name = "biflow",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "one record for both directions of a flow (RFC 5103); else one each"},
	{.name = "nat_events",
		.type = FIELD_BOOLEAN,
		.def = "true",
		.help = "also log each translated session that begins and ends (RFC 8158)"},
	KIND_SERVER_FIELDS(flow_log_status),
	{},
};

const struct kind kind_flow_log = {
	.name = "flow_log",
	.plural = "flow logs",
	.help = "Tells a collector which flows there were: who talked to whom, how much, and what "
		"was denied.",
	.parent = "scope",
	.fields = flow_log_fields,
	.example = "{\"name\": \"audit\", \"scope\": {\"vpc\": \"prod\"}, "
		   "\"collector\": \"udp://192.0.2.10:4739\"}",
};
