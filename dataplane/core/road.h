/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ROAD_H
#define CORE_ROAD_H
/* The readable road: what is decided about a flow, one stage a decision.
 *
 * A `struct flow` describes the first packet of a flow (never the packet itself), so the same stages serve the
 * first packet, a session whose verdict is stale, the sweep over silent sessions and `explain`. Each capability
 * registers its stage with ROAD_STAGE; lower `order` runs first. A stage returns true to go on, or false after
 * flow_drop(). Stages read tables under RCU: they run on workers (online) and on the control thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "base/ip.h"
#include "core/drop.h"
#include "core/epoch.h"
#include "core/location.h"
#include "session/account.h"
#include "session/hold.h"

struct port;
struct flow;
struct endpoint;
struct vpc;
struct flow_trace;

/* What a verdict was made by, for `explain` and captures. Kinds are those of the northbound API. */
struct flow_object {
	const char *kind; /* static string or NULL */
	const char *name; /* lives as long as the object (RCU) */
	int32_t rule;     /* index in a security group's rules, or -1 */
};

#define FLOW_METERS 4                  /* a port's and an address's at each end */
#define FLOW_ACCOUNTS SESSION_ACCOUNTS /* an address's and a service's at each end */

/* An address that is no machine's but a service's: an elastic IP, a virtual IP (struct endpoint, vpc/vpc.h). */
struct flow_service {
	const char *kind; /* of its objects, as the API calls them */
	/* The flow's destination (new_dst) is `ep`: translates and delivers it (flow_deliver(), vpc/vpc.h), or flow_drop().
	 * Also for a flow that a service of this node sends there (out of one network into the other at once). */
	bool (*arrive)(struct flow *f, const struct endpoint *ep);
};

/* The translation that a session has, for stages that decide about it again: one that is still legal is kept, hold and all. */
struct flow_kept {
	struct ip_addr new_src, new_dst;
	rte_be16_t new_sport, new_dport;
	struct session_hold hold;
	bool answered; /* the other side has sent something */
};

struct flow {
	/* The packet, as it arrived. Set by the caller. */
	loc_t in;
	uint32_t vpc_index; /* the VPC it arrived in */
	struct ip_addr src, dst;
	rte_be16_t sport, dport; /* ICMP: id in both; other protocols: 0 */
	uint16_t
		l3_len; /* bytes of the largest IP packet it makes (GSO: one segment); 0: unknown */
	uint8_t proto;
	bool v6;
	uint8_t icmp_type, icmp_code;
	bool icmp_error; /* rules are not asked; must be related to a session */
	struct rte_ether_addr smac, dmac;
	const struct flow_kept *kept; /* a session is asked again; NULL: a new flow */
	uint8_t tries; /* so many translations that were said before are other flows' */
	/* Where dst leads in that VPC, if whoever looked at the packet before it was walked had to find it (route_known). */
	const struct route *route;
	bool route_known;
	bool dry; /* only a question (`explain`): stages take nothing, no NAT port and no connection of a back end */

	/* Found on the way. Set by `spoof` and `route`; read by later stages. */
	struct vpc *vpc;               /* of `in` */
	struct port *in_port;          /* NULL from a tunnel */
	const struct endpoint *src_ep; /* NULL: outside the VPC */
	const struct endpoint *dst_ep; /* whom it is delivered to; a route's next hop */
	struct vpc *dst_vpc;           /* of dst_ep; another than `vpc` over a peering */
	/* The destination is a service's: `route` finds it, stage `service` asks it once the sender's groups have allowed it. */
	const struct endpoint *service;
	/* It leaves the VPC here: `route` finds by what (vpc/exit.h), stage `leave` calls it: translates the source and sets `out`. */
	bool (*leave)(struct flow *f);
	const void *leave_object;
	const void *leave_detail; /* of leave_object; NULL: to be looked for */
	const char *exit_name; /* a route names the gateway to leave by; NULL: any that takes it */

	/* The verdict. */
	loc_t out;              /* LOC_NONE until routed */
	uint32_t out_vni;       /* VNI when `out` is a tunnel */
	uint32_t out_vpc_index; /* scope of the answers' key */
	uint32_t reply_vni;     /* VNI of answers that leave by a tunnel `in` */
	uint16_t mtu;           /* largest IP packet for the egress; 0: any */
	bool routed; /* TTL - 1 and new MACs; else bridged unchanged. From a tunnel of ours: only new MACs */
	bool gateway; /* this node stands between a VPC and a service or the outside: answers by tunnel get new MACs too */
	bool out_v6;  /* family of the translated tuple, as `v6` but between IPv6 and IPv4 */
	bool no_reuse;     /* of an open TCP connection: its far end takes no new ones */
	bool reply_routed; /* the same for the answers when they enter here */
	struct rte_ether_addr out_smac, out_dmac;     /* of a routed packet */
	struct rte_ether_addr reply_smac, reply_dmac; /* what answers leave with */
	/* Translated tuple; equal to the arrived one unless a service changed it. */
	struct ip_addr new_src, new_dst;
	rte_be16_t new_sport, new_dport;

