/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXTERNAL_EXTERNAL_H
#define EXTERNAL_EXTERNAL_H
/* Outside networks of a gateway node: named, with an address of ours per family, next hops, and the addresses that services
 * have there (struct endpoint with `service`, in the network's scope).
 *
 * A network is a port (role PORT_EXTERNAL) and a scope (struct vpc, vpc->external): what comes in is looked up like a
 * tenant's frames, in the scope; what goes out leaves by the port to a next hop.
 *
 * Threads: the control thread changes; workers read under RCU. A struct external is never freed while the process runs.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/ip.h"
#include "core/epoch.h"
#include "core/road.h"
#include "port/port.h"
#include "vpc/vpc.h"

struct event_base;

#define EXTERNALS_MAX 64

struct external_family {
	struct ip_addr address;  /* ours; all zero: no such family */
	struct ip_prefix prefix; /* on-link */
};

struct external_hops;

struct external {
	char name[PORT_NAME_MAX];
	uint32_t index;
	struct port *port;
	struct vpc *scope;
	struct external_family v4, v6;
	/* Of the way to what is not on-link, IPv4 and IPv6: bumped when another gateway is used, or one of them begins or
	 * ceases to answer. */
	epoch_slot_t way[2];
	struct external_hops *hops; /* external_hop.c's */
};

/* A network over a port that is open already, to be found from now on. `v4`, `v6` NULL: not that family. NULL with errno
 * ENOSPC, ENOMEM, EEXIST. Control thread. */
struct external *external_new(const char *name, struct port *port, const struct external_family *v4,
	const struct external_family *v6);

/* The network of that name with that family; "": the first that has it. NULL: none. Any thread. */
struct external *external_find(const char *name, bool v6);
/* By index, for iteration; NULL behind the last. */
struct external *external_at(uint32_t index);

/* node.yaml's `external`: opens what there is, and goes on trying (without `base`: by external_turn() alone). 0 or -errno, logged.
 * Control thread. */
int external_start(const json_t *config, struct event_base *base);
/* What is due: announcements, questions, interfaces that are away. By itself every NEIGHBOUR_TICK_MS where the configuration has
 * networks. Control thread. */
void external_turn(uint32_t now_ms);
/* Before the event base is freed. */
void external_stop(void);
/* One of our ports has got or lost its link. Control thread. */
void external_link_changed(struct port *port);

static inline const struct external_family *external_family(const struct external *ext, bool v6)
{
	return v6 ? &ext->v6 : &ext->v4;
}

/* The network's own address. */
static inline bool external_is_own(const struct external *ext, const struct ip_addr *addr)
{
	return ip_addr_equal(addr, &external_family(ext, !ip_addr_is_v4(addr))->address);
}

static inline bool external_has(const struct external *ext, bool v6)
{
	const struct external_family *f = external_family(ext, v6);

	return (f->address.q[0] | f->address.q[1]) != 0;
}

/* Stages: the flow, whose source is translated, leaves by this network: to a service of this node that has the destination
 * there, at once; else to the next hop. False: dropped. */
bool external_leave(struct flow *f, struct external *ext);

/* Stage `spoof`, of a flow that comes in: its answers go to where its packets come from (f->smac), unless that is known to be elsewhere
 * now, or is a gateway that does not answer any more: then to the one in use. */
void external_enter(struct flow *f);

/* Where packets for `dst` are handed to on that network. False: not known (yet), or it does not answer; it is being asked for.
 * With `last`, who does not answer any more is as good as who does. Workers and control thread. A change of the answer bumps
 * `epoch`. */
struct external_hop {
	struct rte_ether_addr mac;
	epoch_slot_t epoch;
};
bool external_hop(
	struct external *ext, const struct ip_addr *dst, bool last, struct external_hop *hop);

/* A next hop with a fixed MAC; of `addr` zero: for everything that is not on-link. Control thread. -ENOSPC. */
int external_hop_set(
	struct external *ext, const struct ip_addr *addr, const struct rte_ether_addr *mac);

#endif
