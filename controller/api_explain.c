/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain: the described packet goes down the readable road of its port's node; where that sends it to
 * another VTEP, the same question goes to the node behind it, and so on until it is delivered, dropped, or has left
 * for an outside network. One from the outside begins at the gateway of the address that it is for.
 */
#include "api.h"
#include "api_live.h"
#include "fan_out.h"
#include "gateway.h"
#include "mem.h"
#include "node.h"
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 8
#define TIMEOUT_MS 2000
#define SOURCE_PORT 49152
#define PROBE_PORTS 16000 /* from there on */
#define TTL 64

struct explanation {
	struct api_call *call;
	struct node *node; /* being asked */
	unsigned hops;
	json_t *before, *after; /* packets as the northbound API shows them */
	json_t *packet;         /* as the node is asked */
	json_t *in;
	json_t *steps;
	/* Where it begins, for a probe; NULL: none is wanted. */
	struct node *first;
	json_t *first_in, *first_packet;
};

static void ask(struct explanation *e);

static void explanation_free(struct explanation *e)
{
	json_decref(e->before);
	json_decref(e->after);
	json_decref(e->packet);
	json_decref(e->in);
	json_decref(e->steps);
	json_decref(e->first_in);
	json_decref(e->first_packet);
	free(e);
}

static const struct {
	const char *name;
	int number;
} protocols[] = {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}};

static json_int_t protocol_number(const json_t *protocol)
{
	const char *name = json_string_value(protocol);

	for (size_t i = 0; name != NULL && i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return protocols[i].number;
	return json_integer_value(protocol);
}

static json_t *protocol_shown(json_t *number)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (json_integer_value(number) == protocols[i].number)
			return json_string(protocols[i].name);
	return json_incref(number);
}

/* The southbound packet in the words of the northbound one. */
json_t *explain_shown(const json_t *packet)
{
	static const char *const names[][2] = {
		{"source", "source"},
		{"destination", "destination"},
		{"source_port", "source_port"},
		{"port", "port"},
		{"smac", "source_mac"},
		{"dmac", "destination_mac"},
		{"ttl", "ttl"},
	};
	json_t *copy = mem_json(json_object());

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *value = json_object_get(packet, names[i][0]);

		if (value != NULL && !json_is_null(value))
			json_object_set(copy, names[i][1], value);
	}
	json_object_set_new(copy, "protocol", protocol_shown(json_object_get(packet, "protocol")));
	return copy;
}

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static void finish(struct explanation *e, const char *verdict, const char *reason, const char *to)
{
	bool forward = strcmp(verdict, "forward") == 0;
	json_t *result = mem_json(json_pack("{s:s, s:o, s:o, s:{s:O, s:O}, s:O}", "verdict",
		verdict, "reason", text_or_null(reason), "delivered_to", text_or_null(to), "packet",
		"before", e->before, "after", forward && e->after != NULL ? e->after : json_null(),
		"steps", e->steps));

	if (e->first != NULL && node_exists(e->call->c, e->first))
		api_live(e->call, result, e->first, json_incref(e->first_in),
			json_incref(e->first_packet));
	else if (e->first == NULL)
		api_reply(e->call, result);
	else {
		json_decref(result);
		api_fail(e->call, ERROR_UNAVAILABLE, NULL, "the node is not there any more");
	}
	explanation_free(e);
}

/* The peering of two VPCs, which nodes know by their names. */
static const struct object *peering_of(const struct controller *c, const json_t *object)
{
	const char *own = resource_text(object, "vpc");
	const struct object *vpc = own != NULL ? model_get(&c->model, "vpc", own) : NULL,
			    *peer = model_get(&c->model, "vpc", resource_text(object, "name"));

	if (vpc == NULL || peer == NULL)
		return NULL;
	REFERRERS_FOREACH(vpc, kind_find("peering"), ref)
	{
		if (peering_other(ref->from, vpc) == peer)
			return ref->from;
	}
	return NULL;
}

