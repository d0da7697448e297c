/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: the header behind Ethernet's is exchanged, what follows is where it was. */
#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "nat64/nat64.h"

static uint16_t pseudo6(const uint8_t *ip, const struct translate_addrs *to, uint16_t l4_len)
{
	bool from6 = ip[0] >> 4 == 6;

	return checksum_fold(checksum_pseudo6(from6 ? ip + 8 : to->src.bytes,
		from6 ? ip + 24 : to->dst.bytes, IPPROTO_ICMPV6, l4_len));
}

static enum drop_reason exchange_echo(uint8_t *icmp, const struct nat64_question *q, uint32_t ref)
{
	bool from6 = q->ip[0] >> 4 == 6;
	int type = nat64_echo_type(icmp[0], from6);
	rte_be16_t id = translate_icmp_id(session_dir_of(ref), ref), check;
	uint32_t delta;

	if (type < 0)
		return DROP_UNSUPPORTED;
	delta = nat64_echo_delta(icmp, (uint8_t)type, id, pseudo6(q->ip, q->to, q->l4_len), from6);
	memcpy(&check, icmp + 2, sizeof(check));
	check = checksum_apply(check, delta);
	icmp[0] = (uint8_t)type;
	memcpy(icmp + 2, &check, sizeof(check));
	memcpy(icmp + 4, &id, sizeof(id));
	return DROP_NONE;
}

/* IPv6 demands the checksum that IPv4 does without (RFC 7915 section 4.5). The ports are the new ones. */
static enum drop_reason complete_udp(
	struct rte_mbuf *m, const struct pkt *p, const struct translate_addrs *to)
{
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, p->l4_off);
	uint16_t len = rte_be_to_cpu_16(udp->dgram_len);
	uint32_t sum;

	if (udp->dgram_cksum != 0 || (p->flags & PKT_F_V6))
		return DROP_NONE;
	if (p->flags & PKT_F_FRAGMENT)
		return DROP_FRAGMENT;
	sum = checksum_pseudo6(to->src.bytes, to->dst.bytes, IPPROTO_UDP, len);
	udp->dgram_cksum = checksum_finish_udp(checksum_add_mbuf(sum, m, p->l4_off, len));
	return DROP_NONE;
}

static enum drop_reason exchange_l4(
	struct rte_mbuf *m, const struct pkt *p, const struct nat64_question *q, uint32_t ref)
{
	uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4_off);

	switch (p->proto) {
	case IPPROTO_TCP:
		translate_l4(m, p, ref);
		return DROP_NONE;
	case IPPROTO_UDP:
		translate_l4(m, p, ref);
		return complete_udp(m, p, q->to);
	default:
		return p->flags & PKT_F_FRAGMENT ? DROP_FRAGMENT : exchange_echo(l4, q, ref);
	}
}

/* A frame that a device is to complete or to cut says so of the family it is in. */
static void exchange_flags(struct rte_mbuf *m, bool from6, uint16_t header_len)
{
	if (!(m->ol_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6)))
		return;
	m->ol_flags &= ~(RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_IP_CKSUM);
	m->ol_flags |= from6 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	m->l3_len = header_len & 0x1ff;
}

static enum drop_reason exchange_header(
	struct rte_mbuf *m, struct pkt *p, const struct nat64_header *h)
{
	bool from6 = p->flags & PKT_F_V6;
	uint16_t had = (uint16_t)(p->l4_off - p->l3_off);
	struct rte_ether_hdr eth = *rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	char *front = h->len > had ? rte_pktmbuf_prepend(m, (uint16_t)(h->len - had))
				   : rte_pktmbuf_adj(m, (uint16_t)(had - h->len));

	if (front == NULL)
		return DROP_NO_BUFFER;
	eth.ether_type = from6 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
	memcpy(front, &eth, sizeof(eth));
	memcpy(front + p->l3_off, h->bytes, h->len);
	p->l4_off = (uint16_t)(p->l3_off + h->len);
	p->l3_len = (uint16_t)(p->l3_len - had + h->len);
	p->flags ^= PKT_F_V6;
	exchange_flags(m, from6, h->len);
	return DROP_NONE;
}

static bool is_carried(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP ||
	       p->proto == (p->flags & PKT_F_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

enum drop_reason nat64_packet(struct rte_mbuf *m, struct pkt *p, uint32_t ref)
{
	struct translate_addrs to = translate_addrs_v6(ref);
	struct nat64_question q = {.ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off),
		.header_len = (uint16_t)(p->l4_off - p->l3_off),
		.l4_len = (uint16_t)(p->l3_len - (p->l4_off - p->l3_off)),
		.proto = nat64_proto(p->proto, p->flags & PKT_F_V6),
		.to = &to};
	enum drop_reason reason;
	struct nat64_header h;

	if (p->flags & PKT_F_ICMP_ERROR)
		return nat64_error(m, p, ref);
	if (!is_carried(p))
		return DROP_UNSUPPORTED;
	reason = nat64_header_make(&h, &q);
	if (reason == DROP_NONE && !(p->flags & PKT_F_LATER))
		reason = exchange_l4(m, p, &q, ref);
	if (reason == DROP_NONE)
		reason = exchange_header(m, p, &h);
	if (reason == DROP_NONE)
		p->proto = q.proto;
	return reason;
}
