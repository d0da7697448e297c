/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRAGMENT_FRAGMENT_H
#define FRAGMENT_FRAGMENT_H
/* IP fragments follow their first fragment: only that one carries the ports of the flow.
 *
 * A bounded table remembers a datagram's ports from its first fragment on. Later fragments take them from
 * there and go their session's way; those that come before their first are held, few and not long
 * (RFC 4787 REQ-14: in any order). Nothing is reassembled. A datagram whose fragments overlap (RFC 1858,
 * 3128, 5722), are out of bounds or do not fit one another is dropped from there on.
 *
 * Threads: any worker, any fragment; a bucket of the table is under a spin lock. Off the fast path.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>

#include "base/ip.h"
#include "core/drop.h"
#include "core/location.h"

#define FRAGMENT_DATAGRAMS 4096u /* known at a time */
#define FRAGMENT_HELD_MAX 2048u  /* frames held at a time, of all datagrams */
#define FRAGMENT_HELD_EACH                                                                         \
	46u /* of one: a 64 kB datagram in pieces of 1,448 bytes, but the first */
#define FRAGMENT_TIMEOUT_MS 2000u

/* Whose fragment it is: RFC 791 section 2.3, RFC 8200 section 4.5; and where it came in. */
struct fragment_id {
	struct ip_addr src, dst;
	uint32_t vpc;
	loc_t in;
	uint32_t id;    /* as on the wire */
	uint32_t proto; /* IPv4; 0 for IPv6 */
};
_Static_assert(sizeof(struct fragment_id) == 48, "hashed: no padding");

/* Which part of the datagram's payload it is. */
struct fragment_piece {
	uint32_t start, end; /* bytes */
	bool more;           /* not the last */
};

/* What the first fragment says about all. */
struct fragment_flow {
	rte_be16_t sport, dport;
	uint8_t proto;
};

/* From the IP header at `ip`, of which `room` bytes are there, of a fragment of `l3_len` bytes in all.
 * DROP_NONE, or DROP_FRAGMENT: empty, not in units of eight bytes, beyond the longest datagram, or a
 * first one too short to hold its upper header (RFC 1858 section 3). Fills all of `id` but vpc and in. */
enum drop_reason fragment_parse(const uint8_t *ip, uint32_t room, uint16_t l3_len,
	struct fragment_id *id, struct fragment_piece *piece);

enum fragment_verdict {
	FRAGMENT_GO,   /* `flow` is known */
	FRAGMENT_HELD, /* the table keeps the frame */
	FRAGMENT_DROP, /* with *reason */
};

/* Frames that the table gives back: to go on when `reason` is DROP_NONE, else to be dropped. */
struct fragment_freed {
	void *frames[FRAGMENT_HELD_EACH];
	unsigned int n;
	enum drop_reason reason;
};

/* The first fragment passed, or was dropped for `denied`. DROP_NONE, or why it is to be dropped. */
enum drop_reason fragment_first(const struct fragment_id *id, const struct fragment_piece *piece,
	const struct fragment_flow *flow, enum drop_reason denied, uint32_t now_ms,
	struct fragment_freed *freed);
/* A later one. */
enum fragment_verdict fragment_later(const struct fragment_id *id,
	const struct fragment_piece *piece, void *frame, uint32_t now_ms,
	struct fragment_flow *flow, enum drop_reason *reason, struct fragment_freed *freed);
/* Forgets what has timed out in some buckets from *cursor on. True: `freed` is to be dropped and there
 * may be more at once. */
bool fragment_expire(uint32_t *cursor, uint32_t now_ms, struct fragment_freed *freed);

/* Frames in the table. Any thread. */
uint32_t fragment_held(void);
/* Datagrams in the table; for tests, slow. */
uint32_t fragment_known(void);

struct rte_mbuf;
struct pkt;

/* For the roads: a first fragment that passes, before its headers are changed, or is dropped (`denied`). Workers. */
enum drop_reason fragment_seen(struct rte_mbuf *m, const struct pkt *p, enum drop_reason denied);

#endif
