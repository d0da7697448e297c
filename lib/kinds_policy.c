// SPDX-License-Identifier: Apache-2.0
/* Who may talk to whom: security groups and the prefix lists they refer to. */
#include <string.h>

#include "lib/kinds.h"

#define ENTRIES_MAX 100000

static const struct field no_status[] = {{}};

/* ---- prefix_list ---- */

static const struct field prefix_list_fields[] = {
	KIND_NAME("offices"),
	KIND_TENANT("default"),
	KIND_DESCRIPTION,
	{.name = "cidrs",
		.type = FIELD_CIDR,
		.flags = FIELD_LIST,
		.max_items = ENTRIES_MAX,
		.def = "[]",
		.column = COLUMN_TABLE,
		.help = "the ranges, IPv4 and IPv6; none: nobody matches",
		.example = "[\"198.51.100.0/24\", \"2001:db8:100::/48\"]"},
	KIND_SERVER_FIELDS(no_status),
	{},
};

const struct kind kind_prefix_list = {
	.name = "prefix_list",
	.plural = "prefix lists",
	.help = "Address ranges under one name, for the rules of security groups.",
	.fields = prefix_list_fields,
	.example = "{\"name\": \"offices\", \"cidrs\": [\"198.51.100.0/24\"]}",
};

/* ---- security_group ---- */

static const struct field_value directions[] = {
	{"ingress", "traffic towards the port"},
	{"egress", "traffic from the port"},
	{},
};

static const struct field_value actions[] = {
	{"allow", "it passes, and so do its answers"},
	{"deny", "it is dropped"},
	{},
};

const struct field security_rule_fields[] = {
	{.name = "direction",
		.type = FIELD_ENUM,
		.values = directions,
		.flags = FIELD_REQUIRED,
		.help = "which traffic"},
	{.name = "action",
		.type = FIELD_ENUM,
		.values = actions,
		.def = "\"allow\"",
		.help = "what becomes of it"},
	{.name = "priority",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 1000,
		.def = "1000",
		.help = "1 is looked at first; of equal priority deny wins"},
	{.name = "protocol",
		.type = FIELD_PROTOCOL,
		.def = "\"any\"",
		.help = "the IP protocol",
		.example = "\"tcp\""},
	{.name = "ports",
		.type = FIELD_PORTS,
		.help = "destination ports, only with tcp and udp; when omitted: all",
		.example = "\"8000-8999\""},
	{.name = "icmp_type",
		.type = FIELD_INTEGER,
		.max = 255,
		.help = "only with icmp and icmpv6; when omitted: all",
		.example = "8"},
	{.name = "icmp_code",
		.type = FIELD_INTEGER,
		.max = 255,
		.help = "only with icmp_type; when omitted: all",
		.example = "0"},
	{.name = "remote_cidr",
		.type = FIELD_CIDR,
		.help = "who is at the other end: these addresses",
		.example = "\"10.0.0.0/16\""},
	{.name = "remote_group",
		.type = FIELD_REF,
		.ref = "security_group",
		.help = "who is at the other end: ports of this group",
		.example = "\"web\""},
	{.name = "remote_prefix_list",
		.type = FIELD_REF,
		.ref = "prefix_list",
		.help = "who is at the other end: addresses of this list",
		.example = "\"offices\""},
	{},
};

static bool protocol_is(const json_t *rule, const char *one, const char *other)
{
	const char *protocol = resource_text(rule, "protocol");

	return protocol && (!strcmp(protocol, one) || !strcmp(protocol, other));
}

static bool remote_check(const json_t *rule, struct resource_error *error)
{
	static const char *const remotes[] = {"remote_cidr", "remote_group", "remote_prefix_list"};
	const char *given = NULL;

	for (size_t i = 0; i < 3; i++) {
		char path[32];

		if (!json_object_get(rule, remotes[i]))
			continue;
		snprintf(path, sizeof(path), "/%s", remotes[i]);
		if (given)
			return resource_fail(error, path,
				"%s is given already: a rule has at most one remote_cidr, "
				"remote_group or remote_prefix_list",
				given);
		given = remotes[i];
	}
	return true;
}

