// SPDX-License-Identifier: Apache-2.0
/* NAT gateways: machines of a VPC that share outside addresses. */
#include <string.h>

#include "lib/kinds.h"

static const struct field_value mappings[] = {
	{"endpoint_independent",
		"a machine's port has one outside port, whoever it talks to (RFC 4787)"},
	{"endpoint_dependent",
		"one outside port serves connections to many, for most connections per address"},
	{},
};

static const struct field_value filterings[] = {
	{"address_and_port", "only whom the machine sent to may answer, from that port"},
	{"address", "whom the machine sent to may answer from any port"},
	{"endpoint_independent", "anyone may send to an outside port that is in use"},
	{},
};

static const struct field_value logs[] = {
	{"none", "nothing is logged"},
	{"block", "each block of ports that is taken and given back"},
	{"session", "each session that begins and ends"},
	{},
};

static const struct field_value transports[] = {
	{"tcp", "TCP"},
	{"udp", "UDP"},
	{},
};

static const struct field snat_fields[] = {
	{.name = "source",
		.type = FIELD_CIDR,
		.help = "these addresses of the VPC",
		.example = "\"10.0.0.0/16\""},
	{.name = "subnet",
		.type = FIELD_REF,
		.ref = "subnet",
		.help = "or those of a subnet: its IPv4 range, and its IPv6 range where there are "
			"IPv6 EIPs or nat64 is asked for",
		.example = "\"web\""},
	{.name = "eips",
		.type = FIELD_REF,
		.ref = "eip",
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = 64,
		.def = "[]",
		.help = "which of the gateway's EIPs they are translated to; empty: all of the "
			"family",
		.example = "[\"nat-1\"]"},
	{.name = "nat64",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "also translate from IPv6 to IPv4, for destinations in 64:ff9b::/96"},
	{},
};

static bool is_ipv6(const char *text)
{
	return strchr(text, ':') != NULL;
}

static bool snat_check(const json_t *snat, struct resource_error *error)
{
	const char *source = resource_text(snat, "source");
	const char *subnet = resource_text(snat, "subnet");

	if (!source && !subnet)
		return resource_fail(error, "/source", "is required: give source or subnet");
	if (source && subnet)
		return resource_fail(error, "/subnet", "give source or subnet, not both");
	return !source || is_ipv6(source) || !resource_boolean(snat, "nat64", false) ||
	       resource_fail(error, "/nat64", "is for IPv6 sources: %s is IPv4", source);
}

static const struct field dnat_fields[] = {
	{.name = "eip",
		.type = FIELD_REF,
		.ref = "eip",
		.flags = FIELD_REQUIRED,
		.help = "to which of the gateway's EIPs",
		.example = "\"nat-1\""},
	{.name = "protocol",
		.type = FIELD_ENUM,
		.values = transports,
		.flags = FIELD_REQUIRED,
		.help = "of which protocol"},
	{.name = "port",
		.type = FIELD_PORTS,
		.flags = FIELD_REQUIRED,
		.help = "to which port or ports",
		.example = "\"8000-8010\""},
	{.name = "to_address",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED,
		.help = "the machine in the VPC that gets it",
		.example = "\"10.0.1.10\""},
	{.name = "to_port",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 65535,
		.help = "at this port, the first of an equally long range; when omitted: the same",
		.example = "80"},
	{},
};

static bool dnat_check(const json_t *dnat, struct resource_error *error)
{
	json_int_t to = resource_integer(dnat, "to_port", 0);
	struct net_ports ports;

	net_ports_parse(resource_text(dnat, "port"), &ports);
	if (ports.first == 0)
		return resource_fail(error, "/port", "0 is no port that can be forwarded");
	if (to + ports.last - ports.first > 65535)
		return resource_fail(error, "/to_port", "a range of %d ports ends above 65535",
			ports.last - ports.first + 1);
	return true;
}

static const struct field limit_fields[] = {
	{.name = "per_port",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = INT32_MAX,
		.help = "sessions that one vNIC may have through the gateway; 0: no limit"},
	{.name = "per_vpc",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = INT32_MAX,
		.help = "sessions that the VPC may have through the gateway; 0: no limit"},
	{},
};

#define TIMEOUT(field_name, seconds, what)                                                         \
	{                                                                                          \
		.name = field_name, .type = FIELD_INTEGER, .def = seconds, .min = 1,               \
		.max = 604800, .unit = "seconds", .help = what                                     \
	}

static const struct field timeout_fields[] = {
	TIMEOUT("tcp_established_s", "7440", "an idle TCP connection is kept so long"),
	TIMEOUT("tcp_transitory_s", "240", "one that is being made or closed"),
	TIMEOUT("udp_s", "300", "an idle UDP flow"),
	TIMEOUT("icmp_s", "60", "an idle ICMP query"),
	{},
};

