/* SPDX-License-Identifier: Apache-2.0 */
/* EIPs, NAT gateways and load balancers as they are shown: their dataplanes are asked for use and health. */
#include "gateway.h"
#include "mem.h"
#include "node.h"
#include "reconcile.h"
#include "rules.h"
#include "view_how.h"
#include "wanted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 512

/* ---- Whether it is in force ---- */

/* Why the EIP's network is not there; false: it is, or nobody knows. */
static bool network_is_missing(const struct object *eip, char *reason)
{
	const char *external = eip_external(eip);
	const struct object *node = gateway_of(eip);
	const char *family = eip_family(eip) == NET_IPV4 ? "IPv4" : "IPv6";

	if (node == NULL || gateway_network(node, external, eip_family(eip)) != GATEWAY_HAS_NOT)
		return false;
	if (external != NULL)
		snprintf(reason, REASON_MAX, "node `%s` has no outside network `%s` of %s",
			node->name, external, family);
	else
		snprintf(reason, REASON_MAX, "node `%s` has no outside network of %s", node->name,
			family);
	return true;
}

/* Can the EIP's gateway do what it should, as far as the controller knows? */
static bool eip_is_wrong(const struct object *eip, char *reason)
{
	const struct object *node = gateway_of(eip);
	const struct object *port = object_target(eip, kind_find("port"));
	struct net_addr addr;

	if (network_is_missing(eip, reason))
		return true;
	net_addr_parse(object_text(eip, "address"), &addr);
	if (gateway_node_has_address(node, &addr)) {
		snprintf(reason, REASON_MAX, "%s is an address of the outside network itself",
			object_text(eip, "address"));
		return true;
	}
	if (port == NULL || object_target(port, kind_find("node")) == node ||
		object_text(node, "vtep") != NULL)
		return false;
	snprintf(reason, REASON_MAX, "node `%s` has no vtep, and port `%s` is on another node",
		node->name, port->name);
	return true;
}

static bool is_wrong(const struct object *service, char *reason)
{
	if (strcmp(service->kind->name, "eip") == 0)
		return eip_is_wrong(service, reason);
	for (size_t i = 0; i < service->ref_count; i++) {
		const struct object *to = service->refs[i].to;
		char why[REASON_MAX];

		if (strcmp(to->kind->name, "eip") != 0 || !eip_is_wrong(to, why))
			continue;
		snprintf(reason, REASON_MAX, "EIP `%s`: %.400s", to->name, why);
		return true;
	}
	return false;
}

static const char *state_of(const struct controller *c, const struct object *service, char *reason)
{
	const char *where = object_text(service, "node"), *rejected;
	const struct node *node = node_find(c, where);

	reason[0] = '\0';
	if (node == NULL || !node_is_connected(node)) {
		snprintf(reason, REASON_MAX, "node `%s` is away", where);
		return "pending";
	}
	rejected = reconcile_rejection(node, service->kind->name, service->name);
	if (rejected != NULL) {
		snprintf(reason, REASON_MAX, "%s", rejected);
		return "error";
	}
	if (is_wrong(service, reason))
		return "error";
	if (wanted_is_told(node, service->kind->name, service->name))
		return "active";
	snprintf(reason, REASON_MAX, "node `%s` was not told yet", where);
	return "pending";
}

/* ---- EIPs ---- */

static void add_eip(const struct object *eip, json_t *status)
{
	const struct object *user = eip_user(eip);
	const char *private = eip_private_address(eip);

	json_object_set_new(status, "used_by",
		user != NULL ? json_pack("{s:s, s:s}", "kind", user->kind->name, "name", user->name)
			     : json_null());
	json_object_set_new(
		status, "private_address", private != NULL ? json_string(private) : json_null());
}

/* ---- NAT gateways ---- */

