// SPDX-License-Identifier: Apache-2.0
/* Networks: VPCs, their subnets, the ways out of them. */
#include <string.h>

#include "lib/kinds.h"

/* Every link of an IPv6 network carries this (RFC 8200 section 5). */
#define IPV6_MTU_MIN 1280

static const struct field no_status[] = {{}};

/* ---- vpc ---- */

static const struct field vpc_fields[] = {
	KIND_NAME("prod"),
	KIND_TENANT("default"),
	KIND_DESCRIPTION,
	{.name = "cidrs",
		.type = FIELD_CIDR,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.min_items = 1,
		.max_items = 8,
		.column = COLUMN_TABLE,
		.help = "its address ranges, IPv4 or IPv6, which may also be those of other VPCs",
		.example = "[\"10.0.0.0/16\", \"fd00:10::/48\"]"},
	{.name = "vni",
		.type = FIELD_INTEGER,
		.flags = FIELD_AUTO | FIELD_IMMUTABLE,
		.min = 1,
		.max = 0xffffff,
		.column = COLUMN_TABLE,
		.help = "its VXLAN network identifier; when omitted: a free one",
		.example = "10001"},
	{.name = "mtu",
		.type = FIELD_INTEGER,
		.flags = FIELD_AUTO | FIELD_IMMUTABLE,
		.min = 576,
		.max = 65535,
		.unit = "bytes",
		.column = COLUMN_TABLE,
		.help = "its largest IP packet; when omitted: what the smallest underlay carries",
		.example = "1450"},
	KIND_SERVER_FIELDS(no_status),
	{},
};

/* Is the CIDR in a list fit for machines, and apart from those before it? */
static bool cidr_check(const json_t *cidrs, size_t index, struct resource_error *error)
{
	const char *text = json_string_value(json_array_get(cidrs, index)), *special;
	char path[32];
	struct net_prefix prefix, other;

	net_prefix_parse(text, &prefix);
	snprintf(path, sizeof(path), "/cidrs/%zu", index);
	special = special_range(&prefix);
	if (special)
		return resource_fail(error, path, "%s reaches into %s", text, special);
	for (size_t i = 0; i < index; i++) {
		const char *earlier = json_string_value(json_array_get(cidrs, i));

		net_prefix_parse(earlier, &other);
		if (net_prefix_overlaps(&prefix, &other))
			return resource_fail(
				error, path, "%s overlaps %s of the same VPC", text, earlier);
	}
	return true;
}

static bool vpc_check(const json_t *vpc, struct resource_error *error)
{
	const json_t *cidrs = json_object_get(vpc, "cidrs");
	bool ipv6 = false;

	for (size_t i = 0; i < json_array_size(cidrs); i++) {
		if (!cidr_check(cidrs, i, error))
			return false;
		ipv6 |= strchr(json_string_value(json_array_get(cidrs, i)), ':') != NULL;
	}
	if (ipv6 && resource_integer(vpc, "mtu", IPV6_MTU_MIN) < IPV6_MTU_MIN)
		return resource_fail(
			error, "/mtu", "IPv6 needs an MTU of at least %d", IPV6_MTU_MIN);
	return true;
}

const struct kind kind_vpc = {
	.name = "vpc",
	.plural = "VPCs",
	.help = "An isolated network. Its machines reach each other and nothing else, unless a "
		"peering "
		"or a route says so. VPCs may use the same addresses.",
	.fields = vpc_fields,
	.check = vpc_check,
	.example = "{\"name\": \"prod\", \"cidrs\": [\"10.0.0.0/16\", \"fd00:10::/48\"]}",
};

/* ---- subnet ---- */

static const struct field subnet_status[] = {
	{.name = "gateway_mac",
		.type = FIELD_MAC,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_WIDE,
		.help = "the gateway's MAC address, the same on all nodes"},
	{},
};

static const struct field subnet_fields[] = {
	KIND_IN_VPC("web", "the VPC it is part of"),
	{.name = "cidr",
		.type = FIELD_CIDR,
		.flags = FIELD_IMMUTABLE,
		.column = COLUMN_TABLE,
		.help = "its range, inside one of the VPC's and apart from all other subnets",
		.example = "\"10.0.1.0/24\""},
	{.name = "cidr6",
		.type = FIELD_CIDR,
		.family = NET_IPV6,
		.flags = FIELD_IMMUTABLE,
		.column = COLUMN_TABLE,
		.help = "its IPv6 range, beside an IPv4 cidr or alone",
		.example = "\"fd00:10:0:1::/64\""},
	{.name = "gateway",
		.type = FIELD_ADDRESS,
		.flags = FIELD_IMMUTABLE,
		.column = COLUMN_WIDE,
		.help = "the gateway's address in cidr; when omitted: the first host's",
		.example = "\"10.0.1.1\""},
	{.name = "gateway6",
		.type = FIELD_ADDRESS,
		.family = NET_IPV6,
		.flags = FIELD_IMMUTABLE,
		.column = COLUMN_WIDE,
		.help = "the gateway's address in cidr6; when omitted: the first host's",
		.example = "\"fd00:10:0:1::1\""},
	{.name = "dhcp",
		.type = FIELD_BOOLEAN,
		.def = "true",
		.help = "whether DHCP and router advertisements are answered and sent"},
	{.name = "dns_servers",
		.type = FIELD_ADDRESS,
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = 8,
		.def = "[]",
		.help = "name servers that DHCP and router advertisements hand out",
		.example = "[\"10.0.0.53\"]"},
	KIND_SERVER_FIELDS(subnet_status),
	{},
};

