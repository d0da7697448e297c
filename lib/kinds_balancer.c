// SPDX-License-Identifier: Apache-2.0
/* Load balancers: virtual addresses whose connections are spread over machines. */
#include <ctype.h>
#include <string.h>

#include "lib/kinds.h"

#define INTERVAL_MS 5000
#define TIMEOUT_MS 2000

static const struct field_value transports[] = {
	{"tcp", "TCP"},
	{"udp", "UDP"},
	{},
};

static const struct field_value schedulers[] = {
	{"round_robin", "one after the other"},
	{"weighted_round_robin", "one after the other, by their weights"},
	{"least_connections", "the one with the fewest connections for its weight"},
	{"source_hash", "by the client's address"},
	{"maglev", "by the flow, hashed so that a change of back ends moves few flows"},
	{},
};

static const struct field_value check_types[] = {
	{"tcp", "a connection can be made"},
	{"http", "GET of `path` is answered as expected"},
	{"udp", "a datagram is not answered by an ICMP error; with `expect`: it is answered so"},
	{"icmp", "a ping is answered"},
	{"none", "not checked: counts as up"},
	{},
};

static const struct field check_fields[] = {
	{.name = "type",
		.type = FIELD_ENUM,
		.values = check_types,
		.help = "how; when omitted: the listener's protocol"},
	{.name = "port",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 65535,
		.help = "at which port; when omitted: the back end's port_number",
		.example = "8081"},
	{.name = "interval_ms",
		.type = FIELD_INTEGER,
		.min = 50,
		.max = 3600000,
		.def = "5000",
		.unit = "milliseconds",
		.help = "how often"},
	{.name = "timeout_ms",
		.type = FIELD_INTEGER,
		.min = 10,
		.max = 3600000,
		.unit = "milliseconds",
		.help = "how long an answer may take; when omitted: 2000, or the interval if that "
			"is shorter"},
	{.name = "rise",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 100,
		.def = "2",
		.help = "so many good checks in a row make a back end that is down come back"},
	{.name = "fall",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 100,
		.def = "3",
		.help = "so many failed checks in a row make it count as down"},
	{.name = "path",
		.type = FIELD_STRING,
		.min = 1,
		.max = 255,
		.help = "http: what is asked for; when omitted: /",
		.example = "\"/healthz\""},
	{.name = "expect",
		.type = FIELD_STRING,
		.min = 1,
		.max = 255,
		.help = "http: status codes that are good, such as 200 or 200-399, which is the "
			"default, or what the body of a 2xx answer contains; tcp, udp: what the "
			"answer contains",
		.example = "\"200-299\""},
	{},
};

static bool path_is_good(const char *path)
{
	if (path[0] != '/')
		return false;
	for (; *path; path++)
		if (*path <= ' ' || *path > '~')
			return false;
	return true;
}

static bool codes_are_good(const char *text)
{
	struct net_ports codes;

	return net_ports_parse(text, &codes) && codes.first >= 100 && codes.last <= 599;
}

static bool health_check_check(const json_t *check, struct resource_error *error)
{
	const char *type = resource_text(check, "type"), *path = resource_text(check, "path");
	const char *expect = resource_text(check, "expect");
	bool http = type && !strcmp(type, "http");

	if (path && !http)
		return resource_fail(error, "/path", "only with type http");
	if (path && !path_is_good(path))
		return resource_fail(
			error, "/path", "must begin with / and have no spaces or other odd bytes");
	if (expect && http && isdigit((unsigned char)expect[0]) && !codes_are_good(expect))
		return resource_fail(error, "/expect",
			"must be status codes, such as 200 or 200-399, or a text that begins with "
			"no digit");
	if (expect && type && (!strcmp(type, "icmp") || !strcmp(type, "none")))
		return resource_fail(error, "/expect", "only with type http, tcp or udp");
	return true;
}

static const struct field backend_fields[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.help = "a port of the VPC: its address of the family",
		.example = "\"web1\""},
	{.name = "address",
		.type = FIELD_ADDRESS,
		.help = "or an address in the VPC",
		.example = "\"10.0.1.10\""},
	{.name = "port_number",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 65535,
		.help = "where it listens; when omitted: at the listener's port",
		.example = "8080"},
	{.name = "weight",
		.type = FIELD_INTEGER,
		.max = 100,
		.def = "1",
		.help = "its share of new connections; 0: none, those that are there go on"},
	{},
};

