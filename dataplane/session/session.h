/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H
/* Sessions: what a flow's first packet decided, kept for all later ones.
 *
 * One table a node. Both directions' keys are in it and lead to one record; direction 0 is the initiator's.
 * A reference is index << 1 | direction. The key's scope is a VPC index (of the VPC the packet arrives in); over a
 * peering or a gateway the two directions have different scopes.
 *
 * Memory: buckets of one cache line (8 slots, five keys each when the table is full), and arrays of records beside them:
 *   session_dir   64 B a direction, read by the fast path, written at set-up and re-validation
 *   session_hot   32 B a direction, written only by the worker that carries that direction, read relaxed
 *   session_cold  32 B a session, read on re-validation and by the control thread
 *   session_ext   64 B a session, only touched for IPv6 (addresses) - demand-paged
 *   session_meters 8 B a direction, only touched for flows with a rate - demand-paged
 *   session_more  32 B a session, only touched for flows with more than six dependencies - demand-paged
 *   session_holds  12 B a session, only touched for flows of a service that counts them - demand-paged
 *   session_accounts 32 B a session, only touched for flows that are billed to a service - demand-paged
 *   and a word a session that says whether it lives. 254 B a session in all.
 *
 * Threads: look-ups by any worker without locks; inserts by any worker and the control thread (per-bucket lock
 * bits); removal by any; a removed index is re-used after an RCU grace period. Workers take indexes from a cache of
 * their own, filled from a shared ring, so set-up takes no shared lock. A worker holds references until its
 * next quiescent state; the control thread between rcu_read_enter() and rcu_read_leave(), which what is
 * declared here for it does by itself.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "base/ip.h"
#include "core/epoch.h"
#include "core/location.h"
#include "session/account.h"
#include "session/hold.h"

#define SESSION_NONE UINT32_MAX

/* IPv4: all of it. IPv6: src and dst are two keyed 32-bit folds of the addresses (all 16 bytes each), the
 * addresses themselves are compared in session_ext. `scope_proto` is VPC index << 8 | protocol, with the top bit for IPv6. */
struct session_key {
	uint32_t scope_proto;
	rte_be32_t src, dst;
	rte_be16_t sport, dport;
};
_Static_assert(sizeof(struct session_key) == 16, "hashed: no padding");
#define SESSION_KEY_V6 0x80000000u
#define SESSION_VPCS_MAX (1u << 23) /* a VPC index is below */

enum session_flag {
	SESSION_F_ROUTED =
		1 << 0,         /* TTL - 1, MACs from the record; arrives with the gateway's MAC */
	SESSION_F_SRC = 1 << 1, /* rewrite source address/port */
	SESSION_F_DST = 1 << 2, /* rewrite destination address/port */
	SESSION_F_TCP = 1 << 3, /* track */
	SESSION_F_V6 = 1 << 4,
	SESSION_F_METER = 1 << 6, /* pass the shapers of session_meters */
	SESSION_F_REMAC =
		1
		<< 7, /* MACs from the record, whatever it came with; routed before, where it came from */
	SESSION_F_HOLD = 1 << 8,     /* direction 0: session_holds says what it holds */
	SESSION_F_ACCOUNT = 1 << 9,  /* direction 0: session_accounts says whom it is billed to */
	SESSION_F_FAMILY = 1 << 10,  /* leaves in the other family than it comes (with SRC, DST) */
	SESSION_F_INSPECT = 1 << 11, /* shown to inspection (inspect/) as it comes */
	SESSION_F_INSPECT_AFTER = 1 << 12, /* … as it is translated (with SRC or DST) */
	SESSION_F_NO_REUSE =
		1
		<< 13, /* direction 0: who gets it takes no new connections, so a SYN begins another session */
};

