/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that began before we did: picked up for a while where rules would admit them, by either side's segment.
 *
 *	a (client) and b, c (servers of tcp/80) here, nobody gets into a; r (client) behind the VTEP `other`
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "core/worker.h"
#include "forward/recover.h"
#include "graph.h"
#include "port/port.h"
#include "session/session.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

#define WINDOW_S 60u
#define GROUPED(name, subnet, mac, a4, a6, group)                                                  \
	PORT_ITEM(name, "100", subnet, mac, "\"" a4 "\", \"" a6 "\"", "\"" group "\"", "true", "")
#define SERVED                                                                                     \
	"[\"group\", \"served\", 1], [\"rules\", \"served\", 0, [\"i a 1000 6 80 80 -1 -1 any\"]]"
#define SHUT "[\"group\", \"shut\", 1]"
#define B_WITH(group) GROUPED("b", "web", MAC_B, "10.0.1.11", "fd00:1:0:1::11", group)

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_items("[" SERVED "," SHUT "," GROUPED("a", "web", MAC_A, "10.0.1.10",
		"fd00:1:0:1::10", "shut") "," B_WITH("served") "," GROUPED("c", "db", MAC_C,
		"10.0.2.10", "fd00:1:0:2::10", "served") "]");
	recover_start(WINDOW_S, clock_ms());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	recover_turn(clock_ms() + WINDOW_S * 1000); /* forgets what was refused, too */
	recover_start(0, clock_ms());
	graph_reset();
	return 0;
}

#define CLIENT                                                                                     \
	FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP, .sport = 40000,    \
							  .dport = 80
#define SERVER                                                                                     \
	FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 80,       \
							  .dport = 40000

static void from_client(const struct frame *f)
{
	graph_expect_pass("a", f, "b", f);
}

static void from_server(const struct frame *f)
{
	graph_expect_pass("b", f, "a", f);
}

/* What session.list says of the only session. */
static void expect_client(const char *client)
{
	json_t *answer = graph_rpc("session.list", json_object());
	const json_t *item = json_array_get(json_object_get(answer, "items"), 0);

	assert_int_equal(json_array_size(json_object_get(answer, "items")), 1);
	assert_string_equal(json_string_value(json_object_get(item, "client")), client);
	assert_string_equal(json_string_value(json_object_get(item, "state")), "established");
	json_decref(answer);
}

static void test_client_first(void **state)
{
	(void)state;
	from_client(FRAME(CLIENT, .tcp_flags = ACK | PSH, .seq = 1000, .ack = 5000, .payload = 10));
	from_server(FRAME(SERVER, .tcp_flags = ACK | PSH, .seq = 5000, .ack = 1010, .payload = 7));
	expect_client("10.0.1.10:40000");
}

static void test_server_first(void **state)
{
	(void)state;
	from_server(FRAME(SERVER, .tcp_flags = ACK | PSH, .seq = 5000, .ack = 1000, .payload = 7));
	from_client(FRAME(CLIENT, .tcp_flags = ACK, .seq = 1000, .ack = 5007));
	expect_client("10.0.1.10:40000");
	/* From here on it is tracked as any other. */
	graph_expect_drop("b",
		FRAME(SERVER, .tcp_flags = ACK, .seq = 0x80000000u, .ack = 1000, .payload = 7),
		DROP_TCP_STATE);
}

static void test_server_first_ipv6(void **state)
{
	const struct frame *f = FRAME(FROM(MAC_B, "fd00:1:0:1::11"), TO(MAC_A, "fd00:1:0:1::10"),
		.proto = IPPROTO_TCP, .sport = 80, .dport = 40000, .tcp_flags = ACK, .seq = 1,
		.ack = 1);

	(void)state;
	graph_expect_pass("b", f, "a", f);
	expect_client("[fd00:1:0:1::10]:40000");
}

/* r behind a tunnel, c in another subnet: c's segment is routed here, r's comes routed. */
static void test_server_first_to_another_host(void **state)
{
	const struct frame *from_r = FRAME(FROM(GW, "10.0.1.20"), TO(MAC_C, "10.0.2.10"),
		.proto = IPPROTO_TCP, .sport = 40000, .dport = 80, .ttl = 63, .tcp_flags = ACK,
		.seq = 1000, .ack = 5007);
	const struct frame *from_c = FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.20"),
		.proto = IPPROTO_TCP, .sport = 80, .dport = 40000, .tcp_flags = ACK | PSH,
		.seq = 5000, .ack = 1000, .payload = 7);

	(void)state;
	graph_send("c", from_c->bytes, from_c->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	assert_int_equal(graph_dropped_any(), 0);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(from_r, 100), "c", from_r);
	expect_client("10.0.1.20:40000");
}

