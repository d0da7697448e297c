/* SPDX-License-Identifier: Apache-2.0 */
/* Packets between the families: RFC 7915 (headers, ICMP), RFC 6146 (sessions), RFC 6052 (addresses). Every byte is compared with a
 * packet made from scratch, but the identification of IPv4 packets that are no fragments.
 */
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

#define A6 "fd00:1:0:1::10"
#define ROUTER "192.0.2.77"
#define ROUTER_IN_SIX "64:ff9b::192.0.2.77"
#define TOS 0xb8

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

#define OUT(...) FRAME(FROM(MAC_A, A6), TO(GW, SERVER_IN_SIX), __VA_ARGS__)
#define OUT_THERE(...) FRAME(FROM(EXT_MAC, SNAT), TO(HOP_MAC, SERVER), .ttl = 63, __VA_ARGS__)
#define BACK(...) FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, SNAT), __VA_ARGS__)
#define BACK_HERE(...) FRAME(FROM(GW, SERVER_IN_SIX), TO(MAC_A, A6), .ttl = 63, __VA_ARGS__)

/* As graph_expect_sent(), but the identification, which is made here; `df`: the flag must be there, or must not. */
static void expect_v4(const char *port, const struct frame *want, bool df)
{
	struct frame f = *want;
	uint16_t len;
	const uint8_t *got = graph_sent(port, &len);

	if (got == NULL)
		fail_msg("dropped:%s", graph_drop_names());
	memcpy(f.bytes + 18, got + 18, 2);
	f.bytes[20] = df ? 0x40 : 0;
	frame_fix_ipv4(&f);
	assert_int_equal(len, f.len);
	assert_memory_equal(got, f.bytes, len);
	assert_null(frame_check(got, len));
	assert_int_equal(graph_unfetched(), 0);
}

static void out(const struct frame *f, const struct frame *want, bool df)
{
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect_v4(EXT, want, df);
}

static void test_udp(void **state)
{
	(void)state;
	for (int n = 0; n < 2; n++) {
		out(OUT(.sport = 1000, .dport = 53, .payload = 33, .tos = TOS),
			OUT_THERE(.sport = 2000, .dport = 53, .payload = 33, .tos = TOS), false);
		graph_expect_pass(EXT, BACK(.sport = 53, .dport = 2000, .payload = 77, .tos = TOS),
			"a", BACK_HERE(.sport = 53, .dport = 1000, .payload = 77, .tos = TOS));
	}
	assert_int_equal(session_used(), 1);
}

/* RFC 7915 section 5.1: DF from where IPv6 would not fragment either. */
static void test_dont_fragment(void **state)
{
	(void)state;
	out(OUT(.sport = 1000, .dport = 53, .payload = 1232),
		OUT_THERE(.sport = 2000, .dport = 53, .payload = 1232), false);
	out(OUT(.sport = 1000, .dport = 53, .payload = 1233),
		OUT_THERE(.sport = 2000, .dport = 53, .payload = 1233), true);
}

static void test_tcp(void **state)
{
	(void)state;
	out(OUT(.proto = IPPROTO_TCP, .sport = 1000, .dport = 80, .seq = 99, .mss = 1440),
		/* 1450 here: what comes back is 20 bytes longer than it was. */
		OUT_THERE(.proto = IPPROTO_TCP, .sport = 2000, .dport = 80, .seq = 99, .mss = 1390),
		false);
	graph_expect_pass(EXT,
		BACK(.proto = IPPROTO_TCP, .sport = 80, .dport = 2000, .seq = 7, .ack = 100,
			.tcp_flags = 0x12, .mss = 1460),
		"a",
		BACK_HERE(.proto = IPPROTO_TCP, .sport = 80, .dport = 1000, .seq = 7, .ack = 100,
			.tcp_flags = 0x12, .mss = 1390));
	out(OUT(.proto = IPPROTO_TCP, .sport = 1000, .dport = 80, .seq = 100, .ack = 8,
		    .tcp_flags = 0x10, .payload = 555),
		OUT_THERE(.proto = IPPROTO_TCP, .sport = 2000, .dport = 80, .seq = 100, .ack = 8,
			.tcp_flags = 0x10, .payload = 555),
		false);
}

