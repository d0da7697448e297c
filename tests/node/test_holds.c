/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions hold of services: taken once, released once, whatever becomes of the flow; and the translation that a session has is
 * kept when it is asked again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "outside.h"
#include "session/session.h"

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	outside.holds = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	outside_reset();
	return 0;
}

#define OUT(...) FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, SERVER), .dport = 53, __VA_ARGS__)
#define OUT_THERE(...)                                                                             \
	FRAME(FROM(EXT_MAC, SNAT), TO(HOP_MAC, SERVER), .dport = 53, .ttl = 63, __VA_ARGS__)
#define HAIRPIN(...) FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, EIP), .dport = 53, __VA_ARGS__)

static void expect(unsigned int taken, unsigned int released, unsigned int sessions)
{
	assert_int_equal(outside_taken, taken);
	assert_int_equal(outside_released, released);
	assert_int_equal(session_used(), sessions);
}

static void test_life(void **state)
{
	(void)state;
	for (int n = 0; n < 3; n++)
		graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	expect(1, 0, 1);
	assert_int_equal(outside_began, 1);
	json_decref(graph_rpc("session.flush", json_object()));
	expect(1, 1, 0);
}

/* By time; the owner says how long. */
static void test_timeouts(void **state)
{
	(void)state;
	graph_stop_clock(true);
	outside.timeout_s = 20;
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	graph_pass_time(19000);
	expect(1, 0, 1);
	graph_pass_time(2000);
	expect(1, 1, 0);
	outside.timeout_s = 100; /* longer than the node's own */
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	graph_pass_time(99000);
	expect(2, 1, 1);
	graph_pass_time(2000);
	expect(2, 2, 0);
	outside.timeout_s = 0;
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	graph_pass_time(61000);
	expect(3, 3, 0);
	graph_stop_clock(false);
}

/* By who took it, by a stage behind it, because it may not begin a connection, for want of room. */
static void test_no_session(void **state)
{
	(void)state;
	outside.refuses = true;
	graph_expect_drop("a", OUT(.sport = 1), DROP_NAT_FILTERED);
	outside.refuses = false;
	expect(1, 1, 0);
	graph_items("[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, []]]");
	graph_expect_drop("a", HAIRPIN(.sport = 1), DROP_POLICY_INGRESS);
	expect(2, 2, 0);
	graph_expect_drop(
		"a", OUT(.sport = 1, .proto = IPPROTO_TCP, .tcp_flags = 0x10), DROP_NO_SESSION);
	expect(3, 3, 0);
	graph_items("[[\"share\", 100, 1]]");
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	graph_expect_drop("a", OUT(.sport = 2), DROP_SESSION_SHARE);
	expect(5, 4, 1);
}

static unsigned int draws;

static uint16_t same_port(uint16_t sport)
{
	(void)sport;
	draws++;
	return 7000;
}

static uint16_t third_port(uint16_t sport)
{
	(void)sport;
	return ++draws < 3 ? 7000 : 7001;
}

/* Two flows with the same tuple outside: asked for another one, so often and no more (RFC 4787 REQ-3: no overloading). */
static void test_taken_tuple(void **state)
{
	(void)state;
	draws = 0;
	outside.port = same_port;
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 7000));
	graph_send("a", OUT(.sport = 2)->bytes, OUT(.sport = 2)->len);
	graph_run();
	assert_non_null(graph_sent("a", NULL)); /* prohibited, says its gateway */
	graph_expect_dropped(DROP_NAT_EXHAUSTED, 1);
	assert_int_equal(draws, 9);
	expect(9, 8, 1);
	draws = 0;
	outside.port = third_port;
	graph_expect_pass("a", OUT(.sport = 2), EXT, OUT_THERE(.sport = 7001));
	expect(12, 10, 2);
	/* Each answer goes to its own. */
	graph_expect_pass(EXT,
		FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, SNAT), .sport = 53, .dport = 7001), "a",
		FRAME(FROM(GW, SERVER), TO(MAC_A, "10.0.1.10"), .sport = 53, .dport = 2,
			.ttl = 63));
}

static uint16_t other_port(uint16_t sport)
{
	return (uint16_t)(sport + 5000);
}

/* Asked again it keeps what it has, also when a new flow would get something else; by its packets and in silence. */
static void test_kept(void **state)
{
	(void)state;
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	outside.port = other_port;
	outside_bump();
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	outside_bump();
	graph_pass_time(1000);
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	expect(1, 0, 1);
	graph_expect_pass("a", OUT(.sport = 2), EXT, OUT_THERE(.sport = 5002));
	expect(2, 0, 2);
}

/* Where that is not legal any more, it ends, and what may begin anew does. */
static void test_replaced(void **state)
{
	const struct frame *tcp = OUT(.sport = 3, .proto = IPPROTO_TCP, .seq = 9);

	(void)state;
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	graph_expect_pass("a", tcp, EXT, OUT_THERE(.sport = 1003, .proto = IPPROTO_TCP, .seq = 9));
	outside.port = other_port;
	outside.forgets = true;
	outside_bump();
	/* Asked: something else (3 taken, 4 released); then anew. */
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 5001));
	expect(4, 2, 2);
	graph_expect_drop("a",
		OUT(.sport = 3, .proto = IPPROTO_TCP, .seq = 10, .ack = 1, .tcp_flags = 0x10),
		DROP_NO_SESSION);
	expect(6, 5, 1); /* it was asked again, and then for a first packet */
	/* In silence it just ends. */
	outside_bump();
	graph_pass_time(1000);
	expect(7, 7, 0);
}

/* No longer allowed: cut at once. */
static void test_cut(void **state)
{
	(void)state;
	graph_expect_pass("a", OUT(.sport = 1), EXT, OUT_THERE(.sport = 1001));
	outside.refuses = true;
	outside_bump();
	graph_expect_drop("a", OUT(.sport = 1), DROP_NAT_FILTERED);
	expect(1, 1, 0);
}

/* Two addresses of one machine: 1:1 holds nothing, and is found again. */
static void test_without_holds(void **state)
{
	(void)state;
	for (int n = 0; n < 2; n++) {
		graph_expect_pass("b",
			FRAME(FROM(MAC_B, "10.0.1.11"), TO(GW, SERVER), .sport = 1, .dport = 2),
			EXT,
			FRAME(FROM(EXT_MAC, EIP), TO(HOP_MAC, SERVER), .sport = 1, .dport = 2,
				.ttl = 63));
		outside_bump();
	}
	expect(0, 0, 1);
}

/* A question takes nothing. */
static void test_explained(void **state)
{
	json_t *answer = graph_rpc(
		"explain", json_pack("{s:{s:s}, s:{s:s, s:s, s:i, s:i, s:i}}", "in", "port", "a",
				   "packet", "source", "10.0.1.10", "destination", SERVER,
				   "protocol", IPPROTO_UDP, "source_port", 1, "port", 53));
	const json_t *after = json_object_get(json_object_get(answer, "packet"), "after");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(answer, "verdict")), "forward");
	assert_string_equal(json_string_value(json_object_get(after, "source")), SNAT);
	assert_int_equal(json_integer_value(json_object_get(after, "source_port")), 1001);
	json_decref(answer);
	expect(0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeouts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_session, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_tuple, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explained, setup, teardown),
	};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("holds", tests, NULL, NULL);
}
