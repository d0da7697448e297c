/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_VXLAN_H
#define UNDERLAY_VXLAN_H
/* VXLAN headers (RFC 7348) and their ECN (RFC 6040): pure functions on bytes. */
#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "base/ip.h"
#include "core/drop.h"

#define VXLAN_PORT 4789
#define VXLAN_OVERHEAD_V4 50 /* Ethernet 14 + IPv4 20 + UDP 8 + VXLAN 8 */
#define VXLAN_OVERHEAD_V6 70

/* Everything in front of the inner frame that depends on the VTEP only. Immutable. */
struct vxlan_outer {
	uint8_t bytes[80]; /* lengths, VNI, source port, ECN and checksums are 0 */
	uint16_t ip_sum;   /* IPv4: one's complement sum of the header so far */
	uint8_t len;       /* VXLAN_OVERHEAD_V4 or _V6 */
	bool v6;
} __attribute__((aligned(64)));

/* DF is set (a VTEP does not fragment, RFC 7348 4.3), TTL 64, DSCP 0. */
void vxlan_outer_make(struct vxlan_outer *outer, const struct ip_addr *src,
	const struct ip_addr *dst, const struct rte_ether_addr *smac,
	const struct rte_ether_addr *dmac);

/* Puts the outer header in front of a complete frame (no partial checksum, no GSO). `ecn`: of the inner IP header, 0 for others
 * (RFC 6040 4.1, normal mode). IPv4 outer: UDP checksum 0. IPv6: a partial one (port/port.h), which the device or port_send()
 * completes, as receivers drop 0 unless told otherwise (RFC 6935 5). False: no headroom. */
bool vxlan_push(struct rte_mbuf *m, const struct vxlan_outer *outer, uint32_t vni,
	uint32_t flow_hash, uint8_t ecn);

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
	if (room < 16)
		return 0;
	if (frame[12] == 0x08 && frame[13] == 0x00)
		return frame[15] & 3;
	if (frame[12] == 0x86 && frame[13] == 0xdd)
		return frame[15] >> 4 & 3;
	return 0;
}

/* ECN of the inner packet after decapsulation (RFC 6040 4.2): rewrites it if need be. DROP_ECN: congestion was marked outside on
 * a packet whose ends do not understand it. `frame`: the inner one. */
enum drop_reason vxlan_ecn_marked(uint8_t *frame, uint32_t room, uint8_t outer_ecn);
static inline enum drop_reason vxlan_ecn_in(uint8_t *frame, uint32_t room, uint8_t outer_ecn)
{
	return likely(outer_ecn == VXLAN_NOT_ECT) ? DROP_NONE
						  : vxlan_ecn_marked(frame, room, outer_ecn);
}

#endif
