/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXTERNAL_EXTERNAL_TRUNK_H
#define EXTERNAL_EXTERNAL_TRUNK_H
/* An interface and the networks on it, by VLAN tag. Never freed while the process runs. */
#include "external/external.h"

struct external_trunk {
	struct port *port;
	/* Read by workers; written at the start. */
	uint8_t by_vlan[4096]; /* index in networks + 1; 0: none */
	struct external *_Atomic networks[EXTERNALS_MAX];
	/* Control thread. */
	uint16_t mtu[EXTERNALS_MAX]; /* of networks, by configuration; 0: the interface's */
	struct port_spec spec;
	int ifindex;    /* of the open one; 0: none */
	bool mac_given; /* by configuration */
	bool open;
	bool reported; /* as not to be opened */
};

/* The interface whose port this is; NULL: it is none's. Any thread. */
const struct external_trunk *external_trunk_of(uint32_t port_index);

/* The network of a tag (0: none, or a priority alone) there; NULL: none. Any thread. */
static inline struct external *external_trunk_network(const struct external_trunk *t, uint16_t vlan)
{
	uint8_t at = t->by_vlan[vlan & 0x0fff];

	return at != 0 ? rcu_ptr_get(t->networks[at - 1]) : NULL;
}

#endif
