/* SPDX-License-Identifier: Apache-2.0 */
/* NAT of ICMP: RFC 5508, requirement by requirement, for both mappings where they differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "nat_cloud.h"
#include "session/session.h"

#define PING(...) FROM_A(.proto = IPPROTO_ICMP, .icmp_type = 8, __VA_ARGS__)
#define PONG(...) FROM_OUTSIDE(.proto = IPPROTO_ICMP, .icmp_type = 0, __VA_ARGS__)
#define ERROR(quoted, ...) ICMP_ERROR(quoted, FROM(HOP_MAC, SERVER), TO(EXT_MAC, E50), __VA_ARGS__)

/* REQ-1: queries are translated by their id, and answers find back; by endpoint-independent mapping one id is one id to all. */
static void test_req1_queries(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct nat_seen s, t;

		NAT(.dependent = dependent);
		s = nat_through("a", PING(.icmp_id = 7), EXT);
		assert_string_equal(s.src, E50);
		assert_int_equal(s.icmp_type, 8);
		t = nat_through(EXT, PONG(.icmp_id = s.sport), "a");
		assert_string_equal(t.dst, A4);
		assert_int_equal(t.sport, 7);
		t = nat_through("a", PING(.dst = OTHER_SERVER, .icmp_id = 7), EXT);
		if (!dependent)
			assert_int_equal(t.sport, s.sport);
		assert_int_equal(nat_figure(E50, "icmp", "ports_used") >= 1, 1);
		nat_dropped(EXT, PONG(.src = "198.51.100.77", .icmp_id = s.sport), DROP_NO_SESSION);
		nat_pass(1000);
	}
}

/* REQ-2: the timer is 60 s at least. */
static void test_req2_timer(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct nat_seen s;

		NAT(.dependent = dependent);
		s = nat_through("a", PING(.icmp_id = 7), EXT);
		nat_pass(58);
		nat_through(EXT, PONG(.icmp_id = s.sport), "a");
		nat_pass(58);
		assert_int_equal(session_used(), 1);
		nat_pass(5);
		assert_int_equal(session_used(), 0);
	}
}

/* A query that somebody outside begins has no receiver. */
static void test_queries_from_outside(void **state)
{
	(void)state;
	NAT(.filtering = "endpoint_independent");
	nat_dropped(EXT, FROM_OUTSIDE(.proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 9),
		DROP_NAT_FILTERED);
}

/* What e50 has sent to SERVER for a's UDP port 5000, as a router on the way sees it. */
static uint16_t sent_outside(struct frame *f)
{
	uint16_t port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);

	*f = *FRAME(FROM(EXT_MAC, E50), TO(HOP_MAC, SERVER), .sport = port, .dport = 53, .ttl = 60,
		.payload = 40);
	return port;
}

/* REQ-3 a, REQ-4: an error from outside reaches the inside end with both headers and all checksums translated; a router's keeps its own
 * source. */
static void test_req4_errors_from_outside(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct frame sent;
		struct nat_seen s;

		NAT(.dependent = dependent);
		sent_outside(&sent);
		s = nat_through(EXT, ERROR(&sent, .src = "198.51.100.254", .icmp_type = 11), "a");
		assert_string_equal(s.src, "198.51.100.254");
		assert_string_equal(s.dst, A4);
		assert_int_equal(s.icmp_type, 11);
		/* The quoted packet is the one that a has sent. */
		assert_memory_equal(s.l4 + 8 + 12, "\x0a\x00\x01\x0a", 4);
		assert_int_equal(s.l4[8 + 20] << 8 | s.l4[8 + 21], 5000);
		assert_int_equal(s.l4[8 + 22] << 8 | s.l4[8 + 23], 53);
		nat_pass(1000);
	}
}

/* REQ-5: an error from inside, about a packet from outside, leaves from the outside address, its quote as the outside knows it. */
static void test_req5_errors_from_inside(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct frame received, sent;
		struct nat_seen s;
		uint16_t port;

		NAT(.dependent = dependent);
		port = sent_outside(&sent);
		assert_true(nat_lets_in(SERVER, 53, port));
		received = *FRAME(
			FROM(GW, SERVER), TO(MAC_A, A4), .sport = 53, .dport = 5000, .ttl = 60);
		s = nat_through("a",
			ICMP_ERROR(&received, FROM(MAC_A, A4), TO(GW, SERVER), .icmp_type = 3,
				.icmp_code = 3),
			EXT);
		assert_string_equal(s.src, E50);
		assert_memory_equal(s.l4 + 8 + 16, "\xcb\x00\x71\x32", 4); /* 203.0.113.50 */
		assert_int_equal(s.l4[8 + 22] << 8 | s.l4[8 + 23], port);
		nat_pass(1000);
	}
}

