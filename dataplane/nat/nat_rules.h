/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_RULES_H
#define NAT_NAT_RULES_H
/* From what items say to the rules that workers go by. Control thread. */
#include "nat/nat_address.h"
#include "nat/nat_gateway.h"

struct nat_item_snat {
	char gateway[PORT_NAME_MAX];
	uint32_t index;
	struct ip_prefix source;
	bool nat64, deleted;
	struct nat_item_snat *next; /* by index */
	uint32_t n_eips;
	char eips[][PORT_NAME_MAX];
};

struct nat_item_dnat {
	char gateway[PORT_NAME_MAX];
	uint32_t index;
	char eip[PORT_NAME_MAX];
	enum nat_space space;
	uint16_t from, to, to_port;
	struct ip_addr to_address;
	bool deleted;
	struct nat_item_dnat *next; /* by index */
};

struct nat_item_gateway {
	char name[PORT_NAME_MAX];
	uint32_t vni;
	char vtep[PORT_NAME_MAX]; /* "": here */
	struct nat_rules form;    /* but what the other items say */
	bool deleted, dirty;
	uint64_t eips; /* what its elastic IPs were when its rules were made, hashed */
	struct nat_gateway *gw;
	struct nat_item_snat *snat;
	struct nat_item_dnat *dnat;
	struct nat_item_gateway *next;
};

/* All of them. */
struct nat_item_gateway *nat_items(void);

/* Are the rules of other elastic IPs than there are now? */
bool nat_rules_stale(const struct nat_item_gateway *g);
/* Makes and publishes them. Without memory the old ones stay, until it is tried again. */
void nat_rules_make(struct nat_item_gateway *g);
/* The gateway is gone, with its addresses. */
void nat_rules_retire(struct nat_gateway *gw);

#endif