/* The first host's address as the gateway of a CIDR member, when both are text and it is absent. */
static void complete_gateway(json_t *subnet, const char *cidr_field, const char *gateway_field)
{
	const char *cidr = resource_text(subnet, cidr_field);
	char text[NET_ADDR_TEXT];
	struct net_prefix prefix;
	struct net_addr gateway;

	if (!cidr || json_object_get(subnet, gateway_field) || !net_prefix_parse(cidr, &prefix))
		return;
	gateway = net_prefix_first_host(&prefix);
	json_object_set_new(subnet, gateway_field, json_string(net_addr_format(&gateway, text)));
}

static void subnet_complete(json_t *subnet)
{
	complete_gateway(subnet, "cidr", "gateway");
	complete_gateway(subnet, "cidr6", "gateway6");
}

/* One of the two pairs of range and gateway. */
static bool range_check(const json_t *subnet, const char *cidr_field, const char *gateway_field,
	struct resource_error *error)
{
	const char *cidr = resource_text(subnet, cidr_field);
	const char *gateway = resource_text(subnet, gateway_field), *special;
	char cidr_path[16], gateway_path[16];
	struct net_prefix prefix;
	struct net_addr addr;

	snprintf(cidr_path, sizeof(cidr_path), "/%s", cidr_field);
	snprintf(gateway_path, sizeof(gateway_path), "/%s", gateway_field);
	if (!cidr)
		return !gateway ||
		       resource_fail(error, gateway_path, "needs %s beside it", cidr_field);
	net_prefix_parse(cidr, &prefix);
	if (net_family_bits(prefix.addr.family) - prefix.length < 2)
		return resource_fail(error, cidr_path,
			"%s has no room for a gateway and a port: a subnet is a /30 (IPv4), a /126 "
			"(IPv6) or larger",
			cidr);
	special = special_range(&prefix);
	if (special)
		return resource_fail(error, cidr_path, "%s reaches into %s", cidr, special);
	if (!net_addr_parse(gateway, &addr) || !net_prefix_is_host(&prefix, &addr))
		return resource_fail(
			error, gateway_path, "%s is no host's address in %s", gateway, cidr);
	return true;
}

static bool subnet_check(const json_t *subnet, struct resource_error *error)
{
	const char *cidr = resource_text(subnet, "cidr"), *cidr6 = resource_text(subnet, "cidr6");

	if (!cidr && !cidr6)
		return resource_fail(
			error, "/cidr", "is required: a subnet needs cidr, cidr6 or both");
	if (cidr && cidr6 && strchr(cidr, ':'))
		return resource_fail(
			error, "/cidr6", "cidr is IPv6 already: there can be one of each family");
	return range_check(subnet, "cidr", "gateway", error) &&
	       range_check(subnet, "cidr6", "gateway6", error);
}

bool subnet_range(const json_t *subnet, enum net_family family, struct net_prefix *range,
	struct net_addr *gateway)
{
	static const char *const fields[][2] = {{"cidr", "gateway"}, {"cidr6", "gateway6"}};

	for (size_t i = 0; i < 2; i++) {
		const char *cidr = resource_text(subnet, fields[i][0]);
		const char *address = resource_text(subnet, fields[i][1]);
		struct net_prefix found;

		if (!cidr || !net_prefix_parse(cidr, &found) || found.addr.family != family)
			continue;
		if (range)
			*range = found;
		return !gateway || (address && net_addr_parse(address, gateway));
	}
	return false;
}

const struct kind kind_subnet = {
	.name = "subnet",
	.plural = "subnets",
	.help = "A range of a VPC whose machines are neighbours: frames between them are bridged, "
		"frames to other subnets are routed by the gateway.",
	.parent = "vpc",
	.fields = subnet_fields,
	.complete = subnet_complete,
	.check = subnet_check,
	.example = "{\"name\": \"web\", \"vpc\": \"prod\", \"cidr\": \"10.0.1.0/24\", \"cidr6\": "
		   "\"fd00:10:0:1::/64\"}",
};

/* ---- route ---- */

static const struct field hop_port[] = {
	{.name = "name",
		.type = FIELD_REF,
		.ref = "port",
		.flags = FIELD_REQUIRED,
		.help = "the port whose machine forwards the packets",
		.example = "\"firewall\""},
	{},
};

