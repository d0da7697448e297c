/* SPDX-License-Identifier: Apache-2.0 */
/* Connections through the whole graph; the tracker itself has its unit test. */
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

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

#define A_TO_B                                                                                     \
	FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP, .sport = 1000,     \
							  .dport = 80
#define B_TO_A                                                                                     \
	FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 80,       \
							  .dport = 1000

static void from_a(const struct frame *f)
{
	graph_expect_pass("a", f, "b", f);
}

static void from_b(const struct frame *f)
{
	graph_expect_pass("b", f, "a", f);
}

static void handshake(void)
{
	from_a(FRAME(A_TO_B, .tcp_flags = SYN, .seq = 1000));
	from_b(FRAME(B_TO_A, .tcp_flags = SYN | ACK, .seq = 5000, .ack = 1001));
	from_a(FRAME(A_TO_B, .tcp_flags = ACK, .seq = 1001, .ack = 5001));
}

static void test_whole_life(void **state)
{
	(void)state;
	handshake();
	from_a(FRAME(A_TO_B, .tcp_flags = ACK | PSH, .seq = 1001, .ack = 5001, .payload = 100));
	from_b(FRAME(B_TO_A, .tcp_flags = ACK, .seq = 5001, .ack = 1101, .payload = 1000));
	from_a(FRAME(A_TO_B, .tcp_flags = ACK | FIN, .seq = 1101, .ack = 6001));
	from_b(FRAME(B_TO_A, .tcp_flags = ACK | FIN, .seq = 6001, .ack = 1102));
	from_a(FRAME(A_TO_B, .tcp_flags = ACK, .seq = 1102, .ack = 6002));
	/* Opened again from TIME-WAIT, by the same tuple: one session still. */
	from_a(FRAME(A_TO_B, .tcp_flags = SYN, .seq = 90000));
	assert_int_equal(session_used(), 1);
	from_b(FRAME(B_TO_A, .tcp_flags = SYN | ACK, .seq = 70000, .ack = 90001));
}

/* Nothing but a SYN begins a connection, whatever the flags. */
static void test_no_session_without_syn(void **state)
{
	(void)state;
	for (unsigned int flags = 1; flags < 64; flags++) {
		bool possible = flags == SYN;
		unsigned int core = flags & (FIN | SYN | RST | ACK);
		struct frame f;

		if (core == SYN)
			continue;
		possible = core == (SYN | ACK) || core == RST || core == (RST | ACK) ||
			   core == (FIN | ACK) || core == ACK;
		f = *FRAME(A_TO_B, .tcp_flags = (uint8_t)flags, .seq = 1, .ack = 1);
		graph_expect_drop("a", &f, possible ? DROP_NO_SESSION : DROP_TCP_STATE);
		assert_int_equal(session_used(), 0);
	}
}

/* Blind injection: outside the window, a reset included, and from the side that has not the word. */
static void test_injection(void **state)
{
	(void)state;
	handshake();
	graph_expect_drop(
		"b", FRAME(B_TO_A, .tcp_flags = RST, .seq = 900000, .ack = 0), DROP_TCP_STATE);
	graph_expect_drop("b",
		FRAME(B_TO_A, .tcp_flags = ACK, .seq = 900000, .ack = 1001, .payload = 10),
		DROP_TCP_STATE);
	graph_expect_drop("b",
		FRAME(B_TO_A, .tcp_flags = ACK, .seq = 5001, .ack = 400000, .payload = 10),
		DROP_TCP_STATE);
	graph_expect_drop(
		"a", FRAME(A_TO_B, .tcp_flags = SYN | FIN, .seq = 1001, .ack = 1), DROP_TCP_STATE);
	graph_expect_drop("a", FRAME(A_TO_B, .tcp_flags = 0x20, .seq = 1001), DROP_TCP_STATE);
	from_a(FRAME(A_TO_B, .tcp_flags = ACK, .seq = 1001, .ack = 5001, .payload = 10));
	from_b(FRAME(B_TO_A, .tcp_flags = RST | ACK, .seq = 5001, .ack = 1011));
}