#define COUNT(field_name, what)                                                                    \
	{                                                                                          \
		.name = field_name, .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .help = what   \
	}

static const struct field address_fields[] = {
	{.name = "eip", .type = FIELD_NAME, .flags = FIELD_REQUIRED, .help = "the EIP"},
	{.name = "address", .type = FIELD_ADDRESS, .flags = FIELD_REQUIRED, .help = "its address"},
	{.name = "protocol",
		.type = FIELD_PROTOCOL,
		.flags = FIELD_REQUIRED,
		.help = "each protocol has ports of its own; of icmp they are identifiers"},
	COUNT("ports_used", "ports in use"),
	COUNT("ports_total", "ports there are"),
	COUNT("blocks_used", "blocks given out"),
	COUNT("blocks_total", "blocks there are; 0: it works without"),
	COUNT("quarantined", "ports that were given back and are not used again yet"),
	{.name = "exhausted_in_s",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.unit = "seconds",
		.help = "when no port is left, at the present rate; null: not in sight"},
	{},
};

static const struct field nat_status[] = {
	KIND_SERVICE_STATE,
	{.name = "addresses",
		.type = FIELD_OBJECT,
		.fields = address_fields,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "use of each address"},
	COUNT("sessions", "sessions through it"),
	COUNT("refused", "new flows that were refused since it was made"),
	{.name = "rate_per_s",
		.type = FIELD_NUMBER,
		.flags = FIELD_REQUIRED,
		.help = "sessions that came less those that went, a second, at present"},
	{},
};

static const struct field nat_fields[] = {
	KIND_IN_VPC("out", "whose machines it lets out"),
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_AUTO | FIELD_ANY_TENANT,
		.column = COLUMN_TABLE,
		.help = "the node that translates; it is the one of all its EIPs, and when omitted "
			"that one",
		.example = "\"gw-a\""},
	{.name = "snat",
		.type = FIELD_OBJECT,
		.fields = snat_fields,
		.check = snat_check,
		.flags = FIELD_LIST,
		.max_items = 256,
		.def = "[]",
		.help = "who is let out under which addresses",
		.example = "[{\"source\": \"10.0.0.0/16\"}]"},
	{.name = "dnat",
		.type = FIELD_OBJECT,
		.fields = dnat_fields,
		.check = dnat_check,
		.flags = FIELD_LIST,
		.max_items = 1024,
		.def = "[]",
		.help = "port forwards: what comes from the outside to an EIP's port goes to a "
			"machine of the VPC",
		.example = "[{\"eip\": \"nat-1\", \"protocol\": \"tcp\", \"port\": \"8080\", "
			   "\"to_address\": \"10.0.1.10\", \"to_port\": 80}]"},
	{.name = "eips",
		.type = FIELD_REF,
		.ref = "eip",
		.flags = FIELD_AUTO | FIELD_LIST | FIELD_SET,
		.min_items = 1,
		.max_items = 64,
		.column = COLUMN_TABLE,
		.help = "its outside addresses, which serve nothing else; when omitted: those that "
			"snat and dnat name",
		.example = "[\"nat-1\"]"},
	{.name = "mapping",
		.type = FIELD_ENUM,
		.values = mappings,
		.def = "\"endpoint_independent\"",
		.column = COLUMN_WIDE,
		.help = "what decides the outside port of a flow"},
	{.name = "filtering",
		.type = FIELD_ENUM,
		.values = filterings,
		.def = "\"address_and_port\"",
		.column = COLUMN_WIDE,
		.help = "who may send to an outside port that is in use"},
	{.name = "port_block",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = 32256,
		.help = "ports that a machine is given at once; 0: one by one",
		.example = "512"},
	{.name = "hairpin",
		.type = FIELD_BOOLEAN,
		.def = "true",
		.help = "whether machines behind it reach each other by their outside addresses"},
	{.name = "limits",
		.type = FIELD_OBJECT,
		.fields = limit_fields,
		.def = "{}",
		.help = "sessions at most; further flows are refused with an ICMP error",
		.example = "{\"per_port\": 4000}"},
	{.name = "quarantine_s",
		.type = FIELD_INTEGER,
		.def = "120",
		.max = 86400,
		.unit = "seconds",
		.help = "how long a port that was given back is not used again"},
	{.name = "log",
		.type = FIELD_ENUM,
		.values = logs,
		.def = "\"none\"",
		.help = "what is written to the log, as a line of JSON each"},
	{.name = "timeouts",
		.type = FIELD_OBJECT,
		.fields = timeout_fields,
		.def = "{}",
		.help = "how long idle flows are kept",
		.example = "{\"udp_s\": 120}"},
	KIND_SERVER_FIELDS(nat_status),
	{},
};

static bool list_has(const json_t *list, const json_t *value)
{
	size_t i;
	json_t *entry;

	json_array_foreach ((json_t *)list, i, entry)
		if (json_equal(entry, value))
			return true;
	return false;
}

