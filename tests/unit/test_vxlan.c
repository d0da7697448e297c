/* SPDX-License-Identifier: Apache-2.0 */
/* underlay/vxlan: headers by RFC 7348, their ECN by RFC 6040. No EAL: mbufs on the stack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_mbuf.h>

#include "base/checksum.h"
#include "base/ip_text.h"
#include "underlay/vxlan.h"

#define INNER 100

/* A frame in one buffer, with the usual headroom. */
struct packet {
	struct rte_mbuf m;
	uint8_t bytes[RTE_PKTMBUF_HEADROOM + 2048];
};

static struct rte_mbuf *packet(struct packet *p, const uint8_t *frame, uint16_t len)
{
	memset(p, 0, sizeof(*p));
	p->m.buf_addr = p->bytes;
	p->m.buf_len = sizeof(p->bytes);
	p->m.data_off = RTE_PKTMBUF_HEADROOM;
	p->m.nb_segs = 1;
	p->m.data_len = len;
	p->m.pkt_len = len;
	memcpy(p->bytes + RTE_PKTMBUF_HEADROOM, frame, len);
	return &p->m;
}

static uint8_t *bytes_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, uint8_t *);
}

static const struct rte_ether_addr smac = {{2, 0, 0, 0, 0, 1}}, dmac = {{2, 0, 0, 0, 0, 2}};

static struct vxlan_outer outer_of(bool v6)
{
	struct vxlan_outer o;
	struct ip_addr src, dst;

	assert_true(ip_addr_parse(v6 ? "2001:db8::1" : "192.0.2.1", &src));
	assert_true(ip_addr_parse(v6 ? "2001:db8::2" : "192.0.2.2", &dst));
	vxlan_outer_make(&o, &src, &dst, &smac, &dmac);
	return o;
}

static void fill(uint8_t *frame, uint16_t len)
{
	for (uint16_t i = 0; i < len; i++)
		frame[i] = (uint8_t)rand();
}

/* An inner frame of random bytes, encapsulated. */
static struct rte_mbuf *encapsulated(
	struct packet *p, bool v6, uint32_t vni, uint32_t hash, uint8_t ecn)
{
	struct vxlan_outer o = outer_of(v6);
	uint8_t inner[INNER];
	struct rte_mbuf *m;

	fill(inner, sizeof(inner));
	m = packet(p, inner, sizeof(inner));
	assert_true(vxlan_push(m, &o, vni, hash, ecn));
	return m;
}

/* --- encapsulation --- */

/* RFC 7348 5, figure 1, and 4.3 (no fragmentation: DF). */
static void ipv4_bytes(void **state)
{
	static const uint8_t expected[VXLAN_OVERHEAD_V4] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1,
		0x08, 0x00, /* Ethernet */
		0x45, 2, 0, INNER + 36, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2,
		2,                                           /* IPv4: ECT(0), DF, UDP */
		0xc0, 0x07, 0x12, 0xb5, 0, INNER + 16, 0, 0, /* UDP: to 4789, checksum 0 */
		0x08, 0, 0, 0, 0xab, 0xcd, 0xef, 0};         /* I flag, VNI, reserved 0 */
	struct packet p;
	struct rte_mbuf *m = encapsulated(&p, false, 0xabcdef, 7, 2);
	uint8_t *f = bytes_of(m);

	(void)state;
	assert_int_equal(m->pkt_len, INNER + VXLAN_OVERHEAD_V4);
	assert_int_equal(m->data_len, m->pkt_len);
	assert_int_equal(checksum_fold(checksum_add(0, f + 14, 20)), 0xffff);
	f[24] = f[25] = 0;
	assert_memory_equal(f, expected, sizeof(expected));
	assert_int_equal(m->ol_flags, 0);
}

