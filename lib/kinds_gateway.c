// SPDX-License-Identifier: Apache-2.0
/* Ways between VPCs and outside networks: pools of addresses, elastic IPs. */
#include <string.h>

#include "lib/kinds.h"

static const struct field no_status[] = {{}};

const struct field_value service_states[] = {
	{"active", "its gateway forwards by it"},
	{"pending", "its gateway was not told yet, or is away"},
	{"error", "its gateway can not serve it"},
	{},
};

/* ---- eip_pool ---- */

static const struct field pool_fields[] = {
	KIND_NAME("public"),
	KIND_TENANT("default"),
	KIND_DESCRIPTION,
	{.name = "cidr",
		.type = FIELD_CIDR,
		.flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
		.column = COLUMN_TABLE,
		.help = "the addresses that elastic IPs are taken from, the lowest free one first; "
			"apart from all other pools; of an IPv4 range all but its first and last",
		.example = "\"198.51.100.16/28\""},
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_ANY_TENANT,
		.column = COLUMN_TABLE,
		.help = "the gateway of elastic IPs that name none",
		.example = "\"gw-a\""},
	{.name = "external",
		.type = FIELD_NAME,
		.column = COLUMN_TABLE,
		.help = "the outside network, as in the node's configuration; when omitted: the "
			"first of the family",
		.example = "\"internet\""},
	KIND_SERVER_FIELDS(no_status),
	{},
};

static bool pool_check(const json_t *pool, struct resource_error *error)
{
	const char *cidr = resource_text(pool, "cidr"), *special;
	struct net_prefix prefix;

	net_prefix_parse(cidr, &prefix);
	special = special_range(&prefix);
	return !special || resource_fail(error, "/cidr", "%s reaches into %s", cidr, special);
}

const struct kind kind_eip_pool = {
	.name = "eip_pool",
	.plural = "EIP pools",
	.help = "A range of outside addresses, which tenants take elastic IPs from.",
	.fields = pool_fields,
	.check = pool_check,
	.example = "{\"name\": \"public\", \"cidr\": \"198.51.100.16/28\", \"node\": \"gw-a\", "
		   "\"external\": \"internet\"}",
};

/* ---- eip ---- */

static const struct field used_by_fields[] = {
	{.name = "kind",
		.type = FIELD_KIND,
		.flags = FIELD_REQUIRED,
		.help = "port, nat_gateway or load_balancer"},
	{.name = "name", .type = FIELD_NAME, .flags = FIELD_REQUIRED, .help = "its name"},
	{},
};

static const struct field eip_status[] = {
	KIND_SERVICE_STATE,
	{.name = "used_by",
		.type = FIELD_OBJECT,
		.fields = used_by_fields,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "what it serves; null: nothing"},
	{.name = "private_address",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "the port's address that it stands for; null: none"},
	{},
};

static const struct field eip_fields[] = {
	KIND_NAME("web"),
	KIND_TENANT("that of its port"),
	KIND_DESCRIPTION,
	{.name = "address",
		.type = FIELD_ADDRESS,
		.flags = FIELD_AUTO | FIELD_IMMUTABLE,
		.column = COLUMN_TABLE,
		.help = "the outside address; when omitted: the lowest free one of the pool",
		.example = "\"198.51.100.17\""},
	{.name = "pool",
		.type = FIELD_REF,
		.ref = "eip_pool",
		.flags = FIELD_IMMUTABLE | FIELD_ANY_TENANT,
		.column = COLUMN_WIDE,
		.help = "where its address is from; it may be omitted when address is given",
		.example = "\"public\""},
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_AUTO | FIELD_ANY_TENANT,
		.column = COLUMN_TABLE,
		.help = "its gateway, a node with that outside network; when omitted: the pool's, "
			"else "
			"the only one",
		.example = "\"gw-a\""},
	{.name = "external",
		.type = FIELD_NAME,
		.column = COLUMN_WIDE,
		.help = "the outside network, of the address' family; when omitted: the pool's, "
			"else the first",
		.example = "\"internet\""},
	{.name = "bandwidth_mbps",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = 10000000,
		.unit = "Mbit/s of IP packets",
		.column = COLUMN_WIDE,
		.help = "most that passes in each direction; 0: no limit",
		.example = "100"},
	{.name = "new_per_s",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = 100000000,
		.unit = "connections/s",
		.help = "most new connections; 0: no limit",
		.example = "5000"},
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.column = COLUMN_TABLE,
		.help = "the port that it stands for, in both directions",
		.example = "\"web1\""},
	{.name = "private_address",
		.type = FIELD_ADDRESS,
		.help = "which of the port's addresses; when omitted: the first of the family",
		.example = "\"10.0.1.10\""},
	{.name = "deny_cidrs",
		.type = FIELD_ADDRESS_OR_CIDR,
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = 1024,
		.def = "[]",
		.help = "outside addresses that it has nothing to do with, in either direction",
		.example = "[\"203.0.113.0/24\"]"},
	{.name = "blackhole",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "drop everything to and from it, running connections too"},
	KIND_SERVER_FIELDS(eip_status),
	{},
};

static const struct field bind_params[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.flags = FIELD_REQUIRED,
		.help = "the port that it is to stand for",
		.example = "\"web1\""},
	{.name = "private_address",
		.type = FIELD_ADDRESS,
		.help = "which of the port's addresses; when omitted: the first of the family",
		.example = "\"10.0.1.10\""},
	{},
};

static const struct kind_verb eip_verbs[] = {
	{.name = "bind",
		.help = "Gives an EIP that serves nothing to a port.",
		.params = bind_params,
		.example = "{\"name\": \"web\", \"port\": \"web1\"}"},
	{.name = "unbind",
		.help = "Takes an EIP from its port; flows through it end at once.",
		.example = "{\"name\": \"web\"}"},
	{},
};

static bool is_ipv6(const char *text)
{
	return strchr(text, ':') != NULL;
}

static bool eip_check(const json_t *eip, struct resource_error *error)
{
	const char *address = resource_text(eip, "address");
	const char *private = resource_text(eip, "private_address");
	const json_t *denied = json_object_get(eip, "deny_cidrs"), *entry;
	struct net_addr addr;
	size_t i;

	if (!address && !resource_text(eip, "pool"))
		return resource_fail(error, "/pool", "is required: give pool, address or both");
	if (address && net_addr_parse(address, &addr) &&
		(!net_addr_is_unicast(&addr) || net_addr_is_link_local(&addr)))
		return resource_fail(error, "/address", "%s is no address of one machine", address);
	if (private && !resource_text(eip, "port"))
		return resource_fail(error, "/private_address", "needs port beside it");
	if (private && address && is_ipv6(private) != is_ipv6(address))
		return resource_fail(error, "/private_address",
			"%s and the EIP's address %s are of different families", private, address);
	json_array_foreach ((json_t *)denied, i, entry) {
		const char *text = json_string_value(entry);
		char path[48];

		snprintf(path, sizeof(path), "/deny_cidrs/%zu", i);
		if (address && is_ipv6(text) != is_ipv6(address))
			return resource_fail(error, path,
				"%s and the EIP's address %s are of different families", text,
				address);
	}
	return true;
}

const struct kind kind_eip = {
	.name = "eip",
	.plural = "EIPs",
	.help = "An elastic IP: an outside address that stands for a port, both ways, or serves a "
		"NAT gateway or a load balancer.",
	.parent = "port",
	.fields = eip_fields,
	.verbs = eip_verbs,
	.check = eip_check,
	.example = "{\"name\": \"web\", \"pool\": \"public\", \"port\": \"web1\", "
		   "\"bandwidth_mbps\": 100}",
};
