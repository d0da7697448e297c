/* SPDX-License-Identifier: Apache-2.0 */
#include "port/partial.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <rte_vxlan.h>

#include "base/checksum.h"
#include "port/headers.h"
#include "port/vnet_hdr.h"

#define VXLAN_PORT_BE RTE_BE16(4789)

static uint32_t pseudo_sum(const struct rte_mbuf *m, uint32_t l3, const struct headers *h)
{
	const struct rte_ipv4_hdr *ip4;
	const struct rte_ipv6_hdr *ip6;

	if (h->v6) {
		ip6 = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, l3);
		return checksum_pseudo6(ip6->src_addr, ip6->dst_addr, h->proto,
			(uint16_t)(rte_be_to_cpu_16(ip6->payload_len) + sizeof(*ip6) - h->l3_len));
	}
	ip4 = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, l3);
	return checksum_pseudo4(ip4->src_addr, ip4->dst_addr, h->proto,
		(uint16_t)(rte_be_to_cpu_16(ip4->total_length) - h->l3_len));
}

/* The packet whose Ethernet header is at `off`; `hdr` is what its sender's stack would have said. */
static bool is_partial(
	const struct rte_mbuf *m, uint32_t off, struct headers *h, struct vnet_hdr *hdr)
{
	rte_be16_t check;
	uint32_t l4;

	if (!headers_parse(m, off, h) || h->fragment)
		return false;
	if (h->proto == IPPROTO_TCP)
		hdr->csum_offset = offsetof(struct rte_tcp_hdr, cksum);
	else if (h->proto == IPPROTO_UDP)
		hdr->csum_offset = offsetof(struct rte_udp_hdr, dgram_cksum);
	else
		return false;
	l4 = off + h->l2_len + h->l3_len;
	if (l4 + hdr->csum_offset + sizeof(check) > m->data_len)
		return false;
	memcpy(&check, rte_pktmbuf_mtod_offset(m, const void *, l4 + hdr->csum_offset),
		sizeof(check));
	hdr->csum_start = (uint16_t)l4;
	hdr->flags = VNET_F_NEEDS_CSUM;
	return check == checksum_fold(pseudo_sum(m, off + h->l2_len, h));
}

static bool is_vxlan(const struct rte_mbuf *m, const struct headers *h, uint32_t l4)
{
	return h->proto == IPPROTO_UDP &&
	       l4 + sizeof(struct rte_udp_hdr) + sizeof(struct rte_vxlan_hdr) <= m->data_len &&
	       rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, l4)->dst_port ==
		       VXLAN_PORT_BE;
}

void partial_mark(struct rte_mbuf *m)
{
	struct vnet_hdr hdr = {0};
	struct headers h = {0};
	uint32_t l4;
	bool partial = is_partial(m, 0, &h, &hdr);

	if (!partial && h.l3_len != 0 && !h.fragment) {
		l4 = (uint32_t)h.l2_len + h.l3_len;
		partial = is_vxlan(m, &h, l4) &&
			  is_partial(m,
				  l4 + sizeof(struct rte_udp_hdr) + sizeof(struct rte_vxlan_hdr),
				  &h, &hdr);
	}
	if (partial)
		vnet_hdr_to_mbuf(&hdr, m);
}