static const struct object *object_of(
	const struct controller *c, const char *kind, const json_t *object)
{
	if (strcmp(kind, "peering") == 0)
		return peering_of(c, object);
	return kind_find(kind) != NULL ? model_get(&c->model, kind, resource_text(object, "name"))
				       : NULL;
}

/* A node's object as users know it: its northbound kind and name, and the revision. */
static void name_object(const struct controller *c, json_t *object)
{
	static const char *const kinds[][2] = {
		{"group", "security_group"}, {"vtep", "node"}, {"endpoint", "port"}};
	const char *kind = resource_text(object, "kind");
	const struct object *known;

	for (size_t i = 0; kind != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i][0]) == 0)
			kind = kinds[i][1];
	if (kind == NULL)
		return;
	known = object_of(c, kind, object);
	if (known != NULL)
		json_object_set_new(object, "name", json_string(known->name));
	json_object_del(object, "vpc");
	json_object_set_new(object, "kind", json_string(kind));
	json_object_set_new(object, "revision",
		known != NULL ? json_integer((json_int_t)object_revision(known)) : json_null());
}

static void add_steps(struct explanation *e, const json_t *answer)
{
	json_t *steps = json_object_get(answer, "steps"), *step;
	size_t i;

	json_array_foreach (steps, i, step) {
		json_object_set_new(step, "node", json_string(e->node->name));
		name_object(e->call->c, json_object_get(step, "object"));
		json_array_append(e->steps, step);
	}
}

/* The node whose VTEP has that name or address. */
const struct object *explain_node_behind(struct controller *c, const char *vtep)
{
	const struct object *named = model_get(&c->model, "node", vtep);
	const char *address = strncmp(vtep, "addr:", 5) == 0 ? vtep + 5 : vtep;

	if (named != NULL)
		return named;
	MODEL_FOREACH(&c->model, kind_find("node"), object)
	{
		const char *own = object_text(object, "vtep");

		if (own != NULL && strcmp(own, address) == 0)
			return object;
	}
	return NULL;
}

static void follow(struct explanation *e, const json_t *out)
{
	const char *vtep = resource_text(out, "vtep");
	const struct object *object = explain_node_behind(e->call->c, vtep);
	struct node *next = object != NULL ? node_find(e->call->c, object->name) : NULL;
	const char *own = object_text(e->node->object, "vtep");
	char *where;

	if (next == NULL || !node_is_connected(next) || ++e->hops >= NODES_MAX) {
		/* Somebody else's: what it does with the packet is not ours to tell. */
		where = mem_printf("%s %s", next == NULL ? "vtep" : "node",
			object != NULL ? object->name : vtep);
		finish(e, "forward", NULL, where);
		free(where);
		return;
	}
	json_decref(e->in);
	e->in = json_pack("{s:s, s:O}", "vtep", own != NULL ? e->node->name : "", "vni",
		json_object_get(out, "vni"));
	e->node = next;
	ask(e);
}

static void finish_at_gateway(struct explanation *e, const char *subnet)
{
	char *where = mem_printf("gateway of subnet %s", subnet);

	finish(e, "forward", NULL, where);
	free(where);
}

static void finish_at_node(struct explanation *e)
{
	char *where = mem_printf("node %s", e->node->name);

	finish(e, "forward", NULL, where);
	free(where);
}

static void finish_outside(struct explanation *e, const char *network)
{
	char *where = mem_printf("external %s", network);

	finish(e, "forward", NULL, where);
	free(where);
}

