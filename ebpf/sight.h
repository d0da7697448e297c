/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the inspection programs in the kernel (ebpf/kernel) and vpc-inspectd share: the shapes of maps and events.
 * Maps are pinned and outlive both, so a change of any shape here is a change of SIGHT_ABI.
 *
 * Numbers are in host byte order, addresses in network order; times are of the kernel's monotonic clock.
 */
#ifndef EBPF_SIGHT_H
#define EBPF_SIGHT_H

#include <linux/types.h>

#define SIGHT_ABI 2

/* Bytes of a tenant's frame that are kept; headers and a whole DNS question fit. */
#define SIGHT_SNAP 320
/* Newest packets that are kept as evidence; a power of two. */
#define SIGHT_RECORDS 4096
/* Number of a sender or receiver that is no port of this node; others of the feed are the dataplane's. */
#define SIGHT_OUTSIDE 0xffffff
/* Of a port with an interface that is watched directly: this and the interface's index. */
#define SIGHT_PORT_DIRECT (1U << 31)

/* X(symbol, name in the API, threshold, window in seconds): what holds where an inspection leaves them out. */
#define SIGHT_DETECTORS_X(X)                                                                       \
	X(SIGHT_PORT_SCAN, "port_scan", 20, 60)                                                    \
	X(SIGHT_HOST_SCAN, "host_scan", 20, 60)                                                    \
	X(SIGHT_SYN_FLOOD, "syn_flood", 200, 10)                                                   \
	X(SIGHT_ICMP_SWEEP, "icmp_sweep", 20, 60)                                                  \
	X(SIGHT_FIRST_CONTACT, "first_contact", 1, 86400)                                          \
	X(SIGHT_INDICATOR, "indicator", 1, 60)                                                     \
	X(SIGHT_BEACON, "beacon", 10, 3600)                                                        \
	X(SIGHT_VOLUME, "volume", 1024, 3600)                                                      \
	X(SIGHT_DNS_TUNNEL, "dns_tunnel", 50, 60)

enum sight_detector {
#define X(symbol, name, threshold, window_s) symbol,
	SIGHT_DETECTORS_X(X)
#undef X
		SIGHT_DETECTORS
};

/* IPv4 as ::ffff:a.b.c.d. */
union sight_addr {
	__u8 b[16];
	__u32 w[4];
	__u64 d[2];
};

/* ---- Configuration: written by user space, read by programs ---- */

struct sight_rule {
	__u32 threshold; /* 0: the detector is off */
	__u32 window_s;
};

/* `vpcs`, by VNI: VPCs under inspection. */
struct sight_vpc {
	__u64 learn_until_ns; /* first contacts before are learnt, not told */
	__u32 has_prefixes;   /* `prefixes` say what is inside; else: private addresses are */
	__u32 learn_s;        /* what learn_until_ns was made from */
	struct sight_rule rules[SIGHT_DETECTORS];
};

/* `interfaces`, by ifindex: kernel interfaces of ports that are watched directly. */
struct sight_interface {
	__u32 vni;
	__u32 port;
};

/* Key of the tries `prefixes` and `indicators`, of a VPC each. */
struct sight_prefix_key {
	__u32 prefix_bits; /* of 32 + 128 */
	__be32 vni;
	union sight_addr address;
};
_Static_assert(sizeof(struct sight_prefix_key) == 24, "a trie's key has no padding");

/* `state`, one element. */
struct sight_state {
	__u64 cursor;   /* packets recorded so far; the next is records[cursor % SIGHT_RECORDS] */
	__u64 lost_ns;  /* when an event was lost last */
	__u64 clock_ns; /* the time, in tests */
	__u32 shift; /* of sampled packets, one in 2^shift is looked at. Programs raise, user space lowers it */
	__u32 sample;     /* packets that a sampled one stands for */
	__u32 indicators; /* changes with every change of the lists */
	__u32 instance;   /* run of the dataplane whose numbers of ports the feed has. User space */
};
#define SIGHT_SHIFT_MAX 10

/* ---- Packets ---- */

