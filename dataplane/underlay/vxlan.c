/* SPDX-License-Identifier: Apache-2.0 */
#include "underlay/vxlan.h"

#include <netinet/in.h>

#define ETHER 14
#define IPV4 20
#define IPV6 40
#define UDP 8
#define VXLAN VXLAN_HEADER

void vxlan_outer_make(struct vxlan_outer *o, const struct ip_addr *src, const struct ip_addr *dst,
	const struct rte_ether_addr *smac, const struct rte_ether_addr *dmac)
{
	uint8_t *p = o->bytes;
	struct rte_udp_hdr udp = {.dst_port = RTE_BE16(VXLAN_PORT)};

	memset(o, 0, sizeof(*o));
	o->v6 = !ip_addr_is_v4(dst);
	memcpy(p, dmac, 6);
	memcpy(p + 6, smac, 6);
	p += ETHER;
	if (o->v6) {
		struct rte_ipv6_hdr ip = {
			.vtc_flow = RTE_BE32(6u << 28), .proto = IPPROTO_UDP, .hop_limits = 64};

		memcpy(ip.src_addr, src, 16);
		memcpy(ip.dst_addr, dst, 16);
		o->bytes[12] = 0x86;
		o->bytes[13] = 0xdd;
		memcpy(p, &ip, sizeof(ip));
		p += IPV6;
	} else {
		struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
			.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = ip_addr_v4(src),
			.dst_addr = ip_addr_v4(dst)};

		o->bytes[12] = 0x08;
		memcpy(p, &ip, sizeof(ip));
		memcpy(&o->ip_head, &ip, sizeof(o->ip_head));
		o->ip_head = rte_be_to_cpu_64(o->ip_head);
		o->ip_sum = checksum_fold(checksum_add(0, &ip, sizeof(ip)));
		p += IPV4;
	}
	memcpy(p, &udp, sizeof(udp));
	p[UDP] = VXLAN_FLAG_I; /* reserved bits 0 */
	o->len = (uint8_t)(p + UDP + VXLAN - o->bytes);
}

bool vxlan_push_ipv6(struct rte_mbuf *m, const struct vxlan_outer *o, uint32_t vni,
	uint32_t flow_hash, uint8_t ecn)
{
	uint16_t udp_len = (uint16_t)(m->pkt_len + UDP + VXLAN);
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(m, VXLAN_OVERHEAD_V6);
	struct rte_ipv6_hdr *ip;
	struct rte_udp_hdr *udp;

	if (unlikely(p == NULL))
		return false;
	ip = (struct rte_ipv6_hdr *)(p + ETHER);
	udp = (struct rte_udp_hdr *)(ip + 1);
	memcpy(p, o->bytes, ETHER + IPV6);
	ip->vtc_flow |= rte_cpu_to_be_32((uint32_t)ecn << 20);
	ip->payload_len = rte_cpu_to_be_16(udp_len);
	vxlan_put_udp((uint8_t *)udp, flow_hash, udp_len, vni);
	udp->dgram_cksum =
		checksum_fold(checksum_pseudo6(ip->src_addr, ip->dst_addr, IPPROTO_UDP, udp_len));
	m->ol_flags =
		(m->ol_flags & ~VXLAN_INNER_FLAGS) | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
	m->l2_len = ETHER;
	m->l3_len = IPV6;
	return true;
}

static bool udp_checksum_ok(
	const struct rte_mbuf *m, const void *ip, bool v6, uint16_t l4_off, uint32_t l4_len)
{
	const struct rte_ipv6_hdr *ip6 = ip;
	const struct rte_ipv4_hdr *ip4 = ip;
	uint32_t pseudo =
		v6 ? checksum_pseudo6(ip6->src_addr, ip6->dst_addr, IPPROTO_UDP, l4_len)
		   : checksum_pseudo4(ip4->src_addr, ip4->dst_addr, IPPROTO_UDP, (uint16_t)l4_len);

	return checksum_fold(checksum_add_mbuf(pseudo, m, l4_off, l4_len)) == 0xffff;
}

static bool checksum_known(const struct rte_mbuf *m)
{
	return m->ol_flags &
	       (RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TUNNEL_MASK);
}

static inline enum drop_reason parse_udp(const struct rte_mbuf *m, const uint8_t *l3, bool v6,
	uint16_t l4_off, uint32_t l4_len, struct vxlan_info *info)
{
	const uint8_t *l4 = rte_pktmbuf_mtod_offset(m, const uint8_t *, l4_off);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)l4;
	uint32_t vni;

	if (l4_len < UDP || (uint32_t)l4_off + UDP > m->data_len)
		return DROP_MALFORMED;
	if (udp->dst_port != RTE_BE16(VXLAN_PORT))
		return DROP_NONE;
	if (l4_len < UDP + VXLAN || (uint32_t)l4_off + UDP + VXLAN > m->data_len ||
		rte_be_to_cpu_16(udp->dgram_len) > l4_len ||
		rte_be_to_cpu_16(udp->dgram_len) < UDP + VXLAN)
		return DROP_MALFORMED;
	if (udp->dgram_cksum != 0 && !checksum_known(m) &&
		!udp_checksum_ok(m, l3, v6, l4_off, rte_be_to_cpu_16(udp->dgram_len)))
		return DROP_BAD_CHECKSUM;
	if (!(l4[UDP] & 0x08)) /* RFC 7348 5: I must be set, other bits are ignored */
		return DROP_MALFORMED;
	memcpy(&vni, l4 + UDP + 4, sizeof(vni));
	info->vni = rte_be_to_cpu_32(vni) >> 8;
	info->len = (uint16_t)(l4_off + UDP + VXLAN);
	info->end = (uint32_t)l4_off + rte_be_to_cpu_16(udp->dgram_len);
	info->is_vxlan = true;
	return DROP_NONE;
}