static void gather(json_t *eips, json_t *name)
{
	if (name && !list_has(eips, name))
		json_array_append(eips, name);
}

/* Those that snat and dnat name. */
static void nat_complete(json_t *nat)
{
	json_t *eips, *entry, *name;
	size_t i, j;

	if (json_object_get(nat, "eips"))
		return;
	eips = json_array();
	json_array_foreach (json_object_get(nat, "snat"), i, entry)
		json_array_foreach (json_object_get(entry, "eips"), j, name)
			gather(eips, name);
	json_array_foreach (json_object_get(nat, "dnat"), i, entry)
		gather(eips, json_object_get(entry, "eip"));
	json_object_set_new(nat, "eips", eips);
}

static bool snat_eips_check(const json_t *nat, struct resource_error *error)
{
	const json_t *eips = json_object_get(nat, "eips");
	json_t *entry, *name;
	char path[64];
	size_t i, j;

	json_array_foreach (json_object_get(nat, "snat"), i, entry) {
		json_array_foreach (json_object_get(entry, "eips"), j, name) {
			snprintf(path, sizeof(path), "/snat/%zu/eips/%zu", i, j);
			if (!list_has(eips, name))
				return resource_fail(error, path,
					"EIP `%s` is not among those of the gateway",
					json_string_value(name));
		}
	}
	return true;
}

static bool same_source(const json_t *a, const json_t *b)
{
	const char *fields[] = {"source", "subnet"};

	for (size_t i = 0; i < 2; i++) {
		const char *x = resource_text(a, fields[i]), *y = resource_text(b, fields[i]);

		if (x && y && !strcmp(x, y))
			return true;
	}
	return false;
}

static bool sources_check(const json_t *nat, struct resource_error *error)
{
	const json_t *snat = json_object_get(nat, "snat");
	char path[48];

	for (size_t i = 1; i < json_array_size(snat); i++) {
		for (size_t j = 0; j < i; j++) {
			snprintf(path, sizeof(path), "/snat/%zu", i);
			if (same_source(json_array_get(snat, i), json_array_get(snat, j)))
				return resource_fail(
					error, path, "has the same source as entry %zu", j);
		}
	}
	return true;
}

/* Do two forwards want the same packets? */
static bool forwards_overlap(const json_t *a, const json_t *b)
{
	struct net_ports p, q;

	net_ports_parse(resource_text(a, "port"), &p);
	net_ports_parse(resource_text(b, "port"), &q);
	return p.first <= q.last && q.first <= p.last &&
	       !strcmp(resource_text(a, "eip"), resource_text(b, "eip")) &&
	       !strcmp(resource_text(a, "protocol"), resource_text(b, "protocol"));
}

static bool forwards_check(const json_t *nat, struct resource_error *error)
{
	const json_t *eips = json_object_get(nat, "eips"), *dnat = json_object_get(nat, "dnat");
	char path[48];

	for (size_t i = 0; i < json_array_size(dnat); i++) {
		const json_t *entry = json_array_get(dnat, i);

		snprintf(path, sizeof(path), "/dnat/%zu/eip", i);
		if (!list_has(eips, json_object_get(entry, "eip")))
			return resource_fail(error, path,
				"EIP `%s` is not among those of the gateway",
				resource_text(entry, "eip"));
		snprintf(path, sizeof(path), "/dnat/%zu/port", i);
		for (size_t j = 0; j < i; j++)
			if (forwards_overlap(entry, json_array_get(dnat, j)))
				return resource_fail_code(error, ERROR_CONFLICT, path,
					"%s %s of EIP `%s` is forwarded by entry %zu already",
					resource_text(entry, "protocol"),
					resource_text(entry, "port"), resource_text(entry, "eip"),
					j);
	}
	return true;
}

static bool nat_check(const json_t *nat, struct resource_error *error)
{
	if (json_array_size(json_object_get(nat, "eips")) == 0)
		return resource_fail(error, "/eips", "must have at least 1 item");
	return snat_eips_check(nat, error) && sources_check(nat, error) &&
	       forwards_check(nat, error);
}

const struct kind kind_nat_gateway = {
	.name = "nat_gateway",
	.plural = "NAT gateways",
	.help = "Lets machines of a VPC out under outside addresses that they share, and forwards "
		"ports of those addresses to machines of the VPC.",
	.parent = "vpc",
	.fields = nat_fields,
	.complete = nat_complete,
	.check = nat_check,
	.example = "{\"name\": \"out\", \"vpc\": \"prod\", \"eips\": [\"nat-1\"], \"snat\": "
		   "[{\"source\": \"10.0.0.0/16\"}], \"dnat\": [{\"eip\": \"nat-1\", \"protocol\": "
		   "\"tcp\", \"port\": \"8080\", \"to_address\": \"10.0.1.10\", \"to_port\": "
		   "80}]}",
};
