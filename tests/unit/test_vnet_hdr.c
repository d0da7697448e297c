/* SPDX-License-Identifier: Apache-2.0 */
/* port/vnet_hdr: the translation both ways, over a table, and headers that lie. */
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
#include "port/vnet_hdr.h"

#define ETH 14
#define VXLAN_OUTER (ETH + 20 + 16)

/* A frame by its parts; the rest is zero. */
struct frame {
	int tags; /* 802.1Q */
	bool v6;
	int extension; /* bytes of a destination options header (IPv6) or options (IPv4) */
	uint8_t proto;
	uint16_t fragment; /* IPv4 flags and offset, or nonzero: an IPv6 fragment header */
	int tcp_len;       /* of the TCP header, 20 when 0 */
	uint16_t payload;
	bool vxlan; /* inside IPv4 and UDP to 4789 */
};

static uint8_t bytes[4096];
static struct rte_mbuf mbuf;

static uint8_t *put_ip(uint8_t *p, const struct frame *f)
{
	if (!f->v6) {
		p[0] = (uint8_t)(0x45 + f->extension / 4);
		p[6] = (uint8_t)(f->fragment >> 8);
		p[7] = (uint8_t)f->fragment;
		p[9] = f->proto;
		return p + 20 + f->extension;
	}
	p[0] = 0x60;
	p[6] = f->extension ? IPPROTO_DSTOPTS : f->fragment ? IPPROTO_FRAGMENT : f->proto;
	p += 40;
	if (f->extension) {
		p[0] = f->fragment ? IPPROTO_FRAGMENT : f->proto;
		p[1] = (uint8_t)(f->extension / 8 - 1);
		p += f->extension;
	}
	if (f->fragment) {
		p[0] = f->proto;
		p += 8;
	}
	return p;
}

static uint8_t *put_ether(uint8_t *p, const struct frame *f)
{
	p += 12;
	for (int i = 0; i < f->tags; i++, p += 4)
		p[0] = 0x81;
	p[0] = f->v6 ? 0x86 : 0x08;
	p[1] = f->v6 ? 0xdd : 0x00;
	return p + 2;
}

static void build(const struct frame *f)
{
	const struct frame outer = {.proto = IPPROTO_UDP};
	uint8_t *p = bytes;

	memset(bytes, 0, sizeof(bytes));
	memset(&mbuf, 0, sizeof(mbuf));
	if (f->vxlan) {
		p = put_ip(put_ether(p, &outer), &outer);
		p[2] = 4789 >> 8;
		p[3] = 4789 & 0xff;
		p += 16;
	}
	p = put_ip(put_ether(p, f), f);
	if (f->proto == IPPROTO_TCP) {
		int len = f->tcp_len ? f->tcp_len : 20;

		p[12] = (uint8_t)(len / 4 << 4);
		p += len;
	} else {
		p += 8;
	}
	p += f->payload;
	mbuf.buf_addr = bytes;
	mbuf.nb_segs = 1;
	mbuf.data_len = (uint16_t)(p - bytes);
	mbuf.pkt_len = mbuf.data_len;
}

#define TCP4                                                                                       \
	{                                                                                          \
		.proto = IPPROTO_TCP, .payload = 3000                                              \
	}
#define TCP6                                                                                       \
	{                                                                                          \
		.v6 = true, .proto = IPPROTO_TCP, .payload = 3000                                  \
	}
#define UDP4                                                                                       \
	{                                                                                          \
		.proto = IPPROTO_UDP, .payload = 3000                                              \
	}
#define UDP6                                                                                       \
	{                                                                                          \
		.v6 = true, .proto = IPPROTO_UDP, .payload = 3000                                  \
	}
