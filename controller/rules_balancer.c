/* SPDX-License-Identifier: Apache-2.0 */
/* Load balancers: a private virtual address is taken in its VPC like a machine's; back ends are where they can be reached. */
#include "gateway.h"
#include "lib/kinds.h"
#include "mem.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

/* ---- Its node ---- */

/* That of the first back end that is a port and on a dataplane of ours. */
static const char *node_of_backends(const struct model *model, const json_t *json)
{
	json_t *listener, *backend;
	size_t i, j;

	json_array_foreach (json_object_get(json, "listeners"), i, listener)
		json_array_foreach (json_object_get(listener, "backends"), j, backend) {
			const struct object *port =
				model_get(model, "port", resource_text(backend, "port"));
			const char *name = port != NULL ? object_text(port, "node") : NULL;
			const struct object *node = model_get(model, "node", name);

			if (node != NULL && object_text(node, "rpc") != NULL)
				return node->name;
		}
	return NULL;
}

static const char *first_node(const struct model *model)
{
	MODEL_FOREACH(model, kind_find("node"), node)
	{
		if (object_text(node, "rpc") != NULL)
			return node->name;
	}
	return NULL;
}

static bool balancer_complete(const struct model *model, json_t *json, struct resource_error *error)
{
	const char *eip_name = resource_text(json, "eip"), *node;
	const struct object *eip = model_get(model, "eip", eip_name);

	if (json_object_get(json, "node") != NULL || (eip_name != NULL && eip == NULL))
		return true;
	node = eip != NULL ? object_text(eip, "node") : node_of_backends(model, json);
	if (node == NULL)
		node = first_node(model);
	if (node == NULL)
		return resource_fail(
			error, "/node", "is required: there is no node with a dataplane");
	json_object_set_new(json, "node", json_string(node));
	return true;
}

/* ---- Its address ---- */

/* The subnet that the address is in; NULL: none. */
static struct object *subnet_around(const struct object *vpc, const struct net_addr *addr)
{
	REFERRERS_FOREACH(vpc, kind_find("subnet"), ref)
	{
		struct net_prefix range;

		if (subnet_range(ref->from->json, addr->family, &range, NULL) &&
			net_prefix_contains(&range, addr))
			return ref->from;
	}
	return NULL;
}

static bool address_is_free(
	const struct object *vpc, const char *text, struct resource_error *error)
{
	const struct vpc_state *s = vpc->state;
	const struct object *owner = strmap_get(&s->taken, text), *subnet;
	struct net_prefix whole, range;

	net_prefix_parse_any(text, &whole);
	if (!vpc_covers(vpc, &whole))
		return resource_fail(
			error, "/address", "%s is outside the ranges of VPC `%s`", text, vpc->name);
	if (owner != NULL)
		return resource_fail_code(error, ERROR_CONFLICT, "/address",
			strcmp(owner->kind->name, "subnet") == 0 ? "%s is the gateway of %s `%s`"
								 : "%s is taken by %s `%s`",
			text, owner->kind->name, owner->name);
	subnet = subnet_around(vpc, &whole.addr);
	if (subnet != NULL && subnet_range(subnet->json, whole.addr.family, &range, NULL) &&
		!net_prefix_is_host(&range, &whole.addr))
		return resource_fail_code(error, ERROR_CONFLICT, "/address",
			"%s is the network or broadcast address of subnet `%s`", text,
			subnet->name);
	return true;
}

static bool balancer_claim(
	struct model *model, struct object *balancer, struct resource_error *error)
{
	struct object *vpc = vpc_of(balancer), *subnet;
	const char *text = object_text(balancer, "address");
	struct vpc_state *s = vpc->state;
	struct net_addr addr;

	(void)model;
	if (text == NULL)
		return true;
	if (!address_is_free(vpc, text, error))
		return false;
	net_addr_parse(text, &addr);
	strmap_put(&s->taken, text, balancer);
	subnet = subnet_around(vpc, &addr);
	if (subnet != NULL)
		subnet_reserve(subnet, &addr);
	return true;
}

static void balancer_release(struct model *model, struct object *balancer)
{
	struct object *vpc = vpc_of(balancer), *subnet;
	const char *text = object_text(balancer, "address");
	struct vpc_state *s = vpc != NULL ? vpc->state : NULL;
	struct net_addr addr;

	(void)model;
	if (s == NULL || text == NULL || strmap_get(&s->taken, text) != balancer)
		return;
	net_addr_parse(text, &addr);
	strmap_take(&s->taken, text);
	subnet = subnet_around(vpc, &addr);
	if (subnet != NULL)
		subnet_unreserve(subnet, &addr);
}

/* ---- Does it fit? ---- */

enum net_family balancer_family(const struct object *balancer)
{
	const struct object *eip = object_target(balancer, kind_find("eip"));
	const char *address = object_text(balancer, "address");

	if (eip != NULL)
		return eip_family(eip);
	return strchr(address, ':') != NULL ? NET_IPV6 : NET_IPV4;
}

const char *backend_address(
	const struct model *model, const json_t *backend, enum net_family family)
{
	const char *address = resource_text(backend, "address");
	const struct object *port = model_get(model, "port", resource_text(backend, "port"));

	return address != NULL || port == NULL ? address : port_first_address(port, family);
}

