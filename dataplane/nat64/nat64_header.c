/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 and IPv6 headers made of each other: RFC 7915 sections 4.1 and 5.1. Pure. */
#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "base/checksum.h"
#include "nat64/nat64.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_LSRR 131
#define OPTION_SSRR 137
/* IPv4 packets that IPv6's least MTU lets through come without DF (RFC 7915 section 5.1): who sends them does not look for a path's MTU. */
#define FRAGMENTABLE_MAX 1260u

struct piece {
	bool is;
	uint16_t offset; /* in units of eight bytes */
	bool more;
	uint32_t id;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint16_t nat64_l4_len(const uint8_t *ip, uint16_t header_len)
{
	uint32_t whole =
		ip[0] >> 4 == 6 ? sizeof(struct rte_ipv6_hdr) + get16(ip + 4) : get16(ip + 2);

	return (uint16_t)(whole > header_len ? whole - header_len : 0);
}

uint8_t nat64_proto(uint8_t proto, bool from6)
{
	if (from6)
		return proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : proto;
	return proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : proto;
}

/* ---- To IPv4 ---- */

/* The Fragment header, if there is one. False: a route that is not at its end. */
static bool read_extensions(const uint8_t *ip, uint16_t header_len, struct piece *piece)
{
	uint8_t next = ip[6];

	for (uint32_t at = sizeof(struct rte_ipv6_hdr); at + 8 <= header_len;) {
		const uint8_t *h = ip + at;

		if (next == IPPROTO_ROUTING && h[3] != 0)
			return false;
		if (next == IPPROTO_FRAGMENT) {
			*piece = (struct piece){.is = true,
				.offset = (uint16_t)(get16(h + 2) >> 3),
				.more = h[3] & 1,
				.id = (uint32_t)get16(h + 4) << 16 | get16(h + 6)};
			at += 8;
		} else {
			at += next == IPPROTO_AH ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		}
		next = h[0];
	}
	return true;
}

/* Not the same soon again (RFC 6864 section 4). A thread's own. */
static uint16_t next_id(const struct nat64_question *q)
{
	static __thread uint16_t n;

	return (uint16_t)(++n + q->to->dst.w[3] * 40503u);
}

static enum drop_reason make4(struct nat64_header *out, const struct nat64_question *q)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out->bytes;
	uint32_t len = sizeof(*ip) + q->l4_len;
	struct piece piece = {.is = false};

	if (len > UINT16_MAX || !read_extensions(q->ip, q->header_len, &piece))
		return DROP_UNSUPPORTED;
	out->len = sizeof(*ip);
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = 0x45,
		.type_of_service = (uint8_t)(q->ip[0] << 4 | q->ip[1] >> 4),
		.total_length = rte_cpu_to_be_16((uint16_t)len),
		.packet_id = rte_cpu_to_be_16(piece.is ? (uint16_t)piece.id : next_id(q)),
		.time_to_live = q->ip[7],
		.next_proto_id = q->proto,
		.src_addr = ip_addr_v4(&q->to->src),
		.dst_addr = ip_addr_v4(&q->to->dst),
	};
	if (piece.is)
		ip->fragment_offset = rte_cpu_to_be_16(
			(uint16_t)(piece.offset | (piece.more ? RTE_IPV4_HDR_MF_FLAG : 0)));
	else if (len > FRAGMENTABLE_MAX)
		ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->hdr_checksum = checksum_ipv4_header(ip);
	return DROP_NONE;
}

/* ---- To IPv6 ---- */

/* Is there a source route? What else options say ends here. */
static bool is_source_routed(const uint8_t *ip, uint16_t header_len)
{
	for (uint32_t at = sizeof(struct rte_ipv4_hdr);
		at + 1 < header_len && ip[at] != OPTION_END;) {
		if (ip[at] == OPTION_LSRR || ip[at] == OPTION_SSRR)
			return true;
		if (ip[at] != OPTION_NOP && ip[at + 1] < 2)
			return false;
		at += ip[at] == OPTION_NOP ? 1 : ip[at + 1];
	}
	return false;
}

static void put_fragment(uint8_t *h, const struct nat64_question *q, const struct piece *piece)
{
	h[0] = q->proto;
	h[1] = 0;
	put16(h + 2, (uint32_t)piece->offset << 3 | piece->more);
	put16(h + 4, 0);
	put16(h + 6, piece->id);
}

static enum drop_reason make6(struct nat64_header *out, const struct nat64_question *q)
{
	uint16_t frag = get16(q->ip + 6);
	struct piece piece = {.is = frag & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK),
		.offset = frag & RTE_IPV4_HDR_OFFSET_MASK,
		.more = frag & RTE_IPV4_HDR_MF_FLAG,
		.id = get16(q->ip + 4)};
	uint8_t *ip = out->bytes;
	uint32_t payload = q->l4_len + (piece.is ? 8u : 0);

	if (payload > UINT16_MAX || is_source_routed(q->ip, q->header_len))
		return DROP_UNSUPPORTED;
	out->len = (uint16_t)(sizeof(struct rte_ipv6_hdr) + (piece.is ? 8 : 0));
	ip[0] = (uint8_t)(6 << 4 | q->ip[1] >> 4);
	ip[1] = (uint8_t)(q->ip[1] << 4);
	put16(ip + 2, 0);
	put16(ip + 4, payload);
	ip[6] = piece.is ? IPPROTO_FRAGMENT : q->proto;
	ip[7] = q->ip[8];
	memcpy(ip + 8, &q->to->src, sizeof(q->to->src));
	memcpy(ip + 24, &q->to->dst, sizeof(q->to->dst));
	if (piece.is)
		put_fragment(ip + sizeof(struct rte_ipv6_hdr), q, &piece);
	return DROP_NONE;
}

enum drop_reason nat64_header_make(struct nat64_header *out, const struct nat64_question *q)
{
	return q->ip[0] >> 4 == 6 ? make4(out, q) : make6(out, q);
}
