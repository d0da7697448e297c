/* SPDX-License-Identifier: Apache-2.0 */
/* Both roads: first packets, answers, bridging, routing, tunnels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "frame.h"
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

static void test_bridged_unchanged(void **state)
{
	static const struct frame_spec specs[] = {
		{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1000, .dport = 53,
			.payload = 20},
		{FROM(MAC_A, "fd00:1:0:1::10"), TO(MAC_B, "fd00:1:0:1::11"), .sport = 1000,
			.dport = 53},
		{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_ICMP,
			.icmp_type = 8},
		{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = 47, .payload = 30},
	};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		frame_build(&f, &specs[i]);
		for (int packet = 0; packet < 3;
			packet++) { /* the readable road, then the short one */
			graph_send("a", f.bytes, f.len);
			graph_run();
			graph_expect_sent("b", &f);
		}
		assert_int_equal(session_used(), i + 1);
	}
	assert_int_equal(graph_dropped_any(), 0);
}

static void test_routed_once(void **state)
{
	struct frame there, back, want;

	(void)state;
	there = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 7, .dport = 8);
	want = *FRAME(
		FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 7, .dport = 8, .ttl = 63);
	for (int packet = 0; packet < 2; packet++) {
		graph_send("a", there.bytes, there.len);
		graph_run();
		graph_expect_sent("c", &want);
	}
	back = *FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .sport = 8, .dport = 7);
	want = *FRAME(
		FROM(GW, "10.0.2.10"), TO(MAC_A, "10.0.1.10"), .sport = 8, .dport = 7, .ttl = 63);
	graph_send("c", back.bytes, back.len);
	graph_run();
	graph_expect_sent("a", &want);
	assert_int_equal(session_used(), 1);
}

static void test_tunnel_both_ways(void **state)
{
	struct frame inner, outer, answer;
	const uint8_t *got;
	uint16_t len;

	(void)state;
	inner = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 7, .dport = 8);
	for (int packet = 0; packet < 2; packet++) {
		graph_send("a", inner.bytes, inner.len);
		graph_run();
		got = graph_sent(GRAPH_UNDERLAY, &len);
		if (got == NULL)
			for (int r = 1; r < DROP_MAX; r++)
				if (graph_dropped((enum drop_reason)r) != 0)
					fail_msg("dropped: %s",
						drop_reason_name((enum drop_reason)r));
		assert_non_null(got);
		assert_int_equal(len, inner.len + 50);
		assert_memory_equal(
			got, "\x02\x00\x00\x00\x99\x02\x02\x00\x00\x00\x99\x01\x08\x00", 14);
		assert_null(frame_check(got, len));
		assert_memory_equal(got + 26, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
		assert_true(got[34] >= 0xc0);                 /* RFC 7348 4: source port */
		assert_memory_equal(got + 36, "\x12\xb5", 2); /* 4789 */
		assert_memory_equal(got + 42, "\x08\0\0\0\0\0\x64\0", 8); /* I flag, VNI 100 */
		assert_memory_equal(got + 50, inner.bytes, inner.len);
	}
	answer = *FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 8, .dport = 7);
	frame_vxlan(&outer, &answer, "192.0.2.2", "192.0.2.1", 100);
	graph_send(GRAPH_UNDERLAY, outer.bytes, outer.len);
	graph_run();
	graph_expect_sent("a", &answer);
	assert_int_equal(session_used(), 1);
}

static void test_underlay_strangers(void **state)
{
	struct frame inner, outer;

	(void)state;
	inner = *FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 8, .dport = 7);
	frame_vxlan(&outer, &inner, "192.0.2.9", "192.0.2.1", 100);
	graph_expect_drop(GRAPH_UNDERLAY, &outer, DROP_UNKNOWN_VTEP);
	frame_vxlan(&outer, &inner, "192.0.2.2", "192.0.2.1", 101);
	graph_expect_drop(GRAPH_UNDERLAY, &outer, DROP_UNKNOWN_VNI);
	frame_vxlan(&outer, &inner, "192.0.2.2", "192.0.2.7", 100);
	graph_expect_drop(GRAPH_UNDERLAY, &outer, DROP_NOT_FOR_US);
	inner = *FRAME(FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .sport = 8, .dport = 7);
	frame_vxlan(&outer, &inner, "192.0.2.2", "192.0.2.1", 100);
	graph_expect_drop(GRAPH_UNDERLAY, &outer, DROP_WRONG_VTEP);
	frame_vxlan(&outer, &inner, "192.0.2.2", "192.0.2.1", 100);
	outer.bytes[42] = 0; /* RFC 7348 5: I not set */
	graph_expect_drop(GRAPH_UNDERLAY, &outer, DROP_MALFORMED);
}

