// SPDX-License-Identifier: Apache-2.0
/* The methods that show what runs: status, explain, sessions, drops, usage, events. */
#include <string.h>

#include "lib/kinds.h"
#include "lib/methods_internal.h"

/* ---- status ---- */

static const struct field worker_fields[] = {
	COUNT("cpu", "the CPU it runs on"),
	{.name = "load_percent",
		.type = FIELD_NUMBER,
		.flags = FIELD_REQUIRED,
		.help = "how much of its time it works"},
	{},
};

static const struct field packets_fields[] = {
	COUNT("received", "from ports, underlay and outside"),
	COUNT("generated", "replies, errors, clones, probes, extra segments"),
	COUNT("sent", "to ports, underlay and outside"),
	COUNT("consumed", "answered or absorbed"),
	{.name = "dropped",
		.type = FIELD_MAP,
		.flags = FIELD_REQUIRED,
		.fields = (const struct field[]){{.type = FIELD_INTEGER, .help = "packets"}, {}},
		.help = "by reason"},
	COUNT("held", "in queues right now"),
	{},
};

static const struct field sessions_fields[] = {
	COUNT("used", "sessions there are"),
	COUNT("capacity", "sessions there can be"),
	{},
};

static const struct field node_revision_fields[] = {
	COUNT("desired", "the last change that concerns the node"),
	COUNT("applied", "the last change its dataplane forwards by"),
	{},
};

static const struct field status_node_fields[] = {
	TEXT("name", "the node"),
	{.name = "connected",
		.type = FIELD_BOOLEAN,
		.flags = FIELD_REQUIRED,
		.help = "whether its dataplane answers"},
	{.name = "state",
		.type = FIELD_ENUM,
		.values = node_states,
		.flags = FIELD_REQUIRED,
		.help = "the same in a word, which knows nodes without a dataplane of ours, too"},
	{.name = "version",
		.type = FIELD_STRING,
		.flags = FIELD_NULLABLE,
		.help = "of its dataplane; null when that is away"},
	{.name = "uptime_s",
		.type = FIELD_NUMBER,
		.flags = FIELD_NULLABLE,
		.unit = "seconds",
		.help = "since its dataplane started; null when that is away"},
	{.name = "workers",
		.type = FIELD_OBJECT,
		.flags = FIELD_LIST,
		.fields = worker_fields,
		.help = "its forwarding threads"},
	{.name = "packets",
		.type = FIELD_OBJECT,
		.flags = FIELD_NULLABLE,
		.fields = packets_fields,
		.help = "received + generated = sent + dropped + consumed + held"},
	{.name = "sessions",
		.type = FIELD_OBJECT,
		.flags = FIELD_NULLABLE,
		.fields = sessions_fields,
		.help = "its session table"},
	{.name = "tunnels",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.fields = tunnel_fields,
		.help = "its ways to other nodes"},
	{.name = "revision",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED,
		.fields = node_revision_fields,
		.help = "how far it follows"},
	{},
};

static const struct field status_result_fields[] = {
	TEXT("version", "of the controller"),
	COUNT("revision", "of the last change"),
	{.name = "nodes",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.fields = status_node_fields,
		.help = "the nodes"},
	{},
};
static const struct field status_result = RESULT(status_result_fields, "how everything is");

/* ---- explain ---- */

static const struct field explain_params[] = {
	{.name = "from",
		.type = FIELD_REF,
		.ref = "port",
		.flags = FIELD_REQUIRED,
		.help = "the port that sends, or external",
		.example = "\"web1\""},
	{.name = "to",
		.type = FIELD_ADDRESS,
		.flags = FIELD_REQUIRED,
		.help = "the destination address",
		.example = "\"10.0.2.10\""},
	{.name = "protocol",
		.type = FIELD_PROTOCOL,
		.help = "the IP protocol; when omitted: tcp with a port, else icmp or icmpv6",
		.example = "\"tcp\""},
	{.name = "port",
		.type = FIELD_INTEGER,
		.max = 65535,
		.help = "the destination port",
		.example = "443"},
	{.name = "source_port",
		.type = FIELD_INTEGER,
		.max = 65535,
		.help = "the source port; when omitted: 49152",
		.example = "40000"},
	{.name = "source_address",
		.type = FIELD_ADDRESS,
		.help = "the source address; when omitted: the port's first of the family",
		.example = "\"198.51.100.7\""},
	{.name = "live",
		.type = FIELD_BOOLEAN,
		.help = "also send such a packet the real way, as if the port had, and compare; "
			"it ends before anybody gets it"},
	{.name = "deliver", .type = FIELD_BOOLEAN, .help = "with live: let the receiver have it"},
	{},
};

