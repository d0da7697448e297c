// SPDX-License-Identifier: Apache-2.0
/*
 * The kinds, and what is known about their objects beyond their tables.
 * A new kind is a table in a kinds_*.c file, a line here and one in kinds.c.
 */
#ifndef LIB_KINDS_H
#define LIB_KINDS_H

#include "lib/net.h"
#include "lib/resource.h"

extern const struct kind kind_tenant, kind_node, kind_vpc, kind_prefix_list, kind_security_group,
	kind_subnet, kind_port, kind_peering, kind_eip_pool, kind_eip, kind_nat_gateway,
	kind_load_balancer, kind_route, kind_mirror, kind_hook, kind_indicator_list,
	kind_inspection, kind_alert, kind_flow_log;

/* The table of a port's `attachment`, also a parameter of port.attach. Ends with FIELD_END. */
extern const struct field_variant port_attachments[];
/* Tables of a node's status, also of the method status. */
extern const struct field_value node_states[];
extern const struct field tunnel_fields[];
/* States of gateway services. */
extern const struct field_value service_states[];
/* What a detector counts at most, and in which time, when its inspection does not say. False: there is no such type. */
bool inspection_detector_default(const char *type, unsigned *threshold, unsigned *window_s);
/* The table of a mirror's or hook's source: a port, a subnet or a VPC. */
extern const struct field mirror_source_fields[];
bool mirror_source_check(const json_t *source, struct resource_error *error);
/* The table of one rule of a security group. */
extern const struct field security_rule_fields[];

/*
 * The range and gateway of a subnet in one family; false when it has none. A subnet whose only
 * `cidr` is IPv6 has it as its IPv6 range. Both results may be NULL.
 */
bool subnet_range(const json_t *subnet, enum net_family family, struct net_prefix *range,
	struct net_addr *gateway);

/*
 * Is the address or CIDR in a range that no tenant's machine can have (0.0.0.0/8, loopback, link
 * local, multicast, reserved)? Its name, else NULL.
 */
const char *special_range(const struct net_prefix *prefix);

/* The fields every kind starts and ends with. */
#define KIND_NAME(example_text)                                                                    \
	{                                                                                          \
		.name = "name", .type = FIELD_NAME,                                                \
		.flags = FIELD_REQUIRED | FIELD_IMMUTABLE | FIELD_KEY, .column = COLUMN_TABLE,     \
		.help = "the object's name, unique among all objects of its kind",                 \
		.example = "\"" example_text "\""                                                  \
	}
#define KIND_TENANT(default_text)                                                                  \
	{                                                                                          \
		.name = "tenant", .type = FIELD_NAME, .flags = FIELD_AUTO | FIELD_IMMUTABLE,       \
		.column = COLUMN_WIDE,                                                             \
		.help = "the tenant it belongs to; when omitted: " default_text,                   \
		.example = "\"acme\""                                                              \
	}
#define KIND_DESCRIPTION                                                                           \
	{                                                                                          \
		.name = "description", .type = FIELD_STRING, .def = "\"\"", .max = 1024,           \
		.help = "any text", .example = "\"web servers of the shop\""                       \
	}
/* What a kind whose objects are each part of one VPC begins with. */
#define KIND_IN_VPC(example_text, vpc_text)                                                        \
	KIND_NAME(example_text), KIND_TENANT("that of its VPC"), KIND_DESCRIPTION,                 \
	{                                                                                          \
		.name = "vpc", .type = FIELD_REF, .ref = "vpc",                                    \
		.flags = FIELD_REQUIRED | FIELD_IMMUTABLE, .column = COLUMN_TABLE,                 \
		.help = vpc_text, .example = "\"prod\""                                            \
	}
#define KIND_SERVER_FIELDS(status_fields)                                                          \
	{.name = "revision",                                                                       \
		.type = FIELD_INTEGER,                                                             \
		.flags = FIELD_READ_ONLY | FIELD_GUARD,                                            \
		.min = 0,                                                                          \
		.max = INT64_MAX,                                                                  \
		.column = COLUMN_WIDE,                                                             \
		.help = "rises with every change; an update that gives it is refused when the "    \
			"object has moved on",                                                     \
		.example = "17"},                                                                  \
	{                                                                                          \
		.name = "status", .type = FIELD_OBJECT, .flags = FIELD_READ_ONLY,                  \
		.fields = status_fields, .help = "what became of it"                               \
	}

/* How each gateway service's status begins. */
#define KIND_SERVICE_STATE                                                                         \
	{.name = "state",                                                                          \
		.type = FIELD_ENUM,                                                                \
		.values = service_states,                                                          \
		.flags = FIELD_REQUIRED,                                                           \
		.column = COLUMN_TABLE,                                                            \
		.help = "whether it is in force"},                                                 \
	{                                                                                          \
		.name = "reason", .type = FIELD_STRING, .flags = FIELD_REQUIRED,                   \
		.column = COLUMN_WIDE, .help = "why not, else empty"                               \
	}

#endif