static void test_spoofed(void **state)
{
	struct frame f;

	(void)state;
	f = *FRAME(FROM(MAC_A, "10.0.1.12"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2);
	graph_expect_drop("a", &f, DROP_SPOOFED);
	f = *FRAME(FROM(MAC_C, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2);
	graph_expect_drop("a", &f, DROP_SPOOFED);
	assert_int_equal(session_used(), 0);
}

/* Somebody else's tuple, of a running flow: dropped, and the flow goes on. */
static void test_spoofed_into_session(void **state)
{
	struct frame f;

	(void)state;
	f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2);
	graph_send("a", f.bytes, f.len);
	graph_run();
	graph_expect_sent("b", &f);
	graph_expect_drop("c", &f, DROP_SPOOFED);
	graph_send("a", f.bytes, f.len);
	graph_run();
	graph_expect_sent("b", &f);
	assert_int_equal(session_used(), 1);
}

/* A rule that goes cuts the flow it admitted; when it returns, UDP starts again and TCP does not. */
static void test_rule_cuts_running_flow(void **state)
{
	static const char deny[] = "[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, []]]";
	static const char allow[] = "[[\"group\", \"any\", 3], [\"rules\", \"any\", 0, [\"i a 1000 "
				    "-1 0 65535 -1 -1 any\"]]]";
	struct frame udp, syn, ack;

	(void)state;
	udp = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2);
	syn = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP,
		.sport = 1, .dport = 2, .seq = 100);
	ack = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP,
		.sport = 1, .dport = 2, .seq = 101, .tcp_flags = 0x10);
	graph_send("a", udp.bytes, udp.len);
	graph_run();
	graph_expect_sent("b", &udp);
	graph_send("a", syn.bytes, syn.len);
	graph_run();
	graph_expect_sent("b", &syn);
	assert_int_equal(session_used(), 2);

	graph_items(deny);
	graph_expect_drop("a", &udp, DROP_POLICY_INGRESS);
	graph_expect_drop("a", &ack, DROP_POLICY_INGRESS);
	assert_int_equal(session_used(), 0);

	graph_items(allow);
	graph_send("a", udp.bytes, udp.len);
	graph_run();
	graph_expect_sent("b", &udp);
	graph_expect_drop("a", &ack, DROP_NO_SESSION);
}

/* A silent flow is cut too, without a packet. */
static void test_rule_cuts_silent_flow(void **state)
{
	struct frame udp;

	(void)state;
	udp = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2);
	graph_send("a", udp.bytes, udp.len);
	graph_run();
	graph_expect_sent("b", &udp);
	graph_items("[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, []]]");
	graph_pass_time(0);
	assert_int_equal(session_used(), 0);
}

static void test_malformed(void **state)
{
	struct frame f;

	(void)state;
	f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2,
		.payload = 40);
	f.bytes[24] ^= 1;
	graph_expect_drop("a", &f, DROP_BAD_CHECKSUM);
	f.bytes[24] ^= 1;
	f.len = 50; /* the IP length says more */
	graph_expect_drop("a", &f, DROP_MALFORMED);
	f.bytes[12] = 0x81;
	f.bytes[13] = 0;
	graph_expect_drop("a", &f, DROP_VLAN);
	f.bytes[12] = 0x88;
	f.bytes[13] = 0xcc;
	graph_expect_drop("a", &f, DROP_UNSUPPORTED);
}

static void test_mss_clamped(void **state)
{
	struct frame f, want;

	(void)state;
	f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .proto = IPPROTO_TCP, .sport = 1,
		.dport = 2, .mss = 1460);
	want = *FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .proto = IPPROTO_TCP,
		.sport = 1, .dport = 2, .mss = 1410, .ttl = 63);
	graph_send("a", f.bytes, f.len);
	graph_run();
	graph_expect_sent("c", &want);
	f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .proto = IPPROTO_TCP, .sport = 3,
		.dport = 2, .mss = 536);
	want = *FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .proto = IPPROTO_TCP,
		.sport = 3, .dport = 2, .mss = 536, .ttl = 63);
	graph_send("a", f.bytes, f.len);
	graph_run();
	graph_expect_sent("c", &want);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_bridged_unchanged),
		T(test_routed_once),
		T(test_tunnel_both_ways),
		T(test_underlay_strangers),
		T(test_spoofed),
		T(test_spoofed_into_session),
		T(test_rule_cuts_running_flow),
		T(test_rule_cuts_silent_flow),
		T(test_malformed),
		T(test_mss_clamped),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
