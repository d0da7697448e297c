/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_GATEWAY_H
#define CONTROLLER_GATEWAY_H
/*
 * What gateway services have in common: on which node one is, what an EIP serves, which outside networks a node has.
 *
 * A service is an EIP, a NAT gateway, a load balancer or a route to an outside network. Its `node` is its gateway.
 */
#include "model.h"

#include "lib/net.h"

/* Is it an object that a node serves? */
bool gateway_is_service(const struct object *object);
/* The node that serves it; NULL: none, or it is no service. */
struct object *gateway_of(const struct object *object);
/* The VPC that its node has to know for it; NULL: none. */
struct object *gateway_vpc(const struct object *object);
/* Does the node serve anything? */
bool gateway_serves(const struct object *node);

/* ---- Which node ---- */

/* The only node with a dataplane of ours, by its object; *count of them. NULL: none or several. */
const struct object *gateway_only_node(const struct model *model, size_t *count);
/*
 * A node for a service that names none: the only one, else the first by name that said that it has the outside
 * network (NULL: any) in that family (NET_NONE: any). NULL: there is none.
 */
const struct object *gateway_choose(
	const struct model *model, const char *external, enum net_family family);
/* Puts it into json["node"], or says at /node that it is required. */
bool gateway_choose_into(const struct model *model, json_t *json, const char *external,
	enum net_family family, struct resource_error *error);
/* Only a dataplane of ours can be a gateway: false with the error at /node. */
bool gateway_check(const struct object *service, struct resource_error *error);

/* ---- Outside networks of a node, as its dataplane says ---- */

/* Takes the answer to hello, or external.list. */
void gateway_learn(struct object *node, const json_t *hello);
enum gateway_network {
	GATEWAY_UNKNOWN, /* it has not said */
	GATEWAY_HAS,
	GATEWAY_HAS_NOT,
};
/* `external` NULL: any. */
enum gateway_network gateway_network(
	const struct object *node, const char *external, enum net_family family);
/* The name of its first one in that family; NULL: none. */
const char *gateway_first_network(const struct object *node, enum net_family family);
/* Is it an address that the node, or a next hop of it, has on an outside network? Any node? */
bool gateway_node_has_address(const struct object *node, const struct net_addr *addr);
bool gateway_has_address(const struct model *model, const struct net_addr *addr);

/* ---- EIPs ---- */

/* The outside network, its own or its pool's; NULL: the first of the family. */
const char *eip_external(const struct object *eip);
enum net_family eip_family(const struct object *eip);
/* What it serves: a port, a NAT gateway or a load balancer; NULL: nothing. Of several: in that order. */
struct object *eip_user(const struct object *eip);
/* False with `in_use` when it serves anything but `user`. */
bool eip_is_free_for(const struct object *eip, const struct object *user, const char *path,
	struct resource_error *error);
/* The address of its port that it stands for; NULL: it has none of that family. */
const char *eip_private_address(const struct object *eip);
/* The first of the object's `addresses` of that family; NULL: none. */
const char *port_first_address(const struct object *port, enum net_family family);

#endif