/* Read line of one direction. */
struct session_dir {
	struct session_key key;     /* 0: as it arrives */
	_Atomic uint32_t change;    /* 16: epoch change word at the last validation */
	loc_t in;                   /* 20: expected ingress */
	loc_t out;                  /* 24 */
	uint32_t out_vni;           /* 28: VNI when `out` is a tunnel */
	struct rte_ether_addr dmac; /* 32: routed, new MACs: written; bridged: expected */
	struct rte_ether_addr smac; /* 38: routed, new MACs: written */
	uint16_t flags;             /* 44: enum session_flag */
	uint16_t mtu;               /* 46: largest IP packet for the egress */
	/* Of translated flows. IPv6 addresses: those of the other direction's packets, turned round. */
	rte_be32_t new_src, new_dst;     /* 48 */
	rte_be16_t new_sport, new_dport; /* 56 */
	uint16_t l3_delta,
		l4_delta; /* 60: one's complement, added to checksums: of addresses; of all that L4's covers */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct session_dir) == 64, "one cache line");

/* Write half-line of one direction. */
struct session_hot {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;    /* IP bytes */
	_Atomic uint32_t seen_ms;  /* worker clock, in steps of SESSION_SEEN_STEP_MS */
	_Atomic uint32_t tcp_end;  /* highest sequence number + length sent by this side */
	_Atomic uint32_t tcp_edge; /* highest ack + window granted by this side */
	_Atomic uint16_t tcp_win;  /* largest window this side has advertised, unscaled */
	_Atomic uint8_t tcp_bits;  /* what this side has done: enum in tcp.h */
	_Atomic uint8_t tcp_wscale;
} __attribute__((aligned(32)));
_Static_assert(sizeof(struct session_hot) == 32, "half a cache line");

/* Few flows depend on more than these: those of gateway services. */
#define SESSION_DEPS_NEAR 6
struct session_cold {
	epoch_slot_t
		deps[SESSION_DEPS_NEAR]; /* the last one EPOCH_MORE_SLOT: go on in session_mores */
	_Atomic uint32_t epoch_sum;
	uint32_t created_ms;
} __attribute__((aligned(32)));
_Static_assert(sizeof(struct session_cold) == 32, "half a cache line");

/* The rest of its dependencies. Only touched, and only valid, when session_cold says so. */
struct session_more {
	epoch_slot_t deps[EPOCH_DEPS - SESSION_DEPS_NEAR + 1];
} __attribute__((aligned(32)));

struct session_ext {
	struct ip_addr src[2], dst[2]; /* per direction, as it arrives; IPv6 only */
};

/* Shapers of one direction (qos/), in their order, then 0. Only touched, and only valid, with SESSION_F_METER. */
#define SESSION_METERS 4
struct session_meters {
	uint16_t id[SESSION_METERS];
};

extern struct session_dir *session_dirs;         /* by reference */
extern struct session_meters *session_meters;    /* by reference */
extern struct session_hot *session_hots[2];      /* [direction][index] */
extern struct session_cold *session_colds;       /* [index] */
extern struct session_more *session_mores;       /* [index] */
extern struct session_ext *session_exts;         /* [index] */
extern struct session_hold *session_holds;       /* [index] */
extern struct session_account *session_accounts; /* [index] */

/* `capacity` sessions, after rcu_init() (a few records more are kept for the threads' caches). -ENOMEM, -EINVAL.
 * Memory is taken at once in reserved huge pages (memory_use_reserved()), else a little ahead of its use. */
int session_init(uint32_t capacity);
/* No thread uses the table any more. */
void session_fini(void);
/* So many records ahead of those in use have memory already: a first use costs a worker no page fault. session_sweep() keeps it
 * so, at most `most` records at once: true when there is more to do. */
#define SESSION_POPULATE_AHEAD (1u << 17)
bool session_populate(uint32_t most);
/* Memory of a full table of IPv4 sessions. */
size_t session_bytes(void);

/* What has passed already: of a session that comes from another node, or whose keys change. */
struct session_history {
	uint32_t created_ms;
	struct session_hot hot[2];
};
/* Of a session that lives; may be a mixture of a few packets. */
void session_history_of(uint32_t index, struct session_history *history);

/* What to insert: the records of both directions filled, and for IPv6 the addresses beside. */
struct session_new {
	struct session_dir dir[2];     /* but `change` */
	struct ip_addr src[2], dst[2]; /* IPv6 only */
	struct session_meters meters[2];
	uint16_t accounts[SESSION_ACCOUNTS]; /* with SESSION_F_ACCOUNT in dir[0] */
	struct session_hold
		hold; /* with SESSION_F_HOLD in dir[0]; the session's from a successful insert on */
	epoch_slot_t deps[EPOCH_DEPS];
	uint32_t epoch_sum;
	uint32_t change;
	uint32_t now_ms;
	uint32_t vpc_index;                    /* whose share it counts against */
	const struct session_history *history; /* NULL: none, it begins now */
};

