/* SPDX-License-Identifier: Apache-2.0 */
#include "port/vnet_hdr.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/utsname.h>

#include <rte_ether.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <rte_vxlan.h>

#include "base/checksum.h"
#include "port/headers.h"

#define TCP_CSUM_OFFSET offsetof(struct rte_tcp_hdr, cksum)
#define UDP_CSUM_OFFSET offsetof(struct rte_udp_hdr, dgram_cksum)
#define UDP_SEGMENTS_MAX 128 /* UDP_MAX_SEGMENTS */
#define TCP_SEGMENT_MIN 48   /* TCP_MIN_SND_MSS */
#define VXLAN_PORT_BE RTE_BE16(4789)
#define VXLAN_HEADERS (sizeof(struct rte_udp_hdr) + sizeof(struct rte_vxlan_hdr))

/* The sum from csum_start to the end goes where the header says, whatever protocol that is. */
static bool complete_generic(const struct vnet_hdr *hdr, struct rte_mbuf *m)
{
	uint32_t start = hdr->csum_start;
	uint32_t field = start + hdr->csum_offset;
	rte_be16_t check;

	if (field + sizeof(check) > m->data_len)
		return false;
	check = checksum_finish_udp(checksum_add_mbuf(0, m, start, m->pkt_len - start));
	memcpy(rte_pktmbuf_mtod_offset(m, void *, field), &check, sizeof(check));
	return true;
}

/* The L4 header that checksum and GSO speak of begins at csum_start and is what `h` found there. */
static uint64_t checksum_flags(const struct vnet_hdr *hdr, const struct headers *h)
{
	uint64_t family = h->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;

	if (h->fragment)
		return 0;
	if (h->proto == IPPROTO_TCP && hdr->csum_offset == TCP_CSUM_OFFSET)
		return family | RTE_MBUF_F_TX_TCP_CKSUM;
	if (h->proto == IPPROTO_UDP && hdr->csum_offset == UDP_CSUM_OFFSET)
		return family | RTE_MBUF_F_TX_UDP_CKSUM;
	return 0;
}

/* One frame must not be made into tens of thousands: the limits that Linux keeps as a sender. */
static bool worth_it(uint32_t payload, uint16_t gso_size, uint64_t flags)
{
	return flags & RTE_MBUF_F_TX_UDP_SEG ? payload <= (uint32_t)gso_size * UDP_SEGMENTS_MAX
					     : gso_size >= TCP_SEGMENT_MIN;
}

static bool set_gso(const struct vnet_hdr *hdr, struct rte_mbuf *m, uint64_t flags, uint32_t l4)
{
	uint64_t l4_kind = flags & RTE_MBUF_F_TX_L4_MASK;
	bool v6 = (flags & RTE_MBUF_F_TX_IPV6) != 0;

	switch (hdr->gso_type & ~VNET_GSO_ECN) {
	case VNET_GSO_TCPV4:
	case VNET_GSO_TCPV6:
		m->l4_len = headers_tcp_len(m, l4);
		if (l4_kind != RTE_MBUF_F_TX_TCP_CKSUM || m->l4_len == 0 ||
			v6 != ((hdr->gso_type & ~VNET_GSO_ECN) == VNET_GSO_TCPV6))
			return false;
		flags |= RTE_MBUF_F_TX_TCP_SEG;
		break;
	case VNET_GSO_UDP_L4:
		if (l4_kind != RTE_MBUF_F_TX_UDP_CKSUM)
			return false;
		m->l4_len = sizeof(struct rte_udp_hdr);
		flags |= RTE_MBUF_F_TX_UDP_SEG;
		break;
	default:
		return false;
	}
	if (hdr->gso_size == 0 || l4 + m->l4_len > m->data_len ||
		!worth_it(m->pkt_len - l4 - m->l4_len, hdr->gso_size, flags))
		return false;
	/* One segment's worth of payload is an ordinary frame. */
	if (m->pkt_len - l4 - m->l4_len <= hdr->gso_size) {
		flags &= ~(RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG);
	} else {
		m->tso_segsz = hdr->gso_size;
	}
	m->ol_flags |= flags;
	return true;
}

