/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/parse.h"

#include "base/checksum.h"

/* Headers an IPv6 packet may chain before we call it malformed. */
#define EXTENSIONS_MAX 8

enum {
	ICMP6_UNREACHABLE = 1,
	ICMP6_PARAMETER = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_ND_FIRST = 133,
	ICMP6_RA = 134,
	ICMP6_REDIRECT = 137,
	ICMP6_ND_LAST = 137,
};

static enum parse_verdict bad(struct pkt *p, enum drop_reason reason)
{
	p->reason = (uint8_t)reason;
	return PARSE_DROP;
}

static bool icmp4_is_error(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* Query type of a reply, or -1. Timestamp, information and address mask are as old as echo. */
static int icmp4_query_of(uint8_t type)
{
	return type == 0 ? 8 : type == 14 ? 13 : type == 16 ? 15 : type == 18 ? 17 : -1;
}

static bool icmp4_is_query(uint8_t type)
{
	return type == 8 || type == 13 || type == 15 || type == 17;
}

static int icmp_query_of(bool v6, uint8_t type)
{
	return v6 ? (type == ICMP6_ECHO_REPLY ? ICMP6_ECHO : -1) : icmp4_query_of(type);
}

bool parse_icmp_has_id(bool v6, uint8_t type)
{
	return icmp_query_of(v6, type) >= 0 || (v6 ? type == ICMP6_ECHO : icmp4_is_query(type));
}

bool parse_is_answer(const struct rte_mbuf *m, const struct pkt *p)
{
	bool v6 = p->flags & PKT_F_V6;

	return p->proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) && (p->flags & PKT_F_L4) &&
	       icmp_query_of(v6, *rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off)) >= 0;
}

/* Ports of an ICMP message (see the header). */
static void icmp_ports(bool v6, const uint8_t *icmp, uint16_t *sport, uint16_t *dport)
{
	uint16_t id;
	int query = icmp_query_of(v6, icmp[0]);

	memcpy(&id, icmp + 4, sizeof(id));
	if (query >= 0) {
		*sport = rte_cpu_to_be_16((uint16_t)(query << 8));
		*dport = id;
	} else {
		bool has_id = v6 ? icmp[0] == ICMP6_ECHO : icmp4_is_query(icmp[0]);

		*sport = has_id ? id : 0;
		*dport = rte_cpu_to_be_16((uint16_t)(icmp[0] << 8 | icmp[1]));
	}
}

/* Neighbour discovery in fragments is nobody's (RFC 6980 section 5); hiding a router's words is what it is good for. */
static enum drop_reason nd_fragment(uint8_t type)
{
	return type == ICMP6_RA || type == ICMP6_REDIRECT ? DROP_ROGUE_RA : DROP_MALFORMED;
}

static enum parse_verdict parse_icmp(struct pkt *p, const uint8_t *icmp, uint32_t l4_len)
{
	bool v6 = p->flags & PKT_F_V6;

	if (l4_len < 8)
		return bad(p, DROP_MALFORMED);
	if (v6 ? icmp[0] < ICMP6_ECHO : icmp4_is_error(icmp[0])) {
		p->flags |= PKT_F_ICMP_ERROR;
		return PARSE_OTHER;
	}
	if (v6 && icmp[0] >= ICMP6_ND_FIRST && icmp[0] <= ICMP6_ND_LAST)
		return p->flags & PKT_F_FRAGMENT ? bad(p, nd_fragment(icmp[0])) : PARSE_OTHER;
	icmp_ports(v6, icmp, &p->sport, &p->dport);
	p->flags |= PKT_F_L4;
	return PARSE_SESSION;
}

/* Ports (or nothing) of what follows the IP headers; `room` bytes of it are in the first segment. */
static enum parse_verdict parse_l4(struct pkt *p, const uint8_t *l4, uint32_t l4_len, uint32_t room)
{
	p->sport = p->dport = 0;
	if (p->flags & PKT_F_LATER)
		return PARSE_OTHER;
	switch (p->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		if (room < (p->proto == IPPROTO_TCP ? sizeof(struct rte_tcp_hdr)
						    : sizeof(struct rte_udp_hdr)))
			return bad(p, DROP_MALFORMED);
		/* A first fragment's UDP length is that of the whole datagram. */
		if (!(p->flags & PKT_F_FRAGMENT) && !parse_l4_fits(p->proto, l4, l4_len))
			return bad(p, DROP_MALFORMED);
		memcpy(&p->sport, l4, 2);
		memcpy(&p->dport, l4 + 2, 2);
		p->flags |= PKT_F_L4;
		return PARSE_SESSION;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((p->proto == IPPROTO_ICMPV6) != !!(p->flags & PKT_F_V6))
			return PARSE_SESSION;
		return room < 8 ? bad(p, DROP_MALFORMED) : parse_icmp(p, l4, l4_len);
	default:
		return PARSE_SESSION;
	}
}