static bool backend_check(const json_t *backend, struct resource_error *error)
{
	bool port = resource_text(backend, "port"), address = resource_text(backend, "address");

	if (!port && !address)
		return resource_fail(error, "/port", "is required: give port or address");
	return !(port && address) ||
	       resource_fail(error, "/address", "give port or address, not both");
}

static const struct field listener_fields[] = {
	{.name = "protocol",
		.type = FIELD_ENUM,
		.values = transports,
		.flags = FIELD_REQUIRED,
		.help = "of which protocol"},
	{.name = "port",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 65535,
		.flags = FIELD_REQUIRED,
		.help = "at which port; once for each protocol",
		.example = "443"},
	{.name = "scheduler",
		.type = FIELD_ENUM,
		.values = schedulers,
		.def = "\"round_robin\"",
		.help = "who gets the next connection"},
	{.name = "persistence_s",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = 604800,
		.unit = "seconds",
		.help = "a client that comes back within that time gets the same back end; 0: off"},
	{.name = "allow_cidrs",
		.type = FIELD_ADDRESS_OR_CIDR,
		.flags = FIELD_LIST | FIELD_SET,
		.max_items = 1024,
		.def = "[]",
		.help = "clients that may connect, others get no answer; empty: everyone",
		.example = "[\"203.0.113.0/24\"]"},
	{.name = "idle_timeout_s",
		.type = FIELD_INTEGER,
		.def = "0",
		.max = 604800,
		.unit = "seconds",
		.help = "how long an idle connection is kept; 0: as the node's configuration says"},
	{.name = "drain_s",
		.type = FIELD_INTEGER,
		.def = "60",
		.max = 604800,
		.unit = "seconds",
		.help = "how long connections of a back end that is taken off the list go on"},
	{.name = "fail_open",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "whether all back ends are used when none of them is up"},
	{.name = "health_check",
		.type = FIELD_OBJECT,
		.fields = check_fields,
		.check = health_check_check,
		.def = "{}",
		.help = "how back ends are asked whether they are up, by the balancer's node",
		.example = "{\"type\": \"http\", \"path\": \"/healthz\", \"interval_ms\": 1000}"},
	{.name = "backends",
		.type = FIELD_OBJECT,
		.fields = backend_fields,
		.check = backend_check,
		.flags = FIELD_LIST,
		.max_items = 1000,
		.def = "[]",
		.help = "who answers",
		.example = "[{\"port\": \"web1\"}, {\"address\": \"10.0.1.11\", \"port_number\": "
			   "8080, \"weight\": 2}]"},
	{},
};

static const struct field_value healths[] = {
	{"up", "it gets connections"},
	{"down", "it failed its checks: it gets none"},
	{"unknown", "it was not asked yet, or its node does not tell"},
	{},
};

static const struct field backend_status[] = {
	{.name = "port",
		.type = FIELD_NAME,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "the port; null: it is given by address"},
	{.name = "address", .type = FIELD_ADDRESS, .flags = FIELD_REQUIRED, .help = "its address"},
	{.name = "port_number",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "where it listens"},
	{.name = "weight",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "its share of new connections"},
	{.name = "health",
		.type = FIELD_ENUM,
		.values = healths,
		.flags = FIELD_REQUIRED,
		.help = "whether it is there"},
	{.name = "since",
		.type = FIELD_TIME,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "last change of health; null: not known"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "what the check found, else empty"},
	{.name = "connections",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.help = "connections that it has through the balancer"},
	{},
};

static const struct field listener_status[] = {
	{.name = "protocol",
		.type = FIELD_ENUM,
		.values = transports,
		.flags = FIELD_REQUIRED,
		.help = "its protocol"},
	{.name = "port", .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .help = "its port"},
	{.name = "backends",
		.type = FIELD_OBJECT,
		.fields = backend_status,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "its back ends"},
	{},
};

static const struct field balancer_status[] = {
	KIND_SERVICE_STATE,
	{.name = "listeners",
		.type = FIELD_OBJECT,
		.fields = listener_status,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "its listeners, in their order"},
	{},
};