/* RFC 6935 5: over IPv6 there is a checksum; it is partial, and right once it is completed. */
static void ipv6_bytes(void **state)
{
	static const uint8_t expected[] = {0x86, 0xdd, 0x60, 0x30, 0, 0, 0, INNER + 16, 17, 64,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 0x01, 0x0d, 0xb8,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xc0, 0x07, 0x12, 0xb5, 0, INNER + 16};
	struct packet p;
	struct rte_mbuf *m = encapsulated(&p, true, 1, 7, 3);
	uint8_t *f = bytes_of(m);
	rte_be16_t check;

	(void)state;
	assert_memory_equal(f + 12, expected, sizeof(expected));
	assert_int_equal(m->ol_flags, RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM);
	assert_int_equal(m->l2_len, 14);
	assert_int_equal(m->l3_len, 40);
	check = checksum_finish_udp(checksum_add(0, f + 54, INNER + 16));
	memcpy(f + 60, &check, sizeof(check));
	assert_int_equal(
		checksum_fold(checksum_add(
			checksum_pseudo6(f + 22, f + 38, 17, INNER + 16), f + 54, INNER + 16)),
		0xffff);
}

/* RFC 7348 5: the source port comes from a hash of the inner headers, in 49152-65535, so that a flow stays on its path. */
static void source_port(void **state)
{
	unsigned int used = 0;
	static uint8_t seen[65536];

	(void)state;
	for (unsigned int i = 0; i < 4096; i++) {
		struct packet p;
		uint32_t hash = (uint32_t)rand();
		uint8_t *a = bytes_of(encapsulated(&p, false, 1, hash, 0));
		uint16_t port = (uint16_t)(a[34] << 8 | a[35]);

		assert_in_range(port, 49152, 65535);
		a = bytes_of(encapsulated(&p, true, 1, hash, 0));
		assert_int_equal(a[54] << 8 | a[55], port); /* the same for the same flow */
		used += !seen[port];
		seen[port] = 1;
	}
	assert_in_range(used, 3000, 4096);
}

static void no_headroom(void **state)
{
	struct vxlan_outer o = outer_of(true);
	uint8_t inner[INNER] = {0};
	struct packet p;
	struct rte_mbuf *m = packet(&p, inner, sizeof(inner));

	(void)state;
	m->data_off = VXLAN_OVERHEAD_V6 - 1;
	assert_false(vxlan_push(m, &o, 1, 1, 0));
	assert_int_equal(m->pkt_len, INNER);
}

/* --- parsing --- */

static void complete_udp6(struct rte_mbuf *m)
{
	uint8_t *f = bytes_of(m);
	rte_be16_t check;

	memset(f + 60, 0, 2);
	check = checksum_finish_udp(
		checksum_add(checksum_pseudo6(f + 22, f + 38, 17, INNER + 16), f + 54, INNER + 16));
	memcpy(f + 60, &check, sizeof(check));
	m->ol_flags = 0;
}

static void complete_ip4(struct rte_mbuf *m)
{
	uint8_t *f = bytes_of(m);
	rte_be16_t check;

	memset(f + 24, 0, 2);
	check = checksum_finish(checksum_add(0, f + 14, (f[14] & 15u) * 4));
	memcpy(f + 24, &check, sizeof(check));
}

static void complete_udp4(struct rte_mbuf *m)
{
	uint8_t *f = bytes_of(m);
	rte_be32_t src, dst;
	rte_be16_t check;

	memcpy(&src, f + 26, 4);
	memcpy(&dst, f + 30, 4);
	memset(f + 40, 0, 2);
	check = checksum_finish_udp(
		checksum_add(checksum_pseudo4(src, dst, 17, INNER + 16), f + 34, INNER + 16));
	memcpy(f + 40, &check, sizeof(check));
}

