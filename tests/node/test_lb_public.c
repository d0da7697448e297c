/* SPDX-License-Identifier: Apache-2.0 */
/* Load balancers behind an elastic IP of an outside network (outside.h), and what a question says about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <netinet/in.h>

#include "balancer.h"
#include "cloud.h"
#include "graph.h"
#include "outside.h"
#include "session/session.h"

#define PUBLIC "203.0.113.20"
#define PUBLIC6 "2001:db8::20"
#define EIP_ITEM(name, address)                                                                    \
	"[\"eip\", \"" name "\", \"internet\", \"" address                                         \
	"\", null, \"lb\", null, null, null, 0, 0, [], false, 1]"
#define PUBLIC_BALANCER(name, eip)                                                                 \
	"[\"load_balancer\", \"" name "\", 100, null, \"" eip "\", null, 1]"
#define TCP_LISTENER(name) LISTENER(name, "6", "80", "maglev", "0", "", "0", "0", "false", NO_CHECK)

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_items("[" EIP_ITEM("e4", PUBLIC) "," EIP_ITEM("e6", PUBLIC6) "," PUBLIC_BALANCER(
		"lb4", "e4") "," PUBLIC_BALANCER("lb6",
		"e6") "," TCP_LISTENER("lb4") "," TCP_LISTENER("lb6") "," BACKEND("lb4", "6", "80",
		"10.0.2.10", "8080",
		"1") "," BACKEND("lb6", "6", "80", "fd00:1:0:2::10", "8080", "1") "]");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	outside_reset();
	return 0;
}

#define IN(v6, ...)                                                                                \
	FRAME(FROM(HOP_MAC, (v6) ? SERVER6 : SERVER), TO(EXT_MAC, (v6) ? PUBLIC6 : PUBLIC),        \
		.proto = IPPROTO_TCP, __VA_ARGS__)
#define IN_HERE(v6, ...)                                                                           \
	FRAME(FROM(GW, (v6) ? SERVER6 : SERVER), TO(MAC_C, (v6) ? "fd00:1:0:2::10" : "10.0.2.10"), \
		.proto = IPPROTO_TCP, .ttl = 63, __VA_ARGS__)
#define BACK(v6, ...)                                                                              \
	FRAME(FROM(MAC_C, (v6) ? "fd00:1:0:2::10" : "10.0.2.10"), TO(GW, (v6) ? SERVER6 : SERVER), \
		.proto = IPPROTO_TCP, __VA_ARGS__)
#define BACK_THERE(v6, ...)                                                                        \
	FRAME(FROM(EXT_MAC, (v6) ? PUBLIC6 : PUBLIC), TO(HOP_MAC, (v6) ? SERVER6 : SERVER),        \
		.proto = IPPROTO_TCP, .ttl = 63, __VA_ARGS__)

static void test_there_and_back(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		graph_expect_pass(EXT, IN(v6, .sport = 7, .dport = 80, .seq = 9), "c",
			IN_HERE(v6, .sport = 7, .dport = 8080, .seq = 9));
		graph_expect_pass("c",
			BACK(v6, .sport = 8080, .dport = 7, .seq = 5, .ack = 10, .tcp_flags = 0x12),
			EXT,
			BACK_THERE(v6, .sport = 80, .dport = 7, .seq = 5, .ack = 10,
				.tcp_flags = 0x12));
		graph_expect_pass(EXT,
			IN(v6, .sport = 7, .dport = 80, .seq = 10, .ack = 6, .tcp_flags = 0x10),
			"c",
			IN_HERE(v6, .sport = 7, .dport = 8080, .seq = 10, .ack = 6,
				.tcp_flags = 0x10));
		graph_expect_drop(EXT, IN(v6, .sport = 7, .dport = 81), DROP_LB_NO_LISTENER);
	}
	assert_int_equal(session_used(), 2);
}

/* The address goes, or gets another use: its flows are over. */
static void test_without_the_address(void **state)
{
	(void)state;
	graph_expect_pass(
		EXT, IN(0, .sport = 7, .dport = 80), "c", IN_HERE(0, .sport = 7, .dport = 8080));
	graph_expect_pass(
		EXT, IN(1, .sport = 7, .dport = 80), "c", IN_HERE(1, .sport = 7, .dport = 8080));
	graph_delete("[[\"backend\", \"lb4\", 6, 80, \"10.0.2.10\", 8080], [\"listener\", \"lb4\", "
		     "6, 80], [\"load_balancer\", \"lb4\"]]");
	graph_expect_drop(EXT, IN(0, .sport = 7, .dport = 80), DROP_LB_NO_LISTENER);
	assert_int_equal(session_used(), 1);
	/* The other balancer comes to have the address. */
	graph_items("[" PUBLIC_BALANCER("lb6", "e4") "," BACKEND(
		"lb6", "6", "80", "10.0.2.10", "8080", "1") "]");
	graph_delete("[[\"backend\", \"lb6\", 6, 80, \"fd00:1:0:2::10\", 8080]]");
	graph_expect_pass(
		EXT, IN(0, .sport = 8, .dport = 80), "c", IN_HERE(0, .sport = 8, .dport = 8080));
	graph_expect_drop(EXT, IN(1, .sport = 7, .dport = 80), DROP_LB_NO_LISTENER);
	assert_int_equal(session_used(), 1);
}

/* A machine calls the public address, the back end its own: by the outside's source. */
static void test_hairpin(void **state)
{
	(void)state;
	graph_expect_pass("c",
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, PUBLIC), .proto = IPPROTO_TCP, .sport = 1000,
			.dport = 80),
		"c",
		FRAME(FROM(GW, SNAT), TO(MAC_C, "10.0.2.10"), .proto = IPPROTO_TCP, .sport = 2000,
			.dport = 8080, .ttl = 63));
	graph_expect_pass("c",
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, SNAT), .proto = IPPROTO_TCP, .sport = 8080,
			.dport = 2000, .ack = 1, .tcp_flags = 0x12),
		"c",
		FRAME(FROM(GW, PUBLIC), TO(MAC_C, "10.0.2.10"), .proto = IPPROTO_TCP, .sport = 80,
			.dport = 1000, .ack = 1, .tcp_flags = 0x12, .ttl = 63));
	assert_int_equal(session_used(), 1);
}

/* What is explained is neither counted nor made. */
static void test_explained(void **state)
{
	json_t *answer, *steps, *step;
	const char *decision = NULL;
	size_t i;

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_C("1") "]");
	for (int n = 0; n < 3; n++) {
		answer = graph_rpc("explain",
			json_pack("{s:{s:s}, s:{s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:i}}", "in",
				"port", "a", "packet", "source", "10.0.1.10", "destination", VIP,
				"protocol", IPPROTO_UDP, "source_port", 7, "port", 80, "smac",
				MAC_A, "dmac", GW, "ttl", 64));
		assert_string_equal(
			json_string_value(json_object_get(answer, "verdict")), "forward");
		steps = json_object_get(answer, "steps");
		json_array_foreach (steps, i, step)
			if (strcmp(json_string_value(json_object_get(
					   json_object_get(step, "object"), "kind")),
				    "load_balancer") == 0)
				decision = json_string_value(json_object_get(step, "decision"));
		assert_string_equal(
			decision, "back end 10.0.2.10 port 8080, round_robin: up, 0 connections");
		json_decref(answer);
	}
	assert_int_equal(session_used(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_the_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hairpin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explained, setup, teardown),
	};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