#define NEEDS VNET_F_NEEDS_CSUM
#define F(x) RTE_MBUF_F_##x
#define PARTIAL_TCP4 (F(TX_TCP_CKSUM) | F(TX_IPV4))
#define PARTIAL_TCP6 (F(TX_TCP_CKSUM) | F(TX_IPV6))
#define PARTIAL_UDP4 (F(TX_UDP_CKSUM) | F(TX_IPV4))
#define PARTIAL_UDP6 (F(TX_UDP_CKSUM) | F(TX_IPV6))
#define INNER (F(TX_TUNNEL_VXLAN) | F(TX_OUTER_IPV4) | F(RX_OUTER_L4_CKSUM_GOOD))

static const struct {
	const char *name;
	struct frame frame;
	struct vnet_hdr hdr;
	bool refused;
	uint64_t flags;
	unsigned int l2, l3, l4, segsz, outer_l2, outer_l3;
	bool one_way; /* the way back does not give the same header */
} cases[] = {
	{"complete", TCP4, {0}},
	{"known good", TCP4, {.flags = VNET_F_DATA_VALID}, .flags = F(RX_L4_CKSUM_GOOD)},
	{"TCP", TCP4, {NEEDS, 0, 0, 0, 34, 16}, .flags = PARTIAL_TCP4, .l2 = 14, .l3 = 20},
	{"TCP over IPv6", TCP6, {NEEDS, 0, 0, 0, 54, 16}, .flags = PARTIAL_TCP6, .l2 = 14,
		.l3 = 40},
	{"UDP", UDP4, {NEEDS, 0, 0, 0, 34, 6}, .flags = PARTIAL_UDP4, .l2 = 14, .l3 = 20},
	{"UDP over IPv6", UDP6, {NEEDS, 0, 0, 0, 54, 6}, .flags = PARTIAL_UDP6, .l2 = 14, .l3 = 40},
	{"IPv4 options", {.proto = IPPROTO_TCP, .extension = 8}, {NEEDS, 0, 0, 0, 42, 16},
		.flags = PARTIAL_TCP4, .l2 = 14, .l3 = 28},
	{"IPv6 extension", {.v6 = true, .proto = IPPROTO_UDP, .extension = 16},
		{NEEDS, 0, 0, 0, 70, 6}, .flags = PARTIAL_UDP6, .l2 = 14, .l3 = 56},
	{"tagged", {.tags = 2, .proto = IPPROTO_TCP}, {NEEDS, 0, 0, 0, 42, 16},
		.flags = PARTIAL_TCP4, .l2 = 22, .l3 = 20},
	{"TSO", TCP4, {NEEDS, VNET_GSO_TCPV4, 54, 1448, 34, 16},
		.flags = PARTIAL_TCP4 | F(TX_TCP_SEG), .l2 = 14, .l3 = 20, .l4 = 20, .segsz = 1448},
	{"TSO with TCP options", {.proto = IPPROTO_TCP, .tcp_len = 32, .payload = 3000},
		{NEEDS, VNET_GSO_TCPV4, 66, 1448, 34, 16}, .flags = PARTIAL_TCP4 | F(TX_TCP_SEG),
		.l2 = 14, .l3 = 20, .l4 = 32, .segsz = 1448},
	{"TSO over IPv6", TCP6, {NEEDS, VNET_GSO_TCPV6, 74, 1428, 54, 16},
		.flags = PARTIAL_TCP6 | F(TX_TCP_SEG), .l2 = 14, .l3 = 40, .l4 = 20, .segsz = 1428},
	{"USO", UDP4, {NEEDS, VNET_GSO_UDP_L4, 42, 1000, 34, 6},
		.flags = PARTIAL_UDP4 | F(TX_UDP_SEG), .l2 = 14, .l3 = 20, .l4 = 8, .segsz = 1000},
	{"USO over IPv6", UDP6, {NEEDS, VNET_GSO_UDP_L4, 62, 1000, 54, 6},
		.flags = PARTIAL_UDP6 | F(TX_UDP_SEG), .l2 = 14, .l3 = 40, .l4 = 8, .segsz = 1000},
	{"GSO of one segment is none", TCP4, {NEEDS, VNET_GSO_TCPV4, 54, 3000, 34, 16},
		.flags = PARTIAL_TCP4, .l2 = 14, .l3 = 20, .l4 = 20, .one_way = true},
	{"inner partial of a kernel VXLAN device", {.proto = IPPROTO_TCP, .vxlan = true},
		{NEEDS, 0, 0, 0, VXLAN_OUTER + 34, 16}, .flags = PARTIAL_TCP4 | INNER, .l2 = 30,
		.l3 = 20, .outer_l2 = 14, .outer_l3 = 20, .one_way = true},
	{"inner TSO of a kernel VXLAN device",
		{.v6 = true, .proto = IPPROTO_TCP, .vxlan = true, .payload = 3000},
		{NEEDS, VNET_GSO_TCPV6, VXLAN_OUTER + 74, 1378, VXLAN_OUTER + 54, 16},
		.flags = PARTIAL_TCP6 | INNER | F(TX_TCP_SEG), .l2 = 30, .l3 = 40, .l4 = 20,
		.segsz = 1378, .outer_l2 = 14, .outer_l3 = 20, .one_way = true},
	/* Lies. */
	{"GSO without a checksum", TCP4, {0, VNET_GSO_TCPV4, 54, 1448, 0, 0}, .refused = true},
	{"GSO of size 0", TCP4, {NEEDS, VNET_GSO_TCPV4, 54, 0, 34, 16}, .refused = true},
	{"TCPv6 GSO of IPv4", TCP4, {NEEDS, VNET_GSO_TCPV6, 54, 1448, 34, 16}, .refused = true},
	{"TCP GSO of UDP", UDP4, {NEEDS, VNET_GSO_TCPV4, 54, 1448, 34, 6}, .refused = true},
	{"UDP GSO of TCP", TCP4, {NEEDS, VNET_GSO_UDP_L4, 54, 1448, 34, 16}, .refused = true},
	{"unknown GSO", TCP4, {NEEDS, 9, 54, 1448, 34, 16}, .refused = true},
	{"UFO", UDP4, {NEEDS, 3, 42, 1448, 34, 6}, .refused = true},
	{"GSO with another start", TCP4, {NEEDS, VNET_GSO_TCPV4, 54, 1448, 36, 16},
		.refused = true},
	{"GSO of a fragment", {.proto = IPPROTO_TCP, .fragment = 0x2000, .payload = 3000},
		{NEEDS, VNET_GSO_TCPV4, 54, 1448, 34, 16}, .refused = true},
	{"TCP header longer than the frame", {.proto = IPPROTO_TCP, .tcp_len = 60, .payload = 0},
		{NEEDS, VNET_GSO_TCPV4, 94, 8, 30, 16}, .refused = true},
	{"field beyond the frame", {.proto = IPPROTO_UDP}, {NEEDS, 0, 0, 0, 40, 40},
		.refused = true},
	{"start beyond the frame", {.proto = IPPROTO_UDP}, {NEEDS, 0, 0, 0, 65535, 65535},
		.refused = true},
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct vnet_hdr back;

		build(&cases[i].frame);
		print_message("%s\n", cases[i].name);
		assert_int_equal(vnet_hdr_to_mbuf(&cases[i].hdr, &mbuf), !cases[i].refused);
		if (cases[i].refused)
			continue;
		assert_int_equal(mbuf.ol_flags, cases[i].flags);
		assert_int_equal(mbuf.l2_len, cases[i].l2);
		assert_int_equal(mbuf.l3_len, cases[i].l3);
		assert_int_equal(mbuf.l4_len, cases[i].l4);
		assert_int_equal(mbuf.tso_segsz, cases[i].segsz);
		assert_int_equal(mbuf.outer_l2_len, cases[i].outer_l2);
		assert_int_equal(mbuf.outer_l3_len, cases[i].outer_l3);
		vnet_hdr_from_mbuf(&back, &mbuf);
		if (!cases[i].one_way)
			assert_memory_equal(&back, &cases[i].hdr, sizeof(back));
	}
}

