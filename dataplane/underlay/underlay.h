/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_UNDERLAY_H
#define UNDERLAY_UNDERLAY_H
/* The network between hosts: one port, an address per family, VTEPs behind next hops, VXLAN (RFC 7348).
 *
 * A VTEP's outer header is precomputed; the packet path stores it in front of the frame and patches lengths, VNI, source
 * port and checksum. Next hops come from static neighbours, own ARP/ND, or the kernel's routes and neighbours (netlink) where
 * the underlay has a kernel twin.
 *
 * Threads: the control thread changes; workers read under RCU.
 */
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_ether.h>

#include "base/ip.h"
#include "core/epoch.h"
#include "core/location.h"
#include "core/rcu.h"
#include "port/port.h"
#include "underlay/vxlan.h"

struct event_base;
struct hop;

struct vtep {
	struct vxlan_outer
		*_Atomic outer; /* RCU, immutable; NULL: the next hop is not known (yet) */
	struct ip_addr addr;
	uint32_t index;
	epoch_slot_t epoch; /* bumped when `gateway` changes */
	_Atomic bool
		foreign; /* somebody else runs it. Set by the control thread; `epoch` follows */
	bool gateway;    /* sources outside the VPC may come from it */
	_Atomic bool
		wanted; /* a packet was dropped for want of the next hop. Set by workers, cleared by the control thread */
	char name[PORT_NAME_MAX];
	/* Control thread. */
	LIST_ENTRY(vtep) link; /* of all */
	struct vtep *next_of_name;
	struct hop *hop; /* next_hop.c's: whom it is behind, with whom */
	struct vtep *next_behind;
	bool reported; /* as unreachable */
};

/* Opens the port and starts next-hop resolution. `config`: the underlay object of node.yaml, or NULL: there is none. 0 or -errno,
 * logged. */
int underlay_start(const json_t *config, struct event_base *base);
/* Before the event base is freed. */
void underlay_stop(void);

/* The same over a port that is open already. */
int underlay_start_on(struct port *opened, const json_t *config, struct event_base *base);

/* The port has got or lost its link: tells the controller, and the neighbours where we are. */
void underlay_link_changed(void);

/* NULL without an underlay. */
struct port *underlay_port(void);
/* Own address of a family; NULL: none. */
const struct ip_addr *underlay_address(bool v6);
uint16_t underlay_mtu(void);

/* Worker-safe. */
#define VTEPS_MAX 65536u
extern struct vtep *_Atomic vtep_by_index[VTEPS_MAX]; /* for vtep_get() */
static inline struct vtep *vtep_get(uint32_t index)
{
	return index < VTEPS_MAX ? rcu_ptr_get(vtep_by_index[index]) : NULL;
}

struct vtep *vtep_by_addr(const struct ip_addr *addr); /* by outer source; NULL: unknown */
/* Control thread. */
struct vtep *vtep_by_name(const char *name);
struct vtep *vtep_next(struct vtep *previous);
/* The next hop's MAC, or NULL: not known any more. Control thread. */
void vtep_set_next_hop(struct vtep *vtep, const struct rte_ether_addr *mac);

/* Is it the VNI of copies, which are no VPC's traffic? Such frames go to the node of CLASSIFY_COPY, whoever sent them. NULL: none is.
 * Workers. */
extern bool (*underlay_is_copy)(uint32_t vni);
#define UNDERLAY_COPIES(fn)                                                                        \
	__attribute__((constructor)) static void underlay_copies_register(void)                    \
	{                                                                                          \
		underlay_is_copy = (fn);                                                           \
	}

static inline bool vtep_is_foreign(const struct vtep *vtep)
{
	return atomic_load_explicit(&vtep->foreign, memory_order_relaxed);
}

static inline bool vtep_is_ready(const struct vtep *vtep)
{
	return atomic_load_explicit(&vtep->outer, memory_order_acquire) != NULL;
}

#endif
