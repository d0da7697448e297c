// SPDX-License-Identifier: Apache-2.0
/* Who owns the network, and the hosts it runs on. */
#include "lib/kinds.h"
#include "lib/tls.h"

#define QUOTA(what)                                                                                \
	{                                                                                          \
		.name = what, .type = FIELD_INTEGER, .def = "0", .max = INT32_MAX,                 \
		.help = "how many " what " the tenant may have; 0: no limit"                       \
	}

static const struct field quota_fields[] = {
	QUOTA("vpcs"),
	QUOTA("subnets"),
	QUOTA("ports"),
	QUOTA("routes"),
	QUOTA("peerings"),
	QUOTA("security_groups"),
	QUOTA("prefix_lists"),
	QUOTA("rules"),
	{.name = "sessions",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = INT32_MAX,
		.help = "how many sessions each of the tenant's VPCs may have on a node; 0: what "
			"the node's configuration leaves "
			"a VPC"},
	QUOTA("eips"),
	QUOTA("nat_gateways"),
	QUOTA("load_balancers"),
	{},
};

#define USED(what)                                                                                 \
	{                                                                                          \
		.name = what, .type = FIELD_INTEGER, .flags = FIELD_REQUIRED,                      \
		.help = "how many " what " the tenant has"                                         \
	}

/* Sessions live on the nodes: session.list has them. */
static const struct field used_fields[] = {
	USED("vpcs"),
	USED("subnets"),
	USED("ports"),
	USED("routes"),
	USED("peerings"),
	USED("security_groups"),
	USED("prefix_lists"),
	USED("rules"),
	USED("eips"),
	USED("nat_gateways"),
	USED("load_balancers"),
	{},
};

static const struct field tenant_status[] = {
	{.name = "used",
		.type = FIELD_OBJECT,
		.fields = used_fields,
		.flags = FIELD_REQUIRED,
		.help = "how much the tenant has"},
	{},
};

static const struct field tenant_fields[] = {
	KIND_NAME("acme"),
	KIND_TENANT("default"),
	KIND_DESCRIPTION,
	{.name = "quotas",
		.type = FIELD_OBJECT,
		.def = "{}",
		.fields = quota_fields,
		.help = "how much the tenant may have at most; a quota below what it has takes "
			"nothing away, but nothing can be added",
		.example = "{\"ports\": 100}"},
	KIND_SERVER_FIELDS(tenant_status),
	{},
};

const struct kind kind_tenant = {
	.name = "tenant",
	.plural = "tenants",
	.help = "An owner of networks. A tenant's name may be used without making the object, "
		"which "
		"only limits how much the tenant may have.",
	.fields = tenant_fields,
	.example = "{\"name\": \"acme\", \"quotas\": {\"vpcs\": 5, \"ports\": 100}}",
};

const struct field_value node_states[] = {
	{"connected", "the controller programs its dataplane"},
	{"away", "its dataplane does not answer; it goes on with what it had"},
	{"foreign", "a VTEP that somebody else runs"},
	{},
};

static const struct field_value tunnel_states[] = {
	{"up", "the other end answers probes"},
	{"down", "it does not, or there is no way to it"},
	{"unknown", "it was not asked yet, or somebody else runs it and it never answered"},
	{},
};

const struct field tunnel_fields[] = {
	{.name = "peer",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "the other node; an address where a route names nothing but that"},
	{.name = "address",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED,
		.help = "its VXLAN address on the underlay"},
	{.name = "state",
		.type = FIELD_ENUM,
		.values = tunnel_states,
		.flags = FIELD_REQUIRED,
		.help = "whether it answers"},
	{.name = "rtt_us",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.unit = "microseconds",
		.help = "how long an answer takes, on average of the last ones; null while not up"},
	{.name = "path_mtu",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.unit = "bytes",
		.help = "the largest IP packet of the underlay that got through; null when not "
			"known yet"},
	{.name = "since",
		.type = FIELD_TIME,
		.flags = FIELD_REQUIRED,
		.help = "last change of state"},
	{},
};