/* Inserts both keys or nothing. 0 with *ref (direction 0); -EEXIST with *ref of the record that holds one of the keys (another worker won;
 * the direction of that key is in it); -ENOSPC table full; -EDQUOT VPC's share; -EBUSY its share of unanswered ones. Two equal keys (a packet to itself) count as direction 0. */
int session_insert(const struct session_new *new, uint32_t *ref);
/* For who knows a key some hundred cycles before it is inserted or looked up. */
void session_prefetch(const struct session_key *key);
/* Removes; idempotent: of several callers one wins, and releases what the session holds. The index is re-used after a grace period, so
 * the control thread keeps one rcu_read section around finding an index and removing it. */
void session_remove(uint32_t index);
/* The same of up to SESSION_BULK at once, whose cache misses overlap. Returns how many were this call's to remove. */
#define SESSION_BULK 64u
unsigned int session_remove_bulk(const uint32_t *indexes, unsigned int n);
/* The same of those that were silent for too long. */
unsigned int session_expire_bulk(const uint32_t *indexes, unsigned int n);
/* Lives, as far as the caller can know. */
bool session_alive(uint32_t index);

/* Seeds of the hash, drawn at session_init(). */
extern uint64_t session_seed[4];

/* 64 x 64 -> 128 bits, folded. Keyed by secrets on both sides nobody can craft collisions, as one can
 * for CRC32, where they do not depend on the seed. */
__extension__ typedef unsigned __int128 session_u128;