static void what_is_pushed_is_parsed(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		bool v6 = i & 1;
		uint32_t vni = (uint32_t)rand() & 0xffffff;
		uint8_t ecn = (uint8_t)(rand() & 3);
		struct vxlan_info info;
		struct ip_addr src, dst;
		struct packet p;
		struct rte_mbuf *m = encapsulated(&p, v6, vni, (uint32_t)rand(), ecn);

		if (v6)
			complete_udp6(m);
		assert_true(ip_addr_parse(v6 ? "2001:db8::1" : "192.0.2.1", &src));
		assert_true(ip_addr_parse(v6 ? "2001:db8::2" : "192.0.2.2", &dst));
		assert_int_equal(vxlan_parse(m, &info), DROP_NONE);
		assert_true(info.is_vxlan);
		assert_int_equal(info.vni, vni);
		assert_int_equal(info.ecn, ecn);
		assert_int_equal(info.len, v6 ? VXLAN_OVERHEAD_V6 : VXLAN_OVERHEAD_V4);
		assert_int_equal(info.end, m->pkt_len);
		assert_true(ip_addr_equal(&info.src, &src));
		assert_true(ip_addr_equal(&info.dst, &dst));
	}
}

/* RFC 7348 5: the I flag must be set; all other flags and the reserved fields are ignored on receipt. */
static void flags_and_reserved(void **state)
{
	struct vxlan_info info;
	struct packet p;
	struct rte_mbuf *m = encapsulated(&p, false, 42, 7, 0);
	uint8_t *vxlan = bytes_of(m) + 42;

	(void)state;
	vxlan[0] = 0xff;
	vxlan[1] = vxlan[2] = vxlan[3] = vxlan[7] = 0xff;
	assert_int_equal(vxlan_parse(m, &info), DROP_NONE);
	assert_int_equal(info.vni, 42);
	vxlan[0] = 0xf7;
	assert_int_equal(vxlan_parse(m, &info), DROP_MALFORMED);
}

/* RFC 7348 5: a checksum of 0 is accepted, another one verified, unless somebody has done that. */
static void udp_checksum(void **state)
{
	struct vxlan_info info;
	struct packet p;
	struct rte_mbuf *m = encapsulated(&p, false, 1, 7, 0);

	(void)state;
	complete_udp4(m);
	assert_int_equal(vxlan_parse(m, &info), DROP_NONE);
	bytes_of(m)[100] ^= 1;
	assert_int_equal(vxlan_parse(m, &info), DROP_BAD_CHECKSUM);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD; /* the device has */
	assert_int_equal(vxlan_parse(m, &info), DROP_NONE);
	m->ol_flags =
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM; /* partial: it never was on a wire */
	assert_int_equal(vxlan_parse(m, &info), DROP_NONE);

	m = encapsulated(&p, true, 1, 7, 0);
	complete_udp6(m);
	bytes_of(m)[100] ^= 1;
	assert_int_equal(vxlan_parse(m, &info), DROP_BAD_CHECKSUM);
	memset(bytes_of(m) + 60, 0, 2); /* RFC 6936: zero is for tunnels to allow; RFC 7348 does */
	assert_int_equal(vxlan_parse(m, &info), DROP_NONE);
}

static void wrong_headers(void **state)
{
	static const struct {
		const char *what;
		bool v6;
		uint8_t at, value;
		enum drop_reason reason;
		bool vxlan;
	} cases[] = {
		{"nothing wrong", false, 13, 0x00, DROP_NONE, true},
		{"nothing wrong", true, 13, 0xdd, DROP_NONE, true},
		{"ARP", false, 13, 0x06, DROP_NONE, false},
		{"version", false, 14, 0x65, DROP_MALFORMED, false},
		{"header of 16 bytes", false, 14, 0x44, DROP_MALFORMED, false},
		{"total length beyond the frame", false, 16, 1, DROP_MALFORMED, false},
		{"total length below the header", false, 17, 19, DROP_MALFORMED, false},
		{"more fragments (RFC 7348 4.3)", false, 20, 0x20, DROP_FRAGMENT, false},
		{"fragment offset", false, 21, 1, DROP_FRAGMENT, false},
		{"TCP", false, 23, 6, DROP_NONE, false},
		{"another port", false, 37, 0xb6, DROP_NONE, false},
		{"UDP length beyond the packet", false, 39, INNER + 17, DROP_MALFORMED, false},
		{"UDP length without room for VXLAN", false, 39, 15, DROP_MALFORMED, false},
		{"version", true, 14, 0x40, DROP_MALFORMED, false},
		{"payload beyond the frame", true, 18, 1, DROP_MALFORMED, false},
		{"payload without room for UDP", true, 19, 7, DROP_MALFORMED, false},
		{"ICMPv6", true, 20, 58, DROP_NONE, false},
		{"fragment", true, 20, 44, DROP_FRAGMENT, false},
		{"UDP length beyond the packet", true, 59, INNER + 17, DROP_MALFORMED, false},
	};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		struct vxlan_info info;
		struct packet p;
		struct rte_mbuf *m = encapsulated(&p, cases[i].v6, 1, 7, 0);
		enum drop_reason reason;

		bytes_of(m)[cases[i].at] = cases[i].value;
		if (cases[i].v6)
			memset(bytes_of(m) + 60, 0, 2);
		else
			complete_ip4(m);
		reason = vxlan_parse(m, &info);
		if (reason != cases[i].reason || info.is_vxlan != cases[i].vxlan)
			fail_msg("%s over IPv%d: %d", cases[i].what, cases[i].v6 ? 6 : 4, reason);
	}
}