static json_t *protocol_shown(json_t *protocol)
{
	static const struct {
		json_int_t number;
		const char *name;
	} known[] = {{6, "tcp"}, {17, "udp"}, {1, "icmp"}, {58, "icmpv6"}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (json_is_integer(protocol) && json_integer_value(protocol) == known[i].number)
			return json_string(known[i].name);
	return json_incref(protocol);
}

static json_t *exhausted_in(const json_t *address, double rate)
{
	json_int_t left = resource_integer(address, "ports_total", 0) -
			  resource_integer(address, "ports_used", 0);
	json_t *own = json_object_get(address, "rate_per_s");

	if (json_is_number(own))
		rate = json_number_value(own);
	return rate > 0 ? json_integer((json_int_t)((double)(left > 0 ? left : 0) / rate))
			: json_null();
}

/* What a dataplane says of a NAT gateway, as it is shown. */
static json_t *nat_addresses(const json_t *answer)
{
	static const char *const counts[] = {
		"ports_used", "ports_total", "blocks_used", "blocks_total", "quarantined"};
	double rate = json_number_value(json_object_get(answer, "rate_per_s"));
	json_t *list = mem_json(json_array()), *entry, *shown;
	size_t i;

	json_array_foreach (json_object_get(answer, "addresses"), i, entry) {
		shown = json_pack("{s:O, s:O, s:o, s:o}", "eip", json_object_get(entry, "eip"),
			"address", json_object_get(entry, "address"), "protocol",
			protocol_shown(json_object_get(entry, "protocol")), "exhausted_in_s",
			exhausted_in(entry, rate));
		for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++)
			json_object_set_new(shown, counts[n],
				json_integer(resource_integer(entry, counts[n], 0)));
		json_array_append_new(list, shown);
	}
	return list;
}

/* `answer`: the gateway's item of nat.status; NULL: none. */
static void add_nat(const json_t *answer, json_t *status)
{
	json_t *rate = json_object_get(answer, "rate_per_s");

	json_object_set_new(status, "addresses", nat_addresses(answer));
	json_object_set_new(
		status, "sessions", json_integer(resource_integer(answer, "sessions", 0)));
	json_object_set_new(
		status, "refused", json_integer(resource_integer(answer, "refused", 0)));
	json_object_set_new(
		status, "rate_per_s", json_is_number(rate) ? json_incref(rate) : json_integer(0));
}

/* ---- Load balancers ---- */

static json_int_t transport_number(const json_t *protocol)
{
	const char *name = json_string_value(protocol);

	if (name == NULL)
		return json_integer_value(protocol);
	return strcmp(name, "tcp") == 0 ? 6 : 17;
}

/* What identifies a back end among all. */
static void backend_key(char *key, size_t size, const char *balancer, const json_t *protocol,
	json_int_t port, const char *address, json_int_t port_number)
{
	snprintf(key, size,
		"%s|%" JSON_INTEGER_FORMAT "|%" JSON_INTEGER_FORMAT "|%s|%" JSON_INTEGER_FORMAT,
		balancer, transport_number(protocol), port, address, port_number);
}

/* `backends`: what is known of each by its key; NULL: nothing. */
static json_t *backend_shown(const json_t *known, const json_t *backend, const char *address)
{
	const char *health = resource_text(known, "health");
	const char *reason = resource_text(known, "reason");
	json_t *since = json_object_get(known, "since"), *port = json_object_get(backend, "port");
	bool good = health != NULL && (strcmp(health, "up") == 0 || strcmp(health, "down") == 0);

	return json_pack("{s:o, s:s, s:O, s:O, s:s, s:o, s:s, s:I}", "port",
		port != NULL ? json_incref(port) : json_null(), "address", address, "port_number",
		json_object_get(backend, "port_number"), "weight",
		json_object_get(backend, "weight"), "health", good ? health : "unknown", "since",
		json_is_string(since) ? json_incref(since) : json_null(), "reason",
		reason != NULL ? reason : "", "connections",
		resource_integer(known, "connections", 0));
}

static json_t *listener_shown(const struct controller *c, const struct object *balancer,
	const json_t *listener, const json_t *backends)
{
	enum net_family family = balancer_family(balancer);
	json_t *list = mem_json(json_array()), *backend;
	json_int_t port = resource_integer(listener, "port", 0);
	char key[256];
	size_t i;

	json_array_foreach (json_object_get(listener, "backends"), i, backend) {
		const char *address = backend_address(&c->model, backend, family);

		if (address == NULL)
			continue;
		backend_key(key, sizeof(key), balancer->name, json_object_get(listener, "protocol"),
			port, address, resource_integer(backend, "port_number", 0));
		json_array_append_new(
			list, backend_shown(json_object_get(backends, key), backend, address));
	}
	return json_pack("{s:O, s:I, s:o}", "protocol", json_object_get(listener, "protocol"),
		"port", port, "backends", list);
}

