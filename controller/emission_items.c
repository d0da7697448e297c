/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind of object is to a node, in the columns of lib/southbound.c. */
#include "claims.h"
#include "controller.h"
#include "emission.h"
#include "flow_log.h"
#include "gateway.h"
#include "hook.h"
#include "inspection.h"
#include "lib/kinds.h"
#include "mem.h"
#include "mirror.h"
#include "response.h"
#include "rule_parts.h"
#include "rules.h"
#include "wanted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static bool is_named(const struct node *node, const char *kind, const char *name)
{
	const struct item *item = wanted_of(node, kind, name);

	return item != NULL && item->refs > 0;
}

static void add(json_t *out, json_t *item)
{
	json_array_append_new(out, mem_json(item));
}

static json_int_t revision_of(const struct object *object)
{
	return (json_int_t)object_revision(object);
}

static void node_items(const struct node *node, const struct object *object, json_t *out)
{
	const char *vtep = object_text(object, "vtep");

	if (vtep == NULL || !object->present || !is_named(node, "vtep", object->name))
		return;
	add(out, json_pack("[s, s, s, b]", "vtep", object->name, vtep, gateway_serves(object)));
	if (object_text(object, "rpc") == NULL)
		add(out, json_pack("[s, s]", "foreign", object->name));
}

static json_t *peers_on(const struct node *node, const struct object *vpc)
{
	json_t *vnis = mem_json(json_array());

	REFERRERS_FOREACH(vpc, kind_find("peering"), ref)
	{
		const struct object *other = peering_other(ref->from, vpc);

		if (peering_is_active(ref->from) && emission_vpc_is_relevant(node, other))
			json_array_append_new(vnis, json_integer(vpc_vni(other)));
	}
	return vnis;
}

/* What its tenant's quota leaves it. */
static void vpc_share(const struct node *node, const struct object *vpc, json_t *out)
{
	const struct object *tenant = model_get(&node->c->model, "tenant", object_tenant(vpc));
	json_int_t sessions =
		tenant != NULL
			? resource_integer(json_object_get(tenant->json, "quotas"), "sessions", 0)
			: 0;

	if (sessions > 0)
		add(out, json_pack("[s, I, I]", "share", (json_int_t)vpc_vni(vpc), sessions));
}

static void vpc_items(const struct node *node, const struct object *vpc, json_t *out)
{
	char mac_text[NET_MAC_TEXT];
	struct net_mac mac;

	if (!emission_vpc_is_relevant(node, vpc))
		return;
	vpc_gateway_mac(vpc, &mac);
	add(out, json_pack("[s, I, s, s, O, s, O, o, I]", "vpc", (json_int_t)vpc_vni(vpc),
			 vpc->name, object_tenant(vpc), json_object_get(vpc->json, "mtu"),
			 net_mac_format(&mac, mac_text), json_object_get(vpc->json, "cidrs"),
			 peers_on(node, vpc), revision_of(vpc)));
	vpc_share(node, vpc, out);
	inspection_items(node, vpc, out);
}

static void append_range(json_t *item, const struct object *subnet, enum net_family family)
{
	char prefix_text[NET_PREFIX_TEXT], addr_text[NET_ADDR_TEXT];
	struct net_prefix range;
	struct net_addr gateway;
	bool there = subnet_range(subnet->json, family, &range, &gateway);

	json_array_append_new(
		item, text_or_null(there ? net_prefix_format(&range, prefix_text) : NULL));
	json_array_append_new(
		item, text_or_null(there ? net_addr_format(&gateway, addr_text) : NULL));
}

static void subnet_items(const struct node *node, const struct object *subnet, json_t *out)
{
	const struct object *vpc = vpc_of(subnet);
	json_t *item;

	if (!emission_vpc_is_relevant(node, vpc))
		return;
	item = mem_json(json_pack("[s, s, I]", "subnet", subnet->name, (json_int_t)vpc_vni(vpc)));
	append_range(item, subnet, NET_IPV4);
	append_range(item, subnet, NET_IPV6);
	json_array_append(item, json_object_get(subnet->json, "dhcp"));
	json_array_append(item, json_object_get(subnet->json, "dns_servers"));
	json_array_append_new(item, json_integer(revision_of(subnet)));
	add(out, item);
}

/* The rate as it is, or null when it limits nothing. */
static json_t *rate_of(const struct object *port)
{
	json_t *rate = json_object_get(port->json, "rate"), *value;
	const char *key;

	json_object_foreach (rate, key, value)
		if (json_integer_value(value) != 0)
			return json_incref(rate);
	return json_null();
}