/* Another protocol's partial checksum (SCTP's place is taken by anything) is completed here. */
static void completed_in_place(void **state)
{
	const struct frame gre = {.proto = 47, .payload = 101};
	const struct frame fragment = {.proto = IPPROTO_UDP, .fragment = 0x2000, .payload = 57};
	const struct frame *frames[] = {&gre, &fragment};
	const struct vnet_hdr hdr = {NEEDS, 0, 0, 0, 34, 6};

	(void)state;
	for (int i = 0; i < 2; i++) {
		build(frames[i]);
		for (int b = 42; b < mbuf.data_len; b++)
			bytes[b] = (uint8_t)(b * 7);
		assert_true(vnet_hdr_to_mbuf(&hdr, &mbuf));
		assert_int_equal(mbuf.ol_flags, 0);
		assert_int_equal(
			checksum_fold(checksum_add(0, bytes + 34, mbuf.data_len - 34u)), 0xffff);
	}
}

/* The congestion mark of RFC 3168 goes with the first segment only, and the kernel must know. */
static void congestion_window_reduced(void **state)
{
	const struct frame f = TCP4;
	const struct vnet_hdr hdr = {NEEDS, VNET_GSO_TCPV4 | VNET_GSO_ECN, 54, 1448, 34, 16};
	struct vnet_hdr back;

	(void)state;
	build(&f);
	bytes[34 + 13] = 0x80;
	assert_true(vnet_hdr_to_mbuf(&hdr, &mbuf));
	vnet_hdr_from_mbuf(&back, &mbuf);
	assert_memory_equal(&back, &hdr, sizeof(back));
}