static void add_balancer(const struct controller *c, const struct object *balancer,
	const json_t *backends, json_t *status)
{
	json_t *list = mem_json(json_array()), *listener;
	size_t i;

	json_array_foreach (json_object_get(balancer->json, "listeners"), i, listener)
		json_array_append_new(list, listener_shown(c, balancer, listener, backends));
	json_object_set_new(status, "listeners", list);
}

/* ---- Together ---- */

/* What dataplanes have said: of NAT gateways by name, of back ends by key. */
static json_t *status_of(struct controller *c, const struct object *service,
	const struct fan_out *fan, const json_t *said)
{
	char reason[REASON_MAX];
	const char *state = state_of(c, service, reason);
	json_t *status = json_pack("{s:s, s:s}", "state", state, "reason", reason);

	(void)fan;
	if (strcmp(service->kind->name, "eip") == 0)
		add_eip(service, status);
	else if (strcmp(service->kind->name, "nat_gateway") == 0)
		add_nat(json_object_get(said, service->name), status);
	else
		add_balancer(c, service, said, status);
	return status;
}

static json_t *status_unasked(struct controller *c, const struct object *service)
{
	return status_of(c, service, NULL, NULL);
}

/* Health is what the balancer's own node says; connections are counted wherever clients are. */
static void merge_backend(
	const struct controller *c, json_t *said, const struct node *node, json_t *item)
{
	const char *name = resource_text(item, "load_balancer");
	const char *address = resource_text(item, "address");
	const struct object *balancer = model_get(&c->model, "load_balancer", name);
	json_int_t connections = resource_integer(item, "connections", 0);
	json_t *before;
	char key[256];

	if (balancer == NULL || address == NULL)
		return;
	backend_key(key, sizeof(key), name, json_object_get(item, "protocol"),
		resource_integer(item, "port", 0), address,
		resource_integer(item, "port_number", 0));
	before = json_object_get(said, key);
	if (before == NULL) {
		before = json_object();
		json_object_set_new(said, key, before);
	}
	if (gateway_of(balancer) == node->object)
		json_object_update(before, item);
	connections += resource_integer(before, "connections_sum", 0);
	json_object_set_new(before, "connections_sum", json_integer(connections));
	json_object_set_new(before, "connections", json_integer(connections));
}

static json_t *gather(const struct fan_out *fan, const struct api_call *call)
{
	bool nat = strcmp(call->method->kind->name, "nat_gateway") == 0;
	json_t *said = mem_json(json_object()), *item;

	NODES_FOREACH(call->c, node)
	{
		size_t i;

		json_array_foreach (
			json_object_get(fan_out_result(fan, node->name), "items"), i, item) {
			const char *name = resource_text(item, "nat_gateway");

			if (!nat)
				merge_backend(call->c, said, node, item);
			else if (name != NULL)
				json_object_set(said, name, item);
		}
	}
	return said;
}

/* Who knows something about the object: a NAT gateway's node; of a balancer all that have it. */
static bool is_to_be_asked(const struct node *node, const struct object *service)
{
	bool nat = strcmp(service->kind->name, "nat_gateway") == 0;

	return (!nat || gateway_of(service) == node->object) &&
	       wanted_is_told(node, service->kind->name, service->name);
}

static json_t *names_for(const struct node *node, const struct api_call *call, json_t *result)
{
	json_t *names = mem_json(json_array()), *shown;

	for (size_t i = 0; (shown = view_shown(result, i)) != NULL; i++) {
		const struct object *service = model_find(
			&call->c->model, call->method->kind, resource_text(shown, "name"));

		if (service != NULL && is_to_be_asked(node, service))
			json_array_append_new(names, json_string(service->name));
	}
	return names;
}

static void ask(struct fan_out *fan, struct api_call *call, json_t *result)
{
	const char *kind = call->method->kind->name;
	const char *method = strcmp(kind, "nat_gateway") == 0 ? "nat.status" : "lb.status";

	NODES_FOREACH(call->c, node)
	{
		json_t *names;

		if (strcmp(kind, "eip") == 0 || !node_is_connected(node))
			continue;
		names = names_for(node, call, result);
		if (json_array_size(names) > 0)
			fan_out_ask(fan, node, method, json_pack("{s:O}", "names", names));
		json_decref(names);
	}
}

const struct view_how view_service = {
	.status = status_unasked, .ask = ask, .gather = gather, .status_asked = status_of};