static bool explain_check(const json_t *params, struct resource_error *error)
{
	const char *protocol = resource_text(params, "protocol");
	const char *to = resource_text(params, "to");
	const char *source = resource_text(params, "source_address");
	bool ports = !protocol || !strcmp(protocol, "tcp") || !strcmp(protocol, "udp");

	/* A protocol that is a number has no text. */
	if (json_object_get(params, "protocol") && !protocol)
		ports = false;
	if (json_object_get(params, "port") && !ports)
		return resource_fail(error, "/port", "only with protocol tcp or udp");
	if (json_object_get(params, "source_port") && !ports)
		return resource_fail(error, "/source_port", "only with protocol tcp or udp");
	if (protocol && ports && !json_object_get(params, "port"))
		return resource_fail(error, "/port", "is required with protocol %s", protocol);
	if (protocol && !strcmp(protocol, "any"))
		return resource_fail(error, "/protocol", "a packet has one protocol, not any");
	if (!strcmp(resource_text(params, "from"), "external") && !source)
		return resource_fail(error, "/source_address", "is required with from external");
	if (resource_boolean(params, "live", false) &&
		!strcmp(resource_text(params, "from"), "external"))
		return resource_fail(error, "/live", "a probe begins at a port, not outside");
	if (resource_boolean(params, "deliver", false) && !resource_boolean(params, "live", false))
		return resource_fail(error, "/deliver", "only with live");
	if (source && !strchr(source, ':') != !strchr(to, ':'))
		return resource_fail(error, "/source_address",
			"%s and the destination %s are of different families", source, to);
	return true;
}

static const struct field packet_fields[] = {
	TEXT("source", "source address"),
	TEXT("destination", "destination address"),
	{.name = "protocol",
		.type = FIELD_PROTOCOL,
		.flags = FIELD_REQUIRED,
		.help = "IP protocol"},
	{.name = "source_port", .type = FIELD_INTEGER, .help = "of TCP and UDP"},
	{.name = "port", .type = FIELD_INTEGER, .help = "destination port of TCP and UDP"},
	{.name = "source_mac", .type = FIELD_STRING, .help = "source MAC address"},
	{.name = "destination_mac", .type = FIELD_STRING, .help = "destination MAC address"},
	{.name = "ttl", .type = FIELD_INTEGER, .help = "TTL or hop limit"},
	{.name = "vni", .type = FIELD_INTEGER, .help = "VXLAN network identifier on the underlay"},
	{},
};

static const struct field packet_pair_fields[] = {
	{.name = "before",
		.type = FIELD_OBJECT,
		.fields = packet_fields,
		.flags = FIELD_REQUIRED,
		.help = "as it was sent"},
	{.name = "after",
		.type = FIELD_OBJECT,
		.fields = packet_fields,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "as it is delivered; null when it is dropped"},
	{},
};

static const struct field step_object_fields[] = {
	TEXT("kind", "its kind"),
	TEXT("name", "its name"),
	{.name = "revision",
		.type = FIELD_INTEGER,
		.flags = FIELD_NULLABLE,
		.help = "its revision; null for what is no object of the API"},
	{.name = "rule",
		.type = FIELD_INTEGER,
		.flags = FIELD_NULLABLE,
		.help = "index in the group's rules"},
	{},
};

static const struct field step_fields[] = {
	TEXT("node", "where"),
	TEXT("stage", "which decision"),
	{.name = "object",
		.type = FIELD_OBJECT,
		.fields = step_object_fields,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "what decided; null for a rule of the product itself"},
	TEXT("decision", "what was decided"),
	{},
};

static const struct field_value verdicts[] = {
	{"forward", "it is delivered"},
	{"drop", "it is dropped"},
	{},
};

static const struct field_value live_verdicts[] = {
	{"forward", "it came there"},
	{"drop", "it was dropped"},
	{"lost", "nobody has seen it again"},
	{},
};