static bool by_port_check(const struct model *model, const struct object *balancer,
	const json_t *backend, struct resource_error *error)
{
	const struct object *port = model_get(model, "port", resource_text(backend, "port"));
	enum net_family family = balancer_family(balancer);

	if (vpc_of(port) != vpc_of(balancer))
		return resource_fail(error, "/port", "port `%s` is in VPC `%s`, not in `%s`",
			port->name, vpc_of(port)->name, vpc_of(balancer)->name);
	return port_first_address(port, family) != NULL ||
	       resource_fail(error, "/port", "port `%s` has no %s address", port->name,
		       family == NET_IPV4 ? "IPv4" : "IPv6");
}

static bool by_address_check(
	const struct object *balancer, const json_t *backend, struct resource_error *error)
{
	const char *text = resource_text(backend, "address");
	const char *own = object_text(balancer, "address");
	struct net_prefix whole;

	net_prefix_parse_any(text, &whole);
	if (whole.addr.family != balancer_family(balancer))
		return resource_fail(error, "/address",
			"%s and the virtual address are of different families", text);
	if (own != NULL && strcmp(own, text) == 0)
		return resource_fail(error, "/address", "%s is the virtual address itself", text);
	return vpc_covers(vpc_of(balancer), &whole) ||
	       resource_fail(error, "/address", "%s is outside the ranges of VPC `%s`", text,
		       vpc_of(balancer)->name);
}

/* Two back ends of one address and port would be one. `seen`: those before this one. */
static bool is_twice(const struct model *model, const struct object *balancer,
	const json_t *backend, json_t *seen)
{
	char key[NET_ADDR_TEXT + 24];

	snprintf(key, sizeof(key), "%s %" JSON_INTEGER_FORMAT,
		backend_address(model, backend, balancer_family(balancer)),
		resource_integer(backend, "port_number", 0));
	if (json_object_get(seen, key) != NULL)
		return true;
	json_object_set_new(seen, key, json_true());
	return false;
}

static bool backend_check(const struct model *model, const struct object *balancer,
	const json_t *backend, json_t *seen, struct resource_error *error)
{
	bool ok = resource_text(backend, "port") != NULL
			  ? by_port_check(model, balancer, backend, error)
			  : by_address_check(balancer, backend, error);

	return ok && (!is_twice(model, balancer, backend, seen) ||
			     resource_fail(error, "", "is in the list twice"));
}

static bool backends_check(const struct model *model, const struct object *balancer,
	const json_t *backends, struct resource_error *error)
{
	json_t *seen = mem_json(json_object()), *backend;
	bool ok = true;
	size_t i;

	json_array_foreach ((json_t *)backends, i, backend) {
		ok = backend_check(model, balancer, backend, seen, error);
		if (ok)
			continue;
		resource_error_prefix(error, "/backends/%zu", i);
		break;
	}
	json_decref(seen);
	return ok;
}

static bool clients_check(
	const struct object *balancer, const json_t *listener, struct resource_error *error)
{
	const json_t *clients = json_object_get(listener, "allow_cidrs"), *entry;
	bool ipv6 = balancer_family(balancer) == NET_IPV6;
	char path[48];
	size_t i;

	json_array_foreach ((json_t *)clients, i, entry) {
		const char *text = json_string_value(entry);

		snprintf(path, sizeof(path), "/allow_cidrs/%zu", i);
		if ((strchr(text, ':') != NULL) != ipv6)
			return resource_fail(error, path,
				"%s and the virtual address are of different families", text);
	}
	return true;
}

static bool node_check(const struct object *balancer, struct resource_error *error)
{
	const struct object *eip = object_target(balancer, kind_find("eip"));
	const struct object *node = gateway_of(balancer);

	if (!gateway_check(balancer, error))
		return false;
	if (eip == NULL)
		return true;
	if (!eip_is_free_for(eip, balancer, "/eip", error))
		return false;
	return gateway_of(eip) == node ||
	       resource_fail(error, "/node",
		       "EIP `%s` of load balancer `%s` is on node `%s`, not on `%s`", eip->name,
		       balancer->name, gateway_of(eip)->name, node->name);
}

static bool balancer_check(
	const struct model *model, const struct object *balancer, struct resource_error *error)
{
	const char *address = object_text(balancer, "address");
	const json_t *listener;
	struct net_prefix whole;
	size_t i;

	if (!node_check(balancer, error))
		return false;
	if (address != NULL && net_prefix_parse_any(address, &whole) &&
		!vpc_covers(vpc_of(balancer), &whole))
		return resource_fail(error, "/address", "%s is outside the ranges of VPC `%s`",
			address, vpc_of(balancer)->name);
	json_array_foreach (json_object_get(balancer->json, "listeners"), i, listener) {
		if (clients_check(balancer, listener, error) &&
			backends_check(
				model, balancer, json_object_get(listener, "backends"), error))
			continue;
		resource_error_prefix(error, "/listeners/%zu", i);
		return false;
	}
	return true;
}

const struct kind_rules rules_load_balancer = {
	.kind = "load_balancer",
	.complete = balancer_complete,
	.claim = balancer_claim,
	.release = balancer_release,
	.check = balancer_check,
	.recheck = balancer_check,
	.blamed = "/address",
};
