/* SPDX-License-Identifier: Apache-2.0 */
#include "port/udp_super.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "port/offload.h"

#define VXLAN_PORT_BE RTE_BE16(4789)
#define RUN_MAX 64

static bool is_v6(const uint8_t *frame)
{
	return frame[12] == 0x86;
}

/* The checksum of UDP at `l4` is to be completed. */
static bool is_partial(const struct rte_mbuf *m, uint32_t l4)
{
	return (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM &&
	       (uint32_t)m->l2_len + m->l3_len == l4;
}

/* Bytes up to the end of UDP; 0: no VXLAN that we may change. */
static uint16_t header_of(const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)frame;
	const struct rte_ipv4_hdr *ip4 = (const struct rte_ipv4_hdr *)(eth + 1);
	const struct rte_ipv6_hdr *ip6 = (const struct rte_ipv6_hdr *)(eth + 1);
	uint16_t l4;

	if ((m->ol_flags & OFFLOAD_GSO) || m->data_len < 64 || !RTE_MBUF_DIRECT(m) ||
		rte_mbuf_refcnt_read(m) != 1)
		return 0;
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
		/* Segmentation counts identifications up, which only DF makes meaningless. */
		if (ip4->version_ihl != RTE_IPV4_VHL_DEF || ip4->next_proto_id != IPPROTO_UDP ||
			ip4->fragment_offset != RTE_BE16(RTE_IPV4_HDR_DF_FLAG))
			return 0;
		l4 = sizeof(*eth) + sizeof(*ip4);
	} else if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6)) {
		if (ip6->proto != IPPROTO_UDP)
			return 0;
		l4 = sizeof(*eth) + sizeof(*ip6);
	} else {
		return 0;
	}
	if (((const struct rte_udp_hdr *)(frame + l4))->dst_port != VXLAN_PORT_BE)
		return 0;
	/* Its own checksum may be partial: that of the whole is. One of the inner frame's may not. */
	if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) && !is_partial(m, l4))
		return 0;
	return (uint16_t)(l4 + sizeof(struct rte_udp_hdr));
}

/* All but lengths, identification and checksums. */
static bool same_headers(const uint8_t *a, const uint8_t *b, uint16_t header)
{
	const uint8_t *ip_a = a + sizeof(struct rte_ether_hdr);
	const uint8_t *ip_b = b + sizeof(struct rte_ether_hdr);
	uint32_t udp = header - (uint32_t)sizeof(struct rte_udp_hdr);

	if (memcmp(a, b, sizeof(struct rte_ether_hdr)) != 0 || memcmp(a + udp, b + udp, 4) != 0)
		return false;
	if (is_v6(a))
		return memcmp(ip_a, ip_b, 4) == 0 && memcmp(ip_a + 6, ip_b + 6, 34) == 0;
	return memcmp(ip_a, ip_b, 2) == 0 && memcmp(ip_a + 6, ip_b + 6, 4) == 0 &&
	       memcmp(ip_a + 12, ip_b + 12, 8) == 0;
}

unsigned int udp_super_run(struct rte_mbuf **pkts, unsigned int n, uint16_t *header)
{
	const uint8_t *first = rte_pktmbuf_mtod(pkts[0], const uint8_t *);
	uint32_t total, size = pkts[0]->pkt_len;
	unsigned int run = 1;

	*header = n > 1 ? header_of(pkts[0]) : 0;
	if (*header == 0)
		return 1;
	total = size;
	while (run < n && run < RUN_MAX) {
		const struct rte_mbuf *m = pkts[run];
		uint32_t payload = m->pkt_len - *header;

		if (m->pkt_len > size || header_of(m) != *header ||
			total + payload - sizeof(struct rte_ether_hdr) > UINT16_MAX ||
			!same_headers(first, rte_pktmbuf_mtod(m, const uint8_t *), *header))
			break;
		total += payload;
		run++;
		if (m->pkt_len < size)
			break;
	}
	return run;
}

static void set_lengths(struct rte_mbuf *first, uint16_t header, uint32_t total)
{
	uint8_t *frame = rte_pktmbuf_mtod(first, uint8_t *);
	uint8_t *ip = frame + sizeof(struct rte_ether_hdr);
	uint32_t l4 = header - (uint32_t)sizeof(struct rte_udp_hdr);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(frame + l4);

	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(total - l4));
	if (is_v6(frame)) {
		((struct rte_ipv6_hdr *)ip)->payload_len = udp->dgram_len;
		return;
	}
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)ip;

	ip4->total_length = rte_cpu_to_be_16((uint16_t)(total - sizeof(struct rte_ether_hdr)));
	ip4->hdr_checksum = checksum_ipv4_header(ip4);
}

static uint16_t pseudo(const uint8_t *frame, uint16_t l4_len)
{
	const uint8_t *ip = frame + sizeof(struct rte_ether_hdr);
	const struct rte_ipv4_hdr *ip4 = (const struct rte_ipv4_hdr *)ip;
	const struct rte_ipv6_hdr *ip6 = (const struct rte_ipv6_hdr *)ip;

	return checksum_fold(
		is_v6(frame) ? checksum_pseudo6(ip6->src_addr, ip6->dst_addr, IPPROTO_UDP, l4_len)
			     : checksum_pseudo4(ip4->src_addr, ip4->dst_addr, IPPROTO_UDP, l4_len));
}

void udp_super_begin(struct rte_mbuf *first, uint16_t header, uint32_t total, struct vnet_hdr *hdr)
{
	uint8_t *frame = rte_pktmbuf_mtod(first, uint8_t *);
	uint16_t l4 = (uint16_t)(header - sizeof(struct rte_udp_hdr));
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(frame + l4);

	set_lengths(first, header, total);
	udp->dgram_cksum = pseudo(frame, (uint16_t)(total - l4));
	*hdr = (struct vnet_hdr){
		.flags = VNET_F_NEEDS_CSUM,
		.gso_type = VNET_GSO_UDP_L4,
		.hdr_len = header,
		.gso_size = (uint16_t)(first->pkt_len - header),
		.csum_start = l4,
		.csum_offset = offsetof(struct rte_udp_hdr, dgram_cksum),
	};
}

void udp_super_undo(struct rte_mbuf *first, uint16_t header)
{
	uint8_t *frame = rte_pktmbuf_mtod(first, uint8_t *);
	uint32_t l4 = header - (uint32_t)sizeof(struct rte_udp_hdr);
	uint16_t l4_len = (uint16_t)(first->pkt_len - l4);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(frame + l4);

	set_lengths(first, header, first->pkt_len);
	udp->dgram_cksum = 0;
	if (is_partial(first, l4))
		udp->dgram_cksum = pseudo(frame, l4_len);
	else if (is_v6(frame))
		udp->dgram_cksum = checksum_finish_udp(
			checksum_add_mbuf(pseudo(frame, l4_len), first, l4, l4_len));
}

bool udp_super_is(const struct rte_mbuf *m)
{
	uint32_t l4 = (uint32_t)m->l2_len + m->l3_len;

	return (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG) &&
	       rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, l4)->dst_port ==
		       VXLAN_PORT_BE;
}