static const struct field live_fields[] = {
	{.name = "verdict",
		.type = FIELD_ENUM,
		.values = live_verdicts,
		.flags = FIELD_REQUIRED,
		.help = "what became of it"},
	TEXT_OR_NULL("reason", "why it was dropped"),
	TEXT_OR_NULL("delivered_to", "whom it came to"),
	{.name = "packet",
		.type = FIELD_OBJECT,
		.fields = packet_fields,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "as it was seen last; null when it was not"},
	{.name = "agrees",
		.type = FIELD_BOOLEAN,
		.flags = FIELD_REQUIRED,
		.help = "whether that is what was explained"},
	{.name = "differences",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "what is not"},
	{},
};

static const struct field explain_result_fields[] = {
	{.name = "verdict",
		.type = FIELD_ENUM,
		.values = verdicts,
		.flags = FIELD_REQUIRED,
		.help = "what becomes of it"},
	TEXT_OR_NULL("reason", "why it is dropped, as in drops.list"),
	TEXT_OR_NULL("delivered_to", "the port, or what else gets it"),
	{.name = "packet",
		.type = FIELD_OBJECT,
		.fields = packet_pair_fields,
		.flags = FIELD_REQUIRED,
		.help = "what it looks like"},
	{.name = "steps",
		.type = FIELD_OBJECT,
		.fields = step_fields,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "every decision, in order, over all nodes"},
	{.name = "live",
		.type = FIELD_OBJECT,
		.fields = live_fields,
		.help = "what became of the probe, when one was asked for"},
	{},
};
static const struct field explain_result =
	RESULT(explain_result_fields, "what would become of the first packet of a new flow");

/* ---- session, drops, usage, event ---- */

#define SESSION_FILTERS                                                                            \
	{.name = "node", .type = FIELD_REF, .ref = "node", .help = "only on this node"},           \
		{.name = "vpc", .type = FIELD_REF, .ref = "vpc", .help = "only of this VPC"},      \
		{.name = "port",                                                                   \
			.type = FIELD_REF,                                                         \
			.ref = "port",                                                             \
			.help = "only from or to this port"},                                      \
		{.name = "address",                                                                \
			.type = FIELD_ADDRESS,                                                     \
			.help = "only with this address at either end, translated or not",         \
			.example = "\"10.0.1.10\""},                                               \
	{                                                                                          \
		.name = "protocol", .type = FIELD_PROTOCOL, .help = "only of this protocol",       \
		.example = "\"tcp\""                                                               \
	}

static const struct field session_filters[] = {
	SESSION_FILTERS,
	{},
};

#define SESSION_FIELDS                                                                             \
	TEXT("node", "where it is"), TEXT("vpc", "whose it is"),                                   \
		{.name = "protocol",                                                               \
			.type = FIELD_PROTOCOL,                                                    \
			.flags = FIELD_REQUIRED,                                                   \
			.help = "IP protocol"},                                                    \
		TEXT("state", "of TCP: syn_sent, syn_received, established, fin_wait, "            \
			      "close_wait, last_ack, "                                             \
			      "time_wait, closed; of others: new, active"),                        \
		TEXT("client", "who began, ip:port, the ICMP id as port"),                         \
		TEXT("server", "to whom, as the client sees it"),                                  \
		TEXT_OR_NULL(                                                                      \
			"translated_client", "the client as the server sees it, if that differs"), \
		TEXT_OR_NULL("translated_server", "the server behind a translation"),              \
		TEXT_OR_NULL("backend", "the load balancer's choice"),                             \
		COUNT("packets", "in both directions"),                                            \
		COUNT("bytes", "in both directions, of IP"),                                       \
		SECONDS("age_s", "since its first packet"),                                        \
		SECONDS("idle_s", "since its last packet"),                                        \
		SECONDS("expires_s", "until it goes, if nothing more comes")

static const struct field session_fields[] = {
	SESSION_FIELDS,
	{},
};

static const struct field session_result_fields[] = {
	ITEMS(session_fields, "the sessions"),
	CURSOR,
	{},
};
static const struct field session_result = RESULT(session_result_fields, "running flows");

/* The filters of a list, and how many. */
static const struct field top_params[] = {
	SESSION_FILTERS,
	{.name = "limit",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 10000,
		.def = "50",
		.help = "at most so many"},
	{},
};

