/* SPDX-License-Identifier: Apache-2.0 */
/* Translated flows in pieces: fragments in every order, both ways (RFC 4787 REQ-14), and frames that a device is to cut or to complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "outside.h"
#include "port/port.h"
#include "port/vnet_hdr.h"
#include "session/session.h"

#define ALL_CAPS (PORT_CAP_MULTI_SEG | PORT_CAP_CSUM | PORT_CAP_TSO4 | PORT_CAP_TSO6 | PORT_CAP_USO)
#define ICMP_OF(v6) ((v6) ? IPPROTO_ICMPV6 : IPPROTO_ICMP)
#define PIECES 3
#define CUT 200 /* bytes of IP payload in each but the last */
#define WHOLE_PAYLOAD 500

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	port_by_name(EXT)->caps = 0;
	graph_reset();
	outside_reset();
	return 0;
}

/* The packets of a flow of that protocol where they are sent and where they arrive. `out`: its first direction. */
struct leg {
	const char *from, *to;
	struct frame before, after;
	uint8_t id; /* of its fragments, IPv6 */
};

static void make_leg(
	struct leg *l, bool v6, uint8_t proto, bool out, uint16_t ip_id, uint16_t payload)
{
	const char *a = v6 ? "fd00:1:0:1::10" : "10.0.1.10", *server = v6 ? SERVER6 : SERVER;
	struct frame_spec s = {.proto = proto,
		.payload = payload,
		.ip_id = ip_id,
		.tcp_flags = out ? 0x02 : 0x12,
		.seq = 1000,
		.ack = out ? 0 : 1001,
		.icmp_type = v6    ? (out ? 128 : 129)
			     : out ? 8
				   : 0};

	l->id = (uint8_t)ip_id;
	l->from = out ? "a" : EXT;
	l->to = out ? EXT : "a";
	s.smac = out ? MAC_A : HOP_MAC;
	s.dmac = out ? GW : EXT_MAC;
	s.src = out ? a : server;
	s.dst = out ? server : v6 ? SNAT6 : SNAT;
	s.sport = s.icmp_id = out ? 700 : 8;
	s.dport = out ? 8 : 1700;
	if (!out)
		s.icmp_id = 1700;
	frame_build(&l->before, &s);
	s.smac = out ? EXT_MAC : GW;
	s.dmac = out ? HOP_MAC : MAC_A;
	s.src = out ? v6 ? SNAT6 : SNAT : server;
	s.dst = out ? server : a;
	s.sport = out ? 1700 : 8;
	s.dport = out ? 8 : 700;
	s.icmp_id = out ? 1700 : 700;
	s.ttl = 63;
	frame_build(&l->after, &s);
}

/* The piece number `n` of a whole packet. */
static void cut(struct frame *f, const struct frame *whole, unsigned int n, uint8_t id)
{
	bool v6 = whole->bytes[14] >> 4 == 6, more = n < PIECES - 1;
	uint16_t header = v6 ? 54 : 34, at = (uint16_t)(n * CUT), len;
	uint8_t *p;

	len = more ? CUT : (uint16_t)(whole->len - header - at);
	memcpy(f->bytes, whole->bytes, header);
	p = f->bytes + header;
	if (v6) {
		memcpy(p,
			(uint8_t[]){whole->bytes[20], 0, (uint8_t)(at >> 8), (uint8_t)(at | more),
				0, 0, 0, id},
			8);
		p += 8;
		f->bytes[20] = IPPROTO_FRAGMENT;
		f->bytes[18] = (uint8_t)((len + 8) >> 8);
		f->bytes[19] = (uint8_t)(len + 8);
	} else {
		f->bytes[16] = (uint8_t)((len + 20) >> 8);
		f->bytes[17] = (uint8_t)(len + 20);
		f->bytes[20] = (uint8_t)((more ? 0x20 : 0) | at / 8 >> 8);
		f->bytes[21] = (uint8_t)(at / 8);
		frame_fix_ipv4(f);
	}
	memcpy(p, whole->bytes + header + at, len);
	f->len = (uint16_t)(p - f->bytes + len);
}