static void test_ping(void **state)
{
	(void)state;
	for (int n = 0; n < 2; n++) {
		out(OUT(.proto = IPPROTO_ICMPV6, .icmp_type = 128, .icmp_id = 7, .payload = 55),
			OUT_THERE(.proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 1007,
				.payload = 55),
			false);
		graph_expect_pass(EXT,
			BACK(.proto = IPPROTO_ICMP, .icmp_type = 0, .icmp_id = 1007, .payload = 55),
			"a",
			BACK_HERE(.proto = IPPROTO_ICMPV6, .icmp_type = 129, .icmp_id = 7,
				.payload = 55));
	}
	assert_int_equal(session_used(), 1);
	outside_bump(); /* asked again it is the same */
	out(OUT(.proto = IPPROTO_ICMPV6, .icmp_type = 128, .icmp_id = 7, .payload = 55),
		OUT_THERE(.proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 1007, .payload = 55),
		false);
	assert_int_equal(session_used(), 1);
}

/* From an IPv4 client to an IPv6 machine. */
static void test_in(void **state)
{
	(void)state;
	for (int n = 0; n < 2; n++) {
		graph_expect_pass(EXT,
			FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, SIX), .sport = 9, .dport = 80,
				.payload = 3),
			"a",
			FRAME(FROM(GW, SERVER_IN_SIX), TO(MAC_A, A6), .sport = 9, .dport = 80,
				.payload = 3, .ttl = 63));
		out(FRAME(FROM(MAC_A, A6), TO(GW, SERVER_IN_SIX), .sport = 80, .dport = 9,
			    .payload = 4),
			FRAME(FROM(EXT_MAC, SIX), TO(HOP_MAC, SERVER), .sport = 80, .dport = 9,
				.payload = 4, .ttl = 63),
			false);
		graph_expect_pass(EXT,
			FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, SIX), .proto = IPPROTO_ICMP,
				.icmp_type = 8, .icmp_id = 5, .payload = 3),
			"a",
			FRAME(FROM(GW, SERVER_IN_SIX), TO(MAC_A, A6), .proto = IPPROTO_ICMPV6,
				.icmp_type = 128, .icmp_id = 5, .payload = 3, .ttl = 63));
	}
	assert_int_equal(session_used(), 2);
}

/* RFC 7915 section 4.5: what IPv4 can do without, IPv6 can not. */
static void test_udp_without_checksum(void **state)
{
	struct frame f = *BACK(.sport = 53, .dport = 2000, .payload = 77);

	(void)state;
	out(OUT(.sport = 1000, .dport = 53), OUT_THERE(.sport = 2000, .dport = 53), false);
	memset(f.bytes + 40, 0, 2);
	graph_expect_pass(EXT, &f, "a", BACK_HERE(.sport = 53, .dport = 1000, .payload = 77));
	f.bytes[20] = 0x20; /* the first of several */
	frame_fix_ipv4(&f);
	f.bytes[17] = 20 + 80;
	f.len = 34 + 80;
	frame_fix_ipv4(&f);
	graph_expect_drop(EXT, &f, DROP_FRAGMENT);
}

/* IPv4 options and IPv6 extension headers end here; a route that is not at its end is not taken. */
static void test_options(void **state)
{
	static const uint8_t destination[7] = {0, 1, 4, 0, 0, 0, 0},
			     route[7] = {0, 2, 1, 0, 0, 0, 0};
	struct frame f, *back = &(struct frame){.len = 0};

	(void)state;
	frame_extended(
		&f, OUT(.sport = 1000, .dport = 53, .payload = 9), IPPROTO_DSTOPTS, destination);
	out(&f, OUT_THERE(.sport = 2000, .dport = 53, .payload = 9), false);
	frame_extended(&f, OUT(.sport = 1000, .dport = 53, .payload = 9), IPPROTO_ROUTING, route);
	graph_expect_drop("a", &f, DROP_UNSUPPORTED);
	*back = *BACK(.sport = 53, .dport = 2000, .payload = 9);
	memmove(back->bytes + 38, back->bytes + 34, back->len - 34u);
	for (int i = 0; i < 2; i++) {
		uint32_t sum = 0;

		memcpy(back->bytes + 34, i == 0 ? "\x94\x04\0\0" : "\x83\x03\x04\0", 4);
		back->bytes[14] = 0x46;
		back->bytes[17] = 24 + 17;
		back->len = 38 + 17;
		memset(back->bytes + 24, 0, 2);
		for (int at = 14; at < 38; at += 2)
			sum += (uint32_t)back->bytes[at] << 8 | back->bytes[at + 1];
		sum = ~((sum & 0xffff) + (sum >> 16));
		back->bytes[24] = (uint8_t)(sum >> 8);
		back->bytes[25] = (uint8_t)sum;
		if (i == 0)
			graph_expect_pass(EXT, back, "a",
				BACK_HERE(.sport = 53, .dport = 1000, .payload = 9));
		else
			graph_expect_drop(EXT, back, DROP_UNSUPPORTED);
	}
}

