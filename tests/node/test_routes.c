/* SPDX-License-Identifier: Apache-2.0 */
/* Custom routes: next hops that are ports and VTEPs, black holes, changes under running flows. */
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

#define OUTSIDE "198.51.100.7"
#define MAC_V "02:ee:00:00:00:01"

#define FROM_A(to) FROM(MAC_A, "10.0.1.10"), TO(GW, to), .sport = 5, .dport = 6
#define ROUTE_VIA(hop)                                                                             \
	"[\"route\", 100, \"198.51.100.0/24\", \"out\", \"endpoint\", \"" hop                      \
	"\", null, null, null, 1]"
#define ROUTE_VTEP(vtep, address)                                                                  \
	"[\"route\", 100, \"198.51.100.0/24\", \"out\", \"vtep\", \"" address "\", \"" MAC_V       \
	"\", \"" vtep "\", null, 1]"

static void test_through_a_port(void **state)
{
	(void)state;
	graph_expect_drop("a", FRAME(FROM_A(OUTSIDE)), DROP_NO_ROUTE);
	/* The next hop may send from what is behind it. */
	graph_items("[" PORT_ITEM("b", "100", "web", MAC_B, "\"10.0.1.11\"", "\"any\"", "true",
		"\"198.51.100.0/24\"") "," ROUTE_VIA("10.0.1.11") "]");
	graph_expect_pass("a", FRAME(FROM_A(OUTSIDE)), "b",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_B, OUTSIDE), .sport = 5, .dport = 6,
			.ttl = 63));
	graph_expect_pass("b",
		FRAME(FROM(MAC_B, OUTSIDE), TO(GW, "10.0.1.10"), .sport = 6, .dport = 5), "a",
		FRAME(FROM(GW, OUTSIDE), TO(MAC_A, "10.0.1.10"), .sport = 6, .dport = 5,
			.ttl = 63));
	assert_int_equal(session_used(), 1);
	/* A neighbour may send to it directly. */
	graph_expect_pass("a", FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "198.51.100.9")), "b",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "198.51.100.9")));
	graph_delete("[[\"route\", 100, \"198.51.100.0/24\"]]");
	graph_expect_drop("a", FRAME(FROM_A(OUTSIDE)), DROP_NO_ROUTE);
}

static void test_longest_prefix_under_a_flow(void **state)
{
	(void)state;
	graph_items("[" ROUTE_VIA("10.0.1.11") "]");
	graph_expect_pass("a", FRAME(FROM_A(OUTSIDE)), "b",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_B, OUTSIDE), .sport = 5, .dport = 6,
			.ttl = 63));
	graph_items("[[\"route\", 100, \"198.51.100.7/32\", \"one\", \"endpoint\", "
		    "\"10.0.2.10\", null, null, null, 1]]");
	graph_expect_pass("a", FRAME(FROM_A(OUTSIDE)), "c",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, OUTSIDE), .sport = 5, .dport = 6,
			.ttl = 63));
	graph_items("[[\"route\", 100, \"198.51.100.7/32\", \"one\", \"blackhole\", null, "
		    "null, null, null, 2]]");
	graph_expect_drop("a", FRAME(FROM_A(OUTSIDE)), DROP_BLACKHOLE);
	assert_int_equal(session_used(), 0);
}

/* A source behind a next hop on another node: its flow follows the hop to a third. */
static void test_hop_moves(void **state)
{
	const struct frame *in =
		FRAME(FROM(MAC_R, OUTSIDE), TO(MAC_A, "10.0.1.10"), .sport = 6, .dport = 5);
	struct frame third;
	const uint8_t *got;

	(void)state;
	graph_items("[[\"vtep\", \"third\", \"192.0.2.3\", false]," ROUTE_VIA("10.0.1.20") "]");
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(in, 100), "a", in);
	frame_vxlan(&third, in, "192.0.2.3", "192.0.2.1", 100);
	graph_expect_drop(GRAPH_UNDERLAY, &third, DROP_WRONG_VTEP);
	graph_items("[" ENDPOINT("100", "10.0.1.20", MAC_R, "third", "web", "r") "]");
	graph_expect_pass(GRAPH_UNDERLAY, &third, "a", in);
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(in, 100), DROP_WRONG_VTEP);
	/* Answers go there too. */
	graph_send("a", FRAME(FROM_A(OUTSIDE))->bytes, 42);
	graph_run();
	got = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(got);
	assert_memory_equal(got + 30, "\xc0\x00\x02\x03", 4);
}

static void test_to_a_vtep(void **state)
{
	const uint8_t *got;

	(void)state;
	graph_items("[[\"vtep\", \"third\", \"192.0.2.3\", false]," ROUTE_VTEP(
		"other", "192.0.2.2") "]");
	graph_send("a", FRAME(FROM_A(OUTSIDE))->bytes, 42);
	graph_run();
	got = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(got);
	assert_memory_equal(got + 30, "\xc0\x00\x02\x02", 4);
	assert_memory_equal(got + 50, "\x02\xee\0\0\0\x01\x02\0\0\0\0\x64", 12);
	graph_items("[" ROUTE_VTEP("third", "192.0.2.3") "]");
	graph_send("a", FRAME(FROM_A(OUTSIDE))->bytes, 42);
	graph_run();
	got = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(got);
	assert_memory_equal(got + 30, "\xc0\x00\x02\x03", 4);
}

/* Sources from outside come from a gateway only, as long as it is one. */
static void test_gateway_no_more(void **state)
{
	const struct frame *in =
		FRAME(FROM(GW, OUTSIDE), TO(MAC_A, "10.0.1.10"), .sport = 6, .dport = 5);

	(void)state;
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(in, 100), DROP_WRONG_VTEP);
	graph_items("[[\"vtep\", \"other\", \"192.0.2.2\", true]]");
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(in, 100), "a", in);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(in, 100), "a", in);
	graph_items("[[\"vtep\", \"other\", \"192.0.2.2\", false]]");
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(in, 100), DROP_WRONG_VTEP);
	assert_int_equal(session_used(), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_through_a_port),
		T(test_longest_prefix_under_a_flow),
		T(test_hop_moves),
		T(test_to_a_vtep),
		T(test_gateway_no_more),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