/* Each piece once, as if the whole had been translated and then cut. */
static void expect_pieces(const struct leg *l)
{
	bool seen[PIECES] = {false};
	struct frame want;

	for (unsigned int i = 0; i < PIECES; i++) {
		uint16_t len;
		const uint8_t *got = graph_sent(l->to, &len);
		unsigned int n;

		if (got == NULL)
			fail_msg("%u pieces; dropped:%s", i, graph_drop_names());
		for (n = 0; n < PIECES; n++) {
			cut(&want, &l->after, n, l->id);
			if (len == want.len && memcmp(got, want.bytes, len) == 0)
				break;
		}
		if (n == PIECES)
			fail_msg("a piece is wrong");
		assert_false(seen[n]);
		seen[n] = true;
	}
	assert_int_equal(graph_unfetched(), 0);
	assert_int_equal(graph_dropped_any(), 0);
}

static void test_any_order(void **state)
{
	static const uint8_t orders[6][PIECES] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	uint16_t ip_id = 1;
	struct frame f;
	struct leg l;

	(void)state;
	for (int variant = 0; variant < 12; variant++) {
		bool v6 = variant & 1, out = !(variant & 2);
		uint8_t proto = variant < 4 ? IPPROTO_UDP : variant < 8 ? ICMP_OF(v6) : IPPROTO_GRE;

		if (!out) { /* it has begun */
			make_leg(&l, v6, proto, true, 0, 5);
			graph_expect_pass(l.from, &l.before, l.to, &l.after);
		}
		for (size_t o = 0; o < 6; o++) {
			make_leg(&l, v6, proto, out, ip_id++, WHOLE_PAYLOAD);
			for (unsigned int i = 0; i < PIECES; i++) {
				cut(&f, &l.before, orders[o][i], l.id);
				graph_send(l.from, f.bytes, f.len);
				graph_run();
			}
			expect_pieces(&l);
		}
	}
	assert_int_equal(session_used(), 6);
}

/* Overlapping ones (RFC 1858, 3128, 5722) end a translated datagram as any other. */
static void test_overlap(void **state)
{
	struct frame f;
	struct leg l;

	(void)state;
	make_leg(&l, false, IPPROTO_UDP, true, 9, WHOLE_PAYLOAD);
	cut(&f, &l.before, 0, l.id);
	graph_send("a", f.bytes, f.len);
	graph_run();
	assert_non_null(graph_sent(EXT, NULL));
	f.bytes[21] = 1; /* begins at byte 8 */
	frame_fix_ipv4(&f);
	graph_expect_drop("a", &f, DROP_FRAGMENT);
	cut(&f, &l.before, 1, l.id);
	graph_expect_drop("a", &f, DROP_FRAGMENT);
}

/* ---- Partial checksums and GSO ---- */

#define MSS 1200
#define PAYLOAD 5000

static void open_tcp(bool v6)
{
	struct leg l;

	for (int out = 1; out >= 0; out--) {
		make_leg(&l, v6, IPPROTO_TCP, out, 0, 0);
		graph_expect_pass(l.from, &l.before, l.to, &l.after);
	}
}

static void make_data(struct leg *l, bool v6, uint8_t proto, bool out, uint16_t payload)
{
	struct frame *both[] = {&l->before, &l->after};

	make_leg(l, v6, proto, out, 40, payload);
	for (int i = 0; proto == IPPROTO_TCP && i < 2; i++) {
		uint8_t *tcp = both[i]->bytes + (v6 ? 54 : 34);

		memcpy(tcp + 4,
			out ? "\0\0\3\xe9\0\0\3\xe9\x50\x18" : "\0\0\3\xe9\0\0\3\xe9\x50\x18", 10);
		frame_finish(both[i]);
	}
}

static void send_partial(const struct leg *l, bool v6, uint8_t proto, uint16_t gso_size)
{
	struct frame f = l->before;
	struct vnet_hdr hdr = {.flags = VNET_F_NEEDS_CSUM,
		.gso_size = gso_size,
		.csum_start = v6 ? 54 : 34,
		.csum_offset = proto == IPPROTO_TCP ? 16 : 6};
	struct rte_mbuf *m;

	if (gso_size != 0)
		hdr.gso_type = proto == IPPROTO_UDP ? VNET_GSO_UDP_L4
			       : v6                 ? VNET_GSO_TCPV6
						    : VNET_GSO_TCPV4;
	frame_make_partial(&f);
	m = graph_mbuf(f.bytes, f.len);
	assert_true(vnet_hdr_to_mbuf(&hdr, m));
	graph_send_mbuf(l->from, m);
	graph_run();
}