/* Too long for the way in, with its new header: the sender is told in its own family what would fit. */
static void test_mtu(void **state)
{
	const struct frame *long_one = BACK(.sport = 53, .dport = 2000, .payload = 1403);
	const uint8_t *got;

	(void)state;
	out(OUT(.sport = 1000, .dport = 53), OUT_THERE(.sport = 2000, .dport = 53), false);
	graph_expect_pass(EXT, BACK(.sport = 53, .dport = 2000, .payload = 1402), "a",
		BACK_HERE(.sport = 53, .dport = 1000, .payload = 1402));
	graph_send(EXT, long_one->bytes, long_one->len);
	graph_run();
	assert_int_equal(graph_dropped(DROP_TOO_BIG), 1);
	got = graph_sent(EXT, NULL);
	assert_non_null(got);
	assert_memory_equal(got + 34, "\3\4", 2);
	assert_int_equal(got[34 + 6] << 8 | got[34 + 7], 1430);
	assert_int_equal(graph_unfetched(), 0);
}

/* ---- Fragments ---- */

static void cut4(struct frame *f, const struct frame *whole, uint16_t at, uint16_t len, bool more)
{
	*f = *whole;
	memmove(f->bytes + 34, whole->bytes + 34 + at, len);
	f->len = (uint16_t)(34 + len);
	f->bytes[16] = (uint8_t)((20 + len) >> 8);
	f->bytes[17] = (uint8_t)(20 + len);
	f->bytes[18] = 0x12;
	f->bytes[19] = 0x34;
	f->bytes[20] = (uint8_t)((more ? 0x20 : 0) | at / 8 >> 8);
	f->bytes[21] = (uint8_t)(at / 8);
	frame_fix_ipv4(f);
}

static void cut6(struct frame *f, const struct frame *whole, uint16_t at, uint16_t len, bool more,
	uint8_t id)
{
	const uint8_t header[8] = {
		whole->bytes[20], 0, (uint8_t)(at >> 8), (uint8_t)(at | more), id, 0, 0x12, 0x34};

	*f = *whole;
	memcpy(f->bytes + 54, header, 8);
	memmove(f->bytes + 62, whole->bytes + 54 + at, len);
	f->bytes[18] = (uint8_t)((len + 8) >> 8);
	f->bytes[19] = (uint8_t)(len + 8);
	f->bytes[20] = IPPROTO_FRAGMENT;
	f->len = (uint16_t)(62 + len);
}

static void test_fragments(void **state)
{
	static const struct {
		uint16_t at, len;
		bool more;
	} pieces[] = {{0, 200, true}, {200, 104, true}, {304, 64, false}};
	const struct frame *six = OUT(.sport = 1000, .dport = 53, .payload = 360),
			   *back = BACK(.sport = 53, .dport = 2000, .payload = 360);
	const struct frame *four = OUT_THERE(.sport = 2000, .dport = 53, .payload = 360),
			   *here = BACK_HERE(.sport = 53, .dport = 1000, .payload = 360);
	struct frame f, want;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		cut6(&f, six, pieces[i].at, pieces[i].len, pieces[i].more, 0x77);
		cut4(&want, four, pieces[i].at, pieces[i].len, pieces[i].more);
		graph_expect_pass("a", &f, EXT, &want);
	}
	for (size_t i = 0; i < 3; i++) {
		cut4(&f, back, pieces[i].at, pieces[i].len, pieces[i].more);
		cut6(&want, here, pieces[i].at, pieces[i].len, pieces[i].more, 0);
		graph_expect_pass(EXT, &f, "a", &want);
	}
	/* The last first: it waits. */
	cut4(&f, back, 304, 64, false);
	f.bytes[18] = 0x13;
	frame_fix_ipv4(&f);
	graph_send(EXT, f.bytes, f.len);
	graph_run();
	assert_int_equal(graph_unfetched(), 0);
	cut4(&f, back, 0, 304, true);
	f.bytes[18] = 0x13;
	frame_fix_ipv4(&f);
	graph_send(EXT, f.bytes, f.len);
	graph_run();
	assert_int_equal(graph_unfetched(), 2);
	graph_discard_sent("a");
	assert_int_equal(graph_dropped_any(), 0);
	/* ICMP in pieces: its checksum covers what is not there. */
	six = OUT(.proto = IPPROTO_ICMPV6, .icmp_type = 128, .icmp_id = 7, .payload = 300);
	cut6(&f, six, 0, 200, true, 1);
	graph_expect_drop("a", &f, DROP_FRAGMENT);
}

/* ---- What devices are to do ---- */

