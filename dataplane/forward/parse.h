/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_PARSE_H
#define FORWARD_PARSE_H
/* From a frame to a session key.
 *
 * parse_packet() fills the parse fields of struct pkt and, with PARSE_SESSION, the key. TCP and UDP over plain IPv4 and
 * IPv6 headers are recognised inline; everything else (options, extension headers, fragments, ICMP, other protocols, ARP)
 * goes through parse_general().
 *
 * ICMP queries get ports so that a reply's key is the query's reversed and a query in the other direction is another flow:
 * a query has (id, type << 8 | code), its reply (type << 8 | code of the query, id).
 */
#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "core/pkt.h"
#include "session/session.h"

enum parse_verdict {
	PARSE_SESSION, /* key is set */
	PARSE_OTHER, /* no session: ARP, ND, later fragments, ICMP errors; for `road` to classify */
	PARSE_DROP,  /* pkt->reason is set */
};

/* The general path; any frame. */
enum parse_verdict parse_general(
	struct rte_mbuf *m, struct pkt *p, struct session_key *key, struct ip_addr addrs[2]);

/* Sum of an option-less IPv4 header, folded; 0xffff when its checksum is right (RFC 1071). */
static __rte_always_inline uint16_t parse_ipv4_sum(const struct rte_ipv4_hdr *ip)
{
	uint32_t w[5];
	uint64_t sum;

	memcpy(w, ip, sizeof(w));
	sum = (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* One rotation, where DPDK has three instructions that wait for each other. */
static __rte_always_inline uint16_t parse_be16(rte_be16_t x)
{
	return RTE_BE16(x);
}

static __rte_always_inline bool parse_l4_fits(uint8_t proto, const void *l4, uint32_t l4_len)
{
	if (proto == IPPROTO_UDP) {
		const struct rte_udp_hdr *udp = l4;
		uint16_t len = parse_be16(udp->dgram_len);

		return l4_len >= sizeof(*udp) && len >= sizeof(*udp) && len <= l4_len;
	}
	const struct rte_tcp_hdr *tcp = l4;
	uint32_t off = (uint32_t)(tcp->data_off >> 4) * 4;

	return l4_len >= sizeof(*tcp) && off >= sizeof(*tcp) && off <= l4_len;
}

static __rte_always_inline enum parse_verdict parse_packet(
	struct rte_mbuf *m, struct pkt *p, struct session_key *key, struct ip_addr addrs[2])
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(eth + 1);
	const uint16_t *ports = (const uint16_t *)(ip + 1);
	uint16_t len, sport, dport;
	uint8_t proto;

	/* One test for the common case: long enough, IPv4, no options, not a fragment, TCP or UDP. */
	if (unlikely(m->data_len < sizeof(*eth) + sizeof(*ip) + sizeof(struct rte_udp_hdr) ||
		     eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || ip->version_ihl != 0x45 ||
		     (ip->fragment_offset & RTE_BE16(0x3fff)) != 0 ||
		     (ip->next_proto_id != IPPROTO_UDP &&
			     (ip->next_proto_id != IPPROTO_TCP ||
				     m->data_len < sizeof(*eth) + sizeof(*ip) +
							   sizeof(struct rte_tcp_hdr)))))
		return parse_general(m, p, key, addrs);
	len = parse_be16(ip->total_length);
	proto = ip->next_proto_id;
	if (unlikely(len < sizeof(*ip) || len + sizeof(*eth) > m->pkt_len ||
		     !parse_l4_fits(proto, ports, len - (uint32_t)sizeof(*ip)))) {
		p->reason = DROP_MALFORMED;
		return PARSE_DROP;
	}
	if (unlikely(
		    !(m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_GOOD) && parse_ipv4_sum(ip) != 0xffff)) {
		p->reason = DROP_BAD_CHECKSUM;
		return PARSE_DROP;
	}
	sport = ports[0];
	dport = ports[1];
	*key = session_key_packet4(p->vpc, proto, &ip->src_addr);
	p->l3_off = sizeof(*eth);
	p->l4_off = sizeof(*eth) + sizeof(*ip);
	p->l3_len = len;
	p->proto = proto;
	p->flags |= PKT_F_L4;
	p->sport = sport;
	p->dport = dport;
	return PARSE_SESSION;
}

/* Walks the extension headers of the IPv6 packet at l3, of which `room` bytes are there, 40 at least. Offset of the upper layer from
 * its header, which may be behind them; 0: malformed. Sets p->proto and the flags of fragments. */
uint32_t parse_skip_extensions(const uint8_t *l3, uint32_t room, struct pkt *p);

/* Addresses of a parsed IP packet, both families. */
static inline void parse_addrs(
	const struct rte_mbuf *m, const struct pkt *p, struct ip_addr *src, struct ip_addr *dst)
{
	const uint8_t *l3 = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off);

	if (p->flags & PKT_F_V6) {
		memcpy(src, l3 + 8, 16);
		memcpy(dst, l3 + 24, 16);
	} else {
		const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)l3;

		*src = ip_addr_from_v4(ip->src_addr);
		*dst = ip_addr_from_v4(ip->dst_addr);
	}
}

/* Queries and their answers have an id; of other messages those bytes are something else, and no port. */
bool parse_icmp_has_id(bool v6, uint8_t type);

/* An ICMP message that answers a query: never the first packet of a flow. The packet is parsed and not a later fragment. */
bool parse_is_answer(const struct rte_mbuf *m, const struct pkt *p);

/* The packet that an ICMP error quotes, as far as it is there. Offsets from the frame's start. */
struct parse_quote {
	uint32_t l3_off, l4_off; /* of its headers; eight bytes behind l4_off are there */
	uint32_t end;            /* of what is quoted */
	struct ip_addr src, dst;
	rte_be16_t sport, dport; /* as in a packet, ICMP too */
	uint8_t proto;
};

/* Of a parsed ICMP error. False: nothing that can be tracked. */
bool parse_quote(const struct rte_mbuf *m, const struct pkt *p, struct parse_quote *q);
/* The key of the quoted flow as it would run in the error's own direction. */
struct session_key parse_quote_key(const struct pkt *p, const struct parse_quote *q);

#endif