static enum parse_verdict parse_ipv4(struct rte_mbuf *m, struct pkt *p, struct session_key *key)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, p->l3_off);
	uint32_t room = m->data_len - p->l3_off, ihl, len, frag;
	enum parse_verdict v;

	if (room < sizeof(*ip) || ip->version_ihl >> 4 != 4)
		return bad(p, DROP_MALFORMED);
	ihl = (ip->version_ihl & 15u) * 4;
	len = rte_be_to_cpu_16(ip->total_length);
	if (ihl < sizeof(*ip) || ihl > room || len < ihl || len + p->l3_off > m->pkt_len)
		return bad(p, DROP_MALFORMED);
	if (!(m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_GOOD) &&
		checksum_fold(checksum_add(0, ip, ihl)) != 0xffff)
		return bad(p, DROP_BAD_CHECKSUM);
	frag = rte_be_to_cpu_16(ip->fragment_offset);
	if (frag & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK))
		p->flags |= PKT_F_FRAGMENT;
	if (frag & RTE_IPV4_HDR_OFFSET_MASK)
		p->flags |= PKT_F_LATER;
	p->l3_len = (uint16_t)len;
	p->proto = ip->next_proto_id;
	p->l4_off = (uint16_t)(p->l3_off + ihl);
	v = parse_l4(p, (const uint8_t *)ip + ihl, len - ihl, RTE_MIN(room, len) - ihl);
	if (v == PARSE_SESSION)
		*key = session_key_v4(
			p->vpc, p->proto, ip->src_addr, ip->dst_addr, p->sport, p->dport);
	return v;
}

uint32_t parse_skip_extensions(const uint8_t *l3, uint32_t room, struct pkt *p)
{
	uint32_t off = sizeof(struct rte_ipv6_hdr);
	uint8_t next = l3[6];

	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
			next != IPPROTO_FRAGMENT && next != IPPROTO_AH) {
			p->proto = next;
			return off;
		}
		if (off + 8 > room)
			return 0;
		if (next == IPPROTO_ROUTING && l3[off + 2] == 0)
			return 0; /* RFC 5095 */
		if (next == IPPROTO_FRAGMENT) {
			uint16_t frag = (uint16_t)(l3[off + 2] << 8 | l3[off + 3]);

			/* An atomic fragment (RFC 6946) is a whole packet. */
			if (frag & 0xfff9)
				p->flags |= PKT_F_FRAGMENT;
			if (frag & 0xfff8)
				p->flags |= PKT_F_LATER;
		}
		uint8_t after = l3[off];

		off += next == IPPROTO_FRAGMENT ? 8u
		       : next == IPPROTO_AH     ? (l3[off + 1] + 2u) * 4
						: (l3[off + 1] + 1u) * 8;
		next = after;
		if (p->flags & PKT_F_LATER) { /* what follows is payload */
			p->proto = next;
			return off;
		}
	}
	return 0;
}

static enum parse_verdict parse_ipv6(
	struct rte_mbuf *m, struct pkt *p, struct session_key *key, struct ip_addr addrs[2])
{
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, p->l3_off);
	uint32_t room = m->data_len - p->l3_off, len, off;
	enum parse_verdict v;

	p->flags |= PKT_F_V6;
	if (room < sizeof(*ip) || ((const uint8_t *)ip)[0] >> 4 != 6)
		return bad(p, DROP_MALFORMED);
	len = rte_be_to_cpu_16(ip->payload_len) + (uint32_t)sizeof(*ip);
	if (len + p->l3_off > m->pkt_len || len > UINT16_MAX)
		return bad(p, DROP_MALFORMED);
	memcpy(&addrs[0], ip->src_addr, 16);
	memcpy(&addrs[1], ip->dst_addr, 16);
	if (ip_addr_is_v4(&addrs[0]) || ip_addr_is_v4(&addrs[1]))
		return bad(p,
			DROP_MALFORMED); /* RFC 4038 4.2: mapped addresses are not for the wire */
	off = parse_skip_extensions((const uint8_t *)ip, RTE_MIN(room, len), p);
	if (off == 0 || off > RTE_MIN(room, len))
		return bad(p, DROP_MALFORMED);
	p->l3_len = (uint16_t)len;
	p->l4_off = (uint16_t)(p->l3_off + off);
	v = parse_l4(p, (const uint8_t *)ip + off, len - off, RTE_MIN(room, len) - off);
	if (v == PARSE_SESSION)
		*key = session_key_v6(p->vpc, p->proto, &addrs[0], &addrs[1], p->sport, p->dport);
	return v;
}