/* Of the feed: outer UDP source port. */
enum sight_feed {
	SIGHT_FEED_DENIED = 1 << 0,
	SIGHT_FEED_FIRST = 1 << 1,   /* first packet of a flow */
	SIGHT_FEED_ANSWER = 1 << 2,  /* from the side that did not begin */
	SIGHT_FEED_SAMPLED = 1 << 3, /* stands for `sample` packets */
	SIGHT_FEED_REASON_SHIFT = 8, /* bits 8 to 15: drop reason */
};

enum sight_tcp { SIGHT_FIN = 1, SIGHT_SYN = 2, SIGHT_RST = 4, SIGHT_ACK = 16 };

/* What the parser makes of a frame. */
enum sight_parsed {
	SIGHT_PARSED = 0,
	SIGHT_NOT_IP,    /* ARP and others: not looked at */
	SIGHT_FRAGMENT,  /* not the first: without ports, only addresses are set */
	SIGHT_TRUNCATED, /* headers are longer than what was captured */
	SIGHT_BAD,       /* headers contradict themselves */
};

struct sight_packet {
	__u64 time_ns;
	union sight_addr source, destination;
	__u32 vni;
	__u32 sender, receiver; /* number of the port, or SIGHT_OUTSIDE */
	__u32 bytes;            /* of the IP packet, as its header says */
	__u32 payload;          /* bytes behind the transport's header, as headers say */
	__u16 payload_offset;   /* in the frame */
	__u16 captured;         /* bytes of the frame that are kept */
	__u16 source_port;      /* ICMP echo: request its id, 0; reply 0, its id */
	__u16 destination_port;
	__u8 protocol;
	__u8 family; /* 4, 6 */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 feed;   /* enum sight_feed */
	__u8 reason; /* of the drop */
	__u8 parsed; /* enum sight_parsed */
	__u8 reserved;
	__u32 length; /* of the frame as it arrived here */
};

/* `records`: the newest packets, a ring. */
struct sight_record {
	__u64 sequence; /* 0 while it is written, else its number + 1 */
	struct sight_packet packet;
	__u8 frame[SIGHT_SNAP];
};

/* ---- Tables: LRU maps ---- */

/* `flows`; source is who began. */
struct sight_flow_key {
	union sight_addr source, destination;
	__u32 vni;
	__u16 source_port, destination_port;
	__u8 protocol;
	__u8 reserved[3];
};

enum sight_flow_state {
	SIGHT_FLOW_MIDDLE = 1 << 0, /* its beginning was not seen: nobody is suspected for it */
	SIGHT_FLOW_ESTABLISHED = 1 << 1,
	SIGHT_FLOW_PAYLOAD = 1 << 2,
	SIGHT_FLOW_ANSWERED = 1 << 3,
	SIGHT_FLOW_CLOSED = 1 << 4,
};

struct sight_flow {
	__u64 first_ns, last_ns;
	__u64 packets[2],
		bytes[2]; /* of who began, of who answers; sampled ones with their weight */
	__u32 syns;
	__u32 indicators; /* sight_state.indicators it was compared with */
	__u8 state;
	__u8 tcp_flags[2];
	__u8 reserved[5];
};

/* `spreads`: how many different things a source touched in a window. */
enum sight_spread_kind {
	SIGHT_SPREAD_PORTS = 1, /* of one destination */
	SIGHT_SPREAD_HOSTS,     /* with one port */
	SIGHT_SPREAD_ECHO,      /* hosts asked by ICMP */
	SIGHT_SPREAD_PEERS,     /* hosts never seen before */
	SIGHT_SPREAD_NAMES,     /* DNS names below one domain: its hash is the destination */
};
#define SIGHT_SPREAD_BITS 1024
/* Above it, hashing into the bits hides too much. */
#define SIGHT_SPREAD_MAX 700
/* A slow scan has this many windows' time, and needs this many times the threshold. */
#define SIGHT_SLOW_WINDOWS 30
#define SIGHT_SLOW_FACTOR 2

struct sight_spread_key {
	union sight_addr source, destination;
	__u32 vni;
	__u16 port;
	__u8 protocol;
	__u8 kind;
};

