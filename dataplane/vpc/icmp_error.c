/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/icmp_error.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>

#include <rte_common.h>
#include <rte_icmp.h>

#include "vpc/icmp6.h"

#define TOS_INTERNETWORK_CONTROL 0xc0 /* RFC 1812 section 4.3.2.5 */

struct icmp4_error {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	uint8_t type, code;
	rte_be16_t checksum;
	rte_be16_t unused, mtu; /* RFC 1191 section 4 */
} __rte_packed __rte_aligned(2);

/* Only queries and their answers may be answered with an error (RFC 1122 section 3.2.2). */
static bool is_icmp4_query(uint8_t type)
{
	switch (type) {
	case 0:  /* echo reply */
	case 8:  /* echo */
	case 13: /* timestamp */
	case 14:
		return true;
	default:
		return false;
	}
}

static bool allowed4(const struct rte_ipv4_hdr *ip, uint16_t len)
{
	uint32_t src, dst;
	uint8_t header;

	if (len < sizeof(*ip) || (header = rte_ipv4_hdr_len(ip)) < sizeof(*ip) || len < header)
		return false;
	src = rte_be_to_cpu_32(ip->src_addr);
	dst = rte_be_to_cpu_32(ip->dst_addr);
	if (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK))
		return false;
	/* 0/8, 127/8, 224/4 and 240/4 name no single host. */
	if (src >> 24 == 0 || src >> 24 == 127 || src >> 28 >= 14 || dst >> 28 >= 14)
		return false;
	return ip->next_proto_id != IPPROTO_ICMP ||
	       (len > header && is_icmp4_query(((const uint8_t *)ip)[header]));
}

/* Type of an ICMPv6 message behind extension headers; false: it is none, or a later fragment. */
static bool find_icmp6(const uint8_t *ip, uint16_t len, uint8_t *type, bool *later)
{
	uint8_t next = ((const struct rte_ipv6_hdr *)ip)->proto;
	uint32_t at = sizeof(struct rte_ipv6_hdr);

	*later = false;
	for (unsigned int n = 0; n < 8 && at + 8 <= len; n++) {
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			next = ip[at];
			at += 8u * (ip[at + 1] + 1u);
			break;
		case IPPROTO_FRAGMENT:
			*later = ((ip[at + 2] << 8 | ip[at + 3]) & 0xfff8) != 0;
			next = ip[at];
			at += 8;
			break;
		case IPPROTO_ICMPV6:
			*type = ip[at];
			return true;
		default:
			return false;
		}
	}
	return false;
}

/* RFC 4443 section 2.4 (e). */
static bool allowed6(const struct rte_ipv6_hdr *ip, uint16_t len)
{
	static const uint8_t zero[16];
	uint8_t type;
	bool later;

	if (len < sizeof(*ip) || ip->src_addr[0] == 0xff || ip->dst_addr[0] == 0xff ||
		memcmp(ip->src_addr, zero, sizeof(zero)) == 0)
		return false;
	if (find_icmp6((const uint8_t *)ip, len, &type, &later))
		return !later && type >= 128 && type != ICMP6_REDIRECT;
	return !later;
}

bool icmp_error_allowed(const uint8_t *ip, uint16_t len)
{
	if (len == 0)
		return false;
	return ip[0] >> 4 == 4   ? allowed4((const struct rte_ipv4_hdr *)ip, len)
	       : ip[0] >> 4 == 6 ? allowed6((const struct rte_ipv6_hdr *)ip, len)
				 : false;
}

static uint16_t build4(struct icmp4_error *f, const struct icmp_error *e,
	const struct rte_ipv4_hdr *ip, uint16_t len)
{
	static const uint8_t types[][2] = {[ICMP_ERROR_TTL] = {11, 0},
		[ICMP_ERROR_TOO_BIG] = {3, 4},
		[ICMP_ERROR_PROHIBITED] = {3, 13},
		[ICMP_ERROR_NO_ROUTE] = {3, 0}};
	uint16_t icmp_len;

	len = RTE_MIN(
		RTE_MIN(len, rte_be_to_cpu_16(ip->total_length)), (uint16_t)ICMP_ERROR_QUOTE4);
	icmp_len = (uint16_t)(sizeof(*f) - offsetof(struct icmp4_error, type) + len);
	f->eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	f->ip = (struct rte_ipv4_hdr){
		.version_ihl = 0x45,
		.type_of_service = TOS_INTERNETWORK_CONTROL,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(f->ip) + icmp_len)),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_ICMP,
		.src_addr = ip_addr_v4(&e->src),
		.dst_addr = ip->src_addr,
	};
	f->ip.hdr_checksum = checksum_ipv4_header(&f->ip);
	f->type = types[e->kind][0];
	f->code = types[e->kind][1];
	f->unused = 0;
	f->mtu = e->kind == ICMP_ERROR_TOO_BIG ? rte_cpu_to_be_16(e->mtu) : 0;
	memcpy(f + 1, ip, len);
	f->checksum = 0;
	f->checksum = checksum_finish(checksum_add(0, &f->type, icmp_len));
	return (uint16_t)(offsetof(struct icmp4_error, type) + icmp_len);
}