static void send_partial(
	const struct frame *whole, const char *from, uint8_t proto, uint16_t gso_size)
{
	struct frame f = *whole;
	bool v6 = f.bytes[14] >> 4 == 6;
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
	graph_send_mbuf(from, m);
	graph_run();
}

static void test_partial(void **state)
{
	(void)state;
	send_partial(OUT(.sport = 1000, .dport = 53, .payload = 99), "a", IPPROTO_UDP, 0);
	expect_v4(EXT, OUT_THERE(.sport = 2000, .dport = 53, .payload = 99), false);
	send_partial(BACK(.sport = 53, .dport = 2000, .payload = 99), EXT, IPPROTO_UDP, 0);
	graph_expect_sent("a", BACK_HERE(.sport = 53, .dport = 1000, .payload = 99));
}

static void test_gso(void **state)
{
	const uint8_t *got;
	uint16_t len;
	uint32_t total = 0;

	(void)state;
	out(OUT(.proto = IPPROTO_TCP, .sport = 1000, .dport = 80, .seq = 99),
		OUT_THERE(.proto = IPPROTO_TCP, .sport = 2000, .dport = 80, .seq = 99), false);
	graph_expect_pass(EXT,
		BACK(.proto = IPPROTO_TCP, .sport = 80, .dport = 2000, .seq = 7, .ack = 100,
			.tcp_flags = 0x12),
		"a",
		BACK_HERE(.proto = IPPROTO_TCP, .sport = 80, .dport = 1000, .seq = 7, .ack = 100,
			.tcp_flags = 0x12));
	send_partial(OUT(.proto = IPPROTO_TCP, .sport = 1000, .dport = 80, .seq = 100, .ack = 8,
			     .tcp_flags = 0x10, .payload = 4000),
		"a", IPPROTO_TCP, 1200);
	for (; (got = graph_sent(EXT, &len)) != NULL; total += len - 54u) {
		assert_int_equal(got[12] << 8 | got[13], 0x0800);
		assert_null(frame_check(got, len));
	}
	assert_int_equal(total, 4000);
	send_partial(BACK(.proto = IPPROTO_TCP, .sport = 80, .dport = 2000, .seq = 8, .ack = 100,
			     .tcp_flags = 0x10, .payload = 4000),
		EXT, IPPROTO_TCP, 1200);
	for (total = 0; (got = graph_sent("a", &len)) != NULL; total += len - 74u) {
		assert_int_equal(got[12] << 8 | got[13], 0x86dd);
		assert_null(frame_check(got, len));
	}
	assert_int_equal(total, 4000);
}

/* ---- ICMP errors ---- */

/* With these bytes 4-7 behind type, code and checksum. */
static const struct frame *with_word(const struct frame *error, uint32_t word)
{
	static struct frame frames[8];
	static unsigned int n;
	struct frame *f = &frames[n++ % 8];
	uint8_t *at;

	*f = *error;
	at = f->bytes + (f->bytes[14] >> 4 == 6 ? 54 : 34) + 4;
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(word >> 8 * (3 - i));
	frame_finish(f);
	return f;
}

struct mapped {
	uint8_t type4, code4, type6, code6;
	uint32_t word4, word6;
};

/* RFC 7915 section 4.2, from a router on the way. */
static void test_errors_in(void **state)
{
	static const struct mapped errors[] = {
		{3, 0, 1, 0, 0, 0},
		{3, 1, 1, 0, 0, 0},
		{3, 2, 4, 1, 0, 6},
		{3, 3, 1, 4, 0, 0},
		{3, 4, 2, 0, 1300, 1320},
		{3, 4, 2, 0, 1000, 1280},
		{3, 9, 1, 1, 0, 0},
		{3, 13, 1, 1, 0, 0},
		{11, 0, 3, 0, 0, 0},
		{11, 1, 3, 1, 0, 0},
		{12, 0, 4, 0, 8u << 24, 7},
		{12, 0, 4, 0, 9u << 24, 6},
	};
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};

	(void)state;
	for (size_t p = 0; p < 3; p++) {
		bool ping = protos[p] == IPPROTO_ICMP;
		const struct frame *there = OUT_THERE(.proto = protos[p], .icmp_type = 8,
			.icmp_id = 2000, .sport = 2000, .dport = 80, .payload = 60);
		const struct frame *mine = FRAME(FROM(MAC_A, A6), TO(GW, SERVER_IN_SIX),
			.proto = ping ? IPPROTO_ICMPV6 : protos[p], .icmp_type = 128,
			.icmp_id = 1000, .sport = 1000, .dport = 80, .payload = 60, .ttl = 63);

		out(OUT(.proto = ping ? IPPROTO_ICMPV6 : protos[p], .icmp_type = 128,
			    .icmp_id = 1000, .sport = 1000, .dport = 80, .payload = 60),
			there, false);
		for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			const struct mapped *e = &errors[i];

			graph_expect_pass(EXT,
				with_word(
					ICMP_ERROR(there, FROM(HOP_MAC, ROUTER), TO(EXT_MAC, SNAT),
						.icmp_type = e->type4, .icmp_code = e->code4),
					e->word4),
				"a",
				with_word(frame_icmp_error(&(struct frame){.len = 0},
						  &(struct frame_spec){FROM(GW, ROUTER_IN_SIX),
							  TO(MAC_A, A6), .ttl = 63,
							  .icmp_type = e->type6,
							  .icmp_code = e->code6},
						  mine, 84),
					e->word6));
		}
	}
	/* What has no like there. */
	graph_expect_drop(EXT,
		ICMP_ERROR(OUT_THERE(.sport = 2000, .dport = 80, .payload = 60),
			FROM(HOP_MAC, ROUTER), TO(EXT_MAC, SNAT), .icmp_type = 4),
		DROP_UNSUPPORTED);
}

