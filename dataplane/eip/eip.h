/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EIP_EIP_H
#define EIP_EIP_H
/* Elastic IPs: addresses of an outside network that serve one thing each, here or (seen from the port's node) on a gateway.
 *
 *	use    arrives from the outside                     leaves
 *	port   1:1 to the private address, all protocols     1:1 (vpc/exit.h, order 100)
 *	nat    eip_use "nat" (nat/): forwards and mappings    nat/ translates to it, then eip_leave()
 *	lb     eip_use "lb" (lb/): the balancer's listeners   -
 *	none   -                                             -
 *
 * What the address itself refuses (deny_cidrs, blackhole, new connections a second) is refused before its use is asked. Its
 * bandwidth holds for whatever it serves.
 *
 * Threads: the control thread changes; workers read under RCU. A change makes a new record: keep the name, not the pointer, beyond
 * an RCU read section.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "core/epoch.h"
#include "core/road.h"
#include "core/usage.h"
#include "external/external.h"
#include "qos/qos.h"

struct eip {
	char name[PORT_NAME_MAX];
	struct ip_addr address;
	struct external *
		ext; /* where it is; NULL: the network is not there, or the gateway is another node */
	epoch_slot_t epoch; /* whatever of it changes */
	struct qos_port
		rate; /* ingress: towards the VPC; egress: to the outside. QOS_NONE: no limit, or the gateway is another node */
};

/* By name; NULL: not on this node. Worker-safe. */
const struct eip *eip_by_name(const char *name);
/* The same for who asks with each flow: its name, and where it is looked for. Set by the control thread. */
struct eip_handle {
	struct eip_record *_Atomic *chain;
	char name[PORT_NAME_MAX];
};
void eip_handle_set(struct eip_handle *handle, const char *name);
const struct eip *eip_by_handle(const struct eip_handle *handle);

/* The flow's packets pass the address's bandwidth, and are counted to it. `inward`: direction 0 goes towards the VPC. Also depends on
 * the address. For `arrive` of a use; who leaves calls eip_leave(). */
void eip_meter(struct flow *f, const struct eip *eip, bool inward);

/* Stages: the flow, whose new_src is the address by now, leaves by its network: what the address refuses is dropped, the rest
 * metered and handed to external_leave(). False: dropped. */
bool eip_leave(struct flow *f, const struct eip *eip);

/* What it has carried since its gateway came to this node, rx: to the outside. False: the gateway is another node. Control thread. */
bool eip_usage(const struct eip *eip, struct usage_figures *figures);

/* Who serves addresses of a use. */
struct eip_use {
	const char *use;                                       /* "nat", "lb" */
	bool (*arrive)(struct flow *f, const struct eip *eip); /* as struct flow_service */
	struct eip_use *next;
};
void eip_use_register(struct eip_use *use);
#define EIP_USE(var, use_name, fn)                                                                 \
	static struct eip_use var = {.use = (use_name), .arrive = (fn)};                           \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		eip_use_register(&var);                                                            \
	}

#endif
