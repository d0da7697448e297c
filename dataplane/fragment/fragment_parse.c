/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>

#include <rte_ip.h>

#include "fragment/fragment.h"

/* Least payload of a first fragment: the part of the upper header that rules and tracking look at. */
static uint32_t least_first(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8;
	default:
		return 0;
	}
}

static enum drop_reason check(
	const struct fragment_piece *piece, uint8_t proto, uint32_t header_len)
{
	uint32_t len = piece->end - piece->start;

	if (len == 0 || (piece->more && len % 8 != 0) || piece->end + header_len > UINT16_MAX)
		return DROP_FRAGMENT;
	if (piece->start == 0 && len < least_first(proto))
		return DROP_FRAGMENT;
	/* RFC 3128: nothing may begin inside a TCP header. */
	if (piece->start != 0 && piece->start < 20 && proto == IPPROTO_TCP)
		return DROP_FRAGMENT;
	return DROP_NONE;
}

static enum drop_reason parse4(const struct rte_ipv4_hdr *ip, uint16_t l3_len,
	struct fragment_id *id, struct fragment_piece *piece)
{
	uint16_t frag = rte_be_to_cpu_16(ip->fragment_offset);
	uint32_t header = rte_ipv4_hdr_len(ip);

	id->src = ip_addr_from_v4(ip->src_addr);
	id->dst = ip_addr_from_v4(ip->dst_addr);
	id->id = ip->packet_id;
	id->proto = ip->next_proto_id;
	piece->start = (frag & RTE_IPV4_HDR_OFFSET_MASK) * 8u;
	piece->end = piece->start + l3_len - header;
	piece->more = frag & RTE_IPV4_HDR_MF_FLAG;
	return check(piece, ip->next_proto_id, header);
}

/* The fragment header is behind headers that every hop may read (RFC 8200 section 4.5). */
static enum drop_reason parse6(const struct rte_ipv6_hdr *ip, uint32_t room, uint16_t l3_len,
	struct fragment_id *id, struct fragment_piece *piece)
{
	const uint8_t *l3 = (const uint8_t *)ip;
	uint32_t off = sizeof(*ip);
	uint8_t next = ip->proto;
	uint16_t frag;

	for (unsigned int n = 0; n < 8 && next != IPPROTO_FRAGMENT; n++) {
		if (off + 8 > room)
			return DROP_FRAGMENT;
		next = l3[off];
		off += (l3[off + 1] + 1u) * 8;
	}
	if (next != IPPROTO_FRAGMENT || off + 8 > room)
		return DROP_FRAGMENT;
	id->src = ip_addr_from_v6(ip->src_addr);
	id->dst = ip_addr_from_v6(ip->dst_addr);
	memcpy(&id->id, l3 + off + 4, sizeof(id->id));
	id->proto = 0; /* only the first one's next header counts */
	frag = (uint16_t)(l3[off + 2] << 8 | l3[off + 3]);
	piece->start = frag & 0xfff8u;
	piece->end = piece->start + l3_len - (off + 8);
	piece->more = frag & 1;
	return check(piece, l3[off], off - (uint32_t)sizeof(*ip));
}

enum drop_reason fragment_parse(const uint8_t *ip, uint32_t room, uint16_t l3_len,
	struct fragment_id *id, struct fragment_piece *piece)
{
	return ip[0] >> 4 == 4 ? parse4((const struct rte_ipv4_hdr *)ip, l3_len, id, piece)
			       : parse6((const struct rte_ipv6_hdr *)ip, room, l3_len, id, piece);
}