/* Nearly every header has 20 bytes. */
static inline bool header_sum_ok(const struct rte_ipv4_hdr *ip, uint32_t ihl)
{
	uint32_t w[IPV4 / 4];
	uint64_t sum;

	if (unlikely(ihl != IPV4))
		return checksum_fold(checksum_add(0, ip, ihl)) == 0xffff;
	memcpy(w, ip, sizeof(w));
	sum = (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
	return checksum_fold((uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16 & 0xffff) +
			     (uint32_t)(sum >> 32)) == 0xffff;
}

static inline enum drop_reason parse_ipv4(const struct rte_mbuf *m, struct vxlan_info *info)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, ETHER);
	uint32_t ihl, len;

	if (m->data_len < ETHER + IPV4 || ip->version_ihl >> 4 != 4)
		return DROP_MALFORMED;
	ihl = (ip->version_ihl & 15u) * 4;
	len = rte_be_to_cpu_16(ip->total_length);
	if (ihl < IPV4 || ETHER + ihl > m->data_len || len < ihl || ETHER + len > m->pkt_len)
		return DROP_MALFORMED;
	if (!(m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_GOOD) && !header_sum_ok(ip, ihl))
		return DROP_BAD_CHECKSUM;
	info->src = ip_addr_from_v4(ip->src_addr);
	info->dst = ip_addr_from_v4(ip->dst_addr);
	info->ecn = ip->type_of_service & 3;
	if (ip->next_proto_id != IPPROTO_UDP)
		return DROP_NONE;
	if (ip->fragment_offset & RTE_BE16(0x3fff))
		return DROP_FRAGMENT; /* RFC 7348 4.3: may be discarded silently */
	return parse_udp(m, (const uint8_t *)ip, false, (uint16_t)(ETHER + ihl), len - ihl, info);
}

static enum drop_reason parse_ipv6(const struct rte_mbuf *m, struct vxlan_info *info)
{
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, ETHER);
	uint32_t len;

	if (m->data_len < ETHER + IPV6 || rte_be_to_cpu_32(ip->vtc_flow) >> 28 != 6)
		return DROP_MALFORMED;
	len = rte_be_to_cpu_16(ip->payload_len);
	if (ETHER + IPV6 + len > m->pkt_len)
		return DROP_MALFORMED;
	info->src = ip_addr_from_v6(ip->src_addr);
	info->dst = ip_addr_from_v6(ip->dst_addr);
	/* It would be taken for an IPv4 VTEP (RFC 4038 4.2). */
	if (ip_addr_is_v4(&info->src) || ip_addr_is_v4(&info->dst))
		return DROP_MALFORMED;
	info->ecn = (uint8_t)(rte_be_to_cpu_32(ip->vtc_flow) >> 20 & 3);
	if (ip->proto == IPPROTO_FRAGMENT)
		return DROP_FRAGMENT;
	if (ip->proto != IPPROTO_UDP)
		return DROP_NONE;
	return parse_udp(m, (const uint8_t *)ip, true, ETHER + IPV6, len, info);
}

enum drop_reason vxlan_parse(const struct rte_mbuf *m, struct vxlan_info *info)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	info->is_vxlan = false;
	if (m->data_len < ETHER)
		return DROP_MALFORMED;
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return parse_ipv4(m, info);
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return parse_ipv6(m, info);
	return DROP_NONE;
}

static void set_ecn(uint8_t *frame, uint8_t ecn)
{
	if (frame[12] == 0x86) {
		frame[ETHER + 1] = (uint8_t)((frame[ETHER + 1] & 0xcf) | ecn << 4);
		return;
	}
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + ETHER);
	rte_be16_t old, new;

	memcpy(&old, ip, sizeof(old));
	ip->type_of_service = (uint8_t)((ip->type_of_service & 0xfc) | ecn);
	memcpy(&new, ip, sizeof(new));
	ip->hdr_checksum = checksum_apply(ip->hdr_checksum, checksum_delta16(0, old, new));
}

enum drop_reason vxlan_ecn_marked(uint8_t *frame, uint32_t room, uint8_t outer_ecn)
{
	uint8_t inner;

	if (room < ETHER + IPV4)
		return DROP_NONE;
	if (!(frame[12] == 0x08 && frame[13] == 0x00) && !(frame[12] == 0x86 && frame[13] == 0xdd))
		return DROP_NONE;
	inner = vxlan_ecn_of(frame, room);
	/* RFC 6040 figure 4. */
	if (outer_ecn == VXLAN_CE) {
		if (inner == VXLAN_NOT_ECT)
			return DROP_ECN;
		if (inner != VXLAN_CE)
			set_ecn(frame, VXLAN_CE);
	} else if (outer_ecn == VXLAN_ECT1 && inner == VXLAN_ECT0) {
		set_ecn(frame, VXLAN_ECT1);
	}
	return DROP_NONE;
}