static void ip_checksum(void **state)
{
	struct vxlan_info info;
	struct packet p;
	struct rte_mbuf *m = encapsulated(&p, false, 1, 7, 0);

	(void)state;
	bytes_of(m)[22]--; /* TTL */
	assert_int_equal(vxlan_parse(m, &info), DROP_BAD_CHECKSUM);
	m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	assert_int_equal(vxlan_parse(m, &info), DROP_NONE);
}

/* IPv4 options in front of UDP, and padding behind it. */
static void options_and_padding(void **state)
{
	struct packet p, q;
	struct vxlan_info info;
	struct rte_mbuf *m = encapsulated(&p, false, 5, 7, 0), *n;
	uint8_t longer[INNER + VXLAN_OVERHEAD_V4 + 4 + 6] = {0};

	(void)state;
	memcpy(longer, bytes_of(m), 34);
	memset(longer + 34, 1, 4); /* no operation */
	memcpy(longer + 38, bytes_of(m) + 34, m->pkt_len - 34);
	longer[14] = 0x46;
	longer[17] = (uint8_t)(longer[17] + 4);
	n = packet(&q, longer, sizeof(longer));
	complete_ip4(n);
	assert_int_equal(vxlan_parse(n, &info), DROP_NONE);
	assert_true(info.is_vxlan);
	assert_int_equal(info.vni, 5);
	assert_int_equal(info.len, VXLAN_OVERHEAD_V4 + 4);
	assert_int_equal(info.end, sizeof(longer) - 6);
}

/* RFC 4038 4.2: ::ffff:192.0.2.1 in an IPv6 header is not 192.0.2.1. */
static void mapped_addresses(void **state)
{
	static const unsigned int at[] = {22, 38};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(at); i++) {
		struct vxlan_info info;
		struct packet p;
		struct rte_mbuf *m = encapsulated(&p, true, 1, 7, 0);
		struct ip_addr mapped = ip_addr_from_v4(RTE_BE32(0xc0000201));

		memcpy(bytes_of(m) + at[i], &mapped, 16);
		memset(bytes_of(m) + 60, 0, 2);
		assert_int_equal(vxlan_parse(m, &info), DROP_MALFORMED);
	}
}

/* Every length and a great many random headers: no read beyond the frame (under ASan: the buffer ends with it). */
static void hostile(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		bool v6 = i & 1;
		struct vxlan_info info;
		struct packet p;
		struct rte_mbuf *m = encapsulated(&p, v6, 1, 7, 0);
		uint16_t len = (uint16_t)(i % (m->pkt_len + 1u));
		uint8_t *copy = malloc(len + 1u);

		memcpy(copy, bytes_of(m), len);
		for (unsigned int n = (unsigned int)rand() % 4; n > 0 && len > 14; n--)
			copy[14 + (unsigned int)rand() % (len - 14u)] = (uint8_t)rand();
		m->buf_addr = copy;
		m->buf_len = len;
		m->data_off = 0;
		m->data_len = len;
		m->pkt_len = len;
		m->ol_flags =
			rand() % 2 ? RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0;
		if (vxlan_parse(m, &info) == DROP_NONE && info.is_vxlan) {
			assert_in_range(info.end, info.len, len);
			assert_in_range(info.len, VXLAN_OVERHEAD_V4, len);
		}
		free(copy);
	}
}