static bool rule_check(const json_t *rule, struct resource_error *error)
{
	const char *remote = resource_text(rule, "remote_cidr");
	bool ipv6 = remote && strchr(remote, ':');

	if (json_object_get(rule, "ports") && !protocol_is(rule, "tcp", "udp"))
		return resource_fail(error, "/ports", "only with protocol tcp or udp");
	if (json_object_get(rule, "icmp_type") && !protocol_is(rule, "icmp", "icmpv6"))
		return resource_fail(error, "/icmp_type", "only with protocol icmp or icmpv6");
	if (json_object_get(rule, "icmp_code") && !json_object_get(rule, "icmp_type"))
		return resource_fail(error, "/icmp_code", "only with icmp_type");
	if (!remote_check(rule, error))
		return false;
	if (remote && protocol_is(rule, "icmp", "icmp") && ipv6)
		return resource_fail(error, "/remote_cidr",
			"%s is IPv6: icmp is the protocol of IPv4, icmpv6 that of IPv6", remote);
	if (remote && protocol_is(rule, "icmpv6", "icmpv6") && !ipv6)
		return resource_fail(error, "/remote_cidr",
			"%s is IPv4: icmpv6 is the protocol of IPv6, icmp that of IPv4", remote);
	return true;
}

#define RULES_FIELD(rules_flags, rules_default, rules_min, rules_help)                             \
	{                                                                                          \
		.name = "rules", .type = FIELD_OBJECT, .flags = FIELD_LIST | (rules_flags),        \
		.fields = security_rule_fields, .check = rule_check, .min_items = rules_min,       \
		.max_items = ENTRIES_MAX, .def = rules_default, .help = rules_help,                \
		.example = "[{\"direction\": \"ingress\", \"protocol\": \"tcp\", \"ports\": "      \
			   "\"443\"}]"                                                             \
	}

static const struct field security_group_fields[] = {
	KIND_NAME("web"),
	KIND_TENANT("default"),
	KIND_DESCRIPTION,
	RULES_FIELD(0, "[]", 0,
		"what is allowed and denied; when none matches, ingress is denied and egress "
		"allowed"),
	KIND_SERVER_FIELDS(no_status),
	{},
};

static const struct field add_rules_params[] = {
	RULES_FIELD(FIELD_REQUIRED, NULL, 1, "the rules to add; those it has already are skipped"),
	{},
};

static const struct field remove_rules_params[] = {
	RULES_FIELD(FIELD_REQUIRED, NULL, 1, "the rules to remove, matched by value"),
	{},
};

static const struct kind_verb security_group_verbs[] = {
	{.name = "add_rules",
		.help = "Adds rules to a group.",
		.params = add_rules_params,
		.example = "{\"name\": \"web\", \"rules\": [{\"direction\": \"ingress\", "
			   "\"protocol\": \"tcp\", \"ports\": \"443\"}]}"},
	{.name = "remove_rules",
		.help = "Removes rules from a group; a rule that it does not have is not_found.",
		.params = remove_rules_params,
		.example = "{\"name\": \"web\", \"rules\": [{\"direction\": \"ingress\", "
			   "\"protocol\": \"tcp\", \"ports\": \"443\"}]}"},
	{},
};

const struct kind kind_security_group = {
	.name = "security_group",
	.plural = "security groups",
	.help = "Rules about who may talk to its ports and whom they may talk to. They are "
		"stateful: "
		"answers of an allowed flow pass. A change reaches running flows at once.",
	.fields = security_group_fields,
	.verbs = security_group_verbs,
	.example = "{\"name\": \"web\", \"rules\": [{\"direction\": \"ingress\", \"protocol\": "
		   "\"tcp\", \"ports\": \"443\"}, {\"direction\": \"ingress\", \"remote_group\": "
		   "\"web\"}]}",
};
