/* SPDX-License-Identifier: Apache-2.0 */
/* A frame from the underlay, a byte of mbuf flags in front: VXLAN, its inner frame's congestion mark, ARP and neighbour discovery. The
 * buffer ends with the frame, so a read behind it is seen. */
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "neighbour/neighbour_wire.h"
#include "underlay/vxlan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
	if (!right)
		abort();
}

static void tunnel(uint8_t *frame, uint16_t len, uint64_t flags)
{
	struct rte_mbuf m = {.buf_addr = frame,
		.buf_len = len,
		.data_len = len,
		.pkt_len = len,
		.nb_segs = 1,
		.ol_flags = flags};
	struct vxlan_info info;
	uint8_t ecn;

	if (vxlan_parse(&m, &info) != DROP_NONE || !info.is_vxlan)
		return;
	check(info.len <= info.end && info.end <= len && info.vni < 1u << 24 && info.ecn < 4);
	check(vxlan_ecn_in(frame + info.len, len - info.len, info.ecn) == DROP_NONE ||
		info.ecn == 3);
	/* What is marked once stays so. */
	ecn = vxlan_ecn_of(frame + info.len, len - info.len);
	check(vxlan_ecn_in(frame + info.len, len - info.len, 0) == DROP_NONE);
	check(vxlan_ecn_of(frame + info.len, len - info.len) == ecn);
}

static void neighbour(const uint8_t *frame, uint16_t len)
{
	static const struct rte_ether_addr own = {{2, 0, 0, 0, 0, 1}};
	struct neighbour_message msg, answer;
	uint8_t reply[NEIGHBOUR_FRAME_MAX];

	if (!neighbour_parse(frame, len, &msg) || !msg.request)
		return;
	/* Our answer is one that we would believe. A stranger's IPv4 target can be any: 0.0.0.0 tells nothing. */
	check(neighbour_parse(reply, neighbour_write_answer(reply, &own, &msg), &answer));
	check(!answer.request && answer.has_mac && rte_is_same_ether_addr(&answer.mac, &own));
	check(ip_addr_equal(&answer.subject, &msg.target));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t flags[] = {0, RTE_MBUF_F_RX_IP_CKSUM_GOOD,
		RTE_MBUF_F_RX_L4_CKSUM_GOOD,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD};
	uint8_t *frame;

	if (size < 2 || size > 9000)
		return 0;
	frame = malloc(size - 1);
	memcpy(frame, data + 1, size - 1);
	neighbour(frame, (uint16_t)(size - 1));
	tunnel(frame, (uint16_t)(size - 1), flags[data[0] & 3]);
	free(frame);
	return 0;
}