static void port_here(const struct object *port, json_t *out)
{
	const struct object *subnet = object_target(port, kind_find("subnet"));
	const json_t *json = port->json;

	add(out, json_pack("[s, s, I, s, O, O, o, O, O, O, o, O, I]", "port", port->name,
			 (json_int_t)vpc_vni(vpc_of(port)), subnet->name,
			 json_object_get(json, "mac"), json_object_get(json, "addresses"),
			 response_groups(port), json_object_get(json, "port_security"),
			 json_object_get(json, "allowed_addresses"),
			 json_object_get(json, "enabled"), rate_of(port),
			 json_object_get(json, "attachment"), revision_of(port)));
}

static void endpoint_item(
	const struct object *port, const struct object *where, json_t *address, json_t *out)
{
	const struct object *subnet = object_target(port, kind_find("subnet"));

	add(out,
		json_pack("[s, I, O, O, s, s, s, o]", "endpoint", (json_int_t)vpc_vni(vpc_of(port)),
			address, json_object_get(port->json, "mac"), where->name, subnet->name,
			port->name, response_groups(port)));
}

static bool is_own(const struct object *port, const json_t *address)
{
	json_t *own = json_object_get(port->json, "addresses"), *entry;
	size_t i;

	json_array_foreach (own, i, entry)
		if (json_equal(entry, address))
			return true;
	return false;
}

/* Its own addresses, and those it may use beside others as far as they are behind it now. */
static void port_elsewhere(
	const struct node *node, const struct object *port, const struct object *where, json_t *out)
{
	json_t *addresses = json_object_get(port->json, "addresses"), *address;
	json_t *allowed = json_object_get(port->json, "allowed_addresses");
	size_t i;

	json_array_foreach (addresses, i, address)
		endpoint_item(port, where, address, out);
	json_array_foreach (allowed, i, address) {
		const char *text = json_string_value(address);

		if (strchr(text, '/') == NULL && !is_own(port, address) &&
			claims_port_has(node->c, port, text))
			endpoint_item(port, where, address, out);
	}
}

static void port_items(const struct node *node, const struct object *port, json_t *out)
{
	const struct object *where = object_target(port, kind_find("node"));

	if (where == node->object)
		port_here(port, out);
	else if (object_text(where, "vtep") != NULL && emission_vpc_is_relevant(node, vpc_of(port)))
		port_elsewhere(node, port, where, out);
}

static void prefix_list_items(const struct node *node, const struct object *list, json_t *out)
{
	if (list->present && is_named(node, "prefix_list", list->name))
		add(out, json_pack("[s, s, O, I]", "prefix_list", list->name,
				 json_object_get(list->json, "cidrs"), revision_of(list)));
}

static void indicator_list_items(const struct node *node, const struct object *list, json_t *out)
{
	if (list->present && is_named(node, "indicator_list", list->name))
		add(out, json_pack("[s, s, O, I]", "indicator_list", list->name,
				 json_object_get(list->json, "entries"), revision_of(list)));
}

