/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_ICMP_ERROR_H
#define VPC_ICMP_ERROR_H
/* ICMP errors of the gateway (RFC 792, 1191, 1812 section 4.3; RFC 4443): when they may be sent, how they
 * look, how often. */
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/ip.h"
#include "core/location.h"

enum icmp_error_kind {
	ICMP_ERROR_TTL,        /* time exceeded in transit */
	ICMP_ERROR_TOO_BIG,    /* fragmentation needed, packet too big */
	ICMP_ERROR_PROHIBITED, /* administratively prohibited */
	ICMP_ERROR_NO_ROUTE,   /* network unreachable, no route to destination */
};

struct icmp_error {
	enum icmp_error_kind kind;
	uint16_t mtu;               /* TOO_BIG: largest IP packet that goes through */
	struct ip_addr src;         /* the gateway's address; of the quoted packet's family */
	struct rte_ether_addr smac; /* the gateway's */
	struct rte_ether_addr dmac; /* the quoted packet's sender */
};

/* Quoted bytes: what fits into 576 bytes (RFC 1812 section 4.3.2.3), the least MTU of IPv6 (RFC 4443). */
#define ICMP_ERROR_QUOTE4 (576u - 20 - 8)
#define ICMP_ERROR_QUOTE6 (1280u - 40 - 8)
#define ICMP_ERROR_FRAME_MAX (14u + 1280)

/* May a packet be answered with an error at all? Not if it is an ICMP error or redirect, a fragment
 * other than the first, sent to or from several, or cut short. `ip`: its first bytes, `len` of them. */
bool icmp_error_allowed(const uint8_t *ip, uint16_t len);

/* Writes the whole frame to `out` (ICMP_ERROR_FRAME_MAX bytes), quoting the packet at `ip`, of which
 * `len` bytes are given; to its source address. Returns the frame's length. */
uint16_t icmp_error_build(
	uint8_t *out, const struct icmp_error *error, const uint8_t *ip, uint16_t len);

/* At most ICMP_ERROR_RATE a second, unless another rate is set, to each port or VTEP, after a burst. Any worker. */
#define ICMP_ERROR_RATE 100u
#define ICMP_ERROR_BURST 20u
void icmp_error_set_rate(uint32_t per_s); /* 1 .. 1000; control thread */
bool icmp_error_pass(loc_t to, uint32_t now_ms);
/* The same to each address of the outside, and to all of them a hundred times as often. */
#define ICMP_ERROR_OUTSIDE 100u
bool icmp_error_pass_outside(const struct ip_addr *to, uint32_t now_ms);

struct rte_mbuf;

/* The error that answers a received packet (struct pkt filled), ready to send to pkt->out, counted as
 * generated; NULL when there is to be none. The packet stays the caller's, to be dropped. Workers. */
struct rte_mbuf *icmp_error_answer(struct rte_mbuf *m, enum icmp_error_kind kind, uint16_t mtu);

#endif
