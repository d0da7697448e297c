/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H
/* Sessions: what a flow's first packet decided, kept for all later ones.
 *
 * One table a node. Both directions' keys are in it and lead to one record; direction 0 is the initiator's.
 * A reference is index << 1 | direction. The key's scope is a VPC index (of the VPC the packet arrives in); over a
 * peering or a gateway the two directions have different scopes.
 *
 * Memory: buckets of one cache line (8 slots), and arrays of records beside them:
 *   session_dir   64 B a direction, read by the fast path, written at set-up and re-validation
 *   session_hot   32 B a direction, written only by the worker that carries that direction, read relaxed
 *   session_cold  32 B a session, read on re-validation and by the control thread
 *   session_ext   64 B a session, only touched for IPv6 (addresses) – demand-paged
 *
 * Threads: look-ups by any worker without locks; inserts by any worker and the control thread (per-bucket lock
 * bits); removal by any; a removed index is re-used after an RCU grace period. Workers take indexes from a cache of
 * their own, filled from a shared ring, so set-up takes no shared lock.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "base/ip.h"
#include "core/epoch.h"
#include "core/location.h"

#define SESSION_NONE UINT32_MAX

/* IPv4: all of it. IPv6: src and dst are two 32-bit folds of the addresses (all 16 bytes each), the
 * addresses themselves are compared in session_ext. `scope_proto` is VPC index << 8 | protocol, with the top bit for IPv6. */
struct session_key {
	uint32_t scope_proto;
	rte_be32_t src, dst;
	rte_be16_t sport, dport;
};
_Static_assert(sizeof(struct session_key) == 16, "hashed: no padding");
#define SESSION_KEY_V6 0x80000000u

enum session_flag {
	SESSION_F_ROUTED = 1 << 0,   /* TTL - 1, MACs from the record; arrives with the gateway's MAC */
	SESSION_F_SRC = 1 << 1,      /* rewrite source address/port */
	SESSION_F_DST = 1 << 2,      /* rewrite destination address/port */
	SESSION_F_TCP = 1 << 3,      /* track */
	SESSION_F_V6 = 1 << 4,
	SESSION_F_MIRROR = 1 << 5,   /* clone: look in the mirror table */
	SESSION_F_METER = 1 << 6,    /* pass a shaper beyond the port's own */
	SESSION_F_CUT = 1 << 7,      /* no longer allowed: drop without asking until it is removed */
	SESSION_F_EXT = 1 << 8,      /* anything unusual: go through the general path of apply */
};

/* Read line of one direction. */
struct session_dir {
	struct session_key key;      /* 0: as it arrives */
	_Atomic uint32_t change;     /* 16: epoch change word at the last validation */
	loc_t in;                    /* 20: expected ingress */
	loc_t out;                   /* 24 */
	uint32_t out_vni;            /* 28: VNI when `out` is a tunnel */
	struct rte_ether_addr dmac;  /* 32: routed: written; bridged: expected */
	struct rte_ether_addr smac;  /* 38: routed: written */
	uint16_t flags;              /* 44: enum session_flag */
	uint16_t mtu;                /* 46: largest IP packet for the egress */
	rte_be32_t new_src, new_dst; /* 48 */
	rte_be16_t new_sport, new_dport; /* 56 */
	uint16_t l3_delta, l4_delta; /* 60: one's complement, added to the checksums */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct session_dir) == 64, "one cache line");

/* Write half-line of one direction. */
struct session_hot {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;      /* IP bytes */
	_Atomic uint32_t seen_ms;    /* worker clock */
	_Atomic uint32_t tcp_end;    /* highest sequence number + length sent by this side */
	_Atomic uint32_t tcp_edge;   /* highest ack + window granted by this side */
	_Atomic uint8_t tcp_bits;    /* what this side has done: enum in tcp.h */
	_Atomic uint8_t tcp_wscale;
	_Atomic uint16_t reserved;
} __attribute__((aligned(32)));
_Static_assert(sizeof(struct session_hot) == 32, "half a cache line");

struct session_cold {
	epoch_slot_t deps[EPOCH_DEPS];
	_Atomic uint32_t epoch_sum;
	uint32_t created_ms;
} __attribute__((aligned(32)));
_Static_assert(sizeof(struct session_cold) == 32, "half a cache line");

struct session_ext {
	struct ip_addr src[2], dst[2]; /* per direction, as it arrives; IPv6 only */
};

struct session_table; /* buckets, free indexes; see session_table.c */
extern struct session_table *sessions;
extern struct session_dir *session_dirs;  /* [2 * capacity] by reference */
extern struct session_hot *session_hots[2]; /* [direction][index] */
extern struct session_cold *session_colds;  /* [index] */
extern struct session_ext *session_exts;    /* [index] */

/* `capacity` sessions; -ENOMEM. Uses hugepage memory when EAL has it. */
int session_init(uint32_t capacity);
void session_fini(void);

/* What to insert: the records of both directions filled except `key` of the IPv6 addresses, which come beside. */
struct session_new {
	struct session_dir dir[2];
	struct ip_addr src[2], dst[2]; /* IPv6 only */
	epoch_slot_t deps[EPOCH_DEPS];
	uint32_t epoch_sum;
	uint32_t change;
	uint32_t now_ms;
	uint32_t vpc_index;            /* whose share it counts against */
};

/* Inserts both keys or nothing. 0 with *ref (direction 0); -EEXIST with *ref of the record that holds one of the keys (another worker won);
 * -ENOSPC table full; -EDQUOT VPC's share. */
int session_insert(const struct session_new *new, uint32_t *ref);
/* Removes; idempotent: of several callers one wins. The index is re-used after a grace period. */
void session_remove(uint32_t index);

struct session_key session_key_v4(uint32_t vpc_index, uint8_t proto, rte_be32_t src, rte_be32_t dst, rte_be16_t sport,
	rte_be16_t dport);
struct session_key session_key_v6(uint32_t vpc_index, uint8_t proto, const struct ip_addr *src,
	const struct ip_addr *dst, rte_be16_t sport, rte_be16_t dport);
/* Direction-independent is not promised. Never 0. */
uint32_t session_hash(const struct session_key *key);
/* One look-up; IPv6: `src`/`dst` are compared too (NULL for IPv4). Reference or SESSION_NONE. */
uint32_t session_lookup(const struct session_key *key, uint32_t hash, const struct ip_addr *src,
	const struct ip_addr *dst);
/* A burst, staged with prefetch: refs[i] or SESSION_NONE. `v6` bit i: compare src/dst of addrs[i][0..1]. Leaves the read and write lines of hits
 * in cache (prefetched). n <= 64. */
void session_lookup_bulk(const struct session_key *keys, const uint32_t *hashes,
	const struct ip_addr (*addrs)[2], uint64_t v6, uint32_t *refs, unsigned int n);

static inline struct session_dir *session_dir_of(uint32_t ref)
{
	return &session_dirs[ref];
}

static inline struct session_hot *session_hot_of(uint32_t ref)
{
	return &session_hots[ref & 1][ref >> 1];
}

uint32_t session_used(void);
uint32_t session_capacity(void);

/* Expiry: the control thread turns a clock hand; `slice` records a call, wraps. Times out what is due (timeouts by protocol and TCP state),
 * and calls `stale` for live sessions whose change word is old, which may re-validate or cut. Returns how many it removed. */
unsigned int session_sweep(uint32_t slice, uint32_t now_ms, void (*stale)(uint32_t index));

#endif
