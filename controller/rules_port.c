/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"
#include "lib/kinds.h"
#include "mem.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

static const enum net_family families[] = {NET_IPV4, NET_IPV6};

static bool is_foreign(const struct object *node)
{
	return object_text(node, "rpc") == NULL;
}

static bool port_complete(const struct model *model, json_t *json, struct resource_error *error)
{
	const struct object *node;
	size_t count;

	if (json_object_get(json, "node") != NULL)
		return true;
	node = gateway_only_node(model, &count);
	if (node == NULL)
		return resource_fail(error, "/node",
			count == 0 ? "is required: there is no node with a dataplane"
				   : "is required: there are several nodes");
	json_object_set_new(json, "node", json_string(node->name));
	return true;
}

static struct range_set *used_of(struct object *subnet, enum net_family family)
{
	struct subnet_state *s = subnet->state;

	return family == NET_IPV4 ? &s->used4 : &s->used6;
}

static bool claim_address(
	struct object *port, const char *text, const char *path, struct resource_error *error)
{
	struct object *subnet = object_target(port, kind_find("subnet")), *owner;
	struct vpc_state *vpc = vpc_of(subnet)->state;
	struct net_addr addr, gateway;
	struct net_prefix range;

	net_addr_parse(text, &addr);
	if (!subnet_range(subnet->json, addr.family, &range, &gateway))
		return resource_fail(error, path, "subnet `%s` has no %s range", subnet->name,
			addr.family == NET_IPV4 ? "IPv4" : "IPv6");
	if (!net_prefix_contains(&range, &addr))
		return resource_fail(
			error, path, "%s is outside the range of subnet `%s`", text, subnet->name);
	if (!net_prefix_is_host(&range, &addr))
		return resource_fail(error, path,
			"%s is the network or broadcast address of subnet `%s`", text,
			subnet->name);
	if (net_addr_equal(&addr, &gateway))
		return resource_fail(
			error, path, "%s is the gateway of subnet `%s`", text, subnet->name);
	owner = strmap_get(&vpc->taken, text);
	if (owner != NULL)
		return resource_fail_code(error, ERROR_CONFLICT, path, "%s is taken by %s `%s`",
			text, owner->kind->name, owner->name);
	strmap_put(&vpc->taken, text, port);
	range_set_add(used_of(subnet, addr.family), range_of_addr(&addr), range_of_addr(&addr));
	return true;
}

static bool claim_mac(struct object *port, struct resource_error *error)
{
	const struct object *vpc = vpc_of(port);
	struct vpc_state *s = vpc->state;
	const char *text = object_text(port, "mac");
	struct net_mac mac, gateway;
	struct object *owner = strmap_get(&s->taken, text);

	net_mac_parse(text, &mac);
	vpc_gateway_mac(vpc, &gateway);
	if (net_mac_equal(&mac, &gateway))
		return resource_fail_code(
			error, ERROR_CONFLICT, "/mac", "%s is the gateway's address", text);
	if (owner != NULL)
		return resource_fail_code(error, ERROR_CONFLICT, "/mac", "%s is taken by port `%s`",
			text, owner->name);
	strmap_put(&s->taken, text, port);
	return true;
}

static bool port_claim(struct model *model, struct object *port, struct resource_error *error)
{
	const json_t *addresses = json_object_get(port->json, "addresses"), *address;
	size_t i;

	(void)model;
	json_array_foreach ((json_t *)addresses, i, address) {
		char path[40];

		snprintf(path, sizeof(path), "/addresses/%zu", i);
		if (!claim_address(port, json_string_value(address), path, error))
			return false;
	}
	return json_object_get(port->json, "mac") == NULL || claim_mac(port, error);
}

/* Takes the lowest free address of a family. */
static bool choose_address(struct object *port, enum net_family family, json_t *addresses,
	struct resource_error *error)
{
	struct object *subnet = object_target(port, kind_find("subnet"));
	struct vpc_state *vpc = vpc_of(subnet)->state;
	struct net_addr first, last, addr;
	struct net_prefix range;
	range_value value;
	char text[NET_ADDR_TEXT];
	json_t *json;