static bool is_vxlan(const struct rte_mbuf *m, const struct headers *outer)
{
	uint32_t l4 = (uint32_t)outer->l2_len + outer->l3_len;
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, l4);

	return outer->proto == IPPROTO_UDP && !outer->fragment &&
	       l4 + VXLAN_HEADERS <= m->data_len && udp->dst_port == VXLAN_PORT_BE;
}

bool vnet_hdr_to_mbuf(const struct vnet_hdr *hdr, struct rte_mbuf *m)
{
	struct headers h;
	uint32_t l2 = 0, l4;
	uint64_t flags;

	if (hdr->flags & VNET_F_DATA_VALID)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	if (!(hdr->flags & VNET_F_NEEDS_CSUM))
		return hdr->gso_type == VNET_GSO_NONE;

	if (!headers_parse(m, 0, &h))
		return hdr->gso_type == VNET_GSO_NONE && complete_generic(hdr, m);
	l4 = (uint32_t)h.l2_len + h.l3_len;
	if (l4 != hdr->csum_start && is_vxlan(m, &h)) {
		m->outer_l2_len = h.l2_len;
		m->outer_l3_len = h.l3_len;
		flags = RTE_MBUF_F_TX_TUNNEL_VXLAN | RTE_MBUF_F_RX_OUTER_L4_CKSUM_GOOD |
			(h.v6 ? RTE_MBUF_F_TX_OUTER_IPV6 : RTE_MBUF_F_TX_OUTER_IPV4);
		l2 = l4 + VXLAN_HEADERS;
		if (!headers_parse(m, l2, &h))
			return false;
		l4 = l2 + h.l2_len + h.l3_len;
		m->l2_len = VXLAN_HEADERS + h.l2_len;
	} else {
		flags = 0;
		m->l2_len = h.l2_len;
	}
	m->l3_len = h.l3_len;
	if (l4 == hdr->csum_start && checksum_flags(hdr, &h) != 0) {
		flags |= checksum_flags(hdr, &h);
	} else {
		m->tx_offload = 0;
		return hdr->gso_type == VNET_GSO_NONE && complete_generic(hdr, m);
	}
	/* The field that will be completed must be there. */
	if (l4 + hdr->csum_offset + sizeof(rte_be16_t) > m->data_len)
		return false;
	if (hdr->gso_type != VNET_GSO_NONE)
		return set_gso(hdr, m, flags, l4);
	m->ol_flags |= flags;
	return true;
}

void vnet_hdr_from_mbuf(struct vnet_hdr *hdr, const struct rte_mbuf *m)
{
	uint64_t flags = m->ol_flags;
	uint64_t l4_kind = flags & RTE_MBUF_F_TX_L4_MASK;

	*hdr = (struct vnet_hdr){0};
	if (!(flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))) {
		if ((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
			hdr->flags = VNET_F_DATA_VALID;
		return;
	}
	hdr->flags = VNET_F_NEEDS_CSUM;
	hdr->csum_start = (uint16_t)(m->l2_len + m->l3_len);
	if (l4_kind == RTE_MBUF_F_TX_UDP_CKSUM || (flags & RTE_MBUF_F_TX_UDP_SEG))
		hdr->csum_offset = UDP_CSUM_OFFSET;
	else
		hdr->csum_offset = TCP_CSUM_OFFSET;
	if (flags & RTE_MBUF_F_TX_TCP_SEG) {
		const struct rte_tcp_hdr *tcp =
			rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, hdr->csum_start);

		hdr->gso_type = flags & RTE_MBUF_F_TX_IPV6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
		if (tcp->tcp_flags & RTE_TCP_CWR_FLAG)
			hdr->gso_type |= VNET_GSO_ECN;
	} else if (flags & RTE_MBUF_F_TX_UDP_SEG) {
		hdr->gso_type = VNET_GSO_UDP_L4;
	} else {
		return;
	}
	hdr->gso_size = m->tso_segsz;
	hdr->hdr_len = (uint16_t)(hdr->csum_start + m->l4_len);
}

bool vnet_hdr_kernel_has_uso(void)
{
	struct utsname u;
	int major, minor;

	return uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 2));
}
