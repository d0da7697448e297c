/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIRROR_ERSPAN_H
#define MIRROR_ERSPAN_H
/* ERSPAN type II and III headers over GRE (draft-foschiano-erspan-03, RFC 2784, RFC 2890): pure functions on bytes.
 *
 *	Ethernet | IPv4 or IPv6, protocol 47 | GRE with sequence number 8 | ERSPAN 8 (II) or 12 (III) | frame
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "underlay/vxlan.h"

#define ERSPAN_OVERHEAD_MAX 74 /* Ethernet 14 + IPv6 40 + GRE 8 + ERSPAN 12 */
#define ERSPAN_SESSION_MAX 1023

/* Everything in front of the frame but lengths, sequence number and time. Immutable. */
struct erspan_outer {
	uint8_t bytes[80];
	uint16_t ip_sum; /* IPv4: sum of the header so far */
	uint8_t len;
	uint8_t version; /* 2, 3 */
	bool v6;
};

/* The way that `path` goes. */
void erspan_outer_make(struct erspan_outer *outer, const struct vxlan_outer *path, uint8_t version,
	uint16_t session_id);

struct erspan_frame {
	uint32_t sequence;
	uint32_t time_100us; /* version 3; of any clock that goes on */
	bool truncated;      /* it is cut */
	bool given;          /* version 3: seen on its way to the port, not from it */
};
/* Puts it in front of the frame. False: no headroom. */
bool erspan_push(
	struct rte_mbuf *m, const struct erspan_outer *outer, const struct erspan_frame *frame);

#endif