/* Any header before any bytes neither crashes nor leaves lengths beyond the first segment. */
static void hostile(void **state)
{
	(void)state;
	for (int round = 0; round < 200000; round++) {
		struct vnet_hdr hdr;
		const struct frame f = {.tags = rand() % 3,
			.v6 = rand() % 2,
			.vxlan = rand() % 4 == 0,
			.proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP,
			.extension = rand() % 3 * 8,
			.tcp_len = rand() % 16 * 4,
			.payload = (uint16_t)(rand() % 100)};
		uint8_t *h = (uint8_t *)&hdr;

		build(&f);
		for (size_t i = 0; i < sizeof(hdr); i++)
			h[i] = (uint8_t)rand();
		hdr.flags = rand() % 4 ? NEEDS : hdr.flags;
		hdr.csum_start = rand() % 2 ? (uint16_t)(rand() % 150) : hdr.csum_start;
		hdr.csum_offset = rand() % 2 ? 16 : rand() % 2 ? 6 : hdr.csum_offset;
		hdr.gso_type = rand() % 2 ? (uint8_t)(rand() % 6) : hdr.gso_type;
		for (int i = rand() % 4; i > 0; i--)
			bytes[rand() % 128] = (uint8_t)rand();
		mbuf.data_len = mbuf.pkt_len = (uint16_t)(rand() % (mbuf.data_len + 1));
		if (!vnet_hdr_to_mbuf(&hdr, &mbuf))
			continue;
		assert_true(mbuf.outer_l2_len + mbuf.outer_l3_len + mbuf.l2_len + mbuf.l3_len +
				    mbuf.l4_len <=
			    mbuf.data_len);
		if (mbuf.ol_flags & (F(TX_TCP_SEG) | F(TX_UDP_SEG)))
			assert_true(mbuf.tso_segsz > 0 && mbuf.l4_len >= 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(completed_in_place),
		cmocka_unit_test(congestion_window_reduced),
		cmocka_unit_test(hostile),
	};

	srand(4);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