	/* What the session will hold; who fills it in has taken it (unless `dry`), and it is released once the session, or a flow that
	 * became none, has no use for it. */
	struct session_hold hold;

	epoch_slot_t deps[EPOCH_DEPS];
	uint8_t n_deps;

	/* Shapers that packets of a direction pass (0: the initiator's), in their order; see qos/qos.h. Unused ones are 0. */
	uint16_t meters[2][FLOW_METERS];
	/* Whom it is billed to (session/account.h). Unused ones are 0. */
	uint16_t accounts[FLOW_ACCOUNTS];

	enum drop_reason reason;   /* DROP_NONE: forward */
	struct flow_object object; /* what decided */
	struct flow_trace *trace;  /* steps for `explain`; NULL on the packet path */
};

struct road_stage {
	int order;
	const char *name;
	bool (*decide)(struct flow *flow);
	struct road_stage *next;
};

void road_stage_register(struct road_stage *stage);

#define ROAD_STAGE(var, ord, stage_name, fn)                                                       \
	static struct road_stage var = {.order = (ord), .name = (stage_name), .decide = (fn)};     \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		road_stage_register(&var);                                                         \
	}

/* Runs all stages. True: forward. The caller has set the packet's part; the rest is reset here. */
bool road_walk(struct flow *flow);
/* Only the stages of a lower order, for what goes no further: true when they let it pass. */
bool road_walk_before(struct flow *flow, int order);
#define ROAD_ROUTE 200   /* the order of stage `route` */
#define ROAD_SERVICE 400 /* `service` */
#define ROAD_LEAVE 500   /* `leave` */

/* What stages will read for a flow that is to be walked soon: prefetches, while other flows' are on their way, so nothing but time
 * depends on them. Step by step, each of which may follow what the one before it has brought; true: there is another. Who returns
 * true at step 0 has recognised the flow as one that he translates, and is the only one asked from then on. The packet's part of
 * the flow is set. Workers. */
struct road_foreseen {
	const struct road_foresight
		*by;        /* NULL: nobody, its answers have its own tuple turned round */
	const void *object; /* of his, like: */
	uintptr_t at;
};
struct road_foresight {
	bool (*foresee)(const struct flow *flow, struct road_foreseen *seen, unsigned int step);
	struct road_foresight *next;
};

void road_foresight_register(struct road_foresight *foresight);
#define ROAD_FORESEE(var, fn)                                                                      \
	static struct road_foresight var = {.foresee = (fn)};                                      \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		road_foresight_register(&var);                                                     \
	}
/* `seen` is zeroed before step 0. */
bool road_foresee(const struct flow *flow, struct road_foreseen *seen, unsigned int step);

/* Said by stages: the verdict rests on this slot's owner. */
static inline void flow_depend(struct flow *f, epoch_slot_t slot)
{
	if (slot == EPOCH_NO_SLOT)
		return;
	for (unsigned int i = 0; i < f->n_deps; i++)
		if (f->deps[i] == slot)
			return;
	if (f->n_deps < EPOCH_DEPS)
		f->deps[f->n_deps++] = slot;
	else
		f->deps[EPOCH_DEPS - 1] = EPOCH_ANY_SLOT;
}

/* Said by stages: packets of that direction pass this shaper (0: none). */
static inline void flow_meter(struct flow *f, unsigned int direction, uint16_t shaper)
{
	for (unsigned int i = 0; shaper != 0 && i < FLOW_METERS; i++)
		if (f->meters[direction][i] == 0) {
			f->meters[direction][i] = shaper;
			return;
		}
}

/* Said by stages: the flow is billed to that account (0: none), in whose direction 0 is `inward`, towards its owner. */
static inline void flow_account(struct flow *f, uint16_t account, bool inward)
{
	for (unsigned int i = 0; account != ACCOUNT_NONE && i < FLOW_ACCOUNTS; i++)
		if (f->accounts[i] == ACCOUNT_NONE) {
			f->accounts[i] = (uint16_t)(account | (inward ? ACCOUNT_INWARD : 0));
			return;
		}
}

static inline bool flow_drop(
	struct flow *f, enum drop_reason reason, const char *kind, const char *name, int32_t rule)
{
	f->reason = reason;
	f->object = (struct flow_object){kind, name, rule};
	return false;
}

/* A step for `explain`; `fmt` says the decision in words. Does nothing on the packet path. */
#define flow_step(f, ...)                                                                          \
	do {                                                                                       \
		if (__builtin_expect((f)->trace != NULL, 0))                                       \
			flow_trace_step((f), __VA_ARGS__);                                         \
	} while (0)
void flow_trace_step(struct flow *f, const char *kind, const char *name, int32_t rule,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