static const struct field top_session_fields[] = {
	SESSION_FIELDS,
	{.name = "packets_per_s",
		.type = FIELD_NUMBER,
		.flags = FIELD_REQUIRED,
		.help = "in both directions, lately"},
	{.name = "bytes_per_s",
		.type = FIELD_NUMBER,
		.flags = FIELD_REQUIRED,
		.help = "of IP in both directions, lately"},
	{},
};

static const struct field top_result_fields[] = {
	ITEMS(top_session_fields, "the sessions, the busiest first"),
	{},
};
static const struct field top_result = RESULT(top_result_fields, "the busiest flows");

static const struct field flush_result_fields[] = {
	COUNT("flushed", "sessions that were cut"),
	{},
};
static const struct field flush_result = RESULT(flush_result_fields, "what was cut");

static const struct field drops_params[] = {
	{.name = "node", .type = FIELD_REF, .ref = "node", .help = "only on this node"},
	{.name = "port", .type = FIELD_REF, .ref = "port", .help = "only from or to this port"},
	{.name = "vpc", .type = FIELD_REF, .ref = "vpc", .help = "only of this VPC"},
	{.name = "reason",
		.type = FIELD_STRING,
		.max = 64,
		.help = "only for this reason",
		.example = "\"policy_ingress\""},
	{},
};

static const struct field drop_fields[] = {
	TEXT("node", "where"),
	TEXT_OR_NULL("port", "whose packets; null when they came from elsewhere, or it is no more"),
	TEXT_OR_NULL("vpc", "of which VPC; null when that is not known, or it is no more"),
	TEXT("reason", "why"),
	COUNT("packets", "how many"),
	TEXT_OR_NULL("last_packet", "when the last one came, and what it looked like; null when "
				    "nobody has seen it, for want of a buffer"),
	{},
};

static const struct field drops_result_fields[] = {
	ITEMS(drop_fields, "dropped packets by port and reason"),
	{},
};
static const struct field drops_result = RESULT(drops_result_fields, "dropped packets");

static const struct field usage_params[] = {
	{.name = "tenant", .type = FIELD_NAME, .help = "only of this tenant"},
	{.name = "since",
		.type = FIELD_TIME,
		.help = "only what was used or deleted after this time; the figures are those "
			"of the whole life",
		.example = "\"2026-01-31T00:00:00Z\""},
	{},
};

static const struct field usage_fields[] = {
	TEXT("tenant", "who pays"),
	{.name = "kind",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "kind of the object"},
	TEXT("name", "name of the object"),
	{.name = "deleted",
		.type = FIELD_TIME,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "when it was deleted; null while it is there"},
	{.name = "updated",
		.type = FIELD_TIME,
		.flags = FIELD_REQUIRED | FIELD_NULLABLE,
		.help = "when it was last seen to have carried something; null: never"},
	COUNT("rx_packets", "packets it sent"),
	COUNT("rx_bytes", "IP bytes it sent"),
	COUNT("tx_packets", "packets it was given"),
	COUNT("tx_bytes", "IP bytes it was given"),
	{},
};

static const struct field usage_result_fields[] = {
	ITEMS(usage_fields,
		"bytes and packets by object, in the order of their creation; they never fall"),
	CURSOR,
	{},
};
static const struct field usage_result = RESULT(usage_result_fields, "what was used");

static const struct field_value severities[] = {
	{"info", "good to know"},
	{"warning", "look at it some time"},
	{"error", "look at it now"},
	{},
};

static const struct field event_params[] = {
	{.name = "since",
		.type = FIELD_TIME,
		.help = "only after this time",
		.example = "\"2026-01-31T00:00:00Z\""},
	{.name = "severity",
		.type = FIELD_ENUM,
		.values = severities,
		.help = "only of this severity"},
	{.name = "kind", .type = FIELD_KIND, .help = "only about objects of this kind"},
	{},
};

static const struct field event_fields[] = {
	{.name = "time", .type = FIELD_TIME, .flags = FIELD_REQUIRED, .help = "when"},
	{.name = "severity",
		.type = FIELD_ENUM,
		.values = severities,
		.flags = FIELD_REQUIRED,
		.help = "how bad"},
	TEXT_OR_NULL("node", "where, if on one node"),
	TEXT_OR_NULL("kind", "kind of the object concerned"),
	TEXT_OR_NULL("name", "name of the object concerned"),
	TEXT("reason", "one word for programs"),
	TEXT("message", "a sentence for people"),
	{},
};

