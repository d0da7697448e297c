// SPDX-License-Identifier: Apache-2.0
/* Ports: a machine's connection to a subnet. */
#include <string.h>

#include "lib/kinds.h"

#define SOCKET_PATH_MAX 107 /* what fits sockaddr_un */

static const struct field_value netdev_modes[] = {
	{"af_packet", "works with every interface, and carries its offloads"},
	{"af_xdp", "faster for small packets, where the driver supports it"},
	{},
};

static const struct field_value socket_roles[] = {
	{"server", "we make the socket"},
	{"client", "we connect to it"},
	{},
};

static const struct field attachment_tap[] = {
	{.name = "ifname",
		.type = FIELD_IFNAME,
		.flags = FIELD_REQUIRED,
		.help = "the name of the interface that is made",
		.example = "\"tap-web1\""},
	{.name = "netns",
		.type = FIELD_NETNS,
		.help = "the network namespace it is moved to, with the port's MAC address and MTU",
		.example = "\"web1\""},
	{.name = "configure",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "also set the port's addresses and default routes, and bring it up"},
	{},
};

static const struct field attachment_netdev[] = {
	{.name = "ifname",
		.type = FIELD_IFNAME,
		.flags = FIELD_REQUIRED,
		.help = "an existing interface, such as one end of a veth pair",
		.example = "\"veth-web1\""},
	{.name = "mode",
		.type = FIELD_ENUM,
		.values = netdev_modes,
		.def = "\"af_packet\"",
		.help = "how its packets are taken"},
	{},
};

static const struct field attachment_vhost_user[] = {
	{.name = "socket",
		.type = FIELD_PATH,
		.max = SOCKET_PATH_MAX,
		.flags = FIELD_REQUIRED,
		.help = "the Unix socket shared with the virtual machine's monitor",
		.example = "\"/run/vm/web1.sock\""},
	{.name = "role",
		.type = FIELD_ENUM,
		.values = socket_roles,
		.def = "\"server\"",
		.help = "which side makes the socket"},
	{.name = "queues",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 16,
		.def = "1",
		.help = "pairs of queues"},
	{},
};

static const struct field attachment_memif[] = {
	{.name = "socket",
		.type = FIELD_PATH,
		.max = SOCKET_PATH_MAX,
		.flags = FIELD_REQUIRED,
		.help = "the control socket",
		.example = "\"/run/memif.sock\""},
	{.name = "id",
		.type = FIELD_INTEGER,
		.max = UINT32_MAX,
		.def = "0",
		.help = "which interface on the socket"},
	{.name = "role",
		.type = FIELD_ENUM,
		.values = socket_roles,
		.def = "\"server\"",
		.help = "which side makes the socket"},
	{},
};

static const struct field attachment_device[] = {
	{.name = "devargs",
		.type = FIELD_STRING,
		.min = 1,
		.max = 255,
		.flags = FIELD_REQUIRED,
		.help = "a PCI address or a DPDK virtual device",
		.example = "\"0000:3b:02.1\""},
	{},
};

static const struct field attachment_none[] = {{}};

const struct field_variant port_attachments[] = {
	{"tap", "a TAP interface that is made; for containers and tests", attachment_tap},
	{"netdev", "an existing network interface; for containers", attachment_netdev},
	{"vhost_user", "a virtio network device; for virtual machines", attachment_vhost_user},
	{"memif", "shared memory; for other dataplanes", attachment_memif},
	{"device", "a DPDK device; for SR-IOV functions", attachment_device},
	{"none", "nothing yet: the port is reserved, or on a foreign node", attachment_none},
	{},
};

#define RATE(field_name, field_unit, what)                                                         \
	{                                                                                          \
		.name = field_name, .type = FIELD_INTEGER, .def = "0", .max = 10000000,            \
		.unit = field_unit, .help = what "; 0: no limit"                                   \
	}

static const struct field rate_fields[] = {
	RATE("ingress_mbps", "Mbit/s of IP packets", "most it is given"),
	RATE("egress_mbps", "Mbit/s of IP packets", "most it may send"),
	{.name = "ingress_pps",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = 1000000000,
		.unit = "packets/s",
		.help = "most it is given; 0: no limit"},
	{.name = "egress_pps",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = 1000000000,
		.unit = "packets/s",
		.help = "most it may send; 0: no limit"},
	{},
};

static const struct field_value port_states[] = {
	{"active", "packets flow"},
	{"detached", "its attachment is none"},
	{"down", "nobody is at the other end, or its node is away"},
	{"error", "the node could not attach it"},
	{},
};

#define COUNTER(field_name, what)                                                                  \
	{                                                                                          \
		.name = field_name, .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .help = what   \
	}

static const struct field counter_fields[] = {
	COUNTER("rx_packets", "packets the port sent"),
	COUNTER("rx_bytes", "IP bytes the port sent"),
	COUNTER("tx_packets", "packets the port was given"),
	COUNTER("tx_bytes", "IP bytes the port was given"),
	COUNTER("drops", "packets from or to it that were dropped"),
	{},
};

static const struct field port_status[] = {
	{.name = "state",
		.type = FIELD_ENUM,
		.values = port_states,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "whether packets flow"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_WIDE,
		.help = "why not, else empty"},
	{.name = "counters",
		.type = FIELD_OBJECT,
		.fields = counter_fields,
		.flags = FIELD_REQUIRED,
		.help = "packets since the port was made"},
	{.name = "quarantine",
		.type = FIELD_NAME,
		.column = COLUMN_WIDE,
		.help = "the alert that it is in quarantine by; absent: it is not"},
	{},
};

