/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_ICMP6_H
#define VPC_ICMP6_H
/* ICMPv6 as the services read and write it (RFC 4443, 4861). */
#include <rte_ether.h>
#include <rte_ip.h>

#include "base/checksum.h"
#include "base/ip.h"

enum {
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_RS = 133,
	ICMP6_RA = 134,
	ICMP6_NS = 135,
	ICMP6_NA = 136,
	ICMP6_REDIRECT = 137,
};

/* Options of RFC 4861 section 4.6, RFC 8106. */
enum {
	ICMP6_OPT_SLLA = 1,
	ICMP6_OPT_TLLA = 2,
	ICMP6_OPT_PREFIX = 3,
	ICMP6_OPT_MTU = 5,
	ICMP6_OPT_RDNSS = 25,
};

struct icmp6_opt_mac {
	uint8_t type, units; /* of 8 bytes */
	struct rte_ether_addr mac;
};

static const struct ip_addr ip_all_nodes = {.bytes = {0xff, 2, [15] = 1}};
static const struct rte_ether_addr ether_all_nodes = {{0x33, 0x33, 0, 0, 0, 1}};

struct icmp6_hdr {
	uint8_t type, code;
	rte_be16_t checksum;
	rte_be32_t body; /* flags, MTU, hop limit …: by type */
} __rte_packed __rte_aligned(2);

struct icmp6_frame {
	struct rte_ether_hdr eth;
	struct rte_ipv6_hdr ip;
	struct icmp6_hdr icmp;
} __rte_packed __rte_aligned(2);

/* Length of the ICMPv6 message if the frame is one without extension headers and holds it whole, else 0. */
static inline uint16_t icmp6_len(const struct icmp6_frame *f, uint16_t frame_len)
{
	uint16_t len = frame_len >= sizeof(*f) ? rte_be_to_cpu_16(f->ip.payload_len) : 0;

	if (len < sizeof(f->icmp) || f->ip.proto != IPPROTO_ICMPV6 ||
		len > frame_len - offsetof(struct icmp6_frame, icmp))
		return 0;
	return len;
}

/* Checksum of the message, 0 when the one in it is right. */
static inline rte_be16_t icmp6_checksum(const struct icmp6_frame *f, uint16_t len)
{
	uint32_t sum = checksum_pseudo6(f->ip.src_addr, f->ip.dst_addr, IPPROTO_ICMPV6, len);

	return checksum_finish(checksum_add(sum, &f->icmp, len));
}

/* IP header and checksum of a message of `len` bytes that is otherwise complete. */
static inline void icmp6_finish(
	struct icmp6_frame *f, const struct ip_addr *src, const struct ip_addr *dst, uint16_t len)
{
	f->eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	f->ip.vtc_flow = RTE_BE32(6u << 28);
	f->ip.payload_len = rte_cpu_to_be_16(len);
	f->ip.proto = IPPROTO_ICMPV6;
	f->ip.hop_limits = 255;
	memcpy(f->ip.src_addr, src->bytes, sizeof(src->bytes));
	memcpy(f->ip.dst_addr, dst->bytes, sizeof(dst->bytes));
	f->icmp.checksum = 0;
	f->icmp.checksum = icmp6_checksum(f, len);
}

#endif