/* Completed where the way out can not: the checksum of the translated packet, from scratch. */
static void test_partial_completed(void **state)
{
	struct leg l;

	(void)state;
	for (int i = 0; i < 8; i++) {
		bool v6 = i & 1, out = i < 4;
		uint8_t proto = i & 2 ? IPPROTO_TCP : IPPROTO_UDP;

		if (proto == IPPROTO_TCP && out)
			open_tcp(v6);
		make_data(&l, v6, proto, out, 77);
		send_partial(&l, v6, proto, 0);
		graph_expect_sent(l.to, &l.after);
	}
}

/* Left to who can: the sum of the new pseudo header. */
static void test_partial_kept(void **state)
{
	struct leg l;

	(void)state;
	port_by_name(EXT)->caps = ALL_CAPS;
	for (int i = 0; i < 4; i++) {
		bool v6 = i & 1;
		uint8_t proto = i & 2 ? IPPROTO_TCP : IPPROTO_UDP;
		uint16_t len;
		const uint8_t *got;

		if (proto == IPPROTO_TCP)
			open_tcp(v6);
		make_data(&l, v6, proto, true, 77);
		send_partial(&l, v6, proto, 0);
		frame_make_partial(&l.after);
		got = graph_sent(EXT, &len);
		assert_non_null(got);
		assert_int_equal(len, l.after.len);
		assert_memory_equal(got, l.after.bytes, len);
	}
}

/* In front of who can not cut: segments with right checksums that say the same. */
static void test_gso_cut(void **state)
{
	struct leg l;

	(void)state;
	for (int i = 0; i < 8; i++) {
		bool v6 = i & 1, out = i < 4;
		uint8_t proto = i & 2 ? IPPROTO_TCP : IPPROTO_UDP;
		uint16_t header = (uint16_t)((v6 ? 54 : 34) + (proto == IPPROTO_TCP ? 20 : 8)), len;
		unsigned int n = 0, at = 0;
		const uint8_t *got;

		if (proto == IPPROTO_TCP && out)
			open_tcp(v6);
		make_data(&l, v6, proto, out, PAYLOAD);
		send_partial(&l, v6, proto, MSS);
		for (; (got = graph_sent(l.to, &len)) != NULL; n++) {
			assert_null(frame_check(got, len));
			assert_memory_equal(got, l.after.bytes, 12);
			assert_memory_equal(
				got + (v6 ? 22 : 26), l.after.bytes + (v6 ? 22 : 26), v6 ? 36 : 12);
			assert_memory_equal(
				got + header, l.after.bytes + header + at, len - header);
			at += len - header;
		}
		assert_int_equal(n, (PAYLOAD + MSS - 1) / MSS);
		assert_int_equal(at, PAYLOAD);
	}
}

static void test_gso_whole(void **state)
{
	struct leg l;

	(void)state;
	port_by_name(EXT)->caps = ALL_CAPS;
	for (int i = 0; i < 4; i++) {
		bool v6 = i & 1;
		uint8_t proto = i & 2 ? IPPROTO_TCP : IPPROTO_UDP;
		struct rte_mbuf *m;

		if (proto == IPPROTO_TCP)
			open_tcp(v6);
		make_data(&l, v6, proto, true, PAYLOAD);
		send_partial(&l, v6, proto, MSS);
		frame_make_partial(&l.after);
		m = graph_sent_mbuf(EXT);
		assert_non_null(m);
		assert_int_equal(m->tso_segsz, MSS);
		for (uint32_t at = 0; m != NULL; at += m->data_len, m = m->next)
			assert_memory_equal(
				rte_pktmbuf_mtod(m, uint8_t *), l.after.bytes + at, m->data_len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partial_completed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partial_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gso_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gso_whole, setup, teardown),
	};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("translate_pieces", tests, NULL, NULL);
}