static const struct field port_fields[] = {
	KIND_NAME("web1"),
	KIND_TENANT("that of its subnet"),
	KIND_DESCRIPTION,
	{.name = "subnet",
		.type = FIELD_REF,
		.ref = "subnet",
		.flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
		.column = COLUMN_TABLE,
		.help = "the subnet it is in",
		.example = "\"web\""},
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_AUTO | FIELD_ANY_TENANT,
		.column = COLUMN_TABLE,
		.help = "the host it is on; when omitted: the only one",
		.example = "\"host-a\""},
	{.name = "mac",
		.type = FIELD_MAC,
		.flags = FIELD_AUTO,
		.column = COLUMN_WIDE,
		.help = "its MAC address; when omitted: a locally administered one",
		.example = "\"02:00:5e:10:00:01\""},
	{.name = "addresses",
		.type = FIELD_ADDRESS,
		.flags = FIELD_AUTO | FIELD_LIST | FIELD_SET,
		.min_items = 1,
		.max_items = 64,
		.column = COLUMN_TABLE,
		.help = "its addresses in the subnet; when omitted: the lowest free one of each "
			"family",
		.example = "[\"10.0.1.10\", \"fd00:10:0:1::10\"]"},
	{.name = "security_groups",
		.type = FIELD_REF,
		.ref = "security_group",
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = 64,
		.def = "[]",
		.column = COLUMN_WIDE,
		.help = "who may talk to it and whom it may talk to; their rules are merged; "
			"without a group nobody reaches it",
		.example = "[\"web\"]"},
	{.name = "port_security",
		.type = FIELD_BOOLEAN,
		.def = "true",
		.help = "whether it may send only from its own MAC and IP addresses and from "
			"allowed_addresses"},
	{.name = "allowed_addresses",
		.type = FIELD_ADDRESS_OR_CIDR,
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = 1024,
		.def = "[]",
		.help = "further source addresses; one that several ports share follows the last "
			"gratuitous ARP or unsolicited neighbour advertisement",
		.example = "[\"10.0.1.100\"]"},
	{.name = "rate",
		.type = FIELD_OBJECT,
		.def = "{}",
		.fields = rate_fields,
		.help = "limits of its traffic",
		.example = "{\"egress_mbps\": 1000}"},
	{.name = "enabled",
		.type = FIELD_BOOLEAN,
		.def = "true",
		.help = "false: neither sends nor receives"},
	{.name = "attachment",
		.type = FIELD_UNION,
		.tag = "type",
		.variants = port_attachments,
		.def = "{\"type\": \"none\"}",
		.column = COLUMN_WIDE,
		.help = "what is plugged in",
		.example = "{\"type\": \"tap\", \"ifname\": \"tap-web1\", \"netns\": \"web1\"}"},
	KIND_SERVER_FIELDS(port_status),
	{},
};

static const struct field port_filters[] = {
	{.name = "vpc",
		.type = FIELD_REF,
		.ref = "vpc",
		.help = "only ports of this VPC's subnets"},
	{},
};

static const struct field attach_params[] = {
	{.name = "attachment",
		.type = FIELD_UNION,
		.tag = "type",
		.variants = port_attachments,
		.flags = FIELD_REQUIRED,
		.help = "what is plugged in"},
	{},
};

static const struct kind_verb port_verbs[] = {
	{.name = "attach",
		.help = "Plugs something into a port.",
		.params = attach_params,
		.example = "{\"name\": \"web1\", \"attachment\": {\"type\": \"tap\", \"ifname\": "
			   "\"tap-web1\"}}"},
	{.name = "detach",
		.help = "Unplugs what is in the port: its attachment is none afterwards.",
		.example = "{\"name\": \"web1\"}"},
	{},
};

static bool addresses_check(const json_t *port, struct resource_error *error)
{
	const json_t *addresses = json_object_get(port, "addresses");
	size_t index;
	json_t *item;

	json_array_foreach ((json_t *)addresses, index, item) {
		const char *text = json_string_value(item);
		char path[32];
		struct net_addr addr;

		if (net_addr_parse(text, &addr) && net_addr_is_unicast(&addr))
			continue;
		snprintf(path, sizeof(path), "/addresses/%zu", index);
		return resource_fail(error, path, "%s is no address of one machine", text);
	}
	return true;
}

/* What every node calls a port of its own, in captures and counters. */
#define RESERVED "underlay"

static bool port_check(const json_t *port, struct resource_error *error)
{
	if (strcmp(resource_text(port, "name"), RESERVED) == 0)
		return resource_fail(
			error, "/name", "`" RESERVED "` is the name of a port that nodes have");
	return addresses_check(port, error);
}

const struct kind kind_port = {
	.name = "port",
	.plural = "ports",
	.help = "A virtual network interface: a machine's connection to a subnet.",
	.parent = "subnet",
	.fields = port_fields,
	.filters = port_filters,
	.verbs = port_verbs,
	.check = port_check,
	.example = "{\"name\": \"web1\", \"subnet\": \"web\", \"node\": \"host-a\", "
		   "\"security_groups\": [\"web\"], \"attachment\": {\"type\": \"tap\", "
		   "\"ifname\": \"tap-web1\"}}",
};
