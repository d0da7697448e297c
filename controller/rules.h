/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_RULES_H
#define CONTROLLER_RULES_H
/*
 * What the controller knows about a kind beyond its description: what its objects take from others
 * (VNIs, addresses), what it chooses for them, and how they must fit together. One rules_*.c file a kind.
 *
 * In a transaction all old versions release first, then the new ones complete, are linked, claim, choose and
 * are checked; see txn.c. Each function may be NULL.
 */
#include "model.h"

struct kind_rules {
	const char *kind;
	/* object->state, zeroed before; it lasts as long as the object. */
	size_t state_size;
	void (*init)(struct object *object);
	void (*fini)(struct object *object);
	/* Before its references are made: fields whose default depends on the model. */
	bool (*complete)(const struct model *model, json_t *json, struct resource_error *error);
	/* Takes what the object names. After false, release() is called all the same. */
	bool (*claim)(struct model *model, struct object *object, struct resource_error *error);
	/* Chooses and takes what it does not name, and writes it into the object. */
	bool (*choose)(struct model *model, struct object *object, struct resource_error *error);
	/* It chooses after all kinds have claimed: what it takes others may name. */
	bool chooses_last;
	/* Gives back whatever it holds; nothing when it holds nothing. References are still made. */
	void (*release)(struct model *model, struct object *object);
	/* Does it fit its neighbours? All objects of the transaction are in place. */
	bool (*check)(const struct model *model, const struct object *object,
		struct resource_error *error);
	/* Does it still fit, after an object that it refers to has changed? That object's kind says in
	 * `blamed` which of its own fields is to blame if not. */
	bool (*recheck)(const struct model *model, const struct object *object,
		struct resource_error *error);
	const char *blamed;
};

/* Never NULL: a kind without rules has empty ones. */
const struct kind_rules *rules_of(const struct kind *kind);

extern const struct kind_rules rules_vpc, rules_subnet, rules_port, rules_node, rules_route,
	rules_peering, rules_security_group, rules_eip_pool, rules_eip, rules_nat_gateway,
	rules_load_balancer, rules_mirror;

/* `exhausted` with data.what. */
bool rules_exhausted(struct resource_error *error, const char *path, const char *what,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* `in_use` with data.referrers: `user` has it. */
bool rules_in_use(struct resource_error *error, const char *path, const struct object *user,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The data of the last `in_use`: {referrers}. New reference. */
json_t *rules_in_use_data(void);
/* What the last `exhausted` ran out of, in the words of data.what. */
const char *rules_exhausted_what(void);

/* ---- What is derived from VPCs and subnets ---- */

struct vpc_state {
	struct strmap taken;  /* address or MAC text → the port or subnet that has it */
	struct strmap routes; /* destination → route */
	struct range_set subnets4, subnets6;
	bool has_vni;
	unsigned alerts; /* taken lately, alert.c */
	uint64_t alerts_at_ms;
};

struct subnet_state {
	struct range_set used4, used6; /* addresses of ports and gateways */
	bool claimed4, claimed6;
};

/* What its dataplane said of a node's outside networks, gateway.h. */
struct node_rules_state {
	json_t *externals; /* [{name, families, addresses}]; NULL: nothing yet */
};

struct pool_state {
	bool claimed;
};

/* What its dataplane said last of a port. */
struct port_state {
	json_t *live; /* an item of port.status; NULL: nothing yet */
	uint64_t at_ms;
};

struct object *vpc_of(
	const struct object *object); /* of whatever is in a VPC; NULL: it is in none */
/* Is all of it in one of the VPC's ranges? */
bool vpc_covers(const struct object *vpc, const struct net_prefix *range);
uint32_t vpc_vni(const struct object *vpc);
/* The gateway's MAC of all its subnets: made of the VNI, so equal everywhere and for ever. */
void vpc_gateway_mac(const struct object *vpc, struct net_mac *mac);

/* An address that no port of the subnet is to be given by itself. */
void subnet_reserve(struct object *subnet, const struct net_addr *addr);
void subnet_unreserve(struct object *subnet, const struct net_addr *addr);

/* Has the gateway an EIP of that family for this entry of its `snat`? */
bool nat_has_eip(const struct model *model, const struct object *nat, const json_t *snat,
	enum net_family family);

/* The family of the balancer's virtual address, and a back end's address of a family. */
enum net_family balancer_family(const struct object *balancer);
const char *backend_address(
	const struct model *model, const json_t *backend, enum net_family family);

/* The address that a mirror sends to; NULL: none. */
const char *mirror_collector(const struct object *mirror);
/* Under which nodes send one another copies for its target port; 0: it has none. */
uint32_t mirror_vni(const struct object *mirror);

/* Another node that has the node's `rpc` or `vtep`, which *field is then; NULL: none. */
struct object *node_rival(const struct model *model, const struct object *node, const char **field);

/* Is the peering in force, and what is the other VPC? */
bool peering_is_active(const struct object *peering);
bool peering_accept(json_t *peering);
struct object *peering_other(const struct object *peering, const struct object *vpc);

#endif