/* REQ-3: an error with a wrong checksum, or about a flow that nobody has, is dropped; neither hurts the flow. */
static void test_req3_bad_errors(void **state)
{
	struct frame sent, other, bad;
	uint16_t port;

	(void)state;
	NAT(.dependent = false);
	port = sent_outside(&sent);
	bad = *ERROR(&sent, .icmp_type = 3, .icmp_code = 1);
	bad.bytes[14 + 20 + 2] ^= 0x55;
	nat_dropped(EXT, &bad, DROP_BAD_CHECKSUM);
	other = *FRAME(
		FROM(EXT_MAC, E50), TO(HOP_MAC, SERVER), .sport = port, .dport = 99, .ttl = 60);
	nat_dropped(EXT, ERROR(&other, .icmp_type = 3, .icmp_code = 1), DROP_NO_SESSION);
	assert_true(nat_lets_in(SERVER, 53, port));
}

/* An error that quotes a protocol without ports of ours hurts nothing. */
static void test_errors_about_other_protocols(void **state)
{
	static const uint8_t protos[] = {4 /* IPIP */, 41, 47 /* GRE */, 50, 132, 255};
	struct frame sent, other;
	uint16_t port;

	(void)state;
	NAT(.dependent = false);
	port = sent_outside(&sent);
	for (unsigned int i = 0; i < RTE_DIM(protos); i++) {
		other = *FRAME(FROM(EXT_MAC, E50), TO(HOP_MAC, SERVER), .proto = protos[i],
			.payload = 40, .ttl = 60);
		nat_dropped(EXT, ERROR(&other, .icmp_type = 3, .icmp_code = 2), DROP_NO_SESSION);
	}
	assert_true(nat_lets_in(SERVER, 53, port));
}

/* Nor do they leave: what has no ports can not share an address. */
static void test_protocols_without_ports(void **state)
{
	(void)state;
	NAT(.dependent = false);
	nat_dropped("a", FROM_A(.proto = 47, .payload = 40), DROP_UNSUPPORTED);
	nat_dropped("a", FROM_A(.proto = 132, .payload = 40), DROP_UNSUPPORTED);
}

/* REQ-6, 7: errors of hairpinned flows: each end sees the other's outside address, in both headers. */
static void test_req7_hairpinned_errors(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct frame got;
		struct nat_seen s;
		uint16_t of_b;

		NAT(.dependent = dependent,
			.dnat = DNAT_ITEM("0", "e50", "17", "80", "80", A4, "8080"));
		of_b = nat_through("b", FROM_B(.dst = E50, .sport = 6000, .dport = 80), "a").sport;
		got = *FRAME(FROM(GW, E50), TO(MAC_A, A4), .sport = of_b, .dport = 8080, .ttl = 62);
		s = nat_through("a",
			ICMP_ERROR(
				&got, FROM(MAC_A, A4), TO(GW, E50), .icmp_type = 3, .icmp_code = 3),
			"b");
		assert_string_equal(s.src, E50);
		assert_string_equal(s.dst, B4);
		assert_memory_equal(s.l4 + 8 + 12, "\x0a\x00\x01\x0b", 4); /* b's own packet */
		assert_memory_equal(s.l4 + 8 + 16, "\xcb\x00\x71\x32", 4);
		assert_int_equal(s.l4[8 + 20] << 8 | s.l4[8 + 21], 6000);
		assert_int_equal(s.l4[8 + 22] << 8 | s.l4[8 + 23], 80);
		nat_pass(1000);
	}
}

/* RFC 4787 REQ-13: too large with DF for the VPC: who sent it is told the size that fits, and its own packet is quoted. */
static void test_req13_too_big(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct frame sent;
		struct nat_seen s;
		uint16_t port;

		NAT(.dependent = dependent);
		port = sent_outside(&sent);
		s = nat_through(EXT,
			FROM_OUTSIDE(.sport = 53, .dport = port, .payload = 1460,
				.fragment = 0x4000),
			EXT);
		assert_string_equal(s.dst, SERVER);
		assert_int_equal(s.icmp_type, 3);
		assert_int_equal(s.icmp_code, 4);
		assert_int_equal(s.l4[6] << 8 | s.l4[7], 1450);
		assert_memory_equal(s.l4 + 8 + 16, "\xcb\x00\x71\x32", 4);
		graph_drop_names();
		graph_forget_drops();
		nat_pass(1000);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nat_setup, nat_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_req1_queries),
		TEST(test_req2_timer),
		TEST(test_queries_from_outside),
		TEST(test_req4_errors_from_outside),
		TEST(test_req5_errors_from_inside),
		TEST(test_req3_bad_errors),
		TEST(test_errors_about_other_protocols),
		TEST(test_protocols_without_ports),
		TEST(test_req7_hairpinned_errors),
		TEST(test_req13_too_big),
	};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
