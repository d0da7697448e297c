// SPDX-License-Identifier: Apache-2.0
/* What is looked for in the traffic between machines, and what was found: indicator lists, inspections, alerts. */
#include <string.h>

#include "lib/kinds.h"

#define ENTRIES_MAX 100000
#define WEEK_S 604800

static const struct field no_status[] = {{}};

/* ---- indicator_list ---- */

static const struct field indicator_list_fields[] = {
	KIND_NAME("botnets"),
	KIND_TENANT("default"),
	KIND_DESCRIPTION,
	{.name = "entries",
		.type = FIELD_ADDRESS_OR_CIDR,
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = ENTRIES_MAX,
		.def = "[]",
		.column = COLUMN_TABLE,
		.help = "addresses and networks that no machine should talk to",
		.example = "[\"203.0.113.66\", \"198.51.100.0/24\", \"2001:db8:bad::/48\"]"},
	{.name = "source",
		.type = FIELD_STRING,
		.def = "\"\"",
		.column = COLUMN_WIDE,
		.help = "who says so",
		.example = "\"https://feeds.example/botnets\""},
	KIND_SERVER_FIELDS(no_status),
	{},
};

const struct kind kind_indicator_list = {
	.name = "indicator_list",
	.plural = "indicator lists",
	.help = "Addresses that are a sign of trouble when a machine talks to them. Inspections "
		"with the "
		"detector indicator look for them.",
	.fields = indicator_list_fields,
	.example = "{\"name\": \"botnets\", \"entries\": [\"203.0.113.66\", \"198.51.100.0/24\"]}",
};

/* ---- inspection ---- */

static const struct field_value detector_types[] = {
	{"port_scan", "one machine tries many ports of another that do not answer"},
	{"host_scan", "one machine tries the same port of many others that do not answer"},
	{"syn_flood", "more TCP connections are begun with a machine than it answers"},
	{"icmp_sweep", "one machine pings many addresses that do not answer"},
	{"first_contact", "two machines of a VPC, or of it and its peers, talk for the first time"},
	{"indicator", "an address of an indicator list is talked to"},
	{"beacon", "a machine calls the same address at regular intervals"},
	{"volume", "a machine sends far more than usual to one address"},
	{"dns_tunnel", "many long, different names of one domain are asked for"},
	{},
};

/* In the order of detector_types. */
static const struct {
	unsigned threshold, window_s;
} detector_defaults[] = {
	{20, 60},     /* port_scan: ports */
	{20, 60},     /* host_scan: machines */
	{200, 10},    /* syn_flood: handshakes */
	{20, 60},     /* icmp_sweep: addresses */
	{1, 86400},   /* first_contact: new peers; how long one is remembered */
	{1, 60},      /* indicator: flows */
	{10, 3600},   /* beacon: calls */
	{1024, 3600}, /* volume: mebibytes */
	{50, 60},     /* dns_tunnel: names */
};

bool inspection_detector_default(const char *type, unsigned *threshold, unsigned *window_s)
{
	for (size_t i = 0; detector_types[i].name != NULL; i++) {
		if (strcmp(detector_types[i].name, type) != 0)
			continue;
		*threshold = detector_defaults[i].threshold;
		*window_s = detector_defaults[i].window_s;
		return true;
	}
	return false;
}

static const struct field scope_fields[] = {
	{.name = "vpc",
		.type = FIELD_REF,
		.ref = "vpc",
		.help = "the traffic of this VPC",
		.example = "\"prod\""},
	{.name = "vpcs",
		.type = FIELD_REF,
		.ref = "vpc",
		.flags = FIELD_LIST | FIELD_SET,
		.min_items = 1,
		.max_items = 1000,
		.help = "the traffic of these VPCs",
		.example = "[\"prod\", \"stage\"]"},
	{.name = "all",
		.type = FIELD_BOOLEAN,
		.help = "true: the traffic of every VPC, of all tenants",
		.example = "true"},
	{},
};

static bool scope_check(const json_t *scope, struct resource_error *error)
{
	bool vpc = json_object_get(scope, "vpc") != NULL;
	bool vpcs = json_object_get(scope, "vpcs") != NULL;
	bool all = resource_boolean(scope, "all", false);

	if (vpc + vpcs + all == 1)
		return true;
	return resource_fail(
		error, "", "exactly one of vpc, vpcs and all: true says what is inspected");
}

