/* SPDX-License-Identifier: Apache-2.0 */
/* A port moves between its gateway's node and another: its translated flows stay with the gateway, what the port's node knows of them goes
 * along. a .10 leaves to the VTEP `other`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "core/worker.h"
#include "graph.h"
#include "outside.h"
#include "session/parked.h"
#include "session/session.h"

#define A_ELSEWHERE                                                                                \
	ENDPOINT("100", "10.0.1.10", MAC_A, "other", "web", "a")                                   \
	"," ENDPOINT("100", "fd00:1:0:1::10", MAC_A, "other", "web", "a")

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
	parked_turn(clock_ms() + PARKED_MS);
	graph_reset();
	outside_reset();
	return 0;
}

static void leave(void)
{
	json_decref(graph_rpc("session.keep", json_pack("{s:s}", "port", "a")));
	graph_both("[" A_ELSEWHERE "]", "[[\"port\", \"a\"]]");
	graph_forget_announcements();
	graph_pass_time(10);
}

/* What its new node is given: one record, which begins so. */
static void expect_record(const char *beginning, const char *far)
{
	json_t *page = graph_rpc("session.export", json_pack("{s:s}", "port", "a"));
	json_t *items = json_object_get(page, "items");
	const char *text = json_string_value(json_array_get(items, 0));

	assert_int_equal(json_array_size(items), 1);
	if (strncmp(text, beginning, strlen(beginning)) != 0 || strstr(text, far) == NULL)
		fail_msg("%s", text);
	json_decref(page);
}

/* In the tunnel to its machine now. */
static void expect_tunnelled(const struct frame *want)
{
	uint16_t len;
	const uint8_t *got = graph_sent(GRAPH_UNDERLAY, &len);

	if (got == NULL)
		fail_msg("dropped:%s", graph_drop_names());
	assert_int_equal(len, want->len + 50);
	assert_memory_equal(got + 50, want->bytes, want->len);
}

static void test_initiator_leaves(void **state)
{
	const struct frame *back =
		FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, SNAT), .sport = 53, .dport = 2000);

	(void)state;
	graph_expect_pass("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, SERVER), .sport = 1000, .dport = 53), EXT,
		FRAME(FROM(EXT_MAC, SNAT), TO(HOP_MAC, SERVER), .sport = 2000, .dport = 53,
			.ttl = 63));
	leave();
	expect_record("i 17 10.0.1.10 1000 198.51.100.9 53 1 ", " test ");
	assert_int_equal(session_used(), 1);
	graph_send(EXT, back->bytes, back->len);
	graph_run();
	expect_tunnelled(FRAME(
		FROM(GW, SERVER), TO(MAC_A, "10.0.1.10"), .sport = 53, .dport = 1000, .ttl = 63));
	graph_expect_pass(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(GW, "10.0.1.10"), TO(GW, SERVER), .sport = 1000, .dport = 53,
				  .ttl = 63),
			100),
		EXT,
		FRAME(FROM(EXT_MAC, SNAT), TO(HOP_MAC, SERVER), .sport = 2000, .dport = 53,
			.ttl = 63));
	assert_int_equal(outside_taken, 1); /* the same session all the time */
	assert_int_equal(outside_released, 0);
}

static void test_responder_leaves(void **state)
{
	const struct frame *in =
		FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, DNAT), .sport = 4000, .dport = 80);

	(void)state;
	graph_expect_pass(EXT, in, "a",
		FRAME(FROM(GW, SERVER), TO(MAC_A, "10.0.1.10"), .sport = 4000, .dport = 8080,
			.ttl = 63));
	leave();
	expect_record("r 17 198.51.100.9 4000 10.0.1.10 8080 1 " MAC_A " " GW " test ", " ");
	assert_int_equal(session_used(), 1);
	graph_send(EXT, in->bytes, in->len);
	graph_run();
	expect_tunnelled(FRAME(
		FROM(GW, SERVER), TO(MAC_A, "10.0.1.10"), .sport = 4000, .dport = 8080, .ttl = 63));
	graph_expect_pass(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, SERVER), .sport = 8080,
				  .dport = 4000, .ttl = 63),
			100),
		EXT,
		FRAME(FROM(EXT_MAC, DNAT), TO(HOP_MAC, SERVER), .sport = 80, .dport = 4000,
			.ttl = 63));
}

/* The other side of it: the port comes to a node whose gateway is `other`. A segment from the middle of its connection passes, and
 * the answers go back there. */
static void test_responder_comes(void **state)
{
	const struct frame *data = FRAME(FROM(GW, SERVER), TO(MAC_A, "10.0.1.10"),
		.proto = IPPROTO_TCP, .sport = 4000, .dport = 8080, .tcp_flags = 0x10, .seq = 1001,
		.ack = 501, .payload = 9, .ttl = 60);
	const struct frame *answer =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, SERVER), .proto = IPPROTO_TCP, .sport = 8080,
			.dport = 4000, .tcp_flags = 0x10, .seq = 501, .ack = 1010);
	json_t *result;

	(void)state;
	graph_items("[[\"vtep\", \"other\", \"192.0.2.2\", true]]");
	result = graph_rpc("session.import", json_pack("{s:s, s:[s]}", "port", "a", "items",
						     "r 6 198.51.100.9 4000 10.0.1.10 8080 1 " MAC_A
						     " " GW " other 5000 10 10 4 400 3 300 "
						     "3 0 65535 1001 66036 3 0 65535 501 66536"));
	assert_int_equal(json_integer_value(json_object_get(result, "imported")), 1);
	json_decref(result);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(data, 100), "a", data);
	graph_send("a", answer->bytes, answer->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	assert_int_equal(session_used(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_initiator_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_responder_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_responder_comes, setup, teardown),
	};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("translate_moves", tests, NULL, NULL);
}
