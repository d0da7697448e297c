/* SPDX-License-Identifier: Apache-2.0 */
/* port/partial: unfinished checksums are recognised by their value, finished ones left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_mbuf.h>

#include "base/checksum.h"
#include "port/partial.h"

#define ETH 14
#define VXLAN 16
#define PAYLOAD 33

static uint8_t bytes[512];
static struct rte_mbuf mbuf;

struct shape {
	const char *name;
	bool vxlan; /* inside IPv4, UDP and VXLAN without a checksum of their own */
	bool v6;
	uint8_t proto;
	bool fragment;
	bool complete;
	uint64_t flags; /* expected */
};

static uint32_t pseudo(const uint8_t *ip, bool v6, uint8_t proto, uint16_t len)
{
	rte_be32_t src, dst;

	if (v6)
		return checksum_pseudo6(ip + 8, ip + 24, proto, len);
	memcpy(&src, ip + 12, 4);
	memcpy(&dst, ip + 16, 4);
	return checksum_pseudo4(src, dst, proto, len);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* Returns its end. */
static uint8_t *put_packet(uint8_t *p, const struct shape *s)
{
	uint16_t l4_len = (uint16_t)((s->proto == IPPROTO_TCP ? 20 : 8) + PAYLOAD);
	uint8_t *ip = p + ETH, *l4 = ip + (s->v6 ? 40 : 20);
	uint16_t check;

	put16(p + 12, s->v6 ? 0x86dd : 0x0800);
	for (int i = 0; i < (s->v6 ? 40 : 20) + l4_len; i++)
		ip[i] = (uint8_t)(i * 7 + 3);
	ip[0] = s->v6 ? 0x60 : 0x45;
	put16(ip + (s->v6 ? 4 : 2), (uint16_t)(s->v6 ? l4_len : 20 + l4_len));
	ip[s->v6 ? 6 : 9] = s->proto;
	if (!s->v6)
		put16(ip + 6, s->fragment ? 0x2000 : 0);
	put16(l4 + 2, 443);
	check = checksum_fold(pseudo(ip, s->v6, s->proto, l4_len));
	memcpy(l4 + (s->proto == IPPROTO_TCP ? 16 : 6), &check, 2);
	if (s->complete) {
		check = checksum_finish_udp(checksum_add(0, l4, l4_len));
		memcpy(l4 + (s->proto == IPPROTO_TCP ? 16 : 6), &check, 2);
	}
	return l4 + l4_len;
}

static void make(const struct shape *s)
{
	uint8_t *p = bytes, *end;

	memset(bytes, 0, sizeof(bytes));
	memset(&mbuf, 0, sizeof(mbuf));
	if (s->vxlan)
		p += ETH + 20 + VXLAN;
	end = put_packet(p, s);
	if (s->vxlan) {
		put16(bytes + 12, 0x0800);
		bytes[ETH] = 0x45;
		put16(bytes + ETH + 2, (uint16_t)(end - bytes - ETH));
		bytes[ETH + 9] = IPPROTO_UDP;
		put16(bytes + ETH + 22, 4789);
	}
	mbuf.buf_addr = bytes;
	mbuf.buf_len = sizeof(bytes);
	mbuf.data_len = (uint16_t)(end - bytes);
	mbuf.pkt_len = mbuf.data_len;
	mbuf.nb_segs = 1;
}

#define TCP4 (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM)
#define TCP6 (RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_CKSUM)
#define UDP4 (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM)
#define UDP6 (RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM)
#define INSIDE                                                                                     \
	(RTE_MBUF_F_TX_TUNNEL_VXLAN | RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_RX_OUTER_L4_CKSUM_GOOD)

static const struct shape shapes[] = {
	{"TCP over IPv4", .proto = IPPROTO_TCP, .flags = TCP4},
	{"TCP over IPv6", .proto = IPPROTO_TCP, .v6 = true, .flags = TCP6},
	{"UDP over IPv4", .proto = IPPROTO_UDP, .flags = UDP4},
	{"UDP over IPv6", .proto = IPPROTO_UDP, .v6 = true, .flags = UDP6},
	{"finished TCP", .proto = IPPROTO_TCP, .complete = true},
	{"finished UDP over IPv6", .proto = IPPROTO_UDP, .v6 = true, .complete = true},
	{"a fragment", .proto = IPPROTO_TCP, .fragment = true},
	{"another protocol", .proto = IPPROTO_GRE},
	{"inside VXLAN", .vxlan = true, .proto = IPPROTO_TCP, .flags = TCP4 | INSIDE},
	{"UDP inside VXLAN", .vxlan = true, .proto = IPPROTO_UDP, .v6 = true,
		.flags = UDP6 | INSIDE},
	{"finished inside VXLAN", .vxlan = true, .proto = IPPROTO_TCP, .complete = true},
};

static void test_shapes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(shapes); i++) {
		make(&shapes[i]);
		partial_mark(&mbuf);
		if (mbuf.ol_flags != shapes[i].flags)
			fail_msg("%s: %lx instead of %lx", shapes[i].name, mbuf.ol_flags,
				shapes[i].flags);
	}
}

/* Wherever a frame is cut short, nothing behind its end is read or promised. */
static void test_cut_short(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(shapes); i++) {
		make(&shapes[i]);
		for (uint16_t whole = mbuf.data_len, len = 0; len < whole; len++) {
			uint8_t *copy = malloc(len + 1);

			memcpy(copy, bytes, len);
			mbuf.buf_addr = copy;
			mbuf.data_len = len;
			mbuf.pkt_len = len;
			mbuf.ol_flags = 0;
			partial_mark(&mbuf);
			if (mbuf.ol_flags & RTE_MBUF_F_TX_L4_MASK)
				assert_true(len >= whole - PAYLOAD - 20);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