static const struct field detector_fields[] = {
	{.name = "type",
		.type = FIELD_ENUM,
		.values = detector_types,
		.flags = FIELD_REQUIRED,
		.help = "what is looked for"},
	{.name = "threshold",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 1000000000,
		.help = "how much of it within the window is too much; when omitted: what the type "
			"has in docs/inspection.md",
		.example = "50"},
	{.name = "window_s",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = WEEK_S,
		.unit = "seconds",
		.help = "within which time; when omitted: that of the type",
		.example = "60"},
	{.name = "learn_s",
		.type = FIELD_INTEGER,
		.max = WEEK_S,
		.unit = "seconds",
		.help = "of first_contact: so long from its beginning contacts are only learnt; "
			"when omitted: not at all",
		.example = "86400"},
	{},
};

static bool detector_check(const json_t *detector, struct resource_error *error)
{
	return json_object_get(detector, "learn_s") == NULL ||
	       strcmp(resource_text(detector, "type"), "first_contact") == 0 ||
	       resource_fail(error, "/learn_s", "only of first_contact");
}

static const struct field_value actions[] = {
	{"alert", "it is told, and nothing else happens"},
	{"quarantine", "the port of the source is cut off"},
	{"mirror", "the traffic of the port of the source is mirrored"},
	{},
};

static const struct field inspection_fields[] = {
	KIND_NAME("east-west"),
	KIND_TENANT("that of its VPC, or of the first of them"),
	KIND_DESCRIPTION,
	{.name = "scope",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED,
		.fields = scope_fields,
		.check = scope_check,
		.help = "whose traffic",
		.example = "{\"vpc\": \"prod\"}"},
	{.name = "detectors",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.fields = detector_fields,
		.check = detector_check,
		.min_items = 1,
		.max_items = 9,
		.help = "what is looked for, each type once",
		.example = "[{\"type\": \"port_scan\"}, {\"type\": \"syn_flood\", \"threshold\": "
			   "5000}]"},
	{.name = "indicator_lists",
		.type = FIELD_REF,
		.ref = "indicator_list",
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = 64,
		.def = "[]",
		.help = "the lists of the detector indicator; none: all of the tenant",
		.example = "[\"botnets\"]"},
	{.name = "action",
		.type = FIELD_ENUM,
		.values = actions,
		.def = "\"alert\"",
		.column = COLUMN_TABLE,
		.help = "what is done beside telling it"},
	{.name = "duration_s",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = WEEK_S,
		.def = "3600",
		.unit = "seconds",
		.column = COLUMN_WIDE,
		.help = "how long a quarantine or a mirror lasts"},
	{.name = "quarantine_group",
		.type = FIELD_REF,
		.ref = "security_group",
		.help = "the only group of a port in quarantine; when omitted: everything is "
			"denied",
		.example = "\"forensics\""},
	{.name = "mirror",
		.type = FIELD_REF,
		.ref = "mirror",
		.help = "with action mirror: which one gets the port's traffic beside that of its "
			"own "
			"sources, of which it need not have any",
		.example = "\"web-tap\""},
	{.name = "first_packets",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 1000,
		.def = "8",
		.help = "how many packets of each direction of a flow are looked at, from its "
			"first"},
	{.name = "sample",
		.type = FIELD_INTEGER,
		.max = 1000000,
		.def = "64",
		.help = "of those behind the first ones every so-manyth; 0: none"},
	{.name = "snaplen",
		.type = FIELD_INTEGER,
		.min = 64,
		.max = 2048,
		.def = "128",
		.unit = "bytes",
		.help = "how much of a packet is looked at; the headers fit 128"},
	KIND_SERVER_FIELDS(no_status),
	{},
};

static bool inspection_check(const json_t *inspection, struct resource_error *error)
{
	const json_t *detectors = json_object_get(inspection, "detectors"), *detector, *other;
	const char *action = resource_text(inspection, "action");
	size_t i, k;
	char path[48];

	json_array_foreach (detectors, i, detector) {
		json_array_foreach (detectors, k, other) {
			if (k == i)
				break;
			if (strcmp(resource_text(other, "type"), resource_text(detector, "type")) !=
				0)
				continue;
			snprintf(path, sizeof(path), "/detectors/%zu/type", i);
			return resource_fail(error, path, "%s is there already",
				resource_text(detector, "type"));
		}
	}
	if (json_object_get(inspection, "quarantine_group") != NULL &&
		strcmp(action, "quarantine") != 0)
		return resource_fail(error, "/quarantine_group", "only with action quarantine");
	if ((json_object_get(inspection, "mirror") != NULL) != (strcmp(action, "mirror") == 0))
		return resource_fail(error, "/mirror", "goes with action mirror, and only with it");
	return true;
}

const struct kind kind_inspection = {
	.name = "inspection",
	.plural = "inspections",
	.help = "Looks for signs of attack in the traffic of VPCs, raises alerts, and answers "
		"them. The nodes "
		"need vpc-inspectd.",
	.parent = "scope",
	.fields = inspection_fields,
	.check = inspection_check,
	.example = "{\"name\": \"east-west\", \"scope\": {\"vpc\": \"prod\"}, \"detectors\": "
		   "[{\"type\": "
		   "\"port_scan\"}], \"action\": \"alert\"}",
};