static const struct field next_hop_fields[] = {
	{.name = "address", .type = FIELD_ADDRESS, .flags = FIELD_REQUIRED, .help = "its address"},
	{.name = "state",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "whether it answers, and whether it is the one in use"},
	{.name = "mac",
		.type = FIELD_MAC,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "its MAC address; null: it never answered"},
	{},
};

static const struct field external_fields[] = {
	{.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .help = "its name"},
	{.name = "state",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "up: its interface carries traffic; else down"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "why it is down, else empty"},
	{.name = "ifname",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "its interface"},
	{.name = "vlan",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "its tag; 0: none"},
	{.name = "mtu",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.unit = "bytes",
		.help = "its largest IP packet"},
	{.name = "addresses",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "the node's own addresses there, with the lengths of their prefixes"},
	{.name = "gateways",
		.type = FIELD_OBJECT,
		.fields = next_hop_fields,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "its next hops to what is beyond, in the order of preference"},
	{},
};

static const struct field node_status[] = {
	{.name = "state",
		.type = FIELD_ENUM,
		.values = node_states,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "whether its dataplane is there"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_WIDE,
		.help = "why it is not connected, else empty"},
	{.name = "tunnels",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.fields = tunnel_fields,
		.help = "its ways to other nodes, as far as its networks need them"},
	{.name = "externals",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.fields = external_fields,
		.help = "its outside networks, as configured there"},
	{},
};

static const struct field node_tls_fields[] = {TLS_FIELDS, {}};

static const struct field node_fields[] = {
	KIND_NAME("host-a"),
	KIND_TENANT("default"),
	KIND_DESCRIPTION,
	{.name = "rpc",
		.type = FIELD_URL_RPC,
		.column = COLUMN_TABLE,
		.help = "where its dataplane listens: a Unix socket or tls://host:port; without "
			"it the node is a VTEP that somebody else runs",
		.example = "\"tls://192.0.2.2:9471\""},
	{.name = "tls",
		.type = FIELD_OBJECT,
		.fields = node_tls_fields,
		.help = "files on the controller's host for this node's connection, instead of "
			"those of the "
			"controller's configuration",
		.example = "{\"cert\": \"/etc/vpc/b.crt\", \"key\": \"/etc/vpc/b.key\", \"ca\": "
			   "\"/etc/vpc/b-ca.crt\"}"},
	{.name = "vtep",
		.type = FIELD_ADDRESS,
		.column = COLUMN_TABLE,
		.help = "its VXLAN address on the underlay; without it its ports reach only each "
			"other",
		.example = "\"192.0.2.2\""},
	KIND_SERVER_FIELDS(node_status),
	{},
};

static bool node_check(const json_t *node, struct resource_error *error)
{
	const char *vtep = resource_text(node, "vtep"), *rpc = resource_text(node, "rpc");
	struct net_addr addr;

	if (!vtep && !rpc)
		return resource_fail(error, "/rpc",
			"a node needs rpc (a dataplane to program), vtep (an address to send to), "
			"or both");
	if (json_object_get(node, "tls") && rpc && rpc[0] == '/')
		return resource_fail(error, "/tls", "is for rpc: tls://HOST:PORT");
	if (vtep && net_addr_parse(vtep, &addr) && !net_addr_is_unicast(&addr))
		return resource_fail(error, "/vtep", "%s is no address of one machine", vtep);
	return true;
}

const struct kind kind_node = {
	.name = "node",
	.plural = "nodes",
	.help = "A host: one that runs a dataplane of ours (rpc), or a VTEP that somebody else "
		"runs, "
		"such as a Linux host or a switch (only vtep).",
	.fields = node_fields,
	.check = node_check,
	.example = "{\"name\": \"host-b\", \"rpc\": \"tls://192.0.2.2:9471\", \"vtep\": "
		   "\"192.0.2.2\"}",
};