enum parse_verdict parse_general(
	struct rte_mbuf *m, struct pkt *p, struct session_key *key, struct ip_addr addrs[2])
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	if (m->data_len < sizeof(*eth))
		return bad(p, DROP_MALFORMED);
	p->l3_off = p->l4_off = sizeof(*eth);
	p->proto = 0;
	switch (rte_be_to_cpu_16(eth->ether_type)) {
	case RTE_ETHER_TYPE_IPV4:
		return parse_ipv4(m, p, key);
	case RTE_ETHER_TYPE_IPV6:
		return parse_ipv6(m, p, key, addrs);
	case RTE_ETHER_TYPE_ARP:
		return PARSE_OTHER;
	case RTE_ETHER_TYPE_VLAN:
	case RTE_ETHER_TYPE_QINQ:
		return bad(p, DROP_VLAN);
	default:
		return bad(p, rte_is_multicast_ether_addr(&eth->dst_addr) ? DROP_BROADCAST
									  : DROP_UNSUPPORTED);
	}
}

static bool quote4(const uint8_t *ip, uint32_t have, struct parse_quote *q)
{
	rte_be32_t addr;
	uint32_t header;

	if (have < sizeof(struct rte_ipv4_hdr) || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15u) * 4;
	if (header < sizeof(struct rte_ipv4_hdr) || ((ip[6] & 0x1f) | ip[7]) != 0)
		return false;
	q->proto = ip[9];
	q->l4_off = q->l3_off + header;
	memcpy(&addr, ip + 12, sizeof(addr));
	q->src = ip_addr_from_v4(addr);
	memcpy(&addr, ip + 16, sizeof(addr));
	q->dst = ip_addr_from_v4(addr);
	return true;
}

static bool quote6(const uint8_t *ip, uint32_t have, struct parse_quote *q)
{
	struct pkt inner = {.flags = PKT_F_V6};
	uint32_t header;

	if (have < sizeof(struct rte_ipv6_hdr) || ip[0] >> 4 != 6)
		return false;
	header = parse_skip_extensions(ip, have, &inner);
	if (header == 0 || (inner.flags & PKT_F_LATER))
		return false;
	q->proto = inner.proto;
	q->l4_off = q->l3_off + header;
	q->src = ip_addr_from_v6(ip + 8);
	q->dst = ip_addr_from_v6(ip + 24);
	return true;
}

bool parse_quote(const struct rte_mbuf *m, const struct pkt *p, struct parse_quote *q)
{
	uint8_t copy[sizeof(struct rte_ipv6_hdr) + 64];
	bool v6 = p->flags & PKT_F_V6;
	uint32_t have;
	const uint8_t *ip, *l4;

	q->l3_off = p->l4_off + 8u;
	q->end = RTE_MIN((uint32_t)p->l3_off + p->l3_len, m->pkt_len);
	q->sport = q->dport = 0;
	if (q->end <= q->l3_off)
		return false;
	have = RTE_MIN(q->end - q->l3_off, (uint32_t)sizeof(copy));
	ip = rte_pktmbuf_read(m, q->l3_off, have, copy);
	if (ip == NULL || !(v6 ? quote6(ip, have, q) : quote4(ip, have, q)) ||
		q->l4_off + 8 > q->l3_off + have)
		return false;
	l4 = ip + (q->l4_off - q->l3_off);
	if (q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP) {
		memcpy(&q->sport, l4, 2);
		memcpy(&q->dport, l4 + 2, 2);
	} else if (q->proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		icmp_ports(v6, l4, &q->sport, &q->dport);
	}
	return true;
}

struct session_key parse_quote_key(const struct pkt *p, const struct parse_quote *q)
{
	if (p->flags & PKT_F_V6)
		return session_key_v6(p->vpc, q->proto, &q->dst, &q->src, q->dport, q->sport);
	return session_key_v4(
		p->vpc, q->proto, ip_addr_v4(&q->dst), ip_addr_v4(&q->src), q->dport, q->sport);
}
