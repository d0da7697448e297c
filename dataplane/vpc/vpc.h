/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_VPC_H
#define VPC_VPC_H
/* VPCs on this node: subnets, endpoints (every known address of a VPC, here or behind a VTEP), routes,
 * peerings, vNICs.
 *
 * The control thread changes them (through southbound items, *_state.c); workers read under RCU. Records
 * that workers reach are not changed once published but replaced, apart from fields that say otherwise;
 * a struct vpc stays the same object as long as its VNI is here.
 */
#include <stdbool.h>
#include <stdint.h>

#include <sys/queue.h>

#include <rte_ether.h>

#include "base/hash_table.h"
#include "base/ip.h"
#include "core/epoch.h"
#include "core/location.h"
#include "port/port.h"
#include "qos/qos.h"

struct json_t;
struct policy;
struct prefix_map;
struct flow;
struct group_set;
struct external;
struct flow_service;

#define VPC_INDEX_MAX 65536u /* VPCs of a node; an index is not used again before all others were */
#define IP_PREFIX_NONE 255   /* len of a prefix that is not there */

struct subnet {
	char name[PORT_NAME_MAX];
	struct vpc *vpc;
	struct ip_prefix prefix4, prefix6; /* family absent: len IP_PREFIX_NONE */
	struct ip_addr gateway4, gateway6; /* all zero when absent */
	bool dhcp;
	struct ip_addr dns[8];
	uint8_t n_dns;
	uint64_t revision;
	/* Control thread only. */
	struct subnet *next;        /* of the same VPC */
	struct subnet *replaced_by; /* retired: its successor, or NULL */
	bool retired;
};

enum route_kind {
	ROUTE_SUBNET,
	ROUTE_PEERING,
	ROUTE_ENDPOINT,
	ROUTE_VTEP,
	ROUTE_BLACKHOLE,
	ROUTE_NAT_GATEWAY,
	ROUTE_EXTERNAL, /* out of the VPC as it is */
	ROUTE_INWARD    /* of a scope: into a VPC that has a route to its network */
};

struct route {
	enum route_kind kind;
	char name[PORT_NAME_MAX]; /* of the route object; SUBNET, PEERING: of what it leads to */
	struct ip_prefix prefix;
	struct subnet *subnet;   /* SUBNET: the VPC's own */
	struct vpc *peer;        /* PEERING; INWARD: the VPC */
	struct ip_addr next_hop; /* ENDPOINT: looked up in the VPC; VTEP: outer address */
	loc_t tunnel; /* VTEP; NAT_GATEWAY, EXTERNAL: who forwards, LOC_NONE: this node */
	struct rte_ether_addr mac;  /* VTEP */
	char target[PORT_NAME_MAX]; /* NAT_GATEWAY: its name; EXTERNAL: the network's */
	struct external *external;  /* EXTERNAL, on this node; NULL: it has no such network */
	uint64_t revision;
};

/* A route that somebody wrote. Control thread only. */
struct custom_route {
	struct route route;
	struct vpc *vpc;
	struct hash_node by_destination;
	LIST_ENTRY(custom_route) link;    /* of the VPC */
	LIST_ENTRY(custom_route) outward; /* with route.external: of the VPC's outward ones */
};

struct route_table;

struct vpc {
	uint32_t index; /* 1 ..; scope of session keys */
	uint32_t vni;
	struct rte_ether_addr gw_mac;       /* of all its subnets */
	uint16_t mtu;                       /* changes in place */
	epoch_slot_t epoch;                 /* routes, peerings, subnets, MTU */
	struct route_table *_Atomic routes; /* RCU: own subnets, peers' CIDRs, custom routes */
	struct ip_addr gw_link_local;       /* fe80:: of gw_mac: source of router advertisements */
	char name[PORT_NAME_MAX];
	char tenant[PORT_NAME_MAX];
	uint64_t revision;
	struct external *
		external; /* not a VPC: the scope of an outside network, without VNI and subnets; NULL: a VPC */
	/* Control thread only. */
	struct ip_prefix *cidrs;
	uint32_t *peers; /* VNIs */
	uint32_t n_cidrs, n_peers;
	struct subnet *subnets;
	LIST_HEAD(, custom_route) custom_routes;
	LIST_HEAD(, custom_route) outward_routes; /* those of them into networks of this node */
	struct vpc *next_dirty;
	bool dirty, retired;
};