struct sight_spread {
	__u64 start_ns, slow_ns, event_ns;
	__u32 seen, open, slow; /* bits set */
	__u32 reserved;
	__u64 seen_bits[SIGHT_SPREAD_BITS / 64];
	__u64 open_bits[SIGHT_SPREAD_BITS / 64]; /* seen, and not answered since */
	__u64 slow_bits[SIGHT_SPREAD_BITS / 64]; /* as open, over the long window */
};

/* `floods`: handshakes begun with a service by one sender. */
struct sight_flood_key {
	union sight_addr destination;
	__u32 vni, sender;
	__u16 port;
	__u16 reserved;
};
struct sight_flood {
	__u64 start_ns, event_ns;
	__u32 syns, done;
};

/* `contacts`: who has spoken to whom. */
struct sight_contact_key {
	union sight_addr source, destination;
	__u32 vni;
};
struct sight_contact {
	__u64 last_ns;
};

/* `beacons`: new flows to one service outside, as a series. */
struct sight_beacon_key {
	union sight_addr source, destination;
	__u32 vni;
	__u16 port;
	__u8 protocol;
	__u8 reserved;
};
struct sight_beacon {
	__u64 start_ns, last_ns, event_ns;
	__u64 sum_ms, squares_ms; /* of the intervals */
	__u32 intervals;
	__u32 crowded; /* flows that came too soon to be a call of their own */
};
#define SIGHT_BEACON_MIN_NS 200000000ULL

/* `volumes`: what a source sends outside in flows it began. */
struct sight_volume_key {
	union sight_addr source;
	__u32 vni;
};
struct sight_volume {
	__u64 start_ns, event_ns;
	__u64 out, in; /* bytes */
	__u64 usual;   /* the most of earlier windows, fading by a sixteenth each */
};

/* ---- Events ---- */

struct sight_event {
	__u64 time_ns;
	__u64 record; /* number of the detecting packet */
	union sight_addr source, target;
	__u32 detector;
	__u32 vni;
	__u32 port; /* number of the source's port, or SIGHT_OUTSIDE */
	__u32 count;
	__u32 window_s;
	__u32 list; /* indicator: index of the list */
	__u16 source_port, target_port;
	__u8 protocol;
	__u8 slow; /* port_scan: of the long window */
	__u8 reserved[2];
	struct sight_spread_key spread; /* host_scan, icmp_sweep: to look again */
};

/* The shortest time between two events of one entry. */
#define SIGHT_EVENT_GAP_NS 200000000ULL

/* `counters`, per CPU. X(symbol, name, help) */
#define SIGHT_COUNTERS_X(X)                                                                        \
	X(SIGHT_COUNT_PACKETS, "packets", "looked at")                                             \
	X(SIGHT_COUNT_FOREIGN, "foreign", "of a VPC that is not under inspection")                 \
	X(SIGHT_COUNT_NOT_FEED, "not_feed", "on the feed, but not in its form")                    \
	X(SIGHT_COUNT_NOT_IP, "not_ip", "neither IPv4 nor IPv6")                                   \
	X(SIGHT_COUNT_FRAGMENTS, "fragments", "without a transport header")                        \
	X(SIGHT_COUNT_TRUNCATED, "truncated", "headers longer than what was captured")             \
	X(SIGHT_COUNT_BAD, "bad", "headers that contradict themselves")                            \
	X(SIGHT_COUNT_SKIPPED, "skipped", "left out to save time: nobody keeps up")                \
	X(SIGHT_COUNT_FLOWS, "flows", "new flows")                                                 \
	X(SIGHT_COUNT_EVENTS, "events", "told to vpc-inspectd")                                    \
	X(SIGHT_COUNT_LOST, "events_lost", "not told: the ring was full")                          \
	X(SIGHT_COUNT_FULL, "table_full", "entries that could not be made")

enum sight_counter {
#define X(symbol, name, help) symbol,
	SIGHT_COUNTERS_X(X)
#undef X
		SIGHT_COUNTERS
};

#endif