static void on_answer(struct fan_out *fan, void *arg)
{
	struct explanation *e = arg;
	const json_t *answer = fan_out_result(fan, e->node->name), *out;
	json_t *packet, *after;

	if (answer == NULL) {
		api_fail(e->call, fan_out_code(fan) != 0 ? fan_out_code(fan) : ERROR_UNAVAILABLE,
			NULL, "%s", fan_out_failed(fan));
		explanation_free(e);
		return;
	}
	add_steps(e, answer);
	packet = json_object_get(answer, "packet");
	if (e->before == NULL)
		e->before = explain_shown(json_object_get(packet, "before"));
	after = json_object_get(packet, "after");
	if (json_is_object(after)) {
		json_decref(e->packet);
		e->packet = json_incref(after);
		json_decref(e->after);
		e->after = explain_shown(after);
	}
	out = json_object_get(answer, "out");
	if (strcmp(resource_text(answer, "verdict") != NULL ? resource_text(answer, "verdict")
							    : "drop",
		    "forward") != 0)
		finish(e, "drop", resource_text(answer, "reason"), NULL);
	else if (resource_text(out, "vtep") != NULL)
		follow(e, out);
	else if (resource_text(out, "gateway") != NULL)
		finish_at_gateway(e, resource_text(out, "gateway"));
	else if (resource_text(out, "node") != NULL)
		finish_at_node(e);
	else if (resource_text(out, "external") != NULL)
		finish_outside(e, resource_text(out, "external"));
	else
		finish(e, "forward", NULL, resource_text(out, "port"));
}

static void ask(struct explanation *e)
{
	struct fan_out *fan = fan_out_new(e->call->c, TIMEOUT_MS, on_answer, e);

	fan_out_ask(
		fan, e->node, "explain", json_pack("{s:O, s:O}", "in", e->in, "packet", e->packet));
	fan_out_wait(fan);
}

/* ---- The question ---- */

static const char *source_of(const struct api_call *call, const struct object *port)
{
	const char *given = resource_text(call->params, "source_address");
	bool ipv6 = strchr(resource_text(call->params, "to"), ':') != NULL;
	json_t *addresses = json_object_get(port->json, "addresses"), *address;
	size_t i;

	if (given != NULL)
		return given;
	json_array_foreach (addresses, i, address)
		if ((strchr(json_string_value(address), ':') != NULL) == ipv6)
			return json_string_value(address);
	return NULL;
}

static bool is_live(const struct api_call *call)
{
	return resource_boolean(call->params, "live", false);
}

/* A probe is the first packet of a flow: two of them should not be of the same. */
static json_int_t default_source_port(const struct api_call *call)
{
	return SOURCE_PORT + (is_live(call) ? (json_int_t)(now_us() % PROBE_PORTS) : 0);
}

/* As the sender's machine would make it; its MAC addresses are the node's to fill in. */
static json_t *packet_of(const struct api_call *call, const char *source)
{
	const char *to = resource_text(call->params, "to");
	const json_t *protocol = json_object_get(call->params, "protocol");
	json_t *dport = json_object_get(call->params, "port"), *packet;
	json_int_t number = protocol_number(protocol);

	if (protocol == NULL)
		number = dport != NULL ? 6 : strchr(to, ':') != NULL ? 58 : 1;
	packet = json_pack("{s:s, s:s, s:I, s:i}", "source", source, "destination", to, "protocol",
		number, "ttl", TTL);
	if (dport != NULL)
		json_object_set(packet, "port", dport);
	if (dport != NULL || is_live(call)) /* of a ping the id */
		json_object_set_new(packet, "source_port",
			json_integer(resource_integer(
				call->params, "source_port", default_source_port(call))));
	return packet;
}

/* The port and its node; NULL after having answered. */
static struct object *sender_of(struct api_call *call, struct node **node)
{
	const char *from = resource_text(call->params, "from");
	struct object *port = model_get(&call->c->model, "port", from);
	struct txn_error error = {0};

	if (port == NULL) {
		resource_fail_code(
			&error.base, ERROR_NOT_FOUND, "/from", "there is no port `%s`", from);
		api_fail_error(call, &error);
		return NULL;
	}
	*node = node_find(call->c, object_text(port, "node"));
	if (*node != NULL && node_is_connected(*node))
		return port;
	api_fail(call, ERROR_UNAVAILABLE, NULL, "node `%s` of port `%s` is not connected",
		object_text(port, "node"), from);
	return NULL;
}