static const struct field event_result_fields[] = {
	ITEMS(event_fields, "the events, oldest first"),
	CURSOR,
	{},
};
static const struct field event_result = RESULT(event_result_fields, "what has happened");

/* ---- node.perf ---- */

static const struct field perf_params[] = {
	{.name = "name",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_REQUIRED,
		.help = "the node"},
	{.name = "milliseconds",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 60000,
		.def = "1000",
		.help = "how long it is watched"},
	{},
};

#define FIGURE(field_name, nullable, what)                                                         \
	{                                                                                          \
		.name = field_name, .type = FIELD_NUMBER, .flags = FIELD_REQUIRED | (nullable),    \
		.help = what                                                                       \
	}

static const struct field perf_fields[] = {
	COUNT("worker", "which of its workers"),
	TEXT("step",
		"step of the packet path, as in `vpcctl explain` and docs/packet-path.md; `all`: "
		"the steps together, for each packet that came in"),
	COUNT("calls", "how often it had something to do; of a source: how often it looked"),
	COUNT("packets", "how many it was given"),
	FIGURE("packets_per_call", FIELD_NULLABLE, "how many at once"),
	FIGURE("cycles_per_packet", FIELD_NULLABLE,
		"time stamp counter cycles that each took; looking in vain counts, too"),
	FIGURE("share_percent", 0, "of the time that was watched"),
	{},
};

static const struct field perf_result_fields[] = {
	ITEMS(perf_fields, "steps that were called"),
	{},
};
static const struct field perf_result = RESULT(perf_result_fields, "what each step takes");

/* ---- All of them ---- */

const struct method methods_observe[] = {
	{.name = "status",
		.help = "Shows the controller's and every node's state.",
		.result = &status_result},
	{.name = "explain",
		.help = "Says what would become of the first packet of a new flow, and why.",
		.params = explain_params,
		.result = &explain_result,
		.check = explain_check,
		.example = "{\"from\": \"web1\", \"to\": \"10.0.2.10\", \"protocol\": \"tcp\", "
			   "\"port\": 443}"},
	{.name = "session.list",
		.flags = METHOD_PAGED,
		.help = "Shows running flows. One over two nodes is an item on each.",
		.params = session_filters,
		.result = &session_result,
		.example = "{\"vpc\": \"prod\", \"protocol\": \"tcp\"}"},
	{.name = "session.top",
		.help = "Shows the flows that carry most, as each node saw it in its last second: "
			"of the 128 busiest of a node, those that pass the filters. A node "
			"begins to measure when it is asked, and ends when it is not for half a "
			"minute: a first answer may be empty.",
		.params = top_params,
		.result = &top_result,
		.example = "{\"vpc\": \"prod\", \"limit\": 10}"},
	{.name = "session.flush",
		.flags = METHOD_WRITES,
		.help = "Cuts running flows. Those that are still allowed may begin anew.",
		.params = session_filters,
		.result = &flush_result,
		.example = "{\"port\": \"web1\"}"},
	{.name = "drops.list",
		.help = "Shows dropped packets by port and reason.",
		.params = drops_params,
		.result = &drops_result,
		.example = "{\"port\": \"web1\"}"},
	{.name = "node.perf",
		.verb = METHOD_EXTRA,
		.help = "Shows how many cycles a packet takes in each step of a node's workers, "
			"measured now.",
		.params = perf_params,
		.result = &perf_result,
		.example = "{\"name\": \"host-a\"}"},
	{.name = "usage.list",
		.flags = METHOD_PAGED,
		.help = "Shows bytes and packets, for bills.",
		.params = usage_params,
		.result = &usage_result,
		.example = "{\"tenant\": \"acme\"}"},
	{.name = "event.list",
		.flags = METHOD_PAGED,
		.help = "Shows what has happened.",
		.params = event_params,
		.result = &event_result,
		.example = "{\"severity\": \"error\"}"},
};

const size_t methods_observe_count = sizeof(methods_observe) / sizeof(methods_observe[0]);
