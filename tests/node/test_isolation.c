/* SPDX-License-Identifier: Apache-2.0 */
/* What an attacker behind a port, or behind a VTEP, sends: each dropped under its name, nothing reaches who it is not for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "session/session.h"

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

#define A_TO_B FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11")
#define B_TO_A FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10")
#define A6_TO_B6 FROM(MAC_A, "fd00:1:0:1::10"), TO(MAC_B, "fd00:1:0:1::11")

/* Only echo requests are let in: an answer that nobody asked for is none, whatever its identifier says. */
static void test_echo_reply_unasked(void **state)
{
	(void)state;
	graph_items("[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, [\"i a 1000 1 0 65535 8 -1 "
		    "any\", \"i a 1000 58 0 65535 "
		    "128 -1 any\"]]]");
	graph_expect_drop("a",
		FRAME(A_TO_B, .proto = IPPROTO_ICMP, .icmp_type = 0, .icmp_id = 0x0800),
		DROP_NO_SESSION);
	graph_expect_drop("a",
		FRAME(A6_TO_B6, .proto = IPPROTO_ICMPV6, .icmp_type = 129, .icmp_id = 0x8000),
		DROP_NO_SESSION);
	/* Timestamp replies are answers too. */
	graph_expect_drop("a",
		FRAME(A_TO_B, .proto = IPPROTO_ICMP, .icmp_type = 14, .icmp_id = 0x0800),
		DROP_NO_SESSION);
	assert_int_equal(session_used(), 0);
	/* The probe can be heard. */
	const struct frame *ping =
		FRAME(A_TO_B, .proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 7);
	const struct frame *pong =
		FRAME(B_TO_A, .proto = IPPROTO_ICMP, .icmp_type = 0, .icmp_id = 7);

	graph_expect_pass("a", ping, "b", ping);
	graph_expect_pass("b", pong, "a", pong);
	/* Another identifier, another question. */
	graph_expect_drop("b", FRAME(B_TO_A, .proto = IPPROTO_ICMP, .icmp_type = 0, .icmp_id = 8),
		DROP_NO_SESSION);
}

/* RFC 6980, 7113: neighbour discovery in a fragment evades who looks for router advertisements. */
static void test_neighbour_discovery_in_fragments(void **state)
{
	static const uint8_t first[7] = {0, 0, 1, 0, 0, 0, 9}, atomic[7] = {0, 0, 0, 0, 0, 0, 9},
			     nop[7] = {0, 1, 4, 0, 0, 0, 0};
	static const uint8_t types[] = {133, 134, 135, 136, 137};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		const struct frame *nd = FRAME(A6_TO_B6, .proto = IPPROTO_ICMPV6,
			.icmp_type = types[i], .payload = 40, .ttl = 255);
		/* A router's words are called so, whatever they are wrapped in (RFC 7113). */
		enum drop_reason why =
			types[i] == 134 || types[i] == 137 ? DROP_ROGUE_RA : DROP_MALFORMED;

		graph_expect_drop("a", frame_extended(&f, nd, IPPROTO_FRAGMENT, first), why);
		graph_expect_drop("a", frame_extended(&f, nd, IPPROTO_FRAGMENT, atomic), why);
		graph_expect_drop("a", frame_extended(&f, nd, IPPROTO_DSTOPTS, nop), why);
	}
	graph_expect_drop("a",
		FRAME(A6_TO_B6, .proto = IPPROTO_ICMPV6, .icmp_type = 134, .ttl = 255,
			.payload = 8),
		DROP_ROGUE_RA);
	assert_int_equal(session_used(), 0);
}

/* A multicast packet in a unicast frame is multicast all the same; link-local addresses end at the gateway (RFC 4291
 * 2.5.6). */
