/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_EMISSION_H
#define CONTROLLER_EMISSION_H
/*
 * The compiler: from objects to the items each node needs, one object and one node at a time.
 *
 * A node is told of a VPC when something of it is there: a port, or a service that the node is the gateway of
 * (gateway.h); or something of a VPC that it is peered with. Then it is told of its subnets, routes, NAT gateways,
 * load balancers and the addresses of its ports elsewhere. Groups, prefix lists and VTEPs follow when
 * an item names them.
 */
#include "node.h"

/* What one object has put among one node's items. */
struct emission {
	struct emission *next;
	struct node *node;
	struct item **items;
	size_t count;
	struct presence *presence; /* of a port or a service that is here */
};

/* The object has changed (or is new, or gone): look at it again on every node when flushed. */
void emission_touch(struct controller *c, struct object *object);
/* … on one node. */
void emission_touch_on(struct node *node, struct object *object);
/* All of a VPC, on one node. */
void emission_touch_vpc(struct node *node, struct object *vpc);
/* A new node: all that concerns it. */
void emission_touch_node(struct node *node);
/* Emits what was touched, until nothing is left. */
void emission_flush(struct controller *c);
/* The node is going: frees what objects remember of it. */
void emission_forget_node(struct node *node);

bool emission_vpc_is_relevant(const struct node *node, const struct object *vpc);

/* emission_items.c: the items of an object for a node, appended to the array `out`. Pure. */
void emission_items(const struct node *node, const struct object *object, json_t *out);

/* emission_gateway.c: the same for services. */
void emission_gateway_items(const struct node *node, const struct object *object, json_t *out);
/* How the node reaches the service's gateway: *vtep is its name, NULL: the node is it. False: not at all. */
bool emission_way_to(const struct node *node, const struct object *service, const char **vtep);
/* A service has changed: so have others' items that say what it is. */
struct change;
void emission_touch_service(struct controller *c, const struct change *ch);

#endif