static inline uint64_t session_mix(uint64_t a, uint64_t b)
{
	session_u128 m = (session_u128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Written as two words, as session_hash() reads it: narrower stores would stall that read. */
static inline struct session_key session_key_make(
	uint32_t scope_proto, rte_be32_t src, rte_be32_t dst, rte_be16_t sport, rte_be16_t dport)
{
	struct session_key key;
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	uint64_t w[2] = {(uint64_t)src << 32 | scope_proto,
		(uint64_t)dport << 48 | (uint64_t)sport << 32 | dst};

	memcpy(&key, w, sizeof(key));
#else
	key = (struct session_key){scope_proto, src, dst, sport, dport};
#endif
	return key;
}

static inline struct session_key session_key_v4(uint32_t vpc_index, uint8_t proto, rte_be32_t src,
	rte_be32_t dst, rte_be16_t sport, rte_be16_t dport)
{
	return session_key_make(vpc_index << 8 | proto, src, dst, sport, dport);
}

/* Of an IPv4 packet without options: from its source address on there are, side by side, both addresses and both ports. */
static inline struct session_key session_key_packet4(
	uint32_t vpc_index, uint8_t proto, const void *addresses)
{
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	struct session_key key;
	uint64_t w[2];
	uint32_t src;

	memcpy(&src, addresses, sizeof(src));
	memcpy(&w[1], (const uint8_t *)addresses + sizeof(src), sizeof(w[1]));
	w[0] = (uint64_t)src << 32 | (vpc_index << 8 | proto);
	memcpy(&key, w, sizeof(key));
#else
	struct session_key key = {.scope_proto = vpc_index << 8 | proto};

	memcpy(&key.src, addresses, sizeof(key) - offsetof(struct session_key, src));
#endif
	return key;
}

static inline uint32_t session_fold(const struct ip_addr *a)
{
	return (uint32_t)(session_mix(
				  session_mix(a->q[0] ^ session_seed[2], a->q[1] ^ session_seed[3]),
				  session_seed[0]) >>
			  32);
}

static inline struct session_key session_key_v6(uint32_t vpc_index, uint8_t proto,
	const struct ip_addr *src, const struct ip_addr *dst, rte_be16_t sport, rte_be16_t dport)
{
	return session_key_make(SESSION_KEY_V6 | vpc_index << 8 | proto, session_fold(src),
		session_fold(dst), sport, dport);
}

static inline uint8_t session_key_proto(const struct session_key *key)
{
	return (uint8_t)key->scope_proto;
}

static inline uint32_t session_key_vpc(const struct session_key *key)
{
	return (key->scope_proto & ~SESSION_KEY_V6) >> 8;
}

static inline bool session_key_is_v6(const struct session_key *key)
{
	return key->scope_proto & SESSION_KEY_V6;
}

static inline bool session_key_equal(const struct session_key *a, const struct session_key *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* Not the same for the two directions. Never 0. Differs from start to start. */
static inline uint32_t session_hash(const struct session_key *key)
{
	uint64_t w[2];
	uint32_t h;

	memcpy(w, key, sizeof(w));
	h = (uint32_t)(session_mix(session_mix(w[0] ^ session_seed[0], w[1] ^ session_seed[1]),
			       session_seed[2]) >>
		       32);
	return h | (h == 0);
}

/* One look-up; IPv6 (as the key says): `src`/`dst` are compared too. Reference or SESSION_NONE. */
uint32_t session_lookup(const struct session_key *key, uint32_t hash, const struct ip_addr *src,
	const struct ip_addr *dst);
/* A burst, staged with prefetch: refs[i] or SESSION_NONE. `v6` bit i: compare src/dst of addrs[i][0..1]; 0: addrs may be NULL. Leaves
 * the read and write lines of hits in cache (prefetched), of TCP also the other side's write line. n <= SESSION_BULK. */
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

/* What the session's dependencies add up to now; in session_cold is what they did when it was decided. */
static inline uint32_t session_epoch_sum(uint32_t index)
{
	const epoch_slot_t *near = session_colds[index].deps;
	uint32_t sum = epoch_sum_of(near, SESSION_DEPS_NEAR);

	if (__builtin_expect(near[SESSION_DEPS_NEAR - 1] == EPOCH_MORE_SLOT, 0))
		sum += epoch_sum_of(session_mores[index].deps, EPOCH_DEPS - SESSION_DEPS_NEAR + 1);
	return sum;
}

/* Whoever sums meanwhile finds a sum that is not the session's. */
static inline void session_set_deps(uint32_t index, const epoch_slot_t deps[EPOCH_DEPS])
{
	epoch_slot_t *near = session_colds[index].deps;

	if (deps[SESSION_DEPS_NEAR] == EPOCH_NO_SLOT) {
		memcpy(near, deps, sizeof(session_colds[index].deps));
		return;
	}
	memcpy(session_mores[index].deps, deps + SESSION_DEPS_NEAR - 1,
		sizeof(session_mores[index].deps));
	memcpy(near, deps, (SESSION_DEPS_NEAR - 1) * sizeof(*near));
	near[SESSION_DEPS_NEAR - 1] = EPOCH_MORE_SLOT;
}

/* What a session holds; all 0: nothing. */
static inline struct session_hold session_hold_of(uint32_t index)
{
	return session_dirs[index << 1].flags & SESSION_F_HOLD ? session_holds[index]
							       : (struct session_hold){.part = 0};
}

/* The control thread compares idle times of seconds: finer steps would only dirty lines. */
#define SESSION_SEEN_STEP_MS 64u

/* One packet of `bytes` IP bytes in the direction of `hot`, by the worker that carries it. True for the first one since
 * SESSION_SEEN_STEP_MS, and for the first one ever of the answers. */
static __rte_always_inline bool session_count(
	struct session_hot *hot, uint32_t bytes, uint32_t now_ms)
{
	atomic_store_explicit(&hot->packets,
		atomic_load_explicit(&hot->packets, memory_order_relaxed) + 1,
		memory_order_relaxed);
	atomic_store_explicit(&hot->bytes,
		atomic_load_explicit(&hot->bytes, memory_order_relaxed) + bytes,
		memory_order_relaxed);
	if (now_ms - atomic_load_explicit(&hot->seen_ms, memory_order_relaxed) <
		SESSION_SEEN_STEP_MS)
		return false;
	atomic_store_explicit(&hot->seen_ms, now_ms, memory_order_relaxed);
	return true;
}

/* The addresses of a direction as its packets arrive. */
static inline struct ip_addr session_src(uint32_t index, unsigned int dir)
{
	const struct session_key *key = &session_dir_of(index << 1 | dir)->key;

	return session_key_is_v6(key) ? session_exts[index].src[dir] : ip_addr_from_v4(key->src);
}

static inline struct ip_addr session_dst(uint32_t index, unsigned int dir)
{
	const struct session_key *key = &session_dir_of(index << 1 | dir)->key;

	return session_key_is_v6(key) ? session_exts[index].dst[dir] : ip_addr_from_v4(key->dst);
}

/* Sessions that live; the sum over the threads, so exact when none is at work. */
uint32_t session_used(void);
uint32_t session_capacity(void);
/* Indexes are below. */
uint32_t session_records(void);
/* The same of one VPC, and those of them without a packet of the other side. */
uint32_t session_vpc_used(uint32_t vpc_index);
uint32_t session_vpc_unanswered(uint32_t vpc_index);
/* `max` sessions of the VPC at most from now on, 0: the default. Control thread. */
void session_share_set(uint32_t vpc_index, uint32_t max);
/* The default, 0: no limit (so at start); and how many per cent of any share, given or default, may be unanswered. Near either
 * bound a VPC's unanswered sessions have as little time as those of a full table. Control thread. */
void session_share_default(uint32_t max, unsigned int unanswered_percent);
/* The first packet of direction 1; idempotent. The worker that carries it. */
void session_answered(uint32_t index);

/* Idle times until removal. Control thread. */
struct session_timeouts {
	uint32_t tcp_s[8]; /* by enum tcp_state */
	uint32_t udp_s;
	uint32_t udp_unanswered_s;
	uint32_t icmp_s;
	uint32_t other_s;
	uint32_t full_unanswered_s; /* half-open ones when the table is >= 90 % full */
};
extern struct session_timeouts session_timeouts;

/* How long `index` may be idle now, by protocol, TCP state and how full the table is. */
uint32_t session_timeout_s(uint32_t index);
/* How long neither side has sent, at now_ms. */
uint32_t session_idle_ms(uint32_t index, uint32_t now_ms);

/* Expiry: the control thread turns a clock hand; `slice` records a call, wraps. Times out what is due, and of sessions whose change word is old
 * validates those whose dependencies stand and calls `stale` (NULL: none) for the others, which may re-validate or cut.
 * Returns how many it timed out. `stale` must not wait for a grace period. */
unsigned int session_sweep(uint32_t slice, uint32_t now_ms, void (*stale)(uint32_t index));
/* Indexes that were ever in use: a turn of the hand is so many records. */
uint32_t session_high_water(void);

/* Who follows all sessions from one turn of the clock hand to the next (flow_log/). One, or NULL. */
struct session_watcher {
	/* Before a slice of a turn, inside its RCU read section: from here to its end no index is given to another session. Control
	 * thread. */
	void (*begin)(void);
	/* The hand passes a session. Control thread. */
	void (*visit)(uint32_t index, uint32_t now_ms);
	/* The hand has been round. Control thread. */
	void (*turned)(uint32_t now_ms);
	/* A session has been removed, by the calling thread; its record is still as it was. `timed_out`: because it was silent. Neither waits
	 * nor allocates. */
	void (*end)(uint32_t index, bool timed_out);
	/* One was made of another one's history. The inserting thread, before it can be found. */
	void (*resumed)(uint32_t index);
};
extern const struct session_watcher *_Atomic session_watcher;

static inline const struct session_watcher *session_watched(void)
{
	return atomic_load_explicit(&session_watcher, memory_order_acquire);
}

/* A session as it stood at one moment. */
struct session_view {
	uint32_t index;
	uint32_t vpc_index;
	struct session_dir dir[2];
	struct ip_addr src[2], dst[2]; /* as they arrive, both families */
	struct session_hold hold;
	uint64_t packets[2], bytes[2];
	uint32_t created_ms;
	uint32_t idle_ms, timeout_s;
	uint8_t tcp_state; /* enum tcp_state; of TCP only */
	bool answered;
};

/* The first live session at or behind *cursor (0 at first), which moves behind it; false at the end. Control thread. Sessions made
 * meanwhile may be missed; none is seen twice, none is a mixture of two. To remove what it finds: see session_remove(). */
bool session_next(uint32_t *cursor, uint32_t now_ms, struct session_view *view);

#endif
