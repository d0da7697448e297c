/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include "rules.h"

#include <string.h>

static const char *const services[] = {"eip", "nat_gateway", "load_balancer", "route"};

bool gateway_is_service(const struct object *object)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(services[i], object->kind->name) == 0)
			return true;
	return false;
}

struct object *gateway_of(const struct object *object)
{
	return gateway_is_service(object) ? object_target(object, kind_find("node")) : NULL;
}

struct object *gateway_vpc(const struct object *object)
{
	const struct object *port;

	if (strcmp(object->kind->name, "eip") != 0)
		return gateway_of(object) != NULL ? vpc_of(object) : NULL;
	port = object_target(object, kind_find("port"));
	return port != NULL ? vpc_of(port) : NULL;
}

bool gateway_serves(const struct object *node)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		REFERRERS_FOREACH(node, kind_find(services[i]), ref)
	return true;
	return false;
}

/* ---- Which node ---- */

static bool is_ours(const struct object *node)
{
	return object_text(node, "rpc") != NULL;
}

const struct object *gateway_only_node(const struct model *model, size_t *count)
{
	const struct object *found = NULL;

	*count = 0;
	MODEL_FOREACH(model, kind_find("node"), node)
	{
		if (!is_ours(node))
			continue;
		found = node;
		if (++*count > 1)
			return NULL;
	}
	return found;
}

const struct object *gateway_choose(
	const struct model *model, const char *external, enum net_family family)
{
	size_t count;
	const struct object *only = gateway_only_node(model, &count);

	if (only != NULL)
		return only;
	MODEL_FOREACH(model, kind_find("node"), node)
	{
		if (is_ours(node) && gateway_network(node, external, family) == GATEWAY_HAS)
			return node;
	}
	return NULL;
}

bool gateway_choose_into(const struct model *model, json_t *json, const char *external,
	enum net_family family, struct resource_error *error)
{
	const struct object *node = gateway_choose(model, external, family);
	size_t count;

	if (node == NULL) {
		gateway_only_node(model, &count);
		return resource_fail(error, "/node",
			count == 0 ? "is required: there is no node with a dataplane"
				   : "is required: there are several nodes, none of which is "
				     "known to have that outside network");
	}
	json_object_set_new(json, "node", json_string(node->name));
	return true;
}

bool gateway_check(const struct object *service, struct resource_error *error)
{
	const struct object *node = gateway_of(service);

	return node == NULL || is_ours(node) ||
	       resource_fail(error, "/node", "node `%s` has no dataplane of ours", node->name);
}

/* ---- Outside networks ---- */

void gateway_learn(struct object *node, const json_t *hello)
{
	struct node_rules_state *s = node->state;
	json_t *externals = json_object_get(hello, "externals");

	json_decref(s->externals);
	s->externals = json_is_array(externals) ? json_incref(externals) : NULL;
}

static bool has_family(const json_t *network, enum net_family family)
{
	json_t *families = json_object_get(network, "families"), *entry;
	size_t i;

	json_array_foreach (families, i, entry)
		if (json_integer_value(entry) == family)
			return true;
	return family == NET_NONE;
}

enum gateway_network gateway_network(
	const struct object *node, const char *external, enum net_family family)
{
	const struct node_rules_state *s = node->state;
	const json_t *network;
	size_t i;

	if (s->externals == NULL)
		return GATEWAY_UNKNOWN;
	json_array_foreach (s->externals, i, network) {
		const char *name = resource_text(network, "name");

		if ((external == NULL || (name != NULL && strcmp(name, external) == 0)) &&
			has_family(network, family))
			return GATEWAY_HAS;
	}
	return GATEWAY_HAS_NOT;
}

const char *gateway_first_network(const struct object *node, enum net_family family)
{
	const struct node_rules_state *s = node->state;
	const json_t *network;
	size_t i;

	json_array_foreach (s->externals, i, network)
		if (has_family(network, family))
			return resource_text(network, "name");
	return NULL;
}

static bool lists_address(const json_t *network, const char *text)
{
	json_t *addresses = json_object_get(network, "addresses"), *entry;
	size_t i;

	json_array_foreach (addresses, i, entry) {
		const char *own = json_string_value(entry);
		size_t length = own != NULL ? strcspn(own, "/") : 0;

		if (length == strlen(text) && memcmp(own, text, length) == 0)
			return true;
	}
	return false;
}

bool gateway_node_has_address(const struct object *node, const struct net_addr *addr)
{
	const struct node_rules_state *s = node->state;
	char text[NET_ADDR_TEXT];
	const json_t *network;
	size_t i;

	net_addr_format(addr, text);
	json_array_foreach (s->externals, i, network)
		if (lists_address(network, text))
			return true;
	return false;
}

bool gateway_has_address(const struct model *model, const struct net_addr *addr)
{
	MODEL_FOREACH(model, kind_find("node"), node)
	{
		if (gateway_node_has_address(node, addr))
			return true;
	}
	return false;
}

/* ---- EIPs ---- */

static enum net_family family_of(const char *address)
{
	return strchr(address, ':') != NULL ? NET_IPV6 : NET_IPV4;
}

const char *eip_external(const struct object *eip)
{
	const struct object *pool = object_target(eip, kind_find("eip_pool"));
	const char *own = object_text(eip, "external");

	return own != NULL || pool == NULL ? own : object_text(pool, "external");
}

enum net_family eip_family(const struct object *eip)
{
	return family_of(object_text(eip, "address"));
}

static struct object *user_but(const struct object *eip, const struct object *but)
{
	static const char *const users[] = {"nat_gateway", "load_balancer"};
	struct object *port = object_target(eip, kind_find("port"));

	if (port != NULL && port != but)
		return port;
	for (size_t i = 0; i < 2; i++)
		REFERRERS_FOREACH(eip, kind_find(users[i]), ref)
	if (ref->from != but)
		return ref->from;
	return NULL;
}

struct object *eip_user(const struct object *eip)
{
	return user_but(eip, NULL);
}

bool eip_is_free_for(const struct object *eip, const struct object *user, const char *path,
	struct resource_error *error)
{
	const struct object *other = user_but(eip, user);

	return other == NULL || rules_in_use(error, path, other, "EIP `%s` serves %s `%s`",
					eip->name, other->kind->name, other->name);
}

const char *port_first_address(const struct object *port, enum net_family family)
{
	json_t *addresses = json_object_get(port->json, "addresses"), *address;
	size_t i;

	json_array_foreach (addresses, i, address)
		if (family_of(json_string_value(address)) == family)
			return json_string_value(address);
	return NULL;
}

const char *eip_private_address(const struct object *eip)
{
	const struct object *port = object_target(eip, kind_find("port"));
	const char *chosen = object_text(eip, "private_address");

	if (port == NULL)
		return NULL;
	return chosen != NULL ? chosen : port_first_address(port, eip_family(eip));
}