/* RFC 7915 section 5.2, from the machine about what an IPv4 client sent it. */
static void test_errors_out(void **state)
{
	static const struct mapped errors[] = {
		{3, 1, 1, 0, 0, 0},
		{3, 10, 1, 1, 0, 0},
		{3, 1, 1, 3, 0, 0},
		{3, 3, 1, 4, 0, 0},
		{3, 4, 2, 0, 1280, 1300},
		{11, 0, 3, 0, 0, 0},
		{12, 0, 4, 0, 9u << 24, 6},
		{3, 2, 4, 1, 0, 6},
	};
	const struct frame *in = FRAME(
		FROM(HOP_MAC, SERVER), TO(EXT_MAC, SIX), .sport = 9, .dport = 80, .payload = 60);
	const struct frame *mine = FRAME(FROM(GW, SERVER_IN_SIX), TO(MAC_A, A6), .sport = 9,
		.dport = 80, .payload = 60, .ttl = 63);
	const struct frame *theirs = FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, SIX), .sport = 9,
		.dport = 80, .payload = 60, .ttl = 63);

	(void)state;
	graph_expect_pass(EXT, in, "a", mine);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const struct mapped *e = &errors[i];
		const struct frame *error = with_word(
			frame_icmp_error(&(struct frame){.len = 0},
				&(struct frame_spec){FROM(MAC_A, A6), TO(GW, SERVER_IN_SIX),
					.icmp_type = e->type6, .icmp_code = e->code6},
				mine, 84),
			e->word6);
		struct frame want, quoted = *theirs;
		uint16_t len;
		const uint8_t *got;

		graph_send("a", error->bytes, error->len);
		graph_run();
		got = graph_sent(EXT, &len);
		if (got == NULL)
			fail_msg("dropped:%s", graph_drop_names());
		memcpy(quoted.bytes + 18, got + 34 + 8 + 4, 2); /* the identification is made up */
		frame_fix_ipv4(&quoted);
		want = *with_word(ICMP_ERROR(&quoted, FROM(EXT_MAC, SIX), TO(HOP_MAC, SERVER),
					  .ttl = 63, .icmp_type = e->type4, .icmp_code = e->code4),
			e->word4);
		memcpy(want.bytes + 18, got + 18, 2);
		frame_fix_ipv4(&want);
		assert_int_equal(len, want.len);
		assert_memory_equal(got, want.bytes, len);
		assert_null(frame_check(got, len));
	}
}

/* RFC 4443 section 2.4 (c): no more than 1,280 bytes, however much was quoted. */
static void test_long_error(void **state)
{
	const struct frame *there = OUT_THERE(.sport = 2000, .dport = 80, .payload = 1300);
	const struct frame *error;
	uint16_t len;

	(void)state;
	out(OUT(.sport = 1000, .dport = 80, .payload = 1300), there, true);
	error = frame_icmp_error(&(struct frame){.len = 0},
		&(struct frame_spec){
			FROM(HOP_MAC, ROUTER), TO(EXT_MAC, SNAT), .icmp_type = 3, .icmp_code = 3},
		there, 1328);
	graph_send(EXT, error->bytes, error->len);
	graph_run();
	assert_non_null(graph_sent("a", &len));
	assert_int_equal(len, 14 + 1280);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_udp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dont_fragment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_udp_without_checksum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mtu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partial, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gso, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_error, setup, teardown),
	};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("translate_families", tests, NULL, NULL);
}
