/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_GATEWAY_H
#define NAT_NAT_GATEWAY_H
/* NAT gateways of the VPCs on this node: those that are here, and where the others are.
 *
 * A gateway is one object as long as anything refers to it; what its items say is one record of rules, replaced whole under RCU
 * at the end of a transaction, and its epoch slot is bumped. Control thread changes, workers read.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash_table.h"
#include "base/ip.h"
#include "base/prefix_map.h"
#include "core/epoch.h"
#include "core/location.h"
#include "core/road.h"
#include "port/port.h"

#define NAT_GATEWAYS_MAX 16384u

enum nat_filtering { NAT_FILTER_ADDRESS_AND_PORT, NAT_FILTER_ADDRESS, NAT_FILTER_NONE };
enum nat_logging { NAT_LOG_NONE, NAT_LOG_BLOCK, NAT_LOG_SESSION };
enum nat_refusal {
	NAT_REFUSED_NOTHING,
	NAT_REFUSED_PORTS,
	NAT_REFUSED_PER_PORT,
	NAT_REFUSED_PER_VPC,
	NAT_REFUSED_RECORDS
};

struct nat_timeouts {
	uint32_t tcp_established_s, tcp_transitory_s, udp_s, icmp_s;
};

/* A rule of SNAT. */
struct nat_source {
	struct ip_prefix prefix;
	uint32_t rule; /* index in the gateway's `snat` */
	bool nat64;
	uint32_t first[2], n[2]; /* of IPv4 and IPv6: its addresses in nat_rules.addresses */
};

struct nat_rules {
	bool here;      /* on this node; else: */
	loc_t where;    /* the tunnel to it */
	bool dependent; /* mapping: endpoint_dependent */
	bool hairpin;
	enum nat_filtering filtering;
	enum nat_logging log;
	uint32_t per_port, per_vpc, quarantine_s, block;
	uint64_t revision;
	struct nat_timeouts timeouts;
	struct prefix_map *map; /* source → index in `sources` */
	uint32_t n_sources, n_addresses;
	struct nat_source *sources;
	uint32_t *addresses; /* ids */
};

struct nat_bill;

/* Sessions of SNAT that a thread has begun, less those that it has ended. Written by it alone, so no worker waits for another's. */
struct nat_sessions {
	_Atomic uint32_t n;
} __attribute__((aligned(64)));

struct nat_gateway {
	uint16_t id; /* 1 .. */
	char name[PORT_NAME_MAX];
	uint32_t vni;
	epoch_slot_t epoch;
	struct nat_rules *_Atomic rules; /* NULL: gone */
	/* Any thread. */
	_Atomic uint32_t records;   /* that refer to it */
	_Atomic uint32_t forwarded; /* of DNAT */
	_Atomic uint64_t refused;
	_Atomic uint16_t account;         /* its flows are billed to; see nat_usage.h */
	_Atomic uint8_t refusal;          /* enum nat_refusal: not told yet */
	struct nat_gateway *_Atomic next; /* in its chain, by name */
	bool gone;                        /* control thread, like: */
	bool told;                        /* of a refusal, at told_ms */
	uint32_t told_ms;
	struct nat_bill *bill;
	uint32_t sessions_before;       /* a second ago */
	int64_t rate_256;               /* sessions more a second, smoothed, times 256 */
	uint64_t gone_token;            /* RCU: since when `rules` is NULL again */
	struct nat_sessions sessions[]; /* by rcu_thread */
};

/* Of SNAT: `by` more or, as UINT32_MAX, one less; and the sum, which is exact when none is at work. Any thread. */
void nat_gateway_count(struct nat_gateway *gw, uint32_t by);
uint32_t nat_gateway_sessions(const struct nat_gateway *gw);

/* Worker-safe. */
struct nat_gateway *nat_gateway_at(uint16_t id);
/* The gateways of a VPC, by name: the first, the one behind another. NULL: no more. */
struct nat_gateway *nat_gateway_first(uint32_t vni);
struct nat_gateway *nat_gateway_next(const struct nat_gateway *gw);

/* What covers a source: the longest prefix, of equal ones the first rule. `v6`: destinations; of an IPv6 source to 64:ff9b::/96
 * see nat64_of(). NULL: nothing does. On another node than the gateway's it can not be told whether there are addresses. */
const struct nat_source *nat_rules_find(
	const struct nat_rules *rules, const struct ip_addr *src, bool out_v6, bool nat64);
/* Is it one that the rule may use? */
bool nat_source_has(
	const struct nat_rules *rules, const struct nat_source *source, uint32_t address);

/* The IPv4 address in one of 64:ff9b::/96 (RFC 6052 section 2.2). */
static inline bool nat64_of(const struct ip_addr *dst, struct ip_addr *v4)
{
	if (dst->w[0] != RTE_BE32(0x0064ff9b) || dst->w[1] != 0 || dst->w[2] != 0)
		return false;
	*v4 = ip_addr_from_v4(dst->w[3]);
	return true;
}

/* Control thread: all that are here or wait for their records to go. */
void nat_gateway_each(void (*fn)(struct nat_gateway *gw, void *arg), void *arg);
/* Publishes rules (takes them; NULL: it is gone), and bumps the epoch. */
void nat_gateway_set(struct nat_gateway *gw, struct nat_rules *rules);
void nat_rules_free(struct nat_rules *rules);
/* A new one, not to be found before nat_gateway_set(). NULL with errno ENOSPC, ENOMEM. */
struct nat_gateway *nat_gateway_new(const char *name, uint32_t vni);
void nat_gateway_drop(struct nat_gateway *gw); /* one that was not set */
/* Frees those that are gone and that nobody refers to. */
void nat_gateway_turn(void);

#endif
