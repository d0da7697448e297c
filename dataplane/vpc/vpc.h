/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_VPC_H
#define VPC_VPC_H
/* VPCs on this node: subnets, endpoints (every known address of a VPC, here or behind a VTEP), routes, peerings, vNICs.
 *
 * The control thread changes them (through southbound items, vpc_state.c); workers read under RCU.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/ip.h"
#include "core/epoch.h"
#include "core/location.h"
#include "port/port.h"

struct policy;
struct prefix_map;
struct flow;
struct group_set;

struct subnet {
	char name[PORT_NAME_MAX];
	struct vpc *vpc;
	struct ip_prefix prefix4, prefix6; /* family absent: len 255 */
	struct ip_addr gateway4, gateway6;
	bool dhcp;
	struct ip_addr dns[8];
	uint8_t n_dns;
	uint64_t revision;
};

enum route_kind { ROUTE_SUBNET, ROUTE_PEERING, ROUTE_ENDPOINT, ROUTE_VTEP, ROUTE_BLACKHOLE };

struct route {
	enum route_kind kind;
	char name[PORT_NAME_MAX];      /* "" for built-in ones */
	struct ip_prefix prefix;
	struct subnet *subnet;         /* SUBNET: the VPC's own */
	struct vpc *peer;              /* PEERING */
	struct ip_addr next_hop;       /* ENDPOINT: looked up in the VPC; VTEP: outer address */
	loc_t tunnel;                  /* VTEP */
	struct rte_ether_addr mac;     /* VTEP */
	epoch_slot_t epoch;
	uint64_t revision;
};

struct vpc {
	uint32_t index;                /* 1 ..; scope of session keys */
	uint32_t vni;
	char name[PORT_NAME_MAX];
	char tenant[PORT_NAME_MAX];
	uint16_t mtu;
	struct rte_ether_addr gw_mac;
	struct prefix_map *routes;     /* RCU; value: index into route table. Own subnets, peers' CIDRs, custom routes */
	epoch_slot_t epoch;            /* routes, peerings, MTU */
	uint64_t revision;
};

struct endpoint {
	uint32_t vpc_index;
	struct ip_addr addr;
	struct rte_ether_addr mac;
	loc_t where;                   /* port of this node or tunnel */
	struct subnet *subnet;         /* NULL: unknown */
	const struct group_set *groups; /* RCU */
	epoch_slot_t epoch;            /* location, MAC, membership */
	const char *port_name;
};

/* A tenant's vNIC behind a port of this node (port->vnic). */
struct vnic {
	struct port *port;
	struct vpc *vpc;
	struct subnet *subnet;
	struct ip_addr addrs[16];
	uint8_t n_addrs;
	struct ip_prefix *allowed;     /* beyond addrs */
	uint16_t n_allowed;
	const struct policy *policy;   /* RCU; of its groups */
	epoch_slot_t policy_epoch;     /* bumped when the policy says something else */
	const struct group_set *groups;
	uint64_t revision;
};

int vpc_init(uint32_t endpoint_capacity);

/* Worker-safe getters; NULL when there is none. */
struct vpc *vpc_get(uint32_t index);
struct vpc *vpc_by_vni(uint32_t vni);
struct endpoint *endpoint_get(uint32_t vpc_index, const struct ip_addr *addr);
/* Longest matching route of a VPC, own subnets and peers included. */
const struct route *route_get(const struct vpc *vpc, const struct ip_addr *dst);

#endif