static void test_not_for_routers(void **state)
{
	(void)state;
	graph_items(
		"[[\"route\", 100, \"0.0.0.0/0\", \"d\", \"endpoint\", \"10.0.1.11\", null, null, "
		"null, 1], [\"route\", 100, \"::/0\", \"d6\", \"endpoint\", \"fd00:1:0:1::11\", "
		"null, "
		"null, "
		"null, 1]]");
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "224.0.0.5"), .sport = 1, .dport = 2),
		DROP_BROADCAST);
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "255.255.255.255"), .sport = 1, .dport = 2),
		DROP_BROADCAST);
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "fd00:1:0:1::10"), TO(GW, "ff02::1"), .sport = 1, .dport = 2),
		DROP_BROADCAST);
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "fe80::aa:ff:fe00:1"), TO(GW, "fd00:1:0:2::10"), .sport = 1,
			.dport = 2),
		DROP_NO_ROUTE);
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "fd00:1:0:1::10"), TO(GW, "fe80::1"), .sport = 1, .dport = 2),
		DROP_NO_ROUTE);
	/* The default route is there. */
	const struct frame *out =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "198.51.100.1"), .sport = 1, .dport = 2);

	graph_expect_pass("a", out, "b",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_B, "198.51.100.1"), .sport = 1, .dport = 2,
			.ttl = 63));
}

/* Another subnet is reached through the gateway, by the first packet and by all others. */
static void test_no_way_around_the_gateway(void **state)
{
	const struct frame *around =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 1, .dport = 2);
	const struct frame *routed =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 1, .dport = 2);
	const struct frame *arrives = FRAME(
		FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 1, .dport = 2, .ttl = 63);

	(void)state;
	graph_expect_drop("a", around, DROP_NO_ROUTE);
	graph_expect_pass("a", routed, "c", arrives);
	graph_expect_drop("a", around, DROP_NO_ROUTE);
	graph_expect_pass("a", routed, "c", arrives);
}

/* In one subnet both are a way. */
static void test_gateway_or_direct(void **state)
{
	const struct frame *direct = FRAME(A_TO_B, .sport = 1, .dport = 2);
	const struct frame *via =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.11"), .sport = 1, .dport = 2);
	const struct frame *routed = FRAME(
		FROM(GW, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2, .ttl = 63);

	(void)state;
	graph_expect_pass("a", via, "b", routed);
	graph_expect_pass("a", direct, "b", direct);
	graph_expect_pass("a", via, "b", routed);
	graph_pass_time(400000);
	graph_expect_pass("a", direct, "b", direct);
	graph_expect_pass("a", via, "b", routed);
	assert_int_equal(session_used(), 1);
}

/* Two tenants with the same addresses and even MACs never see each other's frames. */
static void test_overlapping_vpcs(void **state)
{
	const struct frame *f = FRAME(A_TO_B, .sport = 5, .dport = 6, .payload = 9);
	const struct frame *back = FRAME(B_TO_A, .sport = 6, .dport = 5);

	(void)state;
	graph_items(
		"[[\"vpc\", 200, \"twin\", \"mallory\", 1450, \"" GW
		"\", [\"10.0.0.0/16\"], [], 1], [\"subnet\", \"web2\", 200, "
		"\"10.0.1.0/24\", \"10.0.1.1\", null, null, true, [], 1]," PORT_ITEM("a2", "200",
			"web2", MAC_A, "\"10.0.1.10\"", "\"any\"", "true", "") "," PORT_ITEM("b2",
			"200", "web2", MAC_B, "\"10.0.1.11\"", "\"any\"", "true", "") "]");
	graph_expect_pass("a", f, "b", f);
	graph_expect_drop("b2",
		FRAME(B_TO_A, .proto = IPPROTO_TCP, .sport = 6, .dport = 5, .tcp_flags = 0x10),
		DROP_NO_SESSION);
	graph_expect_pass("a2", f, "b2", f);
	graph_expect_pass("b2", back, "a2", back);
	graph_expect_pass("b", back, "a", back);
	assert_int_equal(session_used(), 2);
	/* c lives in the other VPC only. */
	graph_expect_drop(
		"a2", FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10")), DROP_NO_ROUTE);
}

/* A tenant's own VXLAN is a UDP packet like any other, to addresses of its VPC. */
static void test_forged_vxlan(void **state)
{
	const struct frame *inner = FRAME(B_TO_A, .sport = 1, .dport = 2);
	struct frame f;

	(void)state;
	frame_vxlan(&f, inner, "10.0.1.10", "192.0.2.1", 100);
	memcpy(f.bytes, "\x02\0\0\0\0\x64\x02\xaa\0\0\0\x01", 12); /* a to the gateway */
	graph_expect_drop("a", &f, DROP_NO_ROUTE);
	frame_vxlan(&f, inner, "192.0.2.2", "192.0.2.1", 100);
	memcpy(f.bytes, "\x02\0\0\0\0\x64\x02\xaa\0\0\0\x01", 12);
	graph_expect_drop("a", &f, DROP_SPOOFED);
	/* VXLAN in VXLAN is taken apart once. */
	frame_vxlan(&f, inner, "10.0.1.20", "10.0.1.10", 100);
	memcpy(f.bytes, "\x02\xaa\0\0\0\x01\x02\xbb\0\0\0\x01", 12);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(&f, 100), "a", &f);
}

/* From the underlay: sources that live here, the gateway's MAC, unknown destinations, back into a tunnel. */
static void test_underlay_lies(void **state)
{
	(void)state;
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10")), 100),
		DROP_WRONG_VTEP);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(GW, "198.51.100.1"), TO(MAC_A, "10.0.1.10")), 100),
		DROP_WRONG_VTEP);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_B, "10.0.1.10")), 100),
		DROP_NO_ROUTE);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO(GW, "10.0.1.20")), 100),
		DROP_NO_ROUTE);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO("ff:ff:ff:ff:ff:ff", "10.0.1.255")),
			100),
		DROP_BROADCAST);
	/* Of another host's flow: the session knows whence it comes. */
	graph_items("[[\"vtep\", \"third\", \"192.0.2.3\", false]]");
	const struct frame *f =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 1, .dport = 2);
	struct frame outer;

	graph_send("a", f->bytes, f->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	frame_vxlan(&outer,
		FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 2, .dport = 1),
		"192.0.2.3", "192.0.2.1", 100);
	graph_expect_drop(GRAPH_UNDERLAY, &outer, DROP_WRONG_VTEP);
}