static uint16_t build6(struct icmp6_frame *f, const struct icmp_error *e,
	const struct rte_ipv6_hdr *ip, uint16_t len)
{
	static const uint8_t types[][2] = {[ICMP_ERROR_TTL] = {ICMP6_TIME_EXCEEDED, 0},
		[ICMP_ERROR_TOO_BIG] = {ICMP6_TOO_BIG, 0},
		[ICMP_ERROR_PROHIBITED] = {1, 1},
		[ICMP_ERROR_NO_ROUTE] = {1, 0}};
	uint32_t whole = sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);
	struct ip_addr to = ip_addr_from_v6(ip->src_addr);

	len = (uint16_t)RTE_MIN(RTE_MIN((uint32_t)len, whole), ICMP_ERROR_QUOTE6);
	f->icmp = (struct icmp6_hdr){.type = types[e->kind][0], .code = types[e->kind][1]};
	if (e->kind == ICMP_ERROR_TOO_BIG)
		f->icmp.body = rte_cpu_to_be_32(e->mtu);
	memcpy(f + 1, ip, len);
	icmp6_finish(f, &e->src, &to, (uint16_t)(sizeof(f->icmp) + len));
	return (uint16_t)(sizeof(*f) + len);
}

uint16_t icmp_error_build(
	uint8_t *out, const struct icmp_error *error, const uint8_t *ip, uint16_t len)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)out;

	eth->dst_addr = error->dmac;
	eth->src_addr = error->smac;
	if (ip[0] >> 4 == 4)
		return build4(
			(struct icmp4_error *)out, error, (const struct rte_ipv4_hdr *)ip, len);
	return build6((struct icmp6_frame *)out, error, (const struct rte_ipv6_hdr *)ip, len);
}

static _Atomic uint32_t spacing = 1000 / ICMP_ERROR_RATE; /* in ms */

void icmp_error_set_rate(uint32_t per_s)
{
	atomic_store_explicit(&spacing, 1000 / per_s, memory_order_relaxed);
}

/* A virtual schedule (GCRA): the time at which the next error is due if they came evenly spaced. */
static bool pass(_Atomic uint32_t *slot, uint32_t now_ms)
{
	const uint32_t spacing_ms = atomic_load_explicit(&spacing, memory_order_relaxed);
	uint32_t old = atomic_load_explicit(slot, memory_order_relaxed), next;

	do {
		int32_t ahead = (int32_t)(old - now_ms);

		if (ahead < 0 || ahead > (int32_t)(spacing_ms * (ICMP_ERROR_BURST + 1)))
			ahead = 0; /* idle, or so long ago that the clock has wrapped */
		if (ahead > (int32_t)(spacing_ms * (ICMP_ERROR_BURST - 1)))
			return false;
		next = now_ms + (uint32_t)ahead + spacing_ms;
	} while (!atomic_compare_exchange_weak_explicit(
		slot, &old, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

#define SLOTS (1u << 14) /* shared by hash, which may only make two share their rate */

bool icmp_error_pass(loc_t to, uint32_t now_ms)
{
	static _Atomic uint32_t due[SLOTS];

	return pass(&due[(to ^ to >> 18) % SLOTS], now_ms);
}

/* So many in the second that began at `window` >> 32. */
static bool pass_all(uint32_t now_ms)
{
	static _Atomic uint64_t window;
	const uint32_t most =
		1000 / atomic_load_explicit(&spacing, memory_order_relaxed) * ICMP_ERROR_OUTSIDE;
	uint64_t old = atomic_load_explicit(&window, memory_order_relaxed), next;

	do {
		if (now_ms - (uint32_t)(old >> 32) >= 1000)
			next = (uint64_t)now_ms << 32 | 1;
		else if ((uint32_t)old >= most)
			return false;
		else
			next = old + 1;
	} while (!atomic_compare_exchange_weak_explicit(
		&window, &old, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool icmp_error_pass_outside(const struct ip_addr *to, uint32_t now_ms)
{
	static _Atomic uint32_t due[SLOTS];
	uint64_t h = (to->q[0] ^ to->q[1]) * 0x9e3779b97f4a7c15ull;

	return pass(&due[(h >> 40) % SLOTS], now_ms) && pass_all(now_ms);
}
