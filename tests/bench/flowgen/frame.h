/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOWGEN_FRAME_H
#define FLOWGEN_FRAME_H
/* Frames of a plan: all headers made once, addresses, ports and checksums put in for each packet. */
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_memcpy.h>

#include "plan.h"

#define FRAME_HEAD 128 /* headers and the first of the payload, as much as is ever copied */
#define FRAME_VXLAN 50 /* outer Ethernet, IPv4, UDP, VXLAN */

struct frame {
	uint8_t head[FRAME_HEAD] __rte_cache_aligned;
	uint32_t ip_sum; /* of the IPv4 header without what is put in */
	uint32_t l4_sum; /* of pseudo-header and L4 header likewise; the payload is zero */
	uint16_t length; /* of the whole frame */
};

/* What differs between packets. Host byte order; of an IPv6 address the last 32 bits. */
struct frame_flow {
	uint32_t src, dst;
	uint16_t sport, dport;
};

/* The smallest frame that such a plan can have, outer headers not counted. */
uint32_t frame_minimum(const struct plan *plan);
/* Frames of `size` bytes, or inner size with VXLAN. */
void frame_make(struct frame *frame, const struct plan *plan, uint32_t size);

/* Last 32 bits, host order. */
static inline uint32_t frame_low(const struct plan_address *a)
{
	return (uint32_t)a->bytes[12] << 24 | (uint32_t)a->bytes[13] << 16 |
	       (uint32_t)a->bytes[14] << 8 | a->bytes[15];
}

static inline uint16_t frame_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static inline uint32_t frame_hash(const struct frame_flow *f)
{
	uint32_t hash = (f->src ^ rte_bswap32(f->dst)) * 0x9e3779b1u;

	hash ^= ((uint32_t)f->sport << 16 | f->dport) * 0x85ebca6bu;
	hash ^= hash >> 15;
	hash *= 0xc2b2ae35u;
	return hash ^ hash >> 13;
}

static __rte_always_inline void frame_store16(uint8_t *p, uint16_t v)
{
	v = rte_cpu_to_be_16(v);
	memcpy(p, &v, sizeof(v));
}

static __rte_always_inline void frame_store32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
}

/* Puts the frame of this flow at `p`. The flags are constants where it is inlined: a body for each sort of packet. */
static __rte_always_inline void frame_put(const struct frame *t, uint8_t *p,
	const struct frame_flow *f, const bool ipv6, const bool tcp, const bool vxlan,
	const bool checksum)
{
	const unsigned int ip = (vxlan ? FRAME_VXLAN : 0) + 14, l4 = ip + (ipv6 ? 40 : 20);
	const uint32_t addresses =
		(f->src >> 16) + (f->src & 0xffff) + (f->dst >> 16) + (f->dst & 0xffff);

	memcpy(p, t->head, 64);
	if (vxlan || (ipv6 && tcp))
		memcpy(p + 64, t->head + 64, 64);
	if (ipv6) {
		frame_store32(p + ip + 20, f->src);
		frame_store32(p + ip + 36, f->dst);
	} else {
		frame_store16(p + ip + 10, (uint16_t)~frame_fold(t->ip_sum + addresses));
		frame_store32(p + ip + 12, f->src);
		frame_store32(p + ip + 16, f->dst);
	}
	frame_store16(p + l4, f->sport);
	frame_store16(p + l4 + 2, f->dport);
	if (checksum || tcp) {
		uint16_t sum = (uint16_t)~frame_fold(t->l4_sum + addresses + f->sport + f->dport);

		frame_store16(p + l4 + (tcp ? 16 : 6), sum == 0 && !tcp ? 0xffff : sum);
	}
	if (vxlan)
		frame_store16(p + 34, (uint16_t)(0xc000 | frame_hash(f) >> 18));
}

#endif