static void test_mapped_addresses(void **state)
{
	(void)state;
	graph_expect_drop("a", FRAME(FROM(MAC_A, "::ffff:10.0.1.10"), TO(MAC_B, "fd00:1:0:1::11")),
		DROP_MALFORMED);
	graph_expect_drop("a", FRAME(FROM(MAC_A, "fd00:1:0:1::10"), TO(MAC_B, "::ffff:10.0.1.11")),
		DROP_MALFORMED);
}

/* Every frame that ends too early, of each kind, with the length in the IP header true or not. */
static void test_cut_short(void **state)
{
	const struct frame *const whole[] = {
		FRAME(A_TO_B, .sport = 1, .dport = 2, .payload = 4),
		FRAME(A_TO_B, .proto = IPPROTO_TCP, .sport = 1, .dport = 2, .mss = 1400),
		FRAME(A_TO_B, .proto = IPPROTO_ICMP, .icmp_type = 8),
		FRAME(A6_TO_B6, .sport = 1, .dport = 2, .payload = 4),
		FRAME(A6_TO_B6, .proto = IPPROTO_TCP, .sport = 1, .dport = 2, .mss = 1400),
		FRAME(A6_TO_B6, .proto = IPPROTO_ICMPV6, .icmp_type = 135, .payload = 24),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		for (uint16_t len = 1; len < whole[i]->len; len++) {
			struct frame f = *whole[i];

			f.len = len;
			graph_expect_drop("a", &f, DROP_MALFORMED);
		}
	}
	assert_int_equal(session_used(), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_echo_reply_unasked),
		T(test_neighbour_discovery_in_fragments),
		T(test_not_for_routers),
		T(test_no_way_around_the_gateway),
		T(test_gateway_or_direct),
		T(test_overlapping_vpcs),
		T(test_forged_vxlan),
		T(test_underlay_lies),
		T(test_mapped_addresses),
		T(test_cut_short),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