static void test_client_first_from_another_host(void **state)
{
	const struct frame *from_r = FRAME(FROM(GW, "10.0.1.20"), TO(MAC_C, "10.0.2.10"),
		.proto = IPPROTO_TCP, .sport = 40000, .dport = 80, .ttl = 63, .tcp_flags = ACK,
		.seq = 1000, .ack = 5007);

	(void)state;
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(from_r, 100), "c", from_r);
}

static void test_what_rules_refuse(void **state)
{
	(void)state;
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP,
			.sport = 40000, .dport = 81, .tcp_flags = ACK),
		DROP_POLICY_INGRESS);
	graph_expect_drop("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP,
			.sport = 81, .dport = 40000, .tcp_flags = ACK),
		DROP_POLICY_INGRESS);
	assert_int_equal(session_used(), 0);
}

/* Neither does it resume when the rule returns: not one that was refused, not one that was cut. */
static void test_refused_stays_refused(void **state)
{
	const struct frame *f = FRAME(CLIENT, .tcp_flags = ACK, .seq = 1, .ack = 1);
	const struct frame *other = FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"),
		.proto = IPPROTO_TCP, .sport = 40001, .dport = 80, .tcp_flags = ACK);

	(void)state;
	from_client(f);
	graph_items("[" B_WITH("shut") "]");
	graph_expect_drop("a", f, DROP_POLICY_INGRESS);
	graph_expect_drop("a", other, DROP_POLICY_INGRESS);
	graph_items("[" B_WITH("served") "]");
	graph_expect_drop("a", f, DROP_NO_SESSION);
	graph_expect_drop("a", other, DROP_NO_SESSION);
	graph_expect_drop(
		"b", FRAME(SERVER, .tcp_flags = ACK, .seq = 1, .ack = 1), DROP_NO_SESSION);
	from_client(FRAME(CLIENT, .tcp_flags = SYN));
}

/* c as b: no session is made, and b's own comes through. */
static void test_spoofed_sender(void **state)
{
	(void)state;
	graph_expect_drop("c",
		FRAME(FROM(MAC_C, "10.0.1.11"), TO(GW, "10.0.1.10"), .proto = IPPROTO_TCP,
			.sport = 80, .dport = 40000, .tcp_flags = ACK, .seq = 0x70000000u),
		DROP_SPOOFED);
	assert_int_equal(session_used(), 0);
	from_server(FRAME(SERVER, .tcp_flags = ACK, .seq = 1, .ack = 1));
}

static void test_flags(void **state)
{
	static const uint8_t refused[] = {RST, RST | ACK, SYN | ACK};

	(void)state;
	for (size_t i = 0; i < sizeof(refused); i++)
		graph_expect_drop("a", FRAME(CLIENT, .tcp_flags = refused[i]), DROP_NO_SESSION);
	assert_int_equal(session_used(), 0);
	from_client(FRAME(CLIENT, .tcp_flags = FIN | ACK));
}

static void test_after_the_window(void **state)
{
	const struct frame *f = FRAME(CLIENT, .tcp_flags = ACK, .seq = 1, .ack = 1);

	(void)state;
	recover_turn(clock_ms() + WINDOW_S * 1000 - 1000);
	from_client(f);
	recover_turn(clock_ms() + WINDOW_S * 1000);
	from_client(f); /* its session stays */
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP,
			.sport = 40001, .dport = 80, .tcp_flags = ACK),
		DROP_NO_SESSION);
}

/* For one port only: what a move without sessions asks for. */
static void test_one_port(void **state)
{
	(void)state;
	recover_turn(clock_ms() + WINDOW_S * 1000);
	graph_expect_drop("a", FRAME(CLIENT, .tcp_flags = ACK), DROP_NO_SESSION);
	json_decref(graph_rpc("session.recover", json_pack("{s:s}", "port", "c")));
	graph_expect_drop("a", FRAME(CLIENT, .tcp_flags = ACK), DROP_NO_SESSION);
	json_decref(graph_rpc("session.recover", json_pack("{s:s}", "port", "b")));
	from_server(FRAME(SERVER, .tcp_flags = ACK, .seq = 1, .ack = 1));
	assert_non_null(graph_rpc_refusal("session.recover", json_pack("{s:s}", "port", "x")));
}

/* Nobody has answered: such a session does not stay for hours. */
static void test_unanswered_ends_soon(void **state)
{
	(void)state;
	from_client(FRAME(CLIENT, .tcp_flags = ACK, .seq = 1, .ack = 1));
	graph_pass_time(session_timeouts.tcp_s[1] * 1000 + 1000);
	assert_int_equal(session_used(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_client_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_first_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_first_to_another_host, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_client_first_from_another_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_rules_refuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_stays_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spoofed_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_after_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unanswered_ends_soon, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