struct endpoint {
	struct endpoint *_Atomic next;     /* in its hash chain */
	struct endpoint *_Atomic mac_next; /* in that of its MAC; IPv6 only */
	struct ip_addr addr;
	uint32_t vpc_index;
	loc_t where;        /* port of this node or tunnel */
	epoch_slot_t epoch; /* location, MAC, membership */
	struct rte_ether_addr mac;
	bool own_epoch;                /* else the slot is the VPC's */
	struct subnet *_Atomic subnet; /* NULL: unknown */
	const struct group_set *groups;
	const struct flow_service *
		service; /* no machine's address but a service's (core/road.h); `where` is LOC_NONE */
	char port_name[]; /* northbound name; of the service's object */
};

/* A tenant's vNIC behind a port of this node (port->vnic, RCU). */
struct vnic {
	struct port *port;
	struct vpc *vpc;
	struct subnet *_Atomic subnet;
	struct ip_addr addrs[16];
	uint8_t n_addrs;
	uint16_t n_allowed;
	struct ip_prefix *allowed; /* beyond addrs */
	struct ip_addr link_local; /* fe80:: of its MAC */
	struct policy *policy;     /* of its groups */
	epoch_slot_t policy_epoch; /* bumped when the policy says something else */
	epoch_slot_t epoch;        /* of the vNIC itself: its groups, what it may send from */
	const struct group_set *groups;
	struct qos_port rate; /* what its flows pass */
	uint64_t revision;
	/* Control thread only. */
	struct json_t *attachment; /* what the port is opened with */
	struct vnic *next_sharing; /* of those with single addresses beside their own */
	struct ip_addr *claimed;   /* out of the networks among `allowed` */
	uint32_t n_claimed;
};

/* Tables for so many endpoints, addresses of local ports included. -ENOMEM. Once, before any item. */
int vpc_init(uint32_t endpoint_capacity);

/*
 * Worker-safe getters; NULL when there is none.
 */
struct vpc *vpc_get(uint32_t index);
struct vpc *vpc_by_vni(uint32_t vni);
/* Also by a port's link-local address (EUI-64 of its MAC), if it has another IPv6 address: then that one's record. */
struct endpoint *endpoint_get(uint32_t vpc_index, const struct ip_addr *addr);
/* For who will look for it soon: where its chain begins. */
void endpoint_prefetch(uint32_t vpc_index, const struct ip_addr *addr);
uint32_t endpoint_count(void);
uint32_t endpoint_capacity(void);
/* Longest matching route of a VPC, own subnets and peers included. */
const struct route *route_get(const struct vpc *vpc, const struct ip_addr *dst);
/* The same of a flow's destination, which may be known. `vpc`: where it arrived. */
const struct route *route_of(const struct vpc *vpc, const struct flow *f);
/* Where packets with a source come from: its owner in the VPC or, over a peering, in the peer; else what a route leads to. */
struct origin {
	const struct endpoint *endpoint; /* of the address itself, or NULL */
	const struct endpoint *hop; /* who sends: the endpoint, or a route's next hop; or NULL */
	loc_t where;                /* LOC_NONE: unknown */
};
void origin_find(const struct vpc *vpc, const struct ip_addr *src, struct origin *origin);
/* The vNIC of a tenant port, or NULL. */
static inline struct vnic *vnic_of(const struct port *port)
{
	return (struct vnic *)__atomic_load_n(&port->vnic, __ATOMIC_ACQUIRE);
}
/* Is addr one of the vNIC's own addresses; may it send from it (own, own link-local, allowed)? */
bool vnic_owns(const struct vnic *vnic, const struct ip_addr *addr);
bool vnic_may_use(const struct vnic *vnic, const struct ip_addr *addr);