/* Asks about a packet from `source` that enters the node by `in` (taken). */
static void begin(struct api_call *call, struct node *node, const char *source, json_t *in)
{
	struct explanation *e = mem_calloc(1, sizeof(*e));

	e->call = call;
	e->node = node;
	e->packet = packet_of(call, source);
	e->in = in;
	e->steps = mem_json(json_array());
	if (is_live(call)) {
		e->first = node;
		e->first_in = json_incref(e->in);
		e->first_packet = json_incref(e->packet);
	}
	ask(e);
}

/* ---- From the outside ---- */

struct entrance {
	const struct object *node; /* NULL: nobody has an outside network of the family */
	const char *network;       /* NULL: the first of the family */
};

/* A VPC's own addresses are reached by its dedicated line. */
static bool find_line(const struct model *model, const struct net_addr *to, struct entrance *in)
{
	const struct net_prefix whole = net_prefix_of(to);

	STRMAP_FOREACH(&model->external_routes, slot)
	{
		const struct object *route = slot->value;

		if (!vpc_covers(vpc_of(route), &whole))
			continue;
		*in = (struct entrance){gateway_of(route),
			resource_text(json_object_get(route->json, "next_hop"), "name")};
		return true;
	}
	return false;
}

/* Where packets for the address come in; one that nobody has comes in anywhere. */
static struct entrance entrance_of(const struct model *model, const char *text)
{
	const struct object *eip = strmap_get(&model->eips, text);
	struct entrance in = {NULL, NULL};
	struct net_addr to;

	net_addr_parse(text, &to);
	if (eip != NULL)
		return (struct entrance){gateway_of(eip), eip_external(eip)};
	if (find_line(model, &to, &in))
		return in;
	MODEL_FOREACH(model, kind_find("node"), node)
	{
		if (gateway_network(node, NULL, to.family) == GATEWAY_HAS)
			return (struct entrance){node, NULL};
	}
	return in;
}

static void explain_from_outside(struct api_call *call)
{
	const char *to = resource_text(call->params, "to");
	struct entrance in = entrance_of(&call->c->model, to);
	enum net_family family = strchr(to, ':') != NULL ? NET_IPV6 : NET_IPV4;
	struct node *node = in.node != NULL ? node_find(call->c, in.node->name) : NULL;
	const char *network = in.network;
	struct txn_error error = {0};

	if (in.node == NULL) {
		resource_fail_code(&error.base, ERROR_NOT_FOUND, "/from",
			"no node has an outside network of that family");
		api_fail_error(call, &error);
		return;
	}
	if (network == NULL)
		network = gateway_first_network(in.node, family);
	if (node == NULL || !node_is_connected(node))
		api_fail(call, ERROR_UNAVAILABLE, NULL,
			"node `%s`, the gateway of %s, is not connected", in.node->name, to);
	else if (network == NULL)
		api_fail(call, ERROR_UNAVAILABLE, NULL,
			"node `%s`, the gateway of %s, has no outside network of that family",
			in.node->name, to);
	else
		begin(call, node, resource_text(call->params, "source_address"),
			mem_json(json_pack("{s:s}", "external", network)));
}

void api_explain(struct api_call *call)
{
	struct txn_error error = {0};
	struct object *port;
	struct node *node;
	const char *source;

	if (is_live(call) && jsonrpc_call_peer(call->rpc)->read_only) {
		api_fail(call, ERROR_DENIED, NULL,
			"explain with live sends a packet: that needs a token");
		return;
	}
	if (strcmp(resource_text(call->params, "from"), "external") == 0) {
		explain_from_outside(call);
		return;
	}
	port = sender_of(call, &node);
	if (port == NULL)
		return;
	source = source_of(call, port);
	if (source == NULL) {
		resource_fail(
			&error.base, "/to", "port `%s` has no address of that family", port->name);
		api_fail_error(call, &error);
		return;
	}
	begin(call, node, source, mem_json(json_pack("{s:s}", "port", port->name)));
}