static const struct field balancer_fields[] = {
	KIND_IN_VPC("shop", "where its back ends are"),
	{.name = "address",
		.type = FIELD_ADDRESS,
		.column = COLUMN_TABLE,
		.help = "the virtual address, in the VPC: for machines of the VPC and of its peers",
		.example = "\"10.0.1.100\""},
	{.name = "eip",
		.type = FIELD_REF,
		.ref = "eip",
		.column = COLUMN_TABLE,
		.help = "or the EIP that is the virtual address: for the outside",
		.example = "\"shop\""},
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_AUTO | FIELD_ANY_TENANT,
		.column = COLUMN_TABLE,
		.help = "the node that checks the back ends, and with an EIP serves the clients: "
			"the EIP's; when omitted: that one, the only one, or one that is there",
		.example = "\"gw-a\""},
	{.name = "listeners",
		.type = FIELD_OBJECT,
		.fields = listener_fields,
		.flags = FIELD_LIST,
		.max_items = 64,
		.def = "[]",
		.help = "what it listens to",
		.example = "[{\"protocol\": \"tcp\", \"port\": 443, \"backends\": [{\"port\": "
			   "\"web1\"}]}]"},
	KIND_SERVER_FIELDS(balancer_status),
	{},
};

static void complete_check(json_t *check, const char *protocol)
{
	const char *type = resource_text(check, "type");
	json_int_t interval = resource_integer(check, "interval_ms", INTERVAL_MS);

	if (!type)
		json_object_set_new(check, "type", json_string(protocol));
	if (!json_object_get(check, "timeout_ms"))
		json_object_set_new(check, "timeout_ms",
			json_integer(interval < TIMEOUT_MS ? interval : TIMEOUT_MS));
	if (!type || strcmp(type, "http"))
		return;
	if (!json_object_get(check, "path"))
		json_object_set_new(check, "path", json_string("/"));
	if (!json_object_get(check, "expect"))
		json_object_set_new(check, "expect", json_string("200-399"));
}

/* Defaults that one member has of another. */
static void balancer_complete(json_t *balancer)
{
	json_t *listener, *backend;
	size_t i, j;

	json_array_foreach (json_object_get(balancer, "listeners"), i, listener) {
		complete_check(json_object_get(listener, "health_check"),
			resource_text(listener, "protocol"));
		json_array_foreach (json_object_get(listener, "backends"), j, backend)
			if (!json_object_get(backend, "port_number"))
				json_object_set(
					backend, "port_number", json_object_get(listener, "port"));
	}
}

static bool same_listener(const json_t *a, const json_t *b)
{
	return resource_integer(a, "port", 0) == resource_integer(b, "port", 0) &&
	       !strcmp(resource_text(a, "protocol"), resource_text(b, "protocol"));
}

static bool listener_check(const json_t *listeners, size_t i, struct resource_error *error)
{
	const json_t *listener = json_array_get(listeners, i);
	const json_t *check = json_object_get(listener, "health_check");
	char path[80];

	snprintf(path, sizeof(path), "/listeners/%zu/port", i);
	for (size_t j = 0; j < i; j++)
		if (same_listener(listener, json_array_get(listeners, j)))
			return resource_fail_code(error, ERROR_CONFLICT, path,
				"listener %zu has %s port %" JSON_INTEGER_FORMAT " already", j,
				resource_text(listener, "protocol"),
				resource_integer(listener, "port", 0));
	snprintf(path, sizeof(path), "/listeners/%zu/health_check/timeout_ms", i);
	return resource_integer(check, "timeout_ms", 0) <=
		       resource_integer(check, "interval_ms", 0) ||
	       resource_fail(error, path, "is longer than interval_ms");
}

static bool balancer_check(const json_t *balancer, struct resource_error *error)
{
	const json_t *listeners = json_object_get(balancer, "listeners");
	const char *address = resource_text(balancer, "address");
	bool eip = resource_text(balancer, "eip");

	if (!address && !eip)
		return resource_fail(error, "/address", "is required: give address or eip");
	if (address && eip)
		return resource_fail(error, "/eip", "give address or eip, not both");
	for (size_t i = 0; i < json_array_size(listeners); i++)
		if (!listener_check(listeners, i, error))
			return false;
	return true;
}

const struct kind kind_load_balancer = {
	.name = "load_balancer",
	.plural = "load balancers",
	.help = "A virtual address whose TCP connections and UDP flows are spread over machines of "
		"a VPC that are found healthy. They see the client's own address.",
	.parent = "vpc",
	.fields = balancer_fields,
	.complete = balancer_complete,
	.check = balancer_check,
	.example = "{\"name\": \"shop\", \"vpc\": \"prod\", \"address\": \"10.0.1.100\", "
		   "\"listeners\": [{\"protocol\": \"tcp\", \"port\": 80, \"health_check\": "
		   "{\"type\": \"http\", \"path\": \"/healthz\"}, \"backends\": [{\"port\": "
		   "\"web1\"}, {\"address\": \"10.0.1.11\", \"port_number\": 8080}]}]}",
};