/* Is it an address of the VPC's gateway: of one of its subnets, or the link-local one of them all? Of a scope: our own. */
bool gateway_is(const struct vpc *vpc, const struct ip_addr *addr);
/* The same of a flow's destination; what was found on the way is known to the flow from then on. */
bool gateway_is_destination(const struct vpc *vpc, struct flow *f);
/* Is the flow what a gateway itself sends: a health check, from a socket here or from another node's? No rules are asked. */
bool gateway_sends(const struct flow *f);

/*
 * For stages that translate. Each says where the flow goes, or drops it and returns false.
 */
/* To `addr` in `vpc`, the translated destination: sets new_dst and, from where it lives, `out` and all that belongs to it. */
bool flow_deliver(struct flow *f, struct vpc *vpc, const struct ip_addr *addr);
/* To the node behind `tunnel`, whose service takes it as it is. */
bool flow_to_gateway(struct flow *f, loc_t tunnel);

/*
 * Changes; control thread.
 */
/* The scope of an outside network: its keys, addresses and routes. NULL with errno ENOSPC or ENOMEM. */
struct vpc *vpc_scope_new(const char *name);
void vpc_scope_put(struct vpc *scope);
void vpc_scope_retire(struct vpc *scope);
uint32_t vpc_count(void); /* on this node */
/* With its index and epoch slot, not to be found yet. NULL with errno ENOSPC or ENOMEM. */
struct vpc *vpc_new(uint32_t vni);
void vpc_drop(struct vpc *vpc); /* one that was not put */
void vpc_put(struct vpc *vpc);
/* Unpublishes it; freed after the routes of its peers are rebuilt. */
void vpc_retire(struct vpc *vpc);
bool vpc_has_peer(const struct vpc *vpc, uint32_t vni);
/* Differs when CIDRs or peers of any VPC may have changed. Not 0. */
extern uint64_t vpc_networks_changed;
/* Its routes are to be made again at the end of the transaction, its slot to be bumped. */
void vpc_dirty(struct vpc *vpc);
/* The end of a transaction: does what vpc_dirty() and the retired objects ask for. */
void vpc_settle(void);

struct subnet *subnet_by_name(const char *name);
/* Takes `subnet`, which replaces the one of its name. */
void subnet_put(struct subnet *subnet);
void subnet_remove(const char *name);

/* Takes the record (from endpoint_new) and publishes it in place of the one of its address. */
struct endpoint *endpoint_new(
	uint32_t vpc_index, const struct ip_addr *addr, const char *port_name);
void endpoint_put(struct endpoint *endpoint);
/* Removes the endpoint if it is still where its owner put it: `here`, or any tunnel with LOC_TUNNEL_BIT. */
void endpoint_remove(uint32_t vpc_index, const struct ip_addr *addr, loc_t here);
void endpoint_free(struct endpoint *endpoint); /* one that was not put */
/* Calls `fn` for every address that becomes a service's on this node. */
void endpoint_on_service(void (*fn)(const struct endpoint *endpoint));
/* Visits every endpoint. */
void endpoint_each(void (*fn)(struct endpoint *endpoint, void *arg), void *arg);

/* Takes `route` in place of that of its destination. */
void route_put(struct vpc *vpc, struct custom_route *route);
void route_remove(struct vpc *vpc, const struct ip_prefix *destination);

/* Calls `fn` for every vNIC that leaves this node, while its endpoints, subnet and VPC are still there. */
void vnic_on_removal(void (*fn)(const struct vnic *vnic));
/* Opens again the ports whose device failed to open; for a timer. Returns how many are still in error. */
unsigned int vnic_retry(void);
/* How often a device failed to open since the start. */
unsigned int vnic_failures(void);
#endif
