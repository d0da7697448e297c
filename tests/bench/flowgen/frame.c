/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define ISN 0x01020304

static bool is_tcp(const struct plan *plan)
{
	return plan->l4 != PLAN_UDP;
}

uint32_t frame_minimum(const struct plan *plan)
{
	return 14 + (plan->src.ipv6 ? 40 : 20) + (is_tcp(plan) ? 20 : 8) + (plan->stamp ? 8 : 0);
}

static uint32_t sum(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t s = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	return s;
}

/* Outer Ethernet, IPv4 (RFC 7348: any source port, no UDP checksum), UDP and VXLAN around `inner` bytes. */
static void put_outer(uint8_t *p, const struct plan *plan, uint32_t inner)
{
	memcpy(p, &plan->outer_dmac, 6);
	memcpy(p + 6, &plan->outer_smac, 6);
	frame_store16(p + 12, RTE_ETHER_TYPE_IPV4);
	p[14] = RTE_IPV4_VHL_DEF;
	frame_store16(p + 16, (uint16_t)(20 + 8 + 8 + inner));
	frame_store16(p + 20, RTE_IPV4_HDR_DF_FLAG);
	p[22] = 64;
	p[23] = IPPROTO_UDP;
	memcpy(p + 26, plan->outer_src.bytes + 12, 4);
	memcpy(p + 30, plan->outer_dst.bytes + 12, 4);
	frame_store16(p + 24, (uint16_t)~frame_fold(sum(p + 14, 20)));
	frame_store16(p + 36, 4789);
	frame_store16(p + 38, (uint16_t)(8 + 8 + inner));
	p[42] = 0x08;
	frame_store32(p + 46, plan->vni << 8);
}

/* The last 32 bits of both addresses stay zero: they are put in for each packet, and so is what they add to the sums. */
static uint8_t *put_ip(uint8_t *p, struct frame *frame, const struct plan *plan, uint32_t l4_size)
{
	uint8_t proto = is_tcp(plan) ? IPPROTO_TCP : IPPROTO_UDP;

	frame->l4_sum = proto + l4_size;
	if (!plan->src.ipv6) {
		p[0] = RTE_IPV4_VHL_DEF;
		frame_store16(p + 2, (uint16_t)(20 + l4_size));
		p[8] = 64;
		p[9] = proto;
		frame->ip_sum = frame_fold(sum(p, 20));
		return p + 20;
	}
	p[0] = 0x60;
	frame_store16(p + 4, (uint16_t)l4_size);
	p[6] = proto;
	p[7] = 64;
	memcpy(p + 8, plan->src.bytes, 12);
	memcpy(p + 24, plan->dst.bytes, 12);
	frame->l4_sum += sum(p + 8, 32);
	return p + 40;
}

void frame_make(struct frame *frame, const struct plan *plan, uint32_t size)
{
	uint8_t *p = frame->head, *l4;
	uint32_t l4_size = size - 14 - (plan->src.ipv6 ? 40 : 20);

	memset(frame, 0, sizeof(*frame));
	frame->length = (uint16_t)size;
	if (plan->vni != 0) {
		put_outer(p, plan, size);
		p += FRAME_VXLAN;
		frame->length += FRAME_VXLAN;
	}
	memcpy(p, &plan->dmac, 6);
	memcpy(p + 6, &plan->smac, 6);
	frame_store16(p + 12, plan->src.ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	l4 = put_ip(p + 14, frame, plan, l4_size);
	if (is_tcp(plan)) {
		frame_store32(l4 + 4, ISN);
		l4[12] = 0x50;
		l4[13] = RTE_TCP_SYN_FLAG;
		frame_store16(l4 + 14, 0xffff);
		frame->l4_sum += sum(l4, 20);
	} else {
		frame_store16(l4 + 4, (uint16_t)l4_size);
		frame->l4_sum += sum(l4, 8);
	}
	frame->l4_sum = frame_fold(frame->l4_sum);
}