	if (!subnet_range(subnet->json, family, &range, NULL))
		return true;
	first = net_prefix_first_host(&range);
	last = net_prefix_last_host(&range);
	if (!range_set_lowest_free(
		    used_of(subnet, family), range_of_addr(&first), range_of_addr(&last), &value))
		return rules_exhausted(error, "/addresses", "addresses",
			"no address is left in subnet `%s`", subnet->name);
	addr = range_to_addr(family, value);
	json = json_string(net_addr_format(&addr, text));
	json_array_append_new(addresses, json);
	strmap_put(&vpc->taken, json_string_value(json), port);
	range_set_add(used_of(subnet, family), value, value);
	return true;
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
	h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ull;
	return h ^ (h >> 33);
}

/* Made of the names, so that a network that is built again looks the same. */
static void choose_mac(struct object *port)
{
	const struct object *vpc = vpc_of(port);
	struct vpc_state *s = vpc->state;
	uint64_t h = mix(vpc_vni(vpc));
	char text[NET_MAC_TEXT];
	json_t *json;

	for (const char *c = port->name; *c != '\0'; c++)
		h = mix(h + (unsigned char)*c);
	for (;; h = mix(h + 1)) {
		struct net_mac mac = {{0x06, (uint8_t)(h >> 32), (uint8_t)(h >> 24),
			(uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)h}};

		if (strmap_get(&s->taken, net_mac_format(&mac, text)) == NULL)
			break;
	}
	json = json_string(text);
	json_object_set_new(port->json, "mac", json);
	strmap_put(&s->taken, json_string_value(json), port);
}

static bool port_choose(struct model *model, struct object *port, struct resource_error *error)
{
	(void)model;
	if (json_object_get(port->json, "mac") == NULL)
		choose_mac(port);
	if (json_object_get(port->json, "addresses") == NULL) {
		json_t *addresses = mem_json(json_array());

		json_object_set_new(port->json, "addresses", addresses);
		for (size_t i = 0; i < 2; i++)
			if (!choose_address(port, families[i], addresses, error))
				return false;
	}
	return true;
}

static void port_release(struct model *model, struct object *port)
{
	struct object *subnet = object_target(port, kind_find("subnet"));
	const json_t *addresses = json_object_get(port->json, "addresses"), *address;
	const char *mac = object_text(port, "mac");
	struct vpc_state *vpc;
	size_t i;

	(void)model;
	if (subnet == NULL || vpc_of(subnet) == NULL)
		return;
	vpc = vpc_of(subnet)->state;
	if (mac != NULL && strmap_get(&vpc->taken, mac) == port)
		strmap_take(&vpc->taken, mac);
	json_array_foreach ((json_t *)addresses, i, address) {
		const char *text = json_string_value(address);
		struct net_addr addr;

		if (strmap_get(&vpc->taken, text) != port)
			continue;
		strmap_take(&vpc->taken, text);
		net_addr_parse(text, &addr);
		range_set_remove(
			used_of(subnet, addr.family), range_of_addr(&addr), range_of_addr(&addr));
	}
}

static bool port_check(
	const struct model *model, const struct object *port, struct resource_error *error)
{
	const struct object *node = object_target(port, kind_find("node"));
	const char *type = resource_text(json_object_get(port->json, "attachment"), "type");

	(void)model;
	if (node != NULL && is_foreign(node) && type != NULL && strcmp(type, "none") != 0)
		return resource_fail(error, "/attachment/type",
			"must be none: node `%s` has no dataplane of ours", node->name);
	return true;
}

static void port_fini(struct object *port)
{
	struct port_state *s = port->state;

	json_decref(s->live);
}

const struct kind_rules rules_port = {
	.kind = "port",
	.state_size = sizeof(struct port_state),
	.fini = port_fini,
	.complete = port_complete,
	.claim = port_claim,
	.choose = port_choose,
	.chooses_last = true,
	.release = port_release,
	.check = port_check,
	.recheck = port_check,
	.blamed = "/addresses",
};