/* ---- alert ---- */

static const struct field evidence_fields[] = {
	{.name = "flow",
		.type = FIELD_STRING,
		.def = "\"\"",
		.help = "the flow that was one too many",
		.example = "\"tcp 10.0.1.10:40312 10.0.1.20:22\""},
	{.name = "slow",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "a scan that took its time"},
	{.name = "list", .type = FIELD_NAME, .help = "the indicator list that has the address"},
	{.name = "packets",
		.type = FIELD_STRING,
		.max = 1 << 18,
		.def = "\"\"",
		.help = "packets of it as a pcapng file in base64"},
	{},
};

static const struct field_value answer_states[] = {
	{"none", "nothing was done but to tell it"},
	{"active", "the quarantine or mirror holds"},
	{"ended", "it held, and ended"},
	{},
};

static const struct field alert_status[] = {
	{.name = "state",
		.type = FIELD_ENUM,
		.values = answer_states,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "what has become of the action"},
	{.name = "until",
		.type = FIELD_TIME,
		.column = COLUMN_WIDE,
		.help = "until when the quarantine or mirror holds, or was to hold"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_WIDE,
		.help = "why nothing was done, or why it ended; else empty"},
	{},
};

static const struct field alert_fields[] = {
	KIND_NAME("a0000000017"),
	KIND_TENANT("that of its VPC"),
	KIND_DESCRIPTION,
	{.name = "time",
		.type = FIELD_TIME,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "when the controller heard of it",
		.example = "\"2026-01-31T12:00:00.000Z\""},
	{.name = "inspection",
		.type = FIELD_NAME,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "whose detector it was",
		.example = "\"east-west\""},
	{.name = "detector",
		.type = FIELD_ENUM,
		.values = detector_types,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "what was found"},
	{.name = "vpc",
		.type = FIELD_NAME,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "in the traffic of this VPC",
		.example = "\"prod\""},
	{.name = "node",
		.type = FIELD_NAME,
		.column = COLUMN_WIDE,
		.help = "by the inspection of this node",
		.example = "\"host-a\""},
	{.name = "port",
		.type = FIELD_NAME,
		.column = COLUMN_TABLE,
		.help = "the port of the source; absent: it is outside",
		.example = "\"web1\""},
	{.name = "source",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "the address it came from",
		.example = "\"10.0.1.10\""},
	{.name = "targets",
		.type = FIELD_STRING,
		.flags = FIELD_LIST,
		.max_items = 256,
		.def = "[]",
		.help = "whom it was meant for, the first ones: addresses, or addresses and ports",
		.example = "[\"10.0.1.20:22\", \"10.0.1.20:23\"]"},
	{.name = "count",
		.type = FIELD_INTEGER,
		.min = 0,
		.max = INT64_MAX,
		.def = "0",
		.column = COLUMN_TABLE,
		.help = "how much of it there was, in the unit of the detector's threshold"},
	{.name = "evidence",
		.type = FIELD_OBJECT,
		.fields = evidence_fields,
		.def = "{}",
		.help = "what it was seen by"},
	{.name = "action_taken",
		.type = FIELD_ENUM,
		.values = actions,
		.def = "\"alert\"",
		.column = COLUMN_TABLE,
		.help = "what was done about it"},
	{.name = "answer",
		.type = FIELD_NAME,
		.help = "the group that the port has in quarantine (absent: everything is denied), "
			"or the "
			"mirror",
		.example = "\"forensics\""},
	KIND_SERVER_FIELDS(alert_status),
	{},
};

static const struct kind_verb alert_verbs[] = {
	{.name = "release",
		.help = "Ends the quarantine or mirror that an alert began. For the rest of its "
			"time the "
			"inspection begins no other for that port.",
		.example = "{\"name\": \"a0000000017\"}"},
	{},
};

const struct kind kind_alert = {
	.name = "alert",
	.plural = "alerts",
	.help = "What an inspection has found. The newest 1,000 are kept, and those whose "
		"quarantine holds.",
	.flags = KIND_SERVER_MADE,
	.fields = alert_fields,
	.verbs = alert_verbs,
	.example = "{\"name\": \"a0000000017\", \"time\": \"2026-01-31T12:00:00.000Z\", "
		   "\"inspection\": "
		   "\"east-west\", \"detector\": \"port_scan\", \"vpc\": \"prod\", \"port\": "
		   "\"web1\", "
		   "\"source\": \"10.0.1.10\", \"targets\": [\"10.0.1.20:22\"], \"count\": 20}",
};
