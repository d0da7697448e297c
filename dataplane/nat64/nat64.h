/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT64_NAT64_H
#define NAT64_NAT64_H
/* Packets that come in one family and leave in the other: headers by RFC 7915, sessions by RFC 6146. Which tuple they get, NAT decides
 * (nat/); what is here rewrites by the session's records as forward/translate.h does within a family.
 *
 *	IPv6 → IPv4   20 bytes less; extension headers go, a Fragment header becomes the IPv4 fields
 *	IPv4 → IPv6   20 bytes more, 28 of a fragment; options go
 *
 * TCP, UDP and ICMP echo, and ICMP errors about them with the packet they quote. Not translated: fragmented ICMP, whose checksum
 * covers a pseudo header in one family only, and a fragmented UDP datagram without a checksum (RFC 7915 sections 1.2 and 4.5).
 */
#include <rte_mbuf.h>

#include "core/drop.h"
#include "core/pkt.h"
#include "forward/parse.h"
#include "forward/translate.h"

/* For translate_packet(): a packet of a session with SESSION_F_FAMILY, which is what it is the last to be done with. */
enum drop_reason nat64_packet(struct rte_mbuf *m, struct pkt *p, uint32_t ref);
enum drop_reason nat64_error(struct rte_mbuf *m, struct pkt *p, uint32_t ref);

/* A header: IPv4 without options, or IPv6, of a fragment with its Fragment header. */
struct nat64_header {
	uint8_t bytes[48];
	uint16_t len;
};

/* What a header is to say. `ip`: that of the packet that comes, with all its extension headers in `header_len`; `l4_len`: bytes behind it;
 * `proto`: as in the other family. */
struct nat64_question {
	const uint8_t *ip;
	uint16_t header_len, l4_len;
	uint8_t proto;
	const struct translate_addrs *to;
};
/* DROP_NONE; else it can not be said: source routes, lengths. */
enum drop_reason nat64_header_make(struct nat64_header *out, const struct nat64_question *q);
/* Bytes behind the headers, as they say. */
uint16_t nat64_l4_len(const uint8_t *ip, uint16_t header_len);

/* ICMP and ICMPv6 are each other's; the rest is the same. */
uint8_t nat64_proto(uint8_t proto, bool from6);

/* The other family's type of an echo message; -1: it is none. */
int nat64_echo_type(uint8_t type, bool from6);
/* The first eight bytes of an ICMP error but the checksum, RFC 7915 sections 4.2 and 5.2; false: it has no like. `quoted_len`: of the
 * packet it quotes, as that says. */
bool nat64_error_head(const uint8_t in[8], uint8_t out[8], uint16_t quoted_len, bool from6);

/* What an echo message's type, id and pseudo header do to its checksum. */
uint32_t nat64_echo_delta(
	const uint8_t *icmp, uint8_t type, rte_be16_t id, uint16_t pseudo, bool from6);

#endif