/* One that is cut does not resume; a new one may begin. */
static void test_cut(void **state)
{
	(void)state;
	handshake();
	graph_items("[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, []]]");
	graph_expect_drop("b",
		FRAME(B_TO_A, .tcp_flags = ACK, .seq = 5001, .ack = 1001, .payload = 5),
		DROP_POLICY_INGRESS);
	graph_items("[[\"group\", \"any\", 3], [\"rules\", \"any\", 0, [" RULE_ANY "]]]");
	graph_expect_drop(
		"a", FRAME(A_TO_B, .tcp_flags = ACK, .seq = 1001, .ack = 5001), DROP_NO_SESSION);
	graph_expect_drop(
		"b", FRAME(B_TO_A, .tcp_flags = ACK, .seq = 5001, .ack = 1001), DROP_NO_SESSION);
	handshake();
}

/* A segment in IP fragments is tracked by its first; the acknowledgement of all of it is in order. */
static void test_fragmented_segment(void **state)
{
	const struct frame *whole =
		FRAME(A_TO_B, .tcp_flags = ACK, .seq = 1001, .ack = 5001, .payload = 1180);
	struct frame f;

	(void)state;
	handshake();
	for (unsigned int at = 0; at < 1200; at += 400) {
		f = *whole;
		memmove(f.bytes + 34, whole->bytes + 34 + at, 400);
		f.len = 434;
		f.bytes[16] = 420 >> 8;
		f.bytes[17] = (uint8_t)420;
		f.bytes[19] = 77; /* identification */
		f.bytes[20] = at < 800 ? 0x20 : 0;
		f.bytes[21] = (uint8_t)(at / 8);
		frame_fix_ipv4(&f);
		from_a(&f);
	}
	from_b(FRAME(B_TO_A, .tcp_flags = ACK, .seq = 5001, .ack = 2181));
	from_a(FRAME(A_TO_B, .tcp_flags = ACK, .seq = 2181, .ack = 5001, .payload = 20));
}

/* Both open at once (RFC 9293 3.5, figure 8): one session. */
static void test_simultaneous_open(void **state)
{
	(void)state;
	from_a(FRAME(A_TO_B, .tcp_flags = SYN, .seq = 100));
	from_b(FRAME(B_TO_A, .tcp_flags = SYN, .seq = 300));
	from_a(FRAME(A_TO_B, .tcp_flags = SYN | ACK, .seq = 100, .ack = 301));
	from_b(FRAME(B_TO_A, .tcp_flags = SYN | ACK, .seq = 300, .ack = 101));
	from_a(FRAME(A_TO_B, .tcp_flags = ACK, .seq = 101, .ack = 301, .payload = 3));
	assert_int_equal(session_used(), 1);
}

/* Options that lie about their length end nothing but the search in them. */
static void test_broken_options(void **state)
{
	static const uint8_t options[][4] = {
		{2, 0, 0, 0}, {2, 200, 1, 1}, {2, 4, 255, 255}, {3, 3, 255, 2}, {8, 1, 2, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct frame f = *FRAME(A_TO_B, .tcp_flags = SYN, .seq = 1, .mss = 1000);
		uint16_t len;

		f.bytes[35] = (uint8_t)i; /* another source port */
		memcpy(f.bytes + 54, options[i], 4);
		graph_send("a", f.bytes, f.len);
		graph_run();
		assert_non_null(graph_sent("b", &len));
		assert_int_equal(len, f.len);
	}
	/* A data offset beyond the segment. */
	struct frame f = *FRAME(A_TO_B, .tcp_flags = SYN, .seq = 1);

	f.bytes[46] = 0xf0;
	graph_expect_drop("a", &f, DROP_MALFORMED);
	f.bytes[46] = 0x40;
	graph_expect_drop("a", &f, DROP_MALFORMED);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_whole_life),
		T(test_no_session_without_syn),
		T(test_injection),
		T(test_cut),
		T(test_fragmented_segment),
		T(test_simultaneous_open),
		T(test_broken_options),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
