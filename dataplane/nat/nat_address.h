/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_ADDRESS_H
#define NAT_NAT_ADDRESS_H
/* Outside addresses that NAT gateways of this node translate to: their ports, who has them, what is forwarded.
 *
 * The control thread makes one for each elastic IP that a gateway's rules name; it stays until neither a rule nor a record refers
 * to it, so that a flow's end finds its ports. Workers find it by network and address, or by the id in a record.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "eip/eip.h"
#include "nat/nat_ports.h"
#include "nat/nat_table.h"

#define NAT_ADDRESSES_MAX 16384u

/* A rule of DNAT. */
struct nat_forward {
	enum nat_space space;
	uint16_t from, to; /* outside ports */
	uint16_t to_port;  /* inside, of the first */
	uint16_t gateway;  /* id */
	uint32_t rule;     /* index in the gateway's `dnat` */
	struct ip_addr to_address;
	uint32_t record; /* NAT_FORWARD: what its sessions hold */
};

/* Those of an address, by space and ports; RCU. */
struct nat_forwards {
	uint32_t n;
	struct nat_forward list[];
};

/* To know which it is about. */
struct nat_address_space {
	struct nat_address *address;
	enum nat_space space;
};

struct nat_address {
	uint32_t id; /* 1 .. */
	struct eip_handle eip;
	struct ip_addr ip;
	uint32_t network; /* external->index */
	uint32_t block;   /* ports a block */
	struct nat_ports *ports[NAT_SPACES];
	struct nat_address_space spaces[NAT_SPACES];
	_Atomic uint32_t *mapped
		[NAT_SPACES]; /* by outside port: NAT_MAPPING, 0: none. May be out of date: compare */
	struct nat_forwards *_Atomic forwards;
	struct nat_address *_Atomic next; /* in its chain */
	_Atomic uint32_t records;         /* that refer to it */
	/* Control thread. */
	uint16_t gateway;    /* whose rules name it */
	bool named;          /* by a rule; else it waits for its records to go */
	uint64_t left_token; /* RCU: since when it is not */
};

/* Worker-safe; NULL: none. */
struct nat_address *nat_address_at(uint32_t id);
struct nat_address *nat_address_find(uint32_t network, const struct ip_addr *ip);
/* The forward of a port, or NULL. */
const struct nat_forward *nat_forward_find(
	const struct nat_address *a, enum nat_space space, uint16_t port);
/* The elastic IP it stands for, if that is still so. */
const struct eip *nat_address_eip(const struct nat_address *a);

/*
 * Control thread.
 */
/* For the address of `eip`, with blocks of that size; an old one is taken up again if it fits. NULL: out of memory. */
struct nat_address *nat_address_get(const struct eip *eip, uint32_t block);
/* Publishes these (may be NULL), reserves their ports; takes the list. Forwards that are the same keep their records. -ENOMEM: the
 * last ones are missing. */
int nat_address_set_forwards(struct nat_address *a, struct nat_forwards *forwards);
/* No rule names it. */
void nat_address_leave(struct nat_address *a);
void nat_address_each(void (*fn)(struct nat_address *a, void *arg), void *arg);
/* Ports that have rested; addresses that nobody refers to any more. */
void nat_address_turn(uint32_t now_ms);

#endif
