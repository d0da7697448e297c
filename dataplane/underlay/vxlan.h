/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_VXLAN_H
#define UNDERLAY_VXLAN_H
/* VXLAN headers (RFC 7348) and their ECN (RFC 6040): pure functions on bytes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "base/ip.h"
#include "core/drop.h"

#define VXLAN_PORT 4789
#define VXLAN_HEADER 8
#define VXLAN_FLAG_I 0x08ull /* the VNI is valid */
#define VXLAN_OVERHEAD_V4 50 /* Ethernet 14 + IPv4 20 + UDP 8 + VXLAN 8 */
#define VXLAN_OVERHEAD_V6 70

/* What a device has said of the inner packet, which is not what there is to say of the outer one. */
#define VXLAN_INNER_FLAGS (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK)

/* Everything in front of the inner frame that depends on the VTEP only. Immutable. */
struct vxlan_outer {
	uint8_t bytes[80]; /* lengths, VNI, source port, ECN and checksums are 0 */
	uint64_t ip_head;  /* IPv4: the header's first eight bytes as a number */
	uint16_t ip_sum;   /* IPv4: one's complement sum of the header so far */
	uint8_t len;       /* VXLAN_OVERHEAD_V4 or _V6 */
	bool v6;
} __attribute__((aligned(64)));

/* DF is set (a VTEP does not fragment, RFC 7348 4.3), TTL 64, DSCP 0. */
void vxlan_outer_make(struct vxlan_outer *outer, const struct ip_addr *src,
	const struct ip_addr *dst, const struct rte_ether_addr *smac,
	const struct rte_ether_addr *dmac);

/* What an outer header says. */
struct vxlan_info {
	struct ip_addr src, dst;
	uint32_t vni;
	uint32_t end; /* bytes up to the end of the inner frame: what lies behind is padding */
	uint16_t len; /* bytes up to the inner frame */
	uint8_t ecn;
	bool is_vxlan; /* UDP to 4789; false: something else, the rest is not set */
};

/* Reads and checks an underlay frame. DROP_NONE; DROP_MALFORMED, DROP_BAD_CHECKSUM, DROP_FRAGMENT. The headers lie in the first
 * segment, or the frame is malformed. */
enum drop_reason vxlan_parse(const struct rte_mbuf *m, struct vxlan_info *info);

/* RFC 3168 5. */
enum vxlan_ecn { VXLAN_NOT_ECT = 0, VXLAN_ECT1 = 1, VXLAN_ECT0 = 2, VXLAN_CE = 3 };

/* ECN bits of a frame's IP header; 0 for others. `room`: its bytes in one piece. */
static inline uint8_t vxlan_ecn_of(const uint8_t *frame, uint32_t room)
{
	uint32_t word;

	if (unlikely(room < 16))
		return 0;
	memcpy(&word, frame + 12, sizeof(word)); /* EtherType and the first two bytes behind it */
	word = rte_be_to_cpu_32(word);
	if (likely(word >> 16 == RTE_ETHER_TYPE_IPV4))
		return word & 3;
	return word >> 16 == RTE_ETHER_TYPE_IPV6 ? word >> 4 & 3 : 0;
}

/* ECN of the inner packet after decapsulation (RFC 6040 4.2): rewrites it if need be. DROP_ECN: congestion was marked outside on
 * a packet whose ends do not understand it. `frame`: the inner one. */
enum drop_reason vxlan_ecn_marked(uint8_t *frame, uint32_t room, uint8_t outer_ecn);
static inline enum drop_reason vxlan_ecn_in(uint8_t *frame, uint32_t room, uint8_t outer_ecn)
{
	return likely(outer_ecn == VXLAN_NOT_ECT) ? DROP_NONE
						  : vxlan_ecn_marked(frame, room, outer_ecn);
}

static inline void vxlan_put64(uint8_t *p, uint64_t v)
{
	v = rte_cpu_to_be_64(v);
	memcpy(p, &v, sizeof(v));
}

/* UDP and VXLAN headers at `p`. RFC 7348 4: source ports 49152-65535, from a hash of the inner headers. */
static inline void vxlan_put_udp(uint8_t *p, uint32_t flow_hash, uint16_t udp_len, uint32_t vni)
{
	uint64_t sport = 0xc000 | ((flow_hash ^ flow_hash >> 16) & 0x3fff);

	vxlan_put64(p, sport << 48 | (uint64_t)VXLAN_PORT << 32 | (uint64_t)udp_len << 16);
	vxlan_put64(p + sizeof(struct rte_udp_hdr), VXLAN_FLAG_I << 56 | (uint32_t)(vni << 8));
}

bool vxlan_push_ipv6(struct rte_mbuf *m, const struct vxlan_outer *outer, uint32_t vni,
	uint32_t flow_hash, uint8_t ecn);

/* Puts the outer header in front of a complete frame (no partial checksum, no GSO). `ecn`: of the inner IP header, 0 for others
 * (RFC 6040 4.1, normal mode). IPv4 outer: UDP checksum 0. IPv6: a partial one (port/port.h), which the device or port_send()
 * completes, as receivers drop 0 unless told otherwise (RFC 6935 5). False: no headroom. */
static inline bool vxlan_push(struct rte_mbuf *m, const struct vxlan_outer *o, uint32_t vni,
	uint32_t flow_hash, uint8_t ecn)
{
	const uint16_t l3 = RTE_ETHER_HDR_LEN, l4 = l3 + sizeof(struct rte_ipv4_hdr);
	uint16_t udp_len = (uint16_t)(m->pkt_len + sizeof(struct rte_udp_hdr) + VXLAN_HEADER);
	uint16_t ip_len = (uint16_t)(udp_len + sizeof(struct rte_ipv4_hdr));
	rte_be16_t check;
	uint8_t *p;

	if (unlikely(o->v6))
		return vxlan_push_ipv6(m, o, vni, flow_hash, ecn);
	p = (uint8_t *)rte_pktmbuf_prepend(m, VXLAN_OVERHEAD_V4);
	if (unlikely(p == NULL))
		return false;
	m->ol_flags &= ~VXLAN_INNER_FLAGS;
	memcpy(p, o->bytes, l4);
	vxlan_put64(p + l3, o->ip_head | (uint64_t)ecn << 48 | (uint64_t)ip_len << 32);
	/* RTE_BE16() is one instruction; rte_cpu_to_be_16() three that wait for each other. */
	check = checksum_finish((uint32_t)o->ip_sum + RTE_BE16(ip_len) + RTE_BE16(ecn));
	memcpy(p + l3 + offsetof(struct rte_ipv4_hdr, hdr_checksum), &check, sizeof(check));
	vxlan_put_udp(p + l4, flow_hash, udp_len, vni);
	return true;
}

#endif
