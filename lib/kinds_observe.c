// SPDX-License-Identifier: Apache-2.0
/* Mirrors: copies of packets for somebody who looks. */
#include "lib/kinds.h"

static const struct field_value mirror_states[] = {
	{"active", "every node that has its sources copies to the target"},
	{"pending", "a node was not told yet, or is away"},
	{"error", "copies of a node do not reach the target"},
	{},
};

static const struct field mirror_status[] = {
	{.name = "state",
		.type = FIELD_ENUM,
		.values = mirror_states,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "whether it is in force"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "why not, and on which node"},
	{.name = "ports",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "ports that it looks at"},
	{.name = "packets",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "packets that passed filter and sampling, on all nodes"},
	{.name = "bytes",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "bytes of their frames"},
	{.name = "lost",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "copies that the target did not take; the packets themselves went on"},
	{},
};

const struct field mirror_source_fields[] = {
	{.name = "port", .type = FIELD_REF, .ref = "port", .help = "a port", .example = "\"web1\""},
	{.name = "subnet",
		.type = FIELD_REF,
		.ref = "subnet",
		.help = "or all ports of a subnet",
		.example = "\"prod-web\""},
	{.name = "vpc",
		.type = FIELD_REF,
		.ref = "vpc",
		.help = "or all ports of a VPC",
		.example = "\"prod\""},
	{},
};

bool mirror_source_check(const json_t *source, struct resource_error *error)
{
	int given = (resource_text(source, "port") != NULL) +
		    (resource_text(source, "subnet") != NULL) +
		    (resource_text(source, "vpc") != NULL);

	if (given == 0)
		return resource_fail(error, "/port", "is required: give port, subnet or vpc");
	return given == 1 ||
	       resource_fail(error, "", "give one of port, subnet and vpc, not several");
}

static const struct field_value mirror_directions[] = {
	{"both", "what they send, and what they are given"},
	{"egress", "what they send"},
	{"ingress", "what they are given"},
	{},
};

static const struct field target_port[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.flags = FIELD_REQUIRED,
		.help = "who gets the copies, on whichever node it is",
		.example = "\"analyser\""},
	{},
};

static const struct field target_vxlan[] = {
	{.name = "address",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED,
		.help = "where they are sent over the underlay",
		.example = "\"192.0.2.200\""},
	{.name = "vni",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 16777215,
		.flags = FIELD_REQUIRED,
		.help = "the VNI they have there",
		.example = "9000"},
	{},
};

static const struct field target_erspan[] = {
	{.name = "address",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED,
		.help = "where they are sent over the underlay",
		.example = "\"192.0.2.200\""},
	{.name = "session_id",
		.type = FIELD_INTEGER,
		.min = 0,
		.max = 1023,
		.flags = FIELD_REQUIRED,
		.help = "tells mirrors apart there",
		.example = "7"},
	{.name = "version",
		.type = FIELD_INTEGER,
		.min = 2,
		.max = 3,
		.def = "2",
		.help = "2: type II; 3: type III, which tells direction and time"},
	{},
};

static const struct field target_file[] = {
	{.name = "path",
		.type = FIELD_PATH,
		.flags = FIELD_REQUIRED,
		.help = "a pcapng file on each node that has sources; full ones become PATH.1, "
			"PATH.2 …",
		.example = "\"/var/lib/vpc-dataplane/web1.pcapng\""},
	{.name = "rotate_mb",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 100000,
		.def = "100",
		.unit = "megabytes",
		.help = "size at which a file is full"},
	{.name = "keep",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 1000,
		.def = "10",
		.help = "how many files there are at most"},
	{},
};

static const struct field_variant mirror_targets[] = {
	{"port", "a port, such as an analyser's", target_port},
	{"vxlan", "a VXLAN tunnel (RFC 7348) over the underlay", target_vxlan},
	{"erspan", "an ERSPAN session of type II or III over the underlay", target_erspan},
	{"file", "files in pcapng form, for Wireshark and tcpdump", target_file},
	{},
};

static const struct field mirror_fields[] = {
	KIND_NAME("web-tap"),
	KIND_TENANT("that of its first source"),
	KIND_DESCRIPTION,
	{.name = "sources",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST | FIELD_SET,
		.fields = mirror_source_fields,
		.check = mirror_source_check,
		.max_items = 1024,
		.column = COLUMN_TABLE,
		.help = "whose packets are copied, as they are sent and before anything is done to "
			"them, dropped ones too; or as they are given",
		.example = "[{\"port\": \"web1\"}, {\"vpc\": \"prod\"}]"},
	{.name = "direction",
		.type = FIELD_ENUM,
		.values = mirror_directions,
		.def = "\"both\"",
		.column = COLUMN_WIDE,
		.help = "which of their packets"},
	{.name = "filter",
		.type = FIELD_STRING,
		.def = "\"\"",
		.max = 1024,
		.column = COLUMN_WIDE,
		.help = "a pcap expression; empty: every packet",
		.example = "\"tcp port 443 and host 10.0.1.10\""},
	{.name = "sample",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 1000000,
		.def = "1",
		.column = COLUMN_WIDE,
		.help = "one in so many of those that pass the filter"},
	{.name = "snaplen",
		.type = FIELD_INTEGER,
		.min = 0,
		.max = 65535,
		.def = "0",
		.unit = "bytes",
		.help = "frames are cut behind so many; 0: they are not"},
	{.name = "target",
		.type = FIELD_UNION,
		.tag = "type",
		.variants = mirror_targets,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "who gets the copies",
		.example =
			"{\"type\": \"erspan\", \"address\": \"192.0.2.200\", \"session_id\": 7}"},
	{.name = "vni",
		.type = FIELD_INTEGER,
		.flags = FIELD_AUTO_MAYBE,
		.min = 1,
		.max = 0xffffff,
		.column = COLUMN_WIDE,
		.help = "with a target port: under which VXLAN network identifier nodes send it "
			"their "
			"copies; when omitted: a free one",
		.example = "16777215"},
	KIND_SERVER_FIELDS(mirror_status),
	{},
};

const struct kind kind_mirror = {
	.name = "mirror",
	.plural = "mirrors",
	.help = "Copies packets of ports to somebody who looks at them. Overload loses copies, "
		"which "
		"are counted, never the packets.",
	.parent = "sources",
	.fields = mirror_fields,
	.example = "{\"name\": \"web-tap\", \"sources\": [{\"port\": \"web1\"}], \"filter\": "
		   "\"tcp\", \"target\": {\"type\": \"erspan\", \"address\": \"192.0.2.200\", "
		   "\"session_id\": 7}}",
};