static int protocol_number(const json_t *protocol)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {{"any", -1}, {"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}};
	const char *name = json_string_value(protocol);

	for (size_t i = 0; name != NULL && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].number;
	return json_is_integer(protocol) ? (int)json_integer_value(protocol) : -1;
}

static void set_remote(struct sb_rule *rule, const json_t *json)
{
	static const struct {
		const char *field;
		enum sb_remote remote;
	} kinds[] = {
		{"remote_cidr", SB_REMOTE_CIDR},
		{"remote_group", SB_REMOTE_GROUP},
		{"remote_prefix_list", SB_REMOTE_LIST},
	};

	rule->remote = SB_REMOTE_ANY;
	rule->name = "";
	for (size_t i = 0; rule->remote == SB_REMOTE_ANY && i < 3; i++) {
		const char *name = resource_text(json, kinds[i].field);

		if (name == NULL)
			continue;
		rule->remote = kinds[i].remote;
		rule->name = name;
	}
}

static json_t *rule_text(const json_t *json)
{
	const char *ports_text = resource_text(json, "ports");
	struct net_ports ports = {0, 65535};
	char text[SB_RULE_TEXT];
	struct sb_rule rule;

	if (ports_text != NULL)
		net_ports_parse(ports_text, &ports);
	rule = (struct sb_rule){
		.ingress = strcmp(resource_text(json, "direction"), "ingress") == 0,
		.allow = strcmp(resource_text(json, "action"), "allow") == 0,
		.priority = (int)resource_integer(json, "priority", 1000),
		.protocol = protocol_number(json_object_get(json, "protocol")),
		.port_from = ports.first,
		.port_to = ports.last,
		.icmp_type = (int)resource_integer(json, "icmp_type", -1),
		.icmp_code = (int)resource_integer(json, "icmp_code", -1),
	};
	set_remote(&rule, json);
	return json_string_nocheck(sb_rule_format(&rule, text));
}

static void security_group_items(const struct node *node, const struct object *group, json_t *out)
{
	const struct list_cut *cut;

	if (!group->present || !is_named(node, "group", group->name))
		return;
	add(out, json_pack("[s, s, I]", "group", group->name, revision_of(group)));
	cut = rule_parts_of(group, rule_text);
	for (size_t i = 0; i < cut->count; i++)
		json_array_append(out, cut->parts[i].data);
}

/* A route's item but for what its next hop says. */
struct hop {
	const char *kind, *address, *mac, *vtep, *target;
};

static void add_route(json_t *out, const struct object *route, const struct hop *hop)
{
	add(out, json_pack("[s, I, O, s, s, o, o, o, o, I]", "route",
			 (json_int_t)vpc_vni(vpc_of(route)),
			 json_object_get(route->json, "destination"), route->name, hop->kind,
			 text_or_null(hop->address), text_or_null(hop->mac),
			 text_or_null(hop->vtep), text_or_null(hop->target), revision_of(route)));
}

/* To an outside network, or to a NAT gateway. */
static void add_service_route(const struct node *node, const struct object *route,
	const struct object *service, const char *kind, const char *target, json_t *out)
{
	struct hop hop = {.kind = kind, .target = target};

	if (emission_way_to(node, service, &hop.vtep))
		add_route(out, route, &hop);
}

static void route_items(const struct node *node, const struct object *route, json_t *out)
{
	const json_t *next = json_object_get(route->json, "next_hop");
	const char *kind = resource_text(next, "kind"), *name = resource_text(next, "name");
	bool ipv6 = strchr(object_text(route, "destination"), ':') != NULL;
	struct hop hop = {.kind = kind};
	char vtep[80];

	if (gateway_of(route) != node->object && !emission_vpc_is_relevant(node, vpc_of(route)))
		return;
	if (strcmp(kind, "blackhole") == 0) {
		add_route(out, route, &hop);
	} else if (strcmp(kind, "port") == 0) {
		hop.kind = "endpoint";
		hop.address = port_first_address(
			object_target(route, kind_find("port")), ipv6 ? NET_IPV6 : NET_IPV4);
		if (hop.address != NULL)
			add_route(out, route, &hop);
	} else if (strcmp(kind, "vtep") == 0) {
		hop.address = resource_text(next, "address");
		hop.mac = resource_text(next, "mac");
		snprintf(vtep, sizeof(vtep), "addr:%s", hop.address);
		hop.vtep = vtep;
		add_route(out, route, &hop);
	} else if (strcmp(kind, "nat_gateway") == 0) {
		add_service_route(node, route, object_target(route, kind_find("nat_gateway")), kind,
			name, out);
	} else if (strcmp(kind, "external") == 0) {
		add_service_route(node, route, route, kind, name != NULL ? name : "", out);
	}
	/* peering: the peers' ranges are reachable without a route. */
}

void emission_items(const struct node *node, const struct object *object, json_t *out)
{
	static const struct {
		const char *kind;
		void (*items)(const struct node *, const struct object *, json_t *);
	} makers[] = {
		{"node", node_items},
		{"vpc", vpc_items},
		{"subnet", subnet_items},
		{"port", port_items},
		{"prefix_list", prefix_list_items},
		{"indicator_list", indicator_list_items},
		{"security_group", security_group_items},
		{"route", route_items},
		{"eip", emission_gateway_items},
		{"nat_gateway", emission_gateway_items},
		{"load_balancer", emission_gateway_items},
		{"mirror", mirror_items},
		{"flow_log", flow_log_items},
		{"hook", hook_items},
	};

	for (size_t i = 0; object->present && i < sizeof(makers) / sizeof(makers[0]); i++)
		if (strcmp(makers[i].kind, object->kind->name) == 0)
			makers[i].items(node, object, out);
}