/* --- ECN --- */

enum { NOT_ECT, ECT1, ECT0, CE };

static void inner_frame(uint8_t *f, bool v6, uint8_t ecn)
{
	rte_be16_t check;

	memset(f, 0, INNER);
	f[12] = v6 ? 0x86 : 0x08;
	f[13] = v6 ? 0xdd : 0x00;
	if (v6) {
		f[14] = 0x6a; /* with a traffic class and a flow label around it */
		f[15] = (uint8_t)(0x80 | ecn << 4 | 0x05);
		return;
	}
	f[14] = 0x45;
	f[15] = (uint8_t)(0xb8 | ecn);
	f[22] = 64;
	check = checksum_finish(checksum_add(0, f + 14, 20));
	memcpy(f + 24, &check, sizeof(check));
}

/* RFC 6040 4.2, figure 4: all sixteen, both families. */
static void decapsulation(void **state)
{
#define LOST 0xff
	static const uint8_t expected[4][4] = {
		/* outer:    Not-ECT  ECT(1)   ECT(0)   CE */
		[NOT_ECT] = {NOT_ECT, NOT_ECT, NOT_ECT, LOST},
		[ECT1] = {ECT1, ECT1, ECT1, CE},
		[ECT0] = {ECT0, ECT1, ECT0, CE},
		[CE] = {CE, CE, CE, CE},
	};

	(void)state;
	for (unsigned int i = 0; i < 32; i++) {
		bool v6 = i & 16;
		uint8_t inner = i & 3, outer = i >> 2 & 3, f[INNER], before[INNER],
			want = expected[inner][outer];
		enum drop_reason reason;

		inner_frame(f, v6, inner);
		memcpy(before, f, sizeof(f));
		reason = vxlan_ecn_in(f, sizeof(f), outer);
		if (want == LOST) {
			assert_int_equal(reason, DROP_ECN);
			continue;
		}
		assert_int_equal(reason, DROP_NONE);
		assert_int_equal(vxlan_ecn_of(f, sizeof(f)), want);
		if (!v6)
			assert_int_equal(checksum_fold(checksum_add(0, f + 14, 20)), 0xffff);
		/* Nothing else has changed. */
		inner_frame(before, v6, want);
		assert_memory_equal(f, before, 24);
		assert_memory_equal(f + 26, before + 26, INNER - 26);
	}
}

/* What is no IP has no ECN and is left alone; nor is what ends early. */
static void not_ip(void **state)
{
	uint8_t f[INNER], before[INNER];

	(void)state;
	fill(f, sizeof(f));
	f[12] = 0x08;
	f[13] = 0x06;
	memcpy(before, f, sizeof(f));
	assert_int_equal(vxlan_ecn_of(f, sizeof(f)), 0);
	assert_int_equal(vxlan_ecn_in(f, sizeof(f), CE), DROP_NONE);
	assert_memory_equal(f, before, sizeof(f));
	inner_frame(f, false, ECT0);
	assert_int_equal(vxlan_ecn_of(f, 15), 0);
	memcpy(before, f, sizeof(f));
	assert_int_equal(vxlan_ecn_in(f, 33, CE), DROP_NONE);
	assert_memory_equal(f, before, sizeof(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_bytes),
		cmocka_unit_test(ipv6_bytes),
		cmocka_unit_test(source_port),
		cmocka_unit_test(no_headroom),
		cmocka_unit_test(what_is_pushed_is_parsed),
		cmocka_unit_test(flags_and_reserved),
		cmocka_unit_test(udp_checksum),
		cmocka_unit_test(wrong_headers),
		cmocka_unit_test(ip_checksum),
		cmocka_unit_test(options_and_padding),
		cmocka_unit_test(mapped_addresses),
		cmocka_unit_test(hostile),
		cmocka_unit_test(decapsulation),
		cmocka_unit_test(not_ip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