static const struct field hop_peering[] = {
	{.name = "name",
		.type = FIELD_REF,
		.ref = "peering",
		.flags = FIELD_REQUIRED | FIELD_ANY_TENANT,
		.help = "the peering whose other VPC gets the packets",
		.example = "\"prod-shared\""},
	{},
};

static const struct field hop_vtep[] = {
	{.name = "address",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED,
		.help = "the VTEP's address on the underlay",
		.example = "\"192.0.2.77\""},
	{.name = "mac",
		.type = FIELD_MAC,
		.flags = FIELD_REQUIRED,
		.help = "the MAC address, behind it, that the packets are sent to",
		.example = "\"02:00:5e:10:00:01\""},
	{},
};

static const struct field hop_nat_gateway[] = {
	{.name = "name",
		.type = FIELD_REF,
		.ref = "nat_gateway",
		.flags = FIELD_REQUIRED,
		.help = "the VPC's NAT gateway that translates and sends them",
		.example = "\"out\""},
	{},
};

static const struct field hop_external[] = {
	{.name = "name",
		.type = FIELD_NAME,
		.help = "the outside network, as in the configuration of its node; when omitted: "
			"the first of the family",
		.example = "\"office-line\""},
	{},
};

static const struct field hop_none[] = {{}};

static const struct field_variant next_hops[] = {
	{"port", "a machine of the VPC forwards them", hop_port},
	{"peering", "another VPC gets them", hop_peering},
	{"nat_gateway", "a NAT gateway translates their source and sends them out",
		hop_nat_gateway},
	{"external",
		"an outside network gets them as they are, and may send to the VPC's addresses",
		hop_external},
	{"vtep", "a VTEP gets them over VXLAN", hop_vtep},
	{"blackhole", "they are dropped", hop_none},
	{},
};

static const struct field route_fields[] = {
	KIND_IN_VPC("to-office", "the VPC whose packets it routes"),
	{.name = "destination",
		.type = FIELD_CIDR,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "where the packets want to go; the longest matching route wins",
		.example = "\"192.168.0.0/16\""},
	{.name = "next_hop",
		.type = FIELD_UNION,
		.tag = "kind",
		.variants = next_hops,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "who gets them",
		.example = "{\"kind\": \"port\", \"name\": \"firewall\"}"},
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_AUTO_MAYBE | FIELD_ANY_TENANT,
		.column = COLUMN_WIDE,
		.help = "of a route to an outside network: the node that has it; when omitted: the "
			"only one, or one that has it",
		.example = "\"gw-a\""},
	KIND_SERVER_FIELDS(no_status),
	{},
};

/* Only an outside network has a node of its own. */
static void route_complete(json_t *route)
{
	const char *hop = resource_text(json_object_get(route, "next_hop"), "kind");

	if (hop && strcmp(hop, "external"))
		json_object_del(route, "node");
}

const struct kind kind_route = {
	.name = "route",
	.plural = "routes",
	.help = "A way out of a VPC for some destinations. The VPC's own subnets and the ranges of "
		"its "
		"peers need none.",
	.parent = "vpc",
	.fields = route_fields,
	.complete = route_complete,
	.example = "{\"name\": \"to-office\", \"vpc\": \"prod\", \"destination\": "
		   "\"192.168.0.0/16\", \"next_hop\": {\"kind\": \"port\", \"name\": "
		   "\"firewall\"}}",
};

/* ---- peering ---- */

static const struct field_value peering_states[] = {
	{"pending", "the other tenant has not accepted it"},
	{"active", "both VPCs reach each other"},
	{},
};

static const struct field peering_status[] = {
	{.name = "state",
		.type = FIELD_ENUM,
		.values = peering_states,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "whether it is in force"},
	{},
};

static const struct field peering_fields[] = {
	KIND_NAME("prod-shared"),
	KIND_TENANT("that of the first VPC"),
	KIND_DESCRIPTION,
	{.name = "vpcs",
		.type = FIELD_REF,
		.ref = "vpc",
		.flags = FIELD_REQUIRED | FIELD_LIST | FIELD_SET | FIELD_IMMUTABLE |
			 FIELD_ANY_TENANT,
		.min_items = 2,
		.max_items = 2,
		.column = COLUMN_TABLE,
		.help = "the two VPCs, which may belong to two tenants; their ranges must differ",
		.example = "[\"prod\", \"shared\"]"},
	KIND_SERVER_FIELDS(peering_status),
	{},
};

static const struct kind_verb peering_verbs[] = {
	{.name = "accept",
		.help = "Puts a peering between two tenants in force.",
		.example = "{\"name\": \"prod-shared\"}"},
	{},
};

const struct kind kind_peering = {
	.name = "peering",
	.plural = "peerings",
	.help = "Two VPCs that reach each other. Security groups still hold. It is not transitive.",
	.parent = "vpcs",
	.fields = peering_fields,
	.verbs = peering_verbs,
	.example = "{\"name\": \"prod-shared\", \"vpcs\": [\"prod\", \"shared\"]}",
};
